"""A test network of real UDP nodes on loopback, and a stranger with a socket who says what he likes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from dht_scenes import NOW, key_of

from p2pblog.bridge import Bridge, open_bridge
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.dht import wire
from p2pblog.dht.adapter import Dht, open_dht
from p2pblog.dht.contacts import NodeId, node_id
from p2pblog.dht.shelf import Limits

LOOPBACK = Endpoint.of("127.0.0.1", 0)


@dataclass
class Clock:
    """The wall clock of a test network; it moves when a test moves it."""

    ms: int = NOW

    def __call__(self) -> int:
        return self.ms


@dataclass
class World:
    """Nodes that know each other, in the order of their joining. `kill` ends one as a crash would."""

    bridge: Bridge
    clock: Clock
    nodes: list[Dht] = field(default_factory=list)
    keys: list[KeyPair] = field(default_factory=list)
    _stacks: list[AsyncExitStack] = field(default_factory=list)

    async def add(self, name: str, **options: Any) -> Dht:
        stack = AsyncExitStack()
        key = key_of(name)
        settings: dict[str, Any] = {"clock": self.clock, "test_network": True, **options}
        node = await stack.enter_async_context(
            open_dht(self.bridge, key, LOOPBACK, rng=random.Random(name), **settings)
        )
        self.nodes.append(node)
        self.keys.append(key)
        self._stacks.append(stack)
        return node

    async def kill(self, node: Dht) -> None:
        place = self.nodes.index(node)
        del self.nodes[place], self.keys[place]
        await self._stacks.pop(place).aclose()

    async def aclose(self) -> None:
        while self._stacks:
            await self._stacks.pop().aclose()


@asynccontextmanager
async def world_of(count: int, limits: Limits | None = None) -> AsyncIterator[World]:
    """`count` nodes; each joined through the first."""
    async with open_bridge() as bridge:
        world = World(bridge, Clock())
        try:
            for number in range(count):
                node = await world.add(f"node {number}", limits=limits)
                if number:
                    assert await node.add_contacts([world.nodes[0].endpoint]) == 1
            yield world
        finally:
            with trio.CancelScope(shield=True):
                await world.aclose()


class Stranger:
    """A bare socket that speaks the protocol, as far as it likes."""

    def __init__(self, socket: trio.socket.SocketType, node: KeyPair) -> None:
        self.socket = socket
        self.node = node
        self.id = node_id(node.public)
        self.endpoint = Endpoint.of(*socket.getsockname()[:2])
        self.received: list[bytes] = []
        self._calls = random.Random(str(self.endpoint))

    async def send(self, data: bytes, to: Dht) -> None:
        await self.socket.sendto(data, (to.endpoint.host, to.endpoint.port))

    async def ask(
        self, to: Dht, call: wire.Call, token: bytes | None = None, sender: NodeId | None = None, padded: int = 64
    ) -> wire.Reply:
        """Send a request and wait for its reply; whatever else comes in is kept in `received`."""
        call_id = self._calls.randbytes(16)
        await self.send(wire.encode_request(wire.Request(call_id, call, sender, token, prove=True), padded), to)
        with trio.fail_after(5):
            while True:
                data, _ = await self.socket.recvfrom(65_536)
                self.received.append(data)
                kind, answered = wire.peek(data)
                if kind == wire.REPLY and answered == call_id:
                    return wire.decode_reply(data)

    async def token_of(self, to: Dht) -> bytes:
        return (await self.ask(to, wire.Ping())).token

    async def store(self, to: Dht, key: bytes, record: bytes) -> str:
        """What the node says became of it, to somebody who proved his address."""
        reply = await self.ask(to, wire.Store(key, record), await self.token_of(to))
        assert isinstance(reply.answer, wire.Stored)
        return reply.answer.outcome

    async def held_by(self, nodes: Sequence[Dht], key: bytes) -> list[bytes]:
        """The records under a key that these nodes give out."""
        records = []
        for node in nodes:
            reply = await self.ask(node, wire.Find(key, key), await self.token_of(node))
            assert isinstance(reply.answer, wire.Found)
            records += reply.answer.records
        return records


@asynccontextmanager
async def stranger(name: str = "mallory") -> AsyncIterator[Stranger]:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as socket:
        await socket.bind(("127.0.0.1", 0))
        yield Stranger(socket, key_of(f"{name} stranger"))
