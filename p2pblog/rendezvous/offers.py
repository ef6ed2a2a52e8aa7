"""When records are offered to the DHT: again each day, and ever later where nobody takes them."""

from __future__ import annotations

from p2pblog.core.address import Endpoint
from p2pblog.core.value import State

AGAIN_MS = 22 * 3600 * 1000
"""Heads and replicas are published anew well within a record's two days (IPFS: 22 h of 48 h)."""
RETRY_MS = 60 * 1000
RETRY_MAX_MS = 3600 * 1000
"""A record that nobody took is offered again after a minute, then ever later, up to an hour: what all holders refuse,
by a wrong clock of ours perhaps, they would refuse each minute for ever."""


class Offer(State):
    """At what wall time records are offered next, and how much later if nobody takes them then. `at`: where we stood
    when they were last, for records that say it. `ahead_max_ms`: how far ahead `due_ms` lay at most when it was set."""

    due_ms: int = 0
    delay_ms: int = RETRY_MS
    ahead_max_ms: int = AGAIN_MS
    at: Endpoint | None = None

    def is_due(self, now_ms: int, at: Endpoint | None = None) -> bool:
        """They are, too, once we stand elsewhere. A clock that was put back must not keep us silent until it has caught
        up."""
        is_elsewhere = at is not None and self.at is not None and at != self.at
        return is_elsewhere or self.due_ms <= now_ms or self.due_ms > now_ms + self.ahead_max_ms

    def begin(self, now_ms: int) -> None:
        self.due_ms, self.ahead_max_ms = now_ms + AGAIN_MS, AGAIN_MS

    def end(self, is_taken: bool, now_ms: int) -> None:
        """News that came meanwhile are offered at once, whatever became of the old."""
        if is_taken:
            self.delay_ms = RETRY_MS
            return
        self.due_ms, self.ahead_max_ms = min(self.due_ms, now_ms + self.delay_ms), RETRY_MAX_MS
        self.delay_ms = min(2 * self.delay_ms, RETRY_MAX_MS)

    def forgive(self) -> None:
        """Nobody took them because there was nobody: they are due now."""
        if self.delay_ms > RETRY_MS:
            self.due_ms, self.delay_ms = 0, RETRY_MS
