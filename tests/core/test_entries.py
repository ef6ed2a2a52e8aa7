"""An entry names its log, its number, its predecessor and what it says; nothing else can be read out of it."""

from __future__ import annotations

import pytest
from builders import NOON, key_pair, person
from core_scenes import flipped, tampered
from hypothesis import assume, given
from hypothesis import strategies as st
from values import VALUES
from vectors.parts import WEAK_KEYS

from p2pblog.config import PAYLOAD_BYTES_MAX, SEQ_MAX, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.entry import (
    BODY_BYTES_MAX,
    body_bytes,
    check_chain,
    check_signed,
    decode_body,
    entry_id,
    payload_hash,
    with_payload,
    write,
)
from p2pblog.core.runs import check_run
from p2pblog.errors import BadChain, BadKey, BadSignature, RemoteProtocolError

ALICE = person("alice")
HASHES = st.binary(min_size=32, max_size=32)


@given(st.integers(2, SEQ_MAX), HASHES, st.integers(0, TIME_MS_MAX), st.integers(0, PAYLOAD_BYTES_MAX), HASHES)
def test_a_body_is_read_back(seq: int, prev: bytes, time_ms: int, size: int, hashed: bytes) -> None:
    body = body_bytes(ALICE.key, seq, prev, time_ms, size, hashed)
    entry = decode_body(body)
    assert (entry.seq, entry.prev, entry.time_ms, entry.payload_size, entry.payload_hash) == (
        seq, prev, time_ms, size, hashed,
    )  # fmt: skip
    assert entry.body == body
    assert entry.id == entry_id(body)
    assert (entry.payload, entry.signature) == (None, None)


def test_the_longest_body_fits_its_bound() -> None:
    assert len(body_bytes(ALICE.key, SEQ_MAX, bytes(32), TIME_MS_MAX, PAYLOAD_BYTES_MAX, bytes(32))) <= BODY_BYTES_MAX


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_what_a_device_writes_can_be_checked_entry_by_entry(payloads: list[bytes]) -> None:
    last = None
    for payload in payloads:
        written = write(ALICE.device, last, NOON, payload)
        assert written.signature is not None
        read = with_payload(check_signed(decode_body(written.body), written.signature), payload)
        assert read == written
        assert (read.seq, read.prev) == (1, None) if last is None else (last.seq + 1, last.id)
        last = written


def test_no_bit_of_a_signed_body_can_be_flipped() -> None:
    entry = ALICE.log.note("hello")
    assert entry.signature is not None
    for changed in flipped(entry.body):
        with pytest.raises(RemoteProtocolError):
            check_signed(decode_body(changed), entry.signature)


@given(st.data())
def test_a_body_that_was_tampered_with_is_refused_by_name(data: st.DataObject) -> None:
    entry = ALICE.log.entries[0]
    assert entry.signature is not None
    changed = data.draw(tampered(entry.body))
    assume(changed != entry.body)
    with pytest.raises(RemoteProtocolError):
        check_signed(decode_body(changed), entry.signature)


@given(VALUES | st.lists(VALUES, min_size=7, max_size=7))
def test_no_value_surprises_a_body(value: object) -> None:
    try:
        entry = decode_body(codec.pack(value))
    except RemoteProtocolError:
        return
    assert entry.body == codec.pack(value)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_payload_belongs_to_one_entry(payload: bytes, other: bytes) -> None:
    entry = write(ALICE.device, None, NOON, payload)
    assert with_payload(entry.without_payload(), payload) == entry
    if other != payload:
        with pytest.raises(BadChain):
            with_payload(entry, other)


def test_the_hash_of_a_payload_is_no_id() -> None:
    assert payload_hash(b"hello") != entry_id(b"hello")


def test_a_signature_of_somebody_else_is_refused() -> None:
    entry = ALICE.log.entries[0]
    stranger = write(key_pair("mallory"), None, entry.time_ms, entry.payload or b"")
    assert stranger.signature is not None
    with pytest.raises(BadSignature):
        check_signed(decode_body(entry.body), stranger.signature)


def test_a_chain_is_entries_that_follow_one_another() -> None:
    bob = person("bob")
    bob.notes(4)
    first, second, third, *_ = bob.log.entries
    fork = bob.log.branch(1).note("else")
    for chain in ([], [third], [first, second, third]):
        check_chain(chain)
    mallory = decode_body(body_bytes(person("mallory").key, 2, first.id, NOON, 0, bytes(32)))
    for broken in (
        [first, mallory],
        [first, third],
        [second, first],
        [first, first],
        [fork, third],
        [first, ALICE.log.entries[1]],
    ):
        with pytest.raises(BadChain):
            check_chain(broken)


@pytest.mark.parametrize("name", WEAK_KEYS)
def test_a_weak_device_is_refused_before_its_signature_is_looked_at(name: str) -> None:
    weak = bytes.fromhex(WEAK_KEYS[name])
    with pytest.raises(BadKey):
        decode_body(body_bytes(weak, 1, None, NOON, 0, bytes(32)))
    with pytest.raises(BadKey):
        check_run([weak, 1, None, [NOON], [b""], b""])
