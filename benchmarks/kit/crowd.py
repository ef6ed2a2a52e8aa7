"""Nodes that all follow each other, in one process on loopback TCP: links as told, notices at a steady pace.

Run as a program it reads what `Crowd` says from its standard input, and prints what it measured as one line of JSON.
The nodes are the shipped driver, machine and transport over stores in memory: whom we compare with keeps nothing.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field

import trio

from benchmarks.kit import loopback, notices
from benchmarks.kit.notices import Author
from p2pblog.core import entry as entries
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, KeyPair, NodeKey, hash32
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart, Note, Payload, encode
from p2pblog.errors import Disconnected
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.events import Stored
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.machine import Gossip
from p2pblog.signals import Signal
from p2pblog.store.memory import MemoryStore
from p2pblog.transport import Link
from p2pblog.transport.tcp import TcpTransport, open_tcp

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Crowd:
    """Who is linked with whom, who publishes each notice, and how fast. `settle_s`: before anything is counted;
    `idle_s`: how long idle traffic is counted; `tail_s`: for the last notices to arrive."""

    nodes: int
    links: list[list[int]]
    publishers: list[int]
    per_s: float
    notice_bytes: int
    settle_s: float
    idle_s: float
    tail_s: float


@dataclass
class Measured:
    """`latencies_ms` has one for each notice at each node but its author's, from the moment when the notice was due: a
    process that falls behind with publishing would else be late and not seem so."""

    latencies_ms: list[float] = field(default_factory=list)
    idle_bytes_per_s: float = 0.0
    bytes: float = 0.0
    links_mean: float = 0.0
    published_s: float = 0.0
    cpu_s: float = 0.0
    resident_mb: float = 0.0


class Fenced:
    """A transport that reaches only whom the benchmark links it with: left to itself a node would make 16 links."""

    def __init__(self, transport: TcpTransport) -> None:
        self.reachable: set[Endpoint] = set()
        self.endpoint = transport.endpoint
        self.serve = transport.serve
        self._transport = transport

    async def dial(self, endpoint: Endpoint) -> Link:
        if endpoint not in self.reachable:
            raise Disconnected("beyond the fence")
        return await self._transport.dial(endpoint)


class Station:
    """One node and its author."""

    def __init__(self, number: int, transport: Fenced, node: KeyPair, crowd: Meeting) -> None:
        self.author = notices.author(f"author {number}")
        self.last: Entry | None = None
        self.transport = transport
        self.store = MemoryStore()
        self._crowd = crowd
        self._seen: set[bytes] = set()
        holdings = Holdings(self.author.hash)
        holdings.interests[self.author.hash] = None
        holdings.learn(self.author.identity)
        machine = Gossip.build(NodeKey(node.public), holdings, random.Random(number), 0)
        self.driver = Driver(machine, transport, self.store, _wall_ms, on_stored=self._on_stored)

    def follow(self, others: list[Author]) -> None:
        for other in others:
            self.driver.machine.holdings.interests[other.hash] = None

    async def write(self, payload: Payload) -> Entry:
        """As the shipped author does it: signed, stored, then passed on."""
        self.last = entries.write(self.author.device, self.last, _wall_ms(), encode(payload))
        batch = Batch(self.author.hash, (self.last,))
        (state,) = await self.store.append([batch], self.last.time_ms, durable=True)
        self.driver.feed(Stored(None, batch, state, live=True))
        return self.last

    def _on_stored(self, batch: Batch, live: bool) -> None:
        if batch.identity != self.author.hash:
            self._crowd.arrived([entry.id for entry in batch.entries if entry.id not in self._seen])
            self._seen |= {entry.id for entry in batch.entries}


class Meeting:
    """All of them, and when each notice was due."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.stations: list[Station] = []
        self.due: dict[EntryId, float] = {}
        self.arrivals: list[tuple[EntryId, float]] = []
        self.found = Measured()
        self.stored = Signal()

    def arrived(self, identifiers: list[EntryId]) -> None:
        now = time.perf_counter()
        self.arrivals += [(identifier, now) for identifier in identifiers]
        self.stored.set()

    async def run(self) -> Measured:
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            await self._open(stack, nursery)
            await self._link()
            await self._measure()
            nursery.cancel_scope.cancel()
        return self.found

    async def _open(self, stack: AsyncExitStack, nursery: trio.Nursery) -> None:
        for number in range(self.crowd.nodes):
            node = KeyPair.from_seed(hash32(b"%d" % number, b"benchmark crowd"))
            transport = await stack.enter_async_context(open_tcp(node, Endpoint.of("127.0.0.1", 0)))
            self.stations.append(Station(number, Fenced(transport), node, self))
        authors = [station.author for station in self.stations]
        for station in self.stations:
            station.follow(authors)
            await nursery.start(station.driver.run)
            await station.write(LogStart(station.author.hash))

    async def _link(self) -> None:
        """Everybody linked, and everybody's first entry everywhere."""
        for one, other in self.crowd.links:
            there = self.stations[other].transport.endpoint
            self.stations[one].transport.reachable.add(there)
            await self.stations[one].driver.connect(there)
        with trio.fail_after(READY_TIMEOUT_S):
            while not all(len(station.driver.machine.holdings.logs) == self.crowd.nodes for station in self.stations):
                await self.stored.wait()

    async def _measure(self) -> None:
        await trio.sleep(self.crowd.settle_s)
        begun, bytes_before = time.perf_counter(), loopback.sent_bytes()
        await trio.sleep(self.crowd.idle_s)
        idle = (loopback.sent_bytes() - bytes_before) / (time.perf_counter() - begun)
        begun, bytes_before, cpu_before = time.perf_counter(), loopback.sent_bytes(), time.process_time()
        started = trio.current_time()
        for number, publisher in enumerate(self.crowd.publishers):
            await trio.sleep_until(started + number / self.crowd.per_s)
            said = Note(f"{number} ".ljust(self.crowd.notice_bytes, "x"))
            self.due[(await self.stations[publisher].write(said)).id] = begun + number / self.crowd.per_s
        self.found.published_s = time.perf_counter() - begun
        await trio.sleep(self.crowd.tail_s)
        self.found.latencies_ms = [1000 * (at - self.due[of]) for of, at in self.arrivals if of in self.due]
        self.found.idle_bytes_per_s = idle
        self.found.bytes = loopback.sent_bytes() - bytes_before - idle * (time.perf_counter() - begun)
        self.found.cpu_s = time.process_time() - cpu_before
        self.found.links_mean = sum(len(station.driver.lanes) for station in self.stations) / len(self.stations)
        self.found.resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    print(json.dumps(asdict(trio.run(Meeting(Crowd(**json.load(sys.stdin))).run))))
