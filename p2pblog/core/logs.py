"""Logs as a node holds them: which stretches of numbers, and what was verified of one entry."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.value import Value


class Span(Value):
    """Consecutive entries that we hold, from `low` to `high`, with the ids at both ends."""

    low: int
    high: int
    low_id: EntryId
    low_prev: EntryId | None
    high_id: EntryId


class LogState(Value):
    """What we hold of one log: its spans in ascending order, disjoint and not adjacent, and the payloads we lack.

    The last entry of each span carries a signature that we verified. `floor`: what was pruned to save room lies at or
    below it; nothing there is wanted any more.
    """

    device: DeviceKey
    identity: IdentityHash
    spans: tuple[Span, ...] = ()
    missing: tuple[int, ...] = ()
    fork: ForkProof | None = None
    floor: int = 0


class Batch(Value):
    """A verified run to be stored in one log. It may overlap what is held; what is held stays.

    `newest`: an own entry, refused unless it is the next after all that is held.
    """

    identity: IdentityHash
    entries: Sequence[Entry]
    newest: bool = False


class Located(Value):
    """An entry with its owner and the bodies after it up to the signed one; `chain` is empty if it is signed itself."""

    identity: IdentityHash
    entry: Entry
    chain: tuple[Entry, ...]
