"""Publishes pointers: at what our notices refer to, where these are, so that answers are found by who follows nobody.

Each notice has its turn once, in the order of our log: what was written while nobody could be reached is made up for,
and a start begins where the last one ended. What is deleted by then, older than a pointer lives, or was brought from
elsewhere, as whole archives are, has none. Pointers of which nobody says anything are offered again ever later, some
times, and all where nobody takes any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p2pblog.config import POINTER_LIFETIME_MS, POINTERS_AT_ONCE, POINTING_TRIES_MAX
from p2pblog.core import payload
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId, KeyPair
from p2pblog.core.payload import Note
from p2pblog.core.pointing import pointed_until, targets_of
from p2pblog.core.value import State
from p2pblog.dht.records import Pointer, sign_pointer
from p2pblog.gossip.holdings import Holdings
from p2pblog.rendezvous.events import (
    Effect,
    KeepPointed,
    LoadUnpointed,
    OwnPointers,
    PublishedTo,
    PublishRecords,
    Unpointed,
)
from p2pblog.rendezvous.offers import RETRY_MAX_MS, RETRY_MS


class Pointing(State):
    """The machine within the machine. `pointed`: up to which entry of which log all was done, as far as this run knows.
    `due_ms`, `delay_ms`: when what nobody took is offered again, and how much later after that. `offered`: the pointers
    under way; `settled`: device, number and target of those of the same entries that are not offered again."""

    holdings: Holdings
    device: Callable[[], KeyPair]
    pointed: tuple[DeviceKey, int] | None = None
    is_busy: bool = False
    tries: int = 0
    due_ms: int = 0
    delay_ms: int = RETRY_MS
    offered: tuple[Pointer, ...] = ()
    settled: frozenset[tuple[DeviceKey, int, bytes]] = frozenset()

    def go_on(self, now_ms: int) -> list[Effect]:
        """Begin with the notices that have had no turn, if there are any and nothing is under way."""
        device = DeviceKey(self.device().public)
        high, done = self.holdings.high(device), self._done(device)
        is_early = now_ms < self.due_ms <= now_ms + RETRY_MAX_MS  # a clock put back must not keep us silent
        if self.is_busy or high <= done or is_early:
            return []
        self.is_busy = True
        return [LoadUnpointed(device, done, high)]

    def saw(self, device: DeviceKey, entries: Sequence[Entry]) -> None:
        """What has just been published: that most of it points nowhere is seen without another look into the store."""
        done = self._done(device)
        if self.is_busy or (done == 0 and entries and entries[0].seq > 1):
            return
        for entry in entries:
            if entry.seq == done + 1 and not self._targets(entry):
                done = entry.seq
        if done:
            self.pointed = device, done

    def _done(self, device: DeviceKey) -> int:
        return self.pointed[1] if self.pointed is not None and self.pointed[0] == device else 0

    def on_loaded(self, event: Unpointed, now_ms: int) -> list[Effect]:
        """Offer as many pointers as go at once; the notices after those come next."""
        pair = self.device()
        if event.entries is None or event.device != pair.public:
            self.is_busy = False
            if event.entries is None:
                self._wait(now_ms)
            return []
        records: list[Pointer] = []
        last = event.last
        for entry in event.entries:
            news = self._pointers(pair, entry, event.readable, now_ms)
            if records and len(records) + len(news) > POINTERS_AT_ONCE:
                break
            records += news
            last = entry.seq
        self.offered = tuple(pointer for pointer in records if _place(pointer) not in self.settled)
        if not self.offered:
            self._end(event.device, last)
            return []
        return [PublishRecords(OwnPointers(event.device, last), self.offered)]

    def _pointers(self, pair: KeyPair, entry: Entry, readable: frozenset[EntryId], now_ms: int) -> list[Pointer]:
        if entry.id not in readable or entry.time_ms + POINTER_LIFETIME_MS <= now_ms:
            return []
        own, time_ms = self.holdings.own, entry.time_ms
        said = None if entry.payload is None else payload.decode(entry.payload)
        until = {target: pointed_until(said, target, time_ms, now_ms) for target in self._targets(entry)}
        return [sign_pointer(pair, target, own, entry.seq, at) for target, at in until.items() if now_ms < at]

    def _targets(self, entry: Entry) -> tuple[bytes, ...]:
        said = None if entry.payload is None else payload.decode(entry.payload)
        if said is None or (isinstance(said, Note) and said.imported_ms is not None):
            return ()
        return targets_of(said, self.holdings.own)

    def on_published(self, offering: OwnPointers, told: PublishedTo, now_ms: int) -> list[Effect]:
        """Those wait for another turn of which nobody said anything: in a small network their holders hear so much of
        us that they drop some. A full shelf refuses the others for good, and need not hold us up."""
        lost = told.unheard if any(told.holders) else frozenset(range(len(self.offered)))
        if lost and self.tries + 1 < POINTING_TRIES_MAX:
            self.settled |= {_place(pointer) for number, pointer in enumerate(self.offered) if number not in lost}
            self.is_busy = False
            self.tries += 1
            self._wait(now_ms)
            return []
        self._end(offering.device, offering.last)
        return [KeepPointed(offering.device, offering.last)]

    def _end(self, device: DeviceKey, seq: int) -> None:
        self.is_busy = False
        self.pointed = device, seq
        self.settled = frozenset()
        self.tries, self.due_ms, self.delay_ms = 0, 0, RETRY_MS

    def _wait(self, now_ms: int) -> None:
        self.due_ms = now_ms + self.delay_ms
        self.delay_ms = min(2 * self.delay_ms, RETRY_MAX_MS)

    def forgive(self) -> None:
        """Nobody took them because there was nobody: they are due now."""
        self.tries, self.due_ms, self.delay_ms = 0, 0, RETRY_MS


def _place(pointer: Pointer) -> tuple[DeviceKey, int, bytes]:
    return pointer.device, pointer.seq, pointer.target
