"""Shelves: what a node keeps for others, and where it says no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import pytest
from dht_scenes import DAY, HOME, MINUTE, NOW, Person, alice, bob, carol, key_of, must
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pblog.config import HEAD_LIFETIME_MS
from p2pblog.core import entry as entries
from p2pblog.core.address import Endpoint
from p2pblog.core.identity import state_device
from p2pblog.core.keys import EntryId, IdentityHash, KeyPair
from p2pblog.core.value import replace
from p2pblog.dht import shelf as dht_shelf
from p2pblog.dht.records import (
    Head,
    Notice,
    Pointer,
    Record,
    notice_record,
    replica_key,
    sign_drop,
    sign_head,
    sign_pointer,
    sign_replica,
)
from p2pblog.dht.shelf import Limits, Outcome, RecordStore, Shelf, newest

TARGET = b"t" * 32
TARGET_KEY = alice.pointer(TARGET).key


def store(**limits: int) -> RecordStore:
    return RecordStore(bytes(20), Limits(**limits))  # type: ignore[arg-type]


def expire_all(mine: RecordStore, now_ms: int) -> None:
    for key in mine.all_keys():
        mine.expire(key, now_ms)


def from_block(number: int, host: int = 1) -> Endpoint:
    return Endpoint.of(f"198.51.{number}.{host}", 4711)


def replica_of(number: int, expires_ms: int) -> Record:
    """That carol's node holds the feed of somebody."""
    return sign_replica(carol.node, IdentityHash(bytes([number]) * 32), HOME, expires_ms)


def replica_from(name: str, endpoint: Endpoint) -> Record:
    return sign_replica(key_of(name), alice.identity.hash, endpoint, NOW + DAY)


def device_head(number: int) -> Head:
    """A head of alice's device with that number, admitted by a statement with that counter."""
    device = key_of(f"alice device {number}")
    identity = alice.identity.merge([state_device(alice.roots[0], device, alice.identity.hash, 0, number)])
    return must(sign_head(identity, device, 1, 1, EntryId(b"e" * 32), NOW + DAY))


class Uncountable(dict[Any, Any]):
    """Nobody may look through all of them."""

    def values(self) -> Any:
        raise AssertionError("all signers are summed up")

    __iter__ = items = keys = values


# --- heads ------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=12))
def test_any_order_and_repetition_of_heads_ends_at_the_highest_counter(counters: list[int]) -> None:
    heads = {counter: alice.head(counter=counter, seq=counter + 1) for counter in set(counters)}
    shelf = Shelf()
    for counter in counters:
        shelf.put(heads[counter], HOME, NOW)
    assert [item.record for item in shelf.records(NOW)] == [heads[max(counters)]]


def test_a_stale_head_is_answered_as_stale() -> None:
    shelf = Shelf()
    assert shelf.put(alice.head(counter=2), HOME, NOW) is Outcome.HELD
    assert shelf.put(alice.head(counter=2), HOME, NOW) is Outcome.HELD
    assert shelf.put(alice.head(counter=1), HOME, NOW) is Outcome.STALE


def test_a_retirement_removes_the_head_and_keeps_it_away() -> None:
    for first, second in permutations([alice.head(counter=99), alice.retired()]):
        shelf = Shelf()
        shelf.put(first, HOME, NOW)
        shelf.put(second, HOME, NOW)
        assert [item.record for item in shelf.records(NOW)] == [alice.retired()]


def test_a_rotation_takes_the_say_from_devices_of_the_old_root() -> None:
    """The thief of root 0 admits a device of his own; alice has rotated meanwhile."""
    thief = device_head(5)
    owner = must(sign_head(alice.rotated(1), alice.laptop, 1, 3, EntryId(b"e" * 32), NOW + DAY))
    for first, second in permutations([thief, owner]):
        shelf = Shelf()
        shelf.put(first, HOME, NOW)
        outcome = shelf.put(second, HOME, NOW)
        assert [item.record for item in shelf.records(NOW)] == [owner]
        assert outcome is (Outcome.HELD if second is owner else Outcome.STALE)


def test_eight_devices_are_kept_and_the_latest_admitted_count() -> None:
    shelf = Shelf()
    for number in range(12):
        shelf.put(device_head(number), HOME, NOW)
    kept = {item.record.device for item in shelf.records(NOW)}
    assert kept == {device_head(number).device for number in range(4, 12)}
    assert shelf.put(device_head(1), HOME, NOW) is Outcome.FULL


def test_expiry_is_the_signed_one_and_storing_again_does_not_move_it() -> None:
    shelf = Shelf()
    head = alice.head(expires_ms=NOW + DAY)
    for hour in range(24):
        shelf.put(head, HOME, NOW + hour * 60 * MINUTE)
    assert shelf.records(NOW + DAY - 1) and not shelf.records(NOW + DAY)


def test_a_retirement_has_no_expiry_and_is_kept_as_long_as_a_head_may_live() -> None:
    shelf = Shelf()
    shelf.put(alice.retired(), HOME, NOW)
    shelf.put(alice.retired(), HOME, NOW + DAY)
    assert shelf.records(NOW + HEAD_LIFETIME_MS) and not shelf.records(NOW + DAY + HEAD_LIFETIME_MS)


# --- many under a key -------------------------------------------------------------------------------------------------


def test_replicas_of_many_nodes_stand_side_by_side_and_each_node_has_one() -> None:
    shelf = Shelf()
    for number in range(5):
        assert shelf.put(replica_from(f"node {number}", from_block(number)), from_block(number), NOW) is Outcome.HELD
    moved = sign_replica(key_of("node 3"), alice.identity.hash, from_block(77), NOW + DAY + 1)
    assert shelf.put(moved, from_block(77), NOW) is Outcome.HELD
    assert len(shelf.records(NOW)) == 5 and moved in [item.record for item in shelf.records(NOW)]


def test_two_replicas_of_one_address_block_are_enough() -> None:
    shelf = Shelf()
    outcomes = [shelf.put(replica_from(f"node {n}", from_block(1, n)), from_block(1, n), NOW) for n in range(1, 5)]
    assert outcomes == [Outcome.HELD, Outcome.HELD, Outcome.FULL, Outcome.FULL]


def test_a_store_that_comes_into_a_test_network_lifts_the_limits_of_what_it_has_too() -> None:
    shelves, home = store(), Endpoint.of("127.0.0.1", 4711)
    assert [shelves.put(replica_from(f"node {n}", home), home, NOW) for n in range(3)][-1] is Outcome.FULL
    shelves.set_limits(Limits(exempt_private=True))
    assert [shelves.put(replica_from(f"node {n}", home), home, NOW) for n in range(4)] == [Outcome.HELD] * 4


def test_a_test_network_on_one_address_is_not_limited_by_block() -> None:
    shelf = Shelf(Limits(exempt_private=True))
    home = Endpoint.of("127.0.0.1", 4711)
    assert [shelf.put(replica_from(f"node {n}", home), home, NOW) for n in range(4)] == [Outcome.HELD] * 4


def test_128_of_a_key_and_the_first_stay() -> None:
    shelf = Shelf()
    outcomes = [shelf.put(replica_from(f"node {n}", from_block(n)), from_block(n), NOW) for n in range(130)]
    assert outcomes == [Outcome.HELD] * 128 + [Outcome.FULL] * 2


def test_one_device_points_at_a_target_eight_times_at_most() -> None:
    shelf = Shelf()
    outcomes = [shelf.put(bob.pointer(TARGET, seq), from_block(seq), NOW) for seq in range(1, 11)]
    assert outcomes == [Outcome.HELD] * 8 + [Outcome.FULL] * 2


def pointed(shelf: Shelf) -> list[int]:
    records = [item.record for item in shelf.records(NOW)]
    return sorted(record.seq for record in records if isinstance(record, Pointer))


def test_the_pointers_of_one_device_that_expire_last_stay() -> None:
    shelf = Shelf()
    for seq in (*range(1, 8), 9, 8):
        assert shelf.put(bob.pointer(TARGET, seq, NOW + seq), from_block(seq), NOW) is Outcome.HELD
    assert pointed(shelf) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert shelf.put(bob.pointer(TARGET, 1, NOW + 1), from_block(1), NOW) is Outcome.FULL
    assert shelf.put(bob.pointer(TARGET, 10, NOW + 2), from_block(1), NOW) is Outcome.FULL


def test_an_own_older_pointer_gives_its_place_in_a_block_and_nobody_elses_does() -> None:
    shelf, block = Shelf(), from_block(1)
    assert shelf.put(alice.pointer(TARGET, 2, NOW + 1), block, NOW) is Outcome.HELD
    assert shelf.put(bob.pointer(TARGET, 2, NOW + 2), from_block(2), NOW) is Outcome.HELD
    assert shelf.put(bob.pointer(TARGET, 3, NOW + 3), block, NOW) is Outcome.HELD
    assert shelf.put(bob.pointer(TARGET, 4, NOW + 4), block, NOW) is Outcome.HELD
    assert pointed(shelf) == [2, 2, 4]
    assert shelf.put(carol.pointer(TARGET, 9, NOW + 9), block, NOW) is Outcome.FULL


def test_who_only_claims_to_be_alice_takes_none_of_her_places() -> None:
    shelf = Shelf()
    for seq in range(1, 9):
        shelf.put(sign_pointer(key_of("mallory"), TARGET, alice.identity.hash, seq, NOW + DAY), from_block(seq), NOW)
    assert shelf.put(alice.pointer(TARGET, 2), from_block(99), NOW) is Outcome.HELD


# --- what neighbours pass on ------------------------------------------------------------------------------------------


def pointer_of(number: int) -> Pointer:
    """By a device of its own, in the order of their expiry."""
    return sign_pointer(key_of(f"device {number}"), TARGET, alice.identity.hash, 2, NOW + DAY + number)


def tried(shelf: Shelf, numbers: Iterable[int], block: int, is_neighbour: bool = True) -> list[Outcome]:
    return [shelf.put(pointer_of(number), from_block(block), NOW, is_neighbour) for number in numbers]


def numbers_on(shelf: Shelf, numbers: Iterable[int]) -> list[int]:
    held = [item.record for item in shelf.records(NOW)]
    return [number for number in numbers if pointer_of(number) in held]


def test_a_neighbour_passes_on_more_pointers_than_a_block_may_say_and_a_stranger_does_not() -> None:
    """As holders came and went, pointers were lost: those who had them could store two of them again."""
    shelf = Shelf()
    assert tried(shelf, range(5), block=1) == [Outcome.HELD] * 5
    assert tried(shelf, range(5, 9), block=2, is_neighbour=False) == [Outcome.HELD] * 2 + [Outcome.FULL] * 2
    assert tried(shelf, range(20, 22), block=1, is_neighbour=False) == [Outcome.FULL] * 2


def test_what_is_passed_on_gives_way_to_what_its_block_may_say() -> None:
    """A neighbour who fills the key takes no place that anybody else would have had."""
    shelf = Shelf(Limits(per_key=6))
    assert tried(shelf, range(9), block=1) == [Outcome.HELD] * 6 + [Outcome.FULL] * 3
    for block in (2, 3):
        said = range(10 * block, 10 * block + 3)
        assert tried(shelf, said, block, is_neighbour=False) == [Outcome.HELD] * 2 + [Outcome.FULL]
    assert numbers_on(shelf, range(40)) == [0, 1, 20, 21, 30, 31]
    assert tried(shelf, [40], block=4, is_neighbour=False) == [Outcome.FULL]


def test_neighbours_share_the_room_that_is_to_spare() -> None:
    shelf = Shelf(Limits(per_key=8, per_key_and_block=0))
    assert tried(shelf, range(8), block=1) == [Outcome.HELD] * 8
    assert tried(shelf, range(10, 18), block=2) == [Outcome.HELD] * 4 + [Outcome.FULL] * 4
    assert tried(shelf, range(18, 20), block=1) == [Outcome.FULL] * 2
    assert tried(shelf, range(20, 28), block=3) == [Outcome.HELD] * 2 + [Outcome.FULL] * 6
    assert numbers_on(shelf, range(30)) == [5, 6, 7, 11, 12, 13, 20, 21]


def test_one_block_passes_on_sixteen_and_then_its_oldest_of_one_device_goes() -> None:
    """Of a key at which ten people point one neighbour with one address had nearly all."""
    shelf = Shelf()
    for number in range(10):
        assert tried(shelf, [number], block=number, is_neighbour=False) == [Outcome.HELD]
    assert tried(shelf, range(100, 130), block=200) == [Outcome.HELD] * 18 + [Outcome.FULL] * 12
    assert tried(shelf, range(200, 230), block=201) == [Outcome.HELD] * 18 + [Outcome.FULL] * 12
    assert len(numbers_on(shelf, range(10))) == 10 and len(shelf.records(NOW)) == 46
    newer = sign_pointer(key_of("device 110"), TARGET, alice.identity.hash, 3, NOW + 9 * DAY)
    assert shelf.put(newer, from_block(200), NOW, is_neighbour=True) is Outcome.HELD
    assert numbers_on(shelf, [110]) == [] and len(shelf.records(NOW)) == 46


def test_what_was_passed_on_from_a_block_takes_no_place_that_the_block_has() -> None:
    shelf = Shelf()
    tried(shelf, range(4), block=1)
    later = NOW + DAY + 1  # the first two have expired
    outcomes = [shelf.put(pointer_of(number), from_block(1), later) for number in (5, 6, 7)]
    assert outcomes == [Outcome.HELD] * 2 + [Outcome.FULL]
    assert numbers_on(shelf, range(9)) == [2, 3, 5, 6]


def test_who_says_himself_what_was_passed_on_has_his_own_place() -> None:
    shelf = Shelf(Limits(per_key=3))
    tried(shelf, range(3), block=1)
    assert tried(shelf, [2], block=2, is_neighbour=False) == [Outcome.HELD]
    assert tried(shelf, [2], block=1) == [Outcome.HELD]
    assert tried(shelf, [10], block=3, is_neighbour=False) == [Outcome.FULL]
    assert numbers_on(shelf, range(30)) == [0, 1, 2]


def test_what_was_passed_on_is_so_still_when_it_was_stored_with_others_again() -> None:
    """Twelve hours later the holder's own upkeep gave it a place for good, and counted it for nobody."""
    mine = store(per_key=3)
    for number in range(3):
        assert mine.put(pointer_of(number), from_block(1), NOW, is_neighbour=True) is Outcome.HELD
    for item in mine.get(TARGET_KEY, NOW):
        mine.touch(item, NOW + 5)
    assert [(item.stored_ms, item.first_ms) for item in mine.get(TARGET_KEY, NOW)] == [(NOW + 5, NOW)] * 3
    assert mine._by_sender == {from_block(1).block: 3}
    assert mine.put(pointer_of(9), from_block(2), NOW) is Outcome.HELD


def test_what_gave_way_while_it_was_stored_with_others_again_does_not_come_back() -> None:
    mine = store(per_signer=4)
    pointers = [alice.pointer(bytes([n]) * 32, 2, NOW + DAY + n) for n in range(8)]
    assert outcomes(mine, pointers[:4]) == [Outcome.HELD] * 4
    walking = [item for key in mine.all_keys() for item in mine.get(key, NOW)]
    assert outcomes(mine, pointers[4:]) == [Outcome.HELD] * 4
    for item in walking:
        mine.touch(item, NOW)
    assert all_held(mine, pointers) == [False] * 4 + [True] * 4 and len(mine) == 4


def test_what_another_record_has_the_place_of_is_not_touched() -> None:
    mine = store()
    mine.put(alice.head(counter=1), HOME, NOW)
    (old,) = mine.get(alice.head().key, NOW)
    mine.put(alice.head(counter=2), HOME, NOW)
    mine.touch(old, NOW + 5)
    (new,) = mine.get(alice.head().key, NOW)
    assert new.record == alice.head(counter=2) and new.stored_ms == NOW


# --- the whole store --------------------------------------------------------------------------------------------------


def test_a_replica_is_taken_only_from_the_host_that_it_names() -> None:
    mine = store()
    assert mine.put(replica_from("carol", HOME), Endpoint.of(HOME.host, 9), NOW) is Outcome.HELD
    assert mine.put(replica_from("dave", HOME), from_block(1), NOW) is Outcome.REFUSED
    assert len(mine.get(replica_key(alice.identity.hash), NOW)) == 1


def test_a_full_store_lets_the_farthest_key_go_for_a_nearer_one_only() -> None:
    mine = store(in_all=10)
    people = sorted((Person(f"person {n}").head() for n in range(12)), key=lambda head: head.key)
    for head in people[1:11]:
        assert mine.put(head, HOME, NOW) is Outcome.HELD
    assert mine.put(people[11], HOME, NOW) is Outcome.FULL
    assert mine.put(people[0], HOME, NOW) is Outcome.HELD
    assert len(mine) == 10 and not mine.get(people[10].key, NOW) and mine.get(people[0].key, NOW)


def test_a_full_store_lets_nothing_go_for_what_it_refuses_and_one_record_for_what_it_holds() -> None:
    """All of a far key went for a third pointer of a block, of which a key has two."""
    mine = store(in_all=6)
    near, *_, far = sorted((bytes([n]) * 32 for n in range(40)), key=lambda target: alice.pointer(target).key)
    for number in range(4):
        pointer = sign_pointer(key_of(f"device {number}"), far, alice.identity.hash, 2, NOW + DAY + number)
        assert mine.put(pointer, from_block(number), NOW) is Outcome.HELD
    by = [sign_pointer(key_of(f"other {n}"), near, alice.identity.hash, 2, NOW + DAY) for n in range(4)]
    assert [mine.put(pointer, from_block(9), NOW) for pointer in by[:3]] == [Outcome.HELD] * 2 + [Outcome.FULL]
    assert len(mine) == 6
    assert mine.put(by[3], from_block(10), NOW) is Outcome.HELD
    remaining = sorted(item.expires_ms for item in mine.get(alice.pointer(far).key, NOW))
    assert remaining == [NOW + DAY + number for number in (1, 2, 3)] and len(mine) == 6


def test_of_the_farthest_key_what_was_passed_on_goes_first_though_it_would_last_longest() -> None:
    mine = store(in_all=3)
    for number in range(3):  # two are all that the block may say
        assert mine.put(pointer_of(number), from_block(1), NOW, is_neighbour=True) is Outcome.HELD
    nearest = min((alice.pointer(bytes([n]) * 32) for n in range(9)), key=lambda pointer: pointer.key)
    assert mine.put(nearest, from_block(2), NOW) is Outcome.HELD and nearest.key < TARGET_KEY
    assert {item.record for item in mine.get(TARGET_KEY, NOW)} == {pointer_of(0), pointer_of(1)}


def test_how_many_records_a_store_holds_is_kept_and_not_counted_with_each_new_one() -> None:
    """With 20,000 signers that took longer than all the rest of a put."""
    mine = store(in_all=4)
    people = [Person(f"person {n}") for n in range(8)]
    for number, person in enumerate(people):
        mine.put(person.head(counter=1 + number % 2, expires_ms=NOW + MINUTE * (1 + number % 2)), HOME, NOW)
        mine.put(person.head(counter=2), HOME, NOW)
        mine.put(person.pointer(TARGET), HOME, NOW)
        assert len(mine) == sum(len(mine.get(key, NOW)) for key in mine.all_keys()) <= 4
    expire_all(mine, NOW + MINUTE)
    assert len(mine) == sum(len(mine.get(key, NOW)) for key in mine.all_keys())
    mine._by_signer = Uncountable(mine._by_signer)
    assert mine.put(Person("person 9").head(), None, NOW) is Outcome.HELD and len(mine) > 0


def test_one_signer_and_one_sender_have_their_share_and_no_more() -> None:
    mine = store(per_signer=3)
    assert [mine.put(alice.pointer(bytes([n]) * 32), from_block(n), NOW) for n in range(4)] == [Outcome.HELD] * 3 + [
        Outcome.FULL
    ]
    mine = store(per_sender=3)
    outcomes = [mine.put(Person(f"p {n}").head(), from_block(1, n + 1), NOW) for n in range(4)]
    assert outcomes == [Outcome.HELD] * 3 + [Outcome.FULL]
    assert mine.put(Person("p 9").head(), from_block(2), NOW) is Outcome.HELD


def test_pointers_leave_half_of_the_share_of_an_address_block_to_other_records() -> None:
    """In a university's /48 those of some busy authors would keep out everybody's heads for a month."""
    mine = store(per_sender=6)

    def put(record: Record, now_ms: int = NOW) -> Outcome:
        return mine.put(record, HOME, now_ms)

    pointers = [Person(f"p {n}").pointer(n.to_bytes(32, "big"), expires_ms=NOW + (n + 1) * MINUTE) for n in range(6)]
    heads = [Person(f"p {n}").head() for n in range(5)]
    assert [put(pointer) for pointer in pointers[:4]] == [Outcome.HELD] * 3 + [Outcome.FULL]
    assert mine.put(pointers[3], from_block(2), NOW) is Outcome.HELD
    assert [put(head) for head in heads[:4]] == [Outcome.HELD] * 3 + [Outcome.FULL]
    expire_all(mine, NOW + 2 * MINUTE)
    assert [put(record, NOW + 2 * MINUTE) for record in (heads[3], pointers[4], pointers[5], heads[4])] == [
        *[Outcome.HELD] * 2,
        *[Outcome.FULL] * 2,  # by all that the block has, of which two are pointers
    ]


def outcomes(mine: RecordStore, records: Sequence[Record]) -> list[Outcome]:
    return [mine.put(record, from_block(number), NOW) for number, record in enumerate(records)]


def notice_of(seq: int, time_ms: int) -> Notice:
    """Alice's entry with that number."""
    before = replace(alice.entry(), seq=seq - 1)
    return must(notice_record(entries.write(alice.laptop, before, time_ms, before.payload or b"")))


def all_held(mine: RecordStore, records: Sequence[Record]) -> list[bool]:
    return [record in [item.record for item in mine.get(record.key, NOW)] for record in records]


def test_of_one_signer_the_newest_pointers_and_replicas_stay() -> None:
    """In a small network each node holds all that somebody says, and his newest answers were refused."""
    for records in (
        [alice.pointer(bytes([n]) * 32, 2, NOW + DAY + n) for n in range(8)],
        [replica_of(n, NOW + DAY + n) for n in range(8)],
    ):
        mine = store(per_signer=4)
        assert [mine.put(record, HOME, NOW) for record in records] == [Outcome.HELD] * 8
        assert all_held(mine, records) == [False] * 4 + [True] * 4 and len(mine) == 4
        assert mine.put(records[0], HOME, NOW) is Outcome.FULL


def test_pointers_leave_half_of_a_share_to_notices_and_a_notice_goes_for_a_newer_one_only() -> None:
    mine = store(per_signer=4)
    pointers = [alice.pointer(bytes([n]) * 32, 2, NOW + 9 * DAY + n) for n in range(4)]
    notices = [notice_of(seq, NOW + seq) for seq in range(2, 6)]
    assert outcomes(mine, [*pointers, *notices]) == [Outcome.HELD] * 8
    assert all_held(mine, pointers) == [False, False, True, True]
    assert all_held(mine, notices) == [False, False, True, True]
    assert mine.put(notices[0], HOME, NOW) is Outcome.FULL
    later = alice.pointer(b"z" * 32, 9, NOW + 20 * DAY)
    assert mine.put(later, HOME, NOW) is Outcome.HELD
    assert all_held(mine, [*pointers, *notices, later]) == [False] * 3 + [True] + [False] * 2 + [True] * 3


def test_a_drop_goes_for_no_drop_and_no_notice_goes_for_it() -> None:
    mine = store(per_signer=4)
    drops = [sign_drop(alice.laptop, seq, NOW + seq) for seq in range(2, 4)]
    notices = [notice_of(seq, NOW + seq) for seq in range(4, 6)]
    assert outcomes(mine, [*drops, *notices]) == [Outcome.HELD] * 4
    assert mine.put(sign_drop(alice.laptop, 6, NOW + 6), HOME, NOW) is Outcome.FULL
    assert mine.put(notice_of(7, NOW + 7), HOME, NOW) is Outcome.HELD
    assert mine.put(alice.pointer(TARGET), HOME, NOW) is Outcome.FULL
    assert all_held(mine, [*drops, *notices]) == [True, True, False, True]
    mine = store(per_signer=4)
    pointers = [alice.pointer(bytes([n]) * 32, 2, NOW + 9 * DAY + n) for n in range(4)]
    assert outcomes(mine, [*pointers, *drops]) == [Outcome.HELD] * 6
    assert all_held(mine, [*pointers, *drops]) == [False, False, True, True, True, True]


def test_drops_leave_half_of_a_share_to_notices() -> None:
    """Whoever took back some hundred notices was not heard for two days."""
    mine = store(per_signer=4)
    drops = [sign_drop(alice.laptop, seq, NOW + seq) for seq in range(2, 7)]
    said = [notice_of(seq, NOW + seq) for seq in (7, 8, 9)]
    assert outcomes(mine, [*drops, *said]) == [Outcome.HELD] * 4 + [Outcome.FULL] + [Outcome.HELD] * 3
    assert all_held(mine, drops) == [False, False, True, True, False]
    assert all_held(mine, said) == [False, True, True] and len(mine) == 4


def test_nothing_gives_way_to_what_finds_no_room_and_nobody_else_does() -> None:
    mine = store(per_signer=2, per_key=1)
    others = bob.pointer(TARGET)
    mine.put(others, from_block(1), NOW)
    mine.put(bob.pointer(b"y" * 32), from_block(2), NOW)
    own = [alice.pointer(bytes([n]) * 32, 2, NOW + DAY + n) for n in range(2)]
    assert outcomes(mine, [*own, alice.pointer(TARGET)]) == [Outcome.HELD] * 2 + [Outcome.FULL]
    assert all_held(mine, [*own, others]) == [True] * 3
    assert mine.put(alice.pointer(b"x" * 32, 2), HOME, NOW) is Outcome.HELD
    assert all_held(mine, [*own, others, bob.pointer(b"y" * 32)]) == [False, True, True, True]


def test_who_holds_more_of_his_own_than_a_share_counts_right() -> None:
    """What is ours has no bound; what expires while another record comes in has given way already."""
    mine = store(per_signer=2)
    for n in range(4):
        mine.put(alice.pointer(TARGET, 2 + n, NOW + 1 + n), None, NOW)
    assert mine.put(alice.pointer(TARGET, 9, NOW + DAY), HOME, NOW + 1) is Outcome.HELD
    assert [item.record for item in mine.get(TARGET_KEY, NOW + 1)] and len(mine) == 4
    mine.expire(TARGET_KEY, NOW + DAY)
    assert len(mine) == 0 and mine._by_signer == mine._by_sender == mine._pointers_by_sender == {}


def test_what_expired_gives_its_room_back() -> None:
    mine = store(in_all=3, per_signer=3, per_sender=3)
    for n in range(3):
        mine.put(Person(f"p {n}").head(expires_ms=NOW + MINUTE), HOME, NOW)
    assert len(mine) == 3
    expire_all(mine, NOW + MINUTE)
    assert len(mine) == 0 and mine.all_keys() == []
    assert mine.put(Person("p 4").head(), HOME, NOW + MINUTE) is Outcome.HELD


def test_what_came_and_went_leaves_nothing_behind() -> None:
    """Of a key that nothing is held under the list by distance knew for ever."""
    mine = store()
    for n in range(1_000):
        pointer = alice.pointer(n.to_bytes(32, "big"), expires_ms=NOW + 1)
        mine.put(pointer, None, NOW)
        mine.expire(pointer.key, NOW)
        mine.expire(pointer.key, NOW + 1)
        mine.expire(pointer.key, NOW + 1)
    assert len(mine) == 0 and len(mine._far) <= 66


def test_answers_of_many_holders_come_to_one_newest_record_a_slot() -> None:
    old, new = alice.head(counter=1), alice.head(counter=2)
    assert newest([old, new, old], NOW) == [new]
    crowd: list[Record] = [replica_from(f"n {n}", from_block(n % 3, n + 1)) for n in range(20)]
    assert len(newest(crowd, NOW)) == 20  # the reader judges by itself what it dials


def test_what_many_holders_make_up_is_not_asked_for_its_signer_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight liars name 1,024 pointers; asking each of 128 that are held for its signer with each of them took half of
    the tenth of a second for which nothing else ran."""
    made = [sign_pointer(key_of(f"s {n}"), bytes(32), carol.identity.hash, 1, NOW + n) for n in range(1, 257)]
    monkeypatch.setattr(dht_shelf, "signer", None)
    assert len(newest(made, NOW)) == 128


def test_a_flood_by_one_stranger_stays_within_his_share() -> None:
    mine = store(per_sender=40)
    strangers: list[KeyPair] = [key_of(f"stranger {n}") for n in range(60)]
    for stranger in strangers:
        mine.put(sign_pointer(stranger, stranger.public, carol.identity.hash, 1, NOW + DAY), from_block(3), NOW)
    assert len(mine) == 20
