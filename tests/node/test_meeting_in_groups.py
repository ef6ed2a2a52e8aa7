"""Scenes of groups: people who don't follow each other read in one place what they say to it."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from types import MethodType

import pytest
import trio
from builders import person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.config import (
    GROUP_CHARACTERS_MAX,
    GROUP_EACH_MAX,
    GROUP_EVERY_S,
    GROUP_FRESH_S,
    GROUP_STORE_S,
    GROUPS_APART_S,
    GROUPS_JOINED_MAX,
    POINTED_S,
)
from p2pblog.control.documents import NoticeDocument
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.node import Node
from p2pblog.store.memory import MemoryStore

SETTLES_S = 40.0
"""Until a notice and what points to it are in the DHT: records are gathered for some seconds."""


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def reads(node: Node, group: str, *texts: str) -> bool:
    return [notice["text"] for notice in await node.timeline(group=group)] == list(texts)


async def strangers(world: World, *names: str) -> list[Node]:
    """Nodes that are linked with dave's and follow nobody."""
    await world.start("dave")
    nodes = [await world.start(name, "dave") for name in names]
    await trio.sleep(1)
    return nodes


@trio_test
async def test_two_who_do_not_follow_each_other_meet_in_a_group(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        now = world.wall_ms()
        assert await alice.join_group("!Birds") == {"name": "birds", "since": now, "notices": 0, "authors": 0}
        await bob.join_group("birds")
        await alice.post("who saw the !birds?")
        await world.until("bob reads it", partial(reads, bob, "!BIRDS", "who saw the !birds?"), SETTLES_S)
        await bob.post("!birds I did, and #wrens")
        both = ["!birds I did, and #wrens", "who saw the !birds?"]
        within = await world.until("alice reads bob", partial(reads, alice, "birds", *both), GROUP_EVERY_S + SETTLES_S)
        assert within < 2 * SETTLES_S  # who reads has it looked for
        (row,) = [row for row in await alice.timeline(group="birds") if row["author"] == person("bob").address]
        assert (row["groups"], row["tags"]) == (["birds"], ["wrens"])
        assert [row["text"] for row in await alice.timeline()] == [
            "who saw the !birds?"
        ]  # home is for whom one follows
        assert await alice.timeline(tag="wrens") == []
        (group,) = await alice.groups()
        assert (group["notices"], group["authors"]) == (2, 2)
        answer = await alice.post("where?", reply_to=row["id"])  # it is a notice like any other
        assert answer["type"] == "note"
        assert await reads(alice, "birds", *both)  # it names no group
        assert (await alice.why(row["id"]))["reasons"][-1].startswith("it was said to !birds")


@trio_test
async def test_what_was_said_while_nobody_looked_is_found_by_who_joins(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        await alice.post("one !birds")
        await alice.post("two !bees")
        await trio.sleep(SETTLES_S)
        await world.kill("alice")
        assert await bob.timeline(group="birds") == []
        await bob.join_group("birds")
        await world.until("bob reads it", partial(reads, bob, "birds", "one !birds"), POINTED_S)
        assert await bob.timeline(group="bees") == []  # nobody looked for it
        fetched = await bob.timeline(group="bees", fetch=True)
        assert [row["text"] for row in fetched] == ["two !bees"]
        with pytest.raises(UsageError):
            await bob.timeline(fetch=True)


@trio_test
async def test_an_answer_comes_at_once_and_the_next_one_has_more(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (bob,) = await strangers(world, "bob")
        await bob.join_group("birds")
        await trio.sleep(GROUPS_APART_S)
        looked: list[float] = []
        look = bob._look_at_group

        async def counted(name: str) -> None:
            looked.append(trio.current_time())
            await look(name)

        bob._look_at_group = counted  # type: ignore[method-assign]
        for _ in range(3):
            before = trio.current_time()
            assert await bob.timeline(group="birds") == []
            assert trio.current_time() == before
            await trio.sleep(1)
        assert looked == []  # the last look was just now
        await trio.sleep(GROUP_FRESH_S)
        await bob.timeline(group="birds")
        await trio.sleep(0.1)
        assert len(looked) == 1
        await trio.sleep(GROUP_EVERY_S + 1)
        assert len(looked) == 2  # nobody reads, and it is looked for all the same
        await bob.leave_group("birds")
        await trio.sleep(3 * GROUP_EVERY_S)
        await bob.timeline(group="birds")
        await trio.sleep(3 * GROUP_EVERY_S)
        assert len(looked) == 2


@trio_test
async def test_many_groups_are_looked_for_one_after_the_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[str, float]] = []

    async def counted(node: Node, name: str) -> None:
        node._joined[name] = trio.current_time()
        looked.append((name, trio.current_time()))

    monkeypatch.setattr(Node, "_look_at_group", counted)
    async with open_world() as world:
        await world.start("dave")
        for number in range(3):
            await world.home("bob").store.put_group(f"g{number}", 0)
        await world.start("bob", "dave")
        await trio.sleep(GROUP_EVERY_S / 2)
        assert [name for name, _ in looked] == ["g0", "g1", "g2"]  # those joined in an earlier run
        begun = looked[0][1]
        assert [at - begun for _, at in looked] == pytest.approx([0, GROUPS_APART_S, 2 * GROUPS_APART_S])


@trio_test
async def test_a_group_live(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        await bob.join_group("birds")
        told: list[NoticeDocument] = []
        home: list[NoticeDocument] = []

        async def watch(into: list[NoticeDocument], **what: str) -> None:
            async with aclosing(bob.watch(**what)) as notices:
                async for notice in notices:
                    into.append(notice)  # noqa: PERF401 - it does not end

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(watch, told, group="birds"))
            nursery.start_soon(watch, home)
            await trio.sleep(1)
            await alice.post("one !birds")
            await alice.post("none")
            await trio.sleep(1)
            await bob.post("two !birds")
            await bob.post("mine")

            async def both() -> bool:
                return sorted(each["text"] for each in told) == ["one !birds", "two !birds"]

            await world.until("both are told", both, 60 + SETTLES_S)
            assert [each["text"] for each in home] == ["two !birds", "mine"]
            nursery.cancel_scope.cancel()


@trio_test
async def test_muted_and_blocked_people_are_hidden(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, carol = await strangers(world, "alice", "bob", "carol")
        await carol.join_group("birds")
        await alice.post("from alice !birds")
        await trio.sleep(1)
        await bob.post("from bob !birds")
        both = ("from bob !birds", "from alice !birds")
        await world.until("carol reads both", partial(reads, carol, "birds", *both), SETTLES_S + GROUP_EVERY_S)
        await carol.mute(address=person("alice").address)
        assert await reads(carol, "birds", "from bob !birds")
        await carol.block(person("bob").address)
        assert await reads(carol, "birds")
        assert (await carol.groups())[0]["notices"] == 1  # nothing is kept of who is blocked
        await trio.sleep(2 * GROUP_EVERY_S)
        assert await reads(carol, "birds")
        of_alice = await carol.timeline(group="birds", author=person("alice").address)
        assert [row["text"] for row in of_alice] == ["from alice !birds"]  # as in anybody's own timeline


@trio_test
async def test_terms_of_a_follow_hold_at_home_only(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(person("alice").address, budget="1/day")
        both = ["one !birds", "two !birds"]
        for text in both:
            await alice.post(text)
        await world.until("bob reads both", partial(reads, bob, "birds", *both[::-1]))
        assert [row["text"] for row in await bob.timeline()] == ["one !birds"]


@trio_test
async def test_more_than_one_look_takes(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert GROUP_EACH_MAX > 2
    monkeypatch.setattr("p2pblog.cases.groups.GROUP_EACH_MAX", 2)
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        texts = [f"{number} !birds" for number in range(5)]
        for text in texts:
            await alice.post(text)
            await trio.sleep(1)
        await trio.sleep(SETTLES_S)
        await bob.join_group("birds")

        async def all_here() -> bool:
            (row,) = await bob.groups()
            return row["notices"] == len(texts)

        await world.until("all are here", all_here, 4 * GROUPS_APART_S)
        assert await reads(bob, "birds", *texts[::-1])


@trio_test
async def test_joining_and_leaving(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        since = (await alice.join_group("birds"))["since"]
        await trio.sleep(5)
        await alice.post("!birds !bees")
        assert await alice.join_group("!BIRDS") == {"name": "birds", "since": since, "notices": 1, "authors": 1}
        assert await alice.leave_group("birds") == {"name": "birds", "since": since, "notices": 1, "authors": 1}
        with pytest.raises(NotFound, match="not joined"):
            await alice.leave_group("birds")
        later = "\U0003fffd\u5b57"  # not assigned yet, so no word: it came with an archive of a later Unicode
        await world.home("alice").store.put_group(later, 0)
        assert (await alice.leave_group(f"!{later}"))["name"] == later and await alice.groups() == []
        for wrong in ("", "two words", "7", "x" * (GROUP_CHARACTERS_MAX + 1)):
            with pytest.raises(UsageError):
                await alice.join_group(wrong)
        for number in range(GROUPS_JOINED_MAX):
            await alice.join_group(f"g{number}")
        with pytest.raises(UserError, match="already"):
            await alice.join_group("birds")
        assert await reads(alice, "birds", "!birds !bees")
        await world.kill("alice")
        again = await world.start("alice")
        assert [row["name"] for row in await again.groups()] == sorted(f"g{n}" for n in range(GROUPS_JOINED_MAX))


@trio_test
async def test_groups_are_looked_for_though_the_store_failed_before(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        await bob.join_group("birds")
        await world.kill("bob")
        await alice.post("who saw the !birds?")
        await trio.sleep(SETTLES_S)

        async def fail(*_: object) -> None:
            raise StoreError("the disk is gone")

        store = world.home("bob").store
        with monkeypatch.context() as patch:
            patch.setattr(store, "groups", fail)
            patch.setattr(store, "id_at", fail)
            bob = await world.start("bob", "dave")
            await trio.sleep(1)
            patch.setattr(store, "groups", MethodType(MemoryStore.groups, store))
            await trio.sleep(GROUP_EVERY_S + 30)
            assert await reads(bob, "birds")
        await world.until("bob reads it", partial(reads, bob, "birds", "who saw the !birds?"), 2 * GROUP_EVERY_S)


@trio_test
async def test_who_fetches_a_group_waits_for_the_disk_no_longer_than_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice, bob = await strangers(world, "alice", "bob")
        await alice.post("!birds")
        await trio.sleep(SETTLES_S)
        monkeypatch.setattr(bob._driver, "is_awaited", lambda entry: True)
        begun = trio.current_time()
        with trio.fail_after(2 * (POINTED_S + GROUP_STORE_S)):
            await bob.timeline(group="birds", fetch=True)
        assert GROUP_STORE_S <= trio.current_time() - begun <= POINTED_S + GROUP_STORE_S
