"""What liars brought about between honest nodes in the simulator, each as a small scene, and what prevents it."""

from __future__ import annotations

import pytest
from builders import Log, Person
from gossip_scenes import Puppet, Scene, Table, author, done, live, node_key, pongs, run_of

from p2pblog.core.entry import Entry
from p2pblog.gossip.membership import BACKOFF_S
from p2pblog.gossip.messages import (
    Bye,
    Clocks,
    Have,
    IdentityClock,
    Lack,
    Live,
    Near,
    Payloads,
    Pong,
    Relay,
    Run,
    Statements,
    Want,
    WantPayloads,
)
from p2pblog.gossip.relay import GRACE_S, RELAY_AFTER_S, RELAY_AGAIN_S, RELAY_CHECK_S
from p2pblog.gossip.replication import PATIENCE_S


@pytest.fixture
def scene() -> Scene:
    return Scene()


def forked(name: str, common: int, one: int, other: int) -> tuple[Person, Log]:
    """Somebody with two histories: her log, and a branch of it."""
    who = author(name, common)
    branch = who.log.branch(common + 1)
    for number in range(one):
        who.log.note(f"one {number}")
    for number in range(other):
        branch.note(f"other {number}")
    return who, branch


def test_a_peer_that_began_afresh_on_the_branch_a_retirement_picked_is_not_to_blame(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 5)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    dave = scene.puppet("dave")
    dave.greet("bob", carol)
    dave.claims("bob", carol, (1, 16), log=other)
    assert len(dave.told(Want)) == 1
    dave.say("bob", Statements(carol.retire(carol.key, 12, carol.log.entries[11].id).wire))
    dave.say("bob", run_of(carol.log.run()))
    assert dave.is_linked and scene.closed == []
    assert not bob.machine.holdings.is_frozen(carol.key) and bob.numbers(carol) == list(range(1, 17))


def test_a_push_of_the_entry_that_a_retirement_did_not_pick_leaves_the_way_to_the_other_open(scene: Scene) -> None:
    """Bob has none at that number yet, so nothing of what he holds contradicts the retirement."""
    carol, other = forked("carol", 10, 5, 5)
    bob = scene.node("bob", "carol")
    bob.keep(carol, other.run(1, 15))
    dave = scene.puppet("dave")
    dave.greet("bob", carol)
    dave.claims("bob", carol, (1, 15), log=other)
    dave.say("bob", Statements(carol.retire(carol.key, 16, carol.log.entries[15].id).wire))
    dave.say("bob", live(other.run(16, 16)))
    assert dave.is_linked and bob.numbers(carol) == list(range(1, 16))

    scene.node("erin", "carol").keep(carol, carol.log.run())
    scene.link("erin", "bob")
    scene.run(10)
    assert bob.texts(carol)[-1] == "one 4" and bob.numbers(carol) == list(range(1, 17))


@pytest.mark.parametrize("says_prev", [False, True])
def test_a_peer_that_pushes_the_other_history_in_good_faith_is_not_to_blame(scene: Scene, says_prev: bool) -> None:
    """It thinks that we hold the entry before, so it leaves its id out; we hold another."""
    carol, other = forked("carol", 10, 5, 6)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    dave = scene.puppet("dave")
    dave.greet("bob", carol)
    dave.say("bob", live(other.run(17, 17), prev_known=not says_prev))
    if not says_prev:
        assert dave.told(Want) == [Want(carol.key, 17, 17)]
        dave.claims("bob", carol, (1, 17), log=other)
        dave.say("bob", run_of(other.run(17, 17)))
    for want in dave.told(Want)[-1:]:
        dave.say("bob", run_of(other.run(max(12, want.first), want.last)))
    assert dave.is_linked and scene.closed == []
    if not says_prev:
        assert bob.machine.holdings.is_frozen(carol.key)


def between_histories(scene: Scene, name: str, claimed: int) -> tuple[Person, Log, Table, Puppet]:
    """Bob holds up to entry 23 of a log that parts after 21; a peer says that it holds the first ones of the same."""
    carol, other = forked("carol", 20, 5, 6)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 23))
    peer = scene.puppet(name)
    peer.greet("bob", carol)
    peer.claims("bob", carol, (1, claimed))
    return carol, other, bob, peer


def test_a_peer_that_kept_nothing_of_what_we_gave_for_it_knew_of_another_history_is_not_to_blame(scene: Scene) -> None:
    """Who is given entries counts as holding them, and can't show them if it did not take them (`byzantine`, seed
    149)."""
    carol, other, bob, dave = between_histories(scene, "dave", 4)
    dave.say("bob", Want(carol.key, 5, 23))
    assert len(dave.told(Run)) == 1
    dave.say("bob", live(other.run(24, 27), prev_known=False))
    (want,) = dave.told(Want)
    assert (want.device, want.last) == (carol.key, 23)
    dave.say("bob", run_of(carol.log.run(1, 4)))
    assert dave.is_linked and scene.closed == []
    assert bob.machine.replication.queues[node_key("dave")].lacks == 1, "who dodges a question fares as who says Lack"
    dave.say("bob", live(other.run(22, 27), prev_known=False))
    assert bob.machine.holdings.is_frozen(carol.key) and dave.is_linked


def test_a_peer_that_shows_another_entry_than_it_spoke_of_is_left(scene: Scene) -> None:
    carol, other, _, mallory = between_histories(scene, "mallory", 23)
    mallory.say("bob", live(other.run(24, 27), prev_known=False))
    assert [want.last for want in mallory.told(Want)] == [23]
    for want in mallory.told(Want):
        mallory.say("bob", run_of(carol.log.run(want.first, want.last)))
    assert [error.name for _, _, error in scene.closed if error] == ["bad-chain"]


@pytest.mark.parametrize("retires", [False, True])
def test_a_peer_with_nothing_below_proves_the_fork_by_what_both_hold(scene: Scene, retires: bool) -> None:
    """He came to a log when its beginning was not to be had any more, so where it parts can't be looked for at him
    (`byzantine`, seed 97)."""
    carol, other = forked("carol", 10, 13, 15)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    dave = scene.puppet("dave")
    dave.greet("bob", carol)
    dave.claims("bob", carol, (15, 26), log=other)
    if retires:
        dave.say("bob", Statements(carol.retire(carol.key, 26, other.run(26, 26)[-1].id).wire))
    answered = 0
    while len(wants := dave.told(Want)) > answered and answered < 10:
        want = wants[answered]
        dave.say("bob", run_of(other.run(max(15, want.first), want.last)))
        answered += 1
    assert dave.is_linked and scene.closed == []
    assert bob.machine.holdings.is_frozen(carol.key) is not retires
    assert not retires or bob.numbers(carol) == list(range(15, 27))


def test_what_was_asked_for_before_a_log_was_begun_afresh_takes_no_place_below_its_hole(scene: Scene) -> None:
    """Of three histories the retirement picks hers, the first. Bob, who held some of the second, begins afresh with its
    last entries, and then an answer of the third comes (`byzantine`, seed 203)."""
    carol, second = forked("carol", 0, 25, 5)
    third = carol.log.branch(2)
    for number in range(17):
        third.note(f"third {number}")
    bob = scene.node("bob", "carol")
    bob.keep(carol, second.run(1, 5))
    dave, erin = scene.puppet("dave"), scene.puppet("erin")
    dave.greet("bob", carol)
    erin.greet("bob", carol)
    erin.claims("bob", carol, (1, 18), log=third)
    erin.say("bob", run_of(third.run(6, 18)))
    assert [(want.first, want.last) for want in erin.told(Want)] == [(6, 18), (1, 5)]
    dave.say("bob", Statements(carol.retire(carol.key, 26, carol.log.entries[25].id).wire))
    for answered, low in enumerate((20, 6, 1)):
        dave.claims("bob", carol, (low, 26))
        if low > 1:
            want = dave.told(Want)[answered]
            dave.say("bob", run_of(carol.log.run(max(low, want.first), want.last)))
    assert bob.numbers(carol) == [] and bob.machine.replication.afresh
    erin.say("bob", run_of(third.run(1, 18)))
    assert bob.numbers(carol) == [] and erin.is_linked
    while len(wants := dave.told(Want)) > answered:
        dave.say("bob", run_of(carol.log.run(wants[answered].first, wants[answered].last)))
        answered += 1
    assert bob.numbers(carol) == list(range(1, 27)) and scene.closed == []


def test_a_liar_that_pushes_what_does_not_hold_is_left_when_it_is_asked(scene: Scene) -> None:
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 10))
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol)
    value = live(carol.log.run(11, 11), prev_known=True).value
    forged = Live([*value[:5], bytes(64)])
    mallory.say("bob", forged, forged, forged)
    assert mallory.told(Want) == [Want(carol.key, 11, 11)]
    whole = run_of(carol.log.run(11, 11)).value
    mallory.say("bob", Run([*whole[:5], bytes(64)]))
    assert [error.name for _, _, error in scene.closed if error] == ["bad-signature"]


# --- payloads that did not come along ---


def bare(entries: tuple[Entry, ...]) -> Live:
    return live([entry.without_payload() for entry in entries])


def test_an_entry_pushed_without_its_payload_is_completed_by_whoever_announces_it(scene: Scene) -> None:
    carol = author("carol", 3)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 3))
    miser, dave = scene.puppet("miser"), scene.puppet("dave")
    for puppet in (miser, dave):
        puppet.greet("bob", carol)
        puppet.claims("bob", carol, (1, 3))
    miser.say("bob", bare(carol.log.run(4, 4)))
    assert miser.told(WantPayloads) == []
    assert bob.state(carol).missing == (4,) and dave.told(WantPayloads) == []
    dave.say("bob", Have(((carol.key, 4),)))
    assert dave.told(WantPayloads) == [WantPayloads(carol.key, (4,))]


def wants_a_payload(scene: Scene, carol: Person) -> tuple[Table, Puppet]:
    """Bob holds entry 12 bare, and has asked dave for its payload."""
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 11))
    miser, dave = scene.puppet("miser"), scene.puppet("dave")
    for puppet in (miser, dave):
        puppet.greet("bob", carol)
    miser.say("bob", bare(carol.log.run(12, 12)))
    dave.say("bob", Have(((carol.key, 12),)))
    assert dave.told(WantPayloads) == [WantPayloads(carol.key, (12,))]
    return bob, dave


def test_a_peer_that_gives_the_payload_of_the_other_history_is_not_to_blame(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 6)
    bob, dave = wants_a_payload(scene, carol)
    dave.say("bob", Payloads(carol.key, ((12, other.entries[11].payload or b""),)))
    assert dave.told(Want)[-1:] == [Want(carol.key, 12, 12)]
    dave.say("bob", run_of(other.run(12, 12)))
    assert bob.machine.holdings.is_frozen(carol.key)
    assert dave.is_linked and scene.closed == []


def test_a_liar_that_gives_the_payload_of_nothing_is_left_when_it_is_asked(scene: Scene) -> None:
    carol = author("carol", 20)
    bob, dave = wants_a_payload(scene, carol)
    dave.say("bob", Payloads(carol.key, ((12, b"what carol never wrote"),)))
    dave.say("bob", run_of(carol.log.run(12, 12)))
    assert [error.name for _, _, error in scene.closed if error] == ["bad-chain"]
    assert bob.state(carol).missing == (12,)


def test_payloads_of_a_log_that_has_gone_meanwhile_are_nobodys_fault(scene: Scene) -> None:
    carol = author("carol", 20)
    bob, dave = wants_a_payload(scene, carol)
    done(bob.store.drop_log(carol.key))
    dave.say("bob", Payloads(carol.key, ((12, carol.log.entries[11].payload or b""),)))
    assert dave.is_linked and scene.closed == [] and dave.told(Want) == []


@pytest.mark.parametrize("pushed_after_s", [0.0, 0.05, 0.2])
def test_who_lacks_a_payload_says_so_and_hears_who_holds_it(scene: Scene, pushed_after_s: float) -> None:
    """Dave has the entry without its payload and announces it; bob is pushed the whole entry before, between or after,
    and has no reason to announce to dave what dave announced."""
    carol = author("carol", 3)
    bob, dave = scene.node("bob", "carol"), scene.node("dave", "carol")
    for table in (bob, dave):
        table.keep(carol, carol.log.run(1, 3))
    scene.link("bob", "dave")
    scene.run(3)
    generous, miser = scene.puppet("generous"), scene.puppet("miser")
    generous.answer = lambda said: (
        [Payloads(carol.key, ((4, carol.log.entries[3].payload or b""),))] if isinstance(said, WantPayloads) else []
    )
    generous.greet("bob", carol)
    miser.greet("dave", carol)
    scene.send("miser", "dave", bare(carol.log.run(4, 4)))
    scene.run(pushed_after_s)
    scene.send("generous", "bob", live(carol.log.run(4, 4)))
    scene.until(lambda: dave.state(carol).missing == () and len(dave.texts(carol)) == 3, within_s=5)


# --- links that lead nowhere ---


def promising(scene: Scene, name: str, carol: Person) -> Puppet:
    """Somebody who is near carol and holds all that she wrote, as he says."""
    puppet = scene.puppet(name)
    puppet.greet("bob", carol)
    puppet.claims("bob", carol, (1, carol.log.entries[-1].seq))
    puppet.say("bob", Near((puppet.token(carol.hash),), bytes([1])))
    return puppet


def leads(bob: Table, carol: Person) -> tuple[int, int | None]:
    return bob.machine.sharing.cover(carol.hash), bob.hops(carol.hash)


def test_who_lacks_what_his_clock_promised_leads_nowhere_until_he_gives_it(scene: Scene) -> None:
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    mallory = promising(scene, "mallory", carol)
    assert leads(bob, carol) == (1, 2)
    before = bob.machine.sharing.changes
    mallory.say("bob", Lack(carol.key, 1))
    assert leads(bob, carol) == (0, None)
    assert bob.machine.sharing.changes > before
    mallory.claims("bob", carol, (1, 21))
    assert leads(bob, carol) == (0, None), "a new promise is not its fulfilment"
    mallory.say("bob", run_of(carol.log.run()))
    assert bob.numbers(carol) == list(range(1, 22)) and leads(bob, carol) == (1, 2)


def test_who_only_says_that_he_is_near_leads_but_does_not_serve(scene: Scene) -> None:
    """It costs him nothing, so others are searched until somebody tells of entries."""
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 9))
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol)
    mallory.say("bob", Near((mallory.token(carol.hash),), bytes([1])))
    assert leads(bob, carol) == (1, 2) and not bob.machine.sharing.is_served(carol.hash)
    mallory.claims("bob", carol, (1, 21))
    assert bob.machine.sharing.is_served(carol.hash)


def test_who_says_nothing_where_he_was_asked_leads_nowhere_until_he_gives_it(scene: Scene) -> None:
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    mallory = promising(scene, "mallory", carol)
    mallory.answer = lambda said: [Pong(said.number)] if hasattr(said, "number") else []
    scene.run(PATIENCE_S + 0.5)
    assert leads(bob, carol) == (0, None)
    mallory.say("bob", run_of(carol.log.run()))
    assert leads(bob, carol) == (1, 2)


def test_who_promises_payloads_and_gives_none_leads_nowhere_until_nothing_is_lacking(scene: Scene) -> None:
    carol = author("carol", 3)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 1))
    miser = promising(scene, "miser", carol)
    miser.say("bob", Run(bare(carol.log.run(2, 4)).value))
    assert miser.told(WantPayloads) != []
    assert leads(bob, carol) == (1, 2)
    miser.say("bob", Payloads(carol.key, ()))
    assert leads(bob, carol) == (0, None)
    generous = promising(scene, "generous", carol)
    for want in generous.told(WantPayloads):
        generous.say("bob", Payloads(carol.key, tuple((s, carol.log.entries[s - 1].payload or b"") for s in want.seqs)))
    assert bob.state(carol).missing == () and leads(bob, carol) == (1, 2)
    miser.claims("bob", carol, (1, 4))
    assert leads(bob, carol) == (2, 2)


def test_a_liar_who_covers_a_feed_does_not_keep_others_from_being_asked_to_relay_it(scene: Scene) -> None:
    carol = author("carol", 20)
    scene.node("bob", "carol")
    friend = scene.puppet("friend")
    friend.answer = lambda said: [Pong(said.number)] if hasattr(said, "number") else []
    friend.greet("bob")
    mallory = promising(scene, "mallory", carol)
    mallory.answer = lambda said: [Lack(carol.key, said.first)] if isinstance(said, Want) else friend.answer(said)
    mallory.claims("bob", carol, (1, 19))
    scene.run(RELAY_AFTER_S + GRACE_S + 3 * RELAY_CHECK_S)
    assert [said.identity for said in friend.told(Relay)][:1] == [carol.hash]


def test_who_gives_nothing_is_not_asked_to_relay_and_does_not_make_the_author_seem_away(scene: Scene) -> None:
    carol = author("carol", 20)
    scene.node("bob", "carol")
    friend, mallory = scene.puppet("friend"), scene.puppet("mallory")

    taken_up = [Clocks((IdentityClock(carol.hash, None),))]
    friend.answer = lambda said: taken_up if isinstance(said, Relay) else pongs(said)
    friend.greet("bob")
    mallory.answer = lambda said: [Lack(carol.key, said.first)] if isinstance(said, Want) else pongs(said)
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, 20))
    scene.run(RELAY_AFTER_S + GRACE_S + RELAY_AGAIN_S + 3 * RELAY_CHECK_S)
    assert [said.hops_left for said in friend.told(Relay)][:2] == [0, 1]
    assert mallory.told(Relay) == []


# --- who broke a rule ---


def test_who_broke_a_rule_is_let_in_ever_more_seldom(scene: Scene) -> None:
    bob = scene.node("bob")
    membership = bob.machine.membership
    for wait_s in (2 * BACKOFF_S, 4 * BACKOFF_S, 8 * BACKOFF_S):
        mallory = scene.puppet("mallory")
        mallory.greet("bob")
        assert mallory.is_linked and mallory.told(Bye) == []
        mallory.say("bob", Pong(99))
        assert not mallory.is_linked
        lost = len(membership.lost)
        for _ in range(2):
            scene.run(wait_s / 2 - 1)
            again = scene.puppet("mallory")
            scene.link("mallory", "bob")
            scene.run(0.5)
            assert again.told(Bye) == [Bye()] and not again.is_linked
        assert len(membership.lost) <= lost, "nobody makes it look like a crash by coming back"
        scene.run(2)


def test_of_those_who_broke_a_rule_so_many_are_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.gossip.membership.SHUNNED_MAX", 3)
    bob = scene.node("bob")
    for number in range(5):
        mallory = scene.puppet(f"mallory {number}")
        mallory.greet("bob")
        mallory.say("bob", Pong(99))
    assert list(bob.machine.membership.shunned) == [node_key(f"mallory {number}") for number in (2, 3, 4)]
