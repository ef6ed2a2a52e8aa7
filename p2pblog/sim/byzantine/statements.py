"""Statements: what nobody said of somebody's device, under a signature that is not the owner's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.core.identity import Identity, state_retire
from p2pblog.gossip.messages import Statements
from p2pblog.sim.byzantine.behaviour import Behaviour, any_lane

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode


class ForgeStatements(Behaviour):
    """It says of a log that it was retired at its first entry, so that who believes it takes nothing that follows."""

    def on_second(self, node: LyingNode) -> None:
        lane = any_lane(node, self.rng)
        session = None if lane is None else node.machine.sharing.sessions.get(lane.other.key)
        if lane is None or session is None or self.rng.random() < 0.5:
            return
        known = node.machine.holdings.identities
        others = sorted(
            who for who in session.shared if who in known and known[who].devices and who != node.person.hash
        )
        if others:
            node.say(lane, Statements(self._forged(node, known[self.rng.choice(others)]).wire))

    def _forged(self, node: LyingNode, identity: Identity) -> Identity:
        device = min(identity.devices)
        first, numbers = node.store.held(device).get(1), (identity.epoch, identity.next_counter)
        if first is None or identity.devices[device].retired:
            return identity
        said = state_retire(node.person.root, identity.hash, *numbers, device, 1, first.id)
        return Identity(identity.inception, tuple(sorted([*identity.statements, said], key=lambda one: one.id)))
