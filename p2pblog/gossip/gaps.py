"""Gaps: payloads that did not come along, and entries that live notices skipped. Who lacks them, who should hear."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import pairwise

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import LogState
from p2pblog.core.value import replace
from p2pblog.gossip.events import Stored
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import MISSING_MAX, SPANS_MAX, Clock
from p2pblog.gossip.sharing import Session, Sharing

_NOTHING = Clock()


def bare_entries(event: Stored) -> set[int]:
    """The numbers of a batch whose payloads are to be had and did not come along."""
    missing = event.state.missing
    return {entry.seq for entry in event.batch.entries if entry.payload is None and entry.seq in missing}


def note_lack(session: Session | None, device: DeviceKey, bare: Set[int]) -> None:
    """Who gave an entry without its payload is taken to lack it."""
    clock = session.clocks.get(device) if session is not None else None
    if session is not None and clock is not None:
        missing = sorted({*clock.missing, *bare}, reverse=True)[:MISSING_MAX]
        session.clocks[device] = replace(clock, missing=tuple(missing))


def who_lacks(sharing: Sharing, event: Stored) -> list[Session]:
    """The links whose other end lacks a payload that this batch has brought, in the order of their keys."""
    given = {entry.seq for entry in event.batch.entries}
    sessions = sharing.sessions_of(event.batch.identity)
    device = event.state.device
    return [s for s in sessions if not given.isdisjoint(s.clocks.get(device, _NOTHING).missing)]


def may_fill(holdings: Holdings, session: Session, identity: IdentityHash) -> bool:
    """Whether we hold a payload or an entry that a peer says it lacks. What is pushed live is told by no clock, so the
    peer may not know that we do: of several entries that came together only the newest was announced."""
    told = session.shared[identity].told if identity in session.shared else None
    told_logs = dict(told.logs) if told is not None else {}
    for device in holdings.devices(identity):
        state, theirs = holdings.logs.get(device), session.clocks.get(device, _NOTHING)
        if state is None:
            continue
        if any(holdings.holds(device, seq) and seq not in state.missing for seq in theirs.missing):
            return True
        if _holds_untold(state, theirs, told_logs.get(device, _NOTHING)):
            return True
    return False


def _holds_untold(state: LogState, theirs: Clock, told: Clock) -> bool:
    """Whether we hold something in a hole of theirs that our last clock did not tell of."""
    for low, high in _holes(theirs):
        for span in state.spans:
            first, last = max(low, span.low), min(high, span.high)
            if first <= last and not any(top >= last and bottom <= first for bottom, top in told.spans):
                return True
    return False


def _holes(clock: Clock) -> Iterator[tuple[int, int]]:
    """What a peer lacks below its highest number. A clock with as many spans as fit may leave out what is below."""
    for (above, _high), (_low, below) in pairwise(clock.spans):
        yield below + 1, above - 1
    if clock.spans and len(clock.spans) < SPANS_MAX:
        yield 1, clock.spans[-1][0] - 1


def is_past_hole(session: Session, event: Stored) -> bool:
    """Whether what a peer gave lies above a hole of ours, and it had only announced it: its clock tells what it held
    before, so it may well hold what is in the hole."""
    device, first = event.state.device, event.batch.entries[0].seq
    row = session.shared.get(event.batch.identity)
    if row is None or row.heard is None or dict(row.heard.logs).get(device, _NOTHING).holds(first):
        return False
    return first > 1 and not any(span.low < first <= span.high for span in event.state.spans)


def mark_held(sharing: Sharing, session: Session, device: DeviceKey, first: int, last: int) -> None:
    """The peer holds these numbers too: it said so, or was sent them."""
    clock, owner = session.clocks.get(device, _NOTHING), sharing.holdings.owners.get(device)
    if not any(low <= first and last <= high for low, high in clock.spans):
        session.clocks[device] = clock.extended(first, last)
        if not clock.spans and owner is not None:
            sharing.note_links(owner)
