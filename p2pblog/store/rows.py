"""Many rows with few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

ROWS_PER_STATEMENT_MAX = 512
"""Rows that one INSERT brings at most. Each statement gives the interpreter away, and waits for it again when another
thread computes: up to daemon.INTERPRETER_TURN_S, as long as SQLite takes for fifty rows. So any number of rows goes in
as its powers of two, largest first: 950 in eight statements; and with ten texts for a table all stay prepared."""


@lru_cache(maxsize=64)
def _sizes(variables: int, columns: int) -> tuple[int, ...]:
    """Rows a statement, where it may have so many variables."""
    sizes = (1 << power for power in reversed(range(ROWS_PER_STATEMENT_MAX.bit_length())))
    return tuple(size for size in sizes if size * columns <= variables)


@lru_cache(maxsize=64)
def _insert(table: str, columns: int, size: int, beginning: str) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{beginning} INTO {table} VALUES {', '.join([row] * size)}"


def insert_rows(
    db: sqlite3.Connection,
    table: str,
    columns: int,
    rows: Iterable[tuple[object, ...]],
    beginning: str = "INSERT",
) -> None:
    """Insert many rows. `beginning`: what to do with those that stand there, as in INSERT OR IGNORE."""
    values, at = tuple(chain.from_iterable(rows)), 0
    for size in _sizes(db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER), columns):
        step = size * columns
        while at + step <= len(values):
            db.execute(_insert(table, columns, size, beginning), values[at : at + step])
            at += step
