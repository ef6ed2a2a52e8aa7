"""Strangers: what they say to the node's own identity is kept among the news, and waits there.

A stranger is whoever is neither oneself nor followed, nor admitted, nor vouched for by oneself or by somebody followed.
Whether an author's news wait is written beside them, and written anew when one of these changes, so that a page is one
walk along an index of what it shows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from p2pblog.config import ADMITTED_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.store import Admitted, Vouched
from p2pblog.store.sql_base import identity_no, logs_of_owner, may_add

IS_STRANGER = """
SELECT NOT (i.at_home OR EXISTS (SELECT 1 FROM admitted a WHERE a.identity = i.hash)
            OR EXISTS (SELECT 1 FROM vouch v JOIN identity w ON w.no = v.author
                       WHERE v.subject = i.hash AND w.at_home))
FROM identity i WHERE i.no = ?
"""
STRANGERS = """SELECT sort, key FROM news INDEXED BY news_of_strangers
               WHERE waits AND is_notice AND (sort, key) < (?, ?) ORDER BY sort DESC, key DESC"""
SUBJECTS = "SELECT i.no FROM vouch v JOIN identity i ON i.hash = v.subject WHERE v.author = ?"
VOUCHES = """SELECT e.id, v.subject, e.time FROM identity i JOIN vouch v INDEXED BY vouch_by_author ON v.author = i.no
             JOIN entry e ON e.key = v.key WHERE i.hash = ?"""
VOUCHERS = """SELECT i.hash FROM vouch v JOIN identity i ON i.no = v.author
              WHERE v.subject = ? AND i.at_home"""


def is_stranger(db: sqlite3.Connection, owner: int) -> bool:
    """`owner`: an identity's number."""
    return bool(db.execute(IS_STRANGER, (owner,)).fetchone()[0])


def settle(db: sqlite3.Connection, owner: int) -> None:
    """What an author said to us waits from now on, or no longer does."""
    waits = is_stranger(db, owner)
    for log in logs_of_owner(db, owner):
        db.execute("UPDATE news SET waits = ? WHERE key BETWEEN ? AND ? AND waits != ?", (waits, *log.keys, waits))


def settle_identities(db: sqlite3.Connection, identities: Iterable[IdentityHash]) -> None:
    """The same of these, as far as anything of theirs is here."""
    for identity in dict.fromkeys(identities):
        owner = identity_no(db, identity)
        if owner is not None:
            settle(db, owner)


def settle_subjects(db: sqlite3.Connection, author: int) -> None:
    """The same of all for whom somebody vouches."""
    for (owner,) in dict.fromkeys(db.execute(SUBJECTS, (author,)).fetchall()):
        settle(db, owner)


def enter_vouches(db: sqlite3.Connection, author: int, vouches: Iterable[tuple[IdentityHash, int]]) -> None:
    """Vouches that are shown from now on, as (whom for, key)."""
    rows = sorted((subject, author, key) for subject, key in vouches)
    db.executemany("INSERT OR IGNORE INTO vouch VALUES (?, ?, ?)", rows)
    settle_identities(db, (subject for subject, _, _ in rows))


def drop_vouches(db: sqlite3.Connection, author: int, vouches: Iterable[tuple[IdentityHash, int]]) -> None:
    """Vouches that are shown no longer."""
    rows = sorted((subject, author, key) for subject, key in vouches)
    db.executemany("DELETE FROM vouch WHERE subject = ? AND author = ? AND key = ?", rows)
    settle_identities(db, (subject for subject, _, _ in rows))


# --- what a person asks for and decides -------------------------------------------------------------------------------


def places_of_strangers(db: sqlite3.Connection, place: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(sort, key) of the notices that wait, newest first, from below that place."""
    yield from db.execute(STRANGERS, place)


def put_admitted(db: sqlite3.Connection, identity: IdentityHash, now_ms: int) -> bool:
    if not db.execute("SELECT 1 FROM admitted WHERE identity = ?", (identity,)).fetchone():
        if not may_add(db, "admitted", ADMITTED_MAX):
            return False
        db.execute("INSERT INTO admitted VALUES (?, ?)", (identity, now_ms))
        settle_identities(db, [identity])
    return True


def drop_admitted(db: sqlite3.Connection, identity: IdentityHash) -> bool:
    was_there = db.execute("DELETE FROM admitted WHERE identity = ?", (identity,)).rowcount > 0
    settle_identities(db, [identity])
    return was_there


def admitted(db: sqlite3.Connection) -> list[Admitted]:
    return [Admitted(*row) for row in db.execute("SELECT identity, since FROM admitted ORDER BY since, identity")]


def vouches(db: sqlite3.Connection, by: IdentityHash, subject: IdentityHash | None = None) -> list[Vouched]:
    if subject is None:
        rows = db.execute(f"{VOUCHES} ORDER BY v.subject, v.key", (by,))
    else:
        rows = db.execute(f"{VOUCHES} AND v.subject = ? ORDER BY v.key", (by, subject))
    return [Vouched(EntryId(id), IdentityHash(of), time_ms) for id, of, time_ms in rows.fetchall()]


def vouchers(db: sqlite3.Connection, subject: IdentityHash) -> list[IdentityHash]:
    return sorted({IdentityHash(found) for (found,) in db.execute(VOUCHERS, (subject,)).fetchall()})
