"""Peers that give less than they were asked for: others are asked before them, and they where nobody else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import Person, person
from gossip_scenes import Puppet, Scene, Table, author, node_key, pongs, run_of

from p2pblog.gossip.messages import Clock, Clocks, IdentityClock, Message, Payloads, Run, Want, WantPayloads, tip_of
from p2pblog.gossip.questions import Queue
from p2pblog.gossip.replication import PATIENCE_S

JUST_IN_TIME_S = PATIENCE_S - 0.5


@pytest.fixture
def scene() -> Scene:
    return Scene()


def sparing(scene: Scene, carol: Person, crumb: Callable[[Message], list[Message]]) -> Puppet:
    """Somebody who claims all of carol's log, and answers each question just in time."""
    mallory = scene.puppet("mallory")

    def answer(said: Message) -> list[Message]:
        for message in crumb(said):
            scene.at(scene.now + JUST_IN_TIME_S, lambda message=message: scene.send("mallory", "bob", message))
        return pongs(said)

    mallory.answer = answer
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, carol.log.entries[-1].seq))
    return mallory


def one_entry(carol: Person) -> Callable[[Message], list[Message]]:
    return lambda said: [run_of(carol.log.run(said.first, said.first))] if isinstance(said, Want) else []


def last_entry(carol: Person) -> Callable[[Message], list[Message]]:
    return lambda said: [run_of(carol.log.run(said.last, said.last))] if isinstance(said, Want) else []


def generous(scene: Scene, carol: Person) -> Table:
    alice = scene.node("alice", carol.name)
    alice.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    return alice


def queue_of(bob: Table, name: str) -> Queue:
    return bob.machine.replication.queues[node_key(name)]


@pytest.mark.parametrize("crumb", [one_entry, last_entry])
def test_who_gives_a_log_entry_by_entry_has_it_to_himself_for_one_answer_only(
    scene: Scene, crumb: Callable[[Person], Callable[[Message], list[Message]]]
) -> None:
    carol = author("carol", 600)
    bob = scene.node("bob", "carol")
    mallory = sparing(scene, carol, crumb(carol))
    scene.run(JUST_IN_TIME_S + 0.5)
    assert len(bob.numbers(carol)) == 1 and queue_of(bob, "mallory").kept_word
    generous(scene, carol)
    scene.run(2 * PATIENCE_S)
    assert bob.numbers(carol) == list(range(1, 602))
    assert len(mallory.told(Want)) == 2


def test_a_new_clock_does_not_make_crumbs_a_meal(scene: Scene) -> None:
    """It comes while the crumb is being stored, so that nothing is asked for at that moment."""
    carol = author("carol", 600)
    bob = scene.node("bob", "carol")
    clock = Clock(((1, 601),), tip=tip_of(carol.log.entries[-1].id))
    again = Clocks((IdentityClock(carol.hash, carol.identity.digest, ((carol.key, clock),)),))
    mallory = sparing(scene, carol, lambda said: [*one_entry(carol)(said), again] if isinstance(said, Want) else [])
    scene.run(JUST_IN_TIME_S + 0.5)
    generous(scene, carol)
    scene.run(2 * PATIENCE_S)
    assert bob.numbers(carol) == list(range(1, 602)) and len(mallory.told(Want)) == 2


def test_who_gives_in_crumbs_is_asked_while_nobody_else_is_there(scene: Scene) -> None:
    """Until an answer is what was asked for: then he is as good as anybody."""
    carol = author("carol", 4)
    bob = scene.node("bob", "carol")
    sparing(scene, carol, one_entry(carol))
    scene.run(JUST_IN_TIME_S + 0.5)
    assert carol.key in queue_of(bob, "mallory").stinted and queue_of(bob, "mallory").lacks == 1
    scene.run(6 * JUST_IN_TIME_S)
    assert bob.numbers(carol) == [1, 2, 3, 4, 5]
    assert queue_of(bob, "mallory").stinted == {}, "the last question was for one entry"


def test_who_lost_a_part_and_says_so_is_forgiven(scene: Scene) -> None:
    carol = author("carol", 30)
    bob = scene.node("bob", "carol")
    dave = scene.puppet("dave")
    dave.greet("bob", carol)
    dave.claims("bob", carol, (1, 31))
    dave.say("bob", run_of(carol.log.run(1, 9)))
    assert carol.key in queue_of(bob, "dave").stinted
    dave.claims("bob", carol, (1, 9))
    assert queue_of(bob, "dave").stinted == {} and bob.numbers(carol) == list(range(1, 10))


def test_a_run_that_more_would_make_too_large_is_no_crumb(scene: Scene) -> None:
    carol = person("carol")
    for number in range(300):
        carol.log.write(bytes([0xC6]) + number.to_bytes(4, "big") + bytes(16_000))
    bob = scene.node("bob", "carol")
    generous(scene, carol)
    scene.run(10)
    assert bob.numbers(carol) == list(range(1, 302))
    wants, runs = scene.said(Want, "bob"), scene.said(Run, "alice")
    ends = [run.value[1] + len(run.value[3]) - 1 for run in runs]
    assert any(end < want.last for want, end in zip(wants, ends, strict=True))
    assert queue_of(bob, "alice").lacks == 0 and queue_of(bob, "alice").stinted == {}


def test_who_gives_payloads_one_by_one_has_them_to_himself_for_one_answer_only(scene: Scene) -> None:
    carol = author("carol", 300)
    bob = scene.node("bob", "carol")
    bob.keep(carol, tuple(e.without_payload() if e.seq > 1 else e for e in carol.log.run()))
    clock = Clock(((1, 301),), tip=tip_of(carol.log.entries[-1].id))
    again = Clocks((IdentityClock(carol.hash, carol.identity.digest, ((carol.key, clock),)),))

    def crumb(said: Message) -> list[Message]:
        if not isinstance(said, WantPayloads):
            return []
        seq = said.seqs[-1]
        return [Payloads(carol.key, ((seq, carol.log.entries[seq - 1].payload or b""),)), again]

    mallory = sparing(scene, carol, crumb)
    scene.run(JUST_IN_TIME_S + 0.5)
    generous(scene, carol)
    scene.run(2 * PATIENCE_S)
    assert bob.state(carol).missing == () and len(mallory.told(WantPayloads)) == 2
