"""Carol answers Alice, who doesn't follow her and is away: who keeps it for Alice, and what becomes of liars."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest
from builders import NOON, Person, person, ref
from gossip_scenes import Puppet, Scene, Table, build_machine, done, node_key, pongs

from p2pblog.config import (
    OFFER_COPIES,
    OFFER_EVERY_S,
    OFFER_LIFETIME_MS,
    OFFERS_AT_ONCE,
    OFFERS_EXCESS_MAX,
    OFFERS_HEEDED_MAX,
    OFFERS_HEEDED_PER_S,
    OFFERS_MAX,
    OFFERS_OF_OWN_MAX,
    OFFERS_PER_AUTHOR_MAX,
    OFFERS_PER_PEER_MAX,
    OFFERS_PER_S,
    OFFERS_PER_TARGET_MAX,
)
from p2pblog.core.entry import Entry
from p2pblog.core.payload import Note
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, BadMessage, Flooded
from p2pblog.gossip import events as ev
from p2pblog.gossip import offers
from p2pblog.gossip.keeper import Keeper, kept_offers, offer_value
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.messages import Fetch, Found, Message, Ping, Pong
from p2pblog.gossip.offer_messages import OFFER_HOPS_MAX, OFFERS_PER_MESSAGE, Offer
from p2pblog.gossip.offers import ASK_AGAIN_S, Offers, Waiting
from p2pblog.gossip.sharing import Sharing

ALICE, CAROL = person("alice"), person("carol")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@cache
def stranger(number: int) -> Person:
    """One of many; what he writes goes on from test to test."""
    return person(f"author {number}")


def question() -> Entry:
    """Alice's, which everybody here has read."""
    return person("alice").log.note("tea?")


def answers(table: Table, text: str = "tea!") -> Entry:
    return table.wrote(table.person.log.note(text, reply_to=question()))


def has(table: Table, entry: Entry) -> bool:
    return done(table.store.locate(entry.id)) is not None


def waits_at(table: Table) -> list[bytes]:
    return list(table.machine.offers.waiting)


def found(author: Person, entry: Entry) -> Found:
    return Found(ref(entry), author.identity.wire, (entry.body,), entry.signature, entry.payload)


# --- from one to the other --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [(), ("alice",)], ids=["carol follows nobody", "carol follows alice"])
def test_an_answer_waits_at_a_replica_until_its_target_comes(scene: Scene, follows: tuple[str, ...]) -> None:
    carol, ruth = scene.node("carol", *follows), scene.node("ruth", "alice")
    scene.link("carol", "ruth")
    scene.run(1)
    answer = answers(carol)
    scene.run(1)
    assert waits_at(ruth) == [answer.id] and has(ruth, answer)
    scene.cut("carol", "ruth")
    alice = scene.node("alice")
    scene.link("alice", "ruth")
    within = scene.until(lambda: has(alice, answer))
    assert within < OFFER_EVERY_S + 2
    assert waits_at(alice) == [] and scene.closed == []
    scene.run(60)
    scene.relink("alice", "ruth")
    scene.run(60)
    assert len(scene.said(Offer, "ruth")) == 1  # nobody is told twice


def test_a_mention_and_a_quote_are_meant_for_somebody_too(scene: Scene) -> None:
    carol, ruth = scene.node("carol"), scene.node("ruth", "alice")
    scene.link("carol", "ruth")
    scene.run(1)
    told = [
        carol.wrote(carol.person.log.note(f"@{ALICE.address} tea?")),
        carol.wrote(carol.person.log.quote(question(), "she asks for tea")),
    ]
    carol.post("nobody in particular")
    carol.wrote(carol.person.log.note("a group finds it in the DHT: !birds"))
    carol.wrote(carol.person.log.like(question()))
    carol.wrote(carol.person.log.write(Note("imported", ref(question()), imported_ms=NOON)))
    scene.run(1)
    assert waits_at(ruth) == waits_at(carol) == [entry.id for entry in told]


def test_the_author_keeps_an_answer_until_somebody_comes(scene: Scene) -> None:
    carol = scene.node("carol")
    answer = answers(carol)
    scene.run(3600)
    ruth, tom = scene.node("ruth", "alice"), scene.node("tom")
    scene.link("carol", "tom")
    scene.link("carol", "ruth")
    scene.until(lambda: waits_at(ruth) == [answer.id], OFFER_EVERY_S + 2)
    assert scene.said(Offer, "carol", "tom") == []
    assert waits_at(tom) == []


def test_it_is_offered_to_some_replicas_they_offer_it_to_some_and_those_to_the_target_alone(scene: Scene) -> None:
    carol = scene.node("carol")
    names = [f"ruth {number}" for number in range(20)]
    tables = [scene.node(name, "alice") for name in names]
    for number, name in enumerate(names):
        for other in names[:number]:
            scene.link(name, other)
        scene.link("carol", name)
    scene.run(2)
    answer = answers(carol)
    scene.run(600)
    hold = [table for table in tables if waits_at(table)]
    assert OFFER_COPIES < len(hold) <= OFFER_COPIES + OFFER_COPIES**2
    assert sorted({offer.hops_left for offer in scene.said(Offer)}) == [0, OFFER_HOPS_MAX]
    last = next(table for table in hold if table.machine.offers.waiting[answer.id].hops_left < 0)
    assert scene.said(Offer, last.name) == []
    alice = scene.node("alice")
    scene.link("alice", last.name)
    scene.until(lambda: has(alice, answer), OFFER_EVERY_S + 2)


def test_who_only_relays_the_feed_takes_no_place_of_who_follows_it(scene: Scene) -> None:
    """Carol follows alice and asks her neighbours to relay her: these care for the feed, too, and keep nothing."""
    *relays, ruth = sorted((f"node {number}" for number in range(OFFER_COPIES + 1)), key=node_key)
    carol = scene.node("carol", "alice")
    tables = [scene.node(name) for name in relays]
    for name in relays:
        scene.link("carol", name)
    scene.until(lambda: all(ALICE.hash in carol.shares(name) for name in relays))
    answer = answers(carol)
    scene.run(1)
    assert len(scene.said(Offer, "carol")) == OFFER_COPIES and not any(map(waits_at, tables))
    assert carol.machine.offers.unheard() == [ALICE.hash]
    follower = scene.node(ruth, "alice")
    scene.link("carol", ruth)
    scene.until(lambda: waits_at(follower) == [answer.id], 2 * OFFER_EVERY_S + 1)
    assert carol.machine.offers.unheard() == []
    scene.run(60)
    assert len(scene.said(Offer, "carol")) == OFFER_COPIES + 1  # nobody is told twice


def silent(scene: Scene, count: int) -> list[Puppet]:
    """Links of carol that care for alice and ask for nothing."""
    puppets = [scene.puppet(f"silent {number}") for number in range(count)]
    for puppet in puppets:
        puppet.answer = pongs
        puppet.greet("carol", ALICE, version=3)
    return puppets


def told_of(puppets: Iterable[Puppet]) -> list[Puppet]:
    return [puppet for puppet in puppets if puppet.told(Offer)]


def test_who_asks_late_is_a_copy_all_the_same(scene: Scene) -> None:
    carol, puppets = scene.node("carol"), silent(scene, 4 * OFFER_COPIES)
    answer = answers(carol)
    scene.run(1)
    first = told_of(puppets)
    assert len(first) == OFFER_COPIES
    scene.until(lambda: len(told_of(puppets)) == 2 * OFFER_COPIES, 2 * OFFER_EVERY_S + 1)
    for puppet in first:
        puppet.say("carol", Fetch(ref(answer)))
    scene.run(60)
    assert len(told_of(puppets)) == 2 * OFFER_COPIES


def test_of_those_who_ask_for_nothing_so_many_are_told_and_the_target_itself_still_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "OFFERS_TRIED_MAX", 2 * OFFER_COPIES)
    carol, puppets = scene.node("carol", "alice"), silent(scene, 3 * OFFER_COPIES)
    answer = answers(carol)
    scene.run(60)
    assert [len(puppet.told(Offer)) for puppet in told_of(puppets)] == [1] * 2 * OFFER_COPIES
    alice = scene.node("alice")
    scene.link("alice", "carol")
    scene.until(lambda: has(alice, answer), OFFER_EVERY_S + 2)


def test_what_many_offer_is_fetched_once(scene: Scene) -> None:
    carol = scene.node("carol")
    names = [f"ruth {number}" for number in range(3)]
    for name in names:
        scene.node(name, "alice")
        scene.link("carol", name)
    scene.run(1)
    answer = answers(carol)
    scene.run(10)
    alice = scene.node("alice")
    for name in names:
        scene.link("alice", name)
    scene.run(60)
    assert has(alice, answer)
    assert len({id(offer) for offer in scene.said(Offer, receiver="alice")}) == 3
    assert len(scene.said(Fetch, "alice")) == 1


def test_who_follows_the_author_has_it_from_the_log(scene: Scene) -> None:
    carol, alice = scene.node("carol", "alice"), scene.node("alice", "carol")
    scene.link("carol", "alice")
    scene.run(2)
    answer = answers(carol)
    scene.run(30)
    assert has(alice, answer) and scene.said(Offer) == []
    ruth = scene.node("ruth", "alice")
    scene.link("ruth", "carol")
    scene.link("ruth", "alice")
    scene.run(30)
    assert waits_at(ruth) == [answer.id]
    assert scene.said(Offer, "ruth", "alice") and scene.said(Fetch, "alice") == []


def test_the_nodes_of_others_and_of_earlier_versions_are_told_nothing(scene: Scene) -> None:
    carol = scene.node("carol")
    old, new, other = scene.puppet("old"), scene.puppet("new"), scene.puppet("other")
    old.greet("carol", ALICE, version=2)
    other.greet("carol", person("bob"), version=3)
    answers(carol)
    scene.run(30)
    new.greet("carol", ALICE, version=3)
    scene.run(30)
    assert [len(puppet.told(Offer)) for puppet in (old, other, new)] == [0, 0, 1]


# --- what outlives a node, and what does not --------------------------------------------------------------------------


def restarted(scene: Scene, table: Table, now_ms: int = NOON) -> Table:
    """The node of this name again, on what its store kept."""
    del scene.parties[table.name]
    again = Table(scene, table.name, table.endpoint, 0)
    scene.parties[table.name] = again
    again.store = table.store
    again.machine.holdings.interests.update(table.machine.holdings.interests)
    again.machine.holdings.blocked.update(table.machine.holdings.blocked)
    again.keep_own()
    again.machine.offers.restore(*kept_offers(done(table.store.load()), now_ms))
    again.perform(again.machine.start(scene.now))
    return again


@pytest.mark.parametrize("name", ["carol", "ruth"])
def test_what_waits_waits_after_a_start_too(scene: Scene, name: str) -> None:
    carol, ruth = scene.node("carol"), scene.node("ruth", "alice")
    if name == "ruth":
        scene.link("carol", "ruth")
        scene.run(1)
    answer = answers(carol)
    scene.run(1)
    scene.cut("carol", "ruth")
    again = restarted(scene, carol if name == "carol" else ruth)
    assert waits_at(again) == [answer.id]
    alice = scene.node("alice")
    scene.link("alice", name)
    scene.until(lambda: has(alice, answer), OFFER_EVERY_S + 2)


@pytest.mark.parametrize("age_ms", [OFFER_LIFETIME_MS - 1, OFFER_LIFETIME_MS])
def test_what_has_waited_for_a_month_waits_no_more(scene: Scene, age_ms: int) -> None:
    carol = scene.node("carol")
    answer = answers(carol)
    scene.run(1)
    again = restarted(scene, carol, NOON + age_ms)
    scene.run(1)
    kept = [answer.id] if age_ms < OFFER_LIFETIME_MS else []
    assert waits_at(again) == kept
    assert len(done(again.store.settings("offer."))) == len(kept)


@pytest.mark.parametrize("why", ["blocked", "unfollowed"])
def test_what_nobody_wants_any_more_goes_at_the_start(scene: Scene, why: str) -> None:
    """The node fell before its store had let go of it."""
    carol, ruth = scene.node("carol"), scene.node("ruth", "alice")
    scene.link("carol", "ruth")
    scene.run(1)
    answer = answers(carol)
    scene.run(1)
    assert waits_at(ruth) == [answer.id]
    if why == "blocked":
        ruth.machine.holdings.blocked[CAROL.hash] = None
    else:
        del ruth.machine.holdings.interests[ALICE.hash]
    scene.cut("carol", "ruth")
    again = restarted(scene, ruth)
    scene.run(1)
    assert waits_at(again) == [] and done(again.store.settings("offer.")) == {}


def test_what_another_version_wrote_is_dropped_at_the_start(scene: Scene) -> None:
    carol = scene.node("carol")
    answer, other = answers(carol), CAROL.log.entries[0]
    scene.run(1)
    (value,) = done(carol.store.settings("offer.")).values()
    for name, wrong in ((bytes(32), b"\xc0"), (other.id, value), (bytes([1]) * 32, value[:-1])):
        done(carol.store.put_setting(f"offer.{name.hex()}", wrong))
    again = restarted(scene, carol)
    scene.run(1)
    assert waits_at(again) == [answer.id]
    assert list(done(again.store.settings("offer."))) == [f"offer.{answer.id.hex()}"]


def test_nothing_waits_for_who_is_followed_no_more_or_by_who_is_blocked(scene: Scene) -> None:
    carol, ruth = scene.node("carol"), scene.node("ruth", "alice", "bob")
    scene.link("carol", "ruth")
    scene.run(1)
    answers(carol)
    both = carol.wrote(carol.person.log.note(f"@{ALICE.address} @{person('bob').address} hello"))
    scene.run(1)
    assert len(waits_at(ruth)) == 2
    ruth.unfollow("alice")
    scene.run(1)
    assert waits_at(ruth) == [both.id]
    assert ruth.machine.offers.waiting[both.id].targets == (person("bob").hash,)
    ruth.feed(ev.Blocked(CAROL.hash))
    scene.run(1)
    assert waits_at(ruth) == [] and done(ruth.store.settings("offer.")) == {}
    carol.wrote(carol.person.log.note(f"@{person('bob').address} hello?"))
    scene.run(30)
    assert waits_at(ruth) == [] and scene.closed == []


# --- liars ------------------------------------------------------------------------------------------------------------


class Liar:
    """A puppet that offers ruth, who follows alice, what it likes."""

    def __init__(self, scene: Scene, name: str = "mallory", *, entry: Entry | None = None) -> None:
        self.scene = scene
        self.ruth = scene.parties.get("ruth") or scene.node("ruth", "alice")
        self.author = person(name)
        self.puppet: Puppet = scene.puppet(name)
        self.puppet.greet("ruth", ALICE, version=3)
        self.gives: dict[bytes, Found] = {}
        self.is_silent = False
        self.puppet.answer = self._answer
        if entry is not None:
            self.gives[entry.id] = found(self.author, entry)

    def _answer(self, message: Message) -> Iterable[Message]:
        if isinstance(message, Ping):
            yield Pong(message.number)
        if isinstance(message, Fetch) and not self.is_silent:
            yield self.gives.get(message.ref.id, Found(message.ref))

    def offers(self, *entries: Entry, target: bytes = ALICE.hash, hops: int = 1) -> None:
        self.puppet.say("ruth", Offer(target, hops, tuple(ref(entry) for entry in entries)))
        self.scene.run(0.1)

    def mentions(self, count: int = 1, by: Person | None = None) -> list[Entry]:
        who = self.author if by is None else by
        entries = [who.log.note(f"@{ALICE.address} {number}") for number in range(count)]
        self.gives.update((entry.id, found(who, entry)) for entry in entries)
        return entries

    @property
    def waiting(self) -> list[bytes]:
        assert isinstance(self.ruth, Table)
        return waits_at(self.ruth)


def test_who_offers_what_does_not_refer_to_the_target_loses_the_link(scene: Scene) -> None:
    entry = person("mallory").log.note("buy this")
    liar = Liar(scene, entry=entry)
    liar.offers(entry)
    ((who, _other, error),) = scene.closed
    assert who == "ruth" and isinstance(error, BadMessage) and liar.waiting == []


def test_who_gives_another_entry_than_he_offered_loses_the_link(scene: Scene) -> None:
    liar = Liar(scene)
    one, other = liar.mentions(2)
    liar.gives[one.id] = liar.gives[other.id]
    liar.puppet.answer = lambda m: [replace(liar.gives[one.id], ref=ref(one))] if isinstance(m, Fetch) else []
    liar.offers(one)
    assert isinstance(scene.closed[0][2], BadChain) and liar.waiting == []


def test_who_gives_it_from_another_place_than_he_said_is_not_heard(scene: Scene) -> None:
    liar = Liar(scene)
    (one,) = liar.mentions()
    liar.puppet.answer = lambda m: [liar.gives[one.id]] if isinstance(m, Fetch) else []
    liar.puppet.say("ruth", Offer(ALICE.hash, 1, (replace(ref(one), seq=one.seq + 1),)))
    scene.run(0.1)
    assert len(liar.puppet.told(Fetch)) == 1 and liar.waiting == [] and scene.closed == []


@pytest.mark.parametrize("how", ["silent", "lacking", "gone", "lying"])
def test_what_is_not_given_is_asked_of_another_one_that_offered_it(scene: Scene, how: str) -> None:
    first, other = Liar(scene), Liar(scene, "trudy")
    (entry,) = first.mentions()
    other.gives = first.gives
    if how == "lying":
        lie = person("mallory").log.branch(1).note("buy this")
        first.puppet.answer = lambda m: (
            [replace(found(first.author, lie), ref=ref(entry))] if isinstance(m, Fetch) else []
        )
    elif how == "lacking":
        first.gives = {}
    first.is_silent = how in ("silent", "gone")
    for puppet in (first.puppet, other.puppet):
        scene.send(puppet.name, "ruth", offer_of([entry]))
    scene.run(0.1)
    assert len(first.puppet.told(Fetch)) == 1
    if how == "gone":
        scene.cut("mallory", "ruth")
    scene.run(ASK_AGAIN_S - 1 if how == "silent" else 1)
    assert bool(other.puppet.told(Fetch)) == (how != "silent")
    scene.run(OFFER_EVERY_S + 2)
    assert other.waiting == [entry.id] and len(other.puppet.told(Fetch)) == 1
    assert len(scene.closed) == (how == "lying")


def test_what_is_for_nobody_whom_she_follows_or_blocked_or_held_is_not_asked_for(scene: Scene) -> None:
    liar = Liar(scene)
    (entry,) = liar.mentions()
    liar.offers(entry, target=person("bob").hash)
    liar.offers(entry, target=bytes(32))
    assert liar.puppet.told(Fetch) == []
    liar.offers(entry)
    liar.offers(entry)
    assert len(liar.puppet.told(Fetch)) == 1 and liar.waiting == [entry.id]
    assert isinstance(liar.ruth, Table)
    liar.ruth.feed(ev.Blocked(liar.author.hash))
    liar.offers(*liar.mentions())
    assert len(liar.puppet.told(Fetch)) == 1 and scene.closed == []


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_so_many_are_heeded_at_once(scene: Scene, extra: int) -> None:
    liar = Liar(scene)
    entries = liar.mentions(OFFERS_HEEDED_MAX + extra)
    for at in range(0, len(entries), OFFERS_PER_MESSAGE):
        liar.puppet.scene.send(liar.puppet.name, "ruth", offer_of(entries[at : at + OFFERS_PER_MESSAGE]))
    scene.run(0.2)
    assert len(liar.puppet.told(Fetch)) == OFFERS_HEEDED_MAX + min(extra, 0)
    scene.run(1 / OFFERS_HEEDED_PER_S)
    liar.offers(*liar.mentions())
    assert len(liar.puppet.told(Fetch)) == OFFERS_HEEDED_MAX + min(extra, 0) + 1


def offer_of(entries: Iterable[Entry]) -> Offer:
    return Offer(ALICE.hash, 1, tuple(ref(entry) for entry in entries))


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_who_offers_far_too_much_loses_the_link(scene: Scene, extra: int) -> None:
    liar = Liar(scene)
    entries = liar.mentions(1) * (OFFERS_HEEDED_MAX + OFFERS_EXCESS_MAX + extra)
    for at in range(0, len(entries), OFFERS_PER_MESSAGE):
        scene.send("mallory", "ruth", offer_of(entries[at : at + OFFERS_PER_MESSAGE]))
    scene.run(0.1)
    assert [type(error) for _who, _other, error in scene.closed] == [Flooded] * (extra > 0)


def test_an_honest_node_offers_no_more_than_is_heeded(scene: Scene) -> None:
    assert OFFERS_AT_ONCE <= OFFERS_HEEDED_MAX and OFFERS_PER_S <= OFFERS_HEEDED_PER_S
    ruth, alice = scene.node("ruth", "alice"), scene.node("alice")
    offers = ruth.machine.offers
    for number in range(OFFERS_PER_TARGET_MAX):
        author = stranger(number)
        offers._keep(waiting(author, author.log.note(f"@{ALICE.address}"), kept=True))
    scene.link("ruth", "alice")
    ruth.feed(ev.Due(ev.OfferDue()))
    scene.run(60)
    assert OFFERS_AT_ONCE <= len(scene.said(Fetch, "alice")) <= OFFERS_AT_ONCE + 60 * OFFERS_PER_S + 1
    scene.run(OFFERS_PER_TARGET_MAX / OFFERS_PER_S)
    assert len(scene.said(Fetch, "alice")) == OFFERS_PER_TARGET_MAX and scene.closed == []
    assert waits_at(alice) == []


# --- room -------------------------------------------------------------------------------------------------------------


def waiting(author: Person, entry: Entry, source: str | None = "mallory", *, kept: bool = False) -> Waiting:
    return Waiting(found(author, entry), (ALICE.hash,), 0, None if source is None else node_key(source), kept)


def full(count: int, most: int, *, text: str = f"@{ALICE.address}", authors: int = 1, sources: int = 1) -> Offers:
    """Ruth's offers after so many came, by some authors over some links; the last one has its place."""
    offers = build_machine("ruth", follows=[ALICE, person("bob")]).offers
    people = [stranger(number) for number in range(authors)]
    dropped = 0
    for number in range(count):
        author = people[number % authors]
        new = waiting(author, author.log.note(f"{text} {number}"), f"peer {number % sources}")
        *gone, kept = offers._keep(new)
        assert isinstance(kept, ev.KeepOffer) and kept.found == new.found
        assert all(isinstance(effect, ev.KeepOffer) and effect.found is None for effect in gone)
        dropped += len(gone)
        assert new.found.ref.id in offers.waiting
    assert len(offers.waiting) == min(count, most) and dropped == max(0, count - most)
    return offers


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_room_for_each_author(extra: int) -> None:
    full(OFFERS_PER_AUTHOR_MAX + extra, OFFERS_PER_AUTHOR_MAX)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_room_for_each_target(extra: int) -> None:
    full(OFFERS_PER_TARGET_MAX + extra, OFFERS_PER_TARGET_MAX, authors=OFFERS_PER_TARGET_MAX + 1, sources=9)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_room_for_each_link(extra: int) -> None:
    assert OFFERS_PER_PEER_MAX <= OFFERS_PER_TARGET_MAX
    full(OFFERS_PER_PEER_MAX + extra, OFFERS_PER_PEER_MAX, authors=OFFERS_PER_PEER_MAX + 1)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_room_for_own_ones(extra: int) -> None:
    machine: Gossip = build_machine("carol")
    for _ in range(OFFERS_OF_OWN_MAX + extra):
        machine.offers.on_own([CAROL.log.note(f"@{ALICE.address}")], 0.0)
    assert len(machine.offers.waiting) == OFFERS_OF_OWN_MAX + min(extra, 0)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_room_in_all_and_the_oldest_of_the_link_that_brought_most_goes(extra: int) -> None:
    people = [person(f"read {number}") for number in range(5)]
    offers = build_machine("ruth", follows=people).offers
    for number in range(OFFERS_MAX + extra):
        author, target = stranger(number), people[number % 5]
        held = found(author, author.log.note(f"@{target.address}"))
        source = "crowd" if 100 <= number < 220 else f"peer {number % 7}"
        offers._keep(Waiting(held, (target.hash,), 0, node_key(source)))
    authors = [waiting.author for waiting in offers.waiting.values()]
    assert len(authors) == OFFERS_MAX + min(extra, 0)
    assert [stranger(number).hash in authors for number in (0, 100, 101)] == [True, extra < 1, True]


def test_what_is_kept_reads_back(scene: Scene) -> None:
    ruth = scene.node("ruth", "alice")
    entry = CAROL.log.note(f"@{ALICE.address}")
    held = found(CAROL, entry)
    keeper = Keeper(ruth.machine.holdings, ruth.store, lambda: NOON)
    (kept,) = done(keeper.write([ev.KeepOffer(entry.id, held, -1)]))[1]
    assert kept == ev.OfferKept(entry.id)
    assert done(ruth.store.settings("offer.")) == {f"offer.{entry.id.hex()}": offer_value(held, -1, NOON)}
    assert kept_offers(done(ruth.store.load()), NOON) == ([(held, -1, OFFER_LIFETIME_MS / 1000)], [])
    assert done(keeper.write([ev.KeepOffer(entry.id)]))[1] == []
    assert done(ruth.store.settings("offer.")) == {}
    assert isinstance(ruth.machine.offers.sharing, Sharing)


def test_nobody_hears_of_it_before_it_is_on_disk(scene: Scene) -> None:
    liar, ruth = Liar(scene), scene.parties["ruth"]
    assert isinstance(ruth, Table)
    other = scene.puppet("other")
    other.greet("ruth", ALICE, version=3)
    (entry,) = liar.mentions()
    ruth._keep = lambda effect: None  # type: ignore[method-assign, assignment]  # the disk is slow
    liar.offers(entry)
    scene.run(2 * OFFER_EVERY_S - 1)
    assert liar.waiting == [entry.id] and other.told(Offer) == []
    ruth.feed(ev.OfferKept(entry.id))
    scene.run(0.1)
    assert len(other.told(Offer)) == 1
