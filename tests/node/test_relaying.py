"""Whole nodes in a row without a DHT: two in the middle follow nobody and carry a stranger's feed to the last one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from builders import person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.gossip.events import Candidates
from p2pblog.gossip.keeper import RELAYED


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


ROW = ("alice", "x", "y", "bob")


async def start_row(world: World) -> None:
    """Each is linked with the next one, and cannot reach anybody else."""
    for number, one in enumerate(ROW):
        for other in ROW[number + 2 :]:
            world.net.cut(world.home(one).endpoint, world.home(other).endpoint)
    for name in ROW:
        await world.start(name)
    for one, other in pairwise(ROW):
        meet(world, one, other)
    await trio.sleep(2)


def meet(world: World, one: str, other: str) -> None:
    """`one` is told of `other`'s endpoint, past the DHT."""
    parts = world.home(one).parts
    assert parts is not None
    parts.driver.feed(Candidates((world.home(other).endpoint,)))


async def held_of_alice(world: World, name: str) -> int:
    loaded = await world.home(name).store.load()
    states = [state for state in loaded.logs if state.identity == person("alice").hash]
    return sum(span.high - span.low + 1 for state in states for span in state.spans)


@trio_test
async def test_a_follower_reads_an_author_through_two_strangers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await start_row(world)
        alice, bob = world.home("alice").node, world.home("bob").node
        for number in range(60):
            await alice.post(f"notice {number}")
        await bob.follow(world.home("alice").address)
        await world.reads("bob", *(f"notice {number}" for number in range(59, 12, -1)))
        assert (await bob.following())[0]["state"] == "found"
        await alice.post("live")
        await world.reads("bob", "live", within_s=5)
        await alice.post("live again")
        assert await world.reads("bob", "live again", "live") < 0.5

        for name in ("x", "y"):
            node = world.home(name).node
            assert await node.timeline() == [] and await node.following() == []
            assert await node.timeline(author=world.home("alice").address) == []
            assert (await node.status())["dht_nodes"] == 0
            assert 50 <= await held_of_alice(world, name) <= 53
            assert (await world.home(name).store.settings(RELAYED))[RELAYED] == person("alice").hash

        await trio.sleep(3_600)
        await alice.post("an hour later")
        await world.reads("bob", "an hour later", within_s=1)
        await bob.unfollow(world.home("alice").address)
        await world.until("x forgets", lambda: forgets(world, "x"), within_s=700)
        assert await forgets(world, "y")


async def forgets(world: World, name: str) -> bool:
    loaded = await world.home(name).store.load()
    strangers = [identity for identity in loaded.identities if identity.hash == person("alice").hash]
    return await held_of_alice(world, name) == 0 and not strangers and RELAYED not in loaded.settings


@trio_test
async def test_a_relay_that_was_killed_keeps_nothing_and_another_start_relays_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await start_row(world)
        alice, bob = world.home("alice").node, world.home("bob").node
        await alice.post("before")
        await bob.follow(world.home("alice").address)
        await world.reads("bob", "before")
        await world.kill("y")
        assert await held_of_alice(world, "y") > 0

        y = await world.start("y")
        await world.until("y forgets", lambda: forgets(world, "y"), within_s=1)
        await alice.post("after")
        meet(world, "x", "y")
        meet(world, "y", "bob")
        await world.reads("bob", "after", "before", within_s=120)
        await y.follow(world.home("alice").address)
        await world.reads("y", "after", "before", within_s=30)
