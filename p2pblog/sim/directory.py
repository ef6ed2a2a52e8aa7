"""A world of DHT nodes: the shipped server a thousand times over, records in it, and then what goes wrong.

Every node joins as in life, through earlier ones. Then records are published by the shipped code: an older version of
each everywhere, a newer one at a share of its holders, as after a publish that half of the holders missed. Then nodes
fall silent, and others look each record up once. A look-up succeeds if it gives the newest version that a living
honest node was given; records of which no such copy exists don't count, except where ids collude to push them out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from p2pblog.core.address import Endpoint
from p2pblog.core.identity import Identity, state_device
from p2pblog.core.keys import EntryId, KeyPair, hash32
from p2pblog.core.value import Value
from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import Answered, Effect, Event, Find, Publish
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import DhtKey, Head, encode, sign_head
from p2pblog.dht.server import GuardedServer, Tell
from p2pblog.dht.shelf import Outcome
from p2pblog.dht.table import ProvenNode
from p2pblog.errors import UsageError
from p2pblog.sim.chance import generator
from p2pblog.sim.checkers.servers import server_sizes, too_full, unproven
from p2pblog.sim.liars import HABITS, Conspiracy, LyingServer, beside, mint
from p2pblog.sim.library import replaced
from p2pblog.sim.loop import SECOND_US, VirtualLoop
from p2pblog.sim.measure import quantile
from p2pblog.sim.network import Network, Socket, Weather
from p2pblog.sim.tables import Count, Positive, Ratio, Table, fill

EPOCH_MS = 1_800_000_000_000
"""What the nodes' wall clocks show at the beginning: 15 January 2027."""
JOIN_EVERY_US = 200_000
"""A thousand nodes join within 200 s, and nobody's ten-minute upkeep falls due before the look-ups."""
JOIN_SETTLE_US = 60 * SECOND_US
"""From the last join to the first publish: whoever lost all datagrams of its first try had another after 30 s."""
BOOTSTRAPS = 3
"""Earlier nodes through which one joins."""
START_EVERY_US = 50_000
"""Look-ups and publishes begin so far apart: a few are under way at a time."""
WORK_LIMIT_US = 60 * SECOND_US
"""No look-up or publish takes so long: their own time-outs are 10 s."""
SLICE_US = 100_000
"""How often it is looked whether all are done."""
HOLDERS_WANTED = 8
"""Acknowledgements after which a publish is safe."""
LIFETIME_MS = 7 * 24 * 3600 * 1000
MINTED_PER_NODE = 100
"""Keys that an attacker makes for each node there is: his 20 nearest lie five times as near as the nearest node."""


class DhtPlan(Table):
    """What is done to a world of DHT nodes. Shares from 0 to 1."""

    lookups: Count = 400
    """Records published, each looked up by one node."""
    publishes: Count = 0
    """Records published after the nodes have fallen silent, to measure that."""
    stale: Ratio = 0.5
    """Share of the holders that miss the newer version."""
    dead: Ratio = 0.0
    """Share of the nodes that fall silent at once, after the records were published."""
    liars: Ratio = 0.0
    """Share of the nodes that lie, each in one of several ways, from before the publish on."""
    colluders: Count = 0
    """Ids beside each key that everybody knows before the publish, and that name only each other."""
    one_block: Ratio = 0.0
    """Share of the nodes that live in one /24."""
    finders: Positive = 1
    """Nodes that look up each record, at the same time."""

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> DhtPlan:
        """From the `[dht]` table of a scenario. Raises UsageError, with a sentence that says what is wrong."""
        plan = fill(cls, table, "[dht]")
        if plan.lookups + plan.publishes == 0:
            raise UsageError("[dht] asks for no look-up and no publish")
        if plan.colluders and (plan.dead or plan.publishes or not plan.lookups):
            raise UsageError("[dht]: among colluders there are look-ups alone: no dead, no publishes")
        return plan


@dataclass(slots=True)
class DhtOutcome:
    """What came of it. Times in ms; a publish that 8 holders never acknowledged counts with its whole time-out."""

    lookup_ms: list[int] = field(default_factory=list)
    found: int = 0
    hops: list[int] = field(default_factory=list)
    acked_ms: list[int] = field(default_factory=list)
    publish_ms: list[int] = field(default_factory=list)
    holders: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    online_us: int = 0
    """How long nodes were there, all together."""
    datagrams: int = 0
    virtual_s: float = 0.0
    trace_hash: str = ""
    misses: list[str] = field(default_factory=list)
    """Why look-ups failed: "old" where an older version came back, "none" where nothing did."""

    @property
    def json(self) -> dict[str, int | float]:
        """The `dht` part of a run's result."""
        looked = len(self.lookup_ms)
        said: dict[str, int | float] = {
            "lookups": looked,
            "success_ratio": round(self.found / looked, 5) if looked else 1.0,
            "p50_ms": quantile(self.lookup_ms, 0.50),
            "p99_ms": quantile(self.lookup_ms, 0.99),
            "hops_p50": quantile(self.hops, 0.50),
        }
        if self.acked_ms:
            said |= {
                "publishes": len(self.acked_ms),
                "acked_p50_ms": quantile(self.acked_ms, 0.50),
                "acked_p99_ms": quantile(self.acked_ms, 0.99),
                "publish_p99_ms": quantile(self.publish_ms, 0.99),
                "holders_p50": quantile(self.holders, 0.50),
            }
        return said


def run_dht(seed: int, nodes: int, weather: Weather, plan: DhtPlan, tick: Callable[[float], None]) -> DhtOutcome:
    """Build the world, let it happen, and say what came of it. `tick` is given the share that is done."""
    if round(nodes * max(plan.liars, plan.dead)) >= nodes:
        raise UsageError(f"[dht]: of {nodes} nodes no honest one stays alive")
    world = World(seed, nodes, weather, plan, tick)
    with replaced(world.loop.time, generator(seed, "library")):
        world.join()
        if plan.colluders:
            world.look_up_among_colluders()
        else:
            subjects = world.publish_versions(plan.lookups)
            world.fall_silent()
            world.look_up(subjects)
            world.publish_measured()
    world.close()
    tick(1.0)
    return world.outcome


# --- what is published ------------------------------------------------------------------------------------------------


class Subject(Value):
    """Somebody's head in two versions."""

    key: DhtKey
    old: Head
    new: Head


def subject(seed: int, number: int) -> Subject:
    """The heads of person `number`, as the person's device signs them."""
    root, later, device = (
        KeyPair.from_seed(hash32(f"{seed} {number} {label}".encode(), b"p2pblog sim"))
        for label in ("root", "later", "device")
    )
    known = Identity.begin(root, later.public)
    known = known.merge([state_device(root, device, known.hash, 0, 0)])
    entry, expires_ms = EntryId(hash32(device.public, b"p2pblog sim")), EPOCH_MS + LIFETIME_MS
    old, new = (sign_head(known, device, counter, counter, entry, expires_ms) for counter in (1, 2))
    assert old is not None and new is not None
    return Subject(old.key, old, new)


# --- the world --------------------------------------------------------------------------------------------------------


class TracedNetwork(Network):
    """A network that keeps a hash of every datagram that arrives: when, from where, to where, and its bytes."""

    def __init__(self, loop: VirtualLoop, seed: int, weather: Weather) -> None:
        super().__init__(loop, seed, weather)
        self.trace = hashlib.blake2b(digest_size=16, person=b"p2pblog sim")

    def _arrive(self, source: Endpoint, to: Endpoint, data: bytes) -> None:
        self.trace.update(f"{self.loop.now_us} {source.host} {to.host} {len(data)} ".encode())
        self.trace.update(data)
        super()._arrive(source, to, data)


class Watched:
    """A look-up machine with a watch: it passes events on and notes what was reached, and when."""

    def __init__(self, machine: Find | Publish) -> None:
        self.machine = machine
        self.acked_at: float | None = None
        """When HOLDERS_WANTED nodes had said that they hold the first record."""
        self.hops: int | None = None
        """How far the first node lay that gave a record: 1 for a contact of our own, 2 for one that it named…"""
        self._distances: dict[Contact, int] = {}

    def handle(self, event: Event, now: float) -> list[Effect]:
        effects = self.machine.handle(event, now)
        if isinstance(event, Answered):
            distance = self._distances.get(event.contact, 1)
            if event.records and self.hops is None:
                self.hops = distance
            for named in event.contacts:
                self._distances.setdefault(named, distance + 1)
        if self.acked_at is None and isinstance(self.machine, Publish):
            self.acked_at = now if self.machine.holders(0) >= HOLDERS_WANTED else None
        return effects


class WatchedServer(GuardedServer):
    """The shipped server, whose look-ups can be watched."""

    watched: dict[bytes, Watched]

    async def _drive(
        self, machine: Any, key: DhtKey | None, stores: Sequence[Any] = (), early: Tell | None = None
    ) -> None:
        watched = self.watched[machine.walk.target] = Watched(machine)
        await super()._drive(watched, key, stores, early)  # type: ignore[arg-type]


class World:
    """N servers, the network between them, and the hand that strikes them."""

    def __init__(self, seed: int, nodes: int, weather: Weather, plan: DhtPlan, tick: Callable[[float], None]) -> None:
        self.seed, self.nodes, self.plan = seed, nodes, plan
        self.outcome = DhtOutcome()
        self.loop = VirtualLoop(self._open_socket)  # type: ignore[abstract]  # asyncio asks for what no node uses
        self.network = TracedNetwork(self.loop, seed, weather)
        self.servers: list[WatchedServer | LyingServer] = []
        self.living: list[int] = []
        """Numbers of the honest nodes that still answer."""
        self._given: dict[DhtKey, set[int]] = {}
        """Who was given the newer version of a record."""
        self._tick = tick
        self._turn = 0
        self.parameters = Parameters()
        self._chance = generator(seed, "directory")
        self.network.huddle(generator(seed, "block").sample(range(nodes), round(nodes * plan.one_block)))
        self._conspiracy = Conspiracy(generator(seed, "conspiracy"))

    def clock(self) -> int:
        """Every node's wall clock, in ms since 1970."""
        return EPOCH_MS + self.loop.now_us // 1_000

    def _open_socket(self, protocol: Any, endpoint: Endpoint) -> Socket:
        return self.network.open_socket(protocol, endpoint)

    # --- joining ---

    def join(self) -> None:
        """All join, one after the other, through earlier ones."""
        lying = set(self._chance.sample(range(self.nodes), round(self.nodes * self.plan.liars)))
        habits = 0
        for number in range(self.nodes):
            server = self._open(number, number in lying)
            if isinstance(server, LyingServer):
                server.conspire(self._conspiracy, HABITS[habits % len(HABITS)], self.network.place_of(number))
                habits += 1
            else:
                self.living.append(number)
            self.servers.append(server)
            if number:
                known = self._chance.sample(range(number), min(number, BOOTSTRAPS))
                self.loop.create_task(server.add_contacts([self.network.place_of(other) for other in known]))
            self.loop.run_until(self.loop.now_us + JOIN_EVERY_US)
            self._tick(0.5 * number / self.nodes)
        self.loop.run_until(self.loop.now_us + JOIN_SETTLE_US)
        self._conspiracy.begun = True

    def _open(self, number: int, lies: bool, pair: KeyPair | None = None) -> GuardedServer:
        pair = pair or KeyPair.from_seed(hash32(f"{self.seed} {number}".encode(), b"p2pblog sim"))
        made = LyingServer if lies else WatchedServer

        async def open_it() -> GuardedServer:
            rng = generator(self.seed, "node", number)
            server = made(pair, self.clock, rng, False, False, self.parameters, None)
            server.watched = {}
            place = self.network.place_of(number)
            await server.listen(place.port, place.host)
            server.start_upkeep()
            return server

        return self.loop.run_task(open_it(), SECOND_US)

    # --- what happens ---

    def publish_versions(self, count: int) -> list[Subject]:
        """Each record's older version everywhere, by the shipped publish; the newer at a share of the holders."""
        subjects = [subject(self.seed, number) for number in range(count)]
        for item in subjects:
            self._conspiracy.versions[item.key] = [encode(item.old), encode(item.new)]
        self._run_all(
            [partial(self.servers[self._chance.choice(self.living)].publish, [item.old]) for item in subjects], 0.5, 0.2
        )
        for item in subjects:
            self._renew(item)
        return subjects

    def _renew(self, item: Subject) -> None:
        holders = self._holders(item)
        given = self._chance.sample(holders, round(len(holders) * (1 - self.plan.stale)))
        self._given[item.key] = set(given)
        for number in given:
            said = self.servers[number].protocol.storage.put(item.key, encode(item.new), self.network.place_of(0))
            if said is not Outcome.HELD:
                self.outcome.violations.append(
                    f"node {number} did not take the newer record of {item.key.hex()}: {said.value}"
                )

    def _holders(self, item: Subject) -> list[int]:
        """Living honest nodes with any version."""
        return [number for number in self.living if self.servers[number].protocol.storage.held(item.key)]

    def fall_silent(self) -> None:
        """A share of all nodes is gone at once, without a word."""
        for number in sorted(self._chance.sample(range(self.nodes), round(self.nodes * self.plan.dead))):
            self.loop.run_task(self.servers[number].aclose(), SECOND_US)
            if number in self.living:
                self.living.remove(number)
        if not self.living:
            raise UsageError("[dht]: no honest node stays alive")

    def look_up(self, subjects: Sequence[Subject]) -> None:
        """Each record by one living node, or by several at the same time."""
        works = []
        for item in subjects:
            newest = self._newest(item)
            if newest is None and not self.plan.colluders:
                continue
            finders = self._chance.sample(self.living, min(len(self.living), self.plan.finders))
            works += [partial(self._look_up, item, newest or item.new, self.servers[number]) for number in finders]
        self._run_all(works, 0.7, 0.3 if not self.plan.publishes else 0.0)

    def _newest(self, item: Subject) -> Head | None:
        """The newest version that a living honest node was given, and so has to hold."""
        if self._given[item.key].intersection(self.living):
            return item.new
        return item.old if self._holders(item) else None

    async def _look_up(self, item: Subject, wanted: Head, server: WatchedServer) -> None:
        began_us = self.loop.now_us
        found = await server.find(item.key, timeout_s=10.0)
        outcome = self.outcome
        outcome.lookup_ms.append((self.loop.now_us - began_us) // 1_000)
        hops = server.watched.pop(item.key).hops
        if hops is not None:
            outcome.hops.append(hops)
        if found in ([wanted], [item.new]):
            outcome.found += 1
        else:
            outcome.misses.append("old" if found else "none")
        for record in found:
            if encode(record) not in (encode(item.old), encode(item.new)):
                outcome.violations.append(f"a forged record of {item.key.hex()} was accepted")

    def publish_measured(self) -> None:
        """Records of their own, published by living nodes while the others are silent."""
        first = self.plan.lookups
        works = [
            partial(self._publish, subject(self.seed, number), self.servers[self._chance.choice(self.living)])
            for number in range(first, first + self.plan.publishes)
        ]
        self._run_all(works, 0.7, 0.3)

    async def _publish(self, item: Subject, server: WatchedServer) -> None:
        began_us = self.loop.now_us
        [published] = await server.publish([item.new])
        took_ms = (self.loop.now_us - began_us) // 1_000
        acked_at = server.watched.pop(item.key).acked_at
        self.outcome.publish_ms.append(took_ms)
        self.outcome.holders.append(published.holders)
        self.outcome.acked_ms.append(10_000 if acked_at is None else round(acked_at * 1_000) - began_us // 1_000)

    # --- colluding ids ---

    def look_up_among_colluders(self) -> None:
        """One record after the other: ids are minted beside its key and known to everybody before it is published."""
        minted = mint(generator(self.seed, "mint"), MINTED_PER_NODE * self.nodes)
        for number in range(self.plan.lookups):
            item = subject(self.seed, number)
            self._conspiracy.versions[item.key] = [encode(item.old), encode(item.new)]
            self._conspiracy.members.clear()
            first = self.nodes + number * self.plan.colluders
            crowd = [
                self._open(first + index, True, pair)
                for index, pair in enumerate(beside(minted, item.key, self.plan.colluders))
            ]
            self._introduce(crowd, first)
            self._run_all([partial(self.servers[self._chance.choice(self.living)].publish, [item.old])], 0.0, 0.0)
            self._renew(item)
            self.look_up([item])
            self._forget(crowd)
            self._tick(0.5 + 0.5 * number / self.plan.lookups)

    def _introduce(self, crowd: Sequence[GuardedServer], first: int) -> None:
        """Everybody knows them, beside all whom he knew: more than a k-bucket takes, in the attackers' favour."""
        for index, server in enumerate(crowd):
            assert isinstance(server, LyingServer)
            server.conspire(self._conspiracy, "collude", self.network.place_of(first + index))
        for number in self.living:
            router = self.servers[number].protocol.router
            for contact in self._conspiracy.members:
                node = ProvenNode(contact)
                bucket = router.buckets[router.get_bucket_for(node)]
                bucket.nodes[contact.id] = node
                bucket.nodes.move_to_end(contact.id, last=False)
            router._count()

    def _forget(self, crowd: Sequence[GuardedServer]) -> None:
        for server in crowd:
            self.loop.run_task(server.aclose(), SECOND_US)
        for number in self.living:
            router = self.servers[number].protocol.router
            for contact in self._conspiracy.members:
                for bucket in router.buckets:
                    bucket.nodes.pop(contact.id, None)
                    bucket.replacement_nodes.pop(contact.id, None)
            router._count()

    # --- running ---

    def _run_all(self, works: Sequence[Callable[[], Coroutine[Any, Any, Any]]], share: float, part: float) -> None:
        """Begin them one after the other and let time pass until all are over."""
        tasks: list[Any] = []

        def begin(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
            tasks.append(self.loop.create_task(work()))

        for number, work in enumerate(works):
            self.loop.at(self.loop.now_us + number * START_EVERY_US, begin, work)
        end_us = self.loop.now_us + len(works) * START_EVERY_US + WORK_LIMIT_US
        while len(tasks) < len(works) or not all(task.done() for task in tasks):
            assert self.loop.now_us < end_us, "a look-up without an end"
            self.loop.run_until(self.loop.now_us + SLICE_US)
            self._look_at_one()
            if part:
                self._tick(share + part * len(tasks) / len(works))
        for task in tasks:
            task.result()

    def _look_at_one(self) -> None:
        """One living node after the other: whether its tables are within their limits."""
        if self.plan.colluders:
            return  # more of them are put in a bucket than it takes
        number = self.living[self._turn % len(self.living)]
        self._turn += 1
        for said in too_full(server_sizes(self.servers[number])):
            self.outcome.violations.append(f"node {number} holds {said}")

    def close(self) -> None:
        """Look at what everybody holds, note the totals, and let everybody go."""
        outcome = self.outcome
        for number in self.living:
            server = self.servers[number]
            for said in [*too_full(server_sizes(server)), *unproven(server, self.clock())]:
                outcome.violations.append(f"node {number} holds {said}")
        outcome.virtual_s = self.loop.now
        outcome.bytes_sent = sum(self.network.bytes_sent.values())
        outcome.online_us = self.network.sockets_us
        outcome.datagrams = self.network.datagrams
        outcome.trace_hash = self.network.trace.hexdigest()
        for server in self.servers:
            if not server.protocol.closed:
                self.loop.run_task(server.aclose(), SECOND_US)
