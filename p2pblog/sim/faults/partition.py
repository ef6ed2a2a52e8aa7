"""Partition: the network falls apart into two sides, and heals."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.loop import SECOND_US

if TYPE_CHECKING:
    from p2pblog.sim.world import World


@dataclass(frozen=True, slots=True)
class Partition(Fault):
    """`share` of all nodes, node 0 never among them, are on the other side for `heal_after_s`."""

    share: float = 0.5
    heal_after_s: float = 30.0

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us, self._strike, world, rng)
        world.loop.at(self.at_us + int(self.heal_after_s * SECOND_US), world.heal)

    def _strike(self, world: World, rng: Random) -> None:
        able = range(1, len(world.nodes))
        world.split(rng.sample(able, round(self.share * len(able))))
