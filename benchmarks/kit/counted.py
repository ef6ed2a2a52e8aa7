"""A forwarder between two sockets that counts what passes: the bytes of a link as the network sees them, above TCP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from p2pblog.core.address import Endpoint

CHUNK_BYTES = 65_536


@dataclass(slots=True)
class Counted:
    """`endpoint`: dial it to reach the one behind it. Bytes of all connections so far, by direction."""

    endpoint: Endpoint
    behind: Endpoint
    to_dialer: int = 0
    from_dialer: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def total(self) -> int:
        return self.to_dialer + self.from_dialer

    async def _serve(self, near: trio.SocketStream) -> None:
        far = await trio.open_tcp_stream(self.behind.host, self.behind.port)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, near, far, False, nursery.cancel_scope)
            nursery.start_soon(self._pass_on, far, near, True, nursery.cancel_scope)

    async def _pass_on(
        self, source: trio.SocketStream, sink: trio.SocketStream, to_dialer: bool, ended: trio.CancelScope
    ) -> None:
        try:
            while data := await source.receive_some(CHUNK_BYTES):
                if to_dialer:
                    self.to_dialer += len(data)
                else:
                    self.from_dialer += len(data)
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        ended.cancel()


@asynccontextmanager
async def counting(behind: Endpoint) -> AsyncIterator[Counted]:
    """A forwarder to `behind`, for the length of the block."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        host, port = listener.socket.getsockname()
        counted = Counted(Endpoint(host, port), behind)
        nursery.start_soon(trio.serve_listeners, counted._serve, [listener])
        yield counted
        nursery.cancel_scope.cancel()
