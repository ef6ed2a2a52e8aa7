"""The index of words (FTS5): filled behind the commits that bring notices, and emptied with what it indexes.

`unread` says which entries still have to come in; one row a run is all that a commit writes for it. A notice is in the
index while its payload is held, shown or not: who searches looks at that. FTS5 gives rows by their number and has to
give the newest first, so a notice's number is its place in timelines, a time in ms, and a count within that moment;
`found` leads from there to its key and back, and to the entry that its words are from: itself, or its edit in force.

The index keeps no texts: to take a notice out, FTS5 has to be told its very words again. They follow from the payload
while `core.search.WORDS_FORM` is the same; where it is not, all is indexed anew. (SQLite 3.43 could do without, and
Debian 12 has 3.40.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from p2pblog.core.keys import EntryId
from p2pblog.core.search import WORDS_FORM
from p2pblog.store.meaning import Version, found_words

SAME_MOMENT_BITS = 20
MOMENT_MAX = 2**43 - 1
"""The last ms that leaves room for the count in 63 bits, in 2248; later ones stand together."""


def moment(sort: int) -> int:
    """The lowest number of a notice with this place."""
    return min(sort, MOMENT_MAX) << SAME_MOMENT_BITS


def end_of_moment(sort: int) -> int:
    """The highest one."""
    return moment(sort) | (1 << SAME_MOMENT_BITS) - 1


def prepare(db: sqlite3.Connection) -> None:
    """Begin again if the index was made by other rules, or not at all; on an open database (autocommit)."""
    if db.execute("SELECT form FROM word_form").fetchall() == [(WORDS_FORM,)]:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("INSERT INTO word (word) VALUES ('delete-all')")
        for table in ("found", "unread", "word_form"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from above
        db.execute("INSERT INTO unread (low, high) SELECT key, key FROM stray ORDER BY key")
        db.execute("INSERT INTO unread (low, high) SELECT log << 32 | low, log << 32 | high FROM span")
        db.execute("INSERT INTO word_form VALUES (?)", (WORDS_FORM,))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def await_words(db: sqlite3.Connection, ranges: Iterable[tuple[int, int]]) -> None:
    """Note that the notices in these ranges of keys came."""
    db.executemany("INSERT INTO unread (low, high) VALUES (?, ?)", ranges)


def count_unread(db: sqlite3.Connection) -> int:
    """How many entries may still hold notices that are not in the index."""
    return int(db.execute("SELECT coalesce(sum(high - low + 1), 0) FROM unread").fetchone()[0])


def words_at(key: int, payload: bytes, edit: Version | None) -> str:
    """What FTS5 is told of a notice; the same again when it has to forget it."""
    return " ".join(found_words(payload, key >> 32, edit))


def take_out(db: sqlite3.Connection, low: int, high: int) -> None:
    """Take out what was indexed from the entries in a range of keys, while their payloads are still held. A notice of
    which only the edit goes waits to be read again."""
    rows = {number: rest for number, *rest in (row for asked in INDEXED for row in db.execute(asked, (low, high)))}
    for number, (key, version, payload, edited) in rows.items():
        edit = None if version == key else Version(EntryId(b""), 0, 0, 0, edited)
        db.execute(
            "INSERT INTO word (word, rowid, said) VALUES ('delete', ?, ?)", (number, words_at(key, payload, edit))
        )
        db.execute("DELETE FROM found WHERE number = ?", (number,))
        if not low <= key <= high:
            await_words(db, [(key, key)])


_INDEXED = """SELECT f.number, f.key, f.version, e.payload, v.payload FROM found f
              CROSS JOIN entry e ON e.key = f.key CROSS JOIN entry v ON v.key = f.version WHERE """
INDEXED = (f"{_INDEXED} f.key BETWEEN ? AND ?", f"{_INDEXED} f.version BETWEEN ? AND ?")
