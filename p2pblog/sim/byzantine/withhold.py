"""Withhold: nodes that hold what others ask for and do not give it, or give it by half."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from p2pblog.core.entry import payload_hash
from p2pblog.core.payload import plain_notes
from p2pblog.gossip.messages import Lack, Live, Message, Payloads, Pong, Run
from p2pblog.sim.byzantine.behaviour import Behaviour

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane


class NoAnswers(Behaviour):
    """It says nothing where it was asked for entries, or that it has none."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if isinstance(message, Run) and self.rng.random() < 0.5:
            return (Lack(message.value[0], message.value[1]),)
        return () if isinstance(message, Live | Run | Payloads | Lack) else (message,)


class NoPayloads(Behaviour):
    """It gives entries of others without their payloads, and of its own to some peers only."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if isinstance(message, Payloads):
            return (Payloads(message.device, ()),)
        if not isinstance(message, Live | Run):
            return (message,)
        if message.value[0] == node.person.log and lane.other.key[0] & 1:
            return (message,)
        device, first, prev, times, payloads, signatures = message.value
        whole = [plain_notes([p])[0] if isinstance(p, str) else p for p in payloads]
        bare = [[len(p), payload_hash(p)] if isinstance(p, bytes) else p for p in whole]
        return (type(message)([device, first, prev, times, bare, signatures]),)


class NoPongs(Behaviour):
    """It answers no pings."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        return () if isinstance(message, Pong) else (message,)
