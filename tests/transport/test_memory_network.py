"""The in-memory network: latency, cuts, silence and power failures under a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import pytest
import trio
from transport_scenes import ALICE, BOB, virtual_time
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pblog.config import FRAME_TIMEOUT_S, HANDSHAKE_TIMEOUT_S
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.errors import Disconnected, TooSlow
from p2pblog.transport import Link
from p2pblog.transport.memory import BUFFER_BYTES_MAX, MemoryLink, MemoryNetwork, MemoryTransport, steady

AT_ALICE, AT_BOB = Endpoint("192.0.2.1", 4711), Endpoint("192.0.2.2", 4711)


@dataclass
class Scene:
    """Alice and Bob, a link between them, and what Bob's end is."""

    network: MemoryNetwork
    alice: MemoryTransport
    bob: MemoryTransport
    ours: MemoryLink
    theirs: Link


def half_a_second(_here: Endpoint, _there: Endpoint, _rng: Random) -> float:
    return 0.5


@asynccontextmanager
async def linked(latency: Callable[[Endpoint, Endpoint, Random], float] = half_a_second) -> AsyncIterator[Scene]:
    network = MemoryNetwork(seed=1, latency=latency)
    alice = network.transport(NodeKey(ALICE.public), AT_ALICE)
    bob = network.transport(NodeKey(BOB.public), AT_BOB)
    met: list[Link] = []

    async def accept(link: Link) -> None:
        met.append(link)
        await trio.sleep_forever()

    async with trio.open_nursery() as tasks:
        tasks.start_soon(bob.serve, accept)
        ours = await alice.dial(AT_BOB)
        await wait_all_tasks_blocked()
        yield Scene(network, alice, bob, ours, met[0])
        tasks.cancel_scope.cancel()


@virtual_time
async def test_a_dial_takes_one_and_a_half_round_trips_and_a_message_half_of_one() -> None:
    started = trio.current_time()
    async with linked() as scene:
        assert trio.current_time() - started == pytest.approx(1.5)
        await scene.ours.send(b"hello")
        assert trio.current_time() - started == pytest.approx(1.5)
        assert await scene.theirs.receive() == b"hello"
        assert trio.current_time() - started == pytest.approx(2.0)


@virtual_time
async def test_messages_keep_their_order_whatever_the_latency() -> None:
    async with linked(lambda _here, _there, rng: rng.uniform(0, 1)) as scene:
        messages = [bytes([number]) for number in range(1, 100)]
        await scene.ours.send_many(messages)
        assert [await scene.theirs.receive() for _ in messages] == messages


def test_the_same_seed_gives_the_same_times() -> None:
    def times(seed: int) -> list[float]:
        seen: list[float] = []

        async def run() -> None:
            network = MemoryNetwork(seed, steady)
            alice = network.transport(NodeKey(ALICE.public), AT_ALICE)
            bob = network.transport(NodeKey(BOB.public), AT_BOB)

            async def accept(link: Link) -> None:
                while True:
                    await link.receive()
                    seen.append(trio.current_time())

            async with trio.open_nursery() as tasks:
                tasks.start_soon(bob.serve, accept)
                links = [await alice.dial(AT_BOB) for _ in range(3)]
                for link in links * 5:
                    await link.send(b"tick")
                await trio.sleep(10)
                tasks.cancel_scope.cancel()

        trio.run(run, clock=MockClock(autojump_threshold=0))
        return seen

    assert len(times(1)) == 15
    assert times(1) == times(1) != times(2)


@virtual_time
async def test_a_cut_ends_the_link_at_both_ends_and_new_dials_until_it_heals() -> None:
    async with linked() as scene:
        await scene.ours.send(b"lost on the way")
        scene.network.cut(AT_ALICE, AT_BOB)
        for use in (scene.ours.receive, scene.theirs.receive, lambda: scene.ours.send(b"?")):
            with pytest.raises(Disconnected):
                await use()
        with pytest.raises(Disconnected):
            await scene.alice.dial(AT_BOB)
        scene.network.heal(AT_BOB, AT_ALICE)
        again = await scene.alice.dial(AT_BOB)
        await again.send(b"hello again")


@virtual_time
async def test_a_silent_cut_tells_nobody() -> None:
    async with linked() as scene:
        scene.network.cut(AT_ALICE, AT_BOB, silent=True)
        await scene.ours.send(b"vanishes")
        with trio.move_on_after(3600) as waited:
            await scene.theirs.receive()
        assert waited.cancelled_caught
        started = trio.current_time()
        with pytest.raises(TooSlow):
            await scene.alice.dial(AT_BOB)
        assert trio.current_time() - started == pytest.approx(HANDSHAKE_TIMEOUT_S)
        scene.network.heal(AT_ALICE, AT_BOB)
        with pytest.raises(Disconnected):
            await scene.theirs.receive()


@virtual_time
async def test_into_silence_one_can_send_until_the_buffer_is_full() -> None:
    async with linked() as scene:
        scene.network.cut(AT_ALICE, AT_BOB, silent=True)
        for _ in range(BUFFER_BYTES_MAX // 1024):
            await scene.ours.send(b"m" * 1024)
        started = trio.current_time()
        with pytest.raises(TooSlow):
            await scene.ours.send(b"one more")
        assert trio.current_time() - started == pytest.approx(FRAME_TIMEOUT_S)


@virtual_time
async def test_a_killed_node_ends_its_links_and_another_may_take_its_place() -> None:
    async with linked() as scene:
        scene.network.take_down(AT_BOB)
        for link in (scene.ours, scene.theirs):
            with pytest.raises(Disconnected):
                await link.receive()
        with pytest.raises(Disconnected):
            await scene.alice.dial(AT_BOB)
        with pytest.raises(Disconnected):
            await scene.bob.dial(AT_ALICE)
        assert scene.network.links() == 0
        scene.network.transport(NodeKey(BOB.public), AT_BOB)


@virtual_time
async def test_a_power_failure_tells_the_others_nothing() -> None:
    async with linked() as scene:
        scene.network.take_down(AT_BOB, silent=True)
        with pytest.raises(Disconnected):
            await scene.theirs.receive()
        await scene.theirs.aclose()  # the dead node's tasks end one after another: nobody hears of it
        await scene.ours.send(b"are you there?")
        with trio.move_on_after(3600) as waited:
            await scene.ours.receive()
        assert waited.cancelled_caught
        await scene.ours.aclose()
        assert scene.network.links() == 0
        with pytest.raises(TooSlow):
            await scene.alice.dial(AT_BOB)


@virtual_time
async def test_links_are_forgotten_when_both_ends_are_closed() -> None:
    async with linked() as scene:
        assert scene.network.links() == 1
        await scene.ours.aclose()
        with pytest.raises(Disconnected):
            await scene.theirs.receive()
        assert scene.network.links() == 0


@virtual_time
async def test_one_endpoint_is_one_node() -> None:
    async with linked() as scene:
        with pytest.raises(OSError, match="in use"):
            scene.network.transport(NodeKey(ALICE.public), AT_BOB)


@virtual_time
async def test_nobody_there_is_disconnected() -> None:
    async with linked() as scene:
        with pytest.raises(Disconnected):
            await scene.alice.dial(Endpoint("192.0.2.9", 4711))
        assert (await scene.bob.dial(AT_BOB)).peer == BOB.public
