"""The DHT's trio face: a node's server runs on the asyncio loop, and so does what begins with `_aio_` here."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from p2pblog.bridge import Bridge
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.dht import Early, Published
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import DhtKey, Record
from p2pblog.dht.server import GuardedServer, open_server
from p2pblog.dht.shelf import Limits


class Dht:
    """A node's DHT, as dht.Directory asks for it. Made by `open_dht`."""

    def __init__(self, bridge: Bridge, server: GuardedServer) -> None:
        self._bridge = bridge
        self._server = server
        self.endpoint = server.endpoint
        """Where the socket is bound: HOST as given, and the port that was taken."""

    @property
    def size(self) -> int:
        """Contacts in the routing table; 0 while they all seem to be silent."""
        return self._server.size

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams that the guard dropped, by the name of what was wrong."""
        return dict(self._server.protocol.guard.dropped)

    @property
    def refused(self) -> dict[str, int]:
        """Records that were refused, by the name of what was wrong."""
        return dict(self._server.protocol.refused)

    @property
    def untimely(self) -> int:
        """Records refused because of their time that were ours, or that others gave us: where they are many, our clock
        is wrong."""
        return self._server.clock_check.contradictions

    async def publish(self, records: Sequence[Record]) -> list[Published]:
        """Store each at the nodes closest to its key; gives how many others said that they hold it now."""
        return await self._bridge.run(self._server.publish, records)

    async def find(
        self, key: DhtKey, timeout_s: float = 10.0, early: Early | None = None, twice_named: bool = False
    ) -> list[Record]:
        """The valid records under a key, newest per device or node, local ones included. `early` is told of what the
        first holder says while the others are asked; it may still come when this call was cancelled."""
        told = None if early is None else lambda first: self._bridge.aio_tell(early, first)
        return await self._bridge.run(self._server.find, key, timeout_s, told, twice_named)

    async def add_contacts(self, endpoints: Sequence[Endpoint]) -> int:
        """Ping these and take those that prove an id, then look around; gives how many did. While the table is empty
        they are tried again by themselves."""
        return await self._bridge.run(self._server.add_contacts, endpoints)

    async def upkeep(self) -> None:
        """Do what is due by the clock now; it is done regularly anyway."""
        await self._bridge.run(self._server.upkeep)

    async def seen_as(self, family: int) -> Endpoint | None:
        """Where other nodes say that our datagrams come from by that version of IP (4 or 6), or None while nobody has
        said so."""
        return await self._bridge.run(self._aio_seen_as, family)

    async def set_client(self, client: bool) -> None:
        """A node that can't be reached takes part as a client only: it answers nobody and is nobody's contact."""
        await self._bridge.run(self._aio_set_client, client)

    async def move(self, *, test_network: bool) -> None:
        """This node stands at another address; `test_network` as for `open_dht`. Nobody has seen it there yet."""
        await self._bridge.run(self._aio_move, test_network)

    async def state(self) -> bytes:
        """What to give `open_dht` at the next start: canonical msgpack, never a pickle."""
        return await self._bridge.run(self._aio_state)

    async def _aio_seen_as(self, family: int) -> Endpoint | None:
        return self._server.protocol.seen_as(family)

    async def _aio_set_client(self, client: bool) -> None:
        self._server.protocol.client = client

    async def _aio_move(self, test_network: bool) -> None:
        self._server.protocol.move(test_network)

    async def _aio_state(self) -> bytes:
        return self._server.state_bytes()


@asynccontextmanager
async def open_dht(
    bridge: Bridge,
    node: KeyPair,
    listen: Endpoint,
    *,
    clock: Callable[[], int],
    rng: random.Random,
    test_network: bool,
    client: bool = False,
    state: bytes | None = None,
    parameters: Parameters | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Dht]:
    """A DHT node on one UDP socket for the length of the block.

    `clock` gives milliseconds since 1970; `rng` must be a SystemRandom outside of tests, for call ids and tokens come
    from it. `test_network`: loopback and private addresses are contacts too, and their blocks are not limited.
    `state`: what `Dht.state` gave before. Raises OSError if the socket can't be bound.
    """
    server = await bridge.run(
        partial(open_server, node, listen, clock, rng, test_network, client, state, parameters or Parameters(), limits)
    )
    try:
        yield Dht(bridge, server)
    finally:
        with trio.CancelScope(shield=True):
            await bridge.run(server.aclose)
