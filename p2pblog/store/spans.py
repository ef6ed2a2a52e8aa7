"""Spans: which stretches of a log are held, and how a run fits among them. Pure.

Ids make this cheap: an id fixes every body below it, so two stretches that agree on one id agree on all that both hold
below it. One comparison for each span that a run touches is therefore enough:

* a span that overlaps the run must have the run's id at the highest number that both hold;
* a span that ends right below the run must end on the id that the run's first entry names as `prev`;
* a span that begins right above must name the run's last id as its own `low_prev`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p2pblog.core.entry import Entry, follow_one_another
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Span
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.value import Value
from p2pblog.errors import BadChain, LocalProtocolError


class Fit(Value):
    """A run among the spans of its log: the spans as they will be, and the stretches of the run not held so far (the
    run itself, where nothing of it is held)."""

    spans: tuple[Span, ...]
    fresh: tuple[Sequence[Entry], ...]


def fit(spans: Sequence[Span], run: Sequence[Entry], held_id: Callable[[int], EntryId]) -> Fit:
    """Where a verified run belongs. `held_id` gives the id held at a number inside one of `spans`.

    Raises BadChain if the run contradicts what is held, LocalProtocolError for what can't have been verified.
    """
    _check_verified(run)
    for span in spans:
        _check_agrees(span, run, held_id)
    low, high = run[0].seq, run[-1].seq
    touching = [span for span in spans if span.low <= high + 1 and span.high >= low - 1]
    apart = [span for span in spans if span not in touching]
    merged = _merge(touching, run)
    return Fit(tuple(sorted([*apart, merged], key=lambda span: span.low)), tuple(_fresh(touching, run)))


def _check_verified(run: Sequence[Entry]) -> None:
    if not run or run[-1].signature is None:
        raise LocalProtocolError("a run to be stored ends on an entry with a verified signature")
    if isinstance(run, VerifiedRun):
        return  # its entries follow one another by construction
    if not follow_one_another(run):
        raise LocalProtocolError("a run to be stored has entries that follow one another")


def _check_agrees(span: Span, run: Sequence[Entry], held_id: Callable[[int], EntryId]) -> None:
    first, last = run[0], run[-1]
    if span.high == first.seq - 1:
        agrees = first.prev == span.high_id
    elif span.low == last.seq + 1:
        agrees = last.id == span.low_prev
    elif span.high < first.seq or span.low > last.seq:
        return
    else:
        common = min(span.high, last.seq)
        held = span.high_id if common == span.high else held_id(common)
        agrees = run[common - first.seq].id == held
    if not agrees:
        raise BadChain(f"entries {first.seq} to {last.seq} contradict what is held of this log")


def _merge(touching: Sequence[Span], run: Sequence[Entry]) -> Span:
    first, last = run[0], run[-1]
    merged = Span(first.seq, last.seq, first.id, first.prev, last.id)
    for span in touching:
        lowest = span if span.low < merged.low else merged
        highest = span if span.high > merged.high else merged
        merged = Span(lowest.low, highest.high, lowest.low_id, lowest.low_prev, highest.high_id)
    return merged


def _fresh(touching: Sequence[Span], run: Sequence[Entry]) -> list[Sequence[Entry]]:
    first, last = run[0].seq, run[-1].seq
    if all(span.high < first or span.low > last for span in touching):
        return [run]
    base = first
    stretches: list[Sequence[Entry]] = []
    start = base
    for span in touching:
        if start < span.low:
            stretches.append(part_of(run, start - base, span.low - base))
        start = max(start, span.high + 1)
    if start <= last:
        stretches.append(part_of(run, start - base, len(run)))
    return [stretch for stretch in stretches if stretch]


def part_of(run: Sequence[Entry], start: int, stop: int) -> Sequence[Entry]:
    """The entries of a run from position `start` to before `stop`; in columns, if the run is."""
    return run.part(start, stop) if isinstance(run, VerifiedRun) else tuple(run[start:stop])


def above_floor(run: Sequence[Entry], floor: int) -> Sequence[Entry]:
    """What of a run stands above a number up to which all was pruned; what was asked for before may still come."""
    below = min(max(0, floor + 1 - run[0].seq), len(run))
    return part_of(run, below, len(run)) if below else run


def neighbours(spans: Sequence[Span], low: int, high: int) -> tuple[int | None, int | None]:
    """The nearest numbers held below `low` and above `high`; no span overlaps these."""
    below = max((span.high for span in spans if span.high < low), default=None)
    above = min((span.low for span in spans if span.low > high), default=None)
    return below, above


def span_of(spans: Sequence[Span], seq: int) -> Span | None:
    """The span that holds this number."""
    return next((span for span in spans if span.low <= seq <= span.high), None)


def check_newest(spans: Sequence[Span], batch: Batch) -> None:
    """Raises BadChain for an own entry that is not the next one: somebody else wrote on our log, so we must not."""
    high = spans[-1].high if spans else 0
    if batch.newest and batch.entries[0].seq != high + 1:
        raise BadChain(f"entry {batch.entries[0].seq} of our own log, which goes up to {high}")
