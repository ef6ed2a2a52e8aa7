"""An entry: a signed body that names its log, its number, its predecessor and the hash of its payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Any, overload

from p2pblog.config import CHECKPOINT_EVERY, PAYLOAD_BYTES_MAX, SEQ_MAX, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, EntryId, KeyPair, check_key, hash32, hasher, verify
from p2pblog.core.value import Value, replace
from p2pblog.errors import BadChain, LocalProtocolError, Malformed

BODY_VERSION = 1
"""A log keeps one for life (docs/protocol/entry.md)."""
_ENTRY_PERSON, _PAYLOAD_PERSON = b"p2pblog entry 1", b"p2pblog payload1"
BODY_BYTES_MAX = 140
"""1 + 1 + 34 + 5 + 34 + 9 + 3 + 34, rounded up."""


class Entry(Value):
    """One entry of a log. `signature` is one that we verified or made, else None; `payload` is None in a gap."""

    device: DeviceKey
    seq: int
    prev: EntryId | None
    time_ms: int
    payload_size: int
    payload_hash: bytes
    id: EntryId
    payload: bytes | None = None
    signature: bytes | None = None

    @property
    def body(self) -> bytes:
        """The signed bytes: msgpack [1, device, seq, prev, time_ms, payload_size, payload_hash]."""
        return body_bytes(self.device, self.seq, self.prev, self.time_ms, self.payload_size, self.payload_hash)

    def without_payload(self) -> Entry:
        return replace(self, payload=None)


def entries_of(*columns: Iterable[Any]) -> tuple[Entry, ...]:
    """The entries whose fields stand in these columns: one for each field, in their order; the shortest ends them."""
    return tuple(map(Entry, *columns))


def body_bytes(
    device: bytes, seq: int, prev: bytes | None, time_ms: int, payload_size: int, payload_hash: bytes
) -> bytes:
    return codec.pack([BODY_VERSION, device, seq, prev, time_ms, payload_size, payload_hash])


def entry_id(body: bytes) -> EntryId:
    """H(body, "p2pblog entry 1"): the id covers the body and not the signature, so one signature vouches for a run."""
    return EntryId(hash32(body, _ENTRY_PERSON))


def payload_hash(payload: bytes) -> bytes:
    return hash32(payload, _PAYLOAD_PERSON)


def payload_hashes(payloads: Iterable[bytes]) -> list[bytes]:
    """`payload_hash` of each, in a loop of its own."""
    empty, found = hasher(_PAYLOAD_PERSON).copy, []
    for payload in payloads:
        hashing = empty()
        hashing.update(payload)
        found.append(hashing.digest())
    return found


class PayloadHashes(Sequence[bytes]):
    """`payload_hash` of each of these payloads, reckoned when it is asked for: who hands a run on needs none."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads = payloads

    def __len__(self) -> int:
        return len(self._payloads)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        return PayloadHashes(self._payloads[at]) if isinstance(at, slice) else payload_hash(self._payloads[at])

    def __iter__(self) -> Iterator[bytes]:
        return iter(payload_hashes(self._payloads))


def chain_ids(
    device: DeviceKey,
    first: int,
    prev: bytes | None,
    times: Iterable[int],
    sizes: Iterable[int],
    hashes: Iterable[bytes],
) -> list[EntryId]:
    """The ids of consecutive entries from number `first`, the one before which has the id `prev`: `entry_id` of
    `body_bytes` of each, in a loop of its own.

    We build the bodies that are hashed here, so they are canonical whatever arrived.
    """
    empty = hasher(_ENTRY_PERSON).copy
    ids: list[Any] = []  # EntryId, but saying so for each takes a tenth of the loop
    for seq, time_ms, size, hashed in zip(count(first), times, sizes, hashes, strict=False):
        hashing = empty()
        hashing.update(codec.pack_plain((BODY_VERSION, device, seq, prev, time_ms, size, hashed)))
        prev = hashing.digest()
        ids.append(prev)
    return ids


def is_checkpoint(seq: int) -> bool:
    """Whether this entry's signature always travels with it."""
    return seq % CHECKPOINT_EVERY == 0


def write(device: KeyPair, after: Entry | None, time_ms: int, payload: bytes) -> Entry:
    """The next entry of our own log, signed. Raises LocalProtocolError for what no peer would take."""
    if len(payload) > PAYLOAD_BYTES_MAX or not 0 <= time_ms <= TIME_MS_MAX:
        raise LocalProtocolError("a payload or time outside the limits")
    seq, prev = (1, None) if after is None else (after.seq + 1, after.id)
    if after is not None and after.device != device.public:
        raise LocalProtocolError("an entry after another device's entry")
    if seq > SEQ_MAX:
        raise LocalProtocolError("the log is full")
    hashed = payload_hash(payload)
    own = DeviceKey(device.public)
    identifier = entry_id(body_bytes(own, seq, prev, time_ms, len(payload), hashed))
    signature = device.sign(ENTRY_DOMAIN, identifier)
    return Entry(own, seq, prev, time_ms, len(payload), hashed, identifier, payload, signature)


def decode_body(body: bytes) -> Entry:
    """The entry a body describes, without payload or signature.

    Raises Malformed, NotCanonical, TooLarge, BadKey or BadChain (a first entry with a predecessor, or the reverse).
    """
    version, device, seq, prev, time_ms, size, hashed = codec.as_list(
        codec.unpack(body, bytes_max=BODY_BYTES_MAX), length=7
    )
    if version != BODY_VERSION or isinstance(version, bool):
        raise Malformed("a body of no known version")
    entry = Entry(
        DeviceKey(codec.as_bytes(device, length=32)),
        codec.as_int(seq, 1, SEQ_MAX),
        None if prev is None else EntryId(codec.as_bytes(prev, length=32)),
        codec.as_int(time_ms, 0, TIME_MS_MAX),
        codec.as_int(size, 0, PAYLOAD_BYTES_MAX),
        codec.as_bytes(hashed, length=32),
        entry_id(body),
    )
    if (entry.seq == 1) != (entry.prev is None):
        raise BadChain("only the first entry of a log has no predecessor")
    check_key(entry.device)
    return entry


def check_signed(entry: Entry, signature: bytes) -> Entry:
    """The entry with its own signature, verified. Raises BadSignature or BadKey."""
    verify(entry.device, ENTRY_DOMAIN, entry.id, signature)
    return replace(entry, signature=signature)


def with_payload(entry: Entry, payload: bytes) -> Entry:
    """The entry with the payload it commits to. Raises BadChain if it is another's."""
    if not commits_to(entry, payload):
        raise BadChain("a payload that its entry does not commit to")
    return replace(entry, payload=payload)


def commits_to(entry: Entry, payload: bytes) -> bool:
    """Whether this is the payload of an entry."""
    return len(payload) == entry.payload_size and payload_hash(payload) == entry.payload_hash


def follow_one_another(entries: Sequence[Entry]) -> bool:
    """Whether each entry is the next of the one before it, in one log."""
    return all(
        after.device == before.device and after.seq == before.seq + 1 and after.prev == before.id
        for before, after in pairwise(entries)
    )


def check_chain(entries: Sequence[Entry]) -> None:
    """Raises BadChain unless each entry is the next of the one before it."""
    if not follow_one_another(entries):
        raise BadChain("bodies that do not follow one another")
