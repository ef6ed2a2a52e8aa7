"""How long a relay is owed to who asked for it: both ends must take a lease to last as long."""

from __future__ import annotations

import pytest
from builders import person
from gossip_scenes import Puppet, Scene, Table, node_key, pongs

from p2pblog.core.keys import IdentityHash
from p2pblog.gossip.broadcast import GRAFT_WAIT_S
from p2pblog.gossip.messages import HOPS_FAR, Graft, Have, Near, Relay, Statements, Want
from p2pblog.gossip.nearness import NEAR_DELAY_S
from p2pblog.gossip.relay import RELAY_LEASE_S, RELAY_TRIAL_S
from p2pblog.gossip.sharing import HOPS_NEAR

ALICE = person("alice")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def x(scene: Scene) -> Table:
    return scene.node("x")


def peer(scene: Scene, name: str) -> Puppet:
    puppet = scene.puppet(name)
    puppet.answer = pongs
    return puppet


def asker(scene: Scene) -> Puppet:
    """Somebody who has just asked x for Alice's feed."""
    bob = peer(scene, "bob")
    bob.greet("x")
    bob.say("x", Relay(ALICE.hash, 0))
    return bob


def say_near(who: Puppet, hops: int) -> None:
    who.say("x", Near((who.token(ALICE.hash),), bytes([hops])))


def leads_there(scene: Scene, hops: int) -> Puppet:
    """A link of x's that is so near to Alice, and has none of her entries yet."""
    y = peer(scene, "y")
    y.greet("x", ALICE)
    say_near(y, hops)
    scene.run(2 * NEAR_DELAY_S)
    return y


def left_s(x: Table, identity: IdentityHash = ALICE.hash) -> float:
    return x.machine.holdings.leases[identity].askers[node_key("bob")].until - x.scene.now


@pytest.mark.parametrize("hops", [1, HOPS_NEAR, HOPS_FAR - 1])
def test_who_is_told_a_way_gets_a_long_lease_before_the_entries_come(scene: Scene, x: Table, hops: int) -> None:
    """He takes the relay to reach the feed as soon as he hears of the way, while a long run is still on its way to it.
    How far is near is for him to say: with many links that share the feed it is farther than for the relay."""
    bob = asker(scene)
    leads_there(scene, hops)
    assert [message.hops for message in bob.told(Near)] == [bytes([hops + 1])]
    assert left_s(x) <= RELAY_TRIAL_S

    bob.say("x", Relay(ALICE.hash, 0))

    assert x.numbers(ALICE) == []
    assert left_s(x) > RELAY_LEASE_S - 1


def test_who_says_himself_that_he_is_near_gets_no_long_lease(scene: Scene, x: Table) -> None:
    bob = asker(scene)
    say_near(bob, 0)
    scene.run(2 * NEAR_DELAY_S)

    bob.say("x", Relay(ALICE.hash, 0))

    assert left_s(x) <= RELAY_TRIAL_S


def test_a_way_beyond_the_farthest_is_none(scene: Scene, x: Table) -> None:
    bob = asker(scene)
    leads_there(scene, HOPS_FAR)

    bob.say("x", Relay(ALICE.hash, 0))

    assert bob.told(Near) == []
    assert left_s(x) <= RELAY_TRIAL_S


def test_a_renewal_that_comes_when_the_way_is_lost_leaves_what_was_left(scene: Scene, x: Table) -> None:
    """The way may be back at once, and who asked takes the lease to be long."""
    bob = asker(scene)
    leads_there(scene, hops=1)
    bob.say("x", Relay(ALICE.hash, 0))
    scene.run(RELAY_LEASE_S / 2)
    scene.cut("y", "x")
    scene.run(2 * NEAR_DELAY_S)
    before_s, at = left_s(x), scene.now

    bob.say("x", Relay(ALICE.hash, 0))

    assert left_s(x) == pytest.approx(before_s - (scene.now - at))
    scene.run(RELAY_TRIAL_S + 2)
    assert x.machine.holdings.is_borrowed(ALICE.hash)


def test_what_an_asker_announces_is_not_asked_of_him(scene: Scene, x: Table) -> None:
    """He may have it from x, and who took it from each other would both be content without the author."""
    bob, y = asker(scene), leads_there(scene, 1)
    y.say("x", Statements(ALICE.identity.wire))
    scene.run(1)
    for who in (bob, y):
        who.heard.clear()
        who.say("x", Have(((ALICE.key, 1),)))
        scene.run(GRAFT_WAIT_S)
        assert len(who.told(Graft)) == (1 if who is y else 0) and not who.told(Want)
