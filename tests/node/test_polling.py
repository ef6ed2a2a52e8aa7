"""Scenes of polls between whole nodes: each counts the votes that reach it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.control.documents import PollDocument
from p2pblog.core.payload import Vote
from p2pblog.errors import NotFound, NotPermitted, UsageError
from p2pblog.pen import COMPARE_TIMEOUT_S

MINUTE_MS = 60_000


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def asked(world: World, *readers: str, closes: str = "10min") -> str:
    """Alice asks, and all of them have read it; gives the id."""
    written = await world.home("alice").node.post("what to drink?", poll=["tea", "coffee"], closes=closes)
    for name in readers:
        await world.reads(name, "what to drink?")
    return written["id"]


async def poll_of(world: World, reader: str, poll: str) -> PollDocument:
    found = (await world.home(reader).node.show(poll))["poll"]
    assert found is not None
    return found


async def counts(world: World, reader: str, poll: str, *votes: int) -> None:
    async def held() -> bool:
        return [option["votes"] for option in (await poll_of(world, reader, poll))["options"]] == list(votes)

    await world.until(f"{reader} counts {votes}", held)


@trio_test
async def test_friends_vote_and_all_count_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        poll = await asked(world, "bob", "carol")
        assert (await world.home("bob").node.vote(poll[:8], 2))["type"] == "vote"
        await world.home("carol").node.vote(poll, 2)
        await world.home("alice").node.vote(poll, 1)
        for name, own in (("alice", 1), ("bob", 2), ("carol", 2)):
            await counts(world, name, poll, 1, 2)
            document = await poll_of(world, name, poll)
            assert (document["own"], document["voters"], document["closed"]) == (own, 3, False)
        assert [option["text"] for option in document["options"]] == ["tea", "coffee"]
        asked_ms = (await world.home("carol").node.show(poll))["time"]
        assert document["closes"] - asked_ms == 10 * MINUTE_MS


@trio_test
async def test_one_vote_a_person_until_it_is_taken_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        poll = await asked(world, "bob")
        bob = world.home("bob").node
        vote = await bob.vote(poll, 2)
        with pytest.raises(NotPermitted, match="voted already: for 2, coffee") as refused:
            await bob.vote(poll, 1)
        assert refused.value.hint == f"p2pblog delete {vote['id'][:12]}"
        ref = await bob._notice_ref(poll)
        await bob._author.write(Vote(ref, 1))  # as a version that does not look would
        await counts(world, "alice", poll, 0, 1)
        await bob.delete(vote["id"])
        await counts(world, "alice", poll, 1, 0)
        await bob.delete((await poll_vote(world, "bob", poll)).hex())
        await counts(world, "alice", poll, 0, 0)
        await bob.vote(poll, 2)
        await counts(world, "alice", poll, 0, 1)


async def poll_vote(world: World, reader: str, poll: str) -> bytes:
    (row,) = await world.home(reader).store.rows([await world.home(reader).node._find(poll)])
    assert row.poll is not None and row.poll.own_vote is not None
    return row.poll.own_vote


@trio_test
async def test_what_can_not_be_voted_on(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        poll = await asked(world, "bob")
        plain = await world.home("alice").node.post("no poll")
        await world.reads("bob", "no poll")
        bob = world.home("bob").node
        with pytest.raises(NotFound, match="no poll"):
            await bob.vote(plain["id"], 1)
        with pytest.raises(NotFound):
            await bob.vote("ffffff", 1)
        for choice in (0, 3):
            with pytest.raises(UsageError, match="options 1 to 2"):
                await bob.vote(poll, choice)
        await world.home("alice").node.delete(poll)

        async def gone() -> bool:
            return [row["text"] for row in await bob.timeline()] == ["no poll"]

        await world.until("the poll is gone", gone)
        with pytest.raises(NotFound):
            await bob.vote(poll, 1)


@trio_test
async def test_a_poll_closes_at_its_moment(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        poll = await asked(world, "bob", closes="5min")
        bob = world.home("bob").node
        closes = (await poll_of(world, "bob", poll))["closes"]
        await trio.sleep((closes - world.wall_ms()) / 1000)
        assert world.wall_ms() == closes
        assert not (await poll_of(world, "bob", poll))["closed"]
        await bob.vote(poll, 1)  # in the last moment
        await counts(world, "alice", poll, 1, 0)
        assert (await poll_of(world, "alice", poll))["closed"]
        with pytest.raises(NotPermitted, match="closed"):
            await world.home("alice").node.vote(poll, 2)
        ref = await world.home("alice").node._notice_ref(poll)
        await world.home("alice").node._author.write(Vote(ref, 2))
        await world.home("alice").node.post("after it")
        await world.reads("bob", "after it")
        await counts(world, "bob", poll, 1, 0)


@trio_test
async def test_a_vote_that_would_come_too_late_is_refused(autojump_clock: MockClock) -> None:
    """The first entry after a start waits for others, and the poll closes meanwhile."""
    async with open_world() as world:
        await world.friends("alice", "bob")
        poll = await asked(world, "bob", closes="5min")
        bob = world.home("bob").node
        await bob.post("mine")
        closes = (await poll_of(world, "bob", poll))["closes"]
        await world.kill("bob")
        await world.kill("alice")
        await trio.sleep((closes - world.wall_ms()) / 1000 - COMPARE_TIMEOUT_S / 2)
        bob = await world.start("bob", "alice")
        assert world.wall_ms() < closes
        with pytest.raises(NotPermitted, match="closed"):
            await bob.vote(poll, 1)
        assert world.wall_ms() > closes


@trio_test
async def test_a_boost_of_a_strangers_poll_is_voted_on(autojump_clock: MockClock) -> None:
    """Her vote is counted by those who follow her; the poll's author, who does not, hears nothing of it."""
    async with open_world() as world:
        await world.start("alice")
        await world.follower("bob", "alice")
        await world.follower("carol", "bob")
        await world.home("bob").node.follow(world.home("carol").address)
        poll = await asked(world, "bob")
        boost = await world.home("bob").node.boost(poll)
        await world.reads("carol", "what to drink?")
        carol = world.home("carol").node
        assert (await carol.show(boost["id"]))["poll"] == await poll_of(world, "bob", poll)
        await carol.vote(boost["id"], 1)
        await counts(world, "bob", poll, 1, 0)
        assert (await carol.show(boost["id"]))["poll"]["own"] == 1  # type: ignore[index]
        await counts(world, "alice", poll, 0, 0)


@trio_test
async def test_options_that_nobody_could_read_are_not_posted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        for poll, closes in ((["one"], None), (["a", "a"], None), (["a", "b"], "1min"), (None, "1h"), ([], "1h")):
            with pytest.raises(UsageError):
                await alice.post("which?", poll=poll, closes=closes)
        assert await alice.timeline() == []


@trio_test
async def test_who_asked_and_who_voted_hear_that_it_closed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        poll = await asked(world, "bob", "carol")
        vote = await world.home("bob").node.vote(poll, 1)
        assert await world.home("bob").node.notifications() == []
        await trio.sleep(601)
        address = world.home("alice").address
        for name, entry in (("alice", poll), ("bob", vote["id"])):
            node = world.home(name).node
            (told,) = await node.notifications(unread=True)
            assert told == {
                "id": entry,
                "type": "poll",
                "from": address,
                "name": "alice",
                "notice": poll,
                "time": (await poll_of(world, name, poll))["closes"],
                "read": False,
            }
            assert await node.read_notifications() == {"read": 1}
            assert [each["read"] for each in await node.notifications()] == [True]
        assert await world.home("carol").node.notifications() == []
