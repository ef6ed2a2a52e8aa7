"""The bridge: results, exceptions, cancellation and callbacks cross between trio and asyncio."""

from __future__ import annotations

import asyncio
import threading

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from p2pblog.bridge import open_bridge
from p2pblog.errors import Malformed


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
