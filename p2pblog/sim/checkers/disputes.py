"""Honest nodes agree on a disputed log: among those who share it, it is frozen for all or for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.world import World


class OneJudgement(Watcher):
    """Looks at the end of a run, and sees to it that no honest author's log is disputed at all, unless
    its disk was put back where nobody could tell."""

    def on_end(self, world: World) -> None:
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
