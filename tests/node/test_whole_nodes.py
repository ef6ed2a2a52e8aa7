"""Scenes between whole nodes: who reads what, when links and authors come and go."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from builders import NOON, person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.control.documents import WrittenDocument
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.timelines import Row
from p2pblog.dht.records import Head, head_key
from p2pblog.errors import StoreFull, UserError
from p2pblog.node import Node
from p2pblog.store import Follow


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@asynccontextmanager
async def watched(node: Node) -> AsyncIterator[list[str]]:
    """The texts that a live timeline shows while the block runs, and until all is quiet after it."""
    seen: list[str] = []

    async def watch() -> None:
        async for notice in node.watch():
            seen.append(notice["text"])  # noqa: PERF401 - a list of all would never be whole

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        yield seen
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_follower_reads_a_notice_as_it_is_posted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        await alice.post("first")
        await world.reads("bob", "first")

        await alice.post("second")
        assert await world.reads("bob", "second", "first") < 0.5


@pytest.mark.parametrize("answers", [True, False])
@trio_test
async def test_it_is_said_once_where_nobody_answers_to_begin_with(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, answers: bool
) -> None:
    async with open_world() as world:
        if answers:
            await world.start("alice")
        await world.start("bob", "alice")
        await trio.sleep(300)

    told = [each.getMessage() for each in caplog.records if "no node answered" in each.getMessage()]
    said = f"no node answered at {world.home('alice').endpoint}: this node is linked with no other yet"
    assert told == ([] if answers else [said])


@pytest.mark.parametrize("beside", [(), ("alice",)])
@trio_test
async def test_a_node_that_is_named_itself_to_begin_with_is_told_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, beside: tuple[str, ...]
) -> None:
    """As where all seeds are started by one line; alice is off."""
    async with open_world() as world:
        await world.start("bob", "bob", *beside)
        await trio.sleep(300)
        alice, bob = world.home("alice").endpoint, world.home("bob").endpoint
    told = [each.getMessage() for each in caplog.records if each.name == "p2pblog.daemon"]
    if beside:
        assert told == [f"no node answered at {alice}: this node is linked with no other yet"]
    else:
        assert told == [f"{bob} is this node itself: name another one to begin with"]


@trio_test
async def test_a_newcomer_reads_a_dead_author_from_another_follower(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        await alice.post("still here")
        await world.reads("bob", "still here")
        await world.kill("alice")

        await world.follower("carol", "alice", "bob")
        await world.reads("carol", "still here")


@trio_test
async def test_an_author_comes_back_and_goes_on_with_the_same_log(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
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
async def test_who_watches_is_shown_what_waits_by_one_look_at_the_store(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        store, looks = world.home("alice").store, list[int]()
        rows = store.rows

        async def counted(ids: Sequence[EntryId]) -> list[Row]:
            looks.append(len(ids))
            return await rows(ids)

        shown: list[str] = []

        async def watch(task_status: trio.TaskStatus[None]) -> None:
            async for notice in alice.watch():
                shown.append(notice["text"])
                if notice["text"] == "ready":
                    task_status.started()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_say_until, alice, shown)
            await nursery.start(watch)
            store.rows = counted  # type: ignore[method-assign]
            log = person("somebody").log
            for number in range(40):
                log.note(f"{number}")
                alice._tell_watchers(log.entries[-1].id)
            await alice.post("last")
            with trio.fail_after(60):
                while shown[-1] != "last":  # noqa: ASYNC110 - a list signals nothing
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert sum(looks) == 41
        assert len(looks) <= 2


async def _say_until(node: Node, shown: list[str]) -> None:
    """Post until the watcher listens, which nothing else tells."""
    while "ready" not in shown:
        await node.post("ready")
        await trio.sleep(0.01)


@trio_test
async def test_a_node_that_was_away_catches_up(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        await alice.post("one")
        await world.reads("bob", "one")
        await world.kill("bob")
        for number in range(120):
            await alice.post(f"while bob slept {number}")

        await world.start("bob", "alice")
        await world.reads("bob", *(f"while bob slept {number}" for number in reversed(range(120))), "one")


@trio_test
async def test_a_live_timeline_shows_what_was_written_while_the_node_was_off(autojump_clock: MockClock) -> None:
    """Whatever the author's clock says; and no history of somebody who is followed only now."""
    async with open_world() as world:
        world.home("alice").skew_ms = -86_400_000
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        await alice.post("held")
        await world.reads("bob", "held")
        await world.kill("bob")
        await alice.post("while bob slept")
        carol, theirs = await world.start("carol"), world.home("carol")
        await carol.post("before bob followed")
        await world.kill("alice")
        await trio.sleep(60)

        bob = await world.start("bob")
        async with watched(bob) as seen:
            alice = await world.start("alice", "bob")
            await world.reads("bob", "while bob slept", "held")
            await alice.post("now")
            await world.reads("bob", "now")
            await bob.follow(f"p2pblog:{theirs.address}?peer={theirs.endpoint}")
            await world.reads("bob", "before bob followed")
            await carol.post("and after")
            await world.reads("bob", "and after", "before bob followed")
        assert seen == ["while bob slept", "now", "and after"]


@trio_test
async def test_a_live_timeline_shows_no_history_of_who_is_followed_while_it_runs(autojump_clock: MockClock) -> None:
    """Neither what was written since the node started, nor what lies above what was left of a log that was followed
    before."""
    async with open_world() as world:
        alice, theirs = await world.start("alice"), world.home("alice")
        bob = await world.follower("bob", "alice")
        await alice.post("held")
        await world.reads("bob", "held")
        await bob.unfollow(theirs.address)
        await trio.sleep(2)
        await world.kill("bob")
        await alice.post("while bob was away")
        bob = await world.start("bob")
        assert world.home("bob").parts.node._held_at_start[alice._author.device]
        await trio.sleep(10)
        carol, hers = await world.start("carol"), world.home("carol")
        await carol.post("before bob followed")
        await trio.sleep(600)
        async with watched(bob) as seen:
            for home in (theirs, hers):
                await bob.follow(f"p2pblog:{home.address}?peer={home.endpoint}")
            await world.reads("bob", "before bob followed", "while bob was away", "held")
            await carol.post("and after")
            await world.reads("bob", "and after", "before bob followed", "while bob was away", "held")
        assert seen == ["and after"]


@pytest.mark.parametrize("ahead_ms", [0, 5 * 365 * 86_400_000])
@trio_test
async def test_a_live_timeline_shows_once_what_is_stored_again(autojump_clock: MockClock, ahead_ms: int) -> None:
    """As when the DHT and a link bring the same, or a longer run with it; also of somebody who was followed while the
    clock ran ahead."""
    async with open_world() as world:
        alice, home = person("alice"), world.home("bob")
        for number in range(5):
            alice.log.note(f"{number}", time_ms=NOON + number)
        await home.store.put_identity(alice.identity)
        await home.store.append([Batch(alice.hash, alice.log.run(1, 2))], NOON)
        await home.store.put_follow(Follow(alice.hash, None, NOON + ahead_ms))
        bob = await world.start("bob")
        async with watched(bob) as seen:
            for first, last in ((3, 4), (1, 4), (6, 6), (3, 6), (1, 6)):
                home.parts.driver.take_run(Batch(alice.hash, alice.log.run(first, last)))
                await trio.testing.wait_all_tasks_blocked()
        assert seen == ["1", "2", "4", "3"]


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


async def rolled_back(world: World) -> WrittenDocument:
    """Alice's disk is put back while she is off; what it lost, bob holds."""
    alice = await world.start("alice")
    await world.follower("bob", "alice")
    await alice.post("kept")
    await world.reads("bob", "kept")
    old = copy.deepcopy(world.home("alice").store)
    lost = await alice.post("lost by the disk")
    await world.reads("bob", "lost by the disk", "kept")
    await world.kill("alice")
    world.home("alice").store = old
    return lost


@trio_test
async def test_a_disk_rolled_back_is_noticed_before_anything_is_signed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        lost = await rolled_back(world)
        alice = await world.start("alice", "bob")
        after = await alice.post("after the roll-back")
        assert after["device"] != lost["device"]
        await world.reads("bob", "after the roll-back", "lost by the disk", "kept")
        await world.reads("alice", "after the roll-back", "lost by the disk", "kept")


@trio_test
async def test_a_roll_back_that_was_noticed_is_not_forgotten_by_a_restart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        lost = await rolled_back(world)
        await world.start("alice", "bob")
        await world.reads("alice", "lost by the disk", "kept")
        await world.kill("alice")  # nothing was posted
        alice = await world.start("alice", "bob")
        assert (await alice.post("after two starts"))["device"] != lost["device"]


@trio_test
@pytest.mark.parametrize("changes", ["profile", "edit"])
async def test_what_is_changed_after_a_roll_back_is_what_it_was_last(autojump_clock: MockClock, changes: str) -> None:
    """The DHT tells of the lost entries before they have come; what does not change stays as they say."""
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        notice = await alice.post("one")
        await world.reads("bob", "one")
        await trio.sleep(30)
        old = world.home("alice").store.copy()
        await alice.profile(bio="bees")
        await alice.edit(notice["id"], "two", cw="wasps")
        await world.reads("bob", "two")
        await trio.sleep(30)
        await world.kill("alice")
        world.home("alice").store = old

        alice = await world.start("alice", "bob")
        if changes == "profile":
            told = await alice.profile(name="Alice")
            assert (told["name"], told["bio"]) == ("Alice", "bees")
        else:
            await alice.edit(notice["id"], "three")
            assert (await alice.show(notice["id"]))["cw"] == "wasps"
            await world.reads("bob", "three")


@trio_test
@pytest.mark.parametrize("by_link", [True, False])
async def test_a_disk_that_takes_no_new_key_keeps_who_posts_and_not_the_node(
    autojump_clock: MockClock, by_link: bool
) -> None:
    """A peer's entries prove that the log goes on elsewhere, or its head in the DHT does."""
    async with open_world() as world:
        dave, alice = await world.start("dave"), await world.start("alice", "dave")
        if by_link:
            await dave.follow(world.home("alice").address)
        await alice.post("kept")
        home = world.home("alice")
        old = copy.deepcopy(home.store)
        lost = await alice.post("lost by the disk")
        await trio.sleep(30)
        await world.kill("alice")
        home.store, home.keeps_keys = old, False
        alice = await world.start("alice", "dave")
        await trio.sleep(10)
        assert not home.stopped.is_set()
        with pytest.raises(UserError, match="cannot be written"):
            await alice.post("no room for a key")
        home.keeps_keys = True
        after = await alice.post("room again")
        assert after["device"] != lost["device"]
        assert "no room for a key" not in [row["text"] for row in await alice.timeline()]


@trio_test
async def test_an_old_copy_of_the_log_does_not_override_the_newer_head(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        await alice.post("kept")
        old = copy.deepcopy(world.home("alice").store)
        for number in range(3):
            newest = await alice.post(f"lost by the disk {number}")
        await trio.sleep(30)
        await world.kill("alice")
        world.home("alice").store = old

        alice = await world.start("alice", "dave")  # dave holds nothing of hers, the DHT does
        after = await alice.post("after the roll-back")
        assert after["device"] != newest["device"]
        await trio.sleep(30)
        directory = world.home("dave").parts.meeting._directory  # type: ignore[union-attr]
        heads = await directory.find(head_key(IdentityHash(person("alice").hash)))
        assert {(head.device.hex(), head.seq) for head in heads if isinstance(head, Head)} == {
            (newest["device"], newest["seq"]),
            (after["device"], after["seq"]),
        }


@trio_test
async def test_a_full_disk_while_a_log_is_opened_leaves_no_headless_log(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        author = world.home("alice").node._author
        author.on_refused(author.pen.last)
        store = world.home("alice").store
        append, store.append = store.append, full_disk  # type: ignore[method-assign, assignment]
        with pytest.raises(StoreFull):
            await alice.post("no room")
        store.append = append  # type: ignore[method-assign]
        await alice.post("room again")
        await world.reads("bob", "room again")


async def full_disk(*args: object, **kwargs: object) -> None:
    raise StoreFull("there is no room")


@trio_test
async def test_two_posts_at_once_take_two_numbers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        seen: list[int] = []

        async def post() -> None:
            seen.append((await alice.post("hurry"))["seq"])

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(post)
        assert sorted(seen) == list(range(min(seen), min(seen) + 20))


@pytest.mark.parametrize("hours", [-8, 8])
@trio_test
async def test_how_long_a_node_runs_is_so_whatever_becomes_of_its_clock(autojump_clock: MockClock, hours: int) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await trio.sleep(100.0)
        world.home("alice").skew_ms = hours * 3600 * 1000
        assert (await alice.status())["uptime_s"] == 100
