"""What brings the words of notices that came, as they stand, into the index (sql_words.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from p2pblog.core.keys import EntryId
from p2pblog.store.meaning import Kind
from p2pblog.store.sql_base import log_of_key
from p2pblog.store.sql_index import edit_of
from p2pblog.store.sql_transactions import apart
from p2pblog.store.sql_words import end_of_moment, moment, take_out, words_at

CHUNK = 25
"""Entries between two looks whether somebody waits: some 3 ms."""


def read_some(db: sqlite3.Connection, most: int, is_awaited: Callable[[], bool] = bool) -> int:
    """Look at that many entries, those that came last first, and bring their notices in; gives at how many it looked:
    fewer where no more wait, or, after CHUNK of them, where `is_awaited` says that somebody does."""
    looked = 0
    while looked < most and not (looked and is_awaited()):
        waiting = db.execute("SELECT no, low, high FROM unread ORDER BY no DESC LIMIT 1").fetchone()
        if waiting is None:
            break
        no, low, high = waiting
        start = max(low, high + 1 - min(CHUNK, most - looked))
        if apart(db, _look_at, db, no, start, high) is None:
            for key in range(high, start - 1, -1):
                if apart(db, _look_at, db, no, key, key) is None:
                    _is_looked_at(db, no, key)  # what is damaged would keep all others waiting
        looked += high + 1 - start
    return looked


def _look_at(db: sqlite3.Connection, no: int, start: int, high: int) -> bool:
    """Bring in what is new of the last ones of a row of `unread`."""
    for row in db.execute(UNREAD, (start, high)).fetchall():
        _bring_in(db, *row)
    _is_looked_at(db, no, start)
    return True


def _is_looked_at(db: sqlite3.Connection, no: int, start: int) -> None:
    if not db.execute("UPDATE unread SET high = ?1 - 1 WHERE no = ?2 AND low < ?1", (start, no)).rowcount:
        db.execute("DELETE FROM unread WHERE no = ?", (no,))


UNREAD = f"""SELECT key, sort, id, payload FROM entry
             WHERE key BETWEEN ? AND ? AND kind = {int(Kind.NOTE)} AND payload IS NOT NULL ORDER BY key"""  # noqa: S608


def _bring_in(db: sqlite3.Connection, key: int, sort: int, identifier: EntryId, payload: bytes) -> None:
    edit = edit_of(db, log_of_key(db, key).owner, identifier)
    version = key if edit is None else edit.log << 32 | edit.seq
    held = db.execute("SELECT version FROM found WHERE key = ?", (key,)).fetchone()
    if held == (version,):
        return
    if held is not None:
        take_out(db, key, key)
    number = _free_number(db, sort)
    if number > end_of_moment(sort):
        return  # a million in one ms: no person wrote them
    db.execute("INSERT INTO found VALUES (?, ?, ?)", (number, key, version))
    db.execute("INSERT INTO word (rowid, said) VALUES (?, ?)", (number, words_at(key, payload, edit)))


def _free_number(db: sqlite3.Connection, sort: int) -> int:
    last = db.execute(
        "SELECT number FROM found WHERE number BETWEEN ? AND ? ORDER BY number DESC LIMIT 1",
        (moment(sort), end_of_moment(sort)),
    ).fetchone()
    return moment(sort) if last is None else int(last[0]) + 1
