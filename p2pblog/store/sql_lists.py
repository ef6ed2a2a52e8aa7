"""The lists of people that a person keeps: plain rows that no entry has a say in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pblog.config import LIST_MEMBERS_MAX, LISTS_MAX
from p2pblog.core.keys import IdentityHash
from p2pblog.errors import NotFound
from p2pblog.store import ListRow
from p2pblog.store.sql_base import may_add


def put_list(db: sqlite3.Connection, name: str) -> bool:
    if db.execute("SELECT 1 FROM list WHERE name = ?", (name,)).fetchone():
        return True
    if not may_add(db, "list", LISTS_MAX):
        return False
    db.execute("INSERT INTO list (name) VALUES (?)", (name,))
    return True


def drop_list(db: sqlite3.Connection, name: str) -> None:
    no = _number(db, name)
    db.execute("DELETE FROM member WHERE list = ?", (no,))
    db.execute("DELETE FROM list WHERE no = ?", (no,))


def put_members(db: sqlite3.Connection, name: str, identities: Sequence[IdentityHash]) -> bool:
    no = _number(db, name)
    if len({*members(db, name), *identities}) > LIST_MEMBERS_MAX:
        return False
    db.executemany("INSERT OR IGNORE INTO member VALUES (?, ?)", [(no, identity) for identity in identities])
    return True


def drop_members(db: sqlite3.Connection, name: str, identities: Sequence[IdentityHash]) -> None:
    no = _number(db, name)
    db.executemany("DELETE FROM member WHERE list = ? AND identity = ?", [(no, identity) for identity in identities])


def leave_lists(db: sqlite3.Connection, identity: IdentityHash) -> None:
    """Somebody goes out of all of them."""
    db.execute("DELETE FROM member WHERE identity = ?", (identity,))


def members(db: sqlite3.Connection, name: str) -> list[IdentityHash]:
    rows = db.execute("SELECT identity FROM member WHERE list = ? ORDER BY identity", (_number(db, name),)).fetchall()
    return [IdentityHash(identity) for (identity,) in rows]


def lists(db: sqlite3.Connection) -> list[ListRow]:
    return [ListRow(*row) for row in db.execute(LISTS).fetchall()]


LISTS = "SELECT l.name, (SELECT count(*) FROM member m WHERE m.list = l.no) FROM list l ORDER BY l.name"


def listed(db: sqlite3.Connection) -> list[IdentityHash]:
    return [IdentityHash(identity) for (identity,) in db.execute(LISTED).fetchall()]


LISTED = "SELECT DISTINCT identity FROM member ORDER BY identity"


def _number(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT no FROM list WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound("you have no list of that name", hint="p2pblog lists")
    return int(row[0])
