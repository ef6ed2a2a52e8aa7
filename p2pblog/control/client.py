"""Asks the daemon over its Unix socket. Plain standard library, so that a command answers at once."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from p2pblog.config import CONTROL_ANSWER_TIMEOUT_S, CONTROL_LOOKS, CONTROL_WRITE_TIMEOUT_S, CONTROL_WRITES
from p2pblog.errors import USER_ERRORS, NotRunning, TimedOut, UserError
from p2pblog.home import Home

if TYPE_CHECKING:
    from pathlib import Path

GONE = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR}
"""What connecting says where no daemon listens: no socket, one left by kill -9, or something else under its name."""
HEAD_BYTES_MAX = 64 * 1024
"""Status line and headers of an answer: what the standard library allows for one line."""
CONNECT_AGAIN_S = 0.03
"""How soon a daemon with which too many commands wait is tried again: it takes them in milliseconds."""
STILL_THERE_TIMEOUT_S = 1.0
"""How long a daemon has to say that it is there; it answers in milliseconds."""
ANSWER_BYTES_MAX = 128 * 1024 * 1024
"""The body of an answer: 1,000 notices of 5,000 characters, each escaped to 12 bytes of JSON, twice over."""


class _NoAnswer(Exception):
    """What came is no HTTP answer, or only a part of one."""


def call(home: Home, route: str, *, timeout_s: float = CONTROL_ANSWER_TIMEOUT_S, **arguments: Any) -> Any:
    """The document that the daemon answers to `route` (see control.routes.ROUTES).

    Raises NotRunning, TimedOut after `timeout_s` without a byte, or the UserError that the daemon answered.
    """
    with closing(_Connection(home, timeout_s)) as connection:
        with connection.translated():
            status, data = connection.ask(route, arguments), connection.body()
        return _document(status, data)


@contextmanager
def watch(
    home: Home,
    author: str | None = None,
    tag: str | None = None,
    of_list: str | None = None,
    group: str | None = None,
    output: int | None = None,
) -> Iterator[Iterator[Any]]:
    """Notices as they come. On entering, the daemon listens already: a page asked for now overlaps, and has no gap.

    Iterating ends once nobody reads from the other end of the descriptor `output`. It raises NotRunning when the daemon
    stops, or the UserError that ended it.
    """
    with closing(_Connection(home, CONTROL_ANSWER_TIMEOUT_S)) as connection:
        with connection.translated():
            status = connection.ask("watch", {"author": author, "tag": tag, "of_list": of_list, "group": group})
            if status != 200:
                _document(status, connection.body())
            connection.wait_for_ever()
        yield _lines(connection, output)


def _lines(connection: _Connection, output: int | None) -> Iterator[Any]:
    while True:
        with connection.translated():
            line = connection.line(output)
        if line is None:
            return
        if not line.endswith(b"\n"):
            raise _why_it_ended(connection.home)
        yield _document(200, line)


def _why_it_ended(home: Home) -> UserError:
    """Of a live timeline: a daemon that is there ends one that was not read."""
    try:
        call(home, "id", timeout_s=STILL_THERE_TIMEOUT_S)
    except UserError:
        return not_running(home, "the daemon stopped")
    sentence = f"this timeline was not read for {CONTROL_WRITE_TIMEOUT_S:.0f} seconds, so it ended"
    return UserError(sentence, "p2pblog timeline")


def _document(status: int, data: bytes) -> Any:
    try:
        document = json.loads(data)
        if status == 200 and not (isinstance(document, dict) and "error" in document):
            return document
        error = USER_ERRORS[document["exit_code"]](str(document["error"]), document["hint"])
    except (ValueError, KeyError, TypeError, RecursionError) as unreadable:
        raise UserError("the daemon's answer cannot be read: is it of the same version?") from unreadable
    raise error


def not_running(home: Home, sentence: str | None = None) -> NotRunning:
    """The error, with the command that helps in this home. Without a sentence it says in which home it was looked for:
    a daemon may well run on another."""
    sentence = sentence or f"the daemon is not running in {home.folder}"
    return NotRunning(sentence, "p2pblog run" if os.path.lexists(home.keys) else "p2pblog init")


class _Connection:
    """One question over the control socket of a home, as HTTP/1.0: its answer is never in chunks, and ends with the
    connection. The standard library's client would take longer to import than the daemon to answer."""

    def __init__(self, home: Home, timeout_s: float) -> None:
        self.home = home
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stream = self._socket.makefile("rb")
        self._size: int | None = None
        self._shown_by: str | None = None
        """The command that shows what was asked to be written."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Around every touch of the socket: what went wrong becomes a UserError."""
        try:
            yield
        except TimeoutError as error:
            sentence = f"the daemon did not answer within {self._timeout_s:.0f} seconds{self._doubt}"
            raise TimedOut(sentence, self._shown_by) from error
        except (_NoAnswer, ConnectionError) as error:
            raise not_running(self.home, f"the daemon stopped before it answered{self._doubt}") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UserError(f"the daemon cannot be reached: {reason}") from error

    @property
    def _doubt(self) -> str:
        """What is not known of something that was to be written."""
        return "" if self._shown_by is None else ", and it may have been written: look before you repeat it"

    def ask(self, route: str, arguments: dict[str, Any]) -> int:
        """Connect and ask; gives the status of the answer. Raises NotRunning, UserError, OSError or _NoAnswer."""
        self._connect()
        given = {name: value for name, value in arguments.items() if value is not None}
        is_look = route in CONTROL_LOOKS and given.keys() <= CONTROL_LOOKS[route]
        self._shown_by = None if is_look else CONTROL_WRITES.get(route)
        body = json.dumps(given).encode()
        head = f"POST /{route} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return self._read_head()

    def _read_head(self) -> int:
        """The status; how long the body is, if the answer says it, is kept for `body`."""
        version, _, rest = self._stream.readline(HEAD_BYTES_MAX).partition(b" ")
        if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
            raise _NoAnswer
        left = HEAD_BYTES_MAX
        while (header := self._stream.readline(left)) not in (b"\r\n", b"\n"):
            left -= len(header)
            name, _, value = header.partition(b":")
            if left <= 0 or not header.endswith(b"\n"):
                raise _NoAnswer
            if name.lower() == b"content-length" and value.strip().isdigit():
                self._size = _size(value.strip())
        return int(rest[:3])

    def body(self) -> bytes:
        """All of the answer. Raises OSError, or _NoAnswer where it is cut short."""
        data = self._stream.read() if self._size is None else self._stream.read(self._size)
        if self._size is not None and len(data) < self._size:
            raise _NoAnswer
        return data

    def wait_for_ever(self) -> None:
        """A live timeline may be quiet for as long as it likes: from here on it is read by `line`."""
        self._socket.setblocking(False)

    def line(self, output: int | None) -> bytes | None:
        """The next line with its line feed, without one at the end; None once nobody reads `output`."""
        line = self._stream.readline()  # as much of it as is here
        while not line.endswith(b"\n"):
            if not self._wait(output):
                return None
            more = self._stream.readline()
            if not more:
                break
            line += more
        return line

    def _wait(self, output: int | None) -> bool:
        """Until more comes, or the end; False once nobody reads `output`."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if output is not None:
            poll.register(output, 0)  # that its other end went is told unasked
        while True:
            ready = dict(poll.poll())
            if output is not None and ready.get(output, 0) & (select.POLLERR | select.POLLHUP):
                return False
            if self._socket.fileno() in ready:
                return True
            assert output is not None
            poll.unregister(output)  # a thing that this system can't look at

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _connect(self) -> None:
        """Also where too many wait to be accepted; the time that this takes is no longer there for the answer. Raises
        NotRunning, UserError or OSError.

        That there is room again no event tells: poll has none for a socket that is not connected, and a connect that
        waits in the kernel (SO_SNDTIMEO) is taken for done by Python when the process was stopped meanwhile."""
        path = self.home.control
        if path.is_symlink():  # it came with a home that was moved or copied from a deeper place, and leads there
            raise not_running(self.home)
        if path.parent != self.home.folder:
            _check_own(path.parent)
        give_up_at = time.monotonic() + self._timeout_s
        while (left_s := give_up_at - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                self._socket.connect(os.fspath(path))
                return
            except BlockingIOError:  # at once, whatever the timeout
                time.sleep(CONNECT_AGAIN_S)
            except OSError as error:
                if error.errno in GONE:
                    raise not_running(self.home) from error
                raise
        raise TimeoutError


def _size(digits: bytes) -> int:
    """Bytes of a body; room for all of them is made at once. Raises _NoAnswer."""
    if len(digits) > len(str(ANSWER_BYTES_MAX)) or int(digits) > ANSWER_BYTES_MAX:
        raise _NoAnswer
    return int(digits)


def _check_own(folder: Path) -> None:
    """A folder in the shared /tmp that somebody else made first may hold a socket that listens in."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else, so the daemon's socket is not looked for in it")
