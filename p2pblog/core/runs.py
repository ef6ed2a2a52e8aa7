"""Runs: consecutive entries of one log under one signature at the end, and signatures at the checkpoints.

Soundness: an id fixes, through `prev`, every body before it; so a valid signature on the last id is the log's owner
vouching for each entry of the run (the stream signing of Gennaro and Rohatgi, 1997). A receiver keeps a signature only
if it verified it, and holds nothing of a run until its last signature was checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from p2pblog.config import PAYLOAD_BYTES_MAX, RUN_BYTES_MAX, RUN_ENTRIES_MAX, SEQ_MAX, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, body_bytes, entry_id, is_checkpoint, payload_hash
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, check_key, verify
from p2pblog.errors import BadChain, BadSignature, LocalProtocolError, Malformed, TooLarge

TIME_STEP_MAX = TIME_MS_MAX


def encode_run(entries: Sequence[Entry], prev_known: bool = False) -> list[Any]:
    """[device, first seq, prev | nil, [times], [payloads], signatures]: see docs/protocol/runs.md.

    `prev_known`: the receiver holds the entry before the first, so its id need not travel.
    Raises LocalProtocolError for a run that no peer would take.
    """
    if not 1 <= len(entries) <= RUN_ENTRIES_MAX:
        raise LocalProtocolError("a run has 1 to 1,000 entries")
    first = entries[0]
    times, signatures = [], []
    before = 0
    for position, entry in enumerate(entries):
        if entry.device != first.device or entry.seq != first.seq + position:
            raise LocalProtocolError("a run of entries that do not follow one another")
        times.append(entry.time_ms - before)
        before = entry.time_ms
        if is_checkpoint(entry.seq) or position == len(entries) - 1:
            if entry.signature is None:
                raise LocalProtocolError(f"no signature held for entry {entry.seq}")
            signatures.append(entry.signature)
    payloads = [[e.payload_size, e.payload_hash] if e.payload is None else e.payload for e in entries]
    if sum(len(e.payload or b"") for e in entries) > RUN_BYTES_MAX:
        raise LocalProtocolError("a run of over 2 MiB")
    prev = None if prev_known else first.prev
    return [first.device, first.seq, prev, times, payloads, b"".join(signatures)]


def check_run(value: Any, before: EntryId | None = None) -> tuple[Entry, ...]:
    """The entries of a run from outside, every one vouched for. Signatures that travelled are on their entries.

    `before` is the id of the entry before the first, where we hold it: it stands in for an absent `prev` and must equal
    a present one. Raises Malformed, TooLarge, BadKey, BadChain or BadSignature.
    """
    device, first, prev, times, payloads, signatures = _shape(value)
    prev = _settle_prev(first, prev, before)
    entries = _build(device, first, prev, times, payloads)
    return _verify(device, entries, signatures)


def run_device(value: Any) -> tuple[DeviceKey, int]:
    """The log and first number that a run claims, to look up `before`. Raises Malformed."""
    items = codec.as_list(value, length=6)
    return DeviceKey(codec.as_bytes(items[0], length=32)), codec.as_int(items[1], 1, SEQ_MAX)


def _shape(value: Any) -> tuple[DeviceKey, int, EntryId | None, list[Any], list[Any], bytes]:
    device, first = run_device(value)
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


def _build(device: DeviceKey, first: int, prev: EntryId | None, times: list[Any], payloads: list[Any]) -> list[Entry]:
    entries: list[Entry] = []
    time_ms, total = 0, 0
    for position, (step, carried) in enumerate(zip(times, payloads, strict=True)):
        time_ms += codec.as_int(step, -TIME_STEP_MAX, TIME_STEP_MAX)
        if not 0 <= time_ms <= TIME_MS_MAX:
            raise Malformed("a time outside the limits")
        payload, size, hashed = _carried(carried)
        total += len(payload or b"")
        if total > RUN_BYTES_MAX:
            raise TooLarge("a run of over 2 MiB")
        seq = first + position
        identifier = entry_id(body_bytes(device, seq, prev, time_ms, size, hashed))
        entries.append(Entry(device, seq, prev, time_ms, size, hashed, identifier, payload))
        prev = identifier
    return entries


def _carried(value: Any) -> tuple[bytes | None, int, bytes]:
    if isinstance(value, bytes):
        if len(value) > PAYLOAD_BYTES_MAX:
            raise TooLarge("a payload of over 16 KiB")
        return value, len(value), payload_hash(value)
    size, hashed = codec.as_list(value, length=2)
    return None, codec.as_int(size, 0, PAYLOAD_BYTES_MAX), codec.as_bytes(hashed, length=32)


def _verify(device: DeviceKey, entries: list[Entry], signatures: bytes) -> tuple[Entry, ...]:
    check_key(device)
    signed = [at for at, entry in enumerate(entries) if is_checkpoint(entry.seq) or at == len(entries) - 1]
    if len(signatures) != 64 * len(signed):
        raise BadSignature(f"{len(signatures)} bytes of signatures where {64 * len(signed)} are due")
    for number, at in enumerate(signed):
        signature = signatures[64 * number : 64 * number + 64]
        verify(device, ENTRY_DOMAIN, entries[at].id, signature)
        entries[at] = replace(entries[at], signature=signature)
    return tuple(entries)
