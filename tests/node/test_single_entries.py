"""One entry out of the DHT's records: what proves it, and what does not."""

from __future__ import annotations

import pytest
from builders import Person, person, ref
from rendezvous_scenes import head_of

from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.value import replace
from p2pblog.dht.records import Notice, Record, notice_record
from p2pblog.rendezvous.single import entry_in, later_in, later_places


@pytest.fixture
def alice() -> Person:
    return person("alice")


@pytest.fixture
def note(alice: Person) -> Entry:
    return alice.log.note("tea?")


def records(entry: Entry) -> list[Record]:
    record = notice_record(entry)
    assert isinstance(record, Notice)
    return [record]


def test_a_notice_and_a_head_prove_an_entry(alice: Person, note: Entry) -> None:
    assert entry_in(ref(note), [head_of(alice)], records(note)) == Located(alice.hash, note, ())
    assert entry_in(ref(note), [head_of(person("bob")), head_of(alice)], records(note)) is not None


def test_another_entry_or_none_is_not_it(alice: Person, note: Entry) -> None:
    heads = [head_of(alice)]
    assert entry_in(ref(note), heads, []) is None
    assert entry_in(ref(note), heads, records(alice.log.note("coffee?"))) is None
    assert entry_in(replace(ref(note), id=EntryId(bytes(32))), heads, records(note)) is None
    assert entry_in(replace(ref(note), seq=note.seq + 1), heads, records(note)) is None


def test_nobody_gets_a_notice_by_saying_it_is_his(alice: Person, note: Entry) -> None:
    bob = person("bob")
    for heads in ([], [head_of(bob)], [head_of(alice)]):
        assert entry_in(replace(ref(note), identity=bob.hash), heads, records(note)) is None
    assert entry_in(ref(note), [], records(note)) is None
    assert entry_in(ref(note), [head_of(bob)], records(note)) is None


def test_a_head_with_a_false_statement_proves_nothing(alice: Person, note: Entry) -> None:
    head, other = head_of(alice), head_of(person("bob"))
    forged = replace(head, statement=replace(head.statement, signatures=other.statement.signatures))
    assert entry_in(ref(note), [forged], records(note)) is None
    assert entry_in(ref(note), [forged, head], records(note)) is not None


# --- what was said of it since ----------------------------------------------------------------------------------------


def test_the_newest_of_each_log_may_say_something_of_an_entry(alice: Person, note: Entry) -> None:
    for number in range(5):
        alice.log.note(f"note {number}")
    laptop = alice.add_device("laptop")
    laptop.note("on the laptop")
    heads = [head_of(alice), head_of(alice, laptop), head_of(person("bob"))]
    assert later_places(ref(note), heads, 3) == [*((alice.key, seq) for seq in (7, 6, 5)), (laptop.key, 2)]
    assert later_places(ref(note), heads, 99)[:5] == [(alice.key, seq) for seq in (7, 6, 5, 4, 3)]  # above it
    assert later_places(ref(note), [], 3) == []


def test_only_what_its_author_said_of_an_entry_is_found(alice: Person, note: Entry) -> None:
    bob = person("bob")
    other = alice.log.note("another")
    edit, delete = alice.log.edit(note, "coffee?"), alice.log.delete(note)
    vain = [alice.log.delete(other), alice.log.note("look", note), bob.log.delete(note)]
    notices = [record for entry in (delete, *vain, edit) for record in records(entry)]
    heads = [head_of(alice), head_of(bob)]
    assert [located.entry for located in later_in(ref(note), heads, notices)] == [edit, delete]
    assert later_in(ref(note), [head_of(bob)], notices) == []
