"""What goes next, cut after cut, until there is room: the order of core/room.py over all logs of others. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from p2pblog.core.room import Cut, Share, Turn, cut_of, turn_of
from p2pblog.core.value import State, field, replace


class Pruning(State):
    """Ask it for the next cut, carry that out, and tell it with `cut` what is left."""

    _due: list[tuple[Turn, Share]] = field(default_factory=list)

    @classmethod
    def of(cls, shares: Iterable[Share]) -> Pruning:
        made = cls([(turn, share) for share in shares if (turn := turn_of(share)) is not None])
        heapify(made._due)
        return made

    def next(self) -> tuple[Share, Cut] | None:
        """None when nothing of others is left that may go."""
        if not self._due:
            return None
        _turn, share = heappop(self._due)
        return share, cut_of(share)

    def cut(self, share: Share, low: int, oldest_ms: int) -> None:
        """What is left of a share begins at this number, and its lowest entry stands there; of strays only if some are
        left that were not looked at."""
        left = replace(share, low=low, oldest_ms=oldest_ms)
        turn = turn_of(left)
        if turn is not None:
            heappush(self._due, (turn, left))
