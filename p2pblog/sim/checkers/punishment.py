"""No honest node is punished for another's fault: between honest nodes no link ends with an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.errors import RemoteProtocolError, TooSlow
from p2pblog.gossip.liveness import LOST_AFTER_S
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.links import Lane
    from p2pblog.sim.world import World

EXCUSED_US = int(3 * LOST_AFTER_S * SECOND_US)
"""How long after a cut silence is still its fault: the ping before it, the patience, and a resent packet on top."""


class JustEnds(Watcher):
    """An honest node may end its link with another honest one in peace, or because that one is silent for a cause."""

    def on_closed(self, world: World, lane: Lane, error: RemoteProtocolError | None) -> None:
        node, other = lane.node, lane.other.node
        if error is None or node.number in world.byzantine or other.number in world.byzantine:
            return
        if isinstance(error, TooSlow) and _has_cause(world, lane):
            return
        world.fail(f"node {node.number} ended its link with honest node {other.number}: {error.name}: {error}")


def _has_cause(world: World, lane: Lane) -> bool:
    """Whether nature kept the other one from answering: it is down, cut off, knows of no link, or its packets wait."""
    network = world.network
    if not lane.other.is_open or network.is_cut(lane.node.number, lane.other.node.number):
        return True
    if network.healed_us is not None and network.loop.now_us - network.healed_us < EXCUSED_US:
        return True
    late_us = max(lane.last_us, lane.other.last_us) - network.loop.now_us
    return late_us > SECOND_US  # lost, sent again, and overtaken by nothing: a stream waits
