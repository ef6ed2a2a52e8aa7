"""Notices among 30 nodes with 5 links each, in one process on loopback TCP, beside js-libp2p's gossipsub."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.kit import loopback, peers
from benchmarks.kit.crowd import Crowd
from benchmarks.kit.report import ROUNDS, Figure, Report, Say, quantile

NODES, LINKS_PER_NODE = 30, 5
NOTICES = 200
PER_S = 20.0
NOTICE_BYTES = 300
SETTLE_S = 4.0
"""Gossipsub forms its mesh at heartbeats, one a second."""
IDLE_S = 2.0
TAIL_S = 3.0
TIMEOUT_S = 180
PEER = "gossipsub"
ROOT = Path(__file__).parents[1]


def measure(say: Say) -> Report:
    folder = peers.installed(PEER, say)
    command, is_alone = loopback.alone([sys.executable, "-m", "benchmarks.kit.crowd"])
    ours: list[dict[str, Any]] = []
    theirs = peers.Turns[dict[str, Any]](folder is not None)
    for turn in range(ROUNDS):
        say(f"turn {turn + 1} of {ROUNDS}: {NOTICES} notices, {PER_S:g} a second")
        crowd = crowd_of(random.Random(turn))
        ours.append(_run(command, crowd))
        if theirs.can_run:
            node, _ = loopback.alone([str(peers.node()), "--import", "./polyfill.mjs", "crowd.mjs"])
            told = json.dumps(asdict(crowd))
            theirs.take(peers.answer(PEER, node, say, folder=folder, told=told, timeout_s=TIMEOUT_S))
    facts = {"own_namespace": is_alone, "turns": ROUNDS, "ours": _facts(ours)}
    return Report(_figures(ours, theirs.found), facts | ({PEER: _facts(theirs.found)} if theirs.found else {}))


def crowd_of(rng: random.Random) -> Crowd:
    """A ring, and chords between nodes chosen by lot until there are LINKS_PER_NODE links a node on average."""
    links = {(number, (number + 1) % NODES) for number in range(NODES)}
    while len(links) < NODES * LINKS_PER_NODE // 2:
        one, other = rng.sample(range(NODES), 2)
        if (other, one) not in links:
            links.add((one, other))
    publishers = [rng.randrange(NODES) for _ in range(NOTICES)]
    chosen = sorted([one, other] for one, other in links)
    return Crowd(NODES, chosen, publishers, PER_S, NOTICE_BYTES, SETTLE_S, IDLE_S, TAIL_S)


def _run(command: Sequence[str], crowd: Crowd) -> dict[str, Any]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        input=json.dumps(asdict(crowd)),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _figures(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> tuple[Figure, ...]:
    def figure(name: str, unit: str, aim: str, of: Any) -> Figure:
        baseline = statistics.median(map(of, theirs)) if theirs else None
        return Figure(name, statistics.median(map(of, ours)), unit, aim, baseline, less_is_better=True)

    return (
        figure("latency p50", "ms", "ratio >= 5", lambda run: quantile(run["latencies_ms"], 0.5)),
        figure("latency p99", "ms", "ratio >= 5", lambda run: quantile(run["latencies_ms"], 0.99)),
        figure("bytes per delivery", "bytes", "ratio >= 4", _bytes_per_delivery),
        Figure("delivery", min(map(_delivery, ours)), "of all", "figure = 1"),
    )


def _delivery(run: dict[str, Any]) -> float:
    arrived: int = len(run["latencies_ms"])
    return arrived / (NOTICES * (NODES - 1))


def _bytes_per_delivery(run: dict[str, Any]) -> float:
    arrived: int = len(run["latencies_ms"])
    return float(run["bytes"]) / arrived


def _facts(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def middle(name: str) -> float:
        return float(round(statistics.median(run[name] for run in runs), 2))

    return {
        "delivery_least": min(map(_delivery, runs)),
        "latency_p50_ms": [round(quantile(run["latencies_ms"], 0.5), 2) for run in runs],
        "latency_p99_ms": [round(quantile(run["latencies_ms"], 0.99), 2) for run in runs],
        "bytes_per_delivery": [round(_bytes_per_delivery(run)) for run in runs],
        **{name: middle(name) for name in ("links_mean", "idle_bytes_per_s", "published_s", "cpu_s", "resident_mb")},
    }
