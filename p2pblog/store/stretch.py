"""A stretch: consecutive entries of one log in columns, as a store takes them in. Pure.

A run from outside arrives in columns (core/runs.py) and is stored from them: a loop for each column costs a tenth of
making an object for each entry and asking it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import cast

from p2pblog.core.entry import Entry, chain_ids, entry_id, is_checkpoint
from p2pblog.core.groups import groups_of
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, verify
from p2pblog.core.payload import plain_texts
from p2pblog.core.runs import VerifiedRun, in_columns
from p2pblog.core.value import Value, replace
from p2pblog.errors import BadKey, BadSignature
from p2pblog.store.meaning import PLAIN, Meaning, meaning_of


class Stretch(Value):
    """Columns of equal length, from number `first` up. `payloads` holds None in gaps, `notes` 1 where a payload is
    known to be a note that says nothing but its text."""

    first: int
    times: Sequence[int]
    ids: Sequence[EntryId]
    payloads: Sequence[bytes | None]
    sizes: Sequence[int]
    hashes: Sequence[bytes]
    notes: bytes

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def last(self) -> int:
        return self.first + len(self) - 1


def stretch_of(entries: Sequence[Entry]) -> Stretch:
    """Entries that follow one another, at least one."""
    run = in_columns(entries)
    return Stretch(run.first, run.times, run.ids, run.payloads, run.sizes, run.hashes, run.notes)


_GROUP, _TAG, _MENTION = b"!#@"
"""Without one of these bytes nothing in a text is a group, a tag or a mention."""


def meanings_of(payloads: Sequence[bytes | None], notes: bytes) -> list[Meaning]:
    """`meaning_of` each, as fast as whole runs need it. `notes`: 1 where a payload is known to be a plain note."""
    if None in payloads:
        return [meaning_of(payload) for payload in payloads]
    held = cast(Sequence[bytes], payloads)
    if any(notes):
        signs = [_GROUP in payload or _TAG in payload or _MENTION in payload for payload in held]
        told = zip(held, notes, signs, strict=True)
        return [PLAIN if note and not sign else meanings_of((payload,), b"")[0] for payload, note, sign in told]
    return [
        meaning_of(payload)
        if text is None or "#" in text or "@" in text or ("!" in text and groups_of(text))
        else PLAIN
        for payload, text in zip(held, plain_texts(held), strict=True)
    ]


def signatures_of(entries: Sequence[Entry]) -> list[tuple[int, bytes]]:
    """(number, signature) of those that carry one."""
    run = in_columns(entries)
    return [(seq, signature) for seq, signature in enumerate(run.signatures, run.first) if signature is not None]


def cut_run(entries: Sequence[Entry], last: int, bytes_max: int, run_bytes_max: int) -> Sequence[Entry]:
    """What of these entries to hand out: up to the first signature at or after `last`, or to the last signature within
    the bytes; at least to the first signature, so that whoever asks gets on (under 64 entries, 1 MiB)."""
    run = in_columns(entries)
    carried = list(accumulate(0 if payload is None else len(payload) for payload in run.payloads))
    sized = list(accumulate(run.sizes))
    cut = 0
    for seq, _ in signatures_of(run):
        length = seq + 1 - run.first
        if cut and (carried[length - 1] > bytes_max or sized[length - 1] > run_bytes_max):
            break
        cut = length
        if seq >= last:
            break
    return run.part(0, cut)


def is_as_signed(run: VerifiedRun) -> bool:
    """Whether ids that were stored are those of their bodies, one after the other, and the last one's signature holds.
    Those below it, but for its neighbours at checkpoints, need none."""
    if list(run.ids) != chain_ids(run.device, run.first, run.prev, run.times, run.sizes, run.hashes):
        return False
    return _is_valid(run.device, run.ids[-1], run.signatures[-1])


def _is_valid(device: DeviceKey, entry: EntryId, signature: bytes | None) -> bool:
    try:
        verify(device, ENTRY_DOMAIN, entry, signature or b"")
    except (BadSignature, BadKey):
        return False
    return True


def without_false_signature(entry: Entry) -> Entry | None:
    """One entry that was stored, with its signature if that holds; None if its id is not its body's."""
    if entry_id(entry.body) != entry.id:
        return None
    is_signed = entry.signature is None or _is_valid(entry.device, entry.id, entry.signature)
    return entry if is_signed else replace(entry, signature=None)


def first_whole_run(entries: Iterable[Entry | None], last: int, bytes_max: int, run_bytes_max: int) -> Sequence[Entry]:
    """What to hand out of consecutive entries, None for those that can't be: the lowest run between two of these that
    begins no higher than `last`, cut as any run; none where no signature vouches for any."""
    whole: list[Entry] = []
    for entry in chain(entries, [None]):
        is_over = entry is None or (is_checkpoint(entry.seq) and entry.signature is None)
        if not is_over:
            whole.append(cast(Entry, entry))
            continue
        if whole and whole[0].seq > last:
            return []
        found = cut_run(whole, last, bytes_max, run_bytes_max) if whole else []
        if found:
            return found
        whole.clear()
    return []


def payloads_beside(entries: Sequence[Entry], fresh: Sequence[Sequence[Entry]]) -> list[tuple[int, bytes]]:
    """(number, payload) of the entries of a run that have one and are in none of these stretches of it, in order."""
    first, at, beside = entries[0].seq, 0, list[int]()
    for stretch in fresh:
        beside += range(at, stretch[0].seq - first)
        at = stretch[-1].seq + 1 - first
    beside += range(at, len(entries))
    payloads = in_columns(entries).payloads
    return [(first + at, payload) for at in beside if (payload := payloads[at]) is not None]


def places(times: Sequence[int], now_ms: int, before: int | None, after: int | None) -> list[int]:
    """Where consecutive new entries stand, in ms, by the times that they claim: each by `core.timelines.sort_time`,
    never falling along the log. `before`, `after`: the places of the nearest entries held below and above."""
    seen = times if max(times) <= now_ms else [min(time_ms, now_ms) for time_ms in times]
    found = list(accumulate(seen if before is None else [before, *seen], max))
    if before is not None:
        del found[0]
    return found if after is None or found[-1] <= after else [min(place, after) for place in found]
