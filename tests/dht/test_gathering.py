"""A liar among the holders of a key: what he makes up pushes nothing out, and is not counted."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from dht_scenes import DAY, NOW, alice, bob, key_of
from dht_world import world_of
from test_follow_ups import POINTERS, SMOOTHED_S, Reply, ends, shelf_of
from test_lookup import at, find
from trio.testing import trio_test

from p2pblog.config import MANY_PER_KEY_MAX
from p2pblog.core.address import Endpoint
from p2pblog.dht import gathering as dht_gathering
from p2pblog.dht.contacts import Contact, NodeId
from p2pblog.dht.gathering import Gathering
from p2pblog.dht.lookup import Answered, Begin, Done, Find
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import Record, head_key, replica_key, sign_pointer
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.walk import Ask, Walk
from p2pblog.rendezvous import events as ev

INVENTED = [
    [sign_pointer(key_of(f"liar {liar} {n}"), b"t" * 32, alice.identity.hash, 1, NOW + DAY) for n in range(140)]
    for liar in range(3)
]


def looked_up(liars: int, honest: int, *, twice_named: bool = False) -> tuple[Find, float]:
    """Twenty holders, of whom the first lie, and faster than the others answer; and when it was over."""
    holders = {at(n): random.Random(n).sample(POINTERS[:honest], honest) for n in range(1, 21)}
    look_up = find(list(holders))
    look_up.gathering = Gathering(twice_named)

    def answer(ask: Ask) -> Reply:
        number = int.from_bytes(ask.contact.id, "big") - 1
        if number < liars:
            return shelf_of(INVENTED[number], SMOOTHED_S / 10)(ask)
        return shelf_of(holders[ask.contact], SMOOTHED_S)(ask)

    return look_up, ends(look_up, answer)


@pytest.mark.parametrize(("liars", "honest"), [(1, 10), (1, 60), (3, 60), (1, 100), (3, 100)])
def test_what_liars_make_up_pushes_nothing_out_that_two_others_name(liars: int, honest: int) -> None:
    """With 60 replicas at each of twenty holders a reader had 43 of them beside one liar, and 30 beside three."""
    look_up, over = looked_up(liars, honest)
    assert set(POINTERS[:honest]) <= set(look_up.found(NOW)) and over < 1.0
    assert len(look_up.found(NOW)) == MANY_PER_KEY_MAX


@pytest.mark.parametrize(("liars", "honest"), [(0, 5), (1, 5), (3, 60), (1, 100)])
def test_of_what_two_named_a_liar_has_nothing_and_nobody_is_missed(liars: int, honest: int) -> None:
    look_up, over = looked_up(liars, honest, twice_named=True)
    assert set(look_up.found(NOW)) == set(POINTERS[:honest]) and over < 1.0


def colluding(liars: Callable[[int], Contact], *, twice_named: bool) -> set[Record]:
    """What is found of sixty records where two of twenty holders, at these contacts, make up the same ones."""
    holders = [liars(1), liars(2), *(Contact(at(n).id, Endpoint.of(f"9.9.{n}.9", 4711)) for n in range(3, 21))]
    look_up = find(holders)
    look_up.gathering = Gathering(twice_named)
    lies = shelf_of(INVENTED[0], SMOOTHED_S / 10)
    truths = {contact: shelf_of(random.Random(contact.id).sample(POINTERS[:60], 60), SMOOTHED_S) for contact in holders}
    ends(look_up, lambda ask: (lies if ask.contact in holders[:2] else truths[ask.contact])(ask))
    return set(look_up.found(NOW))


@pytest.mark.parametrize("twice_named", [False, True])
def test_two_ids_of_one_host_are_one_liar(twice_named: bool) -> None:
    """Each seconded the other: so a reader had 12 of the 60 that were there, and all of the rest was made up."""
    found = colluding(lambda n: Contact(at(n).id, Endpoint.of("8.8.8.8", 4711 + n)), twice_named=twice_named)
    assert set(POINTERS[:60]) <= found
    assert not twice_named or len(found) == 60


@pytest.mark.parametrize("twice_named", [False, True])
def test_two_hosts_who_make_up_the_same_fill_no_more_than_their_share(twice_named: bool) -> None:
    found = colluding(lambda n: Contact(at(n).id, Endpoint.of(f"8.8.{n}.8", 4711)), twice_named=twice_named)
    assert len(found & set(POINTERS[:60])) >= 55


def test_what_only_one_names_has_room_in_turns() -> None:
    gathering = Gathering()
    for number, records in ((1, INVENTED[0][:100]), (2, POINTERS[:20]), (3, INVENTED[1][:100])):
        for record in records:
            gathering.take(at(number).endpoint, record)
    kept = list(gathering.records())[:MANY_PER_KEY_MAX]
    assert set(POINTERS[:20]) <= set(kept)


def test_nobody_has_more_than_a_key_may_have() -> None:
    gathering = Gathering()
    assert sum(gathering.take(at(1).endpoint, record) for record in INVENTED[0]) == MANY_PER_KEY_MAX


def test_what_another_names_too_leaves_room_to_who_named_it_first() -> None:
    gathering, (first, second, *others) = Gathering(), INVENTED[0]
    for record in (first, second, *others[: MANY_PER_KEY_MAX - 2]):
        assert gathering.take(at(1).endpoint, record)
    for _ in range(2):  # once is enough
        assert not gathering.take(at(2).endpoint, first)
    taken = [gathering.take(at(1).endpoint, record) for record in others[MANY_PER_KEY_MAX - 2 :]]
    assert taken == [True] + [False] * (len(taken) - 1)


def test_a_look_up_keeps_so_many_records_wherever_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_gathering, "GATHERED_MAX", MANY_PER_KEY_MAX + 72)
    gathering = Gathering()
    taken = [sum(gathering.take(at(n).endpoint, record) for record in INVENTED[n]) for n in range(3)]
    assert taken == [MANY_PER_KEY_MAX, 72, 0]


@trio_test
async def test_what_one_holder_alone_names_is_not_told_where_two_are_asked_for() -> None:
    async with world_of(4) as world:
        holders, reader = [node._server.protocol.storage.store for node in world.nodes[:2]], world.nodes[3]
        holders[0].put(bob.head(), None, NOW)
        assert await reader.find(bob.head().key) == [bob.head()]
        assert await reader.find(bob.head().key, twice_named=True) == []
        holders[1].put(bob.head(), None, NOW)
        assert await reader.find(bob.head().key, twice_named=True) == [bob.head()]


def test_only_who_counts_the_holders_of_a_feed_asks_for_what_two_name() -> None:
    whom = alice.identity.hash
    crowd, replicas = (ev.FindRecords(query, replica_key(whom)) for query in (ev.Crowd(whom), ev.Replicas(whom)))
    assert crowd.twice_named and not replicas.twice_named
    assert not ev.FindRecords(ev.Heads(whom), head_key(whom)).twice_named


def test_eleven_ids_of_one_host_do_not_end_a_look_up_before_others_have_answered() -> None:
    """A table of few has room for them, as guests of their address block."""
    crowd = [Contact(NodeId(n.to_bytes(20, "big")), Endpoint.of("9.9.9.9", n)) for n in range(1, 12)]
    others = [Contact(NodeId(n.to_bytes(20, "big")), Endpoint.of(f"9.9.{n}.1", 1)) for n in range(12, 20)]
    trips = RoundTrips()
    trips.sample(0.1)
    walk = Walk(bytes(20), NodeId(b"\xff" * 20), crowd + others, trips, Parameters(lead_s=0.0))
    look_up, old, new = Find(walk), alice.head(counter=1), alice.head(counter=2)
    look_up.handle(Begin(), 0.0)
    for contact in crowd:
        assert Done() not in look_up.handle(Answered(contact, records=(old,)), 0.05)
    effects = [look_up.handle(Answered(contact, records=(new,)), 0.06) for contact in others]
    assert [Done() in each for each in effects] == [number == 5 for number in range(8)]  # 3 of the host's, and 6
    assert look_up.found(NOW) == [new]
