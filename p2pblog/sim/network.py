"""The simulated network: who reaches whom, how long that takes, and what is lost on the way.

Every node has one public address in a /24 of its own, but for those that `huddle`. A pair's round trip is drawn once,
from its two numbers and the seed. Datagrams may be lost, doubled or overtaken. What a stream loses is sent again
after a time-out that doubles, as TCP does, and what comes after it waits. A node's up and down links pass so many
bytes a second, one packet after the other: up in the order in which they were sent, down in the order in which they
come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from p2pblog.core.address import Endpoint
from p2pblog.sim.chance import draw, generator
from p2pblog.sim.loop import VirtualLoop
from p2pblog.sim.tables import Loss, Positive, Ratio, Table

PORT = 4000
SEGMENT_BYTES = 1_400
"""What of a stream is lost at once."""
RESEND_US_MIN = 200_000
"""The least time before TCP sends again (Linux; RFC 6298 says 1 s)."""
DIAL_RESEND_US = 1_000_000
"""The time before a lost first packet of a connection is sent again (RFC 6298, 2.1)."""
MAPPING_US = 60_000_000
"""How long a router lets answers in after we called somebody (RFC 4787 asks for 2 min; 30 to 60 s are common)."""
MAPPINGS_MAX = 4_096
PAIRS_MAX = 65_536
"""Pairs whose round trip is remembered once drawn: the links of 3,000 nodes, in 10 MB."""
TRANSIT_BYTES = 28
"""IPv4 and UDP headers of a datagram; a TCP segment has 40."""


class Weather(Table):
    """How a network behaves; times in ms, shares from 0 to 1, rates in kbit/s."""

    rtt_ms: tuple[Positive, Positive] = (40, 200)
    tail_share: Ratio = 0.0
    """Pairs whose round trip is `tail_rtt_ms`."""
    tail_rtt_ms: Positive = 1_000
    loss: Loss = 0.0
    duplicate: Ratio = 0.0
    reorder: Ratio = 0.0
    """Datagrams that take up to a round trip longer, so that later ones overtake them."""
    jitter: Ratio = 0.05
    """A packet takes up to this share longer than the pair's time."""
    up_kbit_s: Positive = 10_000
    down_kbit_s: Positive = 50_000
    unreachable: Loss = 0.0
    """Share of the nodes behind a router: nobody dials them, and only answers to what they asked come in."""

    def __post_init__(self) -> None:
        fastest, slowest = self.rtt_ms
        if fastest > slowest:
            raise ValueError("rtt_ms goes from the fastest to the slowest")


class Network:
    """Numbered places and what passes between them. `split` parts it: only nodes of one side hear each other."""

    def __init__(self, loop: VirtualLoop, seed: int, weather: Weather) -> None:
        self.loop = loop
        self.weather = weather
        self.sides: dict[int, int] = {}
        """Node -> on which side of each partition it is, a bit for each; without those that are on no other side."""
        self.healed_us: int | None = None
        """When the last partition was over."""
        self._partitions = 0
        self.behind_router: set[int] = set()
        self.bytes_sent: dict[int, int] = {}
        self.datagrams = 0
        self._seed = seed
        self._chance = generator(seed, "network")
        self._sockets: dict[Endpoint, Socket] = {}
        self._closed_us = 0
        self._up_free: dict[int, int] = {}
        self._down_free: dict[int, int] = {}
        self._huddled: dict[int, Endpoint] = {}
        self._huddled_at: dict[Endpoint, int] = {}
        self.rtt_us = lru_cache(PAIRS_MAX)(self._draw_rtt_us)
        """(one, other) -> the round trip of a pair, the same both ways."""

    def place_of(self, node: int) -> Endpoint:
        """The address of a node: 20.0.0.0 and on, a /24 for each."""
        if node in self._huddled:
            return self._huddled[node]
        return Endpoint(f"{20 + (node >> 16)}.{node >> 8 & 255}.{node & 255}.1", PORT)

    def huddle(self, nodes: Iterable[int]) -> None:
        """These nodes, whose sockets are not open yet, live in one /24."""
        for index, node in enumerate(nodes):
            self._huddled[node] = Endpoint(f"19.0.0.{index % 256}", PORT + index // 256)
        self._huddled_at = {endpoint: node for node, endpoint in self._huddled.items()}

    def node_at(self, endpoint: Endpoint) -> int:
        if endpoint in self._huddled_at:
            return self._huddled_at[endpoint]
        first, second, third, _ = endpoint.host.split(".")
        return (int(first) - 20 << 16) + (int(second) << 8) + int(third)

    def _draw_rtt_us(self, one: int, other: int) -> int:
        low, high = min(one, other), max(one, other)
        weather = self.weather
        if weather.tail_share and draw(self._seed + 1, low, high) < weather.tail_share:
            return weather.tail_rtt_ms * 1_000
        fastest, slowest = weather.rtt_ms
        return fastest * 1_000 + int(draw(self._seed, low, high) * (slowest - fastest) * 1_000)

    def split(self, others: Iterable[int]) -> int:
        """Part these from all others; gives the partition, which `heal` ends. There can be several at once."""
        partition = 1 << self._partitions
        self._partitions += 1
        for node in others:
            self.sides[node] = self.sides.get(node, 0) | partition
        return partition

    def heal(self, partition: int) -> None:
        left = {node: side & ~partition for node, side in self.sides.items()}
        self.sides = {node: side for node, side in left.items() if side}
        self.healed_us = self.loop.now_us

    def is_cut(self, one: int, other: int) -> bool:
        return bool(self.sides) and self.sides.get(one, 0) != self.sides.get(other, 0)

    def may_dial(self, dialer: int, other: int) -> bool:
        """Whether a connection gets through, if somebody listens there."""
        return other not in self.behind_router and not self.is_cut(dialer, other)

    # --- time on the way ---

    def way_end_us(self, sender: int, receiver: int, size: int) -> int:
        """When a packet that is sent now comes to the receiver's down link, nothing lost."""
        weather, now = self.weather, self.loop.now_us
        self.count(sender, size)
        free = self._up_free.get(sender, 0)
        sent = (free if free > now else now) + size * 8_000 // weather.up_kbit_s
        self._up_free[sender] = sent
        way = self.rtt_us(sender, receiver) // 2
        way += int(way * weather.jitter * self._chance.random())
        return sent + way

    def count(self, sender: int, size: int) -> None:
        """So many bytes were sent. What makes and ends connections is counted alone: it holds up nothing."""
        self.bytes_sent[sender] = self.bytes_sent.get(sender, 0) + size

    def pass_down(self, receiver: int, size: int, do: Callable[..., object], *args: Any) -> None:
        """What has come to the receiver's down link passes it after what came before, and then `do` is called. That is
        known only when it comes: a packet that was sent first may have a longer way."""
        now, free = self.loop.now_us, self._down_free.get(receiver, 0)
        passed = (free if free > now else now) + size * 8_000 // self.weather.down_kbit_s
        self._down_free[receiver] = passed
        self.loop.at(passed, do, *args)

    def stream_way_end_us(self, sender: int, receiver: int, size: int, not_before_us: int) -> int:
        """When so many bytes of a stream have come to the receiver's down link, in order and with everything that was
        lost sent again."""
        at = self.way_end_us(sender, receiver, size)
        if self.weather.loss:
            for _ in range(-(-size // SEGMENT_BYTES)):
                wait = 0
                while self._chance.random() < self.weather.loss:
                    wait = 2 * wait or max(RESEND_US_MIN, 2 * self.rtt_us(sender, receiver))
                    at += wait
        return at if at > not_before_us else not_before_us

    def dial_us(self, dialer: int, other: int) -> int:
        """How long it takes until the dialer's end stands: a round trip for TCP, one for the first two messages of
        the handshake; its third goes along with what is said first."""
        time = 2 * self.rtt_us(dialer, other)
        wait = DIAL_RESEND_US
        while self.weather.loss and self._chance.random() < self.weather.loss:
            time += wait
            wait *= 2
        return time

    # --- datagrams ---

    def open_socket(self, protocol: Any, endpoint: Endpoint) -> Socket:
        """As asyncio's create_datagram_endpoint."""
        assert endpoint not in self._sockets, "two sockets at one address"
        socket = self._sockets[endpoint] = Socket(self, protocol, endpoint)
        return socket

    def close_socket(self, socket: Socket) -> None:
        if self._sockets.get(socket.endpoint) is socket:
            del self._sockets[socket.endpoint]
            self._closed_us += self.loop.now_us - socket.opened_us

    @property
    def sockets_us(self) -> int:
        """How long sockets were open so far, all together."""
        return self._closed_us + sum(self.loop.now_us - socket.opened_us for socket in self._sockets.values())

    def send_datagram(self, socket: Socket, data: bytes, to: Endpoint) -> None:
        weather, chance = self.weather, self._chance
        sender, receiver = socket.node, self.node_at(to)
        self.datagrams += 1
        size = len(data) + TRANSIT_BYTES
        at = self.way_end_us(sender, receiver, size)
        if weather.loss and chance.random() < weather.loss:
            return
        if weather.reorder and chance.random() < weather.reorder:
            at += int(self.rtt_us(sender, receiver) * chance.random())
        passing = (self.pass_down, receiver, size, self._arrive, socket.endpoint, to, data)
        self.loop.at(at, *passing)
        if weather.duplicate and chance.random() < weather.duplicate:
            self.loop.at(at + int(self.rtt_us(sender, receiver) * chance.random()), *passing)

    def _arrive(self, source: Endpoint, to: Endpoint, data: bytes) -> None:
        socket = self._sockets.get(to)
        if socket is None or self.is_cut(self.node_at(source), socket.node):
            return
        if socket.node in self.behind_router and not socket.expects(source):
            return
        socket.protocol.datagram_received(data, (source.host, source.port))


class Socket:
    """A datagram socket, as far as asyncio's protocols use their transports."""

    def __init__(self, network: Network, protocol: Any, endpoint: Endpoint) -> None:
        self.protocol = protocol
        self.endpoint = endpoint
        self.node = network.node_at(endpoint)
        self.opened_us = network.loop.now_us
        self._network = network
        self._closed = False
        self._called: OrderedDict[Endpoint, int] = OrderedDict()

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._closed:
            return
        to = Endpoint(addr[0], addr[1])
        if self.node in self._network.behind_router:
            self._called[to] = self._network.loop.now_us
            self._called.move_to_end(to)
            if len(self._called) > MAPPINGS_MAX:
                self._called.popitem(last=False)
        self._network.send_datagram(self, data, to)

    def expects(self, source: Endpoint) -> bool:
        """Whether the router before this socket lets a datagram from there in."""
        called = self._called.get(source)
        return called is not None and self._network.loop.now_us - called < MAPPING_US

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._network.close_socket(self)

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self.endpoint.host, self.endpoint.port) if name == "sockname" else default
