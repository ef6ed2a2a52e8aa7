"""What every store must do with runs, gaps, forks and strays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores, texts

from p2pblog.config import RUN_BYTES_MAX, SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.forks import prove_fork
from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located, Span
from p2pblog.core.payload import LogStart
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, LocalProtocolError
from p2pblog.store import OWN_IDENTITY, Follow, Store, memory, sql_write


def span(*entries: Entry) -> Span:
    return Span(entries[0].seq, entries[-1].seq, entries[0].id, entries[0].prev, entries[-1].id)


@on_both_stores
async def test_runs_that_touch_become_one_span(store: Store) -> None:
    alice = person("alice")
    entries = [alice.log.entries[0], *alice.notes(9)]
    state = await add(store, alice.log, 3, 4)
    assert state.spans == (span(entries[2], entries[3]),)
    state = await add(store, alice.log, 7, 8)  # apart
    assert state.spans == (span(entries[2], entries[3]), span(entries[6], entries[7]))
    state = await add(store, alice.log, 9, 10)  # above
    assert state.spans == (span(entries[2], entries[3]), span(entries[6], entries[9]))
    state = await add(store, alice.log, 1, 2)  # below: backfill
    assert state.spans == (span(entries[0], entries[3]), span(entries[6], entries[9]))
    state = await add(store, alice.log, 4, 7)  # over the gap, overlapping both
    assert state.spans == (span(entries[0], entries[9]),)
    # each run brought a verified signature on its last entry, and it is kept
    signed = [entry.seq for entry in await store.run(alice.key, 1, 10, RUN_BYTES_MAX) if entry.signature]
    assert signed == [2, 4, 7, 8, 10]
    assert (await store.load()).logs == (state,)
    assert await store.entry_count() == 10


@on_both_stores
async def test_what_is_held_comes_back_byte_for_byte(store: Store) -> None:
    alice = person("alice")
    alice.notes(150)
    await add(store, alice.log)
    run = await store.run(alice.key, 1, 151, RUN_BYTES_MAX)
    assert tuple(run) == alice.log.run()
    assert check_run(encode_run(run)) == tuple(run)
    assert [entry.body for entry in run] == [entry.body for entry in alice.log.entries]


@on_both_stores
async def test_a_run_under_another_id_is_refused_and_leaves_no_trace(store: Store) -> None:
    alice = person("alice")
    alice.notes(5)
    other = alice.log.branch(3)
    other.note("another fourth")
    other.note("another fifth")
    other.note("another sixth")
    other.note("another seventh")
    before = await add(store, alice.log, 1, 5)
    bob = person("bob")
    for first, last in [(4, 4), (3, 5), (1, 7), (5, 6), (6, 7)]:  # (6, 7) links to another fifth
        with pytest.raises(BadChain):
            await store.append([Batch(bob.hash, bob.log.run()), Batch(alice.hash, other.run(first, last))], LATER)
    assert (await store.load()).logs == (before,)
    assert await store.locate(bob.log.entries[0].id) is None


@on_both_stores
async def test_an_own_entry_must_be_the_next_one(store: Store) -> None:
    alice = person("alice")
    entries = [alice.log.entries[0], *alice.notes(8)]
    await add(store, alice.log, 1, 4)
    await add(store, alice.log, 7, 8)  # what another writer of this log wrote, with a hole below
    for wrong in (entries[3], entries[4], entries[7]):
        with pytest.raises(BadChain):
            await store.append([Batch(alice.hash, (wrong,), newest=True)], NOON, durable=True)
    (state,) = await store.append([Batch(alice.hash, (entries[8],), newest=True)], NOON, durable=True)
    assert state.spans[-1].high == 9


@on_both_stores
async def test_a_backfill_must_link_to_the_span_above(store: Store) -> None:
    alice = person("alice")
    alice.notes(5)
    other = alice.log.branch(2)
    other.note("another third")
    before = await add(store, alice.log, 4, 5)
    with pytest.raises(BadChain):
        await add(store, other, 2, 3)
    assert (await store.load()).logs == (before,)
    with pytest.raises(BadChain):
        await store.append([Batch(person("bob").hash, alice.log.run(1, 3))], LATER)  # held as alice's


@on_both_stores
async def test_runs_that_contradict_each_other_in_one_call_are_refused(store: Store) -> None:
    alice = person("alice")
    alice.notes(2)
    other = alice.log.branch(2)
    other.note("another third")
    with pytest.raises(BadChain):
        await store.append([Batch(alice.hash, alice.log.run()), Batch(alice.hash, other.run(3, 3))], LATER)
    assert (await store.load()).logs == ()


@on_both_stores
async def test_several_runs_of_one_log_in_one_call(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(8)
    states = await store.append(
        [
            Batch(alice.hash, alice.log.run(5, 6)),
            Batch(bob.hash, bob.log.run()),
            Batch(alice.hash, alice.log.run(6, 9)),
        ],
        LATER,
    )
    assert [state.device for state in states] == [alice.key, bob.key, alice.key]
    assert states[0] == states[2]
    assert states[0].spans == (span(*alice.log.entries[4:9]),)


@on_both_stores
async def test_what_was_not_verified_is_our_own_bug(store: Store) -> None:
    alice = person("alice")
    alice.notes(3)
    unsigned = tuple(replace(entry, signature=None) for entry in alice.log.entries)
    for entries in (unsigned, (), (alice.log.entries[0], alice.log.entries[2])):
        with pytest.raises(LocalProtocolError):
            await store.append([Batch(alice.hash, entries)], LATER)
    with pytest.raises(LocalProtocolError):
        await store.put_stray(Located(alice.hash, unsigned[1], ()), LATER)


@on_both_stores
async def test_runs_end_on_a_signature_within_their_bounds(store: Store) -> None:
    alice = person("alice")
    alice.notes(299, "x" * 900)
    await add(store, alice.log)

    async def lengths(first: int, last: int, bytes_max: int = RUN_BYTES_MAX) -> tuple[int, int]:
        run = await store.run(alice.key, first, last, bytes_max)
        assert run[-1].signature is not None
        return run[0].seq, run[-1].seq

    assert await lengths(1, 1) == (1, 64)
    assert await lengths(5, 64) == (5, 64)
    assert await lengths(65, 66) == (65, 128)
    assert await lengths(200, 1_000) == (200, 300)
    assert await lengths(1, 300, bytes_max=130_000) == (1, 128)  # 128 notes of a good 900 bytes
    assert await lengths(1, 300, bytes_max=1) == (1, 64)  # the least that can be verified
    assert await store.run(alice.key, 301, 400, RUN_BYTES_MAX) == []
    assert await store.run(alice.key, 5, 4, RUN_BYTES_MAX) == []
    assert await store.run(person("bob").key, 1, 4, RUN_BYTES_MAX) == []


@on_both_stores
async def test_a_run_stops_where_what_is_held_stops(store: Store) -> None:
    alice = person("alice")
    alice.notes(99)
    await add(store, alice.log, 1, 10)
    await add(store, alice.log, 21, 30)
    assert [entry.seq for entry in await store.run(alice.key, 5, 100, RUN_BYTES_MAX)] == [5, 6, 7, 8, 9, 10]
    assert (await store.run(alice.key, 21, 25, RUN_BYTES_MAX))[0].prev == alice.log.entries[19].id
    assert await store.run(alice.key, 11, 30, RUN_BYTES_MAX) == []


@on_both_stores
async def test_a_missing_payload_is_named_until_it_comes(store: Store) -> None:
    alice = person("alice")
    alice.notes(3)
    run = tuple(entry.without_payload() if entry.seq in (2, 3) else entry for entry in alice.log.run())
    await keep(store, alice, person("bob"))
    await store.drop_log(alice.key)
    (state,) = await store.append([Batch(alice.hash, run)], LATER)
    assert state.missing == (2, 3)
    assert await texts(store) == ["note 3"]
    assert await store.run(alice.key, 1, 4, RUN_BYTES_MAX) == list(run)
    second = alice.log.entries[1].payload
    assert second is not None
    with pytest.raises(BadChain):
        await store.put_payloads(alice.key, [(2, second), (3, second)])
    assert await texts(store) == ["note 3"]
    state = await store.put_payloads(alice.key, [(2, second), (2, second), (4, b"held"), (9, b"not held")])
    assert state.missing == (3,)
    assert await texts(store) == ["note 3", "note 1"]
    state = await add(store, alice.log, 3, 4)  # a run that overlaps brings the other
    assert state.missing == ()
    assert await texts(store) == ["note 3", "note 2", "note 1"]
    assert tuple(await store.run(alice.key, 1, 4, RUN_BYTES_MAX)) == alice.log.run()
    with pytest.raises(BadChain):
        await store.put_payloads(person("carol").key, [(1, second)])
    await store.drop_log(alice.key)
    with pytest.raises(BadChain):
        await store.put_payloads(alice.key, [(2, second)])


@on_both_stores
async def test_a_fork_marks_the_log_and_hides_nothing(store: Store) -> None:
    alice = person("alice")
    alice.notes(3)
    other = alice.log.branch(3)
    other.note("the other history")
    proof = prove_fork(alice.log.entries, other.entries)
    await keep(store, alice)
    await store.freeze(proof)
    third = alice.log.branch(2)
    third.note("a third history")
    await store.freeze(prove_fork(alice.log.entries, third.entries))  # one proof is enough
    (log,) = (await store.load()).logs
    assert log.fork == proof
    assert await texts(store) == ["note 3", "note 2", "note 1"]
    await store.drop_log(alice.key)
    assert (await store.load()).logs == ()


@on_both_stores
async def test_a_proof_can_come_before_the_log_of_a_device_that_an_identity_names(store: Store) -> None:
    alice, mallory = person("alice"), person("mallory")
    alice.notes(1)
    other = alice.log.branch(1)
    other.note("the other history")
    proof = prove_fork(alice.log.entries, other.entries)
    await store.freeze(proof)  # nobody we know: nothing to mark
    assert (await store.load()).logs == ()
    await store.put_identity(alice.identity)
    await store.put_identity(mallory.identity)
    await store.freeze(proof)
    (log,) = (await store.load()).logs
    assert (log.device, log.identity, log.spans, log.fork) == (alice.key, alice.hash, (), proof)


@on_both_stores
async def test_a_log_can_be_forgotten_and_come_back(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("hello")
    alice.log.profile("Alice")
    bob.log.like(note)
    bob.log.note("hello alice", reply_to=note)
    await keep(store, alice, bob)
    await store.drop_log(alice.key)
    await store.drop_log(person("carol").key)
    assert await texts(store) == ["hello alice"]
    assert await store.profile(alice.hash) == (None, None)
    assert await store.find_ids(note.id.hex()) == []
    assert await store.locate(note.id) is None
    assert await store.entry_count() == len(bob.log.entries)
    thread = await store.thread(bob.log.entries[-1].id)
    assert (thread.root, thread.missing) == (note.id, 1)
    await add(store, alice.log)
    (row,) = await store.rows([note.id])
    assert (row.text, row.likes, row.name) == ("hello", 1, "Alice")


@on_both_stores
async def test_a_strangers_log_that_went_and_comes_again_is_a_new_one(store: Store) -> None:
    first, second = person("eve"), person("mallory")
    for someone in (first, second):
        someone.log.note(someone.name)
        await add(store, someone.log)
    await store.drop_log(first.key)
    await add(store, first.log)
    assert [bottom.device for bottom in await store.bottoms()] == [second.key, first.key]


# --- located and stray entries ----------------------------------------------------------------------------------------


@on_both_stores
async def test_an_entry_is_located_with_what_vouches_for_it(store: Store) -> None:
    alice = person("alice")
    alice.notes(5)
    await add(store, alice.log)
    fourth, last = alice.log.entries[3], alice.log.entries[5]
    located = await store.locate(fourth.id)
    assert located is not None
    assert located.identity == alice.hash
    assert located.entry == replace(fourth, signature=None)
    assert [entry.body for entry in located.chain] == [entry.body for entry in alice.log.entries[4:]]
    assert located.chain[-1].signature == last.signature
    assert await store.locate(last.id) == Located(alice.hash, last, ())
    assert await store.locate(person("bob").log.entries[0].id) is None


@on_both_stores
async def test_what_is_held_at_a_place_of_a_log_has_an_id(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(2)
    bob.notes(3)
    await add(store, alice.log)
    await store.put_stray(stray_of(bob.identity, bob.log.run(3)), LATER)
    assert [await store.id_at(alice.key, seq) for seq in (0, 1, 3, 4)] == [
        None, alice.log.entries[0].id, alice.log.entries[2].id, None,
    ]  # fmt: skip
    assert [await store.id_at(bob.key, seq) for seq in (2, 3, 4)] == [None, bob.log.entries[2].id, None]
    assert await store.id_at(person("carol").key, 1) is None


def stray_of(owner: Identity, entries: tuple[Entry, ...]) -> Located:
    return Located(owner.hash, entries[0], tuple(entry.without_payload() for entry in entries[1:]))


@on_both_stores
async def test_a_stray_shows_where_something_refers_to_it_and_in_no_timeline(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(3)
    boosted = alice.log.entries[2]
    bob.log.boost(boosted)
    reply = bob.log.note("well said", reply_to=boosted)
    await keep(store, bob)
    await store.put_follow(Follow(alice.hash))
    assert await texts(store) == ["well said", ""]
    assert await store.thread(reply.id) == await store.thread(boosted.id)
    assert (await store.thread(reply.id)).missing == 1
    stray = stray_of(alice.identity, alice.log.run(3))
    await store.put_stray(stray, LATER)
    await store.put_stray(stray, LATER + 1)
    assert await texts(store) == ["well said", "note 2"]
    assert await texts(store, alice) == []
    (row,) = await store.rows([boosted.id])
    assert (row.text, row.boosts, row.author) == ("note 2", 1, alice.hash)
    thread = await store.thread(reply.id)
    assert (thread.root, [found.text for found in thread.notices], thread.missing) == (
        boosted.id, ["note 2", "well said"], 0,
    )  # fmt: skip
    assert await store.locate(boosted.id) == stray
    assert await store.find_ids(boosted.id.hex()[:12]) == [boosted.id]
    assert await store.entry_count() == len(bob.log.entries)
    assert [log.device for log in (await store.load()).logs] == [bob.key]
    assert await store.run(alice.key, 3, 3, RUN_BYTES_MAX) == []


@on_both_stores
async def test_a_stray_gives_way_to_the_log_it_comes_from(store: Store) -> None:
    alice = person("alice")
    alice.notes(3)
    fork = alice.log.branch(2)
    fork.note("told only to you")
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash))
    await store.put_stray(stray_of(alice.identity, alice.log.run(4)), LATER)
    await store.put_stray(stray_of(alice.identity, fork.run(3)), LATER)
    await store.put_stray(stray_of(alice.identity, alice.log.run(3)), LATER)  # its number is taken: the first stays
    assert await store.locate(alice.log.entries[2].id) is None
    state = await add(store, alice.log)
    assert state.spans == (span(*alice.log.entries),)
    assert await texts(store) == ["note 3", "note 2", "note 1"]
    assert await store.locate(fork.entries[2].id) is None
    assert await store.rows([fork.entries[2].id]) == []
    await store.put_stray(stray_of(alice.identity, fork.run(3)), LATER)  # and what is held stays
    assert await store.locate(fork.entries[2].id) is None
    assert tuple(await store.run(alice.key, 1, 4, RUN_BYTES_MAX)) == alice.log.run()


@on_both_stores
async def test_a_stray_without_its_payload_is_not_missing_from_the_log(store: Store) -> None:
    alice = person("alice")
    note = alice.notes(5)[4]
    await store.put_identity(alice.identity)
    await store.put_stray(Located(alice.hash, note.without_payload(), ()), LATER)
    state = await add(store, alice.log, 1, 2)
    assert state.missing == ()
    assert await store.rows([note.id]) == []
    await store.put_stray(Located(alice.hash, note, ()), LATER)
    assert [row.text for row in await store.rows([note.id])] == ["note 5"]
    assert await store.locate(note.id) == Located(alice.hash, note, ())  # with the signature by which others take it


@on_both_stores
async def test_a_stray_of_nobody_we_keep_shows_until_its_identity_says_otherwise(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("hello")
    await store.put_stray(Located(alice.hash, note, ()), LATER)
    assert [row.text for row in await store.rows([note.id])] == ["hello"]
    await store.put_identity(alice.retire(alice.key, 1, alice.log.entries[0].id))
    assert await store.rows([note.id]) == []


@on_both_stores
async def test_a_stray_under_a_false_name_does_not_stand_in_the_way(store: Store) -> None:
    alice, mallory = person("alice"), person("mallory")
    note = alice.log.note("hello")
    await store.put_identity(mallory.identity)
    await store.put_stray(Located(mallory.hash, note, ()), LATER)
    assert await store.rows([note.id]) == []  # mallory names no such device
    await store.put_stray(Located(alice.hash, note, ()), LATER)
    assert [row.author for row in await store.rows([note.id])] == [alice.hash]
    await store.put_stray(Located(mallory.hash, note, ()), LATER)
    assert [row.author for row in await store.rows([note.id])] == [alice.hash]
    await keep(store, alice)
    assert await texts(store) == ["hello"]


@on_both_stores
async def test_strays_are_bounded_and_the_oldest_goes(store: Store) -> None:
    alice = person("alice")
    notes = alice.notes(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "STRAYS_MAX", 3)
        patch.setattr(sql_write, "STRAYS_MAX", 3)
        for age, note in enumerate(notes):
            await store.put_stray(Located(alice.hash, note, ()), LATER - age)  # seen earlier and earlier
    assert [row.text for row in await store.rows([note.id for note in notes])] == ["note 1", "note 2", "note 3"]


@on_both_stores
async def test_no_flood_of_strays_takes_what_a_person_holds_on_to(store: Store) -> None:
    me, alice = person("me"), person("alice")
    await store.put_setting(OWN_IDENTITY, me.hash)
    marked, answered, liked, other = alice.notes(4)
    me.log.note("yes", reply_to=answered)
    me.log.like(liked)
    await keep(store, me)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "STRAYS_MAX", 3)
        patch.setattr(sql_write, "STRAYS_MAX", 3)
        for age, note in enumerate([marked, answered, liked, other]):
            await store.put_bookmark(marked.id, NOON)
            await store.put_stray(Located(alice.hash, note, ()), NOON + age)
        flood = person("mallory").notes(9)
        for note in flood:
            await store.put_stray(Located(person("mallory").hash, note, ()), LATER)
    held = [note for note in (marked, answered, liked, other) if await store.locate(note.id) is not None]
    assert held == [marked, answered, liked]
    assert [row.id for row in await store.bookmarks(9)] == [marked.id]
    assert sum([await store.locate(note.id) is not None for note in flood]) == 3


# --- unknown things ---------------------------------------------------------------------------------------------------


@on_both_stores
async def test_an_unknown_payload_is_kept_and_passed_on(store: Store) -> None:
    alice = person("alice")
    for payload in (b"\xc1 no msgpack", b"", bytes(16_384), b"\x81\xa4type\xa4poll"):
        alice.log.write(payload)
    alice.log.write(LogStart(person("bob").hash))  # a log start in the middle means nothing
    await keep(store, alice)
    assert await texts(store) == []
    assert tuple(await store.run(alice.key, 1, SEQ_MAX, RUN_BYTES_MAX)) == alice.log.run()


@on_both_stores
async def test_text_comes_back_as_it_was_signed(store: Store) -> None:
    alice = person("alice")
    wild = ["\x1b[2J\x00\x07", "a\r\nb\u202e\u2066", "\U0010ffff\ud7ff", "' ; DROP TABLE entry; --", " \n", ""]
    for text in wild:
        alice.log.note(text)
    alice.log.profile("\x1b]0;x\x07", "\u202ebio")
    await keep(store, alice)
    assert await texts(store) == wild[::-1]
    assert await store.profile(alice.hash) == ("\x1b]0;x\x07", "\u202ebio")


@on_both_stores
async def test_ids_are_found_by_a_prefix(store: Store) -> None:
    alice = person("alice")
    alice.notes(60)
    await keep(store, alice)
    ids = sorted(entry.id for entry in alice.log.entries)
    assert await store.find_ids("") == ids[:2]
    for identifier in (ids[0], ids[30], ids[-1]):
        for digits in (6, 7, 16, 17, 33, 63, 64):
            assert await store.find_ids(identifier.hex()[:digits]) == [identifier]
            assert await store.find_ids(identifier.hex()[:digits].upper()) == [identifier]
        wrong = identifier.hex()[:40] + ("0" if identifier.hex()[40] != "0" else "1")
        assert await store.find_ids(wrong) == []
    shared = next(one.hex()[:1] for one, next_one in pairwise(ids) if one[0] >> 4 == next_one[0] >> 4)
    assert len(await store.find_ids(shared)) == 2
    for nonsense in ("xyz", "g" * 64, "0" * 65, "é"):
        assert await store.find_ids(nonsense) == []


@on_both_stores
async def test_ids_that_begin_alike_are_told_apart(store: Store) -> None:
    """Nobody can choose an id, but eight bytes of one can be ground: here they are simply set."""
    alice, bob = person("alice"), person("bob")
    one, other = alice.log.note("one"), bob.log.note("other")
    twin = replace(other, id=EntryId(one.id[:8] + other.id[8:]))
    await store.put_stray(Located(alice.hash, one, ()), LATER)
    assert await store.rows([twin.id]) == []
    assert await store.locate(twin.id) is None
    assert (await store.thread(twin.id)).root is None
    await store.put_stray(Located(bob.hash, twin, ()), LATER)
    assert [row.text for row in await store.rows([one.id, twin.id])] == ["one", "other"]
    assert await store.find_ids(one.id.hex()[:16]) == sorted([one.id, twin.id])
    for entry in (one, twin):
        assert await store.find_ids(entry.id.hex()) == [entry.id]
        assert [row.id for row in await store.rows([entry.id])] == [entry.id]
        assert (await store.thread(entry.id)).root == entry.id


@on_both_stores
async def test_times_do_not_fall_along_a_log(store: Store) -> None:
    alice = person("alice")
    for number, time_ms in enumerate([5, 3, 900, 4, 2**53 - 1, 7]):
        alice.log.note(f"note {number}", time_ms=NOON + time_ms if time_ms < 1_000 else time_ms)
    await keep(store, alice, now_ms=NOON + 600)
    assert await texts(store) == [f"note {number}" for number in (5, 4, 3, 2, 1, 0)]
