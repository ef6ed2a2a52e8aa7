"""Relaying on demand: neighbours who care for nobody's feed carry it to a follower, for a while and within bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import Person, person
from gossip_scenes import Puppet, Scene, Table, done, node_key, pongs

from p2pblog.core.keys import IdentityHash
from p2pblog.gossip import relay
from p2pblog.gossip.borrowed import RELAYED_ENTRIES_MAX
from p2pblog.gossip.events import LeaveLog
from p2pblog.gossip.messages import HOPS_MAX, Forget, Relay, Tokens, WantPayloads
from p2pblog.gossip.relay import (
    ASKED_AT_ONCE,
    FELLOWS_ENOUGH,
    GRACE_S,
    HOPS_LATER,
    REFUSED_FOR_S,
    RELAY_AFTER_S,
    RELAY_AGAIN_S,
    RELAY_CHECK_S,
    RELAY_LEASE_S,
    RELAY_SOON_S,
    RELAY_TRIAL_S,
    SETTLED_LINKS,
    WIDE_ROUNDS,
)
from p2pblog.store import TimelineQuery


def line(scene: Scene, *names: str) -> list[Table]:
    """Nodes in a row; the last follows the first, nobody else follows anybody."""
    tables = [scene.node(name) for name in names]
    for one, other in pairwise(names):
        scene.link(other, one)
    scene.run(1)
    return tables


def relayed(table: Table) -> set[IdentityHash]:
    return set(table.machine.holdings.relayed)


def is_clean(table: Table, who: Person) -> bool:
    """Whether nothing of a stranger is left, in memory or in the store."""
    holdings = table.machine.holdings
    loaded = done(table.store.load())
    return (
        not holdings.cares_for(who.hash)
        and who.hash not in holdings.identities
        and who.hash not in holdings._by_identity
        and who.key not in holdings.logs
        and who.key not in holdings.owners
        and who.key not in table.machine.broadcast.trees
        and table.relayed == ()
        and not any(state.identity == who.hash and state.spans for state in loaded.logs)
        and all(identity.hash != who.hash for identity in loaded.identities)
    )


# --- who reads what ---


def test_two_strangers_in_a_row_carry_the_newest_notices_and_live_ones() -> None:
    scene = Scene()
    alice, x, y, bob = line(scene, "alice", "x", "y", "bob")
    for number in range(80):
        alice.post(f"note {number}")
    bob.follow("alice")
    scene.until(lambda: "note 79" in bob.texts(alice.person), within_s=60)
    scene.run(10)
    assert bob.numbers(alice.person) == x.numbers(alice.person) == list(range(32, 82))
    scene.until(lambda: scene.said(Relay, "bob", "y", since=scene.now - 5) == [], within_s=60)
    for number in range(3):
        posted_at = scene.now
        alice.post(f"live {number}")
        scene.until(lambda number=number: f"live {number}" in bob.texts(alice.person), within_s=2)
        if number:
            assert scene.now - posted_at < 0.2  # pushed from hand to hand
    assert bob.machine.holdings.relayed == {}
    assert relayed(x) == relayed(y) == {alice.person.hash}


def test_a_relay_holds_no_history_and_lists_nothing() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    for number in range(200):
        alice.post(f"note {number}")
    bob.follow("alice")
    scene.until(lambda: "note 199" in bob.texts(alice.person), within_s=60)
    scene.run(30)
    assert len(x.numbers(alice.person)) == 50
    assert scene.said(WantPayloads, "x") == []
    newest = alice.person.log.entries[-1].id
    assert done(x.store.timeline(TimelineQuery(9, None, (alice.person.hash,)))) == []
    assert [row.text for row in done(x.store.rows([newest]))] == ["note 199"]  # who asks for it by its id has it
    assert x.relayed == (alice.person.hash,)


def test_who_has_a_link_that_leads_there_asks_nobody() -> None:
    scene = Scene()
    scene.node("alice")
    bob = scene.node("bob", "alice")
    scene.node("x")
    scene.link("bob", "alice")
    scene.link("bob", "x")
    scene.run(RELAY_LEASE_S)
    assert scene.count(Relay) == 0
    scene.cut("bob", "alice")
    scene.run(RELAY_AFTER_S + GRACE_S + 2 * RELAY_CHECK_S)
    assert scene.said(Relay, "bob", "x") == [Relay(person("alice").hash, 0)]
    assert bob.machine.relaying.quests.keys() == {person("alice").hash}


def test_near_relays_are_asked_before_far_ones_and_others_each_time() -> None:
    scene = Scene()
    bob = scene.node("bob", "alice")
    names = [f"x{number}" for number in range(6)]
    for name in names:
        scene.node(name)
        scene.link(name, "bob")
    scene.until(lambda: scene.count(Relay) >= 6)
    asked = [(receiver, message.hops_left) for _, _, receiver, message, _ in scene.sent if isinstance(message, Relay)]
    assert {name for name, _hops in asked} == set(names)
    assert [hops for _name, hops in asked] == [0, 0, 0, 1, 1, 1]
    scene.run(1)
    before = scene.now
    scene.run(3_600)
    later = scene.said(Relay, "bob", since=before)
    assert {message.hops_left for message in later} == {HOPS_MAX}
    wide, narrow = ASKED_AT_ONCE * (WIDE_ROUNDS - 2), 3_600 / relay.RELAY_AGAIN_MAX_S + 5
    assert len(later) <= wide + narrow  # ever more seldom, and one at a time
    assert len(bob.machine.relaying.quests) == 1


def test_who_relays_the_feed_for_others_is_asked_before_those_who_would_have_to_begin() -> None:
    scene = Scene()
    scene.node("bob", "alice")
    for number in range(12):
        scene.node(f"x{number}")
        scene.link(f"x{number}", "bob")
    relays = scene.puppet("relays")
    relays.answer = pongs
    relays.greet("bob", person("alice"))

    scene.until(lambda: scene.count(Relay) >= ASKED_AT_ONCE)

    assert len(scene.said(Relay, "bob", "relays")) == 1


def test_a_relay_whose_links_tell_of_entries_asks_nobody_on() -> None:
    scene = Scene()
    x, fan = scene.node("x"), scene.node("fan", "alice")
    fan.keep(person("alice"), person("alice").log.run())
    asker, stranger = scene.puppet("asker"), scene.puppet("stranger")
    for puppet in (asker, stranger):
        puppet.answer = pongs
        puppet.greet("x")
    scene.link("fan", "x")
    scene.run(1)

    asker.say("x", Relay(person("alice").hash, HOPS_MAX))
    scene.run(RELAY_TRIAL_S / 2)

    assert x.numbers(person("alice"))  # it has what the fan holds, though the author is away
    assert scene.said(Relay, "x", "stranger") == []


@pytest.mark.parametrize("fellows", [FELLOWS_ENOUGH - 2, FELLOWS_ENOUGH - 1])
def test_a_relay_asks_nobody_on_where_enough_others_search(fellows: int) -> None:
    scene = Scene()
    scene.node("x")
    asker, stranger = scene.puppet("asker"), scene.puppet("stranger")
    for puppet in (asker, stranger):
        puppet.answer = pongs
        puppet.greet("x")
    for number in range(fellows):
        scene.node(f"fan{number}", "alice")
        scene.link(f"fan{number}", "x")
    scene.run(1)

    asker.say("x", Relay(person("alice").hash, HOPS_MAX))
    scene.run(RELAY_TRIAL_S / 2)

    assert person("alice").hash in scene.parties["x"].machine.holdings.relayed
    assert bool(scene.said(Relay, "x", "stranger")) == (fellows + 1 < FELLOWS_ENOUGH)  # who asked searches, too


def test_late_questions_seldom_go_far_where_others_search() -> None:
    scene = Scene()
    scene.node("bob", "alice")
    for number in range(2 * WIDE_ROUNDS):
        fan = scene.puppet(f"fan{number}")
        fan.answer = pongs
        fan.greet("bob", person("alice"))
    names = [f"x{number}" for number in range(3 * ASKED_AT_ONCE)]
    for name in names:
        scene.node(name)
        scene.link(name, "bob")
    scene.run(3_600)

    before = scene.now
    scene.run(12 * 3_600)
    later = [message.hops_left for message in scene.said(Relay, "bob", since=before)]
    assert set(later) == {HOPS_LATER, HOPS_MAX}
    assert later.count(HOPS_LATER) >= 2 * later.count(HOPS_MAX)


def test_who_has_no_room_is_left_alone_and_was_no_try() -> None:
    scene = Scene()
    scene.node("alice")
    bob = scene.node("bob", "alice")
    full = [scene.puppet(f"full{number}") for number in range(ASKED_AT_ONCE)]
    for puppet in full:
        puppet.answer = pongs  # and nothing else
        puppet.greet("bob", links=SETTLED_LINKS)
    scene.until(lambda: all(puppet.told(Relay) for puppet in full))
    scene.run(REFUSED_FOR_S - 2 * RELAY_CHECK_S)
    assert [len(puppet.told(Relay)) for puppet in full] == [1] * ASKED_AT_ONCE

    scene.node("x")
    scene.link("x", "alice")
    scene.link("x", "bob")

    took_s = scene.until(lambda: scene.parties["alice"].person.hash in bob.machine.holdings.identities)
    assert took_s <= RELAY_SOON_S + 2 * RELAY_CHECK_S


def test_a_relay_shows_itself_only_to_who_follows_the_feed_and_to_who_asked() -> None:
    scene = Scene()
    _alice, x, bob = line(scene, "alice", "x", "bob")
    fan, stranger = scene.node("fan", "alice"), scene.node("stranger")
    scene.link("fan", "x")
    scene.link("stranger", "x")
    scene.run(2)
    since = scene.now
    bob.follow("alice")
    scene.until(lambda: bob.numbers(person("alice")) != [], within_s=60)
    assert fan.shares("x") == bob.shares("x") == {person("alice").hash}
    assert scene.said(Tokens, "x", since=since) == []  # each is told by a clock, which costs no second word
    assert stranger.shares("x") == set()
    assert relayed(x) == {person("alice").hash}
    x.follow("alice")
    scene.run(1)
    assert len(scene.said(Tokens, "x", "stranger", since=since)) == 1  # from now on like all it follows


def test_a_relay_is_no_link_to_the_author_when_it_is_decided_whom_to_dial() -> None:
    scene = Scene()
    alice, _x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.machine.sharing.cover(alice.person.hash) == 1, within_s=60)
    assert bob.machine.sharing.cover(alice.person.hash, unasked=True) == 0
    scene.link("bob", "alice")
    scene.until(lambda: bob.machine.sharing.cover(alice.person.hash, unasked=True) == 1, within_s=60)


def test_where_all_have_just_come_up_neighbours_are_asked_later() -> None:
    def asked_after_s(links: int) -> float:
        scene = Scene()
        scene.node("bob", "alice")
        for number in range(3):
            scene.puppet(f"puppet {number}").greet("bob", links=links)
        return scene.until(lambda: scene.count(Relay) > 0, within_s=60)

    assert asked_after_s(SETTLED_LINKS - 1) - asked_after_s(SETTLED_LINKS) >= GRACE_S - RELAY_CHECK_S


def test_who_searches_beside_others_takes_turns_with_them() -> None:
    def asked_by_one(fans: int) -> int:
        scene = Scene()
        scene.node("bob", "alice")
        for number in range(9):
            name = f"x{number}"
            scene.node(name, *(["alice"] if number < fans else []))
            scene.link(name, "bob")
        scene.run(600)  # the rounds in which several are asked at once are over
        since = scene.now
        scene.run(3_600)
        return len(scene.said(Relay, "bob", since=since))

    assert asked_by_one(fans=6) <= asked_by_one(fans=0) * 2 / 3


# --- bounds ---


def test_never_four_relays_in_a_row() -> None:
    scene = Scene()
    tables = line(scene, "alice", "w", "x", "y", "z", "bob")
    tables[-1].follow("alice")
    scene.run(900)
    assert tables[-1].numbers(tables[0].person) == []
    assert scene.said(Relay, "x", "w") == []
    assert [message.hops_left for message in scene.said(Relay, "y", "x")][:1] == [0]
    assert scene.said(Relay, receiver="alice") == []


def test_three_relays_in_a_row_are_enough() -> None:
    scene = Scene()
    tables = line(scene, "alice", "x", "y", "z", "bob")
    tables[-1].follow("alice")
    scene.until(lambda: tables[-1].numbers(tables[0].person) == [1], within_s=60)


@pytest.mark.parametrize("seed", range(3))
def test_a_ring_of_strangers_asks_little_and_stops_when_nobody_wants_it(seed: int) -> None:
    """Everybody is linked with everybody, the author with nobody: no storm, no relays that keep each other at it."""
    scene = Scene(seed=seed)
    names = [f"x{number}" for number in range(8)]
    tables = [scene.node(name) for name in names]
    bob = scene.node("bob", "alice")
    names.append("bob")
    for number, one in enumerate(names):
        for other in names[:number]:
            scene.link(one, other)
    scene.run(120)
    assert 3 <= scene.count(Relay) <= 150
    bob.unfollow("alice")
    scene.run(3 * RELAY_TRIAL_S + 3 * RELAY_CHECK_S)
    quiet = scene.now
    scene.run(600)
    assert scene.count(Relay, since=quiet) == 0
    for table in tables:
        assert is_clean(table, person("alice"))
        assert table.machine.holdings.leases == {}
        assert table.machine.relaying.quests == {}


def asker(scene: Scene, name: str, to: str) -> Puppet:
    puppet = scene.puppet(name)
    puppet.answer = pongs
    puppet.greet(to)
    return puppet


def stranger(number: int) -> IdentityHash:
    return IdentityHash(number.to_bytes(32, "big"))


def test_one_peer_gets_its_share_and_all_together_a_hundred() -> None:
    scene = Scene()
    x = scene.node("x")
    for number in range(6):
        puppet = asker(scene, f"p{number}", "x")
        for n in range(1_000):
            scene.send(puppet.name, "x", Relay(stranger(1_000 * number + n), 2))
        scene.run(0.1)
        assert len(x.machine.holdings.leases) == min(relay.RELAYS_MAX, relay.RELAYS_PER_PEER_MAX * (number + 1))
    assert len(relayed(x)) == relay.RELAYS_MAX
    assert scene.closed == []
    scene.run(RELAY_TRIAL_S + 2 * RELAY_CHECK_S)
    assert x.machine.holdings.leases == {} and relayed(x) == set()


def test_leases_of_who_comes_again_under_other_keys_stay_bounded() -> None:
    scene = Scene()
    x = scene.node("x")
    for number in range(40):
        puppet = asker(scene, f"p{number}", "x")
        puppet.say("x", *(Relay(stranger(n + number), 2) for n in range(30)))
        scene.cut(puppet.name, "x")
        assert sum(len(lease.askers) for lease in x.machine.holdings.leases.values()) == 0
    assert len(x.machine.holdings.leases) <= relay.RELAYS_MAX
    assert x.machine.relaying.heeded == {}


def test_who_asks_for_ever_for_what_is_not_there_gets_short_leases_and_few_tokens() -> None:
    scene = Scene()
    x, erin = scene.node("x"), scene.node("erin")
    scene.link("x", "erin")
    puppet = asker(scene, "mallory", "x")
    for number in range(2_000):
        scene.send("mallory", "x", Relay(stranger(number % 3), 2))
        scene.send("mallory", "x", Forget((stranger(number % 3),)))
        scene.run(0.5)
    assert len(scene.said(Tokens, "x", "erin")) <= 1 + 1_000 * relay.HEEDED_PER_S + relay.HEEDED_MAX
    assert puppet.is_linked and erin.shares("x") == set()
    scene.run(RELAY_TRIAL_S + 2 * RELAY_CHECK_S)
    assert x.machine.holdings.leases == {}


def test_a_relayed_feed_that_grows_begins_afresh() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    most = 0
    for number in range(RELAYED_ENTRIES_MAX + 100):
        alice.post(f"note {number}")
        scene.run(0.2)
        most = max(most, len(x.numbers(alice.person)))
    scene.run(5)
    assert most <= RELAYED_ENTRIES_MAX + 1
    assert any(isinstance(effect, LeaveLog) for effect in x.effects)
    assert len(bob.numbers(alice.person)) == RELAYED_ENTRIES_MAX + 101
    alice.post("goes on")
    scene.until(lambda: "goes on" in bob.texts(alice.person), within_s=2)


# --- the lease ---


def test_a_lease_goes_on_while_the_follower_is_there_and_leaves_nothing_after() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    scene.run(5 * RELAY_LEASE_S)
    assert scene.said(Forget) == []
    assert relayed(x) == {alice.person.hash}
    renewals = scene.said(Relay, "bob", "x", since=scene.now - 4 * RELAY_LEASE_S)
    assert 7 <= len(renewals) <= 9
    alice.post("still relayed")
    scene.until(lambda: "still relayed" in bob.texts(alice.person), within_s=2)
    scene.cut("bob", "x")
    scene.run(RELAY_TRIAL_S + 2 * RELAY_CHECK_S)
    assert is_clean(x, alice.person)
    assert alice.shares("x") == set()


def test_a_lease_outlives_a_short_cut() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    scene.cut("bob", "x")
    alice.post("in between")
    scene.run(RELAY_TRIAL_S / 2)
    scene.link("bob", "x")
    scene.until(lambda: "in between" in bob.texts(alice.person), within_s=RELAY_AGAIN_S + 3 * RELAY_CHECK_S)
    scene.run(2 * RELAY_LEASE_S)
    assert not any(isinstance(effect, LeaveLog) for effect in x.effects)


def test_unfollowing_ends_the_lease() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    bob.unfollow("alice")
    scene.run(2 * RELAY_CHECK_S)
    assert is_clean(x, alice.person)
    bob.follow("alice")
    alice.post("again")
    scene.until(lambda: "again" in bob.texts(alice.person), within_s=60)


def test_a_relay_that_lost_the_way_is_left_for_another() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    scene.node("z")
    scene.link("z", "alice")
    scene.link("z", "bob")
    scene.cut("x", "alice")
    alice.post("by another way")
    scene.until(lambda: "by another way" in bob.texts(alice.person), within_s=30)
    scene.until(lambda: x.machine.holdings.relayed == {}, within_s=2 * RELAY_LEASE_S)


def test_two_relays_that_lost_the_author_do_not_take_each_other_for_him() -> None:
    scene = Scene()
    alice, bob = scene.node("alice"), scene.node("bob")
    relays = [scene.node("y"), scene.node("z")]
    for one, other in (("y", "alice"), ("z", "alice"), ("y", "z"), ("bob", "y"), ("bob", "z")):
        scene.link(one, other)
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    scene.run(30)
    assert all(relayed(table) == {alice.person.hash} for table in relays)
    scene.cut("y", "alice")
    scene.cut("z", "alice")
    alice.post("by a third one")
    scene.run(2 * RELAY_LEASE_S)
    scene.node("v")
    scene.link("v", "alice")
    scene.link("v", "bob")
    scene.until(lambda: "by a third one" in bob.texts(alice.person), within_s=3 * RELAY_LEASE_S)


def test_a_restart_forgets_what_was_relayed() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    alice.post("kept by x")
    scene.run(1)
    again = scene.node("x")
    again.store = x.store
    for state in done(x.store.load()).logs:
        again.machine.holdings.take(state)
    again.machine.holdings.relayed = dict.fromkeys(x.relayed, True)
    again.perform(again.machine.start(scene.now))
    scene.run(1)
    assert is_clean(again, alice.person)


# --- following what is relayed ---


def test_following_a_relayed_feed_keeps_it_and_fetches_its_history() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    for number in range(120):
        alice.post(f"note {number}")
    bob.follow("alice")
    scene.until(lambda: "note 119" in bob.texts(alice.person), within_s=60)
    scene.run(5)
    x.follow("alice")
    scene.until(lambda: len(x.numbers(alice.person)) == 121, within_s=10)
    whole = TimelineQuery(1_000, None, (alice.person.hash,))
    assert len(done(x.store.timeline(whole))) == 120
    assert x.relayed == () and relayed(x) == set()
    scene.until(lambda: len(bob.numbers(alice.person)) == 121, within_s=10)
    assert not any(isinstance(effect, LeaveLog) for effect in x.effects)
    scene.cut("bob", "x")
    scene.run(2 * RELAY_LEASE_S)
    assert len(x.numbers(alice.person)) == 121


def test_unfollowing_what_somebody_was_promised_goes_on_until_the_lease_ends() -> None:
    scene = Scene()
    alice, x, bob = line(scene, "alice", "x", "bob")
    bob.follow("alice")
    scene.until(lambda: bob.numbers(alice.person) == [1], within_s=60)
    x.follow("alice")
    scene.run(1)
    x.unfollow("alice")
    alice.post("still relayed")
    scene.until(lambda: "still relayed" in bob.texts(alice.person), within_s=2)
    bob.unfollow("alice")
    scene.run(2 * RELAY_CHECK_S)
    assert relayed(x) == set() and alice.shares("x") == set()
    assert x.numbers(alice.person) == [1, 2]  # what the person fetched stays


def test_what_the_person_unfollowed_is_not_relayed_for_others() -> None:
    scene = Scene()
    alice, x = scene.node("alice"), scene.node("x", "alice")
    scene.link("alice", "x")
    scene.run(1)
    x.unfollow("alice")
    puppet = asker(scene, "mallory", "x")
    puppet.say("x", Relay(alice.person.hash, 2))
    assert relayed(x) == set() and x.numbers(alice.person) == [1]


def test_a_relay_keeps_nothing_of_a_stranger_that_its_lease_outlived() -> None:
    """An entry is on its way to the disk when the lease ends."""
    scene = Scene()
    alice, x = scene.node("alice"), scene.node("x")
    scene.link("alice", "x")
    mallory = asker(scene, "mallory", "x")
    mallory.say("x", Relay(alice.person.hash, 0))
    scene.until(lambda: x.numbers(alice.person) == [1], within_s=5)
    mallory.say("x", Forget((alice.person.hash,)))
    alice.post("too late")
    scene.run(2 * RELAY_CHECK_S)
    assert is_clean(x, alice.person)
    assert node_key("mallory") in x.machine.sharing.sessions
