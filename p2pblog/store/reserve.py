"""A file beside the database that holds room on the disk, for what makes room where there is none.

A cut writes half a megabyte to the journal before anything comes free, ten times what a notice takes. So on a disk
that others or we ourselves have filled to the last page no cut could ever be written. Then this file goes. It is made
again once there is room for it, and for as much more.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024
"""The journal, which SQLite folds into the file at 4 MB, may be all new to the file, and a cut of 64 entries of 3 kB
adds half a megabyte: 1 to 3 MB were used of it, measured on disks of 24 MB. Afterwards journal and file have freed
pages to fill, and grow no more."""
SOME_BYTES = RESERVE_BYTES // 16
"""For a few pages that lead to a cut: a setting, a block, or the start of a node. They get half of the reserve at most,
for they free nothing themselves, and others may fill what they leave."""
AGAIN_S = 600.0
"""Where it could not be written, or its room was of no use, it is not tried again before: a quota or a limit of file
sizes leaves room on the disk that is not for us, and 8 MiB would be written for each notice."""


class Reserve:
    """The reserve of one database. Its methods may be called from any thread, and raise nothing; `now` is in seconds
    that never go back. `given`: how often some or all of its room was given back."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}-reserve")
        self.is_kept = self._size() == RESERVE_BYTES
        self.given = 0
        self._not_before = -float("inf")
        self._lock = threading.Lock()

    def is_due(self, now: float) -> bool:
        """Whether to try to make it."""
        return not self.is_kept and now >= self._not_before

    def keep(self, now: float) -> None:
        """Make the file, if the disk has room for two. What we may not write is not made."""
        with self._lock:
            try:
                if _free(self.path.parent) < 2 * RESERVE_BYTES:
                    return
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(os.urandom(RESERVE_BYTES))  # zeros take up nothing where the disk compresses
                self.is_kept = True
            except OSError:
                self._not_before = now + AGAIN_S
                self._drop()

    def give_all(self, _db: sqlite3.Connection | None = None) -> bool:
        """Give the room back to the disk; whether there was any."""
        with self._lock:
            return self._drop()

    def give_some(self, _db: sqlite3.Connection | None = None) -> bool:
        """Give SOME_BYTES of it back; whether that could be."""
        with self._lock:
            left = self._size() - SOME_BYTES
            if left < RESERVE_BYTES // 2:
                return False
            with suppress(OSError):
                os.truncate(self.path, left)
                self.is_kept = False
                self.given += 1
                return True
            return False

    def was_in_vain(self, now: float) -> None:
        """Its room was given back, and what needed room found none."""
        self._not_before = now + AGAIN_S

    def _drop(self) -> bool:
        had_any, self.is_kept = self._size() > 0, False
        with suppress(OSError):
            self.path.unlink()
            self.given += had_any
            return had_any
        return False

    def _size(self) -> int:
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0


def give_for_a_start(database: Path) -> None:
    """A node that starts writes who it is and opens its database before it could make any room: where the disk has none
    for that, some of the reserve goes."""
    with suppress(OSError):
        if _free(database.parent) < SOME_BYTES:
            Reserve(database).give_some()


def _free(folder: Path) -> int:
    """Bytes that we may use of its disk. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
