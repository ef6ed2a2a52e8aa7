"""How much is held of a feed that we only relay: what is fetched of each log, and which logs make way.

Rules:

* Of each log the newest NEWEST_FIRST are fetched, of many logs fewer each: together half of the room at most.
* Nothing is asked for while more than RELAYED_ENTRIES_MAX are held or on their way.
* Beyond that the longest logs are dropped and begin afresh, each only once it holds twice what is fetched of it. So no
  more is fetched again than has come live, and nothing for ever.
* Beyond twice as many the longest logs are dropped in any case: of 256 logs each could stay too short for that.
* What a retired device wrote beyond its end is held without payloads, for the store keeps no identity that would hide
  it. A log that was held further when the retirement came begins afresh.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import NEWEST_FIRST, SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Standing
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.value import State, field
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import LOGS_PER_CLOCK_MAX

RELAYED_ENTRIES_MAX = 512
"""Entries held of one relayed feed, the newest 25 of ten devices and as many again: 150 kB as people write, 8 MiB at
worst."""


class Borrowed(State):
    """`dropping`: logs that have grown too big, until the store has dropped them."""

    holdings: Holdings
    dropping: dict[DeviceKey, None] = field(default_factory=dict)

    def share(self, identity: IdentityHash) -> int:
        """How many of the newest entries of each of its logs are fetched: 4 at least, for no clock tells of more than
        LOGS_PER_CLOCK_MAX logs."""
        logs = min(max(1, len(self.holdings.devices(identity))), LOGS_PER_CLOCK_MAX)
        return min(NEWEST_FIRST, RELAYED_ENTRIES_MAX // (2 * logs))

    def room(self, identity: IdentityHash) -> int:
        """How many more entries may be held; below 0, how many there are too many."""
        return RELAYED_ENTRIES_MAX - sum(map(self._held, self.holdings.devices(identity)))

    def make_room(self, identity: IdentityHash) -> list[DeviceKey]:
        """The logs that the store is to drop, the longest first: as many as bring what is held to the bound, none of
        them twice and, unless it is passed by far, none of which too little would be gained."""
        room = self.room(identity)
        if room >= 0:
            return []
        is_far_over = sum(map(self._wanted, self.holdings.devices(identity))) > 2 * RELAYED_ENTRIES_MAX
        share = self.share(identity)
        dropped: list[DeviceKey] = []
        for device in sorted(self.holdings.devices(identity), key=self._held, reverse=True):
            if room < 0 and (self._is_outgrown(device, share) or (is_far_over and self._wanted(device))):
                room += self._held(device)
                dropped.append(device)
        self.dropping |= dict.fromkeys(dropped)
        return dropped

    def end(self, identity: IdentityHash) -> list[DeviceKey]:
        """The logs that the store is to drop, since payloads of theirs are held from beyond where they end now."""
        ended = [device for device in self.holdings.devices(identity) if self._is_beyond(device)]
        self.dropping |= dict.fromkeys(ended)
        return ended

    def forget(self, device: DeviceKey) -> None:
        """It was dropped, or concerns us no more."""
        self.dropping.pop(device, None)

    def _is_outgrown(self, device: DeviceKey, share: int) -> bool:
        """Whether at most half of what is held of a log would be fetched again."""
        return self._wanted(device) >= 2 * share

    def _wanted(self, device: DeviceKey) -> int:
        """How much of what is held of a log might be dropped for good. What a run brought beyond the entry that a
        retirement names does not count, for it would be brought again."""
        state, standing = self.holdings.logs.get(device), self.holdings.standing(device)
        if state is None or device in self.dropping:
            return 0
        last = SEQ_MAX if standing is None else standing.seq
        return sum(max(0, min(span.high, last) - span.low + 1) for span in state.spans)

    def _is_beyond(self, device: DeviceKey) -> bool:
        state, standing = self.holdings.logs.get(device), self.holdings.standing(device)
        if state is None or standing is None or device in self.dropping:
            return False
        beyond = sum(max(0, span.high - max(span.low, standing.seq + 1) + 1) for span in state.spans)
        return beyond > sum(seq > standing.seq for seq in state.missing)

    def _held(self, device: DeviceKey) -> int:
        """How many entries are held of a log, and to stay."""
        return 0 if device in self.dropping else self.holdings.entries(device)


def bare_beyond(standing: Standing | None, run: Sequence[Entry]) -> tuple[Entry, ...]:
    """A run may go on beyond the end of a retired log, up to the signature that vouches for what lies below it."""
    last = SEQ_MAX if standing is None else standing.seq
    return tuple(entry if entry.seq <= last else entry.without_payload() for entry in run)
