"""A simulated world: its nodes, what is done to them by the scenario, and what is watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2pblog.core import payload as payloads
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart, Note
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Candidates, ClocksHeard, LinksLost, OwnLogElsewhere, Stored
from p2pblog.gossip.messages import Message
from p2pblog.sim.chance import generator
from p2pblog.sim.graph import follows_of, writing_times
from p2pblog.sim.loop import SECOND_US, VirtualLoop, done
from p2pblog.sim.measure import Meter
from p2pblog.sim.network import PORT, Network
from p2pblog.sim.node import SimNode
from p2pblog.sim.people import person
from p2pblog.sim.scenario import Scenario
from p2pblog.sim.watch import Watcher
from p2pblog.store import Follow

BEGUN_MS = 1_700_000_000_000
"""The wall clock at virtual time zero: any moment does, so long as it is always the same."""


class World:
    """One run. `nodes[i]` is the node of person i; the first ones write."""

    def __init__(self, scenario: Scenario, nodes: int, seed: int, watchers: Iterable[Watcher] = ()) -> None:
        self.scenario = scenario
        self.seed = seed
        self.loop = VirtualLoop(lambda protocol, endpoint: self.network.open_socket(protocol, endpoint))  # type: ignore[abstract]
        self.network = Network(self.loop, seed, scenario.network)
        self.meter = Meter()
        self.watchers = list(watchers)
        self.violations: list[str] = []
        self.last: dict[DeviceKey, Entry] = {}
        """The newest entry of each honest log, as its author wrote it."""
        self.owner: dict[DeviceKey, int] = {}
        self.follows = follows_of(scenario.follows, nodes, generator(seed, "follows"))
        self.followers: list[set[int]] = [set() for _ in range(nodes)]
        self.byzantine: set[int] = set()
        self.online_us = 0
        """Microseconds that nodes were on line, all together, of those that have halted."""
        self._links = 0
        self.nodes = [SimNode(self, person(seed, number)) for number in range(nodes)]
        self._numbers = {bytes(node.person.node_key): node.number for node in self.nodes}
        for node, followed in enumerate(self.follows):
            for author in followed:
                self.followers[author].add(node)
        unreachable = int(nodes * scenario.network.unreachable)
        able = range(self._authors, nodes)
        hidden = generator(seed, "routers").sample(able, min(unreachable, len(able)))
        self.network.behind_router.update(hidden)
        self._prepare()

    @property
    def _authors(self) -> int:
        return min(self.scenario.posts.authors, len(self.nodes)) if self.scenario.posts.authors else 0

    def has(self, endpoint: Endpoint) -> bool:
        return endpoint.port == PORT and 0 <= self.network.node_at(endpoint) < len(self.nodes)

    def next_link(self) -> int:
        self._links += 1
        return self._links

    def wall_ms(self) -> int:
        return BEGUN_MS + self.loop.now_us // 1_000

    # --- before it begins ---

    def _prepare(self) -> None:
        """Every home is made: its identity, the first entry of its log, and whom it follows."""
        for node in self.nodes:
            who = node.person
            done(node.store.put_identity(who.identity))
            self.owner[who.log] = node.number
            self._append(node, payloads.encode(LogStart(who.hash)))
            for author in self.follows[node.number]:
                done(node.store.put_follow(Follow(self.nodes[author].person.hash)))

    def _append(self, node: SimNode, payload: bytes) -> tuple[Batch, Stored]:
        device = node.person.log
        entry = write(node.person.device, self.last.get(device), node.wall_ms(), payload)
        batch = Batch(node.person.hash, (entry,), newest=True)
        (state,) = done(node.store.append([batch], node.wall_ms(), durable=True))
        self.last[device] = entry
        for watcher in self.watchers:
            watcher.on_written(self, node, entry)
        return batch, Stored(None, batch, state, live=True)

    # --- what persons do ---

    def post(self, author: int, number: int = 0) -> None:
        """The author writes a notice, if the node is up."""
        node = self.nodes[author]
        if not node.is_up:
            return
        text = f"{author} {number} ".ljust(self.scenario.posts.characters, "x")
        is_first = self.last[node.person.log].seq == 1
        batch, stored = self._append(node, payloads.encode(Note(text)))
        entry = batch.entries[0]
        self.meter.on_written(entry.device, entry.seq, author, self.loop.now_us, is_first)
        for watcher in self.watchers:
            watcher.on_stored(self, node, stored)
        node.feed(stored)

    def introduce(self, number: int) -> None:
        """A node hears of some others, as it would have remembered or found them."""
        node, start = self.nodes[number], self.scenario.start
        chance = generator(self.seed, "introduced", number, node.booted_us)
        others = min(start.known, len(self.nodes) - 1)
        known = [other for other in chance.sample(range(len(self.nodes)), others + 1) if other != number][:others]
        reachable = [other for other in known if other not in self.network.behind_router]
        if reachable:
            node.feed(Candidates(tuple(self.nodes[other].endpoint for other in reachable)))
        for author in self.follows[number]:
            holders = self.holders(author, number, start.holders)
            if holders:
                places = tuple(self.nodes[other].endpoint for other in holders)
                node.feed(Candidates(places, self.nodes[author].person.hash))

    def holders(self, author: int, asker: int, count: int) -> list[int]:
        """Some who are on line, can be dialed and have the feed: what the DHT would say."""
        chance = generator(self.seed, "holders", author, asker, self.loop.now_us)
        able = [
            other
            for other in sorted({author, *self.followers[author]} - {asker})
            if self.nodes[other].is_up and other not in self.network.behind_router
        ]
        return chance.sample(able, min(count, len(able)))

    # --- running ---

    def begin(self) -> None:
        """Everybody starts, and all that is written is planned."""
        scenario, chance = self.scenario, generator(self.seed, "start")
        for node in self.nodes:
            self.loop.at(int(scenario.start.within_s * SECOND_US * chance.random()), node.boot)
        begun_us = int(scenario.start.within_s * SECOND_US)
        for node in self.nodes:
            self.loop.at(begun_us, self.introduce, node.number)
        counts: dict[int, int] = {}
        for at_us, author in writing_times(scenario.posts, len(self.nodes), generator(self.seed, "posts")):
            counts[author] = counts.get(author, 0) + 1
            self.loop.at(at_us, self.post, author, counts[author])

    def run(self, tick: Callable[[float], None] = lambda share: None) -> None:
        """The whole scenario. `tick` hears the share that is done."""
        self.begin()
        end_us = int((self.scenario.duration_s + self.scenario.settle_s) * SECOND_US)
        steps = 100
        for step in range(1, steps + 1):
            self.loop.run_until(end_us * step // steps)
            for watcher in self.watchers:
                watcher.on_tick(self)
            tick(step / steps)
        for watcher in self.watchers:
            watcher.on_end(self)

    # --- what nodes tell ---

    def on_sent(self, sender: SimNode, receiver: SimNode, message: Message, size: int) -> None:
        self.meter.on_sent(message, size)
        for watcher in self.watchers:
            watcher.on_sent(self, sender, receiver, message)

    def on_message(self, node: SimNode, sender: SimNode, message: Message, data: bytes) -> None:
        meter = self.meter
        meter.on_message(self.loop.now_us, sender.number, node.number, data)
        for notice in meter.copies_of(message):
            if node.number in self.followers[notice.author]:
                notice.copies += 1
            else:
                notice.relayed += 1

    def on_stored(self, node: SimNode, stored: Stored) -> None:
        batch = stored.batch
        source = self.number_of(stored.source) if stored.source is not None else None
        for entry in batch.entries:
            notice = self.meter.notices.get((entry.device, entry.seq))
            if notice is None:
                continue
            if node.number in self.followers[notice.author]:
                self.meter.on_stored(notice, node.number, source, self.loop.now_us, node.booted_us)
            else:
                notice.hops.setdefault(node.number, notice.hops.get(source, 0) + 1 if source is not None else 1)
        for watcher in self.watchers:
            watcher.on_stored(self, node, stored)

    def number_of(self, key: bytes) -> int:
        return self._numbers[key]

    def on_closed(self, node: SimNode, other: SimNode, error: RemoteProtocolError | None) -> None:
        for watcher in self.watchers:
            watcher.on_closed(self, node, other, error)

    def on_effect(self, node: SimNode, effect: ClocksHeard | LinksLost | OwnLogElsewhere) -> None:
        """What the machine tells the author's pen."""

    def fail(self, what: str) -> None:
        """Something happened that must never happen."""
        self.violations.append(what)
