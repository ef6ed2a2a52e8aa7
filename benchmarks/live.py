"""Live notices: a daemon with 50 driven peers that follow 200 authors, 200 notices a second in all; post to shown.

A notice is posted by a driven peer; the daemon checks it, stores it, pushes it to those for whom it is eager, announces
it to the others and shows it in the live timeline of a client. As by the rules, a peer with EAGER_LINKS links has its
eager peer for one log in so many on each. The star is harder than any network: the daemon is everybody's only link.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from benchmarks.kit.daemons import Daemon, daemon
from benchmarks.kit.driven import Arrivals, DrivenPeer, Writer
from benchmarks.kit.homes import logs_of, make_home
from benchmarks.kit.notices import author, write_log
from benchmarks.kit.report import Figure, Report, Say, quantile
from p2pblog.control import client
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry

PEERS = 50
AUTHORS = 200
EAGER_LINKS = 8
"""Links over which a large feed is followed (DESIGN, 5): the daemon is one of them."""
RATE = 200
"""Notices a second in all."""
WARM_S = 5.0
"""The first notices of each log grow its tree; they are posted and not measured."""
MEASURED_S = 20.0
SETTLE_S = 3.0
"""For what is on its way when the posting ends."""
GROWTH_MAX = 1.5
"""The last third's median over the first's: beyond it something queues."""


class Watcher(threading.Thread):
    """A client that shows the live timeline: when each notice's line came."""

    def __init__(self, of: Daemon) -> None:
        super().__init__(daemon=True)
        self.shown: dict[str, float] = {}
        self.listening = threading.Event()
        self._home = of.home

    def run(self) -> None:
        with client.watch(self._home) as notices:
            self.listening.set()
            try:
                for notice in notices:
                    self.shown[notice["id"]] = time.perf_counter()
            except Exception:  # the daemon stops: all was shown that will be
                return


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of one way to follow: (entry, when) of what was posted, when each was shown, when it came to peers."""

    posted: list[tuple[Entry, float]]
    shown: dict[str, float]
    arrivals: Arrivals
    pushes: int
    daemon_cores: float
    resident_mb: float

    @property
    def waits_ms(self) -> list[float]:
        """From post to shown."""
        return [1000 * (self.shown[entry.id.hex()] - at) for entry, at in self.posted if entry.id.hex() in self.shown]

    @property
    def trips_ms(self) -> list[float]:
        """From post to each peer for whom the daemon was eager."""
        found = ((at, self.arrivals.get((entry.device, entry.seq), [])) for entry, at in self.posted)
        return [1000 * (came - at) for at, all_ in found for came in all_]


def measure(say: Say) -> Report:
    meshed, star = _live(EAGER_LINKS, say), _live(1, say)
    waits, trips = meshed.waits_ms, meshed.trips_ms
    third = len(waits) // 3
    growth = statistics.median(waits[-third:]) / statistics.median(waits[:third])
    return Report(
        (
            Figure("live", quantile(waits, 0.5), "ms to shown, p50", "figure <= 10"),
            Figure("live-p99", quantile(waits, 0.99), "ms to shown, p99", "figure <= 50"),
            Figure("live-shown", len(waits) / len(meshed.posted), "of all notices", "figure >= 1"),
            Figure("live-growth", growth, "last third's median over the first's", f"figure <= {GROWTH_MAX}"),
            Figure("live-pushed", len(trips) / meshed.pushes, "of all pushes", "figure >= 1"),
            Figure("live-peers", quantile(trips, 0.5), "ms to the peers, p50"),
            Figure("live-peers-p99", quantile(trips, 0.99), "ms to the peers, p99"),
            Figure("live-star", quantile(star.waits_ms, 0.5), "ms to shown in a star, p50"),
            Figure("live-star-pushed", len(star.trips_ms) / star.pushes, "of all pushes", "figure >= 1"),
        ),
        {
            "daemon_cores": round(meshed.daemon_cores, 2),
            "star_daemon_cores": round(star.daemon_cores, 2),
            "pushes_per_s": round(meshed.pushes / MEASURED_S),
            "star_pushes_per_s": round(star.pushes / MEASURED_S),
            "resident_mb": round(meshed.resident_mb, 1),
            "star_p99_ms": round(quantile(star.waits_ms, 0.99), 1),
        },
    )


def _live(eager_links: int, say: Say) -> Lived:
    authors = [author(f"author {number}") for number in range(AUTHORS)]
    writers = [Writer(each, write_log(each, 0)) for each in authors]
    with tempfile.TemporaryDirectory(prefix="p2pblog-live-") as name:
        home = make_home(Path(name) / "home", authors, logs_of(authors, 0))
        with daemon(home) as hub:
            watcher = Watcher(hub)
            watcher.start()
            watcher.listening.wait(30)
            try:
                return trio.run(_drive, hub, writers, eager_links, watcher, say)
            except BaseException:
                say((home.folder / "log").read_text()[-2_000:])
                raise


async def _drive(hub: Daemon, writers: Sequence[Writer], eager_links: int, watcher: Watcher, say: Say) -> Lived:
    arrivals: Arrivals = {}
    peers = []
    for number in range(PEERS):
        others = [writer for at, writer in enumerate(writers) if at % PEERS != number]
        eager = [writer for at, writer in enumerate(others) if (at + number) % eager_links == 0]
        peers.append(DrivenPeer(f"peer {number}", writers, eager, arrivals))
    async with trio.open_nursery() as nursery:
        for peer in peers:
            await nursery.start(peer.run, Endpoint.parse(hub.listen))
        for peer in peers:
            with trio.fail_after(30):
                await peer.answered.wait()
        say(f"{len(hub.ask('peers'))} peers are linked; the daemon is eager for one log in {eager_links}")
        await _post(peers, writers, WARM_S)
        await trio.sleep(SETTLE_S)
        arrivals.clear()
        used = hub.cpu_s
        posted = await _post(peers, writers, MEASURED_S)
        cores = (hub.cpu_s - used) / MEASURED_S
        await trio.sleep(SETTLE_S)
        eager_of = Counter(writer.last.device for peer in peers for writer in peer.eager)
        nursery.cancel_scope.cancel()
    pushes = sum(eager_of[entry.device] for entry, _at in posted)
    return Lived(posted, watcher.shown, arrivals, pushes, cores, hub.resident_mb)


async def _post(peers: Sequence[DrivenPeer], writers: Sequence[Writer], seconds: float) -> list[tuple[Entry, float]]:
    """Post by the clock, author by author, each through a peer of its own; (entry, when) of each."""
    posted: list[tuple[Entry, float]] = []
    begun = trio.current_time()
    for number in range(int(seconds * RATE)):
        await trio.sleep_until(begun + number / RATE)
        at = number % len(writers)
        now = time.perf_counter()
        entry = writers[at].write(f"notice {number} of this run, as people say things in passing")
        await peers[at % len(peers)].post(entry)
        posted.append((entry, now))
    return posted
