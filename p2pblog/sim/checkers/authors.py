"""Authors: an honest one waits for others before the first entry after a start, and writes and keeps what was asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry
from p2pblog.core.keys import NodeKey
from p2pblog.pen import CLAIM_TIMEOUT_S, COMPARE_TIMEOUT_S
from p2pblog.sim.checkers.delivery import read
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

COMPARES_US = int(COMPARE_TIMEOUT_S * SECOND_US)
"""How long an author waits where nobody shows what is known of the log."""
WAITS_US = COMPARES_US + int(CLAIM_TIMEOUT_S * SECOND_US)
"""How long somebody's claims may keep an author from writing."""

NAMED_MAX = 5
"""Entries of a log that are named one by one."""

Life = tuple[int, int]
"""One run of a daemon: its node, and when it started."""


class AuthorsKeepWord(Watcher):
    """Goes by what peers told the machine and by what is on the disk, not by the pen."""

    def __init__(self) -> None:
        self._may_write: set[Life] = set()
        """Who has been shown that nobody holds more, has written since, or began the log."""
        self._unwritten: Counter[Life] = Counter()
        """Notices asked for, less those written; a restart forgets what was not written yet."""

    def on_posted(self, world: World, node: SimNode) -> None:
        self._unwritten[_life(node)] += 1

    def on_shown(self, world: World, node: SimNode, peer: NodeKey) -> None:
        session = node.machine.sharing.sessions.get(peer)
        row = None if session is None else session.shared.get(node.person.hash)  # a stranger can't know the log
        told = None if row is None or row.heard is None else dict(row.heard.logs).get(node.person.log)
        if told is not None and told.high == node.machine.holdings.high(node.person.log):
            self._may_write.add(_life(node))

    def on_written(self, world: World, node: SimNode, entry: Entry) -> None:
        life = _life(node)
        if entry.seq > 1:
            self._unwritten[life] -= 1
            if life not in self._may_write and world.loop.now_us < node.booted_us + COMPARES_US:
                world.fail(f"node {node.number} wrote entry {entry.seq} of its log before anybody showed what is known")
        if node.is_up:  # else it is furnished with a log, of which others may know more
            self._may_write.add(life)

    def on_end(self, world: World) -> None:
        for node in world.nodes:
            if not world.is_honest_online(node.number) or world.loop.now_us <= node.booted_us + WAITS_US:
                continue
            if unwritten := self._unwritten[_life(node)]:
                world.fail(f"node {node.number} has not written {unwritten} of the notices that it was asked for")
            if plans := len(node.desk.plans):
                world.fail(f"node {node.number} has left {plans} things undone that its person meant to do")
        for device, last in sorted(world.last.items()):
            node = world.nodes[world.owner[device]]
            if node.disk or not world.is_honest_online(node.number):
                continue  # what an older disk lacks, others hold
            lacks = sorted(set(range(1, last.seq + 1)) - read(node.store.held(device)))
            if lacks:
                named = ", ".join(str(seq) for seq in lacks[:NAMED_MAX])
                world.fail(f"node {node.number} has lost {len(lacks)} of {last.seq} entries of its own log: {named}")


def _life(node: SimNode) -> Life:
    return node.number, node.booted_us
