"""Direct messages: who reads what, with keys and random bytes that anybody can type."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import nacl.bindings as sodium
from vectors.parts import ALICE, BOB, BOB_PHONE, LAPTOP, PHONE, Case, accept, flip, key, raw
from vectors.readers import read_dm_case

from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, KeyPair
from p2pblog.core.payload import Dm, encode
from p2pblog.core.sealed import DM_DOMAIN, Message, seal

MALLORY, MALLORY_PHONE = Identity.begin(key(0x41), key(0x42).public), key(0x43)


def counting() -> Callable[[int], bytes]:
    """0, 1, 2, … in as many bytes as are asked for, in place of random ones."""
    numbers = itertools.count()
    return lambda size: next(numbers).to_bytes(size, "big")


def sealed(text: str, to: Sequence[Identity], devices: Sequence[KeyPair], author: Identity = ALICE) -> Dm:
    message = Message(author.hash, tuple(each.hash for each in to), text)
    return seal(message, [DeviceKey(device.public) for device in devices], counting())


def sealed_raw(said: bytes, domain: bytes = DM_DOMAIN) -> Dm:
    """Any 256 bytes for Bob's phone, under the key and nonce that count to 0 and 1."""
    nonce, content_key = (1).to_bytes(24, "big"), bytes(32)
    box = sealed("", [BOB], [BOB_PHONE]).boxes
    return Dm(box, nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(said, domain, nonce, content_key))


def _padded(said: bytes) -> bytes:
    return said + b"\x80" + bytes(255 - len(said))


def _case(
    name: str, dm: Dm, author: Identity = ALICE, reader: Identity = BOB, keys: Sequence[KeyPair] = (BOB_PHONE,)
) -> Case:
    given: dict[str, Any] = {
        "payload": encode(dm).hex(),
        "author": author.hash.hex(),
        "reader": reader.hash.hex(),
        "seeds": [pair.seed.hex() for pair in keys],
    }
    return accept(name, given, read_dm_case(given))


def dm_payloads() -> dict[str, bytes]:
    """As everybody sees them."""
    return {
        "dm": encode(sealed("Tea at five?", [BOB], [PHONE, BOB_PHONE])),
        "the largest dm": encode(Dm(bytes(64 * 80), bytes(40 + 8_192))),
        "a dm with a field that we don't know": _dm(8, 512, era=1),
        "a dm with two boxes": _dm(2, 256),
        "a dm with five boxes": _dm(5, 256),
        "a dm with 128 boxes": _dm(128, 256),
        "a dm that is not padded": _dm(4, 300),
        "a dm padded to too little": _dm(4, 128),
        "a dm whose boxes are cut": raw({"boxes": bytes(4 * 80 - 1), "sealed": bytes(40 + 256), "type": "dm"}),
        "a dm without a text": raw({"boxes": bytes(4 * 80), "type": "dm"}),
    }


def _dm(boxes: int, size: int, **more: Any) -> bytes:
    return raw({"boxes": bytes(80 * boxes), **more, "sealed": bytes(40 + size), "type": "dm"})


def dms() -> list[Case]:
    plain = sealed("Tea at five?", [BOB], [PHONE, LAPTOP, BOB_PHONE])
    long = sealed("x" * 7_000, [BOB], [PHONE, BOB_PHONE])
    many = sealed("Многим", [BOB, MALLORY], [*map(key, range(0x50, 0x58)), BOB_PHONE])
    other = sealed("Tea at six?", [MALLORY], [MALLORY_PHONE])
    told = {"from": ALICE.hash, "text": "Hi", "to": [BOB.hash]}
    return [
        _case("Bob reads it", plain),
        _case("so does Alice, on her phone", plain, reader=ALICE, keys=[PHONE]),
        _case("and on her laptop, beside an older key", plain, reader=ALICE, keys=[MALLORY_PHONE, LAPTOP]),
        _case("Mallory does not", plain, reader=MALLORY, keys=[MALLORY_PHONE]),
        _case("nobody does without a key", plain, keys=[]),
        _case("the longest text", long),
        _case("sixteen boxes", many),
        _case("to oneself", sealed("Buy tea.", [ALICE], [PHONE]), reader=ALICE, keys=[PHONE]),
        _case("copied into Mallory's log", plain, author=MALLORY),
        _case("copied into Bob's own log", plain, author=BOB),
        _case("a box for Bob, whom it does not name", sealed("About you", [MALLORY], [BOB_PHONE])),
        _case("the boxes of another message", Dm(other.boxes, plain.sealed)),
        _case("a bit of the text flipped", Dm(plain.boxes, flip(plain.sealed, 8 * 30))),
        _case("a bit of the nonce flipped", Dm(plain.boxes, flip(plain.sealed, 0))),
        _case("every box flipped", Dm(bytes(byte ^ 1 for byte in plain.boxes), plain.sealed)),
        _case("by hand, as it should be", sealed_raw(_padded(raw(told)))),
        _case("its author in `to`, too", sealed_raw(_padded(raw({**told, "to": [ALICE.hash, BOB.hash]})))),
        _case("Bob twice in `to`", sealed_raw(_padded(raw({**told, "to": [BOB.hash, BOB.hash]})))),
        _case("with a field that we don't know", sealed_raw(_padded(raw({"a": 1, **told})))),
        _case("sealed for another purpose", sealed_raw(_padded(raw(told)), b"p2pblog dm 2")),
        _case("padded with zeros alone", sealed_raw(raw(told) + bytes(256 - len(raw(told))))),
        _case("padded with ones", sealed_raw(_padded(raw(told))[:-1] + b"\xff")),
        _case("nothing but padding", sealed_raw(_padded(b""))),
        _case("keys out of order", sealed_raw(_padded(raw({"to": [BOB.hash], "text": "Hi", "from": ALICE.hash})))),
        _case("to nobody", sealed_raw(_padded(raw({**told, "to": []})))),
        _case("from nobody", sealed_raw(_padded(raw({"text": "Hi", "to": [BOB.hash]})))),
        _case("without a text", sealed_raw(_padded(raw({"from": ALICE.hash, "to": [BOB.hash]})))),
        _case("no map", sealed_raw(_padded(raw(["Hi"])))),
    ]
