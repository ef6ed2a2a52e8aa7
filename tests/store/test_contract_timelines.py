"""What every store must answer to a person: timelines, conversations, counts, names."""

from __future__ import annotations

import pytest
from builders import NOON, key_pair, person
from store_kit import LATER, add, keep, on_both_stores, own, texts

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.identity import Identity, Policy, state_device, state_rotate
from p2pblog.core.keys import EntryId, NodeKey
from p2pblog.core.logs import Batch, Located
from p2pblog.core.timelines import Row
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, NotFound
from p2pblog.store import OWN_IDENTITY, Follow, FollowRow, KnownPeer, Store, TimelineQuery, memory_desk, sql_write

# --- timelines --------------------------------------------------------------------------------------------------------


@on_both_stores
async def test_home_shows_oneself_and_those_whom_one_follows(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    alice.log.note("from alice", time_ms=NOON + 1)
    bob.log.note("from bob", time_ms=NOON + 2)
    carol.log.note("from carol", time_ms=NOON + 3)
    for someone in (alice, bob, carol):
        await store.put_identity(someone.identity)
        await add(store, someone.log)
    assert await texts(store) == []
    await own(store, alice)
    await store.put_follow(Follow(bob.hash))
    assert await texts(store) == ["from bob", "from alice"]
    assert await texts(store, carol) == ["from carol"]
    assert await texts(store, carol, alice, carol) == ["from carol", "from alice"]
    await store.put_follow(Follow(carol.hash))
    assert await texts(store) == ["from carol", "from bob", "from alice"]
    await store.drop_follow(bob.hash)
    await store.drop_follow(alice.hash)  # oneself stays at home
    assert await texts(store) == ["from carol", "from alice"]
    await store.put_setting(OWN_IDENTITY, bob.hash)
    assert await texts(store) == ["from carol", "from bob"]
    await store.put_setting(OWN_IDENTITY, None)
    assert await texts(store) == ["from carol"]


@on_both_stores
async def test_a_timeline_is_paged_by_id(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    for number in range(10):
        (alice if number % 2 else bob).log.note(f"{number}", time_ms=NOON + 10 * number)
    await keep(store, alice, bob)
    ids, before = [], None
    while page := await store.timeline(TimelineQuery(3, before)):
        assert len(page) <= 3
        ids += [row.text for row in page]
        before = page[-1].id
    assert ids == [f"{number}" for number in range(9, -1, -1)]
    assert await texts(store, alice, before=bob.log.entries[-1].id) == ["7", "5", "3", "1"]
    assert await texts(store, limit=0) == []
    assert await texts(store, limit=-1) == []
    with pytest.raises(NotFound):
        await store.timeline(TimelineQuery(3, EntryId(bytes(32))))


@on_both_stores
async def test_a_page_goes_on_after_a_notice_that_was_deleted_meanwhile(store: Store) -> None:
    alice = person("alice")
    notes = alice.notes(4)
    await keep(store, alice)
    alice.log.delete(notes[2])
    await add(store, alice.log, 6)
    assert await texts(store, before=notes[2].id) == ["note 2", "note 1"]


@on_both_stores
async def test_notices_that_share_a_moment_have_one_order(store: Store) -> None:
    people = [person(name) for name in ("alice", "bob", "carol", "dave")]
    for someone in people:
        someone.log.note(someone.name, time_ms=NOON)
    await keep(store, *people)
    once = await texts(store)
    assert sorted(once) == ["alice", "bob", "carol", "dave"]
    rows = await store.timeline(TimelineQuery(4))
    assert await texts(store, before=rows[1].id) == once[2:]
    assert await texts(store, *people) == once


@on_both_stores
async def test_a_row_tells_all_that_a_page_shows(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    alice.log.profile("Alice")
    first = alice.log.note("first")
    reply = bob.log.note("second", reply_to=first)
    boost = carol.log.boost(first)
    carol.log.like(first)
    carol.log.like(first)  # once for each identity
    bob.log.like(first)
    await keep(store, alice, bob, carol)
    by_alice = Row(first.id, "note", alice.hash, "Alice", "first", first.time_ms, None, None, 2, 1)
    by_alice = replace(by_alice, place_ms=first.time_ms)
    by_bob = Row(reply.id, "note", bob.hash, None, "second", reply.time_ms, first.id, None, 0, 0)
    by_bob = replace(by_bob, place_ms=reply.time_ms, of_author=alice.hash)
    by_carol = Row(boost.id, "boost", carol.hash, None, "first", boost.time_ms, None, first.id, 2, 1)
    by_carol = replace(by_carol, place_ms=boost.time_ms, of_author=alice.hash)
    assert await store.rows([reply.id, first.id, boost.id]) == [by_bob, by_alice, by_carol]
    like = bob.log.entries[-1]
    assert await store.rows([like.id, EntryId(bytes(32)), first.id, first.id]) == [by_alice, by_alice]


@on_both_stores
async def test_times_from_the_future_and_the_past_do_not_jump_the_queue(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.log.note("a year ahead", time_ms=NOON + 365 * 86_400_000)
    bob.log.note("now", time_ms=NOON + 500)
    await keep(store, alice, now_ms=NOON + 100)
    await keep(store, bob, now_ms=NOON + 1_000)
    assert await texts(store) == ["now", "a year ahead"]
    row = (await store.timeline(TimelineQuery(2)))[1]
    assert row.time_ms == NOON + 365 * 86_400_000  # what it claims is shown as claimed


@on_both_stores
async def test_history_that_comes_later_stands_below(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(6)
    bob.log.note("bob", time_ms=NOON + 2_500)
    await keep(store, bob)
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash))
    await add(store, alice.log, 6, 7)
    await add(store, alice.log, 1, 5, now_ms=LATER + 50_000)
    assert await texts(store) == ["note 6", "note 5", "note 4", "note 3", "bob", "note 2", "note 1"]


# --- what an identity vouches for -------------------------------------------------------------------------------------


@on_both_stores
async def test_a_run_is_hidden_until_its_identity_is_kept(store: Store) -> None:
    alice = person("alice")
    alice.notes(2)
    await store.put_follow(Follow(alice.hash))
    await add(store, alice.log)
    assert await texts(store) == []
    await store.put_identity(Identity(alice.identity.inception))  # which names no device
    assert await texts(store) == []
    await store.put_identity(alice.identity)
    assert await texts(store) == ["note 2", "note 1"]


@on_both_stores
async def test_a_retirement_hides_what_lies_beyond_and_all_that_it_did(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    bobs = bob.log.note("of bob")
    good = alice.log.note("by alice")
    alice.log.profile("Alice")
    last = alice.log.entries[-1]
    alice.log.profile("Stolen")
    alice.log.note("by the thief")
    alice.log.delete(good)
    alice.log.like(bobs)
    alice.log.boost(bobs)
    evil = alice.log.note("evil", reply_to=bobs)
    await keep(store, bob, alice)
    assert await texts(store, alice) == ["evil", "of bob", "by the thief"]
    assert await store.profile(alice.hash) == ("Stolen", "")
    await store.put_identity(alice.retire(alice.key, last.seq, last.id))
    assert await texts(store, alice) == ["by alice"]
    assert await store.profile(alice.hash) == ("Alice", "")
    (row,) = await store.rows([bobs.id])
    assert (row.likes, row.boosts) == (0, 0)
    assert [found.text for found in (await store.thread(bobs.id)).notices] == ["of bob"]
    assert await store.rows([evil.id]) == []
    assert await store.find_ids(evil.id.hex()) == [evil.id]  # held all the same
    alice.log.note("more of it")
    await add(store, alice.log, 10)
    assert await texts(store, alice) == ["by alice"]


@on_both_stores
async def test_a_rotation_that_leaves_a_device_out_hides_its_log(store: Store) -> None:
    alice = person("alice")
    alice.notes(1)
    laptop = alice.add_device("laptop")
    laptop.note("from the laptop", time_ms=NOON + 50_000)
    await keep(store, alice)
    await add(store, laptop)
    assert await texts(store) == ["from the laptop", "note 1"]
    rotated = state_rotate(
        [alice.next_root], alice.hash, 1, Policy.of_one(alice.next_root.public), alice.next_root.public,
        Policy.of_one(key_pair("alice/root 2").public),
    )  # fmt: skip
    kept = state_device(alice.next_root, laptop.device, alice.hash, 1, 0)
    await store.put_identity(alice.identity.merge([rotated, kept]))
    assert await texts(store) == ["from the laptop"]
    back = state_device(alice.next_root, alice.device, alice.hash, 1, 1)
    await store.put_identity(alice.identity.merge([rotated, kept, back]))
    assert await texts(store) == ["from the laptop", "note 1"]


@on_both_stores
async def test_devices_of_one_identity_make_one_timeline(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    laptop = alice.add_device("laptop")
    hers = alice.log.note("from the phone", time_ms=NOON + 10)
    laptop.note("from the laptop", time_ms=NOON + 20)
    laptop.delete(hers)
    of_bob = bob.log.note("bob", time_ms=NOON + 30)
    alice.log.like(of_bob)
    laptop.like(of_bob)
    await keep(store, alice, bob)
    await add(store, laptop)
    assert await texts(store, alice) == ["from the laptop"]
    assert (await store.rows([of_bob.id]))[0].likes == 1
    assert (await store.follow_rows())[0].entries + (await store.follow_rows())[1].entries == await store.entry_count()


# --- deletes ----------------------------------------------------------------------------------------------------------


@on_both_stores
async def test_a_delete_hides_at_once_and_wherever_it_shows(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("oops")
    profile = alice.log.profile("Alcie")
    like = bob.log.like(note)
    boost = bob.log.boost(note)
    bob.log.note("what?", reply_to=note)
    await keep(store, alice, bob)
    alice.log.delete(note)
    alice.log.delete(profile)
    bob.log.delete(like)
    await add(store, alice.log, 4)
    await add(store, bob.log, 5)
    assert await texts(store) == ["what?", ""]
    (row,) = await store.rows([boost.id])
    assert (row.text, row.likes, row.boosts, row.boost_of) == ("", 0, 1, note.id)
    assert row.boosted is not None and (row.boosted.id, row.boosted.identity) == (note.id, alice.hash)
    assert await store.profile(alice.hash) == (None, None)
    thread = await store.thread(note.id)
    assert (thread.root, [found.text for found in thread.notices], thread.missing) == (note.id, ["what?"], 0)
    bob.log.delete(boost)
    await add(store, bob.log, 6)
    assert await texts(store) == ["what?"]


@on_both_stores
async def test_a_delete_can_come_before_what_it_deletes(store: Store) -> None:
    alice = person("alice")
    notes = alice.notes(3)
    alice.log.delete(notes[0], [notes[1]])
    await keep(store, person("bob"))
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash))
    await add(store, alice.log, 5, 5)
    await add(store, alice.log, 1, 4)
    assert await texts(store) == ["note 3"]


@on_both_stores
async def test_nobody_deletes_what_is_somebody_elses(store: Store) -> None:
    alice, mallory = person("alice"), person("mallory")
    note = alice.log.note("mine")
    mallory.log.delete(note, [note])
    await keep(store, mallory, alice)
    assert await texts(store) == ["mine"]
    assert await store.drop_retracted(LATER + 1) == 0


@on_both_stores
async def test_a_delete_and_the_first_entry_cannot_be_deleted(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("oops")
    delete = alice.log.delete(note)
    alice.log.delete(delete, [alice.log.entries[0]])
    await keep(store, alice)
    assert await texts(store) == []
    assert await store.drop_retracted(LATER + 1) == 1  # the note
    assert [entry.payload is None for entry in await store.run(alice.key, 1, 4, RUN_BYTES_MAX)] == [
        False, True, False, False,
    ]  # fmt: skip


@on_both_stores
async def test_retracted_bytes_go_and_are_not_asked_for_again(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note, like = alice.log.note("oops"), alice.log.like(bob.log.entries[0])
    alice.log.delete(note)
    alice.log.delete(like)
    reply = bob.log.note("what?", reply_to=note)
    await keep(store, alice, bob)
    assert await store.drop_retracted(LATER) == 0  # we saw the deletes at LATER, whatever they claim
    assert await store.drop_retracted(LATER + 1) == 2
    assert await store.drop_retracted(LATER + 1) == 0
    run = await store.run(alice.key, 1, 5, RUN_BYTES_MAX)
    assert [entry.body for entry in run] == [entry.body for entry in alice.log.entries]
    assert [entry.payload for entry in run if entry.payload is None] == [None, None]
    assert [log.missing for log in (await store.load()).logs] == [(), ()]
    assert note.payload is not None
    state = await store.put_payloads(alice.key, [(2, note.payload)])
    assert state.missing == ()
    assert (await add(store, alice.log)).missing == ()
    assert (await store.run(alice.key, 2, 2, RUN_BYTES_MAX))[0].payload is None
    thread = await store.thread(reply.id)
    assert (thread.root, [row.text for row in thread.notices], thread.missing) == (note.id, ["what?"], 0)


@on_both_stores
async def test_the_first_delete_that_we_saw_counts_for_the_bytes(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("oops")
    alice.log.delete(note)
    alice.log.delete(note)
    await store.put_identity(alice.identity)
    await add(store, alice.log, 1, 3, now_ms=LATER)
    await add(store, alice.log, 4, 4, now_ms=LATER + 100)
    assert await store.drop_retracted(LATER) == 0
    assert await store.drop_retracted(LATER + 1) == 1


@on_both_stores
async def test_what_a_thief_deleted_is_asked_for_again(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    laptop = alice.add_device("laptop")
    note = alice.log.note("dear")
    laptop.delete(note)
    boost = bob.log.boost(note)
    await keep(store, alice, bob)
    await add(store, laptop)
    await store.drop_retracted(LATER + 1)
    await store.put_identity(alice.retire(laptop.key, 1, laptop.entries[0].id))
    by_device = {log.device: log for log in (await store.load()).logs}
    assert by_device[alice.key].missing == (2,)
    assert await texts(store) == [""]
    assert note.payload is not None
    await store.put_payloads(alice.key, [(2, note.payload)])
    assert sorted(await texts(store)) == ["dear", "dear"]
    assert [row.text for row in await store.rows([boost.id])] == ["dear"]


@on_both_stores
async def test_a_log_that_is_forgotten_takes_its_deletes_along(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    note = alice.log.note("dear")
    laptop.delete(note)
    await keep(store, alice)
    await add(store, laptop)
    assert await texts(store) == []
    await store.drop_log(laptop.key)
    assert await texts(store) == ["dear"]
    assert await store.drop_retracted(LATER + 1) == 0
    await add(store, laptop)
    assert await texts(store) == []


@on_both_stores
async def test_a_retracted_gap_is_not_missing(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("oops")
    alice.log.delete(note)
    run = tuple(entry.without_payload() if entry.seq == 2 else entry for entry in alice.log.run())
    await store.put_identity(alice.identity)
    (state,) = await store.append([Batch(alice.hash, run)], LATER)
    assert state.missing == ()


@on_both_stores
async def test_a_delete_that_was_a_gap_takes_effect_when_it_comes(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("oops")
    delete = alice.log.delete(note)
    alice.log.note("better")
    run = tuple(entry.without_payload() if entry.seq == 3 else entry for entry in alice.log.run())
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash))
    await store.append([Batch(alice.hash, run)], LATER)
    assert await texts(store) == ["better", "oops"]
    assert delete.payload is not None
    await store.put_payloads(alice.key, [(3, delete.payload)])
    assert await texts(store) == ["better"]
    assert await store.drop_retracted(LATER) == 0  # seen when its body was
    assert await store.drop_retracted(LATER + 1) == 1


# --- boosts -----------------------------------------------------------------------------------------------------------


@on_both_stores
async def test_a_boost_reads_as_what_it_boosts_as_soon_as_that_is_held(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("listen")
    boost = bob.log.boost(note)
    again = bob.log.boost(boost)
    await own(store, bob)
    await store.put_identity(bob.identity)
    await add(store, bob.log)
    assert await texts(store) == ["", ""]
    await store.put_identity(alice.identity)
    await add(store, alice.log)
    assert await texts(store) == ["", "listen"]  # a boost of a boost has no text
    rows = await store.timeline(TimelineQuery(5))
    assert [(row.id, row.type) for row in rows] == [(again.id, "boost"), (boost.id, "boost")]


# --- conversations ----------------------------------------------------------------------------------------------------


@on_both_stores
async def test_a_thread_is_the_same_from_each_of_its_notices(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    root = alice.log.note("root", time_ms=NOON + 10)
    left = bob.log.note("left", reply_to=root, time_ms=NOON + 20)
    right = carol.log.note("right", reply_to=root, time_ms=NOON + 30)
    deep = alice.log.note("deep", reply_to=left, time_ms=NOON + 40)
    alice.log.note("elsewhere", time_ms=NOON + 45)
    deeper = carol.log.note("deeper", reply_to=deep, time_ms=NOON + 50)
    like, boost = bob.log.like(deep), bob.log.boost(deeper)
    await keep(store, alice, bob, carol)
    for start in (root, left, right, deep, deeper, like, boost):
        thread = await store.thread(start.id)
        assert thread.root == root.id
        assert [row.text for row in thread.notices] == ["root", "left", "right", "deep", "deeper"]
        assert thread.missing == 0
    single = await store.thread(alice.log.entries[3].id)
    assert [row.text for row in single.notices] == ["elsewhere"]


@on_both_stores
async def test_a_thread_names_the_parent_that_nobody_gave_us(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    root = alice.log.note("root")
    bob.log.note("one", reply_to=root)
    two = carol.log.note("two", reply_to=root)
    await keep(store, bob, carol)
    for start in (root, two):
        thread = await store.thread(start.id)
        assert (thread.root, thread.missing) == (root.id, 1)
        assert sorted(row.text for row in thread.notices) == ["one", "two"]
    gap = tuple(entry.without_payload() if entry.seq == 2 else entry for entry in alice.log.run())
    await store.put_identity(alice.identity)
    await store.append([Batch(alice.hash, gap)], LATER)
    assert (await store.thread(two.id)).missing == 1  # its body without its payload is no help
    await add(store, alice.log)
    assert (await store.thread(two.id)).missing == 0
    unknown = await store.thread(EntryId(bytes(32)))
    assert (unknown.root, unknown.notices, unknown.missing) == (None, (), 0)


@on_both_stores
async def test_a_thread_stays_whole_when_one_in_the_middle_is_deleted(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    root = alice.log.note("root")
    middle = bob.log.note("middle", reply_to=root)
    leaf = carol.log.note("leaf", reply_to=middle)
    bob.log.delete(middle)
    await keep(store, alice, bob, carol)
    for _ in range(2):
        for start in (root, middle, leaf):
            thread = await store.thread(start.id)
            assert (thread.root, [row.text for row in thread.notices], thread.missing) == (root.id, ["root", "leaf"], 0)
        await store.drop_retracted(LATER + 1)


@on_both_stores
async def test_a_reply_never_stands_above_what_it_answers(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    root = alice.log.note("root", time_ms=NOON + 5_000)
    bob.log.note("by a slow clock", reply_to=root, time_ms=NOON + 10)
    alice.log.note("later", reply_to=root, time_ms=NOON + 6_000)
    await keep(store, bob, alice)
    assert [row.text for row in (await store.thread(root.id)).notices] == ["root", "by a slow clock", "later"]


@on_both_stores
async def test_a_thread_is_bounded_and_holds_what_was_asked_for(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    root = alice.log.note("root")
    parent = root
    for number in range(12):
        parent = alice.log.note(f"{number}", reply_to=parent)
    for _ in range(20):
        bob.log.note("me too", reply_to=root)
    await keep(store, alice, bob)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("p2pblog.store.memory_read.THREAD_NOTICES_MAX", 15)
        patch.setattr("p2pblog.store.sql_read.THREAD_NOTICES_MAX", 15)
        thread = await store.thread(parent.id)
    told = [row.text for row in thread.notices]
    assert len(told) == 15
    assert told.count("me too") == 2
    assert "11" in told


# --- names, follows, peers, settings ----------------------------------------------------------------------------------


@on_both_stores
async def test_the_newest_profile_counts(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    alice.log.profile("Old", "bio")
    alice.log.note("hello")
    laptop.write(b"\x80", time_ms=NOON + 900_000)
    laptop.profile("New")
    await keep(store, alice)
    assert await store.profile(alice.hash) == ("Old", "bio")
    await add(store, laptop)
    assert await store.profile(alice.hash) == ("New", "")
    assert [row.name for row in await store.timeline(TimelineQuery(5))] == ["New"]
    assert await store.profile(person("bob").hash) == (None, None)


@on_both_stores
async def test_follows_tell_what_is_held(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.log.profile("Alice")
    note = alice.log.note("hello")
    alice.log.like(note)
    await store.put_follow(Follow(bob.hash, "bobby", NOON))
    await store.put_follow(Follow(alice.hash, None, NOON + 1))
    assert await store.follow_rows() == [
        FollowRow(bob.hash, None, "bobby", 0, None),
        FollowRow(alice.hash, None, None, 0, None),
    ]
    await store.put_identity(alice.identity)
    await add(store, alice.log)
    await store.put_follow(Follow(alice.hash, "al", NOON - 1))
    assert await store.follow_rows() == [
        FollowRow(alice.hash, "Alice", "al", 4, note.time_ms),
        FollowRow(bob.hash, None, "bobby", 0, None),
    ]
    for whose, row in zip((alice, bob), await store.follow_rows(), strict=True):
        assert await store.follow_rows([whose.hash, person("carol").hash]) == [row]
    assert (await store.load()).follows == (Follow(alice.hash, "al", NOON - 1), Follow(bob.hash, "bobby", NOON))
    await store.drop_follow(bob.hash)
    assert [row.identity for row in await store.follow_rows()] == [alice.hash]


@on_both_stores
async def test_peers_are_remembered_within_bounds(store: Store) -> None:
    node = NodeKey(key_pair("bob/node").public)
    first, second = KnownPeer("192.0.2.1:4711", None, 5, 0), KnownPeer("[2001:db8::1]:1", node, 6, 2)
    await store.put_peers([first, second])
    assert (await store.load()).peers == (first, second)
    renewed = KnownPeer(first.endpoint, node, 9, 1)
    await store.put_peers([renewed])
    assert (await store.load()).peers == (renewed, second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_desk, "KNOWN_PEERS_MAX", 2)
        patch.setattr(sql_write, "KNOWN_PEERS_MAX", 2)
        third = KnownPeer("192.0.2.3:4711", None, 7, 0)
        await store.put_peers([third])
    assert (await store.load()).peers == (renewed, third)  # the one seen longest ago went


@on_both_stores
async def test_settings_come_back_by_prefix(store: Store) -> None:
    await store.put_setting("dht/b", b"2")
    await store.put_setting("dht/a", b"1")
    await store.put_setting("dht0", b"\x00")
    await store.put_setting("e", b"")
    assert await store.settings("dht/") == {"dht/a": b"1", "dht/b": b"2"}
    assert await store.settings("x") == {}
    await store.put_setting("dht/a", b"new")
    await store.put_setting("dht/b", None)
    await store.put_setting("never was", None)
    assert (await store.load()).settings == {"dht/a": b"new", "dht0": b"\x00", "e": b""}


@on_both_stores
async def test_what_was_kept_is_loaded_in_one_order(store: Store) -> None:
    people = [person(name) for name in ("dave", "alice", "carol", "bob")]
    await keep(store, *people)
    loaded = await store.load()
    assert loaded.identities == tuple(sorted((p.identity for p in people), key=lambda identity: identity.hash))
    assert [log.device for log in loaded.logs] == sorted(p.key for p in people)
    assert all(isinstance(log.device, bytes) for log in loaded.logs)


@on_both_stores
async def test_a_device_that_two_identities_name_writes_for_the_one_whose_run_is_held(store: Store) -> None:
    alice, mallory = person("alice"), person("mallory")
    note = alice.log.note("mine")
    claim = state_device(mallory.root, alice.device, mallory.hash, 0, 7)  # alice's device agreed to both
    await store.put_identity(mallory.identity.merge([claim]))
    await store.put_stray(Located(mallory.hash, note, ()), LATER)
    await store.put_follow(Follow(alice.hash))
    await store.put_identity(alice.identity)
    await add(store, alice.log)
    assert await texts(store) == ["mine"]
    assert await texts(store, mallory) == []
    await store.put_identity(mallory.identity.merge([claim]))
    assert await texts(store) == ["mine"]
    with pytest.raises(BadChain):
        await store.append([Batch(mallory.hash, alice.log.run())], LATER)
