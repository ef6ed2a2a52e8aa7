"""The steps of a walk: whom each asks, and how little one host with many ids, or one that names many, has of it."""

from __future__ import annotations

from collections import Counter

import pytest
from dht_scenes import AT_ONCE
from test_lookup import KEY, OWN, asked, at, wake

from p2pblog.core.address import Endpoint
from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import (
    Answered,
    Begin,
    Effect,
    Event,
    Failed,
    Find,
    Publish,
    Put,
    PutAnswered,
    Woke,
)
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.walk import Ask, Peer, Walk


class Watched(Walk):
    """Counts how often it is asked of each contact whether it may be called."""

    def __init__(self, *args: object) -> None:
        self.judged: Counter[Contact] = Counter()
        super().__init__(*args)  # type: ignore[arg-type]

    def _may_ask(self, peer: Peer) -> bool:
        self.judged[peer.contact] += 1
        return super()._may_ask(peer)


def test_twelve_calls_are_chosen_in_one_look_at_the_nearest() -> None:
    walk = Watched(KEY, OWN, [at(n) for n in range(1, 60)], RoundTrips(), Parameters(lead_s=AT_ONCE))
    calls = asked([*walk.advance(0.0)])
    assert calls == [at(n) for n in range(1, 13)]
    assert walk.judged == Counter(calls)


def begun(contacts: int) -> tuple[Find, list[Contact]]:
    """A look-up among so many contacts, and whom it asked at first."""
    look_up = Find(Walk(KEY, OWN, [at(n) for n in range(1, contacts + 1)], RoundTrips(), Parameters()))
    effects = look_up.handle(Begin(), 5.0)
    assert wake(effects) == 5.0 + Parameters().lead_s
    return look_up, asked(effects)


def test_one_call_leads_and_the_others_follow_after_two_milliseconds() -> None:
    look_up, first = begun(30)
    assert first == [at(1)]
    assert asked(look_up.handle(Woke(), 5.001)) == []
    effects = look_up.handle(Woke(), 5.0 + Parameters().lead_s)
    assert asked(effects) == [at(n) for n in range(2, 13)]
    assert wake(effects) == 5.0 + look_up.walk.round_trips.hedge_s(1.0)  # and no more for the one that led


def test_the_first_answer_lets_the_others_follow_at_once() -> None:
    look_up, _ = begun(30)
    assert asked(look_up.handle(Answered(at(1)), 5.0005)) == [at(n) for n in range(2, 14)]


def test_whom_no_call_can_be_sent_to_leaves_the_lead_to_the_next() -> None:
    look_up, _ = begun(30)
    assert asked(look_up.handle(Failed(at(1)), 5.0)) == [at(2)]


def test_a_walk_knows_so_many_contacts_and_no_more() -> None:
    parameters = Parameters(known_max=30)
    walk = Walk(KEY, OWN, [at(n) for n in range(1_000, 1_020)], RoundTrips(), parameters)
    walk.answered(at(1_000), [at(n) for n in range(1, 21)])
    assert len(walk._peers) == 30


def test_of_an_answer_twenty_contacts_count_and_we_are_none() -> None:
    walk = Walk(KEY, OWN, [at(1_000)], RoundTrips(), Parameters())
    walk.answered(at(1_000), [Contact(OWN, at(1).endpoint), *(at(n) for n in range(1, 40))])
    assert list(walk._peers) == [at(1_000), *(at(n) for n in range(1, 20))]


# --- one host with many ids -------------------------------------------------------------------------------------------


def honest(number: int) -> Contact:
    """The contact at that distance from the key, in a block of its own."""
    return Contact(at(number).id, Endpoint.of(f"9.{number // 250}.{number % 250}.9", 4711))


def on_one_host(number: int) -> Contact:
    return Contact(at(number).id, Endpoint.of("8.8.8.8", 5_000 + number))


class World:
    """Who answers at once, and whom each names; who is in neither is silent."""

    def __init__(self, names: dict[Contact, list[Contact]]) -> None:
        self.names = names
        self.called: list[Contact] = []
        self.stored: set[Contact] = set()
        self.alarm = 0.0

    def run(self, machine: Find | Publish) -> float:
        """Gives when it was over."""
        now, waiting = 0.0, machine.handle(Begin(), 0.0)
        while not machine.done:
            event, now = self._next(waiting, now)
            waiting += machine.handle(event, now)
        return now

    def _next(self, waiting: list[Effect], now: float) -> tuple[Event, float]:
        """What comes of the first call, or the last alarm where all have been answered."""
        while waiting:
            match effect := waiting.pop(0):
                case Ask(contact):
                    self.called.append(contact)
                    if contact in self.names:
                        return Answered(contact, tuple(self.names[contact])), now + 0.001
                case Put(contact, index):
                    self.stored.add(contact)
                    return PutAnswered(contact, index, held=True), now + 0.001
                case _:
                    self.alarm = wake([effect]) or now
        return Woke(), max(now, self.alarm)


def walk_from(*seeds: Contact) -> Walk:
    trips = RoundTrips()
    trips.sample(0.1)
    return Walk(KEY, OWN, seeds, trips, Parameters(lead_s=AT_ONCE))


def inventions(first: int, count: int, hosts: str) -> list[Contact]:
    """Ids nearer to the key than anybody who is there; each at another of the `hosts`."""
    return [Contact(at(first + n).id, Endpoint.of(hosts.format(first + n), 53)) for n in range(count)]


def neighbours(real: list[Contact], liars: list[Contact]) -> dict[Contact, list[Contact]]:
    """Each of the real ones knows these liars, of whom a table takes three, and most of the twenty nearest."""
    return {contact: [*liars, *real[n % 2 * 3 :][:17]] for n, contact in enumerate(real)}


@pytest.mark.parametrize("liars", [2, 5, 19])
def test_what_ids_of_one_host_invent_draws_three_contacts_worth_of_calls(liars: int) -> None:
    """One living accomplice, and whatever a liar named was asked: 160 datagrams went to a bystander, the publish took
    four seconds, and the nodes that should hold the record were not asked."""
    real, crowd = [honest(n) for n in range(1_000, 1_040)], [on_one_host(n) for n in range(900, 900 + liars)]
    world = World(neighbours(real, crowd[:3]))
    for n, liar in enumerate(crowd):
        world.names[liar] = [crowd[(n + 1) % liars], *inventions(1 + 19 * n, 19, "7.7.7.7")]
    machine = Publish(walk_from(*real[20:]), 1, 100)
    assert world.run(machine) < 1.5
    assert len({contact for contact in world.called if contact.endpoint.host == "7.7.7.7"}) == 3
    assert set(real[:19]) <= world.stored


def test_whoever_invents_hosts_without_end_is_not_followed_once_twenty_have_answered() -> None:
    real, liar = [honest(n) for n in range(1_000, 1_040)], on_one_host(999)
    world = World(neighbours(real, [liar]))
    world.names[liar] = inventions(1, 20, "7.7.{}.7")
    machine = Publish(walk_from(*real[20:]), 1, 100)
    assert world.run(machine) < 1.5
    assert len({contact for contact in world.called if contact.endpoint.host.startswith("7.7.")}) == 3
    assert set(real[:19]) <= world.stored


@pytest.mark.parametrize("ids", [19, 70])
def test_many_ids_of_one_host_beside_a_key_are_one_of_those_who_hold_it(ids: int) -> None:
    """Seventy swallowed every publish, and the author was told of sixty holders."""
    real, crowd = [honest(n) for n in range(1_000, 1_040)], [on_one_host(n) for n in range(1, 1 + ids)]
    world = World(neighbours(real, crowd[:3]) | dict.fromkeys(crowd, crowd[:20]))
    machine = Publish(walk_from(*real[20:]), 1, 100)
    world.run(machine)
    assert set(real[:19]) <= world.stored and len(world.stored & set(crowd)) == 3
    assert machine.holders(0) == len(world.stored) - 2


def test_ids_that_find_no_place_are_not_waited_for() -> None:
    others, crowd = [honest(n) for n in range(100, 140)], [on_one_host(n) for n in range(1, 71)]
    walk = walk_from(*others)
    walk.advance(0.0)
    for contact in others[:3]:
        walk.answered(contact, crowd[:20])
    assert asked([*walk.advance(0.01)]) == crowd[:3]
    for contact in [*crowd[:3], *others[3:18]]:
        walk.answered(contact, crowd[3:20])
    assert not walk.is_over
    walk.answered(others[18], [])
    assert walk.is_over and walk.closest() == [*crowd[:3], *others[:19]]


def test_our_own_contacts_of_one_block_are_all_asked() -> None:
    """And take no place from those that others name."""
    ours, named = [on_one_host(n) for n in range(1, 7)], [on_one_host(n) for n in range(10, 14)]
    walk = walk_from(*ours, honest(100))
    assert asked([*walk.advance(0.0)]) == [*ours, honest(100)]
    walk.answered(honest(100), named)
    assert asked([*walk.advance(0.01)]) == named[:3]


def test_what_two_ids_of_one_host_name_is_the_word_of_one() -> None:
    liars = [on_one_host(n) for n in range(101, 103)]
    world = World({contact: [] for contact in map(honest, range(200, 220))})
    world.names |= dict.fromkeys(liars, inventions(1, 19, "7.7.{}.7"))
    world.run(Find(walk_from(*world.names)))
    assert len(world.called) == len(world.names) + 2 * 3  # each of these was asked again


@pytest.mark.parametrize("namers", [1, 2])
def test_who_is_silent_gives_back_the_place_of_its_block_but_not_of_its_endpoint(namers: int) -> None:
    """Three inventions at a holder's very address would hide it, unless somebody else names it as well."""
    holder, seeds = Contact(at(9).id, Endpoint.of("7.7.7.7", 4711)), [honest(100), honest(101), honest(102)]
    neighbour = Contact(at(10).id, Endpoint.of("7.7.7.8", 4711))
    liar, *others = seeds
    world = World({other: [] for other in [*others, holder, neighbour]})
    world.names[liar] = [Contact(at(n).id, holder.endpoint) for n in range(1, 4)] + [holder]
    world.names |= {other: [holder, neighbour] for other in others[: namers - 1]}
    world.run(Find(walk_from(*seeds)))
    assert (holder in world.called, neighbour in world.called) == (namers == 2, namers == 2)


def test_who_answers_after_it_was_given_up_has_a_place_of_its_block() -> None:
    late = [on_one_host(n) for n in range(1, 4)]
    walk = walk_from(honest(100))
    walk.advance(0.0)
    walk.answered(honest(100), late)
    assert [ask.contact for ask in walk.advance(0.01)] == late
    for now in (1.0, 2.0):
        walk.advance(now)  # asked again, and given up
    for contact in late:
        walk.answered(contact, [on_one_host(4)])
    assert walk.advance(2.1) == [] and walk.is_over


def test_who_answered_is_not_awaited_where_else_it_is_said_to_live() -> None:
    """Nodes with IPv4 and IPv6 were called again at the address that had not answered first."""
    true, false, *others = honest(10), *(on_one_host(n) for n in range(10, 14))
    walk = walk_from(honest(100), honest(101))
    walk.round_trips.slowest_s = 1.0
    walk.advance(0.0)
    walk.answered(honest(100), [true, false, others[0]])
    assert len(walk.advance(0.01)) == 3
    walk.answered(true, [])
    walk.answered(honest(101), others[1:])
    assert asked([*walk.advance(0.02)]) == others[1:]  # it has given back its place
    assert asked([*walk.advance(1.0)]) == others
    for other in others:
        walk.answered(other, [])
    assert walk.is_over and walk.late_until < 0
