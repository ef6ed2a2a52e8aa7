"""A log and an entry as the dict store holds them, and what the rules of store/meaning.py want to know of an entry."""

from __future__ import annotations

from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import Span
from p2pblog.core.value import State, Value, field
from p2pblog.store.meaning import Meaning, Shown, Version


class Log(State, eq=False):
    """A log; `no` counts logs in the order in which we met them and settles ties in timelines. `read`: the numbers that
    were read as news, held or not, with the time since when they were news."""

    no: int
    device: DeviceKey
    identity: IdentityHash
    spans: tuple[Span, ...] = ()
    held: dict[int, Held] = field(default_factory=dict)
    strays: dict[int, Held] = field(default_factory=dict)
    gaps: set[int] = field(default_factory=set)
    fork: ForkProof | None = None
    floor: int = 0
    pruned: int = 0
    read: dict[int, int] = field(default_factory=dict)


class Stray(Value):
    """What vouches for a stray; since when it is one; and whether it stayed as what was around it went."""

    chain: tuple[Entry, ...]
    since_ms: int
    kept: bool = False


class Held(State, eq=False):
    """An entry held. `stray`: None for an entry of a run. `lent`: as which stray it will stay when the run goes that it
    is part of. `aside`: a direct message that is for others; `told_ms`: since when one that is for us is news."""

    log: Log
    entry: Entry
    sort: int
    seen: int
    meaning: Meaning
    stray: Stray | None = None
    lent: Stray | None = None
    aside: bool = False
    told_ms: int | None = None

    @property
    def place(self) -> tuple[int, int, int]:
        return self.sort, self.log.no, self.entry.seq


def shown(held: Held) -> Shown:
    entry, meaning = held.entry, held.meaning
    assert entry.payload is not None
    return Shown(entry.id, held.log.identity, meaning.kind, meaning.of, entry.time_ms, entry.payload, held.sort)


def version(held: Held) -> Version:
    entry = held.entry
    assert entry.payload is not None
    return Version(entry.id, held.log.no, entry.seq, entry.time_ms, entry.payload)
