"""What we publish of our own log: its head, the newest notices, and drops of those that were taken back."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import HEAD_LIFETIME_MS, NOTICE_LIFETIME_MS, RECORD_SKEW_MS
from p2pblog.core import payload
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId, KeyPair
from p2pblog.core.logs import Span
from p2pblog.core.payload import Boost, Delete, Note
from p2pblog.dht.records import Record, notice_record, sign_drop, sign_head


def own_records(
    identity: Identity,
    device: KeyPair,
    last: Span,
    newest: Sequence[Entry],
    readable: frozenset[EntryId],
    now_ms: int,
) -> tuple[Record, ...]:
    """`last`: the newest span of the device's log; `newest`: its newest entries; `readable`: those that are shown.

    What another device of ours took back is left out like what this one did: it is not readable, and a drop of it
    would have to be signed there.
    """
    head = sign_head(identity, device, now_ms, last.high, last.high_id, now_ms + HEAD_LIFETIME_MS)
    records: list[Record] = [] if head is None else [head]
    fresh = [entry for entry in newest if -RECORD_SKEW_MS <= now_ms - entry.time_ms < NOTICE_LIFETIME_MS]
    spoken = [None if entry.payload is None else payload.decode(entry.payload) for entry in fresh]
    deletes = [said for said in spoken if isinstance(said, Delete)]
    named = {each for said in deletes for each in (said.of.id, *said.replaces)}
    drops = {said.of.seq for said in deletes if said.of.device == device.public}
    for entry, said in zip(fresh, spoken, strict=True):
        if entry.id in named and entry.seq > 1 and not isinstance(said, Delete):
            drops.add(entry.seq)
        elif isinstance(said, Note | Boost) and entry.id not in readable:
            continue
        elif (record := notice_record(entry)) is not None:
            records.append(record)
    return (*records, *(sign_drop(device, seq, now_ms) for seq in sorted(drops)))
