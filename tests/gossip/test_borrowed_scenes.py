"""A feed that is only relayed: some of each of its logs is held, within bounds, and nothing is fetched for ever."""

from __future__ import annotations

import pytest
from builders import NOON, Log, Person, person
from gossip_scenes import Scene, Table, done

from p2pblog.config import NEWEST_FIRST
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located, LogState, Span
from p2pblog.gossip.borrowed import RELAYED_ENTRIES_MAX, Borrowed
from p2pblog.gossip.events import LeaveLog, Stored
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import Run, Want, WantPayloads
from p2pblog.gossip.relay import RELAY_LEASE_S

STRANGER = IdentityHash(bytes(32))


def devices_of(who: Person, count: int, notes: int) -> list[Log]:
    """So many logs of somebody, with so many notes each."""
    logs = [who.log, *(who.add_device(f"device {number}") for number in range(1, count))]
    for log in logs:
        for number in range(notes):
            log.note(f"note {number}")
    return logs


def relaying(scene: Scene, devices: int, notes: int) -> tuple[Table, Table, Table, list[Log]]:
    """bob follows alice, who has so many devices, over x."""
    alice, x, bob = (scene.node(name) for name in ("alice", "x", "bob"))
    logs = devices_of(alice.person, devices, notes)
    for log in logs:
        alice.keep(alice.person, log.run())
    scene.link("x", "alice")
    scene.link("bob", "x")
    bob.follow("alice")
    scene.run(60)
    return alice, x, bob, logs


def post(alice: Table, log: Log, text: str) -> None:
    batch = Batch(alice.person.hash, (log.note(text),))
    (state,) = done(alice.store.append([batch], NOON))
    alice.feed(Stored(None, batch, state, live=True))


def held(table: Table, logs: list[Log]) -> int:
    return sum(len(table.numbers(log)) for log in logs)


# --- how much of each log ---


@pytest.mark.parametrize("devices", [10, 11, 12, 64])
def test_of_many_logs_a_relay_holds_fewer_entries_each_and_comes_to_rest(devices: int) -> None:
    scene = Scene()
    _alice, x, bob, logs = relaying(scene, devices, notes=60)
    share = RELAYED_ENTRIES_MAX // 2 // devices
    for log in logs:
        assert x.numbers(log) == bob.numbers(log) == log_end(log, share)
    since = scene.now
    scene.run(60)
    assert scene.count(Run, since=since) == 0
    assert not any(isinstance(effect, LeaveLog) for effect in x.effects)


def log_end(log: Log, share: int) -> list[int]:
    return [entry.seq for entry in log.entries[-share:]]


def test_followers_hear_what_each_of_many_devices_writes() -> None:
    scene = Scene()
    alice, x, bob, logs = relaying(scene, devices=12, notes=60)
    begun, most, rounds = scene.now, 0, 40
    for number in range(rounds):
        for log in logs:
            post(alice, log, f"live {number}")
            scene.run(0.1)
            most = max(most, held(x, logs))
    scene.run(5)
    assert most <= RELAYED_ENTRIES_MAX + 1
    assert all({f"live {number}" for number in range(rounds)} <= set(bob.texts(log)) for log in logs)
    fetched = [len(message.value[3]) for message in scene.said(Run, "alice", "x", since=begun)]
    assert 0 < sum(fetched) <= rounds * len(logs)  # no more is fetched anew than has come


def test_no_more_is_asked_for_at_once_than_there_is_room_for() -> None:
    scene = Scene()
    alice, x, bob, logs = relaying(scene, devices=12, notes=60)
    for number in range(20):
        for log in logs:
            post(alice, log, f"live {number}")
        scene.run(0.5)
    before = held(x, logs)
    scene.cut("x", "alice")
    for number in range(15):
        for log in logs:
            post(alice, log, f"away {number}")
    scene.link("x", "alice")
    since = scene.now
    scene.until(lambda: bool(scene.said(Run, "alice", "x", since=since)))

    asked = [want.last - want.first + 1 for want in scene.said(Want, "x", "alice", since=since)]
    assert 0 < sum(asked) <= RELAYED_ENTRIES_MAX - before + RELAYED_ENTRIES_MAX // 2 // len(logs)
    scene.run(30)
    assert held(x, logs) <= RELAYED_ENTRIES_MAX
    assert all("away 14" in bob.texts(log) for log in logs)  # what was not asked for at first came later


def test_of_a_retired_log_the_newest_up_to_its_end_are_relayed() -> None:
    scene = Scene()
    carol = person("carol")
    carol.notes(3 * NEWEST_FIRST)
    end = 2 * NEWEST_FIRST - 10
    scene.node("carol").keep(carol, carol.log.run())
    x, bob = scene.node("x"), scene.node("bob")
    scene.link("x", "carol")
    scene.link("bob", "x")
    scene.parties["carol"].learn(carol.retire(carol.key, end, carol.log.entries[end - 1].id))
    bob.follow("carol")
    scene.run(60)
    assert end in x.numbers(carol)


@pytest.mark.parametrize("comes", ["before", "after"])
def test_what_a_retired_device_wrote_beyond_its_end_is_not_shown(comes: str) -> None:
    """By whoever stole it: a run goes on up to a signature, and the retirement may come later than the run."""
    scene = Scene()
    carol, end = person("carol"), 30
    for number in range(2, end):
        carol.log.note(f"!bees {number}")
    last = carol.log.note("!bees last")
    carol.log.delete(last)
    for number in range(NEWEST_FIRST):
        carol.log.note(f"!bees stolen {number}")
    retired = carol.retire(carol.key, end, last.id)
    holder, x, bob = scene.node("carol"), scene.node("x"), scene.node("bob")
    holder.keep(person("carol"), carol.log.run())
    scene.link("x", "carol")
    scene.link("bob", "x")
    if comes == "before":
        holder.learn(retired)
    bob.follow("carol")
    scene.run(30)
    holder.learn(retired)
    scene.run(30)

    assert end in x.numbers(carol) and end in bob.numbers(carol)
    shown = [row.text for row in done(x.store.rows([entry.id for entry in carol.log.entries]))]
    assert "!bees last" in shown and not any("stolen" in text for text in shown)
    since = scene.now
    scene.run(60)
    assert scene.count(Run, since=since) == scene.count(WantPayloads, since=since) == 0


def test_what_was_here_before_stays_when_a_retirement_names_another_history_than_is_relayed() -> None:
    scene = Scene()
    carol, other = forked()
    holder, x, bob = scene.node("carol"), scene.node("x"), scene.node("bob")
    first = put_one(x, carol)
    holder.keep(person("carol"), other.run())
    scene.link("x", "carol")
    scene.link("bob", "x")
    bob.follow("carol")
    scene.run(30)
    assert 15 in x.numbers(carol)
    holder.learn(carol.retire(carol.key, 15, carol.log.entries[14].id))
    scene.run(30)
    assert x.numbers(carol) == []
    assert done(x.store.locate(first)) is not None


def test_what_was_here_before_stays_when_what_was_relayed_below_a_hole_was_not_picked() -> None:
    scene = Scene()
    carol, other = forked()
    retired = carol.retire(carol.key, 15, carol.log.entries[14].id)
    alice, x, bob = scene.node("alice", "carol"), scene.node("x"), scene.node("bob")
    first = put_one(x, carol)
    scene.link("bob", "x")
    bob.follow("carol")
    scene.run(10)
    assert x.machine.holdings.is_borrowed(carol.hash)
    x.machine.holdings.learn(retired)
    for run in other.run(1, 12), carol.log.run(15, 15):
        (state,) = done(x.store.append([Batch(carol.hash, run)], NOON))
        x.machine.holdings.take(state)
    alice.keep(carol, carol.log.run())
    scene.link("x", "alice")
    scene.run(20)
    assert done(x.store.id_at(carol.key, 12)) == carol.log.entries[11].id
    assert done(x.store.locate(first)) is not None
    bob.unfollow("carol")
    scene.run(2 * RELAY_LEASE_S)
    assert x.numbers(carol) == []
    assert done(x.store.locate(first)) is not None


def forked() -> tuple[Person, Log]:
    """Carol, with two histories after ten entries."""
    carol = person("carol")
    carol.notes(9)
    other = carol.log.branch(10)
    carol.notes(8)
    for number in range(8):
        other.note(f"other {number}")
    return carol, other


def put_one(table: Table, carol: Person) -> EntryId:
    """Have a notice of carol's at a node by itself."""
    entry = carol.log.entries[3]
    done(table.store.put_stray(Located(carol.hash, entry, ()), NOON))
    return entry.id


def test_a_mention_that_is_offered_stays_when_the_feed_of_its_author_goes() -> None:
    scene = Scene()
    carol, alice, bob = (scene.node(name) for name in ("carol", "alice", "bob"))
    mention = carol.wrote(carol.person.log.note(f"@{alice.person.address} tea?"))
    scene.link("bob", "alice")
    bob.follow("carol")
    scene.run(10)
    assert carol.person.hash in alice.machine.holdings.relayed
    scene.link("alice", "carol")
    scene.run(60)
    other = carol.post("nobody in particular")
    bob.unfollow("carol")
    scene.run(2 * RELAY_LEASE_S)
    assert alice.numbers(carol.person) == []
    assert done(alice.store.locate(mention.id)) is not None and done(alice.store.locate(other.id)) is None


# --- what makes room ---


def holding(*counts: int, retired_at: int | None = None) -> tuple[Borrowed, list[Log]]:
    """So many entries of each log, the last of them the newest; the first one may be retired."""
    who = person("alice")
    logs = devices_of(who, len(counts), notes=0)
    if retired_at is not None:
        who.retire(who.key, retired_at, who.log.entries[0].id)
    holdings = Holdings(STRANGER)
    holdings.relayed[who.hash] = True
    holdings.learn(who.identity)
    for log, count in zip(logs, counts, strict=True):
        some = EntryId(bytes(32))
        spans = (Span(1, count, some, None, some),)
        holdings.take(LogState(log.key, who.hash, spans))
    return Borrowed(holdings), logs


def test_as_many_logs_make_room_as_bring_it_to_the_bound_and_none_twice() -> None:
    borrowed, logs = holding(200, 250, 220, 10)
    (who,) = borrowed.holdings.relayed

    assert borrowed.room(who) == RELAYED_ENTRIES_MAX - 680
    assert borrowed.make_room(who) == [logs[1].key]
    assert borrowed.make_room(who) == []
    assert borrowed.room(who) == RELAYED_ENTRIES_MAX - 430
    borrowed, logs = holding(*[100] * 8)
    assert len(set(borrowed.make_room(who))) == 3
    assert borrowed.make_room(who) == []


def test_what_was_dropped_may_be_dropped_again() -> None:
    borrowed, logs = holding(600)
    (who,) = borrowed.holdings.relayed
    assert borrowed.make_room(who) == [logs[0].key]
    borrowed.forget(logs[0].key)
    assert borrowed.make_room(who) == [logs[0].key]


def test_nothing_is_dropped_of_which_as_much_would_be_fetched_again() -> None:
    """One run brings what lies beyond the end of a retired log each time."""
    borrowed, logs = holding(600, 10, retired_at=60)
    (who,) = borrowed.holdings.relayed
    assert borrowed.make_room(who) == []
    borrowed, logs = holding(600, 10, retired_at=2 * NEWEST_FIRST)
    assert borrowed.make_room(who) == [logs[0].key]


def test_any_number_of_logs_that_are_short_each_is_bounded_too() -> None:
    borrowed, _logs = holding(*[7] * (2 * RELAYED_ENTRIES_MAX // 7))
    (who,) = borrowed.holdings.relayed
    assert borrowed.make_room(who) == []
    borrowed, _logs = holding(*[7] * (2 * RELAYED_ENTRIES_MAX // 7 + 1))
    assert borrowed.make_room(who) != [] and 0 <= borrowed.room(who) < 7


@pytest.mark.parametrize(("logs", "share"), [(1, 50), (5, 50), (6, 42), (10, 25), (64, 4), (100, 4)])
def test_the_newest_of_all_logs_take_half_of_the_room(logs: int, share: int) -> None:
    borrowed, _logs = holding(*[1] * logs)
    (who,) = borrowed.holdings.relayed
    assert borrowed.share(who) == share
