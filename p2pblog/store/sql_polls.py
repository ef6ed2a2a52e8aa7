"""When polls close that oneself made or voted in: what is waited for, and what becomes news.

The rule is told at `store.Store.end_polls`. A row of `poll_due` is an own entry, a poll or a vote. When it is looked
at, it is put off, forgotten, or becomes news under its own id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pblog.core.keys import EntryId
from p2pblog.store.meaning import PollEnd, awaits_poll, look_at_poll
from p2pblog.store.sql_base import LogRow
from p2pblog.store.sql_news import ENTER_NEWS, own_identity
from p2pblog.store.sql_rows import RowReader
from p2pblog.store.sql_transactions import apart, pass_over
from p2pblog.store.stretch import Stretch


def await_polls(db: sqlite3.Connection, log: LogRow, stretch: Stretch, now_ms: int) -> None:
    """Own polls and votes that came now are waited for; those of others are not."""
    keys = (log.key(seq) for seq, payload in enumerate(stretch.payloads, stretch.first) if awaits_poll(payload))
    db.executemany("INSERT OR IGNORE INTO poll_due VALUES (?, ?, 0)", [(key, now_ms) for key in keys])


def await_filled(db: sqlite3.Connection, log: LogRow, key: int, payload: bytes, seen_ms: int) -> None:
    """What an own entry says has come, after the entry itself; 0: it was here before, until its bytes were dropped."""
    if seen_ms and awaits_poll(payload) and log.identity == own_identity(db):
        db.execute("INSERT OR IGNORE INTO poll_due VALUES (?, ?, 0)", (key, seen_ms))


def end_polls(db: sqlite3.Connection, now_ms: int) -> int:
    looked_at: list[tuple[int, int | None]] = []
    ended: dict[EntryId, tuple[int, int]] = {}
    for key, since_ms in db.execute(DUE, (now_ms,)).fetchall():
        try:
            found = _look_at(db, key, since_ms, now_ms)
            is_new = isinstance(found, PollEnd) and not _is_told(db, found)
        except Exception as error:
            pass_over(error)  # it stays due
            continue
        looked_at.append((key, found if isinstance(found, int) else None))
        if isinstance(found, PollEnd) and is_new:
            ended.setdefault(found.notice, (found.closes_ms, key))
    if not looked_at:
        return 0
    return apart(db, _settle, db, looked_at, [key for _, key in sorted(ended.values())]) or 0


def _look_at(db: sqlite3.Connection, key: int, since_ms: int, now_ms: int) -> PollEnd | int | None:
    reader = RowReader(db)
    shown = reader.shown_if(key)
    if shown is None or shown.author != own_identity(db):
        return None
    return look_at_poll(shown, reader.shown_by_id, since_ms, now_ms)


def _settle(db: sqlite3.Connection, looked_at: Sequence[tuple[int, int | None]], ended: Sequence[int]) -> int:
    """`looked_at`: keys, with the time until which each is put off. `ended`: what becomes news, in order; gives how
    many."""
    for key, due_ms in looked_at:
        if due_ms is None:
            db.execute("DELETE FROM poll_due WHERE key = ?", (key,))
        else:
            db.execute("UPDATE poll_due SET due = ? WHERE key = ?", (due_ms, key))
    db.executemany(ENTER_NEWS, [(key, 0, False, False) for key in ended])
    return len(ended)


DUE = "SELECT key, since FROM poll_due WHERE due < ? ORDER BY due, key"


def _is_told(db: sqlite3.Connection, end: PollEnd) -> bool:
    """Whether another device's vote in it is news already."""
    return db.execute(TOLD, (end.notice, end.voter)).fetchone() is not None


TOLD = """SELECT 1 FROM identity i JOIN vote v ON v.author = i.no JOIN news n ON n.key = v.key
          WHERE v.target = ?1 AND i.hash = ?2 LIMIT 1"""
