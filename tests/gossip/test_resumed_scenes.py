"""A link that goes on from a memory: feeds and logs whose clocks were told have numbers, the same at both ends."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from builders import person
from gossip_scenes import Scene, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors.parts import ALICE, PHONE

from p2pblog.core.keys import DeviceKey, IdentityHash, digest
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Resume
from p2pblog.gossip.memory import Memory, Shared
from p2pblog.gossip.messages import (
    NAMES_MAX,
    Clock,
    Clocks,
    Decoder,
    Encoder,
    Graft,
    Have,
    IdentityClock,
    Live,
    Prune,
)
from p2pblog.gossip.names import Names
from p2pblog.transport.framing import wire_bytes

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "gossip.md"
FEEDS = [IdentityHash(bytes([number]) * 32) for number in range(5)]
LOGS = [DeviceKey(bytes([number]) * 32) for number in range(10, 15)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def resumed(scene: Scene) -> list[tuple[str, Resume]]:
    """Who went on from a memory, and by what names."""
    tables = [party for party in scene.parties.values() if isinstance(party, Table)]
    return [(table.name, effect) for table in tables for effect in table.effects if isinstance(effect, Resume)]


def test_a_feed_that_changed_while_apart_is_told_by_number(scene: Scene) -> None:
    """31 bytes of a clock, of which it took 95 by name."""
    carol = person("carol")
    carol.notes(100)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol", "alice")
    alice.keep(carol, carol.log.run(1, 99))
    scene.link("alice", "bob")
    scene.run(3)
    scene.relink("alice", "bob")
    scene.run(3)
    scene.cut("alice", "bob")
    alice.post("while apart")
    since = scene.now
    scene.link("alice", "bob")
    scene.run(3)
    assert bob.texts(alice.person) == ["while apart"]
    (told,) = scene.said(Clocks, "alice", since=since)
    cost = [size for at, _, _, message, size in scene.sent if at >= since and message is told]
    assert [clock.identity for clock in told.clocks] == [alice.person.hash]
    assert cost[0] < 60, "a frame of 20 bytes among them"
    assert wire_bytes(len(Encoder().encode(told))) - cost[0] == 32 + 34


def test_a_log_is_known_by_its_number_to_all_messages(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob", "alice")
    alice.post("one")
    scene.link("alice", "bob")
    scene.run(3)
    for _ in range(2):
        scene.relink("alice", "bob")
        scene.run(3)
    since = scene.now
    alice.post("two")
    scene.run(3)
    alice.post("three")
    scene.run(3)
    of_the_log = [row for row in scene.sent if row[0] >= since and isinstance(row[3], Have | Graft | Live)]
    assert [type(message) for _, _, _, message, _ in of_the_log] == [Have, Graft, Live, Live]
    for _, _, _, message, size in of_the_log:
        assert wire_bytes(len(Encoder().encode(message))) - size >= 33, "its key takes 34 bytes"
    assert bob.texts(alice.person) == ["one", "two", "three"]


def test_both_ends_give_the_same_numbers(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "alice", "carol", "dave")
    scene.link("alice", "bob")
    scene.run(3)
    scene.relink("alice", "bob")
    scene.run(3)
    (_, one), (_, other) = resumed(scene)
    assert one.names == other.names
    assert one.names.feeds == tuple(sorted((alice.person.hash, person("carol").hash)))
    assert alice.person.key in one.names.logs and bob.shares("alice") == set(one.names.feeds)


STEPS = st.sampled_from(["follow", "unfollow", "post", "cut", "wait", "moment"])


@given(st.lists(st.tuples(STEPS, st.sampled_from(["alice", "bob"]), st.integers(0, 2)), max_size=30), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_whatever_was_followed_and_cut_numbers_mean_the_same(steps: list[tuple[str, str, int]], seed: int) -> None:
    """Whoever goes on gives the numbers that the other one reads, and nobody ends a link."""
    scene, rng = Scene(seed=seed), random.Random(seed)
    crowd = ["carol", "dave", "erin"]
    for name in ("alice", "bob"):
        scene.node(name, *rng.sample(crowd, 2), "alice", "bob").keep(person("carol"), person("carol").log.run())
    scene.link("alice", "bob")
    for what, who, which in steps:
        table = scene.parties[who]
        assert isinstance(table, Table)
        match what:
            case "follow":
                table.follow(crowd[which])
            case "unfollow":
                table.unfollow(crowd[which])
            case "post":
                table.post(f"{which}")
            case "cut":
                relinked(scene)
            case "wait":
                scene.run(2)
            case _:
                scene.run(rng.choice([0.01, 0.03, 0.07, 0.15]))
    scene.run(5)
    relinked(scene)
    scene.run(5)
    assert [error.name for _, _, error in scene.closed if error] == []
    by_alice, by_bob = ([effect.names for who, effect in resumed(scene) if who == name] for name in ("alice", "bob"))
    if len(by_alice) == len(by_bob):  # else one side did not hear the other's last Hello
        assert by_alice == by_bob


def relinked(scene: Scene) -> None:
    """A cut and a new link. If nothing was on its way, both ends know the same words and the same names."""
    alice, bob = scene.parties["alice"], scene.parties["bob"]
    assert isinstance(alice, Table) and isinstance(bob, Table)
    one, other = alice.session("bob").memory, bob.session("alice").memory
    if (one.said, one.heard) == (other.heard, other.said):
        assert one.names == other.names
    scene.relink("alice", "bob")


def test_who_remembers_the_same_words_and_other_names_begins_afresh() -> None:
    """So numbers are sure to mean the same where a link goes on, whatever a peer makes of what was said."""

    def remembered(*feeds: IdentityHash, log: DeviceKey = LOGS[0]) -> Memory:
        memory = Memory(said=b"8 bytes.", heard=b"and more")
        memory.shared.update({feed: Shared(told=IdentityClock(feed, None, ((log, Clock()),))) for feed in feeds})
        return memory

    known = remembered(*FEEDS[:2])
    assert known.hash(True) == remembered(*FEEDS[:2]).hash(True)
    others = [remembered(*FEEDS[:3]), remembered(FEEDS[0]), remembered(*FEEDS[:2], log=LOGS[1]), remembered()]
    assert known.hash(True) not in [other.hash(True) for other in others]
    turned = Memory(said=known.heard, heard=known.said)
    turned.shared = {feed: Shared(heard=row.told) for feed, row in known.shared.items()}
    assert turned.hash(False) == known.hash(True) != known.hash(False)


def test_what_is_remembered_without_a_clock_has_no_number() -> None:
    memory = Memory(shared={FEEDS[1]: Shared(told=IdentityClock(FEEDS[1], None)), FEEDS[0]: Shared()})
    memory.shared[FEEDS[2]] = Shared(heard=IdentityClock(FEEDS[2], None, ((LOGS[1], Clock()), (LOGS[0], Clock()))))
    assert memory.names == Names((FEEDS[1], FEEDS[2]), (LOGS[0], LOGS[1]))


@pytest.mark.parametrize("many", [NAMES_MAX - 1, NAMES_MAX, NAMES_MAX + 1])
def test_so_many_feeds_and_logs_have_numbers(many: int) -> None:
    memory = Memory()
    for number in range(many):
        feed, log = IdentityHash(number.to_bytes(32, "big")), DeviceKey((number + 1).to_bytes(32, "big"))
        memory.shared[feed] = Shared(told=IdentityClock(feed, None, ((log, Clock()),)))
    names = memory.names
    assert len(names.feeds) == len(names.logs) == min(many, NAMES_MAX)
    assert names.number_of(IdentityHash((many - 1).to_bytes(32, "big"))) == (None if many > NAMES_MAX else many - 1)


def clocks(*feeds: IdentityHash) -> Clocks:
    return Clocks(tuple(IdentityClock(feed, None) for feed in feeds))


def test_numbers_are_those_of_the_memory_and_all_else_goes_by_name() -> None:
    encoder, decoder = Encoder(), Decoder()
    encoder.resume(Names(tuple(FEEDS[1:3]), tuple(LOGS[:2])))
    decoder.resume(Names(tuple(FEEDS[1:3]), tuple(LOGS[:2])))
    said = [clocks(*FEEDS), Prune(LOGS[1]), Prune(LOGS[3]), Prune(LOGS[3]), clocks(FEEDS[0])]
    spelled = [encoder.encode(message) for message in said]
    assert [decoder.decode(data) for data in spelled] == said
    assert [len(data) for data in spelled[1:4]] == [3, 36, 3]
    assert spelled[3][-1] == 2, "the first log that has no number yet gets the next one"
    assert spelled[4] == Encoder().encode(clocks(FEEDS[0])), "a feed gets no number while the link lasts"


@pytest.mark.parametrize(
    ("names", "message", "error"),
    [
        (Names(), b"\x92\x04\x91\x93\x00\xc0\x90", "bad-message"),
        (Names(tuple(FEEDS[:1])), b"\x92\x04\x91\x93\x01\xc0\x90", "bad-message"),
        (Names(tuple(FEEDS[:1])), b"\x92\x04\x91\x93\xff\xc0\x90", "bad-message"),
        (Names(tuple(FEEDS[:1])), b"\x92\x04\x91\x93\xcc\x00\xc0\x90", "not-canonical"),
        (Names(tuple(FEEDS[:1])), b"\x92\x04\x91\x93\xc2\xc0\x90", "malformed"),
        (Names(tuple(FEEDS[:1])), Encoder().encode(clocks(FEEDS[0])), "not-canonical"),
        (Names((), tuple(LOGS[:1])), Encoder().encode(Prune(LOGS[0])), "not-canonical"),
        (Names((), tuple(LOGS[:1])), b"\x92\x0d\x01", "bad-message"),
    ],
)
def test_a_number_that_names_none_or_a_name_that_has_a_number_is_refused(
    names: Names, message: bytes, error: str
) -> None:
    decoder = Decoder()
    decoder.resume(names)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(message)
    assert caught.value.name == error


def test_the_example_on_the_page() -> None:
    memory = Memory(said=bytes(range(8)), heard=bytes(range(8, 16)))
    alice, phone = ALICE.hash, DeviceKey(PHONE.public)
    memory.shared[alice] = Shared(IdentityClock(alice, None, ((phone, Clock()),)), IdentityClock(alice, None))
    example = re.search(r"`(\w{16})` and heard `(\w{16})`.*?\n?.*?memory is\s+`(\w{16})`", PAGE.read_text())
    hashed = memory.hash(True)
    assert example and hashed
    assert example.groups() == (memory.said.hex(), memory.heard.hex(), hashed.hex())


def test_the_memory_that_an_earlier_version_has_of_the_same_words_is_another() -> None:
    """So with such a node every link begins afresh, and all goes by name."""
    memory = Memory(said=b"8 bytes.", heard=b"and more")
    assert memory.hash(True) != digest(memory.said + memory.heard, size=8)
    assert Memory().hash(True) is None
