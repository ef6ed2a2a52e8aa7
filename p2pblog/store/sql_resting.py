"""What the writer does while it rests: merges that were put off while much came in, then the words of what came."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from p2pblog.store.register import Register
from p2pblog.store.sql_base import FEED, HOME, IDS
from p2pblog.store.sql_indexer import read_some
from p2pblog.store.sql_transactions import apart


def get_on(db: sqlite3.Connection, words_most: int, is_awaited: Callable[[], bool] = bool) -> bool:
    """One slice of what is left to do, some 10,000 records merged or the words of `words_most` entries, fewer where
    `is_awaited` says that somebody waits; gives whether there was any. Each part is a transaction of its own: what one
    comes upon that is damaged keeps no other from being done."""
    return any(_merge(db, register) for register in (IDS, HOME, FEED)) or read_some(db, words_most, is_awaited) > 0


def _merge(db: sqlite3.Connection, register: Register) -> bool:
    merged = apart(db, register.settle, db)
    return register.leave_damaged(db) if merged is None else merged
