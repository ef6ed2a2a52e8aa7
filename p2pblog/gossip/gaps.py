"""Gaps: entries whose payload did not come along. Who lacks which, and who should hear of it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.gossip.events import Stored
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import MISSING_MAX, Clock
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
    sessions = (sharing.sessions[peer] for peer in sharing.sharers.get(event.batch.identity, ()))
    device = event.state.device
    lacking = [s for s in sessions if not given.isdisjoint(s.clocks.get(device, _NOTHING).missing)]
    return sorted(lacking, key=lambda session: session.peer)


def may_fill(holdings: Holdings, session: Session, identity: IdentityHash) -> bool:
    """Whether we hold a payload that a peer says it lacks. What is pushed live is told by no clock, so the peer may not
    know that we do."""
    for device in holdings.devices(identity):
        state, theirs = holdings.logs.get(device), session.clocks.get(device, _NOTHING)
        if state is None or not theirs.missing:
            continue
        if any(holdings.holds(device, seq) and seq not in state.missing for seq in theirs.missing):
            return True
    return False


def mark_held(session: Session, device: DeviceKey, first: int, last: int) -> None:
    """The peer holds these numbers too: it said so, or was sent them."""
    clock = session.clocks.get(device)
    if clock is None or not any(low <= first and last <= high for low, high in clock.spans):
        session.clocks[device] = (clock or Clock()).extended(first, last)
