"""Scenes at the rendezvous machine's one door: when it publishes its log, and announces what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from builders import NOON, Person, person
from rendezvous_scenes import HOME, Desk, crowd, head_of, looked_for, of, one, own_key, take_replica

from p2pblog.config import NOTICE_LIFETIME_MS, RECORD_SKEW_MS, REPLICA_LIFETIME_MS, REPLICAS_WANTED
from p2pblog.core.address import Endpoint
from p2pblog.core.logs import LogState, Span
from p2pblog.dht.records import (
    Dropped,
    Head,
    Notice,
    Replica,
    replica_key,
    sign_replica,
)
from p2pblog.gossip.events import Candidates
from p2pblog.rendezvous import events as ev
from p2pblog.rendezvous.machine import (
    AGAIN_MS,
    COALESCE_S,
    FIRST_MAX,
    LOOK_EVERY_S,
    NOTICES_MAX,
    RETRY_MAX_MS,
)
from p2pblog.rendezvous.own_log import DROPPED_AGAIN_MS, DROPS_AT_ONCE
from p2pblog.rendezvous.pacing import ANNOUNCED_PER_S, FILLED_S, FILLING_MAX_S
from p2pblog.rendezvous.searching import WORKERS_MAX

HOUR_MS = 3600 * 1000


@pytest.fixture
def desk() -> Iterator[Desk]:
    yield Desk()


# --- our own log ------------------------------------------------------------------------------------------------------


def test_nothing_is_published_before_the_log_was_compared_with_the_dht_and_with_peers(desk: Desk) -> None:
    asked = ev.FindRecords(ev.Heads(desk.alice.hash), own_key())
    assert desk.feed(ev.Started()) == desk.sleep(60) == []
    met = desk.feed(ev.Met(1))
    assert asked in met and not of(met, ev.LoadOwn)
    assert desk.feed(ev.OwnLogCompared()) == desk.feed(ev.StoredOf(desk.alice.hash)) == desk.sleep(60) == []
    other = Desk()
    other.feed(ev.Started())
    other.feed(ev.Met(1))
    other.feed(ev.Found(asked.query, ()))
    assert of(other.sleep(60), ev.LoadOwn) == []  # answered, but not compared
    head = head_of(desk.alice)
    answered = desk.feed(ev.Found(asked.query, (head,)))
    assert answered[0] == ev.OwnHeads((head,))
    assert not of(answered, ev.LoadOwn)  # the author hears of the heads first
    assert of(desk.sleep(0), ev.LoadOwn) == [ev.LoadOwn(desk.alice.key, 1, 1, desk.now_ms - NOTICE_LIFETIME_MS)]


def test_news_are_coalesced_over_ten_seconds(desk: Desk) -> None:
    first = desk.publish(desk.open() + desk.sleep(0))
    assert [type(record) for record in first] == [Head, Notice]
    desk.alice.notes(3)
    desk.hold(desk.alice)
    for _ in range(3):
        assert of(desk.feed(ev.StoredOf(desk.alice.hash)), ev.LoadOwn) == []
    assert of(desk.sleep(COALESCE_S - 0.1), ev.LoadOwn) == []
    (head, *notices) = desk.publish(desk.sleep(0.2))
    assert isinstance(head, Head) and head.seq == 4 and len(notices) == 4
    assert of(desk.sleep(60), ev.LoadOwn) == []
    assert of(desk.feed(ev.StoredOf(desk.alice.hash)), ev.LoadOwn)  # long after the last, at once


def test_news_while_a_publish_is_under_way_are_not_forgotten(desk: Desk) -> None:
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    offered = one(desk.feed(ev.OwnLoaded(load.device, tuple(desk.alice.log.entries))), ev.PublishRecords)
    desk.sleep(2 * COALESCE_S)
    assert of(desk.feed(ev.StoredOf(desk.alice.hash)), ev.LoadOwn) == []
    assert of(desk.feed(ev.PublishedTo(offered.offering, (8, 0))), ev.LoadOwn)  # though one was refused


def test_only_the_newest_fresh_and_readable_are_offered_and_drops_of_the_rest(desk: Desk) -> None:
    desk.now_ms = NOON + NOTICE_LIFETIME_MS
    log = desk.alice.log
    log.note("two days old", time_ms=NOON)
    *_, hidden, regretted, kept = (log.note(f"notice {number}", time_ms=desk.now_ms) for number in range(NOTICES_MAX))
    log.delete(regretted)
    desk.hold(desk.alice)
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    assert (load.first, load.last) == (4, 3 + NOTICES_MAX)
    loaded = (log.entries[1], *log.entries[load.first - 1 :])
    shown = frozenset(entry.id for entry in loaded if entry not in (hidden, regretted))
    gone = (regretted.seq,)
    records = one(desk.feed(ev.OwnLoaded(load.device, loaded, shown, gone)), ev.PublishRecords).records
    offered = [record.entry.seq for record in records if isinstance(record, Notice)]
    assert offered == [*range(4, hidden.seq), kept.seq, kept.seq + 1]
    assert [record.seq for record in records if isinstance(record, Dropped)] == [regretted.seq]


def offer_own(desk: Desk, effects: Iterable[ev.Effect], *gone: int) -> tuple[list[int], list[int]]:
    """Of which entries notices are offered, and of which drops, where these were taken back; all are taken."""
    load = one(list(effects), ev.LoadOwn)
    loaded = tuple(desk.alice.log.entries[load.first - 1 : load.last])
    shown = frozenset(entry.id for entry in loaded)
    offered = one(desk.feed(ev.OwnLoaded(load.device, loaded, shown, gone)), ev.PublishRecords)
    desk.feed(ev.PublishedTo(offered.offering, (8,) * len(offered.records)))
    notices = [record.entry.seq for record in offered.records if isinstance(record, Notice)]
    return notices, sorted(record.seq for record in offered.records if isinstance(record, Dropped))


def news(desk: Desk) -> list[ev.Effect]:
    """Alice writes once more, and her log is due again."""
    desk.alice.log.note("news", time_ms=desk.now_ms)
    desk.hold(desk.alice)
    return desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S)


def test_what_was_taken_back_is_dropped_however_much_was_written_since(desk: Desk) -> None:
    desk.alice.notes(NOTICES_MAX + 6)
    desk.hold(desk.alice)
    begun = desk.open() + desk.sleep(0)
    assert one(begun, ev.LoadOwn).first == 8
    assert offer_own(desk, begun, 2, 3, 9) == ([8, *range(10, NOTICES_MAX + 8)], [2, 3, 9])


def test_a_drop_that_was_taken_does_not_come_with_each_notice(desk: Desk) -> None:
    assert offer_own(desk, desk.open() + desk.sleep(0), 2)[1] == [2]
    assert offer_own(desk, news(desk), 2, 3)[1] == [3]
    assert offer_own(desk, news(desk), 2, 3)[1] == []
    desk.sleep(DROPPED_AGAIN_MS / 1000)
    assert offer_own(desk, news(desk), 2, 3)[1] == [2, 3]
    desk.now_ms -= 24 * HOUR_MS  # a clock put back believes nothing
    assert offer_own(desk, news(desk), 2, 3)[1] == [2, 3]


def test_many_drops_are_published_a_part_at_a_time(desk: Desk) -> None:
    gone = tuple(range(2, 2 * DROPS_AT_ONCE + 4))
    _, first = offer_own(desk, desk.open() + desk.sleep(0), *gone)
    _, second = offer_own(desk, desk.sleep(COALESCE_S), *gone)
    _, third = offer_own(desk, desk.sleep(COALESCE_S), *gone)
    assert [len(first), len(second), len(third)] == [DROPS_AT_ONCE, DROPS_AT_ONCE, 2]
    assert sorted(first + second + third) == list(gone)
    assert of(desk.sleep(10 * COALESCE_S), ev.LoadOwn) == []


def test_drops_that_nobody_takes_keep_no_others_back(desk: Desk) -> None:
    gone = tuple(range(2, DROPS_AT_ONCE + 4))
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    offered = one(desk.feed(ev.OwnLoaded(load.device, (), frozenset(), gone)), ev.PublishRecords)
    desk.feed(ev.PublishedTo(offered.offering, tuple(8 * isinstance(each, Head) for each in offered.records)))
    refused = {record.seq for record in offered.records if isinstance(record, Dropped)}
    _, others = offer_own(desk, desk.sleep(61), *gone)
    assert set(gone) - refused < set(others)
    _, rest = offer_own(desk, desk.sleep(COALESCE_S), *gone)
    assert set(others) | set(rest) == set(gone)


@pytest.mark.parametrize(("ahead_ms", "offered"), [(RECORD_SKEW_MS, True), (RECORD_SKEW_MS + 1, False)])
def test_a_notice_from_a_clock_that_ran_ahead_waits(desk: Desk, ahead_ms: int, offered: bool) -> None:
    log = desk.alice.log
    early = log.note("tomorrow's news", time_ms=desk.now_ms + ahead_ms)
    desk.hold(desk.alice)
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    loaded = tuple(log.entries[load.first - 1 :])
    shown = frozenset(entry.id for entry in loaded)
    records = one(desk.feed(ev.OwnLoaded(load.device, loaded, shown)), ev.PublishRecords).records
    assert (early in [record.entry for record in records if isinstance(record, Notice)]) == offered


def test_what_nobody_takes_is_offered_ever_later(desk: Desk) -> None:
    desk.publish(desk.open() + desk.sleep(0), holders=0)
    waits = []
    for _ in range(8):
        begun = desk.now
        while not (due := of(desk.sleep(1), ev.LoadOwn)):
            assert desk.now - begun <= RETRY_MAX_MS / 1000 + 1
        waits.append(round(desk.now - begun))
        desk.publish(due, holders=0)
    assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600], abs=2)
    desk.publish(desk.sleep(RETRY_MAX_MS / 1000))
    assert of(desk.sleep(AGAIN_MS / 1000 - 60), ev.LoadOwn) == []
    desk.publish(desk.sleep(61), holders=0)
    assert of(desk.sleep(61), ev.LoadOwn)  # a minute once more, as after any success


@pytest.mark.parametrize("hours", [2, 8])
def test_what_nobody_took_while_our_clock_ran_ahead_is_offered_once_it_is_put_right(hours: int) -> None:
    """All holders refused it for its times; the clock would not have caught up before the end of the day."""
    desk = Desk("bob")
    desk.hold(person("bob"))
    desk.now_ms += hours * HOUR_MS
    desk.in_vain(desk.open())
    for _ in range(180):
        desk.in_vain(desk.sleep(1))
    desk.now_ms -= hours * HOUR_MS
    again = desk.sleep(300)
    assert of(again, ev.LoadOwn)
    for identity in (desk.alice.hash, person("bob").hash):
        assert ev.FindRecords(ev.Crowd(identity), replica_key(identity)) in again


def test_what_was_in_vain_while_we_were_cut_off_is_tried_on_meeting_somebody() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.holdings.learn(bob.identity)
    desk.in_vain(desk.open())
    for _ in range(920):
        desk.in_vain(desk.sleep(1))
    # All three are minutes away from being tried again.
    assert desk.feed(ev.Met(0)) == []
    assert desk.sleep(2 * COALESCE_S) == []
    again = desk.feed(ev.Met(2))
    assert of(again, ev.LoadOwn) and looked_for(again) == [bob.hash]
    assert ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash)) in again


def test_nothing_begins_while_the_dht_is_out_of_reach(desk: Desk) -> None:
    desk.publish(desk.open() + desk.sleep(0))
    take_replica(desk)
    desk.feed(ev.Met(0))
    assert desk.feed(ev.StoredOf(desk.alice.hash)) == desk.sleep(AGAIN_MS / 1000 + 60) == []


def test_a_failing_store_is_asked_again(desk: Desk) -> None:
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    assert desk.feed(ev.OwnLoaded(load.device, None)) == []
    assert of(desk.sleep(59), ev.LoadOwn) == []
    assert of(desk.sleep(2), ev.LoadOwn)


def test_a_log_that_is_left_while_it_is_read_is_not_published(desk: Desk) -> None:
    load = one(desk.open() + desk.sleep(0), ev.LoadOwn)
    log = desk.alice.add_device("phone")
    desk.device = log.device
    desk.holdings.learn(desk.alice.identity)
    desk.holdings.take(LogState(log.key, desk.alice.hash, (Span(1, 1, log.entries[0].id, None, log.entries[0].id),)))
    assert desk.feed(ev.OwnLoaded(load.device, tuple(desk.alice.log.entries))) == []
    again = one(desk.sleep(COALESCE_S + 1), ev.LoadOwn)
    assert (again.device, again.first, again.last) == (log.key, 1, 1)


def test_a_laptop_that_slept_publishes_anew_soon_after_it_woke(desk: Desk) -> None:
    desk.publish(desk.open() + desk.sleep(0))
    take_replica(desk)
    desk.sleep(40)
    desk.now_ms += 23 * HOUR_MS  # the lid was closed: only the wall clock went on
    again = desk.sleep(LOOK_EVERY_S)
    assert of(again, ev.LoadOwn) and ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash)) in again


def test_a_wall_clock_put_back_by_a_year_does_not_silence_the_node(desk: Desk) -> None:
    desk.publish(desk.open() + desk.sleep(0))
    desk.now_ms -= 365 * 24 * HOUR_MS
    assert of(desk.sleep(LOOK_EVERY_S), ev.LoadOwn)


def test_a_quiet_node_wakes_twice_a_minute(desk: Desk) -> None:
    begun = desk.open() + desk.sleep(0)
    assert [find.query for find in of(begun, ev.FindRecords)] == [ev.Crowd(desk.alice.hash)]
    desk.publish(begun)
    take_replica(desk)
    before = desk.alarms
    assert desk.sleep(3600) == []
    assert desk.machine.handle(ev.Woken(), desk.now, desk.now_ms) == []  # an alarm that was asked for long ago
    assert desk.alarms - before <= 3600 / LOOK_EVERY_S + 2


# --- what we hold -----------------------------------------------------------------------------------------------------


def announce(desk: Desk, whom: Person) -> None:
    """The machine has asked how many replicas there are; nobody takes its own."""
    published = desk.feed(ev.Found(ev.Crowd(whom.hash), ()))
    record = sign_replica(desk.node, whom.hash, HOME, desk.now_ms + REPLICA_LIFETIME_MS)
    assert published == [ev.PublishRecords(ev.OwnReplica(whom.hash), (record,))]
    assert of(desk.feed(ev.PublishedTo(ev.OwnReplica(whom.hash), (0,))), ev.PublishRecords) == []


def test_a_replica_that_all_refuse_is_offered_ever_later(desk: Desk) -> None:
    assert ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash)) in desk.open()
    announce(desk, desk.alice)
    offered_at = [desk.now]
    while len(offered_at) < 9:
        if [find for find in of(desk.sleep(1), ev.FindRecords) if isinstance(find.query, ev.Crowd)]:
            offered_at.append(desk.now)
            announce(desk, desk.alice)
    waits = [later - before for before, later in pairwise(offered_at)]
    assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600], abs=2)


def test_that_the_dht_is_still_there_hastens_no_record_that_all_refuse(desk: Desk) -> None:
    asked = ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash))
    desk.open()
    announce(desk, desk.alice)
    for _ in range(50):
        assert asked not in desk.sleep(1) + desk.feed(ev.Met(4))
    assert asked in desk.sleep(20)


def test_who_has_written_nothing_publishes_nothing() -> None:
    desk = Desk()
    del desk.holdings.logs[desk.alice.key]
    assert of(desk.open(), ev.LoadOwn) == []
    desk.hold(desk.alice)
    assert of(desk.feed(ev.StoredOf(desk.alice.hash)) + desk.sleep(COALESCE_S), ev.LoadOwn)


def test_a_followed_feed_is_announced_once_it_is_held_unless_there_are_enough() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    asked = ev.FindRecords(ev.Crowd(bob.hash), replica_key(bob.hash))
    assert asked not in desk.open()
    desk.hold(bob)
    assert desk.feed(ev.StoredOf(bob.hash)) == []
    assert desk.sleep(FILLED_S) == [asked]
    assert desk.feed(ev.StoredOf(bob.hash)) == []
    enough = crowd(bob, *(f"replica {number}" for number in range(REPLICAS_WANTED)))
    assert desk.feed(ev.Found(asked.query, enough)) == []
    assert asked not in desk.sleep(AGAIN_MS / 1000 - 60)
    assert asked in desk.sleep(120)
    assert one(desk.feed(ev.Found(asked.query, enough[1:])), ev.PublishRecords)


def test_of_many_who_announced_together_each_makes_up_for_those_who_end_before_its_next_turn() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    desk.hold(bob)
    asked = ev.FindRecords(ev.Crowd(bob.hash), replica_key(bob.hash))
    ours = sign_replica(desk.node, bob.hash, HOME, desk.now_ms + REPLICA_LIFETIME_MS)
    together = (ours, *crowd(bob, *(f"replica {number}" for number in range(REPLICAS_WANTED))))
    assert asked in desk.open()
    assert desk.feed(ev.Found(asked.query, together)) == []
    assert asked in desk.sleep(AGAIN_MS / 1000 + 60)
    assert desk.feed(ev.Found(asked.query, together)) == []  # all of them are alive at the next turn
    assert asked in desk.sleep(AGAIN_MS / 1000 + 60)
    assert one(desk.feed(ev.Found(asked.query, together)), ev.PublishRecords)  # and now for four hours more


def test_nothing_is_announced_while_history_comes_in() -> None:
    bob, carol = person("bob"), person("carol")
    desk = Desk("bob", "carol")
    desk.cover(bob)
    desk.cover(carol)
    desk.open()
    for whom in (bob, carol):
        desk.hold(whom)
        assert desk.feed(ev.StoredOf(whom.hash)) == []
    for _ in range(5):
        assert desk.feed(ev.StoredOf(bob.hash)) == desk.sleep(FILLED_S - 1) == []
        assert desk.feed(ev.StoredOf(carol.hash)) == desk.sleep(FILLED_S - 1) == []
    assert desk.feed(ev.Reachable(HOME)) == []  # no way around it
    asked = [ev.FindRecords(ev.Crowd(whom.hash), replica_key(whom.hash)) for whom in (bob, carol)]
    assert sorted(desk.sleep(1), key=str) == sorted(asked, key=str)


def test_history_that_never_ends_puts_announcing_off_for_a_minute() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    desk.open()
    desk.hold(bob)
    asked = ev.FindRecords(ev.Crowd(bob.hash), replica_key(bob.hash))
    while desk.now < FILLING_MAX_S:
        assert desk.feed(ev.StoredOf(bob.hash)) == []
        said = desk.sleep(1)
        assert (asked in said) is (desk.now == FILLING_MAX_S)


def test_who_holds_feeds_already_announces_them_at_once() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    desk.hold(bob)
    assert ev.FindRecords(ev.Crowd(bob.hash), replica_key(bob.hash)) in desk.open()


@pytest.mark.parametrize("change", ["unfollowed", "made private"])
def test_a_feed_that_is_unfollowed_or_made_private_meanwhile_is_not_announced(change: str) -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    desk.hold(bob)
    desk.open()
    if change == "unfollowed":
        del desk.holdings.interests[bob.hash]
    else:
        desk.holdings.set_private(bob.hash, True)
    assert desk.feed(ev.Found(ev.Crowd(bob.hash), ())) == []


def test_a_feed_of_which_one_log_is_here_is_announced() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    desk.hold(bob)
    bob.add_device("laptop")
    desk.holdings.learn(bob.identity)
    assert len(desk.holdings.devices(bob.hash)) == 2
    assert ev.FindRecords(ev.Crowd(bob.hash), replica_key(bob.hash)) in desk.open()


def test_nothing_is_done_before_the_start(desk: Desk) -> None:
    assert desk.feed(ev.Met(3)) == desk.feed(ev.PeersGiven()) == desk.feed(ev.StoredOf(desk.alice.hash)) == []
    assert desk.feed(ev.Started()) != []


def test_a_few_feeds_are_announced_at_once_and_the_next_as_one_is_done() -> None:
    names = [f"friend {number}" for number in range(WORKERS_MAX + 3)]
    desk = Desk(*names)
    for name in names:
        desk.hold(person(name))
        desk.cover(person(name))
    asked = [find.query for find in of(desk.open(), ev.FindRecords)]
    assert asked == [ev.Crowd(desk.alice.hash), *(ev.Crowd(person(name).hash) for name in names[: WORKERS_MAX - 1])]
    desk.feed(ev.Found(asked[1], ()))
    assert desk.sleep(1) == []
    following = desk.feed(ev.PublishedTo(ev.OwnReplica(person(names[0]).hash), (8,)))
    assert [find.query for find in of(following, ev.FindRecords)] == [ev.Crowd(person(names[WORKERS_MAX - 1]).hash)]


def test_feeds_are_announced_a_few_each_second() -> None:
    names = [f"friend {number}" for number in range(2 * ANNOUNCED_PER_S + 1)]
    desk = Desk(*names)
    for name in names:
        desk.hold(person(name))
        desk.cover(person(name))
    announced, begun = list[tuple[float, int]](), desk.open()
    for _ in range(4):
        asked = [find.query.identity for find in of(begun, ev.FindRecords) if isinstance(find.query, ev.Crowd)]
        announced.append((desk.now, len(asked)))
        for identity in asked:
            desk.feed(ev.Found(ev.Crowd(identity), ()))
            assert desk.feed(ev.PublishedTo(ev.OwnReplica(identity), (8,))) == []
        begun = desk.sleep(1)
    assert announced == [(0, ANNOUNCED_PER_S), (1, ANNOUNCED_PER_S), (2, 2), (3, 0)]  # alice's own feed is the first


def test_the_author_is_always_one_more_replica(desk: Desk) -> None:
    desk.open()
    enough = crowd(desk.alice, *(f"replica {number}" for number in range(REPLICAS_WANTED)))
    assert one(desk.feed(ev.Found(ev.Crowd(desk.alice.hash), enough)), ev.PublishRecords)


def test_who_cannot_be_reached_announces_nothing_until_he_can(desk: Desk) -> None:
    desk.feed(ev.Reachable(None))
    asked = ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash))
    assert asked not in desk.open() + desk.sleep(3600)
    assert desk.feed(ev.Reachable(HOME)) == [asked]
    assert desk.feed(ev.Reachable(None)) == []
    assert desk.feed(ev.Found(asked.query, ())) == []
    assert desk.feed(ev.Reachable(HOME)) == [asked]


def test_who_stands_elsewhere_announces_all_of_it_again(desk: Desk) -> None:
    moved = Endpoint("10.0.0.99", HOME.port)
    asked = ev.FindRecords(ev.Crowd(desk.alice.hash), replica_key(desk.alice.hash))

    def announces(at: Endpoint) -> None:
        (offered,) = of(desk.feed(ev.Found(asked.query, ())), ev.PublishRecords)
        assert isinstance(offered.records[0], Replica) and offered.records[0].address == at
        desk.feed(ev.PublishedTo(ev.OwnReplica(desk.alice.hash), (8,)))

    assert asked in desk.open()
    announces(HOME)
    assert asked not in desk.feed(ev.Reachable(None)) + desk.feed(ev.Reachable(HOME))
    assert asked in desk.feed(ev.Reachable(moved))
    announces(moved)
    assert asked not in desk.feed(ev.Reachable(moved)) + desk.sleep(3600)


def test_a_replica_is_dialed_before_the_look_up_is_over() -> None:
    bob = person("bob")
    desk = Desk("bob")
    asked = next(find for find in of(desk.open(), ev.FindRecords) if isinstance(find.query, ev.Replicas))
    told = crowd(bob, "third", "first", "second")
    (first,) = of(desk.feed(ev.FoundFirst(bob.hash, told)), ev.TellGossip)
    assert first.event == Candidates(tuple(record.address for record in told[:FIRST_MAX]), bob.hash)
    assert desk.feed(ev.FoundFirst(person("carol").hash, told)) == []  # who is not looked for
    del desk.holdings.interests[bob.hash]
    assert desk.feed(ev.FoundFirst(bob.hash, told)) == []  # unfollowed meanwhile
    desk.holdings.interests[bob.hash] = None
    (rest,) = of(desk.feed(ev.Found(asked.query, told)), ev.TellGossip)
    assert rest.event == Candidates(tuple(sorted(record.address for record in told)), bob.hash)
    assert desk.feed(ev.FoundFirst(bob.hash, told)) == []  # it comes after the end
