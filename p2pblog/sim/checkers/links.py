"""Links: one whose other end is gone is ended in time, and who broke a rule is not linked again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.core.keys import NodeKey
from p2pblog.errors import Disconnected, QueueFull, RemoteProtocolError, TooSlow
from p2pblog.gossip.liveness import LOST_AFTER_S, PING_EVERY_S
from p2pblog.gossip.membership import BACKOFF_S
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.links import Lane
    from p2pblog.sim.world import World

NOTICED_US = int((1.25 * PING_EVERY_S + 2 * LOST_AFTER_S) * SECOND_US)
"""When a death has been noticed for sure: the longest time between two pings of a link, as long as an answer may take,
and as much for a node's turns and the looks of this checker."""
SHUNNED_US = int(2 * BACKOFF_S * SECOND_US)
"""How long somebody is shunned after a first fault; after others longer."""
NO_FAULT = (TooSlow, Disconnected, QueueFull)
"""Errors for which a node is not shunned."""


class DeadLinks(Watcher):
    """`_dead`: since when the other end of a link is known here to be gone."""

    def __init__(self) -> None:
        self._dead: dict[Lane, int] = {}

    def on_tick(self, world: World) -> None:
        now_us, before = world.loop.now_us, self._dead
        gone = [
            lane
            for node in world.nodes
            if world.is_honest_online(node.number)
            for lane in node.lanes.values()
            if not lane.other.is_open or world.network.is_cut(node.number, lane.other.node.number)
        ]
        self._dead = {lane: before.get(lane, now_us) for lane in gone}
        for lane, since_us in self._dead.items():
            if now_us - since_us > NOTICED_US:
                there = lane.other.node.number
                world.fail(f"node {lane.node.number} still has its link with node {there}, which is gone")


class Shunning(Watcher):
    """`_faults`: when a run of a daemon ended links with a node that broke a rule. It may meet that node once more by
    dialing an address that it does not know to be that one's."""

    def __init__(self) -> None:
        self._faults: dict[tuple[int, int, NodeKey], list[int]] = {}

    def on_closed(self, world: World, lane: Lane, error: RemoteProtocolError | None) -> None:
        node = lane.node
        if error is None or isinstance(error, NO_FAULT) or node.number in world.byzantine:
            return
        faults = self._faults.setdefault((node.number, node.booted_us, lane.other.key), [])
        faults.append(world.loop.now_us)
        if len(faults) > 2 and faults[-1] - faults[-3] < SHUNNED_US:
            world.fail(f"node {node.number} is linked with node {lane.other.node.number} again, which broke rules")
