"""What a notice points to, and what points to nothing."""

from __future__ import annotations

from builders import Person, person, ref

from p2pblog.config import GROUPS_MAX, MENTIONS_MAX, POINTER_TARGETS_MAX
from p2pblog.core.groups import group_id
from p2pblog.core.payload import Boost, Delete, Edit, Like, Note, Payload, Pin, Profile, Quote, Unknown, Vote, decode
from p2pblog.core.pointing import people_of, targets_of


def people() -> tuple[Person, Person, Person]:
    return person("alice"), person("bob"), person("carol")


def test_a_notice_points_to_what_it_answers_and_quotes_and_to_whom() -> None:
    alice, bob, carol = people()
    asked, said = alice.log.note("tea?"), carol.log.note("tea!")
    version = carol.log.edit(said, "Tea!")
    note = Note(f"@{person('dave').address} reads", ref(asked), quote=Quote(ref(said), ref(version)))
    assert targets_of(note, bob.hash) == (asked.id, alice.hash, said.id, carol.hash, person("dave").hash)
    assert targets_of(Note("tea"), bob.hash) == ()


def test_each_target_is_named_once_and_nobody_points_to_himself() -> None:
    alice, bob, _ = people()
    asked, own = alice.log.note("tea?"), bob.log.note("no tea")
    note = Note(f"@{alice.address} @{bob.address} @{alice.address}", ref(asked), quote=Quote(ref(asked)))
    assert targets_of(note, bob.hash) == (asked.id, alice.hash)
    assert targets_of(Note("and no coffee", ref(own)), bob.hash) == (own.id,)
    assert people_of(note, bob.hash) == (alice.hash,)
    assert people_of(Note("and no coffee", ref(own)), bob.hash) == people_of(Like(ref(asked)), bob.hash) == ()


def test_what_is_counted_or_sealed_or_said_again_points_to_nothing() -> None:
    alice, bob, carol = people()
    asked = ref(alice.log.note("tea?"))
    payloads: list[Payload] = [
        Boost(asked), Like(asked), Pin(asked), Vote(asked, 1), Delete(asked), Unknown("later"),
        Edit(asked, f"@{alice.address}"), Profile("bob", f"@{alice.address}"),
    ]  # fmt: skip
    dm = bob.log.dm(f"@{carol.address}", alice, by=bob)
    assert dm.payload is not None
    assert [targets_of(payload, bob.hash) for payload in [*payloads, decode(dm.payload)]] == [()] * 9


def test_there_is_room_for_all_that_a_notice_may_name() -> None:
    alice, bob, carol = people()
    crowd = " ".join(f"@{person(f'reader {number}').address}" for number in range(MENTIONS_MAX))
    crowd += " ".join(f" !group{number}" for number in range(GROUPS_MAX))
    note = Note(crowd, ref(alice.log.note("tea?")), quote=Quote(ref(carol.log.note("tea!"))))
    assert len(targets_of(note, bob.hash)) == MENTIONS_MAX + 4 + GROUPS_MAX <= POINTER_TARGETS_MAX


def test_a_notice_points_to_the_groups_that_it_names() -> None:
    alice, bob, _ = people()
    note = Note("!Birds and !bees?", ref(alice.log.note("tea?")))
    assert targets_of(note, bob.hash)[-2:] == (group_id("birds"), group_id("bees"))
