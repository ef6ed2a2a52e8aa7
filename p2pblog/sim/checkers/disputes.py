"""Honest nodes agree on each log: one history that all followers hold, or a dispute of which all of them know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.world import World


class OneJudgement(Watcher):
    """Looks at the end of a run, and sees to it that no honest author's log is disputed at all, unless
    its disk was put back where nobody could tell. What a liar first showed in the last seconds need not be judged."""

    def __init__(self) -> None:
        self._before: set[DeviceKey] | None = None
        """Logs of which there were two histories LAST_S before the end."""

    def on_last(self, world: World) -> None:
        self._before = set(_split(world))

    def on_end(self, world: World) -> None:
        self._check_disputes(world)
        for device, seq in sorted(_split(world).items()):
            if self._before is None or device in self._before:
                world.fail(f"followers hold two histories of {world.name_of(device)}, which part at {seq}")

    def _check_disputes(self, world: World) -> None:
        frozen: dict[bytes, set[int]] = {}
        for node in world.nodes:
            if not world.is_honest_online(node.number):
                continue
            holdings = node.machine.holdings
            stored = {state.device for state in node.store.logs() if state.fork is not None}
            for device in sorted(device for device in holdings.logs if holdings.is_frozen(device)):
                frozen.setdefault(device, set()).add(node.number)
                if device not in stored and not holdings.is_borrowed(holdings.owners[device]):
                    world.fail(f"node {node.number} treats {world.name_of(device)} as disputed and stored no proof")
        for device in sorted(world.owner):
            if device not in frozen:
                continue
            owner = world.owner[device]
            if owner not in world.byzantine and device not in world.forked:
                world.fail(f"{world.name_of(device)} is disputed, whose author is honest")
            circle = {number for number in world.followers[owner] if world.is_honest_online(number)}
            for number in sorted(circle - frozen[device]):
                world.fail(f"node {number} has not heard that {world.name_of(device)} is disputed")


def _split(world: World) -> dict[DeviceKey, int]:
    """The logs that nobody calls disputed and of which honest followers on line hold two histories; where they part."""
    found: dict[DeviceKey, int] = {}
    for device, owner in world.owner.items():
        ids: dict[int, EntryId] = {}
        circle = [number for number in world.followers[owner] if world.is_honest_online(number)]
        held = [entry for number in circle for entry in world.nodes[number].store.held(device).values()]
        parted = {entry.seq for entry in held if ids.setdefault(entry.seq, entry.id) != entry.id}
        if parted and not world.is_disputed(device):
            found[device] = min(parted)
    return found
