"""What we publish of our own log: its head, the newest notices, and drops of those that were taken back."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import HEAD_LIFETIME_MS, NOTICE_LIFETIME_MS, RECORD_SKEW_MS
from p2pblog.core import payload
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, KeyPair
from p2pblog.core.logs import Span
from p2pblog.core.payload import Boost, Note
from p2pblog.core.value import State, field
from p2pblog.dht.records import Dropped, Record, notice_record, sign_drop, sign_head

DROPS_AT_ONCE = 20
"""Drops published beside the head and the newest notices: with these fewer records than POINTERS_AT_ONCE. What is over
has its turn with the next publish, COALESCE_S later."""
DROPPED_AGAIN_MS = 12 * 3600 * 1000
"""A drop that somebody has taken is not published again before this time, in which holders store it again themselves:
else each notice would bring the drops of two days with it."""


def own_records(
    identity: Identity,
    device: KeyPair,
    last: Span,
    newest: Sequence[Entry],
    readable: frozenset[EntryId],
    taken_back: Sequence[int],
    now_ms: int,
) -> tuple[Record, ...]:
    """The head and what is shown of the newest. `last`: the newest span of the device's log; `newest`: its newest
    entries; `readable`: those that are shown; `taken_back`: the numbers of those that are no more to be read."""
    head = sign_head(identity, device, now_ms, last.high, last.high_id, now_ms + HEAD_LIFETIME_MS)
    records: list[Record] = [] if head is None else [head]
    gone = frozenset(taken_back)
    for entry in newest:
        if not -RECORD_SKEW_MS <= now_ms - entry.time_ms < NOTICE_LIFETIME_MS or entry.seq in gone:
            continue
        said = None if entry.payload is None else payload.decode(entry.payload)
        if isinstance(said, Note | Boost) and entry.id not in readable:
            continue
        if (record := notice_record(entry)) is not None:
            records.append(record)
    return tuple(records)


class Dropping(State):
    """Which drops are to be published. A notice lies in the DHT for two days, whatever else was written since, so each
    entry of that time that was taken back is dropped: also where another device of ours did that, or an edit went with
    its notice. `has_more`: whether some wait for the next publish."""

    has_more: bool = False
    _device: DeviceKey | None = None
    _taken: dict[int, int] = field(default_factory=dict)
    """When each that somebody has taken was published."""
    _vain: dict[int, int] = field(default_factory=dict)
    """How often each was offered in vain; these come last."""
    _offered: tuple[int, ...] = ()

    def due(self, device: KeyPair, taken_back: Sequence[int], now_ms: int) -> tuple[Dropped, ...]:
        """Drops of at most DROPS_AT_ONCE of these entries; `on_published` says what became of them."""
        if self._device != device.public:
            self._device, self._taken, self._vain = DeviceKey(device.public), {}, {}
        self._taken = {seq: self._taken[seq] for seq in taken_back if self._is_taken(seq, now_ms)}
        self._vain = {seq: self._vain[seq] for seq in taken_back if seq in self._vain}
        waiting = sorted(
            (seq for seq in taken_back if seq not in self._taken), key=lambda seq: (self._vain.get(seq, 0), -seq)
        )
        self._offered, self.has_more = tuple(waiting[:DROPS_AT_ONCE]), len(waiting) > DROPS_AT_ONCE
        return tuple(sign_drop(device, seq, now_ms) for seq in self._offered)

    def _is_taken(self, seq: int, now_ms: int) -> bool:
        """Of a clock that was put back nothing is believed."""
        at_ms = self._taken.get(seq)
        return at_ms is not None and at_ms <= now_ms < at_ms + DROPPED_AGAIN_MS

    def on_published(self, holders: Sequence[int], now_ms: int) -> None:
        """`holders`: how many hold each record of that publish, in which the drops came last."""
        for seq, count in zip(self._offered, holders[len(holders) - len(self._offered) :], strict=True):
            if count:
                self._taken[seq] = now_ms
            else:
                self._vain[seq] = self._vain.get(seq, 0) + 1
        self._offered = ()
