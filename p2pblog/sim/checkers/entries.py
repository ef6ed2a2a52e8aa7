"""No invalid entry is ever stored: of honest authors only what they wrote, of others only what their key vouches for.

What a batch brings is looked at as it is stored; at the end every store is read from its first to its last entry, for
what came by other ways or was changed in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry, entry_id, follow_one_another, payload_hash
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, verify
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Stored
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World


SETTLED_S = 2.0
"""How long two nodes take at most to tell each other what they hold: ten slow round trips."""


class ValidEntries(Watcher):
    """Remembers what honest authors wrote, and which signatures it has checked itself. An author whose disk was put
    back can't know that a number is taken while nobody shows him; such a log goes by the rules for others from then on,
    and is in `world.forked`."""

    def __init__(self) -> None:
        self._written: dict[DeviceKey, list[Entry]] = {}
        self._verified: set[tuple[EntryId, bytes]] = set()

    def on_written(self, world: World, node: SimNode, entry: Entry) -> None:
        if entry.device in world.forked:
            return
        log = self._written.setdefault(entry.device, [])
        if entry.seq == len(log) + 1:
            log.append(entry)
        elif node.disk and not _is_shown(node, entry):
            world.forked.add(entry.device)
            del self._written[entry.device]
        else:
            world.fail(f"node {node.number} wrote entry {entry.seq} of its log, which goes up to {len(log)}")

    def on_stored(self, world: World, node: SimNode, stored: Stored) -> None:
        if node.number not in world.byzantine:
            self._check(world, node, stored.batch.entries)

    def on_end(self, world: World) -> None:
        for node in world.nodes:
            if node.number in world.byzantine:
                continue
            for state in node.store.logs():
                held = node.store.held(state.device)
                for span in state.spans:
                    numbers = range(span.low, span.high + 1)
                    if any(seq not in held for seq in numbers):
                        world.fail(
                            f"node {node.number} lacks entries of {span.low} to {span.high}, which it says it holds"
                        )
                        continue
                    self._check(world, node, [held[seq] for seq in numbers])

    def _check(self, world: World, node: SimNode, entries: Sequence[Entry]) -> None:
        written = self._written.get(entries[0].device)
        wrong = self._wrong_of_others(entries) if written is None else _wrong_of_ours(entries, written)
        wrong = wrong or self._wrong_signature(entries)
        if wrong is not None:
            first, last = entries[0].seq, entries[-1].seq
            world.fail(
                f"node {node.number} stored entries {first} to {last} of {world.name_of(entries[0].device)}: {wrong}"
            )

    def _wrong_signature(self, entries: Sequence[Entry]) -> str | None:
        """Every signature that is kept must hold, and the last entry must have one."""
        if entries[-1].signature is None:
            return "a run that ends on no signature"
        for entry in entries:
            if entry.signature is None or (entry.id, entry.signature) in self._verified:
                continue
            try:
                verify(entry.device, ENTRY_DOMAIN, entry.id, entry.signature)
            except RemoteProtocolError as error:
                return f"{error.name} at {entry.seq}"
            self._verified.add((entry.id, entry.signature))
        return None

    @staticmethod
    def _wrong_of_others(entries: Sequence[Entry]) -> str | None:
        if not follow_one_another(entries):
            return "a broken chain"
        for entry in entries:
            if entry.id != entry_id(entry.body):
                return f"the id of {entry.seq} is not that of its body"
            if _is_foreign(entry):
                return f"a payload that {entry.seq} does not commit to"
        return None


def _is_shown(node: SimNode, entry: Entry) -> bool:
    """Whether an honest follower who has been linked for long enough holds an entry with that number. A liar may keep
    what he holds to himself, and a relay shows what it lends to its askers only."""
    world, settled = node.world, node.network.loop.now - SETTLED_S
    lanes = [lane for lane in node.lanes.values() if lane.since < settled and lane.is_open and lane.other.is_open]
    others = [lane.other.node for lane in lanes if world.is_honest_online(lane.other.node.number)]
    able = [other for other in others if other.number in world.followers[node.number]]
    return any(other.store.holds(entry.device, entry.seq) for other in able)


def _wrong_of_ours(entries: Sequence[Entry], written: Sequence[Entry]) -> str | None:
    for entry in entries:
        if entry.seq > len(written):
            return f"{entry.seq} was never written"
        own = written[entry.seq - 1]
        if entry.id != own.id:
            return f"{entry.seq} is another than was written"
        if entry.payload is not None and entry.payload != own.payload:
            return f"a payload that {entry.seq} does not commit to"
    return None


def _is_foreign(entry: Entry) -> bool:
    payload = entry.payload
    return payload is not None and (len(payload) != entry.payload_size or payload_hash(payload) != entry.payload_hash)
