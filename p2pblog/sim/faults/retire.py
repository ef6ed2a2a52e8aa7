"""Retire: authors take a device out of service and write on with another."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.tables import Count

if TYPE_CHECKING:
    from p2pblog.sim.world import World


class Retire(Fault):
    """So many of the honest nodes that are on line and followed retire the device they write with."""

    count: Count = 1

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us, self._strike, world, rng)

    def _strike(self, world: World, rng: Random) -> None:
        able = [n.number for n in world.nodes if world.is_honest_online(n.number) and world.followers[n.number]]
        for number in sorted(rng.sample(able, min(self.count, len(able)))):
            world.nodes[number].desk.retire()
