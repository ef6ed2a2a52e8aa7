"""Direct messages: which are listed, which are for others, and which of them are news.

Only who has the keys can tell whom one is for, so each is listed until somebody tried it and said so. A row of
`dm_told` is one that is for us, by somebody else, with its number among the news: it keeps that where it is hidden for
a while and shown again, and loses it with its entry.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import islice

from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.store import DmRow
from p2pblog.store.meaning import Kind
from p2pblog.store.sql_base import LAST_PLACE, LogRow, key_of_id, log_of_key, place_of
from p2pblog.store.sql_news import ENTER_NEWS, own_identity
from p2pblog.store.sql_strangers import is_stranger
from p2pblog.store.sql_transactions import apart, pass_over


def dms(db: sqlite3.Connection, limit: int, before: EntryId | None = None, untold: bool = False) -> list[DmRow]:
    place = LAST_PLACE if before is None else place_of(db, before)
    most = max(0, min(limit, TIMELINE_ROWS_MAX))
    asked, values = (UNTOLD, (*place, own_identity(db))) if untold else (DMS, place)
    try:
        rows = db.execute(asked.format(*WHOLE), (*values, most)).fetchall()
        return [DmRow(entry, author, *row) for _, author, entry, *row in rows]
    except sqlite3.DatabaseError as error:
        pass_over(error)
    return one_by_one(db, asked, values, most)


def one_by_one(db: sqlite3.Connection, asked: str, values: Sequence[object], most: int) -> list[DmRow]:
    """Each is read by itself: one that is damaged may not keep the others from being read."""
    keys = db.execute(asked.format(*BARE), (*values, -1))
    return list(islice((found for row in keys if (found := _dm_at(db, *row)) is not None), most))


DMS = """SELECT d.key, i.hash{} FROM dm d {} JOIN log l ON l.no = d.key >> 32 JOIN identity i ON i.no = l.owner
         WHERE (d.sort, d.key) < (?1, ?2) ORDER BY d.sort DESC, d.key DESC LIMIT ?3"""
UNTOLD = """SELECT d.key, i.hash{} FROM dm d {} JOIN log l ON l.no = d.key >> 32 JOIN identity i ON i.no = l.owner
            WHERE (d.sort, d.key) < (?1, ?2) AND NOT EXISTS (SELECT 1 FROM dm_told t WHERE t.key = d.key)
            AND i.hash IS NOT ?3 ORDER BY d.sort, d.key LIMIT ?4"""
WHOLE = (", e.id, e.time, e.payload", "CROSS JOIN entry e ON e.key = d.key")
BARE = ("", "")
"""With what each says, or, where some of that is damaged, without."""


def _dm_at(db: sqlite3.Connection, key: int, author: IdentityHash) -> DmRow | None:
    try:
        row = db.execute(DM, (key,)).fetchone()
    except sqlite3.DatabaseError as error:
        pass_over(error)
        return None
    return None if row is None else DmRow(row[0], author, *row[1:])


DM = "SELECT id, time, payload FROM entry WHERE key = ?"


def enter_dms(db: sqlite3.Connection, log: LogRow, places: Sequence[tuple[int, int]]) -> None:
    """Those that are shown from now on, as (sort, key). Of whose identity is not kept none is listed: anybody can have
    us hold his log for others."""
    if not places or not log.is_kept:
        return
    waits = is_stranger(db, log.owner)
    db.executemany(ENTER_DM, places)
    db.executemany(ENTER_TOLD, [(sort, key, waits) for sort, key in places])


ENTER_DM = """INSERT OR IGNORE INTO dm SELECT ?1, ?2
              WHERE NOT EXISTS (SELECT 1 FROM dm_aside WHERE dm_aside.key = ?2)
              AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = ?2 AND NOT s.kept)"""
ENTER_TOLD = """INSERT OR IGNORE INTO news (no, key, sort, is_notice, waits, is_read)
                SELECT t.no, t.key, ?1, 0, ?3, EXISTS (SELECT 1 FROM news_read r WHERE r.key = ?2)
                FROM dm_told t WHERE t.key = ?2 AND EXISTS (SELECT 1 FROM dm d WHERE d.sort = ?1 AND d.key = ?2)"""


def settle_dms(db: sqlite3.Connection, for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
    found = (key_of_id(db, entry) for entry in for_others)
    for key in [key for key in found if key is not None]:
        apart(db, _set_aside, db, key)
    came = (key_of_id(db, entry) for entry in for_us)
    rows = [row for key in came if key is not None for row in db.execute(IS_UNTOLD, (key, int(Kind.DM))).fetchall()]
    for sort, key in sorted(set(rows)):
        apart(db, _tell, db, sort, key)


def _set_aside(db: sqlite3.Connection, key: int) -> None:
    found = db.execute(PLACE_OF_DM, (key, int(Kind.DM))).fetchone()
    if found is not None:
        db.execute("DELETE FROM dm WHERE sort = ? AND key = ?", (found[0], key))
        db.execute("DELETE FROM dm_told WHERE key = ?", (key,))
        db.execute("DELETE FROM news WHERE key = ?", (key,))
        db.execute("INSERT OR IGNORE INTO dm_aside VALUES (?)", (key,))


PLACE_OF_DM = """SELECT e.sort FROM entry e WHERE e.key = ? AND e.kind = ?
                 AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key AND NOT s.kept)"""


def _tell(db: sqlite3.Connection, sort: int, key: int) -> None:
    log = log_of_key(db, key)
    if log.identity == own_identity(db):
        return
    db.execute(ENTER_NEWS, (key, sort, False, is_stranger(db, log.owner)))
    db.execute("INSERT INTO dm_told SELECT n.key, n.no FROM news n WHERE n.key = ?", (key,))


IS_UNTOLD = """SELECT d.sort, d.key FROM entry e JOIN dm d ON d.sort = e.sort AND d.key = e.key
               WHERE e.key = ? AND e.kind = ? AND NOT EXISTS (SELECT 1 FROM dm_told t WHERE t.key = e.key)"""
