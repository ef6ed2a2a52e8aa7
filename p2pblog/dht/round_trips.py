"""Round trips: how long answers take, learned from our own calls."""

from __future__ import annotations

from p2pblog.core.value import State

SLOWEST_FADES = 1 / 1_024
"""By how much the slowest round trip is forgotten with each answer."""
SAMPLE_MAX = 2
"""In ceilings: what an answer counts at most. No call waits so long, but a reply may lie there while we sleep."""
LATE = 1.15
"""In slowest round trips: how long an answer may take."""


class RoundTrips(State):
    """How long answers take, learned from our own calls (RFC 6298; floor and ceiling from the model)."""

    floor_s: float = 0.12
    ceiling_s: float = 1.0
    smoothed_s: float | None = None
    deviation_s: float = 0.0
    slowest_s: float = 0.0
    """The slowest lately, no longer than the ceiling."""

    def sample(self, seconds: float) -> None:
        seconds = min(seconds, SAMPLE_MAX * self.ceiling_s)
        self.slowest_s = max(min(seconds, self.ceiling_s), self.slowest_s * (1 - SLOWEST_FADES))
        if self.smoothed_s is None:
            self.smoothed_s, self.deviation_s = seconds, seconds / 2
            return
        self.deviation_s += (abs(seconds - self.smoothed_s) - self.deviation_s) / 4
        self.smoothed_s += (seconds - self.smoothed_s) / 8

    @property
    def timeout_s(self) -> float:
        """Mean and four deviations, within the bounds; the floor before the first sample."""
        if self.smoothed_s is None:
            return self.floor_s
        return min(self.ceiling_s, max(self.floor_s, self.smoothed_s + 4 * self.deviation_s))

    @property
    def late_s(self) -> float:
        """How long an answer may take that comes after both tries were given up; 0 where none did lately."""
        late_s = LATE * self.slowest_s
        return late_s if late_s > 2 * self.timeout_s else 0.0

    def hedge_s(self, factor: float) -> float:
        return factor * (self.floor_s if self.smoothed_s is None else self.smoothed_s)
