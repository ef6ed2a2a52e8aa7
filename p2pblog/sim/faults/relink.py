"""Relink: one link is cut and made again while nothing changes, and what that costs is counted."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from p2pblog.gossip.events import Dial
from p2pblog.gossip.membership import DIAL_TIMEOUT_S
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.tables import Seconds

if TYPE_CHECKING:
    from p2pblog.sim.world import World


class Relink(Fault):
    """The first node dials the second after half of the time until `at_s`, unless they have linked by themselves. Their
    link is lost at `at_s` and dialed again a second later; what goes between them is counted for `for_s` seconds."""

    for_s: Seconds = 5.0

    def plan(self, world: World, rng: Random) -> None:
        world.loop.at(self.at_us // 2, self._dial, world)
        world.loop.at(self.at_us, self._cut, world)
        world.loop.at(self.at_us + SECOND_US, self._dial, world)
        world.loop.at(self.at_us + int(self.for_s * SECOND_US), self._count, world)

    def _dial(self, world: World) -> None:
        first, second = world.nodes[:2]
        if first.is_up and second.person.node_key not in first.lanes:
            first.perform([Dial(second.endpoint, DIAL_TIMEOUT_S)])

    def _cut(self, world: World) -> None:
        first, second = world.nodes[:2]
        lane = first.lanes.get(second.person.node_key)
        if lane is not None and lane.is_open:
            world.relinked = second.number
            first.drop(lane)

    def _count(self, world: World) -> None:
        first, second = world.nodes[:2]
        session = first.machine.sharing.sessions.get(second.person.node_key)
        if session is not None and session.ready:
            world.meter.relinked_feeds = len(session.shared)
        world.relinked = None
