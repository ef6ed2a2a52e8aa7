"""The handshake: two ends prove their node keys, and nothing else comes through."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import make_handshake_vectors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_scenes import ALICE, BOB, dialer, listener, secret, shake

from p2pblog.core.keys import KeyPair
from p2pblog.errors import BadHandshake, Disconnected, LocalProtocolError, RemoteProtocolError
from p2pblog.transport.framing import FrameReader, FrameWriter
from p2pblog.transport.handshake import MESSAGE_SIZES, Handshake, Proven, make_credentials

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "handshake.json").read_text())
ACCEPT = [vector for vector in VECTORS if vector["accept"]]
REJECT = [vector for vector in VECTORS if not vector["accept"]]


def test_alice_and_bob_learn_each_other_and_share_a_binding() -> None:
    alice, bob = shake(dialer(ALICE), listener(BOB))
    assert (alice.peer, bob.peer) == (BOB.public, ALICE.public)
    assert alice.binding == bob.binding and len(alice.binding) == 32
    assert bob.receiver.open(alice.sender.seal(b"hi bob")) == b"hi bob"
    assert alice.receiver.open(bob.sender.seal(b"hi alice")) == b"hi alice"


def test_the_messages_have_the_sizes_of_the_protocol_page() -> None:
    a, b = dialer(), listener()
    first = a.start()
    second = b.feed(first).send
    third = a.feed(second).send
    assert [len(message) - 2 for message in (first, second, third)] == list(MESSAGE_SIZES) == [32, 197, 165]


def test_another_ephemeral_key_is_another_binding() -> None:
    once, _ = shake(dialer(), listener())
    credentials = make_credentials(ALICE, secret("dialer static"))
    again, _ = shake(Handshake(credentials, secret("fresh"), dialed=True), listener())
    assert once.binding != again.binding


def test_a_node_may_meet_itself_and_the_caller_sees_it() -> None:
    alice, _ = shake(dialer(ALICE), listener(ALICE))
    assert alice.peer == ALICE.public


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2), st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_passes(number: int, place: int, bit: int) -> None:
    a, b = dialer(), listener()

    def through(message: bytes, its_number: int) -> bytes:
        changed = bytearray(message)
        if its_number == number:
            changed[place % len(changed)] ^= 1 << bit
        return bytes(changed)

    with pytest.raises(BadHandshake):
        second = b.feed(through(a.start(), 0)).send
        third = a.feed(through(second, 1)).send
        b.feed(through(third, 2))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5), st.booleans())
def test_noise_of_strangers_is_a_named_error(pieces: list[bytes], dialed: bool) -> None:
    machine = dialer() if dialed else listener()
    machine.start()
    with pytest.raises(RemoteProtocolError) as fault:
        for piece in [*pieces, b""]:
            machine.feed(piece)
    assert type(fault.value) in (BadHandshake, Disconnected)


def test_a_machine_that_is_over_takes_nothing_more() -> None:
    failed = listener()
    with pytest.raises(BadHandshake):
        failed.feed(b"GET / HTTP/1.1")
    with pytest.raises(LocalProtocolError):
        failed.feed(b"\r\n")


# --- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", ACCEPT, ids=lambda vector: vector["name"])
def test_accept(vector: dict[str, Any]) -> None:
    end = Ending(vector)
    for piece in vector["input"]["received"]:
        end.feed(bytes.fromhex(piece))
    assert end.proven is not None
    says = [bytes.fromhex(message) for message in vector["input"]["says"]]
    assert vector["expect"] == {
        "peer": end.proven.peer.hex(),
        "binding": end.proven.binding.hex(),
        "sent": [message.hex() for message in end.sent],
        "hears": [message.hex() for message in end.heard],
        "frames": b"".join(FrameWriter(end.proven.sender).frames(says)).hex(),
    }


@pytest.mark.parametrize("vector", REJECT, ids=lambda vector: vector["name"])
def test_reject(vector: dict[str, Any]) -> None:
    end = Ending(vector)
    with pytest.raises(RemoteProtocolError) as fault:
        for piece in vector["input"]["received"]:
            end.feed(bytes.fromhex(piece))
        end.feed(b"")  # a fault behind a good message comes with the next call
    assert fault.value.name == vector["error"]


def test_there_are_enough_vectors_and_they_are_those_that_the_maker_makes() -> None:
    assert len(ACCEPT) >= 6 and len(REJECT) >= 20
    errors = Counter(vector["error"] for vector in REJECT)
    assert set(errors) == {"bad-handshake", "disconnected", "malformed", "too-large"} and min(errors.values()) >= 3
    names = [vector["name"] for vector in VECTORS]
    assert len(set(names)) == len(names)
    assert make_handshake_vectors.render() == make_handshake_vectors.TARGET.read_text()


class Ending:
    """The end of the connection that a vector speaks of: handshake, then frames."""

    def __init__(self, vector: dict[str, Any]) -> None:
        given = vector["input"]
        node = KeyPair.from_seed(bytes.fromhex(given["node_seed"]))
        self._handshake = Handshake(
            make_credentials(node, bytes.fromhex(given["static"])),
            bytes.fromhex(given["ephemeral"]),
            dialed=given["role"] == "dialer",
            network_id=bytes.fromhex(given["network_id"]),
        )
        self._reader: FrameReader | None = None
        self.proven: Proven | None = None
        self.heard: list[bytes] = []
        first = self._handshake.start()
        self.sent = [first] if first else []

    def feed(self, data: bytes) -> None:
        if self._reader is not None:
            self.heard += self._reader.feed(data)
            return
        step = self._handshake.feed(data)
        if step.send:
            self.sent.append(step.send)
        if step.proven is not None:
            self.proven = step.proven
            self._reader = FrameReader(step.proven.receiver)
            if step.proven.rest:
                self.heard += self._reader.feed(step.proven.rest)
