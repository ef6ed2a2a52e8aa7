"""Harm done to a database file while no store has it open."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

TABLE_LEAF = 13
"""How the page of rows begins (https://www.sqlite.org/fileformat2.html#b_tree_pages)."""


def change(path: Path, *statements: str) -> None:
    """Run these, as no store would."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def spoil_leaf(path: Path, row: bytes) -> None:
    """Change one bit in the head of the leaf that holds this: SQLite reads none of its rows any more."""
    data = bytearray(path.read_bytes())
    pages = range(4_096, len(data), 4_096)
    data[next(at for at in pages if data[at] == TABLE_LEAF and row in data[at : at + 4_096])] ^= 0x20
    path.write_bytes(data)


def spoil_root(path: Path, name: str) -> None:
    """Break the first page of a table or index: SQLite reads none of its rows any more."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4_096] ^= 0x20
    path.write_bytes(data)


def run_on_small_disk(folder: Path, disk_bytes: int, script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script of Python that finds a disk of its own, of this size, where its first argument says."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    disk = f"mount -t tmpfs -o size={disk_bytes} tmpfs {folder}"
    try:
        able = subprocess.run([*mount, disk], capture_output=True, timeout=60).returncode == 0
    except OSError:
        able = False
    if not able:
        pytest.skip("no disk of its own can be made here")
    child = [sys.executable, "-c", script, str(folder), *args]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [*mount, f'{disk} && exec "$@"', "sh", *child], capture_output=True, text=True, timeout=120, env=environment
    )
