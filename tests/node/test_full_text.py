"""Scenes of people who search what their nodes hold."""

from __future__ import annotations

import pytest
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.errors import NotFound, UsageError


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def found(world: World, name: str, query: str, limit: int = 20, before: str | None = None) -> list[str]:
    answer = await world.home(name).node.search(query, limit, before)
    assert answer["unread"] == 0
    return [notice["text"] for notice in answer["notices"]]


@trio_test
async def test_bob_finds_what_others_said_until_they_take_it_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        await world.start("bob", "alice")
        alice, bob = world.home("alice"), world.home("bob")
        await bob.node.follow(alice.address, "al ice")
        await bob.node.post("I keep bees, too")
        first = await alice.node.post("The honey bees are back")
        await alice.node.post("A bee-eater! #Birds", cw="feathers")
        await world.reads("bob", "A bee-eater! #Birds")
        assert await found(world, "bob", "bees") == ["The honey bees are back", "I keep bees, too"]
        assert await found(world, "bob", "bee*", 1) == ["A bee-eater! #Birds"]
        assert await found(world, "bob", "bee*", 5, first["id"]) == ["I keep bees, too"]
        assert await found(world, "bob", '"honey bees"') == ["The honey bees are back"]
        assert await found(world, "bob", 'from:"al ice" bee* -honey') == ["A bee-eater! #Birds"]
        assert await found(world, "bob", f"bees from:{bob.address}") == ["I keep bees, too"]
        assert await found(world, "bob", f"bees -from:{alice.address}") == ["I keep bees, too"]
        assert await found(world, "bob", "#birds feathers since:1h") == ["A bee-eater! #Birds"]
        assert await found(world, "bob", "bee* until:1h") == []
        assert await found(world, "bob", "has:media") == []
        assert await found(world, "alice", "bees") == ["The honey bees are back"]  # she does not follow him
        await alice.node.delete(first["id"])
        await world.until("the delete comes", lambda: _is_gone(world, "honey"))
        for nonsense in ("", "from:nobody", '"', "since:then", "-bees"):
            with pytest.raises(UsageError):
                await found(world, "bob", nonsense)
        with pytest.raises(UsageError):
            await found(world, "bob", "bees", 1_001)
        with pytest.raises(NotFound):
            await found(world, "bob", "bees", 5, "123456")


async def _is_gone(world: World, text: str) -> bool:
    return await found(world, "bob", text) == []
