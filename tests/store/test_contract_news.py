"""What every store must answer about news: what others say to us, and what of it was read."""

from __future__ import annotations

from builders import person, ref
from store_kit import LATER, add, alice_is_here, keep, on_both_stores, own
from trio.testing import trio_test

from p2pblog.core import address
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.value import replace
from p2pblog.store import Follow, Store
from p2pblog.store.memory import MemoryStore


async def told(store: Store, unread: bool = False) -> list[EntryId]:
    return [each.id for each in await store.news(99, unread=unread)]


@on_both_stores
async def test_a_like_is_news_while_what_it_names_is_shown(store: Store) -> None:
    """As where a home was brought back and its own log comes last."""
    alice, bob, eve = person("alice"), person("bob"), person("eve")
    laptop = alice.add_device("laptop")
    note, first, second = alice.log.note("mine"), laptop.note("hers"), laptop.note("hers too")
    said = [bob.log.like(note), bob.log.boost(first), bob.log.like(second)]
    bob.log.like(replace(ref(note), id=EntryId(bytes(32))))
    bob.log.like(eve.log.note("of eve"))
    for lie in (replace(ref(note), identity=eve.hash), replace(ref(note), seq=9), replace(ref(note), device=bob.key)):
        bob.log.like(lie)
    waits = eve.log.like(note)
    await own(store, alice)
    await store.put_identity(alice.identity)
    await keep(store, bob)
    await store.put_stray(Located(eve.hash, waits, ()), LATER)
    assert (await told(store), await store.mark_news_read()) == ([], 0)

    await store.put_stray(Located(alice.hash, second, ()), LATER)
    assert await told(store) == [said[2].id]
    await add(store, alice.log)
    await add(store, laptop)
    assert set(await told(store)) == {each.id for each in said}
    assert [row.likes for row in await store.rows([note.id])] == [2]  # eve's counts, and bob's as one
    await store.put_admitted(eve.hash, LATER)
    assert set(await told(store)) == {*(each.id for each in said), waits.id}
    await store.drop_log(laptop.key)
    assert set(await told(store)) == {said[0].id, waits.id}
    assert await store.mark_news_read() == 2


@on_both_stores
async def test_a_like_of_what_was_deleted_is_no_news(store: Store) -> None:
    """Unless the delete was a thief's, and is taken back."""
    alice, note = await alice_is_here(store)
    laptop = alice.add_device("laptop")
    bob = person("bob")
    like, answer = bob.log.like(note), bob.log.note("an answer", reply_to=note)
    bob.log.like(alice.log.like(answer))
    boost = bob.log.boost(alice.log.boost(answer))
    await add(store, alice.log)
    await keep(store, bob)
    assert set(await told(store)) == {like.id, answer.id, boost.id}  # nothing of the like, which nobody can read
    laptop.delete(note)
    await add(store, laptop)
    await store.put_identity(alice.identity)
    assert set(await told(store)) == {answer.id, boost.id}
    late = bob.log.boost(note)
    await add(store, bob.log)
    assert set(await told(store)) == {answer.id, boost.id}
    await store.put_identity(alice.retire(laptop.key, 0, None))
    assert set(await told(store)) == {like.id, answer.id, boost.id, late.id}
    assert await store.mark_news_read() == 4
    alice.log.delete(note)
    await add(store, alice.log)
    assert await store.drop_retracted(2 * LATER) == 1
    assert set(await told(store)) == {answer.id, boost.id}


@on_both_stores
async def test_what_a_notice_said_first_decides_who_is_told(store: Store) -> None:
    alice, _ = await alice_is_here(store)
    bob = person("bob")
    to_nobody, to_alice = bob.log.note("hello"), bob.log.note(f"psst @{address.spell(alice.hash)}")
    bob.log.edit(to_nobody, f"hello @{address.spell(alice.hash)}")
    bob.log.edit(to_alice, "nothing")
    await keep(store, bob)
    assert [row.mentions for row in await store.rows([to_nobody.id, to_alice.id])] == [(alice.hash,), ()]
    assert await told(store) == [to_alice.id]


@on_both_stores
async def test_news_but_of_some_people(store: Store) -> None:
    _, note = await alice_is_here(store)
    bob, eve = person("bob"), person("eve")
    first = bob.log.note("first", reply_to=note)
    await keep(store, bob)
    likes = [eve.log.like(note) for _ in range(200)]
    await keep(store, eve)
    last = bob.log.like(note)
    await add(store, bob.log, now_ms=LATER + 1)
    for unread in (False, True):
        assert [each.id for each in await store.news(9, unread=unread, but_of=[eve.hash])] == [last.id, first.id]
        assert await store.news(9, unread=unread, but_of=[eve.hash, bob.hash]) == []
    assert [each.id for each in await store.news(1, likes[-1].id, but_of=[eve.hash])] == [first.id]
    assert {each.id for each in await store.news(999, but_of=[bob.hash])} == {each.id for each in likes}


@on_both_stores
async def test_what_a_stranger_said_stays_read_when_one_follows_them(store: Store) -> None:
    """Two answers came by themselves; her log brings them again, and one that had not come."""
    _, note = await alice_is_here(store)
    bob, eve = person("bob"), person("eve")
    said = [eve.log.note("one", reply_to=note), eve.log.note("two", reply_to=note)]
    between = eve.log.note("three", reply_to=note)
    said.append(eve.log.note("four", reply_to=note))
    for entry in said:
        await store.put_stray(Located(eve.hash, entry, ()), LATER)
    await store.put_admitted(eve.hash, LATER)
    assert await store.mark_news_read() == 3
    await keep(store, bob)
    his = bob.log.note("his", reply_to=note)
    await add(store, bob.log, now_ms=LATER + 1)
    assert await store.mark_news_read() == 1

    await keep(store, eve, now_ms=LATER + 2)
    assert await told(store, unread=True) == [between.id]
    assert await told(store) == [between.id, his.id, *(each.id for each in reversed(said))]
    assert await store.mark_news_read() == 1
    await store.drop_follow(eve.hash)
    await store.drop_log(eve.key)
    assert await told(store) == [his.id]
    await add(store, eve.log, now_ms=LATER + 3)  # her identity names it still
    assert await told(store, unread=True) == []
    assert len(await told(store)) == 5


@on_both_stores
async def test_likes_that_made_room_come_again_as_they_were(store: Store) -> None:
    _, note = await alice_is_here(store)
    bob = person("bob")
    seen, unseen = bob.log.like(note), bob.log.like(note)
    bob.notes(9)
    await keep(store, bob)
    await store.drop_log(bob.key)
    await add(store, bob.log, 1, seen.seq)
    assert await store.mark_news_read() == 1
    await add(store, bob.log)
    await store.prune(bob.key, unseen.seq, LATER)
    assert await told(store) == []
    await store.lift_floors()
    await add(store, bob.log)
    assert await told(store, unread=True) == [unseen.id]
    assert set(await told(store)) == {seen.id, unseen.id}


@on_both_stores
async def test_what_was_hidden_or_named_what_was_not_here_was_read_all_the_same(store: Store) -> None:
    """A thief's delete is taken back; our own log is left and comes again."""
    alice, note = await alice_is_here(store)
    bob = person("bob")
    laptop = bob.add_device("laptop")
    answer, like = bob.log.note("an answer", reply_to=note), bob.log.like(note)
    await keep(store, bob)
    assert await store.mark_news_read() == 2
    laptop.delete(answer)
    await add(store, laptop)
    assert await told(store) == [like.id]
    await store.put_identity(bob.retire(laptop.key, 1, laptop.entries[0].id))
    assert set(await told(store)) == {answer.id, like.id}
    await store.drop_log(alice.key)
    assert await told(store) == [answer.id]
    await add(store, alice.log)
    assert set(await told(store)) == {answer.id, like.id}
    assert await told(store, unread=True) == []


@on_both_stores
async def test_what_was_read_is_forgotten_with_its_log_and_with_whose_the_node_is(store: Store) -> None:
    alice, note = await alice_is_here(store)
    eve = person("eve")
    like = Located(eve.hash, eve.log.like(note), ())
    await store.put_stray(like, LATER)
    await store.put_follow(Follow(eve.hash))
    assert await store.mark_news_read() == 1
    assert await store.prune_strays(0, 9) == (0, 1)  # the log had nothing else
    await store.put_stray(like, LATER)
    assert await told(store, unread=True) == [like.entry.id]
    assert await store.mark_news_read() == 1
    await own(store, eve)
    await own(store, alice)
    assert await told(store, unread=True) == [like.entry.id]


@trio_test
async def test_a_copy_of_the_dict_store_has_read_the_same() -> None:
    """A node of a simulation goes on from a snapshot of its disk."""
    store = MemoryStore()
    _, note = await alice_is_here(store)
    bob = person("bob")
    first = bob.log.like(note)
    await keep(store, bob)
    assert await store.mark_news_read() == 1
    twin = store.copy()
    second = bob.log.like(note)
    await add(twin, bob.log)
    assert await told(twin, unread=True) == [second.id]
    assert await twin.mark_news_read() == 1
    assert await told(store) == [first.id]
    await add(store, bob.log)
    assert await told(store, unread=True) == [second.id]
