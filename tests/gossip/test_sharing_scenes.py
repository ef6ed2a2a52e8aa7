"""Which feeds two nodes share, how they learn of it without naming them, and what a reconnect costs."""

from __future__ import annotations

import itertools

import pytest
from builders import person
from gossip_scenes import Scene, Table, node_key

from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import LogState, Span
from p2pblog.gossip import relay
from p2pblog.gossip.clocks import CLOCK_NUMBERS_PER_MESSAGE, clock_messages, count_numbers
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.memory import Memory, token
from p2pblog.gossip.messages import (
    LOGS_PER_CLOCK_MAX,
    Alarm,
    Clock,
    Clocks,
    Encoder,
    Have,
    Hello,
    IdentityClock,
    Message,
    Peers,
    Ping,
    Pong,
    Relay,
    Run,
    Statements,
    Tokens,
)
from p2pblog.gossip.sharing import (
    COMPARE_PING,
)

PINGS = {Ping, Pong, Peers}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_token_is_another_one_in_each_direction_and_on_each_link() -> None:
    alice = person("alice").hash
    tokens = {token(bytes([link]) * 32, by_dialer, alice) for link in (1, 2) for by_dialer in (True, False)}
    assert len(tokens) == 4
    assert all(len(item) == 8 for item in tokens)


def test_no_message_names_an_identity_that_is_not_shared(scene: Scene) -> None:
    scene.node("alice")
    scene.node("bob", "alice", "dave")
    scene.node("carol", "erin")
    scene.link("bob", "carol")
    scene.run(2)
    assert scene.parties["bob"].shares("carol") == set()
    said = b"".join(message.tokens[0] if isinstance(message, Tokens) else b"" for *_, message, _ in scene.sent)
    for name in ("alice", "bob", "carol", "dave", "erin"):
        assert person(name).hash not in said
    assert {type(message) for *_, message, _ in scene.sent} <= {Hello, Tokens} | PINGS


def test_who_echoes_tokens_claims_nothing(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    mallory = scene.puppet("mallory")
    scene.link("mallory", "bob")
    mallory.say("bob", Hello(1, 0, 5))
    (theirs,) = mallory.told(Tokens)
    mallory.say("bob", theirs)
    assert bob.shares("mallory") == set()
    assert mallory.told(Clocks) == []


def test_both_sides_come_to_share_what_both_follow(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol", "dave"), scene.node("bob", "alice", "carol", "erin")
    scene.link("alice", "bob")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("alice").hash, person("carol").hash}


def test_who_follows_later_shares_from_then_on(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob")
    scene.link("alice", "bob")
    scene.run(1)
    assert alice.shares("bob") == set()
    bob.follow("alice")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("alice").hash}
    assert bob.numbers(alice.person) == [1]


def test_who_follows_nobody_at_first_still_shares_later(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob")
    bob.machine.holdings.interests.clear()
    scene.link("alice", "bob")
    scene.run(1)
    bob.follow("alice")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("alice").hash}


def test_of_many_logs_those_of_the_devices_stated_last_are_told() -> None:
    """Who takes a new device at each start writes with the newest, whatever its key."""
    alice = person("alice")
    holdings = Holdings(person("bob").hash)
    logs = [alice.log, *(alice.add_device(f"start {number}") for number in range(LOGS_PER_CLOCK_MAX + 2))]
    for count in (LOGS_PER_CLOCK_MAX, len(logs)):
        holdings.learn(alice.identity)
        for log in logs[:count]:
            (first,) = log.entries
            holdings.take(LogState(log.key, alice.hash, (Span(1, 1, first.id, None, first.id),)))
        told = [device for device, _clock in holdings.identity_clock(alice.hash).logs]
        assert told == sorted(log.key for log in logs[:count][-LOGS_PER_CLOCK_MAX:])


def test_unfollowing_ends_the_sharing_and_following_again_begins_it(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob", "alice")
    scene.link("alice", "bob")
    scene.run(1)
    bob.unfollow("alice")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == set()
    alice.post("unseen for now")
    scene.run(1)
    assert bob.texts(alice.person) == []
    bob.follow("alice")
    scene.run(1)
    assert bob.texts(alice.person) == ["unseen for now"]


def test_a_follow_and_an_unfollow_that_cross_on_the_way_agree_in_the_end(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol"), scene.node("bob")
    scene.link("alice", "bob")
    scene.run(1)
    bob.follow("carol")
    alice.unfollow("carol")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == set()
    alice.follow("carol")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("carol").hash}


def test_a_follow_while_apart_is_told_on_the_next_link(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "alice")
    scene.link("alice", "bob")
    scene.run(1)
    scene.cut("alice", "bob")
    bob.follow("carol")
    bob.unfollow("alice")
    scene.link("alice", "bob")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("carol").hash}


def test_an_unfollow_between_two_hellos_keeps_the_memories_alike(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "alice", "carol")
    scene.link("alice", "bob")
    scene.run(1)
    scene.relink("alice", "bob")
    bob.unfollow("carol")  # said Hello, has not heard one yet
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice") == {person("alice").hash}
    assert hashes_agree(alice, bob)


@pytest.mark.parametrize("apart_again", [False, True])
def test_a_follow_after_an_unfollow_while_apart_is_told_again(scene: Scene, apart_again: bool) -> None:
    alice, bob = scene.node("alice"), scene.node("bob", "alice", "carol")
    scene.link("alice", "bob")
    scene.run(1)
    scene.cut("alice", "bob")
    bob.unfollow("carol")
    scene.link("alice", "bob")
    scene.run(1)
    alice.follow("carol")
    scene.run(1)
    if apart_again:
        scene.cut("alice", "bob")
    bob.follow("carol")
    if apart_again:
        scene.link("alice", "bob")
    scene.run(1)
    assert person("carol").hash in alice.shares("bob") & bob.shares("alice")


def test_statements_arrive_before_any_entry(scene: Scene) -> None:
    scene.node("alice")
    scene.node("bob", "alice")
    scene.link("alice", "bob")
    scene.run(2)
    kinds = [type(message) for _, sender, _, message, _ in scene.sent if sender == "alice"]
    assert kinds.index(Statements) < kinds.index(Run)


def test_what_was_announced_to_who_knew_no_such_device_is_told_once_he_does(scene: Scene) -> None:
    """Bob announces an entry while dora's clock, and so that she lacks the statements, is still on its way to him."""
    alice, bob, dora = scene.node("alice"), scene.node("bob", "alice"), scene.puppet("dora")
    scene.link("alice", "bob")
    scene.run(2)
    scene.link("dora", "bob")
    dora.say("bob", Hello(1, 0, 5), Tokens((dora.token(alice.person.hash),)))
    alice.post("said too soon")
    scene.until(lambda: bool(dora.told(Have)))
    assert not dora.told(Statements)
    before = len(dora.told(Clocks))

    dora.say("bob", Clocks((IdentityClock(alice.person.hash, None),)))

    assert [message.identity for message in dora.told(Statements)] == [alice.person.identity.wire]
    (told,) = [clock for message in dora.told(Clocks)[before:] for clock in message.clocks]
    assert dict(told.logs)[alice.person.log.key].high == bob.numbers(alice.person)[-1]


def test_two_halves_of_an_identity_become_one_on_both_sides(scene: Scene) -> None:
    carol = person("carol")
    bare = Identity(carol.identity.inception)
    carol.add_device("phone")
    phone = [s for s in carol.identity.statements if s not in person("carol").identity.statements]
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.learn(person("carol").identity)
    bob.learn(bare.merge(phone))
    scene.link("alice", "bob")
    scene.run(2)
    assert alice.machine.holdings.identities[carol.hash] == carol.identity
    assert bob.machine.holdings.identities[carol.hash] == carol.identity


def test_news_of_an_identity_spread_over_links_that_stand(scene: Scene) -> None:
    names = ["alice", "bob", "carol", "dave"]
    tables = [scene.node(name, "erin") for name in names]
    for one, other in itertools.pairwise(names):
        scene.link(one, other)
    scene.run(1)
    erin = person("erin")
    tables[0].learn(erin.identity)
    scene.run(1)
    assert [table.machine.holdings.identities.get(erin.hash) for table in tables] == [erin.identity] * 4


def test_statements_lost_at_the_cut_are_told_after_it(scene: Scene) -> None:
    alice, bob = scene.node("alice", "erin"), scene.node("bob", "erin")
    scene.link("alice", "bob")
    scene.run(1)
    alice.learn(person("erin").identity)
    scene.cut("alice", "bob")  # the statements were on their way
    scene.run(1)
    assert person("erin").hash not in bob.machine.holdings.identities
    scene.link("alice", "bob")
    scene.run(1)
    assert bob.machine.holdings.identities[person("erin").hash] == person("erin").identity


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_at_a_cut_both_sides_agree_after_the_next_link(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "RELAY_AFTER_S", 3_600.0)  # what one asks the other to relay is another story
    scene = Scene(seed)
    names = ["carol", "dave", "erin", "frank"]
    alice, bob = scene.node("alice", *names[:2]), scene.node("bob", "alice", *names[1:3])
    scene.link("alice", "bob")
    for _ in range(25):
        who = scene.rng.choice([alice, bob])
        other = scene.rng.choice(names)
        turn = scene.rng.randrange(4)
        if turn == 0:
            who.follow(other)
        elif turn == 1:
            who.unfollow(other)
        elif turn == 2:
            who.learn(person(other).identity)
        else:
            scene.relink("alice", "bob")
        scene.run(scene.rng.choice([0.0, 0.01, 0.05, 0.3]))
    scene.relink("alice", "bob")
    scene.run(3)
    both = set(alice.machine.holdings.interests) & set(bob.machine.holdings.interests)
    assert alice.shares("bob") == bob.shares("alice") == both
    assert hashes_agree(alice, bob)
    for identity in both:
        known = [table.machine.holdings.identities.get(identity) for table in (alice, bob)]
        assert known[0] == known[1]


def test_an_idle_reconnect_costs_under_a_hundred_bytes_however_many_feeds(scene: Scene) -> None:
    crowd = [f"author {number}" for number in range(1_000)]
    alice, bob = scene.node("alice", *crowd), scene.node("bob", *crowd)
    for name in crowd[:200]:
        alice.keep(person(name), person(name).log.run())
    scene.link("alice", "bob")
    scene.run(30)
    assert len(alice.shares("bob")) == 1_000
    assert all(bob.numbers(person(name)) == [1] for name in crowd[:200])
    scene.relink("alice", "bob")
    scene.run(5)  # says once what changed since it was last told
    scene.cut("alice", "bob")
    scene.run(1)
    since = scene.now
    scene.link("alice", "bob")
    scene.run(5)
    cost = [Encoder().encode(m) for at, _, _, m, _ in scene.sent if at >= since and not is_upkeep(m)]
    assert 0 < len(b"".join(cost)) < 100
    assert len(alice.shares("bob")) == len(bob.shares("alice")) == 1_000


def test_only_what_changed_while_apart_is_told(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol", "dave"), scene.node("bob", "alice", "carol", "dave")
    scene.link("alice", "bob")
    scene.run(2)
    scene.relink("alice", "bob")
    scene.run(2)
    scene.cut("alice", "bob")
    alice.post("while apart")
    since = scene.now
    scene.link("alice", "bob")
    scene.run(2)
    assert scene.said(Tokens, since=since) == []
    (told,) = scene.said(Clocks, "alice", since=since)
    assert [clock.identity for clock in told.clocks] == [person("alice").hash]
    assert bob.texts(alice.person) == ["while apart"]


def test_a_side_that_forgot_makes_both_tell_all_again(scene: Scene) -> None:
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "alice", "carol")
    scene.link("alice", "bob")
    scene.run(2)
    stale = dict(bob.memories)
    scene.cut("alice", "bob")
    bob.memories = stale  # crashed before it could keep anything
    alice.post("news")
    since = scene.now
    scene.link("alice", "bob")
    scene.run(2)
    assert len(scene.said(Tokens, since=since)) == 2
    assert alice.shares("bob") == bob.shares("alice") == {person("alice").hash, person("carol").hash}
    assert bob.texts(alice.person) == ["news"]


def test_a_memory_of_another_version_is_no_memory(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob", "alice")
    bob.memories[alice.key] = b"\x93\x01\x02\x03"
    scene.link("alice", "bob")
    scene.run(1)
    assert bob.shares("alice") == {person("alice").hash}


def test_a_memory_reads_back_as_it_was_written(scene: Scene) -> None:
    _alice, bob = scene.node("alice", "carol"), scene.node("bob", "alice", "carol")
    scene.link("alice", "bob")
    scene.run(2)
    memory = bob.session("alice").memory
    assert Memory.from_wire(memory.wire) == memory
    row = memory.shared[person("alice").hash]
    assert row.told is not None and row.told != row.heard
    before = len(memory.wire)
    row.heard = row.told
    again = Memory.from_wire(memory.wire)
    assert again == memory and len(memory.wire) < before, "both hold the same: it is kept once"
    assert again.shared[person("alice").hash].heard is again.shared[person("alice").hash].told
    row.told = None
    assert Memory.from_wire(memory.wire) == memory


def test_a_peer_with_nothing_in_common_is_not_remembered(scene: Scene) -> None:
    alice, bob = scene.node("alice"), scene.node("bob")
    scene.link("alice", "bob")
    scene.run(1)
    scene.cut("alice", "bob")
    assert alice.memories == bob.memories == {}


def test_a_link_without_hello_is_ended(scene: Scene) -> None:
    scene.node("alice")
    scene.puppet("mallory")
    scene.link("mallory", "alice")
    scene.run(6)
    ((closer, _other, error),) = scene.closed
    assert (closer, str(error)) == ("alice", "no Hello in time")


def test_clocks_of_a_node_full_of_holes_go_in_several_messages(scene: Scene) -> None:
    crowded = Clock(tuple((9_000 - 3 * n, 9_001 - 3 * n) for n in range(16)), tuple(range(8_000, 7_744, -1)), bytes(8))
    clocks = [
        IdentityClock(
            IdentityHash(bytes([n]) * 32), bytes(8), tuple((DeviceKey(bytes([n, d]) * 16), crowded) for d in range(64))
        )
        for n in range(5)
    ]
    messages = clock_messages(clocks)
    assert [clock for message in messages for clock in message] == clocks
    assert all(sum(map(count_numbers, message)) <= CLOCK_NUMBERS_PER_MESSAGE for message in messages)


def is_upkeep(message: Message) -> bool:
    """Whether a link would say it just as well later: to see that it lives, to name peers, or to ask for what nobody
    has."""
    return isinstance(message, Peers | Relay | Alarm) or (
        isinstance(message, Ping | Pong) and message.number != COMPARE_PING
    )


def hashes_agree(one: Table, other: Table) -> bool:
    """Whether both would resume if the link ended now."""
    mine = one.session(other.name).memory.hash(one.key < other.key)
    theirs = other.session(one.name).memory.hash(other.key < one.key)
    return mine == theirs and mine is not None


def test_links_that_hold_the_same_keep_one_clock_in_memory() -> None:
    scene = Scene()
    alice = scene.node("alice")
    for number in range(10):
        alice.post(f"{number}")
    carol, friends = scene.node("carol", "alice"), ("bob", "dave", "erin")
    for name in ("carol", *friends):
        if name != "carol":
            scene.node(name, "alice")
        scene.link("alice", name)
        scene.run(5)
    for name in friends:
        scene.link("carol", name)
        scene.run(5)
    sessions = carol.machine.sharing.sessions
    rows = [sessions[node_key(name)].shared[person("alice").hash] for name in friends]
    assert all(row.told == row.heard for row in rows)
    assert len({id(clock) for row in rows for clock in (row.told, row.heard)}) == 1
