"""One entry of a log that we don't follow, out of the DHT: the notice, and a head that proves whose device wrote it."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.core.logs import Located
from p2pblog.core.payload import Ref
from p2pblog.core.timelines import is_shown
from p2pblog.dht.records import Head, Notice, Record
from p2pblog.errors import RemoteProtocolError


def entry_in(ref: Ref, heads: Sequence[Record], notices: Sequence[Record]) -> Located | None:
    """The very entry that is referred to, with its own signature; None where the records lack it or don't prove it.

    `heads`, `notices`: what `Directory.find` gave for the head key of its identity and the notice key of its place.
    """
    for notice in notices:
        if isinstance(notice, Notice) and (notice.entry.id, notice.entry.device, notice.entry.seq) == (
            ref.id,
            ref.device,
            ref.seq,
        ):
            return Located(ref.identity, notice.entry, ()) if any(_vouches(head, ref) for head in heads) else None
    return None


def _vouches(head: Record, ref: Ref) -> bool:
    if not isinstance(head, Head) or (head.identity, head.device) != (ref.identity, ref.device):
        return False
    try:
        return is_shown(head.partial_identity().devices.get(ref.device), ref.seq)
    except RemoteProtocolError:
        return False
