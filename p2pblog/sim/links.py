"""Links between simulated nodes: ordered streams with a queue at each end, as a driver's lanes over TCP are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pblog.config import LINGER_S
from p2pblog.core.address import Endpoint
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.loads import Loads
from p2pblog.gossip.messages import Decoder, Encoder
from p2pblog.sim.loop import micros
from p2pblog.sim.network import Network
from p2pblog.transport.framing import wire_bytes
from p2pblog.transport.handshake import MESSAGE_SIZES

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode

TCP_BYTES = 40
"""IPv4 and TCP headers around what is sent at once."""
_FIRST, _SECOND, _THIRD = (2 + size for size in MESSAGE_SIZES)
DIALER_BYTES = TCP_BYTES + _FIRST + _THIRD
LISTENER_BYTES = 2 * TCP_BYTES + _SECOND
"""What either end sends until a connection stands, beside the dialer's first packet: docs/protocol/transport.md. Its
third message goes along with what it says first."""


class Lane:
    """One end of a link. What it sends arrives at `other`."""

    __slots__ = (
        "binding", "decoder", "dialed", "encoder", "endpoint", "error", "held", "is_open", "key", "last_us",
        "lingers_us", "loads", "node", "other", "queued_bytes", "since", "under_way",
    )  # fmt: skip

    other: Lane

    def __init__(self, node: SimNode, endpoint: Endpoint, dialed: bool, binding: bytes, since: float) -> None:
        self.node = node
        self.key = node.person.node_key
        """What this end proved when the link was made; a node that lost its disk comes back with another key."""
        self.endpoint = endpoint
        """Where the other end is, as this one sees it."""
        self.dialed = dialed
        self.binding = binding
        self.since = since
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.queued_bytes = 0
        self.last_us = 0
        """When the last thing that was sent comes to the other end's down link."""
        self.loads = Loads()
        self.under_way: deque[bytes] = deque()
        """What was sent and has not arrived, oldest first. A stream gives nothing out of its order (RFC 9293, 3.4)."""
        self.held: list[int] = []
        """The sizes of what waits for a partition to heal."""
        self.is_open = True
        self.lingers_us = 0
        """Until when it is read from after it was closed, as transport/tcp.py does with what was accepted: else what
        comes then would be answered by a reset, which may cost the other end our last message."""
        self.error: RemoteProtocolError | None = None

    def send(self, network: Network, data: bytes) -> int:
        """Put a message on its way; gives its size on the wire."""
        size = wire_bytes(len(data))
        self.queued_bytes += len(data)
        self.under_way.append(data)
        here, there = self.node.number, self.other.node.number
        if self.held or network.is_cut(here, there):
            self.held.append(size + TCP_BYTES)
        else:
            self._carry(network, size + TCP_BYTES)
        return size

    def _carry(self, network: Network, size: int) -> None:
        there = self.other.node.number
        self.last_us = network.stream_way_end_us(self.node.number, there, size, self.last_us)
        network.loop.at(self.last_us, network.pass_down, there, size, self._arrive, network, size)

    def _arrive(self, network: Network, size: int) -> None:
        """A message got through, and the oldest that waits for that is read: what was cut off may be older."""
        other = self.other
        if network.is_cut(self.node.number, other.node.number):
            self.held.append(size)
            return
        data = self.under_way.popleft()
        self.queued_bytes -= len(data)
        if other.is_open:
            other.node.on_message(other, data)
        elif other.node.is_up and network.loop.now_us >= other.lingers_us:
            self._later(network, self.reset)  # nobody knows this connection there (RFC 9293, 3.5.2)
        if self.is_open and self.loads:
            self.node.serve(self)

    def heal(self, network: Network) -> None:
        """A partition is over: TCP sends again what was not acknowledged."""
        if network.is_cut(self.node.number, self.other.node.number):
            return
        held, self.held = self.held, []
        for size in held:
            self._carry(network, size)

    def hang_up(self, network: Network) -> None:
        """End the link at this end; the other hears of it after all that was sent."""
        if not self.is_open:
            return
        self.is_open = False
        if not self.dialed:
            self.lingers_us = network.loop.now_us + micros(LINGER_S)
        there = self.other.node.number
        network.count(self.node.number, TCP_BYTES)
        end_us = max(self.last_us, network.loop.now_us + network.rtt_us(self.node.number, there) // 2)
        network.loop.at(end_us, network.pass_down, there, TCP_BYTES, self.other.reset)

    def reset(self) -> None:
        """The other end is gone."""
        if self.is_open and not self.node.network.is_cut(self.node.number, self.other.node.number):
            self.is_open = False
            self.node.on_gone(self)

    def _later(self, network: Network, do: Callable[[], None]) -> None:
        way_us = network.rtt_us(self.node.number, self.other.node.number) // 2
        network.loop.at(network.loop.now_us + way_us, do)
