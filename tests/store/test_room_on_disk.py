"""The database file when room is made: pages in use, pages given back, files from before that can't shrink."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio
from builders import person
from store_kit import LATER, add, texts

from p2pblog.bridge import open_bridge
from p2pblog.config import STRAYS_MAX
from p2pblog.core.logs import Located
from p2pblog.store import migrations, sql_room
from p2pblog.store.memory import MemoryStore
from p2pblog.store.sql_opening import prepare_writer
from p2pblog.store.sqlite import SqliteStore, open_sqlite

LARGE = "bees and honey " * 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite3"


def mode_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA auto_vacuum").fetchone()[0])


async def fill(store: SqliteStore, count: int = 640) -> None:
    alice = person("alice")
    alice.notes(count, LARGE)
    await store.put_identity(alice.identity)
    await add(store, alice.log)


def on_file(path: Path, scene) -> None:  # type: ignore[no-untyped-def]
    async def main() -> None:
        async with open_bridge() as bridge:
            store = await open_sqlite(bridge, path)
            try:
                await scene(store)
            finally:
                await store.aclose()

    trio.run(main)


def test_pages_that_were_freed_are_filled_again_or_given_back(path: Path) -> None:
    alice = person("alice")

    async def scene(store: SqliteStore) -> None:
        await fill(store)
        full = await store.usage()
        size = full.used + full.free
        for up_to in range(64, 513, 64):
            await store.prune(alice.key, up_to, LATER)
        pruned = await store.usage()
        assert pruned.used < full.used // 2
        assert pruned.free > size // 2 and pruned.used + pruned.free == pytest.approx(size, rel=0.05)

        bob = person("bob")
        bob.notes(300, LARGE)
        await store.put_identity(bob.identity)
        await add(store, bob.log)
        again = await store.usage()
        assert again.used > pruned.used and again.used + again.free == pytest.approx(size, rel=0.05)

        free = again.free
        while free:
            left = await store.give_back(64)
            assert left == max(0, free - 64 * 4096)
            free = left
        assert (await store.usage()).free == 0
        assert len(await texts(store, alice, bob)) == 129 + 300

    on_file(path, scene)
    assert path.stat().st_size < 4_000_000  # 7 when it was full
    assert mode_of(path) == 2


def test_a_file_from_before_is_written_anew_once_a_fourth_of_it_is_free(path: Path) -> None:
    alice = person("alice")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = NONE")
        migrations.migrate(db)

    async def fill_and_prune(store: SqliteStore) -> None:
        await fill(store)
        await store.prune(alice.key, 64, LATER)

    on_file(path, fill_and_prune)

    async def nothing(store: SqliteStore) -> None:
        assert (await store.usage()).free > 0

    on_file(path, nothing)
    size = path.stat().st_size
    assert mode_of(path) == 0  # a tenth is free: not worth it

    async def prune(store: SqliteStore) -> None:
        for up_to in range(128, 385, 64):
            await store.prune(alice.key, up_to, LATER)

    on_file(path, prune)
    assert path.stat().st_size == pytest.approx(size, rel=0.1)  # FTS5 forgets later

    async def read(store: SqliteStore) -> None:
        assert len(await texts(store, alice)) == 257
        assert (await store.usage()).free == 0

    on_file(path, read)
    assert mode_of(path) == 2
    assert path.stat().st_size < size * 0.65


def test_a_file_that_cannot_be_written_anew_stays_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t SELECT randomblob(4000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8))")
        db.execute("DELETE FROM t")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            db.execute("PRAGMA busy_timeout = 0")
            other.execute("INSERT INTO t VALUES (1)")
            other.execute("ROLLBACK")
            other.execute("BEGIN")
            other.execute("SELECT * FROM t").fetchall()
            sql_room.prepare(db)
            assert db.execute("PRAGMA page_count").fetchone() == (pages,)


def rows_of(path: Path) -> dict[str, int]:
    """How many rows each table has, those aside of what is caught up with later: registers, and the words of search."""
    later = {"generation", "page", "unread", "sqlite_sequence"}
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [name for name in names if name not in later and "word" not in name]
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def test_of_strangers_that_went_no_row_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.store.sql_write.STRAYS_MAX", 1)
    alice, eve, mallory = person("alice"), person("eve"), person("mallory")

    async def scene(store: SqliteStore) -> None:
        first = alice.log.note("hello")
        await store.put_identity(alice.identity)
        await add(store, alice.log)
        before = rows_of(path)
        devices = len(alice.identity.devices)
        assert (before["identity"], before["log"]) == (1, devices)

        for text in ("a note", "another"):
            note = eve.log.note(text)
        eve.log.like(note)
        eve.log.delete(note)
        await add(store, eve.log)
        await store.drop_log(eve.key)
        assert rows_of(path) == before  # as of a feed that was relayed

        for age, stranger in enumerate([eve, mallory]):
            await store.put_stray(Located(stranger.hash, stranger.log.note("hi", reply_to=first), ()), LATER + age)
        after = rows_of(path)
        assert (after["identity"], after["log"]) == (2, devices + 1)  # the older one made room
        hers = Located(eve.hash, mallory.log.entries[-1], ())  # which that person names as well
        await store.put_stray(hers, LATER)
        assert (rows_of(path)["identity"], rows_of(path)["log"]) == (2, devices + 1)
        assert await store.prune_strays(0, 9) == (0, 1)
        assert rows_of(path) == before

        await store.drop_log(alice.key)  # she is kept, and names it
        assert rows_of(path) == {**before, "entry": 0, "signature": 0, "span": 0}
        await add(store, alice.log)
        await store.put_identity(eve.identity)  # under the number that mallory had
        await add(store, eve.log)
        assert rows_of(path)["identity"] == 2
        assert await texts(store, eve) == ["hi", "a note"]

    on_file(path, scene)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_stays_of_a_log_makes_no_room_for_strays(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("p2pblog.store.sql_write", "p2pblog.store.memory"):
        monkeypatch.setattr(f"{module}.STRAYS_MAX", 2)
    assert STRAYS_MAX > 2
    alice, bob = person("alice"), person("bob")

    async def scene(store: SqliteStore | MemoryStore) -> None:
        notes = alice.notes(5)
        await store.put_identity(alice.identity)
        await add(store, alice.log)
        await store.put_bookmark(notes[0].id, LATER)
        await store.prune(alice.key, 3, 1)  # kept longest of all
        strays = bob.notes(3)
        for at, stray in enumerate(strays):
            await store.put_stray(Located(bob.hash, stray, ()), LATER + at)
        assert [row.id for row in await store.rows([notes[0].id])] == [notes[0].id]
        assert [row.id for row in await store.rows([each.id for each in strays])] == [each.id for each in strays[1:]]

    if kind == "memory":
        trio.run(scene, MemoryStore())
    else:
        on_file(path, scene)


def test_what_is_deleted_is_overwritten_whatever_sqlite_was_built_for(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")  # as in many builds
        prepare_writer(tmp_path / "db", db)
        assert db.execute("PRAGMA secure_delete").fetchone() == (1,)
