"""A node's rendezvous machine on a desk: two clocks moved by hand, and every wish of the machine in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from builders import NOON, Log, Person, key_pair, person

from p2pblog.config import HEAD_LIFETIME_MS, REPLICA_LIFETIME_MS, UNPOINTED_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import LogState, Span
from p2pblog.dht.records import (
    DhtKey,
    Head,
    Record,
    Replica,
    head_key,
    sign_head,
    sign_replica,
)
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.memory import Memory
from p2pblog.gossip.messages import Clock
from p2pblog.gossip.sharing import Session, Sharing
from p2pblog.rendezvous import events as ev
from p2pblog.rendezvous.machine import (
    Rendezvous,
)

HOME = Endpoint("10.0.1.1", 4000)
E = TypeVar("E")


class Desk:
    """Alice's machine beside two clocks moved by hand. `feed` and `sleep` give what it wants done, but for alarms and
    entries that may want pointers, which it gets at once. `pointed`: up to where its store has that as done."""

    def __init__(self, *follows: str) -> None:
        self.alice = person("alice")
        self.node, self.device = key_pair("alice/node"), self.alice.device
        self.holdings = Holdings(self.alice.hash)
        self.sharing = Sharing(NodeKey(self.node.public), self.holdings)
        self.machine = Rendezvous(self.node, lambda: self.device, self.holdings, self.sharing, HOME)
        self.now, self.now_ms, self.alarm, self.alarms = 0.0, NOON, float("inf"), 0
        self.pointed, self.looks, self.unreadable, self.is_broken = 0, 0, set[EntryId](), False
        self.holdings.interests = dict.fromkeys([self.alice.hash, *(person(name).hash for name in follows)])
        self.hold(self.alice)
        self.cover(self.alice)

    def hold(self, whom: Person) -> None:
        """The node has the whole log."""
        entries = whom.log.entries
        span = Span(1, len(entries), entries[0].id, None, entries[-1].id)
        self.holdings.learn(whom.identity)
        self.holdings.take(LogState(whom.key, whom.hash, (span,)))

    def cover(self, whom: Person, peer: str = "peer") -> None:
        """A link leads to this feed: it tells of entries, and the author is near."""
        key = NodeKey(key_pair(peer).public)
        session = self.sharing.sessions.setdefault(key, Session(key, HOME, True, b"", Memory()))
        session.clocks[whom.key] = Clock(((1, 1),))
        session.near[whom.hash] = 1
        self.sharing.sharers.setdefault(whom.hash, {})[key] = session
        self.holdings.learn(whom.identity)

    def uncover(self, whom: Person) -> None:
        del self.sharing.sharers[whom.hash]

    def feed(self, event: ev.Event) -> list[ev.Effect]:
        done = []
        for effect in self.machine.handle(event, self.now, self.now_ms):
            if isinstance(effect, ev.Wake):
                assert effect.at >= self.now
                self.alarm = effect.at
            elif isinstance(effect, ev.LoadUnpointed):
                done += self.feed(self._unpointed(effect))
            elif isinstance(effect, ev.KeepPointed):
                self.pointed = effect.seq
            else:
                done.append(effect)
        return done

    def _unpointed(self, load: ev.LoadUnpointed) -> ev.Unpointed:
        self.looks += 1
        if self.is_broken:
            return ev.Unpointed(load.device, load.last, None)
        first = max(load.done, self.pointed, load.last - UNPOINTED_MAX) + 1
        entries = tuple(self.alice.log.entries[first - 1 : load.last]) if load.device == self.alice.key else ()
        return ev.Unpointed(load.device, load.last, entries, frozenset(e.id for e in entries) - self.unreadable)

    def sleep(self, seconds: float) -> list[ev.Effect]:
        """Both clocks go on, and the alarm rings."""
        until, done = self.now + seconds, list[ev.Effect]()
        while self.alarm <= until:
            self._to(self.alarm)
            self.alarm, self.alarms = float("inf"), self.alarms + 1
            done += self.feed(ev.Woken())
        self._to(until)
        return done

    def _to(self, at: float) -> None:
        self.now_ms += round((at - self.now) * 1000)
        self.now = at

    def open(self) -> list[ev.Effect]:
        """The node starts, reaches the DHT and has its log compared; gives what follows at once."""
        begun = self.feed(ev.Started()) + self.feed(ev.Met(3))
        begun += self.feed(ev.Found(ev.Heads(self.alice.hash), ())) + self.feed(ev.OwnLogCompared())
        return [effect for effect in begun if effect != ev.FindRecords(ev.Heads(self.alice.hash), own_key())]

    def in_vain(self, effects: Sequence[ev.Effect]) -> None:
        """Answer everything, and what follows: replicas are named that nobody can reach, and nobody takes a record."""
        waiting = list(effects)
        while waiting:
            match waiting.pop(0):
                case ev.FindRecords(ev.Replicas(identity) as query):
                    waiting += self.feed(ev.Found(query, (replica(identity, "nobody"),)))
                case ev.FindRecords(query):
                    waiting += self.feed(ev.Found(query, ()))
                case ev.LoadOwn(device, first, last):
                    entries = tuple(self.alice.log.entries[first - 1 : last])
                    waiting += self.feed(ev.OwnLoaded(device, entries))
                case ev.PublishRecords(offering, records):
                    waiting += self.feed(ev.PublishedTo(offering, (0,) * len(records)))

    def publish(self, effects: Sequence[ev.Effect], holders: int = 8) -> tuple[Record, ...]:
        """Carry out the publishing of the own log that is among these; gives the records."""
        load = one(effects, ev.LoadOwn)
        entries = tuple(entry for entry in self.alice.log.entries if load.first <= entry.seq <= load.last)
        shown = frozenset(entry.id for entry in entries)
        offered = one(self.feed(ev.OwnLoaded(load.device, entries, shown)), ev.PublishRecords)
        assert self.feed(ev.PublishedTo(offered.offering, (holders,) * len(offered.records))) == []
        return offered.records


def take_replica(desk: Desk) -> None:
    """That alice holds her own feed is asked about, published and taken."""
    assert of(desk.feed(ev.Found(ev.Crowd(desk.alice.hash), ())), ev.PublishRecords)
    assert desk.feed(ev.PublishedTo(ev.OwnReplica(desk.alice.hash), (8,))) == []


def own_key() -> DhtKey:
    return head_key(person("alice").hash)


def one(effects: Sequence[ev.Effect], kind: type[E]) -> E:
    (found,) = of(effects, kind)
    return found


def of(effects: Sequence[ev.Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def looked_for(effects: Sequence[ev.Effect]) -> list[bytes]:
    """Whose replicas are looked for, in order."""
    return [find.query.identity for find in of(effects, ev.FindRecords) if isinstance(find.query, ev.Replicas)]


def crowd(whom: Person, *names: str) -> tuple[Replica, ...]:
    """Replica records of these nodes, each at its own address."""
    return tuple(replica(whom.hash, name, number) for number, name in enumerate(names, 1))


def replica(identity: IdentityHash, name: str, number: int = 1) -> Replica:
    endpoint = Endpoint(f"10.9.{number}.1", 4000)
    return sign_replica(key_pair(name), identity, endpoint, NOON + REPLICA_LIFETIME_MS)


def head_of(whom: Person, log: Log | None = None) -> Head:
    """Of their first device, or of the one that writes this log."""
    chosen = whom.log if log is None else log
    last = chosen.entries[-1]
    head = sign_head(whom.identity, chosen.device, 1, last.seq, last.id, NOON + HEAD_LIFETIME_MS)
    assert head is not None
    return head
