"""A disk that is full to the last page: what makes room is written in the room that is kept for it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
from builders import person
from damage_kit import run_on_small_disk
from store_kit import LATER, add
from trio.testing import trio_test

from p2pblog.bridge import open_bridge
from p2pblog.errors import StoreFull
from p2pblog.store import CONFIG, sql_room, sql_write
from p2pblog.store import reserve as store_reserve
from p2pblog.store.reserve import AGAIN_S, RESERVE_BYTES, SOME_BYTES, Reserve, give_for_a_start
from p2pblog.store.sqlite import SqliteStore, open_sqlite


@pytest.fixture(autouse=True)
def whole_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_reserve, "RESERVE_BYTES", RESERVE_BYTES)


FULL_DISK_CHILD = """
import sys, trio
from pathlib import Path
from builders import person
from p2pblog.bridge import open_bridge
from p2pblog.core.logs import Batch
from p2pblog.errors import StoreFull
from p2pblog.store.reserve import RESERVE_BYTES
from p2pblog.store.sqlite import open_sqlite

PIECE = 50

async def until_full(store, alice, first):
    while True:
        for _ in range(PIECE):
            alice.log.note(f"{len(alice.log.entries)} " + "words of all kinds " * 150)
        try:
            await store.append([Batch(alice.hash, alice.log.run(first, first + PIECE - 1))], 1)
        except StoreFull:
            return first
        first += PIECE

async def main():
    alice, database = person("alice"), Path(sys.argv[1]) / "store.sqlite3"
    reserve = database.with_name("store.sqlite3-reserve")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, database)
        await store.put_identity(alice.identity)
        while not reserve.exists() or reserve.stat().st_size < RESERVE_BYTES:
            await trio.sleep(0.01)
        full = await until_full(store, alice, 1)
        await store.put_setting("config.store.max", b"1000000")
        assert reserve.stat().st_size >= RESERVE_BYTES // 2
        low = 64
        while low < full - 64:
            await store.prune(alice.key, low, 1)
            low += 64
        assert not reserve.exists()
        again = await until_full(store, alice, full)
        assert again - full > full / 2, (full, again)
        assert not reserve.exists()
        await store.aclose()
    print("went on")

trio.run(main)
"""


def test_a_full_disk_takes_cuts_and_then_entries_again(tmp_path: Path) -> None:
    ran = run_on_small_disk(tmp_path, 20 * 2**20, FULL_DISK_CHILD)
    assert ran.stdout == "went on\n", ran.stderr


# --- where it is kept, and what may use it ----------------------------------------------------------------------------


def refused_beside(reserve: Path, write: Callable[..., Any], most: int = 0) -> Callable[..., Any]:
    """A write that finds no room while the reserve takes up more than `most` bytes."""

    def refused(*args: Any) -> Any:
        if reserve.exists() and reserve.stat().st_size > most:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return write(*args)

    return refused


@trio_test
async def test_of_two_writes_that_need_the_reserve_at_once_both_find_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(200)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await store.put_identity(alice.identity)
        await add(store, alice.log)
        path = await kept(store)
        monkeypatch.setattr(sql_room, "prune", refused_beside(path, sql_room.prune))
        monkeypatch.setattr(sql_write, "drop_log", refused_beside(path, sql_write.drop_log))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.prune, alice.key, 64, LATER)
            nursery.start_soon(store.drop_log, bob.key)
        assert (await store.load()).logs[0].spans[0].low == 65
        await store.aclose()


async def kept(store: SqliteStore) -> Path:
    """The file, once it is there."""
    reserve = store._aio._reserve
    with trio.fail_after(30):
        while not reserve.is_kept:  # noqa: ASYNC110 - the database's thread makes it
            await trio.sleep(0.01)
    return reserve.path


@trio_test
async def test_only_what_makes_room_uses_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = person("alice")
    alice.notes(200)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await store.put_identity(alice.identity)
        await add(store, alice.log)
        path = await kept(store)
        found = path.stat()
        assert found.st_size == RESERVE_BYTES and stat.S_IMODE(found.st_mode) == 0o600
        most = RESERVE_BYTES - SOME_BYTES
        monkeypatch.setattr(sql_write, "put_setting", refused_beside(path, sql_write.put_setting, most))
        monkeypatch.setattr(sql_room, "prune", refused_beside(path, sql_room.prune))
        with pytest.raises(StoreFull):
            await store.put_setting("what.a.peer.was.told", b"much")
        assert path.stat().st_size == RESERVE_BYTES
        await store.put_setting(f"{CONFIG}store.max", b"1000")
        assert await store.settings(CONFIG) == {f"{CONFIG}store.max": b"1000"}
        assert await kept(store) == path and path.exists(), "it is made again where there is room"
        assert (await store.prune(alice.key, 64, LATER)).state.spans[0].low == 65
        assert not path.exists()
        await store.aclose()


def test_a_reserve_is_made_only_where_as_much_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "store.sqlite3"
    reserve, pages = Reserve(database), RESERVE_BYTES // 4096
    monkeypatch.setattr(os, "statvfs", lambda _path: Disk(2 * pages - 1))
    reserve.keep(0)
    assert not reserve.is_kept and not reserve.path.exists() and reserve.is_due(0)
    monkeypatch.setattr(os, "statvfs", lambda _path: Disk(2 * pages))
    reserve.keep(0)
    assert reserve.is_kept and Reserve(database).is_kept
    assert reserve.give_all() and not reserve.give_all()
    reserve.path.write_bytes(b"half, for the node was killed")
    again = Reserve(database)
    assert not again.is_kept
    again.keep(0)
    assert again.is_kept and reserve.path.stat().st_size == RESERVE_BYTES


def test_what_only_leads_to_room_gets_half_of_the_reserve_at_most(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "store.sqlite3")
    assert not reserve.give_some()
    reserve.keep(0)
    for number in range(1, 9):
        assert reserve.give_some() and reserve.given == number
    assert not reserve.give_some() and reserve.path.stat().st_size == RESERVE_BYTES // 2
    assert reserve.is_due(0) and reserve.give_all()


def test_a_reserve_that_can_not_be_made_or_is_of_no_use_is_not_made_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(tmp_path / "store.sqlite3")

    def over_quota(*_args: object) -> int:
        raise OSError(122, "Disk quota exceeded")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", over_quota)
        reserve.keep(5)
    assert not reserve.is_due(5 + AGAIN_S - 1) and reserve.is_due(5 + AGAIN_S)
    reserve.keep(5 + AGAIN_S)
    assert reserve.is_kept and reserve.give_all()
    reserve.was_in_vain(1_000)
    assert not reserve.is_due(1_000) and reserve.is_due(1_000 + AGAIN_S)


def test_a_node_that_starts_on_a_full_disk_takes_some_of_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "store.sqlite3"
    Reserve(database).keep(0)
    give_for_a_start(database)
    assert Reserve(database).is_kept
    monkeypatch.setattr(os, "statvfs", lambda _path: Disk(0))
    give_for_a_start(database)
    assert Reserve(database).path.stat().st_size == RESERVE_BYTES - SOME_BYTES
    give_for_a_start(tmp_path / "of nobody" / "store.sqlite3")


class Disk(NamedTuple):
    f_bavail: int
    f_frsize: int = 4096
