"""Who follows whom, and which notices are written when."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from itertools import accumulate
from math import isqrt
from random import Random
from typing import assert_never

from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.scenario import Doing, Follows, Posts, Words


def follows_of(plan: Follows, nodes: int, rng: Random) -> list[list[int]]:
    """For each node whom it follows, in the order of following."""
    match plan.graph:
        case "one-author":
            authors = range(min(plan.authors, nodes))
            return [[author for author in authors if author != node] for node in range(nodes)]
        case "power-law":
            return _power_law(min(plan.mean, nodes // 2), nodes, rng)
        case _:
            assert_never(plan.graph)


def _power_law(mean: int, nodes: int, rng: Random) -> list[list[int]]:
    """Node j is followed with a weight of 1 / sqrt(j + 1), so that the number of those with more than n followers falls
    with n squared (Barabási and Albert 1999); each follows half to one and a half times the mean."""
    totals = list(accumulate(10**9 // isqrt((node + 1) * 10**6) for node in range(nodes)))
    chosen: list[list[int]] = []
    for node in range(nodes):
        wanted = rng.randint(max(1, mean // 2), max(1, mean + mean // 2))
        picked: dict[int, None] = {}
        while len(picked) < min(wanted, nodes - 1):
            author = bisect(totals, rng.randrange(totals[-1]))
            if author != node:
                picked[author] = None
        chosen.append(list(picked))
    return chosen


def writing_times(plan: Posts, nodes: int, rng: Random) -> list[tuple[int, int]]:
    """(time in microseconds, author) of every notice, in order."""
    authors = min(plan.authors, nodes) if plan.authors else nodes
    times: list[tuple[int, int]] = []
    for author in range(authors):
        offset_us = rng.randrange(int(plan.every_s * SECOND_US)) if plan.spread else 0
        starts = (plan.first_s + number * plan.every_s for number in range(plan.count))
        times += [(int(start * SECOND_US) + offset_us, author) for start in starts]
    return sorted(times)


def doings(plan: Words, nodes: int, rng: Random) -> list[tuple[int, int, int, Doing]]:
    """(time in microseconds, node, the how manieth of that node, what) of all that people do beside writing notices, in
    the order of time."""
    counts: Counter[int] = Counter()
    found: list[tuple[int, int, int, Doing]] = []
    for at_us, number in writing_times(Posts(plan.people, plan.count, plan.first_s, plan.every_s, True), nodes, rng):
        counts[number] += 1
        found.append((at_us, number, counts[number], rng.choice(plan.kinds)))
    return found
