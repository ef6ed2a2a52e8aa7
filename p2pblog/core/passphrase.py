"""Secrets under a passphrase: what of them may lie in a file that others could find."""

from __future__ import annotations

import unicodedata

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from p2pblog.errors import Malformed, UserError

SALT_BYTES, NONCE_BYTES = 16, 24
"""What Argon2 and XSalsa20 take (libsodium's crypto_pwhash_SALTBYTES and crypto_secretbox_NONCEBYTES)."""
PASSES, MEMORY_BYTES = 3, 256 * 1024 * 1024
"""Argon2id's cost, libsodium's "moderate": under a second of a laptop, and a quarter of a small computer's memory. They
are fixed, so that no file from outside decides how much memory opening it takes."""
SEALED_BYTES_MAX = 8 * 1024 * 1024
"""Two keys, and all that a home may keep for its person alone (core/kept.py): under 6 MiB."""
_MAGIC = b"p2pblog sealed 1"


def seal(secret: bytes, passphrase: str, salt: bytes, nonce: bytes) -> bytes:
    """`"p2pblog sealed 1" | salt 16 | nonce 24 | box`: XSalsa20-Poly1305 (NaCl's secretbox) under the key that Argon2id
    (RFC 9106) makes of the passphrase. `salt` and `nonce` are random and never used again."""
    return _MAGIC + salt + nonce + bytes(sodium.crypto_secretbox(secret, nonce, _key(passphrase, salt)))


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """What `seal` sealed. Raises Malformed, or UserError where the passphrase does not open it."""
    if not sealed.startswith(_MAGIC) or not len(_MAGIC) + SALT_BYTES + NONCE_BYTES < len(sealed) <= SEALED_BYTES_MAX:
        raise Malformed("no sealed secrets of a known version")
    rest = sealed[len(_MAGIC) :]
    salt, nonce, box = rest[:SALT_BYTES], rest[SALT_BYTES : SALT_BYTES + NONCE_BYTES], rest[SALT_BYTES + NONCE_BYTES :]
    try:
        return bytes(sodium.crypto_secretbox_open(box, nonce, _key(passphrase, salt)))
    except (CryptoError, ValueError) as error:
        raise UserError("the passphrase does not open the secret keys, or they are damaged") from error


def _key(passphrase: str, salt: bytes) -> bytes:
    """The passphrase in one form (NFKD), whichever keyboard typed it."""
    typed = unicodedata.normalize("NFKD", passphrase).encode()
    try:
        return bytes(
            sodium.crypto_pwhash_alg(
                sodium.crypto_secretbox_KEYBYTES, typed, salt, PASSES, MEMORY_BYTES, sodium.crypto_pwhash_ALG_ARGON2ID13
            )
        )
    except CryptoError as error:  # libsodium's only reason, given these lengths
        raise UserError("there is not enough memory for the passphrase: it takes 256 MiB") from error
