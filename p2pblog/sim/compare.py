"""Comparing results: the figures of two folders side by side, and which of them got worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2pblog.sim.aims import figure_at
from p2pblog.sim.folder import Result

FIGURES = {
    "violations_total": -1, "delivered_ratio": 1, "missed": -1, "lost": -1,
    "latency_ms.p50": -1, "latency_ms.p90": -1, "latency_ms.p99": -1,
    "latency_cold_ms.p50": -1, "latency_cold_ms.p99": -1, "latency_cold_ms.max": -1,
    "latency_warm_ms.p50": -1, "latency_warm_ms.p99": -1, "latency_warm_ms.max": -1,
    "catch_up_ms.p50": -1, "catch_up_ms.p99": -1, "catch_up_ms.max": -1,
    "rmr": -1, "rmr_cold": -1, "relay_share": -1, "lazy_bytes_ratio": -1, "last_hop": -1, "bytes_per_node_s": -1,
    "dht.success_ratio": 1, "dht.p50_ms": -1, "dht.p99_ms": -1, "dht.hops_p50": -1,
    "dht.acked_p50_ms": -1, "dht.acked_p99_ms": -1, "dht.holders_p50": 1,
    "newcomers.ratio": 1, "relink.feeds": 0, "relink.clock_bytes": -1, "relink.bytes": -1,
    "virtual_s": 0, "wall_s": 0, "peak_mib": 0,
}  # fmt: skip
"""What is compared, and which way is better: 1 up, -1 down, 0 neither. The last tell of the machine that ran it."""
ALIKE_PERCENT = 1.0
"""A smaller difference is called none: another seed alone makes as much."""

Group = tuple[str, int]
"""Scenario and number of nodes: runs that differ only by their seeds."""


def grouped(results: Sequence[Result]) -> dict[Group, list[Result]]:
    """Runs of one scenario and size together, in the order in which they come."""
    groups: dict[Group, list[Result]] = {}
    for result in results:
        groups.setdefault((result.document["scenario"], result.document["nodes"]), []).append(result)
    return groups


def compare(before: Sequence[Result], after: Sequence[Result]) -> dict[str, Any]:
    """A document: for each group of both sides a row for each figure, and what only one side has.

    A figure of several seeds is their mean. `seeds_common` are those that ran on both sides; `identical` says that each
    of these had the same trace there, so it is false where there are none.
    """
    old, new = grouped(before), grouped(after)
    return {
        "groups": [_compared(group, old[group], new[group]) for group in old if group in new],
        "only_before": [_name(group) for group in old if group not in new],
        "only_after": [_name(group) for group in new if group not in old],
    }


def _name(group: Group) -> str:
    return f"{group[0]}, {group[1]:,} nodes"


def _compared(group: Group, before: list[Result], after: list[Result]) -> dict[str, Any]:
    rows = [_row(figure, better, before, after) for figure, better in FIGURES.items()]
    old, new = _traces(before), _traces(after)
    common = sorted(old.keys() & new.keys())
    return {
        "scenario": group[0],
        "nodes": group[1],
        "runs_before": len(before),
        "runs_after": len(after),
        "seeds_common": common,
        "seeds_differ": old.keys() != new.keys(),
        "identical": bool(common) and all(len(old[seed] | new[seed]) == 1 and None not in old[seed] for seed in common),
        "figures": [row for row in rows if row["before"] is not None or row["after"] is not None],
    }


def _traces(results: Sequence[Result]) -> dict[int, set[str | None]]:
    """Seed -> the traces it had: more than one where runs of several codes lie side by side."""
    traces: dict[int, set[str | None]] = {}
    for one in results:
        traces.setdefault(one.document["seed"], set()).add(one.document.get("trace_hash"))
    return traces


def _row(figure: str, better: int, before: list[Result], after: list[Result]) -> dict[str, Any]:
    old, new = _mean(figure, before), _mean(figure, after)
    row: dict[str, Any] = {"figure": figure, "before": old, "after": new}
    if old is None or new is None:
        return row | {"difference": None, "percent": None, "verdict": None}
    difference = round(new - old, 6)
    percent = round(100 * difference / abs(old), 2) if old else None
    return row | {"difference": difference, "percent": percent, "verdict": _verdict(difference, percent, better)}


def _verdict(difference: float, percent: float | None, better: int) -> str | None:
    if better == 0:
        return None
    if difference == 0 or (percent is not None and abs(percent) < ALIKE_PERCENT and better < 0):
        return "same"  # a ratio near 1 is looked at closely: 0.1% of the notices missing is no noise
    return "better" if difference * better > 0 else "worse"


def _mean(figure: str, results: Sequence[Result]) -> float | None:
    values = [value for value in (figure_at(result.document, figure) for result in results) if value is not None]
    return round(sum(values) / len(values), 6) if values else None
