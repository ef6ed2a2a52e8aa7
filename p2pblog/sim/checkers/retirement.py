"""A device that its owner retired stays so, in the end with every follower of the owner, and no other is retired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World


class StaysRetired(Watcher):
    """`_known`: on which disk which retirement has been seen. Who forgot the whole identity may learn anew."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, DeviceKey], int] = {}

    def on_tick(self, world: World) -> None:
        for device in sorted(world.retired):
            identity = world.identity_of(device)
            for node in world.nodes:
                if node.is_up and node.number not in world.byzantine:
                    self._look(world, node, device, identity)

    def _look(self, world: World, node: SimNode, device: DeviceKey, identity: IdentityHash) -> None:
        known = node.machine.holdings.identities.get(identity)
        key = (node.number, node.disk, device)
        if known is None:
            self._known.pop(key, None)
            return
        standing = known.devices.get(device)
        is_retired = standing is not None and standing.retired
        if not is_retired and key in self._known:
            world.fail(f"node {node.number} took {world.name_of(device)} back into service, which was retired")
            del self._known[key]
        elif is_retired:
            self._known[key] = standing.seq if standing is not None else 0

    def on_end(self, world: World) -> None:
        self._check_nobody_else_retires(world)
        for device in sorted(world.retired):
            owner, identity = world.owner[device], world.identity_of(device)
            circle = [number for number in sorted({owner, *world.followers[owner]}) if world.is_honest_online(number)]
            known = {number: world.nodes[number].machine.holdings.identities.get(identity) for number in circle}
            aware = {n for n, i in known.items() if i is not None and device in i.devices and i.devices[device].retired}
            if aware:
                for number in sorted(set(circle) - aware):
                    world.fail(f"node {number} has not heard that {world.name_of(device)} is retired")

    def _check_nobody_else_retires(self, world: World) -> None:
        for node in world.nodes:
            if not world.is_honest_online(node.number):
                continue
            identities = node.machine.holdings.identities.values()
            retired = {log for who in identities for log, standing in who.devices.items() if standing.retired}
            for device in sorted(device for device in retired - world.retired if device in world.owner):
                world.fail(f"node {node.number} takes {world.name_of(device)} for retired, which nobody did")
