"""When a node that is being filled announces what it comes to hold: once no more of it is coming in. Pure.

To announce a feed takes two look-ups, as much work as to verify and store a few hundred of its entries. A newcomer
that announced each feed with its first entries did both at once, and whatever followed came later; that it has a feed
nobody needs to know before it has it whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2pblog.core.keys import IdentityHash

FILLED_S = 5.0
"""How long nothing of a feed that waits must have come in (a guess: some round trips to slow peers and a busy disk)."""
FILLING_MAX_S = 60.0
"""How long a feed waits at most: whoever gets history for hours is a replica of what came first all the same."""


@dataclass(slots=True)
class Filling:
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
