"""Meets people through the DHT: when to publish our log, to announce what we hold, and to look for whom we lack.

The DHT is a hint, gossip is the truth: what is found here becomes candidates for links, statements that prove
themselves, and, where nobody is linked who has a feed, its newest notices.

Rules.

* Before our head is published, the DHT is asked what it proves of our own log, and the log is compared with peers, so
  that an old copy of it never overrides a newer head.
* Our head and newest notices are published when there is news, at most once in COALESCE_S, and again after AGAIN_MS;
  with them drops of what was taken back, see own_log.py.
* Then pointers lead from what they refer to to these notices: once for each, see pointing.py.
* We announce ourselves as a replica of each followed feed that we hold, while fewer than REPLICAS_WANTED last until
  our next turn; not of one that is followed in private. What comes in is announced when no more is coming, a few feeds
  each second, see pacing.py.
* A record that nobody takes is offered again ever later, up to RETRY_MAX_MS; once the DHT is reached anew, at once.
* A followed feed to which no link leads that answers is looked for: its replicas, and where there are none, or its
  statements are unknown, its heads with their newest notices. Each time in vain doubles the wait. Of many a few are
  looked for each second, see searching.py.
* So is one whose links all lack entries that are known to exist, and one of which few links tell and none knows a way
  to the author: who relayed its first notices to us may have lost him since.

Two clocks, because laptops sleep: waits are measured by `now`, which stands still meanwhile, and the age of what was
published by `now_ms`, which goes on. So there is one alarm, never more than LOOK_EVERY_S ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import assert_never

from p2pblog.config import NOTICE_LIFETIME_MS, REPLICA_LIFETIME_MS, REPLICAS_WANTED
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, follow_one_another
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair
from p2pblog.core.logs import Batch
from p2pblog.core.value import State, field
from p2pblog.dht.records import (
    Head,
    Notice,
    Record,
    Replica,
    head_key,
    notice_key,
    replica_key,
    sign_replica,
)
from p2pblog.errors import BadChain, RemoteProtocolError
from p2pblog.gossip.claims import is_of
from p2pblog.gossip.events import Candidates, Learned
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.sharing import Sharing
from p2pblog.rendezvous.events import (
    Crowd,
    Effect,
    Event,
    FindRecords,
    Followed,
    Found,
    FoundFirst,
    Heads,
    LinksChanged,
    LinksLost,
    LoadOwn,
    Met,
    OneNotice,
    OwnHeads,
    OwnLoaded,
    OwnLog,
    OwnLogCompared,
    OwnPointers,
    OwnReplica,
    PeersGiven,
    PublishedTo,
    PublishRecords,
    Query,
    Reachable,
    Refused,
    Replicas,
    Started,
    StoredOf,
    TakeRun,
    TellGossip,
    Unpointed,
    Wake,
    Woken,
)
from p2pblog.rendezvous.offers import AGAIN_MS as AGAIN_MS
from p2pblog.rendezvous.offers import RETRY_MAX_MS as RETRY_MAX_MS
from p2pblog.rendezvous.offers import Offer
from p2pblog.rendezvous.own_log import Dropping, own_records
from p2pblog.rendezvous.pacing import ANNOUNCED_PER_S, Filling, Lot
from p2pblog.rendezvous.pointing import Pointing
from p2pblog.rendezvous.searching import TICK_S, WORKERS_MAX, Searching

COALESCE_S = 10.0
"""Heads are published at most this often (DESIGN: coalesced over 10 s)."""
LOOK_EVERY_S = 30.0
"""How often a waiting machine looks at the wall clock, which goes on while a laptop sleeps."""
LINKS_SETTLE_S = 1.0
"""How soon after a link ended it is looked which feeds it leaves behind: many end together, one look does for all."""
NOTICES_MAX = 8
"""Newest notices of an offline author read from the DHT, and published of our own."""
FIRST_MAX = 2
"""Replicas dialed of those that the first holder names: it may be a liar, whose inventions must not take the dials of
what others name a moment later (a guess)."""

# --- what is being done -----------------------------------------------------------------------------------------------


class Step(Enum):
    """How far a search has come."""

    REPLICAS = 1
    HEADS = 2


class Reading(State):
    """An identity's heads being read one after another: those to come, and what is found of the present one's log."""

    heads: deque[Head] = field(default_factory=deque)
    awaited: int = 0
    found: list[Entry] = field(default_factory=list)


# --- the machine ------------------------------------------------------------------------------------------------------


class Rendezvous:
    """One node's dealings with the DHT. `handle` is the one door; each `FindRecords`, `PublishRecords` and `LoadOwn`
    is answered by one event.

    `node` signs replica records; `device` gives the key that writes our log now; `endpoint` is where others reach us.
    `holdings` and `sharing` are the gossip machine's own: one picture for both.
    """

    def __init__(
        self,
        node: KeyPair,
        device: Callable[[], KeyPair],
        holdings: Holdings,
        sharing: Sharing,
        endpoint: Endpoint | None,
    ) -> None:
        self._node = node
        self._device = device
        self._holdings = holdings
        self._endpoint = endpoint
        self._now = 0.0
        self._now_ms = 0
        self._is_started = False
        self._contacts = 0
        self._alarm = float("inf")
        self._next_look = float("inf")
        self._has_asked = self._is_answered = self._is_compared = False
        """Whether the DHT was asked for our own heads, has answered, and our log was compared."""
        self._own = Offer()
        self._dropping = Dropping()
        self._pointing = Pointing(holdings, device)
        self._is_publishing = False
        self._publish_from = -float("inf")
        self._offers: dict[IdentityHash, Offer] = {}
        self._to_announce: dict[IdentityHash, None] = {}
        self._announcing: set[IdentityHash] = set()
        self._filling, self._lot = Filling(), Lot(ANNOUNCED_PER_S, ANNOUNCED_PER_S)
        self._searching = Searching(holdings, sharing)
        self._steps: dict[IdentityHash, Step] = {}
        self._readings: dict[IdentityHash, Reading] = {}

    def handle(self, event: Event, now: float, now_ms: int) -> list[Effect]:
        """What to do about an event. `now`: seconds that never go back; `now_ms`: since 1970, by a person's clock."""
        self._now, self._now_ms = now, now_ms
        effects = self._on_event(event)
        if self._is_started and self._next_look < self._alarm:
            self._alarm = self._next_look
            effects.append(Wake(self._alarm))
        return effects

    def _on_event(self, event: Event) -> list[Effect]:
        match event:
            case Woken():
                return self._on_woken()
            case Found(query, records):
                return self._on_found(query, records)
            case FoundFirst(identity, records):
                return self._on_found_first(identity, records)
            case PublishedTo():
                return self._on_published(event)
            case OwnLoaded():
                return self._on_own_loaded(event)
            case Unpointed():
                return self._pointing.on_loaded(event, self._now_ms) + self._point()
            case StoredOf(identity):
                return self._on_stored(identity)
            case LinksChanged():
                self._look_by(self._now + LINKS_SETTLE_S)
                return []
            case LinksLost():
                return self._on_links_lost()
            case Met(contacts):
                return self._on_met(contacts)
            case Followed(identity):
                self._searching.hasten(identity, self._now)
                return self._look_for_feeds()
            case PeersGiven():
                self._searching.hasten_all(self._now)
                return self._look_for_feeds()
            case OwnLogCompared():
                self._is_compared = True
                return self._publish_own()
            case Reachable(endpoint):
                self._endpoint = endpoint
                return self._look_for_offers()
            case Started():
                self._is_started = True
                self._next_look = self._now + LOOK_EVERY_S
                return self._look()
            case _:
                assert_never(event)

    # --- time ---

    def _on_woken(self) -> list[Effect]:
        if self._now + TICK_S < self._alarm:
            return []
        self._alarm, self._next_look = float("inf"), self._now + LOOK_EVERY_S
        return self._look()

    def _look_by(self, at: float) -> None:
        """Look again at that time at the latest."""
        self._next_look = min(self._next_look, max(at, self._now))

    def _look_by_wall(self, at_ms: int) -> None:
        self._look_by(self._now + max(TICK_S, (at_ms - self._now_ms) / 1000))

    def _look(self) -> list[Effect]:
        """Begin what is due, and see when more will be."""
        own = [*self._ask_for_own(), *self._publish_own(), *self._point()]
        return [*own, *self._look_for_offers(), *self._look_for_feeds()]

    @property
    def _is_able(self) -> bool:
        return self._is_started and self._contacts > 0

    def _on_met(self, contacts: int) -> list[Effect]:
        was_alone, self._contacts = not self._contacts, contacts
        if not was_alone or not contacts:
            return []
        self._searching.hasten_seldom(self._now)
        self._own.forgive()
        self._pointing.forgive()
        for offer in self._offers.values():
            offer.forgive()
        return self._look()

    # --- our own log ---

    def _ask_for_own(self) -> list[Effect]:
        """First see what the DHT proves of our own log."""
        if self._has_asked or not self._is_able:
            return []
        self._has_asked = True
        return self._read_heads(self._holdings.own)

    def _on_own_heads(self, heads: tuple[Head, ...]) -> list[Effect]:
        """The author may open a new log because of them, so publishing waits until he has heard."""
        self._is_answered = True
        self._look_by(self._now)
        return [OwnHeads(heads)]

    def _publish_own(self) -> list[Effect]:
        if self._is_publishing or not (self._is_able and self._is_answered and self._is_compared):
            return []
        if not self._own.is_due(self._now_ms):
            self._look_by_wall(self._own.due_ms)
            return []
        if self._now + TICK_S < self._publish_from:
            self._look_by(self._publish_from)
            return []
        self._is_publishing, self._publish_from = True, self._now + COALESCE_S
        self._own.begin(self._now_ms)
        device = DeviceKey(self._device().public)
        state = self._holdings.logs.get(device)
        if state is None or not state.spans:
            return self._end_publishing(is_taken=True)
        last = state.spans[-1]
        first, since_ms = max(last.low, last.high - NOTICES_MAX + 1), self._now_ms - NOTICE_LIFETIME_MS
        return [LoadOwn(device, first, last.high, since_ms)]

    def _on_own_loaded(self, event: OwnLoaded) -> list[Effect]:
        if event.entries is None:
            return self._end_publishing(is_taken=False)
        if event.device != self._device().public:  # the log was left meanwhile
            self._own.due_ms = 0
            return self._end_publishing(is_taken=True)
        self._pointing.saw(event.device, event.entries)
        records = self._own_records(event.device, event.entries, event)
        return [PublishRecords(OwnLog(), records)] if records else self._end_publishing(is_taken=True)

    def _on_own_published(self, holders: tuple[int, ...]) -> list[Effect]:
        self._dropping.on_published(holders, self._now_ms)
        if all(holders) and self._dropping.has_more:
            self._own.due_ms = 0
        return self._end_publishing(is_taken=all(holders))

    def _end_publishing(self, *, is_taken: bool) -> list[Effect]:
        self._is_publishing = False
        self._own.end(is_taken, self._now_ms)
        return self._publish_own() + self._point()

    def _point(self) -> list[Effect]:
        """Once our newest notices are published, tell where they are to whoever looks for what they refer to."""
        if self._is_publishing or not (self._is_able and self._is_answered and self._is_compared):
            return []
        return self._pointing.go_on(self._now_ms)

    def _own_records(self, device: DeviceKey, newest: Sequence[Entry], loaded: OwnLoaded) -> tuple[Record, ...]:
        """Drops come last."""
        state = self._holdings.logs.get(device)
        identity = self._holdings.identities.get(self._holdings.own)
        if state is None or not state.spans or identity is None or identity.statement_of(device) is None:
            return ()
        pair, last, gone = self._device(), state.spans[-1], loaded.taken_back
        records = own_records(identity, pair, last, newest, loaded.readable, gone, self._now_ms)
        return (*records, *self._dropping.due(pair, gone, self._now_ms))

    # --- what we hold ---

    def _on_stored(self, identity: IdentityHash) -> list[Effect]:
        effects: list[Effect] = []
        if identity == self._holdings.own:
            self._own.due_ms = 0
            effects += self._publish_own()
        if identity in self._offers:
            return effects
        if identity != self._holdings.own:
            self._filling.take(identity, self._now)
            self._look_by(self._filling.due)
            return effects
        self._to_announce[identity] = None
        return effects + self._announce_next()

    def _look_for_offers(self) -> list[Effect]:
        """Announce ourselves as a replica of each feed that we hold."""
        holdings = self._holdings
        public = [identity for identity in holdings.interests if identity not in holdings.private]
        for identity in self._offers.keys() - set(public) - self._announcing:
            del self._offers[identity]
        self._to_announce.clear()
        self._filling.let_go(self._now + TICK_S)
        for identity in public:
            offer = self._offers.get(identity)
            if identity in self._announcing:
                continue
            if identity in self._filling.waiting:
                self._look_by(self._filling.due)
            elif offer is None or offer.is_due(self._now_ms, self._endpoint):
                self._to_announce[identity] = None
            else:
                self._look_by_wall(offer.due_ms)
        return self._announce_next()

    def _announce_next(self) -> list[Effect]:
        effects: list[Effect] = []
        if not self._is_able or self._endpoint is None:
            return effects
        while self._to_announce and len(self._announcing) < WORKERS_MAX:
            identity = next(iter(self._to_announce))
            if identity in self._announcing or not self._is_held(identity):
                del self._to_announce[identity]
                continue
            if not self._lot.take(self._now):
                self._look_by(self._lot.next_at)
                break
            del self._to_announce[identity]
            self._offers.setdefault(identity, Offer()).begin(self._now_ms)
            self._announcing.add(identity)
            effects.append(FindRecords(Crowd(identity), replica_key(identity)))
        return effects

    def _is_held(self, identity: IdentityHash) -> bool:
        holdings = self._holdings
        is_public = identity in holdings.interests and identity not in holdings.private
        return is_public and any(d in holdings.logs for d in holdings.devices(identity))

    def _on_crowd(self, identity: IdentityHash, records: tuple[Record, ...]) -> list[Effect]:
        if identity not in self._announcing:
            return []
        if self._endpoint is None:
            self._offers[identity].due_ms = 0  # as soon as somebody reaches us again
            return self._end_announcing(identity, is_taken=True)
        self._offers[identity].at = self._endpoint
        until_ms = self._now_ms + AGAIN_MS  # ours may be among them, and all may end before anybody looks again
        staying = sum(isinstance(record, Replica) and record.expires_ms > until_ms for record in records)
        is_enough = identity != self._holdings.own and staying >= REPLICAS_WANTED
        if is_enough or not self._is_held(identity):
            return self._end_announcing(identity, is_taken=True)
        record = sign_replica(self._node, identity, self._endpoint, self._now_ms + REPLICA_LIFETIME_MS)
        return [PublishRecords(OwnReplica(identity), (record,))]

    def _on_published(self, event: PublishedTo) -> list[Effect]:
        match event.offering:
            case OwnLog():
                return self._on_own_published(event.holders)
            case OwnReplica(identity):
                return self._end_announcing(identity, is_taken=all(event.holders))
            case OwnPointers() as offering:
                return self._pointing.on_published(offering, event, self._now_ms) + self._point()
            case _:
                assert_never(event.offering)

    def _end_announcing(self, identity: IdentityHash, *, is_taken: bool) -> list[Effect]:
        self._announcing.discard(identity)
        offer = self._offers[identity]
        offer.end(is_taken, self._now_ms)
        self._look_by_wall(offer.due_ms)
        return self._announce_next()

    # --- whom we lack ---

    def _on_links_lost(self) -> list[Effect]:
        """Any feed may be without a link now or in a moment: the searches begin anew."""
        self._look_by(self._now + LINKS_SETTLE_S)  # others may turn out to be gone as well
        return self._look_for_feeds() if self._searching.hasten_seldom(self._now) else []

    def _look_for_feeds(self) -> list[Effect]:
        """Feeds that no link leads to."""
        self._searching.forget()
        if not self._is_able:
            return []
        self._searching.look(self._now)
        return self._search_next()

    def _search_next(self) -> list[Effect]:
        effects: list[Effect] = []
        while self._is_able and (identity := self._searching.take(self._now)) is not None:
            self._steps[identity] = Step.REPLICAS
            effects.append(FindRecords(Replicas(identity), replica_key(identity)))
        self._look_by(self._searching.next_at)
        return effects

    def _end_search(self, identity: IdentityHash) -> list[Effect]:
        del self._steps[identity]
        self._searching.end(identity, self._now)
        return self._search_next()

    def _on_found(self, query: Query, records: tuple[Record, ...]) -> list[Effect]:
        match query:
            case Replicas(identity):
                return self._on_replicas(identity, records)
            case Heads(identity):
                return self._on_heads(identity, records)
            case OneNotice(identity):
                return self._on_notice(identity, records)
            case Crowd(identity):
                return self._on_crowd(identity, records)
            case _:
                assert_never(query)

    def _on_found_first(self, identity: IdentityHash, records: tuple[Record, ...]) -> list[Effect]:
        """A replica is worth a dial before other holders have answered."""
        if self._steps.get(identity) is not Step.REPLICAS or identity not in self._holdings.interests:
            return []
        endpoints = self._endpoints(records)[:FIRST_MAX]
        return [TellGossip(Candidates(endpoints, identity))] if endpoints else []

    def _endpoints(self, records: tuple[Record, ...]) -> tuple[Endpoint, ...]:
        told = (r.address for r in records if isinstance(r, Replica) and r.node != self._node.public)
        return tuple(dict.fromkeys(address for address in told if isinstance(address, Endpoint)))

    def _on_replicas(self, identity: IdentityHash, records: tuple[Record, ...]) -> list[Effect]:
        if self._steps.get(identity) is not Step.REPLICAS:
            return []
        if identity not in self._holdings.interests:
            return self._end_search(identity)
        endpoints = tuple(sorted(self._endpoints(records)))
        effects: list[Effect] = [TellGossip(Candidates(endpoints, identity))] if endpoints else []
        # later they were dialed already, in vain
        if endpoints and self._searching.is_first(identity) and identity in self._holdings.identities:
            return effects + self._end_search(identity)
        self._steps[identity] = Step.HEADS
        return effects + self._read_heads(identity)

    # --- heads and notices ---

    def _read_heads(self, identity: IdentityHash) -> list[Effect]:
        """Nobody to ask: take the statements and the newest notices from the DHT itself."""
        if identity in self._readings:
            return []
        self._readings[identity] = Reading()
        return [FindRecords(Heads(identity), head_key(identity))]

    def _on_heads(self, identity: IdentityHash, records: tuple[Record, ...]) -> list[Effect]:
        heads = sorted((record for record in records if isinstance(record, Head)), key=lambda head: head.device)
        effects = self._on_own_heads(tuple(heads)) if identity == self._holdings.own else []
        self._readings[identity].heads.extend(heads)
        return effects + self._read_next(identity)

    def _read_next(self, identity: IdentityHash) -> list[Effect]:
        """Go on with the next head that leads to something; after the last one the reading ends."""
        reading = self._readings[identity]
        effects: list[Effect] = []
        while reading.heads and identity in self._holdings.interests:
            head = reading.heads.popleft()
            try:
                effects.append(TellGossip(Learned(head.partial_identity())))
            except RemoteProtocolError as error:
                effects.append(Refused(identity, error))
                continue
            first = max(self._holdings.high(head.device) + 1, head.seq - NOTICES_MAX + 1)
            queries = [OneNotice(identity, head.device, seq) for seq in range(first, head.seq + 1)]
            if queries:
                reading.awaited = len(queries)
                self._searching.spend(len(queries))
                return effects + [FindRecords(query, notice_key(query.device, query.seq)) for query in queries]
        del self._readings[identity]
        return effects + (self._end_search(identity) if self._steps.get(identity) is Step.HEADS else [])

    def _on_notice(self, identity: IdentityHash, records: tuple[Record, ...]) -> list[Effect]:
        reading = self._readings[identity]
        reading.found += [record.entry for record in records if isinstance(record, Notice)]
        reading.awaited -= 1
        if reading.awaited:
            return []
        found, reading.found = reading.found, []
        effects = [effect for stretch in stretches(found) for effect in self._take(identity, stretch)]
        return effects + self._read_next(identity)

    def _take(self, identity: IdentityHash, run: tuple[Entry, ...]) -> list[Effect]:
        """Have a run stored, under the same rules as one from a link."""
        device = run[0].device
        if identity not in self._holdings.interests or self._holdings.owners.get(device) != identity:
            return []
        try:
            if not is_of(identity, run):
                return [Refused(identity, BadChain("a log whose first entry names another identity"))]
        except RemoteProtocolError as error:
            return [Refused(identity, error)]
        return [TakeRun(Batch(identity, run))] if run[-1].seq <= self._holdings.last_wanted(device) else []


def stretches(entries: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """The unbroken stretches of some entries of one log, each with its own signature; the newest stretch first."""
    parts: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if parts and follow_one_another([parts[-1][-1], entry]):
            parts[-1].append(entry)
        elif not parts or entry.seq != parts[-1][-1].seq:
            parts.append([entry])
    return [tuple(part) for part in reversed(parts)]
