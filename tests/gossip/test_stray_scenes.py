"""Whom a node asks for one entry of a log that it does not follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from builders import Person, person, ref
from gossip_scenes import Puppet, Scene, Table, done, fill, node_key, pongs
from test_offer_scenes import found

from p2pblog.core.payload import Ref
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Fetch, Found, Message
from p2pblog.gossip.strays import ASK_AGAIN_S, ASKED_PEERS_MAX, TRIED_MAX


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def carol() -> Person:
    return person("carol")


def giving(*answer: Found) -> Callable[[Message], Sequence[Message]]:
    return lambda said: answer if isinstance(said, Fetch) else pongs(said)


def neighbours(scene: Scene, table: Table, count: int, *answer: Found) -> list[str]:
    """That many, who all say this when they are asked; those with the lowest keys first."""
    names = sorted(fill(scene, table, count), key=node_key)
    for name in names:
        puppet = scene.parties[name]
        assert isinstance(puppet, Puppet)
        puppet.answer = giving(*answer)
    return names


def asked_by(scene: Scene, table: Table, wanted: Ref) -> set[str]:
    """Whom it asks now."""
    begun = scene.now
    table.feed(ev.Ask(wanted))
    scene.run(0.5)
    return {to for at, who, to, said, _ in scene.sent if (who, type(said)) == (table.name, Fetch) and at >= begun}


def test_who_has_nothing_is_asked_again_once_all_others_were(scene: Scene, carol: Person) -> None:
    bob, wanted = scene.node("bob"), ref(carol.log.note("tea?"))
    names = neighbours(scene, bob, 3 * ASKED_PEERS_MAX, Found(wanted))
    rounds = [asked_by(scene, bob, wanted) for _ in range(4)]
    assert set.union(*rounds[:3]) == set(names)
    assert rounds[3] == rounds[0] and len(rounds[0]) == ASKED_PEERS_MAX


def test_who_never_answers_keeps_nobody_else_from_being_asked(scene: Scene, carol: Person) -> None:
    bob, entry = scene.node("bob"), carol.log.note("tea?")
    *silent, holder = neighbours(scene, bob, ASKED_PEERS_MAX + 1)
    puppet = scene.parties[holder]
    assert isinstance(puppet, Puppet)
    puppet.answer = giving(found(carol, entry))
    assert asked_by(scene, bob, ref(entry)) == set(silent)
    assert asked_by(scene, bob, ref(entry)) == set()  # an answer may come yet
    scene.run(ASK_AGAIN_S)
    assert holder in asked_by(scene, bob, ref(entry))
    assert done(bob.store.locate(entry.id)) is not None
    assert bob.machine.strays.asked == bob.machine.strays.tried == {}


@pytest.mark.parametrize("is_private", [False, True])
def test_only_who_shares_a_feed_followed_in_private_hears_what_it_refers_to(
    scene: Scene, carol: Person, is_private: bool
) -> None:
    alice = person("alice")
    bob = scene.node("bob", "alice")
    bob.machine.holdings.set_private(alice.hash, is_private)
    scene.puppet("far").greet("bob")
    scene.puppet("near").greet("bob", alice)
    wanted = ref(carol.log.note("tea?"))
    bob.feed(ev.Ask(wanted, alice.hash))
    scene.run(0.5)
    asked = {to for _, _, to, said, _ in scene.sent if isinstance(said, Fetch)}
    assert asked == ({"near"} if is_private else {"near", "far"})


def test_of_few_entries_it_is_remembered_who_was_asked(scene: Scene, carol: Person) -> None:
    bob = scene.node("bob")
    neighbours(scene, bob, 1)
    for entry in carol.notes(TRIED_MAX + 5):
        bob.feed(ev.Ask(ref(entry)))
    assert len(bob.machine.strays.tried) == TRIED_MAX
