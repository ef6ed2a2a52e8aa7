"""The database's schema as numbered steps, and what keeps us from touching a file that is not ours to write.

A step is one transaction, its number included, so a database always is of one version. A released step is never
edited: what it got wrong, the next one mends. docs/store.md tells why each table is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from p2pblog.errors import StoreError
from p2pblog.store.meaning import Kind, meaning_of

APPLICATION_ID = int.from_bytes(b"p2pb", "big")
"""SQLite's header field that says whose file this is (https://www.sqlite.org/pragma.html#pragma_application_id)."""

_VERSION_1 = """
CREATE TABLE identity (no INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, wire BLOB, at_home INTEGER NOT NULL);
CREATE TABLE log (no INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL UNIQUE, owner INTEGER NOT NULL,
                  shown_to INTEGER NOT NULL, fork BLOB);
CREATE INDEX log_by_owner ON log (owner);
CREATE TABLE span (log INTEGER, low INTEGER, high INTEGER NOT NULL, low_prev BLOB,
                   PRIMARY KEY (log, low)) WITHOUT ROWID;

CREATE TABLE entry (key INTEGER PRIMARY KEY, time INTEGER NOT NULL, sort INTEGER NOT NULL, kind INTEGER NOT NULL,
                    id BLOB NOT NULL, "of" BLOB, payload BLOB);
CREATE TABLE signature (key INTEGER PRIMARY KEY, signature BLOB NOT NULL);
CREATE TABLE gap (key INTEGER PRIMARY KEY, size INTEGER NOT NULL, hash BLOB NOT NULL, seen INTEGER NOT NULL,
                  wanted INTEGER NOT NULL);
CREATE INDEX gap_wanted ON gap (key) WHERE wanted;
CREATE TABLE stray (key INTEGER PRIMARY KEY, prev BLOB, seen INTEGER NOT NULL, chain BLOB NOT NULL);
CREATE INDEX stray_by_age ON stray (seen, key);

CREATE TABLE entry_id (prefix BLOB, key INTEGER, PRIMARY KEY (prefix, key)) WITHOUT ROWID;
CREATE TABLE home (sort INTEGER, key INTEGER, PRIMARY KEY (sort, key)) WITHOUT ROWID;
CREATE TABLE feed (author INTEGER, sort INTEGER, key INTEGER, PRIMARY KEY (author, sort, key)) WITHOUT ROWID;
CREATE TABLE profile (author INTEGER, sort INTEGER, key INTEGER, PRIMARY KEY (author, sort, key)) WITHOUT ROWID;
CREATE TABLE reply (parent BLOB, sort INTEGER, key INTEGER, PRIMARY KEY (parent, sort, key)) WITHOUT ROWID;
CREATE TABLE reaction (target BLOB, kind INTEGER, author INTEGER, key INTEGER,
                       PRIMARY KEY (target, kind, author, key)) WITHOUT ROWID;
CREATE TABLE deletion (key INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE retraction (author INTEGER, target BLOB, key INTEGER, PRIMARY KEY (author, target, key)) WITHOUT ROWID;
CREATE TABLE retracted (key INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE INDEX retracted_by_age ON retracted (seen, key);

CREATE TABLE follow (identity BLOB PRIMARY KEY, petname TEXT, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE peer (endpoint TEXT PRIMARY KEY, node BLOB, seen INTEGER NOT NULL,
                   failures INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX peer_by_age ON peer (seen, endpoint);
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

_VERSION_2 = """
CREATE TABLE generation (no INTEGER PRIMARY KEY, register INTEGER NOT NULL, records INTEGER NOT NULL,
                         hot INTEGER NOT NULL, target INTEGER);
CREATE TABLE page (no INTEGER PRIMARY KEY, generation INTEGER NOT NULL, first BLOB NOT NULL, records BLOB NOT NULL);
CREATE UNIQUE INDEX page_by_first ON page (generation, first);
"""


def _to_version_2(db: sqlite3.Connection) -> None:
    """The ids and the two timelines move from rows of their own into registers (store/register.py): an identity's
    number in 4 bytes, every other number in 8, highest byte first."""
    for statement in statements(_VERSION_2):
        db.execute(statement)
    ids = db.execute("SELECT prefix, key FROM entry_id ORDER BY prefix, key")
    _pack(db, 1, 16, (prefix + key.to_bytes(8, "big") for prefix, key in ids))
    home = db.execute("SELECT sort, key FROM home ORDER BY sort, key")
    _pack(db, 2, 16, (sort.to_bytes(8, "big") + key.to_bytes(8, "big") for sort, key in home))
    feed = db.execute("SELECT author, sort, key FROM feed ORDER BY author, sort, key")
    _pack(
        db, 3, 20,
        (author.to_bytes(4, "big") + sort.to_bytes(8, "big") + key.to_bytes(8, "big") for author, sort, key in feed),
    )  # fmt: skip
    for table in ("entry_id", "home", "feed"):
        db.execute(f"DROP TABLE {table}")


def _pack(db: sqlite3.Connection, register: int, width: int, records: Iterable[bytes]) -> None:
    """Records in ascending order as one generation, in pages of at most 1,984 bytes."""
    cursor = db.execute("INSERT INTO generation (register, records, hot) VALUES (?, 0, 0)", (register,))
    rest, count = iter(records), 0
    while page := list(islice(rest, 1_984 // width)):
        db.execute("INSERT INTO page VALUES (NULL, ?, ?, ?)", (cursor.lastrowid, page[0], b"".join(page)))
        count += len(page)
    db.execute("UPDATE generation SET records = ? WHERE no = ?", (count, cursor.lastrowid))
    if not count:
        db.execute("DELETE FROM generation WHERE no = ?", (cursor.lastrowid,))


_VERSION_3 = """
CREATE TABLE tag (tag TEXT, sort INTEGER, key INTEGER, PRIMARY KEY (tag, sort, key)) WITHOUT ROWID;
CREATE TABLE bookmark (id BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX bookmark_by_age ON bookmark (since, id);
"""
_MAY_HAVE_TAGS = """
SELECT e.sort, e.key, e.payload FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 1 AND instr(e.payload, X'23') AND (e.key & 4294967295) <= l.shown_to
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key)
"""


def _to_version_3(db: sqlite3.Connection) -> None:
    """Notices that are shown come to stand under their tags; bookmarks begin."""
    for statement in statements(_VERSION_3):
        db.execute(statement)
    rows = db.execute(_MAY_HAVE_TAGS)
    db.executemany(
        "INSERT INTO tag VALUES (?, ?, ?)",
        ((tag, sort, key) for sort, key, payload in rows for tag in meaning_of(payload).tags),
    )


_VERSION_4 = """
CREATE TABLE dm (sort INTEGER, key INTEGER, PRIMARY KEY (sort, key)) WITHOUT ROWID;
CREATE TABLE dm_aside (key INTEGER PRIMARY KEY);
"""
_MAY_BE_DM = """
SELECT e.key, e.sort, e.payload, (e.key & 4294967295) <= l.shown_to
    AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
    AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key)
FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 6 AND instr(e.payload, X'A474797065A2646D')
"""
"""With the key `type` and the text `dm` in it."""


def _to_version_4(db: sqlite3.Connection) -> None:
    """Direct messages, which were of no known type, get their kind, and those that are shown their index."""
    for statement in statements(_VERSION_4):
        db.execute(statement)
    for key, sort, payload, is_shown in db.execute(_MAY_BE_DM).fetchall():
        kind = meaning_of(payload).kind
        if kind == Kind.DM:
            db.execute("UPDATE entry SET kind = ? WHERE key = ?", (int(kind), key))
            if is_shown:
                db.execute("INSERT INTO dm VALUES (?, ?)", (sort, key))


Step = str | Callable[[sqlite3.Connection], None]
"""Statements, or a function that runs them, inside a transaction that others end."""
MIGRATIONS: tuple[Step, ...] = (_VERSION_1, _to_version_2, _to_version_3, _to_version_4)
"""Step n brings a database of version n - 1 to version n."""


def inspect(path: Path, newest: int = len(MIGRATIONS)) -> None:
    """Look at a file without writing to it or to what lies beside it.

    Raises StoreError if it is no database, another program's, damaged at its head, or of a newer version.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreError(f"the database {path} can't be read: {error.strerror}") from error
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise StoreError(f"the file {path} is not a p2pblog database, or it is damaged")
    application, version, tables = _read_state(path, header)
    if application != APPLICATION_ID and (application or tables):
        raise StoreError(f"the database {path} belongs to another program")
    if version > newest:
        raise StoreError(
            f"the database {path} was written by a newer p2pblog (version {version}, this one reads up to {newest})"
        )


def _read_state(path: Path, header: bytes) -> tuple[int, int, bool]:
    """(application id, version, whether it has tables), from SQLite's own header where that is enough.

    After a crash the newest header is in the journal beside the file. A read-only connection sees it and, unlike any
    other, does not move it into the file when it closes.
    """
    application = int.from_bytes(header[68:72], "big")
    journal = path.with_name(path.name + "-wal").exists()
    if application and not journal:
        return application, int.from_bytes(header[60:64], "big"), True
    mode = "mode=ro" if journal else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"the database {path} is damaged: {error}") from error
    return application, version, bool(tables)


def migrate(db: sqlite3.Connection, migrations: Sequence[Step] = MIGRATIONS) -> None:
    """Bring an open database (autocommit) to the newest version, step by step. Raises sqlite3.Error; a step that fails
    leaves the version before it."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for number in range(version + 1, len(migrations) + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            step = migrations[number - 1]
            if callable(step):
                step(db)
            else:
                for statement in statements(step):
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def statements(script: str) -> list[str]:
    """The statements of a step: sqlite3's own executescript would commit between them."""
    return [part.strip() for part in script.split(";\n") if part.strip()]
