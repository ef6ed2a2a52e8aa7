"""Leave: a share of the nodes are stopped as a person stops them, and may come back."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.faults.fault import Fault, some
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.sessions import Disk, End
from p2pblog.sim.tables import Count, Ratio, Seconds

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario
    from p2pblog.sim.world import World


class Leave(Fault):
    """`first`: instead of a share, so many of the first nodes, the authors. `back_after_s`: 0 for never."""

    share: Ratio = 0.5
    first: Count = 0
    back_after_s: Seconds = 0.0
    spare: Count = 1

    def check(self, scenario: Scenario) -> None:
        if self.back_after_s:
            self.check_over(scenario, self.at_s + self.back_after_s, "who comes back")

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us, self._strike, world, rng)

    def _strike(self, world: World, rng: Random) -> None:
        first = range(min(self.first, len(world.nodes)))
        for number in first or some(world, rng, self.share, self.spare):
            world.stop(number, End.LEAVE)
            if self.back_after_s:
                back_us = world.loop.now_us + int(self.back_after_s * SECOND_US)
                world.loop.at(back_us, world.wake, number, Disk.INTACT)
