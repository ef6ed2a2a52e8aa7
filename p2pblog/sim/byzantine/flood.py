"""Flood: more of everything than anybody has use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.config import SEQ_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.payload import Ref
from p2pblog.gossip.messages import (
    HAVES_MAX,
    PEERS_MAX,
    Fetch,
    Graft,
    Have,
    Message,
    Peers,
    Ping,
    Relay,
    Tokens,
    Wait,
    Want,
)
from p2pblog.sim.byzantine.behaviour import Behaviour, any_lane

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode

AT_ONCE = 40


class Flood(Behaviour):
    """Each second one peer is flooded with one kind of message, and somebody is dialed who is linked already."""

    def on_second(self, node: LyingNode) -> None:
        lane = any_lane(node, self.rng)
        if lane is None:
            return
        for message in self._flood(node):
            node.say(lane, message)
        others = node.world.nodes
        node.dial(others[self.rng.randrange(len(others))].endpoint)

    def _flood(self, node: LyingNode) -> list[Message]:
        rng, logs = self.rng, sorted(node.machine.holdings.owners)
        interests = sorted(node.machine.holdings.identities)
        device, identity = rng.choice(logs), rng.choice(interests)
        match rng.randrange(9):
            case 0:
                return [Have(tuple((rng.choice(logs), rng.randint(1, SEQ_MAX)) for _ in range(HAVES_MAX)))]
            case 1:
                return [Have(tuple((rng.choice(logs), rng.randint(1, 40)) for _ in range(HAVES_MAX)))]
            case 2:
                return [Tokens(tuple(rng.randbytes(8) for _ in range(1_000)))]
            case 3:
                return [Relay(rng.choice([identity, IdentityHash(rng.randbytes(32))]), 2) for _ in range(AT_ONCE)]
            case 4:
                return [Ping(number) for number in range(1, AT_ONCE)]
            case 5:
                return [Graft(device, rng.randint(0, 3)) for _ in range(AT_ONCE)]
            case 6:
                return [Wait(device, rng.randint(1, 30)) for _ in range(AT_ONCE)]
            case 7:
                own = node.store.held(node.person.log)
                entry = own[1].id if 1 in own else EntryId(rng.randbytes(32))  # a fork that it settled took its log
                ref = Ref(node.person.hash, DeviceKey(node.person.log), 1, entry)
                return [*([Fetch(ref)] * AT_ONCE), *([Want(device, 1, 3)] * 10)]
            case _:
                places = [Endpoint(f"{rng.randint(30, 99)}.{rng.randint(0, 255)}.7.1", 4000) for _ in range(PEERS_MAX)]
                return [Peers(tuple(places))]
