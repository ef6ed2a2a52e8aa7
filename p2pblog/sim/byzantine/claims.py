"""Claims: clocks that say more, less or other than is held, and notices of entries that never come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from p2pblog.config import SEQ_MAX
from p2pblog.core.value import replace
from p2pblog.gossip.messages import Clock, Clocks, Have, IdentityClock, Live, Message, Run
from p2pblog.sim.byzantine.behaviour import Behaviour, any_lane

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane


class LyingClocks(Behaviour):
    """Of half of the logs that it tells of."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if not isinstance(message, Clocks):
            return (message,)
        return (Clocks(tuple(self._bent(clock) for clock in message.clocks)),)

    def _bent(self, clock: IdentityClock) -> IdentityClock:
        digest = self.rng.randbytes(8) if self.rng.random() < 0.1 else clock.digest
        logs = tuple((device, self._bent_log(held) if self.rng.random() < 0.5 else held) for device, held in clock.logs)
        return replace(clock, digest=digest, logs=logs)

    def _bent_log(self, held: Clock) -> Clock:
        high = held.high
        match self.rng.randrange(5):
            case 0:
                return Clock(((1, high + self.rng.choice([1, 5, 1_000])),), tip=self.rng.randbytes(8))
            case 1:
                return Clock(((SEQ_MAX - 5, SEQ_MAX),), tip=self.rng.randbytes(8))
            case 2:
                return replace(held, tip=self.rng.randbytes(8)) if held.spans else held
            case 3:
                return replace(held, missing=(high,)) if held.spans else held
            case _:
                return Clock()


class MuteHaves(Behaviour):
    """It announces the next entry of every log that it knows, soon enough to be asked for it, and never gives one."""

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if isinstance(message, Live | Run) and message.value[0] != node.person.log:
            return ()
        return (message,)

    def on_second(self, node: LyingNode) -> None:
        lane, holdings = any_lane(node, self.rng), node.machine.holdings
        logs = sorted(holdings.logs)
        if lane is not None and logs:
            told = [(device, holdings.high(device) + self.rng.randint(1, 3)) for device in logs]
            node.say(lane, Have(tuple(told)))
