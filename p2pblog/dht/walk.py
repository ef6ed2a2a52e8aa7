"""The walk towards a key: whom a look-up asks next, without waiting for the dead or following a liar.

The theory: most of the time that a Kademlia look-up takes is spent on contacts that never answer. So a call that takes
longer than usual no longer counts against the parallelism (a hedge), is repeated once after a time-out learned from our
own calls, and is then given up; a late answer still counts.

One host can have as many ids as it likes, and name others without end. So ids are counted by their place, an address
block: no more of one place are asked than a routing table takes, only a few are tried on the word of one place alone,
and several at one place are one of the k nearest.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice, takewhile
from math import inf

from p2pblog.core.address import Endpoint
from p2pblog.core.value import State, Value
from p2pblog.dht.contacts import SPACE, Contact, NodeId, Place, distance, place_of
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.round_trips import RoundTrips


class Ask(Value):
    """Send a find for the contacts near `target`, and for the look-up's key without what is in `have`."""

    contact: Contact
    target: bytes
    have: tuple[bytes, ...] = ()


class Peer(State):
    """A contact as one walk sees it. `sources`, two at most, are the places where it was named; None for one of our own
    routing table."""

    contact: Contact
    place: Place
    rank: tuple[int, Contact]
    """Distance to the walk's target; of several places that one id is said to live at, the order is the same
    everywhere."""
    sources: tuple[Place, ...] | None
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
        """The nearest at so many places have to answer."""
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
        self._tried: Counter[Place] = Counter()
        """Source -> contacts tried that it alone had named, as far as they have not answered."""
        self._taken: Counter[Place] = Counter()
        """Place -> contacts there, other than our own, that are awaited or answered."""
        self._silent: Counter[Endpoint] = Counter()
        """Endpoint -> ids of whom none was heard there."""
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
            if asks or self._awaited or self.is_over:
                return asks
            self._allowance *= 2  # nobody else is left, so a source that named only silent contacts earns more tries

    def answered(self, contact: Contact, contacts: Sequence[Contact]) -> None:
        """A contact proved itself and named others."""
        peer = self._peers.get(contact)
        if peer is None or contact.id in self._answered_ids:
            return
        for one in self._by_id[contact.id]:
            self._give_up(one)  # wherever else it is said to live, nobody is waited for
        self._taken[peer.place] += peer.sources is not None
        peer.answered = True
        self._answered_ids.add(contact.id)
        if peer.sources is not None and len(peer.sources) == 1:
            self._tried[peer.sources[0]] -= 1
        insort(self._living, peer, key=_rank)
        for named in contacts[: self.parameters.k]:
            self._know(named, peer.place)
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
        return [peer.contact for peer in self._nearest(peer for peer in self._living if peer.answered)]

    def closest_so_far(self, now: float) -> list[Contact]:
        """The contacts that answered among the k nearest, those left out that ought to have answered by now."""
        hedge = self.round_trips.hedge_s(self.parameters.hedge)
        hopeful = (
            peer
            for peer in self._living
            if peer.answered or not peer.tries or (peer.tries == 1 and now - peer.sent_at < hedge)
        )
        return [peer.contact for peer in self._nearest(hopeful) if peer.answered]

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
        unheard = (peer for peer in self._peers.values() if peer.tries and peer.contact.id not in self._answered_ids)
        return max((peer.asked_at for peer in unheard), default=-inf) + self.round_trips.late_s

    def _know(self, contact: Contact, source: Place | None) -> None:
        if contact.id == self._own or contact.id in self._answered_ids:
            return
        if self._family not in (None, contact.endpoint.family):
            return
        peer = self._peers.get(contact)
        if peer is None:
            if len(self._peers) >= self.parameters.known_max:
                return
            sources = None if source is None else (source,)
            rank = (distance(contact.id, self.target), contact)
            peer = self._peers[contact] = Peer(contact, place_of(contact.endpoint), rank, sources)
            self._by_id.setdefault(contact.id, []).append(peer)
            insort(self._living, peer, key=_rank)
        elif peer.sources is not None and source is not None and len(peer.sources) < 2 and source not in peer.sources:
            self._tried[peer.sources[0]] -= peer.tries > 0  # it is not that one's word alone any more
            peer.sources += (source,)

    def _give_up(self, peer: Peer) -> None:
        if self._awaited.pop(peer.contact, None) is not None:
            self._taken[peer.place] -= peer.sources is not None
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
                self._silent[peer.contact.endpoint] += 1
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

    def _nearest(self, peers: Iterable[Peer]) -> Iterator[Peer]:
        """The first of these, nearest first, at as many places as have to answer."""
        places = set()
        for peer in peers:
            places.add(peer.place)
            if len(places) > self.reach:
                return
            yield peer

    def _nearest_answered(self) -> bool:
        hopeful = (peer for peer in self._living if peer.tries or self._has_place(peer))
        return all(peer.answered for peer in self._nearest(hopeful))

    def _untried_remain(self) -> bool:
        """Whether there is somebody left to ask. Once k have answered nobody waits for what one place names beyond its
        share: there is no end to what it can invent."""
        if self._calls >= self.parameters.calls_max:
            return False
        if any(not peer.tries for peer in self._near()):
            return True
        is_short = len(self._answered_ids) < self.parameters.k
        return is_short and any(not peer.tries and self._has_place(peer) for peer in self._living)

    def _has_place(self, peer: Peer) -> bool:
        """Whether one more may be asked there. Where ids were silent one that two places name may be real still: else a
        liar could hide a holder behind inventions at its address."""
        if peer.sources is None:
            return True
        silent = self._silent[peer.contact.endpoint] if len(peer.sources) == 1 else 0
        return self._taken[peer.place] + silent < self.parameters.per_place

    def _may_ask(self, peer: Peer) -> bool:
        if not self._has_place(peer):
            return False
        return peer.sources is None or len(peer.sources) > 1 or self._tried[peer.sources[0]] < self._allowance

    def _ask(self, peer: Peer, now: float) -> Ask:
        if not peer.tries and peer.sources is not None and len(peer.sources) == 1:
            self._tried[peer.sources[0]] += 1
        if not peer.tries:
            peer.asked_at = now
            self._taken[peer.place] += peer.sources is not None
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
