"""A new database made of what can be read of a damaged one, by what stores things in any database.

So each index and the index of words are made anew, and what is lost of a log is a hole in it as any other, which peers
fill. Numbers of logs and of news stay, and with them what was read; and where entries stand, which says when they were
first seen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

from p2pblog import disk
from p2pblog.config import SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import IdentityHash, KeyPair
from p2pblog.core.logs import Batch
from p2pblog.core.value import State
from p2pblog.errors import BadChain, StoreError
from p2pblog.store import OWN_DEVICE, OWN_IDENTITY, sql_write
from p2pblog.store.meaning import Kind
from p2pblog.store.salvage import Records, Salvage
from p2pblog.store.sql_base import LAST_PLACE, LogRow, in_steps, key_of_id, log_of_key
from p2pblog.store.sql_index import enter, leave, read_items
from p2pblog.store.sql_opening import prepare_writer
from p2pblog.store.sql_transactions import apart, translated

COPIED = (
    "follow", "mute", "block", "admitted", "list", "member", "joined", "bookmark", "peer", "dm_aside", "dm_told",
    "news_read",
)  # fmt: skip
"""What is taken as it stands. What is in no list follows from logs and strays."""
LEFT_OUT = ("memory.", "remembered", OWN_DEVICE)
"""Settings: what peers and we told each other of what we hold; after this both tell all, once. And the device: another
one writes from now on."""


class Looked(State):
    """What was found in a database. `faults`: sentences of what is broken in the file; `entries`: how many of all logs
    are as they were signed; `lost`, `lost_own`: how many are not or can't be read, and how many of these in logs of
    one's own."""

    faults: list[str]
    entries: int = 0
    lost: int = 0
    lost_own: int = 0

    @property
    def is_damaged(self) -> bool:
        return bool(self.faults or self.lost)


HearsOf = Callable[[float], None]
"""Who hears which share is done."""


def look(path: Path, own: IdentityHash, tick: HearsOf) -> Looked:
    """Look at a whole database, and change nothing: at its pages and indexes, and at each log's ids and signatures.
    `tick` hears which share is done. Raises StoreError where it is none, or so broken that nothing can be read."""
    try:
        with closing(Salvage(path)) as old:
            old.look_at_pages()
            old.take_heads()
            for table in (*COPIED, "setting", "news"):
                old.rows(table)
            looked = Looked(old.faults)
            _go_through(old, own, looked, tick, lambda log, run: True)
            looked.lost += sum(located is None for located, *_ in old.strays())
            return looked
    except (StoreError, OSError):
        raise
    except Exception as error:  # whatever rot leads to
        raise translated(error, path) from error


def mend(path: Path, made: Path, own: Identity, now_ms: int, tick: HearsOf, devices: Sequence[KeyPair] = ()) -> Looked:
    """Make a new database, in a file that is not there yet, of what can be read of another. `own`: what is known of
    one's own identity beside it; `devices`: the keys of its devices, which sign again where signatures are lost. Raises
    StoreError, StoreFull among them, or OSError, with the file half made."""
    try:
        made.touch(mode=0o600, exist_ok=False)
        with closing(Salvage(path)) as old, closing(sqlite3.connect(made, isolation_level=None)) as new:
            prepare_writer(made, new)
            new.execute("PRAGMA synchronous = OFF")
            new.execute("PRAGMA journal_mode = MEMORY")  # nobody hears it where closing has no room to fold one in
            old.take_heads()
            old.sign_anew(devices)
            looked = Looked(old.faults)
            _in_one(new, _copy_heads, old, own)
            _go_through(old, own.hash, looked, tick, lambda log, run: _take(new, old, log, run, now_ms))
            _in_one(new, _take_strays, old, looked)
            _in_one(new, _settle_news, old, own.hash)
            return looked
    except (StoreError, OSError):
        raise
    except Exception as error:  # whatever rot leads to
        raise translated(error, path) from error


def _go_through(
    old: Salvage, own: IdentityHash, looked: Looked, tick: HearsOf, take: Callable[[LogRow, Sequence[Entry]], bool]
) -> None:
    logs = old.logs()
    looked.lost += old.unclaimed()
    due = sum(map(old.due, logs)) or 1
    done = 0
    for log in logs:
        taken = 0
        for run in old.runs(log):
            taken += len(run) if take(log, run) else 0
            tick(min(1.0, (done + taken) / due))
        lost = max(0, old.due(log) - taken)
        done += old.due(log)
        looked.entries += taken
        looked.lost += lost
        looked.lost_own += lost if log.identity == own else 0


def _in_one(new: sqlite3.Connection, change: Callable[..., None], *args: object) -> None:
    new.execute("BEGIN IMMEDIATE")
    change(new, *args)
    new.execute("COMMIT")


# --- parts ------------------------------------------------------------------------------------------------------------


def _copy_heads(new: sqlite3.Connection, old: Salvage, own: Identity) -> None:
    """All that no log says, and the numbers of people and logs. What was news keeps its number, as if it was read."""
    for table in COPIED:
        _put(new, table, old.rows(table))
    settings = [row for row in old.rows("setting") if not str(row[0]).startswith(LEFT_OUT)]
    _put(new, "setting", [*[row for row in settings if row[0] != OWN_IDENTITY], (OWN_IDENTITY, own.hash)])
    _put(new, "news_read", [(key, no) for no, key, *_ in old.rows("news")])
    for name, last in old.last_numbers():
        new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
    people = old.db.execute("SELECT no, hash, wire FROM identity ORDER BY no").fetchall()
    _put(new, "identity", [(no, hash_, None, sql_write.belongs_home(new, hash_)) for no, hash_, _ in people])
    logs = old.db.execute("SELECT no, device, owner, ?, fork, floor, pruned FROM log ORDER BY no", (SEQ_MAX,))
    _put(new, "log", logs.fetchall())
    kept = {hash_: Identity.restore(wire, hash_) for _, hash_, wire in people if wire is not None}
    for identity in (({own.hash: own} if old.lacks_identities else {}) | kept).values():
        sql_write.put_identity(new, identity)


def _put(new: sqlite3.Connection, table: str, rows: Records) -> None:
    if rows:
        marks = ",".join("?" * len(rows[0]))
        new.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names from above


def _take(new: sqlite3.Connection, old: Salvage, log: LogRow, run: Sequence[Entry], now_ms: int) -> bool:
    """Store a run; gives whether it fits what was stored of its log."""
    try:
        is_stored = apart(new, sql_write.append, new, [Batch(log.identity, run)], now_ms) is not None
    except BadChain:
        return False
    apart(new, _put_back, new, old, log.key(run[0].seq), log.key(run[-1].seq))
    return is_stored


def _put_back(new: sqlite3.Connection, old: Salvage, low: int, high: int) -> None:
    """Let entries that were stored just now stand where they stood before, and those whose bytes are gone be what they
    were: they still tie an answer to what it answers."""
    held = set(new.execute(STOOD, (low, high)).fetchall())
    moved = {row[0]: row for row in old.db.execute(STOOD, (low, high)) if row not in held and _may_be(row)}
    for keys in in_steps(sorted(moved)):
        _move(new, [moved[key] for key in keys])


def _may_be(row: Sequence[Any]) -> bool:
    _, sort, kind, of = row
    return type(sort) is int and 0 <= sort <= LAST_PLACE[0] and kind in (None, *Kind) and (type(of) is bytes or not of)


STOOD = """SELECT key, sort, CASE WHEN payload IS NULL THEN kind END, CASE WHEN payload IS NULL THEN "of" END
           FROM entry WHERE key BETWEEN ? AND ?"""


def _move(new: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Have entries of one log stand in every index as these rows of `STOOD` say."""
    keys = [row[0] for row in rows]
    log = log_of_key(new, keys[0])
    leave(new, log, read_items(new, keys))
    new.executemany(
        'UPDATE entry SET sort = ?2, kind = coalesce(?3, kind), "of" = coalesce(?4, "of") WHERE key = ?1', rows
    )
    enter(new, log, read_items(new, keys))


def _take_strays(new: sqlite3.Connection, old: Salvage, looked: Looked) -> None:
    for located, seen, kept in old.strays():
        if located is None:
            looked.lost += 1
            continue
        apart(new, sql_write.put_stray, new, located, seen)
        key = key_of_id(new, located.entry.id)
        if key is None:
            continue
        apart(new, _put_back, new, old, key, key)
        if kept and new.execute("UPDATE stray SET kept = 1 WHERE key = ?", (key,)).rowcount:
            apart(new, _move, new, new.execute(STOOD, (key, key)).fetchall())  # it is listed as what is no stray


def _settle_news(new: sqlite3.Connection, old: Salvage, own: IdentityHash) -> None:
    """What was not read is not read again, and polls of one's own that had closed are told of as before."""
    for no, key, sort, is_notice, waits, is_read in old.rows("news"):
        if not is_read:
            new.execute("DELETE FROM news_read WHERE key = ?", (key,))
            new.execute("UPDATE news SET is_read = 0 WHERE key = ?", (key,))
        row = (no, key, sort, is_notice, waits, is_read, own)
        new.execute(CLOSED_POLL, row)


CLOSED_POLL = """INSERT OR IGNORE INTO news (no, key, sort, is_notice, waits, is_read) SELECT ?1, ?2, ?3, ?4, ?5, ?6
                 FROM entry e JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner
                 WHERE e.key = ?2 AND i.hash = ?7"""
"""Own entries are among the news only where a poll has closed."""


def put_in_place(path: Path, made: Path) -> Path:
    """Put a new database in the place of a damaged one, durably, and give where that is kept from now on. A crash
    leaves one of the two there. Raises OSError."""
    kept = next(each for number in count(1) if not (each := path.with_name(f"{path.name}-damaged-{number}")).exists())
    _sync(made)
    disk.put_in_place(path, kept, force=False)
    for end in JOURNALS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(kept.with_name(kept.name + end))
    made.replace(path)
    _sync(path.parent)
    return kept


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_half_made(made: Path) -> None:
    """Nothing is left of what `mend` began."""
    for end in ("", *JOURNALS):
        made.with_name(made.name + end).unlink(missing_ok=True)


JOURNALS = ("-wal", "-shm")
"""What SQLite puts beside a file, by how their names go on."""
