"""What only a database on disk can do: refuse a file, fill a disk, be migrated, be interrupted."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from builders import person
from store_kit import LATER, add, keep, open_kind, own, texts
from trio.testing import trio_test

from p2pblog.bridge import open_bridge
from p2pblog.core.logs import Batch, Located
from p2pblog.errors import BadChain, StoreError, StoreFull
from p2pblog.store import (
    OWN_IDENTITY,
    TimelineQuery,
    migrations,
    sql_transactions,
)
from p2pblog.store.sqlite import SqliteStore, open_sqlite

VERSION_1 = Path(__file__).with_name("version_1.sql")


async def refuse(path: Path, sentence: str) -> None:
    """Opening says why not, and neither the file nor what lies beside it changes."""
    before = {found.name: found.read_bytes() for found in path.parent.iterdir() if not found.name.endswith("-shm")}
    async with open_bridge() as bridge:
        with pytest.raises(StoreError, match=sentence) as refusal:
            await open_sqlite(bridge, path)
        assert str(path) in str(refusal.value)
        assert not isinstance(refusal.value, StoreFull)
    after = {found.name: found.read_bytes() for found in path.parent.iterdir() if not found.name.endswith("-shm")}
    assert after == before


async def make(path: Path, notes: int = 3) -> None:
    alice = person("alice")
    alice.notes(notes)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, alice)
        await store.aclose()


# --- files that are not ours to write ---------------------------------------------------------------------------------


@trio_test
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    for content in (b"x", b"SQLite format 3\0", b"garbage" * 1_000, bytes(4096)):
        path.write_bytes(content)
        await refuse(path, "not a p2pblog database, or it is damaged")


@trio_test
async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    await refuse(path, "belongs to another program")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 7")
    await refuse(path, "belongs to another program")


@trio_test
async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    await make(path)
    newer = len(migrations.MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    await refuse(path, f"newer p2pblog .version {newer}")


@trio_test
async def test_a_newer_database_is_left_alone_also_after_a_crash(tmp_path: Path) -> None:
    """Its version then stands in the journal only, which a writing connection would move into the file."""
    path, crashed = tmp_path / "store.sqlite3", tmp_path / "crashed"
    await make(path)
    crashed.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        for name in ("store.sqlite3", "store.sqlite3-wal"):
            (crashed / name).write_bytes((tmp_path / name).read_bytes())
    assert (crashed / "store.sqlite3").read_bytes()[60:64] != bytes([0, 0, 0, 99])
    await refuse(crashed / "store.sqlite3", "newer p2pblog .version 99")


@trio_test
async def test_a_damaged_page_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    await make(path, notes=200)
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * len(content[8192:])
    path.write_bytes(content)
    async with open_bridge() as bridge:
        with pytest.raises(StoreError, match="is damaged"):
            store = await open_sqlite(bridge, path)
            try:
                await store.load()
            finally:
                await store.aclose()
    assert path.read_bytes() == content


@trio_test
async def test_a_stored_identity_that_no_longer_reads_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    await make(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE identity SET wire = substr(wire, 2)")
        db.commit()
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        with pytest.raises(StoreError, match="is damaged"):
            await store.load()
        await store.aclose()


@trio_test
async def test_a_database_cut_short_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    await make(path, notes=200)
    path.write_bytes(path.read_bytes()[:8192])
    async with open_bridge() as bridge:
        with pytest.raises(StoreError, match="is damaged"):
            store = await open_sqlite(bridge, path)
            try:
                await store.load()
            finally:
                await store.aclose()


@trio_test
async def test_a_folder_that_is_not_there_is_a_named_error(tmp_path: Path) -> None:
    async with open_bridge() as bridge:
        for path in (tmp_path / "nowhere" / "store.sqlite3", tmp_path):
            with pytest.raises(StoreError, match="can't be"):
                await open_sqlite(bridge, path)


def modes_in(folder: Path) -> dict[str, int]:
    return {found.name: stat.S_IMODE(found.stat().st_mode) for found in folder.iterdir()}


@trio_test
async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        modes = modes_in(tmp_path)
        await store.aclose()
    assert set(modes.values()) == {0o600}
    assert "store.sqlite3-wal" in modes


# --- migrations -------------------------------------------------------------------------------------------------------


@trio_test
async def test_a_database_of_version_1_opens(tmp_path: Path) -> None:
    """The dump was written once by version 1 and is never edited: migration 1 must stay what it was."""
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1.read_text())
        db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    alice = person("alice")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        assert await texts(store) == await texts(store, alice) == ["from version 1"]
        (notice,) = await store.timeline(TimelineQuery(9))
        assert await store.find_ids(notice.id.hex()[:20]) == [notice.id]
        assert (await store.thread(notice.id)).notices == (notice,)
        alice.log.note("from version 1")
        alice.log.note("and on")
        await add(store, alice.log)
        assert await texts(store) == await texts(store, alice) == ["and on", "from version 1"]
        assert [len(await store.find_ids(entry.id.hex())) for entry in alice.log.entries] == [1, 1, 1]
        (follow,) = (await store.load()).follows
        assert (follow.no_boosts, follow.budget, follow.private) == (False, None, False)
        await store.drop_follow(alice.hash)
        assert await texts(store) == []
        assert len(await texts(store, alice)) == 2
        await store.aclose()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS),)


def schema(db: sqlite3.Connection) -> list[Any]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    return [(kind, name, " ".join(sql.split())) for kind, name, sql in rows.fetchall()]


def test_a_new_database_and_a_migrated_one_have_one_schema() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as old:
        old.executescript(VERSION_1.read_text())
        old.execute("PRAGMA user_version = 1")
        migrations.migrate(old)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
            migrations.migrate(new)
            assert schema(old) == schema(new)


def test_a_step_that_fails_leaves_the_version_before_it() -> None:
    good = "CREATE TABLE added (x);\nINSERT INTO added VALUES (1);\n"
    bad = "CREATE TABLE more (x);\nINSERT INTO nowhere VALUES (1);\n"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        one = schema(db)
        with pytest.raises(sqlite3.OperationalError):
            migrations.migrate(db, [*migrations.MIGRATIONS, good, bad])
        assert db.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS) + 1,)
        assert db.execute("SELECT x FROM added").fetchall() == [(1,)]
        assert len(schema(db)) == len(one) + 1
        migrations.migrate(db, [*migrations.MIGRATIONS, good])
        assert db.execute("SELECT x FROM added").fetchall() == [(1,)]  # and is not run twice


# --- a full disk ------------------------------------------------------------------------------------------------------


async def limit_pages(store: SqliteStore, extra: int | None) -> None:
    """Let the database grow by so many pages only; SQLite then answers as it does on a full disk."""

    def limit(db: sqlite3.Connection) -> None:
        (count,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {2**30 if extra is None else count + extra}")

    await store._write(limit)


@trio_test
async def test_a_full_disk_writes_nothing_and_the_store_goes_on(tmp_path: Path) -> None:
    alice, bob = person("alice"), person("bob")
    alice.notes(900, "x" * 500)
    bob.log.note("small")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, bob)
        await store.put_identity(alice.identity)
        before = await store.load()
        await limit_pages(store, 20)
        for durable in (True, False):
            with pytest.raises(StoreFull, match="no room"):
                await store.append([Batch(alice.hash, alice.log.run())], LATER, durable)
        assert await store.load() == before
        assert await texts(store) == ["small"]
        await add(store, alice.log, 1, 3)  # what fits goes in
        await limit_pages(store, None)
        await add(store, alice.log)
        assert await store.entry_count() == 903
        await store.aclose()


@trio_test
async def test_one_write_that_does_not_fit_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    alice.notes(900, "x" * 500)
    bob.log.note("small")
    outcomes: dict[str, str] = {}
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await limit_pages(store, 40)

        async def attempt(name: str, batches: list[Batch]) -> None:
            try:
                await store.append(batches, LATER)
                outcomes[name] = "stored"
            except (StoreFull, BadChain) as error:
                outcomes[name] = type(error).__name__

        release = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store._write, lambda _: release.wait(30))  # so that the others share a transaction
            await trio.testing.wait_all_tasks_blocked()
            for name, owner, log in (
                ("bob", bob, bob.log),
                ("alice", alice, alice.log),
                ("mixed up", carol, bob.log),
                ("carol", carol, carol.log),
            ):
                nursery.start_soon(attempt, name, [Batch(owner.hash, log.run())])
                await trio.testing.wait_all_tasks_blocked()  # one after the other
            release.set()
        assert outcomes == {"bob": "stored", "alice": "StoreFull", "mixed up": "BadChain", "carol": "stored"}
        assert await store.entry_count() == 3
        await store.aclose()


FULL_DISK_CHILD = """
import resource, sys, trio
from builders import person
from p2pblog.bridge import open_bridge
from p2pblog.core.logs import Batch, Located
from p2pblog.errors import StoreFull
from p2pblog.store.sqlite import open_sqlite
from pathlib import Path

async def main():
    alice = person("alice")
    alice.notes(999, "x" * 900)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, Path(sys.argv[1]))
        await store.append([Batch(alice.hash, alice.log.run(1, 1))], 1, True)
        journal = Path(sys.argv[1] + "-wal").stat().st_size  # which holds the schema so far
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal + 200_000, resource.RLIM_INFINITY))
        stored = 1
        try:
            for first in range(2, 1000, 50):
                await store.append([Batch(alice.hash, alice.log.run(first, first + 49))], 1, True)
                stored += 50
        except StoreFull as error:
            print("full", error, file=sys.stderr)
        assert 1 < stored < 999, stored
        assert await store.entry_count() == stored
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.append([Batch(alice.hash, alice.log.run())], 1, True)
        assert await store.entry_count() == 1000
        await store.aclose()
    print("went on")

trio.run(main)
"""


def test_an_operating_system_that_refuses_to_write_is_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files: the write itself fails, with EFBIG, as it does beyond a quota."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK_CHILD, str(tmp_path / "store.sqlite3")],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[1], check=False,
    )  # fmt: skip
    assert done.stdout == "went on\n", done.stderr
    assert "there is no room" in done.stderr


# --- threads, cancellation, closing -----------------------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def endless(running: threading.Event) -> Callable[[sqlite3.Connection], None]:
    """A question that never ends; tells when it has begun."""

    def ask(db: sqlite3.Connection) -> None:
        running.set()
        db.execute(ENDLESS).fetchall()

    return ask


@trio_test
async def test_a_cancelled_query_is_interrupted(tmp_path: Path) -> None:
    """It would run for ever: both readers must come back, and closing must not wait for it."""
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3", readers=2)
        for _ in range(4):
            running = threading.Event()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(store._read, endless(running))
                await trio.to_thread.run_sync(running.wait, 30)
                assert await store.entry_count() == 0  # another reader answers meanwhile
                nursery.cancel_scope.cancel()
        await store.aclose()


@trio_test
async def test_a_cancelled_wait_for_a_reader_leaves_the_reader_in_place(tmp_path: Path) -> None:
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3", readers=1)
        release = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store._read, lambda _: release.wait(30))
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as impatient:
                    impatient.start_soon(store.entry_count)
                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
            release.set()
        assert await store.entry_count() == 0
        await store.aclose()


@trio_test
async def test_a_write_that_has_begun_is_carried_through_and_one_that_waits_is_not(tmp_path: Path) -> None:
    alice, bob = person("alice"), person("bob")
    outcomes = []
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        begun, release = threading.Event(), threading.Event()

        def slow(db: sqlite3.Connection) -> str:
            begun.set()
            release.wait(30)
            db.execute("INSERT INTO setting VALUES ('slow', 'x')")
            return "written"

        async def write_slowly() -> None:
            outcomes.append(await store._write(slow))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_slowly)
            await trio.to_thread.run_sync(begun.wait, 30)
            nursery.start_soon(add, store, bob.log)
            nursery.start_soon(add, store, alice.log)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            release.set()
        assert outcomes == ["written"]
        assert await store.settings("") == {"slow": "x"}
        assert await store.entry_count() == 0
        await store.aclose()


@trio_test
async def test_closing_waits_for_writes_interrupts_reads_and_can_be_repeated(tmp_path: Path) -> None:
    alice = person("alice")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        release, running = threading.Event(), threading.Event()
        ended = []

        async def read_for_ever() -> None:
            with pytest.raises(StoreError):
                await store._read(endless(running))
            ended.append("read")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_for_ever)
            nursery.start_soon(store._write, lambda _: release.wait(30))
            await trio.to_thread.run_sync(running.wait, 30)
            nursery.start_soon(add, store, alice.log)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(store.aclose)
            await trio.testing.wait_all_tasks_blocked()
            release.set()
        await store.aclose()
        assert ended == ["read"]
        for call in (store.load, store.entry_count):
            with pytest.raises(StoreError, match="is closed"):
                await call()
        with pytest.raises(StoreError, match="is closed"):
            await add(store, alice.log)
        again = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        assert await again.entry_count() == 1
        await again.aclose()


def database_threads_end() -> bool:
    """Whether aiosqlite's threads, once told to, are gone."""
    threads = [thread for thread in threading.enumerate() if "connection_worker" in thread.name]
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


def test_a_store_that_nobody_closed_is_closed_when_the_bridge_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_bridge() as bridge:
            store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
            await add(store, person("alice").log)

    trio.run(main)
    assert database_threads_end()
    assert not (tmp_path / "store.sqlite3-wal").exists()  # closed in order


@trio_test
async def test_a_bridge_that_ends_does_not_wait_for_queries(tmp_path: Path) -> None:
    running = threading.Event()
    ended: list[str] = []

    async def ask(store: SqliteStore, question: Callable[[sqlite3.Connection], None]) -> None:
        with pytest.raises((trio.ClosedResourceError, StoreError)):
            await store._read(question)
        ended.append("query")

    async with trio.open_nursery() as nursery, open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3", readers=1)
        nursery.start_soon(ask, store, endless(running))
        await trio.to_thread.run_sync(running.wait, 30)
        nursery.start_soon(ask, store, endless(running))  # waits for the one reader
        await trio.testing.wait_all_tasks_blocked()
    assert ended == ["query", "query"]
    assert database_threads_end()


@trio_test
async def test_what_was_written_is_read_by_another_start(tmp_path: Path) -> None:
    alice = person("alice")
    alice.notes(5)
    async with open_kind("sqlite", tmp_path) as store:
        await keep(store, alice)
        await store.put_setting("x", b"y")
        before = await store.load(), await store.timeline(TimelineQuery(10))
    async with open_kind("sqlite", tmp_path) as store:
        assert (await store.load(), await store.timeline(TimelineQuery(10))) == before


@trio_test
async def test_owners_that_strays_made_up_leave_no_row_behind(tmp_path: Path) -> None:
    """Else who names another owner of one device with each stray fills the disk with them."""
    alice, path = person("alice"), tmp_path / "store.sqlite3"
    note = alice.log.note("mine")
    async with open_bridge() as bridge, aclosing(await open_sqlite(bridge, path)) as store:
        for number in range(3):
            await store.put_stray(Located(person(f"owner {number}").hash, note, ()), LATER)
        await store.put_identity(alice.identity)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT hash FROM identity").fetchall() == [(alice.hash,)]


@trio_test
async def test_no_row_stays_of_a_log_that_was_pruned_whole_nor_of_who_was_oneself(tmp_path: Path) -> None:
    alice, bob, path = person("alice"), person("bob"), tmp_path / "store.sqlite3"
    alice.notes(3)
    bob.notes(3)
    async with open_bridge() as bridge, aclosing(await open_sqlite(bridge, path)) as store:
        await own(store, alice)
        for someone in alice, bob:
            await store.append([Batch(someone.hash, someone.log.run())], LATER)
        await store.prune(bob.key, 4, LATER)
        assert await store.lift_floors() == []
        await store.drop_log(alice.key)
        await store.put_setting(OWN_IDENTITY, None)
    with closing(sqlite3.connect(path)) as db:
        for table in "log", "identity":
            assert db.execute(f"SELECT * FROM {table}").fetchall() == []


@trio_test
async def test_writers_and_readers_side_by_side(tmp_path: Path) -> None:
    """Many small appends share transactions; a reader always sees whole ones."""
    people = [person(name) for name in ("alice", "bob", "carol", "dave")]
    for someone in people:
        someone.notes(30)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, *(person(someone.name) for someone in people))

        async def write(log: Any) -> None:
            for seq in range(2, 32, 2):
                await store.append([Batch(log.identity, log.run(seq, seq + 1))], LATER, durable=seq % 3 == 0)

        async def read() -> None:
            for _ in range(40):
                for log in (await store.load()).logs:
                    (span,) = log.spans
                    assert span.high % 2 == 1
                await store.timeline(TimelineQuery(20))

        async with trio.open_nursery() as nursery:
            for someone in people:
                nursery.start_soon(write, someone.log)
            nursery.start_soon(read)
        assert len(await texts(store)) == 4 * 30
        await store.aclose()


def test_sqlite_error_codes_have_our_names() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert isinstance(sql_transactions.translated(full, Path("x")), StoreFull)
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert type(sql_transactions.translated(busy, Path("x"))) is StoreError


@trio_test
async def test_a_setting_that_stands_so_already_is_not_written(tmp_path: Path) -> None:
    """A peer's memory has hundreds of kilobytes, and each idle reconnect gives the same again."""
    path, journal = tmp_path / "store.sqlite3", tmp_path / "store.sqlite3-wal"
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await store.put_setting("memory.bob", bytes(100_000))
        before = journal.read_bytes()
        await store.put_setting("memory.bob", bytes(100_000))
        await store.put_setting("memory.carol", None)
        assert journal.read_bytes() == before
        assert await store.settings("memory.") == {"memory.bob": bytes(100_000)}
        await store.aclose()
