"""Scenes of pins between whole nodes."""

from __future__ import annotations

import pytest
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.config import PINS_MAX
from p2pblog.errors import NotFound, NotPermitted


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_own_notices_are_pinned_and_unpinned(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        posted = [(await alice.post(f"notice {number}"))["id"] for number in range(PINS_MAX + 1)]
        first = await alice.pin(posted[0])
        assert first["type"] == "pin"
        assert await alice.pin(posted[0]) == first
        for notice in posted[1:PINS_MAX]:
            await alice.pin(notice)
        with pytest.raises(NotPermitted, match="unpin one first"):
            await alice.pin(posted[PINS_MAX])
        assert (await alice.profile())["pinned"] == posted[PINS_MAX - 1 :: -1]
        assert await alice.pin(posted[0]) == first  # that one is pinned already
        assert (await alice.unpin(posted[0]))["type"] == "delete"
        with pytest.raises(NotFound):
            await alice.unpin(posted[0])
        await alice.pin(posted[PINS_MAX])
        await alice.delete(posted[1])
        wanted = [bytes.fromhex(notice) for notice in (posted[PINS_MAX], *posted[PINS_MAX - 1 : 1 : -1])]

        async def held() -> bool:
            return await world.home("bob").store.pins(world.home("alice").keyring.inception.identity) == wanted

        await world.until("bob holds her pins", held)
        with pytest.raises(NotPermitted, match="somebody else's"):
            await bob.pin(posted[2])


@trio_test
async def test_a_boost_of_ones_own_notice_stands_for_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        notice = (await alice.post("read me"))["id"]
        await alice.pin((await alice.boost(notice))["id"])
        assert (await alice.profile())["pinned"] == [notice]
