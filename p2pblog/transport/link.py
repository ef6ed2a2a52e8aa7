"""A proven link over any byte stream: the handshake, then whole messages both ways."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

import trio

from p2pblog.config import FRAME_TIMEOUT_S, MESSAGE_BYTES_MAX, NETWORK_ID
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.errors import Disconnected, RemoteProtocolError, TooSlow
from p2pblog.transport import at_once
from p2pblog.transport.framing import PLAIN_BYTES_MAX, FrameReader, FrameWriter
from p2pblog.transport.handshake import Credentials, Handshake, Proven, Step

RECEIVE_BYTES = 65_536
"""Taken from the stream at once: one full frame."""


class StreamLink:
    """A transport.Link over a stream whose handshake is done."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        proven: Proven,
        endpoint: Endpoint,
        *,
        dialed: bool,
        frame_timeout_s: float = FRAME_TIMEOUT_S,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        self._stream = stream
        self._proven = proven
        self._endpoint = endpoint
        self._dialed = dialed
        self._frame_timeout_s = frame_timeout_s
        self._writer = FrameWriter(proven.sender, message_bytes_max)
        self._reader = FrameReader(proven.receiver, message_bytes_max)
        self._inbox: deque[bytes] = deque()
        self._sending = trio.Lock()
        self._cut_short = False  # a send ended between two frames: the peer could not make sense of what follows
        self._waited_s = 0.0  # for the message that is coming
        self.bytes_in = 0
        self.bytes_out = 0
        if proven.rest:
            with suppress(RemoteProtocolError):  # the reader keeps it for the first `receive`
                self._take(proven.rest)

    @property
    def peer(self) -> NodeKey:
        return self._proven.peer

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    @property
    def dialed(self) -> bool:
        return self._dialed

    @property
    def binding(self) -> bytes:
        return self._proven.binding

    @property
    def bytes_under_way(self) -> int:
        return at_once.unacknowledged(self._stream)

    async def send(self, message: bytes) -> None:
        """Send one message. Raises Disconnected, or TooSlow if the peer does not take a frame in time.

        After TooSlow, or if it was cancelled halfway, the link is of no more use.
        """
        await self.send_many((message,))

    async def send_many(self, messages: Iterable[bytes]) -> None:
        """Send messages in as few frames as can be: cheaper than one by one, and as `send` otherwise."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._sending.acquire_nowait()  # mostly free; `async with` would let everybody else run first
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            if self._cut_short:
                raise Disconnected("an earlier message could not be sent whole")
            self._cut_short = True
            for frame in self._writer.frames(messages):
                await self._send_frame(frame)
            self._cut_short = False
        finally:
            self._sending.release()

    async def _send_frame(self, frame: bytes) -> None:
        try:
            taken = await at_once.write(self._stream, frame)
            self.bytes_out += taken
            if taken < len(frame):
                await self._send_slowly(frame[taken:])
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected("the link is closed") from error
        await trio.lowlevel.cancel_shielded_checkpoint()  # once all is counted, or more is under way than has gone

    async def _send_slowly(self, rest: bytes) -> None:
        """Counted piece by piece: that more has gone shows that the peer lives."""
        scope = trio.CancelScope(deadline=trio.current_time() + self._frame_timeout_s)
        with scope:
            while rest:
                taken = await at_once.write_some(self._stream, rest)
                self.bytes_out += taken
                rest = rest[taken:]
        if scope.cancelled_caught:
            await self.aclose()
            raise TooSlow(f"the peer took no frame within {self._frame_timeout_s:g} s")

    async def receive(self) -> bytes:
        """The next message. Raises Disconnected at the end, TooLarge, Malformed, or TooSlow if one never gets whole.

        One task at a time; nothing is lost if it is cancelled. The messages before a fault come first.
        """
        if self._inbox or self._reader.fault:
            await trio.lowlevel.checkpoint()  # nothing else lets others run here
        while not self._inbox:
            self._take(b"" if self._reader.fault else await self._receive_some())
        return self._inbox.popleft()

    def _take(self, data: bytes) -> None:
        messages = self._reader.feed(data)
        if messages:
            self._inbox.extend(messages)
            self._waited_s = 0.0

    async def _receive_some(self) -> bytes:
        if not self._reader.pending:
            return await self._receive_raw()
        allowed_s = self._frame_timeout_s * (1 + self._reader.pending // PLAIN_BYTES_MAX)
        started = trio.current_time()
        try:
            with trio.fail_after(max(0.0, allowed_s - self._waited_s)):
                return await self._receive_raw()
        except trio.TooSlowError:
            raise TooSlow(f"a message was not whole within {allowed_s:g} s") from None
        finally:
            self._waited_s += trio.current_time() - started

    async def _receive_raw(self) -> bytes:
        try:
            data = await at_once.read(self._stream, RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected("the link is closed") from error
        self.bytes_in += len(data)
        return data

    async def aclose(self) -> None:
        """End it at once; what the peer has not taken yet may be lost."""
        await trio.aclose_forcefully(self._stream)


async def shake_hands(
    stream: trio.abc.Stream,
    credentials: Credentials,
    endpoint: Endpoint,
    *,
    dialed: bool,
    network_id: bytes = NETWORK_ID,
    frame_timeout_s: float = FRAME_TIMEOUT_S,
) -> StreamLink:
    """A link over `stream`. The caller sets the time limit, and closes the stream if this raises.

    Raises BadHandshake or Disconnected.
    """
    handshake = Handshake(credentials, secrets.token_bytes(32), dialed=dialed, network_id=network_id)
    bytes_in = bytes_out = 0
    step = Step(send=handshake.start())
    try:
        while True:
            await stream.send_all(step.send)
            bytes_out += len(step.send)
            if step.proven is not None:
                break
            data = bytes(await stream.receive_some(RECEIVE_BYTES))
            bytes_in += len(data)
            step = handshake.feed(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise Disconnected("the connection broke within the handshake") from error
    link = StreamLink(stream, step.proven, endpoint, dialed=dialed, frame_timeout_s=frame_timeout_s)
    link.bytes_in, link.bytes_out = bytes_in, bytes_out
    return link
