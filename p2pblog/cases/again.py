"""Of which single notices peers are to be asked again, and when. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from p2pblog.core.keys import EntryId

SINGLE_AGAIN_S = 600.0
"""How often peers are asked at most what became of a notice that is held by itself: three of them, 0.85 kB each, so
50 kB for a page of 20."""
SINGLE_AGAIN_MAX = 20
"""Of how many at once: a page's worth."""
SINGLES_ASKED_MAX = 1_024
"""Notices of which it is remembered when that was, the latest: fifty pages."""


class Again:
    """When each was asked for last."""

    def __init__(self) -> None:
        self._asked: dict[EntryId, float] = {}

    def take(self, entries: Iterable[EntryId], now: float, *, at_once: bool = False) -> list[EntryId]:
        """Those that are due at `now`, in seconds by any clock that never goes back, the first SINGLE_AGAIN_MAX of
        them: they count as asked for from now on. `at_once`: a person asks for these, so all are due."""
        distinct = dict.fromkeys(entries)
        due = [entry for entry in distinct if at_once or self._is_due(entry, now)][:SINGLE_AGAIN_MAX]
        for entry in due:
            self._asked.pop(entry, None)
            self._asked[entry] = now
        while len(self._asked) > SINGLES_ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        return due

    def _is_due(self, entry: EntryId, now: float) -> bool:
        return entry not in self._asked or now >= self._asked[entry] + SINGLE_AGAIN_S
