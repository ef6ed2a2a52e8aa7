"""Whole nodes on in-memory twins under a virtual clock: the shipped code, without sockets, disks or waiting."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import permutations

import trio
from builders import NOON, key_pair, person

from p2pblog.cases.desk import Place
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.core.value import replace
from p2pblog.daemon import Parts
from p2pblog.dht.memory import MemoryNetwork as MemoryDht
from p2pblog.errors import UserError
from p2pblog.keyring import Keyring
from p2pblog.node import Node
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.blobs import Blobs, MemoryBlobs
from p2pblog.store.memory import MemoryStore
from p2pblog.transport.memory import MemoryNetwork


@dataclass
class Home:
    """What of a node outlives its process: keys, store and place."""

    name: str
    keyring: Keyring
    store: MemoryStore
    endpoint: Endpoint
    skew_ms: int = 0
    """By how much its clock is ahead."""
    keeps_keys: bool = True
    """Whether its disk takes another key file."""
    stop: trio.CancelScope = field(default_factory=trio.CancelScope)
    stopped: trio.Event = field(default_factory=trio.Event)
    parts: Parts | None = None
    blobs: Blobs = field(default_factory=MemoryBlobs)

    @property
    def node(self) -> Node:
        assert self.parts is not None
        return self.parts.node

    @property
    def address(self) -> str:
        return person(self.name).address


class World:
    """Named people on one network. `home` makes one, `start` runs it, `kill` ends it without a word."""

    def __init__(self, nursery: trio.Nursery, seed: int) -> None:
        self.started = trio.current_time()
        self.net = MemoryNetwork(seed)
        self.dht = MemoryDht(self.wall_ms)
        self._nursery = nursery
        self._seed = seed
        self._homes: dict[str, Home] = {}

    def wall_ms(self) -> int:
        return NOON + round((trio.current_time() - self.started) * 1000)

    def home(self, name: str) -> Home:
        """The home of that name; made on first use."""
        if name not in self._homes:
            who = person(name)
            number = len(self._homes) + 1
            keyring = Keyring(who.root, who.identity.inception, who.device, key_pair(f"{name}/node"), name)
            self._homes[name] = Home(name, keyring, MemoryStore(), Endpoint(f"10.0.{number}.1", 4000))
        return self._homes[name]

    def copy(self, home: Home, name: str, store: MemoryStore) -> Home:
        """A copy of a home with another node key, at another place, on a copy of its store."""
        number = len(self._homes) + 1
        keyring = replace(home.keyring, node=key_pair(f"{name}/node"))
        self._homes[name] = Home(home.name, keyring, store, Endpoint(f"10.0.{number}.1", 4000))
        return self._homes[name]

    async def start(self, name: str, *bootstrap: str) -> Node:
        """Run the node; `bootstrap` names others whose endpoints it is told."""
        home = self.home(name)
        home.stop, home.stopped = trio.CancelScope(), trio.Event()
        contacts = [self.home(other).endpoint for other in bootstrap]
        await self._nursery.start(self._run, home, contacts)
        return home.node

    async def follower(self, name: str, author: str, *bootstrap: str) -> Node:
        """Run the node, told of `bootstrap` or else of the author, and follow the author."""
        node = await self.start(name, *(bootstrap or (author,)))
        await node.follow(self.home(author).address)
        return node

    async def friends(self, *names: str) -> None:
        """Run them all, the others told of the first; each follows each, by its name here."""
        for index, name in enumerate(names):
            await self.start(name, *names[:1][: index > 0])
        for one, other in permutations(names, 2):
            await self.home(one).node.follow(self.home(other).address, other)

    async def _run(
        self,
        home: Home,
        contacts: list[Endpoint],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await home.store.put_setting(OWN_IDENTITY, home.keyring.inception.identity)
        transport = self.net.transport(NodeKey(home.keyring.node.public), home.endpoint)
        directory = self.dht.open(home.endpoint)
        place = Place(home.endpoint, (home.endpoint,))

        def save(keyring: Keyring) -> None:
            if not home.keeps_keys:
                raise UserError("the key file cannot be written")
            home.keyring = keyring

        home.parts = Parts(
            home.keyring,
            home.store,
            await home.store.load(),
            transport,
            directory,
            place,
            announced_at=home.endpoint,
            save=save,
            wall_ms=lambda: self.wall_ms() + home.skew_ms,
            rng=random.Random(f"{self._seed} {home.name}"),
            blobs=home.blobs,
        )
        try:
            with home.stop:
                async with home.parts.at_work([str(contact) for contact in contacts]):
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            directory.close()
            home.stopped.set()

    async def kill(self, name: str) -> None:
        """The process ends; its links break, its store stays as it is."""
        home = self.home(name)
        self.net.take_down(home.endpoint)
        home.stop.cancel()
        await home.stopped.wait()

    async def until(self, what: str, held: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> float:
        """Move the clock until it holds; gives the virtual seconds that took."""
        begun = trio.current_time()
        while not await held():
            assert trio.current_time() - begun < within_s, f"not so within {within_s} s: {what}"
            await trio.sleep(0.05)
        return trio.current_time() - begun

    async def reads(self, reader: str, *texts: str, within_s: float = 60.0) -> float:
        """The reader's timeline comes to hold these texts, newest first, perhaps among others."""

        async def held() -> bool:
            rows = await self.home(reader).node.timeline(limit=1000)
            return [row["text"] for row in rows if row["text"] in texts] == list(texts)

        return await self.until(f"{reader} reads {texts}", held, within_s)


@asynccontextmanager
async def open_world(seed: int = 1) -> AsyncIterator[World]:
    """A world for the length of the block; all nodes end with it."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        yield World(nursery, seed)
        nursery.cancel_scope.cancel()


async def fetch(node: Node, file: str) -> bytes:
    """As the command line does."""
    document = await node.media(file)
    while document["state"] != "here":
        document = await node.fetch_media(file, document["pieces"])
    pieces = [await node.media_piece(file, index) for index in range(document["pieces"])]
    return b"".join(base64.b64decode(piece["data"]) for piece in pieces)
