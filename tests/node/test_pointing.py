"""Scenes at the rendezvous machine's one door: when it publishes pointers to what our notices refer to."""

from __future__ import annotations

import pytest
from builders import NOON, key_pair, person, ref
from rendezvous_scenes import Desk, of, one
from trio.testing import trio_test

from p2pblog.config import NOTICE_LIFETIME_MS, POINTER_LIFETIME_MS, POINTERS_AT_ONCE, POINTING_TRIES_MAX, UNPOINTED_MAX
from p2pblog.core.groups import group_id
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Note
from p2pblog.core.value import replace
from p2pblog.dht.records import Pointer, decode, encode
from p2pblog.rendezvous import events as ev
from p2pblog.rendezvous import reader
from p2pblog.rendezvous.machine import COALESCE_S, RETRY_MAX_MS
from p2pblog.rendezvous.pointing import Pointing
from p2pblog.rendezvous.reader import keep_pointed, load_unpointed
from p2pblog.store.memory import MemoryStore

BOB = person("bob")
QUESTION = BOB.log.note("tea?")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def begin(desk: Desk) -> list[ev.Effect]:
    """The node starts, and its newest notices are published; gives what it wants then."""
    return published(desk, desk.open() + desk.sleep(0))


def published(desk: Desk, effects: list[ev.Effect]) -> list[ev.Effect]:
    load = one(effects, ev.LoadOwn)
    entries = tuple(entry for entry in desk.alice.log.entries if load.first <= entry.seq <= load.last)
    offered = one(desk.feed(ev.OwnLoaded(load.device, entries)), ev.PublishRecords)
    return desk.feed(ev.PublishedTo(offered.offering, (8,) * len(offered.records)))


def answer(desk: Desk, text: str = "tea!") -> EntryId:
    entry = desk.alice.log.note(text, reply_to=QUESTION)
    desk.hold(desk.alice)
    return entry.id


def pointers(effects: list[ev.Effect]) -> list[Pointer]:
    records = one(effects, ev.PublishRecords).records
    return [record for record in records if isinstance(record, Pointer)]


def take(desk: Desk, effects: list[ev.Effect], holders: int = 8) -> list[ev.Effect]:
    offered = one(effects, ev.PublishRecords)
    return desk.feed(ev.PublishedTo(offered.offering, (holders,) * len(offered.records)))


def test_an_answer_is_pointed_to_from_the_question_and_who_asked_once_it_is_published(desk: Desk) -> None:
    answer(desk)
    begun = begin(desk)
    assert [(p.target, p.author, p.device, p.seq) for p in pointers(begun)] == [
        (target, desk.alice.hash, desk.alice.key, 2) for target in (QUESTION.id, BOB.hash)
    ]
    for pointer in pointers(begun):
        assert pointer.expires_ms == NOON + POINTER_LIFETIME_MS
        assert decode(pointer.key, encode(pointer), NOON) == pointer
    assert take(desk, begun) == []
    assert desk.pointed == 2
    assert of(desk.sleep(600), ev.PublishRecords) == []


def test_a_group_points_to_a_notice_as_long_as_its_record_lives(desk: Desk) -> None:
    desk.now_ms = NOON + NOTICE_LIFETIME_MS
    for time_ms in (NOON, NOON + 1, desk.now_ms + 1):
        desk.alice.log.note("tea! !birds", reply_to=QUESTION, time_ms=time_ms)
    desk.hold(desk.alice)
    told = [(p.seq, p.target == group_id("birds"), p.expires_ms - desk.now_ms) for p in pointers(begin(desk))]
    assert [(seq, lives) for seq, is_group, lives in told if is_group] == [(3, 1), (4, NOTICE_LIFETIME_MS + 1)]
    assert [(seq, lives) for seq, is_group, lives in told if not is_group] == [
        (seq, POINTER_LIFETIME_MS) for seq in (2, 2, 3, 3, 4, 4)
    ]


def test_each_answer_is_pointed_to_once_and_what_answers_nothing_never(desk: Desk) -> None:
    assert begin(desk) == []
    answer(desk)
    take(desk, published(desk, desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S)))
    desk.alice.log.note("something else")
    answer(desk, "more tea!")
    later = published(desk, desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S))
    assert {pointer.seq for pointer in pointers(later)} == {4}
    take(desk, later)
    answer(desk, "the last tea")
    desk.alice.log.note("good night")
    desk.hold(desk.alice)
    last = published(desk, desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S))
    assert {pointer.seq for pointer in pointers(last)} == {5}
    take(desk, last)
    again = Desk()
    again.alice.log.entries, again.pointed = desk.alice.log.entries, desk.pointed
    again.hold(again.alice)
    assert begin(again) == []  # the next start begins where this one ended


def test_what_was_written_while_nobody_was_met_is_made_up_for(desk: Desk) -> None:
    desk.feed(ev.Started())
    desk.feed(ev.OwnLogCompared())
    answer(desk)
    desk.feed(ev.StoredOf(desk.alice.hash))
    assert desk.sleep(3 * 24 * 3600) == []
    met = desk.feed(ev.Met(3)) + desk.feed(ev.Found(ev.Heads(desk.alice.hash), ())) + desk.sleep(0)
    assert len(pointers(published(desk, met))) == 2


def test_what_is_deleted_old_or_brought_from_elsewhere_has_no_pointer(desk: Desk) -> None:
    desk.now_ms = NOON + 2_000 + POINTER_LIFETIME_MS
    log = desk.alice.log
    log.note("old", reply_to=QUESTION, time_ms=NOON + 2_000)
    log.write(Note("imported", ref(QUESTION), imported_ms=NOON), desk.now_ms)
    desk.unreadable.add(log.note("regretted", reply_to=QUESTION, time_ms=desk.now_ms).id)
    log.entries.append(replace(log.note("lost", reply_to=QUESTION, time_ms=desk.now_ms)).without_payload())
    del log.entries[-2]
    log.note("kept", reply_to=QUESTION, time_ms=desk.now_ms)
    desk.hold(desk.alice)
    assert {pointer.seq for pointer in pointers(begin(desk))} == {6}


@pytest.mark.parametrize(("count", "first"), [(UNPOINTED_MAX - 1, 2), (UNPOINTED_MAX, 2), (UNPOINTED_MAX + 1, 3)])
def test_many_go_in_parts_the_newest_of_all(desk: Desk, count: int, first: int) -> None:
    for number in range(count):
        desk.alice.log.note(f"{number}", reply_to=QUESTION, time_ms=NOON)
    desk.hold(desk.alice)
    effects, told = begin(desk), list[Pointer]()
    while effects:
        assert len(pointers(effects)) <= POINTERS_AT_ONCE
        told += pointers(effects)
        effects = take(desk, effects)
    assert len(told) == 2 * min(count, UNPOINTED_MAX)
    assert min(pointer.seq for pointer in told) == first
    assert desk.pointed == count + 1


def test_what_nobody_takes_is_offered_ever_later_and_not_for_ever(desk: Desk) -> None:
    answer(desk)
    effects, waits = begin(desk), list[int]()
    for _ in range(POINTING_TRIES_MAX - 1):
        assert take(desk, effects, holders=0) == []
        begun = desk.now
        while not (effects := of(desk.sleep(1), ev.PublishRecords)):  # type: ignore[assignment]
            assert desk.now - begun < RETRY_MAX_MS / 1000 + 60
        waits.append(round(desk.now - begun))
    assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600], abs=31)
    assert take(desk, effects, holders=0) == []
    assert desk.pointed == 2
    answer(desk)
    news = published(desk, desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S))
    assert {pointer.seq for pointer in pointers(news)} == {3}


def test_a_clock_that_is_put_back_keeps_nobody_silent_until_it_has_caught_up(desk: Desk) -> None:
    answer(desk)
    assert take(desk, begin(desk), holders=0) == []
    desk.now_ms -= RETRY_MAX_MS + 60_000
    assert len(pointers(published(desk, desk.sleep(60)))) == 2


def test_a_log_that_is_left_while_it_is_read_is_not_pointed_into_by_the_next_device(desk: Desk) -> None:
    written = answer(desk)
    pointing = Pointing(desk.holdings, lambda: desk.device)
    (load,) = pointing.go_on(NOON)
    assert isinstance(load, ev.LoadUnpointed)
    desk.device = key_pair("alice/another")
    loaded = ev.Unpointed(load.device, load.last, tuple(desk.alice.log.entries), frozenset([written]))
    assert pointing.on_loaded(loaded, NOON) == [] and not pointing.is_busy


def test_one_that_is_taken_is_enough_for_shelves_may_be_full(desk: Desk) -> None:
    answer(desk)
    offered = one(begin(desk), ev.PublishRecords)
    assert desk.feed(ev.PublishedTo(offered.offering, (0, 1))) == []
    assert desk.pointed == 2
    assert of(desk.sleep(7200), ev.PublishRecords) == []


def test_those_of_which_nobody_says_anything_are_offered_again_and_others_are_not(desk: Desk) -> None:
    """In a small network the holders heard so much of a week's answers that they dropped most, and that was that."""
    for number in range(3):
        answer(desk, f"tea {number}")
    offered = one(begin(desk), ev.PublishRecords)
    assert desk.feed(ev.PublishedTo(offered.offering, (8, 0, 0, 0, 8, 8), frozenset({1, 3}))) == []
    assert desk.pointed == 0
    again = desk.sleep(61)
    first = [(p.seq, p.target) for p in offered.records if isinstance(p, Pointer)]
    assert [(p.seq, p.target) for p in pointers(again)] == [first[1], first[3]]
    assert desk.feed(ev.PublishedTo(one(again, ev.PublishRecords).offering, (8, 0), frozenset({1}))) == []
    last = desk.sleep(151)
    assert [(p.seq, p.target) for p in pointers(last)] == [first[3]]
    take(desk, last)
    assert desk.pointed == 4
    assert of(desk.sleep(7200), ev.PublishRecords) == []


def test_a_failing_store_is_asked_again(desk: Desk) -> None:
    answer(desk)
    desk.is_broken = True
    assert begin(desk) == []
    desk.is_broken = False
    assert of(desk.sleep(29), ev.PublishRecords) == []
    assert len(pointers(desk.sleep(61))) == 2


def test_what_points_nowhere_costs_no_look_into_the_store(desk: Desk) -> None:
    desk.alice.notes(3)
    desk.hold(desk.alice)
    assert begin(desk) == [] and desk.looks == 0
    desk.alice.log.note("more")
    answer(desk)
    desk.alice.log.note("and more")
    desk.hold(desk.alice)
    later = published(desk, desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S))
    assert desk.looks == 1 and {pointer.seq for pointer in pointers(later)} == {6}
    take(desk, later)
    again = Desk()
    again.alice.log.entries, again.pointed = desk.alice.log.entries, desk.pointed
    again.alice.notes(9)
    again.hold(again.alice)
    assert begin(again) == [] and again.looks == 1  # more than it publishes, so it looks once


@trio_test
async def test_the_store_is_read_from_where_the_last_start_ended_of_this_log(monkeypatch: pytest.MonkeyPatch) -> None:
    store, alice = MemoryStore(), person("alice")
    alice.notes(5)
    await store.put_identity(alice.identity)
    await store.append([Batch(alice.hash, alice.log.run())], NOON)

    async def read(last: int, done: int = 0) -> list[int]:
        loaded = await load_unpointed(store, ev.LoadUnpointed(alice.key, done, last))
        assert loaded.entries is not None
        return [entry.seq for entry in loaded.entries]

    await keep_pointed(store, ev.KeepPointed(BOB.key, 4))  # of the log that was written before
    assert await read(6) == [1, 2, 3, 4, 5, 6] and await read(3) == [1, 2, 3]
    await keep_pointed(store, ev.KeepPointed(alice.key, 2))
    assert await read(4) == [3, 4] and await read(4, done=3) == [4] and await read(2) == []
    monkeypatch.setattr(reader, "UNPOINTED_MAX", 3)
    assert await read(6) == [4, 5, 6]
