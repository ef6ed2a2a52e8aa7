"""Notes as their texts: between nodes that both say so, in runs and live; whole with everybody else, and never both."""

from __future__ import annotations

from typing import Any

import pytest
from builders import person
from gossip_scenes import Puppet, Scene, Table

from p2pblog.core.entry import Entry
from p2pblog.core.payload import Note
from p2pblog.core.runs import encode_run
from p2pblog.gossip.messages import PROTOCOL_VERSION, TEXTS_VERSION, Graft, Live, Run, Want

EARLIER = TEXTS_VERSION - 1


@pytest.fixture
def scene() -> Scene:
    return Scene()


def bob_and(scene: Scene, name: str, version: int) -> tuple[Table, Puppet]:
    """Bob, who wrote two notes and a warning, and somebody who reads him."""
    bob, puppet = scene.node("bob"), scene.puppet(name)
    for said in (Note("one"), Note("two"), Note("three", warning="the end")):
        bob.wrote(bob.person.log.write(said))
    puppet.greet("bob", bob.person, version=version)
    return bob, puppet


def carried(message: Run | Live) -> list[Any]:
    return list(message.value[4])


@pytest.mark.parametrize("version", [1, EARLIER, TEXTS_VERSION, TEXTS_VERSION + 1])
def test_who_says_an_earlier_version_is_given_payloads_and_everybody_else_texts(scene: Scene, version: int) -> None:
    bob, reader = bob_and(scene, "erin", version)
    log = bob.person.log
    reader.say("bob", Want(log.key, 1, len(log.entries)), Graft(log.key, len(log.entries) + 1))
    bob.post("four")
    scene.run(1)
    (run,), (live,) = reader.told(Run), reader.told(Live)
    whole = [entry.payload for entry in log.entries]
    if version < TEXTS_VERSION:
        assert carried(run) + carried(live) == whole
    else:
        assert carried(run) + carried(live) == [whole[0], "one", "two", whole[3], "four"]


def said(entries: tuple[Entry, ...], kind: type[Run] | type[Live], texts: bool) -> Run | Live:
    return kind(encode_run(entries, prev_known=kind is Live, texts=texts))


@pytest.mark.parametrize("kind", [Run, Live])
@pytest.mark.parametrize("version", [EARLIER, TEXTS_VERSION])
@pytest.mark.parametrize("texts", [True, False])
def test_each_link_has_one_spelling(scene: Scene, kind: type[Run] | type[Live], version: int, texts: bool) -> None:
    carol = person("carol")
    carol.notes(2)
    bob, giver = scene.node("bob", "carol"), scene.puppet("erin")
    bob.keep(carol, carol.log.run(1, 1))
    giver.greet("bob", carol, version=version)
    if kind is Run:
        giver.claims("bob", carol, (1, 2))
    giver.say("bob", said(carol.log.run(2, 2), kind, texts))
    scene.run(1)
    if texts == (version >= TEXTS_VERSION):
        assert scene.closed == [] and bob.machine.holdings.high(carol.key) == 2
    else:
        assert [error.name for _, _, error in scene.closed if error] == ["malformed" if texts else "not-canonical"]
        assert bob.machine.holdings.high(carol.key) == 1


def test_what_came_as_a_text_is_stored_as_its_author_signed_it(scene: Scene) -> None:
    carol = person("carol")
    carol.notes(80)
    bob, dave = scene.node("bob", "carol"), scene.node("dave", "carol")
    bob.keep(carol, carol.log.run())
    scene.link("bob", "dave")
    scene.run(5)
    assert {item for run in scene.said(Run) for item in carried(run)} - {carol.log.entries[0].payload} == {
        f"note {number}" for number in range(1, 81)
    }
    held = dave.store._logs[carol.key].held
    assert [held[seq].entry.payload for seq in range(1, 82)] == [entry.payload for entry in carol.log.run()]
    assert PROTOCOL_VERSION >= TEXTS_VERSION
