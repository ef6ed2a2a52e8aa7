"""Nodes at work over real TCP within this process, without a DHT: what passes between them passes their link."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from benchmarks.kit.notices import Author, author
from p2pblog.cases.desk import Place
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, KeyPair, hash32
from p2pblog.core.logs import Batch
from p2pblog.daemon import Parts
from p2pblog.dht.memory import MemoryNetwork as MemoryDht
from p2pblog.gossip.events import Stored
from p2pblog.keyring import Keyring
from p2pblog.store import OWN_IDENTITY, Follow
from p2pblog.store.memory import MemoryStore
from p2pblog.transport.tcp import open_tcp

TIMEOUT_S = 120.0
LOOK_EVERY_S = 0.002


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Wired:
    """A node at work. `store` outlives it."""

    parts: Parts
    store: MemoryStore
    endpoint: Endpoint

    def holds(self, authors: Sequence[Author]) -> int:
        """How many entries of their logs it has stored."""
        holdings = self.parts.driver.machine.holdings
        return sum(holdings.entries(DeviceKey(who.device.public)) for who in authors)

    async def until_holds(self, authors: Sequence[Author], entries: int) -> None:
        with trio.fail_after(TIMEOUT_S):
            while self.holds(authors) < entries:  # noqa: ASYNC110 - nothing of the node is changed to be watched
                await trio.sleep(LOOK_EVERY_S)

    async def publish(self, of: Author, entry: Entry) -> None:
        """An entry that came to this node just now, as a post or from elsewhere, to be passed on."""
        batch = Batch(of.hash, (entry,))
        (state,) = await self.store.append([batch], wall_ms())
        self.parts.driver.feed(Stored(None, batch, state, live=True))


async def filled(authors: Sequence[Author], logs: Sequence[Sequence[Entry]] = ()) -> MemoryStore:
    """A store that follows these authors, and holds these logs of theirs, in the same order."""
    store = MemoryStore()
    for who in authors:
        await store.put_follow(Follow(who.hash, None, wall_ms()))
    for who, log in zip(authors, logs, strict=False):
        await store.put_identity(who.identity)
        await store.append([Batch(who.hash, tuple(log))], wall_ms())
    return store


@asynccontextmanager
async def at_work(name: str, store: MemoryStore, *contacts: Endpoint) -> AsyncIterator[Wired]:
    """The node of that name on this store, for the length of the block."""
    own = author(name)
    root, node = (KeyPair.from_seed(hash32(f"{name} {of}".encode(), b"benchmarks")) for of in (0, "node"))
    keyring = Keyring(root, own.identity.inception, own.device, node)
    await store.put_setting(OWN_IDENTITY, own.hash)
    async with open_tcp(node, Endpoint("127.0.0.1", 0)) as transport:
        directory = MemoryDht(wall_ms).open(transport.endpoint)  # of its own, so that nothing comes through it
        parts = Parts(
            keyring,
            store,
            await store.load(),
            transport,
            directory,
            Place(transport.endpoint, (transport.endpoint,)),
            announced_at=transport.endpoint,
            save=lambda keyring: None,
            wall_ms=wall_ms,
            rng=random.Random(name),
        )
        try:
            async with parts.at_work([str(contact) for contact in contacts]):
                yield Wired(parts, store, transport.endpoint)
        finally:
            directory.close()
