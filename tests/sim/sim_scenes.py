"""Small simulated worlds with everything watched."""

from __future__ import annotations

from typing import Any, TypeVar

from p2pblog.sim.checkers import all_checkers
from p2pblog.sim.scenario import Churn, Follows, Posts, Scenario
from p2pblog.sim.watch import Watcher
from p2pblog.sim.world import World

W = TypeVar("W", bound=Watcher)


def small(*faults: dict[str, Any], **changed: Any) -> Scenario:
    """Five authors among twenty people who follow some of them; 20 s and as much to settle, unless said otherwise."""
    plan: dict[str, Any] = {
        "duration_s": 20.0,
        "settle_s": 20.0,
        "follows": Follows("power-law", 1, 6),
        "posts": Posts(5, 3, 4, 5, True),
        "faults": faults,
    }
    return Scenario("small", "for tests", **(plan | changed))


def ran(scenario: Scenario, seed: int = 1, nodes: int = 20) -> World:
    """The world after it all has happened, with every checker on."""
    world = World(scenario, nodes, seed, all_checkers())
    world.run()
    return world


def watcher(world: World, kind: type[W]) -> W:
    return next(one for one in world.watchers if isinstance(one, kind))


def churning(**changed: Any) -> Churn:
    """Sessions and pauses of some seconds."""
    return Churn(**({"sessions": "weibull", "scale_s": 8.0, "shape": "0.6", "steady": 0} | changed))
