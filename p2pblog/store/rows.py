"""Many rows with few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain

ROWS_PER_STATEMENT = (100, 10, 1)
"""Rows that one INSERT brings. Each statement lets other threads run, and who then has work holds on to Python for 5
ms, so few are to be run; and with three sizes for any number of rows all stay prepared. 100 rows of 7 values are within
the 999 that SQLite took before 3.32."""


def insert_rows(db: sqlite3.Connection, table: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
    """Insert many rows."""
    values, row, at = tuple(chain.from_iterable(rows)), f"({', '.join('?' * columns)})", 0
    for size in ROWS_PER_STATEMENT:
        insert = f"INSERT INTO {table} VALUES {', '.join([row] * size)}"  # noqa: S608 - a name and marks
        step = size * columns
        while at + step <= len(values):
            db.execute(insert, values[at : at + step])
            at += step
