"""Running one scene against both stores."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from builders import NOON, Log, Person, person

from p2pblog.bridge import open_bridge
from p2pblog.core.entry import Entry
from p2pblog.core.logs import Batch, LogState
from p2pblog.store import OWN_IDENTITY, Follow, Store, TimelineQuery
from p2pblog.store.memory import MemoryStore
from p2pblog.store.sqlite import open_sqlite

LATER = NOON + 10_000_000
"""When the node of these tests sees things: after everything that built logs claim."""


@asynccontextmanager
async def open_kind(kind: str, folder: Path) -> AsyncIterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, folder / "store.sqlite3")
        try:
            yield store
        finally:
            await store.aclose()


def on_both_stores(scene: Callable[[Store], Awaitable[None]]) -> Callable[..., None]:
    """The scene as two tests: on the dict store and on SQLite on disk."""

    @pytest.mark.parametrize("kind", ["memory", "sqlite"])
    @functools.wraps(scene)
    def test(kind: str, tmp_path: Path) -> None:
        async def main() -> None:
            async with open_kind(kind, tmp_path) as store:
                await scene(store)

        trio.run(main)

    # pytest reads the arguments of the wrapped function unless told otherwise
    del test.__wrapped__  # type: ignore[attr-defined]
    return test


async def keep(store: Store, *people: Person, now_ms: int = LATER) -> None:
    """Store identities and whole logs, followed."""
    for someone in people:
        await store.put_identity(someone.identity)
        await store.put_follow(Follow(someone.hash, None, NOON))
        await add(store, someone.log, now_ms=now_ms)


async def add(store: Store, log: Log, first: int = 1, last: int = 2**31, now_ms: int = LATER) -> LogState:
    (state,) = await store.append([Batch(log.identity, log.run(first, last))], now_ms)
    return state


async def own(store: Store, someone: Person) -> None:
    await store.put_setting(OWN_IDENTITY, someone.hash)


async def alice_is_here(store: Store) -> tuple[Person, Entry]:
    """The node's own person, with a note, followed by nobody."""
    alice = person("alice")
    note = alice.log.note("mine")
    await own(store, alice)
    await keep(store, alice)
    await store.drop_follow(alice.hash)
    return alice, note


async def texts(store: Store, *people: Person, limit: int = 1_000, before: Any = None) -> list[str]:
    """The texts of a timeline, newest first: home, or these people's."""
    identities = tuple(someone.hash for someone in people) or None
    rows = await store.timeline(TimelineQuery(limit, before, identities))
    return [row.text for row in rows]
