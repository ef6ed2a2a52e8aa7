"""What every store must answer about strangers: what they say to us waits, until somebody is let in."""

from __future__ import annotations

import pytest
from builders import NOON, Log, person, ref
from store_kit import LATER, add, alice_is_here, keep, on_both_stores, own

from p2pblog.core.address import spell
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.value import replace
from p2pblog.errors import NotFound
from p2pblog.store import (
    Block,
    Follow,
    Store,
    TimelineQuery,
    Vouched,
    conversations,
    memory_desk,
    memory_read,
    sql_read,
    sql_strangers,
)


async def stray(store: Store, log: Log, *entries: Entry) -> None:
    for entry in entries:
        await store.put_stray(Located(log.identity, entry, ()), LATER)


async def waiting(store: Store, limit: int = 99, before: EntryId | None = None) -> list[EntryId]:
    return [row.id for row in await store.timeline(TimelineQuery(limit, before, strangers=True))]


async def told(store: Store, unread: bool = False) -> set[EntryId]:
    return {news.id for news in await store.news(99, unread=unread)}


async def below(store: Store, notice: Entry) -> tuple[list[EntryId], list[EntryId]]:
    """A conversation: what is in it, and what waits."""
    thread = await store.thread(notice.id)
    return [row.id for row in thread.notices], list(thread.waiting)


@on_both_stores
async def test_what_a_stranger_says_to_us_waits(store: Store) -> None:
    alice, note = await alice_is_here(store)
    eve = person("eve")
    said = [
        eve.log.note("an answer", reply_to=note),
        eve.log.note(f"hello @{spell(alice.hash)}"),
        eve.log.quote(note, "look"),
    ]
    praise = [eve.log.like(note), eve.log.boost(note)]
    other = eve.log.note("to nobody")
    await stray(store, eve.log, *said, *praise, other)
    assert await waiting(store) == [each.id for each in reversed(said)]
    assert await waiting(store, 1) == [said[2].id]
    assert await waiting(store, 9, said[2].id) == [said[1].id, said[0].id]
    assert await told(store) == set()
    assert await store.mark_news_read() == 0
    assert [row.likes for row in await store.rows([note.id])] == [1]  # it counts all the same
    assert [row.text for row in await store.rows([said[0].id])] == ["an answer"]
    assert await below(store, note) == ([note.id], [said[0].id])
    with pytest.raises(NotFound):
        await store.news(9, said[0].id)

    assert await store.put_admitted(eve.hash, LATER)
    assert await waiting(store) == []
    assert await told(store, unread=True) == {each.id for each in (*said, *praise)}
    assert await below(store, note) == ([note.id, said[0].id], [])
    assert await store.mark_news_read() == 5

    assert await store.drop_admitted(eve.hash)
    assert not await store.drop_admitted(eve.hash)
    assert await told(store) == set()
    assert len(await waiting(store)) == 3
    late = eve.log.note("late", reply_to=note)
    await stray(store, eve.log, late)
    await store.put_admitted(eve.hash, LATER)
    assert await told(store, unread=True) == {late.id}  # what was read is so still
    eve.log.delete(late)
    await stray(store, eve.log, eve.log.entries[-1])
    assert late.id not in await told(store)


@on_both_stores
async def test_who_is_followed_or_oneself_is_no_stranger(store: Store) -> None:
    alice, note = await alice_is_here(store)
    laptop, bob = alice.add_device("laptop"), person("bob")
    await store.put_identity(alice.identity)
    answer, mine = bob.log.note("his", reply_to=note), laptop.note("hers", reply_to=note)
    await stray(store, bob.log, answer)
    await stray(store, laptop, mine)
    assert await waiting(store) == [answer.id]
    await store.put_follow(Follow(bob.hash))
    assert (await waiting(store), await told(store)) == ([], {answer.id})
    assert sorted((await below(store, note))[0]) == sorted([note.id, answer.id, mine.id])
    await store.drop_follow(bob.hash)  # nor is anybody told of who has become one
    assert (await waiting(store), await told(store)) == ([answer.id], set())
    await store.put_identity(bob.identity)
    await add(store, bob.log)  # held for another reason
    assert (await waiting(store), await told(store)) == ([answer.id], set())
    await own(store, bob)
    assert await waiting(store) == []
    await own(store, alice)
    assert await waiting(store) == [answer.id]


@on_both_stores
async def test_those_whom_we_follow_vouch_and_so_do_we(store: Store) -> None:
    alice, note = await alice_is_here(store)
    bob, carol, eve = person("bob"), person("carol"), person("eve")
    answer = eve.log.note("hi", reply_to=note)
    vouch = carol.log.vouch(eve.hash)
    carol.log.vouch(eve.hash)
    await keep(store, bob, carol)
    await store.drop_follow(carol.hash)
    await stray(store, eve.log, answer)
    assert await waiting(store) == [answer.id]  # carol's word is nothing to us
    assert await store.vouchers(eve.hash) == []
    await store.put_follow(Follow(carol.hash))
    assert (await waiting(store), await told(store, unread=True)) == ([], {answer.id})
    assert await store.vouchers(eve.hash) == [carol.hash]
    assert (await store.vouches(carol.hash))[0] == Vouched(vouch.id, eve.hash, vouch.time_ms)
    assert len(await store.vouches(carol.hash, eve.hash)) == 2
    assert await store.vouches(carol.hash, bob.hash) == await store.vouches(eve.hash) == []

    carol.log.delete(vouch, [carol.log.entries[-1]])
    carol.log.delete(carol.log.entries[-2])
    await add(store, carol.log)
    assert (await waiting(store), await store.vouches(carol.hash)) == ([answer.id], [])

    bob.log.vouch(eve.hash)
    await add(store, bob.log)
    assert await waiting(store) == []
    await store.put_identity(bob.retire(bob.key, 1, bob.log.entries[0].id))  # a device that is his no longer
    assert await waiting(store) == [answer.id]

    alice.log.vouch(eve.hash)
    alice.log.vouch(bob.hash)
    await add(store, alice.log)
    assert await waiting(store) == []
    assert await store.vouchers(eve.hash) == [alice.hash]
    assert {vouched.subject for vouched in await store.vouches(alice.hash)} == {bob.hash, eve.hash}


@on_both_stores
async def test_a_vouch_that_came_first_holds_for_what_comes_later(store: Store) -> None:
    _, note = await alice_is_here(store)
    bob, eve, dave = person("bob"), person("eve"), person("dave")
    bob.log.vouch(eve.hash)
    eve.log.vouch(dave.hash)  # whose word does not reach further
    await keep(store, bob)
    await store.put_admitted(eve.hash, LATER)
    first, second = eve.log.note("hi", reply_to=note), dave.log.note("hi too", reply_to=note)
    await stray(store, eve.log, *eve.log.entries[1:])
    await stray(store, dave.log, second)
    assert (await told(store), await waiting(store)) == ({first.id}, [second.id])


@on_both_stores
async def test_a_conversation_below_our_own_notices(store: Store) -> None:
    """Alice's notice; eve answers it, mallory eve and then bob; bob, whom she follows, answers all three."""
    alice, note = await alice_is_here(store)
    bob, eve, mallory = person("bob"), person("eve"), person("mallory")
    hi = eve.log.note("hi", reply_to=note)
    behind = mallory.log.note("hi eve", reply_to=hi)
    known = bob.log.note("who are you?", reply_to=hi)
    deep = bob.log.note("and you?", reply_to=behind)
    his = bob.log.note("well", reply_to=note)
    aside = mallory.log.note("to bob", reply_to=his)
    to_her = mallory.log.note(f"@{spell(alice.hash)}!", reply_to=his)
    await keep(store, bob)
    for log, entries in ((eve.log, [hi]), (mallory.log, [behind, aside, to_her])):
        await stray(store, log, *entries)
    notices, waits = await below(store, note)
    assert set(notices) == {note.id, known.id, deep.id, his.id, aside.id}
    assert set(waits) == {hi.id, to_her.id}
    notices, waits = await below(store, hi)  # what is asked for is there, with what others say below it
    assert set(notices) == {note.id, hi.id, behind.id, known.id, deep.id, his.id, aside.id}
    assert waits == [to_her.id]
    assert set((await below(store, to_her))[0]) == {note.id, known.id, deep.id, his.id, aside.id, to_her.id}
    await store.put_admitted(eve.hash, LATER)
    assert set((await below(store, note))[0]) == {note.id, hi.id, behind.id, known.id, deep.id, his.id, aside.id}


@on_both_stores
async def test_who_names_another_author_does_not_get_past(store: Store) -> None:
    """A reply goes by the id of what it answers; whose that is it only claims."""
    _, note = await alice_is_here(store)
    bob, eve = person("bob"), person("eve")
    lie = eve.log.note("psst", reply_to=replace(ref(note), identity=eve.hash))
    below_it = eve.log.note("and more", reply_to=lie)
    his = bob.log.note("who is that?", reply_to=lie)
    his_own = bob.log.note("well", reply_to=note)
    await keep(store, bob)
    await stray(store, eve.log, lie, below_it)
    notices, waits = await below(store, note)
    assert (set(notices), waits) == ({note.id, his.id, his_own.id}, [])
    assert await waiting(store) == []
    notices, _ = await below(store, lie)
    assert set(notices) == {note.id, lie.id, below_it.id, his.id, his_own.id}
    await store.put_admitted(eve.hash, LATER)
    assert set((await below(store, note))[0]) == set(notices)


@on_both_stores
async def test_conversations_of_others_are_theirs(store: Store) -> None:
    alice, _ = await alice_is_here(store)
    bob, eve = person("bob"), person("eve")
    his = bob.log.note("his")
    hi = eve.log.note(f"hi @{spell(alice.hash)}", reply_to=his)
    hers = alice.log.note("hers", reply_to=his)
    to_her = eve.log.note("to her", reply_to=hers)
    await add(store, alice.log)
    await keep(store, bob)
    await stray(store, eve.log, hi, to_her)
    notices, waits = await below(store, his)
    assert set(notices) == {his.id, hi.id, hers.id}
    assert waits == [to_her.id]
    assert set(await waiting(store)) == {hi.id, to_her.id}


@on_both_stores
async def test_however_many_strangers_there_are_they_take_nobodys_place(store: Store) -> None:
    _, note = await alice_is_here(store)
    bob = person("bob")
    crowd = [person(f"stranger {number}") for number in range(4)]
    for someone in crowd:
        hi = someone.log.note("hi", reply_to=note, time_ms=NOON)
        await stray(store, someone.log, hi)
    his = bob.log.note("well", reply_to=note, time_ms=NOON + 9)
    his_own = bob.log.note("you see", reply_to=his)
    await keep(store, bob)
    with pytest.MonkeyPatch.context() as patch:
        for most, found in ((3, [note.id, his.id, his_own.id]), (2, [note.id, his.id])):
            for module in (memory_read, sql_read):
                patch.setattr(module, "THREAD_NOTICES_MAX", most)
            notices, waits = await below(store, note)
            assert (notices, len(waits)) == (found, most)


@on_both_stores
async def test_so_many_liars_are_passed_over(store: Store) -> None:
    _, note = await alice_is_here(store)
    bob, eve = person("bob"), person("eve")
    lies = [eve.log.note("psst", reply_to=replace(ref(note), identity=eve.hash), time_ms=NOON) for _ in range(3)]
    his = bob.log.note("well", reply_to=note, time_ms=NOON + 9)
    await keep(store, bob)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "LIARS_PASSED_MAX", 2)
        for module in (memory_read, sql_read):
            patch.setattr(module, "THREAD_NOTICES_MAX", 2)
        for lie, found in zip(lies, ([note.id, his.id],) * 3, strict=True):
            await stray(store, eve.log, lie)
            assert (await below(store, note))[0] == found
        await stray(store, eve.log, eve.log.note("psst", reply_to=replace(ref(note), identity=eve.hash), time_ms=NOON))
        assert (await below(store, note))[0] == [note.id]


@on_both_stores
async def test_so_many_are_admitted_and_a_block_ends_it(store: Store) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (memory_desk, sql_strangers):
            patch.setattr(module, "ADMITTED_MAX", 2)
        for number in range(3):
            assert await store.put_admitted(person(f"{number}").hash, NOON + number) == (number < 2)
        assert await store.put_admitted(person("0").hash, LATER)  # who stands there keeps the time
    first, second = await store.admitted()
    assert (first.identity, first.since_ms) == (person("0").hash, NOON)
    await store.put_block(Block(person("0").hash, LATER))
    assert await store.admitted() == [second]
