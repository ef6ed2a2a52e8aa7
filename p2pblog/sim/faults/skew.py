"""Skew: clocks that people set wrong."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.faults.fault import Fault, some
from p2pblog.sim.tables import Ratio, Seconds

if TYPE_CHECKING:
    from p2pblog.sim.world import World


class Skew(Fault):
    """A share of the nodes' wall clocks, authors' too, go wrong by up to `most_s` either way. Machines wait by another
    clock, which nobody sets."""

    share: Ratio = 0.5
    most_s: Seconds = 3_600.0

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us, self._strike, world, rng)

    def _strike(self, world: World, rng: Random) -> None:
        most_ms = int(self.most_s * 1_000)
        for number in some(world, rng, self.share, spare=0):
            world.nodes[number].skew_ms = rng.randint(-most_ms, most_ms)
