"""Crash: a share of the nodes end at once, silently or not, and may come back with the disk in some state."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from p2pblog.errors import UsageError
from p2pblog.sim.faults.fault import Fault, some
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.sessions import Disk, End

if TYPE_CHECKING:
    from p2pblog.sim.world import World


@dataclass(frozen=True, slots=True)
class Crash(Fault):
    """`silent`: the power fails, so nobody is told; else the machine resets its connections. `back_after_s`: 0 for
    never. `disk`: intact, put-back (to `rollback_s` before the crash) or lost. `spare`: so many of the first nodes
    stay."""

    share: float = 0.5
    silent: bool = True
    back_after_s: float = 0.0
    disk: str = "intact"
    rollback_s: float = 60.0
    spare: int = 1

    def __post_init__(self) -> None:
        if self.disk not in {disk.value for disk in Disk}:
            raise UsageError(f"a disk is intact, put-back or lost after a crash, not {self.disk}")

    def plan(self, world: World, rng: Random) -> None:
        if self.disk == Disk.PUT_BACK.value:
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
                world.loop.at(back_us, world.wake, number, Disk(self.disk))
