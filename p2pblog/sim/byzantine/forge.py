"""Forge: entries with other payloads, numbers, predecessors, times or signatures than their author gave them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from p2pblog.core.payload import Note
from p2pblog.gossip.messages import Live, Message, Payloads, Run
from p2pblog.sim.byzantine.behaviour import Behaviour

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane

CHECKPOINTED = 70
"""Entries of a log that has an inner signature to spoil: one stands at 64."""


class Forge(Behaviour):
    """A third of the runs that it hands on are changed in one place."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if self.rng.random() > 0.3:
            return (message,)
        if isinstance(message, Run | Live):
            return (type(message)(self._change(message.value)),)
        if isinstance(message, Payloads):
            return (Payloads(message.device, tuple((seq, p[::-1]) for seq, p in message.payloads)),)
        return (message,)

    def _change(self, value: list[Any]) -> list[Any]:
        device, first, prev, times, payloads, signatures = value
        at = self.rng.randrange(len(times))
        match self.rng.randrange(6):
            case 0:
                payloads = [b"forged" if place == at else payload for place, payload in enumerate(payloads)]
            case 1:
                times = [time + (place == at) for place, time in enumerate(times)]
            case 2:
                signatures = self.rng.randbytes(len(signatures))
            case 3:
                first += self.rng.randint(1, 3)
            case 4:
                prev = self.rng.randbytes(32)
            case _:
                times, payloads = times[:-1] or times, payloads[:-1] or payloads
        return [device, first, prev, times, payloads, signatures]


class InnerGarbage(Behaviour):
    """Its own log is long, and of the signatures in a run of it all but the last are garbage. The last vouches for the
    rest, so who checks only that one, or who keeps what it did not check, comes to hold another log than others do."""

    _written = 0

    def on_second(self, node: LyingNode) -> None:
        while self._written < CHECKPOINTED:
            self._written += 1
            node.desk.write(Note(f"long {self._written}"))

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if isinstance(message, Run | Live) and message.value[0] == node.person.log and len(message.value[5]) > 64:
            spoiled = self.rng.randbytes(len(message.value[5]) - 64) + message.value[5][-64:]
            return (type(message)([*message.value[:5], spoiled]),)
        return (message,)
