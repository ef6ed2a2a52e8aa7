"""Rewire: a share of the links end in peace, again and again, so that nodes find other neighbours."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.gossip.events import Candidates
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.tables import Positive, Ratio, Seconds

if TYPE_CHECKING:
    from p2pblog.sim.links import Lane
    from p2pblog.sim.world import World


class Rewire(Fault):
    """`share` of all links that stand end, `times` times, every `every_s`. Each dialer hears of one more node then."""

    share: Ratio = 0.1
    every_s: Seconds = 5.0
    times: Positive = 1

    def plan(self, world: World, rng: Random) -> None:
        for turn in range(self.times):
            world.loop.at(self.at_us + int(turn * self.every_s * SECOND_US), self._strike, world, rng)

    def _strike(self, world: World, rng: Random) -> None:
        lanes: list[Lane] = [
            lane for node in world.nodes for _peer, lane in sorted(node.lanes.items()) if lane.dialed and lane.is_open
        ]
        for lane in rng.sample(lanes, round(self.share * len(lanes))):
            node, other = lane.node, rng.randrange(len(world.nodes))
            if not node.is_up:
                continue
            node.drop(lane)
            if world.nodes[other].is_up and other not in world.network.behind_router:
                node.feed(Candidates((world.nodes[other].endpoint,)))
