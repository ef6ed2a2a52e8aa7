"""One verifier, its published verdicts, and the keys that nobody honest has."""

from __future__ import annotations

import json
from pathlib import Path

import nacl.bindings as sodium
import pytest
from builders import key_pair
from nacl.exceptions import BadSignatureError
from vectors.parts import ORDER, WEAK_KEYS, malleable

from p2pblog.core.keys import (
    ENTRY_DOMAIN,
    RECORD_DOMAIN,
    KeyPair,
    check_key,
    entropy_of,
    root_key,
    verify,
    words_of,
)
from p2pblog.errors import BadKey, BadSignature, RemoteProtocolError, UsageError

VECTORS = Path(__file__).parents[1] / "vectors"
SPECCHECK = json.loads((VECTORS / "speccheck.json").read_text())
RFC8032 = json.loads((VECTORS / "rfc8032.json").read_text())


@pytest.mark.parametrize("case", RFC8032, ids=lambda case: case["name"])
def test_rfc_8032_vectors(case: dict[str, str]) -> None:
    seed, public, message, signature = (bytes.fromhex(case[name]) for name in ("seed", "key", "message", "signature"))
    pair = KeyPair.from_seed(seed)
    assert pair.public == public
    assert pair.seed == seed
    assert sodium.crypto_sign(message, seed + public)[:64] == signature
    assert sodium.crypto_sign_open(signature + message, public) == message
    check_key(public)


@pytest.mark.parametrize("case", SPECCHECK, ids=lambda case: f"case {case['case']}")
def test_speccheck_verdicts_are_those_of_strict_libsodium(case: dict[str, str]) -> None:
    message, public, signature = (bytes.fromhex(case[name]) for name in ("message", "key", "signature"))
    try:
        sodium.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        verdict = False
    else:
        verdict = True
    assert verdict == case["valid"]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 8, 9, 10, 11])
def test_speccheck_keys_outside_the_prime_group_are_refused(number: int) -> None:
    """Case 3, which libsodium accepts, among them; cases 6 and 7 are about S and have honest keys."""
    with pytest.raises(BadKey):
        check_key(bytes.fromhex(SPECCHECK[number]["key"]))


@pytest.mark.parametrize("number", [6, 7])
def test_speccheck_keys_of_the_prime_group_pass(number: int) -> None:
    check_key(bytes.fromhex(SPECCHECK[number]["key"]))


@pytest.mark.parametrize("name", WEAK_KEYS)
def test_weak_keys_are_refused_whatever_they_sign(name: str) -> None:
    weak = bytes.fromhex(WEAK_KEYS[name])
    with pytest.raises(BadKey):
        check_key(weak)
    neutral = bytes([1]) + bytes(31)  # R = the neutral element and S = 0 satisfy the equation under it for any message
    with pytest.raises(BadKey):
        verify(weak, ENTRY_DOMAIN, b"anything", neutral + bytes(32))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_key_of_another_length_is_a_bad_key(length: int) -> None:
    with pytest.raises(BadKey):
        check_key(bytes(length))


def test_a_signature_means_one_thing_in_one_place() -> None:
    alice = key_pair("alice")
    signature = alice.sign(ENTRY_DOMAIN, b"hello")
    verify(alice.public, ENTRY_DOMAIN, b"hello", signature)
    for domain, message in [(RECORD_DOMAIN, b"hello"), (ENTRY_DOMAIN, b"hellO"), (ENTRY_DOMAIN + b"\0h", b"ello")]:
        with pytest.raises(BadSignature):
            verify(alice.public, domain, message, signature)
    with pytest.raises(BadSignature):
        verify(key_pair("bob").public, ENTRY_DOMAIN, b"hello", signature)


def test_no_bit_of_a_signature_can_be_flipped() -> None:
    alice = key_pair("alice")
    signature = alice.sign(ENTRY_DOMAIN, b"hello")
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            verify(alice.public, ENTRY_DOMAIN, b"hello", bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_a_bad_signature(length: int) -> None:
    with pytest.raises(BadSignature):
        verify(key_pair("alice").public, ENTRY_DOMAIN, b"hello", bytes(length))


def test_a_signature_cannot_bring_bytes_of_the_message_along() -> None:
    """libsodium takes signature and message as one string; where one ends must not be the sender's choice."""
    alice = key_pair("alice")
    longer = sodium.crypto_sign(b"more" + ENTRY_DOMAIN + b"\0hello", alice._secret)[:64] + b"more"
    sodium.crypto_sign_open(longer + ENTRY_DOMAIN + b"\0hello", alice.public)
    with pytest.raises(BadSignature):
        verify(alice.public, ENTRY_DOMAIN, b"hello", longer)


def test_a_signature_has_one_form() -> None:
    alice = key_pair("alice")
    signature = alice.sign(ENTRY_DOMAIN, b"hello")
    assert int.from_bytes(signature[32:], "little") < ORDER
    with pytest.raises(BadSignature):
        verify(alice.public, ENTRY_DOMAIN, b"hello", malleable(signature))


def test_bad_keys_and_signatures_are_a_peers_fault() -> None:
    assert issubclass(BadKey, RemoteProtocolError)
    assert issubclass(BadSignature, RemoteProtocolError)


def test_a_key_pair_never_shows_its_seed() -> None:
    alice = key_pair("alice")
    assert alice.seed.hex() not in repr(alice)
    assert alice.seed.hex() not in str(alice)
    assert repr(alice.seed)[2:-1] not in repr(alice)


# --- recovery words ---------------------------------------------------------------------------------------------------


def test_24_words_stand_for_32_bytes() -> None:
    """The last vector of BIP 39 and the one of all zeros (trezor/python-mnemonic, vectors.json)."""
    zeros = words_of(bytes(32))
    assert zeros == ["abandon"] * 23 + ["art"]
    entropy = bytes.fromhex("f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f")
    words = words_of(entropy)
    assert " ".join(words[:3]) == "void come effort"
    assert words[-1] == "unfold"
    assert entropy_of(words) == entropy


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["abandon"] * 24,  # a wrong checksum
        ["abandon"] * 11 + ["about"],  # twelve words, a right checksum
        ["abandon"] * 23 + ["arts"],
        ["abandon"] * 23,
        ["abandon"] * 23 + ["art", "art"],
        ["\ud800"] * 24,
    ],
)
def test_other_words_are_the_persons_mistake(words: list[str]) -> None:
    with pytest.raises(UsageError):
        entropy_of(words)


def test_roots_differ_and_are_always_the_same() -> None:
    roots = [root_key(bytes(32), index).public for index in range(4)]
    assert len(set(roots)) == 4
    assert roots == [root_key(bytes(32), index).public for index in range(4)]
    assert root_key(bytes([1]) * 32, 0).public != roots[0]
