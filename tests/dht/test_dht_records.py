"""Records: each holds under its key in its time as it was signed, and nothing else does."""

from __future__ import annotations

import pytest
from dht_scenes import DAY, HOME, MINUTE, NOW, alice, bob, carol, must, one_of_each

from p2pblog.config import RECORD_BYTES_MAX
from p2pblog.core.keys import EntryId
from p2pblog.core.value import replace
from p2pblog.dht.records import (
    DhtKey,
    Head,
    Record,
    decode,
    encode,
    head_key,
    notice_key,
    notice_record,
    pointer_key,
    replica_key,
    sign_head,
    supersedes,
)
from p2pblog.errors import LocalProtocolError, RemoteProtocolError

KINDS = one_of_each()


@pytest.mark.parametrize("name", KINDS)
def test_a_record_survives_the_way_through_bytes(name: str) -> None:
    record = KINDS[name]
    data = encode(record)
    assert len(data) <= RECORD_BYTES_MAX
    assert decode(record.key, data, NOW) == record


@pytest.mark.parametrize("name", KINDS)
def test_no_bit_of_a_record_may_flip(name: str) -> None:
    record = KINDS[name]
    data = encode(record)
    accepted = []
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            if _is_accepted(record.key, bytes(flipped)):
                accepted.append((position, bit))
    assert accepted == []


@pytest.mark.parametrize("name", KINDS)
def test_no_bit_of_its_key_may_flip(name: str) -> None:
    record = KINDS[name]
    data = encode(record)
    for bit in range(160):
        key = (int.from_bytes(record.key, "big") ^ (1 << bit)).to_bytes(20, "big")
        assert not _is_accepted(DhtKey(key), data)


@pytest.mark.parametrize("name", KINDS)
def test_a_record_cut_short_or_made_longer_is_none(name: str) -> None:
    record = KINDS[name]
    data = encode(record)
    assert not any(_is_accepted(record.key, data[:size]) for size in range(len(data)))
    assert not _is_accepted(record.key, data + b"\0")


def _is_accepted(key: DhtKey, data: bytes) -> bool:
    try:
        decode(key, data, NOW)
    except RemoteProtocolError:
        return False
    return True


def test_keys_of_different_kinds_and_subjects_differ() -> None:
    subject = alice.identity.hash
    keys = {
        head_key(subject), replica_key(subject), pointer_key(subject), head_key(bob.identity.hash),
        notice_key(alice.laptop.public, 1), notice_key(alice.laptop.public, 2), notice_key(bob.laptop.public, 1),
    }  # fmt: skip
    assert len(keys) == 7 and all(len(key) == 20 for key in keys)


def test_bob_rebuilds_a_partial_identity_from_alices_head() -> None:
    identity = alice.rotated(4)
    head = must(sign_head(identity, alice.laptop, 1, 1, EntryId(b"e" * 32), NOW + DAY))
    read = decode(head.key, encode(head), NOW)
    assert isinstance(read, Head)
    assert read.partial_identity().hash == identity.hash
    assert list(read.partial_identity().devices) == [alice.laptop.public]
    assert read.partial_identity() == identity  # nothing else was ever stated


def test_a_head_after_five_rotations_does_not_fit_and_says_so() -> None:
    assert sign_head(alice.rotated(5), alice.laptop, 1, 1, EntryId(b"e" * 32), NOW + DAY) is None


def test_nobody_signs_a_head_for_a_device_that_is_not_his() -> None:
    with pytest.raises(LocalProtocolError):
        sign_head(alice.identity, bob.laptop, 1, 1, EntryId(b"e" * 32), NOW + DAY)


def test_a_long_notice_a_gap_and_an_unsigned_entry_make_no_record() -> None:
    assert notice_record(alice.entry("x" * 900)) is None
    assert notice_record(alice.entry().without_payload()) is None
    unsigned = replace(alice.entry(), signature=None)
    assert unsigned.signature is None and notice_record(unsigned) is None


def test_an_oversized_record_is_never_encoded() -> None:
    from p2pblog.dht.records import Notice

    with pytest.raises(LocalProtocolError):
        encode(Notice(alice.entry("x" * 1_000)))


# --- which one stays --------------------------------------------------------------------------------------------------


def test_the_higher_counter_wins_and_an_older_head_never_comes_back() -> None:
    old, new = alice.head(counter=1, seq=9), alice.head(counter=2, seq=5)
    assert supersedes(old, new) and not supersedes(new, old)


def test_a_retirement_beats_every_head_of_its_device() -> None:
    assert supersedes(alice.head(counter=2**53 - 1), alice.retired())
    assert not supersedes(alice.retired(), alice.head(counter=2**53 - 1))


def test_only_the_drop_replaces_a_notice() -> None:
    notice, other, drop = alice.notice(), alice.notice("something else"), alice.drop()
    assert supersedes(notice, drop) and not supersedes(drop, notice)
    assert not supersedes(notice, other) and not supersedes(other, notice)


def test_a_later_root_has_the_say() -> None:
    thief = must(sign_head(alice.identity, alice.laptop, 2**53 - 1, 9, EntryId(b"x" * 32), NOW + DAY))
    owner = must(sign_head(alice.rotated(1), alice.laptop, 1, 3, EntryId(b"e" * 32), NOW + DAY))
    assert supersedes(thief, owner) and not supersedes(owner, thief)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alice.head(counter=1), alice.head(counter=2)),
        (alice.head(seq=3), alice.head(seq=4)),
        (carol.replica(alice.identity), carol.replica(alice.identity, expires_ms=NOW + MINUTE)),
        (carol.replica(alice.identity), carol.replica(alice.identity, type(HOME).of("192.0.2.9", 1))),
        (bob.pointer(), bob.pointer(expires_ms=NOW + MINUTE)),
    ],
    ids=["counters", "one counter, two numbers", "expiries", "one expiry, two addresses", "pointers"],
)
def test_of_two_records_of_one_writer_the_same_one_wins_everywhere(one: Record, other: Record) -> None:
    assert supersedes(one, other) != supersedes(other, one)
    assert not supersedes(one, one)
