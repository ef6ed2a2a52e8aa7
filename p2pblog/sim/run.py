"""One run of a scenario: which world it needs, and what came of it as one document and as tables for pictures."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from p2pblog.core.value import Value, field
from p2pblog.errors import UsageError
from p2pblog.gossip.messages import Clocks, Forget, Fork, Statements, Tokens
from p2pblog.sim import aims, garbage, sense
from p2pblog.sim.chance import generator
from p2pblog.sim.checkers import all_checkers
from p2pblog.sim.checkers.addressed import Addressed, OnlyAddressee
from p2pblog.sim.checkers.words import LastWords
from p2pblog.sim.coverage import Curve, count_at_end, readable_by_newcomers
from p2pblog.sim.faults import FAULTS
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.library import replaced
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.measure import Meter, quantile
from p2pblog.sim.scenario import NODES_MAX, NODES_MIN, Scenario
from p2pblog.sim.watch import Watcher
from p2pblog.sim.world import VIOLATIONS_MAX, World

W = TypeVar("W", bound=Watcher)

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
CURVE_STEPS = 500
"""Points of a distribution that are kept for pictures."""
CLOCK_KINDS = {kind.__name__ for kind in (Tokens, Forget, Statements, Clocks, Fork)}
"""Messages by which two nodes tell each other what they hold: a reconnect that saved clocks and spent tokens would have
saved nothing."""
NO_LOOKUPS = {"lookups": 0, "success_ratio": None, "p50_ms": None, "p99_ms": None, "hops_p50": None}

Tick = Callable[[float], None]
"""Hears the share of a run that is done."""


class Table(Value):
    """Rows for a picture, as they stand in a CSV file."""

    header: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class Outcome(Value):
    """What came of a run. `document` is what `--json` prints; `tables` are by the name of their file."""

    document: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=dict)

    @property
    def violations(self) -> list[str]:
        return list(self.document["violations"])


def run(scenario: Scenario, nodes: int, seed: int, tick: Tick = lambda share: None) -> Outcome:
    """Let it happen. Raises UsageError for too few nodes, or for a scenario that can't be run."""
    if not NODES_MIN <= nodes <= NODES_MAX:
        raise UsageError(f"a scenario needs {NODES_MIN} to {NODES_MAX:,} nodes, not {nodes:,}")
    sense.check(scenario, nodes)
    goals = aims.parse_all(scenario.aims)
    begun = time.perf_counter()
    with garbage.seldom(tick) as looking:
        match scenario.kind:
            case "gossip":
                outcome = _gossip(scenario, nodes, seed, looking)
            case "dht":
                outcome = _dht(scenario, nodes, seed, looking)
            case other:
                raise UsageError(f"the scenario {scenario.name} is of no kind that we know: {other}")
    document = outcome.document
    document["wall_s"] = round(time.perf_counter() - begun, 2)
    document["peak_mib"] = _peak_mib()
    document["aims"] = [aim.judge(document) for aim in goals]
    return outcome


def _document(scenario: Scenario, nodes: int, seed: int, **measured: Any) -> dict[str, Any]:
    """Every document has these keys in this order. What did not take place is counted as 0; its shares and quantiles
    are None, since there is nothing that they could be of."""
    document = {
        "scenario": scenario.name, "seed": seed, "nodes": nodes, "virtual_s": 0.0, "wall_s": 0.0,
        "delivered_ratio": None, "missed": 0, "lost": 0, "latency_ms": _quantiles_ms(()), "rmr": None,
        "rmr_cold": None, "relay_share": None, "lazy_bytes_ratio": None, "last_hop": 0, "bytes_per_node_s": 0.0,
        "dht": dict(NO_LOOKUPS),
        "violations": [], "trace_hash": "",
    }  # fmt: skip
    return document | measured


def _quantiles_ms(times_us: Sequence[int]) -> dict[str, float | None]:
    ranked = sorted(times_us)
    return {name: round(quantile(ranked, share) / 1000, 1) if ranked else None for name, share in QUANTILES.items()}


def _spread_ms(times_us: Sequence[int]) -> dict[str, float | None]:
    """The quantiles, and the last of all: what is promised of every node is judged by that one."""
    return _quantiles_ms(times_us) | {"max": round(max(times_us) / 1000, 1) if times_us else None}


def _peak_mib() -> int:
    """The most memory that this process ever took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10


def _curve(**series: Sequence[float]) -> Table:
    """Distributions side by side: at each share, the value that so much of a series does not exceed."""
    ranked = {name: sorted(values) for name, values in series.items()}
    rows = []
    for step in range(CURVE_STEPS + 1):
        places = {name: max(0, -(-len(values) * step // CURVE_STEPS) - 1) for name, values in ranked.items()}
        rows.append((step / CURVE_STEPS, *(ranked[name][at] if ranked[name] else "" for name, at in places.items())))
    return Table(("share", *series), rows)


# --- gossip -----------------------------------------------------------------------------------------------------------


def _lookups(times_us: Sequence[int]) -> dict[str, Any]:
    """What full nodes' look-ups took; whether each found all there was, nobody can say in a world that goes on."""
    if not times_us:
        return dict(NO_LOOKUPS)
    times = {f"p{share}_ms": round(quantile(times_us, share / 100) / 1_000, 1) for share in (50, 99)}
    return NO_LOOKUPS | {"lookups": len(times_us)} | times


def _gossip(scenario: Scenario, nodes: int, seed: int, tick: Tick) -> Outcome:
    world = World(scenario, nodes, seed, all_checkers())
    curve = Curve(world, int((scenario.duration_s + scenario.settle_s) * SECOND_US))
    with replaced(world.loop.time, generator(seed, "library")):
        world.run(tick)
    meter = world.meter
    pairs, missed, lost = count_at_end(world)
    online_us = world.online_us + sum(world.loop.now_us - node.booted_us for node in world.nodes if node.is_up)
    figures = meter.figures()
    if not meter.notices:
        figures = dict.fromkeys(figures, None) | {"last_hop": 0}
    document = _document(
        scenario,
        nodes,
        seed,
        virtual_s=world.loop.now_us / SECOND_US,
        delivered_ratio=round((pairs - missed) / pairs, 6) if pairs else None,
        missed=missed,
        lost=lost,
        latency_ms=_quantiles_ms([*meter.cold_us, *meter.live_us]),
        **figures,
        bytes_per_node_s=round(sum(world.network.bytes_sent.values()) * SECOND_US / max(1, online_us), 1),
        dht=_lookups(meter.lookups_us),
        violations=world.violations,
        trace_hash=meter.trace_hash,
        latency_cold_ms=_spread_ms(meter.cold_us),
        latency_warm_ms=_spread_ms(meter.live_us),
        catch_up_ms=_spread_ms(meter.catch_up_us),
        notices=len(meter.notices),
        pairs=pairs,
        bytes_by_kind=dict(sorted(meter.bytes_by_kind.items())),
        messages=dict(sorted(meter.messages.items())),
        events=world.loop.events,
        violations_total=world.failed,
        episodes=[_episode(fault) | _drawn(world, fault) for fault in world.faults],
        **_relinked(meter),
        **_newcomers(world),
        **_words(world),
    )
    return Outcome(document, _gossip_tables(world, curve))


def _relinked(meter: Meter) -> dict[str, Any]:
    """What a link that was made again cost, if one was."""
    if not meter.relinked:
        return {}
    by_kind = dict(sorted(meter.relinked.items()))
    clocks = sum(size for kind, size in by_kind.items() if kind in CLOCK_KINDS)
    told = {"feeds": meter.relinked_feeds, "bytes": sum(by_kind.values()), "clock_bytes": clocks}
    return {"relink": told | {"bytes_by_kind": by_kind}}


def _newcomers(world: World) -> dict[str, Any]:
    """What those who came last can read of the newest notices, if any came."""
    pairs, readable = readable_by_newcomers(world)
    if not pairs:
        return {}
    return {"newcomers": {"pairs": pairs, "readable": readable, "ratio": round(readable / pairs, 6)}}


def _words(world: World) -> dict[str, Any]:
    """What people did beside writing notices, and what became of it, if they did anything."""
    if world.scenario.words is None:
        return {}
    words, addressed = _watcher(world, LastWords), _watcher(world, Addressed)
    letters = _watcher(world, OnlyAddressee)
    return {
        "words": {
            "written": dict(sorted(words.counts.items())),
            "refused": sum(node.hand.refused for node in world.nodes if node.hand is not None),
            "shown": words.shown,
            "boosts": words.boosts,
            "boosts_read": words.boosts_read,
            "addressed": addressed.due,
            "reached": addressed.reached,
            "reached_ratio": round(addressed.reached / addressed.due, 6) if addressed.due else None,
            "letters": letters.due,
            "read": letters.read,
        }
    }


def _watcher(world: World, kind: type[W]) -> W:
    return next(watcher for watcher in world.watchers if isinstance(watcher, kind))


def _episode(fault: Fault) -> dict[str, Any]:
    """When a fault strikes and when it is over, as far as its table says."""
    kind = next(name for name, made in FAULTS.items() if type(fault) is made)
    repeated_s = getattr(fault, "every_s", 0.0) * (getattr(fault, "times", 1) - 1)
    lasts_s = getattr(fault, "heal_after_s", 0.0) or getattr(fault, "back_after_s", 0.0) or repeated_s
    return {"kind": kind, "from_s": fault.at_s, "to_s": getattr(fault, "until_s", fault.at_s + lasts_s)}


def _drawn(world: World, fault: Fault) -> dict[str, Any]:
    """What a fault of any kind became, in the order of time."""
    drawn = [_episode(made) for asked, made in world.drawn if asked is fault]
    if not drawn:
        return {}
    rounded = [one | {"from_s": round(one["from_s"], 3), "to_s": round(one["to_s"], 3)} for one in drawn]
    return {"drawn": sorted(rounded, key=lambda one: (one["from_s"], one["kind"]))}


def _gossip_tables(world: World, curve: Curve) -> dict[str, Table]:
    meter, sent = world.meter, world.network.bytes_sent
    warm, cold, late = ([time / 1000 for time in times] for times in (meter.live_us, meter.cold_us, meter.catch_up_us))
    return {
        "delivery": _curve(warm_ms=warm, cold_ms=cold, catch_up_ms=late),
        "coverage": Table(
            ("at_s", "pairs", "held"), [(at_us / SECOND_US, drawn, held) for at_us, drawn, held in curve.points]
        ),
        "notices": Table(
            ("author", "written_s", "first", "deliveries", "copies", "relayed", "last_hop"),
            [
                (
                    notice.author,
                    notice.written_us / SECOND_US,
                    int(notice.is_first),
                    notice.firsts,
                    notice.copies,
                    notice.relayed,
                    max(notice.hops.values()),
                )
                for notice in meter.notices.values()
            ],
        ),
        "nodes": Table(
            ("node", "follows", "followers", "bytes_sent"),
            [
                (number, len(world.follows[number]), len(world.followers[number]), sent.get(number, 0))
                for number in range(len(world.nodes))
            ],
        ),
    }


# --- the DHT ----------------------------------------------------------------------------------------------------------


def _dht(scenario: Scenario, nodes: int, seed: int, tick: Tick) -> Outcome:
    from p2pblog.sim.directory import DhtPlan, run_dht  # the library takes a while to import

    plan = DhtPlan.from_table(scenario.dht)
    came = run_dht(seed, nodes, scenario.network, plan, tick)
    weather = scenario.network
    conditions = {"dead": plan.dead, "liars": plan.liars, "colluders": plan.colluders, "loss": weather.loss,
                  "tail_share": weather.tail_share}  # fmt: skip
    document = _document(
        scenario,
        nodes,
        seed,
        virtual_s=came.virtual_s,
        bytes_per_node_s=round(came.bytes_sent * SECOND_US / max(SECOND_US, came.online_us), 1),
        dht=came.json if came.lookup_ms else came.json | NO_LOOKUPS,
        violations=came.violations[:VIOLATIONS_MAX],
        trace_hash=came.trace_hash,
        conditions=conditions,
        violations_total=len(came.violations),
        datagrams=came.datagrams,
    )
    tables = {"lookups": _curve(lookup_ms=came.lookup_ms, acked_ms=came.acked_ms, publish_ms=came.publish_ms)}
    return Outcome(document, tables)
