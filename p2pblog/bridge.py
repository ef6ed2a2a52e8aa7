"""The only place where trio meets asyncio: one asyncio loop in one worker thread, and a way across in each direction.

`kademlia` and `aiosqlite` speak asyncio; the program is trio. A call crosses as a whole and its result, exception or
cancellation comes back as a whole:

* `run` waits until the asyncio side has really ended, also when the trio side is cancelled. So a cancelled caller never
  leaves a transaction or a socket behind that still works for it. What finishes in spite of the cancellation counts.
* The asyncio task is cancelled once, as asyncio does it: it may await in its `finally` to clean up.
* Neither thread stands still for the other: a call is left at the other side, and its end wakes the caller. Waiting in
  place, even for the start of a task, costs a turn of the interpreter lock, 5 ms under load.
* Under trio's virtual clock the loop keeps real time: tests that move the clock use in-memory twins instead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any, Generic, NoReturn, TypeVar, TypeVarTuple, cast

import trio

TELL_S = 0.002
"""No longer than this does one side wait for the other to hear what it tells: a busy one hears it later."""

T = TypeVar("T")
Args = TypeVarTuple("Args")


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """A bridge for the length of the block. Leaving it cancels whatever still runs on the asyncio side and waits."""
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    bridge = Bridge(runner.get_loop(), trio.lowlevel.current_trio_token())
    stopped = asyncio.Event()
    thread = threading.Thread(target=_run_until, args=(runner, stopped), name="p2pblog asyncio", daemon=True)
    thread.start()
    try:
        yield bridge
    finally:
        bridge.close()
        bridge.to_asyncio(stopped.set)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join)


def _run_until(runner: asyncio.Runner, stopped: asyncio.Event) -> None:
    with runner:  # its end cancels all tasks, and waits for them
        runner.run(stopped.wait())


class Bridge:
    """Both directions between the trio task that made it and one asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, token: trio.lowlevel.TrioToken) -> None:
        self._loop = loop
        self._context = Context()  # an empty one: calls must not inherit what belongs to a trio task
        self._token = token
        self._is_closed = False
        self.crossings = 0
        """Calls that went across so far: what one use case costs can be counted."""

    def close(self) -> None:
        """Take no more calls. Those under way end with the loop."""
        self._is_closed = True

    async def run(self, function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """What `function(*args)`, an asyncio coroutine function, gives; its exceptions come across with their type.

        Cancelling this call cancels the asyncio task, and waits for it to end. Raises trio.ClosedResourceError if the
        bridge was closed, or the task ended by a cancellation that was not ours.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_closed:
            raise trio.ClosedResourceError("the bridge is closed")
        task = trio.lowlevel.current_task()
        call = _Call(function, args, lambda: self.to_trio(trio.lowlevel.reschedule, task))
        try:
            self._loop.call_soon_threadsafe(call.aio_start, context=self._context)
        except RuntimeError as error:
            raise trio.ClosedResourceError("the bridge is closed") from error
        self.crossings += 1
        return await self._wait(call)

    def to_trio(self, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call a plain function on the trio side, soon and in order; for the asyncio side, which goes on at once.

        The function must not raise: that would end the whole program, as any bug in a trio callback does. Calls that
        come after the trio side has ended are dropped.
        """
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(callback, *args)

    async def aio_tell(self, callback: Callable[[*Args], object], *args: *Args) -> None:
        """As `to_trio`, for a task of the asyncio side, which waits until it was called, or for TELL_S. Where that task
        goes on to send a dozen datagrams, the trio side would hear of it after the last."""
        called = asyncio.Event()

        def call() -> None:
            callback(*args)
            self.to_asyncio(called.set)

        self.to_trio(call)
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_S):
                await called.wait()

    def to_asyncio(self, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call a plain function on the asyncio side, soon and in order; dropped if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    async def _wait(self, call: _Call[T]) -> T:
        raise_cancelled: Callable[[], NoReturn] | None = None

        def abort(raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            nonlocal raise_cancelled
            raise_cancelled = raise_cancel
            self.to_asyncio(call.aio_cancel)  # comes after its start, as all that one thread leaves there
            return trio.lowlevel.Abort.FAILED  # we wake when the asyncio side has ended

        await trio.lowlevel.wait_task_rescheduled(abort)
        if call.was_cancelled:
            if raise_cancelled is not None:
                raise_cancelled()
            raise trio.ClosedResourceError("the asyncio side ended first")
        return call.result()


class _Call(Generic[T]):
    """One call in flight. `aio_` methods run on the asyncio side only, the others once `wake` was called."""

    def __init__(
        self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...], wake: Callable[[], object]
    ) -> None:
        self._function = function
        self._args = args
        self._wake = wake
        self._task: asyncio.Task[None] | None = None
        self._value: T | None = None
        self._error: BaseException | None = None

    def aio_start(self) -> None:
        self._task = asyncio.ensure_future(self._aio_run())
        self._task.add_done_callback(lambda _: self._wake())

    async def _aio_run(self) -> None:
        try:
            self._value = await self._function(*self._args)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the caller's, whatever it is: nothing of it may end the loop
            self._error = error

    def aio_cancel(self) -> None:
        """Once, as asyncio does it: the clean-up may await."""
        if self._task is not None:
            self._task.cancel()

    @property
    def was_cancelled(self) -> bool:
        return self._task is None or self._task.cancelled()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)
