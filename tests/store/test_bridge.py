"""The bridge: results, exceptions, cancellation and callbacks cross between trio and asyncio."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
import trio
import trio.testing
from builders import person
from store_kit import keep
from trio.testing import trio_test

from p2pblog import bridge as bridge_module
from p2pblog.bridge import Bridge, open_bridge
from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.logs import Batch
from p2pblog.errors import Malformed
from p2pblog.store import TimelineQuery
from p2pblog.store.sqlite import open_sqlite


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


@trio_test
async def test_a_call_gives_the_asyncio_result_from_another_thread() -> None:
    async def thread_name() -> str:
        return threading.current_thread().name

    async with open_bridge() as bridge:
        assert await bridge.run(_double, 21) == 42
        assert await bridge.run(thread_name) == "p2pblog asyncio"


@trio_test
async def test_exceptions_cross_with_their_type() -> None:
    async def refuse() -> None:
        raise Malformed("not for us")

    async with open_bridge() as bridge:
        with pytest.raises(Malformed, match="not for us"):
            await bridge.run(refuse)
        assert await bridge.run(_double, 1) == 2  # and the bridge still stands


@trio_test
async def test_many_calls_run_side_by_side() -> None:
    meeting = asyncio.Event()

    async def first() -> str:
        await meeting.wait()
        return "met"

    async def second() -> None:
        meeting.set()

    async with open_bridge() as bridge, trio.open_nursery() as nursery:
        met: list[str] = []

        async def wait_first() -> None:
            met.append(await bridge.run(first))

        nursery.start_soon(wait_first)
        await trio.testing.wait_all_tasks_blocked()
        await bridge.run(second)
    assert met == ["met"]


@trio_test
async def test_cancelling_waits_until_the_asyncio_side_has_cleaned_up() -> None:
    steps: list[str] = []
    begun = trio.Event()

    async with open_bridge() as bridge:

        async def patient() -> None:
            bridge.to_trio(begun.set)
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(5):  # a clean-up may await: it is cancelled once, not at every step
                    await asyncio.sleep(0)
                steps.append("cleaned up")

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bridge.run, patient)
                await begun.wait()
                scope.cancel()
        assert scope.cancelled_caught
        assert steps == ["cleaned up"]


@trio_test
async def test_what_finishes_in_spite_of_the_cancellation_counts() -> None:
    begun = trio.Event()
    result: list[str] = []

    async with open_bridge() as bridge:

        async def committed() -> str:
            bridge.to_trio(begun.set)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "already on disk"
            raise AssertionError

        async def caller() -> None:
            result.append(await bridge.run(committed))

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller)
                await begun.wait()
                scope.cancel()
        assert result == ["already on disk"]


@trio_test
async def test_callbacks_reach_the_trio_side_in_order() -> None:
    seen: list[tuple[int, str]] = []
    here = threading.current_thread().name

    async with open_bridge() as bridge:
        done = trio.Event()

        async def tell() -> None:
            for number in range(100):
                bridge.to_trio(lambda number=number: seen.append((number, threading.current_thread().name)))
            bridge.to_trio(done.set)

        await bridge.run(tell)
        await done.wait()
    assert seen == [(number, here) for number in range(100)]


@trio_test
async def test_who_tells_the_trio_side_waits_until_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "TELL_S", 60.0)  # however busy the machine is
    heard: list[int] = []
    async with open_bridge() as bridge:

        async def tell(number: int) -> list[int]:
            await bridge.aio_tell(heard.append, number)
            return list(heard)

        assert await bridge.run(tell, 1) == [1]
        assert await bridge.run(tell, 2) == [1, 2]


@trio_test
async def test_who_tells_a_trio_side_that_is_busy_goes_on_after_a_moment() -> None:
    gone_on, waited = threading.Event(), list[bool]()
    async with open_bridge() as bridge:

        async def tell() -> None:
            await bridge.aio_tell(lambda: waited.append(gone_on.wait(10)))  # the trio side stands still for it
            gone_on.set()

        await bridge.run(tell)
    assert waited == [True]


@trio_test
async def test_leaving_the_block_ends_what_still_runs_there() -> None:
    ended: list[str] = []
    kept: list[asyncio.Task[None]] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("background")

    async def start() -> None:
        kept.append(asyncio.ensure_future(forever()))
        await asyncio.sleep(0)

    async with open_bridge() as bridge:
        await bridge.run(start)
    assert ended == ["background"]
    with pytest.raises(trio.ClosedResourceError):
        await bridge.run(_double, 1)


@trio_test
async def test_a_cancellation_that_is_not_ours_is_a_closed_resource() -> None:
    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    async with open_bridge() as bridge:
        with pytest.raises(trio.ClosedResourceError):
            await bridge.run(cancels_itself)
        assert await bridge.run(_double, 2) == 4


@trio_test
async def test_a_busy_asyncio_side_holds_up_no_other_trio_task() -> None:
    freed = threading.Event()
    begun = trio.Event()
    done: list[int] = []

    async with open_bridge() as bridge, trio.open_nursery() as nursery:

        async def block() -> None:
            bridge.to_trio(begun.set)
            assert freed.wait(10), "the trio side was held up"

        async def ask() -> None:
            done.append(await bridge.run(_double, 4))

        nursery.start_soon(bridge.run, block)
        await begun.wait()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()  # the second call was left at the other side, and nobody waits here
        assert done == []
        freed.set()
    assert done == [8]


@trio_test
async def test_calls_that_are_left_when_the_bridge_closes_end_as_closed() -> None:
    begun = trio.Event()
    refused: list[str] = []

    async with trio.open_nursery() as nursery:

        async def forever(bridge: Bridge) -> None:
            bridge.to_trio(begun.set)
            await asyncio.Event().wait()

        async def ask(bridge: Bridge) -> None:
            try:
                await bridge.run(forever, bridge)
            except trio.ClosedResourceError as error:
                refused.append(str(error))

        async with open_bridge() as bridge:
            nursery.start_soon(ask, bridge)
            await begun.wait()
    assert refused == ["the asyncio side ended first"]


@trio_test
async def test_a_use_case_of_the_store_crosses_once(tmp_path: Path) -> None:
    alice = person("alice")
    alice.notes(300)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, alice)
        for crossing in (
            lambda: store.append([Batch(alice.hash, alice.log.run(1, 150)), Batch(alice.hash, alice.log.run(151))], 0),
            lambda: store.run(alice.key, 1, 300, RUN_BYTES_MAX),
            lambda: store.timeline(TimelineQuery(50)),
            lambda: store.load(),
        ):
            before = bridge.crossings
            await crossing()
            assert bridge.crossings == before + 1
        await store.aclose()
