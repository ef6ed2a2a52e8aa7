"""Scenes of lists: people put together under a name, for oneself alone."""

from __future__ import annotations

from contextlib import aclosing

import pytest
import trio
from builders import person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.config import LIST_NAME_CHARACTERS_MAX, LISTS_MAX
from p2pblog.control.documents import NoticeDocument
from p2pblog.errors import NotFound, UsageError, UserError


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def shown(world: World, name: str, of_list: str) -> list[str]:
    return [notice["text"] for notice in await world.home(name).node.timeline(of_list=of_list)]


@trio_test
async def test_a_list_is_a_timeline_of_some(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        await world.start("bob", "alice")
        await world.start("carol", "alice")
        alice, bob, carol = (world.home(name) for name in ("alice", "bob", "carol"))
        await carol.node.follow(alice.address, "al")
        await carol.node.follow(bob.address)
        await alice.node.post("from alice #tea")
        await bob.node.post("from bob")
        for text in ("from alice #tea", "from bob"):
            await world.reads("carol", text)
        entries = (await carol.node.status())["entries"]
        assert await carol.node.create_list(" tea ") == {"name": "tea", "members": 0}
        assert await shown(world, "carol", "tea") == []
        assert await carol.node.add_to_list("tea", ["al", "al"]) == {"name": "tea", "members": 1}
        assert await shown(world, "carol", "tea") == ["from alice #tea"]
        (member,) = (await carol.node.show_list("tea"))["members"]
        assert (member["address"], member["petname"]) == (alice.address, "al")
        await carol.node.add_to_list("tea", [alice.address, bob.address])
        assert sorted(await shown(world, "carol", "tea")) == ["from alice #tea", "from bob"]
        tagged = await carol.node.timeline(tag="tea", of_list="tea")
        assert [notice["text"] for notice in tagged] == ["from alice #tea"]
        assert await carol.node.remove_from_list("tea", ["al"]) == {"name": "tea", "members": 1}
        assert await shown(world, "carol", "tea") == ["from bob"]
        await carol.node.unfollow(bob.address)
        assert await carol.node.lists() == [{"name": "tea", "members": 0}]
        await carol.node.follow(bob.address)
        assert await shown(world, "carol", "tea") == []
        await carol.node.add_to_list("tea", [bob.address])
        assert await carol.node.delete_list("tea") == {"name": "tea", "members": 1}
        assert await carol.node.lists() == []
        assert bob.address in [row["address"] for row in await carol.node.following()]
        assert (await carol.node.status())["entries"] == entries  # lists are none


@trio_test
async def test_what_comes_of_a_list_is_shown_live(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        await world.start("bob", "alice")
        alice, bob = world.home("alice"), world.home("bob")
        await bob.node.follow(alice.address)
        await bob.node.create_list("tea")
        await bob.node.add_to_list("tea", [alice.address])
        seen: list[NoticeDocument] = []

        async def watch() -> None:
            async with aclosing(bob.node.watch(of_list="tea")) as notices:
                async for notice in notices:
                    seen.append(notice)
                    return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            await bob.node.post("not this")
            await alice.node.post("but this")
        assert [notice["text"] for notice in seen] == ["but this"]


@trio_test
async def test_what_lists_refuse(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        await world.start("bob", "alice")
        alice, bob = world.home("alice"), world.home("bob")
        await bob.node.follow(alice.address, "al")
        await bob.node.create_list("tea")
        with pytest.raises(UserError, match="already") as refused:
            await bob.node.create_list("tea")
        assert refused.value.exit_code == 1
        with pytest.raises(NotFound, match="do not follow") as unknown:
            await bob.node.add_to_list("tea", ["al", person("carol").address])
        assert unknown.value.hint == "p2pblog follow ADDRESS"
        with pytest.raises(NotFound, match="do not follow"):
            await bob.node.add_to_list("tea", [bob.address])
        with pytest.raises(NotFound, match="not in that list") as caught:
            await bob.node.remove_from_list("tea", ["al"])
        assert caught.value.hint == "p2pblog list show tea"
        assert await bob.node.lists() == [{"name": "tea", "members": 0}]
        for attempt in (
            bob.node.delete_list("coffee"),
            bob.node.show_list("coffee"),
            bob.node.add_to_list("coffee", ["al"]),
            bob.node.remove_from_list("coffee", ["al"]),
            bob.node.timeline(of_list="coffee"),
        ):
            with pytest.raises(NotFound, match="no list of that name"):
                await attempt
        with pytest.raises(UsageError):
            await bob.node.timeline(author="al", of_list="tea")
        await bob.node.create_list("x" * (LIST_NAME_CHARACTERS_MAX - 1))
        await bob.node.create_list("x" * LIST_NAME_CHARACTERS_MAX)
        for name in ("x" * (LIST_NAME_CHARACTERS_MAX + 1), "", " ", "\u202e", "a\nb"):
            with pytest.raises(UsageError):
                await bob.node.create_list(name)
        for number in range(LISTS_MAX - 3):
            await bob.node.create_list(f"{number}")
        with pytest.raises(UserError, match="100 lists already"):
            await bob.node.create_list("one more")
