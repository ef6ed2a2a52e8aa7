"""One contract for both transports: TCP with Noise on loopback, and the in-memory twin under a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from transport_scenes import ALICE, BOB, LOOPBACK, echo, ignore, soon
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pblog.config import MESSAGE_BYTES_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.errors import Disconnected, LocalProtocolError, Malformed, TooSlow
from p2pblog.transport import Accept, Link, Transport
from p2pblog.transport.memory import MemoryNetwork
from p2pblog.transport.tcp import TcpLimits, open_tcp

Pair = tuple[Transport, Transport]
Open = Callable[[], AbstractAsyncContextManager[Pair]]
Scene = Callable[[Open], Awaitable[None]]


@asynccontextmanager
async def over_tcp() -> AsyncIterator[Pair]:
    limits = TcpLimits(frame_timeout_s=1, linger_s=1)
    with soon():
        async with open_tcp(ALICE, LOOPBACK, limits=limits) as alice, open_tcp(BOB, LOOPBACK, limits=limits) as bob:
            yield alice, bob


@asynccontextmanager
async def in_memory() -> AsyncIterator[Pair]:
    network = MemoryNetwork(seed=7)
    alice = network.transport(NodeKey(ALICE.public), Endpoint("192.0.2.1", 4711))
    with soon(3600):
        yield alice, network.transport(NodeKey(BOB.public), Endpoint("192.0.2.2", 4711))


def on_both(scene: Scene) -> Callable[[str], None]:
    """Run the scene on each transport."""

    @pytest.mark.parametrize("kind", ["tcp", "memory"])
    def run(kind: str) -> None:
        if kind == "tcp":
            trio.run(scene, over_tcp)
        else:
            trio.run(scene, in_memory, clock=MockClock(autojump_threshold=0))

    run.__name__ = scene.__name__
    return run


@asynccontextmanager
async def dialed(open_pair: Open, accept: Accept) -> AsyncIterator[Link]:
    """Alice's link to Bob, who does `accept`."""
    async with open_pair() as (alice, bob), trio.open_nursery() as tasks:
        tasks.start_soon(bob.serve, accept)
        link = await alice.dial(bob.endpoint)
        yield link
        await link.aclose()
        tasks.cancel_scope.cancel()


@on_both
async def test_who_is_who(open_pair: Open) -> None:
    met: list[Link] = []

    async def meet(link: Link) -> None:
        met.append(link)
        await echo(link)

    async with dialed(open_pair, meet) as link:
        await link.send(b"hello")
        assert await link.receive() == b"hello"
        await wait_all_tasks_blocked()
        (theirs,) = met
        assert (link.peer, theirs.peer) == (BOB.public, ALICE.public)
        assert (link.dialed, theirs.dialed) == (True, False)
        assert link.binding == theirs.binding and len(link.binding) == 32
        assert (link.bytes_in, link.bytes_out) == (theirs.bytes_out, theirs.bytes_in) == (199 + 24, 201 + 24)
        assert theirs.endpoint.port != link.endpoint.port


@on_both
async def test_messages_come_whole_and_in_order(open_pair: Open) -> None:
    messages = [
        b"small",
        b"m" * MESSAGE_BYTES_MAX,
        *(bytes([number]) * 1000 for number in range(1, 200)),
        b"l" * 70_000,
    ]
    async with dialed(open_pair, echo) as link, trio.open_nursery() as tasks:
        tasks.start_soon(link.send_many, messages)
        assert [await link.receive() for _ in messages] == messages


@on_both
async def test_two_links_have_two_bindings(open_pair: Open) -> None:
    async with open_pair() as (alice, bob), trio.open_nursery() as tasks:
        tasks.start_soon(bob.serve, echo)
        first, second = await alice.dial(bob.endpoint), await alice.dial(bob.endpoint)
        assert first.binding != second.binding
        await first.aclose()
        await second.aclose()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("size", [0, MESSAGE_BYTES_MAX + 1])
def test_a_wrong_size_is_our_bug(size: int) -> None:
    @on_both
    async def scene(open_pair: Open) -> None:
        async with dialed(open_pair, echo) as link:
            with pytest.raises(LocalProtocolError):
                await link.send(bytes(size))

    scene("tcp")
    scene("memory")


@on_both
async def test_what_was_said_before_the_end_still_arrives(open_pair: Open) -> None:
    async def turn_away(link: Link) -> None:
        await link.send_many([b"full", b"try carol"])

    async with dialed(open_pair, turn_away) as link:
        assert [await link.receive(), await link.receive()] == [b"full", b"try carol"]
        for _ in range(2):
            with pytest.raises(Disconnected):
                await link.receive()


@on_both
async def test_closing_wakes_our_receiver_and_ends_theirs(open_pair: Open) -> None:
    ended = trio.Event()

    async def listen(link: Link) -> None:
        with pytest.raises(Disconnected):
            await link.receive()
        ended.set()

    async with dialed(open_pair, listen) as link, trio.open_nursery() as tasks:

        async def wait_for_the_end() -> None:
            with pytest.raises(Disconnected):
                await link.receive()

        tasks.start_soon(wait_for_the_end)
        await wait_all_tasks_blocked()
        await link.aclose()
        await link.aclose()
        await ended.wait()
        with pytest.raises(Disconnected):
            await link.send(b"too late")


@on_both
async def test_who_never_reads_is_too_slow(open_pair: Open) -> None:
    async with dialed(open_pair, ignore) as link:
        with pytest.raises(TooSlow):
            while True:
                await link.send(b"m" * 500_000)
        with pytest.raises(Disconnected):
            await link.send(b"still there?")


@on_both
async def test_a_peers_fault_ends_its_link_only(open_pair: Open) -> None:
    async def judge(link: Link) -> None:
        async with trio.open_nursery():
            if await link.receive() == b"nonsense":
                raise Malformed("nonsense")
            await link.send(b"fine")

    async with open_pair() as (alice, bob), trio.open_nursery() as tasks:
        tasks.start_soon(bob.serve, judge)
        bad, good = await alice.dial(bob.endpoint), await alice.dial(bob.endpoint)
        await bad.send(b"nonsense")
        with pytest.raises(Disconnected):
            await bad.receive()
        await good.send(b"sense")
        assert await good.receive() == b"fine"
        await bad.aclose()
        await good.aclose()
        tasks.cancel_scope.cancel()


@on_both
async def test_our_own_bug_is_loud(open_pair: Open) -> None:
    async def stumble(link: Link) -> None:
        raise LocalProtocolError("we would have said something forbidden")

    with pytest.RaisesGroup(LocalProtocolError, flatten_subgroups=True):
        async with dialed(open_pair, stumble) as link:
            try:
                await trio.sleep_forever()
            finally:
                await link.aclose()


@on_both
async def test_a_node_that_stopped_serving_ends_its_links_and_refuses_dials(open_pair: Open) -> None:
    async with open_pair() as (alice, bob), trio.open_nursery() as tasks:
        tasks.start_soon(bob.serve, echo)
        link = await alice.dial(bob.endpoint)
        await link.send(b"hello")
        assert await link.receive() == b"hello"
        tasks.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            with pytest.raises(Disconnected):
                await link.receive()
            with pytest.raises(Disconnected):
                await alice.dial(bob.endpoint)
            await link.aclose()
