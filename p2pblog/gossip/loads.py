"""What is to be read for one peer: what is live first, and how much may wait to be sent while more is read."""

from __future__ import annotations

from collections import deque

from p2pblog.core.value import State, field
from p2pblog.gossip.events import LoadFile, LoadOne, LoadRun

Load = LoadRun | LoadOne | LoadFile

LOAD_BELOW_BYTES = 64 * 1024
"""Something is read for a peer while less than this waits to be sent to it: half a second of 1 Mbit/s, by which live
notices come later. (With 1 MiB that was 9 s, and no more history came, nor was a first sync over loopback faster.)"""


class Loads(State):
    """Answers to grafts come first, as they were asked for: up to 64 runs of history would else delay them. Single
    entries and files, for which a person may wait, take turns with history: neither is to wait for all of the other.
    (Behind eight runs over 1 Mbit/s a file came after 22 s, and is waited for for 10.)"""

    live: deque[Load] = field(default_factory=deque)
    single: deque[Load] = field(default_factory=deque)
    history: deque[Load] = field(default_factory=deque)
    _was_single: bool = False

    def __len__(self) -> int:
        return len(self.live) + len(self.single) + len(self.history)

    def add(self, request: Load) -> None:
        if not isinstance(request, LoadRun):
            self.single.append(request)
        else:
            (self.live if request.live else self.history).append(request)

    def take(self) -> Load:
        """The next one. There must be one."""
        if self.live:
            return self.live.popleft()
        self._was_single = bool(self.single) and not (self._was_single and self.history)
        return (self.single if self._was_single else self.history).popleft()
