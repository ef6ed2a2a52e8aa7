"""What is to be read for one peer: what is live before history, and how much may wait to be sent while more is read."""

from __future__ import annotations

from collections import deque

from p2pblog.core.value import State, field
from p2pblog.gossip.events import LoadFile, LoadOne, LoadRun

Load = LoadRun | LoadOne | LoadFile

LOAD_BELOW_BYTES = 64 * 1024
"""Something is read for a peer while less than this waits to be sent to it: half a second of 1 Mbit/s, by which live
notices come later. (With 1 MiB that was 9 s, and no more history came, nor was a first sync over loopback faster.)"""


class Loads(State):
    """Answers to grafts come first, as they were asked for: up to 64 runs of history would else delay them."""

    live: deque[Load] = field(default_factory=deque)
    others: deque[Load] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.live) + len(self.others)

    def add(self, request: Load) -> None:
        (self.live if isinstance(request, LoadRun) and request.live else self.others).append(request)

    def take(self) -> Load:
        """The next one. There must be one."""
        return (self.live or self.others).popleft()
