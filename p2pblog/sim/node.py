"""A simulated node: the shipped machine and keeper on the dict store, driven by the heap of events.

It is to the machine what gossip/driver.py is in a daemon: it carries out effects and feeds back what follows, and
decides nothing. What a person, a disk or the weather does to it is in the methods that the world calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pblog.config import QUEUE_BYTES_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey, hash32
from p2pblog.errors import QueueFull, RemoteProtocolError
from p2pblog.gossip.events import (
    Candidates,
    ClocksHeard,
    Close,
    Dial,
    DialFailed,
    Due,
    Effect,
    Event,
    FileNews,
    LinkDown,
    LinksLost,
    LinkUp,
    LoadFile,
    LoadOne,
    LoadRun,
    OwnLogElsewhere,
    Received,
    Send,
    SetTimer,
    Stored,
    Timer,
)
from p2pblog.gossip.keeper import Keeper, Writing, holdings_of, kept_offers, weight
from p2pblog.gossip.loads import LOAD_BELOW_BYTES
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.membership import has_room, outranks
from p2pblog.gossip.memory import Resume
from p2pblog.gossip.messages import Message
from p2pblog.rendezvous.events import Event as MeetingEvent
from p2pblog.rendezvous.events import LinksChanged, StoredOf
from p2pblog.sim.chance import generator
from p2pblog.sim.desk import Desk
from p2pblog.sim.full import Dealings
from p2pblog.sim.links import DIALER_BYTES, LISTENER_BYTES, TCP_BYTES, Lane
from p2pblog.sim.loop import done, micros
from p2pblog.sim.network import PORT
from p2pblog.sim.people import Person
from p2pblog.store.memory import MemoryStore

if TYPE_CHECKING:
    from p2pblog.sim.hand import Hand
    from p2pblog.sim.world import World

STORE_US = 1_000
"""How long a transaction takes: SQLite's WAL without a sync, measured at 0.1 to 1 ms."""
EPHEMERAL_PORT = 50_000
"""From where a dialer seems to call."""


class SimNode:
    """One person's node. `boot` starts it on whatever its store holds; `halt` ends it."""

    __slots__ = (
        "_life", "_writing", "_writings", "booted_us", "desk", "dht_state", "disk", "endpoint", "hand", "hastened_us",
        "is_up", "keeper", "lanes", "machine", "meeting", "network", "number", "person", "searches", "skew_ms",
        "snapshot", "store", "world",
    )  # fmt: skip

    machine: Gossip
    keeper: Keeper
    desk: Desk

    def __init__(self, world: World, who: Person) -> None:
        self.world = world
        self.network = world.network
        self.person = who
        self.number = who.number
        self.endpoint = world.network.place_of(who.number)
        self.store = MemoryStore()
        self.lanes: dict[NodeKey, Lane] = {}
        self.is_up = False
        self.booted_us = 0
        self.skew_ms = 0
        self.disk = 0
        """Which disk this is: another number after it was put back or lost."""
        self.snapshot: tuple[MemoryStore, Person] | None = None
        """The disk as it was some time ago, key file and all."""
        self.meeting: Dealings | None = None
        """Its dealings with the DHT, for a full node."""
        self.dht_state: bytes | None = None
        """The DHT's contacts as they were saved last."""
        self.hastened_us: int | None = None
        """When links that were lost last made it search at once."""
        self.hand: Hand | None = None
        """The person's use cases, where the scenario has people use them."""
        self.searches = 0
        """How many searches for feeds have begun."""
        self._life = 0
        self._writings: deque[Writing] = deque()
        self._writing = False

    # --- starting and ending ---

    def boot(self) -> None:
        """Start the daemon: a machine that knows what the store kept."""
        assert not self.is_up
        self.is_up = True
        self.booted_us = self.network.loop.now_us
        self._life += 1
        self._writing = False
        self._writings.clear()
        loaded = done(self.store.load())
        holdings = holdings_of(self.person.hash, loaded)
        port = 0 if self.number in self.network.behind_router else PORT
        chance = generator(self.world.seed, "node", self.number, self._life)
        self.machine = Gossip.build(self.person.node_key, holdings, chance, port)
        self.machine.offers.restore(*kept_offers(loaded, self.wall_ms()))
        self.keeper = Keeper(holdings, self.store, self.wall_ms)
        self.desk = Desk(self)
        if self.world.scenario.words is not None:
            self.hand = self.world.give_hand(self, loaded, self._life)
        self.perform(self.machine.start(self.network.loop.now))
        self.desk.open()
        known = tuple(Endpoint.parse(peer.endpoint) for peer in loaded.peers)
        if known:
            self.feed(Candidates(known))
        if self.world.scenario.full:
            self.meeting = Dealings(self, self._life)
            self.meeting.open(known)
        self.world.on_booted(self)

    def halt(self, silent: bool) -> None:
        """The process ends at once; `silent`: so does the machine, so nobody is told. What was stored stays."""
        self.is_up = False
        self._life += 1
        self._close_meeting(is_polite=False)
        for lane in list(self.lanes.values()):
            if silent:
                lane.is_open = False
            else:
                lane.hang_up(self.network)
        self.lanes.clear()
        self._writings.clear()

    def leave(self) -> None:
        """Stop the daemon as a person does: it tells its peers and writes what it remembers of them."""
        lanes, self.lanes = list(self.lanes.values()), {}
        for lane in lanes:
            lane.hang_up(self.network)
        for lane in lanes:  # once nobody is left to whom a machine that loses one after another could say so
            self.feed(LinkDown(lane.other.key))
        self._close_meeting(is_polite=True)
        self._flush()
        self.halt(silent=False)

    def _close_meeting(self, is_polite: bool) -> None:
        if self.meeting is not None:
            self.meeting.close(is_polite)
            self.meeting = None

    def meet(self, event: MeetingEvent) -> None:
        """Something that the rendezvous machine of a full node should know."""
        if self.meeting is not None:
            self.meeting.feed(event)

    # --- the disk ---

    def take_snapshot(self) -> None:
        """Keep what the disk holds now, to be put back later."""
        self.snapshot = self.store.copy(), self.person

    def put_back(self) -> None:
        """A backup, or a snapshot of a virtual machine, takes the place of the disk. Does nothing without one."""
        if self.snapshot is not None:
            assert not self.is_up
            store, self.person = self.snapshot
            self.store = store.copy()
            self.disk += 1

    def lose_disk(self, who: Person) -> None:
        """An empty disk and new keys take the place of the old."""
        assert not self.is_up
        self.store, self.person, self.snapshot = MemoryStore(), who, None
        self.disk += 1

    def wall_ms(self) -> int:
        return self.world.wall_ms() + self.skew_ms

    # --- the one door ---

    def feed(self, event: Event) -> None:
        """Decide, then start what was decided."""
        self.perform(self.machine.handle(event, self.network.loop.now))

    def after_us(self, wait_us: int, do: Callable[..., None], *args: object) -> None:
        """Call it after so long, unless this run of the daemon has ended."""
        self._at(self.network.loop.now_us + wait_us, do, *args)

    def _at(self, when_us: int, do: Callable[..., None], *args: object) -> None:
        """Call it then, unless this run of the daemon has ended."""
        self.network.loop.at(when_us, self._if_alive, self._life, do, args)

    def _if_alive(self, life: int, do: Callable[..., None], args: tuple[object, ...]) -> None:
        if life == self._life:
            do(*args)

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what a machine wants."""
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send():
                lane = self.lanes.get(effect.peer)
                if lane is not None and lane.is_open:
                    self._send(lane, effect)
            case Resume(peer, names):
                self.lanes[peer].encoder.resume(names)
                self.lanes[peer].decoder.resume(names)
            case SetTimer():
                self.network.loop.at(micros(effect.at), self._due, self._life, effect.timer)
            case Close(peer, error):
                lane = self.lanes.get(peer)
                if lane is not None and lane.is_open:
                    self._close(lane, error)
            case LoadRun(peer) | LoadOne(peer) | LoadFile(peer):
                lane = self.lanes.get(peer)
                if lane is not None and lane.is_open:
                    lane.loads.add(effect)
                    self._at(self.network.loop.now_us, self.serve, lane)
            case Dial(endpoint, timeout_s):
                self._dial(endpoint, micros(timeout_s))
            case ClocksHeard() | OwnLogElsewhere():
                self.desk.on_effect(effect)
            case LinksLost():
                self.world.on_links_lost(self)
            case FileNews():
                pass  # nobody here looks at pictures
            case _:
                self._writings.append(effect)
                if not self._writing:
                    self._writing = True
                    self._at(self.network.loop.now_us + STORE_US, self._write)

    def _due(self, life: int, timer: Timer) -> None:
        if life == self._life:
            self.feed(Due(timer))

    def _send(self, lane: Lane, effect: Send) -> None:
        data = lane.encoder.encode(effect.message)
        if lane.queued_bytes + len(data) > QUEUE_BYTES_MAX:
            self._close(lane, QueueFull("more waits for this peer than it reads"))
            return
        size = lane.send(self.network, data)
        self.world.on_sent(self, lane.other.node, effect.message, size)

    # --- the store ---

    def _write(self) -> None:
        """One transaction: the driver's writer, without the waiting."""
        count, outcome = done(self.keeper.write(self._writings))
        for _ in range(count):
            self._writings.popleft()
        for item in outcome:
            if isinstance(item, Stored):
                self.world.on_stored(self, item)
            self.feed(item)
            if isinstance(item, Stored):
                self._tell_of(item)
        self._writing = bool(self._writings)
        if self._writing:
            self._at(self.network.loop.now_us + STORE_US, self._write)

    def _tell_of(self, stored: Stored) -> None:
        """What a daemon does besides about what was stored."""
        self.meet(StoredOf(stored.batch.identity))
        if self.hand is not None:
            if stored.batch.identity == self.person.hash:
                self.desk.heard_stored()
            self.hand.on_stored(stored.batch, stored.live)

    def _flush(self) -> None:
        while self._writings:
            count, outcome = done(self.keeper.write(self._writings))
            for _ in range(count):
                self._writings.popleft()
            for item in outcome:
                if isinstance(item, Stored):
                    self.world.on_stored(self, item)

    def serve(self, lane: Lane) -> None:
        """Read what a peer asked for, while it keeps up with reading."""
        while lane.is_open and lane.loads and lane.queued_bytes <= LOAD_BELOW_BYTES:
            self.feed(done(self.keeper.load(lane.loads.take())))

    @property
    def writing_bytes(self) -> int:
        """About how much waits for the writer."""
        return sum(weight(writing) for writing in self._writings)

    # --- links ---

    def _dial(self, endpoint: Endpoint, timeout_us: int) -> None:
        loop, network = self.network.loop, self.network
        target = self.world.nodes[network.node_at(endpoint)] if self.world.has(endpoint) else None
        if target is not self:
            network.count(self.number, TCP_BYTES)
        if target is None or not target.is_up or not network.may_dial(self.number, target.number):
            self._at(loop.now_us + timeout_us, self.feed, DialFailed(endpoint))
            return
        if target is self:
            self._at(loop.now_us + 1_000, self.feed, DialFailed(endpoint, own=True))
            return
        time_us = network.dial_us(self.number, target.number)
        if time_us > timeout_us:
            self._at(loop.now_us + timeout_us, self.feed, DialFailed(endpoint))
        else:
            self._at(loop.now_us + time_us, self._connect, endpoint, target)

    def _connect(self, endpoint: Endpoint, target: SimNode) -> None:
        """The dialer's end stands; the other end stands once our next words have come."""
        loop = self.network.loop
        if not target.is_up or self.network.is_cut(self.number, target.number):
            self.feed(DialFailed(endpoint))
            return
        if not self._admits(target.person.node_key, dialed=True):
            self.feed(DialFailed(endpoint, linked=target.person.node_key))
            return
        self.network.count(self.number, DIALER_BYTES)
        self.network.count(target.number, LISTENER_BYTES)
        binding = hash32(f"{self.world.seed} {self.world.next_link()}".encode(), b"p2pblog sim")
        ours = Lane(self, endpoint, True, binding, loop.now)
        theirs = Lane(target, Endpoint(self.endpoint.host, EPHEMERAL_PORT), False, binding, 0.0)
        ours.other, theirs.other = theirs, ours
        way_us = self.network.rtt_us(self.number, target.number) // 2
        loop.at(loop.now_us + way_us, target.accept, theirs)
        ours.last_us = loop.now_us + way_us
        self._run(ours)

    def accept(self, lane: Lane) -> None:
        """Somebody dialed us and proved his key."""
        if not self.is_up or not lane.other.is_open or not self._admits(lane.other.key, dialed=False):
            lane.hang_up(self.network)
            return
        lane.since = self.network.loop.now
        self._run(lane)

    def _admits(self, peer: NodeKey, dialed: bool) -> bool:
        """Whether this link is to be the one with its node: never two."""
        standing = self.lanes.get(peer)
        if standing is None:
            return has_room(dialed, len(self.lanes), sum(not lane.dialed for lane in self.lanes.values()))
        own, stood_s = self.person.node_key, self.network.loop.now - standing.since
        if not outranks(own, peer, dialed, standing.dialed, stood_s):
            return False
        standing.hang_up(self.network)
        self.lanes.pop(peer)
        self.feed(LinkDown(peer))
        return True

    def _run(self, lane: Lane) -> None:
        peer = lane.other.key
        self.lanes[peer] = lane
        memory = done(self.keeper.recall(peer))
        self.feed(LinkUp(peer, lane.endpoint, lane.dialed, lane.binding, memory))
        self.meet(LinksChanged())

    def on_message(self, lane: Lane, data: bytes) -> None:
        """A message has come."""
        try:
            message = lane.decoder.decode(data)
        except RemoteProtocolError as error:
            self._close(lane, error)
            return
        sender = lane.other.node
        self.world.on_message(self, sender, message, data)
        self.on_heard(lane, message)
        self.feed(Received(lane.other.key, message))

    def on_heard(self, lane: Lane, message: Message) -> None:
        """A message is about to reach the machine; for nodes that are not what they seem."""

    def _close(self, lane: Lane, error: RemoteProtocolError | None) -> None:
        """We end a link: the machine hears of it in a moment, the peer after what was sent."""
        lane.hang_up(self.network)
        self.world.on_closed(lane, error)
        self._at(self.network.loop.now_us, self._end, lane, error)

    def drop(self, lane: Lane) -> None:
        """A person's router, or ours, forgets a connection: it ends without blame."""
        if lane.is_open and self.lanes.get(lane.other.key) is lane:
            self._close(lane, None)

    def on_gone(self, lane: Lane) -> None:
        """The peer ended a link, or its machine does not know it any more."""
        if self.is_up:
            self._end(lane, None)

    def _end(self, lane: Lane, error: RemoteProtocolError | None) -> None:
        peer = lane.other.key
        if self.lanes.get(peer) is lane:
            del self.lanes[peer]
            self.feed(LinkDown(peer, error))
            self.meet(LinksChanged())
