"""One HTTP request and its answer on a client's stream, which ends with the answer. What HTTP/1.1 allows, h11 knows."""

from __future__ import annotations

from contextlib import suppress

import h11
import trio

from p2pblog.errors import UsageError, UserError

PART_BYTES = 64 * 1024
LINGER_S = 1.0
"""How long a client may go on sending what is not wanted: cut off, it would not read why."""


class Gone(Exception):
    """The client closed the stream, or stopped reading."""


class BadRequest(Exception):
    """What never gets to a command: answer it with this HTTP status."""

    def __init__(self, status: int, error: UserError) -> None:
        super().__init__(status, error.sentence)
        self.status, self.error = status, error


class Exchange:
    """The daemon's end of one exchange: ask for the request, then for its body, then answer once."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, write_timeout_s: float) -> None:
        self._stream = stream
        self._write_timeout_s = write_timeout_s
        self._http = h11.Connection(h11.SERVER)
        self._takes_body = True

    async def request(self) -> tuple[str, str]:
        """Its method and path. Raises Gone or BadRequest."""
        event = await self._next()
        if not isinstance(event, h11.Request):
            raise Gone
        self._takes_body = event.method != b"HEAD"
        return event.method.decode("ascii"), event.target.partition(b"?")[0].decode("ascii")

    async def body(self, bytes_max: int) -> bytes | None:
        """All of the body; None as soon as it is over `bytes_max`. Raises Gone or BadRequest."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        data = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            data += event.data
            if len(data) > bytes_max:
                return None
        return bytes(data)

    async def answer(self, status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None) -> None:
        """The whole answer, and the end of the stream. Raises Gone."""
        await self.begin(status, media_type, {"content-length": str(len(body)), **(headers or {})})
        if self._takes_body:
            await self.say(body)
        await self.end()

    async def begin(self, status: int, media_type: str, headers: dict[str, str] | None = None) -> None:
        """The head of an answer of any length; `say` its pieces, then `end` it. Raises Gone."""
        # Kept open for another request, a stream would take a place even when its client has long gone.
        fields = {"content-type": media_type, "connection": "close", **(headers or {})}
        await self._send(h11.Response(status_code=status, headers=list(fields.items())))

    async def say(self, data: bytes) -> None:
        """Raises Gone."""
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """Raises Gone."""
        await self._send(h11.EndOfMessage())
        if self._http.their_state in (h11.IDLE, h11.SEND_BODY, h11.ERROR):
            with trio.move_on_after(LINGER_S), suppress(trio.BrokenResourceError):
                await self._stream.send_eof()
                await self.until_gone()

    async def until_gone(self) -> None:
        """Wait until the client closes its side, whatever it says until then."""
        with suppress(trio.BrokenResourceError):
            while await self._stream.receive_some(PART_BYTES):
                pass

    async def _next(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some(PART_BYTES)))
        except trio.BrokenResourceError as error:
            raise Gone from error
        except h11.RemoteProtocolError as error:
            raise BadRequest(error.error_status_hint, UsageError("the request is not HTTP")) from error
        assert not isinstance(event, type), "one request a stream: h11 has nothing to pause for"
        return event

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        try:
            with trio.fail_after(self._write_timeout_s):
                await self._stream.send_all(data or b"")
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            raise Gone from error
