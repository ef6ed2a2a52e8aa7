"""HOST:PORT as a person types it: a name with several addresses leads to the node if one of them does."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog import names
from p2pblog.core.address import Endpoint
from p2pblog.errors import UsageError, UserError

HERE, SIX_HERE, AWAY, SIX_AWAY = "127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"


class Resolver(trio.abc.HostnameResolver):
    """Knows these hosts, each by its addresses in the order in which the system would give them."""

    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = {name.replace("_", "."): addresses for name, addresses in hosts.items()}
        self.asked = 0
        trio.socket.set_custom_hostname_resolver(self)

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # type: ignore[no-untyped-def,override]
        self.asked += 1
        if host.decode() not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(None, None, 0, "", (address, port)) for address in self.hosts[host.decode()]]

    async def getnameinfo(self, sockaddr, flags):  # type: ignore[no-untyped-def,override]
        raise AssertionError("nobody asks for the name of an address")


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def hosts(found: tuple[Endpoint, ...]) -> list[str]:
    return [endpoint.host for endpoint in found]


@trio_test
async def test_a_host_is_all_of_its_addresses_by_turns() -> None:
    sixes = [f"2001:db8::{number}" for number in range(1, 6)]
    Resolver(
        twice_example=[AWAY, AWAY], both_example=[*sixes, AWAY], near_example=["fe80::1%eth0", AWAY], none_example=[]
    )
    assert await names.resolve("[2001:db8::1]:4711") == (Endpoint("2001:db8::1", 4711),)
    assert await names.resolve("twice.example:4711") == (Endpoint(AWAY, 4711),)
    assert hosts(await names.resolve("both.example:1")) == [sixes[0], AWAY, *sixes[1:3]]
    assert hosts(await names.resolve("near.example:1")) == [AWAY]
    for unknown in ("none.example:1", "lost.example:1"):
        with pytest.raises(UserError, match="is not known"):
            await names.resolve(unknown)


@trio_test
async def test_a_node_listens_where_it_is_and_on_ipv4_if_it_can() -> None:
    Resolver(both_example=[SIX_HERE, HERE], moved_example=[SIX_AWAY, AWAY, HERE], away_example=[SIX_AWAY, AWAY])
    assert await names.resolve_here("both.example:1") == Endpoint(HERE, 1)
    assert await names.resolve_here("moved.example:1") == Endpoint(HERE, 1)
    assert await names.resolve_here("away.example:1") == Endpoint(AWAY, 1)  # cannot be had, and is named as that


@pytest.mark.parametrize("text", ["255.255.255.255:0", "224.0.0.1:4711", "[ff02::1]:0", "many.example:0"])
@trio_test
async def test_no_node_listens_on_an_address_for_many_machines(text: str) -> None:
    Resolver(many_example=["239.1.2.3"])
    with pytest.raises(UsageError, match="for many machines"):
        await names.resolve_here(text)


@pytest.mark.parametrize("text", ["alice.example:0", "alice.example:00", "127.0.0.1:00000", "[::1]:0"])
def test_nobody_is_called_at_port_0_however_it_is_spelled(text: str) -> None:
    with pytest.raises(UsageError, match="names no port"):
        names.check_contact(text)
    assert names.check(text) == text


@trio_test
async def test_a_peer_is_added_by_the_address_that_answers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        bob = await world.start("bob")
        alice = world.home("alice").endpoint
        Resolver(alice_example=[SIX_AWAY, alice.host], lost_example=[SIX_AWAY, AWAY])
        row = await bob.add_peer(f"alice.example:{alice.port}")
        assert row["endpoint"] == str(alice)
        again = await bob.add_peer(f"alice.example:{alice.port}")
        assert again["since"] == row["since"]  # the link that stands is left alone
        kept = (await world.home("bob").store.load()).peers
        assert [peer.endpoint for peer in kept] == [str(alice)]
        with pytest.raises(UserError, match=f"no p2pblog node answered at {AWAY}"):
            await bob.add_peer("lost.example:4000")


@trio_test
async def test_a_node_to_begin_with_is_met_at_the_address_that_answers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        bob = await world.start("bob")
        alice = world.home("alice").endpoint
        Resolver(alice_example=[SIX_AWAY, alice.host])
        parts = world.home("bob").parts
        assert parts is not None

        async def are_linked() -> bool:
            return str(alice) in [peer["endpoint"] for peer in await bob.peers()]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(parts._meet_named, [f"alice.example:{alice.port}"])
            await world.until("bob is linked with alice", are_linked)
            nursery.cancel_scope.cancel()


@trio_test
async def test_a_node_to_begin_with_that_moves_is_met_where_it_is_now(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody answers where its name led at first, as behind dynamic DNS; for a while there is no resolver either."""
    async with open_world() as world:
        await world.start("alice")
        bob = await world.start("bob")
        alice, parts = world.home("alice").endpoint, world.home("bob").parts
        resolver = Resolver(seed_example=[AWAY])
        assert parts is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parts._meet_named, [f"seed.example:{alice.port}"])
            await trio.sleep(60)
            assert await bob.peers() == []
            del resolver.hosts["seed.example"]
            await trio.sleep(300)
            resolver.hosts["seed.example"] = [alice.host]
            await trio.sleep(60)
            assert [peer["endpoint"] for peer in await bob.peers()] == [str(alice)]
            resolver.asked = 0
            await trio.sleep(3600)
            assert resolver.asked == 0  # it is linked
            await world.kill("alice")
            await trio.sleep(300)
            assert resolver.asked > 1
            nursery.cancel_scope.cancel()
    assert len([said for said in caplog.messages if "seed.example is not known" in said]) == 1
