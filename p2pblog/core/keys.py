"""Hashes, Ed25519 signatures and recovery words: the only file that calls libsodium's signing."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import Any, NewType

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from p2pblog.core.value import Value
from p2pblog.errors import BadKey, BadSignature, UsageError

IdentityHash = NewType("IdentityHash", bytes)
"""32 bytes: the fingerprint that an address spells."""
DeviceKey = NewType("DeviceKey", bytes)
"""32 bytes: the Ed25519 key that writes one log; it names the log."""
NodeKey = NewType("NodeKey", bytes)
"""32 bytes: the Ed25519 key of one installation; it names a peer, never a person."""
EntryId = NewType("EntryId", bytes)
"""32 bytes: the hash of an entry's body."""

ENTRY_DOMAIN = b"p2pblog entry 1"
STATEMENT_DOMAIN = b"p2pblog state 1"
CONSENT_DOMAIN = b"p2pblog device 1"
RECORD_DOMAIN = b"p2pblog record 1"
NODE_DOMAIN = b"p2pblog node 1"
"""What a signature means: none begins another one followed by a zero byte (docs/protocol/README.md, Keys)."""


@lru_cache(maxsize=64)
def hasher(person: bytes) -> hashlib.blake2b:
    """H(…, person) before it was given anything: to be copied, which takes half as long as to make another one.

    Kept for each person, of which the protocol has a dozen.
    """
    return hashlib.blake2b(digest_size=32, person=person)


def hash32(data: bytes, person: bytes) -> bytes:
    """H(data, person): BLAKE2b of 32 bytes with that personalisation (RFC 7693; at most 16 bytes)."""
    hashing = hasher(person).copy()
    hashing.update(data)
    return hashing.digest()


def digest(data: bytes, size: int, person: bytes = b"") -> bytes:
    """BLAKE2b of `size` bytes: a shorter digest says so in its parameters and is never a truncation."""
    return hashlib.blake2b(data, digest_size=size, person=person).digest()


class KeyPair(Value):
    """An Ed25519 key that we hold. Equality and repr never show the seed."""

    public: bytes
    _secret: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> KeyPair:
        public, secret = sodium.crypto_sign_seed_keypair(seed)
        return cls(public, secret)

    @property
    def seed(self) -> bytes:
        return self._secret[:32]

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """The 64-byte signature over `domain | 0x00 | message`: a signature means one thing in one place."""
        return sodium.crypto_sign(domain + b"\0" + message, self._secret)[:64]

    def __repr__(self) -> str:
        return f"KeyPair({self.public.hex()})"


def verify(public: bytes, domain: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature made by `KeyPair.sign`; libsodium's strict rules are the protocol's.

    Raises BadSignature, or BadKey for a key that no honest person has.
    """
    check_key(public)
    if len(signature) != 64:
        raise BadSignature(f"a signature of {len(signature)} bytes")
    try:
        sodium.crypto_sign_open(signature + domain + b"\0" + message, public)
    except (CryptoError, ValueError) as error:  # PyNaCl raises ValueError for some malformed inputs
        raise BadSignature("the signature does not hold") from error


@lru_cache(maxsize=65_536)
def _is_point(public: bytes) -> bool:
    return len(public) == 32 and bool(sodium.crypto_core_ed25519_is_valid_point(public))


def check_key(public: bytes) -> None:
    """Raises BadKey unless `public` is the canonical encoding of a point in the prime-order subgroup.

    Under a small-order key one signature fits many messages (ed25519-speccheck cases 0 and 1).
    """
    if not _is_point(public):
        raise BadKey("not a canonical point of prime order")


# --- recovery words (BIP 39 word list and checksum; our own derivation) ----------------------------------------------


@cache
def _words() -> Any:
    from mnemonic import Mnemonic  # with its 2,048 words: no node needs them once it has its keys

    return Mnemonic("english")


def words_of(entropy: bytes) -> list[str]:
    """The 24 words that stand for 32 bytes of entropy (BIP 39, "Generating the mnemonic")."""
    return str(_words().to_mnemonic(entropy)).split()


def entropy_of(words: list[str]) -> bytes:
    """The 32 bytes behind 24 words. Raises UsageError for an unknown word, a wrong count or checksum."""
    try:
        entropy = bytes(_words().to_entropy(words))
    except (ValueError, LookupError) as error:
        raise UsageError("these are not the 24 words of a p2pblog identity") from error
    if len(entropy) != 32:
        raise UsageError("an identity has 24 recovery words")
    return entropy


def root_key(entropy: bytes, index: int) -> KeyPair:
    """root_index: the Ed25519 key whose seed is H(entropy | index as 4 bytes big-endian, "p2pblog root key")."""
    return KeyPair.from_seed(hash32(entropy + index.to_bytes(4, "big"), b"p2pblog root key"))
