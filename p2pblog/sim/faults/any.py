"""Any: faults of any kind at any moment, drawn from the seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.errors import UsageError
from p2pblog.sim.faults.crash import Crash
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.faults.leave import Leave
from p2pblog.sim.faults.partition import Partition
from p2pblog.sim.faults.retire import Retire
from p2pblog.sim.faults.rewire import Rewire
from p2pblog.sim.faults.skew import Skew
from p2pblog.sim.sessions import Disk
from p2pblog.sim.tables import Count, Seconds

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario
    from p2pblog.sim.world import World


class AnyFaults(Fault):
    """`count` of them between `at_s` and `until_s`; whatever ends or is cut is back before `until_s`."""

    until_s: Seconds = 60.0
    count: Count = 4

    def check(self, scenario: Scenario) -> None:
        if self.at_s >= self.until_s:
            raise UsageError("faults of any kind strike from at_s until until_s, which comes later")
        self.check_over(scenario, self.until_s, "what is back or healed")

    def plan(self, world: World, rng: Random) -> None:
        for _ in range(self.count):
            fault = self._draw(rng)
            world.drawn.append((self, fault))
            fault.plan(world, rng)

    def _draw(self, rng: Random) -> Fault:
        at_s = rng.uniform(self.at_s, self.until_s)
        left_s = self.until_s - at_s
        share, wait_s = rng.uniform(0.02, 0.5), rng.uniform(0.0, left_s)
        match rng.randrange(6):
            case 0:
                disk = rng.choice(list(Disk))
                return Crash(at_s, share, rng.random() < 0.5, wait_s, disk, rng.uniform(1.0, 60.0), spare=0)
            case 1:
                return Leave(at_s, share, back_after_s=wait_s, spare=0)
            case 2:
                return Partition(at_s, share, wait_s)
            case 3:
                return Skew(at_s, share, rng.choice([60.0, 86_400.0, 365 * 86_400.0]))
            case 4:
                return Rewire(at_s, share, every_s=1.0, times=1 + int(min(5.0, left_s)))
            case _:
                return Retire(at_s, rng.randint(1, 3))
