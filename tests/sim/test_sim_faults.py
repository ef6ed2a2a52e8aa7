"""Faults: what a scenario does to its world, and what the world shows afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sim_scenes import ran, small

from p2pblog.errors import UsageError
from p2pblog.sim.checkers import all_checkers
from p2pblog.sim.faults import FAULTS, faults_of
from p2pblog.sim.links import Lane
from p2pblog.sim.loop import SECOND_US, done
from p2pblog.sim.run import run
from p2pblog.sim.sessions import Disk, End
from p2pblog.sim.world import World


def begun(world: World, seconds: float) -> World:
    """The world at that moment."""
    if world.loop.now_us == 0:
        world.begin()
    world.loop.run_until(int(seconds * SECOND_US))
    return world


@dataclass
class Reader:
    """Stands where a node stood, and notes what is sent to it."""

    number: int
    read: list[bytes]
    is_up: bool = True

    def on_message(self, _lane: Lane, data: bytes) -> None:
        self.read.append(data)


def on_line(world: World) -> list[int]:
    return [node.number for node in world.nodes if node.is_up]


def test_a_crash_takes_its_share_and_spares_the_first() -> None:
    world = begun(World(small({"kind": "crash", "at_s": 10.0, "share": 0.8, "spare": 5}), 25, 1), 9.9)
    assert len(on_line(world)) == 25
    begun(world, 10)
    assert on_line(world)[:5] == [0, 1, 2, 3, 4] and len(on_line(world)) == 9
    begun(world, 30)
    assert len(on_line(world)) == 9


def test_who_loses_power_tells_nobody_and_who_is_killed_resets() -> None:
    links = {}
    for silent in (True, False):
        crash = {"kind": "crash", "at_s": 10.0, "share": 0.5, "silent": silent}
        world = begun(World(small(crash), 20, 1), 10.3)
        gone = [node.person.node_key for node in world.nodes if not node.is_up]
        links[silent] = sum(key in node.lanes for node in world.nodes if node.is_up for key in gone)
    assert links[False] == 0 and links[True] > 10


@pytest.mark.parametrize("disk", ["intact", "put-back", "lost"])
def test_who_comes_back_goes_on_with_what_the_disk_holds(disk: str) -> None:
    crash = {"kind": "crash", "at_s": 12.0, "share": 0.5, "back_after_s": 4.0, "disk": disk, "rollback_s": 6.0}
    world = World(small(crash), 20, 3)
    before = {node.number: node.person for node in begun(world, 11.9).nodes}
    down = set(before) - set(on_line(begun(world, 12)))
    assert len(down) == 10 and len(on_line(begun(world, 16))) == 20
    keys = {number for number in before if world.nodes[number].person.node_key != before[number].node_key}
    assert keys == (down if disk == "lost" else set())
    assert {node.number for node in world.nodes if node.disk} == (set() if disk == "intact" else down)
    assert all(node.person.hash == before[node.number].hash for node in world.nodes)
    assert ran(small(crash), 3).violations == []


def test_an_author_whose_disk_was_put_back_writes_on_under_another_key() -> None:
    """The machine that has the author's newest entries proves them, so the shipped pen opens a new log."""
    crash = {"kind": "crash", "at_s": 14.0, "share": 1.0, "back_after_s": 2.0, "disk": "put-back", "rollback_s": 9.0}
    world = ran(small(crash | {"share": 0.2, "spare": 0}, duration_s=30.0), 5)
    assert world.violations == [] and not world.forked
    fresh = [n.number for n in world.nodes if n.disk and len([d for d, o in world.owner.items() if o == n.number]) > 1]
    assert fresh, "nobody had to"


def test_an_author_whose_disk_knows_nobody_any_more_waits_for_those_who_are_named_to_it() -> None:
    """A disk that was put back to before its node met anybody is still compared with what others hold (`byzantine`,
    seed 332)."""
    world = begun(World(small(), 20, 2, all_checkers()), 1)
    author = world.nodes[0]
    author.take_snapshot()
    assert not done(author.store.load()).peers and author.is_up
    begun(world, 20)
    assert max(author.store.held(author.person.log)) == 4
    world.stop(0, End.DARK)
    world.wake(0, Disk.PUT_BACK)
    world.post(0)
    begun(world, 40)
    assert world.violations == [] and not world.forked
    assert len([log for log, owner in world.owner.items() if owner == 0]) == 2


def test_a_partition_lets_nothing_through_until_it_heals() -> None:
    world = World(small({"kind": "partition", "at_s": 5.0, "share": 0.5, "heal_after_s": 8.0}), 20, 2)
    begun(world, 5)
    assert len(world.network.sides) == round(0.5 * 19) and 0 not in world.network.sides
    heard: list[tuple[int, int]] = []
    sound = world.on_message
    world.on_message = lambda node, sender, *rest: (
        heard.append((node.number, sender.number)),
        sound(node, sender, *rest),
    )  # type: ignore[assignment,func-returns-value]
    begun(world, 12.9)
    assert heard and not any(world.network.is_cut(*pair) for pair in heard)
    begun(world, 13)
    assert world.network.sides == {}
    world = ran(small({"kind": "partition", "at_s": 5.0, "share": 0.5, "heal_after_s": 8.0}), 2)
    assert world.violations == []


def test_a_partition_heals_what_it_has_cut_and_no_other() -> None:
    world = begun(World(small(), 20, 2), 5)
    one, other = world.split([1, 2]), world.split([2, 3])
    cut = {pair for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (1, 3)) if world.network.is_cut(*pair)}
    assert cut == {(0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (1, 3)}
    world.heal(one)
    assert [world.network.is_cut(0, node) for node in (1, 2, 3)] == [False, True, True]
    assert not world.network.is_cut(2, 3)
    world.heal(other)
    assert world.network.sides == {}


def test_what_a_partition_held_up_arrives_in_the_order_it_was_sent() -> None:
    """Some of it was on its way when the partition began, some was sent meanwhile, some arrives after it healed."""
    world = begun(World(small(), 20, 2), 5)
    lane = next(lane for lane in world.nodes[1].lanes.values() if lane.is_open)
    read: list[bytes] = []
    lane.other.node = Reader(lane.other.node.number, read)  # type: ignore[assignment]
    way_us = world.network.rtt_us(1, lane.other.node.number) // 2
    for number, wait_us in enumerate((way_us // 2, way_us // 4, way_us, way_us // 8, 0)):
        lane.send(world.network, bytes([number]))
        if number == 1:
            partition = world.split([1])
        if number == 3:
            world.heal(partition)
        world.loop.run_until(world.loop.now_us + wait_us)
    world.loop.run_until(lane.last_us + 1_000)
    assert [data for data in read if len(data) == 1] == [bytes([number]) for number in range(5)]


def test_the_last_word_of_who_was_dialed_is_read_whatever_still_comes() -> None:
    """A listener reads on for a second after it has closed, so that no reset overtakes what it said last."""
    world = begun(World(small(), 20, 2), 5)
    lane = next(lane for node in world.nodes for lane in node.lanes.values() if lane.is_open and lane.dialed)
    network = world.network
    lane.send(network, b"?")
    world.loop.run_until(lane.last_us - 1)
    lane.other.send(network, bytes(50_000))
    lane.other.hang_up(network)
    passes_us = 50_000 * 8_000 // network.weather.down_kbit_s
    world.loop.run_until(lane.other.last_us + passes_us)
    assert lane.is_open
    world.loop.run_until(lane.other.last_us + passes_us + 1_000)
    assert not lane.is_open


def test_a_wrong_clock_shows_in_what_is_written_and_hurts_nobody() -> None:
    year_s = 365 * 86_400.0
    scenario = small({"kind": "skew", "at_s": 3.0, "share": 1.0, "most_s": year_s})
    world = ran(scenario)
    assert world.violations == []
    assert sum(abs(node.skew_ms) > 86_400_000 for node in world.nodes) > 10
    author = world.nodes[1]
    written = world.last[author.person.log]
    assert abs(written.time_ms - world.wall_ms() - author.skew_ms) < 40_000


def test_rewiring_ends_links_without_blame_and_others_take_their_place() -> None:
    scenario = small({"kind": "rewire", "at_s": 8.0, "share": 0.3, "every_s": 1.0, "times": 5})
    world = begun(World(scenario, 40, 1), 7.9)
    before = {(n.number, k) for n in world.nodes for k in n.lanes}
    begun(world, 20)
    after = {(n.number, k) for n in world.nodes for k in n.lanes}
    assert len(before - after) > len(before) // 4 and len(after) > len(before) * 3 // 4
    assert ran(scenario).violations == []


def test_who_leaves_in_peace_tells_nobody_of_a_crash() -> None:
    world = ran(small({"kind": "leave", "at_s": 8.0, "share": 0.05}))
    assert sum(not node.is_up for node in world.nodes) == 1
    assert world.meter.messages["Alarm"] == 0


def test_any_faults_are_drawn_from_the_seed_alone() -> None:
    scenario = small({"kind": "any", "at_s": 3.0, "until_s": 20.0, "count": 3})
    first, again, other = ran(scenario, 4), ran(scenario, 4), ran(scenario, 5)
    assert first.meter.trace_hash == again.meter.trace_hash != other.meter.trace_hash
    assert first.violations == other.violations == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"at_s": 1.0}, "no known kind"),
        ({"kind": "earthquake", "at_s": 1.0}, "no known kind"),
        ({"kind": "crash"}, "lacks at_s"),
        ({"kind": "crash", "at_s": 1.0, "colour": 3}, "unknown key: colour"),
        ({"kind": "crash", "at_s": "soon"}, "at_s: expected a number, got a text"),
        ({"kind": "crash", "at_s": 1.0, "disk": "wet"}, "disk is one of intact, put-back, lost, not 'wet'"),
        ({"kind": "crash", "at_s": 1.0, "share": 5.0}, "share: expected a number <= 1.0"),
        ({"kind": "leave", "at_s": -5.0}, "at_s: expected a number >= 0.0"),
        ({"kind": "partition", "at_s": 1.0, "heal_after_s": 1e6}, "that heals at 1,000,001 s leaves nobody"),
        ({"kind": "partition", "at_s": 10.0, "heal_after_s": 10.5}, "heals at 20.5 s .* which is 20 s here"),
        ({"kind": "crash", "at_s": 10.0, "back_after_s": 11.0}, "who comes back at 21 s leaves nobody time"),
        ({"kind": "leave", "at_s": 10.0, "back_after_s": 11.0}, "who comes back at 21 s leaves nobody time"),
        ({"kind": "any", "at_s": 10.0, "until_s": 21.0}, "back or healed at 21 s leaves nobody time"),
        ({"kind": "any", "at_s": 3.0, "until_s": 1.0}, "which comes later"),
    ],
)
def test_a_fault_that_makes_no_sense_is_a_sentence(table: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        World(small(table), 20, 1)


def test_every_kind_is_listed_under_its_name() -> None:
    tables = [{"kind": kind, "at_s": 1.0} for kind in FAULTS]
    assert [type(fault) for fault in faults_of(small(*tables, duration_s=60.0))] == list(FAULTS.values())


def test_a_result_tells_what_any_fault_became() -> None:
    tables = [{"kind": "any", "at_s": 3.0, "until_s": 20.0, "count": count} for count in (2, 3)]
    skew = {"kind": "skew", "at_s": 1.0}

    episodes = run(small(*tables, skew), 20, 4).document["episodes"]

    assert [len(episode.get("drawn", ())) for episode in episodes] == [2, 3, 0]
    for episode in episodes[:2]:
        assert (episode["kind"], episode["from_s"], episode["to_s"]) == ("any", 3.0, 20.0)
        assert episode["drawn"] == sorted(episode["drawn"], key=lambda one: one["from_s"])
        for one in episode["drawn"]:
            assert one["kind"] in FAULTS.keys() - {"any", "relink"}
            assert 3.0 <= one["from_s"] <= one["to_s"] <= 20.0


def test_a_partition_heals_while_there_is_time_to_settle() -> None:
    partition = {"kind": "partition", "at_s": 10.0, "heal_after_s": 10.0}
    assert faults_of(small(partition, settle_s=15.0))
    with pytest.raises(UsageError, match="which is 19 s here"):
        faults_of(small(partition, settle_s=14.0))
    assert ran(small(partition, settle_s=15.0), 3).violations == []
