"""Gossip without a scheduler: several machines at one table, a heap of events, and a clock that scenes move.

Everything a real node does happens here, but in one thread and at once: messages pass through Encoder and Decoder and
are counted, what is stored lies in the dict store, timers and links are values on a heap. A scene may cut links, and
drop, repeat or garble messages (`tamper`). A `Puppet` is a peer whose every word the scene writes.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, TypeVar

from builders import NOON, Log, Person, key_pair, person

from p2pblog.core import payload as payloads
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import IdentityHash, NodeKey, hash32
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.runs import encode_run
from p2pblog.errors import Disconnected, RemoteProtocolError
from p2pblog.gossip import events as ev
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.keeper import Keeper, Writing
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.memory import Resume, token
from p2pblog.gossip.messages import (
    HOPS_FAR,
    Clock,
    Clocks,
    Decoder,
    Encoder,
    Hello,
    IdentityClock,
    Live,
    Message,
    Ping,
    Pong,
    Run,
    Statements,
    Tokens,
    tip_of,
)
from p2pblog.gossip.sharing import Session
from p2pblog.store.blobs import MemoryBlobs
from p2pblog.store.memory import MemoryStore
from p2pblog.transport.framing import wire_bytes

T = TypeVar("T")

LATENCY_S = 0.03
"""One way between two nodes, unless a scene says otherwise."""

Tamper = Callable[[str, str, Message], Iterable[Message | bytes]]
"""(from, to, message) -> what travels in its place; bytes go as they are."""


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that never really waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the dict store waited for something")


def author(name: str, notes: int) -> Person:
    """Somebody with so many notes."""
    who = person(name)
    who.notes(notes)
    return who


@cache
def node_key(name: str) -> NodeKey:
    return NodeKey(key_pair(f"{name}/node").public)


def build_machine(name: str, *, port: int = 0, seed: int = 1, follows: Iterable[Person] = ()) -> Gossip:
    """A machine of this person, who follows these people and knows herself."""
    who = person(name)
    holdings = Holdings(who.hash)
    holdings.interests[who.hash] = None
    holdings.learn(who.identity)
    for other in follows:
        holdings.interests[other.hash] = None
    return Gossip.build(node_key(name), holdings, random.Random(f"{seed} {name}"), port)


@dataclass(eq=False)
class Wire:
    """One link between two parties, with a coder for each direction."""

    one: str
    other: str
    binding: bytes
    up: bool = True
    closed_by: str | None = None
    coders: dict[str, tuple[Encoder, Decoder]] = field(default_factory=dict)
    arrival: dict[str, float] = field(default_factory=dict)
    sent: list[tuple[str, Message, int]] = field(default_factory=list)

    def across(self, name: str) -> str:
        return self.other if name == self.one else self.one


class Scene:
    """The table. `closed` lists (who, whose link, error) of every link that a machine ended."""

    def __init__(self, seed: int = 1, latency_s: float = LATENCY_S) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.seed = seed
        self.latency_s = latency_s
        self.latencies: dict[frozenset[str], float] = {}
        self.parties: dict[str, Table | Puppet] = {}
        self.wires: dict[frozenset[str], Wire] = {}
        self.closed: list[tuple[str, str, RemoteProtocolError | None]] = []
        self.tamper: Tamper | None = None
        self.dialing = False
        self.sent: list[tuple[float, str, str, Message, int]] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = count()
        self._links = count()
        self._closing: dict[frozenset[str], Callable[[], None]] = {}

    # --- who is there ---

    def node(self, name: str, *follows: str, port: int = 0, endpoint: Endpoint | None = None) -> Table:
        """A node of this person, who follows these; her own log lies in her store."""
        place = endpoint or Endpoint(f"10.0.{len(self.parties) // 250}.{len(self.parties) % 250 + 1}", 4000)
        table = Table(self, name, place, port)
        self.parties[name] = table
        for other in follows:
            table.machine.holdings.interests[person(other).hash] = None
        table.keep_own()
        table.perform(table.machine.start(self.now))
        return table

    def puppet(self, name: str) -> Puppet:
        place = Endpoint(f"10.9.{len(self.parties) // 250}.{len(self.parties) % 250 + 1}", 4000)
        puppet = Puppet(self, name, place)
        self.parties[name] = puppet
        return puppet

    def node_at(self, endpoint: Endpoint) -> str | None:
        return next((name for name, party in self.parties.items() if party.endpoint == endpoint), None)

    # --- links ---

    def link(self, one: str, other: str) -> Wire:
        """`one` dials `other`; both hear of it now."""
        pair = frozenset((one, other))
        assert pair not in self.wires, f"{one} and {other} are linked"
        if pair in self._closing:
            self._closing.pop(pair)()
        binding = hash32(f"{self.seed} {next(self._links)} {one} {other}".encode(), b"p2pblog tests")
        wire = self.wires[pair] = Wire(one, other, binding)
        for name in (one, other):
            wire.coders[name] = (Encoder(), Decoder())
        self.parties[one].on_link(wire, dialed=True)
        self.parties[other].on_link(wire, dialed=False)
        return wire

    def cut(self, one: str, other: str) -> None:
        """The link ends for both; what is on its way is lost."""
        wire = self.wires.pop(frozenset((one, other)), None)
        if wire is not None and wire.up:
            wire.up = False
            self.parties[one].on_cut(other)
            self.parties[other].on_cut(one)

    def relink(self, one: str, other: str) -> Wire:
        self.cut(one, other)
        return self.link(one, other)

    def wire_of(self, one: str, other: str) -> Wire | None:
        return self.wires.get(frozenset((one, other)))

    def close(self, closer: str, other: str, error: RemoteProtocolError | None) -> None:
        """`closer` ends the link: what she said before still arrives."""
        self.closed.append((closer, other, error))
        wire = self.wires.pop(frozenset((closer, other)), None)
        if wire is None:
            return
        self.parties[closer].on_cut(other, error)

        pair = frozenset((closer, other))
        wire.closed_by = closer

        def end() -> None:
            self._closing.pop(pair, None)
            if wire.up:
                wire.up = False
                if other in self.parties:
                    self.parties[other].on_cut(closer)

        self._closing[pair] = end
        self.at(max(self.now + self.latency(closer, other), wire.arrival.get(closer, 0.0)), end)

    def latency(self, one: str, other: str) -> float:
        return self.latencies.get(frozenset((one, other)), self.latency_s)

    # --- messages ---

    def send(self, sender: str, receiver: str, message: Message) -> None:
        wire = self.wire_of(sender, receiver)
        if wire is None:
            return
        carried: Iterable[Message | bytes] = (message,)
        if self.tamper is not None:
            carried = self.tamper(sender, receiver, message)
        for item in carried:
            data = item if isinstance(item, bytes) else wire.coders[sender][0].encode(item)
            self.sent.append((self.now, sender, receiver, message, wire_bytes(len(data))))
            self._carry(wire, sender, data)

    def _carry(self, wire: Wire, sender: str, data: bytes) -> None:
        receiver = wire.across(sender)
        arrival = max(self.now + self.latency(sender, receiver), wire.arrival.get(sender, 0.0))
        wire.arrival[sender] = arrival

        def arrive() -> None:
            if not wire.up or receiver == wire.closed_by or receiver not in self.parties:
                return
            try:
                message = wire.coders[receiver][1].decode(data)
            except RemoteProtocolError as error:
                self.close(receiver, sender, error)
                return
            self.parties[receiver].on_message(sender, message)

        self.at(arrival, arrive)

    # --- time ---

    def at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._tie), do))

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            when, _tie, do = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            do()
        self.now = end

    def until(self, held: Callable[[], bool], within_s: float = 60.0) -> float:
        """Let time pass until it holds; gives how much."""
        begun = self.now
        while not held():
            assert self._heap and self._heap[0][0] <= begun + within_s, f"not so within {within_s} s"
            when, _tie, do = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            do()
        return self.now - begun

    def dial(self, who: str, endpoint: Endpoint) -> None:
        """A dial of a machine: reaches the party at that endpoint after one and a half round trips."""

        def reach() -> None:
            table = self.parties.get(who)
            if not isinstance(table, Table):
                return  # it crashed in the meantime
            name = self.node_at(endpoint)
            if name == who:
                table.feed(ev.DialFailed(endpoint, own=True))
            elif name is None or not self.parties[name].reachable:
                table.feed(ev.DialFailed(endpoint))
            elif self.wire_of(who, name) is not None:
                table.feed(ev.DialFailed(endpoint, linked=node_key(name)))
            else:
                self.link(who, name)

        self.at(self.now + 3 * self.latency_s, reach)

    # --- what was said ---

    def count(self, kind: type, since: float = 0.0) -> int:
        return sum(1 for at, _s, _r, message, _b in self.sent if at >= since and isinstance(message, kind))

    def said(
        self, kind: type[T], sender: str | None = None, receiver: str | None = None, since: float = 0.0
    ) -> list[T]:
        return [
            message
            for at, s, r, message, _bytes in self.sent
            if isinstance(message, kind)
            and at >= since
            and (sender is None or s == sender)
            and (receiver is None or r == receiver)
        ]


class Table:
    """One node: machine and store, without a scheduler between them."""

    reachable = True

    def __init__(self, scene: Scene, name: str, endpoint: Endpoint, port: int) -> None:
        self.scene = scene
        self.name = name
        self.endpoint = endpoint
        self.person = person(name)
        self.key = node_key(name)
        self.machine = build_machine(name, port=port, seed=scene.seed)
        self.store = MemoryStore()
        self.blobs = MemoryBlobs()
        self.news: list[ev.FileNews] = []
        self.memories: dict[NodeKey, bytes] = {}
        self.relayed: tuple[IdentityHash, ...] = ()
        self.effects: list[ev.Effect] = []
        self.dials: list[tuple[float, Endpoint]] = []
        self.stored: list[tuple[float, Batch, bool]] = []
        done(self.store.put_identity(self.person.identity))

    # --- what a person does ---

    def keep_own(self) -> None:
        batch = Batch(self.person.hash, self.person.log.run())
        (state,) = done(self.store.append([batch], NOON))
        self.machine.holdings.take(state)

    def post(self, text: str = "a note") -> Entry:
        return self.wrote(self.person.log.note(text))

    def wrote(self, entry: Entry) -> Entry:
        """An own entry, written and stored."""
        batch = Batch(self.person.hash, (entry,))
        (state,) = done(self.store.append([batch], NOON))
        self.feed(ev.Stored(None, batch, state, live=True))
        return entry

    def keep(self, owner: Person, entries: tuple[Entry, ...]) -> None:
        """Entries of somebody that this node has held since before the scene began."""
        done(self.store.put_identity(owner.identity))
        self.machine.holdings.learn(owner.identity)
        (state,) = done(self.store.append([Batch(owner.hash, entries)], NOON))
        self.machine.holdings.take(state)

    def follow(self, name: str) -> None:
        self.feed(ev.Interested(person(name).hash))

    def unfollow(self, name: str) -> None:
        self.feed(ev.Uninterested(person(name).hash))

    def learn(self, identity: Identity) -> None:
        self.feed(ev.Learned(identity))

    # --- what it holds ---

    def state(self, log: Person | Log) -> LogState:
        return self.machine.holdings.logs.get(log.key, LogState(log.key, person(self.name).hash))

    def hops(self, identity: IdentityHash) -> int | None:
        """How many links lie between this node and an identity's author; None for no way."""
        if identity == self.person.hash:
            return 0
        sharing = self.machine.sharing
        nearest = sharing.nearest(identity, sharing.sessions_of(identity))
        return nearest[0][0] + 1 if nearest and nearest[0][0] < HOPS_FAR else None

    def numbers(self, log: Person | Log) -> list[int]:
        return [seq for span in self.state(log).spans for seq in range(span.low, span.high + 1)]

    def texts(self, log: Person | Log) -> list[str]:
        held = self.store._logs.get(log.key)
        said = [payloads.decode(e.entry.payload) for e in held.held.values() if e.entry.payload] if held else []
        return [note.text for note in said if isinstance(note, payloads.Note)]

    def session(self, other: str) -> Session:
        return self.machine.sharing.sessions[node_key(other)]

    def shares(self, other: str) -> set[IdentityHash]:
        session = self.machine.sharing.sessions.get(node_key(other))
        return set(session.shared) if session is not None else set()

    # --- events and effects ---

    def on_link(self, wire: Wire, *, dialed: bool) -> None:
        other = self.scene.parties[wire.across(self.name)]
        key = node_key(other.name)
        place = other.endpoint if dialed else Endpoint(other.endpoint.host, 50_000)
        self.feed(ev.LinkUp(key, place, dialed, wire.binding, self.memories.get(key)))

    def on_cut(self, other: str, error: RemoteProtocolError | None = None) -> None:
        self.feed(ev.LinkDown(node_key(other), error or Disconnected("cut")))

    def on_message(self, sender: str, message: Message) -> None:
        self.feed(ev.Received(node_key(sender), message))

    def feed(self, event: ev.Event) -> list[ev.Effect]:
        effects = self.machine.handle(event, self.scene.now)
        self.effects += effects
        self.perform(effects)
        return effects

    def perform(self, effects: list[ev.Effect]) -> None:
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: ev.Effect) -> None:
        scene = self.scene
        match effect:
            case ev.Send(peer, message):
                scene.send(self.name, self._name(peer), message)
            case Resume(peer, names):
                wire = scene.wire_of(self.name, self._name(peer))
                assert wire is not None
                encoder, decoder = wire.coders[self.name]
                encoder.resume(names)
                decoder.resume(names)
            case ev.Close(peer, error):
                scene.close(self.name, self._name(peer), error)
            case ev.SetTimer(timer, when):
                scene.at(when, lambda: self._due(timer))
            case ev.Dial(endpoint, _timeout_s):
                self.dials.append((scene.now, endpoint))
                if scene.dialing:
                    scene.dial(self.name, endpoint)
            case ev.Remember(peer, memory):
                self.memories.pop(peer, None)
                if memory is not None:
                    self.memories[peer] = memory
            case ev.RememberRelayed(identities):
                self.relayed = identities
            case ev.FileNews():
                self.news.append(effect)
            case ev.RememberPeer() | ev.OwnLogElsewhere() | ev.ClocksHeard() | ev.LinksLost():
                pass
            case _:
                scene.at(scene.now, lambda: self._keep(effect))

    def _due(self, timer: ev.Timer) -> None:
        if self.scene.parties.get(self.name) is self:
            self.feed(ev.Due(timer))

    def _name(self, peer: NodeKey) -> str:
        return next(name for name in self.scene.parties if node_key(name) == peer)

    def _keep(self, effect: Writing | ev.LoadRun | ev.LoadOne | ev.LoadFile) -> None:
        """Written or read at once: the keeper awaits nothing but the dict store."""
        keeper = Keeper(self.machine.holdings, self.store, lambda: NOON, self.blobs)
        if isinstance(effect, ev.LoadRun | ev.LoadOne | ev.LoadFile):
            if effect.peer in self.machine.sharing.sessions:
                self.feed(done(keeper.load(effect)))
            return
        for item in done(keeper.write([effect]))[1]:
            if isinstance(item, ev.Stored):
                self.stored.append((self.scene.now, item.batch, item.live))
            self.feed(item)


class Puppet:
    """A peer whose every word the scene writes; what it is told is in `heard`."""

    def __init__(self, scene: Scene, name: str, endpoint: Endpoint) -> None:
        self.scene = scene
        self.name = name
        self.endpoint = endpoint
        self.heard: list[Message] = []
        self.wire: Wire | None = None
        self.dialed = False
        self.reachable = False
        self.answer: Callable[[Message], Iterable[Message]] = lambda message: ()

    def on_link(self, wire: Wire, *, dialed: bool) -> None:
        self.wire, self.dialed = wire, dialed

    def on_cut(self, other: str, error: RemoteProtocolError | None = None) -> None:
        self.wire = None

    def on_message(self, sender: str, message: Message) -> None:
        self.heard.append(message)
        for said in self.answer(message):
            self.scene.send(self.name, sender, said)

    def say(self, to: str, *messages: Message) -> None:
        """Say these, and let them arrive."""
        for message in messages:
            self.scene.send(self.name, to, message)
        self.scene.run(self.scene.latency(self.name, to) * 2.5)

    def token(self, identity: IdentityHash) -> bytes:
        assert self.wire is not None
        return token(self.wire.binding, self.dialed, identity)

    def greet(self, to: str, *shared: Person, links: int = 5, version: int = 1, port: int = 4000) -> None:
        """Link with a node, name some shared identities, and know their statements."""
        if self.wire is None:
            self.scene.link(self.name, to)
        self.say(to, Hello(version, 0, links), Tokens(tuple(self.token(who.hash) for who in shared)))
        for who in shared:
            self.say(to, Clocks((IdentityClock(who.hash, who.identity.digest),)), Statements(who.identity.wire))

    def claims(self, to: str, who: Person, *spans: tuple[int, int], log: Log | None = None) -> None:
        chosen = log if log is not None else who.log
        held = chosen.entries[spans[0][1] - 1 : spans[0][1]]
        clock = Clock(spans, tip=tip_of(held[0].id) if held else bytes(8))
        self.say(to, Clocks((IdentityClock(who.hash, who.identity.digest, ((chosen.key, clock),)),)))

    def told(self, kind: type[T]) -> list[T]:
        return [message for message in self.heard if isinstance(message, kind)]

    @property
    def is_linked(self) -> bool:
        return (
            self.wire is not None
            and self.wire.up
            and self.scene.wires.get(frozenset((self.wire.one, self.wire.other))) is self.wire
        )


def claim(*spans: tuple[int, int]) -> Clock:
    """The clock of somebody who says that he holds these, newest first."""
    return Clock(spans, tip=bytes(8))


def live(entries: Iterable[Entry], *, prev_known: bool = True) -> Live:
    return Live(encode_run(tuple(entries), prev_known=prev_known))


def run_of(entries: Iterable[Entry]) -> Run:
    return Run(encode_run(tuple(entries)))


def pongs(message: Message) -> list[Message]:
    """What a puppet answers that is alive and says nothing else."""
    return [Pong(message.number)] if isinstance(message, Ping) else []


def fill(
    scene: Scene,
    table: Table,
    count: int,
    *,
    dialed_by_us: bool = True,
    links: int = 5,
    version: int = 1,
    port: int = 4000,
) -> list[str]:
    """That many links that answer pings."""
    names = []
    for _ in range(count):
        puppet = scene.puppet(f"puppet {len(scene.parties)}")
        puppet.answer = pongs
        if dialed_by_us:
            scene.link(table.name, puppet.name)
        else:
            scene.link(puppet.name, table.name)
        scene.send(puppet.name, table.name, Hello(version, port, links))
        names.append(puppet.name)
    scene.run(0.1)
    return names
