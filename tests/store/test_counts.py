"""What a run costs, in counts that no machine changes: statements to store it, crossings to read a page."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from builders import NOON, Person, person, ref
from hypothesis import given
from hypothesis import strategies as st
from store_kit import LATER, keep
from trio.testing import trio_test

from p2pblog.bridge import Bridge, open_bridge
from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core import entry, runs
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.timelines import sort_time
from p2pblog.core.value import replace
from p2pblog.store import OWN_IDENTITY, Follow, TimelineQuery, migrations, sql_read, sql_write
from p2pblog.store.register import BATCH_MIN
from p2pblog.store.rows import HISTORY_ROWS
from p2pblog.store.sql_base import IDS, ROWS_PER_STEP, id_record, log_of_device, read_log_state
from p2pblog.store.sql_damage import Checked
from p2pblog.store.sql_rows import KEYS_AT_ONCE, RowReader
from p2pblog.store.sql_transactions import Write, commit
from p2pblog.store.sqlite import open_sqlite
from p2pblog.store.stretch import payloads_beside, places

RUN = 1_000


@pytest.fixture(scope="module")
def writer() -> Person:
    """Somebody with two full runs of plain notices."""
    someone = person("writer")
    someone.notes(2 * RUN - 1)
    return someone


def statements_of(db: sqlite3.Connection, writer: Person, first: int, last: int) -> list[str]:
    """What one append runs."""
    run = check_run(encode_run(writer.log.run(first, last)), writer.log.entries[first - 2].id if first > 1 else None)
    ran: list[str] = []
    db.set_trace_callback(lambda statement: ran.append(" ".join(statement.split()[:3])))
    sql_write.append(db, [Batch(writer.hash, run)], LATER)
    db.set_trace_callback(None)
    return ran


def test_a_run_is_stored_with_few_statements(writer: Person) -> None:
    """3 bring 1,000 entries, 10 some 30 pages of the registers; it does not depend on what is held."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, writer.identity)
        sql_write.put_follow(db, Follow(writer.hash))
        first, second = statements_of(db, writer, 1, RUN), statements_of(db, writer, RUN + 1, 2 * RUN)
    assert first.count("INSERT INTO entry") == 1 + (RUN - HISTORY_ROWS).bit_count()
    assert first.count("INSERT OR IGNORE") <= 4
    assert len(first) <= 30
    assert len(second) <= 30
    assert 0 < first.count("INSERT INTO page") <= 12


def test_what_a_newcomer_fetches_goes_into_the_registers_once_and_in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of several logs together; then what is below, which reaches up to a signature among what is held."""
    people = [person(f"fetched {number}") for number in range(3)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        for someone in people:
            someone.notes(639)
            sql_write.put_identity(db, someone.identity)
            sql_write.put_follow(db, Follow(someone.hash))
        keys = [someone.key for someone in people]
        newest = [check_run(encode_run(someone.log.run(541, 640))) for someone in people]
        history = [check_run(encode_run(someone.log.run(1, 576))) for someone in people]
        monkeypatch.setattr(runs, "entries_of", lambda *_: pytest.fail("an entry was made for each"))
        for fetched in newest, history:
            ran: list[str] = []
            db.set_trace_callback(lambda statement, ran=ran: ran.append(" ".join(statement.split()[:3])))  # type: ignore[misc]
            batches = [Batch(someone.hash, run) for someone, run in zip(people, fetched, strict=True)]
            states = sql_write.append(db, batches, LATER)
            db.set_trace_callback(None)
            assert ran.count("INSERT INTO generation") == 3  # of ids, of the home timeline, of authors' timelines
        assert [(span.low, span.high) for state in states for span in state.spans] == [(1, 640)] * 3
        assert states == [read_log_state(db, log) for log in map(partial(log_of_device, db), keys) if log is not None]
        assert db.execute("SELECT count(*) FROM entry").fetchone() == (3 * 640,)


def test_a_run_is_handed_out_with_few_statements_and_in_columns(
    writer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entries are not made, nor are its payloads hashed after the first time: who asked for it does both."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, writer.identity)
        statements_of(db, writer, 1, RUN)
        monkeypatch.setattr(runs, "entries_of", lambda *_: pytest.fail("an entry was made for each"))
        checked = Checked()
        sql_read.run(db, writer.key, 1, 960, RUN_BYTES_MAX, checked)
        monkeypatch.setattr(entry, "payload_hashes", lambda *_: pytest.fail("payloads were hashed"))
        ran: list[str] = []
        db.set_trace_callback(ran.append)
        found = sql_read.run(db, writer.key, 1, 960, RUN_BYTES_MAX, checked)
        db.set_trace_callback(None)
        told = encode_run(found, texts=True)
    monkeypatch.undo()
    assert len(ran) <= 5
    assert found == writer.log.run(1, 960)
    assert told == encode_run(writer.log.run(1, 960), texts=True)


@given(st.integers(1, 40), st.data())
def test_parts_of_a_run_are_those_of_its_entries(length: int, data: st.DataObject) -> None:
    someone = person("in parts")
    someone.notes(length - 1)
    run = check_run(encode_run(someone.log.run(1, length)))
    start = data.draw(st.integers(0, length))
    stop = data.draw(st.integers(start, length))
    part = run.part(start, stop)
    assert list(part) == list(run)[start:stop]
    fresh = [part] if part else []
    beside = [entry for at, entry in enumerate(run) if not start <= at < stop]
    assert payloads_beside(run, fresh) == [(entry.seq, entry.payload) for entry in beside]
    assert payloads_beside(tuple(run), fresh) == payloads_beside(run, fresh)


def test_an_own_notice_is_stored_with_few_statements(writer: Person) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, writer.identity)
        sql_write.put_follow(db, Follow(writer.hash))
        statements_of(db, writer, 1, RUN)
        assert len(statements_of(db, writer, RUN + 1, RUN + 1)) <= 40  # the first of its registers' hot generations
        assert len(statements_of(db, writer, RUN + 2, RUN + 2)) <= 26


def test_a_notice_whose_edits_go_is_settled_once(writer: Person) -> None:
    """It took as many looks as there were edits, each longer than the one before: seconds for ten thousand."""
    bob = person("bob")
    notice = bob.log.note("#bees")
    laptop = bob.add_device("laptop")
    for number in range(ROWS_PER_STEP + 100):
        laptop.edit(notice, f"#wax {number}")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, bob.identity)
        for log in bob.log, laptop:
            sql_write.append(db, [Batch(bob.hash, log.run())], LATER)
        assert [row.id for row in sql_read.timeline(db, TimelineQuery(9, None, (bob.hash,), "wax"))] == [notice.id]
        settled: list[str] = []
        db.set_trace_callback(lambda statement: settled.append(statement) if "DELETE FROM tag" in statement else None)
        sql_write.put_identity(db, bob.retire(laptop.key, 1, laptop.entries[0].id))
        assert 1 <= len(settled) <= 4  # each of two steps leaves, and comes back hidden
        settled.clear()
        sql_write.drop_log(db, laptop.key)
        db.set_trace_callback(None)
        assert len(settled) == 1
        assert [row.id for row in sql_read.timeline(db, TimelineQuery(9, None, (bob.hash,), "bees"))] == [notice.id]


def test_a_start_reads_all_logs_with_as_few_statements_as_one() -> None:
    counts = []
    for authors in 1, 9:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            migrations.migrate(db)
            for number in range(authors):
                someone = person(f"author {number}")
                someone.notes(127)
                lower = someone.log.run(1, 64)
                sql_write.put_identity(db, someone.identity)
                sql_write.put_follow(db, Follow(someone.hash))
                lower = (*lower[:5], lower[5].without_payload(), *lower[6:])
                sql_write.append(db, [Batch(someone.hash, run) for run in (lower, someone.log.run(70, 128))], LATER)
            ran: list[str] = []
            db.set_trace_callback(ran.append)
            states = sql_read.load(db).logs
            db.set_trace_callback(None)
            counts.append(len(ran))
            one_by_one = [log_of_device(db, state.device) for state in states]
            assert list(states) == [read_log_state(db, log) for log in one_by_one if log is not None]
            assert len(states) == authors
            assert {(len(state.spans), state.missing) for state in states} == {(2, (6,))}
    assert counts[0] == counts[1] <= 12


def test_a_page_is_read_with_few_statements() -> None:
    """Its places; its rows with their counts; the boosted and quoted ones; the names. However many notices it shows."""
    authors = [person(f"author {number}") for number in range(12)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        told: list[Entry] = []
        for number, someone in enumerate(authors):
            someone.log.profile(f"Author {number}")
            told += someone.notes(5)
            someone.log.note("#tagged and an answer", reply_to=told[number])
            someone.log.boost(told[0])
            sql_write.put_identity(db, someone.identity)
            sql_write.put_follow(db, Follow(someone.hash))
            sql_write.append(db, [Batch(someone.hash, someone.log.run())], LATER)
        ran: list[str] = []
        db.set_trace_callback(ran.append)
        assert len(sql_read.timeline(db, TimelineQuery(50))) == 50
    assert len(ran) <= 8, ran


def test_what_goes_in_parts_leaves_all_others_their_common_transactions() -> None:
    """Each transaction of what is durable waits for the disk."""
    plain = [Write(lambda db: "done", True) for _ in range(6)]
    in_parts = Write(lambda db: "apart", False, in_parts=True)
    ran: list[str] = []
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.set_trace_callback(ran.append)
        commit(db, [*plain[:3], in_parts, *plain[3:]], Path("store"))
    assert ran.count("BEGIN IMMEDIATE") == ran.count("COMMIT") == 2
    assert [write.outcome for write in (*plain, in_parts)] == [*["done"] * 6, "apart"]


def test_a_page_looks_up_no_more_notices_than_it_shows(writer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []
    ask = RowReader._ask
    monkeypatch.setattr(RowReader, "_ask", lambda reader, keys: (looked_up.extend(keys), ask(reader, keys))[1])
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, writer.identity)
        sql_write.put_follow(db, Follow(writer.hash))
        sql_write.append(db, [Batch(writer.hash, writer.log.run(1, 200))], LATER)
        for limit in 1, 20, KEYS_AT_ONCE:
            looked_up.clear()
            assert len(sql_read.timeline(db, TimelineQuery(limit))) == limit
            assert len(looked_up) == limit


def test_likes_of_nothing_of_ours_cost_whoever_reads_nothing() -> None:
    """They name us as the author of what nobody has written; however many there are."""
    counts = []
    for lies in 3, 300:
        alice, bob = person("alice"), person("bob")
        note = alice.log.note("mine")
        for number in range(lies):
            bob.log.like(replace(ref(note), id=EntryId(number.to_bytes(32, "big"))))
        answers = [bob.log.note("an answer", reply_to=note), bob.log.like(note)]
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            migrations.migrate(db)
            sql_write.put_setting(db, OWN_IDENTITY, alice.hash)
            for someone in (alice, bob):
                sql_write.put_identity(db, someone.identity)
                sql_write.put_follow(db, Follow(someone.hash))
                sql_write.append(db, [Batch(someone.hash, someone.log.run())], LATER)
            ran: list[str] = []
            db.set_trace_callback(ran.append)
            assert {each.id for each in sql_read.news(db, 20)} == {each.id for each in answers}
            read = len(ran)
            assert sql_write.mark_news_read(db) == 2
            counts.append((read, len(ran) - read))
    assert counts[0] == counts[1]
    assert counts[0][1] <= 8


def test_a_whole_id_is_found_in_few_of_many_generations(writer: Person) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, writer.identity)
        sql_write.put_follow(db, Follow(writer.hash))
        for first in range(1, RUN, BATCH_MIN):
            statements_of(db, writer, first, min(first + BATCH_MIN - 1, RUN))
        others = [id_record(EntryId(bytes([255, 255, at]).ljust(32)), at) for at in range(BATCH_MIN)]
        for _ in range(20):
            IDS._insert_pages(db, IDS._begin(db, len(others)), others)
        assert len(IDS.generations(db)) > 20
        ran: list[str] = []
        db.set_trace_callback(ran.append)
        for known in writer.log.entries[:RUN:100]:
            ran.clear()
            assert sql_read.find_ids(db, known.id.hex()) == [known.id]
            assert len(ran) <= 4, ran


@trio_test
async def test_a_page_crosses_the_bridge_once(writer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossings = 0
    run = Bridge.run

    async def counted(self: Bridge, *args: object) -> object:
        nonlocal crossings
        crossings += 1
        return await run(self, *args)  # type: ignore[arg-type]

    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, tmp_path / "store.sqlite3")
        await keep(store, writer)
        monkeypatch.setattr(Bridge, "run", counted)
        page = await store.timeline(TimelineQuery(50))
        assert (len(page), crossings) == (50, 1)
        await store.timeline(TimelineQuery(50, page[-1].id, (writer.hash,)))
        await store.thread(page[0].id)
        assert crossings == 3
        monkeypatch.undo()
        await store.aclose()


MOMENTS = st.integers(NOON - 5, NOON + 5)


@given(st.lists(MOMENTS, min_size=1, max_size=9), MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_places_of_a_stretch_are_those_of_its_entries(
    times: list[int], now: int, before: int | None, after: int | None
) -> None:
    found, below = [], before
    for time_ms in times:
        below = sort_time(time_ms, now, below, after)
        found.append(below)
    assert places(times, now, before, after) == found
