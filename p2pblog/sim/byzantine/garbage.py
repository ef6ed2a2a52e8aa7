"""Garbage: bytes that are no message, and messages with a byte or two gone wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from p2pblog.gossip.messages import Hello, Message
from p2pblog.sim.byzantine.behaviour import Behaviour, any_lane

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane


class Garbage(Behaviour):
    """Rarely enough that links live to see it."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if isinstance(message, Hello) or self.rng.random() > 0.02:
            return (message,)
        data = bytearray(lane.encoder.encode(message))
        for _ in range(self.rng.randint(1, 3)):
            data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        return (bytes(data),)

    def on_second(self, node: LyingNode) -> None:
        lane = any_lane(node, self.rng)
        if lane is not None and self.rng.random() < 0.1:
            node.say(lane, self.rng.randbytes(self.rng.randint(0, 300)))
