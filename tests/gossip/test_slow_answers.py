"""Answers that are slow to come over a slow line: less is asked for at once, and nobody loses his word by that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import Person, person
from gossip_scenes import Puppet, Scene, Table, author, node_key, pongs, run_of
from test_liar_scenes import leads, promising

from p2pblog.config import CHECKPOINT_EVERY, NEWEST_FIRST, RUN_ENTRIES_MAX
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Message, Ping, Pong, Want
from p2pblog.gossip.questions import Fetching, Queue
from p2pblog.gossip.replication import PATIENCE_S, WANT_TIMEOUT_S
from p2pblog.gossip.room_events import HeldBack

MANY = RUN_ENTRIES_MAX - 2 * CHECKPOINT_EVERY
"""Pieces begin after a checkpoint and end on one."""


@pytest.fixture
def scene() -> Scene:
    return Scene()


def holder(
    scene: Scene, carol: Person, answer_s: Callable[[int], float], *, in_parts: bool = True, name: str = "holder"
) -> Puppet:
    """A peer of Bob's that holds all of Carol's, and takes so long for an answer of so many entries."""
    bob = scene.parties.get("bob") or scene.node("bob", "carol")
    assert isinstance(bob, Table)
    puppet = scene.puppet(name)
    entries = carol.log.entries

    def answer(message: Message) -> list[Message]:
        if isinstance(message, Want):
            took_s = answer_s(message.last - message.first + 1)
            run = run_of(tuple(entries[message.first - 1 : message.last]))
            if in_parts:
                scene.at(scene.now + 0.9 * took_s, lambda: bob.feed(ev.Arriving(node_key(name))) and None)
            scene.at(scene.now + took_s, lambda: scene.send(name, "bob", run))
        return pongs(message)

    puppet.answer = answer
    puppet.greet("bob", carol)
    puppet.claims("bob", carol, (1, len(entries)))
    return puppet


def lengths(puppet: Puppet) -> list[int]:
    return [want.last - want.first + 1 for want in puppet.told(Want)]


def test_history_over_a_slow_line_comes_in_pieces_of_a_second(scene: Scene) -> None:
    """300 entries a second: what is live waits behind one piece. When the line is better, they grow again."""
    carol = author("carol", 6_400)
    rate = [300]
    puppet = holder(scene, carol, lambda asked: asked / rate[0])
    scene.run(12)
    first, whole, *cut = lengths(puppet)
    assert first == NEWEST_FIRST and whole > MANY
    assert len(cut) > 3 and all(CHECKPOINT_EVERY <= length <= 300 for length in cut)
    rate[0] = 10_000
    scene.run(5)
    assert max(lengths(puppet)[-3:]) > MANY
    assert scene.parties["bob"].numbers(carol) == list(range(1, 6_402))  # type: ignore[union-attr]


def test_no_piece_is_shorter_than_what_lies_between_two_signatures(scene: Scene) -> None:
    carol = author("carol", 1_400)
    puppet = holder(scene, carol, lambda asked: 15.0)
    scene.run(60)
    assert lengths(puppet)[2:] and set(lengths(puppet)[3:]) == {CHECKPOINT_EVERY}


def test_who_answers_slowly_keeps_no_log_from_others(scene: Scene) -> None:
    """Just within our patience, by intent perhaps: so little is asked of him that a long log would take minutes. Of the
    next one little is asked at first, too, for our own line may be slow."""
    carol = author("carol", 6_400)
    slow = holder(scene, carol, lambda asked: 0.95 * PATIENCE_S)
    quick = holder(scene, carol, lambda asked: 0.1, name="quick")
    scene.run(5)
    assert len(lengths(slow)) <= 2
    assert lengths(quick)[0] <= CHECKPOINT_EVERY and max(lengths(quick)) > MANY
    assert scene.parties["bob"].numbers(carol) == list(range(1, 6_402))  # type: ignore[union-attr]


def test_short_questions_soon_answered_say_nothing_of_a_line() -> None:
    who, queue, now = person("carol"), Queue(), 0.0

    def asks(length: int, took_s: float) -> int:
        nonlocal now
        fetch = Fetching(node_key("holder"), who.key, 1, 1, length, now)
        queue.arrived_at, now = now + took_s / 2, now + took_s
        queue.on_answer(fetch, now)
        return queue.entries_max

    assert asks(1_000, 5.0) == 200
    assert asks(1, 0.1) == asks(100, 0.1) == 200
    assert asks(200, 0.7) == 200, "as long as it should be"
    assert asks(200, 0.4) == 400 and asks(400, 0.4) == 800 and asks(800, 0.4) == RUN_ENTRIES_MAX


def test_what_was_asked_for_in_full_before_the_first_answer_shortens_questions_once() -> None:
    who, queue = person("carol"), Queue()
    for number in range(1, 9):
        queue.arrived_at = 3 * number - 1.0
        queue.on_answer(Fetching(node_key("holder"), who.key, number, 1, 900, 0.0), 3.0 * number)
        assert queue.entries_max == 300


def test_who_waits_for_his_own_disk_asks_for_as_much_as_ever(scene: Scene) -> None:
    """Nothing of such an answer has come before all of it was there."""
    carol = author("carol", 2_900)
    puppet = holder(scene, carol, lambda asked: 1.5, in_parts=False)
    scene.run(6)
    assert lengths(puppet)[0] == NEWEST_FIRST and all(length > MANY for length in lengths(puppet)[1:])
    assert len(lengths(puppet)) > 2


def test_time_in_which_we_read_nothing_makes_no_answer_slow(scene: Scene) -> None:
    """Our store held us up for three seconds each time; what had come of the answer was seen, too."""
    carol = author("carol", 2_900)
    puppet = holder(scene, carol, lambda asked: 3.1)
    bob = scene.parties["bob"]
    assert isinstance(bob, Table)
    for since in range(5):
        scene.at(2.85 + 3.1 * since, lambda: bob.feed(HeldBack()) and None)
    scene.run(15)
    assert lengths(puppet)[0] == NEWEST_FIRST and all(length > MANY for length in lengths(puppet)[2:])
    assert len(lengths(puppet)) > 3


def test_whose_answer_is_on_its_way_keeps_his_word(scene: Scene) -> None:
    """On a slow line a run takes longer than our patience; whoever else has the log is asked all the same."""
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    slow = promising(scene, "slow", carol)
    slow.answer = lambda said: [Pong(said.number)] if isinstance(said, Ping) else []
    for _ in range(4):
        scene.run(PATIENCE_S / 2)
        bob.feed(ev.Arriving(node_key("slow")))
        assert leads(bob, carol) == (1, 2)
    scene.run(2 * PATIENCE_S)
    assert leads(bob, carol) == (0, None)


def test_who_makes_an_answer_last_keeps_his_word_for_no_longer_than_one_takes(scene: Scene) -> None:
    """Else a liar beside us who says a long message bit by bit keeps us from looking elsewhere, for as long as he
    likes."""
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    for name in ("mallory", "another"):
        liar = promising(scene, name, carol)
        liar.answer = lambda said: [Pong(said.number)] if isinstance(said, Ping) else []
    while scene.now < WANT_TIMEOUT_S + 2 * PATIENCE_S:
        scene.run(PATIENCE_S / 2)
        for name in ("mallory", "another"):
            bob.feed(ev.Arriving(node_key(name)))
    assert leads(bob, carol) == (0, None) and scene.closed == []
