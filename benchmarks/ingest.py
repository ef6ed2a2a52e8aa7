"""Runs of 1,000 notices from wire bytes into SQLite on disk with every index of the timelines, several authors in turn.

Ours is what the daemon does: runs are checked on trio's side and go to the store's thread, as many at once as wait.
Beside it the plain loop of benchmarks/kit/textbook.py, which checks every signature, or those at checkpoints only; an
empty store and one that holds a million notices. Times are from the first byte to the closed file, and of CPU: ours has
two threads at work, and a machine that others use gives each contender another share of the clock.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import trio

from benchmarks.kit import textbook
from benchmarks.kit.archive import LAST_MS, Archive, archive, copied, follow, open_ours, sizes
from benchmarks.kit.notices import Author, as_runs, author, one_by_one, write_log
from benchmarks.kit.report import ROUNDS, Figure, Report, Say
from p2pblog.bridge import open_bridge
from p2pblog.config import MESSAGE_BYTES_MAX, RUN_ENTRIES_MAX
from p2pblog.core import codec
from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.runs import check_run
from p2pblog.gossip.keeper import PER_COMMIT_MAX
from p2pblog.store import Store
from p2pblog.store.sqlite import open_sqlite

AUTHORS, RUNS_EACH = 20, 2
"""40,000 entries: a second of the loop for each round."""
UNIT = "entries/CPU s"
WAITING_MAX = 3
"""Runs that may wait for the store: as many as the 1 MiB of the daemon hold."""


@dataclass(frozen=True, slots=True)
class Load:
    """The same entries in both forms: `runs` of an identity, and each entry `one_by_one`; authors in turn."""

    people: tuple[Author, ...]
    runs: tuple[tuple[IdentityHash, bytes], ...]
    one_by_one: tuple[list[bytes], ...]

    @property
    def entries(self) -> int:
        return len(self.runs) * RUN_ENTRIES_MAX


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds for all entries: on the clock, and of both cores."""

    wall: float
    cpu: float


def measure(say: Say) -> Report:
    load = make_load()
    full = archive(say)
    with tempfile.TemporaryDirectory(dir=full.ours.parent.parent) as folder:
        fresh = _rounds(load, Path(folder), None, say)
        at_million = _rounds(load, Path(folder), full, say)
    figures = [*_figures("fresh", fresh, load, (8, 3)), *_figures("at a million", at_million, load, (10, 2))]
    return Report(
        (figures[0], figures[2], figures[1], figures[3]),
        {
            "cpu_us_per_entry": {"fresh": _cpu(fresh, load), "at a million": _cpu(at_million, load)},
            "ratio_by_the_clock": {"fresh": _by_the_clock(fresh), "at a million": _by_the_clock(at_million)},
            "bytes_per_entry_at_a_million": _bytes(full),
            "entries": load.entries,
        },
    )


def make_load() -> Load:
    """Authors who are not of the archive, in the same months, each with some runs."""
    people = [author(f"newcomer {number}") for number in range(AUTHORS)]
    logs = [write_log(someone, RUNS_EACH * RUN_ENTRIES_MAX - 1) for someone in people]
    order = [(who, run) for run in range(RUNS_EACH) for who in range(AUTHORS)]
    runs = [as_runs(log) for log in logs]
    return Load(
        tuple(people),
        tuple((people[who].hash, runs[who][run]) for who, run in order),
        tuple(one_by_one(logs[who][RUN_ENTRIES_MAX * run : RUN_ENTRIES_MAX * (run + 1)]) for who, run in order),
    )


def _rounds(load: Load, folder: Path, full: Archive | None, say: Say) -> dict[str, list[Took]]:
    """Each contender in turn, ROUNDS times."""
    took: dict[str, list[Took]] = {"ours": [], "every signature": [], "checkpoints": []}
    for number in range(ROUNDS):
        took["ours"].append(_ours(load, folder, full))
        took["every signature"].append(_textbook(load, folder, full, check_all=True))
        took["checkpoints"].append(_textbook(load, folder, full, check_all=False))
        told = ", ".join(f"{name} {load.entries / found[-1].cpu:,.0f}" for name, found in took.items())
        say(f"{'fresh' if full is None else 'at a million'}, round {number + 1}: {told} entries a CPU second")
    return took


def _ours(load: Load, folder: Path, full: Archive | None) -> Took:
    path = folder / "ours.sqlite3"
    if full is not None:
        copied(full.ours, path)
    with closing(open_ours(path)) as db:
        follow(db, load.people)
    took = trio.run(_ingest, load, path)
    with closing(open_ours(path)) as db:
        held = db.execute("SELECT count(*) FROM entry").fetchone()[0]
        assert held == load.entries + (0 if full is None else 1_000_000)
    _remove(path)
    return took


async def _ingest(load: Load, path: Path) -> Took:
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, path)
        watch = _watch()
        into, batches = trio.open_memory_channel[Batch](WAITING_MAX)
        async with trio.open_nursery() as nursery, into:
            nursery.start_soon(_store, store, batches)
            for identity, wire in load.runs:
                run = check_run(codec.unpack(wire, MESSAGE_BYTES_MAX), texts=True)
                await into.send(Batch(identity, run))
        await store.aclose()
        return watch()


async def _store(store: Store, batches: trio.MemoryReceiveChannel[Batch]) -> None:
    async for first in batches:
        together = [first]
        while len(together) < PER_COMMIT_MAX:
            try:
                together.append(batches.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        await store.append(together, LAST_MS)


def _textbook(load: Load, folder: Path, full: Archive | None, check_all: bool) -> Took:
    path = folder / "textbook.sqlite3"
    if full is not None:
        copied(full.textbook, path)
    db = textbook.open_textbook(path)
    (before,) = db.execute("SELECT count(*) FROM entry").fetchone()
    watch = _watch()
    for packed in load.one_by_one:
        textbook.ingest(db, packed, check_all)
    db.close()
    took = watch()
    with closing(textbook.open_textbook(path)) as db:
        assert db.execute("SELECT count(*) FROM entry").fetchone()[0] == before + load.entries
    _remove(path)
    return took


def _watch() -> Callable[[], Took]:
    wall, cpu = time.perf_counter(), time.process_time()
    return lambda: Took(time.perf_counter() - wall, time.process_time() - cpu)


def _remove(path: Path) -> None:
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()


def _figures(where: str, took: dict[str, list[Took]], load: Load, least: tuple[int, int]) -> list[Figure]:
    rates = {name: load.entries / statistics.median(each.cpu for each in found) for name, found in took.items()}
    return [
        Figure(where, rates["ours"], UNIT, f"ratio >= {least[0]}", rates["every signature"]),
        Figure(
            f"{where}, against checkpoint signatures only",
            rates["ours"],
            UNIT,
            f"ratio >= {least[1]}",
            rates["checkpoints"],
        ),
    ]


def _by_the_clock(took: dict[str, list[Took]]) -> dict[str, float]:
    medians = {name: statistics.median(each.wall for each in found) for name, found in took.items()}
    return {name: round(median / medians["ours"], 2) for name, median in medians.items() if name != "ours"}


def _cpu(took: dict[str, list[Took]], load: Load) -> dict[str, float]:
    medians = {name: statistics.median(each.cpu for each in found) for name, found in took.items()}
    return {name: round(1e6 * median / load.entries, 2) for name, median in medians.items()}


def _bytes(full: Archive) -> dict[str, float]:
    files = {"ours": full.ours, "textbook": full.textbook}
    return {name: round(sum(sizes(path)) / 1_000_000) for name, path in files.items()}
