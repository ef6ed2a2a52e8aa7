"""What every fault is: a moment, and a plan of what happens then."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.tables import Seconds, Table

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario
    from p2pblog.sim.world import World


class Fault(Table):
    """`at_s`: when it strikes, in seconds of virtual time. Other fields are the kind's own, from its table."""

    at_s: Seconds

    @property
    def at_us(self) -> int:
        return int(self.at_s * SECOND_US)

    def check(self, scenario: Scenario) -> None:
        """Raises UsageError if it makes no sense in this scenario."""

    def plan(self, world: World, rng: Random) -> None:
        """Put what it does on the world's clock; called once, before anything has happened."""
        raise AssertionError("each kind plans for itself")


def some(world: World, rng: Random, share: float, spare: int) -> list[int]:
    """That share of the nodes that are on line now, the first `spare` left alone; in order."""
    able = [node.number for node in world.nodes[spare:] if node.is_up]
    return sorted(rng.sample(able, min(len(able), round(share * len(able)))))
