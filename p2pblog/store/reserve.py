"""A file beside the database that holds room on the disk, for what makes room where there is none.

A cut writes half a megabyte to the journal before anything comes free, ten times what a notice takes. So on a disk
that others or we ourselves have filled to the last page no cut could ever be written. Then this file goes. It is made
again once there is room for it, and for as much more.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024
"""The journal, which SQLite folds into the file at 4 MB, may be all new to the file, and a cut of 64 entries of 3 kB
adds half a megabyte: 1 to 3 MB were used of it, measured on disks of 24 MB. Afterwards journal and file have freed
pages to fill, and grow no more."""


class Reserve:
    """The reserve of one database. Its methods run in the thread of the connection that writes, and raise nothing."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}-reserve")
        self.is_kept = self._size() == RESERVE_BYTES

    def keep(self, db: sqlite3.Connection) -> None:
        """Make the file if it is not there and the disk has room for two. What we may not write is not made."""
        try:
            disk = os.statvfs(self.path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * RESERVE_BYTES:
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(RESERVE_BYTES))  # zeros take up nothing where the disk compresses
            self.is_kept = True
        except OSError:
            self.give_up(db)

    def give_up(self, _db: sqlite3.Connection) -> bool:
        """Give the room back to the disk; whether there was any."""
        had_any, self.is_kept = self._size() > 0, False
        with suppress(OSError):
            self.path.unlink()
            return had_any
        return False

    def _size(self) -> int:
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0
