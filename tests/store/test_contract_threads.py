"""What every store must answer about a conversation's gaps."""

from __future__ import annotations

from builders import person, ref
from store_kit import add, keep, on_both_stores

from p2pblog.core.payload import Note, Quote
from p2pblog.store import Store


@on_both_stores
async def test_a_thread_counts_what_it_knows_of_and_names_what_it_lacks(store: Store) -> None:
    alice, bob, carol, dave = (person(name) for name in ("alice", "bob", "carol", "dave"))
    elsewhere, doomed = dave.log.note("elsewhere"), bob.log.note("doomed")
    newer = dave.log.edit(elsewhere, "newer")
    root = alice.log.note("root")
    first, second = bob.log.quote(elsewhere, "as it was"), carol.log.quote(elsewhere, "as it is", newer)
    bob.log.note("answer", reply_to=root)
    for quoting in (doomed, root, first):  # what is held, if deleted, is not missing; and one is counted once
        carol.log.write(Note("look", ref(root), quote=Quote(ref(quoting))))
    bob.log.delete(doomed)
    carol.log.write(Note("look", ref(root), quote=Quote(ref(elsewhere), ref(newer))))
    await keep(store, alice, bob, carol)

    thread = await store.thread(root.id)
    assert (thread.known, thread.lacking, thread.missing) == (6 + 2 + 1, (newer.id,), 1)
    thread = await store.thread(first.id)
    assert (thread.known, thread.lacking) == (2, (elsewhere.id,))
    assert (await store.thread(second.id)).lacking == (newer.id,)
    await keep(store, dave)
    assert (await store.thread(root.id)).lacking == (await store.thread(first.id)).lacking == ()
    assert (await store.thread(root.id)).known == 9


@on_both_stores
async def test_a_thread_of_what_somebody_praised_knows_the_notice_that_it_lacks(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("unheard")
    await keep(store, bob)
    for reaction in (bob.log.like(note), bob.log.boost(note), bob.log.vote(note, 1)):
        await add(store, bob.log)
        thread = await store.thread(reaction.id)
        assert (thread.root, thread.notices, thread.known, thread.lacking) == (note.id, (), 1, (note.id,))
    assert (await store.thread(note.id)).known == 0  # only who comes by a reaction knows where it is
