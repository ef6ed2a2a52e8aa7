"""Partition: the network falls apart into two sides, and heals."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.tables import Ratio, Seconds

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario
    from p2pblog.sim.world import World


class Partition(Fault):
    """`share` of all nodes, node 0 never among them, are on the other side for `heal_after_s`. Of several at once
    each heals what it has cut itself."""

    share: Ratio = 0.5
    heal_after_s: Seconds = 30.0

    def check(self, scenario: Scenario) -> None:
        self.check_over(scenario, self.at_s + self.heal_after_s, "a partition that heals")

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us, self._strike, world, rng)

    def _strike(self, world: World, rng: Random) -> None:
        able = range(1, len(world.nodes))
        partition = world.split(rng.sample(able, round(self.share * len(able))))
        world.loop.at(self.at_us + int(self.heal_after_s * SECOND_US), world.heal, partition)
