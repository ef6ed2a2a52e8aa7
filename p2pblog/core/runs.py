"""Runs: consecutive entries of one log under one signature at the end, and signatures at the checkpoints.

Soundness: an id fixes, through `prev`, every body before it; so a valid signature on the last id is the log's owner
vouching for each entry of the run (the stream signing of Gennaro and Rohatgi, 1997). A receiver keeps a signature only
if it verified it, and holds nothing of a run until its last signature was checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat
from operator import sub
from typing import Any, overload

from p2pblog.config import (
    CHECKPOINT_EVERY,
    PAYLOAD_BYTES_MAX,
    RUN_BYTES_MAX,
    RUN_ENTRIES_MAX,
    SEQ_MAX,
    TIME_MS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.entry import Entry, chain_ids, entries_of, is_checkpoint, payload_hash, payload_hashes
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, check_key, verify
from p2pblog.core.payload import are_note_texts, plain_notes, plain_texts
from p2pblog.errors import BadChain, BadSignature, LocalProtocolError, Malformed, NotCanonical, TooLarge


def encode_run(entries: Sequence[Entry], prev_known: bool = False, texts: bool = False) -> list[Any]:
    """[device, first seq, prev | nil, [times], [payloads], signatures]: see docs/protocol/runs.md.

    `prev_known`: the receiver holds the entry before the first, so its id need not travel. `texts`: notes that say
    nothing but their text travel as that.
    Raises LocalProtocolError for a run that no peer would take.
    """
    if not 1 <= len(entries) <= RUN_ENTRIES_MAX:
        raise LocalProtocolError("a run has 1 to 1,000 entries")
    if isinstance(entries, VerifiedRun):
        times, payloads, signatures = entries.times, entries.payloads, entries.signatures
    else:
        _check_consecutive(entries)
        times, payloads, signatures = zip(*[(e.time_ms, e.payload, e.signature) for e in entries], strict=True)
    first = entries[0]
    carried: list[Any] = list(payloads)
    if sum(map(len, filter(None, carried))) > RUN_BYTES_MAX:
        raise LocalProtocolError("a run of over 2 MiB")
    gaps = [at for at, payload in enumerate(carried) if payload is None] if None in carried else []
    if texts:
        said = plain_texts(payload or b"" for payload in carried)
        carried = [whole if text is None else text for whole, text in zip(carried, said, strict=True)]
    for at in gaps:
        carried[at] = [entries[at].payload_size, entries[at].payload_hash]
    vouching = []
    for at in _signed(first.seq, len(entries)):
        signature = signatures[at]
        if signature is None:
            raise LocalProtocolError(f"no signature held for entry {first.seq + at}")
        vouching.append(signature)
    steps = [times[0], *map(sub, times[1:], times)]
    return [first.device, first.seq, None if prev_known else first.prev, steps, carried, b"".join(vouching)]


def _check_consecutive(entries: Sequence[Entry]) -> None:
    device, first = entries[0].device, entries[0].seq
    if any(entry.device != device or entry.seq != seq for seq, entry in enumerate(entries, first)):
        raise LocalProtocolError("a run of entries that do not follow one another")


@dataclass(frozen=True, eq=False)
class VerifiedRun(Sequence[Entry]):
    """Consecutive entries of one log, every one vouched for, in columns; each entry is made when it is asked for.

    Equal to any sequence of equal entries. Columns are as long as the run and are never changed. `payloads` holds None
    for gaps, `signatures` for entries whose signature did not travel. `notes` holds 1 for payloads that travelled as a
    note's text, so are known to be one that says nothing else; 0 for all that may be anything.
    """

    device: DeviceKey
    first: int
    prev: EntryId | None
    times: Sequence[int]
    payloads: Sequence[bytes | None]
    sizes: Sequence[int]
    hashes: Sequence[bytes]
    ids: Sequence[EntryId]
    signatures: Sequence[bytes | None]
    notes: bytes

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, made once."""
        numbers, before = range(self.first, self.first + len(self)), [self.prev, *self.ids[:-1]]
        told = (self.times, self.sizes, self.hashes, self.ids, self.payloads, self.signatures)
        return entries_of(repeat(self.device), numbers, before, *told)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(at, slice) or "entries" in vars(self):
            return self.entries[at]
        at = range(len(self))[at]  # from the end, too
        return Entry(
            self.device,
            self.first + at,
            self.ids[at - 1] if at else self.prev,
            self.times[at],
            self.sizes[at],
            self.hashes[at],
            self.ids[at],
            self.payloads[at],
            self.signatures[at],
        )

    def part(self, start: int, stop: int) -> VerifiedRun:
        """The entries from position `start` to before `stop`, both within the run, still in columns: no entry is made.
        What vouches for them may be a signature that stands above them in the whole run."""
        if start == 0 and stop == len(self):
            return self
        kept = slice(start, stop)
        return VerifiedRun(
            self.device,
            self.first + start,
            self.ids[start - 1] if start else self.prev,
            self.times[kept],
            self.payloads[kept],
            self.sizes[kept],
            self.hashes[kept],
            self.ids[kept],
            self.signatures[kept],
            self.notes[kept],
        )

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __eq__(self, other: object) -> bool:
        return self.entries == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.entries)


def in_columns(entries: Sequence[Entry]) -> VerifiedRun:
    """The same as a run in columns; at least one entry. Raises LocalProtocolError if they do not follow one another."""
    if isinstance(entries, VerifiedRun):
        return entries
    _check_consecutive(entries)
    first = entries[0]
    return VerifiedRun(
        first.device,
        first.seq,
        first.prev,
        [entry.time_ms for entry in entries],
        [entry.payload for entry in entries],
        [entry.payload_size for entry in entries],
        [entry.payload_hash for entry in entries],
        [entry.id for entry in entries],
        [entry.signature for entry in entries],
        bytes(len(entries)),
    )


def check_run(value: Any, before: EntryId | None = None, texts: bool = False) -> VerifiedRun:
    """The entries of a run from outside, every one vouched for. Signatures that travelled are on their entries.

    `before` is the id of the entry before the first, where we hold it: it stands in for an absent `prev` and must equal
    a present one. `texts`: notes that say nothing but their text must travel as that; otherwise none may. The entries
    are the same either way, payloads and all.
    Raises Malformed, NotCanonical, TooLarge, BadKey, BadChain or BadSignature.
    """
    device, first, prev, steps, carried, signatures = _shape(value)
    prev = _settle_prev(first, prev, before)
    times, payloads, sizes, hashes = _read_whole(steps, carried, texts) or _read_one_by_one(steps, carried, texts)
    check_key(device)
    signed = _signed(first, len(times))
    if len(signatures) != 64 * len(signed):
        raise BadSignature(f"{len(signatures)} bytes of signatures where {64 * len(signed)} are due")
    ids = chain_ids(device, first, prev, times, sizes, hashes)
    verified: list[bytes | None] = [None] * len(ids)
    for number, at in enumerate(signed):
        signature = signatures[64 * number : 64 * number + 64]
        verify(device, ENTRY_DOMAIN, ids[at], signature)
        verified[at] = signature
    kinds = list(map(type, carried))
    notes = b"\1" * len(ids) if kinds.count(str) == len(ids) else bytes([kind is str for kind in kinds])
    return VerifiedRun(device, first, prev, times, payloads, sizes, hashes, ids, verified, notes)


def run_start(value: Any) -> tuple[DeviceKey, int]:
    """The log and first number that a run claims, to look up `before`. Raises Malformed."""
    items = codec.as_list(value, length=6)
    return DeviceKey(codec.as_bytes(items[0], length=32)), codec.as_int(items[1], 1, SEQ_MAX)


def _shape(value: Any) -> tuple[DeviceKey, int, EntryId | None, list[Any], list[Any], bytes]:
    device, first = run_start(value)
    prev = None if value[2] is None else EntryId(codec.as_bytes(value[2], length=32))
    times = codec.as_list(value[3], length_max=RUN_ENTRIES_MAX)
    payloads = codec.as_list(value[4], length=len(times))
    if not times:
        raise Malformed("an empty run")
    if first + len(times) - 1 > SEQ_MAX:
        raise Malformed("a run past the last number")
    return device, first, prev, times, payloads, codec.as_bytes(value[5])


def _settle_prev(first: int, prev: EntryId | None, before: EntryId | None) -> EntryId | None:
    if first == 1:
        if prev is not None:
            raise BadChain("the first entry of a log has no predecessor")
        return None
    if prev is None and before is None:
        raise BadChain("a run that does not say what it follows")
    if prev is not None and before is not None and prev != before:
        raise BadChain("a run that follows another entry than the one we hold")
    return prev or before


_Columns = tuple[list[int], Sequence[bytes | None], list[int], list[bytes]]
"""Times, payloads (None in a gap), their sizes and their hashes."""


def _read_whole(steps: list[Any], carried: list[Any], texts: bool) -> _Columns | None:
    """The columns of a run without a gap or a fault, by a few passes over all of it; None for any other run.

    Times within the limits have steps within theirs.
    """
    payloads = _spelled_out(carried) if texts else _all_whole(carried)
    if payloads is None or set(map(type, steps)) != {int}:
        return None
    times, sizes = list(accumulate(steps)), list(map(len, payloads))
    if min(times) < 0 or max(times) > TIME_MS_MAX or max(sizes) > PAYLOAD_BYTES_MAX or sum(sizes) > RUN_BYTES_MAX:
        return None
    return times, payloads, sizes, payload_hashes(payloads)


def _all_whole(carried: list[Any]) -> list[bytes] | None:
    return carried if set(map(type, carried)) == {bytes} else None


def _spelled_out(carried: list[Any]) -> list[bytes] | None:
    """The payloads of a run in which notes travel as their texts; None where there is a gap or may be a fault."""
    if set(map(type, carried)) == {str}:
        return plain_notes(carried) if are_note_texts(carried) else None
    said = [item for item in carried if type(item) is str]
    others = [item for item in carried if type(item) is bytes]
    if len(said) + len(others) < len(carried) or not are_note_texts(said):
        return None
    if any(text is not None for text in plain_texts(others)):
        return None
    notes = iter(plain_notes(said))
    return [next(notes) if type(item) is str else item for item in carried]


def _read_one_by_one(steps: list[Any], carried: list[Any], texts: bool) -> _Columns:
    """The columns of any run. Raises for the first fault in it: Malformed, NotCanonical or TooLarge."""
    times, payloads, sizes, hashes = [], [], [], []
    time_ms, total = 0, 0
    for step, value in zip(steps, carried, strict=True):
        time_ms += codec.as_int(step, -TIME_MS_MAX, TIME_MS_MAX)
        if not 0 <= time_ms <= TIME_MS_MAX:
            raise Malformed("a time outside the limits")
        payload, size, hashed = _carried(_spelled_one(value) if texts else value)
        total += len(payload or b"")
        if total > RUN_BYTES_MAX:
            raise TooLarge("a run of over 2 MiB")
        times.append(time_ms)
        payloads.append(payload)
        sizes.append(size)
        hashes.append(hashed)
    return times, payloads, sizes, hashes


def _spelled_one(value: Any) -> Any:
    """One payload where notes travel as their texts, as it would travel where they don't."""
    if isinstance(value, str):
        if not are_note_texts([value]):
            raise TooLarge("a text that is longer than a note's may be")
        return plain_notes([value])[0]
    if isinstance(value, bytes) and plain_texts([value]) != [None]:
        raise NotCanonical("a note that its text alone would say")
    return value


def _carried(value: Any) -> tuple[bytes | None, int, bytes]:
    if isinstance(value, bytes):
        if len(value) > PAYLOAD_BYTES_MAX:
            raise TooLarge("a payload of over 16 KiB")
        return value, len(value), payload_hash(value)
    size, hashed = codec.as_list(value, length=2)
    return None, codec.as_int(size, 0, PAYLOAD_BYTES_MAX), codec.as_bytes(hashed, length=32)


def _signed(first: int, length: int) -> list[int]:
    """The places in a run whose signatures travel: the checkpoints and the last one."""
    checkpoints = range(-first % CHECKPOINT_EVERY, length, CHECKPOINT_EVERY)
    return [*checkpoints] if is_checkpoint(first + length - 1) else [*checkpoints, length - 1]


def payloads_but_texts(entries: Sequence[Entry]) -> list[bytes]:
    """The payloads of a run that are here, without those that are known to be a note's text and nothing else."""
    if isinstance(entries, VerifiedRun):
        found = (entries.payloads[at] for at, is_note in enumerate(entries.notes) if not is_note)
    else:
        found = (entry.payload for entry in entries)
    return [payload for payload in found if payload is not None]
