"""Coverage: which followers who are on line hold which notices, at the end and along the way."""

from __future__ import annotations

from p2pblog.core.keys import DeviceKey
from p2pblog.sim.chance import generator
from p2pblog.sim.node import SimNode
from p2pblog.sim.world import World

LOOKS = 400
"""Points of a curve over time: more than a picture is wide in dots would show nothing new."""
PAIRS_PER_LOOK = 500
"""Pairs drawn for each point: a share is off by 2% at most, and a look costs about a millisecond."""
RECENT_US = 60_000_000
"""A curve tells of notices that are at most this old; how a night was caught up with would hide what happens now."""
NEWEST = 50
"""Notices of an author that a newcomer wants to read first: a page or two of a timeline."""
RECENT_MIN = 20
"""Of so many at least, however old, so that there is a curve where little is written."""


def holds(node: SimNode, device: DeviceKey, seq: int) -> bool:
    """Whether a node that is on line holds this notice with its text."""
    state = node.machine.holdings.logs.get(device)
    if state is None or seq in state.missing:
        return False
    return any(span.low <= seq <= span.high for span in state.spans)


def count_at_end(world: World) -> tuple[int, int, int]:
    """(pairs, missed, lost): the pairs of a notice that some honest node on line holds, as its author or follower, and
    an honest follower on line; those of them whose follower lacks it; and the notices that no such node holds.

    Not counted is what can't be asked for: what follows the end that a retirement set; and
    disputed logs, of which everybody keeps what came before the proof.
    """
    pairs = missed = lost = 0
    due: dict[DeviceKey, int] = {}
    for (device, seq), notice in world.meter.notices.items():
        if device not in due:
            due[device] = 0 if world.is_disputed(device) else world.last_due(device)
        if seq > due[device]:
            continue
        followers = [node for node in world.followers[notice.author] if world.is_honest_online(node)]
        having = sum(holds(world.nodes[node], device, seq) for node in followers)
        author = world.nodes[notice.author]
        if having or (world.is_honest_online(notice.author) and holds(author, device, seq)):
            pairs += len(followers)
            missed += len(followers) - having
        else:
            lost += 1
    return pairs, missed, lost


def readable_by_newcomers(world: World) -> tuple[int, int]:
    """(pairs, readable): the pairs of an honest newcomer and a notice among the last NEWEST of an author whom they
    follow; and those of them that the newcomer holds. Here a notice that nobody holds any more counts, too: where it
    went is what is asked."""
    newest: dict[int, list[tuple[DeviceKey, int]]] = {}
    for key, notice in world.meter.notices.items():
        newest.setdefault(notice.author, []).append(key)
    pairs = readable = 0
    for number in range(world.settled, len(world.nodes)):
        for author in world.follows[number] if number not in world.byzantine else ():
            wanted = newest.get(author, [])[-NEWEST:]
            pairs += len(wanted)
            node = world.nodes[number]
            readable += sum(node.is_up and holds(node, device, seq) for device, seq in wanted)
    return pairs, readable


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
        recent, chance = self._recent(), self._chance.random
        for _ in range(PAIRS_PER_LOOK if recent else 0):
            device, seq = recent[int(chance() * len(recent))]
            followers = self._followers(world.meter.notices[device, seq].author)
            if not followers:
                continue
            node = followers[int(chance() * len(followers))]
            if world.is_honest_online(node):
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
