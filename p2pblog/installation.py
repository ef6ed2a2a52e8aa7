"""One home, one place, one daemon: a mark that a copy can't carry, and a lock that only one daemon holds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pblog.config import Home
from p2pblog.errors import UserError

MACHINE_ID = Path("/etc/machine-id")


def is_copy(home: Home, has_written: bool) -> bool:
    """Whether this home was copied from where it was made, or put back from a backup.

    The mark is a file that holds its own inode number and the machine's id: a copy of it has another inode, one on
    another machine another id. A home that has written but has no mark counts as copied. A disk that is cloned block
    by block keeps both; for that we compare with peers. Moving a home within its disk keeps the mark.
    """
    try:
        return _mark(home).read_text(encoding="ascii").strip() != _place(_mark(home))
    except (FileNotFoundError, UnicodeDecodeError):
        return has_written


def mark(home: Home) -> None:
    """Make this place the home's own."""
    path = _mark(home)
    path.unlink(missing_ok=True)
    with path.open("x", encoding="ascii") as file:
        file.write(_place(path) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _mark(home: Home) -> Path:
    return home.folder / "installation"


def _place(path: Path) -> str:
    try:
        machine = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = "unknown"
    return f"{path.stat().st_ino} {machine}"


@contextmanager
def sole_daemon(home: Home) -> Iterator[None]:
    """Hold the home's lock. Raises UserError that names the daemon which holds it already."""
    with home.lock.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).strip()
            raise UserError(
                f"another p2pblog daemon (process {holder or 'unknown'}) is running on the home {home.folder}",
                hint="p2pblog status",
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)
