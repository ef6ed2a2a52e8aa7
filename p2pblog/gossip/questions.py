"""Questions: what was asked of each peer, and what more it could give us."""

from __future__ import annotations

from collections.abc import Iterable

from p2pblog.config import CHECKPOINT_EVERY, PAYLOAD_BYTES_MAX, RUN_BYTES_MAX, RUN_ENTRIES_MAX
from p2pblog.core.keys import DeviceKey, NodeKey
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.value import State, field
from p2pblog.gossip.claims import Claim

SLOW_ANSWER_S = 1.0
"""How long an answer should be on its way at most: what is live stands behind it, and what takes PATIENCE_S, twice as
long, comes a second time from somebody else."""


class Fetching(State, eq=False):
    """A question to a peer: the numbers asked for. One with a `claim` looks for a fork, beside its log's own one."""

    peer: NodeKey
    device: DeviceKey
    number: int
    first: int
    last: int
    asked_at: float
    seqs: tuple[int, ...] = ()
    """Of which numbers the payloads are asked for, and nothing else; none of them asks for entries."""
    claim: Claim | None = None


class Queue(State):
    """What one peer could give us: logs with newer entries, then logs with holes below. And what was asked of it."""

    fresh: dict[DeviceKey, None] = field(default_factory=dict)
    old: dict[DeviceKey, None] = field(default_factory=dict)
    awaiting: dict[DeviceKey, Fetching] = field(default_factory=dict)
    storing: dict[DeviceKey, Fetching] = field(default_factory=dict)
    answered_at: float = 0.0
    arrived_at: float = 0.0
    """When part of something that it says came last."""
    doubted: dict[DeviceKey, None] = field(default_factory=dict)
    """Logs of which it did not keep its word, until it or their author says something new."""
    kept_word: bool = False
    """Whether anything that it gave was worth storing."""
    lacks: int = 0
    """Questions that it could not answer, or not in time or in full, whatever its clock said."""
    entries_max: int = 0
    """How much history is asked for at once, less where answers are slow to come; 0 until some is asked for."""
    is_slow: bool = False
    """Whether an answer was slow, and none since so much faster that more is asked for."""
    stinted: dict[DeviceKey, None] = field(default_factory=dict)
    """Logs of which it gave some of what it was asked for and kept the rest back, until it gives all that is asked for
    of them, or promises nothing more."""

    @property
    def under_way(self) -> int:
        return len(self.awaiting) + len(self.storing)

    def most(self, queues: Iterable[Queue]) -> int:
        """How much history to ask for at once: at first as little as of the slowest, for the line may be ours."""
        known = (queue.entries_max for queue in queues if queue.entries_max)
        self.entries_max = self.entries_max or min(known, default=RUN_ENTRIES_MAX)
        return self.entries_max

    def on_answer(self, fetch: Fetching, now: float) -> None:
        """An answer has come. Answers come one after the other, so this one has taken since the last; it was slow where
        part of it came before: else it waited here or there for something else than the line."""
        since = max(fetch.asked_at, self.answered_at)
        took_s, asked = now - since, fetch.last - fetch.first + 1
        most = self.entries_max or RUN_ENTRIES_MAX
        self.answered_at = now
        if took_s > SLOW_ANSWER_S and self.arrived_at > since:
            self.is_slow = True
            self.entries_max = max(CHECKPOINT_EVERY, min(most, int(asked * SLOW_ANSWER_S / took_s)))
        elif took_s < SLOW_ANSWER_S / 2 and 2 * asked > most:
            self.is_slow = False
            self.entries_max = min(RUN_ENTRIES_MAX, 2 * most)

    def is_busy(self, device: DeviceKey) -> bool:
        return device in self.awaiting or device in self.storing

    def weigh(self, device: DeviceKey, *, in_full: bool) -> None:
        """Count an answer that gave all that was asked for of a log, or less."""
        if in_full:
            self.stinted.pop(device, None)
        else:
            self.stinted[device] = None
            self.lacks += 1


def ends_early(run: VerifiedRun, last: int) -> bool:
    """Whether a run stops below the number that it was asked for, and not because more would be too much for one run:
    such a one ends on the last signature within the limits, so less than a checkpoint's stretch below them."""
    fits_more = len(run) + CHECKPOINT_EVERY <= RUN_ENTRIES_MAX
    return run[-1].seq < last and fits_more and sum(run.sizes) + CHECKPOINT_EVERY * PAYLOAD_BYTES_MAX <= RUN_BYTES_MAX
