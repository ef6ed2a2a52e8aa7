"""Links over TCP: one listening socket, dials, and limits on strangers."""

from __future__ import annotations

import logging
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from p2pblog.config import (
    CONNECTIONS_ACCEPTED_MAX,
    CONNECTIONS_PER_HOST_MAX,
    FRAME_TIMEOUT_S,
    HANDSHAKE_TIMEOUT_S,
    HANDSHAKES_MAX,
    HANDSHAKES_PER_BLOCK_MAX,
    LINGER_S,
    NETWORK_ID,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.core.value import Value
from p2pblog.errors import Disconnected, RemoteProtocolError, TooLarge, TooSlow
from p2pblog.transport import Accept
from p2pblog.transport.handshake import make_credentials
from p2pblog.transport.link import RECEIVE_BYTES, StreamLink, shake_hands
from p2pblog.transport.lobby import Lobby

BACKLOG = 128
"""Connections that the kernel holds for us until we accept them."""
LINGER_BYTES_MAX = 256 * 1024
"""Read and dropped from a peer that goes on talking after we said goodbye."""

log = logging.getLogger("p2pblog.transport")


class TcpLimits(Value):
    """The limits of config.py, so that a test may ask for smaller ones."""

    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    frame_timeout_s: float = FRAME_TIMEOUT_S
    linger_s: float = LINGER_S
    handshakes_max: int = HANDSHAKES_MAX
    handshakes_per_block_max: int = HANDSHAKES_PER_BLOCK_MAX
    connections_max: int = CONNECTIONS_ACCEPTED_MAX
    connections_per_host_max: int = CONNECTIONS_PER_HOST_MAX


def bind_tcp(listen: Endpoint) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one; `::` takes IPv4 too. Raises OSError, as for a port in use."""
    sock = socket.socket(_family(listen), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listen.host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((listen.host, listen.port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def open_tcp(
    node: KeyPair,
    listen: Endpoint | socket.socket,
    *,
    network_id: bytes = NETWORK_ID,
    limits: TcpLimits | None = None,
) -> AsyncIterator[TcpTransport]:
    """A transport that listens already (connections wait until `serve`), on an endpoint or on a bound socket.

    The socket is closed at the end. Raises OSError if the endpoint can't be bound.
    """
    sock = bind_tcp(listen) if isinstance(listen, Endpoint) else listen
    sock.listen(BACKLOG)
    async with trio.SocketListener(trio.socket.from_stdlib_socket(sock)) as listener:
        yield TcpTransport(node, listener, network_id, limits or TcpLimits())


class TcpTransport:
    """A transport.Transport over TCP and Noise; made by `open_tcp`."""

    def __init__(self, node: KeyPair, listener: trio.SocketListener, network_id: bytes, limits: TcpLimits) -> None:
        self._listener = listener
        self._network_id = network_id
        self._limits = limits
        # A fresh Noise key for each run: nothing on disk can open what was said on the wire.
        self._credentials = make_credentials(node, secrets.token_bytes(32))
        self._lobby = Lobby(limits.handshakes_max, limits.handshakes_per_block_max)
        self._shaking: dict[int, trio.CancelScope] = {}  # ticket in the lobby -> its handshake
        self._accepted: Counter[str | bytes] = Counter()  # host or IPv6 block -> proven inbound connections
        self.faults: Counter[str] = Counter()
        """Name of the error -> inbound connections that it ended."""
        self.endpoint = _endpoint(listener.socket.getsockname())
        """Where it listens: the bound address and port."""

    async def dial(self, endpoint: Endpoint) -> StreamLink:
        """A proven link, connected and shaken within one HANDSHAKE_TIMEOUT_S.

        Raises Disconnected, BadHandshake or TooSlow.
        """
        try:
            with trio.fail_after(self._limits.handshake_timeout_s):
                return await self._dial(endpoint)
        except trio.TooSlowError:
            raise TooSlow(f"no handshake with {endpoint} within {self._limits.handshake_timeout_s:g} s") from None

    async def _dial(self, endpoint: Endpoint) -> StreamLink:
        stream = await _connect(endpoint)
        try:
            return await self._shake_hands(stream, endpoint, dialed=True)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    async def serve(self, accept: Accept) -> None:
        """Accept links until cancelled. A peer's fault ends its own connection only and is counted in `faults`."""

        async def on_connection(stream: trio.SocketStream) -> None:
            try:
                await self._on_connection(stream, accept)
            except* RemoteProtocolError as faults:
                for fault in _leaves(faults):
                    self.faults[fault.name] += 1
                    log.debug("inbound connection ended: %s: %s", fault.name, fault)
            finally:
                await trio.aclose_forcefully(stream)

        # It waits and goes on where accepting fails for want of file descriptors or memory.
        await trio.serve_listeners(on_connection, [self._listener])

    async def _on_connection(self, stream: trio.SocketStream, accept: Accept) -> None:
        try:
            endpoint = _endpoint(stream.socket.getpeername())
        except OSError as error:
            raise Disconnected("gone before it was accepted") from error
        link = await self._prove(stream, endpoint)
        with self._seat(endpoint):
            await accept(link)
            await self._linger(stream)

    async def _prove(self, stream: trio.SocketStream, endpoint: Endpoint) -> StreamLink:
        ticket, gone = self._lobby.enter(endpoint.block)
        if gone is not None and gone in self._shaking:
            self._shaking[gone].cancel()
        try:
            with trio.move_on_after(self._limits.handshake_timeout_s) as self._shaking[ticket]:
                return await self._shake_hands(stream, endpoint, dialed=False)
        finally:
            del self._shaking[ticket]
            self._lobby.leave(ticket)
        raise TooSlow("no handshake in time, or too many at once")

    async def _shake_hands(self, stream: trio.SocketStream, endpoint: Endpoint, *, dialed: bool) -> StreamLink:
        return await shake_hands(
            stream,
            self._credentials,
            endpoint,
            dialed=dialed,
            network_id=self._network_id,
            frame_timeout_s=self._limits.frame_timeout_s,
        )

    @contextmanager
    def _seat(self, endpoint: Endpoint) -> Iterator[None]:
        host = endpoint.host if "." in endpoint.host else endpoint.block  # one machine has a whole net of IPv6
        if self._accepted.total() >= self._limits.connections_max:
            raise TooLarge("too many connections")
        if endpoint.is_public and self._accepted[host] >= self._limits.connections_per_host_max:
            raise TooLarge("too many connections from one address")
        self._accepted[host] += 1
        try:
            yield
        finally:
            self._accepted[host] -= 1
            if not self._accepted[host]:
                del self._accepted[host]

    async def _linger(self, stream: trio.SocketStream) -> None:
        """Closing a socket with unread bytes resets it, which may cost the peer our last message (RFC 1122, 4.2.2.13):
        say that we are done and read until the peer closes too."""
        left = LINGER_BYTES_MAX
        with trio.move_on_after(self._limits.linger_s):
            try:
                await stream.send_eof()
                while left > 0 and (data := await stream.receive_some(RECEIVE_BYTES)):
                    left -= len(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass


async def _connect(endpoint: Endpoint) -> trio.SocketStream:
    try:
        sock = trio.socket.socket(_family(endpoint), socket.SOCK_STREAM)
    except OSError as error:
        raise Disconnected(f"no socket: {error.strerror}") from error
    try:
        await sock.connect((endpoint.host, endpoint.port))
    except OSError as error:
        sock.close()
        raise Disconnected(f"no connection to {endpoint}: {error.strerror}") from error
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def _family(endpoint: Endpoint) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET


def _endpoint(name: tuple[str, int] | tuple[str, int, int, int]) -> Endpoint:
    host = name[0].partition("%")[0]  # a link-local address names its interface
    return Endpoint.of(host, name[1])


def _leaves(group: BaseExceptionGroup[RemoteProtocolError]) -> Iterator[RemoteProtocolError]:
    for fault in group.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from _leaves(fault)
        else:
            yield fault
