"""Whom a node looks for in the DHT, and when: what is due, in which order, and how much of it each second. Pure.

A look-up asks twenty nodes; where there are fewer it asks them all. Each takes DHT_RATE_PER_S requests of a source and
drops what is more, and who does not answer twice is taken for dead. So whoever starts with hundreds of feeds and begins
all their look-ups as fast as they end loses everybody he knows, and on meeting them again the same would happen. That
is why look-ups are few each second once the first ones are spent, why those wait that were looked for more often or
later, and why meeting somebody again does not make all begin anew each time.
"""

from __future__ import annotations

from p2pblog.core.keys import IdentityHash
from p2pblog.core.value import State, field
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.sharing import Sharing
from p2pblog.rendezvous.pacing import Lot

SEARCH_FIRST_S = 5.0
SEARCH_MAX_S = 600.0
"""Looking for a feed nobody had begins after 5 s and slows down to once in ten minutes."""
SEARCH_WANTING_MAX_S = 6 * 3600.0
"""The same for one of which all that is missing is what nobody who is linked has: it may be lost for good."""
SEARCH_ASTRAY_MAX_S = 3600.0
"""The same for one whose author is most likely away: 500 such feeds cost 0.14 searches a second."""
LOST_AGAIN_S = 60.0
"""Links lost, or the DHT met, again within this time do not hasten the searches once more: who dials us and hangs up,
or answers now and then, has no say in how much we search (a guess: a minute has room for four searches of each feed,
from 5 s doubling)."""
WORKERS_MAX = 8
"""Feeds looked for, and announced, at once."""
LOOKUPS_AT_ONCE = 128
"""Look-ups that may begin without waiting, after a rest: those of 64 feeds, or of twelve whose newest notices are read
too. They cost a holder that takes part in all of them less than DHT_RATE_BURST."""
LOOKUPS_PER_S = 16
"""After those: eight feeds a second, as many as are announced; a third of DHT_RATE_PER_S."""
LOOKUPS_OF_SEARCH = 2
"""Replicas, and heads."""
TICK_S = 0.001
"""What the clock behind an alarm may round away: what is due this soon is due now."""


class Search(State):
    """When a feed without a link is looked for next, how long after that, and when it was looked for last."""

    due: float
    delay_s: float = SEARCH_FIRST_S
    begun: float = -float("inf")


class Searching(State):
    """The machine within the machine. `next_at`: when to look again, as `look`, `take` and `end` leave it. Those whom
    it gives by `take` are looked for until `end`."""

    holdings: Holdings
    sharing: Sharing
    next_at: float = float("inf")
    _searches: dict[IdentityHash, Search] = field(default_factory=dict)
    _waiting: dict[IdentityHash, None] = field(default_factory=dict)
    _under_way: dict[IdentityHash, None] = field(default_factory=dict)
    _lot: Lot = field(default_factory=lambda: Lot(LOOKUPS_PER_S, LOOKUPS_AT_ONCE))
    _hastened_at: float = -float("inf")

    def hasten(self, identity: IdentityHash, now: float) -> None:
        """Look for it now, and as often as if it had just been lost."""
        before = self._searches.get(identity)
        self._searches[identity] = Search(now) if before is None else Search(now, begun=before.begun)

    def hasten_all(self, now: float) -> None:
        for identity in self._searches:
            self.hasten(identity, now)

    def hasten_seldom(self, now: float) -> bool:
        """The same, but not for what others can bring about as often as they like; gives whether it was done."""
        if now < self._hastened_at + LOST_AGAIN_S:
            return False
        if self._searches:
            self._hastened_at = now
        self.hasten_all(now)
        return True

    def forget(self) -> None:
        """Nobody follows some of them any more."""
        for identity in [i for i in self._searches if i not in self.holdings.interests and i not in self._under_way]:
            del self._searches[identity]

    def look(self, now: float) -> None:
        """See which are due. First come those that were looked for least often of late, of these those never found,
        then those whose turn was longest ago: so each has a turn, however many they are."""
        self.next_at = float("inf")
        due = []
        for identity in self.holdings.interests:
            if identity in self._under_way or not self._is_sought(identity):
                continue
            # who is new may be about to tell more
            wait_s = SEARCH_FIRST_S if self.sharing.answering(identity) else 0.0
            search = self._searches.setdefault(identity, Search(now + wait_s))
            if search.delay_s > self._slowest_s(identity):  # it has become urgent
                search = self._searches[identity] = Search(now + wait_s, begun=search.begun)
            if search.due <= now + TICK_S:
                due.append(identity)
            else:
                self.next_at = min(self.next_at, search.due)
        due.sort(key=self._turn)
        self._waiting = dict.fromkeys(due)

    def _turn(self, identity: IdentityHash) -> tuple[float, bool, float]:
        search = self._searches[identity]
        return search.delay_s, identity in self.holdings.identities, search.begun

    def take(self, now: float) -> IdentityHash | None:
        """The next one to be looked for; None if none may be now."""
        while self._waiting and len(self._under_way) < WORKERS_MAX:
            identity = next(iter(self._waiting))
            if identity not in self.holdings.interests or not self._is_sought(identity):
                del self._waiting[identity]
                continue
            if not self._lot.take(now, LOOKUPS_OF_SEARCH):
                self.next_at = min(self.next_at, self._lot.next_at)
                return None
            del self._waiting[identity]
            self._under_way[identity] = None
            self._searches[identity].begun = now
            return identity
        return None

    def spend(self, lookups: int) -> None:
        """So many look-ups more than a search always takes were begun."""
        self._lot.spend(lookups)

    def end(self, identity: IdentityHash, now: float) -> None:
        """It was looked for."""
        del self._under_way[identity]
        search = self._searches[identity]
        search.due = now + search.delay_s
        search.delay_s = min(2 * search.delay_s, self._slowest_s(identity))
        self.next_at = min(self.next_at, search.due)

    def is_first(self, identity: IdentityHash) -> bool:
        """Whether one that is looked for was not lately looked for in vain."""
        return self._searches[identity].delay_s <= SEARCH_FIRST_S

    def _is_sought(self, identity: IdentityHash) -> bool:
        return not self.sharing.is_served(identity) or self.sharing.is_astray(identity)

    def _slowest_s(self, identity: IdentityHash) -> float:
        if not self.sharing.cover(identity):
            return SEARCH_MAX_S
        return SEARCH_WANTING_MAX_S if self.sharing.is_wanting(identity) else SEARCH_ASTRAY_MAX_S
