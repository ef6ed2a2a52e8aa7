"""A database of 100,000 notices to ask the planner about, and what the store's source says that it asks."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from builders import NOON, Person, person
from store_kit import LATER

import p2pblog.store
from p2pblog.config import DM_BOXES_MIN, DM_SEALED_MIN, RUN_ENTRIES_MAX
from p2pblog.core.entry import Entry, is_checkpoint, payload_hash
from p2pblog.core.keys import EntryId, hash32
from p2pblog.core.logs import Batch
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import (
    BOX_BYTES,
    SEALED_OVERHEAD,
    Boost,
    Delete,
    Dm,
    Edit,
    Like,
    LogStart,
    Note,
    Payload,
    Pin,
    Profile,
    Quote,
    Ref,
    Vote,
    encode,
)
from p2pblog.store import Follow, migrations, sql_write

ENTRIES = 130_000
"""Of which ten in thirteen are notices."""
EVERY = 65
"""Of so many entries one row each says something else than a plain notice."""
A_DM = Dm(bytes(DM_BOXES_MIN * BOX_BYTES), bytes(DM_SEALED_MIN + SEALED_OVERHEAD))


class Recorder(sqlite3.Connection):
    """A connection that keeps the text of each statement that it runs, as the code spells it."""

    asked: set[str]

    def execute(self, sql: str, /, *args: Any) -> sqlite3.Cursor:
        self.asked.add(sql.strip())
        return super().execute(sql, *args)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        kept = list(rows)
        if kept:  # of none nothing is run, nor does anybody see a plan
            self.asked.add(sql.strip())
        return super().executemany(sql, kept)


def connect() -> Recorder:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Recorder)
    connection.asked = set()
    return connection


def fill(db: Recorder) -> None:
    """Put in one person's log of 100,000 notices and the rest; nobody signed it, which the store does not look at."""
    migrations.migrate(db)
    writer = person("writer")
    sql_write.put_identity(db, writer.identity)
    sql_write.put_follow(db, Follow(writer.hash))
    db.execute("BEGIN")
    for first in range(1, ENTRIES, RUN_ENTRIES_MAX):
        sql_write.append(db, [Batch(writer.hash, unsigned(writer, first, RUN_ENTRIES_MAX, said))], LATER)
    (log,) = db.execute("SELECT no FROM log WHERE device = ?", (writer.key,)).fetchone()
    # As if all their words were indexed, which takes 15 s: FTS5 plans the same however much there is in it.
    numbers = "SELECT sort << 20 | key & 1048575, key, key FROM entry WHERE kind = 1 AND key BETWEEN ? AND ?"
    db.execute(f"INSERT INTO found {numbers}", (log << 32, (log + 1) << 32))
    db.execute("DELETE FROM unread")
    db.execute("COMMIT")


def an_id(whose: Person, seq: int) -> EntryId:
    return EntryId(hash32(f"{whose.name} {seq}".encode(), b"p2pblog tests"))


def plainly(writer: Person, _alice: Person, seq: int) -> Payload:
    return LogStart(writer.hash) if seq == 1 else Note(f"note {seq}")


def unsigned(
    writer: Person, first: int, count: int, says: Callable[[Person, Person, int], Payload] = plainly
) -> tuple[Entry, ...]:
    """So many entries of a log of which all say what `says` has them say."""
    found, alice = [], person("alice")
    for seq in range(first, first + count):
        payload = encode(says(writer, alice, seq))
        signature = bytes(64) if is_checkpoint(seq) or seq == first + count - 1 else None
        size, hashed, time_ms = len(payload), payload_hash(payload), NOON + 10 * seq
        prev = None if seq == 1 else an_id(writer, seq - 1)
        found.append(Entry(writer.key, seq, prev, time_ms, size, hashed, an_id(writer, seq), payload, signature))
    return tuple(found)


def said(writer: Person, alice: Person, seq: int) -> Payload:
    hers = Ref(alice.hash, alice.key, 1 + seq % 1_000, an_id(alice, seq % 1_000))
    own = Ref(writer.hash, writer.key, max(1, seq - 30), an_id(writer, max(1, seq - 30)))
    is_late = seq > ENTRIES - 10 * RUN_ENTRIES_MAX  # runs take longer to come in once anything is deleted or edited
    if seq == 1:
        return LogStart(writer.hash)
    match seq % EVERY:
        case 0 | 1:
            return Note(f"answer {seq}", hers)
        case 2 | 3:
            return Note(f"#bees #t{seq % 100} @{alice.address}")
        case 4:
            return Note("look", media=(Attachment(table_of(seq.to_bytes(4, "big")).file, "a.png", "image/png", 4),))
        case 5:
            return Note("look", quote=Quote(hers))
        case 6 | 7 | 8:
            return Like(hers)
        case 9 | 10 | 11:
            return Boost(hers)
        case 12 | 13:
            return Pin(own)
        case 14 | 15:
            return Vote(hers, 1)
        case 16 if is_late:
            return Edit(own, "newer #wax")
        case 17 if is_late:
            return Delete(Ref(writer.hash, writer.key, seq - 9, an_id(writer, seq - 9)))
        case 18:
            return Profile(f"Writer {seq}")
        case 19:
            return A_DM
        case _:
            return Note(f"note {seq}")


# --- what the source asks ---------------------------------------------------------------------------------------------

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
FOLDER = Path(p2pblog.store.__file__).parent


SELDOM = {"migrations.py", "mending.py", "salvage.py"}
"""Each step of a migration runs once in a database's life; who mends one reads all of it, while no node runs."""


def statements_in_source() -> dict[str, re.Pattern[str]]:
    """Where each statement of the store stands, and what it looks like when it is run; but for those of SELDOM."""
    found: dict[str, re.Pattern[str]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.name in SELDOM:
            continue
        tree = ast.parse(path.read_text())
        within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            pattern = _pattern(node) if id(node) not in within else None
            if pattern is not None:
                found[f"{path.name}:{node.lineno}"] = pattern  # type: ignore[attr-defined]
    return found


def _pattern(node: ast.AST) -> re.Pattern[str] | None:
    """Of a plain text also a statement that goes on after it, or has anything for its `{}`: some are put together."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
        return re.compile(".*".join(map(re.escape, node.value.strip().split("{}"))) + ".*", re.DOTALL)
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
    text = "".join("{}" if part is None else str(part) for part in parts)
    if not STATEMENT.match(text) and " WHERE " not in text:
        return None
    return re.compile("".join(".*" if part is None else re.escape(str(part)) for part in parts).strip(), re.DOTALL)
