"""How a node's session ends, and in what state its disk is when the next one begins."""

from __future__ import annotations

from enum import Enum


class End(Enum):
    """LEAVE: the daemon is stopped and takes leave. KILL: the process dies and the machine resets its connections.
    DARK: the power fails, and nobody is told."""

    LEAVE = "leave"
    KILL = "kill"
    DARK = "dark"


class Disk(Enum):
    """INTACT: as it was. PUT_BACK: as it was some minutes before, keys and all. LOST: gone; the person comes back with
    the recovery words, as a new device on a new node."""

    INTACT = "intact"
    PUT_BACK = "put-back"
    LOST = "lost"
