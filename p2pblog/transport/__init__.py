"""Links between nodes: whole messages over a proven, encrypted connection; TCP with Noise, and an in-memory twin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey


class Link(Protocol):
    """One open connection to a node that proved its key."""

    @property
    def peer(self) -> NodeKey: ...

    @property
    def endpoint(self) -> Endpoint:
        """The other end of the connection: where we dialed, or where they dialed from (not where they listen)."""

    @property
    def dialed(self) -> bool:
        """Whether this side opened it."""

    @property
    def binding(self) -> bytes:
        """32 bytes that only the two ends of this one connection know (the Noise handshake hash)."""

    @property
    def bytes_in(self) -> int: ...

    @property
    def bytes_out(self) -> int:
        """Bytes on the socket, handshake and framing included."""

    async def send(self, message: bytes) -> None:
        """Send one message of at most MESSAGE_BYTES_MAX. Raises Disconnected. One task at a time."""

    async def receive(self) -> bytes:
        """The next message. Raises Disconnected at a clean end, or the named error that the peer's bytes earned."""

    async def aclose(self) -> None:
        """End it; safe to call twice and from another task."""


Accept = Callable[[Link], Awaitable[None]]
"""Called in a task of its own for each proven inbound link; the link is closed when it returns."""


class Transport(Protocol):
    """Where links come from."""

    async def dial(self, endpoint: Endpoint) -> Link:
        """A proven link. Raises Disconnected, BadHandshake or TooSlow."""

    async def serve(self, accept: Accept) -> None:
        """Accept links until cancelled. A peer's fault ends its own connection only."""
