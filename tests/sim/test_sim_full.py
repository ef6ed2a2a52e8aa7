"""Whole nodes: each with a DHT server and the shipped rendezvous machine, and nothing else to find anybody by."""

from __future__ import annotations

from p2pblog.sim.run import run
from p2pblog.sim.scenario import Follows, Posts, Scenario, Start

NODES = 20
FULL = Scenario(
    "full",
    "a small one",
    duration_s=30,
    settle_s=5,
    full=True,
    follows=Follows("power-law", 1, 3),
    posts=Posts(0, 1, 25),
    start=Start(known=2, within_s=5),
)


def test_whole_nodes_find_whom_they_follow() -> None:
    document = run(FULL, NODES, 1).document
    assert (document["missed"], document["violations"]) == (0, [])
    assert document["pairs"] >= 40
    assert document["dht"]["lookups"] > NODES
