"""Reads from a store what the rendezvous machine asks for, and awaits nothing else: any scheduler may run it."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import RUN_BYTES_MAX, UNPOINTED_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.rendezvous.events import KeepPointed, LoadOwn, LoadUnpointed, OwnLoaded, Unpointed
from p2pblog.store import Store

POINTED = "pointed"
"""The setting that says up to which entry of which log pointers were published: device 32, number 4."""


async def load_own(store: Store, request: LoadOwn) -> OwnLoaded:
    """The entries asked for, which of them a timeline still shows, and what was taken back. Raises StoreError."""
    entries = await store.run(request.device, request.first, request.last, RUN_BYTES_MAX)
    taken_back = await store.taken_back(request.device, request.since_ms)
    return OwnLoaded(request.device, tuple(entries), await _readable(store, entries), tuple(taken_back))


async def load_unpointed(store: Store, request: LoadUnpointed) -> Unpointed:
    """The same of those for which no pointers were published. Raises StoreError."""
    done = max(request.done, await _pointed(store, request.device))
    first = max(done + 1, request.last - UNPOINTED_MAX + 1)
    if first > request.last:
        return Unpointed(request.device, request.last, ())
    entries = await store.run(request.device, first, request.last, RUN_BYTES_MAX)
    found = [entry for entry in entries if entry.seq <= request.last]
    return Unpointed(request.device, request.last, tuple(found), await _readable(store, found))


async def keep_pointed(store: Store, effect: KeepPointed) -> None:
    """Raises StoreError."""
    await store.put_setting(POINTED, effect.device + effect.seq.to_bytes(4, "big"))


async def _pointed(store: Store, device: DeviceKey) -> int:
    kept = (await store.settings(POINTED)).get(POINTED, b"")
    return int.from_bytes(kept[32:], "big") if kept[:32] == device else 0


async def _readable(store: Store, entries: Sequence[Entry]) -> frozenset[EntryId]:
    return frozenset(row.id for row in await store.rows([entry.id for entry in entries]))
