"""What every store must answer about pins: which notices somebody wants others to read first."""

from __future__ import annotations

import pytest
from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.config import PINS_MAX
from p2pblog.core.logs import Located
from p2pblog.store import Store
from p2pblog.store.meaning import Kind


@on_both_stores
async def test_own_notices_are_pinned_the_last_one_first(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    notes = alice.notes(3)
    for note in (notes[1], notes[0], notes[1]):
        alice.log.pin(note)
    bob.log.pin(notes[2])  # only one's own
    alice.log.pin(bob.log.note("his"))
    alice.log.pin(alice.log.boost(bob.log.note("his, too")))  # a boost is no notice
    await keep(store, alice, bob)
    assert await store.pins(alice.hash) == [notes[1].id, notes[0].id]
    assert await store.pins(bob.hash) == []
    assert await store.pins(person("carol").hash) == []
    assert len(await store.reactions(alice.hash, notes[1].id, Kind.PIN)) == 2
    assert (await store.rows([notes[1].id]))[0].boosts == 0
    pin = alice.log.entries[5]
    assert [row.id for row in (await store.thread(pin.id)).notices] == [notes[0].id]


@on_both_stores
async def test_no_more_are_pinned_than_a_person_may_pin(store: Store) -> None:
    alice = person("alice")
    notes = alice.notes(PINS_MAX + 1)
    pins = [alice.log.pin(note) for note in notes]
    await keep(store, alice)
    assert await store.pins(alice.hash) == [note.id for note in reversed(notes[1:])]
    alice.log.delete(pins[-1])
    alice.log.delete(notes[-2])  # which takes its pin along
    await add(store, alice.log)
    assert await store.pins(alice.hash) == [note.id for note in reversed(notes[:-2])]


@on_both_stores
async def test_only_the_newest_pins_are_looked_at(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note, other = alice.log.note("pinned once"), bob.log.note("not hers")
    alice.log.pin(note)
    for _ in range(3):
        alice.log.pin(other)
    await keep(store, alice, bob)
    for most, found in ((3, []), (4, [note.id])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("p2pblog.store.memory_read.PINS_READ_MAX", most)
            patch.setattr("p2pblog.store.sql_read.PINS_READ_MAX", most)
            assert await store.pins(alice.hash) == found


@on_both_stores
async def test_a_pin_follows_the_standing_of_its_device(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("first")
    alice.log.pin(note)
    await keep(store, alice)
    assert await store.pins(alice.hash) == [note.id]
    await store.put_identity(alice.retire(alice.key, note.seq, note.id))
    assert await store.pins(alice.hash) == []
    await store.drop_log(alice.key)
    assert await store.pins(alice.hash) == []


@on_both_stores
async def test_a_pin_of_another_device_and_of_a_stray(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    note, lone = alice.log.note("first"), alice.log.note("second")
    laptop.pin(note)
    pin = laptop.pin(lone)
    await store.put_identity(alice.identity)
    await add(store, laptop, 1, 2)
    assert await store.pins(alice.hash) == []  # nothing of it is here
    await store.put_stray(Located(alice.hash, lone, ()), LATER)
    await store.put_stray(Located(alice.hash, pin, ()), LATER)
    await add(store, alice.log, 1, 2)
    assert await store.pins(alice.hash) == [lone.id, note.id]


@on_both_stores
async def test_what_came_last_by_its_place_is_first(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    one, two = alice.log.note("one", time_ms=NOON + 1), alice.log.note("two", time_ms=NOON + 2)
    alice.log.pin(one)  # a second later
    laptop.note("late", time_ms=NOON + 9_000)
    laptop.pin(two)
    await store.put_identity(alice.identity)
    await add(store, laptop)
    await add(store, alice.log)
    assert await store.pins(alice.hash) == [two.id, one.id]
