"""What all vectors are made of: keys from seeds that anybody can type, and bytes that our encoder would not write."""

from __future__ import annotations

from typing import Any

import msgpack
import nacl.bindings as sodium

from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId, KeyPair

Case = dict[str, Any]
NOON = 1_700_000_000_000
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the prime-order group (RFC 8032, 5.1)."""


def key(byte: int) -> KeyPair:
    """The key pair whose seed is 32 times that byte."""
    return KeyPair.from_seed(bytes([byte]) * 32)


ROOT, ROOT_1, ROOT_2 = key(0x01), key(0x02), key(0x03)
PHONE, LAPTOP = key(0x11), key(0x12)
BOB_ROOT, BOB_PHONE = key(0x21), key(0x22)
GUARDIANS = (key(0x31), key(0x32), key(0x33))
ALICE = Identity.begin(ROOT, ROOT_1.public)
BOB = Identity.begin(BOB_ROOT, key(0x23).public)

PREV = EntryId(bytes(range(32)))
"""An entry id like any other."""

WEAK_KEYS = {
    "the neutral element": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, the other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "zero written as p": "ed" + "ff" * 30 + "7f",
    "one written as p + 1": "ee" + "ff" * 30 + "7f",
    "the neutral element with a sign": "01" + "00" * 30 + "80",
    "a mixed-order point": "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "no point at all": "02" + "00" * 31,
}


def another_signature(signer: KeyPair, domain: bytes, message: bytes) -> bytes:
    """A second valid signature for one message: RFC 8032 derives the nonce, but nobody can see whether one did."""
    secret = bytearray(sodium.crypto_hash_sha512(signer.seed)[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    signed = domain + b"\0" + message
    nonce = sodium.crypto_core_ed25519_scalar_reduce(sodium.crypto_hash_sha512(b"nonce" + signed))
    point = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = sodium.crypto_core_ed25519_scalar_reduce(sodium.crypto_hash_sha512(point + signer.public + signed))
    secret_scalar = sodium.crypto_core_ed25519_scalar_reduce(bytes(secret) + bytes(32))
    product = sodium.crypto_core_ed25519_scalar_mul(challenge, secret_scalar)
    return point + sodium.crypto_core_ed25519_scalar_add(nonce, product)


def accept(name: str, given: Any, expect: Any) -> Case:
    return {"name": name, "input": in_hex(given), "accept": True, "error": None, "expect": in_hex(expect)}


def reject(error: str, name: str, given: Any) -> Case:
    return {"name": name, "input": in_hex(given), "accept": False, "error": error, "expect": None}


def in_hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: in_hex(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_hex(item) for item in value]
    return value


def raw(value: Any) -> bytes:
    """msgpack as it comes, so that a vector can hold what our own encoder would not write."""
    return bytes(msgpack.packb(value, use_bin_type=True))


def deep(levels: int) -> Any:
    """An empty array within arrays, that many levels in all."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1, (data.hex(), old.hex())
    return data.replace(old, new)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def malleable(signature: bytes) -> bytes:
    """The same signature with S + L in place of S: valid by the equation, not by RFC 8032."""
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + scalar.to_bytes(32, "little")


def from_hex(text: str | bytes) -> bytes:
    return bytes.fromhex(text) if isinstance(text, str) else text
