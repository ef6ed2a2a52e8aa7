"""What others say to the node's own identity: which entries have a row in `news`, and when it comes and goes.

A notice that answers, mentions or quotes us has one while it is shown. A like or boost has one while an own notice
or boost is shown, too, where it says: it can name whatever it wants, and neither a page of notifications nor whoever
marks them as read is to walk past any number of those that tell nothing. So likes and boosts come and go with that as
well.

A row goes whenever its entry is hidden or forgotten, though it may come again: at once where a stray becomes part of a
run, some day where it was pruned. So what was read is in `news_read`, by its key, for as long as the log has a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.payload import Ref
from p2pblog.core.value import Value
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.meaning import Kind, meaning_of
from p2pblog.store.sql_base import HERE_FOR_US, IDS_PER_QUESTION, identity_no, in_steps
from p2pblog.store.sql_strangers import is_stranger

REACTIONS_TOLD = f"{int(Kind.BOOST)}, {int(Kind.LIKE)}"
"""The kinds of boosts and likes, which are news of what they name."""


class Said(Value):
    """An entry that is shown and said to us. `at`: what a like or boost names. `owner`: its author's number."""

    key: int
    sort: int
    kind: int
    at: Ref | None
    owner: int


def own_identity(db: sqlite3.Connection) -> IdentityHash | None:
    found = db.execute("SELECT value FROM setting WHERE name = ?", (OWN_IDENTITY,)).fetchone()
    return None if found is None else IdentityHash(found[0])


def own_no(db: sqlite3.Connection) -> int | None:
    own = own_identity(db)
    return None if own is None else identity_no(db, own)


def enter_news(db: sqlite3.Connection, own: IdentityHash, said: Sequence[Said]) -> None:
    """What others say becomes news, in the order given; likes and boosts of nothing of ours are left aside."""
    named = dict.fromkeys(each.at for each in said if each.kind != Kind.NOTE)
    ours = {at for at in named if at is not None and is_own(db, own, at)}
    told = [each for each in said if each.kind == Kind.NOTE or each.at in ours]
    waits = {owner: is_stranger(db, owner) for owner in dict.fromkeys(each.owner for each in told)}
    rows = [(each.key, each.sort, each.kind == Kind.NOTE, waits[each.owner]) for each in told]
    db.executemany(ENTER_NEWS, rows)


ENTER_NEWS = """INSERT OR IGNORE INTO news (no, key, sort, is_notice, waits, is_read)
                VALUES ((SELECT r.no FROM news_read r WHERE r.key = ?1), ?1, ?2, ?3, ?4,
                        EXISTS (SELECT 1 FROM news_read r WHERE r.key = ?1))"""
"""What was read is so still, and stands where it stood. Without a number SQLite gives the next one."""


def is_own(db: sqlite3.Connection, own: IdentityHash, at: Ref) -> bool:
    """Whether an own notice or boost is shown where this says. To look for the id alone would take ten times as long as
    a like takes to be stored, and there can be any number that name nothing."""
    return db.execute(OWN_AT, (at.device, at.seq, at.id, own)).fetchone() is not None


OWN_AT = f"""SELECT 1 FROM log l JOIN identity i ON i.no = l.owner JOIN entry e ON e.key = l.no << 32 | ?2
            WHERE l.device = ?1 AND e.id = ?3 AND i.hash = ?4 AND e.kind IN ({int(Kind.NOTE)}, {int(Kind.BOOST)})
            AND e.payload IS NOT NULL AND ?2 <= l.shown_to
            AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)"""  # noqa: S608 - numbers


def enter_reactions(db: sqlite3.Connection, own: IdentityHash, ids: Sequence[EntryId]) -> None:
    """Own entries came, or may show again: likes and boosts that came before of those that are shown are news now."""
    for asked in in_steps(ids, IDS_PER_QUESTION):
        marks = ",".join("?" * len(asked))
        rows = db.execute(f"{_REACTIONS} AND r.target IN ({marks})", (own, *asked)).fetchall()
        enter_news(db, own, sorted(_to_us(own, rows), key=lambda said: (said.sort, said.key)))


_REACTIONS = """SELECT e.key, e.sort, e.kind, r.author, e.payload FROM reaction r
                JOIN entry e ON e.key = r.key JOIN identity i ON i.no = r.author
                WHERE r.kind IN (2, 3) AND i.hash != ?"""


def leave_reactions(db: sqlite3.Connection, ids: Iterable[EntryId]) -> None:
    """Own entries are hidden or forgotten: likes and boosts of them are no news any more."""
    db.executemany(LEAVE_REACTIONS, [(entry,) for entry in ids])


LEAVE_REACTIONS = f"""DELETE FROM news WHERE key IN
                     (SELECT r.key FROM reaction r WHERE r.target = ? AND r.kind IN ({REACTIONS_TOLD}))"""  # noqa: S608 - numbers


def mark_read(db: sqlite3.Connection) -> int:
    """All that is told; gives how many rows."""
    db.execute(NOTE_READ)
    return db.execute(MARK_READ).rowcount


_UNREAD = "WHERE NOT waits AND NOT is_read AND no > 0"
NOTE_READ = f"INSERT OR IGNORE INTO news_read SELECT key, no FROM news INDEXED BY news_unread {_UNREAD}"  # noqa: S608
MARK_READ = f"UPDATE news INDEXED BY news_unread SET is_read = 1 {_UNREAD}"  # noqa: S608


def renew_news(db: sqlite3.Connection) -> None:
    """What is said to the node's own identity, found anew in all that is held; none of it is read."""
    db.execute("DELETE FROM news")
    db.execute("DELETE FROM news_read")
    db.execute("DELETE FROM dm_told")
    own = own_identity(db)
    if own is not None:
        enter_news(db, own, _to_us(own, db.execute(NEWS_OF, (own,)).fetchall()))


def _to_us(own: IdentityHash, rows: Iterable[tuple[int, int, int, int, bytes]]) -> list[Said]:
    read = ((key, sort, kind, owner, meaning_of(payload)) for key, sort, kind, owner, payload in rows)
    return [Said(key, sort, kind, meaning.at, owner) for key, sort, kind, owner, meaning in read if own in meaning.to]


NEWS_OF = f"""SELECT e.key, e.sort, e.kind, l.owner, e.payload
FROM entry e JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner
WHERE e.kind IN ({int(Kind.NOTE)}, {REACTIONS_TOLD}) AND e.payload IS NOT NULL
AND (e.key & 4294967295) <= l.shown_to AND i.hash != ?1 AND (instr(e.payload, ?1) OR instr(e.payload, X'40'))
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key) AND {HERE_FOR_US} ORDER BY e.sort, e.key"""  # noqa: S608 - from sql_base.py
"""Every notice is looked at, once in a database's life; who is named stands in a reference, or behind an @."""
