"""A database in which something is missing or wrong: each call ends and says so, and the rest goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import trio
from builders import NOON, Person, person
from damage_kit import change, spoil_leaf
from store_kit import LATER, add, keep, open_kind, own, texts
from trio.testing import trio_test, wait_all_tasks_blocked

from p2pblog.bridge import open_bridge
from p2pblog.core.entry import Entry
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note
from p2pblog.core.search import parse
from p2pblog.core.value import replace
from p2pblog.errors import StoreDamaged, StoreError
from p2pblog.store import SearchQuery, TimelineQuery, migrations, register, sql_dms, sql_resting, sql_retracted
from p2pblog.store.sql_base import HOME, place_record
from p2pblog.store.sql_transactions import apart
from p2pblog.store.sqlite import open_sqlite

pytestmark = pytest.mark.damages


async def make(path: Path, *statements: str, notices: int = 10) -> Person:
    """A database with so many notices of bob's, and then changed by these statements as no store would."""
    bob = person("bob")
    bob.notes(notices)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, bob)
        await store.aclose()
    change(path, *statements)
    return bob


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
async def test_a_bad_sector_is_damage(tmp_path: Path) -> None:
    """Else what meets it waits first in line for ever, and all else behind it."""

    def meet(db: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error

    path = tmp_path / "store.sqlite3"
    bob = await make(path)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for call in store._read, store._write:
            with pytest.raises(StoreDamaged, match="disk I/O error"):
                await call(meet)
        assert len(await texts(store, bob)) == 10
        await store.aclose()


def test_a_change_of_which_sqlite_undoes_all_does_not_go_on() -> None:
    """After a read that failed it ends the whole transaction: what came before in it is gone, too."""

    def meet(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")
        raise AssertionError("a row is lost")

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        assert apart(db, meet, db) is None  # by itself it may
        db.execute("BEGIN")
        with pytest.raises(AssertionError):
            apart(db, meet, db)


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


@trio_test
async def test_words_of_what_stands_beside_a_damaged_leaf_come_into_the_index(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "UPDATE word_form SET form = 'older'", notices=100)  # so all is brought in anew
    spoil_leaf(path, bob.log.entries[50].id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        bob.log.note("the last note")
        await add(store, bob.log, len(bob.log.entries))
        found = await store.search(SearchQuery(999, None, parse("note", NOON).wanted))
        numbers = {row.id for row in found.rows}
        assert 50 < len(numbers) < 101
        assert bob.log.entries[-1].id in numbers
        assert found.unread == 0
        await store.aclose()


def test_a_damaged_page_of_a_register_keeps_no_other_from_being_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "GENERATIONS_MAX", 30)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)

        def come(batch: int) -> None:
            db.execute("BEGIN")
            HOME.add(db, [place_record(batch, at) for at in range(register.BATCH_MIN)])
            db.execute("COMMIT")

        for batch in range(24):
            come(batch)
        db.execute("UPDATE page SET records = substr(records, 2) WHERE no = 1")
        for batch in range(24, 48):  # nor is anything refused, while there are more than enough
            come(batch)
        while sql_resting.get_on(db, 25):
            pass
        generations = HOME.generations(db)
        assert [(each.no, each.records) for each in generations if each.no == each.target] == [(1, register.BATCH_MIN)]
        assert len(generations) == 25  # 24 became one
        assert sum(each.records for each in generations) == 48 * register.BATCH_MIN
        first = next(HOME.below(db, place_record(48, 0)))
        assert first == place_record(47, register.BATCH_MIN - 1)


def delete_all(someone: Person, notes: Sequence[Entry]) -> None:
    for at in range(0, len(notes), 9):
        someone.log.delete(notes[at], notes[at + 1 : at + 9])


@trio_test
async def test_bytes_of_what_was_deleted_go_beside_what_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    notes = bob.notes(150)
    delete_all(bob, notes)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, bob)
        await store.aclose()
    change(path, f"DELETE FROM entry WHERE id = x'{notes[3].id.hex()}'")
    spoil_leaf(path, notes[70].id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        dropped = await store.drop_retracted(LATER + 1)
        assert 100 < dropped < 149
        assert await store.drop_retracted(LATER + 1) == 0
        assert [entry.payload for entry in await store.run(bob.key, 145, 146, 10_000)][:2] == [None] * 2
        await store.aclose()


@trio_test
async def test_who_deletes_much_keeps_no_other_write_waiting(tmp_path: Path) -> None:
    bob, carol = person("bob"), person("carol")
    notes = bob.notes(9 * sql_retracted.STEP)
    delete_all(bob, notes)
    carol.notes(1)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, bob)
        done: list[str] = []

        async def drop() -> None:
            assert await store.drop_retracted(LATER + 1) == len(notes)
            done.append("dropped")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drop)
            await wait_all_tasks_blocked()
            await store.put_identity(carol.identity)
            done.append("stored")
        assert done == ["stored", "dropped"]
        await store.aclose()


@trio_test
async def test_a_name_beside_one_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob, carol = person("bob"), person("carol")
    told = bob.log.profile("Bob")
    bob.notes(100)
    carol.log.profile("Carol")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await keep(store, bob, carol)
        await store.aclose()
    spoil_leaf(path, told.id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        with pytest.raises(StoreDamaged):
            await store.profile(bob.hash)
        assert await store.names([bob.hash, carol.hash]) == {bob.hash: None, carol.hash: "Carol"}
        await store.aclose()


@trio_test
@pytest.mark.parametrize("harm", ["a lost row", "a leaf"])
async def test_a_timeline_shows_what_is_left(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, *["DELETE FROM entry WHERE key & 0xffff = 95"] * (harm == "a lost row"), notices=100)
    if harm == "a leaf":
        spoil_leaf(path, bob.log.entries[94].id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        for query in TimelineQuery(20), TimelineQuery(20, None, (bob.hash,)):
            rows = await store.timeline(query)
            assert len(rows) == 20
            assert len(await store.timeline(replace(query, before=rows[-1].id))) == 20
        assert len(await store.window(bob.hash, 0, LATER, 50)) == 50
        await store.aclose()


@trio_test
async def test_a_damaged_leaf_keeps_neither_room_from_being_made_nor_polls_from_being_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob, carol = person("bob"), person("carol")
    lost = bob.log.poll("yes", "no", closes_ms=NOON + 1_000_000)
    bob.notes(60)
    poll = bob.log.poll("tea", "coffee", closes_ms=NOON + 1_000_000)
    carol.notes(3)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await own(store, bob)
        await keep(store, bob, carol, now_ms=NOON + 500_000)
        await store.aclose()
    spoil_leaf(path, lost.id)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        assert [bottom.device for bottom in await store.bottoms()] == [carol.key]
        assert await store.end_polls(LATER) == 1
        assert await store.end_polls(LATER) == 0
        assert [each.notice for each in await store.news(9)] == [poll.id]
        await store.aclose()


@trio_test
async def test_polls_that_can_not_be_told_are_not_counted_as_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    bob.log.poll("tea", "coffee", closes_ms=NOON + 1_000_000)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        await own(store, bob)
        await keep(store, bob, now_ms=NOON + 500_000)
        await store.aclose()
    change(path, "CREATE TRIGGER lost BEFORE DELETE ON poll_due BEGIN SELECT RAISE(ABORT, 'lost'); END")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        assert await store.end_polls(LATER) == 0
        assert await store.news(9) == []
        await store.aclose()


@trio_test
async def test_a_notice_whose_row_is_lost_takes_no_other_notices_file_with_it(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    picture = Attachment(table_of(b"a picture").file, "bees.jpg", "image/jpeg", 9)
    lost, kept = (bob.log.write(Note(text, media=(picture,))) for text in ("one", "two"))
    async with open_kind("sqlite", tmp_path) as store:
        await keep(store, bob)
    change(path, f"DELETE FROM entry WHERE id = x'{lost.id.hex()}'")
    async with open_kind("sqlite", tmp_path) as store:
        assert [each.notice for each in await store.references(picture.file)] == [kept.id]


@trio_test
async def test_a_page_of_direct_messages_is_one_statement(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    for number in range(40):
        bob.log.dm(f"{number}", bob, by=bob)
    async with open_kind("sqlite", tmp_path) as store:
        await keep(store, bob)
    asked = list[str]()
    with closing(sqlite3.connect(path)) as db:
        db.set_trace_callback(asked.append)
        assert len(sql_dms.dms(db, 30)) == 30
    assert len(asked) == 1
