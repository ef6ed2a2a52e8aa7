"""A node that lies: a simulated node whose words pass through its behaviours before they travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.config import QUEUE_BYTES_MAX
from p2pblog.core.address import Endpoint
from p2pblog.errors import LocalProtocolError
from p2pblog.gossip.events import Send
from p2pblog.gossip.messages import Message
from p2pblog.sim.byzantine.behaviour import Behaviour
from p2pblog.sim.links import Lane
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.node import SimNode
from p2pblog.sim.people import Person

if TYPE_CHECKING:
    from p2pblog.sim.world import World

DIAL_US = 5 * SECOND_US


class LyingNode(SimNode):
    """Its machine is honest, and knows nothing of what becomes of its words."""

    __slots__ = ("behaviours",)

    def __init__(self, world: World, who: Person, behaviours: Sequence[Behaviour]) -> None:
        super().__init__(world, who)
        self.behaviours = behaviours

    def boot(self) -> None:
        super().boot()
        self._pass_second()

    def _pass_second(self) -> None:
        for behaviour in self.behaviours:
            behaviour.on_second(self)
        self.after_us(SECOND_US, self._pass_second)

    def _send(self, lane: Lane, effect: Send) -> None:
        said: list[Message | bytes] = [effect.message]
        for behaviour in self.behaviours:
            said = [
                out
                for item in said
                for out in ([item] if isinstance(item, bytes) else behaviour.outgoing(self, lane, item))
            ]
        for item in said:
            self.say(lane, item)

    def say(self, lane: Lane, item: Message | bytes) -> None:
        """Put it on the wire as it is."""
        try:
            data = item if isinstance(item, bytes) else lane.encoder.encode(item)
        except LocalProtocolError:
            return
        if lane.is_open and lane.queued_bytes + len(data) <= QUEUE_BYTES_MAX:
            size = lane.send(self.network, data)
            if not isinstance(item, bytes):
                self.world.on_sent(self, lane.other.node, item, size)

    def dial(self, endpoint: Endpoint) -> None:
        """Call somebody without the machine's will."""
        self._dial(endpoint, DIAL_US)

    def on_heard(self, lane: Lane, message: Message) -> None:
        for behaviour in self.behaviours:
            behaviour.on_heard(self, lane, message)
