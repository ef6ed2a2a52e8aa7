"""What every fault is: a moment, and a plan of what happens then."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.errors import UsageError
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.tables import Seconds, Table

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario
    from p2pblog.sim.world import World


SETTLED_S = 15
"""What is healed or comes back has so long at least until the end of the run. Of six runs of 25 nodes, two with 5 s
and one with 7 s had followers who lacked what had waited on a partition's other side, with 10 s none; the rest is to
spare. Who comes back is mostly done within a second, but may have to search as those do."""


class Fault(Table):
    """`at_s`: when it strikes, in seconds of virtual time. Other fields are the kind's own, from its table."""

    at_s: Seconds

    @property
    def at_us(self) -> int:
        return int(self.at_s * SECOND_US)

    def check(self, scenario: Scenario) -> None:
        """Raises UsageError if it makes no sense in this scenario."""

    def check_over(self, scenario: Scenario, over_s: float, what: str) -> None:
        """Raises UsageError if `what`, the last that this fault brings, comes too late to be settled: at the end it
        would look like a broken rule, and be none."""
        latest_s = min(scenario.duration_s, scenario.duration_s + scenario.settle_s - SETTLED_S)
        if over_s > latest_s:
            raise UsageError(
                f"{what} at {over_s:,.10g} s leaves nobody time to catch up: that has to be by the end of duration_s, "
                f"and {SETTLED_S} s before the end of settle_s, which is {max(0.0, latest_s):,.10g} s here"
            )

    def plan(self, world: World, rng: Random) -> None:
        """Put what it does on the world's clock; called once, before anything has happened."""
        raise AssertionError("each kind plans for itself")


def some(world: World, rng: Random, share: float, spare: int) -> list[int]:
    """That share of the nodes that are on line now, the first `spare` left alone; in order."""
    able = [node.number for node in world.nodes[spare:] if node.is_up]
    return sorted(rng.sample(able, min(len(able), round(share * len(able)))))
