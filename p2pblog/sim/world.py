"""A simulated world: its nodes, what is done to them by the scenario, and what is watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from p2pblog.core import payload as payloads
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, write
from p2pblog.core.identity import Identity, Standing
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart, Note
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Candidates, Stored
from p2pblog.gossip.messages import Message
from p2pblog.rendezvous.events import LinksLost
from p2pblog.rendezvous.searching import LOST_AGAIN_S, SEARCH_FIRST_S, SEARCH_MAX_S
from p2pblog.sim.byzantine import check_behaviours, draw_behaviours
from p2pblog.sim.byzantine.node import LyingNode
from p2pblog.sim.chance import generator
from p2pblog.sim.churn import plan_churn, read_trace
from p2pblog.sim.faults import faults_of
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.graph import doings, follows_of, writing_times
from p2pblog.sim.links import Lane
from p2pblog.sim.loop import SECOND_US, VirtualLoop, done
from p2pblog.sim.measure import Meter
from p2pblog.sim.network import PORT, Network
from p2pblog.sim.node import SimNode
from p2pblog.sim.people import Person, person, restored
from p2pblog.sim.scenario import Byzantine, Doing, Scenario
from p2pblog.sim.sessions import Disk, End
from p2pblog.sim.watch import LAST_S, TICKS, Watcher
from p2pblog.store import OWN_IDENTITY, Contents, Follow

if TYPE_CHECKING:
    from p2pblog.sim.hand import Hand

BEGUN_MS = 1_700_000_000_000
"""The wall clock at virtual time zero: any moment does, so long as it is always the same."""


HOLDERS_READ = 61
"""Records of holders among which the DHT finds some: 64 with the three that are used."""
LOOK_UP_US = 300_000
"""How long a look-up in the DHT takes (aim: p50 under 0.28 s)."""
VIOLATIONS_MAX = 100
"""Sentences kept of one run: the first ones tell what broke."""


class World:
    """One run. `nodes[i]` is the node of person i; the first ones write."""

    def __init__(self, scenario: Scenario, nodes: int, seed: int, watchers: Iterable[Watcher] = ()) -> None:
        self.scenario = scenario
        self.seed = seed
        self.faults = faults_of(scenario)
        self.drawn: list[tuple[Fault, Fault]] = []
        """What faults of any kind became: (the one of the scenario, one that was drawn for it)."""
        check_behaviours(scenario.byzantine)
        self.loop = VirtualLoop(lambda protocol, endpoint: self.network.open_socket(protocol, endpoint))  # type: ignore[abstract]
        self.network = Network(self.loop, seed, scenario.network)
        self.meter = Meter()
        self.watchers = list(watchers)
        self._readers = [watcher for watcher in self.watchers if type(watcher).on_sent is not Watcher.on_sent]
        """Those who read messages: there are millions of them."""
        self.violations: list[str] = []
        self.failed = 0
        """How many violations there were, those included that are not kept."""
        self.last: dict[DeviceKey, Entry] = {}
        """The newest entry of each honest log, as its author wrote it."""
        self.owner: dict[DeviceKey, int] = {}
        self.follows = follows_of(scenario.follows, nodes, generator(seed, "follows"))
        self.followers: list[set[int]] = [set() for _ in range(nodes)]
        self.byzantine = _liars(scenario.byzantine, nodes, seed)
        self.online_us = 0
        """Microseconds that nodes were on line, all together, of those that have halted."""
        self._links = 0
        self._keys = 0
        self.nodes = [self._build(number) for number in range(nodes)]
        self._numbers: dict[bytes, int] = {}
        """Node key -> its node."""
        for node, followed in enumerate(self.follows):
            for author in followed:
                self.followers[author].add(node)
        hidden = generator(seed, "routers").sample(range(nodes), int(nodes * scenario.network.unreachable))
        self.network.behind_router.update(hidden)
        self._circles = [tuple(sorted({author, *some})) for author, some in enumerate(self.followers)]
        """Author -> who may hold his feed."""
        self._introduced: set[int] = set()
        """Who has been told of others once, and remembers them."""
        self._began: set[int] = set()
        """Who has written a notice."""
        self.relinked: int | None = None
        """A node whose link with node 0 has been cut, so that what making it again takes is counted."""
        self.retired: set[DeviceKey] = set()
        self.forked: set[DeviceKey] = set()
        """Logs on which a person who had put the disk back, out of reach of all who knew more, wrote a number twice."""
        self.absent = [_last_words(person(seed, nodes + other)) for other in range(scenario.follows.absent)]
        """People without a node, each with all that they ever wrote."""
        for home in self.nodes:
            self.furnish(home)

    def _build(self, number: int) -> SimNode:
        who, plan = person(self.seed, number), self.scenario.byzantine
        if number not in self.byzantine:
            return SimNode(self, who)
        return LyingNode(self, who, draw_behaviours(plan, generator(self.seed, "lies", number)))

    @property
    def settled(self) -> int:
        """The number of the first newcomer: all before it are there, or come and go, from the beginning."""
        return max(0, len(self.nodes) - self.scenario.start.newcomers)

    def collectors(self) -> range:
        """Who follows the people without a node."""
        return range(min(self.scenario.follows.collectors, len(self.nodes)) if self.absent else 0)

    def has(self, endpoint: Endpoint) -> bool:
        return endpoint.port == PORT and 0 <= self.network.node_at(endpoint) < len(self.nodes)

    def next_link(self) -> int:
        self._links += 1
        return self._links

    def next_key(self) -> int:
        self._keys += 1
        return self._keys

    # --- what is so ---

    @property
    def has_directory(self) -> bool:
        """Whether nodes hear of their own log from a DHT."""
        return self.scenario.full

    def is_honest_online(self, number: int) -> bool:
        return self.nodes[number].is_up and number not in self.byzantine

    def is_disputed(self, device: DeviceKey) -> bool:
        """Whether some honest node on line holds a proof against this log."""
        return any(
            self.is_honest_online(node.number) and node.machine.holdings.is_frozen(device) for node in self.nodes
        )

    def last_due(self, device: DeviceKey) -> int:
        """The last entry of a log that its identity vouches for, as its owner knows; 0 for a device of nobody's."""
        standing = self.standing_of(device)
        return 0 if standing is None else standing.seq

    def standing_of(self, device: DeviceKey) -> Standing | None:
        """What an identity says of one of its devices, as its owner knows."""
        owner = self.nodes[self.owner[device]]
        known = owner.person.identity
        if owner.is_up:
            known = owner.machine.holdings.identities.get(known.hash, known)
        return known.devices.get(device)

    def identity_of(self, device: DeviceKey) -> IdentityHash:
        return self.nodes[self.owner[device]].person.hash

    def name_of(self, device: DeviceKey) -> str:
        """How a sentence calls a log."""
        owner = self.owner.get(device)
        return f"an unknown log {device.hex()[:8]}" if owner is None else f"node {owner}'s log {device.hex()[:8]}"

    def wall_ms(self) -> int:
        return BEGUN_MS + self.loop.now_us // 1_000

    # --- before it begins ---

    def furnish(self, node: SimNode) -> None:
        """Make a home: its identity, the first entry of its log, and whom it follows."""
        who = node.person
        done(node.store.put_identity(who.identity))
        done(node.store.put_setting(OWN_IDENTITY, who.hash))
        self.owner[who.log] = node.number
        self._numbers[bytes(who.node_key)] = node.number
        entry = write(who.device, None, node.wall_ms(), payloads.encode(LogStart(who.hash)))
        done(node.store.append([Batch(who.hash, (entry,), newest=True)], node.wall_ms(), durable=True))
        self._note_written(node, entry)
        for author in self.follows[node.number]:
            done(node.store.put_follow(Follow(self.nodes[author].person.hash)))
        if node.number in self.collectors():
            self._collect(node)

    def _collect(self, node: SimNode) -> None:
        """Give a home what the people without a node left behind."""
        for identity, entries in self.absent:
            done(node.store.put_identity(identity))
            done(node.store.append([Batch(identity.hash, entries, newest=True)], node.wall_ms(), durable=True))
            done(node.store.put_follow(Follow(identity.hash)))

    def _note_written(self, node: SimNode, entry: Entry) -> None:
        if node.number in self.byzantine:
            return
        self.last[entry.device] = entry
        for watcher in self.watchers:
            watcher.on_written(self, node, entry)

    # --- what persons do ---

    def post(self, author: int, number: int = 0) -> None:
        """The author writes a notice, if the node is up; it is signed once the log has been compared."""
        node = self.nodes[author]
        if node.is_up:
            self.on_asked(node)
            node.desk.write(Note(f"{author} {number} ".ljust(self.scenario.posts.characters, "x")))

    def act(self, number: int, nth: int, doing: Doing) -> None:
        """A person does something with what they read, if the node is up, once it is known what they wrote before."""
        node = self.nodes[number]
        if node.hand is not None and node.is_up:
            chance = generator(self.seed, "doing", number, nth)
            node.desk.plan(partial(node.hand.try_it, doing, f"{doing} of {number}, {nth}", chance))

    def give_hand(self, node: SimNode, loaded: Contents, life: int) -> Hand:
        from p2pblog.sim.hand import build  # half of the daemon, which most runs need not import

        return build(node, loaded, generator(self.seed, "sealed", node.number, life))

    def on_asked(self, node: SimNode) -> None:
        for watcher in self.watchers:
            watcher.on_posted(self, node)

    def on_sealed(self, node: SimNode, entry: EntryId, to: int, text: str) -> None:
        for watcher in self.watchers:
            watcher.on_sealed(self, node, entry, to, text)

    def on_written(self, node: SimNode, entry: Entry, stored: Stored) -> None:
        """An entry of a node's own log is on its disk."""
        if entry.seq > 1 and node.number not in self.byzantine:
            is_first = node.number not in self._began
            self._began.add(node.number)
            self.meter.on_written(entry.device, entry.seq, node.number, self.loop.now_us, is_first)
        self._note_written(node, entry)
        for watcher in self.watchers:
            watcher.on_stored(self, node, stored)

    def on_shown(self, node: SimNode, peer: NodeKey) -> None:
        for watcher in self.watchers:
            watcher.on_shown(self, node, peer)

    def on_new_device(self, node: SimNode) -> None:
        """A node writes on under another key."""
        self.owner[node.person.log] = node.number

    def introduce(self, number: int) -> None:
        """A node hears of some others, as it would have remembered or found them, and of who holds its feeds."""
        node, start = self.nodes[number], self.scenario.start
        if not node.is_up or number in self._introduced:
            return
        self._introduced.add(number)
        chance = generator(self.seed, "introduced", number, node.booted_us)
        others = min(start.known, len(self.nodes) - 1)
        known = [other for other in chance.sample(range(len(self.nodes)), others + 1) if other != number][:others]
        reachable = [other for other in known if other not in self.network.behind_router]
        if reachable:
            endpoints = tuple(self.nodes[other].endpoint for other in reachable)
            node.feed(Candidates(endpoints))
            if node.meeting is not None:
                node.meeting.meet(endpoints)
        if node.meeting is None:
            self.seek(number)

    def seek(self, number: int, wait_s: float = SEARCH_FIRST_S, begun: int = 0) -> None:
        """What the DHT tells a node of the feeds that no link leads to; asked again ever later, as the shipped
        rendezvous machine does, until a search begins anew. `begun`: which one this goes on with, 0 for a new one."""
        node = self.nodes[number]
        if not begun:
            node.searches += 1
        elif begun < node.searches:
            return
        self._look_up(number)
        longer_s = min(2 * wait_s, SEARCH_MAX_S)
        node.after_us(int(wait_s * SECOND_US), self.seek, number, longer_s, node.searches)

    def _look_up(self, number: int) -> None:
        node, start = self.nodes[number], self.scenario.start
        for author in (number, *self.follows[number]):  # others may know more of our own log
            identity = self.nodes[author].person.hash
            if not node.machine.sharing.is_served(identity):
                places = tuple(self.nodes[other].endpoint for other in self.holders(author, number, start.holders))
                if places:
                    node.feed(Candidates(places, identity))

    def holders(self, author: int, asker: int, count: int) -> list[int]:
        """Some who are on line, can be dialed and have the feed: what the DHT would say."""
        chance = generator(self.seed, "holders", author, asker, self.loop.now_us)
        circle = self._circles[author]
        picked = chance.sample(circle, min(len(circle), HOLDERS_READ + count))
        able = (
            other
            for other in picked
            if other != asker
            and other not in self.network.behind_router
            and (self.nodes[other].is_up or self.scenario.start.stale)
        )
        return list(islice(able, count))

    # --- what happens to nodes ---

    def stop(self, number: int, end: End) -> None:
        """End a node's session, if it has one."""
        node = self.nodes[number]
        if not node.is_up:
            return
        self.online_us += self.loop.now_us - node.booted_us
        if end is End.LEAVE:
            node.leave()
        else:
            node.halt(silent=end is End.DARK)

    def wake(self, number: int, disk: Disk) -> None:
        """Start a node that is not on line, on what its disk holds by now."""
        node = self.nodes[number]
        if node.is_up:
            return
        if disk is Disk.PUT_BACK:
            node.put_back()
        elif disk is Disk.LOST:
            node.lose_disk(restored(self.seed, node.person, self.next_key()))
            self.furnish(node)
            self._introduced.discard(number)
        node.boot()
        if number in self._introduced:
            if node.meeting is None:
                node.after_us(LOOK_UP_US, self.seek, number)
        else:
            self.introduce(number)

    def split(self, others: Iterable[int]) -> int:
        """These and the others don't hear each other from now on, beside what parts them already; gives what `heal`
        wants to know."""
        return self.network.split(others)

    def heal(self, partition: int) -> None:
        """That partition is over; what waited on connections that still stand goes on, unless another cuts them."""
        self.network.heal(partition)
        for node in self.nodes:
            for _peer, lane in sorted(node.lanes.items()):
                lane.heal(self.network)

    # --- running ---

    def begin(self) -> None:
        """Everybody starts, and all that is written is planned."""
        scenario, chance = self.scenario, generator(self.seed, "start")
        asleep = plan_churn(self, scenario.churn) if scenario.churn is not None else set()
        for newcomer in range(self.settled, len(self.nodes)):
            asleep.add(newcomer)
            self.loop.at(int(scenario.start.newcomers_s * SECOND_US), self.wake, newcomer, Disk.INTACT)
        begun_us = int(scenario.start.within_s * SECOND_US)
        at_once = {} if scenario.churn is None or not scenario.churn.trace else read_trace(scenario.churn.trace)
        for node in self.nodes:
            at_us = int(begun_us * chance.random())
            if node.number not in asleep:  # a trace says to the moment when somebody is there
                self.loop.at(0 if node.number in at_once else at_us, node.boot)
        for node in self.nodes:
            if node.number not in asleep:
                self.loop.at(begun_us, self.introduce, node.number)
        for number, fault in enumerate(self.faults):
            fault.plan(self, generator(self.seed, "fault", number))
        counts: dict[int, int] = {}
        for at_us, author in writing_times(scenario.posts, len(self.nodes), generator(self.seed, "posts")):
            counts[author] = counts.get(author, 0) + 1
            self.loop.at(at_us, self.post, author, counts[author])
        if scenario.words is not None:
            for at_us, number, nth, doing in doings(scenario.words, len(self.nodes), generator(self.seed, "words")):
                self.loop.at(at_us, self.act, number, nth, doing)

    def run(self, tick: Callable[[float], None] = lambda share: None) -> None:
        """The whole scenario. `tick` hears the share that is done."""
        self.begin()
        end_us = int((self.scenario.duration_s + self.scenario.settle_s) * SECOND_US)
        last_us: int | None = end_us - LAST_S * SECOND_US
        for step in range(1, TICKS + 1):
            until_us = end_us * step // TICKS
            if last_us is not None and last_us <= until_us:
                self.loop.run_until(last_us)
                last_us = None
                for watcher in self.watchers:
                    watcher.on_last(self)
            self.loop.run_until(until_us)
            for watcher in self.watchers:
                watcher.on_tick(self)
            tick(step / TICKS)
        for watcher in self.watchers:
            watcher.on_end(self)

    # --- what nodes tell ---

    def on_sent(self, sender: SimNode, receiver: SimNode, message: Message, size: int) -> None:
        self.meter.on_sent(message, size)
        if self.relinked is not None and {sender.number, receiver.number} == {0, self.relinked}:
            self.meter.on_relinked(message, size)
        for watcher in self._readers:
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

    def on_closed(self, lane: Lane, error: RemoteProtocolError | None) -> None:
        for watcher in self.watchers:
            watcher.on_closed(self, lane, error)

    def on_links_lost(self, node: SimNode) -> None:
        """Half of the links are gone: the search begins anew, though not again and again."""
        now_us = self.loop.now_us
        if node.meeting is not None:
            node.meet(LinksLost())
        elif node.hastened_us is None or now_us - node.hastened_us >= LOST_AGAIN_S * SECOND_US:
            node.hastened_us = now_us
            node.after_us(LOOK_UP_US, self.seek, node.number)

    def on_booted(self, node: SimNode) -> None:
        for watcher in self.watchers:
            watcher.on_booted(self, node)

    def fail(self, what: str) -> None:
        """Something happened that must never happen; the first VIOLATIONS_MAX sentences are kept, all are counted."""
        self.failed += 1
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"at {self.loop.now:.3f} s: {what}")


def _last_words(who: Person) -> tuple[Identity, tuple[Entry, ...]]:
    """What somebody left who is gone for good: who they were, the start of their log, and one notice."""
    start = write(who.device, None, BEGUN_MS, payloads.encode(LogStart(who.hash)))
    return who.identity, (start, write(who.device, start, BEGUN_MS, payloads.encode(Note("Farewell"))))


def _liars(plan: Byzantine, nodes: int, seed: int) -> set[int]:
    able = range(min(plan.spare, nodes), nodes)
    return set(generator(seed, "liars").sample(able, min(len(able), round(plan.share * nodes))))
