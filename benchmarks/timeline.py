"""Pages at a million notices and 300 follows: the newest, one deep down, one author's, one conversation, one tag's.

Each question is asked of our store, as the node asks it, and of a textbook's (benchmarks/kit/textbook.py) in turn; then
of a daemon over its control socket, as the command line asks it. Figures are the time that 99 of 100 questions stay
below.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import trio

from benchmarks.kit import archive, textbook
from benchmarks.kit.daemons import daemon
from benchmarks.kit.homes import make_home
from benchmarks.kit.notices import Author, author, one_by_one
from benchmarks.kit.report import Figure, Report, Say, quantile
from p2pblog.bridge import open_bridge
from p2pblog.core.address import spell
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.core.payload import Like, LogStart, Note, Payload, Ref, encode
from p2pblog.store import Store, TimelineQuery, sql_write
from p2pblog.store.sqlite import open_sqlite

FOLLOWS = 300
PAGE = 50
CONVERSATIONS, REPLIERS, REPLIES_EACH = 400, 20, 300
"""15 replies to a conversation, each to any notice of it, and a like beside each: some read long before they answer."""
QUESTIONS = 400
"""Of each kind, 40 in a row before the other store's turn: the 99th of a hundred is the fourth slowest."""
IN_A_ROW = 40
STORE_MS_MAX, HTTP_MS_MAX = 5, 15
LAST_PLACE = 2**62
TAGS = 20
"""Each answer has one of so many tags, and one that all have."""


@dataclass(slots=True)
class World:
    """What is asked about: notices anywhere in the home timeline, authors, and notices of conversations."""

    places: list[tuple[EntryId, int]]
    authors: list[Author]
    conversations: list[EntryId]


@dataclass(slots=True)
class Times:
    """Milliseconds of each question of a kind; `cpu`: of ours, in all threads."""

    ours: list[float] = field(default_factory=list)
    textbook: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    http: list[float] = field(default_factory=list)


KINDS = ("first page", "deep page", "one author", "one thread", "one tag")


def measure(say: Say) -> Report:
    full = archive.archive(say)
    with tempfile.TemporaryDirectory(dir=full.ours.parent.parent) as folder:
        home = make_home(Path(folder) / "home")
        ours = archive.copied(full.ours, home.database)
        theirs = archive.copied(full.textbook, Path(folder) / "textbook.sqlite3")
        say("adding conversations and following 300")
        with closing(archive.open_ours(ours)) as db, closing(textbook.open_textbook(theirs)) as other:
            world = _prepare(db, other)
            archive.settle(db, say)
            times = {kind: Times() for kind in KINDS}
            say("asking both stores")
            trio.run(_ask_stores, ours, other, world, times)
        say("asking a daemon")
        with daemon(home) as running:
            _ask_daemon(running.ask, world, times)
    figures = [_figure(kind, "in the store", found.ours, STORE_MS_MAX, found.textbook) for kind, found in times.items()]
    figures += [_figure(kind, "over HTTP", found.http, HTTP_MS_MAX, []) for kind, found in times.items()]
    cpu = {kind: round(quantile(found.cpu, 0.99), 3) for kind, found in times.items()}
    return Report(
        tuple(figures),
        {"median_ms": _medians(times), "cpu_ms_p99": cpu, "page": PAGE},
    )


def _figure(kind: str, where: str, found: Sequence[float], ms_max: int, baseline: Sequence[float]) -> Figure:
    beside = quantile(baseline, 0.99) if baseline else None
    return Figure(f"{kind} {where}", quantile(found, 0.99), "ms p99", f"figure <= {ms_max}", beside, True)


def _medians(times: dict[str, Times]) -> dict[str, dict[str, float]]:
    return {
        kind: {
            "ours": round(quantile(found.ours, 0.5), 3),
            "textbook": round(quantile(found.textbook, 0.5), 3),
            "http": round(quantile(found.http, 0.5), 3),
        }
        for kind, found in times.items()
    }


# --- what is asked about ----------------------------------------------------------------------------------------------


def _prepare(ours: sqlite3.Connection, theirs: sqlite3.Connection) -> World:
    """300 of the archive's authors are followed, and so are those who talk about their notices."""
    rng = random.Random(1)
    people = archive.authors()
    followed = people[:FOLLOWS]
    ours.execute("BEGIN")
    for someone in people[FOLLOWS:]:
        sql_write.drop_follow(ours, someone.hash)
    ours.execute("COMMIT")
    theirs.execute("UPDATE author SET followed = no <= ?", (FOLLOWS,))
    subjects = _some_notices(theirs, followed, rng, CONVERSATIONS)
    repliers = [author(f"replier {number}") for number in range(REPLIERS)]
    logs = _converse(repliers, [subject for subject, _ in subjects], rng)
    archive.follow(ours, repliers)
    archive.store(ours, repliers, logs)
    for log in logs:
        textbook.ingest(theirs, one_by_one(log), check_all=False)
    told = [entry.id for log in logs for entry in log[1::2]]
    return World(
        [(ref.id, place) for ref, place in _some_notices(theirs, followed, rng, QUESTIONS)],
        rng.choices(followed, k=QUESTIONS),
        rng.sample(told, QUESTIONS),
    )


def _some_notices(
    theirs: sqlite3.Connection, followed: Sequence[Author], rng: random.Random, count: int
) -> list[tuple[Ref, int]]:
    """Where so many notices of these people are found, and their times."""
    found = []
    for _ in range(count):
        someone, seq = rng.choice(followed), rng.randrange(2, archive.NOTICES)
        no = textbook.author_no(theirs, someone.device.public)
        where = "SELECT id, time FROM entry WHERE author = ? AND seq = ?"
        identifier, time_ms = theirs.execute(where, (no, seq)).fetchone()
        found.append((Ref(someone.hash, DeviceKey(someone.device.public), seq, identifier), time_ms))
    return found


def _converse(repliers: Sequence[Author], subjects: Sequence[Ref], rng: random.Random) -> list[list[Entry]]:
    """Logs of people who answer one another, and like what they answer."""
    conversations = [[subject] for subject in subjects]
    logs = [[write(each.device, None, archive.LAST_MS, encode(LogStart(each.hash)))] for each in repliers]

    def say(who: int, said: Payload) -> Entry:
        logs[who].append(write(repliers[who].device, logs[who][-1], archive.LAST_MS, encode(said)))
        return logs[who][-1]

    for number in range(REPLIERS * REPLIES_EACH):
        who, told = number % REPLIERS, rng.choice(conversations)
        about = rng.choice(told)
        reply = say(who, Note(f"answer {number} #tag{number % TAGS} #Answers", about))
        say(who, Like(about))
        told.append(Ref(repliers[who].hash, reply.device, reply.seq, reply.id))
    return logs


# --- asking -----------------------------------------------------------------------------------------------------------


async def _ask_stores(ours: Path, theirs: sqlite3.Connection, world: World, times: dict[str, Times]) -> None:
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, ours)
        for start in range(0, QUESTIONS, IN_A_ROW):
            for kind in KINDS:
                for number in range(start, start + IN_A_ROW):
                    begun, cpu = time.perf_counter(), time.process_time()
                    await _ask_ours(store, kind, world, number)
                    times[kind].ours.append(1e3 * (time.perf_counter() - begun))
                    times[kind].cpu.append(1e3 * (time.process_time() - cpu))
                for number in range(start, start + IN_A_ROW):
                    begun = time.perf_counter()
                    _ask_textbook(theirs, kind, world, number)
                    times[kind].textbook.append(1e3 * (time.perf_counter() - begun))
        await store.aclose()


async def _ask_ours(store: Store, kind: str, world: World, number: int) -> None:
    match kind:
        case "first page":
            found = await store.timeline(TimelineQuery(PAGE))
        case "deep page":
            found = await store.timeline(TimelineQuery(PAGE, world.places[number][0]))
        case "one author":
            found = await store.timeline(TimelineQuery(PAGE, None, (world.authors[number].hash,)))
        case "one tag":
            found = await store.timeline(TimelineQuery(PAGE, tag=_tag(number)))
        case _:
            found = list((await store.thread(world.conversations[number])).notices)
    assert len(found) >= (2 if kind == "one thread" else 1)


def _tag(number: int) -> str:
    """One that many notices have, or all of them, in turn."""
    return f"tag{number // 2 % TAGS}" if number % 2 else "answers"


def _ask_textbook(db: sqlite3.Connection, kind: str, world: World, number: int) -> None:
    match kind:
        case "first page":
            rows = db.execute(textbook.HOME, (LAST_PLACE, PAGE)).fetchall()
        case "deep page":
            rows = db.execute(textbook.HOME, (world.places[number][1], PAGE)).fetchall()
        case "one author":
            no = textbook.author_no(db, world.authors[number].device.public)
            rows = db.execute(textbook.AUTHOR, (no, LAST_PLACE, PAGE)).fetchall()
        case "one tag":
            rows = db.execute(textbook.TAGGED, (_tag(number), LAST_PLACE, PAGE)).fetchall()
        case _:
            root = world.conversations[number]
            while (above := db.execute(textbook.PARENT, (root,)).fetchone()) and above[0] is not None:
                root = above[0]
            rows = db.execute(textbook.THREAD, (root,)).fetchall()
    for identifier, _, payload, _ in rows:
        msgpack.unpackb(payload)
        db.execute(textbook.REACTIONS, (identifier,)).fetchall()
    assert rows


def _ask_daemon(ask: Callable[..., Any], world: World, times: dict[str, Times]) -> None:
    for number in range(QUESTIONS):
        questions: dict[str, tuple[str, dict[str, Any]]] = {
            "first page": ("timeline", {"limit": PAGE}),
            "deep page": ("timeline", {"limit": PAGE, "before": world.places[number][0].hex()}),
            "one author": ("timeline", {"limit": PAGE, "author": spell(world.authors[number].hash)}),
            "one tag": ("timeline", {"limit": PAGE, "tag": _tag(number)}),
            "one thread": ("thread", {"notice": world.conversations[number].hex()}),
        }
        for kind, (route, arguments) in questions.items():
            begun = time.perf_counter()
            assert ask(route, **arguments)
            times[kind].http.append(1e3 * (time.perf_counter() - begun))
