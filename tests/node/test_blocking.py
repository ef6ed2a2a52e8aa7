"""A block, with whole nodes: nothing of somebody is kept, relayed or given, and nobody is punished for sending it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from builders import person
from test_files import PICTURE, SMALL, WEEK_MS, post
from test_relaying import meet
from trio.testing import MockClock, trio_test
from worlds import World, fetch, open_world

from p2pblog.cases import quieting
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.gossip.files import Files as FilesMachine
from p2pblog.store import memory_desk


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def held_of(world: World, holder: str, author: str) -> int:
    loaded = await world.home(holder).store.load()
    states = [state for state in loaded.logs if state.identity == person(author).hash]
    return sum(span.high - span.low + 1 for state in states for span in state.spans)


async def start_row(world: World, *names: str) -> None:
    """Each is linked with the next one, and cannot reach anybody else."""
    for number, one in enumerate(names):
        for other in names[number + 2 :]:
            world.net.cut(world.home(one).endpoint, world.home(other).endpoint)
    for name in names:
        await world.start(name)
    for one, other in pairwise(names):
        meet(world, one, other)
    await trio.sleep(2)


@trio_test
async def test_who_blocks_an_author_relays_no_more_of_him_for_others(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await start_row(world, "mallory", "carol", "bob")
        mallory, carol, bob = (world.home(name).node for name in ("mallory", "carol", "bob"))
        await mallory.post("one")
        await bob.follow(world.home("mallory").address)
        await world.reads("bob", "one")
        assert await held_of(world, "carol", "mallory") > 0

        told = await carol.block(world.home("mallory").address)
        assert told["unfollowed"] is False

        async def holds_nothing() -> bool:
            return await held_of(world, "carol", "mallory") == 0

        await world.until("carol forgets", holds_nothing, within_s=1)
        links = {row["node"] for row in await carol.peers()}
        await mallory.post("two")
        await trio.sleep(120)
        assert await held_of(world, "carol", "mallory") == 0
        assert [row["text"] for row in await bob.timeline()] == ["one"]
        assert {row["node"] for row in await carol.peers()} == links  # nobody is punished for it
        loaded = await world.home("carol").store.load()
        assert person("mallory").hash not in {identity.hash for identity in loaded.identities}

        await world.kill("carol")
        carol = await world.start("carol")
        meet(world, "mallory", "carol")
        meet(world, "carol", "bob")
        await trio.sleep(60)
        assert await carol.blocked() == [{"address": told["address"], "since": told["since"]}]
        assert await held_of(world, "carol", "mallory") == 0

        with pytest.raises(UserError, match="blocked"):
            await carol.follow(world.home("mallory").address)
        await carol.unblock(world.home("mallory").address)
        with pytest.raises(NotFound):
            await carol.unblock(world.home("mallory").address)
        assert await carol.blocked() == []
        await carol.follow(world.home("mallory").address)
        await world.reads("carol", "two", "one", within_s=120)
        await world.reads("bob", "two", "one", within_s=1_200)


@trio_test
async def test_what_is_followed_in_private_is_named_to_no_neighbour(autojump_clock: MockClock) -> None:
    """Where no link leads to the feed it stays away, as docs/privacy.md says; in public the neighbour carries it."""
    async with open_world() as world:
        await start_row(world, "mallory", "carol", "bob")
        await world.home("mallory").node.post("one")
        bob, address = world.home("bob").node, world.home("mallory").address
        parts = world.home("carol").parts
        assert parts is not None
        await bob.follow(address, private=True)
        await trio.sleep(120)
        assert not parts.driver.machine.holdings.leases and await bob.timeline() == []
        await bob.follow(address, private=False)
        await world.reads("bob", "one")
        assert parts.driver.machine.holdings.leases


@trio_test
async def test_pictures_of_whom_one_blocks_go_at_once_but_for_those_that_others_have(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        mallory, alice = await world.start("mallory"), await world.start("alice", "mallory")
        bob = await world.follower("bob", "mallory", "mallory", "alice")
        await bob.follow(world.home("alice").address)
        files = [await post(mallory, PICTURE[:-number], thumb=SMALL) for number in (1, 2, 3)]
        theirs = await post(alice, PICTURE[:-1])
        own = await post(bob, b"bob's")
        await world.reads("bob", *["Look!"] * 5)
        for file in files[:2]:
            assert await fetch(bob, file["hash"])
            assert await fetch(bob, file["thumb"]) == SMALL
        document = await bob.media(files[2]["hash"])
        while document["pieces"] < 3:
            document = await bob.fetch_media(files[2]["hash"], document["pieces"])
        monkeypatch.setattr(FilesMachine, "on_want", lambda *_: [])  # it goes on while he blocks her

        blobs = world.home("bob").blobs
        assert len(await blobs.others()) == 4
        await bob.block(world.home("mallory").address)
        assert [file.hex() for file in await blobs.others()] == [theirs["hash"]]
        assert [file.hex() for file in await blobs.own()] == [own["hash"]]
        assert (await bob.media(theirs["hash"]))["state"] == "here"


@trio_test
async def test_a_block_holds_though_pictures_cant_be_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        mallory = await world.start("mallory")
        bob, blobs = await world.follower("bob", "mallory"), world.home("bob").blobs
        file = await post(mallory)
        await world.reads("bob", "Look!")
        assert await fetch(bob, file["hash"]) == PICTURE

        async def fail(_: object) -> None:
            raise StoreError("the disk is read-only")

        with monkeypatch.context() as patch:
            patch.setattr(blobs, "drop_other", fail)
            await bob.block(world.home("mallory").address)
        assert len(await bob.blocked()) == len(await blobs.others()) == 1
        for _ in range(2):
            await bob.drop_unreferred(WEEK_MS)
            world.home("bob").skew_ms += WEEK_MS + 1
        assert await blobs.others() == []


@trio_test
async def test_a_block_that_the_disk_refuses_is_none_and_one_that_stands_stays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        mallory = await world.start("mallory")
        await mallory.post("one")
        bob, address = await world.start("bob", "mallory"), world.home("mallory").address

        async def fail(_: object) -> None:
            raise StoreError("the disk is read-only")

        async def fail_to_block() -> list[str]:
            with monkeypatch.context() as patch, pytest.raises(StoreError):
                patch.setattr(world.home("bob").store, "put_block", fail)
                await bob.block(address)
            return [row["address"] for row in await bob.blocked()]

        assert await fail_to_block() == []
        await bob.follow(address)
        await world.reads("bob", "one")
        await bob.block(address)
        assert await fail_to_block() == [address]
        assert person("mallory").hash in bob._driver.machine.holdings.blocked


@trio_test
async def test_nobody_more_is_blocked_than_are_kept(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (quieting, memory_desk):
        monkeypatch.setattr(place, "BLOCKS_MAX", 1)
    async with open_world() as world:
        bob = await world.start("bob")
        one, other = (world.home(name).address for name in ("mallory", "carol"))
        for _ in range(2):  # who is blocked may be blocked again
            await bob.block(one)
            with pytest.raises(UserError, match="you have blocked 1 people already"):
                await bob.block(other)
        assert [row["address"] for row in await bob.blocked()] == [one]
        await bob.follow(other)
        await bob.unblock(one)
        await bob.block(other)


@trio_test
async def test_who_blocks_somebody_followed_unfollows_and_loses_all_of_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("mallory")
        carol = await world.follower("carol", "mallory")
        bob = await world.start("bob", "mallory")
        for node in (carol, bob):
            for other in ("mallory", "carol", "bob"):
                if world.home(other).node is not node:
                    await node.follow(world.home(other).address, other)
        mallory = world.home("mallory").node
        notices = [await mallory.post(f"mallory {number}") for number in range(3)]
        await world.reads("carol", "mallory 2", "mallory 1", "mallory 0")
        mine = await carol.post("mine", reply_to=notices[0]["id"])

        told = await carol.block("mallory")
        assert told["unfollowed"] and [row["petname"] for row in await carol.following()] == ["bob"]
        with pytest.raises(UsageError):
            await carol.block(world.home("carol").address)
        assert [row["text"] for row in await carol.timeline()] == ["mine"]
        assert await carol.timeline(author=world.home("mallory").address) == []
        with pytest.raises(NotFound):
            await carol.show(notices[1]["id"])

        await world.reads("bob", "mine", "mallory 2")
        boost = await bob.boost(notices[1]["id"])  # a boost of it is not fetched either
        await bob.post("after it")
        await world.reads("carol", "after it", "mine")
        await trio.sleep(60)
        assert [row["text"] for row in await carol.timeline()] == ["after it", "mine"]
        assert (await carol.show(boost["id"]))["text"] == ""
        letters = world.home("mallory").address[:8]
        assert (await carol.why(boost["id"]))["reasons"] == [f"you blocked {letters}"]
        await mallory.post("live")
        await world.reads("bob", "live")
        await trio.sleep(60)
        assert await held_of(world, "carol", "mallory") == 0
        assert len((await carol.thread(mine["id"]))["notices"]) == 1

        await carol.unblock(world.home("mallory").address)
        await carol.follow(world.home("mallory").address)
        await world.reads("carol", "live", "mallory 2", "mallory 0", within_s=120)
        await world.reads("carol", "mallory 1", "mallory 1")  # bob's boost of it, too


@trio_test
async def test_what_is_on_its_way_to_the_store_when_a_block_comes_does_not_stay(autojump_clock: MockClock) -> None:
    """A block falls into each moment of a first sync once; afterwards the feed can be had again."""
    for delay_ms in range(0, 400, 40):
        async with open_world(delay_ms) as world:
            mallory = await world.start("mallory")
            for number in range(80):
                await mallory.post(f"{number}")
            carol = await world.follower("carol", "mallory")
            await trio.sleep(delay_ms / 1000)
            await carol.block(world.home("mallory").address)
            await trio.sleep(10)
            assert await held_of(world, "carol", "mallory") == 0, delay_ms
            parts = world.home("carol").parts
            assert parts is not None
            queues = parts.driver.machine.replication.queues.values()
            assert not any(queue.awaiting or queue.storing for queue in queues), delay_ms
            await carol.unblock(world.home("mallory").address)
            await carol.follow(world.home("mallory").address)
            await world.reads("carol", *(f"{number}" for number in range(79, -1, -1)), within_s=120)
