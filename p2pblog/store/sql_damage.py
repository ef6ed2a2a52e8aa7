"""Reading what is damaged: what is still whole of a log's state, of a run and of what vouches for one entry.

SQLite sees a page that is broken, but neither a row that is lost nor a bit that changed inside one. Whoever gets such a
run from us must take it for a broken rule of ours, so nothing leaves the database for a peer or an archive that is not
as it was signed. Ids and signatures of a stretch are looked at when it is first read, and remembered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

from p2pblog.config import CHECKPOINT_EVERY, RUN_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.core.logs import LogState, Span
from p2pblog.core.runs import VerifiedRun
from p2pblog.store import sql_base
from p2pblog.store.sql_base import LogRow, every_log, id_at, read_entries, read_marks, read_missing, read_spans
from p2pblog.store.sql_transactions import is_damage, tell_once, unless_damaged
from p2pblog.store.stretch import first_whole_run, is_as_signed, without_false_signature

ENDS_LOOKED_AT_MAX = 2_000
"""Numbers in which the end of a span is looked for: some dozens of broken leaves at 330 bytes an entry. (A guess.)"""
STRETCHES_REMEMBERED_MAX = 32_768
"""Of 64 entries each, 2 million in all: at most 6 MB."""


class Checked:
    """Which stretches between checkpoints, of which logs of one database, were found to be as they were signed,
    or stored so since the start."""

    def __init__(self) -> None:
        self._stretches: set[tuple[int, int]] = set()

    def is_sound(self, no: int, run: VerifiedRun) -> bool:
        """Whether a run of log `no` is as it was signed. Only what lies between two checkpoints is remembered, so at
        most 126 entries of a run are looked at each time."""
        start = 0
        while start < len(run):
            seq = run.first + start
            stop = min(len(run), start + CHECKPOINT_EVERY - (seq - 1) % CHECKPOINT_EVERY)
            is_whole = stop - start == CHECKPOINT_EVERY
            if not (is_whole and (no, seq) in self._stretches):
                if not is_as_signed(run.part(start, stop)):
                    return False
                if is_whole:
                    self._remember(no, seq)
            start = stop
        return True

    def note(self, no: int, first: int, last: int) -> None:
        """These entries of log `no` were verified and are being stored: what is read of them is not looked at again. If
        nothing comes of that, whatever is stored there later has been verified, too."""
        for seq in range(first + (1 - first) % CHECKPOINT_EVERY, last + 2 - CHECKPOINT_EVERY, CHECKPOINT_EVERY):
            self._remember(no, seq)

    def _remember(self, no: int, first: int) -> None:
        if len(self._stretches) >= STRETCHES_REMEMBERED_MAX:
            self._stretches.clear()
        self._stretches.add((no, first))


# --- the state of logs ------------------------------------------------------------------------------------------------


def read_log_states(db: sqlite3.Connection) -> tuple[list[LogState], list[DeviceKey]]:
    """Every log that holds an entry or is frozen, by its device; and the devices of those of which only a part can be
    read, so that there may be more."""
    whole = unless_damaged(sql_base.read_log_states, db)
    if whole is not None:
        return whole, []
    states, damaged = list[LogState](), list[DeviceKey]()
    for each in every_log(db):
        try:
            state = sql_base.read_log_state(db, each)
        except Exception as error:
            pass_over_part(each, error)
            damaged.append(each.device)
            missing = unless_damaged(read_missing, db, each) or ()
            marks = unless_damaged(read_marks, db, each) or (None, 0)
            state = LogState(each.device, each.identity, readable_spans(db, each), missing, *marks)
        if state.spans or state.fork is not None:
            states.append(state)
    return states, damaged


def pass_over_part(of: LogRow, error: Exception | None = None) -> None:
    """As `pass_over`, but said once for each log, whatever is asked for of it: whoever asks on and on would else use up
    all that the log says once."""
    if error is not None and not is_damage(error):
        raise error
    tell_once(f"of the log of device {of.device.hex()[:10]} only a part can be read: the database is damaged", error)


def readable_spans(db: sqlite3.Connection, of: LogRow) -> tuple[Span, ...]:
    """What is held of a log. Where an end is lost, a span goes as far as entries can be read, up to one with a
    signature. What is to be stored asks `read_spans`: what joins a stretch that is damaged could contradict it."""
    spans = unless_damaged(read_spans, db, of.no)
    return shortened_spans(db, of) if spans is None else spans


def shortened_spans(db: sqlite3.Connection, of: LogRow) -> tuple[Span, ...]:
    """As far as entries can be read from both ends of each span."""
    rows = db.execute("SELECT low, high, low_prev FROM span WHERE log = ? ORDER BY low", (of.no,)).fetchall()
    found = (_shortened(db, of, *row) for row in rows)
    return tuple(span for span in found if span is not None)


def _shortened(db: sqlite3.Connection, of: LogRow, low: int, high: int, low_prev: EntryId | None) -> Span | None:
    first = _first(_entry_at(db, of, seq, low, low_prev) for seq in range(low, high + 1))
    last = _first(_signed(_entry_at(db, of, seq, low, low_prev)) for seq in range(high, low - 1, -1))
    if first is None or last is None or last.seq < first.seq:
        return None
    return Span(first.seq, last.seq, first.id, first.prev, last.id)


def _first(found: Iterator[Entry | None]) -> Entry | None:
    return next((entry for entry in islice(found, ENDS_LOOKED_AT_MAX) if entry is not None), None)


def _signed(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.signature is None else entry


# --- runs -------------------------------------------------------------------------------------------------------------


def whole_run(
    db: sqlite3.Connection, of: LogRow, span: Span, between: tuple[int, int], last: int, bytes_max: int
) -> Sequence[Entry]:
    """The lowest run between these two numbers of what is as it was signed, beginning no higher than `last`; none if
    all of it is damaged. Its entries are read one by one, which takes ten times as long."""
    first, end = between
    entries = (_entry_at(db, of, seq, span.low, span.low_prev) for seq in range(first, end + 1))
    pass_over_part(of)
    return first_whole_run(entries, last, bytes_max, RUN_BYTES_MAX)


def _entry_at(db: sqlite3.Connection, of: LogRow, seq: int, low: int, low_prev: EntryId | None) -> Entry | None:
    """An entry if it is as its id says, with its signature if that is valid; None for any other. `low_prev`: the id
    before number `low`, where a span begins."""
    return unless_damaged(_sound_entry, db, of, seq, low, low_prev)


def _sound_entry(db: sqlite3.Connection, of: LogRow, seq: int, low: int, low_prev: EntryId | None) -> Entry | None:
    prev = low_prev if seq == low else id_at(db, of.key(seq - 1))
    return without_false_signature(read_entries(db, of, seq, seq, prev)[0])
