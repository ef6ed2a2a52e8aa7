"""What a node keeps for others: one shelf a key, bounds on every side, expiry as it was signed.

The rules, in full:

* A shelf has one record a slot; `supersedes` decides. Of heads and retirements only what has force under all the
  statements on the shelf together stays: a retired device and a replaced root lose their heads.
* Room is given per key, per signer, per address block of the sender, and in all. What is held and alive is never
  pushed out by a stranger's record of the same key; where a device's own pointers stand in the way of one that expires
  later, its oldest gives way, and so it does where a signer has its share of the whole store: what a device says
  today is worth more than what it said yesterday. When the whole store is full, one record of the key farthest from
  our own id goes, because others are closer to it; but only once the new one has its place.
* Of what a block may have in all half is for pointers at most: they live longest and are the most.
* Who should hold a key too may pass on some more pointers than a block may say, for as long as there is room to spare.
* A replica is taken only from the host that it names.
"""

from __future__ import annotations

import heapq
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from p2pblog.config import (
    HEAD_LIFETIME_MS,
    HEADS_PER_KEY_MAX,
    MANY_PER_KEY_MAX,
    POINTERS_PASSED_ON_MAX,
    POINTERS_PER_AUTHOR_MAX,
    RECORDS_MAX,
    RECORDS_PER_BLOCK_MAX,
    RECORDS_PER_SENDER_MAX,
    RECORDS_PER_SIGNER_MAX,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.identity import Device, Identity, Retire
from p2pblog.core.keys import digest
from p2pblog.core.value import Value
from p2pblog.dht.records import (
    DhtKey,
    Dropped,
    Head,
    Notice,
    Pointer,
    Record,
    Replica,
    Retired,
    encode,
    signer,
    slot,
    supersedes,
)

Slot = tuple[str, bytes, int]
"""Which place a record has on its shelf, as `slot` says."""
Spot = tuple[DhtKey, Slot]
"""A shelf, and the place on it."""

TAG_BYTES = 8
"""A record's tag, by which a reader says what it has: one in 2^64 is a mistake, and costs one record of one reply."""


class Outcome(Enum):
    """What became of a record that somebody wants held; the value is what the reply says."""

    HELD = "held"
    STALE = "stale"
    FULL = "full"
    REFUSED = "refused"


class Limits(Value):
    """How much a store gives to whom; `exempt_private` lifts the limits per address block for a test network."""

    per_key: int = MANY_PER_KEY_MAX
    heads_per_key: int = HEADS_PER_KEY_MAX
    pointers_per_device: int = POINTERS_PER_AUTHOR_MAX
    per_key_and_block: int = RECORDS_PER_BLOCK_MAX
    passed_on_per_key_and_block: int = POINTERS_PASSED_ON_MAX
    per_signer: int = RECORDS_PER_SIGNER_MAX
    per_sender: int = RECORDS_PER_SENDER_MAX
    in_all: int = RECORDS_MAX
    exempt_private: bool = False

    def block_of(self, endpoint: Endpoint | None) -> bytes | None:
        """The address block that the sender's share is counted against; None for our own records and exempt nets."""
        if endpoint is None:
            return None
        if self.exempt_private and not ipaddress.ip_address(endpoint.host).is_global:
            return None
        return endpoint.block


@dataclass(frozen=True, slots=True)
class Held:
    """A record on a shelf, its bytes as they came, the block it came from, and when it came last and first.
    `in_passing`: a neighbour passed it on, beyond what its block may say under one key; it has a place for as long as
    there is one to spare."""

    record: Record
    wire: bytes
    block: bytes | None
    stored_ms: int
    first_ms: int
    in_passing: bool = False
    tag: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", record_tag(self.wire))

    @property
    def expires_ms(self) -> int:
        """As signed; a retirement, which is true for ever, is kept as long as a head may live."""
        if isinstance(self.record, Retired):
            return self.stored_ms + HEAD_LIFETIME_MS
        return self.record.expires_ms


_LEAVE_HALF_TO: dict[type, tuple[type, ...]] = {Notice: (Pointer, Dropped), Dropped: (Pointer,)}
"""Which records of a signer leave half of his share to one of this kind, in the order in which they give way."""


def record_tag(wire: bytes) -> bytes:
    return digest(wire, size=TAG_BYTES)


@dataclass(slots=True)
class Shelf:
    """The records of one key. Give it verified records only."""

    limits: Limits = field(default_factory=Limits)
    held: dict[Slot, Held] = field(default_factory=dict)

    def put(self, record: Record, source: Endpoint | None, now_ms: int, is_neighbour: bool = False) -> Outcome:
        """Hold the record if it is the newest of its slot and there is room for it. `is_neighbour`: the source is one
        of those who should hold the key, too, and may be storing again what others said."""
        self.expire(now_ms)
        place = slot(record)
        old = self.held.get(place)
        new = Held(record, encode(record), self._block(record, source), now_ms, now_ms)
        others = [item for key, item in self.held.items() if key != place]
        if isinstance(record, Pointer) and self._is_block_full(new, others):
            new = replace(new, in_passing=is_neighbour)
        if old is not None and old.wire == new.wire:
            is_said_now = old.in_passing and not new.in_passing and not self._is_block_full(new, others)
            self.held[place] = new if is_said_now else replace(old, stored_ms=now_ms)
            return Outcome.HELD
        if old is not None and not supersedes(old.record, record):
            return Outcome.STALE
        if not self._has_room(new, others):
            gives_way = self._oldest_own(new, others) or self._passed_on(new, others)
            if gives_way is None:
                return Outcome.FULL
            del self.held[gives_way]
        if isinstance(record, Head | Retired):
            return self._hold_in_force(place, new)
        self.held[place] = new
        return Outcome.HELD

    def records(self, now_ms: int) -> list[Held]:
        """What is alive, in an order that is the same everywhere."""
        alive = (item for item in self.held.values() if item.expires_ms > now_ms)
        return sorted(alive, key=lambda item: item.tag)

    def expire(self, now_ms: int) -> None:
        self.held = {place: item for place, item in self.held.items() if item.expires_ms > now_ms}

    def _block(self, record: Record, source: Endpoint | None) -> bytes | None:
        if isinstance(record, Replica) and isinstance(record.address, Endpoint):
            return self.limits.block_of(record.address)
        return self.limits.block_of(source)

    def _has_room(self, new: Held, others: list[Held]) -> bool:
        record, limits = new.record, self.limits
        if not isinstance(record, Pointer | Replica):
            return True
        if len(others) >= limits.per_key:
            return False
        if self._is_block_full(new, others):
            return False
        if isinstance(record, Pointer):
            return len(_of_device(record.device, others)) < limits.pointers_per_device
        return True

    def _is_block_full(self, new: Held, others: list[Held]) -> bool:
        """Whether its block has said all that it may under this key or, if it was passed on, has passed on so much."""
        if new.block is None:
            return False
        alike = sum(item.block == new.block and item.in_passing == new.in_passing for item in others)
        limits = self.limits
        return alike >= (limits.passed_on_per_key_and_block if new.in_passing else limits.per_key_and_block)

    def _passed_on(self, new: Held, others: list[Held]) -> Slot | None:
        """Which pointer that is held in passing gives way: to what comes within the share of its block, and to what is
        held in passing from a block that has passed on fewer. So whoever passes on what he made himself takes nobody's
        place, and has no more of the key than each other neighbour."""
        passed = [item for item in others if item.in_passing]
        by_block = Counter(item.block for item in passed)
        if not passed or not isinstance(new.record, Pointer):
            return None
        most = max(by_block.values())
        if new.in_passing and by_block[new.block] + 1 >= most:
            return None
        crowded = [item for item in passed if by_block[item.block] == most]
        goes = min(crowded, key=lambda item: (item.expires_ms, slot(item.record)))
        return slot(goes.record) if self._has_room(new, [item for item in others if item is not goes]) else None

    def _oldest_own(self, new: Held, others: list[Held]) -> Slot | None:
        """Which of the same device's pointers gives way to a newer one, so that who answers often is found by what he
        said last; None where none of them stands in its way."""
        if not isinstance(new.record, Pointer):
            return None
        own = [item for item in _of_device(new.record.device, others) if item.expires_ms < new.expires_ms]
        for oldest in sorted(own, key=lambda item: (item.expires_ms, slot(item.record))):
            if self._has_room(new, [item for item in others if item is not oldest]):
                return slot(oldest.record)
        return None

    def _hold_in_force(self, place: Slot, new: Held) -> Outcome:
        """Hold it, let go of heads and retirements that have no force beside the others, and of the oldest too many."""
        candidates = {**self.held, place: new}
        identity = _identity_of(candidates.values())
        kept = {key: item for key, item in candidates.items() if _has_force(item.record, identity)}
        for kind in (Head, Retired):
            ranked = sorted(
                (key for key in kept if isinstance(kept[key].record, kind)), key=lambda key: _rank(kept[key])
            )
            for key in ranked[: -self.limits.heads_per_key]:
                del kept[key]
        self.held = kept
        if place in kept:
            return Outcome.HELD
        return Outcome.FULL if _has_force(new.record, identity) else Outcome.STALE


def _of_device(device: bytes, items: Iterable[Held]) -> list[Held]:
    """Its pointers."""
    return [item for item in items if isinstance(item.record, Pointer) and item.record.device == device]


def _identity_of(items: Iterable[Held]) -> Identity:
    """What all these proofs together say, whatever their order."""
    proofs = [item.record for item in items if isinstance(item.record, Head | Retired)]
    identity = Identity(proofs[0].inception)
    for record in proofs:
        identity = identity.merge(record.statements)
    return identity


def _has_force(record: Record, identity: Identity) -> bool:
    if not isinstance(record, Head | Retired):
        return True
    standing = identity.devices.get(record.device)
    return standing is not None and standing.retired == isinstance(record, Retired)


def _rank(item: Held) -> tuple[int, bytes]:
    """Devices and retirements that were stated later stay longer."""
    assert isinstance(item.record, Head | Retired)
    body = item.record.statement.body
    assert isinstance(body, Device | Retire)
    return body.counter, body.device


class RecordStore:
    """All shelves of a node whose id is `own_id` (20 bytes)."""

    def __init__(self, own_id: bytes, limits: Limits | None = None) -> None:
        self._own = int.from_bytes(own_id, "big")
        self.limits = limits or Limits()
        self._shelves: dict[DhtKey, Shelf] = {}
        self._by_signer: dict[bytes, dict[Spot, Held]] = {}
        self._by_sender: Counter[bytes] = Counter()
        self._pointers_by_sender: Counter[bytes] = Counter()
        self._far: list[tuple[int, DhtKey]] = []
        self._size = 0

    def __len__(self) -> int:
        """Records held, in all."""
        return self._size

    def set_limits(self, limits: Limits) -> None:
        """Give so much from now on. What is held stays."""
        self.limits = limits
        for shelf in self._shelves.values():
            shelf.limits = limits

    def put(self, record: Record, source: Endpoint | None, now_ms: int, is_neighbour: bool = False) -> Outcome:
        """Hold a verified record that came from `source` (None: our own), which may be a neighbour of ours and of the
        key."""
        if source is not None and not _from_where_it_says(record, source):
            return Outcome.REFUSED
        key = record.key
        shelf = self._shelves.get(key, Shelf(self.limits))
        gives_way, size_max = None, max(self.limits.in_all, len(self))
        if source is not None and slot(record) not in shelf.held:
            gives_way = self._gives_way(record)
            if not self._may_grow(record, source, gives_way):
                return Outcome.FULL
        before = dict(shelf.held)
        outcome = shelf.put(record, source, now_ms, is_neighbour)
        self._recount(key, shelf, before)
        if gives_way is not None and self._held_of(signer(record)) > self.limits.per_signer:
            self._let_go(*gives_way)
        if source is not None and len(self) > size_max:
            self._let_one_of_the_farthest_go()
        return outcome

    def touch(self, item: Held, now_ms: int) -> None:
        """Others were given just these bytes. If we still have them, they count as stored now; whose they are and how
        they are held stays, and what gave way meanwhile does not come back."""
        key, place = item.record.key, slot(item.record)
        shelf = self._shelves.get(key, Shelf(self.limits))
        held = shelf.held.get(place)
        if held is not None and held.wire == item.wire:
            before = dict(shelf.held)
            shelf.held[place] = replace(held, stored_ms=now_ms)
            self._recount(key, shelf, before)

    def get(self, key: DhtKey, now_ms: int) -> list[Held]:
        """What is alive under a key."""
        shelf = self._shelves.get(key)
        return [] if shelf is None else shelf.records(now_ms)

    def all_keys(self) -> list[DhtKey]:
        return sorted(self._shelves)

    def expire(self, key: DhtKey, now_ms: int) -> None:
        """Let go of what is past its expiry under a key, if anything is held there."""
        shelf = self._shelves.get(key)
        if shelf is not None and any(item.expires_ms <= now_ms for item in shelf.held.values()):
            before = dict(shelf.held)
            shelf.expire(now_ms)
            self._recount(key, shelf, before)

    def _may_grow(self, record: Record, source: Endpoint, gives_way: Spot | None) -> bool:
        block = self.limits.block_of(source)
        if gives_way is None and self._held_of(signer(record)) >= self.limits.per_signer:
            return False
        if block is not None and self._by_sender[block] >= self.limits.per_sender:
            return False
        is_pointer = isinstance(record, Pointer)
        if block is not None and is_pointer and self._pointers_by_sender[block] >= self.limits.per_sender // 2:
            return False
        farthest = self._farthest()
        is_nearer = farthest is not None and self._distance(record.key) < self._distance(farthest)
        return is_nearer or len(self) < self.limits.in_all

    def _gives_way(self, record: Record) -> Spot | None:
        """Where the signer has all of its share, which of its own records goes for this one: that of the same kind
        which expires first, if before this one. But pointers, which live longest and are the most, leave half of the
        share to notices and drops. A drop goes for none of its kind, for what it took back would come again; but who
        takes back hundreds at once is to be heard still, so drops leave half to notices."""
        own = self._by_signer.get(signer(record), {})
        if len(own) < self.limits.per_signer:
            return None
        for crowd in _LEAVE_HALF_TO.get(type(record), ()):
            older = [place for place, item in own.items() if isinstance(item.record, crowd)]
            if len(older) > self.limits.per_signer // 2:
                break
        else:
            if isinstance(record, Dropped | Retired):
                return None
            kind, until = type(record), record.expires_ms
            older = [place for place, item in own.items() if isinstance(item.record, kind) and item.expires_ms < until]
        return min(older, key=lambda place: (own[place].expires_ms, place), default=None)

    def _held_of(self, signed_by: bytes) -> int:
        return len(self._by_signer.get(signed_by, ()))

    def _let_go(self, key: DhtKey, place: Slot) -> None:
        shelf = self._shelves.get(key)
        if shelf is not None and place in shelf.held:  # it may have expired just now
            before = dict(shelf.held)
            del shelf.held[place]
            self._recount(key, shelf, before)

    def _farthest(self) -> DhtKey | None:
        """The key farthest from our own id of those that we hold."""
        while self._far:
            farthest = self._far[0][1]
            if farthest in self._shelves:
                return farthest
            heapq.heappop(self._far)
        return None

    def _let_one_of_the_farthest_go(self) -> None:
        """Of the farthest key what was passed on goes first, then what expires first."""
        farthest = self._farthest()
        assert farthest is not None, "a store that grew holds something"
        held = self._shelves[farthest].held
        goes = min(held, key=lambda place: (not held[place].in_passing, held[place].expires_ms, place))
        self._let_go(farthest, goes)

    def _recount(self, key: DhtKey, shelf: Shelf, before: dict[Slot, Held]) -> None:
        """Keep the books: `before` is what the key's shelf had."""
        self._size += len(shelf.held) - len(before)
        for place, item in before.items():
            if shelf.held.get(place) is not item:
                self._strike_out(key, place, item)
        for place, item in shelf.held.items():
            if before.get(place) is not item:
                self._by_signer.setdefault(signer(item.record), {})[key, place] = item
                self._count_for_sender(item, 1)
        if not shelf.held:
            self._shelves.pop(key, None)
        elif key not in self._shelves:
            self._shelves[key] = shelf
            heapq.heappush(self._far, (-self._distance(key), key))
            if len(self._far) > 2 * len(self._shelves) + 64:
                self._far = [(-self._distance(held), held) for held in self._shelves]
                heapq.heapify(self._far)

    def _strike_out(self, key: DhtKey, place: Slot, item: Held) -> None:
        signed_by = signer(item.record)
        del self._by_signer[signed_by][key, place]
        if not self._by_signer[signed_by]:
            del self._by_signer[signed_by]
        self._count_for_sender(item, -1)

    def _count_for_sender(self, item: Held, step: int) -> None:
        if item.block is None:
            return
        is_pointer = isinstance(item.record, Pointer)
        for counts in (self._by_sender, self._pointers_by_sender) if is_pointer else (self._by_sender,):
            counts[item.block] += step
            if counts[item.block] <= 0:
                del counts[item.block]

    def _distance(self, key: bytes) -> int:
        return int.from_bytes(key, "big") ^ self._own


def _from_where_it_says(record: Record, source: Endpoint) -> bool:
    """A node may announce only the host that it was proven to send from; other kinds of address can't be checked so."""
    if not isinstance(record, Replica) or not isinstance(record.address, Endpoint):
        return True
    return record.address.host == source.host


def newest(records: Iterable[Record], now_ms: int) -> list[Record]:
    """What remains of records of one key from many holders: one a slot, the newest, and only what has force."""
    shelf = Shelf(Limits(exempt_private=True, per_key_and_block=MANY_PER_KEY_MAX))
    for record in records:
        shelf.put(record, None, now_ms)
    return [item.record for item in shelf.records(now_ms)]
