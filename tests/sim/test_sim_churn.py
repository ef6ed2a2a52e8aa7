"""Churn: published sessions, traces, and worlds whose people come and go."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sim_scenes import churning, ran, small

from p2pblog.errors import UsageError
from p2pblog.sim.churn import PRESETS, draw_end, read_trace, times_of
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.scenario import Churn, Start
from p2pblog.sim.sessions import Disk, End
from p2pblog.sim.world import World

DRAWS = 4_000


def share_below(name: str, seconds: float) -> float:
    rng, times = Random(7), times_of(name, 0, "", 0, "")
    return sum(times.draw_us(rng) < seconds * SECOND_US for _ in range(DRAWS)) / DRAWS


@pytest.mark.parametrize("name", ["ipfs", "ipfs-log-normal"])
def test_ipfs_sessions_pass_through_both_published_points(name: str) -> None:
    assert abs(share_below(name, 7_200) - 0.5) < 0.025
    assert abs(share_below(name, 28_800) - 0.8) < 0.02


def test_half_of_bamboos_sessions_end_within_84_seconds() -> None:
    assert abs(share_below("bamboo", 84) - 0.5) < 0.025


def test_weibull_sessions_have_their_scale_at_63_percent() -> None:
    for name in ("bittorrent-34", "bittorrent-38", "bittorrent-59"):
        times = PRESETS[name]
        assert abs(share_below(name, getattr(times, "scale_s")) - 0.632) < 0.025  # noqa: B009


def test_ends_are_drawn_as_the_scenario_says() -> None:
    rng, churn = Random(3), Churn(leave=0.25, dark=0.5, rollback=0.2, lost=0.1)
    drawn = [draw_end(rng, churn) for _ in range(DRAWS)]
    ends = {end: sum(one is end for one, _ in drawn) / DRAWS for end in End}
    assert abs(ends[End.LEAVE] - 0.25) < 0.03 and abs(ends[End.DARK] - 0.375) < 0.03
    crashed = [disk for end, disk in drawn if end is not End.LEAVE]
    assert abs(crashed.count(Disk.PUT_BACK) / len(crashed) - 0.2) < 0.03
    assert abs(crashed.count(Disk.LOST) / len(crashed) - 0.1) < 0.02
    assert all(disk is Disk.INTACT for end, disk in drawn if end is End.LEAVE)


def test_a_world_that_churns_delivers_to_whoever_is_there() -> None:
    world = ran(small(churn=churning(rollback=0.2, lost=0.2), duration_s=40.0), 2)
    assert world.violations == []
    assert sum(node.disk > 0 for node in world.nodes) >= 2
    assert 3 <= sum(node.is_up for node in world.nodes) <= 18
    assert len(world.meter.catch_up_us) > 5


def test_the_same_seed_gives_the_same_sessions() -> None:
    scenario = small(churn=churning(), duration_s=15.0, settle_s=5.0)
    assert ran(scenario, 6).meter.trace_hash == ran(scenario, 6).meter.trace_hash


def test_the_steady_ones_never_leave() -> None:
    world = World(small(churn=churning(steady=3, scale_s=1.0)), 20, 1)
    world.run()
    assert all(world.nodes[number].booted_us <= SECOND_US and world.nodes[number].is_up for number in range(3))


def test_a_trace_says_who_is_there_when(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("node,start_s,end_s\n5,0,8\n5,12.5,99\n6,3,4\n", encoding="utf-8")
    world = World(small(churn=Churn(trace=str(path), steady=2)), 20, 1)
    world.begin()
    seen = {}
    for second in (2, 3.5, 9, 13):
        world.loop.run_until(int(second * SECOND_US))
        seen[second] = [node.number for node in world.nodes if node.is_up]
    assert seen == {2: [0, 1, 5], 3.5: [0, 1, 5, 6], 9: [0, 1], 13: [0, 1, 5]}


def test_a_session_of_a_trace_may_end_before_all_others_have_begun(tmp_path: Path) -> None:
    """Who was away when the others were told of each other hears of them when coming back."""
    path = tmp_path / "trace.csv"
    path.write_text("node,start_s,end_s\n5,0,0.5\n6,0,0.5\n6,4,99\n", encoding="utf-8")
    world = World(small(churn=Churn(trace=str(path), steady=2), start=Start(within_s=3.0)), 20, 1)
    world.begin()
    for second, up in (0.4, [5, 6]), (0.6, []), (3.9, []), (5.0, [6]):
        world.loop.run_until(int(second * SECOND_US))
        assert [node.number for node in world.nodes if node.is_up and node.number > 1] == up
    assert world.nodes[6].machine.membership.known


def test_disks_of_a_trace_are_lost_and_put_back_too(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    rows = [f"{node},0,10\n{node},14,60\n" for node in range(2, 20)]
    path.write_text("node,start_s,end_s\n" + "".join(rows), encoding="utf-8")

    def disks(rollback: float, lost: float) -> set[int]:
        churn = Churn(trace=str(path), steady=2, leave=0.0, rollback=rollback, rollback_s=5.0, lost=lost)
        return {node.disk for node in ran(small(churn=churn), 1).nodes[2:]}

    assert disks(0.0, 0.0) == {0}
    assert disks(1.0, 0.0) == disks(0.0, 1.0) == {1}


BAD_TRACES = [
    "node,start_s\n1,2\n",
    "node,start_s,end_s\n1,2\n",
    "node,start_s,end_s\na,2,3\n",
    "node,start_s,end_s\n1,3,2\n",
    "node,start_s,end_s\n1,0,5\n1,4,6\n",
    "node,start_s,end_s\n1,0,inf\n",
]


@pytest.mark.parametrize("text", BAD_TRACES)
def test_a_trace_that_makes_no_sense_is_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"the trace .* (first line names|in its line [23]$|overlap)"):
        read_trace(str(path))


def test_a_trace_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv can't be read: No such file or directory"):
        read_trace(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("name", "scale_s", "shape", "median_s", "sigma"),
    [
        ("weibull", 0.0, "0.6", 0.0, ""),
        ("weibull", 60.0, "nan", 0.0, ""),
        ("weibull", 60.0, "wide", 0.0, ""),
        ("weibull", 60.0, "", 0.0, ""),
        ("weibull", 60.0, "-0.6", 0.0, ""),
        ("weibull", 60.0, "0", 0.0, ""),
        ("log-normal", 60.0, "1", 0.0, "1"),
        ("log-normal", 0.0, "", 60.0, "-1"),
        ("log-normal", 0.0, "", 60.0, ""),
    ],
)
def test_sessions_without_a_length_or_a_shape_are_a_sentence(
    name: str, scale_s: float, shape: str, median_s: float, sigma: str
) -> None:
    with pytest.raises(UsageError, match=f"sessions of {name} need a (scale|median|shape|sigma)"):
        times_of(name, scale_s, shape, median_s, sigma)


def test_a_sigma_of_nothing_makes_all_sessions_alike() -> None:
    assert times_of("log-normal", 0.0, "", 60.0, "0").draw_us(Random(1)) == 60_000_000


def test_sessions_of_no_known_name_are_a_sentence() -> None:
    for churn in (Churn(sessions="moon"), Churn(sessions="weibull", shape="steep"), Churn(pauses="log-normal")):
        with pytest.raises(UsageError):
            World(small(churn=churn), 20, 1).begin()
