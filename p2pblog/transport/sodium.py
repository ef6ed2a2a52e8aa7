"""What Noise computes with, over libsodium, which checks signatures for us anyway.

X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439) and BLAKE2s (RFC 7693), as the Noise specification names them, revision
34, section 12. The library's own backend has the same parts over `cryptography`, which takes 7 MB of every node.
"""

from __future__ import annotations

import hmac
from hashlib import blake2s
from typing import Any

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_ABYTES,
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError
from noise.backends.noise_backend import NoiseBackend
from noise.constants import MAX_NONCE
from noise.exceptions import NoiseInvalidMessage, NoiseValueError

KEY_BYTES = 32


class KeyPair25519:
    """An X25519 key pair, or the public half of another's."""

    def __init__(self, private: bytes | None, public: bytes) -> None:
        self.private = private
        self.public = self.public_bytes = public

    @classmethod
    def from_private_bytes(cls, private: bytes) -> KeyPair25519:
        """Raises NoiseValueError for another length than KEY_BYTES, which libsodium would read past."""
        return cls(_key(private), crypto_scalarmult_base(private))

    @classmethod
    def from_public_bytes(cls, public: bytes) -> KeyPair25519:
        """Raises NoiseValueError for another length than KEY_BYTES."""
        return cls(None, _key(public))


def _key(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise NoiseValueError(f"a key of {len(key)} bytes")
    return key


class _X25519:
    klass = KeyPair25519
    dhlen = KEY_BYTES

    def dh(self, private: bytes, public: bytes) -> bytes:
        """Raises NoiseValueError where the result would be all zero: for a public key of low order."""
        try:
            return crypto_scalarmult(private, public)
        except CryptoError as error:
            raise NoiseValueError("an exchange whose result is all zero") from error


class _ChaChaPoly:
    """The nonce is four zero bytes and the number of the message, little-endian (specification, 12.3)."""

    def initialize(self, key: bytes) -> None:
        pass  # libsodium takes the key with each message

    def encrypt(self, key: bytes, number: int, ad: bytes, plaintext: bytes) -> bytes:
        return crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, ad, _nonce(number), key)

    def decrypt(self, key: bytes, number: int, ad: bytes, ciphertext: bytes) -> bytes:
        """Raises NoiseInvalidMessage for a tag that does not fit, or too few bytes to hold one."""
        if len(ciphertext) < crypto_aead_chacha20poly1305_ietf_ABYTES:
            raise NoiseInvalidMessage("too short for a tag")
        try:
            return crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, ad, _nonce(number), key)
        except CryptoError as error:
            raise NoiseInvalidMessage("the tag does not fit") from error

    def rekey(self, key: bytes) -> bytes:
        return self.encrypt(key, MAX_NONCE, b"", bytes(KEY_BYTES))[:KEY_BYTES]


def _nonce(number: int) -> bytes:
    return bytes(4) + number.to_bytes(8, "little")


class _Blake2s:
    fn = blake2s
    hashlen = 32
    blocklen = 64

    def hash(self, data: bytes) -> bytes:
        return blake2s(data).digest()


def _hmac(key: bytes, data: bytes, algorithm: Any) -> bytes:
    return hmac.digest(key, data, algorithm)


class SodiumBackend(NoiseBackend):  # type: ignore[misc]
    """For Noise_*_25519_ChaChaPoly_BLAKE2s."""

    def __init__(self) -> None:
        super().__init__()
        self.diffie_hellmans = {"25519": _X25519}
        self.ciphers = {"ChaChaPoly": _ChaChaPoly}
        self.hashes = {"BLAKE2s": _Blake2s}
        self.keypairs = {"25519": KeyPair25519}
        self.hmac = _hmac
