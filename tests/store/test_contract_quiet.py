"""What every store keeps of what a person does not want, and what a budget is told of."""

from __future__ import annotations

import pytest
from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores, own, texts

from p2pblog.core.logs import Located
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.store import Block, Follow, FollowRow, Store, memory_desk, sql_write


@on_both_stores
async def test_mutes_are_kept_until_they_end_or_are_taken_back(store: Store) -> None:
    bob = person("bob").hash
    of_bob = Mute(MuteKind.PERSON, bob, NOON)
    of_bees = Mute(MuteKind.TAG, b"bees", NOON, NOON + 5)
    assert await store.put_mute(of_bob, NOON) and await store.put_mute(of_bees, NOON)
    assert (await store.load()).mutes == (of_bob, of_bees)
    longer = Mute(MuteKind.TAG, b"bees", NOON + 1, NOON + 9)
    assert await store.put_mute(longer, NOON + 1)
    spice = Mute(MuteKind.WORD, "gewürz".encode(), NOON + 8)
    assert await store.put_mute(spice, NOON + 8)
    assert (await store.load()).mutes == (of_bob, longer, spice)
    assert await store.put_mute(spice, NOON + 9)  # at its end it goes
    assert (await store.load()).mutes == (of_bob, spice)
    assert await store.drop_mute(MuteKind.PERSON, bob)
    assert not await store.drop_mute(MuteKind.PERSON, bob)
    assert not await store.drop_mute(MuteKind.TAG, "gewürz".encode())
    assert (await store.load()).mutes == (spice,)


@on_both_stores
async def test_mutes_and_blocks_are_so_many(store: Store) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (memory_desk, sql_write):
            patch.setattr(module, "MUTES_MAX", 2)
            patch.setattr(module, "BLOCKS_MAX", 2)
        for number in range(3):
            assert await store.put_mute(Mute(MuteKind.WORD, b"%d" % number), NOON) == (number < 2)
            assert await store.put_block(Block(person(f"{number}").hash, number)) == (number < 2)
        assert await store.put_mute(Mute(MuteKind.WORD, b"1", NOON), NOON)  # it stands
        assert await store.put_block(Block(person("1").hash, 9))
    loaded = await store.load()
    assert [mute.what for mute in loaded.mutes] == [b"0", b"1"]
    assert loaded.blocks == (Block(person("0").hash, 0), Block(person("1").hash, 1))  # a block keeps its time


@on_both_stores
async def test_a_block_forgets_what_is_held_of_somebody_and_nothing_else(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    laptop = bob.add_device("laptop")
    notes = bob.notes(3)
    laptop.note("from the laptop", time_ms=NOON + 50_000)
    hers = alice.log.note("hers", reply_to=notes[0])
    alice.log.boost(notes[1])
    bob.log.like(hers)
    tablet = bob.add_device("tablet")
    stray = tablet.note("a stray")
    await keep(store, alice, bob)
    await add(store, laptop)
    await store.put_stray(Located(bob.hash, stray, ()), LATER)
    assert (await store.rows([hers.id]))[0].likes == 1
    for notice in (notes[0], stray, hers):
        assert await store.put_bookmark(notice.id, LATER)
    await store.drop_follow(bob.hash)
    assert await store.put_block(Block(bob.hash, LATER))
    assert [await store.drop_bookmark(notice.id) for notice in (notes[0], stray, hers)] == [False, False, True]

    loaded = await store.load()
    assert [identity.hash for identity in loaded.identities] == [alice.hash]
    assert [log.device for log in loaded.logs] == [alice.key]
    assert await texts(store, bob) == [] and await texts(store) == ["", "hers"]
    assert await store.rows([notes[0].id, stray.id]) == []
    assert await store.locate(stray.id) is None and await store.find_ids(notes[0].id.hex()) == []
    assert (await store.rows([hers.id]))[0].likes == 0
    assert await store.entry_count() == len(alice.log.entries)

    assert await store.drop_block(bob.hash) and not await store.drop_block(bob.hash)
    await keep(store, bob)
    assert await texts(store, bob) == ["from the laptop", "note 3", "note 2", "note 1"][1:]


@on_both_stores
async def test_the_terms_of_a_follow_are_kept(store: Store) -> None:
    bob = person("bob")
    follow = Follow(bob.hash, "bobby", NOON, True, "3/day", True)
    await store.put_follow(follow)
    assert (await store.load()).follows == (follow,)
    assert await store.follow_rows() == [FollowRow(bob.hash, None, "bobby", 0, None, True, "3/day", True)]
    await keep(store, bob)  # which follows him plainly
    assert (await store.follow_rows())[0].budget is None


@on_both_stores
async def test_a_window_has_what_stands_in_it_with_the_votes_of_those_one_follows(store: Store) -> None:
    alice, bob, carol, dave, erin = (person(name) for name in ("alice", "bob", "carol", "dave", "erin"))
    before, first, second, after = (bob.log.note(f"{at}", time_ms=NOON + at) for at in (9, 10, 19, 20))
    boost = bob.log.boost(dave.log.note("dave's"))  # stands at 20 at the earliest, too
    bob.log.like(first)  # his own counts for nothing
    for someone in (alice, carol, erin):
        someone.log.like(first)
        someone.log.like(first)
    carol.log.boost(first)
    carol.log.like(second)
    carol.log.delete(carol.log.like(after))
    dave.log.like(dave.log.entries[1])
    carol.log.like(dave.log.entries[1])
    await keep(store, bob, carol, dave)
    await own(store, alice)
    for someone in (alice, erin):  # erin is not followed
        await store.put_identity(someone.identity)
        await add(store, someone.log)

    async def praise(from_ms: int, to_ms: int, limit: int = 99) -> list[tuple[str, int]]:
        return [(each.row.text, each.praise) for each in await store.window(bob.hash, from_ms, to_ms, limit)]

    assert await praise(NOON + 10, NOON + 20) == [("10", 3), ("19", 1)]
    assert await praise(NOON + 10, NOON + 20, 1) == [("10", 3)]
    assert await praise(-5, NOON + 10) == [("9", 0)]
    assert await praise(NOON + 20, LATER) == [("20", 0), ("dave's", 1)]
    assert await praise(LATER, LATER + 1) == [] and await praise(NOON, LATER, 0) == []
    assert await store.window(person("nobody").hash, 0, LATER, 9) == []
    (seen,) = (each.row for each in await store.window(bob.hash, NOON + 19, NOON + 20, 9))
    assert (seen.place_ms, seen) == (NOON + 19, (await store.rows([second.id]))[0])

    assert await store.boosts_at_home(dave.log.entries[1].id) == [boost.id]
    assert await store.boosts_at_home(before.id) == []
    erin.log.boost(before)
    await add(store, erin.log, len(erin.log.entries))
    assert await store.boosts_at_home(before.id) == []
    await store.put_follow(Follow(erin.hash))
    assert await store.boosts_at_home(before.id) == [erin.log.entries[-1].id]


@on_both_stores
async def test_whose_a_boost_is_told_by_what_is_held_before_what_it_says(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    boost = carol.log.boost(bob.log.note("bob's"))
    answer = carol.log.note("re", reply_to=bob.log.entries[-1])
    await keep(store, alice, carol)
    assert [row.of_author for row in await store.rows([boost.id, answer.id])] == [bob.hash, bob.hash]
    await keep(store, bob)
    assert [row.of_author for row in await store.rows([boost.id, answer.id])] == [bob.hash, bob.hash]
