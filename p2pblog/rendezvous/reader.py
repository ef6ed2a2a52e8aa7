"""Reads from a store what the rendezvous machine asks for, and awaits nothing else: any scheduler may run it."""

from __future__ import annotations

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.rendezvous.events import LoadOwn, OwnLoaded
from p2pblog.store import Store


async def load_own(store: Store, request: LoadOwn) -> OwnLoaded:
    """The entries asked for, and which of them a timeline still shows. Raises StoreError."""
    entries = await store.run(request.device, request.first, request.last, RUN_BYTES_MAX)
    rows = await store.rows([entry.id for entry in entries])
    return OwnLoaded(request.device, tuple(entries), frozenset(row.id for row in rows))
