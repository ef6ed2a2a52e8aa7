"""The look-up: walk towards a key, and gather what is stored there or store there.

With the first valid record the walk (walk.py) turns into a burst at the nearest contacts, and a moment later the newest
record that anybody had is the answer.

The constants come from our own model of 1,000 nodes, half of them dead, liars among them (docs/protocol/dht.md). Both
machines are plain data with one door: events in, effects out; the driver owns the sockets and the one timer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import assert_never

from p2pblog.core.value import State, Value, field
from p2pblog.dht.contacts import SPACE, Contact, Place, distance, place_of
from p2pblog.dht.gathering import Gathering
from p2pblog.dht.records import Record, slot, supersedes
from p2pblog.dht.shelf import newest
from p2pblog.dht.walk import Ask, Walk

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


# --- finding ----------------------------------------------------------------------------------------------------------


class Find(State):
    """Finds the records of a key or, with `wants_records` off, the nodes nearest to it."""

    walk: Walk
    wants_records: bool = True
    done: bool = False
    gathering: Gathering = field(default_factory=Gathering)
    _answers: dict[Contact, list[Record]] = field(default_factory=dict)
    _places: Counter[Place] = field(default_factory=Counter)
    """Place -> how many of these contacts are there."""
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
        self._places[place_of(contact.endpoint)] += contact not in self._answers
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
        self.walk.parallel = self._answers_wanted[0] - self._answers_count + self.walk.parameters.spare

    def _deadlines(self) -> list[float]:
        """When fewer answers are enough, and when any are."""
        if self._first_at is None:
            return []
        timeout = self.walk.round_trips.timeout_s
        return [self._first_at + timeouts * timeout for timeouts, _ in self._answers_wanted[1]]

    @property
    def _answers_count(self) -> int:
        """Answers with a record, of one place no more than strangers are asked there: a table of few may hold more ids
        of one host."""
        return sum(min(count, self.walk.parameters.per_place) for count in self._places.values())

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
        few = self._first_at is not None and self._answers_count < self.walk.parameters.agreed_late
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
        return self._first_at is not None and self._answers_count >= min([enough + crowd, *passed])


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
    _holders: dict[int, set[Place]] = field(default_factory=dict)
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
                    self._holders.setdefault(index, set()).add(place_of(contact.endpoint))
            case PutFailed(contact, index):
                self._puts.pop((contact, index), None)
            case _:
                assert_never(event)
        return effects + self._go_on(now)

    def holders(self, index: int) -> int:
        """At how many places a node said that it holds record number `index`: on one host any number of ids may."""
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
