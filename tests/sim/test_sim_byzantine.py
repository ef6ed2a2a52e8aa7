"""Liars: each lie is really told, and hurts nobody but who tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from gossip_scenes import done
from sim_scenes import ran, small

from p2pblog.errors import RemoteProtocolError, UsageError
from p2pblog.gossip.messages import Fetch, Have, Peers, Want
from p2pblog.sim.byzantine import BEHAVIOURS
from p2pblog.sim.byzantine.flood import Flood
from p2pblog.sim.byzantine.node import LyingNode
from p2pblog.sim.checkers import all_checkers
from p2pblog.sim.links import Lane
from p2pblog.sim.scenario import Byzantine, Posts
from p2pblog.sim.watch import Watcher
from p2pblog.sim.world import World

EVERYBODY_WRITES = Posts(0, 3, 3, 4, True)


class Ends(Watcher):
    """Why honest nodes ended their links with liars."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def on_closed(self, world: World, lane: Lane, error: RemoteProtocolError | None) -> None:
        if error is not None and lane.node.number not in world.byzantine:
            self.reasons[error.name] += 1


def frozen(world: World, ends: Ends) -> int:
    return sum(world.is_disputed(device) for device, owner in world.owner.items() if owner in world.byzantine)


def ended(*names: str) -> Callable[[World, Ends], int]:
    return lambda world, ends: sum(ends.reasons[name] for name in names)


def settled_forks(world: World, ends: Ends) -> int:
    """Logs that were retired by their forking owners."""
    return len(world.retired) - frozen(world, ends)


def inner_signatures(world: World, ends: Ends) -> int:
    return ends.reasons["bad-signature"]


def messages(name: str, at_least: int) -> Callable[[World, Ends], int]:
    return lambda world, ends: max(0, world.meter.messages[name] - at_least)


EVIDENCE: dict[str, Callable[[World, Ends], int]] = {
    "clocks": messages("Lack", 5),
    "flood": messages("Relay", 100),
    "forge": ended("bad-signature", "bad-chain"),
    "forge-statements": ended("bad-signature"),
    "fork": frozen,
    "fork-and-retire": settled_forks,
    "garbage": ended("malformed", "not-canonical", "bad-message"),
    "inner-garbage": inner_signatures,
    "mute-haves": messages("Graft", 50),
    "no-answers": messages("Graft", 10),
    "no-payloads": messages("WantPayloads", 5),
    "no-pongs": ended("too-slow"),
    "replay": lambda world, ends: 1,
}


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_a_lie_is_told_and_hurts_nobody_else(name: str) -> None:
    plan = Byzantine(0.2, (name,))
    scenario = small(byzantine=plan, posts=EVERYBODY_WRITES, duration_s=15.0, settle_s=15.0)
    ends = Ends()
    world = World(scenario, 20, 2, [ends, *all_checkers()])
    world.run()
    assert len(world.byzantine) == 4 and 0 not in world.byzantine
    assert world.violations == []
    assert EVIDENCE[name](world, ends) > 0, "nobody noticed anything"


def test_who_believes_a_forged_statement_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.core.identity._check_signed", lambda *_: None)
    monkeypatch.setattr("p2pblog.core.identity._check_signed_by_one", lambda _, roots: roots[-1])
    world = ran(small(byzantine=Byzantine(0.2, ("forge-statements",)), posts=EVERYBODY_WRITES), 2)
    assert any("for retired, which nobody did" in said for said in world.violations)


def test_liars_of_all_kinds_and_faults_of_all_kinds_together() -> None:
    faults = {"kind": "any", "at_s": 3.0, "until_s": 15.0, "count": 3}
    scenario = small(faults, byzantine=Byzantine(0.25), posts=EVERYBODY_WRITES, duration_s=15.0)
    first = ran(scenario, 3)
    assert first.violations == []
    assert ran(scenario, 3).meter.trace_hash == first.meter.trace_hash


def test_who_has_lost_his_own_log_goes_on_flooding() -> None:
    """Of his two histories he retired the one that he held."""
    world = ran(small(byzantine=Byzantine(0.1, ("flood",)), duration_s=1.0, settle_s=1.0), 2)
    liar = next(node for node in world.nodes if isinstance(node, LyingNode))
    done(liar.store.drop_log(liar.person.log))
    said = [message for seed in range(100) for message in Flood(Random(seed))._flood(liar)]
    assert {Have, Fetch, Want, Peers} <= {type(message) for message in said}


def test_a_behaviour_of_no_known_name_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="no behaviour called tickle"):
        World(small(byzantine=Byzantine(0.1, ("tickle",))), 20, 1)
