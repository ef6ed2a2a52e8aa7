"""Timelines: in which order notices stand, and which of them an identity lets us show."""

from __future__ import annotations

from p2pblog.core.identity import Standing
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.media import Attachment
from p2pblog.core.payload import Quote, Ref
from p2pblog.core.polls import Tally
from p2pblog.core.value import Value

AHEAD_MAX_MS = 10 * 60 * 1000
"""Places of our own log that lie further ahead come of a clock that was wrong and has been set right. By less a clock
is put back now and then, and what was written before and after stands in its order all the same."""


def sort_time(time_ms: int, first_seen_ms: int, before: int | None, after: int | None) -> int:
    """Where an entry stands in a timeline, in ms: never later than we first saw it, whatever it claims, and between
    its neighbours in the log (`before`, `after`: their places, where we hold them)."""
    place = min(time_ms, first_seen_ms)
    if before is not None:
        place = max(place, before)
    if after is not None:
        place = min(place, after)
    return place


def is_shown(standing: Standing | None, seq: int) -> bool:
    """Whether the identity still vouches for an entry of this number: not beyond where it retired the device."""
    return standing is not None and seq <= standing.seq


class Row(Value):
    """One line of a timeline, as every interface of the node hands it out. `place_ms`: where it stands. `of_author`:
    whose notice it answers or boosts, as it says itself or, of a boost whose notice is here, as it is."""

    id: EntryId
    type: str
    author: bytes
    name: str | None
    text: str
    time_ms: int
    reply_to: EntryId | None
    boost_of: EntryId | None
    likes: int
    boosts: int
    tags: tuple[str, ...] = ()
    warning: str | None = None
    language: str | None = None
    edited_ms: int | None = None
    quote: Quote | None = None
    quoted_text: str | None = None
    quoted_warning: str | None = None
    mentions: tuple[IdentityHash, ...] = ()
    poll: Tally | None = None
    place_ms: int = 0
    of_author: bytes | None = None
    media: tuple[Attachment, ...] = ()
    imported_ms: int | None = None
    groups: tuple[str, ...] = ()
    boosted: Ref | None = None
    """What a boost is of, while that is not here or does not show."""
    is_of_deleted: bool = False
    """Whether what it boosts or quotes does not show because its author took it back, as far as is known here."""
