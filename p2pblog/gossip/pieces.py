"""Which piece of a log to ask of a peer next: pure arithmetic on what it holds and what we hold."""

from __future__ import annotations

from p2pblog.config import CHECKPOINT_EVERY, NEWEST_FIRST, RUN_ENTRIES_MAX
from p2pblog.core.logs import LogState
from p2pblog.core.value import replace
from p2pblog.gossip.messages import PAYLOADS_MAX, Clock


def above(clock: Clock, floor: int) -> Clock:
    """What a clock tells of the numbers above `floor`."""
    spans = tuple((max(low, floor + 1), high) for low, high in clock.spans if high > floor)
    return replace(clock, spans=spans)


def wanted(state: LogState | None, theirs: Clock) -> Clock:
    """What of a clock is still wanted: nothing up to where a log was pruned."""
    return above(theirs, state.floor) if state is not None and state.floor else theirs


def newest_piece(state: LogState | None, theirs: Clock, limit: int) -> tuple[int, int] | None:
    """(first, last) of the newest entries that they hold above ours: at most 50, at most up to `limit`."""
    theirs = wanted(state, theirs)
    high = state.spans[-1].high if state is not None and state.spans else 0
    last = min(theirs.high, limit)
    if last <= high:
        return None
    low = next((low for low, top in theirs.spans if low <= last <= top), None)
    if low is None:
        return None
    return max(high + 1, low, last - NEWEST_FIRST + 1), last


def history_piece(
    state: LogState | None, theirs: Clock, limit: int, from_above: bool = False, most: int = RUN_ENTRIES_MAX
) -> tuple[int, int] | None:
    """(first, last) of the uppermost hole of ours up to `limit` that they fill some of: at most what one run brings,
    and about `most` entries. `from_above`: nothing but what the entry above the hole vouches for."""
    theirs = wanted(state, theirs)
    spans = state.spans if state is not None else ()
    ceiling = limit + 1
    for span in [*reversed(spans), None]:
        hole = ((span.high + 1) if span is not None else 1, ceiling - 1)
        for low, high in theirs.spans:
            first, last = max(hole[0], low), min(hole[1], high)
            if first <= last and (last == hole[1] or not from_above):
                return max(first, _first_of_run(last, most)), last
        if span is not None:
            ceiling = min(ceiling, span.low)  # spans may lie above the limit: a retirement came after them
    return None


def _first_of_run(last: int, most: int) -> int:
    """The lowest number from which a run of `most` entries, CHECKPOINT_EVERY at least, reaches `last`, and the
    signature at or after it, such that the question below ends on a checkpoint: its run then reaches into nothing that
    is held."""
    lowest = last + -last % CHECKPOINT_EVERY - most + 1
    return lowest + (1 - lowest) % CHECKPOINT_EVERY


def missing_payloads(state: LogState | None, theirs: Clock, limit: int) -> tuple[int, ...]:
    """Numbers up to `limit`, highest first, whose payload we lack and they hold: in one stretch of theirs, and so close
    together that all their payloads fit one answer."""
    if state is None or not state.missing:
        return ()
    absent = set(theirs.missing)
    lacking = [seq for seq in sorted(state.missing, reverse=True) if seq <= limit and seq not in absent]
    top = next((seq for seq in lacking if theirs.holds(seq)), None)
    span = theirs.span_of(top) if top is not None else None
    if top is None or span is None:
        return ()
    return tuple(seq for seq in lacking if max(span[0], top - PAYLOADS_MAX + 1) <= seq <= top)
