"""A clock that is wrong: others refuse what it dates, or tell of what is not to be yet, and somebody is told."""

from __future__ import annotations

import logging

import pytest
from dht_scenes import DAY, MINUTE, NOW, Person, alice
from dht_world import Clock, world_of
from test_lookup import at
from trio.testing import trio_test

from p2pblog.config import HEAD_LIFETIME_MS
from p2pblog.core.address import Endpoint
from p2pblog.dht.clock_check import CONTRADICTED_S, PLACES_HEARD, ClockCheck
from p2pblog.dht.contacts import Contact, Place


def node(number: int) -> Place:
    """One in an address block of its own."""
    return number.to_bytes(3, "big")


def test_most_of_the_nodes_heard_last_have_to_contradict() -> None:
    check = ClockCheck()
    for number in range(PLACES_HEARD):
        assert not check.hear(node(number), False, 0.0)
    warned = [check.hear(node(number), True, 1.0) for number in range(PLACES_HEARD)]
    assert warned.index(True) == PLACES_HEARD // 2 and sum(warned) == 1
    assert check.contradictions == PLACES_HEARD


def test_one_liar_is_one_however_often_he_speaks() -> None:
    check = ClockCheck()
    assert not any(check.hear(node(1), True, float(turn)) for turn in range(100))
    check.hear(node(2), False, 100.0)
    assert not check.hear(node(1), True, 101.0)


def test_who_takes_what_is_old_contradicts_still_and_it_is_said_once_an_hour() -> None:
    check = ClockCheck()
    check.hear(node(1), True, 0.0)
    check.hear(node(1), False, 1.0)
    assert check.hear(node(2), True, 2.0)
    assert not check.hear(node(1), True, CONTRADICTED_S + 1)
    assert check.places_against(CONTRADICTED_S + 1) == 2
    assert check.hear(node(2), True, CONTRADICTED_S + 2)
    assert check.places_against(3 * CONTRADICTED_S) == 0


@pytest.mark.parametrize("off_ms", [11 * MINUTE, -11 * MINUTE], ids=["ahead", "behind"])
@trio_test
async def test_who_publishes_or_reads_by_a_wrong_clock_is_warned(off_ms: int, caplog: pytest.LogCaptureFixture) -> None:
    """Ahead it was mute, behind it was blind, and nothing said so."""
    async with world_of(3) as world:
        wrong = await world.add("wrong", clock=Clock(NOW + off_ms))
        assert await wrong.add_contacts([world.nodes[0].endpoint]) == 1
        await world.nodes[0].publish([Person("bob").head(expires_ms=NOW + HEAD_LIFETIME_MS)])
        with caplog.at_level(logging.WARNING, "p2pblog.dht"):
            await world.nodes[1].find(Person("bob").head().key)
            await wrong.publish([alice.head(expires_ms=NOW + DAY)])
            assert wrong.untimely == 0 and not caplog.records
            await wrong.publish([alice.head(2, expires_ms=NOW + off_ms + HEAD_LIFETIME_MS)])
            await wrong.find(Person("bob").head().key)
        assert wrong.untimely >= 2 and max(right.untimely for right in world.nodes[:3]) <= 1
        assert ["clock seems to be wrong" in record.getMessage() for record in caplog.records] == [True]


@trio_test
async def test_many_ids_of_one_host_are_one_who_contradicts() -> None:
    """A host with twelve ids had whoever published beside them warned that his clock was wrong."""
    async with world_of(1) as world:
        server = world.nodes[0]._server
        for number in range(PLACES_HEARD):
            server._check_clock(Contact(at(number).id, Endpoint.of("8.8.8.8", 4711 + number)), contradicts=True)
        assert world.nodes[0].untimely == PLACES_HEARD and server.clock_check.places_against(server._loop.time()) == 1


@trio_test
async def test_the_warning_says_how_many_networks_contradict_and_not_how_many_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world_of(1) as world:
        server = world.nodes[0]._server
        with caplog.at_level(logging.WARNING, "p2pblog.dht"):
            for host in ("8.8.8.8", "8.8.8.9", "9.9.9.9"):
                server._check_clock(Contact(at(1).id, Endpoint.of(host, 4711)), contradicts=True)
        assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
            "this computer's clock seems to be wrong: DHT nodes in 2 networks have another time"
        ]
