"""Slow peers, logs torn to pieces, a device of two identities, questions that cross: the node goes on all the same."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
from builders import NOON, Person, person
from gossip_scenes import Scene, Table, author, done, live, node_key, pongs, run_of

from p2pblog.config import SEQ_MAX
from p2pblog.core.entry import write
from p2pblog.core.identity import state_device
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Note, encode
from p2pblog.core.value import replace
from p2pblog.errors import LocalProtocolError
from p2pblog.gossip import events as ev
from p2pblog.gossip.broadcast import SWITCH_LEAD_S, TORN_SPANS
from p2pblog.gossip.messages import Encoder, Graft, Have, Lack, Message, Ping, Pong, Prune, Want
from p2pblog.gossip.replication import WANT_TIMEOUT_S, Replication
from p2pblog.gossip.sharing import Sharing


@pytest.fixture
def scene() -> Scene:
    return Scene()


def assert_another_gives_all(scene: Scene, table: Table, who: Person) -> None:
    """Somebody honest is linked, who has the whole log; well before a question of ours would time out."""
    alice = scene.node("alice", who.name)
    alice.keep(who, who.log.run())
    scene.link("alice", table.name)
    scene.run(WANT_TIMEOUT_S - 1)
    assert table.numbers(who) == list(range(1, len(who.log.entries) + 1))


def gives_late(scene: Scene, name: str, who: Person, after_s: float) -> Callable[[Message], list[Message]]:
    def answer(message: Message) -> list[Message]:
        if isinstance(message, Want):
            run = run_of(who.log.run(message.first, message.last))
            scene.at(scene.now + after_s, lambda: scene.send(name, "bob", run))
        return [Pong(message.number)] if isinstance(message, Ping) else []

    return answer


@pytest.mark.parametrize("after_s", [2.5, 3.0, 5.0])
def test_a_log_comes_from_two_holders_who_both_answer_late(scene: Scene, after_s: float) -> None:
    carol, bob = author("carol", 120), scene.node("bob", "carol")
    holders = [scene.puppet(name) for name in ("one", "other")]
    for holder in holders:
        holder.answer = gives_late(scene, holder.name, carol, after_s)
        holder.greet("bob", carol)
    for holder in holders:
        holder.claims("bob", carol, (1, 121))
    scene.run(8 * after_s)
    assert bob.numbers(carol) == list(range(1, 122)) and scene.closed == []
    assert all(len(holder.told(Want)) <= 3 for holder in holders)


def test_a_peer_is_awaited_while_more_of_its_answer_comes(scene: Scene) -> None:
    carol, bob = author("carol", 3), scene.node("bob", "carol")
    slow = scene.puppet("slow")
    slow.answer = pongs
    slow.greet("bob", carol)
    slow.claims("bob", carol, (1, 4))
    for _ in range(3):
        scene.run(WANT_TIMEOUT_S - 1)
        bob.feed(ev.Arriving(node_key("slow")))
    assert scene.closed == []
    scene.run(WANT_TIMEOUT_S + 1)
    assert [(closer, error.name) for closer, _, error in scene.closed if error] == [("bob", "too-slow")]


def test_what_is_pushed_tears_no_log_to_pieces(scene: Scene) -> None:
    carol, bob = author("carol", 200), scene.node("bob", "carol")
    mallory = scene.puppet("mallory")
    mallory.answer = lambda message: (
        [Lack(message.device, message.first)] if isinstance(message, Want) else pongs(message)
    )
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, 2))
    scene.run(1)
    for seq in range(4, 200, 2):
        mallory.say("bob", live(carol.log.run(seq, seq), prev_known=False))
    scene.run(5)
    assert len(bob.state(carol).spans) == TORN_SPANS and scene.closed == []

    assert_another_gives_all(scene, bob, carol)


def test_what_is_announced_on_a_link_that_does_not_share_its_log_changes_nothing(scene: Scene) -> None:
    """As of what was unfollowed a moment ago, or of a device whose statement is still to come."""
    carol, dave, bob = author("carol", 20), author("dave", 20), scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 2))
    erin = scene.puppet("erin")
    erin.greet("bob", bob.person)
    scene.run(1)
    erin.heard.clear()
    erin.say("bob", Have(((carol.key, 3), (carol.key, 21), (dave.key, 3))))
    scene.run(SWITCH_LEAD_S)
    assert not [said for said in erin.heard if isinstance(said, Graft | Want)]
    assert not bob.machine.broadcast.trees and not {carol.key, dave.key} & bob.session("erin").clocks.keys()


def test_who_gives_the_log_of_a_device_that_two_identities_name_did_no_wrong(scene: Scene) -> None:
    anne, bea = author("anne", 3), person("bea")
    both = bea.identity.merge([state_device(bea.root, anne.log.device, bea.hash, 0, bea.identity.next_counter)])
    one, other = scene.node("one", "anne", "bea"), scene.node("other", "anne", "bea")
    one.learn(both)
    one.learn(anne.identity)
    other.keep(anne, anne.log.run())
    other.learn(both)
    scene.link("one", "other")
    scene.run(3)
    entry = anne.log.note("one more")
    (state,) = done(other.store.append([Batch(anne.hash, (entry,))], NOON))
    other.feed(ev.Stored(None, Batch(anne.hash, (entry,)), state, live=True))
    scene.run(10)
    assert [error for *_, error in scene.closed] == [] and one.numbers(anne) == []
    assert node_key("other") in one.machine.sharing.sessions


def test_a_question_about_a_claim_does_not_keep_the_log_from_others(scene: Scene) -> None:
    carol, bob = author("carol", 1_500), scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1_401, 1_450))
    mallory = scene.puppet("mallory")
    mallory.answer = pongs
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, 1_450))
    scene.run(0.2)
    asked = mallory.told(Want)[-1]
    bad = live(carol.log.run(1_451, 1_451))
    bad.value[5] = bytes(64)
    mallory.say("bob", run_of(carol.log.run(asked.first, asked.last)), bad, run_of(carol.log.run(1_451, 1_451)))
    assert_another_gives_all(scene, bob, carol)


def test_a_message_that_names_one_log_a_thousand_times_has_it_sought_once(scene: Scene) -> None:
    carol, bob = author("carol", 10), scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    mallory = scene.puppet("mallory")
    mallory.answer = pongs
    mallory.greet("bob", carol)
    scene.run(1)
    far = Have(((carol.key, 5_000),) * 1_024)
    with mock.patch.object(Replication, "seek_from", autospec=True, side_effect=Replication.seek_from) as sought:
        bob.machine.handle(ev.Received(node_key("mallory"), far), scene.now)
    assert sought.call_count == 1


@pytest.mark.parametrize("floor", [0, 2])
def test_what_one_peer_announces_has_nobody_else_looked_through(scene: Scene, floor: int) -> None:
    """Of many logs whose beginning bob lacks, while others share them all. What he pruned he does not want."""
    people = [author(f"author {number}", 3) for number in range(20)]
    bob = scene.node("bob", *(who.name for who in people))
    for who in people:
        bob.keep(who, who.log.run(3, 4))
        bob.machine.holdings.take(replace(bob.state(who), floor=floor))
    puppets = [scene.puppet(name) for name in ("mallory", "erin", "frank")]
    for puppet in puppets:
        puppet.answer = pongs
        puppet.greet("bob", *people)
    scene.run(1)
    told = ev.Received(node_key("mallory"), Have(tuple((who.key, 1) for who in people)))
    with (
        mock.patch.object(Sharing, "sessions_of", autospec=True, side_effect=Sharing.sessions_of) as looked,
        mock.patch.object(Replication, "seek_from", autospec=True, side_effect=Replication.seek_from) as sought,
    ):
        asked = [effect for effect in bob.machine.handle(told, scene.now) if isinstance(effect, ev.Send)]
    assert looked.call_count == 0
    assert sought.call_count == (0 if floor else len(people))
    assert {send.peer for send in asked} == (set() if floor else {node_key("mallory")})


# --- a log that has come to its last number ---


def test_behind_the_last_number_of_a_log_nothing_is_asked_for(scene: Scene) -> None:
    carol, bob = person("carol"), scene.node("bob", "carol")
    ending = [replace(carol.log.entries[0], seq=SEQ_MAX - 3)]
    for _ in range(3):
        ending.append(write(carol.device, ending[-1], NOON, encode(Note("the end is near"))))
    bob.keep(carol, tuple(ending[1:2]))
    erin, frank = scene.puppet("erin"), scene.puppet("frank")
    for puppet in (erin, frank):
        puppet.greet("bob", carol)
    erin.say("bob", live(ending[2:3]))
    frank.say("bob", Have(((carol.key, SEQ_MAX),)))
    scene.run(2 * SWITCH_LEAD_S)
    erin.say("bob", live(ending[3:]))
    scene.run(1)
    assert bob.numbers(carol) == [SEQ_MAX - 2, SEQ_MAX - 1, SEQ_MAX]
    assert frank.told(Graft) == [] and erin.told(Prune) == [] and scene.closed == []


@pytest.mark.parametrize("first", [-1, SEQ_MAX + 1])
def test_a_graft_that_a_peer_would_refuse_is_not_said(first: int) -> None:
    with pytest.raises(LocalProtocolError):
        Encoder().encode(Graft(person("carol").key, first))
