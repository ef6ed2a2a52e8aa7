"""Whose devices are whose, as far as a node has heard: which it remembers, and which of them it forgets."""

from __future__ import annotations

import pytest
from builders import Log, Person, key_pair, person
from gossip_scenes import NOON, Puppet, Scene, Table, author, done, node_key, pongs, run_of

from p2pblog.config import STATEMENTS_MAX
from p2pblog.core.identity import state_device
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Clock, Clocks, Have, IdentityClock, Lack, Relay, Statements, Want, tip_of


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


# --- devices that two identities name ---


def clocks_of(who: Person, log: Log) -> Clocks:
    """What a peer says who holds a log, and takes it to be this person's."""
    held = Clock(((1, len(log.entries)),), tip=tip_of(log.entries[-1].id))
    return Clocks((IdentityClock(who.hash, who.identity.digest, ((log.key, held),)),))


def both_name(one: Person, other: Person) -> None:
    """Somebody else states the device of the first one, which consents."""
    stated = state_device(other.root, one.device, other.hash, 0, other.identity.next_counter)
    other.identity = other.identity.merge([stated])


@pytest.mark.parametrize("gives", [True, False])
@pytest.mark.parametrize("knows_the_author", [True, False])
def test_a_log_comes_to_who_heard_of_the_wrong_owner_first(knows_the_author: bool, gives: bool) -> None:
    """Who told him of that one may have given him the log, or left without a word."""
    scene, alice, carol = Scene(), author("alice", 99), person("carol")
    both_name(alice, carol)
    bob, mallory = scene.node("bob", "alice", "carol"), scene.puppet("mallory")
    if knows_the_author:
        mallory.greet("bob", carol, alice)
    else:
        mallory.greet("bob", carol)
    mallory.say("bob", clocks_of(carol, alice.log))
    assert bob.machine.holdings.owners[alice.key] == carol.hash
    for want in [Want(alice.key, 51, 100), Want(alice.key, 1, 50)] if gives else []:
        assert mallory.told(Want)[-1] == want
        mallory.say("bob", run_of(alice.log.run(want.first, want.last)))
    if gives:
        carol.add_device("tablet")
        mallory.say("bob", Statements(carol.identity.wire))
    else:
        scene.cut("mallory", "bob")
        scene.run(1)
    dave = scene.node("dave", "alice")
    dave.keep(alice, alice.log.run())
    scene.link("dave", "bob")
    scene.run(5)
    assert bob.numbers(alice) == list(range(1, 101)) and bob.state(alice).identity == alice.hash
    assert [error for *_, error in scene.closed if error] == []
    assert alice.key not in bob.machine.holdings.devices(carol.hash)


def test_who_told_of_a_log_before_it_was_known_whose_it_is_is_asked_for_it() -> None:
    scene, alice, carol = Scene(), author("alice", 3), person("carol")
    both_name(alice, carol)
    bob, mallory = scene.node("bob", "alice", "carol"), scene.puppet("mallory")
    mallory.greet("bob", carol)
    mallory.say("bob", clocks_of(carol, alice.log))
    dave = scene.puppet("dave")
    dave.greet("bob", alice)
    dave.say("bob", clocks_of(alice, alice.log))
    assert dave.told(Want) == []
    mallory.say("bob", run_of(alice.log.run()))
    assert dave.told(Want) == [Want(alice.key, 1, 4)] and bob.machine.holdings.owners[alice.key] == alice.hash


def test_a_log_that_is_held_is_not_begun_afresh_for_a_beginning_that_it_does_not_go_on_from() -> None:
    """Whoever has the key of a device can begin its log twice, and name whom he likes."""
    scene, alice, carol = Scene(), author("alice", 99), person("carol")
    both_name(alice, carol)
    other = Log(carol.hash, alice.device)
    other.write(LogStart(carol.hash))
    bob, mallory = scene.node("bob", "alice", "carol"), scene.puppet("mallory")
    bob.keep(alice, alice.log.run(65, 100))
    mallory.greet("bob", carol, alice)
    mallory.claims("bob", alice, (1, 100))
    assert mallory.told(Want) == [Want(alice.key, 1, 64)]
    mallory.say("bob", run_of(other.run(1, 1)))
    scene.run(3)
    assert bob.numbers(alice) == list(range(65, 101)) and bob.state(alice).identity == alice.hash


def test_a_device_that_begins_two_logs_has_one_of_them() -> None:
    """It is handed over once, however often somebody shows the other beginning."""
    scene, alice, carol = Scene(), author("alice", 0), person("carol")
    both_name(alice, carol)
    other = Log(carol.hash, alice.device)
    other.write(LogStart(carol.hash))
    bob, mallory = scene.node("bob", "alice", "carol"), scene.puppet("mallory")
    mallory.greet("bob", carol, alice)
    mallory.answer = lambda said: (
        [run_of((alice.log if bob.machine.holdings.owners[alice.key] == carol.hash else other).run(1, 1))]
        if isinstance(said, Want)
        else pongs(said)
    )
    for who in (carol, alice, carol, alice, carol):
        mallory.say("bob", clocks_of(who, alice.log))
    assert len(mallory.told(Want)) <= 5 and bob.machine.holdings.named == {alice.key: alice.hash}
    assert bob.machine.holdings.owners[alice.key] == alice.hash and mallory.is_linked
