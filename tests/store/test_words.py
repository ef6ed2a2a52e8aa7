"""The index of words on disk: when it is filled, what it forgets, when it is made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from builders import Person, person
from store_kit import LATER, keep
from trio.testing import trio_test

from p2pblog.bridge import open_bridge
from p2pblog.config import SEARCH_GIVE_WAY_S, SEARCH_SLICE
from p2pblog.core.logs import Batch
from p2pblog.core.search import parse
from p2pblog.store import (
    SearchQuery,
    SearchResult,
    migrations,
    sql_indexer,
    sql_retracted,
    sql_search,
    sql_words,
    sql_write,
)
from p2pblog.store.register import BATCH_MIN, GENERATIONS_MERGED_AT
from p2pblog.store.sql_base import IDS
from p2pblog.store.sqlite import SqliteStore, open_sqlite

VERSION_1 = Path(__file__).parent / "version_1.sql"


@pytest.fixture
def alice() -> Person:
    alice = person("alice")
    for number in range(20):
        alice.log.note(f"bee {number} xylophone{number}")
    return alice


@pytest.fixture
def db(alice: Person) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.migrate(connection)
        sql_words.prepare(connection)
        sql_write.put_identity(connection, alice.identity)
        sql_write.append(connection, [Batch(alice.hash, alice.log.run())], LATER)
        yield connection


def find(db: sqlite3.Connection, text: str) -> SearchResult:
    return sql_search.search(db, SearchQuery(100, wanted=parse(text, LATER).wanted))


def segments(db: sqlite3.Connection) -> bytes:
    """All bytes of the index, when nothing in it waits to be merged."""
    db.execute("INSERT INTO word (word) VALUES ('optimize')")
    return b"".join(block for (block,) in db.execute("SELECT block FROM word_data"))


def test_a_run_waits_as_one_row_and_comes_in_by_slices_newest_first(db: sqlite3.Connection) -> None:
    assert db.execute("SELECT count(*) FROM unread").fetchone() == (1,)
    assert find(db, "bee") == SearchResult((), 21)
    assert sql_indexer.read_some(db, 5) == 5
    part = find(db, "bee")
    assert ([row.text.split()[1] for row in part.rows], part.unread) == (["19", "18", "17", "16", "15"], 16)
    assert sql_indexer.read_some(db, 100) == 16
    assert sql_indexer.read_some(db, 100) == 0
    whole = find(db, "bee")
    assert (len(whole.rows), whole.unread) == (20, 0)


def test_a_slice_ends_early_where_somebody_waits(db: sqlite3.Connection, alice: Person) -> None:
    alice.notes(2 * sql_indexer.CHUNK)
    sql_write.append(db, [Batch(alice.hash, alice.log.run(22))], LATER)
    assert sql_indexer.read_some(db, 1_000, lambda: True) == sql_indexer.CHUNK
    assert find(db, "bee").unread == 21 + sql_indexer.CHUNK
    assert sql_indexer.read_some(db, 1_000, lambda: False) == 21 + sql_indexer.CHUNK


@pytest.mark.parametrize("read", [0, 9, 100])
def test_what_is_dropped_leaves_no_word_behind(db: sqlite3.Connection, alice: Person, read: int) -> None:
    """Also where only a part of it had come into the index."""
    sql_indexer.read_some(db, read)
    alice.log.delete(alice.log.entries[-1])
    sql_write.append(db, [Batch(alice.hash, alice.log.run(22))], LATER)
    assert sql_retracted.drop_some(db, LATER + 1, sql_retracted.FIRST) == (1, None)
    sql_indexer.read_some(db, 100)
    assert len(find(db, "bee").rows) == 19
    assert b"xylophone" in segments(db)
    assert find(db, "xylophone19").rows == ()
    sql_write.drop_log(db, alice.key)
    sql_indexer.read_some(db, 100)
    assert b"xylophone" not in segments(db)
    assert db.execute("SELECT count(*) FROM found").fetchone() == (0,)
    sql_write.append(db, [Batch(alice.hash, alice.log.run(1, 21))], LATER)
    sql_indexer.read_some(db, 100)
    assert len(find(db, "bee").rows) == 20
    db.execute("INSERT INTO word (word) VALUES ('integrity-check')")


def test_other_rules_make_the_index_anew(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    sql_indexer.read_some(db, 100)
    sql_words.prepare(db)  # the same rules: nothing to do
    assert find(db, "bee 7").unread == 0
    monkeypatch.setattr(sql_words, "WORDS_FORM", "2")
    monkeypatch.setattr(sql_words, "found_words", lambda payload, log, edit: ["wasp"])
    sql_words.prepare(db)
    assert find(db, "bee") == SearchResult((), 21)
    sql_indexer.read_some(db, 100)
    assert (len(find(db, "bee").rows), len(find(db, "wasp").rows)) == (0, 20)
    sql_words.prepare(db)
    assert find(db, "wasp").unread == 0


@trio_test
async def test_words_are_indexed_when_the_writer_rests(tmp_path: Path, alice: Person) -> None:
    alice.notes(3 * SEARCH_SLICE)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, alice)
        assert await store._read(sql_words.count_unread) == len(alice.log.entries)
        await rested(store)
        await store.aclose()


@trio_test
async def test_a_database_from_before_there_was_a_search_is_indexed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(VERSION_1.read_text())
        db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await rested(store)
        (row,) = (await store.search(SearchQuery(100, wanted=parse("version", LATER).wanted))).rows
        assert row.text == "from version 1"
        await store.aclose()


@trio_test
async def test_registers_are_merged_when_the_writer_rests(tmp_path: Path) -> None:
    """Before words are indexed, of which there may be minutes."""
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        for number in range(GENERATIONS_MERGED_AT):
            someone = person(f"merged {number}")
            someone.notes(BATCH_MIN)
            await keep(store, someone)
        await rested(store)
        (merged,) = await store._read(IDS.generations)
        assert merged.records == GENERATIONS_MERGED_AT * (BATCH_MIN + 1)
        await store.aclose()


async def rested(store: SqliteStore) -> None:
    """Wait until no notice waits for its words to be indexed."""
    with trio.fail_after(60):
        while await store._read(sql_words.count_unread):  # noqa: ASYNC110 - the writer tells nobody
            await trio.sleep(0.01)


@trio_test
async def test_between_the_questions_of_a_newcomer_the_writer_rests(tmp_path: Path, alice: Person) -> None:
    """They come one after the other, with pauses too short for it to take the processor."""
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, alice)
        await store.run(alice.key, 1, 5, 1_000)
        aio = store._aio
        read_at = aio._read_at
        aio._clock = lambda: read_at + SEARCH_GIVE_WAY_S / 2
        assert aio._is_reading()
        aio._clock = lambda: read_at + SEARCH_GIVE_WAY_S * 2
        assert not aio._is_reading()
        await store.aclose()
