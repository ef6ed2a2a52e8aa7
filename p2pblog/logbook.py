"""What a node says on its standard error while it runs: one line an event, which can't reach the terminal raw."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable

from p2pblog import terminal

ACCEPTING = "trio.serve_listeners"
"""Who says that accepting failed for want of file descriptors or memory: ten times a second, each with a traceback."""
SELDOM_S = 60.0


def begin() -> None:
    """Send the log of this process there. With `P2PBLOG_DEBUG` set it has our own finer lines as well, and none of the
    libraries': theirs tell of each step that they take."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if os.environ.get("P2PBLOG_DEBUG"):
        logging.getLogger("p2pblog").setLevel(logging.DEBUG)
    logging.getLogger(ACCEPTING).addFilter(Seldom())


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
