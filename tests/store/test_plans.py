"""Each query walks its index: the planner is asked about every statement that a use case really runs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from builders import NOON, Person, person
from plan_scenes import Recorder, connect, fill, statements_in_source, unsigned
from store_kit import LATER

from p2pblog.config import KNOWN_PEERS_MAX, RUN_BYTES_MAX
from p2pblog.core.address import spell
from p2pblog.core.forks import prove_fork
from p2pblog.core.logs import Batch, Located
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note, Profile
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.core.search import parse
from p2pblog.store import (
    OWN_IDENTITY,
    Block,
    Follow,
    KnownPeer,
    SearchQuery,
    TimelineQuery,
    register,
    sql_base,
    sql_damage,
    sql_dms,
    sql_groups,
    sql_indexer,
    sql_lists,
    sql_news,
    sql_polls,
    sql_read,
    sql_retracted,
    sql_room,
    sql_search,
    sql_strangers,
    sql_words,
    sql_write,
)
from p2pblog.store.meaning import Kind

PICTURE = Attachment(table_of(b"a picture").file, "bees.jpg", "image/jpeg", 9)
SMALL = {
    "list", "l", "member", "follow", "setting", "peer", "generation", "mute", "block", "unread", "word_form",
    "admitted", "joined",
}  # fmt: skip
"""Tables that are read whole on purpose; they are bounded, or small unless the node has no rest."""
MATCHED = re.compile(r"SCAN word VIRTUAL TABLE INDEX \d+:M.*")
"""FTS5 walks what matches (M); without a MATCH it refuses."""

DOWN = re.compile(r"SEARCH (page|o) USING (COVERING )?INDEX page_by_first \(generation=\? AND first<\?\)")
"""A register's pages are walked from where something stands, not from the top of its generation."""


EXCUSED = {
    "SELECT wire, hash FROM identity WHERE wire IS NOT NULL": "a start reads what the node keeps in memory",
    "SELECT s.log, s.low, s.high, low.id": "the same: each log once, in the order of its key",
    "SELECT key FROM gap INDEXED BY gap_wanted WHERE wanted ORDER BY key": "the same",
    "SELECT l.no, l.device, i.hash, l.fork": "the same",
    sql_news.NEWS_OF.strip().split("?")[0]: "once in a database's life, when it becomes somebody's",
    "SELECT key FROM stray": "the first ones of its index, as many as are too many",
    "SELECT count(*) FROM stray": "at most STRAYS_MAX numbers",
    "SELECT count(*) FROM bookmark": "at most BOOKMARKS_MAX",
    "SELECT coalesce(sum(high - low + 1), 0) FROM span": "a row for each log that is held without a hole",
    "SELECT k, v FROM 'main'.'word_config'": "FTS5 reads its own settings",
    "INSERT INTO unread (low, high) SELECT": "once for each new way to find words",
}
"""How statements begin that go through a whole table or sort one on purpose, and why they may."""


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


@pytest.fixture(scope="module")
def full() -> Iterator[Recorder]:
    with closing(connect()) as connection:
        fill(connection)
        yield connection


@pytest.fixture(params=["as nodes have it", "with statistics"])
def db(full: Recorder, people: list[Person], request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A copy of 100,000 notices, and a few more people. Nodes keep no statistics for the planner, so it decides without
    any; with them it sees how much is there, and must not think of anything worse."""
    with closing(connect()) as connection:
        full.backup(connection)
        for someone in people:
            sql_write.put_identity(connection, someone.identity)
            sql_write.put_follow(connection, Follow(someone.hash))
            sql_write.append(connection, [Batch(someone.hash, someone.log.run())], LATER)
        if request.param == "with statistics":
            connection.execute("ANALYZE")
        connection.asked.clear()
        yield connection


VALUE = re.compile(r"X?'[^']*'|[0-9]+", re.IGNORECASE)
"""What stands for a parameter in a statement that was run: the plan does not depend on it."""


def plans_of(db: sqlite3.Connection, use_case: Callable[[], Any]) -> dict[str, list[str]]:
    """Every statement that it runs, with its plan."""
    ran: list[str] = []
    db.set_trace_callback(ran.append)
    use_case()
    db.set_trace_callback(None)
    plans = {}
    for statement in {VALUE.sub("?", statement): statement for statement in ran}.values():
        if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            plans[statement] = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
    assert plans
    return plans


def complaints(plans: dict[str, list[str]]) -> list[str]:
    """The steps that go through a whole table, or sort, or would build an index each time."""
    found = []
    for statement, steps in plans.items():
        scanned = {words[1] for step in steps if (words := re.match(r"SCAN (\w+)", step))}
        if (scanned and scanned <= SMALL) or statement.strip().startswith(tuple(EXCUSED)):
            continue
        steps = [step for step in steps if not MATCHED.fullmatch(step)]
        slow = ("SCAN", "TEMP B-TREE", "AUTOMATIC")
        found += [f"{step}: {statement}" for step in steps if any(word in step for word in slow)]
    harmless = re.compile(r"scan (\d+ )?constant|scan \(?subq", re.IGNORECASE)
    return [complaint for complaint in found if not harmless.match(complaint)]


def pages(people: list[Person]) -> list[TimelineQuery]:
    deep = people[0].log.entries[40].id
    whose = (people[0].hash, people[1].hash)
    return [
        TimelineQuery(20),
        TimelineQuery(20, deep),
        TimelineQuery(20, None, whose[:1]),
        TimelineQuery(20, deep, whose),
    ]


def pages_of_tags(people: list[Person]) -> list[TimelineQuery]:
    deep = people[0].log.entries[40].id
    whose = (people[0].hash, people[1].hash)
    return [
        TimelineQuery(20, tag="bees"),
        TimelineQuery(20, deep, tag="bees"),
        TimelineQuery(20, deep, whose, "bees"),
        TimelineQuery(20, deep, whose, group="birds"),
    ]


def searches(people: list[Person]) -> list[SearchQuery]:
    deep = people[0].log.entries[40].id
    whose = (people[0].hash, people[1].hash)
    asked = []
    for text in ("note", '"note 3*" -x', "#bees", "note since:2020-01-01 until:2030-01-01", "since:2020-01-01"):
        query = parse(text, LATER)
        authors, but = (whose, whose[:1]) if query.wanted else (None, ())
        asked.append(SearchQuery(20, deep, query.wanted, query.unwanted, authors, but, query.since_ms, query.until_ms))
    return asked


def test_pages_of_timelines(db: Recorder, people: list[Person]) -> None:
    for query in pages(people):
        plans = plans_of(db, lambda: sql_read.timeline(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        walks = [steps for statement, steps in plans.items() if "FROM page" in statement and "first <" in statement]
        assert walks
        assert all(any(DOWN.fullmatch(step) for step in steps) for steps in walks)


def test_pages_of_tags(db: Recorder, people: list[Person]) -> None:
    for query in pages_of_tags(people):
        plans = plans_of(db, lambda: sql_read.timeline(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        (walk,) = (steps for statement, steps in plans.items() if "FROM tag" in statement)
        assert walk == ["SEARCH tag USING PRIMARY KEY (tag=? AND (sort,key)<(?,?))"]


def test_pages_of_what_has_a_tag_and_a_group(db: Recorder) -> None:
    query = TimelineQuery(20, tag="bees", group="birds")
    plans = plans_of(db, lambda: sql_read.timeline(db, query))
    assert not complaints(plans)
    walk, look_up = (steps for statement, steps in plans.items() if "FROM tag" in statement)
    assert walk == ["SEARCH tag USING PRIMARY KEY (tag=? AND (sort,key)<(?,?))"]
    assert look_up == ["SEARCH tag USING PRIMARY KEY (tag=? AND sort=? AND key=?)"]


def test_searches(db: Recorder, people: list[Person]) -> None:
    sql_indexer.read_some(db, 1_000)
    for query in searches(people):
        plans = plans_of(db, lambda: sql_search.search(db, query))  # noqa: B023 - asked at once
        assert not complaints(plans)
        (walk,) = (steps for statement, steps in plans.items() if "BETWEEN" in statement and "found" in statement)
        assert walk[-1].startswith("SEARCH")
        assert bool(query.wanted) == any(MATCHED.fullmatch(step) for step in walk)
    with pytest.raises(sqlite3.OperationalError, match="does not support scanning"):
        db.execute("SELECT rowid FROM word").fetchall()


def reading(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    alice, bob = people
    note = alice.log.entries[2]
    sql_write.put_bookmark(db, note.id, LATER)
    return [
        lambda: sql_read.thread(db, note.id),
        lambda: sql_read.rows(db, [note.id, bob.log.entries[3].id]),
        lambda: sql_read.versions(db, note.id),
        lambda: sql_read.refs(db, [note.id, bob.log.entries[3].id]),
        lambda: sql_read.taken_back_by(db, alice.hash, note.id),
        lambda: sql_read.taken_back(db, alice.key, NOON),
        lambda: sql_read.news(db, 20),
        lambda: sql_read.news(db, 20, unread=True),
        lambda: sql_read.news(db, 20, but_of=[bob.hash]),
        lambda: sql_read.bookmarks(db, 20),
        lambda: sql_read.bookmarks(db, 20, note.id),
        lambda: sql_read.reactions(db, bob.hash, note.id, Kind.LIKE),
        lambda: sql_read.reactions(db, alice.hash, note.id, Kind.PIN),
        lambda: sql_read.pins(db, alice.hash),
        lambda: sql_dms.dms(db, 20),
        lambda: sql_dms.dms(db, 20, note.id),
        lambda: sql_dms.dms(db, 20, untold=True),
        lambda: sql_dms.one_by_one(db, sql_dms.DMS, sql_base.LAST_PLACE, 20),
        lambda: sql_read.find_ids(db, note.id.hex()[:6]),
        lambda: sql_read.find_ids(db, note.id.hex()),
        lambda: sql_read.find_files(db, PICTURE.file.hex()[:6]),
        lambda: sql_read.references(db, PICTURE.file),
        lambda: sql_read.promised_size(db, PICTURE.file),
        lambda: sql_read.unreferred(db, [PICTURE.file]),
        lambda: sql_read.locate(db, note.id),
        lambda: sql_read.entry_at(db, alice.key, 5),
        lambda: sql_read.profile(db, alice.hash),
        lambda: sql_read.names(db, [alice.hash]),
        lambda: sql_read.whole_profile(db, alice.hash),
        lambda: sql_read.window(db, bob.hash, NOON, LATER, 500),
        lambda: sql_read.boosts_at_home(db, note.id),
        lambda: sql_read.follow_rows(db),
        lambda: sql_read.run(db, alice.key, 5, 20, RUN_BYTES_MAX),
        lambda: [sql_damage.shortened_spans(db, log) for log in sql_base.every_log(db) if log.device == alice.key],
    ]


def test_threads_look_ups_names_and_runs(db: Recorder, people: list[Person]) -> None:
    for use_case in reading(db, people):
        assert not complaints(plans_of(db, use_case))


def test_votes_on_a_poll(db: Recorder, people: list[Person]) -> None:
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    plans = plans_of(db, lambda: sql_read.rows(db, [alice.log.entries[-1].id]))
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "FROM vote" in statement)
    assert walk == ["SEARCH v USING PRIMARY KEY (target=?)", "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"]


def test_pins_are_walked_newest_first(db: Recorder, people: list[Person]) -> None:
    alice, _ = people
    assert sql_read.pins(db, alice.hash) == [alice.log.entries[3].id]
    plans = plans_of(db, lambda: sql_read.pins(db, alice.hash))
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "JOIN pin" in statement)
    assert walk[1] == "SEARCH p USING PRIMARY KEY (author=?)"


def meeting(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    """What strangers said waits."""
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, alice.hash)
    note, eve = alice.log.entries[2], person("eve")
    said = [eve.log.note("hi", reply_to=note), eve.log.note(f"hello @{spell(alice.hash)}")]
    for entry in (*said, eve.log.like(note)):
        sql_write.put_stray(db, Located(eve.hash, entry, ()), LATER)
    sql_write.drop_follow(db, bob.hash)
    return [
        lambda: sql_read.timeline(db, TimelineQuery(9, said[1].id, strangers=True)),
        lambda: sql_read.news(db, 9, unread=True),
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


def test_strangers(db: Recorder, people: list[Person]) -> None:
    page, unread, *others = meeting(db, people)
    assert len(sql_read.timeline(db, TimelineQuery(9, strangers=True))) == 3
    plans = plans_of(db, page)
    assert not complaints(plans)
    (walk,) = (steps for statement, steps in plans.items() if "FROM news INDEXED" in statement)
    assert walk == ["SEARCH news USING INDEX news_of_strangers ((sort,key)<(?,?))"]
    plans = plans_of(db, unread)
    (walk,) = (steps for statement, steps in plans.items() if "FROM news INDEXED" in statement)
    assert walk == ["SEARCH news USING INDEX news_unread (no<?)"]
    for use_case in others:
        assert not complaints(plans_of(db, use_case))


def listing(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    alice, bob = people
    return [
        lambda: sql_lists.put_list(db, "tea"),
        lambda: sql_lists.put_members(db, "tea", [alice.hash, bob.hash]),
        lambda: sql_lists.members(db, "tea"),
        lambda: sql_lists.lists(db),
        lambda: sql_lists.listed(db),
        lambda: sql_read.timeline(db, TimelineQuery(9, None, tuple(sql_lists.members(db, "tea")))),
        lambda: sql_lists.drop_members(db, "tea", [alice.hash]),
        lambda: sql_write.drop_follow(db, bob.hash),
        lambda: sql_lists.drop_list(db, "tea"),
        lambda: sql_groups.put_group(db, "birds", LATER),
        lambda: sql_groups.groups(db),
        lambda: sql_groups.group(db, "birds"),
        lambda: sql_groups.drop_group(db, "birds"),
        lambda: sql_read.timeline(db, TimelineQuery(9, tag="bees", group="birds")),
    ]


def test_lists_and_groups(db: Recorder, people: list[Person]) -> None:
    for use_case in listing(db, people):
        assert not complaints(plans_of(db, use_case))


def writing(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    alice, bob = people
    doomed = alice.log.entries[9]
    note = alice.log.note("new #bees")
    alice.log.note(f"hello @{spell(bob.hash)}")
    quoted = alice.log.quote(note, "look", alice.log.edit(note, "newer #wax"))
    alice.log.delete(doomed)
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    alice.log.vote(alice.log.entries[73], 1)
    alice.log.pin(alice.log.entries[5])
    sql_indexer.read_some(db, 50)
    dm = alice.log.dm("psst", bob, by=alice)
    ahead = [bob.log.note("by a clock that was ahead", time_ms=LATER + 3_600_000), bob.log.note("by one that is right")]
    return [
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run(70))], LATER),
        lambda: sql_indexer.read_some(db, 10),
        lambda: sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER),
        lambda: sql_read.rows(db, [quoted.id]),
        lambda: sql_retracted.drop_some(db, LATER + 1, sql_retracted.FIRST),
        lambda: sql_write.put_payloads(db, alice.key, [(10, doomed.payload or b"")]),
        lambda: sql_write.put_setting(db, OWN_IDENTITY, bob.hash),  # the same again: what is new looks at everything
        lambda: sql_write.mark_news_read(db),
        lambda: sql_write.append(db, [Batch(bob.hash, bob.log.run(last=ahead[0].seq))], LATER + 3_600_000),
        lambda: sql_write.append(db, [Batch(bob.hash, bob.log.run(ahead[1].seq))], LATER),
        lambda: sql_dms.settle_dms(db, [dm.id], [], LATER),
        lambda: sql_dms.settle_dms(db, [], [dm.id], LATER),
        lambda: sql_write.drop_follow(db, alice.hash),
        lambda: sql_write.put_identity(db, alice.retire(alice.key, 50, alice.log.entries[49].id)),
        lambda: sql_write.put_mute(db, Mute(MuteKind.TAG, b"bees"), LATER),
        lambda: sql_write.drop_mute(db, MuteKind.TAG, b"bees"),
        lambda: sql_write.drop_log(db, bob.key),
        lambda: sql_write.put_block(db, Block(alice.hash, LATER)),
        lambda: sql_write.drop_block(db, alice.hash),
    ]


def test_writing(db: Recorder, people: list[Person]) -> None:
    for use_case in writing(db, people):
        assert not complaints(plans_of(db, use_case))


def making_room(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    alice, bob = people
    sql_write.put_setting(db, OWN_IDENTITY, bob.hash)
    sql_write.put_bookmark(db, alice.log.entries[3].id, LATER)
    bob.log.edit(bob.log.entries[1], "#wax")
    bob.log.delete(bob.log.entries[2])
    sql_write.append(db, [Batch(bob.hash, bob.log.run())], LATER)
    sql_indexer.read_some(db, 1_000)
    prefix = alice.log.entries[2].id.hex()[:8]
    dave = person("dave")
    return [
        lambda: sql_room.prune(db, alice.key, 64, LATER),
        lambda: sql_room.prune(db, bob.key, bob.log.entries[-1].seq - 1, LATER),
        lambda: sql_room.prune_strays(db, 0, 64),
        lambda: db.execute(sql_room.STRAY_DELETES, (1, 2)).fetchall(),
        lambda: db.execute(sql_room.PINS_OF, (bytes(32), int(Kind.PIN), 1)).fetchall(),
        lambda: db.execute(sql_room.LAST_EDIT, (1, bytes(32), 1, 2)).fetchall(),
        lambda: db.execute(sql_room.HIDDEN_BEFORE, (bytes(32), 1, 1, 2)).fetchall(),
        lambda: db.execute(sql_room.FLOOR, (alice.key, alice.hash)).fetchall(),
        lambda: sql_room.bottoms(db),
        lambda: sql_room.usage(db),
        lambda: sql_room.was_pruned(db, prefix),
        lambda: sql_room.thread(db, bob.log.entries[3].id),
        lambda: sql_room.lift_floors(db, alice.hash),
        lambda: sql_room.lift_floors(db, None),
        lambda: sql_write.put_stray(db, Located(dave.hash, dave.log.entries[0], ()), LATER),
        lambda: sql_write.append(db, [Batch(dave.hash, dave.log.run())], LATER),
        lambda: sql_room.leave_log(db, dave.key, LATER),
    ]


def test_making_room(db: Recorder, people: list[Person]) -> None:
    for use_case in making_room(db, people):
        assert not complaints(plans_of(db, use_case))


def coming(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    """What a node takes in, and what it does once in a while."""
    alice, bob = people
    carol, dave, erin = person("carol"), person("dave"), person("erin")
    runs = [Batch(carol.hash, unsigned(carol, first, 300)) for first in range(1, 1_201, 300)]
    runs += [Batch(carol.hash, unsigned(carol, seq, 1)) for seq in range(1_201, 1_240)]
    mine = [alice.log.poll("yes", "no"), alice.log.vote(bob.log.poll("yes", "no"), 1)]
    bob.log.note("answer", reply_to=mine[0])
    bob.log.write(Profile("Bob"))
    bob.log.vouch(carol.hash)
    bob.log.write(Note("bees", media=(PICTURE,)))
    bob.log.note(f"hello @{alice.address}")
    bare = tuple(entry.without_payload() for entry in dave.notes(3))
    frank = person("frank")
    strays = [Located(frank.hash, frank.log.note("stray", reply_to=mine[0]), ()) for _ in range(6)]
    others = [Located(frank.hash, frank.log.note("stray"), ()) for _ in range(6)]
    peers = [KnownPeer(f"192.0.2.1:{port}") for port in range(1, KNOWN_PEERS_MAX + 2)]
    fork = dave.log.branch(2)
    fork.note("fork")
    return [
        lambda: sql_read.load(db),
        lambda: sql_write.put_setting(db, "dht", b""),
        lambda: sql_write.put_setting(db, "dht", None),
        lambda: sql_write.put_setting(db, OWN_IDENTITY, alice.hash),
        lambda: sql_read.settings(db, "dht"),
        lambda: sql_write.put_identity(db, carol.identity),
        lambda: sql_write.put_follow(db, Follow(carol.hash)),
        lambda: [sql_write.append(db, [run], LATER) for run in runs],
        lambda: [sql_write.append(db, [Batch(erin.hash, unsigned(erin, at, 100))], LATER) for at in (1, 201, 101)],
        lambda: sql_write.append(db, [Batch(each.hash, each.log.run()) for each in people], NOON),
        lambda: sql_polls.end_polls(db, NOON),
        lambda: sql_polls.end_polls(db, LATER + 86_400_000),
        lambda: [sql_read.news(db, 9, each.id) for each in sql_read.news(db, 1)],
        lambda: sql_write.append(db, [Batch(dave.hash, bare)], LATER),
        lambda: sql_read.run(db, dave.key, 2, 4, 1_000),
        lambda: sql_write.put_payloads(db, dave.key, [(entry.seq, entry.payload or b"") for entry in dave.log.entries]),
        lambda: sql_write.freeze(db, prove_fork(dave.log.entries, fork.entries)),
        lambda: [sql_write.put_stray(db, each, LATER) for each in [*strays, *strays]],
        lambda: sql_read.locate(db, strays[-1].entry.id),
        lambda: sql_write.put_peers(db, peers),
        lambda: [sql_read.entry_count(db), sql_read.entry_count(db, carol.key)],
        lambda: sql_write.put_bookmark(db, strays[-1].entry.id, LATER),
        lambda: [sql_write.put_stray(db, each, LATER + 1) for each in others],
        lambda: sql_write.drop_bookmark(db, strays[-1].entry.id),
        lambda: sql_words.prepare(db),
        lambda: db.execute(register.LEAVE, (1,)),
    ]


def looking(db: Recorder, people: list[Person]) -> list[Callable[[], Any]]:
    asked: list[Callable[[], Any]] = []
    asked += [partial(sql_read.timeline, db, query) for query in [*pages(people), *pages_of_tags(people)]]
    asked += [partial(sql_search.search, db, query) for query in searches(people)]
    return asked


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers merge, pages fill and strays make room long before a node has as many of them."""
    monkeypatch.setattr(register, "BATCH_MIN", 100)
    monkeypatch.setattr(register, "HOT_RECORDS_MAX", 16)
    monkeypatch.setattr(register, "PAGE_BYTES_MAX", 160)
    monkeypatch.setattr(register, "GENERATIONS_MERGED_AT", 2)
    monkeypatch.setattr(register, "GENERATIONS_MAX", 2)
    monkeypatch.setattr(sql_write, "STRAYS_MAX", 4)


@pytest.mark.usefixtures("small")
def test_what_comes_in(db: Recorder, people: list[Person]) -> None:
    for use_case in coming(db, people):
        assert not complaints(plans_of(db, use_case))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("db", ["as nodes have it"], indirect=True)
def test_no_statement_of_the_store_is_left_out(db: Recorder, people: list[Person]) -> None:
    """Whoever adds one also adds a use case here that runs it, so that the planner is asked."""
    for cases in (coming, reading, looking, listing, making_room, meeting, writing):
        for use_case in cases(db, people):
            use_case()
    sought = statements_in_source()
    assert len(sought) > 150
    left = [where for where, pattern in sought.items() if not any(map(pattern.fullmatch, db.asked))]
    assert not left


def test_a_scan_would_be_seen(db: sqlite3.Connection) -> None:
    def careless() -> None:
        db.execute("SELECT id FROM entry WHERE time > 5 ORDER BY sort").fetchall()

    assert len(complaints(plans_of(db, careless))) == 2
