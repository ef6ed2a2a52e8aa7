"""What gossip does where room was made: it asks for nothing that went, and tells others what it no longer holds."""

from __future__ import annotations

import pytest
from builders import Person, person
from gossip_scenes import Scene, Table, claim

from p2pblog.config import NEWEST_FIRST
from p2pblog.core.logs import LogState, Span
from p2pblog.gossip.messages import Clocks, Have, Lack, Want
from p2pblog.gossip.pieces import history_piece, newest_piece
from p2pblog.gossip.room_events import LiftFloors, PruneLog, RoomChanged


@pytest.fixture
def scene() -> Scene:
    return Scene()


def author(notes: int = 300) -> Person:
    who = person("author")
    who.notes(notes)
    return who


def linked(scene: Scene, who: Person) -> tuple[Table, Table]:
    """Alice, who holds it all, and bob, who has fetched it all."""
    alice, bob = scene.node("alice", "author"), scene.node("bob", "author")
    alice.keep(who, who.log.run())
    scene.link("alice", "bob")
    scene.run(30)
    assert len(bob.numbers(who)) == len(who.log.entries)
    return alice, bob


def state_of(who: Person, low: int, high: int, floor: int) -> LogState:
    entries = who.log.entries
    span = Span(low, high, entries[low - 1].id, entries[low - 2].id if low > 1 else None, entries[high - 1].id)
    return LogState(who.key, who.hash, (span,), floor=floor)


def test_pieces_begin_above_the_floor() -> None:
    who = author()
    limit, theirs = 2**32 - 1, claim((1, 301))
    assert history_piece(state_of(who, 129, 301, 128), theirs, limit) is None
    assert history_piece(state_of(who, 129, 301, 0), theirs, limit) == (1, 128)
    assert history_piece(state_of(who, 200, 301, 128), theirs, limit) == (129, 199)
    assert newest_piece(state_of(who, 129, 200, 128), claim((1, 128)), limit) is None
    assert newest_piece(LogState(who.key, who.hash, floor=280), theirs, limit) == (281, 301)
    assert newest_piece(LogState(who.key, who.hash, floor=301), theirs, limit) is None


def test_what_went_is_not_asked_for_again_and_others_hear_that_it_went(scene: Scene) -> None:
    who = author()
    alice, bob = linked(scene, who)
    wants = scene.count(Want)
    bob.perform([PruneLog(who.key, 128)])
    scene.run(60)
    assert scene.count(Want) == wants
    assert bob.numbers(who) == list(range(129, 302))
    clock = alice.session("bob").clocks[who.key]
    assert clock.spans == ((129, 301),)
    assert bob.machine.holdings.lacked(who.hash) == {}  # nor looked for elsewhere
    scene.cut("alice", "bob")
    assert not bob.machine.sharing.is_wanting(who.hash)

    scene.link("alice", "bob")  # nor with a new link
    scene.run(60)
    assert scene.count(Want) == wants

    carol = scene.node("carol", "author")  # who has only bob gets what he has, and nobody is doubted for it
    lacks = scene.count(Lack)
    scene.link("bob", "carol")
    scene.run(60)
    assert carol.numbers(who) == list(range(129, 302))
    assert scene.count(Lack) == lacks
    scene.link("alice", "carol")
    scene.run(60)
    assert carol.numbers(who) == list(range(1, 302))
    assert bob.numbers(who) == list(range(129, 302))


def test_a_floor_lifted_asks_for_history_at_once(scene: Scene) -> None:
    who = author()
    _alice, bob = linked(scene, who)
    bob.perform([PruneLog(who.key, 192)])
    scene.run(10)
    bob.perform([LiftFloors(who.hash)])
    scene.run(10)
    assert bob.numbers(who) == list(range(1, 302))


def test_while_the_store_is_full_only_the_newest_are_asked_for(scene: Scene) -> None:
    who = author()
    alice, bob = scene.node("alice", "author"), scene.node("bob", "author")
    alice.keep(who, who.log.run())
    bob.feed(RoomChanged(True))
    scene.link("alice", "bob")
    scene.run(30)
    assert bob.numbers(who) == list(range(302 - NEWEST_FIRST, 302))
    bob.feed(RoomChanged(False))
    scene.run(30)
    assert bob.numbers(who) == list(range(1, 302))


def test_what_was_asked_for_before_does_not_come_back(scene: Scene) -> None:
    who = author()
    alice, bob = scene.node("alice", "author"), scene.node("bob", "author")
    alice.keep(who, who.log.run())
    scene.link("alice", "bob")
    scene.until(lambda: len(bob.numbers(who)) >= NEWEST_FIRST)  # the history is on its way
    bob.perform([PruneLog(who.key, 270)])
    scene.run(30)
    assert bob.numbers(who) == list(range(271, 302))
    assert scene.count(Clocks) < 20 and scene.count(Have) < 20


def test_of_a_log_that_nobody_follows_any_more_all_may_go(scene: Scene) -> None:
    who = author(100)
    alice, bob = linked(scene, who)
    bob.unfollow("author")
    scene.run(10)
    bob.perform([PruneLog(who.key, 101)])
    scene.run(30)
    assert bob.numbers(who) == []
    assert who.key not in bob.machine.holdings.logs
    bob.follow("author")
    scene.run(30)
    assert len(bob.numbers(who)) == 101 and len(alice.numbers(who)) == 101
