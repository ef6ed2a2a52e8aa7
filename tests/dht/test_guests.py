"""Guests: whom a routing table of few has beyond the share of their address blocks."""

from __future__ import annotations

from table_scenes import OWN, contact, table

from p2pblog.core.address import Endpoint
from p2pblog.dht.contacts import Contact, NodeId
from p2pblog.dht.table import ProvenNode


def test_while_few_are_there_a_block_may_have_more_than_its_share_and_these_go_as_others_come() -> None:
    """In a university's /48 there is nobody else; and one host with many ids keeps none that an answer would name
    instead of somebody else."""
    mine, _ = table()
    crowd = [contact(1_000 * number, Endpoint.of("9.9.9.9", number)) for number in range(1, 31)]
    taken = [one for one in crowd if mine.add_contact(ProvenNode(one))]
    assert taken == crowd[:20] and len(mine.guests()) == 18
    assert not mine.has_room(crowd[20])
    for number in range(50):
        mine.add_contact(ProvenNode(contact(60_000 + number)))
        assert mine.size == 20 or not mine.guests()
    assert not mine.guests()
    assert sum(one.endpoint.host == "9.9.9.9" for one in mine.contacts()) <= 3
    assert not mine.has_room(crowd[20])


def test_a_guest_takes_no_place_of_who_was_there_before_by_an_id_nearer_to_ours() -> None:
    mine, _ = table()
    first = [contact(number, Endpoint.of("9.9.9.1", number)) for number in (1, 2)]
    nearer = [contact(40_000 + number, Endpoint.of("9.9.9.9", number)) for number in range(1, 19)]
    for one in [*first, *nearer]:
        assert mine.add_contact(ProvenNode(one))
    assert mine.guests() == [one for one in mine.nearest(OWN.id, 20) if one in nearer]
    for number in range(50_000, 50_018):
        assert mine.add_contact(ProvenNode(contact(number)))
    assert mine.guests() == [] and all(map(mine.has, first))


def test_guests_give_way_to_who_has_a_place_though_they_fill_a_bucket_that_may_not_split() -> None:
    mine, _ = table()
    for number in range(1, 21):
        guest = Contact(NodeId(bytes([4 * (number % 2), number]) + bytes(18)), Endpoint.of("9.9.9.9", number))
        assert mine.add_contact(ProvenNode(guest))
    other = contact(1_500)  # five bits in common with them
    assert mine.has_room(other) and mine.add_contact(ProvenNode(other)) and mine.size == 20


def test_a_guest_moves_to_where_it_has_a_place_though_it_was_not_silent() -> None:
    """One host may pass on the proofs of all who are there."""
    mine, _ = table()
    passed = [Contact(contact(number).id, Endpoint.of("9.9.9.9", number)) for number in range(1, 6)]
    for one in passed:
        assert mine.add_contact(ProvenNode(one))
    assert len(mine.guests()) == 3
    for guest in mine.guests():
        assert mine.add_contact(ProvenNode(contact(int.from_bytes(guest.id[:2], "big"))))
    assert mine.guests() == []
    stays = next(one for one in mine.contacts() if one.endpoint.host == "9.9.9.9")
    assert not mine.add_contact(ProvenNode(contact(int.from_bytes(stays.id[:2], "big"))))


def test_guests_do_not_tell_how_many_nodes_there_are() -> None:
    """One host makes up twenty ids beside ours, and nobody would be suspected any more."""
    mine, _ = table()
    for number in range(1, 21):
        guest = Contact(NodeId((int.from_bytes(OWN.id, "big") + number).to_bytes(20, "big")), Endpoint.of("9.9.9.9", 1))
        assert mine.add_contact(ProvenNode(guest))
    assert mine.nodes(OWN.id) == mine.nodes(bytes(20)) == 21
