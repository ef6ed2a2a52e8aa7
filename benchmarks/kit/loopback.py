"""A network of one's own: a command in its own network namespace, whose loopback interface counts only its traffic."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COUNTERS = Path("/proc/net/dev")
_SENT_BYTES_COLUMN = 8
"""Of an interface's numbers; on loopback what is sent is what is received."""
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41
"""SIOCSIFFLAGS, and IFF_UP with IFF_RUNNING (netdevice(7))."""


def sent_bytes() -> int:
    """All that the loopback interface has carried, headers of Ethernet, IP and TCP included."""
    for line in COUNTERS.read_text(encoding="ascii").splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[_SENT_BYTES_COLUMN])
    raise OSError("no loopback interface")


def alone(command: Sequence[str]) -> tuple[list[str], bool]:
    """The command as it runs in a namespace of its own, and whether that can be had here without privileges."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return list(command), False
    prefix = [unshare, "--user", "--map-root-user", "--net", "--", sys.executable, "-m", __name__]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=30)
    return ([*prefix, *command], True) if tried.returncode == 0 else (list(command), False)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))


if __name__ == "__main__":
    _raise_loopback()
    os.execvp(sys.argv[1], sys.argv[1:])
