"""What a hostile peer or author must not do with offers: silence others, flood, or make honest nodes part."""

from __future__ import annotations

import pytest
from builders import person, ref
from gossip_scenes import Scene, Table
from test_offer_scenes import CAROL, Liar, found

from p2pblog.core.payload import Ref
from p2pblog.gossip import events as ev
from p2pblog.gossip.messages import Fetch, Found


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- honest nodes stay linked -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", ["identity", "device", "seq"])
def test_who_refers_to_a_wrong_place_parts_nobody(scene: Scene, lie: str) -> None:
    """A reference names an entry that is there, but not where it is: who is asked has nothing of the kind."""
    alice, _bob = scene.node("alice"), scene.node("bob", "alice")
    scene.link("alice", "bob")
    scene.run(1)
    notice = alice.post("tea?")
    scene.run(1)
    true = ref(notice)
    wrong = {
        "identity": Ref(CAROL.hash, true.device, true.seq, true.id),
        "device": Ref(true.identity, CAROL.key, true.seq, true.id),
        "seq": Ref(true.identity, true.device, true.seq + 7, true.id),
    }[lie]
    reader = scene.node("reader")
    scene.link("reader", "bob")
    scene.run(1)
    reader.feed(ev.Ask(wrong))
    scene.run(1)
    assert len(scene.said(Fetch, "reader")) == 1
    assert scene.closed == [] and reader.machine.strays.asked == {}


def test_an_entry_that_its_author_disowned_parts_nobody(scene: Scene) -> None:
    """Held, but written beyond where its identity retired the device: who is asked for it has nothing to give."""
    dora, bob = scene.node("dora"), scene.node("bob", "dora")
    scene.link("dora", "bob")
    scene.run(1)
    notice = dora.post("tea?")
    scene.run(1)
    before = dora.person.log.entries[notice.seq - 2]
    bob.learn(person("dora").retire(notice.device, before.seq, before.id))
    reader = scene.node("reader")
    scene.link("reader", "bob")
    scene.run(1)
    reader.feed(ev.Ask(ref(notice)))
    scene.run(1)
    assert len(scene.said(Fetch, "reader")) == 1 and scene.closed == []


def test_an_answer_to_a_lying_reference_is_no_answer_to_an_offer(scene: Scene) -> None:
    liar = Liar(scene)
    liar.is_silent = True
    (entry,) = liar.mentions()
    liar.offers(entry)
    true = ref(entry)
    ruth = liar.ruth
    assert isinstance(ruth, Table)
    wrong = Ref(true.identity, true.device, true.seq + 7, true.id)
    ruth.feed(ev.Ask(wrong))
    liar.puppet.say("ruth", Found(wrong))
    scene.run(0.1)
    assert scene.closed == []
    liar.puppet.say("ruth", found(liar.author, entry))
    scene.run(0.1)
    assert liar.waiting == [entry.id]
