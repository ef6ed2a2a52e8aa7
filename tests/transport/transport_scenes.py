"""What the transport scenes share: people with keys, handshakes without a network, watched fault counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio
from trio.testing import MockClock

from p2pblog.config import NETWORK_ID
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.transport import Accept, Link
from p2pblog.transport.handshake import Credentials, Handshake, Proven, make_credentials
from p2pblog.transport.tcp import TcpLimits, TcpTransport, open_tcp

ALICE = KeyPair.from_seed(b"alice".ljust(32, b"."))
BOB = KeyPair.from_seed(b"bob".ljust(32, b"."))
MALLORY = KeyPair.from_seed(b"mallory".ljust(32, b"."))
LOOPBACK = Endpoint("127.0.0.1", 0)


def secret(name: str) -> bytes:
    """A secret of 32 bytes that anybody can guess."""
    return name.encode().ljust(32, b".")


def credentials_of(node: KeyPair, name: str) -> Credentials:
    return make_credentials(node, secret(f"{name} static"))


def dialer(node: KeyPair = ALICE, network_id: bytes = NETWORK_ID) -> Handshake:
    return Handshake(credentials_of(node, "dialer"), secret("dialer ephemeral"), dialed=True, network_id=network_id)


def listener(node: KeyPair = BOB, network_id: bytes = NETWORK_ID) -> Handshake:
    return Handshake(credentials_of(node, "listener"), secret("listener eph."), dialed=False, network_id=network_id)


def shake(a: Handshake, b: Handshake) -> tuple[Proven, Proven]:
    """Both results of a handshake in which nothing is lost; `a` dials."""
    assert b.start() == b""
    second = b.feed(a.start()).send
    step = a.feed(second)
    theirs = b.feed(step.send).proven
    assert step.proven is not None and theirs is not None
    return step.proven, theirs


class Faults(Counter[str]):
    """A transport's fault counter that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = trio.Event()

    def __setitem__(self, name: str, count: int) -> None:
        super().__setitem__(name, count)
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for(self, name: str, count: int = 1) -> None:
        with trio.fail_after(10):
            while self[name] < count:
                await self._changed.wait()


async def echo(link: Link) -> None:
    """Say back everything, until the link ends."""
    while True:
        await link.send(await link.receive())


async def ignore(link: Link) -> None:
    """Hold the link open and never read."""
    await trio.sleep_forever()


@asynccontextmanager
async def open_node(
    node: KeyPair, accept: Accept, limits: TcpLimits | None = None, network_id: bytes = NETWORK_ID
) -> AsyncIterator[TcpTransport]:
    """A node on loopback that serves until the block ends; its `faults` are Faults."""
    async with (
        open_tcp(node, LOOPBACK, limits=limits, network_id=network_id) as transport,
        trio.open_nursery() as tasks,
    ):
        transport.faults = Faults()
        tasks.start_soon(transport.serve, accept)
        yield transport
        tasks.cancel_scope.cancel()


@contextmanager
def soon(seconds: float = 10) -> Iterator[None]:
    """The scene must be over long before this; without it a broken node would hang the tests."""
    with trio.fail_after(seconds):
        yield


def virtual_time(scene: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run the scene under a clock that jumps to the next timer once everybody waits; none takes a month."""

    async def bounded() -> None:
        with trio.fail_after(30 * 24 * 3600):
            await scene()

    def run() -> None:
        trio.run(bounded, clock=MockClock(autojump_threshold=0))

    run.__name__ = scene.__name__
    return run


async def connect(endpoint: Endpoint) -> trio.SocketStream:
    """A plain TCP connection, for peers that do not keep to the protocol."""
    return await trio.open_tcp_stream(endpoint.host, endpoint.port)


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until the other end closes, whether politely or not."""
    data = bytearray()
    try:
        while some := await stream.receive_some(65_536):
            data += some
    except trio.BrokenResourceError:
        pass
    return bytes(data)
