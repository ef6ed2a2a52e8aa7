"""Whose devices are whose, as far as a node has heard: which it remembers, and which of them it forgets."""

from __future__ import annotations

from builders import Person, key_pair, person
from gossip_scenes import NOON, Puppet, Scene, Table, author, done, node_key, run_of

from p2pblog.config import STATEMENTS_MAX
from p2pblog.core.identity import state_device
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Have, Lack, Relay, Statements, Want


def restated(who: Person, name: str) -> list[DeviceKey]:
    """As many new devices as an identity may state, in the place of all that it had; gives their keys."""
    pairs = [key_pair(f"{who.name}/{name} {number}") for number in range(STATEMENTS_MAX)]
    counter = who.identity.next_counter
    who.identity = who.identity.merge([state_device(who.root, pair, who.hash, 0, counter) for pair in pairs])
    return [DeviceKey(pair.public) for pair in pairs]


def remembered(bob: Table, devices: set[DeviceKey]) -> set[str]:
    """Where these devices stand in the tables of a node."""
    machine, session = bob.machine, bob.session("dave")
    queue = machine.replication.queues[session.peer]
    tables = {
        "owners": machine.holdings.owners,
        "trees": machine.broadcast.trees,
        "coming": machine.broadcast.coming,
        "fetching": machine.replication.fetching,
        "clocks": session.clocks,
        "forks": session.memory.forks,
        "fresh": queue.fresh,
        "old": queue.old,
        "doubted": queue.doubted,
        "stinted": queue.stinted,
    }
    return {name for name, table in tables.items() if not devices.isdisjoint(table)}


def restating(scene: Scene, bob: Table, dave: Puppet, carol: Person) -> set[DeviceKey]:
    """Carol states ever new devices, and dave, who tells of that, something of each; gives those that she named."""
    named = set[DeviceKey]()
    for round in range(3):
        devices = restated(carol, f"phone {round}")
        named |= {*devices}
        dave.say("bob", Statements(carol.identity.wire))
        dave.say("bob", Have(tuple((device, 20) for device in devices)))
        for want in dave.told(Want):
            if want.device in bob.machine.replication.queues[node_key("dave")].awaiting:
                dave.say("bob", Lack(want.device, want.first))
    return named - {*devices}


def test_devices_that_are_named_no_more_leave_nothing_behind() -> None:
    scene, carol = Scene(), person("carol")
    bob, dave = scene.node("bob", "carol"), scene.puppet("dave")
    dave.greet("bob", carol)
    unnamed = restating(scene, bob, dave, carol)
    assert len(unnamed) > STATEMENTS_MAX and remembered(bob, unnamed) == set()
    assert bob.machine.holdings.devices(carol.hash) == sorted(carol.identity.devices)
    assert dave.is_linked and scene.closed == []


def test_a_log_that_is_held_stays_when_its_device_is_named_no_more() -> None:
    scene, carol = Scene(), author("carol", 3)
    bob, dave = scene.node("bob", "carol"), scene.puppet("dave")
    bob.keep(carol, carol.log.run())
    dave.greet("bob", carol)
    restating(scene, bob, dave, carol)
    assert carol.key not in carol.identity.devices
    assert bob.numbers(carol) == [1, 2, 3, 4] and bob.machine.holdings.owners[carol.key] == carol.hash


def test_what_a_clock_told_of_a_device_is_fetched_when_the_device_is_named_again() -> None:
    scene, carol = Scene(), author("carol", 3)
    bob, dave = scene.node("bob", "carol"), scene.puppet("dave")
    dave.greet("bob", carol)
    dave.claims("bob", carol, (1, 4))
    dave.say("bob", Lack(carol.key, 1))
    restated(carol, "phone")
    dave.say("bob", Statements(carol.identity.wire))
    assert len(dave.told(Want)) == 1 and carol.key not in bob.machine.holdings.owners
    again = state_device(carol.root, carol.device, carol.hash, 0, carol.identity.next_counter)
    carol.identity = carol.identity.merge([again])
    dave.say("bob", Statements(carol.identity.wire))
    dave.say("bob", run_of(carol.log.run()))
    assert bob.numbers(carol) == [1, 2, 3, 4]


def test_what_comes_from_the_store_after_a_lease_and_its_device_have_gone_goes_too() -> None:
    scene, carol = Scene(), author("carol", 3)
    bob, dave = scene.node("bob"), scene.puppet("dave")
    dave.greet("bob")
    dave.say("bob", Relay(carol.hash, 0))
    erin = scene.puppet("erin")
    erin.greet("bob", carol)
    assert bob.machine.holdings.is_borrowed(carol.hash)
    restated(carol, "phone")
    bob.learn(carol.identity)
    bob.machine.holdings.leases[carol.hash].askers.clear()
    scene.run(60)
    assert not bob.machine.holdings.cares_for(carol.hash)
    batch = Batch(carol.hash, carol.log.run())
    (state,) = done(bob.store.append([batch], NOON))
    bob.feed(ev.Stored(node_key("erin"), batch, state, live=False))
    scene.run(1)
    assert carol.key not in bob.machine.holdings.logs and carol.key not in bob.machine.holdings.owners
