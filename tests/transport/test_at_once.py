"""Sockets that are asked without waiting behave as trio's streams do: turns, cancelling, ends and full buffers."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from collections.abc import Awaitable, Callable

import pytest
import trio
from transport_scenes import dialer, listener, shake
from trio.testing import trio_test

from p2pblog.core.address import Endpoint
from p2pblog.transport import at_once
from p2pblog.transport.link import StreamLink

Socket = trio.SocketStream
Scene = Callable[[Socket, Socket], Awaitable[None]]


def with_sockets(scene: Scene) -> Callable[[], None]:
    """Run a scene with two ends that are connected."""

    @trio_test
    async def run() -> None:
        ours, theirs = (Socket(trio.socket.from_stdlib_socket(each)) for each in socket.socketpair())
        with trio.fail_after(30):
            async with ours, theirs:
                await scene(ours, theirs)

    def test() -> None:
        run()

    test.__name__ = scene.__name__
    return test


@with_sockets
async def test_what_is_written_is_read_and_an_end_is_no_bytes(ours: Socket, theirs: Socket) -> None:
    assert await at_once.write(ours, b"hello") == 5
    assert await at_once.read(theirs, 3) == b"hel" and await at_once.read(theirs, 99) == b"lo"
    await ours.aclose()
    assert await at_once.read(theirs, 99) == b""


@with_sockets
async def test_a_full_socket_takes_a_part_and_then_nothing_and_waits_for_nobody(ours: Socket, _: Socket) -> None:
    large = bytes(1 << 24)
    taken = await at_once.write(ours, large)
    assert 0 < taken < len(large)
    assert await at_once.write(ours, large) == 0


@with_sockets
async def test_a_message_that_the_socket_takes_in_pieces_arrives_whole(ours: Socket, theirs: Socket) -> None:
    alice, bob = shake(dialer(), listener())
    here = Endpoint("127.0.0.1", 1)
    link, other = StreamLink(ours, alice, here, dialed=True), StreamLink(theirs, bob, here, dialed=False)
    messages = [bytes([number]) * 900_000 for number in range(5)]

    async def send() -> None:
        for message in messages:
            await link.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        heard = [await other.receive() for _ in messages]
    assert heard == messages
    assert link.bytes_out == other.bytes_in > 4_500_000


@with_sockets
async def test_what_of_a_frame_has_gone_counts_before_the_rest_has(ours: Socket, theirs: Socket) -> None:
    link = StreamLink(ours, shake(dialer(), listener())[0], Endpoint("127.0.0.1", 1), dialed=True)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.send, bytes(60_000))
        await trio.testing.wait_all_tasks_blocked()
        taken = link.bytes_out
        assert 0 < taken < 60_000
        while link.bytes_out == taken:
            await at_once.read(theirs, 1_000)
        nursery.cancel_scope.cancel()


@with_sockets
async def test_what_has_gone_is_counted_before_anybody_can_look(ours: Socket, theirs: Socket) -> None:
    """Else the other end seems to have taken less than before, and at the next look more than it has."""
    link = StreamLink(ours, shake(dialer(), listener())[0], Endpoint("127.0.0.1", 1), dialed=True)
    seen: list[tuple[int, int]] = []

    async def look() -> None:
        while len(seen) < 50:
            arrived = fcntl.ioctl(theirs.socket.fileno(), termios.FIONREAD, bytes(4))
            seen.append((int.from_bytes(arrived, sys.byteorder), link.bytes_out))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        while len(seen) < 50:
            await link.send(b"x")
    assert [(arrived, out) for arrived, out in seen if arrived > out] == []
    assert seen[-1][0] > 0


@with_sockets
async def test_what_the_other_end_has_not_got_is_under_way(ours: Socket, theirs: Socket) -> None:
    link = StreamLink(ours, shake(dialer(), listener())[0], Endpoint("127.0.0.1", 1), dialed=True)
    await link.send(bytes(2_000))
    assert link.bytes_under_way > 0 or sys.platform != "linux"
    await at_once.read(theirs, 60_000)
    assert link.bytes_under_way == 0
    await link.aclose()
    assert link.bytes_under_way == 0


@with_sockets
async def test_who_waits_to_write_is_woken_by_the_end(ours: Socket, _: Socket) -> None:
    while await at_once.write(ours, bytes(1 << 20)):
        pass
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await at_once.write_some(ours, b"x")

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()


@with_sockets
async def test_others_get_their_turn_although_nobody_has_to_wait(ours: Socket, theirs: Socket) -> None:
    link = StreamLink(ours, shake(dialer(), listener())[0], Endpoint("127.0.0.1", 1), dialed=True)
    order: list[str] = []

    async def talk() -> None:
        for _ in range(5):
            await link.send(b"x")
            assert await at_once.read(theirs, 99)
            order.append("talk")

    async def other() -> None:
        for _ in range(5):
            order.append("other")
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        nursery.start_soon(other)
    first, last = order.index("talk"), len(order) - 1 - order[::-1].index("talk")
    assert "other" in order[first:last], "it was done before the other came"


@with_sockets
async def test_who_was_cancelled_before_writes_and_reads_nothing(ours: Socket, theirs: Socket) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await at_once.write(ours, b"lost")
    assert scope.cancelled_caught
    await at_once.write(ours, b"kept")
    with trio.CancelScope() as scope:
        scope.cancel()
        await at_once.read(theirs, 99)
    assert scope.cancelled_caught
    assert await at_once.read(theirs, 99) == b"kept"


@with_sockets
async def test_who_waits_can_be_cancelled_and_loses_nothing(ours: Socket, theirs: Socket) -> None:
    with trio.move_on_after(0.05) as scope:
        await at_once.read(theirs, 99)
    assert scope.cancelled_caught
    await at_once.write(ours, b"late")
    assert await at_once.read(theirs, 99) == b"late"


@with_sockets
async def test_closing_wakes_who_reads_and_a_closed_socket_takes_and_gives_nothing(
    ours: Socket, theirs: Socket
) -> None:
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await at_once.read(theirs, 99)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await theirs.aclose()
    for ask in (
        lambda: at_once.write(theirs, b"x"),
        lambda: at_once.read(theirs, 9),
        lambda: at_once.write(ours, b"x"),
    ):
        with pytest.raises(trio.BrokenResourceError):
            await ask()


@trio_test
async def test_other_streams_are_left_to_trio() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    assert await at_once.write(ours, b"x") == 0
    await ours.send_all(b"x")
    assert await at_once.read(theirs, 9) == b"x"
