"""Asks the daemon over its Unix socket. Plain standard library, so that a command answers at once."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from p2pblog.config import CONTROL_ANSWER_TIMEOUT_S, Home
from p2pblog.errors import USER_ERRORS, NotRunning, TimedOut, UserError

GONE = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR}
"""What connecting says where no daemon listens: no socket, one left by kill -9, or something else under its name."""


def call(home: Home, route: str, *, timeout_s: float = CONTROL_ANSWER_TIMEOUT_S, **arguments: Any) -> Any:
    """The document that the daemon answers to `route` (see control.api.ROUTES).

    Raises NotRunning, TimedOut after `timeout_s` without a byte, or the UserError that the daemon answered.
    """
    with closing(_UnixConnection(home, timeout_s)) as connection:
        return _document(*_ask(connection, route, arguments))


@contextmanager
def watch(home: Home, author: str | None = None) -> Iterator[Iterator[Any]]:
    """Notices as they come. On entering, the daemon listens already: a page asked for now overlaps, and has no gap.

    Iterating raises NotRunning when the daemon stops, or the UserError that ended it.
    """
    with closing(_UnixConnection(home, CONTROL_ANSWER_TIMEOUT_S)) as connection:
        with connection.translated():
            response = _request(connection, "watch", {"author": author})
            if response.status != 200:
                _document(response.status, response.read())
            if connection.sock is not None:
                connection.sock.settimeout(None)
        yield _lines(connection, response)


def _lines(connection: _UnixConnection, response: http.client.HTTPResponse) -> Iterator[Any]:
    while True:
        with connection.translated():
            line = response.readline()
        if not line.endswith(b"\n"):
            raise not_running(connection.home, "the daemon stopped")
        yield _document(200, line)


def _ask(connection: _UnixConnection, route: str, arguments: dict[str, Any]) -> tuple[int, bytes]:
    with connection.translated():
        response = _request(connection, route, arguments)
        return response.status, response.read()


def _request(connection: _UnixConnection, route: str, arguments: dict[str, Any]) -> http.client.HTTPResponse:
    body = json.dumps({name: value for name, value in arguments.items() if value is not None})
    connection.request("POST", f"/{route}", body.encode(), {"Content-Type": "application/json"})
    return connection.getresponse()


def _document(status: int, data: bytes) -> Any:
    try:
        document = json.loads(data)
        if status == 200 and not (isinstance(document, dict) and "error" in document):
            return document
        error = USER_ERRORS[document["exit_code"]](str(document["error"]), document["hint"])
    except (ValueError, KeyError, TypeError) as unreadable:
        raise UserError("the daemon's answer cannot be read: is it of the same version?") from unreadable
    raise error


def not_running(home: Home, sentence: str = "the daemon is not running") -> NotRunning:
    """The error, with the command that helps in this home."""
    return NotRunning(sentence, "p2pblog run" if os.path.lexists(home.keys) else "p2pblog init")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the control socket of a home."""

    def __init__(self, home: Home, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.home = home

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Around every touch of the socket: what went wrong becomes a UserError."""
        try:
            yield
        except TimeoutError as error:
            raise TimedOut(f"the daemon did not answer within {self.timeout:.0f} seconds") from error
        except (http.client.HTTPException, ConnectionError) as error:
            raise not_running(self.home, "the daemon stopped before it answered") from error
        except OSError as error:
            raise UserError(f"the daemon cannot be reached: {os.strerror(error.errno or 0)}") from error

    def connect(self) -> None:
        """Raises NotRunning, TimedOut or UserError."""
        path = self.home.control
        if path.parent != self.home.folder:
            _check_own(path.parent)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(path))
        except BlockingIOError as error:  # the queue of those that wait to be accepted is full
            raise TimeoutError from error
        except OSError as error:
            if error.errno in GONE:
                raise not_running(self.home) from error
            raise


def _check_own(folder: Path) -> None:
    """A folder in the shared /tmp that somebody else made first may hold a socket that listens in."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else, so the daemon's socket is not looked for in it")
