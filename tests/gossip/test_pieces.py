"""Which numbers of a long history are asked for, and how many runs they come in."""

from __future__ import annotations

import pytest
from builders import person
from gossip_scenes import Scene, author, node_key

from p2pblog.config import RUN_ENTRIES_MAX
from p2pblog.core.logs import LogState, Span
from p2pblog.gossip.messages import Clock, Graft, Have, Run, Want, WantPayloads
from p2pblog.gossip.pieces import history_piece, missing_payloads


@pytest.mark.parametrize("high", [950, 959, 960, 961, 1_024, 2_450, 5_000, 10_000])
def test_history_comes_in_as_many_runs_as_questions(high: int) -> None:
    """Each run reaches from the first number asked for to the signature at or after the last one, within its 1,000
    entries; all but the uppermost end on a checkpoint, and bring nothing that is held."""
    theirs, last, asked = Clock(((1, high + 100),)), high, 0
    while last:
        piece = history_piece(None, theirs, last)
        assert piece is not None and piece[1] == last
        end = last + -last % 64
        assert end - piece[0] + 1 <= RUN_ENTRIES_MAX and (last == high or end == last)
        assert piece[0] == 1 or end - piece[0] + 1 > RUN_ENTRIES_MAX - 64
        last, asked = piece[0] - 1, asked + 1
    assert asked <= (high + 63) // 960 + 1


def test_who_was_misled_fills_a_hole_from_above_only() -> None:
    """The entries at 75 and above are known to be right; whoever offers what is far below may hold another history."""
    carol = person("carol")
    carol.notes(79)
    entries = carol.log.entries
    held = LogState(carol.key, carol.hash, (Span(75, 80, entries[74].id, entries[73].id, entries[79].id),))
    assert history_piece(held, Clock(((1, 50),)), 80) == (1, 50)
    assert history_piece(held, Clock(((1, 50),)), 80, from_above=True) is None
    assert history_piece(held, Clock(((1, 80),)), 80, from_above=True) == (1, 74)
    assert history_piece(held, Clock(((60, 74), (1, 50))), 80, from_above=True) == (60, 74)


def test_a_log_of_thousands_is_fetched_without_a_run_for_a_rest() -> None:
    scene, carol = Scene(), person("carol")
    carol.notes(2_499)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run(20)
    assert bob.numbers(carol) == list(range(1, 2_501))
    lengths = [len(run.value[3]) for run in scene.said(Run, "alice")]
    assert lengths == [50, 960, 960, 576]


def test_an_announcement_far_above_what_is_held_brings_the_newest_and_not_the_oldest() -> None:
    """What comes to who is grafted goes before all else. Bob has just begun to follow Carol."""
    scene, carol = Scene(), author("carol", 500)
    bob, peer = scene.node("bob", "carol"), scene.puppet("peer")
    peer.greet("bob", carol)
    scene.send("peer", "bob", Have(((carol.key, 501),)))
    scene.run(1)
    assert peer.told(Graft) == [Graft(carol.key, 0)]
    assert [(want.first, want.last) for want in peer.told(Want)] == [(501, 501)]
    assert bob.machine.broadcast.trees[carol.key].eager_from == node_key("peer")


def test_nothing_beyond_the_limit_is_asked_for_below_what_is_held_beyond_it() -> None:
    """A retirement at 60 came when 80 to 90 were held, some of them without their payloads."""
    carol = person("carol")
    carol.notes(89)
    entries = carol.log.entries
    held = LogState(carol.key, carol.hash, (Span(80, 90, entries[79].id, entries[78].id, entries[89].id),), (50, 85))
    theirs = Clock(((1, 90),))
    assert history_piece(held, theirs, 60) == (1, 60)
    assert history_piece(held, theirs, 0) is None
    assert history_piece(held, Clock(((61, 90),)), 60) is None
    assert missing_payloads(held, theirs, 90) == (85, 50) and missing_payloads(held, theirs, 60) == (50,)


def test_what_lies_beyond_a_retirement_is_fetched_from_nobody() -> None:
    scene, carol = Scene(), person("carol")
    carol.notes(999)
    bob = scene.node("bob", "carol")
    bare = tuple(entry.without_payload() if entry.seq == 970 else entry for entry in carol.log.run(951, 1_000))
    bob.keep(carol, bare)
    bob.learn(carol.retire(carol.key, 100, carol.log.entries[99].id))
    alice = scene.node("alice", "carol")
    alice.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run(10)
    assert [(want.first, want.last) for want in scene.said(Want, "bob")] == [(1, 100)]
    assert scene.said(WantPayloads) == [] and bob.state(carol).missing == (970,)
