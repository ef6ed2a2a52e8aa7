"""Transactions, in a database thread: many writes with one commit, and a query on one state of the database."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from p2pblog.core.value import State, field
from p2pblog.errors import BadChain, P2pblogError, RemoteProtocolError, StoreDamaged, StoreError, StoreFull

log = logging.getLogger("p2pblog.store")

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Write(State, eq=False):
    """A use case on its way to the database. `durable`: on the disk when it is done. `in_parts`: it begins and ends
    transactions of its own, so that one part that meets damage takes no other with it. `outcome`: its value, or the
    exception for its caller."""

    run: Callable[[sqlite3.Connection], Any]
    durable: bool
    in_parts: bool = False
    outcome: Any = field(default_factory=lambda: StoreError("the database was closed before this was written"))


def read(db: sqlite3.Connection, run: Callable[[sqlite3.Connection], T], path: Path) -> T:
    """One query on one state of the database. Raises StoreError, also for whatever else left the query, and what the
    query refuses on purpose, such as NotFound."""
    try:
        db.execute("BEGIN")
        try:
            return run(db)
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
    except (sqlite3.Error, MemoryError) as error:
        raise translated(error, path) from error
    except Exception as error:
        if _is_meant(error) and not isinstance(error, BadChain):  # who reads brings no run
            raise
        raise damaged(error, path) from error


def commit(db: sqlite3.Connection, writes: Sequence[Write], path: Path) -> None:
    """Give each write its outcome, one after the other: those in a row share a transaction, or, if that can't be
    written, have each their own."""
    for in_parts, row in groupby(writes, key=lambda write: write.in_parts):
        if not in_parts:
            _commit_row(db, list(row), path)
            continue
        for write in row:
            _run_in_parts(db, write, path)


def _commit_row(db: sqlite3.Connection, row: Sequence[Write], path: Path) -> None:
    try:
        _transact(db, row, path)
    except (sqlite3.Error, MemoryError) as error:
        if len(row) == 1:
            row[0].outcome = translated(error, path)
            return
        for write in row:
            _commit_row(db, [write], path)


def _run_in_parts(db: sqlite3.Connection, write: Write, path: Path) -> None:
    try:
        write.outcome = write.run(db)
    except (sqlite3.Error, MemoryError) as error:
        write.outcome = translated(error, path)
    except Exception as refusal:
        write.outcome = refusal if _is_meant(refusal) else damaged(refusal, path)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _transact(db: sqlite3.Connection, writes: Sequence[Write], path: Path) -> None:
    """One that is alone needs no savepoint: each statement less is a turn of the interpreter less to wait for."""
    is_durable, share = any(write.durable for write in writes), len(writes) > 1
    try:
        if is_durable:
            db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        for write in writes:
            if share:
                db.execute("SAVEPOINT write")
            try:
                write.outcome = write.run(db)
            except (sqlite3.Error, MemoryError):
                raise
            except Exception as refusal:  # its caller's to handle: nothing of this one write stays
                db.execute("ROLLBACK TO write" if share else "ROLLBACK")
                write.outcome = refusal if _is_meant(refusal) else damaged(refusal, path)
            if share:
                db.execute("RELEASE write")
        if db.in_transaction:
            db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        if is_durable:
            db.execute("PRAGMA synchronous = NORMAL")


def apart(db: sqlite3.Connection, change: Callable[[*Args], T], *args: *Args) -> T | None:
    """Make a change of which nothing stays where it meets damage, and give what it gives; None if it met some, and the
    log says once what. Raises what else leaves it. It is a transaction of its own, or a savepoint of one that has
    begun. But where SQLite itself saw the damage inside a transaction, it writes no more in that one (since 3.40)."""
    begin, end, undo = OUTERMOST if not db.in_transaction else WITHIN
    db.execute(begin)
    try:
        result = change(*args)
        db.execute(end)
    except Exception as error:
        if begin == WITHIN[0] and not db.in_transaction:
            raise  # SQLite has undone all of it, as after a read that failed
        if db.in_transaction:
            db.execute(undo)
        if db.in_transaction:
            db.execute(end)
        pass_over(error)
        return None
    return result


OUTERMOST = "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
WITHIN = "SAVEPOINT apart", "RELEASE apart", "ROLLBACK TO apart"


def unless_damaged(read: Callable[[*Args], T], *args: *Args) -> T | None:
    """What it reads; None where that is damaged, of which the log says nothing."""
    try:
        return read(*args)
    except Exception as error:
        if not is_damage(error):
            raise
        return None


def pass_over(error: Exception) -> None:
    """Say once that damage was met, and that all else goes on. Raises the error itself where it is no damage."""
    if not is_damage(error):
        raise error
    tell_once(f"what is damaged in the database is passed over: {_said_by(error)}", error)


def translated(error: Exception, path: Path) -> StoreError:
    """What SQLite says, as one of our errors. A quota or a file size limit shows as a failed write. A constraint that
    does not hold is damage: where one row is lost, what is stored in its place meets what belongs to it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        return StoreFull(f"there is no room to write the database {path}")
    if is_damage(error):
        return damaged(error, path)
    if isinstance(error, MemoryError):  # sqlite3 raises this one too
        return StoreError(f"the database {path} can't be used: there is no memory left")
    return StoreError(f"the database {path} can't be used: {error}")


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)


BAD_SECTOR = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
"""The disk does not give back what it took: to try that again and again would keep all else waiting."""


def is_damage(error: Exception) -> bool:
    """Whether what left code that reads what is stored says that it is damaged: see `damaged`. A query that was
    interrupted and want of memory don't."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in DAMAGE or code in BAD_SECTOR
    return not isinstance(error, MemoryError) and not _is_meant(error)


def _is_meant(error: Exception) -> bool:
    """Whether a use case raised it for its caller: BadChain of what was to be stored, NotFound, a bug that it saw.
    Of RemoteProtocolErrors no other: what we once stored was well-formed."""
    is_of_bytes = isinstance(error, RemoteProtocolError) and not isinstance(error, BadChain)
    return isinstance(error, P2pblogError) and not (is_of_bytes or isinstance(error, StoreDamaged))


def damaged(error: Exception, path: Path) -> StoreDamaged:
    """What code that relies on what is stored came upon. Where a row is lost or wrong that can be any exception, and a
    bug of ours can't be told from it: so the sentence names what it was, and the log says once where."""
    sentence = f"the database {path} is damaged: {_said_by(error)}"
    tell_once(sentence, error)
    found = StoreDamaged(sentence)
    found.__cause__ = error
    return found


def _said_by(error: Exception) -> str:
    if _is_plain(error):
        return str(error)
    return f"{type(error).__name__} {error}".strip() + " (or this is a bug in p2pblog)"


def _is_plain(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error | P2pblogError)


def tell_once(sentence: str, error: Exception | None = None) -> None:
    """Have the log say it, and where the error came from, unless it did."""
    if sentence not in _told and len(_told) < TOLD_MAX:
        _told.add(sentence)
        log.error("%s", sentence, exc_info=None if error is None or _is_plain(error) else error)


TOLD_MAX = 100
_told: set[str] = set()
"""What the log says already: a row that is lost is met again and again."""
