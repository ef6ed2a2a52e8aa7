"""Each query walks its index: the planner is asked about every statement that a use case really runs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from builders import NOON, Person, person
from store_kit import LATER

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.address import spell
from p2pblog.core.logs import Batch, Located
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.core.search import parse
from p2pblog.store import (
    OWN_IDENTITY,
    Block,
    Follow,
    SearchQuery,
    TimelineQuery,
    migrations,
    sql_groups,
    sql_indexer,
    sql_lists,
    sql_read,
    sql_room,
    sql_search,
    sql_strangers,
    sql_write,
)
from p2pblog.store.meaning import Kind

PICTURE = Attachment(table_of(b"a picture").file, "bees.jpg", "image/jpeg", 9)
SMALL = {
    "list", "l", "follow", "setting", "peer", "generation", "mute", "block", "unread", "word_form", "admitted",
    "joined",
}  # fmt: skip
"""Tables that are read whole on purpose; they are bounded, or small unless the node has no rest."""
MATCHED = re.compile(r"SCAN word VIRTUAL TABLE INDEX \d+:M.*")
"""FTS5 walks what matches (M); without a MATCH it refuses."""


@pytest.fixture
def people() -> list[Person]:
    people = [person("alice"), person("bob")]
    alice, bob = people
    alice.log.profile("Alice")
    bob.log.note("#bees !birds")
    bob.log.write(Note("bees", media=(PICTURE,)))
    notes = alice.notes(70)
    bob.log.note("reply", reply_to=notes[0])
    bob.log.boost(notes[1])
    bob.log.like(notes[1])
    alice.log.pin(notes[1])
    bob.log.vote(alice.log.poll("yes", "no"), 2)
    bob.log.dm("psst", alice, by=bob)
    bob.log.vouch(person("eve").hash)
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
        steps = [step for step in steps if not MATCHED.fullmatch(step)]
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
        TimelineQuery(20, deep, whose, group="birds"),
    ):
        plans = plans_of(db, lambda: sql_read.timeline(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        (walk,) = (steps for statement, steps in plans.items() if "FROM tag" in statement)
        assert walk == ["SEARCH tag USING PRIMARY KEY (tag=? AND (sort,key)<(?,?))"]


def test_groups(db: sqlite3.Connection) -> None:
    query = TimelineQuery(20, tag="bees", group="birds")
    plans = plans_of(db, lambda: sql_read.timeline(db, query))
    assert not complaints(plans)
    walk, look_up = (steps for statement, steps in plans.items() if "FROM tag" in statement)
    assert walk == ["SEARCH tag USING PRIMARY KEY (tag=? AND (sort,key)<(?,?))"]
    assert look_up == ["SEARCH tag USING PRIMARY KEY (tag=? AND sort=? AND key=?)"]
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_groups.put_group(db, "birds", LATER),
        lambda: sql_groups.groups(db),
        lambda: sql_groups.group(db, "birds"),
        lambda: sql_groups.drop_group(db, "birds"),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_searches(db: sqlite3.Connection, people: list[Person]) -> None:
    sql_indexer.read_some(db, 1_000)
    deep = people[0].log.entries[40].id
    whose = (people[0].hash, people[1].hash)
    for text in ("note", '"note 3*" -x', "#bees", "note since:2020-01-01 until:2030-01-01", "since:2020-01-01"):
        query = parse(text, LATER)
        authors, but = (whose, whose[:1]) if query.wanted else (None, ())
        asked = SearchQuery(20, deep, query.wanted, query.unwanted, authors, but, query.since_ms, query.until_ms)
        plans = plans_of(db, lambda: sql_search.search(db, asked))  # noqa: B023 - asked at once
        assert not complaints(plans)
        (walk,) = (steps for statement, steps in plans.items() if "BETWEEN" in statement and "found" in statement)
        assert walk[-1].startswith("SEARCH")
        assert bool(query.wanted) == any(MATCHED.fullmatch(step) for step in walk)
    with pytest.raises(sqlite3.OperationalError, match="does not support scanning"):
        db.execute("SELECT rowid FROM word").fetchall()


def test_threads_look_ups_names_and_runs(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    note = alice.log.entries[2]
    sql_write.put_bookmark(db, note.id, LATER)
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_read.thread(db, note.id),
        lambda: sql_read.rows(db, [note.id, bob.log.entries[3].id]),
        lambda: sql_read.versions(db, note.id),
        lambda: sql_read.news(db, 20),
        lambda: sql_read.news(db, 20, unread=True),
        lambda: sql_read.bookmarks(db, 20),
        lambda: sql_read.bookmarks(db, 20, note.id),
        lambda: sql_read.reactions(db, bob.hash, note.id, Kind.LIKE),
        lambda: sql_read.reactions(db, alice.hash, note.id, Kind.PIN),
        lambda: sql_read.pins(db, alice.hash),
        lambda: sql_read.dms(db, 20),
        lambda: sql_read.dms(db, 20, note.id),
        lambda: sql_read.find_ids(db, note.id.hex()[:6]),
        lambda: sql_read.find_ids(db, note.id.hex()),
        lambda: sql_read.find_files(db, PICTURE.file.hex()[:6]),
        lambda: sql_read.references(db, PICTURE.file),
        lambda: sql_read.locate(db, note.id),
        lambda: sql_read.entry_at(db, alice.key, 5),
        lambda: sql_read.profile(db, alice.hash),
        lambda: sql_read.whole_profile(db, alice.hash),
        lambda: sql_read.window(db, bob.hash, NOON, LATER, 500),
        lambda: sql_read.boosts_at_home(db, note.id),
        lambda: sql_read.follow_rows(db),
        lambda: sql_read.run(db, alice.key, 5, 20, RUN_BYTES_MAX),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_votes_on_a_poll(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    plans = plans_of(db, lambda: sql_read.rows(db, [alice.log.entries[-1].id]))
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "FROM vote" in statement)
    assert walk == ["SEARCH v USING PRIMARY KEY (target=?)", "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"]


def test_pins_are_walked_newest_first(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, _ = people
    assert sql_read.pins(db, alice.hash) == [alice.log.entries[3].id]
    plans = plans_of(db, lambda: sql_read.pins(db, alice.hash))
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "JOIN pin" in statement)
    assert walk[1] == "SEARCH p USING PRIMARY KEY (author=?)"


def test_strangers(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, alice.hash)
    note, eve = alice.log.entries[2], person("eve")
    said = [eve.log.note("hi", reply_to=note), eve.log.note(f"hello @{spell(alice.hash)}")]
    for entry in (*said, eve.log.like(note)):
        sql_write.put_stray(db, Located(eve.hash, entry, ()), LATER)
    sql_write.drop_follow(db, bob.hash)
    assert len(sql_read.timeline(db, TimelineQuery(9, strangers=True))) == 3
    plans = plans_of(db, lambda: sql_read.timeline(db, TimelineQuery(9, said[1].id, strangers=True)))
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "FROM news" in statement)
    assert walk == ["SEARCH news USING INDEX news_of_strangers ((sort,key)<(?,?))"]
    plans = plans_of(db, lambda: sql_read.news(db, 9, unread=True))
    (walk,) = (steps for statement, steps in plans.items() if "FROM news" in statement)
    assert walk == ["SEARCH news USING INDEX news_unread (no<?)"]
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_read.thread(db, note.id),
        lambda: sql_read.thread(db, said[0].id),
        lambda: sql_strangers.put_admitted(db, eve.hash, LATER),
        lambda: sql_strangers.admitted(db),
        lambda: sql_strangers.vouches(db, bob.hash),
        lambda: sql_strangers.vouches(db, bob.hash, eve.hash),
        lambda: sql_strangers.vouchers(db, eve.hash),
        lambda: sql_strangers.drop_admitted(db, eve.hash),
        lambda: sql_write.put_follow(db, Follow(bob.hash)),
        lambda: sql_write.mark_news_read(db),
        lambda: sql_write.drop_log(db, bob.key),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_lists(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_lists.put_list(db, "tea"),
        lambda: sql_lists.put_members(db, "tea", [alice.hash, bob.hash]),
        lambda: sql_lists.members(db, "tea"),
        lambda: sql_lists.lists(db),
        lambda: sql_read.timeline(db, TimelineQuery(9, None, tuple(sql_lists.members(db, "tea")))),
        lambda: sql_lists.drop_members(db, "tea", [alice.hash]),
        lambda: sql_write.drop_follow(db, bob.hash),
        lambda: sql_lists.drop_list(db, "tea"),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_writing(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    doomed = alice.log.entries[9]
    note = alice.log.note("new #bees")
    alice.log.note(f"hello @{spell(bob.hash)}")
    alice.log.edit(note, "newer #wax")
    alice.log.delete(doomed)
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    alice.log.vote(alice.log.entries[73], 1)
    alice.log.pin(alice.log.entries[5])
    sql_indexer.read_some(db, 50)
    dm = alice.log.dm("psst", bob, by=alice)
    use_cases: list[Callable[[], Any]] = [
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run(70))], LATER),
        lambda: sql_indexer.read_some(db, 10),
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER),
        lambda: sql_write.drop_retracted(db, LATER + 1),
        lambda: sql_write.put_payloads(db, alice.key, [(10, doomed.payload or b"")]),
        lambda: sql_write.put_setting(db, OWN_IDENTITY, bob.hash),  # the same again: what is new looks at everything
        lambda: sql_write.mark_news_read(db),
        lambda: sql_write.set_dms_aside(db, [dm.id]),
        lambda: sql_write.drop_follow(db, alice.hash),
        lambda: sql_write.put_identity(db, alice.retire(alice.key, 50, alice.log.entries[49].id)),
        lambda: sql_write.put_mute(db, Mute(MuteKind.TAG, b"bees"), LATER),
        lambda: sql_write.drop_mute(db, MuteKind.TAG, b"bees"),
        lambda: sql_write.drop_log(db, bob.key),
        lambda: sql_write.put_block(db, Block(alice.hash, LATER)),
        lambda: sql_write.drop_block(db, alice.hash),
    ]
    for use_case in use_cases:
        assert not complaints(plans_of(db, use_case))


def test_making_room(db: sqlite3.Connection, people: list[Person]) -> None:
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    sql_write.put_bookmark(db, alice.log.entries[3].id, LATER)
    bob.log.edit(bob.log.entries[1], "#wax")
    bob.log.delete(bob.log.entries[2])
    sql_write.append(db, [Batch(bob.hash, bob.log.run())], LATER)
    sql_indexer.read_some(db, 1_000)
    prefix = alice.log.entries[2].id.hex()[:8]
    for use_case in (
        lambda: sql_room.prune(db, alice.key, 64, LATER),
        lambda: sql_room.prune(db, bob.key, bob.log.entries[-1].seq - 1, LATER),
        lambda: sql_room.prune_strays(db, 0, 64),
        lambda: sql_room.bottoms(db),
        lambda: sql_room.usage(db),
        lambda: sql_room.was_pruned(db, prefix),
        lambda: sql_room.thread(db, bob.log.entries[3].id),
        lambda: sql_room.lift_floors(db, alice.hash),
        lambda: sql_room.lift_floors(db, None),
    ):
        assert not complaints(plans_of(db, use_case))


def test_a_scan_would_be_seen(db: sqlite3.Connection) -> None:
    def careless() -> None:
        db.execute("SELECT id FROM entry WHERE time > 5 ORDER BY sort").fetchall()

    assert len(complaints(plans_of(db, careless))) == 2
