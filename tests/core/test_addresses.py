"""Alice tells Bob her address on the phone; what he types wrong is caught."""

from __future__ import annotations

import string
from contextlib import suppress

import pytest
from builders import person
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.core.address import ADDRESS_CHARACTERS, Endpoint, Link, read, read_link, spell
from p2pblog.core.keys import IdentityHash
from p2pblog.errors import BadAddress, Malformed, RemoteProtocolError

ALPHABET = string.ascii_lowercase + "234567"
ALICE = person("alice").address
HASHES = st.binary(min_size=32, max_size=32).map(IdentityHash)


@given(HASHES, st.lists(st.booleans(), min_size=56, max_size=56))
def test_an_address_names_its_identity_in_any_case(identity: IdentityHash, capitals: list[bool]) -> None:
    address = spell(identity)
    assert len(address) == ADDRESS_CHARACTERS
    assert set(address) <= set(ALPHABET)
    typed = "".join(c.upper() if up else c for c, up in zip(address, capitals, strict=True))
    assert read(typed) == identity


def test_no_single_wrong_letter_in_alices_address_is_taken() -> None:
    address = person("alice").address
    for at, right in enumerate(address):
        for wrong in set(ALPHABET) - {right}:
            with pytest.raises(BadAddress):
                read(address[:at] + wrong + address[at + 1 :])


def test_typos_slip_through_as_rarely_as_a_checksum_of_16_bits_promises() -> None:
    """34,720 wrong letters in twenty addresses: 0.5 are expected to pass, and those name somebody else."""
    passed = 0
    for number in range(20):
        identity = person(f"user {number}").hash
        address = spell(identity)
        for at, right in enumerate(address):
            for wrong in set(ALPHABET) - {right}:
                try:
                    assert read(address[:at] + wrong + address[at + 1 :]) != identity
                except BadAddress:
                    continue
                passed += 1
    assert passed <= 5


def test_exchanged_neighbours_are_caught() -> None:
    caught = tried = 0
    for number in range(100):
        address = person(f"user {number}").address
        for at in range(ADDRESS_CHARACTERS - 1):
            typed = address[:at] + address[at + 1] + address[at] + address[at + 2 :]
            if typed == address:
                continue
            tried += 1
            with pytest.raises(BadAddress):
                read(typed)
            caught += 1
    assert caught == tried > 5_000


@given(st.text(max_size=60) | st.text(alphabet=ALPHABET + "=189 \u0131\u017f\u212a", min_size=56, max_size=56))
def test_any_text_is_an_address_or_a_bad_one(text: str) -> None:
    with suppress(BadAddress):
        assert spell(read(text)) == text.lower()


# --- links ------------------------------------------------------------------------------------------------------------

ENDPOINTS = st.builds(
    Endpoint.of, st.ip_addresses().map(str).filter(lambda host: "%" not in host), st.integers(0, 65_535)
)


@given(HASHES, st.lists(ENDPOINTS.filter(lambda endpoint: endpoint.port > 0), max_size=8))
def test_a_link_is_read_back(identity: IdentityHash, peers: list[Endpoint]) -> None:
    link = Link(identity, tuple(peers))
    assert read_link(link.uri) == link
    assert read_link(f" {link.uri}\n") == link


@given(ENDPOINTS)
def test_an_endpoint_has_one_spelling(endpoint: Endpoint) -> None:
    assert Endpoint.parse(str(endpoint)) == endpoint
    assert len(endpoint.block) in (3, 6)
    assert isinstance(endpoint.is_public, bool)


@given(st.text(max_size=200) | st.text(max_size=80).map(lambda tail: f"p2pblog:{ALICE}?peer={tail}"))
def test_any_text_is_a_link_or_a_named_error(text: str) -> None:
    with suppress(BadAddress, Malformed):
        read_link(text)


@given(st.text(max_size=60), st.integers(-10, 70_000))
def test_any_host_is_an_endpoint_or_malformed(host: str, port: int) -> None:
    try:
        endpoint = Endpoint.of(host, port)
    except Malformed:
        return
    assert str(endpoint).isascii()
    assert str(endpoint).isprintable()


def test_a_scope_cannot_carry_text_into_an_endpoint() -> None:
    for host in ("fe80::1%eth0", "fe80::1%\x1b[31m", "fe80::1%" + "x" * 10_000):
        with pytest.raises(Malformed):
            Endpoint.of(host, 4711)


def test_a_link_of_a_thousand_parameters_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_link(f"p2pblog:{person('alice').address}?" + "peer=192.0.2.1:1&" * 1_000)


def test_what_is_public() -> None:
    told = {
        "8.8.8.8": True, "127.0.0.1": False, "10.1.2.3": False, "192.168.1.1": False, "::1": False,
        "2001:4860:4860::8888": True, "fe80::1": False, "224.0.0.1": False, "ff02::1": False, "0.0.0.0": False,
        "::ffff:8.8.8.8": True, "::ffff:127.0.0.1": False, "::7f00:1": False, "64:ff9b::c0a8:101": False,
        "2002:c0a8:101::1": False, "2001:0:1::1": False, "fec0::1": False,
    }  # fmt: skip
    assert {host: Endpoint.of(host, 1).is_public for host in told} == told


def test_blocks_gather_what_one_owner_holds() -> None:
    assert Endpoint.of("192.0.2.1", 1).block == Endpoint.of("192.0.2.200", 2).block == bytes([192, 0, 2])
    assert Endpoint.of("2001:db8:1::1", 1).block == Endpoint.of("2001:db8:1:ffff::2", 1).block
    assert Endpoint.of("::ffff:192.0.2.9", 1).block == bytes([192, 0, 2])
