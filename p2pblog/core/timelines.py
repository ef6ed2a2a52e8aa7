"""Timelines: in which order notices stand, and which of them an identity lets us show."""

from __future__ import annotations

from dataclasses import dataclass

from p2pblog.core.identity import Standing
from p2pblog.core.keys import EntryId


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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a timeline, as every interface of the node hands it out."""

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
    imported_ms: int | None = None
