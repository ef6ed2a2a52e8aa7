"""The only place where trio meets asyncio: one asyncio loop in one worker thread, and a way across in each direction.

`kademlia` and `aiosqlite` speak asyncio; the program is trio. A call crosses as a whole and its result, exception or
cancellation comes back as a whole:

* `run` waits until the asyncio side has really ended, also when the trio side is cancelled. So a cancelled caller never
  leaves a transaction or a socket behind that still works for it. What finishes in spite of the cancellation counts.
* The asyncio task is cancelled once, as asyncio does it: it may await in its `finally` to clean up.
* Under trio's virtual clock the loop keeps real time: tests that move the clock use in-memory twins instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, NoReturn, TypeVar, TypeVarTuple

import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")
Args = TypeVarTuple("Args")


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """A bridge for the length of the block. Leaving it cancels whatever still runs on the asyncio side and waits."""
    manager = start_blocking_portal(backend="asyncio", name="p2pblog asyncio")
    portal = await trio.to_thread.run_sync(manager.__enter__)
    try:
        yield await Bridge.across(portal)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_stop, portal)
            await trio.to_thread.run_sync(manager.__exit__, None, None, None)


def _stop(portal: BlockingPortal) -> None:
    with suppress(RuntimeError):  # the loop ended by itself
        portal.call(portal.stop, True)


class Bridge:
    """Both directions between the trio task that made it and one asyncio loop."""

    def __init__(self, portal: BlockingPortal, loop: asyncio.AbstractEventLoop, token: trio.lowlevel.TrioToken) -> None:
        self._portal = portal
        self._loop = loop
        self._token = token

    @classmethod
    async def across(cls, portal: BlockingPortal) -> Bridge:
        loop = await trio.to_thread.run_sync(portal.call, asyncio.get_running_loop)
        return cls(portal, loop, trio.lowlevel.current_trio_token())

    async def run(self, function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """What `function(*args)`, an asyncio coroutine function, gives; its exceptions come across with their type.

        Cancelling this call cancels the asyncio task, and waits for it to end. Raises trio.ClosedResourceError if the
        bridge was closed, or the task ended by a cancellation that was not ours.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        call = _Call(function, args)
        try:
            future: Future[T] = self._portal.start_task_soon(call.aio_run)
        except RuntimeError as error:
            raise trio.ClosedResourceError("the bridge is closed") from error
        return await self._wait(call, future)

    def to_trio(self, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call a plain function on the trio side, soon and in order; for the asyncio side, which goes on at once.

        The function must not raise: that would end the whole program, as any bug in a trio callback does. Calls that
        come after the trio side has ended are dropped.
        """
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(callback, *args)

    def to_asyncio(self, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call a plain function on the asyncio side, soon and in order; dropped if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    async def _wait(self, call: _Call[T], future: Future[T]) -> T:
        task = trio.lowlevel.current_task()
        raise_cancelled: Callable[[], NoReturn] | None = None

        def wake(_: Future[T]) -> None:
            self.to_trio(trio.lowlevel.reschedule, task)

        def abort(raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            nonlocal raise_cancelled
            raise_cancelled = raise_cancel
            self.to_asyncio(call.cancel)
            return trio.lowlevel.Abort.FAILED  # we wake when the asyncio side has ended

        future.add_done_callback(wake)
        await trio.lowlevel.wait_task_rescheduled(abort)
        if future.cancelled():
            if raise_cancelled is not None:
                raise_cancelled()
            raise trio.ClosedResourceError("the asyncio side ended first")
        return future.result()


class _Call(Generic[T]):
    """One call in flight. Its methods run on the asyncio side only."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    async def aio_run(self) -> T:
        if self._cancelled:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        return await self._function(*self._args)

    def cancel(self) -> None:
        """Once, natively: an anyio scope would cancel again at every await of the clean-up."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
