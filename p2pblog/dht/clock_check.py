"""Whether our clock is wrong: at how many places nodes refuse what we say, or say what we refuse, because of its time.

A record is held for as long as it says, and for no longer than its kind may live. So where a clock is more than some
minutes ahead nobody takes what it dates, where it is behind nothing that is new is read, and neither is an error of
anybody else's. One node that contradicts us may lie or be wrong itself; most of those heard of late are right.
"""

from __future__ import annotations

from collections import OrderedDict

from p2pblog.core.value import State, field
from p2pblog.dht.contacts import Place

PLACES_HEARD = 20
"""Places whose word counts, those heard last: at as many one key is held."""
CONTRADICTED_AT_MIN = 2
"""Of two nodes that contradict each other neither knows which is wrong."""
CONTRADICTED_S = 3600.0
"""How long a node's contradiction counts, though it agrees with older records of ours; and how often it is warned."""


class ClockCheck(State):
    """`contradictions`: how many there were in all."""

    contradictions: int = 0
    _heard: OrderedDict[Place, float | None] = field(default_factory=OrderedDict)
    """By place, for one host may have many ids: when it contradicted our clock last, if it did."""
    _warned_at: float | None = None

    def hear(self, place: Place, contradicts: bool, now: float) -> bool:
        """A node at a place judged the time of a record of ours, or we the time of one from it. Gives whether a warning
        is due: most of those who were heard last contradict us, and an hour has passed since the last warning."""
        last = self._heard.pop(place, None)
        self._heard[place] = now if contradicts else last
        if len(self._heard) > PLACES_HEARD:
            self._heard.popitem(last=False)
        if not contradicts:
            return False
        self.contradictions += 1
        if self._warned_at is not None and now - self._warned_at < CONTRADICTED_S:
            return False
        against = self.places_against(now)
        is_due = against >= CONTRADICTED_AT_MIN and 2 * against > len(self._heard)
        self._warned_at = now if is_due else self._warned_at
        return is_due

    def places_against(self, now: float) -> int:
        """How many of those who were heard last contradicted us within the hour."""
        return sum(at is not None and now - at < CONTRADICTED_S for at in self._heard.values())
