"""Those who are away: feeds that nobody adds to, and an author who left his notices to his readers."""

from __future__ import annotations

from typing import Any

import pytest
from sim_scenes import churning, small

from p2pblog.errors import BadMessage
from p2pblog.gossip.memory import Memory
from p2pblog.sim.run import run
from p2pblog.sim.scenario import Follows, Posts, Scenario, Start
from p2pblog.sim.world import World

FEEDS = 40
IDLE = Scenario(
    "idle",
    "two collectors lose their link",
    duration_s=11,
    settle_s=0,
    follows=Follows(absent=FEEDS),
    posts=Posts(count=0),
    faults=({"kind": "relink", "at_s": 6.0, "for_s": 4.0},),
)


def test_a_link_that_is_made_again_tells_of_none_of_its_feeds() -> None:
    relink = run(IDLE, 20, 1).document["relink"]

    assert relink["feeds"] >= FEEDS
    assert relink["clock_bytes"] == 0
    assert relink["bytes"] == sum(relink["bytes_by_kind"].values()) > relink["bytes_by_kind"]["Hello"] > 0


def test_without_a_memory_of_the_link_all_feeds_are_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten(_wire: bytes) -> Memory:
        raise BadMessage("of another version")

    monkeypatch.setattr(Memory, "from_wire", forgotten)
    relink = run(IDLE, 20, 1).document["relink"]

    assert relink["feeds"] >= FEEDS
    assert relink["clock_bytes"] > FEEDS * 32, "a token and a clock of each"


# --- newcomers --------------------------------------------------------------------------------------------------------


def left(*faults: dict[str, Any]) -> Scenario:
    """An author writes 60 notices in 30 s and leaves; four newcomers start ten seconds later."""
    return small(
        {"kind": "leave", "at_s": 40.0, "first": 1},
        *faults,
        duration_s=50.0,
        settle_s=15.0,
        follows=Follows(),
        posts=Posts(1, 60, 8.0, 0.5),
        start=Start(newcomers=4, newcomers_s=50.0),
    )


def test_newcomers_read_the_last_fifty_of_an_author_who_is_gone() -> None:
    document = run(left(), 20, 1).document

    assert document["newcomers"] == {"pairs": 200, "readable": 200, "ratio": 1.0}
    assert (document["missed"], document["violations"]) == (0, [])


def test_what_nobody_holds_any_more_is_not_readable() -> None:
    document = run(left({"kind": "leave", "at_s": 45.0, "share": 1.0, "spare": 0}), 20, 1).document

    assert document["newcomers"] == {"pairs": 200, "readable": 0, "ratio": 0.0}
    assert document["missed"] == 0, "nothing that can be had is missed"


def test_newcomers_start_once_and_stay() -> None:
    world = World(small(churn=churning(), start=Start(newcomers=4, newcomers_s=9.0)), 20, 1)
    booted: list[int] = []
    world.loop.at(8_999_999, lambda: booted.extend(node.is_up for node in world.nodes[16:]))
    world.run()

    assert booted == [False] * 4
    assert [node.booted_us for node in world.nodes[16:]] == [9_000_000] * 4
    assert all(node.is_up for node in world.nodes[16:])
