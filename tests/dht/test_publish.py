"""Publishing: what counts as an answer of those who are to hold a record."""

from __future__ import annotations

from dht_scenes import DAY, NOW, alice, bob
from dht_world import world_of
from test_joining import joined
from test_lookup import at, publish
from trio.testing import trio_test

from p2pblog.config import DHT_RESTORE_EVERY_MS
from p2pblog.dht.lookup import Answered, Begin, Done, PutAnswered, PutFailed
from p2pblog.dht.records import encode
from p2pblog.dht.upkeep import UNHEARD_AGAIN_MS
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.network import Weather


def test_a_store_that_could_not_be_sent_is_no_judgement() -> None:
    machine = publish([at(1)], nodes=2, records=2)
    machine.handle(Begin(), 0.0)
    machine.handle(Answered(at(1)), 0.01)
    machine.handle(PutFailed(at(1), 0), 0.01)
    assert machine.handle(PutAnswered(at(1), 1, held=False), 0.02) == [Done()]
    assert not machine.is_judged(0) and machine.is_judged(1)


@trio_test
async def test_what_a_full_send_buffer_kept_back_is_soon_stored_again() -> None:
    """It counted as refused, and had its next turn twelve hours later."""
    async with world_of(2) as world:
        holder, other = (node._server.protocol for node in world.nodes)
        holder.storage.store.put(bob.notice(), None, NOW)
        world.clock.ms += DHT_RESTORE_EVERY_MS
        send = holder._send
        holder._send = lambda data, endpoint: encode(bob.notice()) not in data and send(data, endpoint)  # type: ignore[method-assign]
        await world.nodes[0].upkeep()
        assert len(other.storage.store) == 0
        holder._send = send  # type: ignore[method-assign]
        world.clock.ms += UNHEARD_AGAIN_MS
        await world.nodes[0].upkeep()
        assert len(other.storage.store) == 1


def test_who_publishes_much_in_a_small_network_is_heard_with_all_of_it() -> None:
    """The two others were each asked to hold each record, and dropped what was over their rate."""
    world = joined(1, 3, Weather(rtt_ms=(20, 60)))
    server, others = world.servers[2], world.servers[:2]
    for batch in range(6):
        until = world.clock() + DAY
        pointers = [alice.pointer(bytes([batch, number]) * 16, 1 + number, until) for number in range(32)]
        told = world.loop.run_task(server.publish(pointers), 30 * SECOND_US)
        assert [each.holders for each in told] == [2] * 32
    dropped = [other.protocol.guard.dropped["rate"] for other in others]
    world.close()
    assert dropped == [0, 0]
