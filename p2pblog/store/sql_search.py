"""What reads the index of words: notices that hold what a query asks for, as they are shown, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby

from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.core.keys import IdentityHash
from p2pblog.core.search import Phrase, log_word
from p2pblog.store import SearchQuery, SearchResult
from p2pblog.store.sql_base import LAST_PLACE, identity_no, is_here_for_us, logs_of_owner, place_of, sort_at
from p2pblog.store.sql_read import rows_at
from p2pblog.store.sql_words import SAME_MOMENT_BITS, count_unread, end_of_moment, moment


def search(db: sqlite3.Connection, query: SearchQuery) -> SearchResult:
    before = LAST_PLACE if query.before is None else place_of(db, query.before)
    limit = max(0, min(query.limit, TIMELINE_ROWS_MAX))
    found = (key for place, key in _places(db, query, before[0]) if (place, key) < before)
    keys = (key for key in found if is_here_for_us(db, key))
    return SearchResult(tuple(rows_at(db, keys, limit)), count_unread(db))


def _places(db: sqlite3.Connection, query: SearchQuery, newest: int) -> Iterator[tuple[int, int]]:
    """(sort, key) of what is found, shown or not, newest first."""
    low = 0 if query.since_ms is None else moment(query.since_ms)
    high = end_of_moment(newest)
    if query.until_ms is not None:
        high = min(high, moment(query.until_ms) - 1)
    expression = _expression(db, query)
    if expression is None:
        return
    found = db.execute(MATCHING, (expression, low, high)) if expression else db.execute(WITHIN, (low, high))
    for _, same_moment in groupby(found, key=lambda row: row[0] >> SAME_MOMENT_BITS):
        keys = [key for _, key in same_moment]
        yield from sorted(((sort_at(db, key), key) for key in keys), reverse=True)


MATCHING = """SELECT f.number, f.key FROM word CROSS JOIN found f ON f.number = word.rowid
              WHERE word MATCH ? AND word.rowid BETWEEN ? AND ? ORDER BY word.rowid DESC"""
WITHIN = "SELECT number, key FROM found WHERE number BETWEEN ? AND ? ORDER BY number DESC"


def _expression(db: sqlite3.Connection, query: SearchQuery) -> str | None:
    """What FTS5 is asked (https://www.sqlite.org/fts5.html#full_text_query_syntax); empty where only times are asked
    for, None where nobody is left who could have written it.

    Only words of `core.search` get there, each in quotes, and none of them has a quote in it.
    """
    wanted = [_quoted(phrase) for phrase in query.wanted]
    unwanted = [_quoted(phrase) for phrase in query.unwanted]
    if query.authors is not None:
        logs = [word for author in query.authors for word in _log_words(db, author)]
        if not logs:
            return None
        wanted.append(f"({' OR '.join(logs)})")
    unwanted += [word for author in query.not_authors for word in _log_words(db, author)]
    if not unwanted:
        return " AND ".join(wanted)
    return f"({' AND '.join(wanted)}) NOT ({' OR '.join(unwanted)})"


def _log_words(db: sqlite3.Connection, author: IdentityHash) -> list[str]:
    owner = identity_no(db, author)
    return [] if owner is None else [_quoted(Phrase((log_word(log.no),))) for log in logs_of_owner(db, owner)]


def _quoted(phrase: Phrase) -> str:
    said = " ".join(phrase.words)
    assert '"' not in said
    return f'"{said}" *' if phrase.begins else f'"{said}"'
