"""Links between nodes: whole messages over a proven, encrypted connection; TCP with Noise, and an in-memory twin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
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

    @property
    def bytes_under_way(self) -> int:
        """How many of `bytes_out` the other end's system has yet to acknowledge, as far as ours tells, else 0."""

    async def send(self, message: bytes) -> None:
        """Send one message of 1 to MESSAGE_BYTES_MAX bytes; it goes out whole, whichever tasks send beside it.

        Returns once the network took it, so a peer that does not read holds up who sends. Raises Disconnected, or
        TooSlow after FRAME_TIMEOUT_S in which it took nothing. After an error or a cancelled send the link is dead.
        """

    async def send_many(self, messages: Iterable[bytes]) -> None:
        """Send messages together, in fewer frames and system calls; else as `send`."""

    async def receive(self) -> bytes:
        """The next message. Raises Disconnected at the end, or the named error that the peer's bytes earned.

        One task at a time; nothing is lost when it is cancelled.
        """

    async def aclose(self) -> None:
        """End it; safe to call twice and from another task."""


Accept = Callable[[Link], Awaitable[None]]
"""Called in a task of its own for each proven inbound link; the link is closed when it returns."""


class Transport(Protocol):
    """Where links come from."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""

    async def dial(self, endpoint: Endpoint) -> Link:
        """A proven link. Raises Disconnected, BadHandshake or TooSlow."""

    async def serve(self, accept: Accept) -> None:
        """Accept links until cancelled. A peer's fault ends its own connection only."""
