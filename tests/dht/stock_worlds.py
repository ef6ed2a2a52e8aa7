"""Two worlds for one scene: the stock classes of kademlia and ours, each on loopback with a bare socket beside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import umsgpack
from dht_scenes import NOW, key_of
from kademlia.network import Server
from kademlia.protocol import KademliaProtocol

from p2pblog.core.address import Endpoint
from p2pblog.dht import wire
from p2pblog.dht.contacts import NodeId
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.server import GuardedServer, open_server

LOOPBACK = Endpoint.of("127.0.0.1", 0)
MARK = b"m" * 16
"""The call id of a request that is sent only to see when all before it has been read."""


class Peer(asyncio.DatagramProtocol):
    """A bare socket. `answer` gives the reply to each datagram, or None."""

    def __init__(self, answer: Callable[[bytes], bytes | None] = lambda _: None) -> None:
        self.answer = answer
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.inbox.put_nowait(data)
        reply = self.answer(data)
        if reply is not None:
            self.transport.sendto(reply, addr)

    @property
    def address(self) -> tuple[str, int]:
        return self.transport.get_extra_info("sockname")[:2]  # type: ignore[no-any-return]

    async def ask(self, data: bytes, to: tuple[str, int]) -> bytes:
        self.transport.sendto(data, to)
        return await asyncio.wait_for(self.inbox.get(), 5)

    async def bytes_before(self, marker: bytes, to: tuple[str, int]) -> int:
        """How much came in until the answer to a last request: sockets on loopback keep the order."""
        self.transport.sendto(marker, to)
        total = 0
        while MARK not in (data := await asyncio.wait_for(self.inbox.get(), 5)):
            total += len(data)
        return total


@asynccontextmanager
async def peer(answer: Callable[[bytes], bytes | None] = lambda _: None) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: Peer(answer), local_addr=("127.0.0.1", 0))
    try:
        yield protocol
    finally:
        transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def stock(protocol: type[KademliaProtocol] = KademliaProtocol) -> AsyncIterator[Any]:
    server = Server(node_id=random.Random(protocol.__name__).randbytes(20))
    server.protocol_class = protocol
    await server.listen(0, "127.0.0.1")
    server.protocol._wait_timeout = 0.2  # the stock five seconds would only make these tests slow
    server.address = server.transport.get_extra_info("sockname")
    try:
        yield server
    finally:
        server.stop()
        await asyncio.sleep(0)


@asynccontextmanager
async def ours(name: str = "ours", now: int = NOW) -> AsyncIterator[GuardedServer]:
    server = await open_server(
        key_of(name), LOOPBACK, lambda: now, random.Random(name), True, False, None, Parameters(), None
    )
    try:
        yield server
    finally:
        await server.aclose()


def at(server: GuardedServer) -> tuple[str, int]:
    return server.endpoint.host, server.endpoint.port


def stock_request(name: str, *args: Any) -> bytes:
    return b"\0" + bytes(20) + bytes(umsgpack.packb([name, args]))


STOCK_MARKER = b"\0" + b"mmmm" + MARK + bytes(umsgpack.packb(["stun", []]))
OUR_MARKER = wire.encode_request(wire.Request(MARK, wire.Ping(), prove=True), 64)


def request(call: wire.Call, token: bytes | None = None, sender: NodeId | None = None, padded: int = 64) -> bytes:
    return wire.encode_request(wire.Request(bytes(16), call, sender, token, prove=True), padded)


async def stored(mal: Peer, server: GuardedServer, key: bytes, record: bytes) -> str:
    """What becomes of a record that somebody with a proven address wants held."""
    token = wire.decode_reply(await mal.ask(request(wire.Ping()), at(server))).token
    answer = wire.decode_reply(await mal.ask(request(wire.Store(key, record), token), at(server))).answer
    assert isinstance(answer, wire.Stored)
    return answer.outcome


def stock_answer(value: Any) -> Callable[[bytes], bytes]:
    """A stock peer that answers every request so."""
    return lambda data: b"\1" + data[1:21] + bytes(umsgpack.packb(value))


def recorded(protocol: Any) -> list[Any]:
    """Where the protocol sends from now on, without sending."""
    sent: list[Any] = []
    real = protocol.transport
    protocol.transport = SimpleNamespace(
        sendto=lambda data, address: sent.append(address), is_closing=lambda: False, close=real.close,
        get_write_buffer_size=lambda: 0, get_extra_info=real.get_extra_info,
    )  # fmt: skip
    return sent


# --- telling a scene --------------------------------------------------------------------------------------------------

Scene = Callable[..., Awaitable[bool]]


def scenes_in(names: dict[str, Any]) -> list[tuple[Scene, Scene]]:
    """The pairs of scenes that a file defines, `stock_N_…` and `ours_N_…`."""
    told = [name for name in names if name.startswith("stock_") and name[6].isdigit()]
    return [(names[name], names[name.replace("stock_", "ours_", 1)]) for name in told]


def tell_twice(on_stock: Scene, on_ours: Scene, tmp_path: Path) -> None:
    """The stock class fails, ours does not."""
    for scene, fails in ((on_stock, True), (on_ours, False)):
        folder = tmp_path / scene.__name__
        folder.mkdir()
        wants_folder = "folder" in scene.__code__.co_varnames[: scene.__code__.co_argcount]  # type: ignore[attr-defined]
        assert asyncio.run(_run(scene, folder if wants_folder else None)) is fails, scene.__name__


async def _run(scene: Scene, folder: Path | None) -> bool:
    return await (scene() if folder is None else scene(folder))
