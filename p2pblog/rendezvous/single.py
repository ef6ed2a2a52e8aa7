"""One entry of a log that we don't follow, out of the DHT: the notice, and a head that proves whose device wrote it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain

from p2pblog.core import payload
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Located
from p2pblog.core.payload import Delete, Edit, Payload, Ref
from p2pblog.core.pointing import targets_of
from p2pblog.core.timelines import is_shown
from p2pblog.dht.records import Head, Notice, Pointer, Record
from p2pblog.errors import RemoteProtocolError

LATER_READ_MAX = 8
"""The newest entries of a log, looked up for a delete or an edit: as many as an author publishes at once."""
LATER_READ_DROPPED_MAX = 24
"""Likewise where a drop says that there is a delete, which lies in the DHT for two days too."""
LATER_DEVICES_MAX = 3
"""Of how many logs of an author, first of that which has the notice: most people have one or two."""


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


def later_places(ref: Ref, heads: Sequence[Record], depth: int) -> list[tuple[DeviceKey, int]]:
    """Where its author may say something of an entry: the newest `depth` numbers of each log, that of the entry first
    and above it, of LATER_DEVICES_MAX logs."""
    highest = {head.device: head.seq for head in heads if isinstance(head, Head) and head.identity == ref.identity}
    devices = sorted(highest, key=lambda device: (device != ref.device, device))[:LATER_DEVICES_MAX]
    return [
        (device, seq)
        for device in devices
        for seq in range(highest[device], max(highest[device] - depth, ref.seq if device == ref.device else 1), -1)
    ]


def later_in(ref: Ref, heads: Sequence[Record], notices: Sequence[Record]) -> list[Located]:
    """The deletes and edits of an entry among these, by devices that the heads prove its author's, as they are
    numbered: so the store has the last word on which of them count."""
    found: list[Located] = []
    for notice in notices:
        if not isinstance(notice, Notice) or notice.entry.payload is None:
            continue
        said = payload.decode(notice.entry.payload)
        named = (said.of.id,) if isinstance(said, Edit) else _taken_back(said)
        place = Ref(ref.identity, notice.entry.device, notice.entry.seq, notice.entry.id)
        if ref.id in named and (located := entry_in(place, heads, [notice])) is not None:
            found.append(located)
    return sorted(found, key=lambda located: (located.entry.device, located.entry.seq))


def _taken_back(said: Payload | None) -> tuple[EntryId, ...]:
    return (said.of.id, *said.replaces) if isinstance(said, Delete) else ()


def pointed_in(
    pointer: Pointer, heads: Sequence[Record], notices: Sequence[Record], own: IdentityHash
) -> Located | None:
    """The entry that a pointer names, with its own signature; None where the records lack it or don't prove it, or it
    does not refer to the target: anybody may have signed the pointer. Nobody finds his own (`own`)."""
    for notice in notices:
        if not isinstance(notice, Notice) or notice.entry.payload is None or pointer.author == own:
            continue
        ref = Ref(pointer.author, pointer.device, pointer.seq, notice.entry.id)
        targets = targets_of(payload.decode(notice.entry.payload), pointer.author)
        if pointer.target in targets and (located := entry_in(ref, heads, [notice])) is not None:
            return located
    return None


def in_turn(pointers: Sequence[Pointer], rng: random.Random) -> list[Pointer]:
    """The newest of each author's device first, then the second of each: who points often keeps nobody else waiting.
    Every other one is drawn instead, for anybody can sign pointers of ever new devices that look newest."""
    rank: dict[DeviceKey, int] = {}
    ranked = []
    for pointer in sorted(pointers, key=lambda pointer: (-pointer.expires_ms, pointer.device, -pointer.seq)):
        rank[pointer.device] = rank.get(pointer.device, 0) + 1
        ranked.append((rank[pointer.device], pointer))
    newest = [pointer for _rank, pointer in sorted(ranked, key=lambda row: row[0])]
    drawn = rng.sample(newest, len(newest))
    return list(dict.fromkeys(chain.from_iterable(zip(newest, drawn, strict=True))))


def _vouches(head: Record, ref: Ref) -> bool:
    if not isinstance(head, Head) or (head.identity, head.device) != (ref.identity, ref.device):
        return False
    try:
        return is_shown(head.partial_identity().devices.get(ref.device), ref.seq)
    except RemoteProtocolError:
        return False
