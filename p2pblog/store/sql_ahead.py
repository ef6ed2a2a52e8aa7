"""What we wrote while our own clock was ahead: its places are still to come, and come back once the clock is right.

A place is never below the one before it in the log, so a single notice by a clock a year ahead would draw all that we
write in that year above what everybody else says. Only our own logs can have such places: what others claim is bounded
by when we saw it. Where their places lie ahead as well, or everything does, it is now that the clock is wrong, as that
of a small computer without a battery at each start: then all stays, for no place could be told again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pblog.core.logs import Span
from p2pblog.core.timelines import AHEAD_MAX_MS
from p2pblog.core.value import replace
from p2pblog.store.sql_base import HOME, LAST_PLACE, LogRow, logs_of_owner, place_record, read_place, sort_at
from p2pblog.store.sql_index import IndexBatch, enter, leave, read_range
from p2pblog.store.sql_words import await_words, take_out

LAST_BY_NOW = "SELECT coalesce(max(key), ?1) FROM entry WHERE key BETWEEN ?1 AND ?2 AND sort <= ?3"


def bring_back(db: sqlite3.Connection, log: LogRow, spans: Sequence[Span], now_ms: int, index: IndexBatch) -> None:
    """Let the entries of a log of our own stand here and now whose places lie far ahead, in the order of the log."""
    ahead_ms = now_ms + AHEAD_MAX_MS
    if not spans or sort_at(db, log.key(spans[-1].high)) <= ahead_ms:
        return
    index.bring_in(db)
    if not _was_ahead(db, log, ahead_ms):
        return
    (last,) = db.execute(LAST_BY_NOW, (*log.keys, now_ms)).fetchone()
    low, high = last + 1, log.key(spans[-1].high)
    take_out(db, low, high)
    start = low
    while items := read_range(db, start, high):
        leave(db, log, items)
        start = items[-1].key + 1
        db.execute("UPDATE entry SET sort = ? WHERE key BETWEEN ? AND ?", (now_ms, items[0].key, items[-1].key))
        enter(db, log, [replace(item, sort=now_ms) for item in items])
    await_words(db, [(low, high)])


def _was_ahead(db: sqlite3.Connection, log: LogRow, ahead_ms: int) -> bool:
    """Whether our home timeline has something that does not lie ahead, and above it nothing that somebody else said."""
    ours = {each.no for each in logs_of_owner(db, log.owner)}
    for sort, key in map(read_place, HOME.below(db, place_record(*LAST_PLACE))):
        if sort <= ahead_ms:
            return True
        if key >> 32 not in ours:
            return False
    return False
