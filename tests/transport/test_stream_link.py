"""Links over in-memory streams under a virtual clock: slow, silent and cut peers."""

from __future__ import annotations

import pytest
import trio
from transport_scenes import ALICE, BOB, LOOPBACK, credentials_of, dialer, listener, shake, virtual_time
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from p2pblog.config import FRAME_TIMEOUT_S, MESSAGE_BYTES_MAX
from p2pblog.errors import BadHandshake, Disconnected, LocalProtocolError, Malformed, TooSlow
from p2pblog.transport.framing import FrameWriter
from p2pblog.transport.handshake import Proven
from p2pblog.transport.link import StreamLink, shake_hands


def linked(**options: float) -> tuple[StreamLink, StreamLink]:
    """Alice's and Bob's ends of a link over unlimited memory."""
    ours, theirs = trio.testing.memory_stream_pair()
    alice, bob = shake(dialer(), listener())
    return (
        StreamLink(ours, alice, LOOPBACK, dialed=True, **options),
        StreamLink(theirs, bob, LOOPBACK, dialed=False, **options),
    )


def half_linked() -> tuple[StreamLink, trio.abc.Stream, Proven]:
    """Bob's link, and the bare stream and ciphers of a peer that may do what it likes."""
    bare, theirs = trio.testing.memory_stream_pair()
    peer, bob = shake(dialer(), listener())
    return StreamLink(theirs, bob, LOOPBACK, dialed=False), bare, peer


class StuckStream(trio.abc.Stream):
    """The peer's buffers are full: what is sent never leaves."""

    def __init__(self) -> None:
        self.closed = False

    async def send_all(self, data: bytes) -> None:
        await trio.sleep_forever()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.sleep_forever()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await trio.sleep_forever()

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


@virtual_time
async def test_two_ends_over_memory_talk_and_count_the_same_bytes() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    links: dict[str, StreamLink] = {}

    async def end(name: str, stream: trio.abc.Stream, dialed: bool) -> None:
        node = ALICE if dialed else BOB
        links[name] = await shake_hands(stream, credentials_of(node, name), LOOPBACK, dialed=dialed)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(end, "alice", ours, True)
        tasks.start_soon(end, "bob", theirs, False)
    alice, bob = links["alice"], links["bob"]
    assert (alice.peer, bob.peer, alice.binding) == (BOB.public, ALICE.public, bob.binding)
    assert (alice.dialed, bob.dialed) == (True, False)
    await alice.send(b"hi bob")
    await bob.send_many([b"hi", b"alice"])
    assert await bob.receive() == b"hi bob"
    assert [await alice.receive(), await alice.receive()] == [b"hi", b"alice"]
    assert (alice.bytes_out, alice.bytes_in) == (bob.bytes_in, bob.bytes_out)
    assert alice.bytes_out == 34 + 167 + len(b"hi bob") + 19


@virtual_time
async def test_silence_between_messages_may_last_for_ever() -> None:
    alice, bob = linked()

    async def speak_after_a_week() -> None:
        await trio.sleep(7 * 24 * 3600)
        await alice.send(b"still there?")

    async with trio.open_nursery() as tasks:
        tasks.start_soon(speak_after_a_week)
        assert await bob.receive() == b"still there?"


@virtual_time
async def test_a_frame_that_never_gets_whole_is_too_slow() -> None:
    bob, bare, peer = half_linked()
    (frame,) = FrameWriter(peer.sender).frames([b"hello"])
    await bare.send_all(frame[:-1])
    started = trio.current_time()
    with pytest.raises(TooSlow):
        await bob.receive()
    assert trio.current_time() - started == pytest.approx(FRAME_TIMEOUT_S)


@virtual_time
async def test_a_trickle_of_bytes_earns_no_time() -> None:
    """The peer announces a full message and then sends a byte a second, each in a frame."""
    bob, bare, peer = half_linked()

    async def trickle() -> None:
        sealed = [peer.sender.seal(b"\x80\x80\x90\x01"), *(peer.sender.seal(b"x") for _ in range(1000))]
        for text in sealed:
            await bare.send_all(len(text).to_bytes(2, "big") + text)
            await trio.sleep(1)

    started = trio.current_time()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(trickle)
        with pytest.raises(TooSlow):
            await bob.receive()
        tasks.cancel_scope.cancel()
    assert trio.current_time() - started == pytest.approx(FRAME_TIMEOUT_S)


@virtual_time
async def test_a_slow_but_steady_peer_gets_a_large_message_through() -> None:
    bob, bare, peer = half_linked()
    message = b"m" * MESSAGE_BYTES_MAX

    async def slowly() -> None:
        for frame in FrameWriter(peer.sender).frames([message]):
            await trio.sleep(FRAME_TIMEOUT_S * 0.9)
            await bare.send_all(frame)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(slowly)
        assert await bob.receive() == message
    assert trio.current_time() > 10 * FRAME_TIMEOUT_S


@virtual_time
async def test_each_message_has_its_own_time() -> None:
    """Frames that each end one message and begin the next: something is always unfinished, but never for long."""
    bob, bare, peer = half_linked()

    async def speak() -> None:
        for piece in (b"\x05he", *[b"llo\x05he"] * 20):
            sealed = peer.sender.seal(piece)
            await bare.send_all(len(sealed).to_bytes(2, "big") + sealed)
            await trio.sleep(FRAME_TIMEOUT_S * 0.6)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(speak)
        assert [await bob.receive() for _ in range(20)] == [b"hello"] * 20


@virtual_time
async def test_time_in_which_we_do_not_read_is_not_held_against_the_peer() -> None:
    bob, bare, peer = half_linked()
    (frame,) = FrameWriter(peer.sender).frames([b"hello"])
    await bare.send_all(frame[:-1])
    with trio.move_on_after(1):
        await bob.receive()
    await trio.sleep(10 * FRAME_TIMEOUT_S)  # we were busy with something else
    await bare.send_all(frame[-1:])
    assert await bob.receive() == b"hello"


@virtual_time
async def test_a_peer_that_takes_nothing_is_too_slow_and_the_link_is_closed() -> None:
    alice, _ = shake(dialer(), listener())
    stream = StuckStream()
    link = StreamLink(stream, alice, LOOPBACK, dialed=True)
    started = trio.current_time()
    with pytest.raises(TooSlow):
        await link.send(b"anybody?")
    assert trio.current_time() - started == pytest.approx(FRAME_TIMEOUT_S)
    assert stream.closed
    with pytest.raises(Disconnected):
        await link.send(b"anybody?")


@virtual_time
async def test_a_send_that_was_cancelled_halfway_ends_the_sending() -> None:
    alice, _ = shake(dialer(), listener())
    link = StreamLink(StuckStream(), alice, LOOPBACK, dialed=True)
    with trio.move_on_after(1):
        await link.send(b"never mind")
    with pytest.raises(Disconnected):
        await link.send(b"this would be half a message")


@virtual_time
async def test_messages_of_many_tasks_go_out_whole() -> None:
    alice, bob = linked()
    messages = [bytes([number]) * 100_000 for number in range(1, 9)]
    async with trio.open_nursery() as tasks:
        for message in messages:
            tasks.start_soon(alice.send, message)
    assert sorted([await bob.receive() for _ in messages]) == messages


@virtual_time
async def test_a_cancelled_receive_loses_nothing() -> None:
    alice, bob = linked()
    with trio.move_on_after(1) as scope:
        await bob.receive()
    assert scope.cancelled_caught
    await alice.send_many([b"one", b"two"])
    with trio.CancelScope() as scope:
        scope.cancel()
        await bob.receive()
    assert scope.cancelled_caught
    assert [await bob.receive(), await bob.receive()] == [b"one", b"two"]


@virtual_time
async def test_good_messages_come_before_the_fault_behind_them_and_nobody_waits_for_more() -> None:
    bob, bare, peer = half_linked()
    (good,) = FrameWriter(peer.sender).frames([b"one", b"two"])
    await bare.send_all(good + b"\x00\x01")
    assert [await bob.receive(), await bob.receive()] == [b"one", b"two"]
    for _ in range(2):
        with pytest.raises(Malformed):
            await bob.receive()


@virtual_time
async def test_others_get_their_turn_between_messages_that_came_together() -> None:
    bob, bare, peer = half_linked()
    (frame,) = FrameWriter(peer.sender).frames([b"one", b"two", b"three"])
    await bare.send_all(frame + b"\x00\x01")
    for message in (b"one", b"two", b"three"):
        with assert_checkpoints():
            assert await bob.receive() == message
    for _ in range(2):
        with assert_checkpoints(), pytest.raises(Malformed):
            await bob.receive()


@virtual_time
async def test_a_fault_right_behind_the_handshake_waits_for_the_first_receive() -> None:
    theirs = StuckStream()
    _, bob = shake(dialer(), listener())
    rest = Proven(bob.peer, bob.binding, bob.sender, bob.receiver, b"\x00\x00")
    link = StreamLink(theirs, rest, LOOPBACK, dialed=False)
    with pytest.raises(Malformed):
        await link.receive()


@virtual_time
async def test_the_end_is_disconnected_at_both_ends() -> None:
    alice, bob = linked()
    await alice.send(b"bye")
    await alice.aclose()
    await alice.aclose()
    assert await bob.receive() == b"bye"
    with pytest.raises(Disconnected):
        await bob.receive()
    with pytest.raises(Disconnected):
        await bob.send(b"wait")
    for use in (alice.receive, lambda: alice.send(b"again")):
        with pytest.raises(Disconnected):
            await use()


@virtual_time
async def test_closing_wakes_the_task_that_receives() -> None:
    alice, _ = linked()

    async def wait_for_the_end() -> None:
        with pytest.raises(Disconnected):
            await alice.receive()

    async with trio.open_nursery() as tasks:
        tasks.start_soon(wait_for_the_end)
        await wait_all_tasks_blocked()
        await alice.aclose()


@virtual_time
async def test_our_own_message_of_a_wrong_size_is_our_bug() -> None:
    alice, _ = linked()
    with pytest.raises(LocalProtocolError):
        await alice.send(b"m" * (MESSAGE_BYTES_MAX + 1))


@virtual_time
async def test_garbage_in_place_of_a_handshake() -> None:
    bare, theirs = trio.testing.memory_stream_pair()
    await bare.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(BadHandshake):
        await shake_hands(theirs, credentials_of(BOB, "bob"), LOOPBACK, dialed=False)


@virtual_time
async def test_a_connection_that_breaks_within_the_handshake() -> None:
    bare, theirs = trio.testing.memory_stream_pair()
    await bare.aclose()
    with pytest.raises(Disconnected):
        await shake_hands(theirs, credentials_of(BOB, "bob"), LOOPBACK, dialed=True)
