"""Every honest follower on line ends with every notice of every followed author that some honest node on line holds.

What nobody honest held until the last seconds is left aside: a liar may let it go at the very end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.world import World

NAMED_MAX = 10
"""Missing notices that are named one by one; the rest is counted."""


class Delivery(Watcher):
    """`pairs`: (honest follower on line, entry) that should be; `missed`: those that are not."""

    def __init__(self) -> None:
        self.pairs = 0
        self.missed = 0
        self._before: dict[DeviceKey, set[int]] | None = None
        """What honest nodes on line held LAST_S before the end."""

    @property
    def delivered_ratio(self) -> float:
        return round(1 - self.missed / self.pairs, 6) if self.pairs else 1.0

    def on_last(self, world: World) -> None:
        self._before = held_by_somebody(world)

    def on_end(self, world: World) -> None:
        held = held_by_somebody(world)
        if self._before is not None:
            held = {device: numbers & self._before.get(device, set()) for device, numbers in held.items()}
        for device, numbers in sorted(held.items()):
            if world.is_disputed(device):
                continue  # frozen: everybody keeps what came before the proof
            if not _is_open_to_newcomers(world, device):
                continue
            author = world.owner[device]
            due = {seq for seq in numbers if seq <= world.last_due(device)}
            for number in sorted(world.followers[author]):
                if world.is_honest_online(number):
                    self._check(world, number, device, due)

    def _check(self, world: World, number: int, device: DeviceKey, due: set[int]) -> None:
        node = world.nodes[number]
        lacks = due - read(node.store.held(device))
        self.pairs += len(due)
        self.missed += len(lacks)
        if lacks and self.missed <= NAMED_MAX:
            named = ", ".join(str(seq) for seq in sorted(lacks)[:5])
            world.fail(f"node {number} lacks {len(lacks)} of {len(due)} entries of {world.name_of(device)}: {named}")
        elif lacks:
            world.fail(f"node {number} lacks {len(lacks)} of {len(due)} entries of {world.name_of(device)}")


def read(held: Mapping[int, Entry]) -> set[int]:
    """The numbers of those entries whose payloads are there."""
    return {seq for seq, entry in held.items() if entry.payload is not None}


def _is_open_to_newcomers(world: World, device: DeviceKey) -> bool:
    """Whether a follower who has nothing of a log may begin to take it. Of a retired one he takes nothing before the
    entry that the retirement names, lest he build on a branch that it did not pick; a liar may keep that to himself."""
    standing = world.standing_of(device)
    if standing is None or not standing.retired:
        return True
    circle = world.followers[world.owner[device]] | {world.owner[device]}
    held = (
        world.nodes[number].store.held(device).get(standing.seq) for number in circle if world.is_honest_online(number)
    )
    return any(entry is not None and entry.id == standing.entry for entry in held)


def held_by_somebody(world: World) -> dict[DeviceKey, set[int]]:
    """The numbers of each log that some honest node on line holds with their payloads, as its author or follower: what
    a relay holds is lent to those who asked for it, and soon gone."""
    found: dict[DeviceKey, set[int]] = {}
    for node in world.nodes:
        if world.is_honest_online(node.number):
            for state in node.store.logs():
                author = world.owner.get(state.device)
                if author is not None and (author == node.number or node.number in world.followers[author]):
                    found.setdefault(state.device, set()).update(read(node.store.held(state.device)))
    return found
