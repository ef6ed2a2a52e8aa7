"""What is asked of a connection before it is used."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from p2pblog.store import migrations, sql_room, sql_words

JOURNAL_BYTES_MAX = 64 * 1024 * 1024
"""What the journal shrinks back to after a large transaction."""


def prepare_writer(path: Path, db: sqlite3.Connection) -> None:
    with suppress(FileNotFoundError):
        path.chmod(0o600)  # its journal files take the same mode
    sql_room.prepare(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA secure_delete = ON")  # not every build of SQLite overwrites what was deleted by itself
    db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}")
    migrations.migrate(db)
    sql_words.prepare(db)
    db.execute("PRAGMA temp_store = MEMORY")  # after VACUUM and migrations, which may need more room than there is


def prepare_reader(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA query_only = ON")
