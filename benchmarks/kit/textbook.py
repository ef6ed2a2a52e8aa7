"""The store that anybody would write first: one table, an index for each question, a plain loop that fills it."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
from nacl.signing import VerifyKey

from p2pblog.config import CHECKPOINT_EVERY

SCHEMA = """
CREATE TABLE author (no INTEGER PRIMARY KEY, device BLOB NOT NULL UNIQUE, followed INTEGER NOT NULL);
CREATE TABLE entry (id BLOB PRIMARY KEY, author INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL,
                    type TEXT NOT NULL, refers BLOB, payload BLOB NOT NULL, signature BLOB, UNIQUE (author, seq));
CREATE INDEX entry_by_time ON entry (time);
CREATE INDEX entry_by_author ON entry (author, time);
CREATE INDEX entry_by_reference ON entry (refers, time) WHERE refers IS NOT NULL;
CREATE TABLE tag (tag TEXT, time INTEGER, id BLOB, PRIMARY KEY (tag, time, id)) WITHOUT ROWID;
"""
TAG = re.compile(r"(?<!\w)#(\w+)")
INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
HOME = """SELECT e.id, e.time, e.payload, e.author FROM entry e INDEXED BY entry_by_time
          JOIN author a ON a.no = e.author WHERE e.time < ? AND a.followed ORDER BY e.time DESC LIMIT ?"""
"""With the index that a person would choose after measuring; left alone, SQLite takes another and needs 50 times as
long."""
AUTHOR = "SELECT id, time, payload, author FROM entry WHERE author = ? AND time < ? ORDER BY time DESC LIMIT ?"
TAGGED = """SELECT e.id, e.time, e.payload, e.author FROM tag t JOIN entry e ON e.id = t.id
            WHERE t.tag = ? AND t.time < ? ORDER BY t.time DESC LIMIT ?"""
THREAD = """WITH RECURSIVE below (id) AS
                (SELECT ? UNION SELECT e.id FROM below b JOIN entry e ON e.refers = b.id AND e.type = 'note')
            SELECT e.id, e.time, e.payload, e.author FROM below b JOIN entry e ON e.id = b.id ORDER BY e.time"""
REACTIONS = "SELECT type, count(DISTINCT author) FROM entry WHERE refers = ? GROUP BY type"
PARENT = "SELECT refers FROM entry WHERE id = ?"


def open_textbook(path: Path) -> sqlite3.Connection:
    """The database in this file, in the mode that everybody recommends: WAL, synced at checkpoints."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        db.executescript(SCHEMA)
    return db


def author_no(db: sqlite3.Connection, device: bytes) -> int:
    db.execute("INSERT OR IGNORE INTO author (device, followed) VALUES (?, 1)", (device,))
    return int(db.execute("SELECT no FROM author WHERE device = ?", (device,)).fetchone()[0])


def ingest(db: sqlite3.Connection, packed: Sequence[bytes], check_all: bool) -> None:
    """Entries of one log from their bytes, [body, signature, payload] each, into the database as one batch.

    `check_all`: check every signature; otherwise those at the checkpoints and at the end.
    """
    db.execute("BEGIN")
    tags: list[tuple[str, int, bytes]] = []
    db.executemany(INSERT, _rows(db, packed, check_all, tags))
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", tags)
    db.execute("COMMIT")


def _rows(
    db: sqlite3.Connection, packed: Sequence[bytes], check_all: bool, tags: list[tuple[str, int, bytes]]
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    last, device, key, no, prev = len(packed) - 1, b"", None, 0, None
    for position, data in enumerate(packed):
        body, signature, payload = msgpack.unpackb(data)
        version, wrote, seq, after, time_ms, size, hashed = msgpack.unpackb(body)
        if wrote != device:
            device, key, no = wrote, VerifyKey(wrote), author_no(db, wrote)
        assert version == 1
        assert position == 0 or after == prev
        assert len(payload) == size
        assert hashed == hashlib.blake2b(payload, digest_size=32, person=b"p2pblog payload1").digest()
        prev = hashlib.blake2b(body, digest_size=32, person=b"p2pblog entry 1").digest()
        said = msgpack.unpackb(payload)
        assert msgpack.packb(said) == payload
        is_checked = check_all or seq % CHECKPOINT_EVERY == 0 or position == last
        if is_checked:
            assert key is not None
            key.verify(b"p2pblog entry 1\0" + prev, signature)
        text = said.get("text", "")
        if "#" in text:
            tags += [(tag.lower(), time_ms, prev) for tag in TAG.findall(text)]
        refers = said.get("reply_to") or said.get("of")
        reference = refers[3] if refers else None
        rows.append((prev, no, seq, time_ms, said["type"], reference, payload, signature if is_checked else None))
    return rows
