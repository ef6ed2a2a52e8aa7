"""What a hostile peer or author must not do with offers: silence others, flood, or make honest nodes part."""

from __future__ import annotations

import pytest
from builders import NOON, person, ref
from gossip_scenes import Scene, Table, build_machine, done
from test_offer_scenes import ALICE, CAROL, Liar, answers, found, restarted, stranger, waiting, waits_at

from p2pblog.config import (
    OFFER_LIFETIME_MS,
    OFFERS_ADVANCED_MAX,
    OFFERS_ADVANCED_PER_S,
    OFFERS_HEEDED_MAX,
    OFFERS_HEEDED_PER_S,
    OFFERS_MAX,
    OFFERS_PER_TARGET_MAX,
)
from p2pblog.core.payload import Ref
from p2pblog.gossip import events as ev
from p2pblog.gossip import offers as machine
from p2pblog.gossip.messages import Fetch, Found
from p2pblog.gossip.offer_messages import OFFERS_PER_MESSAGE
from p2pblog.gossip.offers import Allowance, Offers, Waiting
from p2pblog.gossip.sharing import Session


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


# --- room -------------------------------------------------------------------------------------------------------------


def test_a_flood_by_one_link_takes_no_room_from_what_others_brought() -> None:
    offers = build_machine("ruth", follows=[ALICE]).offers
    honest = [stranger(number) for number in range(8)]
    for author in honest:
        offers._keep(waiting(author, author.log.note(f"@{ALICE.address}"), "honest"))
    for number in range(100, 101 + OFFERS_PER_TARGET_MAX):
        author = stranger(number)
        offers._keep(waiting(author, author.log.note(f"@{ALICE.address}"), "mallory"))
    authors = {held.author for held in offers.waiting.values()}
    assert len(authors) == OFFERS_PER_TARGET_MAX
    assert {author.hash for author in honest} <= authors


def test_what_others_say_takes_no_room_from_own_answers() -> None:
    people = [person(f"read {number}") for number in range(5)]
    offers = build_machine("carol", follows=people).offers
    offers.on_own([CAROL.log.note(f"@{people[0].address}")], 0.0)
    (own,) = offers.waiting
    for number in range(OFFERS_MAX + 1):
        author, target = stranger(number), people[number % 5]
        held = found(author, author.log.note(f"@{target.address}"))
        offers._keep(Waiting(held, (target.hash,), 0, None))  # as after a start
    assert own in offers.waiting and len(offers.waiting) <= OFFERS_MAX


def test_what_was_seen_is_remembered_of_so_many_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OFFERS_SEEN_MAX", 2)
    liar = Liar(scene)
    entries = liar.mentions(3)
    liar.offers(*entries)
    assert isinstance(liar.ruth, Table)
    assert list(liar.ruth.machine.offers.seen) == [entry.id for entry in entries[1:]]


def test_what_somebody_said_who_is_blocked_before_it_comes_does_not_wait(scene: Scene) -> None:
    liar = Liar(scene)
    (entry,) = liar.mentions(by=CAROL)
    liar.is_silent = True
    liar.offers(entry)
    assert liar.puppet.told(Fetch) == [Fetch(ref(entry))] and isinstance(liar.ruth, Table)
    liar.ruth.feed(ev.Blocked(CAROL.hash))
    liar.puppet.say("ruth", liar.gives[entry.id])
    scene.run(1)
    assert liar.waiting == [] and liar.ruth.machine.offers.asked == {} and scene.closed == []
    assert done(liar.ruth.store.settings("offer.")) == {}


# --- what was taken back ----------------------------------------------------------------------------------------------


def test_an_answer_that_its_author_deleted_is_offered_no_more(scene: Scene) -> None:
    carol = scene.node("carol")
    answer, other = answers(carol), answers(carol, "coffee!")
    scene.run(1)
    carol.wrote(carol.person.log.delete(answer))
    scene.run(1)
    assert waits_at(carol) == [other.id]
    assert list(done(carol.store.settings("offer."))) == [f"offer.{other.id.hex()}"]


def test_nobody_deletes_what_others_wrote(scene: Scene) -> None:
    carol, ruth = scene.node("carol"), scene.node("ruth", "alice")
    scene.link("carol", "ruth")
    scene.run(1)
    answer = answers(carol)
    scene.run(1)
    ruth.wrote(ruth.person.log.delete(answer))
    scene.run(1)
    assert waits_at(ruth) == [answer.id]


@pytest.mark.parametrize("early_s", [1, 0])
def test_what_has_waited_for_a_month_goes_though_the_node_never_stopped(scene: Scene, early_s: int) -> None:
    carol = scene.node("carol")
    old = answers(carol)
    scene.run(1)
    half_ms = OFFER_LIFETIME_MS // 2
    again = restarted(scene, carol, NOON + half_ms)
    started = scene.now
    new = CAROL.log.note(f"@{ALICE.address} still there?")
    again.perform(again.machine.offers.on_own([new], scene.now))
    scene.run(1)
    assert waits_at(again) == [old.id, new.id]
    again.perform(again.machine.handle(ev.Due(ev.OfferDue()), started + half_ms / 1000 - early_s))
    scene.run(0.1)
    left = [old.id, new.id] if early_s else [new.id]
    assert waits_at(again) == left
    assert set(done(again.store.settings("offer."))) == {f"offer.{entry.hex()}" for entry in left}


def test_what_came_is_offered_without_a_look_at_all_that_waits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who offers much made each look at all that waits, once for each link."""
    liar = Liar(scene)
    liar.offers(*liar.mentions(8, by=stranger(1)), *liar.mentions(8, by=stranger(2)))
    looked: list[bytes] = []
    look = Offers._target_for

    def counted(offers: Offers, session: Session, held: Waiting, cares: dict[bytes, bool]) -> bytes | None:
        looked.append(held.found.ref.id)
        return look(offers, session, held, cares)

    monkeypatch.setattr(Offers, "_target_for", counted)
    liar.offers(*(last := liar.mentions(1)))
    assert set(looked) == {last[0].id}


def test_who_comes_after_strangers_took_all_is_heeded_in_time(scene: Scene) -> None:
    honest = Liar(scene, "honest")
    assert isinstance(honest.ruth, Table)
    for at in range(2 * OFFERS_HEEDED_MAX):
        honest.ruth.machine.offers.advances = Allowance(0.0, scene.now)
        honest.offers(*honest.mentions(1))
        assert len(honest.puppet.told(Fetch)) >= at
        scene.run(1 / OFFERS_HEEDED_PER_S)
    assert scene.closed == []


def test_who_waits_and_then_says_all_at_once_is_heeded_no_more_than_a_newcomer(scene: Scene) -> None:
    liar = Liar(scene)
    liar.offers(*liar.mentions(1))
    scene.run(OFFERS_HEEDED_MAX / 2 / OFFERS_HEEDED_PER_S)
    entries = liar.mentions(2 * OFFERS_HEEDED_MAX)
    for at in range(0, len(entries), OFFERS_PER_MESSAGE):
        liar.offers(*entries[at : at + OFFERS_PER_MESSAGE])
    assert len(liar.puppet.told(Fetch)) == 1 + OFFERS_HEEDED_MAX


def test_who_links_again_and_again_is_heeded_no_more(scene: Scene) -> None:
    liar = Liar(scene)
    for _ in range(2 * OFFERS_ADVANCED_MAX // OFFERS_HEEDED_MAX):
        entries = liar.mentions(OFFERS_HEEDED_MAX)
        for at in range(0, OFFERS_HEEDED_MAX, OFFERS_PER_MESSAGE):
            liar.offers(*entries[at : at + OFFERS_PER_MESSAGE])
        scene.relink("mallory", "ruth")
        liar.puppet.greet("ruth", ALICE, version=3)
    most = OFFERS_ADVANCED_MAX + scene.now * (OFFERS_ADVANCED_PER_S + OFFERS_HEEDED_PER_S)
    assert OFFERS_ADVANCED_MAX <= len(liar.puppet.told(Fetch)) <= most
