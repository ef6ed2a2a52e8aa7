"""Strays that are part of a run for a while, of somebody who is not followed: a neighbour has us carry his feed.

The run goes when nobody asks for it any more. What was here before it came is then again what it was: how it came to be
a stray is put aside in `lent`, by its key, until the run goes or is ours. That the identity is kept does not say so: it
is of whom we followed once, though nothing of his log is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from p2pblog.core.value import Value
from p2pblog.store.sql_base import SEQ_MASK, LogRow
from p2pblog.store.sql_index import author_of, enter, leave, read_items
from p2pblog.store.stretch import Stretch


class Lent(Value):
    """`row`: how it came to be a stray, as it stands in `stray` and in `lent`."""

    row: tuple[int, bytes | None, int, bytes, int]
    signature: bytes | None
    payload: bytes | None

    @property
    def key(self) -> int:
        return self.row[0]

    @property
    def seq(self) -> int:
        return self.key & SEQ_MASK


def strays_within(db: sqlite3.Connection, log: LogRow, stretch: Stretch) -> list[Lent]:
    """The strays that are part of a stretch which comes; those that it contradicts are left out, and all of whom we
    follow."""
    if is_ours(db, log):
        return []
    rows = db.execute(STRAYS_WITHIN, (log.key(stretch.first), log.key(stretch.last))).fetchall()
    return [
        Lent((key, *row), signature, payload)
        for key, *row, identifier, signature, payload in rows
        if stretch.ids[(key & SEQ_MASK) - stretch.first] == identifier
    ]


def is_ours(db: sqlite3.Connection, log: LogRow) -> bool:
    """Whether a log is held for our own sake: of oneself or of somebody followed, whose identity has come."""
    return log.is_kept and author_of(db, log.owner).at_home


STRAYS_WITHIN = """SELECT s.key, s.prev, s.seen, s.chain, s.kept, e.id, g.signature, e.payload
                   FROM stray s JOIN entry e ON e.key = s.key LEFT JOIN signature g ON g.key = s.key
                   WHERE s.key BETWEEN ? AND ?"""


def lend(db: sqlite3.Connection, strays: Iterable[Lent]) -> None:
    """What is lent already stays as it is."""
    db.executemany(LEND, [stray.row for stray in strays])


LEND = "INSERT OR IGNORE INTO lent (key, prev, seen, chain, kept) VALUES (?, ?, ?, ?, ?)"


def lent_within(db: sqlite3.Connection, low: int, high: int) -> list[int]:
    """The keys of those that are lent to a run, in a range of keys, ascending."""
    rows = db.execute("SELECT key FROM lent WHERE key BETWEEN ? AND ? ORDER BY key", (low, high)).fetchall()
    return [key for (key,) in rows]


def lend_no_more(db: sqlite3.Connection, low: int, high: int) -> None:
    """What is lent to a run, in a range of keys, is part of it for good."""
    db.execute("DELETE FROM lent WHERE key BETWEEN ? AND ?", (low, high))


def take_back(db: sqlite3.Connection, log: LogRow, keys: list[int]) -> None:
    """They are strays again, and nothing else."""
    leave(db, log, read_items(db, keys))
    db.executemany(TAKE_BACK, [(key,) for key in keys])
    db.executemany("DELETE FROM lent WHERE key = ?", [(key,) for key in keys])
    enter(db, log, read_items(db, keys))


TAKE_BACK = (
    "INSERT INTO stray (key, prev, seen, chain, kept) SELECT key, prev, seen, chain, kept FROM lent WHERE key = ?"
)
