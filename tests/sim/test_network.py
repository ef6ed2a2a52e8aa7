"""The simulated network: what a packet's way takes, and who waits for whom at either end of it."""

from __future__ import annotations

import pytest

from p2pblog.sim.loop import VirtualLoop
from p2pblog.sim.network import TRANSIT_BYTES, Network, Socket, Weather

NODES = 10


class Reader:
    """A datagram protocol that notes when something came, and how much."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.read: list[tuple[int, int]] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.read.append((self.loop.now_us, len(data)))


def world(weather: Weather) -> tuple[Network, Reader, list[Socket]]:
    """A network, who reads at its node 0, and the others' sockets, from the nearest to node 0 to the farthest."""
    network = Network(VirtualLoop(), 1, weather)
    reader = Reader(network.loop)
    network.open_socket(reader, network.place_of(0))
    others = sorted(range(1, NODES), key=lambda node: network.rtt_us(node, 0))
    return network, reader, [network.open_socket(None, network.place_of(node)) for node in others]


def send(network: Network, socket: Socket, size: int) -> None:
    network.send_datagram(socket, bytes(size), network.place_of(0))


def test_what_was_sent_later_from_nearby_does_not_wait_for_what_comes_from_afar() -> None:
    network, reader, (near, *_, far) = world(Weather(jitter=0.0))
    send(network, far, 500)
    send(network, near, 100)
    network.loop.run_until(200_000)
    ways_us = [network.rtt_us(socket.node, 0) // 2 for socket in (near, far)]
    assert [size for _, size in reader.read] == [100, 500]
    for (came_us, size), way_us in zip(reader.read, ways_us, strict=True):
        bits = (size + TRANSIT_BYTES) * 8
        assert came_us == way_us + bits * 1_000 // 10_000 + bits * 1_000 // 50_000


def test_what_comes_at_once_passes_the_down_link_one_after_the_other() -> None:
    network, reader, senders = world(Weather(rtt_ms=(100, 100), jitter=0.0, down_kbit_s=1_000))
    for socket in senders:
        send(network, socket, 1_000)
    network.loop.run_until(1_000_000)
    each_us = (1_000 + TRANSIT_BYTES) * 8
    first_us = 50_000 + each_us // 10 + each_us
    assert [at for at, _ in reader.read] == [first_us + n * each_us for n in range(len(senders))]


def test_what_is_sent_at_once_leaves_one_after_the_other() -> None:
    network, reader, (near, *_) = world(Weather(jitter=0.0, up_kbit_s=1_000, down_kbit_s=1_000_000))
    for _ in range(3):
        send(network, near, 1_000)
    network.loop.run_until(1_000_000)
    (one, _), (two, _), (three, _) = reader.read
    assert two - one == three - two == (1_000 + TRANSIT_BYTES) * 8


@pytest.mark.parametrize(("key", "copies"), [("loss", (20, 80)), ("duplicate", (120, 180))])
def test_a_share_of_the_datagrams_is_lost_or_comes_twice(key: str, copies: tuple[int, int]) -> None:
    network, reader, (near, *_) = world(Weather(**{key: 0.5}))
    for _ in range(100):
        send(network, near, 10)
    network.loop.run_until(1_000_000)
    least, most = copies
    assert least < len(reader.read) < most


def test_what_is_overtaken_comes_out_of_its_order() -> None:
    network, reader, (near, *_) = world(Weather(reorder=0.5))
    for size in range(1, 101):
        send(network, near, size)
    network.loop.run_until(1_000_000)
    sizes = [size for _, size in reader.read]
    assert sorted(sizes) == list(range(1, 101)) != sizes
