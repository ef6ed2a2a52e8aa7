"""The groups that a person joined, and how much of what was said to each is here."""

from __future__ import annotations

import sqlite3

from p2pblog.config import GROUPS_JOINED_MAX
from p2pblog.store import GroupRow
from p2pblog.store.meaning import group_word
from p2pblog.store.sql_base import may_add


def put_group(db: sqlite3.Connection, name: str, now_ms: int) -> bool:
    if db.execute("SELECT 1 FROM joined WHERE name = ?", (name,)).fetchone():
        return True
    if not may_add(db, "joined", GROUPS_JOINED_MAX):
        return False
    db.execute("INSERT INTO joined VALUES (?, ?)", (name, now_ms))
    return True


def drop_group(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("DELETE FROM joined WHERE name = ?", (name,)).rowcount > 0


def group(db: sqlite3.Connection, name: str) -> GroupRow | None:
    found = db.execute("SELECT name, since FROM joined WHERE name = ?", (name,)).fetchone()
    return None if found is None else _row(db, *found)


def groups(db: sqlite3.Connection) -> list[GroupRow]:
    return [_row(db, *found) for found in db.execute("SELECT name, since FROM joined ORDER BY name").fetchall()]


def _row(db: sqlite3.Connection, name: str, since_ms: int) -> GroupRow:
    authors = db.execute(AUTHORS, (group_word(name),)).fetchall()
    return GroupRow(name, since_ms, len(authors), len(set(authors)))


AUTHORS = "SELECT l.owner FROM tag t JOIN log l ON l.no = t.key >> 32 WHERE t.tag = ?"
