"""Whom a node asks for one entry of a log that it does not follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from builders import Person, person, ref
from gossip_scenes import Puppet, Scene, Table, done, fill, node_key, pongs
from test_offer_scenes import found

from p2pblog.core.entry import Entry
from p2pblog.core.logs import Located
from p2pblog.core.payload import Ref
from p2pblog.core.value import replace
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Fetch, Found, Message, Tokens
from p2pblog.gossip.offer_messages import OFFERS_VERSION, Offer
from p2pblog.gossip.strays import ASK_AGAIN_S, ASKED_PEERS_MAX, LATER_MAX, TRIED_MAX


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
    assert not bob.machine.strays.awaits(entry.id) and bob.machine.strays.tried == {}


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


# --- what was said of it since ----------------------------------------------------------------------------------------


def heard_founds(puppet: Puppet) -> list[Found]:
    return [said for said in puppet.heard if isinstance(said, Found)]


def asks(scene: Scene, table: Table, wanted: Entry) -> list[Found]:
    """What a stranger is told who asks for an entry."""
    zoe = scene.puppet("zoe")
    zoe.greet(table.name)
    zoe.say(table.name, Fetch(ref(wanted)))
    scene.run(0.5)
    return heard_founds(zoe)


def test_an_edit_comes_before_the_notice(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob", "carol"), carol.log.note("teh tea")
    carol.log.edit(note, "the tae")
    edit = carol.log.edit(note, "the tea")
    bob.keep(carol, carol.log.entries)
    assert asks(scene, bob, note) == [found(carol, edit), found(carol, note)]


def test_of_what_is_taken_back_only_that_is_told(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob", "carol"), carol.log.note("my number is 555")
    delete = carol.log.delete(note)
    bob.keep(carol, carol.log.entries)
    assert asks(scene, bob, note) == [found(carol, delete), Found(ref(note))]


def test_what_is_here_is_asked_again_of_who_follows_its_author(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob"), carol.log.note("my number is 555")
    done(bob.store.put_stray(Located(carol.hash, note, ()), 0))
    delete = carol.log.delete(note)
    scene.puppet("far").greet("bob")
    stale, knows = sorted((scene.puppet("near"), scene.puppet("next")), key=lambda puppet: node_key(puppet.name))
    for puppet in (stale, knows):
        puppet.greet("bob")
        puppet.say("bob", Tokens((puppet.token(carol.hash),)))
    stale.answer = giving(found(carol, note))
    knows.answer = giving(found(carol, delete), Found(ref(note)))
    scene.run(0.5)
    bob.feed(ev.Ask(ref(note), again=True))
    assert not bob.machine.strays.awaits(note.id)  # a page does not wait for it
    scene.run(0.5)
    asked = {to for _, who, to, said, _ in scene.sent if who == "bob" and isinstance(said, Fetch)}
    assert asked == {"near", "next"}
    assert done(bob.store.taken_back_by(carol.hash, note.id)) == delete.id
    assert bob.machine.strays.asked == {}


def test_a_first_answer_leaves_room_for_another_peers_delete(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob"), carol.log.note("my number is 555")
    delete = carol.log.delete(note)
    first, _, last = (scene.parties[name] for name in neighbours(scene, bob, ASKED_PEERS_MAX))
    assert isinstance(first, Puppet) and isinstance(last, Puppet)
    first.answer, last.answer = giving(found(carol, note)), lambda said: pongs(said)
    asked_by(scene, bob, ref(note))
    assert done(bob.store.rows([note.id]))
    last.say("bob", found(carol, delete), Found(ref(note)))
    scene.run(0.5)
    assert not done(bob.store.rows([note.id]))


@pytest.mark.parametrize("lie", ["by another", "of another", "of another's", "a note"])
def test_what_is_no_later_word_of_its_author_is_left_aside(scene: Scene, carol: Person, lie: str) -> None:
    bob, note, mallory = scene.node("bob"), carol.log.note("tea?"), person("mallory")
    done(bob.store.put_stray(Located(carol.hash, note, ()), 0))
    others = mallory.log.note("mine")
    said = {
        "by another": found(mallory, mallory.log.delete(note)),
        "of another": found(carol, carol.log.delete(carol.log.note("another"))),
        "of another's": found(mallory, mallory.log.delete(others)),
        "a note": found(carol, carol.log.note("look", note)),
    }[lie]
    liar = scene.puppet("liar")
    liar.greet("bob", carol)
    liar.answer = giving(said)
    bob.feed(ev.Ask(ref(note), again=True))
    scene.run(0.5)
    assert liar.is_linked  # it may be the answer to a question that was forgotten
    assert done(bob.store.locate(said.ref.id)) is None


def test_a_delete_that_its_author_did_not_sign_ends_the_link(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob"), carol.log.note("tea?")
    done(bob.store.put_stray(Located(carol.hash, note, ()), 0))
    forged = replace(found(carol, carol.log.delete(note)), signature=bytes(64))
    liar = scene.puppet("liar")
    liar.greet("bob", carol)
    liar.answer = giving(forged)
    bob.feed(ev.Ask(ref(note), again=True))
    scene.run(0.5)
    assert not liar.is_linked
    assert done(bob.store.rows([note.id]))


def test_so_many_words_are_taken_for_one_question(scene: Scene, carol: Person) -> None:
    bob, note = scene.node("bob"), carol.log.note("tea?")
    done(bob.store.put_stray(Located(carol.hash, note, ()), 0))
    edits = [carol.log.edit(note, f"tea {number}") for number in range(LATER_MAX + 3)]
    talker = scene.puppet("talker")
    talker.greet("bob", carol)
    talker.answer = giving(*(found(carol, edit) for edit in edits))
    bob.feed(ev.Ask(ref(note), again=True))
    scene.run(0.5)
    assert len(done(bob.store.versions(note.id))) == 1 + LATER_MAX


def test_what_waits_for_somebody_goes_with_a_delete_that_comes_singly(scene: Scene, carol: Person) -> None:
    ruth, alice = scene.node("ruth", "alice"), person("alice")
    answer = carol.log.note(f"my number is 555, @{alice.address}")
    peer = scene.puppet("peer")
    peer.greet("ruth", alice, version=OFFERS_VERSION)
    peer.answer = giving(found(carol, answer))
    peer.say("ruth", Offer(alice.hash, 1, (ref(answer),)))
    scene.run(0.5)
    assert list(ruth.machine.offers.waiting) == [answer.id]
    peer.say("ruth", Tokens((peer.token(carol.hash),)))
    peer.answer = giving(found(carol, carol.log.delete(answer)), Found(ref(answer)))
    ruth.feed(ev.Ask(ref(answer), again=True))
    scene.run(0.5)
    assert not ruth.machine.offers.waiting
