"""Claims: what a peer's run or clock says of an entry that it has not shown yet, and must stand by."""

from __future__ import annotations

from dataclasses import dataclass

from p2pblog.core import payload as payloads
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.errors import BadChain
from p2pblog.gossip.messages import tip_of


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run that contradicts ours says of the entry right below it (its id) or above it (its predecessor)."""

    seq: int
    id: EntryId | None = None
    above: bool = False
    tip: bytes | None = None
    """Or: what its clock says of the entry. With neither, only that it has the entry."""


def check_claim(claim: Claim, entries: tuple[Entry, ...]) -> None:
    """Whether a peer stands by what its run said of the entry beside it. Raises BadChain."""
    if claim.tip is None and claim.id is None and not claim.above:
        return
    entry = next((entry for entry in entries if entry.seq == claim.seq), None)
    if entry is not None and claim.tip is not None and tip_of(entry.id) == claim.tip:
        return
    if entry is None or claim.tip is not None or (entry.prev if claim.above else entry.id) != claim.id:
        raise BadChain("two runs of one log that don't fit each other")


def check_start(identity: IdentityHash, entries: tuple[Entry, ...]) -> None:
    """Entry 1 names the one identity that its device writes for. Raises BadChain."""
    first = entries[0]
    if first.seq != 1:
        return
    start = payloads.decode(first.payload) if first.payload is not None else None
    if not isinstance(start, payloads.LogStart) or start.identity != identity:
        raise BadChain("a log whose first entry does not name this identity")
