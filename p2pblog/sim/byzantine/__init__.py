"""Byzantine nodes: the shipped machine with lies told over its links, each kind of lie in a file of its own."""

from __future__ import annotations

from random import Random

from p2pblog.errors import UsageError
from p2pblog.sim.byzantine.behaviour import Behaviour
from p2pblog.sim.byzantine.claims import LyingClocks, MuteHaves
from p2pblog.sim.byzantine.flood import Flood
from p2pblog.sim.byzantine.forge import Forge, InnerGarbage
from p2pblog.sim.byzantine.fork import ForkAndRetire, TwoHistories
from p2pblog.sim.byzantine.garbage import Garbage
from p2pblog.sim.byzantine.replay import Replay
from p2pblog.sim.byzantine.statements import ForgeStatements
from p2pblog.sim.byzantine.withhold import NoAnswers, NoPayloads, NoPongs
from p2pblog.sim.scenario import Byzantine

BEHAVIOURS: dict[str, type[Behaviour]] = {
    "clocks": LyingClocks,
    "flood": Flood,
    "forge": Forge,
    "forge-statements": ForgeStatements,
    "fork": TwoHistories,
    "fork-and-retire": ForkAndRetire,
    "garbage": Garbage,
    "inner-garbage": InnerGarbage,
    "mute-haves": MuteHaves,
    "no-answers": NoAnswers,
    "no-payloads": NoPayloads,
    "no-pongs": NoPongs,
    "replay": Replay,
}
"""What a scenario's `behaviours` may name."""
ASKED_FOR = {"forge-statements"}
"""What only those do who are told to by name: one more to draw from would make another world of each seed."""


def check_behaviours(plan: Byzantine) -> None:
    """Raises UsageError for a behaviour of no known name."""
    for name in plan.behaviours:
        if name not in BEHAVIOURS:
            raise UsageError(f"there is no behaviour called {name}; there are {', '.join(BEHAVIOURS)}")


def draw_behaviours(plan: Byzantine, rng: Random) -> list[Behaviour]:
    """What one liar does: one to `most` of the behaviours."""
    names = sorted(plan.behaviours or BEHAVIOURS.keys() - ASKED_FOR)
    chosen = rng.sample(names, rng.randint(1, min(plan.most, len(names))))
    return [BEHAVIOURS[name](Random(rng.getrandbits(64))) for name in chosen]
