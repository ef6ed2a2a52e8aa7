"""A scene of names: Mallory calls himself what Alice and Bob are called, and Alice's node says whom he resembles."""

from __future__ import annotations

import pytest
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.control.documents import FollowDocument


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_a_node_says_whose_name_a_followed_one_looks_like(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        mallory = await world.start("mallory", "alice")
        bob = await world.start("bob", "alice")
        addresses = {name: world.home(name).address for name in ("alice", "bob", "mallory")}
        await alice.profile(name="alice")
        await bob.profile(name="bob")
        await alice.follow(addresses["bob"], petname="robert")
        await alice.follow(addresses["mallory"])

        async def row(name: str) -> FollowDocument:
            return next(each for each in await alice.following() if each["address"] == addresses[name])

        async def calls_himself(name: str) -> FollowDocument:
            async def heard() -> bool:
                return (await row("mallory"))["name"] == name

            await mallory.profile(name=name)
            await world.until(f"alice sees {name}", heard)
            return await row("mallory")

        for name in ("R0bert", "b\u043eb", "bob"):
            assert (await calls_himself(name))["lookalike"] == addresses["bob"]
        assert (await row("bob"))["lookalike"] == addresses["mallory"], "neither is more real than the other"
        assert (await calls_himself("\u0430lice"))["lookalike"] == addresses["alice"]
        assert (await row("bob"))["lookalike"] is None
        assert (await alice.profile())["lookalike"] == addresses["mallory"]
        assert (await calls_himself("mallory"))["lookalike"] is None
        assert (await alice.profile())["lookalike"] is None
        assert (await alice.follow(addresses["mallory"], petname="m"))["lookalike"] is None
        assert (await alice.profile(name="mallory"))["lookalike"] == addresses["mallory"]
        assert (await alice.unfollow(addresses["mallory"]))["lookalike"] == addresses["alice"]
