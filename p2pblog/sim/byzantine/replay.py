"""Replay: what was once said by others is said again, to somebody else, at another time."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING

from p2pblog.gossip.messages import Forget, Fork, Have, Live, Message, Payloads, Peers, Run, Statements
from p2pblog.sim.byzantine.behaviour import Behaviour, any_lane

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane

KEPT = 500


class Replay(Behaviour):
    """Old statements, runs and notices out of place; some break a rule and end the link, some do not."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._kept: deque[Message] = deque(maxlen=KEPT)

    def on_heard(self, node: LyingNode, lane: Lane, message: Message) -> None:
        if isinstance(message, Fork | Forget | Have | Live | Payloads | Peers | Run | Statements):
            self._kept.append(message)

    def on_second(self, node: LyingNode) -> None:
        lane = any_lane(node, self.rng)
        if lane is not None and self._kept and self.rng.random() < 0.5:
            message = self._kept[self.rng.randrange(len(self._kept))]
            if isinstance(message, Run) and self.rng.random() < 0.8:
                message = Live(message.value)  # which needs no question before it
            node.say(lane, message)
