"""What has a number from the beginning on, on a link that goes on from a memory."""

from __future__ import annotations

from bisect import bisect_left

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.value import Value


class Names(Value):
    """Feeds and logs, each in ascending order: the place of one is its number. Both ends know them:
    each remembers the clocks in which they stood, and the memory in both Hellos shows that they are the same."""

    feeds: tuple[IdentityHash, ...] = ()
    logs: tuple[DeviceKey, ...] = ()

    def number_of(self, feed: IdentityHash) -> int | None:
        """Its number; None for a feed that has none."""
        at = bisect_left(self.feeds, feed)
        return at if at < len(self.feeds) and self.feeds[at] == feed else None
