"""Writes tests/vectors/handshake.json. Run it after a change of the protocol, and read the difference.

    PYTHONPATH=. .venv/bin/python tests/transport/make_handshake_vectors.py

A case is one end of a connection and everything that the other end sent it. The faulty peers here are honest ones with
one thing changed, so that each case fails for the reason that its name gives.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transport_scenes import ALICE, BOB, MALLORY, secret

from p2pblog.config import MESSAGE_BYTES_MAX, NETWORK_ID
from p2pblog.core.codec import pack
from p2pblog.core.keys import NODE_DOMAIN, KeyPair
from p2pblog.core.value import replace
from p2pblog.transport.framing import FrameWriter
from p2pblog.transport.handshake import PROOF_PURPOSE, Credentials, Handshake, NoiseXX, Proven, make_credentials

TARGET = Path(__file__).parents[1] / "vectors" / "handshake.json"
Case = dict[str, Any]

FIELD = 2**255 - 19
LOW_ORDER = {
    "zero": 0,
    "one": 1,
    "of order 8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    "of order 8, the other": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
    "p - 1": FIELD - 1,
    "p": FIELD,
    "p + 1": FIELD + 1,
}
"""u coordinates whose exchange is all zero whatever the secret (RFC 7748, 7; the list at cr.yp.to/ecdh.html)."""


@dataclass(frozen=True)
class End:
    """One end: its secrets, and what it proves."""

    node: KeyPair
    name: str
    dialed: bool
    network_id: bytes = NETWORK_ID
    proof: bytes | None = None

    @property
    def static(self) -> bytes:
        return secret(f"{self.name} static")

    @property
    def ephemeral(self) -> bytes:
        return secret(f"{self.name} ephemeral")

    @property
    def static_public(self) -> bytes:
        noise = NoiseXX(self.static, self.ephemeral, True, b"")
        public: bytes = noise._protocol.keypairs["s"].public_bytes
        return public

    def credentials(self) -> Credentials:
        honest = make_credentials(self.node, self.static)
        return honest if self.proof is None else replace(honest, proof=self.proof)

    def machine(self) -> Handshake:
        return Handshake(self.credentials(), self.ephemeral, dialed=self.dialed, network_id=self.network_id)


DIALER = End(ALICE, "dialer", dialed=True)
LISTENER = End(BOB, "listener", dialed=False)


def meet(dialer: End, listener: End) -> tuple[list[bytes], Proven, Proven]:
    """The three messages, and what each end has then."""
    a, b = dialer.machine(), listener.machine()
    first = a.start()
    second = b.feed(first).send
    step = a.feed(second)
    ours, theirs = step.proven, b.feed(step.send).proven
    assert ours is not None and theirs is not None
    return [first, second, step.send], ours, theirs


def case(name: str, end: End, received: Iterable[bytes], says: Iterable[bytes] = ()) -> Case:
    return {
        "name": name,
        "input": {
            "role": "dialer" if end.dialed else "listener",
            "network_id": end.network_id.hex(),
            "node_seed": end.node.seed.hex(),
            "static": end.static.hex(),
            "ephemeral": end.ephemeral.hex(),
            "received": [piece.hex() for piece in received],
            "says": [message.hex() for message in says],
        },
    }


def accepted(
    name: str,
    end: End,
    other: End,
    *,
    hears: list[list[bytes]] | None = None,
    says: Iterable[bytes] = (),
    one_by_one: bool = False,
    joined: bool = False,
) -> Case:
    """An honest meeting: `hears` are the other end's messages, those of one list in one frame."""
    messages, ours, theirs = meet(end, other) if end.dialed else meet(other, end)
    mine, its = (ours, theirs) if end.dialed else (theirs, ours)
    writer = FrameWriter(its.sender)
    frames = [frame for batch in hears or [] for frame in writer.frames(batch)]
    received = [messages[1], *frames] if end.dialed else [messages[0], messages[2], *frames]
    if joined:
        received = [received[0], b"".join(received[1:])]
    if one_by_one:
        received = [bytes([byte]) for byte in b"".join(received)]
    sent = [messages[0], messages[2]] if end.dialed else [messages[1]]
    expect = {
        "peer": mine.peer.hex(),
        "binding": mine.binding.hex(),
        "sent": [message.hex() for message in sent],
        "hears": [message.hex() for batch in hears or [] for message in batch],
        "frames": "".join(frame.hex() for frame in FrameWriter(mine.sender).frames(says)),
    }
    return case(name, end, received, says) | {"accept": True, "error": None, "expect": expect}


def rejected(name: str, end: End, received: Iterable[bytes], error: str) -> Case:
    """What the peer sent ends the connection, at the latest when its stream ends: the empty last piece."""
    return case(name, end, [*received, b""]) | {"accept": False, "error": error, "expect": None}


# --- the cases --------------------------------------------------------------------------------------------------------


def accept_cases() -> list[Case]:
    test_net = b"p2pblog test 1"
    return [
        accepted("a dialer meets a listener", DIALER, LISTENER),
        accepted("a listener meets a dialer", LISTENER, DIALER),
        accepted("a listener is fed byte by byte", LISTENER, DIALER, one_by_one=True),
        accepted("a dialer is fed byte by byte", DIALER, LISTENER, one_by_one=True, hears=[[b"hello"]]),
        accepted("a node meets itself", DIALER, dataclasses.replace(LISTENER, node=ALICE)),
        accepted(
            "another network, at both ends",
            dataclasses.replace(DIALER, network_id=test_net),
            dataclasses.replace(LISTENER, network_id=test_net),
        ),
        accepted("the dialer's first message comes with its proof", LISTENER, DIALER, joined=True, hears=[[b"hello"]]),
        accepted("messages of one frame", LISTENER, DIALER, hears=[[b"one", b"two", b"3"]], says=[b"a", b"bc"]),
        accepted("messages of one byte length and two", DIALER, LISTENER, hears=[[b"x" * 127], [b"x" * 128]]),
        accepted("both ends talk", DIALER, LISTENER, hears=[[b"hi"], [b"there"]], says=[b"y" * 300]),
    ]


def reject_cases() -> list[Case]:
    return [
        *strangers(),
        *wrong_networks(),
        *changed_messages(),
        *low_order_keys(),
        *bad_proofs(),
        *out_of_turn(),
        *early_ends(),
        *bad_frames(),
        *oversized(),
    ]


def strangers() -> list[Case]:
    hello_tls = bytes.fromhex("16030100c2010000be0303") + bytes(32)
    return [
        rejected("an HTTP client", LISTENER, [b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"], "bad-handshake"),
        rejected("a TLS client", LISTENER, [hello_tls], "bad-handshake"),
        rejected("an SSH server", DIALER, [b"SSH-2.0-OpenSSH_9.6\r\n"], "bad-handshake"),
        rejected("zeros", LISTENER, [bytes(64)], "bad-handshake"),
        rejected("message 1 announced as 31 bytes", LISTENER, [b"\x00\x1f" + bytes(31)], "bad-handshake"),
        rejected("message 1 announced as 33 bytes", LISTENER, [b"\x00\x21" + bytes(33)], "bad-handshake"),
        rejected("message 2 announced as 65,535 bytes", DIALER, [b"\xff\xff" + bytes(64)], "bad-handshake"),
    ]


def wrong_networks() -> list[Case]:
    """The dialer sees it in message 2; a dialer that does not care is seen by the listener in message 3."""
    first = DIALER.machine().start()
    foreign = dataclasses.replace(LISTENER, network_id=b"p2pblog main 2")
    second = foreign.machine().feed(first).send
    messages, _, _ = meet(dataclasses.replace(DIALER, network_id=b"p2pblog main 2"), foreign)
    empty = dataclasses.replace(LISTENER, network_id=b"")
    return [
        rejected("a listener of another version", DIALER, [second], "bad-handshake"),
        rejected("a listener of no network", DIALER, [empty.machine().feed(first).send], "bad-handshake"),
        rejected("a dialer of another version", LISTENER, [messages[0], messages[2]], "bad-handshake"),
    ]


def changed_messages() -> list[Case]:
    (first, second, third), _, _ = meet(DIALER, LISTENER)
    cases = []
    for part, place in {"ephemeral": 2, "static": 34, "static's tag": 81, "proof": 82, "proof's tag": 198}.items():
        cases.append(
            rejected(f"message 2 with a bit of its {part} flipped", DIALER, [flip(second, place)], "bad-handshake")
        )
    for part, place in {"static": 2, "static's tag": 49, "proof": 50, "proof's tag": 166}.items():
        received = [first, flip(third, place)]
        cases.append(rejected(f"message 3 with a bit of its {part} flipped", LISTENER, received, "bad-handshake"))
    top_bit = flip(first, 33, bit=7)  # the exchange ignores it (RFC 7748, 5), the handshake hash does not
    cases.append(
        rejected("message 1 with the unused bit of its key flipped", LISTENER, [top_bit, third], "bad-handshake")
    )
    other = meet(dataclasses.replace(DIALER, name="another"), LISTENER)[0]
    cases.append(rejected("message 3 of another handshake", LISTENER, [first, other[2]], "bad-handshake"))
    cases.append(rejected("message 2 of another handshake", DIALER, [other[1]], "bad-handshake"))
    cases.append(rejected("message 2 in place of message 3", LISTENER, [first, second], "bad-handshake"))
    return cases


def low_order_keys() -> list[Case]:
    """As an ephemeral key of either end; then as a static key, encrypted as it must be."""
    cases = []
    for name, u in LOW_ORDER.items():
        point = u.to_bytes(32, "little")
        cases.append(
            rejected(f"an ephemeral key of low order: {name}", LISTENER, [b"\x00\x20" + point], "bad-handshake")
        )
    dead_second = b"\x00\xc5" + bytes(32) + bytes(165)
    cases.append(rejected("a listener's ephemeral key of low order", DIALER, [dead_second], "bad-handshake"))
    cases.append(rejected("a listener's static key of low order", DIALER, [dead_static_message_2()], "bad-handshake"))
    return cases


def dead_static_message_2() -> bytes:
    """Message 2 whose static key is zero: es is all zero then, and a peer could know it without a secret."""
    noise = NoiseXX(LISTENER.static, LISTENER.ephemeral, False, NETWORK_ID)
    noise.read(DIALER.machine().start()[2:])
    symmetric, state = noise._state.symmetric_state, noise._state
    message = bytearray(state.e.public_bytes)
    symmetric.mix_hash(state.e.public_bytes)
    symmetric.mix_key(noise._protocol.dh_fn.dh(state.e.private, state.re.public))
    message += symmetric.encrypt_and_hash(bytes(32))
    symmetric.mix_key(bytes(32))
    message += symmetric.encrypt_and_hash(LISTENER.credentials().proof)
    return len(message).to_bytes(2, "big") + bytes(message)


def bad_proofs() -> list[Case]:
    """Everything about the handshake is right but what the sealed payload says."""
    cases = []
    for who, end, other in (("listener", DIALER, LISTENER), ("dialer", LISTENER, DIALER)):
        for name, proof in proofs(other).items():
            liar = dataclasses.replace(other, proof=proof)
            a, b = (DIALER, liar) if end.dialed else (liar, LISTENER)
            first = a.machine().start()
            second = b.machine().feed(first).send
            received = [second] if end.dialed else [first, third_message(a, second)]
            cases.append(rejected(f"a {who}'s proof: {name}", end, received, "bad-handshake"))
    return cases


def third_message(dialer: End, second: bytes) -> bytes:
    machine = dialer.machine()
    machine.start()
    return machine.feed(second).send


def proofs(of: End) -> dict[str, bytes]:
    honest = of.node.sign(NODE_DOMAIN, PROOF_PURPOSE + of.static_public)
    key = of.node.public
    stolen = of.node.sign(NODE_DOMAIN, PROOF_PURPOSE + dataclasses.replace(of, name="another").static_public)
    small = bytes([1]) + bytes(31)  # the neutral element
    small_signature = small + bytes(32)  # holds for every message where small keys are not refused
    return {
        "of somebody else's node key": pack([MALLORY.public, honest]),
        "signed by somebody else": pack([key, MALLORY.sign(NODE_DOMAIN, PROOF_PURPOSE + of.static_public)]),
        "of another static key": pack([key, stolen]),
        "without its purpose": pack([key, of.node.sign(NODE_DOMAIN, of.static_public)]),
        "in another domain": pack([key, of.node.sign(b"p2pblog record 1", PROOF_PURPOSE + of.static_public)]),
        "with a bit of the signature flipped": pack([key, flip(honest, 40)]),
        "with S not reduced": pack([key, honest[:32] + raise_scalar(honest[32:])]),
        "a node key of small order": pack([small, small_signature]),
        "a node key that is not canonical": pack([(2**255 - 18).to_bytes(32, "little"), small_signature]),
        "the parts the other way round": pack([honest, key]),
        "a key of 31 bytes": pack([key[:31], honest + b"\x00"]),
        "one byte string": pack(bytes(99)),
        "three parts": pack([key, honest[:63], None]),
        "nothing but nil": b"\xc0" * 101,
        "text for the key": b"\x92\xd9\x20" + b"k" * 32 + b"\xc4\x40" + honest,
    }


def out_of_turn() -> list[Case]:
    (first, second, third), ours, _ = meet(DIALER, LISTENER)
    frame = next(FrameWriter(ours.sender).frames([b"hello"]))
    return [
        rejected("message 3 along with message 1", LISTENER, [first + third], "bad-handshake"),
        rejected("message 1 twice in one piece", LISTENER, [first + first], "bad-handshake"),
        rejected("message 1 twice", LISTENER, [first, first], "bad-handshake"),
        rejected("a frame in place of message 3", LISTENER, [first, frame], "bad-handshake"),
        rejected("more bytes behind message 2", DIALER, [second + b"\x00"], "bad-handshake"),
        rejected("message 1 in answer to message 1", DIALER, [first], "bad-handshake"),
    ]


def early_ends() -> list[Case]:
    (first, second, third), ours, _ = meet(DIALER, LISTENER)
    frame = next(FrameWriter(ours.sender).frames([b"hello"]))
    half = seal_plain([b"\x05hel"])
    return [
        rejected("nothing at all", LISTENER, [], "disconnected"),
        rejected("nothing in answer", DIALER, [], "disconnected"),
        rejected("an end after one byte", LISTENER, [first[:1]], "disconnected"),
        rejected("an end within message 1", LISTENER, [first[:33]], "disconnected"),
        rejected("an end within message 2", DIALER, [second[:198]], "disconnected"),
        rejected("an end after message 1", LISTENER, [first], "disconnected"),
        rejected("an end within message 3", LISTENER, [first, third[:166]], "disconnected"),
        rejected("an end after the handshake", LISTENER, [first, third], "disconnected"),
        rejected("an end within a frame's length", LISTENER, [first, third, frame[:1]], "disconnected"),
        rejected("an end within a frame", LISTENER, [first, third, frame[:-1]], "disconnected"),
        rejected("an end within a message", LISTENER, half, "disconnected"),
        rejected("an end within a message's length", LISTENER, seal_plain([b"\x80"]), "disconnected"),
    ]


def bad_frames() -> list[Case]:
    (first, _, third), ours, _ = meet(DIALER, LISTENER)
    one, two = FrameWriter(ours.sender).frames([b"one"]), FrameWriter(ours.sender).frames([b"two"])
    frames = [next(one), next(two)]
    hand = [first, third]
    return [
        rejected("a frame of length 0", LISTENER, [*hand, b"\x00\x00"], "malformed"),
        rejected("a frame of a tag only", LISTENER, [*hand, b"\x00\x10" + bytes(16)], "malformed"),
        rejected("a frame with a bit flipped", LISTENER, [*hand, flip(frames[0], 3)], "malformed"),
        rejected("a frame with a bit of its tag flipped", LISTENER, [*hand, flip(frames[0], -1)], "malformed"),
        rejected("the first frame missing", LISTENER, [*hand, frames[1]], "malformed"),
        rejected("a frame twice", LISTENER, [*hand, frames[0], frames[0]], "malformed"),
        rejected("a message with no bytes", LISTENER, seal_plain([b"\x00"]), "malformed"),
        rejected("a length spelled too long", LISTENER, seal_plain([b"\x83\x00abc"]), "malformed"),
        rejected("a good message, then a bad length", LISTENER, seal_plain([b"\x02ok\x80\x80\x00"]), "malformed"),
    ]


def oversized() -> list[Case]:
    over = MESSAGE_BYTES_MAX + 1
    spelled = bytes([over & 0x7F | 0x80, over >> 7 & 0x7F | 0x80, over >> 14 & 0x7F | 0x80, over >> 21])
    return [
        rejected("a message one byte over the limit", LISTENER, seal_plain([spelled]), "too-large"),
        rejected("a message of 256 MiB less one", LISTENER, seal_plain([b"\xff\xff\xff\x7f"]), "too-large"),
        rejected("a length of five bytes", LISTENER, seal_plain([b"\x80\x80\x80\x80\x01"]), "too-large"),
        rejected("a length cut by the end of a frame", LISTENER, seal_plain([spelled[:2], spelled[2:]]), "too-large"),
        rejected("a length that never ends", LISTENER, seal_plain([b"\xff" * 16]), "too-large"),
    ]


def seal_plain(plains: list[bytes]) -> list[bytes]:
    """What a listener receives of a dialer that seals these plaintexts, each in a frame."""
    (first, _, third), ours, _ = meet(DIALER, LISTENER)
    sealed = [ours.sender.seal(plain) for plain in plains]
    return [first, third, *(len(text).to_bytes(2, "big") + text for text in sealed)]


def flip(data: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def raise_scalar(scalar: bytes) -> bytes:
    """S + L, which satisfies the equation and is refused (RFC 8032, 5.1.7)."""
    order = 2**252 + 27742317777372353535851937790883648493
    return (int.from_bytes(scalar, "little") + order).to_bytes(32, "little")


def render() -> str:
    lines = (json.dumps(vector) for vector in [*accept_cases(), *reject_cases()])
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    TARGET.write_text(render())
