"""Store, then send: what a node says that it holds, or hands on, lies in its store, and was told of once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch
from p2pblog.core.runs import run_start
from p2pblog.gossip.events import Stored
from p2pblog.gossip.messages import Clocks, Have, Live, Message, Payloads, Run
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

TELLING = frozenset({Live, Run, Have, Payloads, Clocks})
"""The messages that say something of entries; most others are pings."""


class StoreBeforeSend(Watcher):
    """Looks at every message of an honest node, and at what its keeper says. Two batches may hold one entry, which was
    pushed while it was fetched; no batch is said to be stored twice."""

    def __init__(self) -> None:
        self._told: dict[int, Batch] = {}
        """What each node stored last."""

    def on_stored(self, world: World, node: SimNode, stored: Stored) -> None:
        batch = stored.batch
        if self._told.get(node.number) is batch:
            entry = batch.entries[0]
            world.fail(f"node {node.number} was told twice of entry {entry.seq} of {world.name_of(entry.device)}")
        self._told[node.number] = batch

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
            device, first = run_start(value)
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
