"""What the SQL of reading and writing shares: numbers of logs and entries, look-ups, an entry put together again.

Everything in the `sql_*` files is plain, synchronous code that runs in a database thread inside a transaction which
store/sqlite.py opens and ends. An entry's key is `log << 32 | seq`: a log lies together and grows at its end.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from p2pblog.core.entry import PayloadHashes, payload_hash
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import LogState, Span
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.value import Value
from p2pblog.errors import NotFound, StoreDamaged
from p2pblog.store.register import Register

T = TypeVar("T")

SEQ_MASK = 0xFFFF_FFFF
PREFIX_BYTES = 8
"""Of an id in the index of ids: half of its bytes are saved; the full id, beside the entry, decides."""
ROWS_PER_STEP = 2_000
"""Rows held in memory at once where a whole log is gone through."""

IDS_PER_QUESTION = 500
"""Values in one IN (…); SQLite's own limit was 999 until 3.32."""

IDS, HOME, FEED = Register(1, 16), Register(2, 16), Register(3, 20)
"""What grows without order: (first 8 bytes of an id, key) of every entry, (place, key) of the home timeline, (author,
place, key) of each author's. These numbers and forms are in databases: a change of them is a migration."""
id_record = struct.Struct(f">{PREFIX_BYTES}sQ").pack
"""A record of IDS, from (id, key): of the id its first bytes."""
place_record = struct.Struct(">QQ").pack
"""A record of HOME, from (sort, key)."""
read_place = struct.Struct(">QQ").unpack
feed_record = struct.Struct(">IQQ").pack
"""A record of FEED, from (author, sort, key)."""
read_feed = struct.Struct(">IQQ").unpack

LAST_PLACE = (2**63 - 1, 2**63 - 1)
"""Above every place in a timeline: (sort, key)."""


class LogRow(Value):
    """A log as the database numbers it. `shown_to`: the last number that its owner's identity vouches for. `is_kept`:
    whether that identity is kept; otherwise what is held of the log stands and counts only where it is a stray, or lent
    to a run."""

    no: int
    device: DeviceKey
    owner: int
    identity: IdentityHash
    shown_to: int
    is_kept: bool

    def key(self, seq: int) -> int:
        return self.no << 32 | seq

    @property
    def keys(self) -> tuple[int, int]:
        """The lowest and highest key that an entry of it can have."""
        return self.no << 32, self.no << 32 | SEQ_MASK


_LOG = """SELECT l.no, l.device, l.owner, i.hash, l.shown_to, i.wire IS NOT NULL
          FROM log l JOIN identity i ON i.no = l.owner"""


def log_of_device(db: sqlite3.Connection, device: DeviceKey) -> LogRow | None:
    row = db.execute(f"{_LOG} WHERE l.device = ?", (device,)).fetchone()
    return None if row is None else LogRow(*row)


def log_of_key(db: sqlite3.Connection, key: int) -> LogRow:
    return LogRow(*db.execute(f"{_LOG} WHERE l.no = ?", (key >> 32,)).fetchone())


def every_log(db: sqlite3.Connection) -> list[LogRow]:
    """By their devices."""
    return [LogRow(*row) for row in db.execute(f"{_LOG} ORDER BY l.device").fetchall()]


def logs_of_owner(db: sqlite3.Connection, owner: int) -> list[LogRow]:
    return [LogRow(*row) for row in db.execute(f"{_LOG} WHERE l.owner = ? ORDER BY l.no", (owner,)).fetchall()]


def identity_no(db: sqlite3.Connection, identity: IdentityHash) -> int | None:
    row = db.execute("SELECT no FROM identity WHERE hash = ?", (identity,)).fetchone()
    return None if row is None else int(row[0])


def kept_identity(db: sqlite3.Connection, identity: IdentityHash) -> Identity | None:
    row = db.execute("SELECT wire FROM identity WHERE hash = ?", (identity,)).fetchone()
    return None if row is None or row[0] is None else Identity.restore(row[0], identity)


def key_of_id(db: sqlite3.Connection, entry: EntryId) -> int | None:
    """The key of an entry held, by its full id."""
    for record in IDS.beginning_with(db, entry[:PREFIX_BYTES]):
        key = int.from_bytes(record[PREFIX_BYTES:], "big")
        if db.execute("SELECT 1 FROM entry WHERE key = ? AND id = ?", (key, entry)).fetchone():
            return key
    return None


def is_here_for_us(db: sqlite3.Connection, key: int) -> bool:
    """Whether an entry held is here for more than that others have us hold its log: whoever asks us to relay ever new
    people is to put nothing before the person, and into no count."""
    return db.execute(IS_HERE_FOR_US, (key,)).fetchone() is not None


HERE_FOR_US = """(i.wire IS NOT NULL OR EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key)
    OR EXISTS (SELECT 1 FROM lent t WHERE t.key = e.key))"""
"""Of an entry `e` and its owner `i`."""
IS_HERE_FOR_US = f"""SELECT 1 FROM entry e JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner
    WHERE e.key = ? AND {HERE_FOR_US}"""  # noqa: S608 - from above


def place_of(db: sqlite3.Connection, entry: EntryId) -> tuple[int, int]:
    """(sort, key) of an entry held. Raises NotFound."""
    key = key_of_id(db, entry)
    if key is None:
        raise NotFound(f"there is no notice {entry.hex()} here")
    return sort_at(db, key), key


def feed_of(db: sqlite3.Connection, author: int, before: tuple[int, int] = LAST_PLACE) -> Iterator[tuple[int, int]]:
    """(sort, key) of an author's notices and boosts as they are shown, newest first, from below that place."""
    for record in FEED.below(db, feed_record(author, *before)):
        whose, sort, key = read_feed(record)
        if whose != author:
            return
        yield sort, key


def id_at(db: sqlite3.Connection, key: int) -> EntryId:
    return EntryId(db.execute("SELECT id FROM entry WHERE key = ?", (key,)).fetchone()[0])


def sort_at(db: sqlite3.Connection, key: int) -> int:
    """Where an entry held stands in timelines."""
    return int(db.execute("SELECT sort FROM entry WHERE key = ?", (key,)).fetchone()[0])


def may_add(db: sqlite3.Connection, table: str, most: int) -> bool:
    """Whether there is room for one more row."""
    (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a name of ours
    return bool(count < most)


def read_spans(db: sqlite3.Connection, log: int) -> tuple[Span, ...]:
    """What is held of a log. Raises StoreDamaged where an end of it is lost."""
    rows = db.execute(
        """SELECT s.low, s.high, low.id, s.low_prev, high.id FROM span s
           LEFT JOIN entry low ON low.key = s.log << 32 | s.low LEFT JOIN entry high ON high.key = s.log << 32 | s.high
           WHERE s.log = ? ORDER BY s.low""",
        (log,),
    ).fetchall()
    return tuple(_span(log, row) for row in rows)


def _span(log: int, row: Sequence[Any]) -> Span:
    low, high, low_id, _, high_id = row
    if low_id is None or high_id is None:
        raise StoreDamaged(f"entry {low if low_id is None else high} of log {log} is lost")
    return Span(*row)


def read_log_state(db: sqlite3.Connection, log: LogRow) -> LogState:
    spans, missing = read_spans(db, log.no), read_missing(db, log)
    return LogState(log.device, log.identity, spans, missing, *read_marks(db, log))


def read_missing(db: sqlite3.Connection, log: LogRow) -> tuple[int, ...]:
    """The numbers of entries held without their payloads, which are wanted."""
    rows = db.execute(
        "SELECT key & ? FROM gap INDEXED BY gap_wanted WHERE wanted AND key BETWEEN ? AND ? ORDER BY key",
        (SEQ_MASK, *log.keys),
    ).fetchall()
    return tuple(seq for (seq,) in rows)


def read_marks(db: sqlite3.Connection, log: LogRow) -> tuple[ForkProof | None, int]:
    """What froze a log, and up to which number all was pruned."""
    fork, floor = db.execute("SELECT fork, floor FROM log WHERE no = ?", (log.no,)).fetchone()
    return None if fork is None else ForkProof.decode(fork), floor


def read_log_states(db: sqlite3.Connection) -> list[LogState]:
    """Every log that holds an entry or is frozen, by its device: as `read_log_state` of each, in three statements.
    Raises StoreDamaged where an end of one is lost."""
    spans: dict[int, list[Span]] = {}
    for no, *span in db.execute(
        """SELECT s.log, s.low, s.high, low.id, s.low_prev, high.id FROM span s
           LEFT JOIN entry low ON low.key = s.log << 32 | s.low LEFT JOIN entry high ON high.key = s.log << 32 | s.high
           ORDER BY s.log, s.low"""
    ):
        spans.setdefault(no, []).append(_span(no, span))
    missing: dict[int, list[int]] = {}
    for (key,) in db.execute("SELECT key FROM gap INDEXED BY gap_wanted WHERE wanted ORDER BY key"):
        missing.setdefault(key >> 32, []).append(key & SEQ_MASK)
    logs = db.execute(
        """SELECT l.no, l.device, i.hash, l.fork, l.floor FROM log l JOIN identity i ON i.no = l.owner
           ORDER BY l.device"""
    )
    return [
        LogState(
            device,
            identity,
            tuple(spans.get(no, ())),
            tuple(missing.get(no, ())),
            None if fork is None else ForkProof.decode(fork),
            floor,
        )
        for no, device, identity, fork, floor in logs
        if no in spans or fork is not None
    ]


def read_entries(db: sqlite3.Connection, log: LogRow, first: int, last: int, prev: EntryId | None) -> VerifiedRun:
    """Consecutive entries held, at least one; `prev` is the id before the first. Raises StoreDamaged where one is lost;
    whether they are as they were signed is for who hands them out to see."""
    keys = log.key(first), log.key(last)
    rows = db.execute("SELECT time, id, payload FROM entry WHERE key BETWEEN ? AND ? ORDER BY key", keys).fetchall()
    if len(rows) != last - first + 1:  # else all above a lost one would slide down one number
        raise StoreDamaged(f"{last - first + 1 - len(rows)} of the entries {first} to {last} of log {log.no} are lost")
    times, ids, payloads = zip(*rows, strict=True)
    signatures: list[bytes | None] = [None] * len(rows)
    for key, signature in db.execute("SELECT key, signature FROM signature WHERE key BETWEEN ? AND ?", keys):
        signatures[key - keys[0]] = signature
    sizes: Sequence[int]
    hashes: Sequence[bytes]
    if None in payloads:
        gaps = {key - keys[0]: gap for key, *gap in db.execute(GAPS, keys)}
        told = [gaps[at] if p is None else (len(p), payload_hash(p)) for at, p in enumerate(payloads)]
        sizes, hashes = zip(*told, strict=True)
    else:
        sizes, hashes = list(map(len, payloads)), PayloadHashes(payloads)
    notes = bytes(len(rows))
    return VerifiedRun(log.device, first, prev, times, payloads, sizes, hashes, ids, signatures, notes)


GAPS = "SELECT key, size, hash FROM gap WHERE key BETWEEN ? AND ?"


def in_steps(rows: Iterable[T], size: int = ROWS_PER_STEP) -> Iterator[Sequence[T]]:
    """The rows in lists of at most `size`."""
    iterator = iter(rows)
    while step := list(islice(iterator, size)):
        yield step
