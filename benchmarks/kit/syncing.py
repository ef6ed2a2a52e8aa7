"""First sync between two processes on loopback: ours, and the same number of messages by others' software."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.kit import peers
from benchmarks.kit.daemons import Daemon, Peak, daemon
from benchmarks.kit.homes import logs_of, make_home
from benchmarks.kit.notices import Author, author
from benchmarks.kit.report import Say
from p2pblog.config import NEWEST_FIRST, TIMELINE_ROWS_MAX
from p2pblog.core.address import spell
from p2pblog.home import Home
from p2pblog.store import sql_read

ASK_EVERY_S = 0.25
"""How often the newcomer is asked how far it is, since its answers cost time that is measured."""
ASK_SOON_S = 0.01
"""How often once it is nearly done: the error of the time that is measured."""
TIMEOUT_S = 1_800.0


@dataclass(slots=True)
class Synced:
    """One first sync: seconds until all was stored and readable, what both ends used, and how it went on."""

    seconds: float
    holder_cpu_s: float
    newcomer_cpu_s: float
    holder_peak_mb: float
    newcomer_peak_mb: float
    curve: list[tuple[float, int]] = field(default_factory=list)


class Holder:
    """A home that holds the whole logs of some authors, and newcomers that follow them all."""

    def __init__(self, folder: Path, authors: int, notices: int, say: Say) -> None:
        self.folder = folder
        self.notices = notices
        self.authors: Sequence[Author] = [author(f"author {number}") for number in range(authors)]
        say(f"signing and storing {authors * notices:,} notices for the one who holds them")
        self.home = make_home(folder / "holder", self.authors, logs_of(self.authors, notices))
        self._newcomers = 0

    @property
    def total(self) -> int:
        """Notices; each log also has its first entry, which names the identity."""
        return len(self.authors) * self.notices

    @property
    def entries(self) -> int:
        return self.total + len(self.authors)

    def newcomer(self) -> Home:
        """A fresh home that follows them all."""
        self._newcomers += 1
        return make_home(self.folder / f"newcomer {self._newcomers}", self.authors)

    def sync(self, every_s: float = 0.5) -> Synced:
        """From the dial, handshake included, until the newcomer holds everything and shows each author's pages."""
        with daemon(self.home) as holder, daemon(self.newcomer()) as newcomer:
            pids = (holder.process.pid, newcomer.process.pid)
            own, used = newcomer.ask("status")["entries"], (holder.cpu_s, newcomer.cpu_s)
            with Peak().watching(*pids) as peak:
                begun = time.perf_counter()
                newcomer.ask("add_peer", endpoint=holder.listen)
                curve = self._wait(newcomer, own, begun, every_s)
                seconds = time.perf_counter() - begun
            after = (holder.cpu_s, newcomer.cpu_s)
            self._check(newcomer)
        return Synced(
            seconds, after[0] - used[0], after[1] - used[1], peak.peaks_mb[pids[0]], peak.peaks_mb[pids[1]], curve
        )

    def _wait(self, newcomer: Daemon, own: int, begun: float, every_s: float) -> list[tuple[float, int]]:
        curve = [(0.0, 0)]
        while True:
            held, at = newcomer.ask("status")["entries"] - own, time.perf_counter() - begun
            if held >= self.entries or at - curve[-1][0] >= every_s:
                curve.append((round(at, 2), held))
            if held >= self.entries:
                return curve
            if at > TIMEOUT_S:
                raise RuntimeError(f"{held} of {self.entries} entries after {at:.0f} s")
            left_s = at * (self.entries - held) / max(held, 1)
            # Another process tells nobody when it holds all; each question costs it time that is measured here.
            time.sleep(min(ASK_EVERY_S, max(ASK_SOON_S, left_s / 2)))

    def _check(self, newcomer: Daemon) -> None:
        """Each log is whole, and its oldest and newest notices can be read."""
        rows = newcomer.ask("following")
        if any(row["entries"] != self.notices + 1 for row in rows) or len(rows) != len(self.authors):
            raise RuntimeError("not every log is whole")
        wanted = min(self.notices, TIMELINE_ROWS_MAX)
        for row in rows[:3]:
            page = newcomer.ask("timeline", limit=wanted, author=row["address"])
            if len(page) != wanted or any(not notice["text"] for notice in page):
                raise RuntimeError("a log that is stored can't be read")

    def newest_share(self) -> float:
        """The share of all the bytes that had come when the newest 50 notices of every author could be read.

        The store is read from here, as any reader of it would, so that asking does not hold up the daemon.
        """
        with daemon(self.home) as holder, daemon(self.newcomer()) as newcomer:
            newest = {row["address"]: row["newest"] for row in holder.ask("following")}
            own = newcomer.ask("status")["entries"]
            with closing(sqlite3.connect(f"file:{newcomer.home.database}?mode=ro", uri=True)) as db:
                newcomer.ask("add_peer", endpoint=holder.listen)
                give_up_at = time.perf_counter() + TIMEOUT_S
                while not all(
                    row.entries >= NEWEST_FIRST and row.newest_ms == newest[spell(row.identity)]
                    for row in sql_read.follow_rows(db)
                ):
                    if time.perf_counter() > give_up_at:
                        raise RuntimeError(f"the newest of all have not come after {TIMEOUT_S:.0f} s")
                    time.sleep(ASK_SOON_S / 2)  # a database tells no reader of another process what was written
                bytes_so_far = _bytes_in(newcomer)
            for address, time_ms in newest.items():
                page = newcomer.ask("timeline", limit=NEWEST_FIRST, author=address)
                if len(page) != NEWEST_FIRST or page[0]["time"] != time_ms:
                    raise RuntimeError("the newest notices can't be read")
            self._wait(newcomer, own, time.perf_counter(), 1.0)
            return bytes_so_far / _bytes_in(newcomer)


def _bytes_in(of: Daemon) -> int:
    return sum(int(peer["bytes_in"]) for peer in of.ask("peers"))


class Rival:
    """Others' software that does the same: each time with a fresh newcomer, while its holder is filled once."""

    def __init__(self, name: str, folder: Path, authors: int, notices: int, say: Say) -> None:
        installed, node = peers.installed(name, say), peers.node()
        self.name = name
        self._say = say
        self._turns = peers.Turns[float](installed is not None and node is not None)
        self._command = [str(node), f"{installed}/replicate.js", str(authors), str(notices), str(folder / name)]

    @property
    def found(self) -> list[float]:
        """Messages a second, run by run."""
        return self._turns.found

    def sync(self) -> None:
        """One more run, where it can be run at all."""
        if self._turns.can_run:
            said = peers.answer(self.name, self._command, self._say, timeout_s=TIMEOUT_S)
            self._turns.take(None if said is None else float(said["messages"] / said["seconds"]))

    @property
    def median(self) -> float | None:
        return statistics.median(self.found) if self.found else None
