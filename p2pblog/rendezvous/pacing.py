"""When feeds are announced: what comes to be held, once no more of it is coming in; and a few each second. Pure.

To announce a feed takes two look-ups, as much work as to verify and store a few hundred of its entries. A newcomer
that announced each feed with its first entries did both at once, and whatever followed came later; that it has a feed
nobody needs to know before it has it whole. And whoever starts with a thousand feeds sends 60,000 datagrams for them,
which is nobody's hurry: what was announced the day before still stands.
"""

from __future__ import annotations

from p2pblog.core.keys import IdentityHash
from p2pblog.core.value import State, field

FILLED_S = 5.0
"""How long nothing of a feed that waits must have come in (a guess: some round trips to slow peers and a busy disk)."""
FILLING_MAX_S = 60.0
"""How long a feed waits at most: whoever gets history for hours is a replica of what came first all the same."""
ANNOUNCED_PER_S = 8
"""Feeds announced each second: a hundred take 13 s, ten thousand 21 minutes of the 22 hours after which they are due
again."""


class Filling(State):
    """The feeds that have come to be held and were never announced, and when they may be; in seconds of a clock that
    never goes back."""

    waiting: dict[IdentityHash, None] = field(default_factory=dict)
    due: float = 0.0
    _latest: float = 0.0

    def take(self, identity: IdentityHash, now: float) -> None:
        """Something of it was stored."""
        if not self.waiting:
            self._latest = now + FILLING_MAX_S
        self.waiting[identity] = None
        self.due = min(now + FILLED_S, self._latest)

    def let_go(self, now: float) -> None:
        """Once they are due, none waits any more."""
        if self.due <= now:
            self.waiting.clear()


class Lot(State):
    """How much may still begin: `per_s` each second, and what was left of the seconds before, `at_once` in all."""

    per_s: int
    at_once: int
    next_at: float = -float("inf")
    """When the next second's lot comes."""
    _left: float = 0.0

    def take(self, now: float, cost: int = 1) -> bool:
        """Whether something of this cost may begin now."""
        if self.next_at <= now:
            self._left = min(self.at_once, self._left + self.per_s * (1.0 + now - self.next_at))
            self.next_at = now + 1.0
        if self._left < cost:
            return False
        self._left -= cost
        return True

    def spend(self, cost: int) -> None:
        """So much began without asking; it is made up for before anything else begins."""
        self._left -= cost
