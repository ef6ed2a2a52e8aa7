"""Registers: sorted sets of short records, packed by the page and written in generations. For indexes.

An index with a row for each entry rewrites a leaf of the database for nearly every entry once it is large: what comes
in sorts anywhere. So new records are not put among the old ones. A batch becomes a *generation*, written once, in
order; whoever looks something up asks one after the other. When GENERATIONS_MERGED_AT of about one size stand there,
they are merged into one, slice by slice, so that no write waits for a whole merge (the log-structured
merge-tree of O'Neil, Cheng, Gawlick and O'Neil, 1996, with its tiers kept apart): while nothing is written (`settle`),
and where that never happens, with each later batch. Few records at a time, as notices that are written live, go into a
small generation in place.

A record stands in exactly one generation at any moment: each step is part of the transaction that its caller ends, and
so a crash, or a reader beside the writer, finds all of them, and none twice. A row holds a page of records, one after
the other, under the first of them: 100 times fewer rows to insert, to look through and to keep.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from heapq import merge
from struct import Struct
from typing import NamedTuple

from p2pblog.core.value import Value
from p2pblog.store.rows import insert_rows
from p2pblog.store.sql_transactions import apart, pass_over

PAGE_BYTES_MAX = 1_984
"""Records in one row: two such rows fill a leaf of the database (4 KiB,
https://www.sqlite.org/fileformat2.html#b_tree_pages), and the index of their first records stays small."""
BATCH_MIN = 256
"""A batch of at least so many records becomes a generation at once."""
HOT_RECORDS_MAX = 4_096
"""The generation that few records go into in place is left at this size: about 20 leaves of the database."""
GENERATIONS_MERGED_AT = 24
"""Generations of one size before they become one. A record that comes in a batch of three runs is rewritten twice among
a million, and a look-up asks some 35 generations; with 12 it would be three times and 20."""
GENERATIONS_MAX = 72
"""Generations of one register from which on each batch merges some. Until then merging waits for a pause: who gets the
history of a hundred authors has it sooner, and a look-up asks up to thrice as many meanwhile, 10 microseconds each."""
SIZES_APART = 8
"""Generations are of one size if none has so many times as many records as another."""
SLICE_PAGES = 4
"""Pages of each generation that one slice of a merge reads: some 10,000 records in all, 5 ms."""
SLICE_PAGES_MAX = 12
"""The same where more is due at once: of each generation a slice leaves a part of a page to be written again."""
MERGED_PER_RECORD = 6
"""Records merged for each that comes in: more than are due in the long run, so no debt grows."""

PAGES_AT_ONCE = 8
"""Rows of one answer while a generation is walked through; the first answer has one, which is enough for most."""

PAGE_AT = "SELECT first, records FROM page WHERE generation = ? AND first <= ? ORDER BY first DESC LIMIT 1"
PAGES_DOWN = "SELECT first, records FROM page WHERE generation = ? AND first < ? ORDER BY first DESC LIMIT ?"
PAGES_AT = """SELECT g.no, p.first, p.records
              FROM (SELECT no FROM generation WHERE register = ? ORDER BY records DESC, no) g CROSS JOIN page p
              WHERE p.no = (SELECT o.no FROM page o WHERE o.generation = g.no AND o.first <= ?
                            ORDER BY o.first DESC LIMIT 1)"""
"""Of each generation, the largest first, the page where something stands or would stand."""
PAGES_UP = "SELECT first, records FROM page WHERE generation = ? AND first >= ? ORDER BY first LIMIT ?"
_PUT = """SELECT p.no, p.records, (SELECT n.first FROM page n WHERE n.generation = p.generation AND n.first > p.first
          ORDER BY n.first LIMIT 1) FROM page p WHERE p.generation = ?"""
PUT_AT = f"{_PUT} AND p.first <= ? ORDER BY p.first DESC LIMIT 1"
"""The page that a record goes on, or stands on, and where the next one begins."""
PUT_FIRST = f"{_PUT} ORDER BY p.first LIMIT 1"
"""The same of a record below all others."""
HOT = """SELECT count(*), max(CASE WHEN hot THEN no END), max(CASE WHEN hot THEN records END)
         FROM generation WHERE register = ?"""
"""How many generations there are, and which takes few records in place, with how many it has."""
LEAVE = "UPDATE generation SET target = no WHERE no = ?"
"""A generation that is damaged goes into itself: it stays."""
GENERATIONS = "SELECT no, records, hot, target FROM generation WHERE register = ? ORDER BY no"


@lru_cache(maxsize=256)
def _cutter(width: int, records: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """What cuts a page of so many records: in one call, which takes a tenth of a slice for each record."""
    return Struct(f"{width}s" * records).unpack


class Generation(NamedTuple):
    """`records`: how many. `hot`: takes few at a time in place. `target`: the generation it is being merged into, or
    itself where it is damaged and stays as it is."""

    no: int
    records: int
    hot: bool
    target: int | None


class Register(Value):
    """One sorted set in the tables `generation` and `page`: number `no`, of records of `width` bytes each.

    Everything runs inside the caller's transaction, in a database thread.
    """

    no: int
    width: int

    # --- looking up ---

    def below(self, db: sqlite3.Connection, bound: bytes) -> Iterator[bytes]:
        """The records below `bound`, from the highest down; as far as they are asked for."""
        starts = db.execute(PAGES_AT, (self.no, bound)).fetchall()
        return merge(*(self._down(db, no, [(first, page)], bound) for no, first, page in starts), reverse=True)

    def _down(
        self, db: sqlite3.Connection, generation: int, pages: list[tuple[bytes, bytes]], bound: bytes
    ) -> Iterator[bytes]:
        def record(at: int) -> bytes:
            return page[at * self.width : (at + 1) * self.width]

        while pages:
            for first, page in pages:  # of most pages only the last records are asked for
                end = bisect_left(range(len(page) // self.width), bound, key=record)
                yield from map(record, reversed(range(end)))
                bound = first
            pages = db.execute(PAGES_DOWN, (generation, bound, PAGES_AT_ONCE)).fetchall()

    def above(self, db: sqlite3.Connection, bound: bytes) -> Iterator[bytes]:
        """The records from `bound` up; as far as they are asked for."""
        return merge(*(self._up(db, each.no, bound) for each in self.generations(db)))

    def _up(self, db: sqlite3.Connection, generation: int, bound: bytes) -> Iterator[bytes]:
        at = db.execute(PAGE_AT, (generation, bound)).fetchone()
        start, at_once = bound if at is None else at[0], 1
        while pages := db.execute(PAGES_UP, (generation, start, at_once)).fetchall():
            for first, page in pages:
                records = self._split(page)
                yield from records[bisect_left(records, bound) :]
                start = first + b"\0"
            at_once = PAGES_AT_ONCE

    def beginning_with(self, db: sqlite3.Connection, start: bytes) -> Iterator[bytes]:
        """The records that begin so, from the largest generation down; as far as they are asked for.

        Most of what is looked for is in the largest ones, so whoever stops at what was meant asks two or three.
        """
        for no, first, page in db.execute(PAGES_AT, (self.no, start.ljust(self.width, b"\xff"))):
            while True:
                if start in page:
                    yield from (record for record in self._split(page) if record.startswith(start))
                if not page.startswith(start):
                    break
                at = db.execute(PAGES_DOWN, (no, first, 1)).fetchone()  # which may end on such records, too
                if at is None:
                    break
                first, page = at

    def generations(self, db: sqlite3.Connection) -> list[Generation]:
        return list(map(Generation._make, db.execute(GENERATIONS, (self.no,)).fetchall()))

    # --- changing ---

    def add(self, db: sqlite3.Connection, records: Sequence[bytes]) -> None:
        """Add records that are not held, in ascending order; and where much is due, merge in proportion."""
        if not records:
            return
        count, hot, held = db.execute(HOT, (self.no,)).fetchone()
        if len(records) >= BATCH_MIN:
            self._insert_pages(db, self._begin(db, len(records)), records)
        else:
            no = self._begin(db, hot=True) if hot is None else hot
            self._put(db, no, records)
            if (held or 0) + len(records) >= HOT_RECORDS_MAX:
                db.execute("UPDATE generation SET hot = 0 WHERE no = ?", (no,))
        if count >= GENERATIONS_MAX:
            apart(db, self.tend, db, MERGED_PER_RECORD * len(records))  # damage there keeps nothing from coming in

    def discard(self, db: sqlite3.Connection, records: Sequence[bytes]) -> None:
        """Take records out; ascending, and those that are not held do not matter."""
        left = list(records)
        for each in sorted(self.generations(db), key=lambda each: -each.records):
            if not left:  # each stands in one generation; most of them in the largest
                return
            gone: set[bytes] = set()
            start = 0
            while start < len(left):
                start = self._discard_on_page(db, each.no, left, start, gone)
            self._count(db, each.no, -len(gone))
            left = [record for record in left if record not in gone]

    def _discard_on_page(
        self, db: sqlite3.Connection, generation: int, records: Sequence[bytes], start: int, gone: set[bytes]
    ) -> int:
        """Take those out that stand on the page where `records[start]` belongs, into `gone`. Gives where to go on."""
        at = db.execute(PUT_AT, (generation, records[start])).fetchone()
        if at is None:
            (first,) = db.execute("SELECT min(first) FROM page WHERE generation = ?", (generation,)).fetchone()
            return len(records) if first is None else bisect_left(records, first, start)
        no, page, following = at
        end = bisect_left(records, page[-self.width :] + b"\0", start)
        if any(record in page for record in records[start:end]):
            held = self._split(page)
            doomed = set(records[start:end]).intersection(held)
            gone |= doomed
            db.execute("DELETE FROM page WHERE no = ?", (no,))
            self._insert_pages(db, generation, [record for record in held if record not in doomed])
        return len(records) if following is None else bisect_left(records, following, end)

    def _put(self, db: sqlite3.Connection, generation: int, records: Sequence[bytes]) -> None:
        """Put records among those of a generation."""
        start = 0
        while start < len(records):
            at = db.execute(PUT_AT, (generation, records[start])).fetchone()
            no, page, following = at or db.execute(PUT_FIRST, (generation,)).fetchone() or (None, b"", None)
            end = len(records) if following is None else bisect_left(records, following, start)
            held = sorted([*self._split(page), *records[start:end]])
            if no is not None and len(held) * self.width <= PAGE_BYTES_MAX:
                db.execute("UPDATE page SET first = ?, records = ? WHERE no = ?", (held[0], b"".join(held), no))
            else:
                if no is not None:
                    db.execute("DELETE FROM page WHERE no = ?", (no,))
                self._insert_pages(db, generation, held)
            start = end
        self._count(db, generation, len(records))

    def _write(self, db: sqlite3.Connection, generation: int, records: Sequence[bytes]) -> None:
        """Append records to a generation that holds none above the first of them."""
        self._insert_pages(db, generation, records)
        self._count(db, generation, len(records))

    def _begin(self, db: sqlite3.Connection, records: int = 0, hot: bool = False) -> int:
        """A new generation, which so many records are about to go into."""
        cursor = db.execute("INSERT INTO generation (register, records, hot) VALUES (?, ?, ?)", (self.no, records, hot))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _count(self, db: sqlite3.Connection, generation: int, more: int) -> None:
        if more:
            db.execute("UPDATE generation SET records = records + ? WHERE no = ?", (more, generation))

    def _insert_pages(self, db: sqlite3.Connection, generation: int, records: Sequence[bytes]) -> None:
        size = PAGE_BYTES_MAX // self.width
        if size < len(records) < 2 * size:
            size = (len(records) + 1) // 2  # a full page that takes one more becomes two halves
        pages = [(generation, records[at], b"".join(records[at : at + size])) for at in range(0, len(records), size)]
        insert_rows(db, "page", "(NULL, ?, ?, ?)", pages)

    def _split(self, page: bytes) -> list[bytes]:
        return list(_cutter(self.width, len(page) // self.width)(page))

    # --- merging ---

    def settle(self, db: sqlite3.Connection) -> bool:
        """Merge one slice; gives whether one was due."""
        return self.tend(db, 1) > 0

    def tend(self, db: sqlite3.Connection, records: int) -> int:
        """Merge about so many records, if so many are due; at least one slice. Gives how many it merged."""
        done = 0
        while done < records:
            generations = self.generations(db)
            merging = _merging(generations) or self._start_merge(db, generations)
            if not merging:
                break
            due = (records - done) // (len(merging) * (PAGE_BYTES_MAX // self.width))
            done += self._merge_slice(db, merging, min(max(SLICE_PAGES, due), SLICE_PAGES_MAX))
        return done

    def _start_merge(self, db: sqlite3.Connection, generations: Sequence[Generation]) -> list[Generation]:
        """Those that are due are told where they go."""
        due = _due(generations)
        if due:
            target = self._begin(db)
            db.executemany("UPDATE generation SET target = ? WHERE no = ?", [(target, each.no) for each in due])
            due = [Generation(each.no, each.records, False, target) for each in due]
        return due

    def leave_damaged(self, db: sqlite3.Connection) -> bool:
        """Leave those unmerged from now on, of what comes next, that can't be read; gives whether there are any. On an
        open database (autocommit): who has met damage in a transaction can't write there any more."""
        generations = self.generations(db)
        broken = [each.no for each in _merging(generations) or _due(generations) if not self._can_be_read(db, each.no)]
        for no in broken:
            db.execute(LEAVE, (no,))
        return bool(broken)

    def _can_be_read(self, db: sqlite3.Connection, generation: int) -> bool:
        try:
            for _ in self._up(db, generation, b""):
                pass
        except Exception as error:
            pass_over(error)
            return False
        return True

    def _merge_slice(self, db: sqlite3.Connection, merging: Sequence[Generation], slice_pages: int) -> int:
        """Move the lowest records of those that are being merged, of each about so many pages; gives how many."""
        target = merging[0].target
        assert target is not None
        read = {each.no: db.execute(PAGES_UP, (each.no, b"", slice_pages + 1)).fetchall() for each in merging}
        bounds = [pages[slice_pages][0] for pages in read.values() if len(pages) > slice_pages]
        bound = min(bounds, default=b"\xff" * (self.width + 1))
        moved: list[bytes] = []
        for generation, pages in read.items():
            lowest = [page for page in pages if page[0] < bound]
            if not lowest:
                continue
            taken = [record for _, page in lowest for record in self._split(page)]
            end = bisect_left(taken, bound)
            db.execute("DELETE FROM page WHERE generation = ? AND first < ?", (generation, bound))
            self._insert_pages(db, generation, taken[end:])
            self._count(db, generation, -end)
            moved += taken[:end]
        moved.sort()
        self._write(db, target, moved)
        empty = [generation for generation, pages in read.items() if not pages or (not bounds and pages)]
        db.executemany("DELETE FROM generation WHERE no = ?", [(generation,) for generation in empty])
        return max(len(moved), 1)


def _merging(generations: Sequence[Generation]) -> list[Generation]:
    """Those that are on their way into another; what is damaged has itself for a target."""
    return [each for each in generations if each.target not in (None, each.no)]


def _due(generations: Sequence[Generation]) -> list[Generation]:
    """The smallest generations, if there are enough of about one size."""
    movable = (each for each in generations if not each.hot and each.target is None)
    sizes = sorted(movable, key=lambda each: (each.records, each.no))
    for start in range(len(sizes) - GENERATIONS_MERGED_AT + 1):
        smallest = max(sizes[start].records, BATCH_MIN)
        alike = [each for each in sizes[start:] if each.records < SIZES_APART * smallest]
        if len(alike) >= GENERATIONS_MERGED_AT:
            return alike[:GENERATIONS_MERGED_AT]  # as many have come up as wait for a pause, and a slice reads of each
    return []
