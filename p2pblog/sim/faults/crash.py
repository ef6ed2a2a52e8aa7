"""Crash: a share of the nodes end at once, silently or not, and may come back with the disk in some state."""

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


class Crash(Fault):
    """`silent`: the power fails, so nobody is told; else the machine resets its connections. `back_after_s`: 0 for
    never. `disk`: intact, put-back (to `rollback_s` before the crash) or lost. `spare`: so many of the first nodes
    stay."""

    share: Ratio = 0.5
    silent: bool = True
    back_after_s: Seconds = 0.0
    disk: Disk = Disk.INTACT
    rollback_s: Seconds = 60.0
    spare: Count = 1

    def check(self, scenario: Scenario) -> None:
        if self.back_after_s:
            self.check_over(scenario, self.at_s + self.back_after_s, "who comes back")

    def plan(self, world: World, rng: Random) -> None:
        if self.disk is Disk.PUT_BACK:
            world.loop.at(max(0, self.at_us - int(self.rollback_s * SECOND_US)), self._take_snapshots, world)
        world.loop.at(self.at_us, self._strike, world, rng)

    @staticmethod
    def _take_snapshots(world: World) -> None:
        for node in world.nodes:
            node.take_snapshot()

    def _strike(self, world: World, rng: Random) -> None:
        for number in some(world, rng, self.share, self.spare):
            world.stop(number, End.DARK if self.silent else End.KILL)
            if self.back_after_s:
                back_us = world.loop.now_us + int(self.back_after_s * SECOND_US)
                world.loop.at(back_us, world.wake, number, self.disk)
