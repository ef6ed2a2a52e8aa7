"""kill -9 at any moment: nothing that was acknowledged is lost, and no number is ever signed twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import trio
from builders import person
from store_kit import LATER, open_kind
from trio.testing import trio_test

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.keys import ENTRY_DOMAIN, verify
from p2pblog.core.logs import Batch
from p2pblog.store import OWN_IDENTITY, Follow, TimelineQuery

KILLS = 60

WRITERS = """
import os, sys, trio
from pathlib import Path
from builders import person
from p2pblog.bridge import open_bridge
from p2pblog.core.logs import Batch
from p2pblog.store.sqlite import open_sqlite

def say(*words):  # in one piece, also where Python does not buffer: a kill must not tear a line
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def write_for_ever():
    alice = person("alice")
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, Path(sys.argv[1]))
        held = [state for state in (await store.load()).logs if state.device == alice.key]
        if held:
            alice.log.entries[:] = await store.run(alice.key, held[0].spans[-1].high, 2**31, 1)
        entry = alice.log.entries[-1]
        while True:
            await store.append([Batch(alice.hash, (entry,))], entry.time_ms, durable=True)
            say(entry.seq, entry.id.hex())
            entry = alice.log.note(f"by {os.getpid()}" + "n" * (entry.seq * 37 % 700))

for _ in sys.stdin:  # one line, one writer
    child = os.fork()
    if not child:
        trio.run(write_for_ever)
    say("started", child)
    _, status = os.waitpid(child, 0)
    say("ended", status)
"""
"""Forks a writer for each line of its input: a fork costs a hundredth of a start."""


def kill_one_writer(writers: subprocess.Popen[str], chance: random.Random) -> list[tuple[int, str]]:
    """Start a writer and kill it at some moment; what it acknowledged. Now and then it has just begun to open."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    print("go", file=writers.stdin, flush=True)
    told: list[list[str]] = []
    acknowledgements_due = chance.choice([0, 1, 1, 1, 5])
    pid = None
    while pid is None or len(told) <= acknowledgements_due:
        words = writers.stdout.readline().split()
        assert words, "the parent of the writers is gone"
        assert words[0] != "ended", f"a writer ended by itself, with status {words[1]}"
        if words[0] == "started":
            pid = int(words[1])
        told.append(words)
    time.sleep(chance.uniform(0, 0.03))  # no condition: a kill at any moment of the write, which nothing tells of
    os.kill(pid, signal.SIGKILL)
    while (words := writers.stdout.readline().split())[:1] != ["ended"]:
        assert words, "the parent of the writers is gone"
        told.append(words)
    assert words == ["ended", str(int(signal.SIGKILL))]
    return [(int(words[0]), words[1]) for words in told if words[0] != "started" and len(words) == 2]


def test_nothing_acknowledged_is_lost_and_no_number_is_used_twice(tmp_path: Path) -> None:
    chance, database = random.Random(2), tmp_path / "store.sqlite3"
    acknowledged: dict[int, str] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    ) as writers:  # fmt: skip
        for _ in range(KILLS):
            for seq, identifier in kill_one_writer(writers, chance):
                assert acknowledged.setdefault(seq, identifier) == identifier, f"number {seq} was used twice"
    assert len(acknowledged) >= KILLS
    entries = trio.run(read_all, tmp_path)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    stored = {entry.seq: entry.id.hex() for entry in entries}
    assert stored.items() >= acknowledged.items()
    for before, after in pairwise(entries):
        assert after.prev == before.id
    for entry in entries:
        assert entry.signature is not None
        verify(entry.device, ENTRY_DOMAIN, entry.id, entry.signature)
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


HISTORY_WRITERS = """
import os, sys, trio
from pathlib import Path
from builders import person
from p2pblog.bridge import open_bridge
from p2pblog.core.logs import Batch
from p2pblog.store import Follow
from p2pblog.store.sqlite import open_sqlite

people = [person(f"writer {number}") for number in range(PEOPLE)]
for someone in people:
    someone.notes(RUNS * RUN - 1)

async def take_in():
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, Path(sys.argv[1]))
        for someone in people:
            await store.put_identity(someone.identity)
            await store.put_follow(Follow(someone.hash))
        held = {state.device: state.spans[-1].high for state in (await store.load()).logs}
        for run in range(RUNS):
            for someone in people:
                first = run * RUN + 1
                if held.get(someone.key, 0) < first:
                    await store.append([Batch(someone.hash, someone.log.run(first, first + RUN - 1))], 2**53)
                    os.write(1, b"stored\\n")
        await store.aclose()

for _ in sys.stdin:  # one line, one writer
    child = os.fork()
    if not child:
        trio.run(take_in)
        os._exit(0)
    os.write(1, f"started {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""
"""Take in history, in batches that are generations of their own and are merged on the way."""
PEOPLE, RUNS, RUN = 6, 5, 300


def test_every_entry_is_found_after_kills_while_registers_are_merged(tmp_path: Path) -> None:
    chance = random.Random(5)
    script = f"PEOPLE, RUNS, RUN = {PEOPLE}, {RUNS}, {RUN}\n{HISTORY_WRITERS}"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "store.sqlite3")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    ) as writers:  # fmt: skip
        assert writers.stdin is not None
        assert writers.stdout is not None
        was_killed = True
        while was_killed:
            print("go", file=writers.stdin, flush=True)
            pid = int(writers.stdout.readline().split()[1])
            due, was_killed = chance.randint(1, 5), False
            while (line := writers.stdout.readline()) == "stored\n":
                due -= 1
                if not due:
                    time.sleep(chance.uniform(0, 0.02))  # no condition: a kill at any moment of the next write
                    with suppress(ProcessLookupError):  # that write was its last, and it has ended by itself
                        os.kill(pid, signal.SIGKILL)
                        was_killed = True
            assert line == "ended\n"
            trio.run(find_all, tmp_path, 0 if was_killed else PEOPLE * RUNS * RUN)


async def find_all(folder: Path, least: int) -> None:
    """Each entry is found by its id, and each notice once in the home timeline; at least so many."""
    async with open_kind("sqlite", folder) as store:
        held = (await store.load()).logs
        for state in held:
            entries = await store.run(state.device, 1, state.spans[-1].high, RUN_BYTES_MAX)
            for entry in entries[:: RUN // 10]:
                assert await store.find_ids(entry.id.hex()) == [entry.id]
        shown, before = 0, None
        while page := await store.timeline(TimelineQuery(1_000, before)):
            shown, before = shown + len(page), page[-1].id
        assert shown == await store.entry_count() - len(held) >= least - len(held)


async def read_all(folder: Path) -> list[Entry]:
    """The whole log after the last crash, which also goes on: one more notice is written and shown."""
    alice = person("alice")
    async with open_kind("sqlite", folder) as store:
        entries: list[Entry] = []
        while run := await store.run(alice.key, len(entries) + 1, 2**31, RUN_BYTES_MAX):
            entries += run
        alice.log.entries[:] = entries
        await store.put_identity(alice.identity)
        await store.put_follow(Follow(alice.hash))
        await store.put_setting(OWN_IDENTITY, alice.hash)
        after = alice.log.note("after the crash")
        await store.append([Batch(alice.hash, (after,))], LATER, durable=True)
        (row,) = await store.timeline(TimelineQuery(1))
        assert row.text == "after the crash"
        assert len(await store.timeline(TimelineQuery(1_000))) == min(1_000, len(entries))
    return entries


@trio_test
async def test_own_entries_are_synced_and_others_need_not_be(tmp_path: Path) -> None:
    """A kill shows nothing of power cuts; so ask what the disk was told."""
    alice, bob = person("alice"), person("bob")
    modes: list[str] = []
    async with open_kind("sqlite", tmp_path) as store:

        def watch(db: sqlite3.Connection) -> None:
            db.set_trace_callback(lambda statement: modes.append(statement) if "synchronous" in statement else None)

        await store._write(watch)  # type: ignore[attr-defined]
        await store.append([Batch(bob.hash, bob.log.run())], LATER)
        await store.append([Batch(alice.hash, alice.log.run())], LATER, durable=True)
        await store.put_setting("x", b"y")
    assert modes == ["PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"]
