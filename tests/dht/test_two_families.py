"""Nodes that have both IPv4 and IPv6: they are two hosts to others, and announce one of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from dht_scenes import DAY, HOME, NOW, alice, carol
from dht_world import world_of
from test_dht_table import protocol, reply_to
from test_lookup import AT_ONCE, KEY, OWN, asked, at
from trio.testing import trio_test

from p2pblog import daemon
from p2pblog.cases.desk import Place
from p2pblog.core.address import Endpoint
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import Answered, Begin, Publish, Put
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import sign_replica
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.server import _family_of
from p2pblog.dht.walk import Walk

FOUR, SIX = Endpoint.of("203.0.114.5", 4711), Endpoint.of("2a01:4f8:1:2::5", 4711)


def by_six(number: int) -> Contact:
    return Contact(at(number).id, Endpoint.of(f"2001:db8:{number}::1", 4711))


def test_where_we_are_seen_is_said_for_each_version_of_ip() -> None:
    ours, wires = protocol()
    for number, you in enumerate((SIX, SIX, FOUR)):
        peer = Endpoint.of(f"10.0.{number}.9", 4711)
        ours.call(peer, None, wire.Ping(), lambda _: None)
        ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong(), f"peer {number}", you), (peer.host, peer.port))
    assert (ours.seen_as(4), ours.seen_as(6)) == (FOUR, SIX)


class SeenAs:
    """A DHT that is asked where others see us, and told whether to answer them."""

    endpoint = FOUR
    """Where the other socket is bound."""

    def __init__(self, *seen: Endpoint) -> None:
        self.seen = {endpoint.family: endpoint for endpoint in seen}
        self.clients: list[bool] = []

    async def seen_as(self, family: int) -> Endpoint | None:
        return self.seen.get(family)

    async def set_client(self, client: bool) -> None:
        self.clients.append(client)

    def on_reachable(self, _: Endpoint | None) -> None:
        """The meeting hears of it too."""


@pytest.mark.parametrize(
    ("seen", "clients"),
    [((FOUR, SIX), []), ((SIX,), []), ((HOME,), []), ((Endpoint.of("8.8.4.4", 4711), SIX), [True])],
)
def test_who_announces_ipv4_is_behind_a_router_only_by_what_is_seen_of_ipv4(
    seen: tuple[Endpoint, ...], clients: list[bool]
) -> None:
    """A server that listened on [::] took itself for one behind a router as soon as most saw it by IPv6."""
    directory: Any = SeenAs(*seen)

    async def scene() -> None:
        with trio.move_on_after(1):
            sockets = daemon.Sockets(directory, directory, Place(FOUR, (FOUR,)))
            await daemon._keep_reachable(sockets, directory, directory)

    trio.run(scene, clock=trio.testing.MockClock(autojump_threshold=0))
    assert directory.clients == clients


def test_a_replica_goes_to_those_who_are_called_by_its_version_of_ip() -> None:
    assert _family_of([carol.replica(alice.identity, FOUR)]) == 4
    assert _family_of([carol.replica(alice.identity, SIX)]) == 6
    assert _family_of([alice.head()]) is None


def test_a_walk_by_one_version_of_ip_leaves_out_who_is_called_by_the_other() -> None:
    seeds = [at(1), by_six(2), at(3)]
    walk = Walk(KEY, OWN, seeds, RoundTrips(), Parameters(lead_s=AT_ONCE), family=6)
    machine = Publish(walk, 1, 5)
    assert asked(machine.handle(Begin(), 0.0)) == [by_six(2)]
    effects = machine.handle(Answered(by_six(2), (by_six(4), at(5))), 0.01)
    assert asked(effects) == [by_six(4)] and Put(by_six(2), 0) in effects


@trio_test
async def test_a_replica_is_stored_among_those_of_its_version_however_many_others_are_nearer() -> None:
    async with world_of(3) as world:
        server = world.nodes[0]._server
        rng, router = random.Random(5), server.protocol.router
        record = sign_replica(world.keys[0], alice.identity.hash, world.nodes[0].endpoint, NOW + DAY)
        near = [
            Contact(type(server.protocol.id)(record.key[:12] + rng.randbytes(8)), Endpoint.of(f"fd00:{n}::1", 4711))
            for n in range(80)
        ]
        real = router.nearest
        router.nearest = lambda target, k, exclude=None: (near + real(target, k, exclude))[:k]
        router.size += len(near)
        assert [published.holders for published in await world.nodes[0].publish([record])] == [2]
