"""File descriptors: how many a node wants at most, and that the system lets it have them."""

from __future__ import annotations

import errno
import logging
import resource

from p2pblog.config import (
    CONNECTIONS_ACCEPTED_MAX,
    CONTROL_CONNECTIONS_MAX,
    HANDSHAKES_MAX,
    LINKS_CHOSEN_MAX,
)

log = logging.getLogger("p2pblog.descriptors")

OTHERS = 144
"""For what is counted nowhere: some 24 are open always, database, sockets and loops; the rest is for dials and visits,
for commands that are turned away, for files that are read, and for what the resolver opens."""
WANTED = CONNECTIONS_ACCEPTED_MAX + HANDSHAKES_MAX + LINKS_CHOSEN_MAX + CONTROL_CONNECTIONS_MAX + OTHERS
"""512. Many systems give a program 1,024, some 256."""
RUN_OUT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What opening a socket says while this program, or the machine, has none left: for a while, most often."""


def make_room() -> None:
    """Raise our own limit to WANTED, as far as the system lets us; say it in a line where it stays below."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_enough(soft):
        return
    most = WANTED if _is_enough(hard) else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        most = soft
    if not _is_enough(most):
        log.warning(
            "this system gives the node %d file descriptors, and it may want %d: when they run out, it takes no more "
            "connections for a while (ulimit -n)",
            most,
            WANTED,
        )


def _is_enough(limit: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= WANTED
