"""Alice seals a message to bob and carol: they read it, and mallory, who holds her log, learns nothing from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import nacl.bindings as sodium
import pytest
from builders import Person, key_pair, person
from core_scenes import tampered
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import CryptoError

from p2pblog.config import (
    DM_BOXES_MAX,
    DM_BOXES_MIN,
    DM_BYTES_MAX,
    DM_RECIPIENTS_MAX,
    DM_SEALED_MAX,
    DM_SEALED_MIN,
    PAYLOAD_BYTES_MAX,
    TIME_MS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, KeyPair, hash32
from p2pblog.core.payload import BOX_BYTES, SEALED_OVERHEAD, Dm, Unknown, decode, encode
from p2pblog.core.sealed import DM_DOMAIN, Message, read, seal
from p2pblog.dht.records import notice_record
from p2pblog.errors import LocalProtocolError

ALICE, BOB, CAROL, MALLORY = (person(name) for name in ("alice", "bob", "carol", "mallory"))
TABLET = key_pair("bob/tablet")


def drawing(seed: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same for a seed."""
    counter = itertools.count()
    return lambda size: hash32(f"{seed} {next(counter)}".encode(), b"p2pblog tests")[:size]


def sealed(text: str = "tea at five?", to: tuple[Person, ...] = (BOB, CAROL), seed: str = "one") -> Dm:
    message = Message(ALICE.hash, tuple(each.hash for each in to), text)
    return seal(message, [each.key for each in (*to, ALICE)], drawing(seed))


def opened(dm: Dm, by: Person, author: Person = ALICE, keys: tuple[KeyPair, ...] | None = None) -> Message | None:
    return read(dm, author.hash, by.hash, (by.device,) if keys is None else keys)


def seal_raw(said: bytes, *devices: KeyPair, domain: bytes = DM_DOMAIN, key: bytes = b"k" * 32) -> Dm:
    """What a hostile author may seal: any bytes, as they are, with libsodium's own boxes."""
    encrypted = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(said, domain, bytes(24), b"k" * 32)
    to = [sodium.crypto_sign_ed25519_pk_to_curve25519(device.public) for device in devices]
    return Dm(b"".join(sodium.crypto_box_seal(key, each) for each in to), bytes(24) + encrypted)


def told(author: Person = ALICE, to: tuple[IdentityHash, ...] = (BOB.hash,), text: object = "hi") -> bytes:
    return codec.pack({"from": author.hash, "text": text, "to": list(to)})


def padded(said: bytes, size: int = 256) -> bytes:
    return said + b"\x80" + bytes(size - len(said) - 1)


# --- who reads it -----------------------------------------------------------------------------------------------------


def test_recipients_and_the_author_read_it_and_nobody_else() -> None:
    dm = decode(encode(sealed()))
    assert isinstance(dm, Dm)
    said = Message(ALICE.hash, (BOB.hash, CAROL.hash), "tea at five?")
    for reader in (ALICE, BOB, CAROL):
        assert opened(dm, reader) == said
    assert opened(dm, MALLORY) is None
    assert opened(dm, BOB, keys=()) is None


def test_every_device_of_a_recipient_reads_it() -> None:
    message = Message(ALICE.hash, (BOB.hash,), "hi")
    dm = seal(message, [DeviceKey(TABLET.public), BOB.key, BOB.key], drawing("two"))
    for device in (TABLET, BOB.device):
        assert opened(dm, BOB, keys=(MALLORY.device, device)) == message


def test_the_payload_names_nobody() -> None:
    data = encode(sealed("a text that would be seen"))
    for person_ in (ALICE, BOB, CAROL):
        for named in (person_.hash, person_.key, sodium.crypto_sign_ed25519_pk_to_curve25519(person_.key)):
            assert named not in data
            assert named[:8] not in data
    assert b"seen" not in data


def test_boxes_are_those_of_libsodium() -> None:
    """Ours opens with the library's function, and the library's own opens with ours."""
    public, secret = (
        sodium.crypto_sign_ed25519_pk_to_curve25519(BOB.device.public),
        sodium.crypto_sign_ed25519_sk_to_curve25519(sodium.crypto_sign_seed_keypair(BOB.device.seed)[1]),
    )
    dm = sealed()
    keys = []
    for start in range(0, len(dm.boxes), BOX_BYTES):
        try:
            keys.append(sodium.crypto_box_seal_open(dm.boxes[start : start + BOX_BYTES], public, secret))
        except CryptoError:  # for somebody else
            continue
    (key,) = keys
    content = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(dm.sealed[24:], DM_DOMAIN, dm.sealed[:24], key)
    assert codec.unpack(sodium.sodium_unpad(content, len(content)), 256)["text"] == "tea at five?"
    assert opened(seal_raw(padded(told()), BOB.device), BOB) == Message(ALICE.hash, (BOB.hash,), "hi")


def test_nothing_is_sealed_twice_with_one_key() -> None:
    one, same, other = sealed(), sealed(), sealed(seed="another")
    assert one == same
    assert one.sealed != other.sealed
    pieces = [dm.boxes[start : start + 32] for dm in (one, other) for start in range(0, len(dm.boxes), BOX_BYTES)]
    assert len(set(pieces)) == len(pieces)


# --- what can be seen from outside ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "boxes"), [(1, 4), (2, 4), (4, 4), (5, 8), (8, 8), (9, 16), (33, 64), (DM_BOXES_MAX, DM_BOXES_MAX)]
)
def test_the_number_of_boxes_bounds_the_number_of_devices(devices: int, boxes: int) -> None:
    keys = [DeviceKey(key_pair(f"device {number}").public) for number in range(devices)]
    dm = seal(Message(ALICE.hash, (BOB.hash,), "hi"), keys, drawing("boxes"))
    found = [dm.boxes[start : start + BOX_BYTES] for start in range(0, len(dm.boxes), BOX_BYTES)]
    assert len(found) == boxes
    assert found == sorted(found)  # by a key drawn for each: in no order of theirs
    assert isinstance(decode(encode(dm)), Dm)


@given(st.text(max_size=120))
def test_texts_of_one_size_class_look_alike(text: str) -> None:
    said = len(codec.pack({"from": ALICE.hash, "text": text, "to": [BOB.hash, CAROL.hash]}))
    expected = max(256, 1 << said.bit_length())
    assert len(sealed(text).sealed) == expected + SEALED_OVERHEAD


def test_sizes_are_powers_of_two_up_to_the_last() -> None:
    sizes = {len(sealed("x" * length).sealed) - SEALED_OVERHEAD for length in range(0, DM_BYTES_MAX + 1, 50)}
    assert sizes == {256, 512, 1024, 2048, 4096, 8192} == {DM_SEALED_MIN << n for n in range(6)}
    assert max(sizes) == DM_SEALED_MAX


def test_a_text_that_fills_its_size_but_for_the_padding() -> None:
    room = 256 - len(codec.pack({"from": ALICE.hash, "text": "", "to": [BOB.hash]})) - 1  # a longer head of the text
    for length, size in ((room - 1, 256), (room, 512)):
        dm = sealed("x" * length, (BOB,))
        assert len(dm.sealed) - SEALED_OVERHEAD == size
        message = opened(dm, BOB)
        assert message is not None
        assert message.text == "x" * length


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("under", [1, 0])
def test_the_longest_text_to_the_most_people_on_the_most_devices_fits(under: int) -> None:
    to = tuple(IdentityHash(bytes([n]) * 32) for n in range(DM_RECIPIENTS_MAX - under))
    devices = [BOB.key, *(DeviceKey(key_pair(f"device {n}").public) for n in range(DM_BOXES_MAX - 1 - under))]
    message = Message(ALICE.hash, (BOB.hash, *to[1:]), "é" * (DM_BYTES_MAX // 2 - under))
    data = encode(seal(message, devices, drawing("most")))
    assert len(data) <= PAYLOAD_BYTES_MAX
    dm = decode(data)
    assert isinstance(dm, Dm)
    assert opened(dm, BOB) == message


@pytest.mark.parametrize(
    ("text", "to", "devices"),
    [
        ("x" * (DM_BYTES_MAX + 1), 1, 1),
        ("é" * (DM_BYTES_MAX // 2) + "x", 1, 1),
        ("half a pair: \ud800", 1, 1),
        ("hi", 0, 1),
        ("hi", DM_RECIPIENTS_MAX + 1, 1),
        ("hi", 1, 0),
        ("hi", 1, DM_BOXES_MAX + 1),
    ],
    ids=["long", "long in bytes", "surrogate", "nobody", "many people", "no device", "many devices"],
)
def test_we_never_seal_what_nobody_understands(text: str, to: int, devices: int) -> None:
    message = Message(ALICE.hash, (BOB.hash,) * to, text)
    keys = [DeviceKey(key_pair(f"device {number}").public) for number in range(devices)]
    with pytest.raises(LocalProtocolError):
        seal(message, keys, drawing("over"))


@pytest.mark.parametrize("boxes", [0, 1, 2, 3, 5, 65, 128])
def test_any_other_number_of_boxes_is_no_dm(boxes: int) -> None:
    assert decode(codec.pack({"boxes": bytes(80 * boxes), "sealed": bytes(296), "type": "dm"})) == Unknown("dm")
    with pytest.raises(LocalProtocolError):
        encode(Dm(bytes(80 * boxes), bytes(296)))


@pytest.mark.parametrize("size", [0, 40, 128 + 40, 255 + 40, 257 + 40, 768 + 40, 16_384 - 500])
def test_any_other_size_is_no_dm(size: int) -> None:
    boxes = bytes(BOX_BYTES * DM_BOXES_MIN)
    assert decode(codec.pack({"boxes": boxes, "sealed": bytes(size), "type": "dm"})) == Unknown("dm")
    assert decode(codec.pack({"boxes": boxes[:-1], "sealed": bytes(296), "type": "dm"})) == Unknown("dm")


def test_a_short_one_beside_four_boxes_is_a_record_of_the_dht() -> None:
    last = Entry(ALICE.key, 2**32 - 2, EntryId(bytes(32)), TIME_MS_MAX, 0, bytes(32), EntryId(bytes(32)))
    assert notice_record(write(ALICE.device, last, TIME_MS_MAX, encode(sealed()))) is not None


# --- lies -------------------------------------------------------------------------------------------------------------


def test_what_was_copied_into_another_log_is_seen_to_be_somebody_elses() -> None:
    dm = sealed()
    assert opened(dm, BOB, author=MALLORY) is None
    assert opened(dm, ALICE, author=MALLORY) is None


def test_boxes_beside_another_text_open_nothing() -> None:
    one, other = sealed("yes", seed="one"), sealed("no", seed="other")
    assert opened(Dm(one.boxes, other.sealed), BOB) is None


def test_one_who_got_a_box_but_is_not_named_ignores_it() -> None:
    dm = seal(Message(ALICE.hash, (BOB.hash,), "about carol"), [BOB.key, CAROL.key], drawing("odd"))
    assert opened(dm, BOB) is not None
    assert opened(dm, CAROL) is None


@pytest.mark.parametrize(
    "said",
    [
        padded(told(text=1)),
        padded(told(to=())),
        padded(told(to=(BOB.hash,) * (DM_RECIPIENTS_MAX + 1)), 1024),
        padded(told(text="x" * (DM_BYTES_MAX + 1)), DM_SEALED_MAX),
        padded(codec.pack({"from": b"short", "text": "hi", "to": [BOB.hash]})),
        padded(codec.pack({"from": ALICE.hash, "text": "hi", "to": [b"short", BOB.hash]})),
        padded(codec.pack({"from": ALICE.hash, "text": "hi", "to": BOB.hash})),
        padded(codec.pack({"from": ALICE.hash, "to": [BOB.hash]})),
        padded(codec.pack(["hi"])),
        padded(b"\xdf\xff\xff\xff\xff"),
        padded(b"\xdb\xff\xff\xff\xff"),
        padded(b"\xc1"),
        padded(b""),
        padded(told()[:-1]),
        padded(told() + b"\0"),
        told() + bytes(256 - len(told())),
        bytes(256),
        b"\xff" * 256,
        told().ljust(256, b"\x80")[:-1] + b"\x01",
    ],
)
def test_what_a_hostile_author_sealed_is_ignored(said: bytes) -> None:
    assert opened(seal_raw(said, BOB.device), BOB) is None


def test_hostile_boxes_are_ignored() -> None:
    said = padded(told())
    right = seal_raw(said, BOB.device)
    assert opened(right, BOB) is not None
    assert opened(seal_raw(said, BOB.device, domain=b"p2pblog dm 2"), BOB) is None
    assert opened(seal_raw(said, BOB.device, key=b"o" * 32), BOB) is None  # a key that fits nothing
    for boxes in (bytes(80), b"\xff" * 80, right.boxes[::-1]):
        assert opened(Dm(boxes, right.sealed), BOB) is None
        assert opened(Dm(boxes + right.boxes, right.sealed), BOB) is not None  # one of them is enough


@given(st.data())
def test_no_accident_is_read(data: st.DataObject) -> None:
    """Bits that flip, pieces that go or come: nobody reads anything else than what was sealed."""
    dm = sealed()
    came = decode(data.draw(tampered(encode(dm))))
    assert not isinstance(came, Dm) or opened(came, BOB) in (None, opened(dm, BOB))
