"""Direct messages: a text sealed to devices, so that the payload in a public log names nobody and says nothing.

The construction is libsodium's, and none of it is ours:

* What is said, padded by ISO/IEC 7816-4 to a power of two (sodium_pad), is encrypted with XChaCha20-Poly1305 under a
  key that is drawn for this one message.
* That key is sealed to each device in a box of its own (crypto_box_seal), under the device's Ed25519 key as a point of
  Curve25519 (crypto_sign_ed25519_pk_to_curve25519). Boxes to throw-away keys fill up their number to a power of two.
* The boxes stand in the order of their bytes. Each begins with a public key drawn for it, so the order is a shuffled
  one, and not even who sealed it has a choice.

Who signed the entry is known; the sealed part repeats it. So boxes and text that somebody copied into a log of their
own open there, and are seen to be somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from p2pblog.config import (
    DM_BOXES_MAX,
    DM_BOXES_MIN,
    DM_BYTES_MAX,
    DM_RECIPIENTS_MAX,
    DM_SEALED_MAX,
    DM_SEALED_MIN,
)
from p2pblog.core import codec
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair, digest
from p2pblog.core.payload import BOX_BYTES, Dm
from p2pblog.core.value import Value
from p2pblog.errors import LocalProtocolError, Malformed, RemoteProtocolError

DM_DOMAIN = b"p2pblog dm 1"
"""The additional data of the encryption: what was sealed for anything else does not open as a direct message."""
KEY_BYTES = 32
NONCE_BYTES = 24
"""Of XChaCha20-Poly1305 and crypto_box (libsodium)."""

Draw = Callable[[int], bytes]
"""So many random bytes, never the same twice."""


class Message(Value):
    """A direct message opened. `to`: the recipients as its author listed them, `author` not among them unless it is a
    message to oneself."""

    author: IdentityHash
    to: tuple[IdentityHash, ...]
    text: str


# --- sealing ----------------------------------------------------------------------------------------------------------


def seal(message: Message, devices: Iterable[DeviceKey], draw: Draw) -> Dm:
    """The message for these devices and nobody else. `devices`: all of its recipients' and its author's own; their
    order and repetitions do not matter.

    Raises LocalProtocolError for what no reader would take: see the limits in config.py.
    """
    recipients = sorted(set(devices))
    if not 1 <= len(recipients) <= DM_BOXES_MAX:
        raise LocalProtocolError(f"a direct message to {len(recipients)} devices")
    key, nonce = draw(KEY_BYTES), draw(NONCE_BYTES)
    sealed = nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(_padded(message), DM_DOMAIN, nonce, key)
    boxes = [_box(key, sodium.crypto_sign_ed25519_pk_to_curve25519(device), draw(KEY_BYTES)) for device in recipients]
    while len(boxes) < _step(len(recipients), DM_BOXES_MIN):
        nobody, _ = sodium.crypto_box_seed_keypair(draw(KEY_BYTES))
        boxes.append(_box(key, nobody, draw(KEY_BYTES)))
    return Dm(b"".join(sorted(boxes)), sealed)


def _padded(message: Message) -> bytes:
    said = codec.pack(codec.sort_keys({"from": message.author, "text": message.text, "to": list(message.to)}))
    size = _step(len(said) + 1, DM_SEALED_MIN)  # the padding has one byte at least
    if size > DM_SEALED_MAX or not _is_understood(said, message):
        raise LocalProtocolError("a direct message that no peer would understand")
    return bytes(sodium.sodium_pad(said, size))


def _is_understood(said: bytes, message: Message) -> bool:
    try:
        return _read(said) == message
    except RemoteProtocolError:
        return False


def _step(count: int, least: int) -> int:
    """The lowest power of two that is no lower than either; `least` is one."""
    return max(least, 1 << (count - 1).bit_length())


def _box(key: bytes, to: bytes, seed: bytes) -> bytes:
    """crypto_box_seal with the ephemeral key of this seed: ephemeral_pk | crypto_box(key, nonce, to, ephemeral_sk) with
    nonce = blake2b(ephemeral_pk | to), 24 bytes (libsodium's documentation, "Sealed boxes", "Algorithm details").

    The library's own function draws the ephemeral key itself, and then no vector could say what comes out.
    """
    public, secret = sodium.crypto_box_seed_keypair(seed)
    return bytes(public + sodium.crypto_box(key, digest(public + to, size=NONCE_BYTES), to, secret))


# --- opening ----------------------------------------------------------------------------------------------------------


def read(dm: Dm, author: IdentityHash, reader: IdentityHash, keys: Sequence[KeyPair]) -> Message | None:
    """What `dm`, which stands in a log of `author`, says to `reader`, who holds these device keys.

    None if no box opens with them, if what is in it is damaged or no message, if it says to be of somebody else than
    `author`, or if it is neither to nor from `reader`.
    """
    for key in _keys_of(dm, keys):
        try:
            message = _open(dm.sealed, key)
        except RemoteProtocolError:
            continue
        if message.author == author and reader in (author, *message.to):
            return message
    return None


def _keys_of(dm: Dm, keys: Sequence[KeyPair]) -> Iterator[bytes]:
    """The content keys in the boxes that open."""
    for pair in keys:
        public, secret = _exchange_pair(pair.seed)
        for start in range(0, len(dm.boxes), BOX_BYTES):
            try:
                content = sodium.crypto_box_seal_open(dm.boxes[start : start + BOX_BYTES], public, secret)
            except CryptoError:
                continue
            if len(content) == KEY_BYTES:
                yield content


@lru_cache(maxsize=256)
def _exchange_pair(seed: bytes) -> tuple[bytes, bytes]:
    """A device's key pair as one of Curve25519; converting takes longer than opening a box."""
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    return (
        sodium.crypto_sign_ed25519_pk_to_curve25519(public),
        sodium.crypto_sign_ed25519_sk_to_curve25519(secret),
    )


def _open(sealed: bytes, key: bytes) -> Message:
    """Raises Malformed, NotCanonical or TooLarge."""
    nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        padded = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(encrypted, DM_DOMAIN, nonce, key)
        said = sodium.sodium_unpad(padded, len(padded))
    except CryptoError as error:
        raise Malformed("not sealed with this key, or not padded") from error
    return _read(said)


def _read(said: bytes) -> Message:
    fields = codec.as_map(codec.unpack(said, bytes_max=DM_SEALED_MAX))
    to = codec.as_list(fields.get("to"), length_max=DM_RECIPIENTS_MAX)
    if not to:
        raise Malformed("a direct message to nobody")
    return Message(
        IdentityHash(codec.as_bytes(fields.get("from"), length=32)),
        tuple(IdentityHash(codec.as_bytes(each, length=32)) for each in to),
        codec.as_text(fields.get("text"), DM_BYTES_MAX),
    )
