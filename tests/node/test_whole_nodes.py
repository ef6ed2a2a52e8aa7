"""Scenes between whole nodes: who reads what, when links and authors come and go."""

from __future__ import annotations

import copy

import pytest
import trio
from trio.testing import MockClock, trio_test
from worlds import open_world


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_a_follower_reads_a_notice_as_it_is_posted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await alice.post("first")
        await world.reads("bob", "first")

        await alice.post("second")
        assert await world.reads("bob", "second", "first") < 0.5


@trio_test
async def test_a_newcomer_reads_a_dead_author_from_another_follower(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await alice.post("still here")
        await world.reads("bob", "still here")
        await world.kill("alice")

        carol = await world.start("carol", "bob")
        await carol.follow(world.home("alice").address)
        await world.reads("carol", "still here")


@trio_test
async def test_an_author_comes_back_and_goes_on_with_the_same_log(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        before = await alice.post("before")
        await world.reads("bob", "before")
        await world.kill("alice")

        alice = await world.start("alice", "bob")
        after = await alice.post("after")
        assert (after["device"], after["seq"]) == (before["device"], before["seq"] + 1)
        await world.reads("bob", "after", "before")


@trio_test
async def test_the_newest_fifty_come_before_history(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        for number in range(300):
            await alice.post(f"notice {number}")
        bob = await world.start("bob", "alice")
        seen: list[int] = []

        async def watch() -> None:
            state = None
            while state is None or state.spans[0].low > 1:
                await trio.sleep(0.01)
                state = bob._driver.machine.holdings.logs.get(alice._author.device)
                if state is not None:
                    seen.append(state.spans[0].low)

        await bob.follow(world.home("alice").address)
        with trio.fail_after(60):
            await watch()
        assert seen[0] == 302 - 50 + 1
        assert await bob.timeline(limit=1000) == await alice.timeline(limit=1000)


@trio_test
async def test_a_node_that_was_away_catches_up(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await alice.post("one")
        await world.reads("bob", "one")
        await world.kill("bob")
        for number in range(120):
            await alice.post(f"while bob slept {number}")

        await world.start("bob", "alice")
        await world.reads("bob", *(f"while bob slept {number}" for number in reversed(range(120))), "one")


@trio_test
async def test_people_who_follow_each_other_converge(autojump_clock: MockClock) -> None:
    names = ["alice", "bob", "carol", "dave", "erin", "frank"]
    async with open_world() as world:
        nodes = {name: await world.start(name, *names[:1][: index > 0]) for index, name in enumerate(names)}
        for name in names:
            for other in names:
                if other != name:
                    await nodes[name].follow(world.home(other).address)
        for round_number in range(3):
            for name in names:
                await nodes[name].post(f"{name} says {round_number}")
                await trio.sleep(0.3)
        for name in names:
            await world.until(f"{name} has all", lambda name=name: _has(nodes[name], 18))
        pages = [await nodes[name].timeline(limit=100) for name in names]
        assert all({row["id"] for row in page} == {row["id"] for row in pages[0]} for page in pages)


async def _has(node, count: int) -> bool:
    return len(await node.timeline(limit=1000)) == count


@trio_test
async def test_a_copied_home_opens_a_new_device_instead_of_forking(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        first = await alice.post("from the original")
        world.copy(world.home("alice"), "clone", copy.deepcopy(world.home("alice").store))
        clone = await world.start("clone", "alice", copied=True)
        await trio.sleep(1)
        second = await clone.post("from the copy")
        await trio.sleep(1)
        third = await alice.post("from the original again")
        assert second["author"] == first["author"] == third["author"]
        assert second["device"] != first["device"] == third["device"]

        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await world.reads("bob", "from the original again", "from the copy", "from the original")


@trio_test
async def test_a_disk_rolled_back_is_noticed_before_anything_is_signed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await alice.post("kept")
        await world.reads("bob", "kept")
        old = copy.deepcopy(world.home("alice").store)
        lost = await alice.post("lost by the disk")
        await world.reads("bob", "lost by the disk", "kept")
        await world.kill("alice")
        world.home("alice").store = old

        alice = await world.start("alice", "bob")
        after = await alice.post("after the roll-back")
        assert after["device"] != lost["device"]
        await world.reads("bob", "after the roll-back", "lost by the disk", "kept")
        await world.reads("alice", "after the roll-back", "lost by the disk", "kept")
