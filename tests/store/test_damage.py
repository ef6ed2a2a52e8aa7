"""A database in which something is missing or wrong: each call ends and says so, and the rest goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders import Person, person
from store_kit import LATER, add, keep, texts
from trio.testing import trio_test

from p2pblog.bridge import open_bridge
from p2pblog.errors import StoreDamaged, StoreError
from p2pblog.store.sqlite import open_sqlite

pytestmark = pytest.mark.damages


async def make(path: Path, *statements: str) -> Person:
    """A database with ten notices of bob's, and then changed by these statements as no store would."""
    bob = person("bob")
    bob.notes(10)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, bob)
        await store.aclose()
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return bob


def spoil_leaf(path: Path, row: bytes) -> None:
    """Change one bit in the head of the leaf that holds this: SQLite reads none of its rows any more."""
    pages = path.read_bytes()
    found = [at for at in range(4_096, len(pages), 4_096) if pages[at] == TABLE_LEAF and row in pages[at : at + 4_096]]
    path.write_bytes(pages[: found[0]] + bytes([TABLE_LEAF ^ 0x20]) + pages[found[0] + 1 :])


TABLE_LEAF = 13
"""How the page of rows begins (https://www.sqlite.org/fileformat2.html#b_tree_pages)."""


@trio_test
async def test_an_entry_that_nothing_vouches_for_any_more_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "DELETE FROM signature")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path, readers=1)
        with pytest.raises(StoreDamaged, match="is damaged: no signature") as damage:
            await store.locate(bob.log.entries[3].id)
        assert str(path) in str(damage.value)
        assert len(await texts(store, bob)) == 10
        await store.aclose()


@trio_test
async def test_whatever_leaves_a_query_its_caller_is_told_and_the_store_closes(tmp_path: Path) -> None:
    """asyncio's futures take no StopIteration: such a call never ended, could not be cancelled, and held the end up."""

    def stop(db: sqlite3.Connection) -> None:
        next(iter(db.execute("SELECT 1 WHERE 0")))

    path = tmp_path / "store.sqlite3"
    bob = await make(path)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path, readers=1)
        for call in store._read, store._write:
            with pytest.raises(StoreError):
                await call(stop)
        assert len(await texts(store, bob)) == 10
        await store.aclose()


@trio_test
async def test_a_lost_row_is_a_named_error_to_readers_and_writers_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "DELETE FROM entry WHERE key & 0xffff = 5")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for _ in range(2):
            with pytest.raises(StoreDamaged, match=r"TypeError.*or this is a bug in p2pblog") as damage:
                await store.locate(bob.log.entries[5].id)
            assert isinstance(damage.value.__cause__, TypeError)
            with pytest.raises(StoreDamaged, match="TypeError"):
                await store.prune(bob.key, 5, LATER)
        assert [row.text for row in await store.rows([bob.log.entries[9].id])]
        await store.aclose()
    (told,) = [record for record in caplog.records if record.name == "p2pblog.store"]
    assert told.exc_info is not None


@trio_test
async def test_bytes_that_no_longer_read_are_no_fault_of_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "UPDATE identity SET wire = x'ff'")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for call in store.load(), store.drop_log(bob.key):
            with pytest.raises(StoreDamaged, match="is damaged"):
                await call
        await store.aclose()


@trio_test
async def test_what_meets_rows_that_another_lost_row_leaves_over_is_damage_too(tmp_path: Path) -> None:
    """SQLite then says that a key is there already; and that is so however often one tries."""
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "DELETE FROM span")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        with pytest.raises(StoreDamaged, match="UNIQUE"):
            await add(store, bob.log)
        await store.aclose()


@trio_test
async def test_a_log_whose_lowest_entry_is_lost_does_not_keep_others_from_being_cut(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    await make(path, "DELETE FROM entry WHERE key & 0xffff = 1")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        carol = person("carol")
        carol.notes(3)
        await keep(store, carol)
        assert [bottom.device for bottom in await store.bottoms()] == [carol.key]
        await store.aclose()


@trio_test
async def test_want_of_memory_is_no_damage(tmp_path: Path) -> None:
    """It passes, so what could not be stored for it must be tried again, and nobody told to begin anew."""

    def use_too_much(db: sqlite3.Connection) -> None:
        raise MemoryError

    path = tmp_path / "store.sqlite3"
    bob = await make(path)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for call in store._read, store._write:
            with pytest.raises(StoreError, match="no memory") as want:
                await call(use_too_much)
            assert not isinstance(want.value, StoreDamaged)
        assert len(await texts(store, bob)) == 10
        await store.aclose()


@trio_test
async def test_direct_messages_beside_a_leaf_that_is_damaged_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    for number in range(40):
        bob.log.dm(f"{number}", bob, by=bob)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, bob)
        await store.aclose()
    spoil_leaf(path, bob.log.entries[20].id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for untold in (False, True):
            listed = {row.id for row in await store.dms(99, untold=untold)}
            assert 20 < len(listed) < 40
            assert bob.log.entries[20].id not in listed
            assert bob.log.entries[-1].id in listed
        await store.aclose()
