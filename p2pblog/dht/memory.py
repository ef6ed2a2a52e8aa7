"""The DHT's in-memory twin: the same records under the same rules, without sockets, for tests under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from p2pblog.config import DHT_REPLY_CONTACTS_MAX
from p2pblog.core.address import Endpoint
from p2pblog.dht import Early, Published
from p2pblog.dht.contacts import ID_BYTES
from p2pblog.dht.records import DhtKey, Record, decode, encode
from p2pblog.dht.shelf import Limits, Outcome, RecordStore, newest
from p2pblog.errors import RemoteProtocolError


class MemoryNetwork:
    """What all nodes together hold. `clock` gives milliseconds since 1970; a call takes `latency_s` of trio's time.

    As if every node held every key: there is no churn and no loss here, and a node that closes takes nothing along.
    """

    def __init__(self, clock: Callable[[], int], latency_s: float = 0.0, limits: Limits | None = None) -> None:
        self.clock = clock
        self.latency_s = latency_s
        self.nodes: dict[Endpoint, MemoryDirectory] = {}
        self.store = RecordStore(bytes(ID_BYTES), limits or Limits(exempt_private=True))

    def open(self, endpoint: Endpoint) -> MemoryDirectory:
        """A new node there. It knows nobody until `add_contacts`."""
        assert endpoint not in self.nodes, "two nodes at one endpoint"
        self.nodes[endpoint] = MemoryDirectory(self, endpoint)
        return self.nodes[endpoint]


class MemoryDirectory:
    """One node's dht.Directory in a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._network = network
        self._joined = False
        self._closed = False

    def close(self) -> None:
        """The node is gone: nobody reaches it, and it reaches nobody."""
        self._closed = True
        self._network.nodes.pop(self.endpoint, None)

    @property
    def size(self) -> int:
        """The other nodes that joined, for one that joined itself."""
        others = sum(node._joined for node in self._network.nodes.values() if node is not self)
        return others if self._joined and not self._closed else 0

    async def publish(self, records: Sequence[Record]) -> list[Published]:
        """As dht.Directory: what the others would refuse, nobody holds."""
        await self._cross()
        return [Published(self._store(record)) for record in records]

    async def find(
        self, key: DhtKey, timeout_s: float = 10.0, early: Early | None = None, twice_named: bool = False
    ) -> list[Record]:
        """As dht.Directory; here all nodes name what there is."""
        with trio.move_on_after(timeout_s):
            await self._cross()
            if self.size:
                now_ms = self._network.clock()
                found = newest([item.record for item in self._network.store.get(key, now_ms)], now_ms)
                if found and early is not None:
                    early(found)
                return found
        return []

    async def add_contacts(self, endpoints: Sequence[Endpoint]) -> int:
        """As dht.Directory."""
        await self._cross()
        reached = [self._network.nodes[endpoint] for endpoint in endpoints if endpoint in self._network.nodes]
        others = [node for node in reached if node is not self and not self._closed]
        for node in [*others, *([self] if others else [])]:
            node._joined = True
        return len(others)

    def _store(self, record: Record) -> int:
        network, now_ms = self._network, self._network.clock()
        try:
            checked = decode(record.key, encode(record), now_ms)
        except RemoteProtocolError:
            return 0
        if not self.size or network.store.put(checked, self.endpoint, now_ms) is not Outcome.HELD:
            return 0
        return min(DHT_REPLY_CONTACTS_MAX, self.size)

    async def _cross(self) -> None:
        await trio.sleep(self._network.latency_s)
