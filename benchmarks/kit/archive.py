"""Two databases of a million notices, ours and a textbook's: built once, kept in the cache folder of this user."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from benchmarks.kit import textbook
from benchmarks.kit.notices import Author, author, one_by_one, write_log
from benchmarks.kit.report import Say
from p2pblog.core.entry import Entry
from p2pblog.core.logs import Batch
from p2pblog.store import Follow, migrations, sql_resting, sql_room, sql_words, sql_write

AUTHORS, NOTICES = 1_000, 1_000
"""As many people as the busiest follow, each for seven months at 4.6 notices a day, all in the same months."""
LAST_MS = 1_900_000_000_000
"""When the notices are first seen: after all of them."""
RUNS_A_TRANSACTION = 10
WORDS_A_TRANSACTION = 20_000
FORM = 4
"""Of what is built here; counted up when it changes, so that nobody measures with an old one."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Both databases as files. Copy them before anything is written."""

    ours: Path
    textbook: Path


def authors(count: int = AUTHORS) -> list[Author]:
    """Those who wrote the archive."""
    return [author(f"archive {number}") for number in range(count)]


def archive(say: Say) -> Archive:
    """The archive; the first call, and the first after the schema changed, takes some minutes."""
    root = Path(platformdirs.user_cache_dir("p2pblog")) / "benchmarks"
    version = len(migrations.MIGRATIONS)
    folder = root / f"archive-{FORM}-schema-{version}"
    built = Archive(folder / "ours.sqlite3", folder / "textbook.sqlite3")
    if not folder.exists():
        for old in root.glob("archive-*"):
            shutil.rmtree(old)
        unfinished = root / f"archive-{os.getpid()}.unfinished"
        unfinished.mkdir(parents=True)
        _build(Archive(unfinished / built.ours.name, unfinished / built.textbook.name), say)
        unfinished.rename(folder)
    return built


def _build(new: Archive, say: Say) -> None:
    people = authors()
    with closing(open_ours(new.ours)) as ours, closing(textbook.open_textbook(new.textbook)) as theirs:
        follow(ours, people)
        for at in range(0, len(people), RUNS_A_TRANSACTION):
            if at % 100 == 0:
                say(f"building a store of a million notices: {at} of {AUTHORS} logs")
            logs = [write_log(someone, NOTICES - 1, sign_all=False) for someone in people[at : at + RUNS_A_TRANSACTION]]
            store(ours, people[at : at + RUNS_A_TRANSACTION], logs)
            for log in logs:
                _insert(theirs, log)
        settle(ours, say)


def open_ours(path: Path) -> sqlite3.Connection:
    """Our schema in this file, as our store opens it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    sql_room.prepare(db)
    migrations.migrate(db)
    sql_words.prepare(db)
    return db


def follow(db: sqlite3.Connection, people: Sequence[Author]) -> None:
    """Keep identities and follow them, before anything of theirs comes."""
    db.execute("BEGIN")
    for someone in people:
        sql_write.put_identity(db, someone.identity)
        sql_write.put_follow(db, Follow(someone.hash))
    db.execute("COMMIT")


def store(db: sqlite3.Connection, people: Sequence[Author], logs: Sequence[Sequence[Entry]]) -> None:
    """Logs of these people, in one transaction."""
    db.execute("BEGIN")
    batches = [Batch(someone.hash, tuple(log)) for someone, log in zip(people, logs, strict=True)]
    sql_write.append(db, batches, LAST_MS)
    db.execute("COMMIT")


def settle(db: sqlite3.Connection, say: Say) -> None:
    """Merge registers and bring all words into the index, as a daemon does in its spare time: else it would do so while
    it is measured."""
    slices, is_more = 0, True
    while is_more:
        say(f"merging registers and indexing words: slice {slices:,}")
        db.execute("BEGIN")
        is_more = sql_resting.get_on(db, WORDS_A_TRANSACTION)
        db.execute("COMMIT")
        slices += 1


def _insert(db: sqlite3.Connection, log: Sequence[Entry]) -> None:
    """The textbook gets the signatures that we keep: fewer bytes than it would hold."""
    textbook.ingest(db, one_by_one(log), check_all=False)


def copied(path: Path, to: Path) -> Path:
    """A copy that is on the disk, so that nobody's sync waits for it."""
    shutil.copyfile(path, to)
    with to.open("rb+") as file:
        os.fsync(file.fileno())
    return to


def sizes(path: Path) -> Iterator[int]:
    """Bytes of a database and of the files beside it."""
    for beside in path.parent.glob(f"{path.name}*"):
        yield beside.stat().st_size
