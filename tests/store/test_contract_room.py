"""What every store must answer about making room: what goes, what stays of it, and that nothing of it comes again."""

from __future__ import annotations

import pytest
from builders import NOON, Log, Person, person
from store_kit import LATER, add, keep, on_both_stores, own, texts

from p2pblog.config import DELETES_WAITING_MAX, RUN_BYTES_MAX
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.errors import BadChain
from p2pblog.store import Follow, Store
from p2pblog.store.meaning import Kind


async def spans(store: Store, log: Log) -> list[tuple[int, int]]:
    states = {state.device: state for state in (await store.load()).logs}
    return [(span.low, span.high) for span in states[log.key].spans] if log.key in states else []


async def floor(store: Store, log: Log) -> int:
    return next(state.floor for state in (await store.load()).logs if state.device == log.key)


async def alice_of(store: Store, count: int) -> Person:
    """Alice, whose log has an entry that begins it and so many notices; it is held whole."""
    alice = person("alice")
    alice.notes(count)
    await keep(store, alice)
    return alice


@on_both_stores
async def test_what_is_pruned_is_gone_and_what_is_left_vouches_for_itself(store: Store) -> None:
    alice = await alice_of(store, 100)
    before = await store.usage()
    done = await store.prune(alice.key, 64, LATER)
    assert (done.dropped, done.oldest_ms) == (64, alice.log.entries[64].time_ms)
    assert (done.state.spans[0].low, done.state.floor) == (65, 64)
    assert done.state.spans[0].low_id == alice.log.entries[64].id
    assert done.state.spans[0].low_prev == alice.log.entries[63].id
    assert (await store.load()).logs == (done.state,)
    assert await spans(store, alice.log) == [(65, 101)]
    assert await texts(store) == [f"note {number}" for number in range(100, 63, -1)]
    assert await store.locate(alice.log.entries[10].id) is None
    assert await store.run(alice.key, 1, 64, RUN_BYTES_MAX) == []
    assert await store.run(alice.key, 65, 101, RUN_BYTES_MAX) == list(alice.log.run(65))
    assert await store.find_ids(alice.log.entries[10].id.hex()) == []
    assert await store.entry_count() == 37
    after = await store.usage()
    assert (before.pruned, after.pruned) == (0, 64)
    assert [(row.low, row.high, row.oldest_ms) for row in await store.bottoms()] == [(65, 101, done.oldest_ms)]
    (row,) = await store.follow_rows()
    assert row.entries == 37


@on_both_stores
async def test_nothing_comes_again_below_the_floor(store: Store) -> None:
    alice = await alice_of(store, 100)
    await store.prune(alice.key, 64, LATER)
    (state,) = await store.append([Batch(alice.hash, alice.log.run(1, 64))], LATER)
    assert [(span.low, span.high) for span in state.spans] == [(65, 101)]
    (state,) = await store.append([Batch(alice.hash, alice.log.run(60, 80))], LATER)
    assert [(span.low, span.high) for span in state.spans] == [(65, 101)]
    alice.notes(3)
    (state,) = await store.append([Batch(alice.hash, alice.log.run(50))], LATER)
    assert [(span.low, span.high, span.low_prev) for span in state.spans] == [(65, 104, alice.log.entries[63].id)]
    assert len(await texts(store)) == 40
    fork = alice.log.branch(70)
    fork.note("another 71")
    with pytest.raises(BadChain):
        await store.append([Batch(alice.hash, fork.run(60))], LATER)


@on_both_stores
async def test_a_floor_lifted_lets_history_in_again(store: Store) -> None:
    alice = await alice_of(store, 100)
    bob = person("bob")
    bob.notes(80)
    await keep(store, bob)
    for someone in (alice, bob):
        await store.prune(someone.key, 64, LATER)
    (state,) = await store.lift_floors(alice.hash)
    assert (state.device, state.floor) == (alice.key, 0)
    assert (await floor(store, alice.log), await floor(store, bob.log)) == (0, 64)
    assert (await store.usage()).pruned == 64
    await add(store, alice.log)
    assert await spans(store, alice.log) == [(1, 101)]
    assert await store.lift_floors(alice.hash) == []
    assert [state.device for state in await store.lift_floors()] == [bob.key]
    assert (await store.usage()).pruned == 0
    await add(store, bob.log)
    assert len(await texts(store)) == 180


@on_both_stores
async def test_a_log_of_which_nothing_is_left_has_no_floor(store: Store) -> None:
    alice = await alice_of(store, 10)
    done = await store.prune(alice.key, 11, LATER)
    assert (done.state.spans, done.state.floor, done.oldest_ms, done.dropped) == ((), 0, None, 11)
    assert await store.bottoms() == [] and (await store.load()).logs == ()
    assert (await store.usage()).pruned == 11
    await add(store, alice.log)
    assert len(await texts(store)) == 10
    await store.prune(alice.key, 5, LATER)
    await store.drop_log(alice.key)  # to be fetched afresh
    state = await add(store, alice.log)
    assert [(span.low, span.high) for span in state.spans] == [(1, 11)] and state.floor == 0
    with pytest.raises(BadChain):
        await store.prune(DeviceKey(bytes(32)), 5, LATER)


@on_both_stores
async def test_holes_below_the_cut_go_too(store: Store) -> None:
    alice = person("alice")
    alice.notes(100)
    await store.put_identity(alice.identity)
    for first, last in ((5, 10), (30, 40), (90, 101)):
        await add(store, alice.log, first, last)
    done = await store.prune(alice.key, 35, LATER)
    assert done.dropped == 12
    assert await spans(store, alice.log) == [(36, 40), (90, 101)]
    done = await store.prune(alice.key, 64, LATER)
    assert done.dropped == 5 and await spans(store, alice.log) == [(90, 101)]
    assert await floor(store, alice.log) == 64
    await add(store, alice.log, 65, 89)
    assert await spans(store, alice.log) == [(65, 101)]


@on_both_stores
async def test_what_a_person_holds_on_to_stays(store: Store) -> None:
    me, alice, bob = person("me"), person("alice"), person("bob")
    wanted = {name: alice.log.note(name) for name in ("bookmarked", "liked", "boosted", "answered", "polled")}
    told = alice.log.note(f"hello @{me.address}")
    dm = alice.log.dm("psst", me, by=alice)
    dm_for_bob = alice.log.dm("psst", bob, by=alice)
    alice.notes(20)
    last = alice.log.note("last")
    await keep(store, alice)
    await own(store, me)
    me.log.like(wanted["liked"])
    me.log.boost(wanted["boosted"])
    me.log.note("yes", reply_to=wanted["answered"])
    me.log.vote(wanted["polled"], 1)
    bob.log.like(alice.log.entries[12])
    await keep(store, me, bob)
    await store.put_bookmark(wanted["bookmarked"].id, LATER)
    await store.settle_dms([], [dm_for_bob.id], LATER)
    news = await store.news(9)

    done = await store.prune(alice.key, last.seq - 1, LATER)
    stays = [*(entry.id for entry in wanted.values()), told.id]
    assert done.dropped == last.seq - 1 - len(stays) - 1
    assert [row.id for row in await store.rows(stays)] == stays
    assert await texts(store, alice) == ["last"]
    assert [row.id for row in await store.bookmarks(9)] == [wanted["bookmarked"].id]
    assert await store.news(9) == news
    assert [row.id for row in await store.dms(9)] == [dm.id]
    assert await store.locate(dm_for_bob.id) is None
    for identifier in stays:
        located = await store.locate(identifier)
        assert located is not None
        chain = (located.entry, *located.chain)
        follow = alice.log.entries[located.entry.seq - 1 :]
        assert [entry.id for entry in chain] == [entry.id for entry in follow[: len(chain)]]
        assert chain[-1].signature is not None
    thread = await store.thread(wanted["answered"].id)
    assert [row.text for row in thread.notices] == ["answered", "yes"]
    assert await store.prune_strays(0, 100) == (len(stays) + 1, 0)

    await store.drop_bookmark(wanted["bookmarked"].id)
    assert await store.prune_strays(0, 3) == (2, 1)
    assert await store.prune_strays(2, 100) == (len(stays) - 2, 0)
    assert await store.rows([wanted["bookmarked"].id]) == []


@on_both_stores
async def test_pins_of_what_is_not_ones_own_and_polls_that_closed_hold_nothing(store: Store) -> None:
    me, alice = person("me"), person("alice")
    poll, note = me.log.poll("yes", "no", closes_ms=LATER + 1), alice.log.note("of alice")
    me.log.pin(note)
    await own(store, me)
    for someone in (alice, me):
        someone.notes(5)
        await keep(store, someone)
    assert await store.end_polls(LATER + 2) == 1
    assert (await store.prune(alice.key, note.seq, LATER)).dropped == note.seq
    assert (await store.prune(me.key, poll.seq, LATER)).dropped == poll.seq


@on_both_stores
async def test_an_author_keeps_a_name_and_what_is_pinned(store: Store) -> None:
    alice = person("alice")
    alice.log.profile("Ally")
    first = alice.log.note("read this first")
    alice.log.pin(first)
    alice.log.profile("Alice")
    again = alice.log.pin(first)
    alice.notes(20)
    await keep(store, alice)
    done = await store.prune(alice.key, 20, LATER)
    assert done.dropped == 20 - 3  # the newest profile, the notice, and the last pin of it
    assert await store.profile(alice.hash) == ("Alice", "")
    assert await store.pins(alice.hash) == [first.id]
    assert await store.reactions(alice.hash, first.id, Kind.PIN) == [again.id]
    await add(store, alice.log)
    assert await spans(store, alice.log) == [(21, alice.log.entries[-1].seq)]
    alice.log.profile("Alicia")
    await add(store, alice.log)
    assert await store.prune_strays(0, 100) == (2, 1)
    assert await store.profile(alice.hash) == ("Alicia", "")


@on_both_stores
async def test_vouches_stay_and_what_a_stranger_says_does_not(store: Store) -> None:
    me, alice, bob = person("me"), person("alice"), person("bob")
    await own(store, me)
    alice.log.vouch(bob.hash)
    for someone in (alice, bob):
        someone.log.note(f"hello @{me.address}")
        someone.notes(5)
    await keep(store, alice)
    await store.put_identity(bob.identity)
    await add(store, bob.log)
    before = await store.news(9)
    assert len(before) == 2  # alice vouches for bob
    assert (await store.prune(alice.key, 6, LATER)).dropped == 4
    assert (await store.prune(bob.key, 6, LATER)).dropped == 5
    assert await store.news(9) == before
    await store.drop_follow(alice.hash)
    assert await store.prune_strays(0, 9) == (0, 3)
    assert await store.news(9) == []


@on_both_stores
async def test_what_stays_keeps_its_words_and_stays_hidden(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    kept, gone, hidden = (laptop.note(text) for text in ("kept", "gone", "hidden"))
    alice.log.edit(kept, "once more")
    alice.log.edit(kept, "kept, twice")
    alice.log.delete(hidden)
    own_note = alice.log.note("of this log")
    alice.log.edit(own_note, "edited")
    alice.notes(10)
    await keep(store, alice)
    await add(store, laptop)
    await store.put_bookmark(kept.id, LATER)
    done = await store.prune(alice.key, 10, LATER)
    assert done.dropped == 10 - 2  # the last edit, and the delete
    assert [row.text for row in await store.rows([kept.id, gone.id])] == ["kept, twice", "gone"]
    assert await store.rows([hidden.id]) == []
    await store.prune(laptop.key, 3, LATER)
    assert [row.text for row in await store.rows([kept.id, hidden.id])] == ["kept, twice"]
    assert await store.prune_strays(0, 100) == (3, 0)


async def taken_back_on_the_laptop(store: Store, *named: str) -> tuple[Log, Log, list[EntryId]]:
    """Bob's phone, of which the newest is held and whose history is still to come; and his laptop, on which he took
    these old notices of the phone back, held whole."""
    bob = person("bob")
    ids = [bob.log.note(text).id for text in named]
    bob.notes(150)
    laptop = bob.add_device("laptop")
    for number in range(len(named)):
        laptop.delete(bob.log.entries[number + 1])
    for number in range(80):
        laptop.note(f"on the laptop {number}")
    await store.put_identity(bob.identity)
    await store.put_follow(Follow(bob.hash, None, NOON))
    await add(store, laptop)
    await add(store, bob.log, 129)
    return bob.log, laptop, ids


@on_both_stores
async def test_a_delete_waits_for_a_notice_that_may_still_come(store: Store) -> None:
    phone, laptop, (secret,) = await taken_back_on_the_laptop(store, "a secret")
    assert (await store.prune(laptop.key, 64, LATER)).dropped == 63
    await add(store, phone, 1, 128)
    assert "a secret" not in await texts(store)
    assert await store.taken_back_by(phone.identity, secret) is not None
    assert await store.prune_strays(0, 100) == (1, 0)
    await store.prune(phone.key, 64, LATER)
    assert await store.prune_strays(0, 100) == (0, 1)  # it would not come any more


@on_both_stores
async def test_a_delete_waits_for_nothing_below_a_cut(store: Store) -> None:
    phone, laptop, _ = await taken_back_on_the_laptop(store, "a secret")
    await add(store, phone, 65, 128)
    await store.prune(phone.key, 128, LATER)
    assert (await store.prune(laptop.key, 64, LATER)).dropped == 64


@on_both_stores
async def test_few_deletes_of_a_log_wait(store: Store) -> None:
    """Whoever takes back what never comes, as often as he likes, has no more of it stay."""
    many = DELETES_WAITING_MAX + 20
    _, laptop, _ = await taken_back_on_the_laptop(store, *(f"secret {number}" for number in range(many)))
    assert (await store.prune(laptop.key, 11, LATER)).dropped == 1  # the entry that begins it
    assert (await store.prune(laptop.key, many + 1, LATER)).dropped == 20
    assert await store.prune_strays(0, 1_000) == (DELETES_WAITING_MAX, 0)


@on_both_stores
async def test_no_delete_of_a_stranger_waits(store: Store) -> None:
    """Anybody can have us take entries of ever new people: what never goes could fill the cap."""
    for number in range(3):
        mallory = person(f"mallory {number}")
        named = mallory.log.note("never sent")
        laptop = mallory.add_device("laptop")
        await store.put_stray(Located(mallory.hash, laptop.delete(named), ()), NOON)
    assert await store.prune_strays(0, 9) == (0, 3)


@on_both_stores
async def test_what_went_is_known_as_pruned(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    question = alice.log.note("question")
    alice.notes(20)
    answer = bob.log.note("answer", reply_to=question)
    liked = bob.log.like(alice.log.entries[5])
    await keep(store, alice, bob)
    assert not await store.was_pruned(question.id.hex())
    await store.prune(alice.key, 15, LATER)
    thread = await store.thread(answer.id)
    assert (thread.root, thread.missing, thread.pruned) == (question.id, 1, 1)
    assert await store.was_pruned(question.id.hex()) and await store.was_pruned(question.id.hex()[:7].upper())
    assert await store.was_pruned(alice.log.entries[5].id.hex())
    assert not await store.was_pruned(alice.log.entries[18].id.hex())
    assert not await store.was_pruned(EntryId(bytes(32)).hex())
    assert not await store.was_pruned(liked.id.hex())

    await store.put_stray(Located(alice.hash, question, ()), LATER)
    thread = await store.thread(answer.id)  # a person had it fetched again
    assert ([row.text for row in thread.notices], thread.missing, thread.pruned) == (["question", "answer"], 0, 0)
    assert await store.prune_strays(0, 9) == (0, 1)
    lacking = bob.log.note("to nobody", reply_to=person("carol").log.note("elsewhere"))
    await add(store, bob.log)
    thread = await store.thread(lacking.id)
    assert (thread.missing, thread.pruned) == (1, 0)


@on_both_stores
async def test_own_strays_stay(store: Store) -> None:
    me, alice = person("me"), person("alice")
    await own(store, me)
    for someone in (me, alice):
        entry = someone.log.note("a stray")
        await store.put_stray(Located(someone.hash, entry, ()), NOON)
    assert await store.prune_strays(0, 9) == (1, 1)
    assert [row.author for row in await store.rows([me.log.entries[1].id, alice.log.entries[1].id])] == [me.hash]


@on_both_stores
async def test_a_stray_that_was_all_that_kept_another_takes_it_along(store: Store) -> None:
    bob = person("bob")
    note = bob.log.note("taken back")
    delete = bob.log.delete(note)
    for number, entry in enumerate((note, delete)):
        await store.put_stray(Located(bob.hash, entry, ()), LATER + number)
    assert await store.prune_strays(0, 9) == (0, 2)


@on_both_stores
async def test_a_direct_message_among_strays_is_nothing_to_hold_on_to(store: Store) -> None:
    """It is listed nowhere, and so never tried."""
    alice, bob = person("alice"), person("bob")
    await own(store, alice)
    bob.log.dm("for somebody", alice, by=bob)
    await store.put_stray(Located(bob.hash, bob.log.entries[-1], ()), LATER)
    assert await store.prune_strays(0, 9) == (0, 1)
