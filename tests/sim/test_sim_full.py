"""Whole nodes: each with a DHT server and the shipped rendezvous machine, and nothing else to find anybody by."""

from __future__ import annotations

from p2pblog.sim.run import run
from p2pblog.sim.scenario import Follows, Posts, Scenario, Start

NODES = 24
FULL = Scenario(
    "full",
    "a small one",
    duration_s=60,
    settle_s=20,
    full=True,
    follows=Follows("power-law", 1, 4),
    posts=Posts(0, 1, 50),
    start=Start(known=2, within_s=10),
)


def test_whole_nodes_find_whom_they_follow() -> None:
    document = run(FULL, NODES, 1).document
    assert (document["missed"], document["violations"]) == (0, [])
    assert document["pairs"] >= 60
    assert document["dht"]["lookups"] > NODES
