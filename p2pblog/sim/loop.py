"""Virtual time: one heap of events in whole microseconds, which is an asyncio loop to those who need one.

Nothing waits here: the clock jumps to the next event. Events of the same microsecond run in the order in which they
were asked for, so a run depends on nothing but what the nodes do. The kademlia server runs on it unchanged: of
asyncio's loop it uses timers, tasks, futures and a datagram endpoint, and those are here.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from p2pblog.core.address import Endpoint

T = TypeVar("T")

SECOND_US = 1_000_000

OpenDatagrams = Callable[[Any, Endpoint], Any]
"""(protocol, where) -> its transport: what a network does for a node that opens a socket."""


def micros(seconds: float) -> int:
    """Whole microseconds, never fewer: who is woken too early would ask to be woken again at the same time."""
    time_us = math.ceil(seconds * SECOND_US)
    return time_us if time_us / SECOND_US >= seconds else time_us + 1  # the product may have been rounded down


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that never really waits, as those of the dict store."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waited for something")


class Later:
    """A callback that is due at some time, unless it is cancelled: asyncio's Handle and TimerHandle in one."""

    __slots__ = ("_args", "_callback", "_context", "_when")

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self._when = when
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = context if context is not None else contextvars.copy_context()

    def __call__(self) -> None:
        if self._callback is not None:
            self._context.run(self._callback, *self._args)

    def cancel(self) -> None:
        self._callback, self._args = None, ()

    def cancelled(self) -> bool:
        return self._callback is None

    def when(self) -> float:
        return self._when


class VirtualLoop(asyncio.AbstractEventLoop):
    """The clock and the events. `at` is for simulated nodes, the rest is what asyncio asks of a loop."""

    def __init__(self, open_datagrams: OpenDatagrams | None = None) -> None:
        self.now_us = 0
        self.events = 0
        """How many have run."""
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._tie = 0
        self._open_datagrams = open_datagrams
        self._failed: BaseException | None = None

    @property
    def now(self) -> float:
        """Seconds since the beginning, as the machines take them."""
        return self.now_us / SECOND_US

    def at(self, when_us: int, do: Callable[..., object], *args: Any) -> None:
        """Call it then; at once, but after what is due already, for a time that has passed."""
        self._tie += 1
        due_us = when_us if when_us > self.now_us else self.now_us
        heapq.heappush(self._heap, (due_us, self._tie, do, args))

    def run_until(self, end_us: int) -> None:
        """Let time pass up to and including that moment. Raises what an event raised."""
        asyncio._set_running_loop(self)
        heap = self._heap
        try:
            while heap and heap[0][0] <= end_us:
                self.now_us, _, do, args = heapq.heappop(heap)
                self.events += 1
                do(*args)
                if self._failed is not None:
                    raise self._failed
        finally:
            asyncio._set_running_loop(None)
        self.now_us = max(self.now_us, end_us)

    def run_task(self, work: Coroutine[Any, Any, T], limit_us: int) -> T:
        """Let time pass until the coroutine is over; gives what it gives. Raises TimeoutError after `limit_us`."""
        task = self.create_task(work)
        end_us = self.now_us + limit_us
        while not task.done():
            if not self._heap or self._heap[0][0] > end_us:
                task.cancel()
                raise TimeoutError(f"not over within {limit_us} microseconds")
            self.run_until(self._heap[0][0])
        return task.result()  # type: ignore[no-any-return]

    # --- what asyncio asks of a loop ---

    def time(self) -> float:
        return self.now_us / SECOND_US

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Later:
        later = Later(self.time(), callback, args, context)
        self.at(self.now_us, later)
        return later

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Later:
        later = Later(when, callback, args, context)
        self.at(micros(when), later)
        return later

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Later:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], local_addr: tuple[str, int] | None = None, **_options: Any
    ) -> tuple[Any, Any]:
        assert self._open_datagrams is not None and local_addr is not None
        protocol = protocol_factory()
        transport = self._open_datagrams(protocol, Endpoint.of(*local_addr))
        protocol.connection_made(transport)
        return transport, protocol

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task ended by an error that nobody took: a bug in the node or in us, so the run ends with it."""
        self._failed = context.get("exception") or AssertionError(context.get("message"))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)
