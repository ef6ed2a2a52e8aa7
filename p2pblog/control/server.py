"""Answers the command line: HTTP on a Unix socket that only its owner can reach, one route a use case.

A person's mistake travels as a sentence with its exit code. A bug of ours becomes a clean answer and a line in the log;
neither ends the daemon. Connections, live timelines, request bytes and the time a reader may stall are bounded.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from p2pblog import __version__
from p2pblog.config import (
    CONTROL_BODY_BYTES_MAX,
    CONTROL_BODY_TIMEOUT_S,
    CONTROL_CONNECTIONS_MAX,
    CONTROL_RUN_BYTES_MAX,
    CONTROL_WATCHES_MAX,
    CONTROL_WRITE_TIMEOUT_S,
    SEQ_MAX,
    TIME_MS_MAX,
    TIMELINE_ROWS_MAX,
    VOTE_CHOICE_MAX,
    Home,
)
from p2pblog.control.api import ErrorDocument, NodeApi, NoticeDocument, told
from p2pblog.control.routes import REQUIRED, ROUTES, Argument
from p2pblog.control.words import check_utf8
from p2pblog.errors import TimedOut, UsageError, UserError
from p2pblog.keyring import make_private, reason

logger = logging.getLogger("p2pblog.control")

STATUSES = {1: 409, 2: 400, 3: 503, 4: 404, 5: 403, 6: 504}
"""Exit code -> the HTTP status that comes closest."""


async def serve_control(
    home: Home, api: NodeApi, *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer commands on the home's socket until cancelled, then take the socket away.

    Reports the socket's path as started, once commands are answered. Raises UserError if the socket can't be had.
    """
    path = home.control
    listener = _listen(home, path)
    mark = _inode(path)
    connections = _Connections(control_app(api))
    try:
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(
                    partial(trio.serve_listeners, connections.serve, [listener], handler_nursery=nursery)
                )
                task_status.started(path)
                await trio.sleep_forever()
            finally:
                connections.abort()
    finally:
        listener.socket.close()
        if _inode(path) == mark:  # not the socket of a daemon that came after us
            with suppress(OSError):
                path.unlink()


# --- routes -----------------------------------------------------------------------------------------------------------


def control_app(api: NodeApi) -> Starlette:
    """The routes over one node, as an ASGI application."""
    watches = _Watches(api)
    routes = [Route(f"/{name}", _handler(name, api, watches), methods=["POST"]) for name in ROUTES]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_route})


def _handler(name: str, api: NodeApi, watches: _Watches) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            arguments = _arguments(name, await _body(request, _bytes_max(name)))
            if name == "watch":
                return watches.open(**arguments)
            return _answer(200, await getattr(api, name)(**arguments))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            return _refusal(error, name)

    return handle


async def _no_such_route(request: Request, error: Exception) -> Response:
    refusal = UserError(f"this daemon (p2pblog {__version__}) does not know that command: stop it and start it anew")
    return _answer(error.status_code if isinstance(error, HTTPException) else 404, error_document(refusal))


def _bytes_max(route: str) -> int:
    return CONTROL_RUN_BYTES_MAX if Argument.RUN in ROUTES[route].values() else CONTROL_BODY_BYTES_MAX


async def _body(request: Request, bytes_max: int) -> bytes:
    data = bytearray()
    with _limit("the request did not arrive in time"):
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > bytes_max:
                    raise UsageError(f"a request of over {bytes_max:,} bytes")
    return bytes(data)


@contextmanager
def _limit(sentence: str) -> Iterator[None]:
    try:
        with trio.fail_after(CONTROL_BODY_TIMEOUT_S):
            yield
    except trio.TooSlowError as error:
        raise TimedOut(sentence) from error


def _arguments(route: str, body: bytes) -> dict[str, Any]:
    """The arguments of a route, each checked for its kind; absent ones are left to the method's own default."""
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error
    if not isinstance(given, dict):
        raise UsageError("the request is not a JSON object")
    kinds = ROUTES[route]
    if unknown := sorted(set(given) - set(kinds)):
        raise UsageError(f"{route} takes no {unknown[0][:40]!a}")
    checked = {name: _argument(name, kind, given.get(name)) for name, kind in kinds.items()}
    return {name: value for name, value in checked.items() if value is not None}


NUMBERS_MAX = {Argument.ROWS: TIMELINE_ROWS_MAX, Argument.CHOICE: VOTE_CHOICE_MAX}


def _argument(name: str, kind: Argument, value: Any) -> str | int | list[str] | None:
    if value is None and kind not in REQUIRED:
        return None
    if kind in NUMBERS_MAX:
        if type(value) is int and 1 <= value <= NUMBERS_MAX[kind]:
            return value
    elif kind is Argument.NUMBER:
        if type(value) is int and 0 <= value <= SEQ_MAX:
            return value
    elif kind is Argument.TIME:
        if type(value) is int and 0 <= value <= TIME_MS_MAX:
            return value
    elif kind is Argument.FILES:
        if isinstance(value, list) and all(_is_file(each) for each in value):
            return value
    elif kind is Argument.YES_OR_NO:
        if isinstance(value, bool):
            return value
    elif kind in (Argument.TEXTS, Argument.OPTIONAL_TEXTS):
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return [check_utf8(text, f"the {name}") for text in value]
    elif isinstance(value, str):
        return check_utf8(value, f"the {name}")
    raise UsageError(f"{name} must be {kind.value}")


def _is_file(value: Any) -> bool:
    """Whether this has the form of a `FileArgument`. Raises UsageError for text that is not UTF-8."""
    if not isinstance(value, dict) or not isinstance(value.get("upload"), str):
        return False
    if not set(value) <= {"upload", "name", "alt", "thumb"} or not all(
        isinstance(each, str) for each in value.values()
    ):
        return False
    return all(check_utf8(each, f"the {name} of a file") is not None for name, each in value.items())


# --- answers ----------------------------------------------------------------------------------------------------------


def error_document(error: UserError) -> ErrorDocument:
    """A UserError as it travels."""
    return {"error": error.sentence, "hint": error.hint, "exit_code": error.exit_code}


def _refusal(error: Exception, route: str) -> Response:
    refused = told(error)
    if refused is None:
        logger.error("internal error in %s", route, exc_info=error)
        return _answer(500, error_document(_internal()))
    return _answer(STATUSES[refused.exit_code], error_document(refused))


def _internal() -> UserError:
    return UserError("internal error: the daemon's log says more")


def _answer(status: int, document: Any) -> Response:
    # One answer a connection: hypercorn would hold a kept one for its idle time even when the client has long gone.
    return Response(_encode(document), status, {"connection": "close"}, media_type="application/json")


def _encode(document: Any) -> bytes:
    """ASCII only: what is in a notice can't reach a terminal raw, whoever reads the socket."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")


# --- live timelines ---------------------------------------------------------------------------------------------------


WATCH_LINES_MAX = 64
"""Lines of a live timeline that share a flush: some 30 kB."""


class _Watches:
    """Hands out live timelines, so many at a time."""

    def __init__(self, api: NodeApi) -> None:
        self._api = api
        self._open = 0

    def open(self, **asked: str) -> Response:
        """A response that streams. Raises UserError over the limit."""
        if self._open >= CONTROL_WATCHES_MAX:
            raise UserError(f"{CONTROL_WATCHES_MAX} live timelines are open already: end one first")
        return _Watch(self._api.watch(**asked), self._counted)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class _Watch(Response):
    """Notices as lines of JSON, until the reader goes: at once, and several in one flush where several wait."""

    def __init__(
        self, notices: AsyncIterator[NoticeDocument], counted: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(media_type="application/x-ndjson")
        del self.headers["content-length"]
        self._notices, self._counted = notices, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outgoing, incoming = trio.open_memory_channel[Any](WATCH_LINES_MAX)
        with self._counted():
            async with incoming, trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                # Headers follow the first step of the iterator, which listens then: see NodeApi.watch.
                await nursery.start(self._pump, outgoing)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                async for document in incoming:
                    lines = b"".join(_encode(each) + b"\n" for each in (document, *_waiting(incoming)))
                    await send({"type": "http.response.body", "body": lines, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                nursery.cancel_scope.cancel()

    async def _pump(
        self, outgoing: trio.MemorySendChannel[Any], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with outgoing:
            try:
                task_status.started()
                async for notice in self._notices:
                    await outgoing.send(notice)
            except Exception as error:
                refused = told(error)
                if refused is None:
                    logger.error("internal error in watch", exc_info=error)
                await outgoing.send(error_document(refused or _internal()))
            finally:
                if isinstance(self._notices, AsyncGenerator):
                    with trio.move_on_after(1, shield=True):
                        await self._notices.aclose()


def _waiting(incoming: trio.MemoryReceiveChannel[Any]) -> Iterator[Any]:
    """What waits already."""
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while True:
            yield incoming.receive_nowait()


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


# --- connections ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Patience:
    """A client's stream, with an end to waiting for one that does not read: hypercorn shields its writes."""

    stream: trio.SocketStream

    @property
    def socket(self) -> trio.socket.SocketType:
        return self.stream.socket

    async def send_all(self, data: bytes) -> None:
        try:
            with trio.fail_after(CONTROL_WRITE_TIMEOUT_S):
                await self.stream.send_all(data)
        except trio.TooSlowError as error:
            raise trio.BrokenResourceError("the client stopped reading") from error

    async def receive_some(self, bytes_max: int) -> bytes:
        return bytes(await self.stream.receive_some(bytes_max))

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


@dataclass
class _Connections:
    """The clients of the moment, each served by hypercorn's trio worker."""

    app: Starlette
    open: set[_Patience] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._config = Config()
        self._config.accesslog = None
        self._config.errorlog = logger
        self._config.include_server_header = False
        self._app = wrap_app(self.app, CONTROL_BODY_BYTES_MAX, "asgi")  # type: ignore[arg-type]
        self._context = WorkerContext(None)

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, to its end. Never raises: a bug here ends this connection only."""
        if len(self.open) >= CONTROL_CONNECTIONS_MAX:
            await _turn_away(stream)
            return
        patient = _Patience(stream)
        self.open.add(patient)
        try:
            await TCPServer(self._app, self._config, self._context, ConnectionState({}), patient)  # type: ignore[arg-type]
        except Exception:
            logger.exception("internal error on a control connection")
        finally:
            self.open.discard(patient)

    def abort(self) -> None:
        """Close every connection at once: writes are shielded, so cancelling alone would wait for stalled readers."""
        for patient in self.open:
            patient.socket.close()


async def _turn_away(stream: trio.SocketStream) -> None:
    body = _encode(error_document(UserError("the daemon is busy with other commands: try again")))
    head = f"HTTP/1.1 503 Busy\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with trio.move_on_after(1), suppress(trio.BrokenResourceError):
        async with stream:
            await stream.send_all(head.encode() + body)
            await stream.send_eof()
            # Closing on what it still sends would break the connection before it has read why.
            while await stream.receive_some(CONTROL_BODY_BYTES_MAX):
                pass


# --- the socket -------------------------------------------------------------------------------------------------------


def _listen(home: Home, path: Path) -> trio.SocketListener:
    """A listening socket (0600) in a folder that only we can enter (0700), in place of one left by a crash."""
    make_private(home.folder)
    if path.parent != home.folder:
        _make_own(path.parent)
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        path.chmod(0o600)  # until here the folder kept others out
        listening.listen(CONTROL_CONNECTIONS_MAX)
    except OSError as error:
        listening.close()
        raise UserError(f"the control socket {path} cannot be made: {reason(error)}") from error
    return trio.SocketListener(trio.socket.from_stdlib_socket(listening))


def _make_own(folder: Path) -> None:
    """The folder for sockets in the shared /tmp: not a link, and not one that somebody else made first."""
    with suppress(FileNotFoundError):
        _check_own(folder)
    make_private(folder)
    _check_own(folder)


def _check_own(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else, so no control socket can be made in it")


def _clear(path: Path) -> None:
    """Take away a socket that nobody listens on. Raises UserError for one that somebody does, or for another thing."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UserError(f"{path} is in the way of the control socket: take it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:  # BlockingIOError: somebody listens and is busy
            logger.info("the control socket %s answers a connection with: %s", path, reason(error))
    raise UserError(f"another daemon answers on {path}", "p2pblog status")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
