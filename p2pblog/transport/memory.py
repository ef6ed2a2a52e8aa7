"""The in-memory twin: whole nodes in one process under trio's virtual clock, with latency, cuts and power failures.

It carries messages, not bytes: there is no crypto, every peer is who it says. Errors, limits and what each call waits
for are those of TCP. Latency is drawn per direction of a link from a generator of its own, so that a run depends on
the seed and on what the nodes do, not on the order in which they were served.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

import trio

from p2pblog.config import FRAME_TIMEOUT_S, HANDSHAKE_TIMEOUT_S, MESSAGE_BYTES_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey, hash32
from p2pblog.errors import Disconnected, LocalProtocolError, RemoteProtocolError, TooSlow
from p2pblog.transport import Accept
from p2pblog.transport.framing import wire_bytes
from p2pblog.transport.handshake import MESSAGE_SIZES

BUFFER_BYTES_MAX = 256 * 1024
"""On the way in one direction of a link before `send` waits: about what a kernel's socket buffers hold. A larger
message passes if it is alone."""
BACKLOG = 128
"""Dials that wait for `serve`."""
FIRST_FREE_PORT = 49_152
"""Ports that dialing takes (RFC 6335, 6)."""

Latency = Callable[[Endpoint, Endpoint, Random], float]
"""Seconds that one message takes from here to there."""


def steady(_here: Endpoint, _there: Endpoint, rng: Random) -> float:
    """40 to 60 ms: a continent."""
    return rng.uniform(0.04, 0.06)


class MemoryNetwork:
    """A network of MemoryTransports. The methods that break it act at once and may be called from any trio task."""

    def __init__(self, seed: int = 0, latency: Latency = steady) -> None:
        self._seed = seed
        self._latency = latency
        self._nodes: dict[Endpoint, MemoryTransport] = {}
        self._cuts: dict[frozenset[Endpoint], bool] = {}  # pair -> whether it is silent
        self._dark: set[Endpoint] = set()  # where power failed
        self._links: dict[_Pair, None] = {}  # open links in order of opening
        self._opened = 0

    def transport(self, node_key: NodeKey, endpoint: Endpoint) -> MemoryTransport:
        """A node of this network. Raises OSError if one that is up has the endpoint."""
        if endpoint in self._nodes:
            raise OSError(f"address in use: {endpoint}")
        self._dark.discard(endpoint)
        node = self._nodes[endpoint] = MemoryTransport(self, node_key, endpoint)
        return node

    def cut(self, a: Endpoint, b: Endpoint, *, silent: bool = False) -> None:
        """Nothing passes between the two nodes until `heal`.

        Their links end with Disconnected at both ends and dials fail at once; if `silent`, nobody is told: what is
        sent vanishes, and dials take HANDSHAKE_TIMEOUT_S to fail with TooSlow.
        """
        self._cuts[frozenset((a, b))] = silent
        if not silent:
            self._break(lambda pair: pair.joins(a, b))

    def heal(self, a: Endpoint, b: Endpoint) -> None:
        """New links pass again. Those that were cut silently have lost messages, so they break now."""
        if self._cuts.pop(frozenset((a, b)), None):
            self._break(lambda pair: pair.joins(a, b))

    def take_down(self, endpoint: Endpoint, *, silent: bool = False) -> None:
        """The node is gone: its process was killed, or, if `silent`, its power failed and nobody is told.

        Its own ends of links raise Disconnected in any case. Dials to a killed node fail at once, those to a dark one
        with TooSlow. `transport` may put another there.
        """
        self._nodes.pop(endpoint, None)
        if silent:
            self._dark.add(endpoint)
        self._break(lambda pair: pair.touches(endpoint), only_at=endpoint if silent else None)

    def links(self) -> int:
        """How many are open."""
        return len(self._links)

    # --- what the transports and links ask ---------------------------------------------------------------------------

    def node_at(self, endpoint: Endpoint) -> MemoryTransport | None:
        return self._nodes.get(endpoint)

    def is_up(self, node: MemoryTransport) -> bool:
        return self._nodes.get(node.endpoint) is node

    def answers(self, a: Endpoint, b: Endpoint) -> bool:
        """Whether `b` would at least refuse a dial from `a`."""
        return self.cut_between(a, b) is not True and b not in self._dark

    def cut_between(self, a: Endpoint, b: Endpoint) -> bool | None:
        """None if messages pass, else whether the cut is silent."""
        return self._cuts.get(frozenset((a, b)))

    def connect(self, dialer: MemoryTransport, listener: MemoryTransport) -> _Pair:
        self._opened += 1
        name = f"{self._seed}/{dialer.endpoint}/{listener.endpoint}/{self._opened}"
        pair = _Pair(self, dialer, listener, name, FIRST_FREE_PORT + self._opened % (65_536 - FIRST_FREE_PORT))
        self._links[pair] = None
        return pair

    def delay_s(self, here: Endpoint, there: Endpoint, rng: Random) -> float:
        return self._latency(here, there, rng)

    def forget(self, pair: _Pair) -> None:
        self._links.pop(pair, None)

    def _break(self, chosen: Callable[[_Pair], bool], only_at: Endpoint | None = None) -> None:
        for pair in [pair for pair in self._links if chosen(pair)]:
            pair.fail(only_at)


class MemoryTransport:
    """A transport.Transport of a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, node_key: NodeKey, endpoint: Endpoint) -> None:
        self._network = network
        self._inbound_send, self._inbound_receive = trio.open_memory_channel[MemoryLink](BACKLOG)
        self._rng = Random(f"{node_key.hex()}/{endpoint}")
        self.node_key = node_key
        self.endpoint = endpoint

    async def dial(self, endpoint: Endpoint) -> MemoryLink:
        """A link after one and a half round trips. Raises Disconnected or TooSlow."""
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                await self._travel(endpoint, 3)
                return self._arrive(endpoint)
        except trio.TooSlowError:
            raise TooSlow(f"no handshake with {endpoint} within {HANDSHAKE_TIMEOUT_S:g} s") from None

    async def _travel(self, there: Endpoint, times: int) -> None:
        if not self._network.answers(self.endpoint, there):
            await trio.sleep_forever()  # until the time for a handshake is over
        for _ in range(times):
            await trio.sleep(self._network.delay_s(self.endpoint, there, self._rng))

    def _arrive(self, endpoint: Endpoint) -> MemoryLink:
        node = self._network.node_at(endpoint)
        if node is None or not self._network.is_up(self):
            raise Disconnected(f"no connection to {endpoint}")
        if self._network.cut_between(self.endpoint, endpoint) is not None:
            raise Disconnected(f"no connection to {endpoint}: cut")
        pair = self._network.connect(self, node)
        try:
            node._inbound_send.send_nowait(pair.accepted)
        except (trio.WouldBlock, trio.BrokenResourceError) as error:
            pair.fail(None)
            raise Disconnected(f"{endpoint} does not accept") from error
        return pair.dialed

    async def serve(self, accept: Accept) -> None:
        """Accept links until cancelled. A peer's fault ends its own link only."""

        async def on_link(link: MemoryLink) -> None:
            try:
                await accept(link)
            except* RemoteProtocolError:
                pass
            finally:
                await link.aclose()

        try:
            async with trio.open_nursery() as nursery:
                async for link in self._inbound_receive:
                    nursery.start_soon(on_link, link)
        finally:
            self._turn_away()

    def _turn_away(self) -> None:
        """Close the door, also on those who wait at it."""
        waiting = self._inbound_receive.statistics().current_buffer_used
        for link in [self._inbound_receive.receive_nowait() for _ in range(waiting)]:
            link.incoming.abandon()
            link.outgoing.end()
        self._inbound_receive.close()


class MemoryLink:
    """A transport.Link: one end of a pair."""

    def __init__(self, peer: NodeKey, endpoint: Endpoint, *, dialed: bool, binding: bytes) -> None:
        self.peer = peer
        self.endpoint = endpoint
        self.dialed = dialed
        self.binding = binding
        first, second, third = (2 + size for size in MESSAGE_SIZES)
        self.bytes_out = first + third if dialed else second
        self.bytes_in = second if dialed else first + third
        self._sending = trio.Lock()
        self._dead = False  # a send that was cancelled or refused
        self.outgoing: _Pipe  # set by the pair
        self.incoming: _Pipe

    @property
    def bytes_under_way(self) -> int:
        return self.outgoing.bytes_waiting

    async def send(self, message: bytes) -> None:
        await self.send_many((message,))

    async def send_many(self, messages: Iterable[bytes]) -> None:
        async with self._sending:
            if self._dead:
                raise Disconnected("an earlier message could not be sent whole")
            self._dead = True
            for message in messages:
                if not 1 <= len(message) <= MESSAGE_BYTES_MAX:
                    raise LocalProtocolError(f"a message of {len(message)} bytes")
                await self._put(bytes(message))
            self._dead = False

    async def _put(self, message: bytes) -> None:
        try:
            with trio.fail_after(FRAME_TIMEOUT_S):
                await self.outgoing.put(message)
        except trio.TooSlowError:
            await self.aclose()
            raise TooSlow(f"the peer took no message within {FRAME_TIMEOUT_S:g} s") from None
        self.bytes_out += wire_bytes(len(message))

    async def receive(self) -> bytes:
        message = await self.incoming.get()
        self.bytes_in += wire_bytes(len(message))
        return message

    async def aclose(self) -> None:
        self.incoming.abandon()
        self.outgoing.end()
        await trio.lowlevel.checkpoint()


class _Pair:
    """The two ends of one link."""

    def __init__(
        self, network: MemoryNetwork, dialer: MemoryTransport, listener: MemoryTransport, name: str, port: int
    ) -> None:
        self._network = network
        self._here, self._there = dialer.endpoint, listener.endpoint
        binding = hash32(dialer.node_key + listener.node_key + name.encode(), b"p2pblog memory")
        origin = Endpoint(dialer.endpoint.host, port)
        self.dialed = MemoryLink(listener.node_key, listener.endpoint, dialed=True, binding=binding)
        self.accepted = MemoryLink(dialer.node_key, origin, dialed=False, binding=binding)
        there = _Pipe(network, self, self._here, self._there, Random(f"{name}/there"))
        back = _Pipe(network, self, self._there, self._here, Random(f"{name}/back"))
        self.dialed.outgoing = self.accepted.incoming = there
        self.dialed.incoming = self.accepted.outgoing = back

    def joins(self, a: Endpoint, b: Endpoint) -> bool:
        return {self._here, self._there} == {a, b}

    def touches(self, endpoint: Endpoint) -> bool:
        return endpoint in (self._here, self._there)

    def fail(self, only_at: Endpoint | None) -> None:
        """Both ends raise Disconnected from now on; or one does, and the other hears nothing any more."""
        for link, end in ((self.dialed, self._here), (self.accepted, self._there)):
            if only_at is None or only_at == end:
                link.incoming.stop_reading()
                link.outgoing.refuse()
            else:
                link.outgoing.lose()

    def on_ended(self) -> None:
        if self.dialed.incoming.is_over and self.accepted.incoming.is_over:
            self._network.forget(self)


class _Pipe:
    """One direction of a link: messages with the time at which each arrives."""

    def __init__(self, network: MemoryNetwork, pair: _Pair, here: Endpoint, there: Endpoint, rng: Random) -> None:
        self._network = network
        self._pair = pair
        self._here, self._there = here, there
        self._rng = rng
        self._waiting: deque[tuple[float, bytes | None]] = deque()  # None: the sender closed
        self.bytes_waiting = 0
        self._changed = trio.Event()
        self._refused = self._lost = False
        self.is_over = False

    async def put(self, message: bytes) -> None:
        await trio.lowlevel.checkpoint()
        while not self._refused and self.bytes_waiting and self.bytes_waiting + len(message) > BUFFER_BYTES_MAX:
            await self._changed.wait()
        if self._refused:
            raise Disconnected("the link is closed")
        self.bytes_waiting += len(message)  # what is lost is never acknowledged, so it stays in the buffer as with TCP
        if not self._loses:
            self._push(message)

    def end(self) -> None:
        """The sender closes; what is on the way still arrives."""
        if not self._refused:
            self.refuse()
            if not self._loses:
                self._push(None)

    def abandon(self) -> None:
        """The receiver closes, and the sender is told unless nothing passes any more."""
        self.stop_reading()
        if not self._loses:
            self.refuse()

    def refuse(self) -> None:
        """The sender is told that the link is over."""
        self._refused = True
        self._wake()

    def lose(self) -> None:
        """The sender is told nothing, and nothing of its messages arrives."""
        self._lost = True
        self._wake()

    def stop_reading(self) -> None:
        """The receiver hears nothing more, and knows it."""
        self.is_over = True
        self._waiting.clear()
        self._wake()
        self._pair.on_ended()

    @property
    def _loses(self) -> bool:
        return self._lost or self._network.cut_between(self._here, self._there) is True

    async def get(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            if self.is_over:
                raise Disconnected("the peer closed the link")
            changed = self._changed
            if not self._waiting:
                await changed.wait()
                continue
            arrival, message = self._waiting[0]
            if arrival > trio.current_time():
                with trio.move_on_at(arrival):
                    await changed.wait()
                continue
            return self._pop(message)

    def _pop(self, message: bytes | None) -> bytes:
        if message is None:
            self.stop_reading()
            raise Disconnected("the peer closed the link")
        self._waiting.popleft()
        self.bytes_waiting -= len(message)
        self._wake()
        return message

    def _push(self, message: bytes | None) -> None:
        delay_s = self._network.delay_s(self._here, self._there, self._rng)
        self._waiting.append((trio.current_time() + delay_s, message))  # none overtakes the one before it: see `get`
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
