"""What can be read of a damaged database: the rows of a table around broken pages, and each log's runs as signed.

The small tables that say whose a log is and what is held of it are read first, and put into temporary ones. SQLite
looks there before it looks into the file, so all that reads logs and runs works as ever, whichever of them is broken.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any

from p2pblog.config import CHECKPOINT_EVERY, RUN_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, IdentityHash, KeyPair
from p2pblog.core.logs import Located
from p2pblog.core.quiet import MuteKind
from p2pblog.core.value import Value
from p2pblog.errors import StoreError
from p2pblog.store import migrations, sql_read
from p2pblog.store.meaning import Kind
from p2pblog.store.sql_base import SEQ_MASK, LogRow, every_log, id_at, log_of_device, log_of_key, read_spans
from p2pblog.store.sql_damage import Checked, readable_spans
from p2pblog.store.sql_transactions import is_damage, unless_damaged

SHADOWED = ("identity", "log", "span", "signature", "gap", "stray", "lent")
"""What reading a run or a stray takes beside `entry`."""
ROW_FIRST, ROW_LAST = -(2**63), 2**63 - 1
FAULTS_MAX = 20
"""What SQLite says of a broken file, line by line: an operator needs to know that it is broken, and about where."""


class Layout(Value):
    """A table of ours. `key`: its columns that no two rows share, one whole number where `has_numbers`; `kinds`: what
    each column may hold; `hashes`: which of them are hashes or keys."""

    name: str
    sql: str
    key: tuple[str, ...]
    has_numbers: bool
    kinds: tuple[tuple[type, ...], ...]
    hashes: tuple[int, ...]

    def fits(self, row: Sequence[Any]) -> bool:
        """Whether a row can be one of ours: where a bit of its head changes, SQLite reads something else."""
        if not all(type(value) in kinds for value, kinds in zip(row, self.kinds, strict=True)):
            return False
        is_known = self.name != "mute" or row[0] in tuple(MuteKind)
        return is_known and all(is_hash(row[at]) for at in self.hashes)


def is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 32


@cache
def tables() -> dict[str, Layout]:
    """Those of a database of this version, but FTS5's own."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: _table(db, name, sql) for name, sql in found if not name.startswith(("word", "sqlite_"))}


def _table(db: sqlite3.Connection, name: str, sql: str) -> Layout:
    """By https://www.sqlite.org/pragma.html#pragma_table_info."""
    columns = db.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,)).fetchall()
    key = sorted((pk, column) for column, *_, pk in columns if pk)
    kinds = tuple(_kinds(*column) for column in columns)
    hashes = tuple(at for at, (column, *_) in enumerate(columns) if column in HASHES)
    return Layout(name, sql, tuple(column for _, column in key), not sql.endswith("WITHOUT ROWID"), kinds, hashes)


def _kinds(column: str, kind: str, is_set: bool, pk: int) -> tuple[type, ...]:
    if column in FOUND_AGAIN:
        return ANY
    return (KINDS[kind],) if is_set or pk else (KINDS[kind], NoneType)


FOUND_AGAIN = ("at_home", "shown_to")
"""Columns that follow from others."""
ANY = (int, float, str, bytes, NoneType)
KINDS = {"INTEGER": int, "BLOB": bytes, "TEXT": str}
HASHES = ("hash", "identity", "device", "id")
"""Columns, wherever they are."""


# --- rows -------------------------------------------------------------------------------------------------------------


Records = list[tuple[Any, ...]]


def readable_rows(db: sqlite3.Connection, table: Layout) -> tuple[Records, bool]:
    """The rows of a table that can be read, and whether these are all."""
    if table.has_numbers:
        found, is_whole = numbered(db, table.name, table.key[0], "*", ROW_FIRST, ROW_LAST)
        return [row[1:] for row in found], is_whole
    ways = [", ".join(f"{column} {way}" for column in table.key) for way in ("ASC", "DESC")]
    rows, is_whole = _up_to_damage(db, f"SELECT * FROM {table.name} ORDER BY {ways[0]}")  # noqa: S608 - a name of ours
    if is_whole:
        return rows, True
    from_end, _ = _up_to_damage(db, f"SELECT * FROM {table.name} ORDER BY {ways[1]}")  # noqa: S608 - the same
    return [*dict.fromkeys([*rows, *from_end[::-1]])], False


def numbered(db: sqlite3.Connection, table: str, key: str, columns: str, first: int, last: int) -> tuple[Records, bool]:
    """(key, *columns) of the rows that can be read between two keys, ascending, and whether these are all. Behind a
    broken page the next whole one is found by steps that double, and what they went too far from the other side."""
    rows = dict[int, tuple[Any, ...]]()
    is_whole = True
    for way, sign, start, end in (("ASC", 1, first, last), ("DESC", -1, last, first)):
        at, step = start, 1
        while sign * at <= sign * end:
            between = (at, end) if sign > 0 else (end, at)
            order = f"ORDER BY {key} {way}"
            query = f"SELECT {key}, {columns} FROM {table} WHERE {key} BETWEEN ? AND ? {order}"  # noqa: S608 - the same
            found, got_through = _up_to_damage(db, query, between)
            rows.update((row[0], row) for row in found)
            if got_through:
                break
            is_whole = False
            at, step = (found[-1][0] + sign, 1) if found else (at + sign * step, 2 * step)
        if is_whole:
            break
    return [rows[number] for number in sorted(rows)], is_whole


def _up_to_damage(db: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> tuple[Records, bool]:
    rows: Records = []
    try:
        for row in db.execute(query, values):
            rows.append(row)
    except Exception as error:  # where the names of columns rot, it is no error of SQLite's
        if not is_damage(error):
            raise
        return rows, False
    return rows, True


def _is_of(wire: bytes, hash_: IdentityHash) -> bool:
    """Whether statements are those of this identity, as they were signed."""
    return unless_damaged(Identity.decode, wire, hash_) is not None


def _states(hash_: IdentityHash, wire: bytes | None, device: DeviceKey) -> bool:
    """Whether an identity, of which the statements are sound, has this device."""
    return wire is not None and device in Identity.restore(wire, hash_).devices


# --- a database -------------------------------------------------------------------------------------------------------


class Salvage:
    """A database to be read, while no node runs. `faults`: what of it can't be, a sentence each."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError: no database of this version, or its head is broken."""
        migrations.inspect(path)
        if not path.exists():
            raise StoreError(f"there is no database {path}")
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.text_factory = lambda text: text.decode(errors="replace")
        self.faults: list[str] = []
        self._broken: set[str] = set()
        self._due: dict[int, int] = {}
        try:
            (version,) = self.db.execute("PRAGMA user_version").fetchone()
            self.db.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"the database {path} can't be read: {error}") from error
        if version != len(migrations.MIGRATIONS):
            self.close()
            raise StoreError(f"the database {path} is of an older p2pblog, and no node of this one has opened it yet")
        self._checked = Checked()

    def close(self) -> None:
        self.db.close()

    def look_at_pages(self) -> None:
        """Have SQLite look at its file, and FTS5 at the index of words. Before `take_heads`."""
        told, got_through = _up_to_damage(self.db, f"PRAGMA integrity_check({FAULTS_MAX})")
        self.faults += [str(row[0]).replace("\n", " ") for row in told if row[0] != "ok"]
        if not got_through:
            self.faults.append("SQLite can't go through the file")
        if not _up_to_damage(self.db, "INSERT INTO word (word) VALUES ('integrity-check')")[1]:
            self.faults.append("the index of words is broken")

    def rows(self, table: str) -> Records:
        """What can be read of a table."""
        layout = tables()[table]
        found, is_whole = readable_rows(self.db, layout)
        fitting = [row for row in found if layout.fits(row)]
        if not is_whole or len(fitting) < len(found):
            self._miss(table)
        return fitting

    def _miss(self, table: str) -> None:
        self._broken.add(table)
        self._note(f"of the table {table} only a part can be read")

    def _note(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def take_heads(self) -> None:
        """Read what says whose the logs are and what is held of them. Before anything else of logs."""
        rows = {table: self.rows(table) for table in SHADOWED}
        rows["identity"] = self._sound_identities(rows["identity"])
        rows["log"] = self._sound_logs(rows["log"], {no: (hash_, wire) for no, hash_, wire, _ in rows["identity"]})
        for name, held in rows.items():
            self.db.execute(tables()[name].sql.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            if held:
                marks = ",".join("?" * len(held[0]))
                self.db.executemany(f"INSERT OR IGNORE INTO temp.{name} VALUES ({marks})", held)  # noqa: S608 - SHADOWED
        for log in every_log(self.db):
            self._settle_spans(log)
        if self.db.execute(LOWER_FLOORS).rowcount:
            self._note("up to where some logs were pruned is not what it was")

    def _sound_identities(self, rows: Records) -> Records:
        """With their statements if these are as they were signed. Where the table is broken, its index knows them;
        where a hash is, the index or the statements."""
        listed = self._both_ends("SELECT hash, no FROM main.identity ORDER BY hash")
        named = {no: hash_ for hash_, no in listed if is_hash(hash_)}
        found = {}
        for no, hash_, wire, at_home in rows:
            names = IdentityHash(hash_), named.get(no)
            sound = next((each for each in names if each and (wire is None or _is_of(wire, each))), None)
            if sound is None:
                self._broken.add("identity")
                self._note("statements of some people are not as they were signed")
            found[no] = (no, sound or hash_, wire if sound else None, at_home)
        for no, hash_ in named.items():  # of two with one hash the first one stays
            found.setdefault(no, (no, hash_, None, 0))
        return list(found.values())

    def _sound_logs(self, rows: Records, people: dict[int, tuple[IdentityHash, bytes | None]]) -> Records:
        """With the proofs that froze them if these hold. Where the table is broken, its two indexes know most; where a
        device is, the index if its owner states that one. One of nobody is left out."""
        owners = {no: owner for owner, no in self._both_ends("SELECT owner, no FROM main.log ORDER BY owner")}
        listed = self._both_ends("SELECT device, no FROM main.log ORDER BY device")
        devices = {no: DeviceKey(device) for device, no in listed if is_hash(device)}
        found = {}
        for no, device, owner, shown_to, fork, floor, pruned in rows:
            whose = owner if owner in people else owners.get(no)
            sound_fork = fork if fork is not None and unless_damaged(ForkProof.decode, fork) is not None else None
            if (whose, sound_fork) != (owner, fork):
                self._miss("log")
            other = devices.get(no, DeviceKey(device))
            is_other = other != device and whose in people and _states(*people[whose], other)
            found[no] = (no, other if is_other else device, whose, shown_to, sound_fork, floor, pruned)
        for no, device in devices.items():
            found.setdefault(no, (no, device, owners.get(no), 0, None, 0, 0))
        owned = [row for row in found.values() if row[2] in people]
        if len(owned) < len(found):
            self._miss("log")
        return owned

    def _both_ends(self, query: str) -> Records:
        """What an index that has all these columns says, the last of them numbers, from both its ends where a page of
        it is broken."""
        rows, is_whole = _up_to_damage(self.db, query)
        found = rows if is_whole else [*rows, *_up_to_damage(self.db, f"{query} DESC")[0]]
        return [row for row in found if type(row[-1]) is int]

    def _settle_spans(self, log: LogRow) -> None:
        """Where the spans of a log are lost, or one ends in what can't be read, or more is here than they say, the
        numbers of its entries tell what is held."""
        self._due[log.no] = self._spanned(log)
        apart, unfit = unless_damaged(self._counted, log) or (0, 0)
        if unfit:
            self._note("where some entries stand can't be read")
        holds_more = apart > self._due[log.no] and "stray" not in self._broken
        if holds_more:
            self._note("of some logs more is held than their spans say")
        if holds_more or "span" in self._broken or unless_damaged(read_spans, self.db, log.no) is None:
            self._find_spans(log)
            self._due[log.no] = max(self._due[log.no], self._spanned(log))

    def _spanned(self, log: LogRow) -> int:
        row = self.db.execute("SELECT coalesce(sum(high - low + 1), 0) FROM span WHERE log = ?", (log.no,)).fetchone()
        return int(row[0])

    def _counted(self, log: LogRow) -> tuple[int, int]:
        """How many entries of it are no strays, and beside how many stands what can't be."""
        held, unfit = self.db.execute(COUNTED, log.keys).fetchone()
        (strays,) = self.db.execute("SELECT count(*) FROM stray WHERE key BETWEEN ? AND ?", log.keys).fetchone()
        return held - strays, unfit

    def _find_spans(self, log: LogRow) -> None:
        """Of a stretch before which nothing is known the lowest entry only says what came before the next."""
        known = dict(self.db.execute("SELECT low, low_prev FROM span WHERE log = ?", (log.no,)).fetchall())
        self.db.execute("DELETE FROM temp.span WHERE log = ?", (log.no,))
        strays = {key for (key,) in self.db.execute("SELECT key FROM stray WHERE key BETWEEN ? AND ?", log.keys)}
        seqs = [key & SEQ_MASK for key in numbered_keys(self.db, *log.keys) if key not in strays]
        ends = [at for at, (one, other) in enumerate(pairwise(seqs), 1) if other != one + 1]
        for low, high in zip([0, *ends], [*ends, len(seqs)], strict=True):
            if low < high:
                self._add_span(log, seqs[low], seqs[high - 1], known)

    def _add_span(self, log: LogRow, low: int, high: int, known: dict[int, EntryId | None]) -> None:
        prev = known.get(low)
        if low > 1 and prev is None:
            prev, low = id_at(self.db, log.key(low)), low + 1
        if low <= high:
            self.db.execute("INSERT INTO temp.span VALUES (?, ?, ?, ?)", (log.no, low, high, prev))

    @property
    def lacks_identities(self) -> bool:
        """Whether the statements of somebody are lost."""
        return "identity" in self._broken

    def last_numbers(self) -> Records:
        """(table, the highest number that it ever gave) of those whose numbers are never used again."""
        rows = _up_to_damage(self.db, "SELECT name, seq FROM main.sqlite_sequence")[0]
        return [(name, seq) for name, seq in rows if type(seq) is int]

    def sign_anew(self, devices: Sequence[KeyPair]) -> None:
        """Give entries of one's own their signatures again, in case some are lost: nobody else could. They say nothing
        of an entry whose id is not what it says. After `take_heads`."""
        for device in devices:
            log = log_of_device(self.db, DeviceKey(device.public))
            for key, entry in numbered(self.db, "entry", "key", "id", *log.keys)[0] if log is not None else ():
                if type(entry) is bytes:
                    row = (key, device.sign(ENTRY_DOMAIN, EntryId(entry)))
                    self.db.execute("INSERT OR REPLACE INTO temp.signature VALUES (?, ?)", row)

    # --- logs ---

    def logs(self) -> list[LogRow]:
        return every_log(self.db)

    def unclaimed(self) -> int:
        """How many entries stand in logs of which it is lost whose they are."""
        query = "SELECT coalesce(sum(high - low + 1), 0) FROM span WHERE log NOT IN (SELECT no FROM log)"
        return int(self.db.execute(query).fetchone()[0])

    def due(self, log: LogRow) -> int:
        """How many entries of it should be here."""
        return self._due[log.no]

    def runs(self, log: LogRow) -> Iterator[Sequence[Entry]]:
        """All of it that is as it was signed, ascending."""
        for span in unless_damaged(readable_spans, self.db, log) or ():
            first = span.low
            while first <= span.high:
                run = unless_damaged(self._run, log, first, span.high) or ()
                if run:
                    yield run
                first = run[-1].seq + 1 if run else first + CHECKPOINT_EVERY - (first - 1) % CHECKPOINT_EVERY

    def _run(self, log: LogRow, first: int, last: int) -> Sequence[Entry]:
        return sql_read.run(self.db, log.device, first, last, RUN_BYTES_MAX, self._checked)

    def strays(self) -> Iterator[tuple[Located | None, int, bool]]:
        """Each as it was signed, None where it is not, when it came, and whether it is kept for good; also what is lent
        to a run."""
        for table in ("stray", "lent"):
            query = f"SELECT key, prev, seen, chain, kept FROM {table} ORDER BY seen, key"  # noqa: S608 - of these two
            rows = self.db.execute(query).fetchall()
            for key, prev, seen, chain, kept in rows:
                located = unless_damaged(self._stray, key, prev, chain)
                if located is not None or table == "stray":
                    yield located, seen, bool(kept)

    def _stray(self, key: int, prev: EntryId | None, chain: bytes) -> Located:
        return sql_read.located_stray(self.db, log_of_key(self.db, key), key & SEQ_MASK, prev, chain)


COUNTED = f"""SELECT count(*), count(*) FILTER (WHERE typeof(sort) != 'integer' OR sort < 0
                  OR kind NOT IN ({", ".join(str(int(kind)) for kind in Kind)}) OR typeof("of") NOT IN ('blob', 'null'))
              FROM entry WHERE key BETWEEN ? AND ?"""  # noqa: S608 - numbers of ours
LOWER_FLOORS = """UPDATE temp.log SET floor = (SELECT min(low) - 1 FROM span WHERE log = no)
                  WHERE floor >= (SELECT min(low) FROM span WHERE log = no)"""
"""Nothing is held below."""


def numbered_keys(db: sqlite3.Connection, first: int, last: int) -> list[int]:
    """The keys of entries between two, as far as they can be read."""
    return [row[0] for row in numbered(db, "entry", "key", "1", first, last)[0]]
