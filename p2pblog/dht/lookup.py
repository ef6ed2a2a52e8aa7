"""The look-up: walk towards a key, gather what is stored there or store there, without waiting for the dead.

The theory: most of the time that a Kademlia look-up takes is spent on contacts that never answer. So a call that takes
longer than usual no longer counts against the parallelism (a hedge), is repeated once after a time-out learned from our
own calls, and is then given up; a late answer still counts. Contacts that one stranger alone names are tried a few at
a time, so that a liar can't fill the walk. With the first valid record the walk turns into a burst at the nearest
contacts, and a moment later the newest record that anybody had is the answer.

The constants come from our own model of 1,000 nodes, half of them dead, liars among them (docs/protocol/dht.md). Both
machines are plain data with one door: events in, effects out; the driver owns the sockets and the one timer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice, takewhile
from math import inf
from typing import assert_never

from p2pblog.core.value import State, Value, field
from p2pblog.dht.contacts import SPACE, Contact, NodeId, distance
from p2pblog.dht.gathering import Gathering
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import Record, slot, supersedes
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.shelf import newest

# --- events and effects -----------------------------------------------------------------------------------------------


class Begin(Value):
    """Go."""


class Answered(Value):
    """A contact that proved its id answered; `records` are verified, `more` did not fit."""

    contact: Contact
    contacts: tuple[Contact, ...] = ()
    records: tuple[Record, ...] = ()
    more: bool = False


class Failed(Value):
    """A contact is not what it was said to be, or the call could not be made."""

    contact: Contact


class PutAnswered(Value):
    """A contact says what became of record number `index`."""

    contact: Contact
    index: int
    held: bool


class PutFailed(Value):
    """The store of record number `index` could not be sent, so nobody says anything about it."""

    contact: Contact
    index: int


class Woke(Value):
    """The time of the last Wake has come."""


Event = Begin | Answered | Failed | PutAnswered | PutFailed | Woke


class Ask(Value):
    """Send a find for the contacts near `target`, and for the look-up's key without what is in `have`."""

    contact: Contact
    target: bytes
    have: tuple[bytes, ...] = ()


class Put(Value):
    """Send a store of record number `index`."""

    contact: Contact
    index: int


class Repair(Value):
    """Send the newest record to a contact that still has an older one; nobody waits for it."""

    contact: Contact
    record: Record


class Wake(Value):
    """Send Woke at this time, unless another Wake takes its place."""

    at: float


class Done(Value):
    """The look-up is over; what it found or stored is in the machine."""


Effect = Ask | Put | Repair | Wake | Done


# --- the walk ---------------------------------------------------------------------------------------------------------


class Peer(State):
    """A contact as one walk sees it. `sources` is None for one of our own routing table."""

    contact: Contact
    rank: tuple[int, Contact]
    """Distance to the walk's target; of several places that one id is said to live at, the order is the same
    everywhere."""
    sources: tuple[NodeId, ...] | None
    tries: int = 0
    asked_at: float = 0.0
    """When the first of the tries was sent, and the last."""
    sent_at: float = 0.0
    deadline: float = 0.0
    answered: bool = False


class Walk:
    """Whom to ask next on the way to `target`.

    By `nodes`, how many there are in all, it knows how near the k nearest should lie. Where they lie much nearer, their
    ids were chosen, and what they say of each other and of the key is worth nothing: then the walk goes on to the
    honest nodes behind them. Every other call goes to somebody outside of the crowd and asks for contacts around one of
    the `detours` instead of the target, and k counts threefold. With 0 `nodes` nothing is suspected.
    """

    def __init__(
        self,
        target: bytes,
        own: NodeId,
        seeds: Iterable[Contact],
        round_trips: RoundTrips,
        parameters: Parameters,
        nodes: int = 0,
        detours: Iterable[bytes] = (),
        family: int | None = None,
    ) -> None:
        """With a `family`, 4 or 6, nobody counts who is called by the other version of IP."""
        self.target = target
        self._family = family
        self.reach = parameters.k
        """So many of the nearest have to answer."""
        self._detours = cycle(detours or (target,))
        self._crowd_radius = parameters.k * SPACE // (parameters.crowd * nodes) if nodes else 0
        self.round_trips = round_trips
        self.parameters = parameters
        self.parallel = parameters.alpha
        """So many calls are under way at once, those aside that are late."""
        self._own = own
        self._lead_until: float | None = None
        self._calls = 0
        self._allowance = parameters.unproven_per_source
        self._peers: dict[Contact, Peer] = {}
        self._by_id: dict[NodeId, list[Peer]] = {}
        self._living: list[Peer] = []
        """Nearest first: who answered, and who may still."""
        self._awaited: dict[Contact, Peer] = {}
        self._answered_ids: set[NodeId] = set()
        self._tried: Counter[NodeId] = Counter()
        """Source -> contacts tried that it alone had named."""
        self._trusted: set[NodeId] = set()
        """Sources of whose such contacts one answered."""
        for contact in seeds:
            self._know(contact, None)
        self._suspect()

    def advance(self, now: float) -> list[Ask]:
        """The calls that are due: repeats of lost ones, then new ones as far as the parallelism allows."""
        if self._lead_until is None:
            self._lead_until = now + self.parameters.lead_s
        asks = self._repeat_or_give_up(now)
        while True:
            asks += self._new_calls(now)
            if asks or self._awaited or self._nearest_answered() or not self._untried_remain():
                return asks
            # Nobody else is left, so a source that named only silent contacts earns another try.
            self._allowance += self.parameters.unproven_per_source

    def answered(self, contact: Contact, contacts: Sequence[Contact]) -> None:
        """A contact proved itself and named others."""
        peer = self._peers.get(contact)
        if peer is None or contact.id in self._answered_ids:
            return
        self._awaited.pop(contact, None)
        peer.answered = True
        self._answered_ids.add(contact.id)
        if peer.sources is not None and len(peer.sources) == 1:
            self._trusted.add(peer.sources[0])
        for other in self._by_id[contact.id]:
            self._drop(other)
        insort(self._living, peer, key=_rank)
        for named in contacts[: self.parameters.k]:
            self._know(named, contact.id)
        self._suspect()

    @property
    def is_crowded(self) -> bool:
        """Whether so many proven ids lie so near to the target that they were chosen."""
        return self.reach > self.parameters.k

    def _suspect(self) -> None:
        if self._crowd_radius and not self.is_crowded:
            near = takewhile(lambda peer: peer.rank[0] < self._crowd_radius, self._living)
            if sum(peer.answered or peer.sources is None for peer in near) >= self.parameters.k:
                self.reach = self.parameters.k * self.parameters.crowd_reach

    def failed(self, contact: Contact) -> None:
        peer = self._peers.get(contact)
        if peer is not None and not peer.answered:
            self._give_up(peer)

    @property
    def is_over(self) -> bool:
        """The k nearest that are not silent have answered, or nobody is left to ask."""
        return self._nearest_answered() or (not self._awaited and not self._untried_remain())

    def closest(self) -> list[Contact]:
        """The nearest contacts that answered."""
        return [peer.contact for peer in self._living if peer.answered][: self.reach]

    def closest_so_far(self, now: float) -> list[Contact]:
        """The contacts that answered among the k nearest, those left out that ought to have answered by now."""
        hedge = self.round_trips.hedge_s(self.parameters.hedge)
        hopeful = (
            peer
            for peer in self._living
            if peer.answered or not peer.tries or (peer.tries == 1 and now - peer.sent_at < hedge)
        )
        return [peer.contact for peer in islice(hopeful, self.reach) if peer.answered]

    def next_wake(self, now: float) -> float | None:
        """When a call's hedge or deadline falls due."""
        hedge = self.round_trips.hedge_s(self.parameters.hedge)
        times = [peer.deadline for peer in self._awaited.values()]
        times += [peer.sent_at + hedge for peer in self._awaited.values() if peer.sent_at + hedge > now]
        times += [self._lead_until] if self._lead_until is not None and self._leads(now) else []
        return min(times, default=None)

    @property
    def late_until(self) -> float:
        """Until when somebody who is silent, given up or not, may turn out to be slow; -inf where nobody was lately."""
        if not self.round_trips.late_s:
            return -inf
        silent = (peer.asked_at for peer in self._peers.values() if peer.tries and not peer.answered)
        return max(silent, default=-inf) + self.round_trips.late_s

    def _know(self, contact: Contact, source: NodeId | None) -> None:
        if contact.id == self._own or contact.id in self._answered_ids:
            return
        if self._family not in (None, contact.endpoint.family):
            return
        peer = self._peers.get(contact)
        if peer is None:
            if len(self._peers) >= self.parameters.known_max:
                return
            sources = None if source is None else (source,)
            peer = self._peers[contact] = Peer(contact, (distance(contact.id, self.target), contact), sources)
            self._by_id.setdefault(contact.id, []).append(peer)
            insort(self._living, peer, key=_rank)
        elif peer.sources is not None and source is not None and len(peer.sources) < 2 and source not in peer.sources:
            self._tried[peer.sources[0]] -= peer.tries > 0  # it is not that one's word alone any more
            peer.sources += (source,)

    def _give_up(self, peer: Peer) -> None:
        self._awaited.pop(peer.contact, None)
        self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        """Take it from the living, if it is among them; it stands where its rank is, which no other has."""
        at = bisect_left(self._living, _rank(peer), key=_rank)
        if at < len(self._living) and self._living[at] is peer:
            del self._living[at]

    def _repeat_or_give_up(self, now: float) -> list[Ask]:
        asks = []
        for peer in [peer for peer in self._awaited.values() if peer.deadline <= now]:
            if peer.tries <= self.parameters.retries and self._calls < self.parameters.calls_max:
                asks.append(self._ask(peer, now))
            else:
                self._give_up(peer)
        return asks

    def _new_calls(self, now: float) -> list[Ask]:
        hedge = self.round_trips.hedge_s(self.parameters.hedge)
        timely = sum(now - peer.sent_at < hedge for peer in self._awaited.values())
        free = (self.parameters.burst if self.is_crowded else self.parallel) - timely
        if self._leads(now):
            free = self.parameters.lead - timely
        free = min(free, self.parameters.calls_max - self._calls)
        if free <= 0 or self._nearest_answered():
            return []
        return [self._ask(peer, now) for peer in islice(self._next(), free)]

    def _leads(self, now: float) -> bool:
        """Whether only the first few may be under way: where a whole walk takes less than sending all of its calls, as
        in one house, the first answer is read before the rest is sent."""
        return self._lead_until is not None and now < self._lead_until and not self._answered_ids

    def _next(self) -> Iterator[Peer]:
        """Whom to ask, one after the other: each is chosen when those before it have been asked."""
        if not self.is_crowded:
            yield from self._untried()
            return
        while (nearest := next(untried := self._untried(), None)) is not None:
            if self._calls % 4 >= 2:
                nearest = next((peer for peer in untried if peer.rank[0] >= self._crowd_radius), nearest)
            yield nearest

    def _untried(self) -> Iterator[Peer]:
        return (peer for peer in self._near() if not peer.tries)

    def _near(self) -> Iterator[Peer]:
        """Among whom the next to ask is chosen. Who may not be asked yet takes no place: three liars who name sixty
        invented ids beside the target would fill them all, and the holders behind would never be asked."""
        open_to_us = (peer for peer in self._living if peer.tries or self._may_ask(peer))
        return islice(open_to_us, self.parameters.width + self.reach - self.parameters.k)

    def _nearest_answered(self) -> bool:
        return all(peer.answered for peer in self._living[: self.reach])

    def _untried_remain(self) -> bool:
        near = self._living[: self.parameters.width + self.reach - self.parameters.k]
        return self._calls < self.parameters.calls_max and any(not peer.tries for peer in [*near, *self._near()])

    def _may_ask(self, peer: Peer) -> bool:
        if peer.sources is None or len(peer.sources) > 1:
            return True
        source = peer.sources[0]
        return self._tried[source] < self._allowance or source in self._trusted

    def _ask(self, peer: Peer, now: float) -> Ask:
        if not peer.tries and peer.sources is not None and len(peer.sources) == 1:
            self._tried[peer.sources[0]] += 1
        if not peer.tries:
            peer.asked_at = now
        peer.tries += 1
        peer.sent_at, peer.deadline = now, now + self.round_trips.timeout_s
        self._awaited[peer.contact] = peer
        target = self.target
        if self.is_crowded and peer.rank[0] >= self._crowd_radius:
            target = next(self._detours)  # around the target it would name the crowd
        self._calls += 1
        return Ask(peer.contact, target)


def _rank(peer: Peer) -> tuple[int, Contact]:
    return peer.rank


# --- finding ----------------------------------------------------------------------------------------------------------


class Find(State):
    """Finds the records of a key or, with `wants_records` off, the nodes nearest to it."""

    walk: Walk
    wants_records: bool = True
    done: bool = False
    gathering: Gathering = field(default_factory=Gathering)
    _answers: dict[Contact, list[Record]] = field(default_factory=dict)
    _versions: Counter[tuple[str, bytes, int]] = field(default_factory=Counter)
    """Slot -> different records met."""
    _follow_ups: dict[Contact, float] = field(default_factory=dict)
    _rounds: dict[Contact, int] = field(default_factory=dict)
    _patience: dict[Contact, float] = field(default_factory=dict)
    """Until when all rounds of a contact together may hold up a look-up that is over but for them."""
    _first_at: float | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        if self.done:
            return []
        effects: list[Effect] = []
        match event:
            case Begin() | Woke() | PutAnswered() | PutFailed():
                pass
            case Answered(contact, contacts, records, more):
                self.walk.answered(contact, contacts)
                self._follow_ups.pop(contact, None)
                known = self.gathering.news
                self._take(contact, records, now)
                if more and (self.gathering.news > known or contact not in self._rounds):
                    effects += self._ask_for_more(contact, now)
            case Failed(contact):
                self._follow_ups.pop(contact, None)
                self.walk.failed(contact)
            case _:
                assert_never(event)
        return effects + self._go_on(now)

    def found(self, now_ms: int) -> list[Record]:
        """The newest of each slot, as far as it is known by now."""
        return newest(self.gathering.records(), now_ms)

    def repairs(self, found: Iterable[Record]) -> list[Repair]:
        """For each of the first few contacts with an older record than one of those `found`: that one."""
        best = {slot(record): record for record in found}  # once: hostile holders give hundreds that are not in it
        given = ((contact, old) for contact in sorted(self._answers) for old in self._answers[contact])
        pairs = ((contact, old, best.get(slot(old))) for contact, old in given)
        better = (Repair(contact, new) for contact, old, new in pairs if new is not None and supersedes(old, new))
        return list(islice(better, self.walk.parameters.repairs_max))

    def _take(self, contact: Contact, records: tuple[Record, ...], now: float) -> None:
        if not records or not self.wants_records:
            return
        self._answers.setdefault(contact, []).extend(records)
        for record in records:
            if self.gathering.take(contact.endpoint, record):
                self._versions[slot(record)] += 1
        if self._first_at is None:
            self._first_at = now

    def _ask_for_more(self, contact: Contact, now: float) -> list[Effect]:
        trips, rounds_max = self.walk.round_trips, self.walk.parameters.rounds_max
        rounds = self._rounds.get(contact, 0)
        if not self.wants_records or rounds >= rounds_max or self.gathering.is_full:
            return []
        self._rounds[contact] = rounds + 1
        self._follow_ups[contact] = now + trips.timeout_s
        self._patience.setdefault(contact, now + trips.hedge_s(rounds_max) + trips.timeout_s)  # as a full shelf takes
        return [Ask(contact, self.walk.target, self.gathering.have(contact.endpoint))]

    def _go_on(self, now: float) -> list[Effect]:
        self._follow_ups = {contact: until for contact, until in self._follow_ups.items() if until > now}
        settled = self._is_settled(now)
        if not settled:
            if self._first_at is not None:
                self._burst()
            asks = self.walk.advance(now)
            late = self._may_come_late(now)
            over = self.walk.is_over and not late
        else:
            asks, late, over = [], False, True
        rounds = [min(until, self._patience[contact]) for contact, until in self._follow_ups.items()]
        if over and max(rounds, default=now) <= now:
            self.done = True
            return [Done()]
        wakes = [*self._deadlines(), self.walk.next_wake(now), *rounds]
        wakes += [self.walk.late_until] if late else []
        times = [at for at in wakes if at is not None and at > now]
        return [*asks, *([Wake(min(times))] if times else [])]

    def _burst(self) -> None:
        """With the first record the walk turns into a burst. Nobody is asked whose answer will hardly be waited for."""
        self.walk.parallel = self._answers_wanted[0] - len(self._answers) + self.walk.parameters.spare

    def _deadlines(self) -> list[float]:
        """When fewer answers are enough, and when any are."""
        if self._first_at is None:
            return []
        timeout = self.walk.round_trips.timeout_s
        return [self._first_at + timeouts * timeout for timeouts, _ in self._answers_wanted[1]]

    @property
    def _answers_wanted(self) -> tuple[int, tuple[tuple[float, int], ...]]:
        """(enough at any time, enough after so many time-outs). More where all agree: who met an older version beside
        what it has knows at least that it has the newer of two."""
        parameters = self.walk.parameters
        if self._differ:
            return parameters.answers_enough, parameters.waits
        return parameters.agreed_enough, parameters.agreed_waits

    @property
    def _differ(self) -> bool:
        return all(versions > 1 for versions in self._versions.values())

    def _may_come_late(self, now: float) -> bool:
        """Whether so few have answered, all alike, that who is slow and may know better is waited for, where somebody
        was slow lately."""
        few = self._first_at is not None and len(self._answers) < self.walk.parameters.agreed_late
        return few and not self._differ and now < self.walk.late_until

    def _is_settled(self, now: float) -> bool:
        """Whether a newer record than what we have would have come by now. Ids that crowd the key can all hold back the
        newest, so their word is not enough."""
        if self._may_come_late(now):
            return False
        enough, waits = self._answers_wanted
        crowd = self.walk.reach - self.walk.parameters.k
        steps = zip(self._deadlines(), waits, strict=False)
        passed = [least + (crowd // 10 if least > 1 else 0) for at, (_, least) in steps if now >= at]
        return self._first_at is not None and len(self._answers) >= min([enough + crowd, *passed])


# --- publishing -------------------------------------------------------------------------------------------------------


class Publish(State):
    """Stores `count` records of one key at the nodes nearest to it, the first of them while the walk still goes on.

    Optimistic store (probelab.io, "Optimistic Provide"): a node that lies where, by our estimate of `nodes` in all, the
    nearest ones lie, gets the record as soon as it has answered and is one of the nearest that are not late. Its answer
    also turns the walk into a burst: most of the calls there go to the dead, and none has to wait for another.
    """

    walk: Walk
    count: int
    nodes: int
    done: bool = False
    _holders: dict[int, set[NodeId]] = field(default_factory=dict)
    _puts: dict[tuple[Contact, int], tuple[int, float]] = field(default_factory=dict)
    _placed: dict[Contact, None] = field(default_factory=dict)
    _judged: set[int] = field(default_factory=set)

    def handle(self, event: Event, now: float) -> list[Effect]:
        if self.done:
            return []
        effects: list[Effect] = []
        match event:
            case Begin() | Woke():
                pass
            case Answered(contact, contacts):
                self.walk.answered(contact, contacts)
                if self._lies_near(contact):
                    self.walk.parallel = self.walk.parameters.burst
            case Failed(contact):
                self.walk.failed(contact)
                self._puts = {put: state for put, state in self._puts.items() if put[0] != contact}
            case PutAnswered(contact, index, held):
                self._puts.pop((contact, index), None)
                self._judged.add(index)
                if held:
                    self._holders.setdefault(index, set()).add(contact.id)
            case PutFailed(contact, index):
                self._puts.pop((contact, index), None)
            case _:
                assert_never(event)
        return effects + self._go_on(now)

    def holders(self, index: int) -> int:
        """How many nodes said that they hold record number `index`."""
        return len(self._holders.get(index, ()))

    def is_judged(self, index: int) -> bool:
        """Whether any node said what became of record number `index`, be it that it does not take it."""
        return index in self._judged

    def _lies_near(self, contact: Contact) -> bool:
        region = self.walk.parameters.region * (2 if self.walk.is_crowded else 1)
        radius = SPACE * region // max(1, self.nodes)
        return distance(contact.id, self.walk.target) <= radius

    def _place_all(self, over: bool, now: float) -> list[Effect]:
        """Store with those that are near enough by now and, when the walk is over, with the nearest in any case."""
        if over:
            chosen = [contact for contact in self.walk.closest() if contact not in self._placed]
        else:
            copies_max = self.walk.parameters.copies * self.walk.reach // self.walk.parameters.k
            near = (contact for contact in self.walk.closest_so_far(now) if self._lies_near(contact))
            new = [contact for contact in near if contact not in self._placed]
            chosen = new[: copies_max - len(self._placed)]
        self._placed |= dict.fromkeys(chosen)
        return [self._put(contact, index, 1, now) for contact in chosen for index in range(self.count)]

    def _put(self, contact: Contact, index: int, tries: int, now: float) -> Effect:
        self._puts[contact, index] = (tries, now + self.walk.round_trips.timeout_s)
        return Put(contact, index)

    def _go_on(self, now: float) -> list[Effect]:
        effects: list[Effect] = [*self.walk.advance(now)]
        over = self.walk.is_over
        effects += self._place_all(over, now)
        effects += self._repeat_puts(now)
        if over and not self._puts:
            self.done = True
            return [*effects, Done()]
        times = [until for _, until in self._puts.values()]
        wake = None if over else self.walk.next_wake(now)
        times += [] if wake is None else [wake]
        return [*effects, *([Wake(min(times))] if times else [])]

    def _repeat_puts(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for (contact, index), (tries, until) in list(self._puts.items()):
            if until > now:
                continue
            if tries <= self.walk.parameters.retries:
                effects.append(self._put(contact, index, tries + 1, now))
            else:
                del self._puts[contact, index]
        return effects
