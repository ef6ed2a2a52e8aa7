"""Which numbers of a long history are asked for, and how many runs they come in."""

from __future__ import annotations

import pytest
from builders import person
from gossip_scenes import Scene

from p2pblog.config import RUN_ENTRIES_MAX
from p2pblog.core.logs import LogState, Span
from p2pblog.gossip.messages import Clock, Run
from p2pblog.gossip.pieces import history_piece


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
