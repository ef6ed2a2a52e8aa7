"""Joining where datagrams are lost: the shipped servers in a small simulated world."""

from __future__ import annotations

import pytest

from p2pblog.sim.chance import generator
from p2pblog.sim.directory import DhtPlan, World
from p2pblog.sim.library import replaced
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.network import Weather


def joined(seed: int, nodes: int, weather: Weather, then_s: int = 0) -> World:
    world = World(seed, nodes, weather, DhtPlan(), lambda _: None)
    with replaced(world.loop.time, generator(seed, "library")):
        world.join()
        world.loop.run_until(world.loop.now_us + then_s * SECOND_US)
    return world


@pytest.mark.parametrize("seed", [1, 3])
def test_at_thirty_percent_loss_nobody_stays_with_a_handful_of_contacts(seed: int) -> None:
    """A walk of which every call to the one or two known nodes was lost left a node alone with them for ten minutes:
    what it published nobody else got, and it found nothing."""
    world = joined(seed, 100, Weather(loss=0.3))
    sizes = sorted(server.protocol.router.size for server in world.servers)
    world.close()
    assert sizes[0] >= 20


def test_three_nodes_who_are_all_there_is_look_for_more_ever_more_seldom() -> None:
    world = joined(1, 3, Weather())
    before = world.network.datagrams
    world.loop.run_until(world.loop.now_us + 3600 * SECOND_US)
    sizes, datagrams = [server.protocol.router.size for server in world.servers], world.network.datagrams - before
    world.close()
    assert sizes == [2, 2, 2]
    assert datagrams < 1_000, "a walk each half minute makes thousands"


def test_the_halves_of_a_network_that_was_split_meet_again() -> None:
    """A quarter of an hour after the split nobody knew anybody of the other half, nor needed anybody: each had contacts
    enough. So there were two networks for good."""
    world = joined(1, 44, Weather())
    with replaced(world.loop.time, generator(1, "library")):
        sides = {number: number % 2 for number in range(44)}
        for world.network.sides, minutes in ((sides, 25), ({}, 25)):
            before = knowing_the_other_half(world)
            world.loop.run_until(world.loop.now_us + minutes * 60 * SECOND_US)
    after = knowing_the_other_half(world)
    world.close()
    assert (before, after) == (0, 44)


def knowing_the_other_half(world: World) -> int:
    """How many nodes have a contact with another parity."""
    known = [server.protocol.router.contacts() for server in world.servers]
    places = {server.endpoint: number for number, server in enumerate(world.servers)}
    return sum(
        any(places[contact.endpoint] % 2 != number % 2 for contact in contacts) for number, contacts in enumerate(known)
    )
