"""Registers against plain sets: whatever is added and taken out, in whatever sizes, merged or not."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pblog.store import migrations, register
from p2pblog.store.register import BATCH_MIN, GENERATIONS_MAX, GENERATIONS_MERGED_AT, PAGE_BYTES_MAX, Register

WORDS = Register(77, 4)
"""A register of records of four bytes."""


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.migrate(connection)
        yield connection


def some(chance: random.Random, count: int, bits: int = 32) -> set[bytes]:
    return {chance.getrandbits(bits).to_bytes(4, "big") for _ in range(count)}


def check(db: sqlite3.Connection, held: set[bytes], chance: random.Random) -> None:
    """All that a register answers, and that it stands as it should."""
    ordered = sorted(held)
    assert list(WORDS.above(db, b"")) == ordered
    assert list(WORDS.below(db, b"\xff" * 5)) == ordered[::-1]
    for bound in [*some(chance, 3), *chance.sample(ordered, min(3, len(ordered)))]:
        assert list(islice(WORDS.below(db, bound), 9)) == [record for record in reversed(ordered) if record < bound][:9]
        assert list(islice(WORDS.above(db, bound), 9)) == [record for record in ordered if record >= bound][:9]
        for length in (1, 2, 3, 4):
            start = bound[:length]
            assert sorted(WORDS.beginning_with(db, start)) == [record for record in ordered if record.startswith(start)]
    counts = dict(db.execute("SELECT no, records FROM generation").fetchall())
    assert sum(counts.values()) == len(held)
    for no, count in counts.items():
        pages = db.execute("SELECT first, records FROM page WHERE generation = ? ORDER BY first", (no,)).fetchall()
        assert all(page.startswith(first) and 0 < len(page) <= PAGE_BYTES_MAX for first, page in pages)
        joined = b"".join(page for _, page in pages)
        records = [joined[at : at + 4] for at in range(0, len(joined), 4)]
        assert records == sorted(set(records))
        assert len(records) == count


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.sampled_from([8, 16, 32]), st.data())
def test_a_register_is_a_set(db: sqlite3.Connection, seed: int, bits: int, data: st.DataObject) -> None:
    chance, held = random.Random(seed), set[bytes]()
    db.execute("DELETE FROM page")
    db.execute("DELETE FROM generation")
    for _ in range(data.draw(st.integers(1, 20), "steps")):
        count = data.draw(st.sampled_from([1, 2, 30, BATCH_MIN, 2 * BATCH_MIN, 3_000]), "count")
        if data.draw(st.integers(0, 3), "step"):
            new = some(chance, count, bits) - held
            WORDS.add(db, sorted(new))
            held |= new
        else:
            gone = some(chance, 3) | set(chance.sample(sorted(held), min(count, len(held))))
            WORDS.discard(db, sorted(gone))
            held -= gone
    check(db, held, chance)


def test_what_a_generation_does_not_hold_costs_it_few_questions(db: sqlite3.Connection) -> None:
    """Two thousand notices of an author whom one unfollows: a generation that ends below them, or has a gap where they
    would stand, is asked once and not once for each."""
    page = PAGE_BYTES_MAX // WORDS.width
    below, theirs, above = (
        [number.to_bytes(4, "big") for number in range(first, first + 10 * page)] for first in (0, 10_000, 20_000)
    )
    theirs = theirs[:2_000]
    for batch in (below[2 * page :], [*below[: 2 * page], *above], theirs):  # the smallest is asked last
        WORDS.add(db, batch)
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    WORDS.discard(db, theirs)
    db.set_trace_callback(None)
    assert list(WORDS.above(db, b"")) == [*below, *above]
    assert len(asked) < 40


def test_generations_stay_few_and_merges_go_on_in_slices(db: sqlite3.Connection) -> None:
    """200,000 records in batches of a run's size: some dozens of generations, and no batch pays for a whole merge."""
    chance, held = random.Random(1), set[bytes]()
    most_generations = most_moved = 0
    for _ in range(200):
        new = some(chance, 1_000) - held
        held |= new
        before = db.total_changes
        WORDS.add(db, sorted(new))
        most_moved = max(most_moved, db.total_changes - before)
        most_generations = max(most_generations, len(WORDS.generations(db)))
    check(db, held, chance)
    assert GENERATIONS_MAX <= most_generations < 4 * GENERATIONS_MERGED_AT
    assert max(each.records for each in WORDS.generations(db)) > 20_000
    assert most_moved < 600  # rows: of 200 records each here


def test_merging_waits_for_a_pause_unless_much_is_due(db: sqlite3.Connection) -> None:
    chance, held = random.Random(2), set[bytes]()
    for number in range(GENERATIONS_MAX):
        assert [each.records for each in WORDS.generations(db)] == [BATCH_MIN] * number
        new = sorted(some(chance, BATCH_MIN + 9) - held)[:BATCH_MIN]
        held |= set(new)
        WORDS.add(db, new)
    slices = 0
    while WORDS.settle(db):
        slices += 1
    check(db, held, chance)
    assert 3 <= slices < 12
    assert len(WORDS.generations(db)) < GENERATIONS_MERGED_AT


def test_single_records_do_not_make_generations(db: sqlite3.Connection) -> None:
    """A notice at a time, as in a live network."""
    chance, held = random.Random(3), set[bytes]()
    for _ in range(9_000):
        for record in some(chance, 1) - held:
            WORDS.add(db, [record])
            held.add(record)
    check(db, held, chance)
    assert [each.records for each in WORDS.generations(db) if not each.hot] == [register.HOT_RECORDS_MAX] * 2
    (pages,) = db.execute("SELECT count(*) FROM page").fetchone()
    assert pages < 3 * len(held) * WORDS.width / PAGE_BYTES_MAX


def test_a_reader_beside_a_merge_sees_each_record_once(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two slices all stand in one generation or the other."""
    monkeypatch.setattr(register, "SLICE_PAGES", 1)
    chance, held = random.Random(4), set[bytes]()
    for _ in range(GENERATIONS_MERGED_AT - 1):
        new = some(chance, 1_500) - held
        WORDS.add(db, sorted(new))
        held |= new
    assert all(each.target is None for each in WORDS.generations(db))
    last = some(chance, 1_500) - held
    held |= last
    WORDS._write(db, WORDS._begin(db, hot=False), sorted(last))
    slices = 0
    while slices == 0 or any(each.target for each in WORDS.generations(db)):
        WORDS.tend(db, 1)
        slices += 1
        check(db, held, chance)
        gone = set(chance.sample(sorted(held), 50))
        WORDS.discard(db, sorted(gone))
        held -= gone
        one = some(chance, 1) - held
        WORDS.add(db, sorted(one))
        held |= one
    assert slices > 5
    assert len(WORDS.generations(db)) == 2
