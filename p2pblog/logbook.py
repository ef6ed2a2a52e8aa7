"""What a node says on its standard error while it runs: one line an event, which can't reach the terminal raw."""

from __future__ import annotations

import logging
import os
import select
import sys
import time
from collections.abc import Callable
from typing import TextIO

from p2pblog import terminal

ACCEPTING = "trio.serve_listeners"
"""Who says that accepting failed for want of file descriptors or memory: ten times a second, each with a traceback."""
SELDOM_S = 60.0
PIECE_BYTES = select.PIPE_BUF
"""What a pipe takes without waiting once poll says that it takes more (POSIX)."""
TERMINAL_PIECE_BYTES = 1
"""The same of a terminal: it does not say how much."""
PATIENCE_S = 0.05
"""How long a line waits for a reader who kept up until then and has a processor to share; a peer waits ten times as
long for a pong. A guess."""


def begin() -> None:
    """Send the log of this process there. With `P2PBLOG_DEBUG` set it has our own finer lines as well, and none of the
    libraries': theirs tell of each step that they take."""
    handler = Unhindered(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if os.environ.get("P2PBLOG_DEBUG"):
        logging.getLogger("p2pblog").setLevel(logging.DEBUG)
    logging.getLogger(ACCEPTING).addFilter(Seldom())


class Unhindered(logging.StreamHandler[TextIO]):
    """Leaves lines out while whoever reads them does not: a terminal after Ctrl-S, a pager, a supervisor that keeps a
    pipe and never looks. To wait there would keep the whole node waiting, even with its end. Raises nothing."""

    def __init__(self, stream: TextIO, patience_s: float = PATIENCE_S) -> None:
        super().__init__(stream)
        self._patience_s = patience_s
        self._left_out = 0
        self._is_broken_off = False  # what was written ends within a line

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = f"{self.format(record)}\n"
            if self._left_out:
                end = "\n" if self._is_broken_off else ""
                said = f"{end}(lines left out here, while nobody read: {self._left_out})\n{said}"
            is_said = self._write(said.encode(self.stream.encoding, "backslashreplace"))
        except OSError:  # nobody is there any more
            is_said = False
        except Exception:
            self.handleError(record)
            return
        self._left_out = 0 if is_said else self._left_out + 1

    def _write(self, data: bytes) -> bool:
        """Whether all of it was taken. Nothing waits for who has not read before."""
        file = self.stream.fileno()
        poll = select.poll()
        poll.register(file, select.POLLOUT)
        piece = TERMINAL_PIECE_BYTES if os.isatty(file) else PIECE_BYTES
        until = time.monotonic() + (0 if self._left_out else self._patience_s)
        for at in range(0, len(data), piece):
            if not poll.poll(max(0, until - time.monotonic()) * 1_000):
                return False
            os.write(file, data[at : at + piece])
            self._is_broken_off = at + piece < len(data)
        return True


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return terminal.clean_text(super().format(record))


class Seldom(logging.Filter):
    """Of lines that all say the same, one in SELDOM_S, without its traceback: whoever opens many connections would
    write gigabytes a day."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now < self._next_at:
            return False
        self._next_at = now + SELDOM_S
        record.exc_info = None
        return True
