"""The bytes of what was deleted go, in steps: whoever deletes 40,000 notices holds no other write up."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pblog.core.entry import payload_hash
from p2pblog.store.sql_transactions import apart
from p2pblog.store.sql_words import take_out

STEP = 64
"""Entries in one transaction: some 12 ms."""

Place = tuple[int, int]
"""When the delete of an entry was seen, and its key: the order in which they go."""
FIRST: Place = (-1, -1)


def drop_some(db: sqlite3.Connection, before_ms: int, above: Place) -> tuple[int, Place | None]:
    """The next ones above a place. Gives how many went, and where to go on, None at the end; what is damaged is passed
    over, and has its turn again the next time."""
    found = db.execute(RETRACTED, (before_ms, *above, STEP)).fetchall()
    keys = [key for _, key in found]
    dropped = apart(db, _drop, db, keys)
    if dropped is None:
        dropped = sum(apart(db, _drop, db, [key]) or 0 for key in keys)
    return dropped, found[-1] if len(found) == STEP else None


RETRACTED = """SELECT seen, key FROM retracted WHERE seen < ? AND (seen, key) > (?, ?) ORDER BY seen, key LIMIT ?"""


def _drop(db: sqlite3.Connection, keys: Sequence[int]) -> int:
    for key in keys:
        (payload,) = db.execute("SELECT payload FROM entry WHERE key = ?", (key,)).fetchone()
        take_out(db, key, key)
        db.execute("INSERT INTO gap VALUES (?, ?, ?, 0, 0)", (key, len(payload), payload_hash(payload)))
        db.execute("UPDATE entry SET payload = NULL WHERE key = ?", (key,))
        db.execute("DELETE FROM retracted WHERE key = ?", (key,))
    return len(keys)
