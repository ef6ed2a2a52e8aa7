"""Coverage: which followers who are on line hold which notices, at the end and along the way."""

from __future__ import annotations

from p2pblog.core.keys import DeviceKey
from p2pblog.sim.chance import generator
from p2pblog.sim.measure import Notice
from p2pblog.sim.node import SimNode
from p2pblog.sim.world import World

LOOKS = 400
"""Points of a curve over time: more than a picture is wide in dots would show nothing new."""
PAIRS_PER_LOOK = 500
"""Pairs drawn for each point: a share is off by 2% at most, and a look costs about a millisecond."""
RECENT_US = 60_000_000
"""A curve tells of notices that are at most this old; how a night was caught up with would hide what happens now."""
RECENT_MIN = 20
"""Of so many at least, however old, so that there is a curve where little is written."""


def holds(node: SimNode, device: DeviceKey, seq: int) -> bool:
    """Whether a node that is on line holds this notice with its text."""
    state = node.machine.holdings.logs.get(device)
    if state is None or seq in state.missing:
        return False
    return any(span.low <= seq <= span.high for span in state.spans)


def count_at_end(world: World) -> tuple[int, int]:
    """(pairs, missed): the pairs of a notice that some honest node on line holds and an honest follower on line, and
    those of them whose follower lacks it. What only dead nodes hold can't be had, so it is not counted."""
    pairs = missed = 0
    for (device, seq), notice in world.meter.notices.items():
        followers = [node for node in world.followers[notice.author] if _is_counted(world, node)]
        having = sum(holds(world.nodes[node], device, seq) for node in followers)
        if having == 0 and not _is_held_elsewhere(world, device, seq, notice):
            continue
        pairs += len(followers)
        missed += len(followers) - having
    return pairs, missed


def _is_counted(world: World, number: int) -> bool:
    return world.nodes[number].is_up and number not in world.byzantine


def _is_held_elsewhere(world: World, device: DeviceKey, seq: int, notice: Notice) -> bool:
    """By its author or by a relay: `hops` names everybody who ever held it."""
    return any(_is_counted(world, node) and holds(world.nodes[node], device, seq) for node in notice.hops)


class Curve:
    """Looks at a world again and again; `points` are (microsecond, pairs drawn, pairs of them that are held).

    It takes its chance from a name of its own and changes nothing, so a run is the same with and without it.
    """

    def __init__(self, world: World, end_us: int) -> None:
        self.points: list[tuple[int, int, int]] = []
        self._world = world
        self._chance = generator(world.seed, "coverage")
        self._ranked: dict[int, list[int]] = {}
        self._keys: list[tuple[DeviceKey, int]] = []
        for look in range(1, LOOKS + 1):
            world.loop.at(end_us * look // LOOKS, self._look)

    def _look(self) -> None:
        world, drawn, held = self._world, 0, 0
        recent = self._recent()
        for _ in range(PAIRS_PER_LOOK if recent else 0):
            device, seq = recent[self._chance.randrange(len(recent))]
            followers = self._followers(world.meter.notices[device, seq].author)
            if not followers:
                continue
            node = followers[self._chance.randrange(len(followers))]
            if _is_counted(world, node):
                drawn += 1
                held += holds(world.nodes[node], device, seq)
        self.points.append((world.loop.now_us, drawn, held))

    def _recent(self) -> list[tuple[DeviceKey, int]]:
        notices = self._world.meter.notices
        fresh = list(notices)[len(self._keys) :]
        self._keys += fresh
        first = len(self._keys)
        oldest_us = self._world.loop.now_us - RECENT_US
        while first and notices[self._keys[first - 1]].written_us >= oldest_us:
            first -= 1
        return self._keys[max(0, min(first, len(self._keys) - RECENT_MIN)) :]

    def _followers(self, author: int) -> list[int]:
        if author not in self._ranked:
            self._ranked[author] = sorted(self._world.followers[author])
        return self._ranked[author]
