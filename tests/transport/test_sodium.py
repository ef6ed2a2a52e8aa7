"""What libsodium gives to Noise is what OpenSSL gives, and what neither takes is a named error."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from noise.exceptions import NoiseValueError
from transport_scenes import dialer, listener, shake

from p2pblog.errors import Malformed
from p2pblog.transport.handshake import TAG_BYTES, NoiseXX
from p2pblog.transport.sodium import KeyPair25519, SodiumBackend

keys = st.binary(min_size=32, max_size=32)


@given(keys, keys)
def test_any_point_gives_the_secret_that_openssl_gives(private: bytes, point: bytes) -> None:
    other = X25519PrivateKey.from_private_bytes(private)
    try:
        secret = other.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:  # a point of low order: zero is the first that hypothesis tries
        secret = None

    assert KeyPair25519.from_private_bytes(private).public == other.public_key().public_bytes_raw()
    assert exchanged(private, point) == secret


def exchanged(private: bytes, point: bytes) -> bytes | None:
    """None where it is refused."""
    try:
        shared: bytes = SodiumBackend().diffie_hellmans["25519"]().dh(private, point)
    except NoiseValueError:
        return None
    return shared


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(NoiseValueError):
        KeyPair25519.from_private_bytes(bytes(size))
    with pytest.raises(NoiseValueError):
        KeyPair25519.from_public_bytes(bytes(size))
    with pytest.raises(NoiseValueError):
        NoiseXX(bytes(size), bytes(32), True, b"")


@pytest.mark.parametrize("size", range(TAG_BYTES + 2))
def test_bytes_too_few_for_a_tag_are_malformed_and_do_no_harm(size: int) -> None:
    alice, bob = shake(dialer(), listener())
    with pytest.raises(Malformed):
        bob.receiver.open(bytes(size))
    assert bob.receiver.open(alice.sender.seal(b"")) == b""
