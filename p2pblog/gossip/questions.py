"""Questions: what was asked of each peer, and what more it could give us."""

from __future__ import annotations

from p2pblog.core.keys import DeviceKey, NodeKey
from p2pblog.core.value import State, field
from p2pblog.gossip.claims import Claim


class Fetching(State, eq=False):
    """A question to a peer: the numbers asked for. One with a `claim` looks for a fork, beside its log's own one."""

    peer: NodeKey
    device: DeviceKey
    number: int
    first: int
    last: int
    asked_at: float
    payloads: bool = False
    claim: Claim | None = None


class Queue(State):
    """What one peer could give us: logs with newer entries, then logs with holes below. And what was asked of it."""

    fresh: dict[DeviceKey, None] = field(default_factory=dict)
    old: dict[DeviceKey, None] = field(default_factory=dict)
    awaiting: dict[DeviceKey, Fetching] = field(default_factory=dict)
    storing: dict[DeviceKey, Fetching] = field(default_factory=dict)
    answered_at: float = 0.0
    doubted: dict[DeviceKey, None] = field(default_factory=dict)
    """Logs of which it did not keep its word, until it or their author says something new."""
    kept_word: bool = False
    """Whether anything that it gave was worth storing."""
    lacks: int = 0
    """Questions that it could not answer, or not in time, whatever its clock said."""

    @property
    def under_way(self) -> int:
        return len(self.awaiting) + len(self.storing)

    def is_busy(self, device: DeviceKey) -> bool:
        return device in self.awaiting or device in self.storing
