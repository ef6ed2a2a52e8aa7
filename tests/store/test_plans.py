"""Each query walks its index: the planner is asked about every statement that a use case really runs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from builders import Person, person
from store_kit import LATER

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.logs import Batch
from p2pblog.store import OWN_IDENTITY, Follow, TimelineQuery, migrations, sql_read, sql_write
from p2pblog.store.meaning import Kind

SMALL = {"follow", "setting", "peer", "generation"}
"""Tables that are read whole on purpose; they are bounded."""


@pytest.fixture
def people() -> list[Person]:
    people = [person("alice"), person("bob")]
    alice, bob = people
    alice.log.profile("Alice")
    bob.log.note("#bees")
    notes = alice.notes(70)
    bob.log.note("reply", reply_to=notes[0])
    bob.log.boost(notes[1])
    bob.log.like(notes[1])
    bob.log.dm("psst", alice, by=bob)
    return people


@pytest.fixture
def db(people: list[Person]) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.migrate(connection)
        for someone in people:
            sql_write.put_identity(connection, someone.identity)
            sql_write.put_follow(connection, Follow(someone.hash))
            sql_write.append(connection, [Batch(someone.hash, someone.log.run())], LATER)
        yield connection


def plans_of(db: sqlite3.Connection, use_case: Callable[[], Any]) -> dict[str, list[str]]:
    """Every statement that it runs, with its plan."""
    ran: list[str] = []
    db.set_trace_callback(ran.append)
    use_case()
    db.set_trace_callback(None)
    plans = {}
    for statement in dict.fromkeys(ran):
        if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            plans[statement] = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
    assert plans
    return plans


def complaints(plans: dict[str, list[str]]) -> list[str]:
    """The steps that go through a whole table, or sort, or would build an index each time."""
    found = []
    for statement, steps in plans.items():
        scanned = {words[1] for step in steps if (words := re.match(r"SCAN (\w+)", step))}
        if scanned and scanned <= SMALL:
            continue
        slow = ("SCAN", "TEMP B-TREE", "AUTOMATIC")
        found += [f"{step}: {statement}" for step in steps if any(word in step for word in slow)]
    harmless = re.compile(r"scan (\d+ )?constant|scan \(?subq", re.IGNORECASE)
    return [complaint for complaint in found if not harmless.match(complaint)]


def test_pages_of_timelines(db: sqlite3.Connection, people: list[Person]) -> None:
    deep = people[0].log.entries[40].id
    for query in (
        TimelineQuery(20),
        TimelineQuery(20, deep),
        TimelineQuery(20, None, (people[0].hash,)),
        TimelineQuery(20, deep, (people[0].hash, people[1].hash)),
    ):
        plans = plans_of(db, lambda: sql_read.timeline(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        walks = [steps for statement, steps in plans.items() if "FROM page" in statement and "first <" in statement]
        assert walks
        assert all(steps[-1] == "SEARCH page USING INDEX page_by_first (generation=? AND first<?)" for steps in walks)


def test_pages_of_tags(db: sqlite3.Connection, people: list[Person]) -> None:
    deep = people[0].log.entries[40].id
    whose = (people[0].hash, people[1].hash)
    for query in (
        TimelineQuery(20, tag="bees"),
        TimelineQuery(20, deep, tag="bees"),
        TimelineQuery(20, deep, whose, "bees"),
    ):
        plans = plans_of(db, lambda: sql_read.timeline(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        (walk,) = (steps for statement, steps in plans.items() if "FROM tag" in statement)
        assert walk == ["SEARCH tag USING PRIMARY KEY (tag=? AND (sort,key)<(?,?))"]


def test_threads_look_ups_names_and_runs(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    note = alice.log.entries[2]
    sql_write.put_bookmark(db, note.id, LATER)
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_read.thread(db, note.id),
        lambda: sql_read.rows(db, [note.id, bob.log.entries[2].id]),
        lambda: sql_read.bookmarks(db, 20),
        lambda: sql_read.bookmarks(db, 20, note.id),
        lambda: sql_read.reactions(db, bob.hash, note.id, Kind.LIKE),
        lambda: sql_read.dms(db, 20),
        lambda: sql_read.dms(db, 20, note.id),
        lambda: sql_read.find_ids(db, note.id.hex()[:6]),
        lambda: sql_read.find_ids(db, note.id.hex()),
        lambda: sql_read.locate(db, note.id),
        lambda: sql_read.profile(db, alice.hash),
        lambda: sql_read.follow_rows(db),
        lambda: sql_read.run(db, alice.key, 5, 20, RUN_BYTES_MAX),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_writing(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    doomed = alice.log.entries[9]
    alice.log.note("new #bees")
    alice.log.delete(doomed)
    dm = alice.log.dm("psst", bob, by=alice)
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run(70))], LATER),
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER),
        lambda: sql_write.drop_retracted(db, LATER + 1),
        lambda: sql_write.put_payloads(db, alice.key, [(10, doomed.payload or b"")]),
        lambda: sql_write.set_dms_aside(db, [dm.id]),
        lambda: sql_write.put_setting(db, OWN_IDENTITY, bob.hash),
        lambda: sql_write.drop_follow(db, alice.hash),
        lambda: sql_write.put_identity(db, alice.retire(alice.key, 50, alice.log.entries[49].id)),
        lambda: sql_write.drop_log(db, bob.key),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_a_scan_would_be_seen(db: sqlite3.Connection) -> None:
    def careless() -> None:
        db.execute("SELECT id FROM entry WHERE time > 5 ORDER BY sort").fetchall()

    assert len(complaints(plans_of(db, careless))) == 2
