"""The DHT: rendezvous, and the newest notices of someone who is offline. A hint; gossip is the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from p2pblog.core.address import Endpoint
from p2pblog.core.value import Value
from p2pblog.dht.records import DhtKey, Record


class Published(Value):
    """What became of one record: in how many address blocks a node said that it holds it now; in a test network each
    node counts. `is_heard`: whether any of them said anything about it, be it that it is refused; else it may have been
    lost on the way."""

    holders: int
    is_heard: bool = True


Early = Callable[[Sequence[Record]], object]
"""Told of the first valid records of a look-up that goes on, once, on the caller's side; it must not raise."""


class Directory(Protocol):
    """What the node asks of the DHT. Trio-flavoured; one call, one crossing of the bridge."""

    async def publish(self, records: Sequence[Record]) -> list[Published]:
        """Store each at the nodes closest to its key. Never raises for what other nodes do."""

    async def find(
        self, key: DhtKey, timeout_s: float = 10.0, early: Early | None = None, twice_named: bool = False
    ) -> list[Record]:
        """The valid records under a key, newest per device or node; empty if nobody answered with one. That takes many
        holders' answers: who can use what the first one says is told by `early`. `twice_named`: only those that
        holders in two address blocks named, or that we hold, since one may make up as many as there is room for."""

    async def add_contacts(self, endpoints: Sequence[Endpoint]) -> int:
        """Ping these and take those that prove an id; gives how many did."""

    @property
    def size(self) -> int:
        """Contacts in the routing table; 0 while they all seem to be silent."""
