"""TCP on loopback with real sockets: honest links go on, whatever strangers and bad peers do beside them."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest
import trio
from transport_scenes import (
    ALICE,
    BOB,
    LOOPBACK,
    MALLORY,
    Faults,
    connect,
    credentials_of,
    echo,
    ignore,
    open_node,
    read_to_end,
    secret,
    soon,
    virtual_time,
)
from trio.testing import memory_stream_pair, trio_test, wait_all_tasks_blocked

from p2pblog.config import LINGER_S, MESSAGE_BYTES_MAX
from p2pblog.core.address import Endpoint, spell
from p2pblog.core.keys import KeyPair
from p2pblog.core.value import replace
from p2pblog.errors import BadHandshake, Disconnected, LocalProtocolError, Malformed, TooLarge, TooSlow
from p2pblog.transport import Link
from p2pblog.transport.handshake import Credentials, Handshake, Proven
from p2pblog.transport.tcp import LINGER_BYTES_MAX, TcpLimits, TcpTransport, bind_tcp, open_tcp

SHORT = TcpLimits(handshake_timeout_s=1, frame_timeout_s=1, linger_s=1)
"""Real time: long enough for loopback, short enough for a test."""


@asynccontextmanager
async def alice_and_bob(limits: TcpLimits | None = None) -> AsyncIterator[tuple[TcpTransport, TcpTransport]]:
    """Two nodes; Bob echoes."""
    with soon(20):
        async with open_node(ALICE, ignore, limits) as alice, open_node(BOB, echo, limits) as bob:
            yield alice, bob


async def works(link: Link) -> bool:
    await link.send(b"are you well?")
    return await link.receive() == b"are you well?"


async def shake_badly(stream: trio.SocketStream, node: KeyPair = MALLORY, proof: bytes | None = None) -> Proven:
    """An honest handshake (but for a given `proof`) whose ciphers we then abuse."""
    credentials = credentials_of(node, "mallory")
    if proof is not None:
        credentials = replace(credentials, proof=proof)
    handshake = Handshake(credentials, secret("mallory's"), dialed=True)
    await stream.send_all(handshake.start())
    while True:
        step = handshake.feed(await stream.receive_some())
        await stream.send_all(step.send)
        if step.proven is not None:
            return step.proven


def frame_of(proven: Proven, plain: bytes) -> bytes:
    sealed = proven.sender.seal(plain)
    return len(sealed).to_bytes(2, "big") + sealed


# --- honest peers -----------------------------------------------------------------------------------------------------


@trio_test
async def test_alice_dials_bob_and_both_know_whom_they_talk_to() -> None:
    met: list[Link] = []

    async def meet(link: Link) -> None:
        met.append(link)
        await echo(link)

    with soon():
        async with open_node(ALICE, ignore) as alice, open_node(BOB, meet) as bob:
            link = await alice.dial(bob.endpoint)
            assert await works(link)
            (theirs,) = met
            assert (link.peer, theirs.peer) == (BOB.public, ALICE.public)
            assert (link.dialed, theirs.dialed) == (True, False)
            assert link.endpoint == bob.endpoint
            assert theirs.endpoint.host == "127.0.0.1" and theirs.endpoint != alice.endpoint
            assert link.binding == theirs.binding and len(link.binding) == 32
            await wait_all_tasks_blocked()  # until Bob has counted what he said
            assert (link.bytes_in, link.bytes_out) == (theirs.bytes_out, theirs.bytes_in)
            await link.aclose()


@trio_test
async def test_a_full_message_and_many_small_ones_pass() -> None:
    async with alice_and_bob() as (alice, bob):
        link = await alice.dial(bob.endpoint)
        small = [f"message {number}".encode() for number in range(1000)]
        async with trio.open_nursery() as tasks:
            tasks.start_soon(link.send_many, [b"m" * MESSAGE_BYTES_MAX, *small])
            assert await link.receive() == b"m" * MESSAGE_BYTES_MAX
            assert [await link.receive() for _ in small] == small
        with pytest.raises(LocalProtocolError):
            await link.send(b"m" * (MESSAGE_BYTES_MAX + 1))
        await link.aclose()


@trio_test
async def test_a_node_that_dials_itself_sees_its_own_key() -> None:
    with soon():
        async with open_node(ALICE, echo) as alice:
            link = await alice.dial(alice.endpoint)
            assert link.peer == ALICE.public and await works(link)
            await link.aclose()


@trio_test
async def test_last_words_arrive_although_bob_left_our_chatter_unread() -> None:
    async def turn_away(link: Link) -> None:
        await link.send(b"full; try carol")

    with soon():
        async with open_node(ALICE, ignore) as alice, open_node(BOB, turn_away) as bob:
            for _ in range(20):
                link = await alice.dial(bob.endpoint)
                await link.send_many([b"chatter" * 1000] * 10)
                assert await link.receive() == b"full; try carol"
                with pytest.raises(Disconnected):
                    await link.receive()
                await link.aclose()


@trio_test
async def test_closing_wakes_the_task_that_receives() -> None:
    async with alice_and_bob() as (alice, bob):
        link = await alice.dial(bob.endpoint)

        async def wait_for_the_end() -> None:
            with pytest.raises(Disconnected):
                await link.receive()

        async with trio.open_nursery() as tasks:
            tasks.start_soon(wait_for_the_end)
            await wait_all_tasks_blocked()
            await link.aclose()
            await link.aclose()
        await bob.faults.wait_for("disconnected")


# --- sockets ----------------------------------------------------------------------------------------------------------


@trio_test
async def test_it_listens_before_it_serves() -> None:
    with soon():
        async with open_node(ALICE, ignore) as alice, open_tcp(BOB, LOOPBACK) as bob, trio.open_nursery() as tasks:
            assert bob.endpoint.port != 0

            async def dial() -> None:
                link = await alice.dial(bob.endpoint)
                assert await works(link)
                await link.aclose()
                tasks.cancel_scope.cancel()

            tasks.start_soon(dial)
            await wait_all_tasks_blocked(0.05)
            tasks.start_soon(bob.serve, echo)


@trio_test
async def test_a_port_in_use_is_an_oserror() -> None:
    async with open_tcp(ALICE, LOOPBACK) as alice:
        with pytest.raises(OSError):
            async with open_tcp(BOB, alice.endpoint):
                raise AssertionError("two cannot listen there")


@trio_test
async def test_it_takes_a_bound_socket_and_closes_it() -> None:
    sock = bind_tcp(LOOPBACK)
    async with open_tcp(ALICE, sock) as alice:
        assert alice.endpoint == Endpoint(*sock.getsockname())
    assert sock.fileno() == -1


@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6_and_both_families_at_once(host: str) -> None:
    try:
        sock = bind_tcp(Endpoint(host, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with sock:
        assert sock.family == socket.AF_INET6
        assert bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) is (host != "::")


@trio_test
async def test_nobody_there_is_disconnected() -> None:
    async with open_tcp(BOB, LOOPBACK) as bob:
        gone = bob.endpoint
    async with open_tcp(ALICE, LOOPBACK) as alice:
        with soon(), pytest.raises(Disconnected, match="no connection"):
            await alice.dial(gone)


# --- bad peers --------------------------------------------------------------------------------------------------------


@trio_test
async def test_another_network_is_a_bad_handshake() -> None:
    with soon():
        async with open_node(ALICE, ignore, network_id=b"p2pblog main 2") as alice, open_node(BOB, echo) as bob:
            with pytest.raises(BadHandshake, match="another network"):
                await alice.dial(bob.endpoint)
            await bob.faults.wait_for("disconnected")


def stolen_credentials() -> list[Credentials]:
    """Mallory shows Bob's key: with Bob's signature of Bob's static key, and with her own signature."""
    hers = credentials_of(MALLORY, "mallory")
    bobs = credentials_of(BOB, "bob")
    forged = hers.proof[:3] + BOB.public + hers.proof[35:]
    return [replace(hers, proof=bobs.proof), replace(hers, proof=forged)]


@pytest.mark.parametrize("number", [0, 1])
@trio_test
async def test_mallory_listens_under_bobs_name(number: int) -> None:
    with soon():
        async with open_node(ALICE, ignore) as alice, open_node(MALLORY, echo) as mallory:
            mallory._credentials = stolen_credentials()[number]
            with pytest.raises(BadHandshake, match="not proven"):
                await alice.dial(mallory.endpoint)


@pytest.mark.parametrize("number", [0, 1])
@trio_test
async def test_mallory_dials_under_bobs_name(number: int) -> None:
    async with alice_and_bob() as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        async with await connect(bob.endpoint) as stream:
            await shake_badly(stream, proof=stolen_credentials()[number].proof)
            await bob.faults.wait_for("bad-handshake")
            assert await read_to_end(stream) == b""
        assert await works(honest)
        await honest.aclose()


@trio_test
async def test_garbage_is_a_bad_handshake_and_the_honest_link_beside_it_works() -> None:
    async with alice_and_bob() as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100_000), b"\x00\x20" + bytes(32), b"\xff" * 70_000):
            async with await connect(bob.endpoint) as stream:
                before = bob.faults["bad-handshake"]
                with suppress(trio.BrokenResourceError):  # closed in our face
                    await stream.send_all(garbage)
                await bob.faults.wait_for("bad-handshake", before + 1)
                assert await read_to_end(stream) == b""
        assert await works(honest)
        await honest.aclose()


@trio_test
async def test_who_dials_and_says_nothing_is_too_slow() -> None:
    async with alice_and_bob(SHORT) as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        async with await connect(bob.endpoint) as stream:
            started = trio.current_time()
            await bob.faults.wait_for("too-slow")
            assert trio.current_time() - started < 5
            assert await read_to_end(stream) == b""
        assert await works(honest)
        await honest.aclose()


@trio_test
async def test_who_listens_and_says_nothing_is_too_slow() -> None:
    with bind_tcp(LOOPBACK) as silent:
        async with open_tcp(ALICE, LOOPBACK, limits=SHORT) as alice:
            with soon(), pytest.raises(TooSlow):
                await alice.dial(Endpoint(*silent.getsockname()))


@trio_test
async def test_fifty_half_open_connections_keep_nobody_out() -> None:
    limits = TcpLimits(handshake_timeout_s=60, handshakes_max=20, handshakes_per_block_max=10)
    async with alice_and_bob(limits) as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        half_open = [await connect(bob.endpoint) for _ in range(50)]
        for stream in half_open[::2]:
            await stream.send_all(b"\x00")
        await bob.faults.wait_for("too-slow", 40)  # the oldest make room at once, long before their time is over
        assert len(bob._lobby) == 10
        assert await works(honest)
        newcomer = await alice.dial(bob.endpoint)
        assert await works(newcomer)
        for stream in half_open:
            await stream.aclose()
        await bob.faults.wait_for("disconnected", 9)  # the newcomer made one more go
        assert (len(bob._lobby), bob._shaking) == (0, {})  # nothing is kept of who is gone
        for link in (honest, newcomer):
            await link.aclose()


@trio_test
async def test_an_oversized_message_is_named_before_it_is_sent() -> None:
    async with alice_and_bob() as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        async with await connect(bob.endpoint) as stream:
            proven = await shake_badly(stream)
            await stream.send_all(frame_of(proven, b"\x81\x80\x90\x01"))
            await bob.faults.wait_for("too-large")
            assert await read_to_end(stream) == b""
        assert await works(honest)
        await honest.aclose()


@trio_test
async def test_a_frame_that_was_changed_on_the_way_is_malformed() -> None:
    async with alice_and_bob() as (_, bob), await connect(bob.endpoint) as stream:
        proven = await shake_badly(stream)
        frame = bytearray(frame_of(proven, b"\x05hello"))
        frame[10] ^= 1
        await stream.send_all(frame)
        await bob.faults.wait_for("malformed")


@trio_test
async def test_a_message_cut_off_is_disconnected() -> None:
    async with alice_and_bob() as (_, bob), await connect(bob.endpoint) as stream:
        proven = await shake_badly(stream)
        await stream.send_all(frame_of(proven, b"\xff\x01hello")[:-3])
        await stream.send_eof()
        await bob.faults.wait_for("disconnected")


@trio_test
async def test_a_message_that_never_gets_whole_is_too_slow() -> None:
    async with alice_and_bob(SHORT) as (_, bob), await connect(bob.endpoint) as stream:
        proven = await shake_badly(stream)
        await stream.send_all(frame_of(proven, b"\xff\x01hello"))
        await bob.faults.wait_for("too-slow")


@trio_test
async def test_who_never_reads_is_too_slow_and_costs_bob_a_bounded_buffer() -> None:
    """Mallory makes Bob echo and never takes the answers: Bob stops reading her, then gives up on her."""
    async with alice_and_bob(SHORT) as (alice, bob):
        honest = await alice.dial(bob.endpoint)
        async with await connect(bob.endpoint) as stream, trio.open_nursery() as tasks:
            proven = await shake_badly(stream)

            taken = 0

            async def flood() -> None:
                nonlocal taken
                with suppress(trio.BrokenResourceError):
                    while True:
                        await stream.send_all(frame_of(proven, b"\x80\x80\x03" + bytes(3 * 16_384)))
                        taken += 3 * 16_384

            tasks.start_soon(flood)
            await bob.faults.wait_for("too-slow")
            assert taken < 32 * 1024 * 1024  # what both kernels buffer, both ways
            assert await works(honest)
            tasks.cancel_scope.cancel()
        await honest.aclose()


@trio_test
async def test_who_is_gone_before_it_is_accepted_ends_nothing() -> None:
    with soon():
        async with open_tcp(BOB, LOOPBACK) as bob, open_node(ALICE, ignore) as alice, trio.open_nursery() as tasks:
            bob.faults = faults = Faults()
            with socket.create_connection((bob.endpoint.host, bob.endpoint.port)) as gone:
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets it
            tasks.start_soon(bob.serve, echo)
            await faults.wait_for("disconnected")
            link = await alice.dial(bob.endpoint)
            assert await works(link)
            await link.aclose()
            tasks.cancel_scope.cancel()


@virtual_time
async def test_who_goes_on_after_our_goodbye_is_read_for_a_while_and_so_much_only() -> None:
    """Else it would keep its place among the connections for as long as it likes."""
    async with open_tcp(BOB, LOOPBACK) as bob:
        for says_bytes, waits_s in ((LINGER_BYTES_MAX - 1, LINGER_S), (2 * LINGER_BYTES_MAX, 0)):
            ours, theirs = memory_stream_pair()
            await theirs.send_all(bytes(says_bytes))
            begun = trio.current_time()
            await bob._linger(ours)  # type: ignore[arg-type]
            assert trio.current_time() - begun == pytest.approx(waits_s)
            assert await theirs.receive_some() == b""


@trio_test
async def test_connections_over_the_limit_are_closed() -> None:
    async with alice_and_bob(TcpLimits(connections_max=2)) as (alice, bob):
        first, second = await alice.dial(bob.endpoint), await alice.dial(bob.endpoint)
        assert await works(first) and await works(second)
        third = await alice.dial(bob.endpoint)
        with pytest.raises(Disconnected):
            await third.receive()
        assert bob.faults["too-large"] == 1
        await first.aclose()
        await bob.faults.wait_for("disconnected")
        fourth = await alice.dial(bob.endpoint)
        assert await works(second) and await works(fourth)
        for link in (second, third, fourth):
            await link.aclose()


@trio_test
async def test_one_public_host_gets_a_few_of_them_and_the_own_net_all() -> None:
    async with open_tcp(ALICE, LOOPBACK, limits=TcpLimits(connections_per_host_max=1)) as alice:
        public, private = Endpoint("8.8.8.8", 1), Endpoint("192.168.0.1", 1)
        with ExitStack() as seats:
            seats.enter_context(alice._seat(Endpoint("2606:4700::1", 1)))
            for host in ("2606:4700::2", "2606:4700:0:1::1"):  # a machine has as many of these as it likes
                with pytest.raises(TooLarge, match="one address"):
                    seats.enter_context(alice._seat(Endpoint(host, 1)))
            for endpoint in (private, private, public, Endpoint("2606:4700:1::1", 1)):
                seats.enter_context(alice._seat(endpoint))
            with pytest.raises(TooLarge, match="one address"):
                seats.enter_context(alice._seat(public))
        assert not alice._accepted


@trio_test
async def test_a_peers_fault_in_a_nursery_of_the_driver_ends_its_link_only() -> None:
    async def judge(link: Link) -> None:
        async with trio.open_nursery(), trio.open_nursery() as tasks:
            tasks.start_soon(trio.sleep_forever)
            if await link.receive() == b"nonsense":
                raise Malformed("nonsense")
            await link.send(b"fine")
            tasks.cancel_scope.cancel()

    with soon():
        async with open_node(ALICE, ignore) as alice, open_node(BOB, judge) as bob:
            for words in (b"nonsense", b"sense"):
                link = await alice.dial(bob.endpoint)
                await link.send(words)
                if words == b"nonsense":
                    await bob.faults.wait_for("malformed")
                else:
                    assert await link.receive() == b"fine"
                await link.aclose()


# --- the wire ---------------------------------------------------------------------------------------------------------


@trio_test
async def test_no_key_address_or_word_is_readable_on_the_wire() -> None:
    author = KeyPair.from_seed(secret("an author"))
    identity = secret("an identity hash")
    notice = b"[" + author.public + identity + spell(identity).encode() + b"]: hello from alice"
    with soon():
        async with open_node(ALICE, ignore) as alice, open_node(BOB, echo) as bob, tapped(bob.endpoint) as (tap, wire):
            link = await alice.dial(tap)
            await link.send(notice)
            assert await link.receive() == notice
            await link.aclose()
    readable = (author.public, ALICE.public, BOB.public, identity, spell(identity).encode(), b"hello from alice")
    for direction in wire:
        assert len(direction) > len(notice)
        for secret_bytes in readable:
            assert secret_bytes not in direction
            assert secret_bytes.hex().encode() not in direction


@asynccontextmanager
async def tapped(there: Endpoint) -> AsyncIterator[tuple[Endpoint, tuple[bytearray, bytearray]]]:
    """An endpoint that passes everything on to `there`, and what went each way."""
    wire = (bytearray(), bytearray())

    async def copy(source: trio.SocketStream, target: trio.SocketStream, heard: bytearray) -> None:
        async for data in source:
            heard += data
            await target.send_all(data)
        await target.send_eof()

    async def on_connection(dialed: trio.SocketStream) -> None:
        async with await connect(there) as onward, trio.open_nursery() as tasks:
            tasks.start_soon(copy, dialed, onward, wire[0])
            tasks.start_soon(copy, onward, dialed, wire[1])

    async with trio.open_nursery() as tasks:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        tasks.start_soon(trio.serve_listeners, on_connection, listeners)
        yield Endpoint(*listeners[0].socket.getsockname()), wire
        tasks.cancel_scope.cancel()
