"""Many rows with few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from p2pblog.config import CHECKPOINT_EVERY, RUN_ENTRIES_MAX

ROWS_PER_STATEMENT_MAX = 512
"""Rows that one INSERT brings at most, but for HISTORY_ROWS. Each statement gives the interpreter away, and waits for
it again when another thread computes: up to daemon.INTERPRETER_TURN_S, as long as SQLite takes for fifty rows. So any
number of rows goes in as its powers of two, largest first: 950 in eight statements; and with eleven texts for a table
all stay prepared."""
HISTORY_ROWS = RUN_ENTRIES_MAX - RUN_ENTRIES_MAX % CHECKPOINT_EVERY
"""Rows of a run of history, which ends on a checkpoint: one statement, and not four."""

sqlite3.register_adapter(bytes, bytes.__bytes__)
# As they are. Python 3.11 looks for an adapter of each value of bytes, and fails with an error that is spelled
# out and thrown away: a fifth of the time that a row takes. One that is there is found at once.


@lru_cache(maxsize=64)
def _sizes(variables: int, columns: int) -> tuple[int, ...]:
    """Rows a statement, where it may have so many variables."""
    powers = (1 << power for power in reversed(range(ROWS_PER_STATEMENT_MAX.bit_length())))
    return tuple(size for size in (HISTORY_ROWS, *powers) if size * columns <= variables)


@lru_cache(maxsize=64)
def _insert(table: str, row: str, size: int, beginning: str) -> str:
    return f"{beginning} INTO {table} VALUES {', '.join([row] * size)}"


def insert_rows(
    db: sqlite3.Connection,
    table: str,
    row: str,
    rows: Iterable[tuple[object, ...]],
    beginning: str = "INSERT",
) -> None:
    """Insert many rows. `row`: what stands in one, with a mark for each value, as in (?, NULL, ?). `beginning`: what to
    do with those that stand there, as in INSERT OR IGNORE."""
    values, columns, at = tuple(chain.from_iterable(rows)), row.count("?"), 0
    for size in _sizes(db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER), columns):
        step = size * columns
        while at + step <= len(values):
            db.execute(_insert(table, row, size, beginning), values[at : at + step])
            at += step
