"""Claims: what a peer's run or clock says of an entry that it has not shown yet, and must stand by."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.core import payload as payloads
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Standing
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import LogState
from p2pblog.core.value import Value
from p2pblog.errors import BadChain
from p2pblog.gossip.messages import tip_of


class Claim(Value):
    """What a run that contradicts ours says of the entry right below it (its id) or above it (its predecessor)."""

    seq: int
    id: EntryId | None = None
    above: bool = False
    tip: bytes | None = None
    """Or: what its clock says of the entry."""
    payload_hash: bytes | None = None
    """Or: what the payload that it gave says of the entry. With none of them, only that it has the entry."""


def check_claim(claim: Claim, entries: Sequence[Entry]) -> bool:
    """Whether a peer shows the entry of which it said something. Who does not may have none: we take it to hold what we
    gave, and it has kept nothing of that if it knew of another history. Raises BadChain for another entry than it
    said."""
    if claim == Claim(claim.seq):
        return True
    entry = next((entry for entry in entries if entry.seq == claim.seq), None)
    if entry is not None and not _fits(claim, entry):
        raise BadChain("two runs of one log that don't fit each other")
    return entry is not None


def _fits(claim: Claim, entry: Entry) -> bool:
    if claim.payload_hash is not None:
        return entry.payload_hash == claim.payload_hash
    if claim.tip is not None:
        return tip_of(entry.id) == claim.tip
    return (entry.prev if claim.above else entry.id) == claim.id


def is_other_branch(standing: Standing | None, entries: Sequence[Entry]) -> bool:
    """Whether a run contradicts the retirement of its log. Its sender may not have heard of that yet."""
    if standing is None or not standing.retired:
        return False
    return any(entry.seq == standing.seq and entry.id != standing.entry for entry in entries)


def hangs_on(state: LogState | None, standing: Standing | None, entries: Sequence[Entry]) -> bool:
    """Whether a run brings the entry that a retirement names, or reaches up to what is held and so to that entry."""
    first, last = entries[0].seq, entries[-1].seq
    if standing is not None and first <= standing.seq <= last:
        return True
    return state is not None and any(span.low <= last + 1 <= span.high + 1 for span in state.spans)


def is_of(identity: IdentityHash, entries: Sequence[Entry]) -> bool:
    """Whether entry 1, if it is among these, names this identity. If it names another, its device is at fault, which
    lets two name it, and not who gives it. Raises BadChain for an entry 1 that names none."""
    first = entries[0]
    if first.seq != 1:
        return True
    start = payloads.decode(first.payload) if first.payload is not None else None
    if not isinstance(start, payloads.LogStart):
        raise BadChain("a log whose first entry names no identity")
    return start.identity == identity
