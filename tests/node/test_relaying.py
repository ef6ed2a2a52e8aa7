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


async def start_star(world: World, *names: str) -> None:
    """Each of these is linked with alice; carol reaches nobody but her."""
    for name in ("alice", *names):
        await world.start(name)
    for name in names:
        if name != "carol":
            world.net.cut(world.home(name).endpoint, world.home("carol").endpoint)
        meet(world, name, "alice")
    await trio.sleep(3)


@trio_test
async def test_what_a_node_holds_of_somebody_stays_while_it_relays_him_and_after(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await start_star(world, "dave", "carol")
        alice, dave, carol = (world.home(name).node for name in ("alice", "dave", "carol"))
        await dave.follow(world.home("alice").address)
        await alice.admit(world.home("dave").address)
        asked = await alice.post("who knows bees?")
        await world.reads("dave", "who knows bees?")
        answer = (await dave.post("I do !bees", reply_to=asked["id"]))["id"]

        async def is_told() -> bool:
            return bool(await alice.notifications())

        await world.until("alice is told", is_told, within_s=900)
        await alice.bookmark(answer)

        async def seen() -> list[list[str]]:
            thread = await alice.thread(asked["id"])
            group = await alice.timeline(group="bees")
            news = await alice.notifications()
            rows = [await alice.bookmarks(), group, thread["notices"], [await alice.show(answer)]]
            return [[each["id"] for each in news], *([row["text"] for row in page] for page in rows)]

        before = await seen()
        assert before[1] == before[2] == before[4] == ["I do !bees"]
        await carol.follow(world.home("dave").address)
        await world.reads("carol", "I do !bees")
        assert RELAYED in await world.home("alice").store.settings(RELAYED)
        assert await seen() == before
        assert await alice.timeline(author=world.home("dave").address) == []
        await carol.unfollow(world.home("dave").address)
        await trio.sleep(700)
        assert RELAYED not in await world.home("alice").store.settings(RELAYED)
        assert await seen() == before


@trio_test
async def test_what_others_say_of_somebody_reads_as_ever_while_he_is_relayed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await start_star(world, "dave", "carol", "bob")
        alice, bob, carol, dave = (world.home(name).node for name in ("alice", "bob", "carol", "dave"))
        await bob.follow(world.home("dave").address)
        await alice.follow(world.home("bob").address)
        await carol.follow(world.home("dave").address)
        words = (await dave.post("words of dave"))["id"]
        await world.reads("bob", "words of dave")
        await world.reads("carol", "words of dave")
        assert RELAYED in await world.home("alice").store.settings(RELAYED)
        await bob.boost(words)
        await bob.quote(words, "look at this")
        await bob.post("I disagree", reply_to=words)
        await world.reads("alice", "I disagree", "look at this", "words of dave")

        rows = await alice.timeline()
        assert [row["quote"] and row["quote"]["text"] for row in rows if row["text"] == "look at this"] == [
            "words of dave"
        ]
        thread = await alice.thread(words, fetch=True)
        assert [row["text"] for row in thread["notices"]] == ["words of dave", "I disagree"]
        assert (await alice.why(words))["shown"]
        await alice.like(words)
        await alice.bookmark(words)
        await carol.unfollow(world.home("dave").address)
        await trio.sleep(700)
        assert [row["text"] for row in await alice.bookmarks()] == ["words of dave"]
