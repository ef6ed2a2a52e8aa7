"""What a node must take back from the DHT: the entries of one of its logs that deletes in force name."""

from __future__ import annotations

from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.store import Store


@on_both_stores
async def test_what_deletes_name_is_told_by_number_whoever_wrote_them(store: Store) -> None:
    alice = person("alice")
    log, phone = alice.log, alice.add_device("phone")
    note = log.note("old words")
    edit = log.edit(note, "other words")
    like = log.like(person("bob").log.entries[0])
    theirs = log.note("deleted elsewhere")
    kept = log.note("stays")
    log.delete(note, [edit])
    log.delete(like)
    phone.delete(theirs)
    phone.delete(phone.note("on the phone"))
    await keep(store, alice)
    await add(store, phone)
    assert await store.taken_back(log.key, NOON - 1) == [2, 3, 4, 5]
    assert kept.seq == 6
    await store.drop_retracted(LATER + 1)
    assert await store.taken_back(log.key, NOON - 1) == []  # no byte of it is here any more


@on_both_stores
async def test_of_what_is_older_nothing_is_told(store: Store) -> None:
    alice = person("alice")
    old, new = alice.log.note("old", time_ms=NOON), alice.log.note("new", time_ms=NOON + 1)
    alice.log.delete(old)
    alice.log.delete(new)
    await keep(store, alice)
    assert await store.taken_back(alice.key, NOON - 1) == [old.seq, new.seq]
    assert await store.taken_back(alice.key, NOON) == [new.seq]
    assert await store.taken_back(person("bob").key, 0) == []


@on_both_stores
async def test_a_delete_by_a_device_without_force_and_of_a_first_entry_counts_not(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    phone = alice.add_device("phone")
    note = alice.log.note("stays")
    last = phone.note("the phone was lost after this")
    phone.delete(note)
    alice.retire(phone.key, last.seq, last.id)
    alice.log.delete(alice.log.entries[0])
    bob.log.delete(note)
    await keep(store, alice, bob)
    await add(store, phone)
    assert await store.taken_back(alice.key, 0) == []
