"""What a lie is: something that travels in place of what was said, or that is said without cause."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, ClassVar

from p2pblog.gossip.messages import Message

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane


class Behaviour:
    """One way of lying, with chance of its own. A node may have several; what one lets pass reaches the next."""

    name: ClassVar[str] = ""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        """What travels in place of a message; bytes go as they are."""
        return (message,)

    def on_heard(self, node: LyingNode, lane: Lane, message: Message) -> None:
        """A message has come, before the machine gets it."""

    def on_second(self, node: LyingNode) -> None:
        """A second of the node's time has passed."""


def any_lane(node: LyingNode, rng: Random) -> Lane | None:
    """One of the links that stand."""
    lanes = [lane for _peer, lane in sorted(node.lanes.items()) if lane.is_open]
    return rng.choice(lanes) if lanes else None
