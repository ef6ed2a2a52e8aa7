"""Store, then send: whatever a node says that it holds, or hands on, lies in its store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pblog.core.keys import DeviceKey
from p2pblog.core.runs import run_device
from p2pblog.gossip.messages import Clocks, Have, Live, Message, Payloads, Run
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

TELLING = frozenset({Live, Run, Have, Payloads, Clocks})
"""The messages that say something of entries; most others are pings."""


class StoreBeforeSend(Watcher):
    """Looks at every message of an honest node."""

    def on_sent(self, world: World, sender: SimNode, receiver: SimNode, message: Message) -> None:
        if type(message) not in TELLING or sender.number in world.byzantine:
            return
        for device, seq in _told(message):
            if not sender.store.holds(device, seq):
                kind = type(message).__name__
                world.fail(
                    f"node {sender.number} sent {kind} of entry {seq} of {world.name_of(device)}, not in its store"
                )
                return


def _told(message: Message) -> Iterator[tuple[DeviceKey, int]]:
    """The entries that a message carries or vouches for."""
    match message:
        case Live(value) | Run(value):
            device, first = run_device(value)
            yield from ((device, first + at) for at in range(len(value[3])))
        case Have(entries):
            yield from entries
        case Payloads(device, payloads):
            yield from ((device, seq) for seq, _payload in payloads)
        case Clocks(clocks):
            for clock in clocks:
                for device, held in clock.logs:
                    yield from ((device, seq) for span in held.spans for seq in span)
        case _:
            pass
