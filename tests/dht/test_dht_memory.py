"""The in-memory twin keeps the same rules, under trio's virtual clock."""

from __future__ import annotations

import pytest
import trio
from dht_scenes import MINUTE, NOW, alice, bob
from trio.testing import MockClock, trio_test

from p2pblog.core.address import Endpoint
from p2pblog.dht import Directory, Published
from p2pblog.dht.memory import MemoryDirectory, MemoryNetwork
from p2pblog.dht.records import sign_replica


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def here(number: int) -> Endpoint:
    return Endpoint.of(f"10.0.0.{number}", 4711)


def now_ms() -> int:
    return NOW + int(trio.current_time() * 1000)


async def three() -> tuple[MemoryNetwork, list[MemoryDirectory]]:
    network = MemoryNetwork(now_ms, latency_s=0.1)
    nodes = [network.open(here(number)) for number in (1, 2, 3)]
    for node in nodes[1:]:
        assert await node.add_contacts([here(1), here(99)]) == 1
    return network, nodes


@trio_test
async def test_bob_finds_what_alice_published(autojump_clock: MockClock) -> None:
    _, nodes = await three()
    directory: Directory = nodes[0]
    assert directory.size == 2
    assert await directory.publish([alice.head(counter=2)]) == [Published(2)]
    assert await nodes[1].publish([alice.head(counter=1)]) == [Published(0)]
    nodes[0].close()
    assert await nodes[2].find(alice.head().key) == [alice.head(counter=2)]
    assert nodes[2].size == 1


@trio_test
async def test_who_knows_nobody_finds_nothing(autojump_clock: MockClock) -> None:
    network, nodes = await three()
    await nodes[0].publish([alice.head()])
    lonely = network.open(here(4))
    assert (lonely.size, await lonely.find(alice.head().key)) == (0, [])
    assert await lonely.publish([bob.head()]) == [Published(0)]


@trio_test
async def test_expiry_and_sources_count_as_on_the_wire(
    autojump_clock: MockClock,
) -> None:
    _, nodes = await three()
    soon = alice.head(expires_ms=now_ms() + MINUTE)
    away = sign_replica(bob.node, alice.identity.hash, here(9), now_ms() + MINUTE)
    home = sign_replica(bob.node, alice.identity.hash, here(1), now_ms() + MINUTE)
    assert await nodes[0].publish([soon, away, home]) == [Published(2), Published(0), Published(2)]
    assert await nodes[1].find(home.key) == [home]
    await trio.sleep(60)
    assert await nodes[1].find(soon.key) == [] and await nodes[1].find(home.key) == []
    assert await nodes[0].publish([soon]) == [Published(0)]
