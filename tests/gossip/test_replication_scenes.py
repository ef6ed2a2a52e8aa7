"""Who fetches what from whom, in which order, and what happens when histories contradict each other."""

from __future__ import annotations

import pytest
from builders import Log, Person, key_pair, person
from gossip_scenes import Scene, Table, author, claim, node_key, pongs, run_of

from p2pblog.config import NEWEST_FIRST
from p2pblog.core.entry import Entry
from p2pblog.core.forks import prove_fork
from p2pblog.core.identity import state_device
from p2pblog.core.payload import LogStart, Note, Payload
from p2pblog.core.value import replace
from p2pblog.gossip.messages import (
    PAYLOADS_MAX,
    Clock,
    Clocks,
    Fork,
    IdentityClock,
    Lack,
    Payloads,
    Run,
    Want,
    WantPayloads,
)
from p2pblog.gossip.pieces import history_piece, missing_payloads, newest_piece
from p2pblog.gossip.replication import NEWEST_PER_PEER, PATIENCE_S, WANT_TIMEOUT_S, WANTS_PER_PEER


@pytest.fixture
def scene() -> Scene:
    return Scene()


def without_payloads(entries: tuple[Entry, ...], *seqs: int) -> tuple[Entry, ...]:
    return tuple(entry.without_payload() if entry.seq in seqs else entry for entry in entries)


# --- the order ---


def test_the_newest_fifty_of_every_log_come_before_any_history(scene: Scene) -> None:
    authors = [author(f"author {number}", 120) for number in range(20)]
    alice = scene.node("alice", *(who.name for who in authors))
    bob = scene.node("bob", *(who.name for who in authors))
    for who in authors:
        alice.keep(who, who.log.run())
    scene.link("alice", "bob")
    scene.run(20)
    assert all(bob.numbers(who) == list(range(1, 122)) for who in authors)
    pieces = [(batch.entries[0].seq, batch.entries[-1].seq) for _, batch, _ in bob.stored if len(batch.entries) > 1]
    assert pieces[:20] == [(121 - NEWEST_FIRST + 1, 121)] * 20
    assert all(first < 121 - NEWEST_FIRST + 1 for first, _last in pieces[20:])


def test_missing_payloads_come_before_history_and_after_the_newest(scene: Scene) -> None:
    carol = author("carol", 200)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, carol.log.run())
    bob.keep(carol, without_payloads(carol.log.run(101, 120), 105, 110))
    scene.link("alice", "bob")
    scene.run(5)
    asked = [
        message for _, who, _, message, _ in scene.sent if who == "bob" and isinstance(message, Want | WantPayloads)
    ]
    assert asked[0] == Want(carol.key, 152, 201)
    assert asked[1] == WantPayloads(carol.key, (110, 105))
    assert asked[2:] == [Want(carol.key, 121, 151), Want(carol.key, 1, 100)]
    assert bob.state(carol).missing == ()
    assert bob.numbers(carol) == list(range(1, 202))


def test_a_log_is_asked_of_one_peer_at_a_time(scene: Scene) -> None:
    carol = author("carol", 400)
    bob = scene.node("bob", "carol")
    for name in ("dave", "erin", "frank"):
        scene.node(name, "carol").keep(carol, carol.log.run())
        scene.link(name, "bob")
    scene.run(10)
    assert bob.numbers(carol) == list(range(1, 402))
    open_questions = 0
    for _, who, other, message, _ in scene.sent:
        if who == "bob" and isinstance(message, Want):
            open_questions += 1
        elif other == "bob" and isinstance(message, Run):
            open_questions -= 1
        assert open_questions <= 1
    assert len({message.first for message in scene.said(Want, "bob")}) == len(scene.said(Want, "bob"))


def test_wants_under_way_with_one_peer_are_bounded(scene: Scene) -> None:
    authors = [author(f"author {number}", 3) for number in range(NEWEST_PER_PEER + 2)]
    bob = scene.node("bob", *(who.name for who in authors))
    puppet = scene.puppet("puppet")
    puppet.greet("bob", *authors)
    clocks = tuple(IdentityClock(a.hash, a.identity.digest, ((a.key, claim((1, 4))),)) for a in authors)
    puppet.say("bob", Clocks(clocks))
    assert len(puppet.told(Want)) == NEWEST_PER_PEER
    puppet.say("bob", run_of(authors[0].log.run()))
    assert len(puppet.told(Want)) == NEWEST_PER_PEER + 1
    assert bob.numbers(authors[0]) == [1, 2, 3, 4]


def test_history_is_wanted_in_fewer_runs_at_once_and_after_all_of_the_newest(scene: Scene) -> None:
    authors = [author(f"author {number}", 63) for number in range(NEWEST_PER_PEER)]
    scene.node("bob", *(who.name for who in authors))
    puppet = scene.puppet("puppet")
    puppet.greet("bob", *authors)
    clocks = tuple(IdentityClock(a.hash, a.identity.digest, ((a.key, claim((1, 64))),)) for a in authors)
    puppet.say("bob", Clocks(clocks))
    for number, who in enumerate(authors, 1):
        assert all(want.first > 1 for want in puppet.told(Want))
        puppet.say("bob", run_of(who.log.run(15, 64)))
        assert len(puppet.told(Want)) == NEWEST_PER_PEER
        if NEWEST_PER_PEER - number == WANTS_PER_PEER:
            break
    assert [want.last for want in puppet.told(Want) if want.first == 1] == []
    puppet.say("bob", run_of(authors[number].log.run(15, 64)))
    assert [want.last for want in puppet.told(Want) if want.first == 1] == [14]


def test_when_a_peer_dies_another_takes_over(scene: Scene) -> None:
    carol = author("carol", 300)
    bob = scene.node("bob", "carol")
    silent = scene.puppet("silent")
    silent.greet("bob", carol)
    silent.claims("bob", carol, (1, 301))
    assert silent.told(Want)
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    scene.run(1)
    assert bob.numbers(carol) == []
    scene.cut("silent", "bob")
    scene.run(3)
    assert bob.numbers(carol) == list(range(1, 302))


def test_a_peer_that_does_not_answer_in_time_is_left(scene: Scene) -> None:
    carol = author("carol", 3)
    scene.node("bob", "carol")
    silent = scene.puppet("silent")
    silent.greet("bob", carol)
    silent.claims("bob", carol, (1, 4))
    silent.answer = pongs
    scene.run(WANT_TIMEOUT_S + 1)
    assert [(closer, error.name) for closer, _, error in scene.closed if error] == [("bob", "too-slow")]


def test_a_slow_peer_has_the_time_for_an_answer_after_each_answer(scene: Scene) -> None:
    authors = [author(f"author {number}", 3) for number in range(3)]
    bob = scene.node("bob", *(who.name for who in authors))
    slow = scene.puppet("slow")
    slow.greet("bob", *authors)
    slow.answer = pongs
    slow.say(
        "bob",
        Clocks(tuple(IdentityClock(a.hash, a.identity.digest, ((a.key, claim((1, 4))),)) for a in authors)),
    )
    for who in authors:
        scene.run(WANT_TIMEOUT_S - 2)
        slow.say("bob", run_of(who.log.run()))
    assert scene.closed == []
    assert all(bob.numbers(who) == [1, 2, 3, 4] for who in authors)


def test_who_lacks_what_its_clock_told_is_asked_last(scene: Scene) -> None:
    carol = author("carol", 300)
    bob = scene.node("bob", "carol")
    liar = scene.puppet("liar")
    liar.greet("bob", carol)
    liar.answer = lambda message: [Lack(message.device, message.first)] if isinstance(message, Want) else []
    liar.claims("bob", carol, (1, 301))
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    for _ in range(20):
        liar.claims("bob", carol, (1, 301))
    scene.run(2)
    assert bob.numbers(carol) == list(range(1, 302))
    assert liar.told(Want).count(Want(carol.key, 252, 301)) <= 2


def test_who_kept_its_word_is_asked_before_who_did_not(scene: Scene) -> None:
    carol = author("carol", 2_500)
    bob = scene.node("bob", "carol")
    first, second = sorted(["dave", "erin"], key=node_key)  # questions go by the order of keys, all else being equal
    liar = scene.puppet(first)
    liar.greet("bob", carol)
    liar.answer = lambda message: [Lack(message.device, message.first)] if isinstance(message, Want) else []
    liar.claims("bob", carol, (1, 2_501))
    scene.node(second, "carol").keep(carol, carol.log.run())
    scene.link(second, "bob")
    asked = len(liar.told(Want))
    while bob.numbers(carol) != list(range(1, 2_502)):
        liar.claims("bob", carol, (1, 2_501))
    assert len(scene.said(Want, "bob", second)) >= 4
    assert len(liar.told(Want)) <= asked + 1


def test_of_a_retired_log_only_who_holds_the_named_entry_is_asked(scene: Scene) -> None:
    carol = author("carol", 100)
    carol.retire(carol.key, 60, carol.log.entries[59].id)
    bob = scene.node("bob", "carol")
    partly = scene.puppet("partly")
    partly.greet("bob", carol)
    partly.claims("bob", carol, (1, 50))
    assert partly.told(Want) == []
    partly.claims("bob", carol, (20, 70))
    assert partly.told(Want) == [Want(carol.key, 20, 60)]
    partly.say("bob", run_of(carol.log.run(20, 60)))
    partly.claims("bob", carol, (1, 50))
    assert partly.told(Want)[1:] == [Want(carol.key, 1, 19)]
    assert bob.numbers(carol) == list(range(20, 61))


def test_holes_are_filled_from_whoever_has_the_pieces(scene: Scene) -> None:
    carol = author("carol", 400)
    bob = scene.node("bob", "carol")
    for name, first, last in (("dave", 1, 150), ("erin", 140, 260), ("frank", 250, 401)):
        scene.node(name, "carol").keep(carol, carol.log.run(first, last))
        scene.link(name, "bob")
    scene.run(10)
    assert bob.numbers(carol) == list(range(1, 402))


def test_payloads_that_one_peer_lacks_come_from_another(scene: Scene) -> None:
    carol = author("carol", 20)
    bob = scene.node("bob", "carol")
    bob.keep(carol, without_payloads(carol.log.run(), 5, 6, 7))
    scene.node("dave", "carol").keep(carol, without_payloads(carol.log.run(), 6))
    scene.link("dave", "bob")
    scene.run(3)
    assert bob.state(carol).missing == (6,)
    scene.node("erin", "carol").keep(carol, carol.log.run())
    scene.link("erin", "bob")
    scene.run(3)
    assert bob.state(carol).missing == ()
    scene.run(3)
    assert scene.parties["dave"].state(carol).missing == ()


def test_the_payload_of_a_retracted_notice_is_not_asked_for(scene: Scene) -> None:
    carol = person("carol")
    said = carol.log.note("never mind")
    carol.log.delete(said)
    bob = scene.node("bob", "carol")
    bob.keep(carol, without_payloads(carol.log.run(), said.seq))
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    scene.run(3)
    assert scene.said(WantPayloads) == []


def test_many_large_payloads_all_arrive(scene: Scene) -> None:
    carol = person("carol")
    for number in range(400):
        carol.log.write(bytes([0xC6]) + number.to_bytes(4, "big") + bytes(12_000))
    everything = range(2, 402)
    bob = scene.node("bob", "carol")
    bob.keep(carol, without_payloads(carol.log.run(), *everything))
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    scene.run(10)
    assert bob.state(carol).missing == ()


def test_nothing_is_asked_for_beyond_a_retirement(scene: Scene) -> None:
    carol = author("carol", 100)
    carol.retire(carol.key, 60, carol.log.entries[59].id)
    bob = scene.node("bob", "carol")
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    scene.run(3)
    assert all(want.last <= 60 for want in scene.said(Want, "bob"))
    assert set(range(1, 61)) <= set(bob.numbers(carol))


# --- pieces, as plain functions ---


def test_pieces_of_a_log_that_both_hold_in_part() -> None:
    carol = author("carol", 200)
    scene = Scene()
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(50, 60))
    bob.keep(carol, carol.log.run(80, 90))
    state = bob.state(carol)
    assert newest_piece(state, Clock(((1, 201),)), 300) == (152, 201)
    assert newest_piece(state, Clock(((1, 100),)), 300) == (91, 100)
    assert newest_piece(state, Clock(((150, 201), (1, 100))), 300) == (152, 201)
    assert newest_piece(state, Clock(((1, 201),)), 95) == (91, 95)
    assert newest_piece(state, Clock(((1, 90),)), 300) is None
    assert history_piece(state, Clock(((1, 90),)), 300) == (61, 79)
    assert history_piece(state, Clock(((1, 60),)), 300) == (1, 49)
    assert history_piece(state, Clock(((50, 60),)), 300) is None
    assert missing_payloads(replace(state, missing=(55, 82, 85)), Clock(((1, 83),)), 300) == (82, 55)
    assert missing_payloads(replace(state, missing=(55, 82)), Clock(((80, 90), (1, 60))), 300) == (82,)
    assert missing_payloads(replace(state, missing=(55, 82)), Clock(((1, 90),), (82,)), 300) == (55,)
    assert len(missing_payloads(replace(state, missing=tuple(range(1, 500))), Clock(((1, 600),)), 600)) == PAYLOADS_MAX


# --- what must be refused ---


@pytest.mark.parametrize(
    ("start", "faults"), [(LogStart(person("dave").hash), []), (Note("no beginning"), ["bad-chain"])]
)
def test_a_log_whose_first_entry_does_not_name_its_identity_is_not_taken(
    scene: Scene, start: Payload, faults: list[str]
) -> None:
    carol, stolen = person("carol"), key_pair("stolen")
    stated = state_device(carol.root, stolen, carol.hash, 0, carol.identity.next_counter)
    carol.identity = carol.identity.merge([stated])
    log = Log(carol.hash, stolen)
    log.write(start)
    bob = scene.node("bob", "carol")
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, 1), log=log)
    mallory.say("bob", run_of(log.entries))
    assert bob.numbers(log) == []
    assert [error.name for _, _, error in scene.closed if error] == faults


@pytest.mark.parametrize("answer", ["other log", "other numbers", "unasked", "payloads", "forged", "lack unasked"])
def test_a_false_answer_ends_that_link_only(scene: Scene, answer: str) -> None:
    carol, erin = author("carol", 200), author("erin", 3)
    bob = scene.node("bob", "carol", "erin")
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol, erin)
    if answer not in ("unasked", "lack unasked"):
        mallory.claims("bob", carol, (1, 201))
        assert mallory.told(Want) == [Want(carol.key, 152, 201)]
    forged = list(run_of(carol.log.run(152, 201)).value)
    forged[5] = bytes(len(forged[5]))
    said = {
        "other log": run_of(erin.log.run()),
        "other numbers": run_of(carol.log.run(1, 50)),
        "unasked": run_of(carol.log.run()),
        "payloads": Payloads(carol.key, ((160, b"x"),)),
        "forged": Run(forged),
        "lack unasked": Lack(carol.key, 1),
    }[answer]
    mallory.say("bob", said)
    assert [(closer, other) for closer, other, error in scene.closed] == [("bob", "mallory")]
    assert scene.closed[0][2] is not None
    assert bob.numbers(carol) == []
    scene.node("dave", "carol").keep(carol, carol.log.run())
    scene.link("dave", "bob")
    scene.run(3)
    assert bob.numbers(carol) == list(range(1, 202))


def test_wants_of_strangers_are_answered_with_nothing(scene: Scene) -> None:
    carol = author("carol", 3)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    mallory = scene.puppet("mallory")
    mallory.greet("bob")
    mallory.say("bob", Want(carol.key, 1, 4), WantPayloads(carol.key, (3, 2)))
    assert mallory.told(Lack) == [Lack(carol.key, 1)]
    assert mallory.told(Payloads) == [Payloads(carol.key, ())]
    assert mallory.told(Run) == []


def test_an_answer_that_comes_after_its_log_froze_is_forgiven(scene: Scene) -> None:
    carol = author("carol", 20)
    other = carol.log.branch(10)
    for number in range(10):
        other.note(f"otherwise {number}")
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 12))
    slow = scene.puppet("slow")
    slow.greet("bob", carol)
    slow.claims("bob", carol, (1, 21))
    assert slow.told(Want) == [Want(carol.key, 13, 21)]
    scene.node("dave", "carol").keep(carol, other.run())
    freeze(scene.parties["dave"], carol.log, other)
    scene.link("dave", "bob")
    scene.run(2)
    assert bob.machine.holdings.is_frozen(carol.key)
    slow.say("bob", run_of(carol.log.run(13, 21)))
    assert scene.closed == []
    assert bob.numbers(carol) == list(range(1, 13))


def freeze(table: Table, one: Log, other: Log) -> None:
    table.perform(table.machine.replication.convict(prove_fork(one.run(), other.run())))
    table.scene.run(0)


# --- forks ---


def forked(name: str, common: int, ours: int, theirs: int) -> tuple[Person, Log]:
    """A log with two branches after `common` entries."""
    who = author(name, common - 1)
    other = who.log.branch(common)
    for number in range(ours):
        who.log.note(f"one way {number}")
    for number in range(theirs):
        other.note(f"the other way {number}")
    return who, other


@pytest.mark.parametrize(
    ("common", "ours", "theirs"),
    [
        pytest.param(10, 5, 5, id="inside"),
        pytest.param(10, 1, 80, id="below"),
        pytest.param(10, 300, 290, id="far below"),
        pytest.param(200, 3, 70, id="across a checkpoint"),
        pytest.param(1, 2, 2, id="from the second entry"),
    ],
)
def test_two_histories_end_in_a_proof_that_freezes_the_log_everywhere(
    scene: Scene, common: int, ours: int, theirs: int
) -> None:
    carol, other = forked("carol", common, ours, theirs)
    names = ["alice", "bob", "dave", "erin", "frank"]
    tables = [scene.node(name, "carol") for name in names]
    tables[0].keep(carol, carol.log.run())
    tables[-1].keep(carol, other.run())
    scene.link("alice", "bob")
    scene.link("frank", "erin")
    scene.run(5)
    scene.link("bob", "dave")
    scene.link("dave", "erin")
    scene.run(10)
    assert [table.machine.holdings.is_frozen(carol.key) for table in tables] == [True] * 5
    assert {table.state(carol).fork.ids for table in tables if table.state(carol).fork} == {
        tuple(sorted((carol.log.entries[common].id, other.entries[common].id)))
    }
    assert scene.closed == []
    kept = [table.numbers(carol) for table in tables]
    scene.run(30)
    assert [table.numbers(carol) for table in tables] == kept
    assert [table.store._logs[carol.key].fork is not None for table in tables] == [True] * 5


def test_a_contradiction_above_what_came_is_followed_upwards(scene: Scene) -> None:
    carol, other = forked("carol", 60, 100, 100)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, carol.log.run(100, 160))
    bob.keep(carol, other.run())
    bob.machine.holdings.logs[carol.key] = bob.state(carol)
    scene.link("alice", "bob")
    scene.run(5)
    assert alice.machine.holdings.is_frozen(carol.key)
    assert bob.machine.holdings.is_frozen(carol.key)


def test_a_fork_is_told_to_who_shares_the_log_later_and_only_once(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 5)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, carol.log.run())
    freeze(alice, carol.log, other)
    scene.link("alice", "bob")
    scene.run(2)
    assert bob.machine.holdings.is_frozen(carol.key)
    scene.relink("alice", "bob")
    scene.run(2)
    assert len(scene.said(Fork)) == 1


def test_a_fork_proof_lost_at_the_cut_is_told_again(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 5)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, carol.log.run())
    bob.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run(2)
    freeze(alice, carol.log, other)
    scene.cut("alice", "bob")
    scene.link("alice", "bob")
    scene.run(2)
    assert bob.machine.holdings.is_frozen(carol.key)


def test_a_live_entry_that_contradicts_freezes_the_log_too(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 7)
    alice, bob = scene.node("alice", "carol"), scene.node("bob", "carol")
    alice.keep(carol, other.run(1, 16))
    bob.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run(3)
    assert bob.machine.holdings.is_frozen(carol.key)
    assert alice.machine.holdings.is_frozen(carol.key)


@pytest.mark.parametrize("seed", range(6))
def test_a_retirement_settles_a_fork_and_honest_nodes_agree(seed: int) -> None:
    scene = Scene(seed)
    carol, other = forked("carol", 70, 80, 90)
    names = ["alice", "bob", "dave", "erin", "frank"]
    tables = [scene.node(name, "carol") for name in names]
    for table in tables:
        log = scene.rng.choice([carol.log, other])
        table.keep(carol, log.run(1, scene.rng.choice([75, 100, 150])))
    tables[0].store.__init__()  # type: ignore[misc]
    tables[0].machine.holdings.logs.pop(carol.key, None)
    tables[0].keep_own()
    tables[0].keep(carol, carol.log.run())
    for one, two in zip(names, [*names[1:], names[0]], strict=True):
        scene.link(one, two)
    scene.run(10)
    assert all(table.machine.holdings.is_frozen(carol.key) for table in tables)
    tables[2].learn(carol.retire(carol.key, 120, carol.log.entries[119].id))
    scene.run(60)
    right = [entry.id for entry in carol.log.entries[:120]]
    for table in tables:
        held = table.store._logs[carol.key].held
        assert [held[seq].entry.id for seq in range(1, 121) if seq in held] == right
        assert not table.machine.holdings.is_frozen(carol.key)
    assert scene.closed == []


def test_the_named_entry_above_a_hole_shows_that_what_is_below_was_not_picked(scene: Scene) -> None:
    carol, other = forked("carol", 10, 6, 6)
    carol.retire(carol.key, 15, carol.log.entries[14].id)
    bob, alice = scene.node("bob", "carol"), scene.node("alice", "carol")
    bob.keep(carol, other.run(1, 12))
    bob.keep(carol, carol.log.run(15, 15))
    alice.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run(5)
    held = bob.store._logs[carol.key].held
    assert [held[seq].entry.id for seq in sorted(held)][:15] == [entry.id for entry in carol.log.entries[:15]]
    assert scene.closed == []


def test_who_retired_a_device_is_not_held_up_by_proofs_of_old_forks(scene: Scene) -> None:
    carol, other = forked("carol", 10, 5, 5)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run())
    bob.learn(carol.retire(carol.key, 12, carol.log.entries[11].id))
    freeze(bob, carol.log, other)
    assert not bob.machine.holdings.is_frozen(carol.key)


def test_a_peer_whose_two_runs_do_not_fit_each_other_is_left(scene: Scene) -> None:
    carol, other = forked("carol", 60, 100, 100)
    bob = scene.node("bob", "carol")
    bob.keep(carol, carol.log.run(1, 100))
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol)
    mallory.claims("bob", carol, (1, 160))
    assert mallory.told(Want) == [Want(carol.key, 111, 160)]
    mallory.say("bob", run_of(other.run(111, 160)))
    mallory.say("bob", run_of(other.run(101, 110)))
    inquiry = mallory.told(Want)[-1]
    assert (inquiry.first, inquiry.last) == (37, 100)
    mallory.say("bob", run_of(carol.log.run(37, 100)))
    assert [error.name for _, _, error in scene.closed if error] == ["bad-chain"]
    assert not bob.machine.holdings.is_frozen(carol.key)


# --- who claims and does not give ---


def test_mute_peers_keep_a_log_to_themselves_for_a_moment_only(scene: Scene) -> None:
    carol = author("carol", 120)
    bob = scene.node("bob", "carol")
    liars = [scene.puppet(f"liar {number}") for number in range(4)]
    for number, liar in enumerate(liars):
        liar.greet("bob", carol)
        liar.claims("bob", carol, (1, 4_000 + number))
    alice = scene.node("alice", "carol")
    alice.keep(carol, carol.log.run())
    scene.link("alice", "bob")
    scene.run((len(liars) + 1) * PATIENCE_S)
    assert bob.numbers(carol)[-1] == 121

    for number in range(6):  # a liar that comes back under new keys stands behind who kept her word
        again = scene.puppet(f"liar again {number}")
        again.greet("bob", carol)
        again.claims("bob", carol, (1, 5_000 + number))
    scene.run(2 * PATIENCE_S)
    assert bob.numbers(carol) == list(range(1, 122))


def test_a_run_that_does_not_say_what_it_follows_ends_its_link(scene: Scene) -> None:
    carol = author("carol", 120)
    scene.node("bob", "carol")
    mallory = scene.puppet("mallory")
    mallory.greet("bob", carol)
    mallory.answer = lambda message: (
        [Run([message.device, message.first, None, [1], [b"junk"], bytes(64)])] if isinstance(message, Want) else []
    )
    mallory.claims("bob", carol, (1, 4_000))
    scene.run(5)
    assert len(mallory.told(Want)) == 1 and not mallory.is_linked
