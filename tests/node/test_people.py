"""Scenes of people: whom one may follow and by which name, what an invitation says, and where a log begins."""

from __future__ import annotations

import pytest
from builders import person
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.cases import people
from p2pblog.core.address import read_link
from p2pblog.errors import NotPermitted, UsageError, UserError


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_no_more_are_followed_than_a_node_keeps_up_with_and_each_petname_is_for_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "FOLLOWS_MAX", 2)
    async with open_world() as world:
        alice = await world.start("alice")
        bob, carol, dave = (person(name).address for name in ("bob", "carol", "dave"))
        await alice.follow(bob, "al")
        with pytest.raises(UsageError, match="somebody else by that petname"):
            await alice.follow(carol, "al")
        await alice.follow(carol)
        with pytest.raises(UserError, match="you follow 2 people already"):
            await alice.follow(dave)
        assert (await alice.follow(bob, "al", no_boosts=True))["petname"] == "al"  # who is followed may be changed
        await alice.unfollow(carol)
        await alice.follow(dave)


@trio_test
async def test_an_invitation_names_a_few_who_hold_the_feed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        for name in ("bob", "carol", "dave"):
            await world.start(name)
        alice = await world.start("alice", "bob", "carol", "dave")
        for name in ("bob", "carol"):  # dave is linked and holds nothing of hers
            await world.home(name).node.follow(world.home("alice").address)

        async def named() -> bool:
            wanted = {world.home(name).endpoint for name in ("alice", "bob", "carol")}
            return set(read_link((await alice.invite())["uri"]).peers) == wanted

        await world.until("her followers are named", named)
        monkeypatch.setattr(people, "INVITE_PEERS_MAX", 2)
        first, second = read_link((await alice.invite())["uri"]).peers
        assert first == world.home("alice").endpoint != second


@trio_test
async def test_the_entry_that_a_log_begins_with_is_not_deleted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await alice.post("mine")
        with pytest.raises(NotPermitted, match="the first entry of a log"):
            await alice.delete(person("alice").log.entries[0].id.hex())
