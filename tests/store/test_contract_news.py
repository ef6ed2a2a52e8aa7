"""What every store must answer about news: what others say to us, and what of it was read."""

from __future__ import annotations

from builders import Person, person, ref
from store_kit import LATER, add, keep, on_both_stores, own

from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.value import replace
from p2pblog.store import Store


async def told(store: Store, unread: bool = False) -> list[EntryId]:
    return [each.id for each in await store.news(99, unread=unread)]


async def alice_is_here(store: Store) -> tuple[Person, Entry]:
    alice = person("alice")
    note = alice.log.note("mine")
    await own(store, alice)
    await keep(store, alice)
    await store.drop_follow(alice.hash)
    return alice, note


@on_both_stores
async def test_a_like_is_news_while_what_it_names_is_here(store: Store) -> None:
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
    alice.log.delete(note)
    await add(store, alice.log)
    assert set(await told(store)) == {each.id for each in said}
    await store.put_admitted(eve.hash, LATER)
    assert set(await told(store)) == {*(each.id for each in said), waits.id}
    await store.drop_log(laptop.key)
    assert set(await told(store)) == {said[0].id, waits.id}
    assert await store.mark_news_read() == 2
