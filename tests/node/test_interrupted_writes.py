"""Scenes at alice's node: who asked for something to be written goes before it is, or while it is."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases import writing
from p2pblog.core.keys import EntryId
from p2pblog.errors import NotPermitted
from p2pblog.node import Node
from p2pblog.pen import COMPARE_TIMEOUT_S
from p2pblog.store import Version


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def started_again(world: World) -> Node:
    """Alice's node on a log that it has to compare first, with a neighbour who does not answer."""
    await (await world.start("alice")).post("before")
    await world.kill("alice")
    return await world.start("alice", "bob")


async def texts(node: Node) -> list[str]:
    return [notice["text"] for notice in await node.timeline()]


@trio_test
async def test_what_was_given_up_while_it_waited_is_never_written(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await started_again(world)
        with trio.move_on_after(COMPARE_TIMEOUT_S / 2):
            await alice.post("hello")
        await trio.sleep(2 * COMPARE_TIMEOUT_S)
        assert await texts(alice) == ["before"]

        await alice.post("hello")
        assert await texts(alice) == ["hello", "before"]


@trio_test
async def test_what_has_begun_to_be_written_is_written_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await started_again(world)
        store, scope = world.home("alice").store, trio.CancelScope()
        append = store.append

        async def interrupted(*args: object, **more: object) -> object:
            scope.cancel()
            await trio.lowlevel.checkpoint()
            return await append(*args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "append", interrupted)
        with scope:
            await alice.post("hello")
        monkeypatch.undo()
        assert scope.cancel_called
        later = await alice.post("later")
        assert await texts(alice) == ["later", "hello", "before"]
        assert later["seq"] == (await alice.export_logs())["logs"][0]["entries"]


@trio_test
async def test_a_delete_ends_where_nothing_that_is_written_shows_any_more(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a notice with more edits than one delete names it would else write without an end."""
    async with open_world() as world:
        alice = await world.start("alice")
        monkeypatch.setattr(writing, "REPLACES_MAX", 1)
        notice = (await alice.post("first"))["id"]
        for number in range(3):
            await alice.edit(notice, f"again {number}")
        store = world.home("alice").store
        (of,) = await store.find_ids(notice)
        kept, asked = await store.versions(of), list[EntryId]()

        async def versions(of: EntryId) -> list[Version]:
            asked.append(of)
            assert len(asked) < 9
            return kept

        with monkeypatch.context() as stuck:
            stuck.setattr(store, "versions", versions)
            before = await store.entry_count()
            with pytest.raises(NotPermitted, match="no effect any more"):
                await alice.delete(notice)
            assert await store.entry_count() == before + 1
        await alice.delete(notice)
        assert await texts(alice) == []
