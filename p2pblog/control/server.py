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
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from p2pblog import __version__
from p2pblog.config import (
    CONTROL_BODY_BYTES_MAX,
    CONTROL_BODY_TIMEOUT_S,
    CONTROL_CONNECTIONS_MAX,
    CONTROL_RUN_BYTES_MAX,
    CONTROL_WATCHES_MAX,
    CONTROL_WRITE_TIMEOUT_S,
    CONTROL_WRITES,
    SEQ_MAX,
    TIME_MS_MAX,
    TIMELINE_ROWS_MAX,
    VOTE_CHOICE_MAX,
)
from p2pblog.control.api import ErrorDocument, NodeApi, as_user_error
from p2pblog.control.documents import NoticeDocument
from p2pblog.control.exchange import LINGER_S, BadRequest, Exchange, Gone
from p2pblog.control.routes import REQUIRED, ROUTES, Argument
from p2pblog.control.words import check_utf8
from p2pblog.core.value import State, field
from p2pblog.disk import reason
from p2pblog.errors import TimedOut, UsageError, UserError
from p2pblog.home import Home
from p2pblog.keyring import make_private

log = logging.getLogger("p2pblog.control")

STATUSES = {1: 409, 2: 400, 3: 503, 4: 404, 5: 403, 6: 504}
"""Exit code -> the HTTP status that comes closest."""
DEAF_CHECK_S = 1.0
"""How often it is looked whether who has said all can still hear."""


async def serve_control(
    home: Home, api: NodeApi, *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer commands on the home's socket until cancelled, then take the socket away.

    Reports the socket's path as started, once commands are answered. Raises UserError if the socket can't be had.
    """
    path = home.new_control()
    listener = _listen(home, path)
    mark = _inode(path)
    connections = _Connections(api)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, connections.serve, [listener], handler_nursery=nursery))
            task_status.started(path)
            await trio.sleep_forever()
    finally:
        listener.socket.close()
        if _inode(path) == mark:  # not the socket of a daemon that came after us
            with suppress(OSError):
                path.unlink()


# --- routes -----------------------------------------------------------------------------------------------------------


class _Places(State):
    """So many at a time."""

    most: int
    taken: int = 0

    @property
    def are_full(self) -> bool:
        return self.taken >= self.most

    @contextmanager
    def one(self) -> Iterator[None]:
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class _Connections(State):
    """The clients of the moment, each with one request over one node."""

    api: NodeApi
    places: _Places = field(default_factory=lambda: _Places(CONTROL_CONNECTIONS_MAX))
    watches: _Places = field(default_factory=lambda: _Places(CONTROL_WATCHES_MAX))

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, to its end. Never raises: a bug here ends this connection only."""
        exchange = Exchange(stream, CONTROL_WRITE_TIMEOUT_S)
        try:
            if self.places.are_full:
                await _turn_away(exchange)
            else:
                with self.places.one():
                    await self._answer(exchange, stream)
        except Gone:
            pass
        except Exception:
            log.exception("internal error on a control connection")

    async def _answer(self, exchange: Exchange, stream: trio.SocketStream) -> None:
        route = "a request"
        try:
            with _limit("the request did not arrive in time"):
                route, body = await _request(exchange)
            arguments = _arguments(route, body)
            if route == "watch":
                await self._watch(exchange, stream, arguments)
                return
            asked = partial(getattr(self.api, route), **arguments)
            is_writing = route in CONTROL_WRITES
            status, document = 200, await (_while_wanted(asked, exchange, stream) if is_writing else asked())
        except Gone:
            raise
        except Exception as error:
            status, document = _refusal(error, route)
        await _say(exchange, status, document)

    async def _watch(self, exchange: Exchange, stream: trio.SocketStream, asked: dict[str, Any]) -> None:
        if self.watches.are_full:
            raise UserError(f"{CONTROL_WATCHES_MAX} live timelines are open already: end one first")
        with self.watches.one():
            await _stream(exchange, stream, self.api.watch(**asked))


async def _while_wanted(asked: Callable[[], Awaitable[Any]], exchange: Exchange, stream: trio.SocketStream) -> Any:
    """The answer of a use case that signs an entry. It is given up where the client goes before that has begun: the
    person will ask again. From there on `Author` carries it through. Raises Gone, or in a group what `asked` does."""
    # A client may be gone before the node gets to its request, as after a stop of the whole process; what watches for
    # that below would learn it only after `asked` has begun.
    if not await _is_heard(stream):
        raise Gone
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_deaf, exchange, stream, nursery.cancel_scope)
        answer = await asked()
        nursery.cancel_scope.cancel()
        return answer
    raise Gone


async def _until_deaf(exchange: Exchange, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Cancel once nobody can read an answer. Who closes his own side only, as `nc -N` does, waits for it; that he goes
    then, no event tells."""
    await exchange.until_gone()
    while True:
        if not await _is_heard(stream):
            scope.cancel()
            return
        await trio.sleep(DEAF_CHECK_S)


async def _is_heard(stream: trio.SocketStream) -> bool:
    """Whether anybody can read what would be said."""
    try:
        await stream.socket.send(b"")  # says nothing, and fails where nobody could hear it
    except OSError:
        return False
    return True


async def _request(exchange: Exchange) -> tuple[str, bytes]:
    """(the route, the body). Raises BadRequest, UsageError or Gone."""
    method, path = await exchange.request()
    route = path.removeprefix("/")
    if route not in ROUTES or not path.startswith("/"):
        raise BadRequest(404, _unknown())
    if method != "POST":
        raise BadRequest(405, _unknown())
    bytes_max = CONTROL_RUN_BYTES_MAX if Argument.RUN in ROUTES[route].values() else CONTROL_BODY_BYTES_MAX
    body = await exchange.body(bytes_max)
    if body is None:
        raise UsageError(f"a request of over {bytes_max:,} bytes")
    return route, body


def _unknown() -> UserError:
    return UserError(f"this daemon (p2pblog {__version__}) does not know that command: stop it and start it anew")


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


def _refusal(error: Exception, route: str) -> tuple[int, ErrorDocument]:
    """(the HTTP status, the document) for what went wrong."""
    if isinstance(error, BadRequest):
        return error.status, error_document(error.error)
    refused = as_user_error(error)
    if refused is None:
        log.error("internal error in %s", route, exc_info=error)
        return 500, error_document(_internal())
    return STATUSES[refused.exit_code], error_document(refused)


def _internal() -> UserError:
    return UserError("internal error: the daemon's log says more")


async def _say(exchange: Exchange, status: int, document: Any) -> None:
    await exchange.answer(status, _encode(document), "application/json", {"allow": "POST"} if status == 405 else None)


async def _turn_away(exchange: Exchange) -> None:
    with trio.move_on_after(LINGER_S):
        await _say(exchange, 503, error_document(UserError("the daemon is busy with other commands: try again")))


def _encode(document: Any) -> bytes:
    """ASCII only: what is in a notice can't reach a terminal raw, whoever reads the socket."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")


# --- live timelines ---------------------------------------------------------------------------------------------------


WATCH_LINES_MAX = 64
"""Lines of a live timeline that share a flush: some 30 kB."""


async def _stream(exchange: Exchange, stream: trio.SocketStream, notices: AsyncIterator[NoticeDocument]) -> None:
    """Notices as lines of JSON, until the reader goes: at once, and several in one flush where several wait."""
    outgoing, incoming = trio.open_memory_channel[Any](WATCH_LINES_MAX)
    try:
        async with incoming, trio.open_nursery() as nursery:
            nursery.start_soon(_until_deaf, exchange, stream, nursery.cancel_scope)
            # Headers follow the first step of the iterator, which listens then: see NodeApi.watch.
            await nursery.start(_pump, notices, outgoing)
            await exchange.begin(200, "application/x-ndjson")
            async for document in incoming:
                await exchange.say(b"".join(_encode(each) + b"\n" for each in (document, *_waiting(incoming))))
            await exchange.end()
            nursery.cancel_scope.cancel()
    except* Gone:
        pass


async def _pump(
    notices: AsyncIterator[NoticeDocument],
    outgoing: trio.MemorySendChannel[Any],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async with outgoing:
        try:
            task_status.started()
            async for notice in notices:
                await outgoing.send(notice)
        except Exception as error:
            refused = as_user_error(error)
            if refused is None:
                log.error("internal error in watch", exc_info=error)
            await outgoing.send(error_document(refused or _internal()))
        finally:
            if isinstance(notices, AsyncGenerator):
                with trio.move_on_after(1, shield=True):
                    await notices.aclose()


def _waiting(incoming: trio.MemoryReceiveChannel[Any]) -> Iterator[Any]:
    """What waits already."""
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while True:
            yield incoming.receive_nowait()


# --- the socket -------------------------------------------------------------------------------------------------------


def _listen(home: Home, path: Path) -> trio.SocketListener:
    """A listening socket (0600) in a folder that only we can enter (0700), in place of one left by a crash."""
    make_private(home.folder)
    if path != home.control_link:
        _make_own(path.parent)
        _lead(home.control_link, path)
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


def _lead(link: Path, path: Path) -> None:
    """Have a link in the home lead to the socket elsewhere, in place of what an earlier daemon left. It stays when we
    end: it then leads nowhere, as no socket does. On a disk without links the environment alone says where it is."""
    if os.path.lexists(link) and not (link.is_symlink() or link.is_socket()):
        raise UserError(f"{link} is in the way of the control socket: take it away")
    with suppress(OSError):
        link.unlink(missing_ok=True)
        link.symlink_to(path)


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
    """Take away a socket that nobody listens on, and a link, which is of the time when this home lay deeper. Raises
    UserError for a socket that somebody listens on, or for another thing."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        path.unlink(missing_ok=True)
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
            log.info("the control socket %s answers a connection with: %s", path, reason(error))
    raise UserError(f"another daemon answers on {path}", "p2pblog status")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
