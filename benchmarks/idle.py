"""A quiet node: a daemon with 300 follows and 30 peers; memory, start and processor beside a bare ssb-db2 + ssb-ebt.

The peer beside it follows nobody and is linked with nobody, which is kind to it. Our start is measured on the home with
its 300 follows, until the daemon answers commands; the peer's, until its empty database is open. The modules are
compiled beforehand, as an installer does it.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trio

from benchmarks.kit import peers
from benchmarks.kit.daemons import Daemon, cpu_s, daemon, resident_mb
from benchmarks.kit.driven import Arrivals, DrivenPeer, Writer
from benchmarks.kit.homes import logs_of, make_home
from benchmarks.kit.notices import author, write_log
from benchmarks.kit.report import ROUNDS, Figure, Report, Say
from p2pblog.core.address import Endpoint
from p2pblog.home import Home

FOLLOWS = 300
PEERS = 30
NOTICES = 20
"""Held of each log: a week's worth."""
SETTLE_S = 15.0
"""After the last link: tokens, clocks and the first look-ups are work, and over by then."""
QUIET_S = 30.0
"""How long the processor's time is counted, in ticks of 10 ms."""


def measure(say: Say) -> Report:
    folder, node = peers.installed("ssb", say), peers.node()
    starts: list[float] = []
    their_starts = peers.Turns[float](folder is not None and node is not None)
    their_sizes: list[float] = []
    with tempfile.TemporaryDirectory(prefix="p2pblog-idle-") as name, ExitStack() as stack:
        authors = [author(f"author {number}") for number in range(FOLLOWS)]
        home = make_home(Path(name) / "home", authors, logs_of(authors, NOTICES))
        writers = [Writer(each, write_log(each, NOTICES)) for each in authors]
        _start(home)  # compiles
        for _ in range(ROUNDS):
            starts.append(_start(home))
            if their_starts.can_run and folder is not None and node is not None:
                with _ssb(node, folder, Path(name) / f"ssb {len(starts)}", say) as ran:
                    their_starts.take(None if ran is None else ran[1])
        theirs = None
        if their_starts.can_run and folder is not None and node is not None:
            ran = stack.enter_context(_ssb(node, folder, Path(name) / "ssb", say))
            theirs = None if ran is None else ran[0]
        with daemon(home) as hub:
            linked = trio.run(_be_quiet, hub, writers, theirs, their_sizes, say)
    figures = (
        Figure(
            "idle",
            linked["resident_mb"],
            "MB resident",
            "ratio >= 1",
            their_sizes[0] if their_sizes else None,
            less_is_better=True,
        ),
        Figure(
            "idle-start",
            statistics.median(starts),
            "s to start",
            "ratio >= 1",
            statistics.median(their_starts.found) if their_starts.found else None,
            less_is_better=True,
        ),
        Figure("idle-cpu", linked["cpu"], "of a core", "figure <= 0.01"),
    )
    facts = {"peers": linked["peers"], "resident_before_links_mb": linked["before_mb"], "theirs_cpu": their_sizes[1:]}
    return Report(figures, {**facts, "starts_s": [round(one, 3) for one in starts]})


def _start(home: Home) -> float:
    with daemon(home) as started:
        return started.start_s


@contextmanager
def _ssb(node: str, folder: Path, home: Path, say: Say) -> Iterator[tuple[int, float] | None]:
    """A bare peer beside ours: (its process, seconds until it ran); None, after telling so, where it ended instead."""
    home.mkdir()
    begun = time.perf_counter()
    process = subprocess.Popen([node, str(folder / "idle.js"), str(home)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline():  # it says one line, once it runs
            yield process.pid, time.perf_counter() - begun
        else:
            say("ssb ended before it ran")
            yield None
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def _be_quiet(
    hub: Daemon, writers: Sequence[Writer], theirs: int | None, their_sizes: list[float], say: Say
) -> dict[str, float]:
    """Link the driven peers, let everything settle, and count what goes on while nothing happens."""
    arrivals: Arrivals = {}
    before_mb = hub.resident_mb
    async with trio.open_nursery() as nursery:
        for number in range(PEERS):
            eager = [writer for at, writer in enumerate(writers) if at % PEERS == number]
            await nursery.start(DrivenPeer(f"peer {number}", writers, eager, arrivals).run, Endpoint.parse(hub.listen))
        await trio.sleep(SETTLE_S)
        say(f"{len(hub.ask('peers'))} peers are linked; quiet for {QUIET_S:.0f} s")
        used, their_used = hub.cpu_s, cpu_s(theirs) if theirs is not None else 0.0
        await trio.sleep(QUIET_S)
        found = {"cpu": (hub.cpu_s - used) / QUIET_S, "resident_mb": hub.resident_mb, "before_mb": before_mb}
        if theirs is not None:
            their_sizes += [resident_mb(theirs), (cpu_s(theirs) - their_used) / QUIET_S]
        found["peers"] = len(hub.ask("peers"))
        nursery.cancel_scope.cancel()
    return found
