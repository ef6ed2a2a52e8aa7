"""What every store must answer about groups: what was said to one, strays too, and which ones were joined."""

from __future__ import annotations

from typing import Any

from builders import NOON, Person, person
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.config import GROUPS_JOINED_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.logs import Batch, Located
from p2pblog.store import Block, GroupRow, Store, TimelineQuery


async def said_to(store: Store, group: str, **of: Any) -> list[str]:
    return [row.text for row in await store.timeline(TimelineQuery(99, group=group, **of))]


async def stray(store: Store, whose: Person, entry: Entry) -> None:
    await store.put_stray(Located(whose.hash, entry, ()), LATER)


@on_both_stores
async def test_notices_of_a_group_by_those_whose_logs_are_held_and_by_strangers(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    alice.log.note("0 !Birds", time_ms=NOON)
    strange = bob.log.note("1 !birds #wren", time_ms=NOON + 10)
    alice.log.note("2 !birds and !bees #wren", time_ms=NOON + 20)
    alice.log.note("3 no birds!", time_ms=NOON + 30)
    alice.log.boost(strange, time_ms=NOON + 40)
    await keep(store, alice)
    await stray(store, bob, strange)
    await stray(store, carol, carol.log.note("4 #birds", time_ms=NOON + 50))
    assert await said_to(store, "birds") == ["2 !birds and !bees #wren", "1 !birds #wren", "0 !Birds"]
    assert await said_to(store, "bees") == ["2 !birds and !bees #wren"]
    assert await said_to(store, "wax") == []
    assert await said_to(store, "birds", identities=(alice.hash,)) == ["2 !birds and !bees #wren", "0 !Birds"]
    assert await said_to(store, "birds", identities=(bob.hash, carol.hash)) == ["1 !birds #wren"]
    assert await said_to(store, "birds", before=strange.id) == ["0 !Birds"]
    assert await said_to(store, "birds", tag="wren") == ["2 !birds and !bees #wren"]  # no stray stands under a tag
    (row,) = await store.timeline(TimelineQuery(9, group="bees"))
    assert (row.groups, row.tags) == (("birds", "bees"), ("wren",))
    home = [row.text for row in await store.timeline(TimelineQuery(9)) if row.type == "note"]
    assert home == ["3 no birds!", "2 !birds and !bees #wren", "0 !Birds"]


@on_both_stores
async def test_what_becomes_of_a_strays_words_its_group_follows(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    kept, edited, deleted = (bob.log.note(f"{word} !birds") for word in ("kept", "edited", "deleted"))
    for entry in (kept, edited, deleted):
        await stray(store, bob, entry)
    await stray(store, bob, bob.log.edit(edited, "moved !bees"))
    await stray(store, bob, bob.log.delete(deleted))
    await stray(store, alice, alice.log.edit(kept, "mine !bees"))  # somebody else's means nothing
    assert await said_to(store, "birds") == ["kept !birds"]
    assert await said_to(store, "bees") == ["moved !bees"]
    await store.put_identity(bob.identity)
    await store.append([Batch(bob.hash, bob.log.run())], LATER)  # the strays are of a log now
    assert await said_to(store, "birds") == ["kept !birds"]
    assert await said_to(store, "bees") == ["moved !bees"]
    await store.drop_log(bob.key)
    assert await said_to(store, "birds") + await said_to(store, "bees") == []


@on_both_stores
async def test_what_stays_when_room_is_made_stays_in_its_group(store: Store) -> None:
    alice = person("alice")
    kept, _, _ = (alice.log.note(text) for text in ("kept !birds #wren", "gone !birds", "newer !birds"))
    await keep(store, alice)
    await store.put_bookmark(kept.id, NOON)
    await store.prune(alice.key, 3, LATER)
    assert await said_to(store, "birds") == ["newer !birds", "kept !birds #wren"]
    assert await store.timeline(TimelineQuery(9, tag="wren")) == []


@on_both_stores
async def test_an_edit_moves_a_notice_from_group_to_group(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("teh !birds")
    once = alice.log.edit(note, "the !bees")
    await keep(store, alice)
    assert (await said_to(store, "birds"), await said_to(store, "bees")) == ([], ["the !bees"])
    alice.log.delete(once)
    await add(store, alice.log)
    assert (await said_to(store, "birds"), await said_to(store, "bees")) == (["teh !birds"], [])


@on_both_stores
async def test_groups_that_were_joined_are_told_with_what_is_here_of_them(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.log.note("!birds")
    alice.log.note("!birds again")
    taken_back = alice.log.note("!birds !bees")
    alice.log.delete(taken_back)
    await keep(store, alice)
    assert await store.groups() == []
    assert await store.group("birds") is None
    assert await store.put_group("birds", NOON)
    assert await store.put_group("bees", NOON + 1)
    assert await store.put_group("birds", NOON + 2)  # it keeps its time
    await stray(store, bob, bob.log.note("!birds !bees"))
    assert await store.groups() == [GroupRow("bees", NOON + 1, 1, 1), GroupRow("birds", NOON, 3, 2)]
    await store.put_block(Block(bob.hash, NOON))
    assert await store.group("birds") == GroupRow("birds", NOON, 2, 1)
    assert await store.drop_group("birds")
    assert not await store.drop_group("birds")
    assert await store.groups() == [GroupRow("bees", NOON + 1, 0, 0)]
    assert await said_to(store, "birds") == ["!birds again", "!birds"]  # what is here stays


@on_both_stores
async def test_joining_has_a_limit(store: Store) -> None:
    assert all([await store.put_group(f"g{number}", NOON) for number in range(GROUPS_JOINED_MAX)])
    assert not await store.put_group("one more", NOON)
    assert await store.put_group("g0", NOON)  # joined already
    assert await store.drop_group("g0")
    assert await store.put_group("one more", NOON)
