"""Scenes at the pen: which device of alice's writes what next, and when her log is left for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from builders import NOON, Log, key_pair, person

from p2pblog.config import STATEMENTS_MAX
from p2pblog.core import payload as payloads
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, check_signed
from p2pblog.core.forks import prove_fork
from p2pblog.core.identity import Identity, state_device, state_retire
from p2pblog.core.keys import DeviceKey, KeyPair, NodeKey, hash32
from p2pblog.core.logs import Batch, LogState, Span
from p2pblog.core.payload import LogStart, Note, Payload, Profile
from p2pblog.core.value import replace
from p2pblog.errors import LocalProtocolError, UserError
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.memory import Memory, Shared
from p2pblog.gossip.messages import Clock, IdentityClock, tip_of
from p2pblog.gossip.sharing import Session, Sharing
from p2pblog.pen import CLAIM_TIMEOUT_S, COMPARE_TIMEOUT_S, DHT, PEERS, Admit, Append, NewDevice, Pen, Step

PEER = NodeKey(key_pair("peer").public)


def drawn(number: int) -> KeyPair:
    """The key of the device that is opened as the first, second…"""
    return KeyPair.from_seed(hash32(bytes([number]), b"p2pblog tests"))


class Desk:
    """Alice's pen; who sits here does what it says, on a disk that is a list."""

    def __init__(self) -> None:
        self.alice = person("alice")
        self.holdings = Holdings(self.alice.hash)
        self.sharing = Sharing(NodeKey(key_pair("alice/node").public), self.holdings)
        seeds = (hash32(bytes([number]), b"p2pblog tests") for number in count(1))
        self.pen = Pen(
            self.alice.root,
            self.alice.identity.inception,
            self.alice.device,
            self.holdings,
            self.sharing,
            lambda: next(seeds),
        )
        self.disk: list[Entry] = []

    def take_up(self, *compare_with: str) -> None:
        """The node starts on a disk that holds alice's log."""
        self.disk = list(self.alice.log.entries)
        self.holdings.learn(self.alice.identity)
        self.hold(self.alice.log)
        self.pen.begin(self.disk[-1], compare_with, now=100.0)

    def hold(self, log: Log) -> None:
        first, *_, last = [*log.entries, *log.entries]
        self.holdings.take(LogState(log.key, self.alice.hash, (Span(1, last.seq, first.id, None, last.id),)))

    def do(self, step: Step | None) -> None:
        match step:
            case NewDevice():
                self.pen.left(step)
            case Admit(identity):
                self.holdings.learn(identity)
            case Append():
                self.disk.append(step.entry)
                self.pen.stored(step.entry)

    def write(self, payload: Payload | None) -> list[Step]:
        """Every step until the payload is written, or the log open."""
        steps: list[Step] = []
        while (step := self.pen.next(payload, NOON)) is not None:
            steps.append(step)
            self.do(step)
            if isinstance(step, Append) and step.is_asked:
                break
        return steps

    def peer_says(self, clock: Clock) -> None:
        """A peer who follows alice says that he holds this of her log."""
        told = Shared(heard=IdentityClock(self.alice.hash, None, ((self.pen.device_key, clock),)))
        session = Session(PEER, Endpoint("10.0.2.1", 4000), True, b"", Memory(shared={self.alice.hash: told}))
        session.clocks[self.pen.device_key] = clock
        self.sharing.sessions[PEER] = session

    def peer_shows(self, clock: Clock) -> None:
        """He says so, and that this is all."""
        self.peer_says(clock)
        self.pen.heard_peer(PEER)


@pytest.fixture
def desk() -> Iterator[Desk]:
    yield Desk()


def said(step: Step) -> Payload:
    assert isinstance(step, Append) and step.entry.payload is not None
    return payloads.decode(step.entry.payload)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_first_start_states_the_device_and_begins_the_log(desk: Desk) -> None:
    desk.pen.begin(None, {PEERS, DHT}, now=0.0)
    assert desk.pen.is_compared  # nobody can know a log that is not begun
    admit, start = desk.write(None)
    assert isinstance(admit, Admit) and list(admit.identity.devices) == [desk.alice.key]
    assert said(start) == LogStart(desk.alice.hash)
    assert desk.write(None) == []


def test_entries_follow_one_another_signed(desk: Desk) -> None:
    desk.take_up()
    before = desk.disk[-1]
    for number in range(3):
        (step,) = desk.write(Note(f"note {number}"))
        assert isinstance(step, Append) and step.is_asked
        assert step.batch == Batch(desk.alice.hash, (step.entry,), newest=True)
        assert (step.entry.seq, step.entry.prev) == (before.seq + 1, before.id)
        assert step.entry.signature is not None
        check_signed(step.entry, step.entry.signature)
        before = step.entry


def test_what_was_not_stored_is_not_built_upon(desk: Desk) -> None:
    """The disk was full: the next entry takes the same number."""
    desk.take_up()
    (first, second) = (desk.pen.next(Note("again and again"), NOON + later) for later in range(2))
    assert isinstance(first, Append) and isinstance(second, Append)
    assert first.entry.seq == second.entry.seq == 2 and first.entry.prev == second.entry.prev


def test_a_name_is_told_before_anything_else_and_once(desk: Desk) -> None:
    desk.pen.begin(None, (), now=0.0)
    admit, start = desk.pen.next(None, NOON), None
    desk.do(admit)
    start = desk.pen.next(Note("first"), NOON)
    assert isinstance(start, Append) and not start.is_asked
    desk.do(start)
    desk.pen.tell_name("Alice")
    assert desk.pen.next(None, NOON) == desk.pen.next(None, NOON)  # told until it is stored
    assert [said(step) for step in desk.write(Note("first"))] == [Profile("Alice"), Note("first")]
    assert [said(step) for step in desk.write(Note("second"))] == [Note("second")]


def test_a_payload_beyond_the_limits_changes_nothing(desk: Desk) -> None:
    desk.take_up()
    with pytest.raises(LocalProtocolError):
        desk.pen.next(Note("x" * 100_000), NOON)
    assert [said(step) for step in desk.write(Note("short"))] == [Note("short")]


def test_a_device_that_the_identity_does_not_name_is_stated_first(desk: Desk) -> None:
    """The statements were lost with the database of another start; the log was not."""
    desk.take_up()
    desk.holdings.identities[desk.alice.hash] = Identity(desk.alice.identity.inception)
    admit, note = desk.write(Note("here"))
    assert isinstance(admit, Admit) and desk.alice.key in admit.identity.devices
    assert said(note) == Note("here")


def test_an_identity_that_has_no_room_for_the_device_does_not_stop_the_pen(desk: Desk) -> None:
    desk.take_up()
    root, identity = desk.alice.root, Identity(desk.alice.identity.inception)
    old = [DeviceKey(key_pair(f"device {number}").public) for number in range(STATEMENTS_MAX)]
    retired = [state_retire(root, identity.hash, 0, number, device, 0, None) for number, device in enumerate(old)]
    desk.holdings.identities[identity.hash] = identity.merge(retired)
    assert [said(step) for step in desk.write(Note("here"))] == [Note("here")]


def test_a_device_that_would_hide_the_log_of_another_is_not_stated(desk: Desk) -> None:
    """Whose files get another owner at each start takes a new device each time, until there is no room."""
    root, identity = desk.alice.root, desk.alice.identity
    more = [key_pair(f"device {number}") for number in range(1, STATEMENTS_MAX)]
    full = identity.merge([state_device(root, pair, identity.hash, 0, at) for at, pair in enumerate(more, 1)])
    desk.take_up()
    desk.holdings.learn(full)
    assert [said(step) for step in desk.write(Note("here"))] == [Note("here")]
    desk.do(desk.pen.proved_elsewhere(desk.alice.key, 9, desk.disk[0].id))
    assert desk.write(None) == []
    with pytest.raises(UserError, match="256 devices"):
        desk.write(Note("one too many"))
    assert desk.holdings.identities[identity.hash] == full


# --- leaving a log ----------------------------------------------------------------------------------------------------


def test_a_number_that_is_taken_makes_a_new_device_begin(desk: Desk) -> None:
    desk.take_up()
    taken = desk.pen.next(Note("mine"), NOON)
    assert isinstance(taken, Append)
    leave = desk.pen.refused(taken.entry)
    assert leave == NewDevice(drawn(1))
    assert desk.pen.device == desk.alice.device  # until the key is on disk
    desk.do(leave)
    assert desk.pen.refused(taken.entry) is None  # that log was left already
    admit, start, note = desk.write(Note("mine"))
    assert isinstance(admit, Admit) and len(admit.identity.devices) == 2
    assert (said(start), said(note)) == (LogStart(desk.alice.hash), Note("mine"))
    assert isinstance(note, Append)
    assert (note.entry.device, note.entry.seq) == (drawn(1).public, 2)


def test_a_log_whose_newest_entry_cannot_be_read_is_left_before_anything_is_signed(desk: Desk) -> None:
    desk.holdings.learn(desk.alice.identity)
    desk.hold(desk.alice.log)
    desk.pen.begin(None, {PEERS, DHT}, now=0.0)
    steps = desk.write(None)
    assert isinstance(steps[0], NewDevice)
    assert desk.alice.key not in {entry.device for entry in desk.disk}


def test_a_disputed_log_is_left_by_who_writes_but_not_by_a_start(desk: Desk) -> None:
    desk.take_up()
    fork = desk.alice.log.branch(1)
    one, other = desk.alice.log.note("one"), fork.note("other")
    state = desk.holdings.logs[desk.alice.key]
    desk.holdings.take(replace(state, fork=prove_fork((one,), (other,))))
    assert desk.holdings.is_frozen(desk.alice.key)
    assert desk.write(None) == []
    leave, admit, start, note = desk.write(Note("on"))
    assert leave == NewDevice(drawn(1))
    assert isinstance(admit, Admit) and said(start) == LogStart(desk.alice.hash) and said(note) == Note("on")


def test_the_log_of_a_retired_device_is_left_by_who_writes_but_not_by_a_start(desk: Desk) -> None:
    """The identity said so elsewhere, and nobody shows what is beyond."""
    desk.take_up()
    last = desk.disk[-1]
    desk.holdings.learn(desk.alice.retire(desk.alice.key, last.seq, last.id))
    assert desk.write(None) == []
    leave, admit, start, note = desk.write(Note("on"))
    assert leave == NewDevice(drawn(1))
    assert isinstance(admit, Admit) and said(start) == LogStart(desk.alice.hash) and said(note) == Note("on")
    assert [said(step) for step in desk.write(Note("and on"))] == [Note("and on")]


@pytest.mark.parametrize("begun", [False, True])
def test_nothing_else_is_written_there_either(desk: Desk, begun: bool) -> None:
    if begun:
        desk.take_up()
        desk.pen.tell_name("Alice")
    desk.holdings.learn(desk.alice.retire(desk.alice.key, 0, None))
    assert [type(step) for step in desk.write(None)] == [NewDevice, Admit, Append]


def test_an_entry_stored_in_a_log_that_was_left_meanwhile_is_not_the_last_of_the_new_one(desk: Desk) -> None:
    desk.take_up()
    step = desk.pen.next(Note("on its way to the disk"), NOON)
    assert isinstance(step, Append)
    desk.do(desk.pen.proved_elsewhere(desk.alice.key, 9, step.entry.id))
    desk.pen.stored(step.entry)
    assert desk.pen.last is None
    assert [type(step) for step in desk.write(None)] == [Admit, Append]


def test_a_name_to_be_told_in_a_log_that_is_left_is_forgotten_with_it(desk: Desk) -> None:
    desk.pen.begin(None, (), now=0.0)
    desk.write(None)
    desk.pen.tell_name("Alice")
    assert desk.pen.last is not None
    desk.do(desk.pen.refused(desk.pen.last))
    assert [type(step) for step in desk.write(None)] == [Admit, Append]


# --- comparing --------------------------------------------------------------------------------------------------------


def test_both_are_heard_before_the_first_entry_or_five_seconds_pass(desk: Desk) -> None:
    desk.take_up(PEERS, DHT)
    assert not desk.pen.is_compared and desk.pen.compare_until == 100.0 + COMPARE_TIMEOUT_S
    desk.pen.heard_dht()
    desk.pen.heard_dht()
    assert not desk.pen.is_compared
    desk.peer_shows(Clock(((1, 1),)))
    assert desk.pen.is_compared


def test_whose_copy_of_our_log_is_shorter_shows_nothing(desk: Desk) -> None:
    """Where a disk was put back, the first who answers may have lost his; the one after him holds what we lack."""
    desk.alice.notes(2)
    desk.take_up(PEERS)
    for behind in (Clock(), Clock(((1, 2),))):
        desk.peer_shows(behind)
        assert not desk.pen.is_compared
    desk.sharing.sessions[PEER].clocks[desk.pen.device_key] = Clock(((1, 3),))  # now we have given him what we have
    desk.pen.heard_peer(PEER)
    assert not desk.pen.is_compared
    desk.peer_shows(Clock(((1, 3),)))
    assert desk.pen.is_compared


def test_a_claim_that_goes_away_with_its_link_shows_nothing(desk: Desk) -> None:
    """Who holds more may be cut off before he has given it; then the next is waited for."""
    desk.take_up(PEERS)
    desk.peer_shows(Clock(((1, 2),)))
    desk.sharing.sessions.clear()
    assert not desk.pen.is_compared and desk.pen.waits_until == desk.pen.compare_until


def test_a_stranger_shows_nothing(desk: Desk) -> None:
    desk.take_up(PEERS)
    desk.peer_says(Clock(((1, 1),)))
    desk.sharing.sessions[PEER].shared.clear()
    desk.pen.heard_peer(PEER)
    desk.pen.heard_peer(NodeKey(key_pair("somebody who has gone").public))
    assert not desk.pen.is_compared


def test_who_never_had_a_peer_waits_for_nobody(desk: Desk) -> None:
    desk.take_up()
    assert desk.pen.is_compared


@pytest.mark.parametrize(
    ("clock", "waits"),
    [
        (Clock(((1, 2),)), True),
        (Clock(((1, 1),), tip=tip_of(person("bob").log.entries[0].id)), True),
        (Clock(((1, 1),), tip=tip_of(person("alice").log.entries[0].id)), False),
        (Clock(((1, 1),)), False),
    ],
    ids=["longer", "another of one length", "the same", "of one length"],
)
def test_a_peer_that_claims_more_is_waited_for(desk: Desk, clock: Clock, waits: bool) -> None:
    desk.take_up(PEERS)
    desk.peer_shows(clock)
    assert desk.pen.is_compared is not waits


def test_one_who_claims_more_after_the_first_has_answered_is_waited_for_too(desk: Desk) -> None:
    """A liar may be the first; an old copy of the log must not go on at a number taken."""
    desk.take_up(PEERS)
    desk.peer_shows(Clock(((1, 1),)))
    assert desk.pen.is_compared
    desk.peer_says(Clock(((1, 2),)))
    assert not desk.pen.is_compared
    desk.do(desk.pen.proved_elsewhere(desk.alice.key, 2, person("bob").log.entries[0].id))
    assert desk.pen.is_compared  # nobody can know the log that is to begin


def test_a_claim_is_waited_for_longer_than_silence(desk: Desk) -> None:
    """The first who is asked to prove it may keep silent."""
    desk.take_up(PEERS)
    assert desk.pen.waits_until == desk.pen.compare_until
    desk.peer_says(Clock(((1, 2),)))
    assert desk.pen.waits_until == desk.pen.compare_until + CLAIM_TIMEOUT_S
    desk.pen.heard_peer(PEER)
    assert desk.pen.waits_until == desk.pen.compare_until + CLAIM_TIMEOUT_S
    desk.do(desk.pen.proved_elsewhere(desk.alice.key, 2, person("bob").log.entries[0].id))
    assert desk.pen.waits_until < 0


def test_what_is_proved_of_a_log_that_was_left_is_waited_for_until_it_is_here(desk: Desk) -> None:
    desk.alice.notes(3)
    lost = desk.alice.log
    desk.take_up(PEERS)
    assert desk.pen.lacks_until < 0
    desk.do(desk.pen.proved_elsewhere(lost.key, len(lost.entries) + 2, person("bob").log.entries[0].id))
    assert desk.pen.lacks_until == desk.pen.compare_until + CLAIM_TIMEOUT_S
    lost.note("lost")
    desk.hold(lost)
    assert desk.pen.lacks_until > 0
    lost.note("lost, too")
    desk.hold(lost)
    assert desk.pen.lacks_until < 0


def test_what_somebody_proves_beyond_our_last_entry_makes_us_leave(desk: Desk) -> None:
    desk.alice.notes(3)
    desk.take_up(PEERS)
    last = desk.disk[-1]
    elsewhere = person("bob").log.entries[0].id
    assert desk.pen.proved_elsewhere(desk.alice.key, last.seq, last.id) is None
    assert desk.pen.proved_elsewhere(desk.alice.key, last.seq - 1, elsewhere) is None
    assert desk.pen.proved_elsewhere(person("bob").key, last.seq + 1, elsewhere) is None
    for seq in (last.seq, last.seq + 1):
        assert isinstance(desk.pen.proved_elsewhere(desk.alice.key, seq, elsewhere), NewDevice)
    leave = desk.pen.proved_elsewhere(desk.alice.key, last.seq + 5, elsewhere)
    assert not desk.pen.is_compared
    desk.do(leave)
    assert desk.pen.is_compared and desk.pen.last is None
    assert desk.pen.proved_elsewhere(desk.pen.device_key, 1, elsewhere) is None


@pytest.mark.parametrize("was_refused", [False, True])
def test_nothing_is_written_to_a_log_that_is_to_be_left(desk: Desk, was_refused: bool) -> None:
    """The disk did not take the new key, so the step was not carried out."""
    desk.take_up()
    last = desk.disk[-1]
    assert (
        desk.pen.refused(last)
        if was_refused
        else desk.pen.proved_elsewhere(desk.alice.key, last.seq + 1, person("bob").log.entries[0].id)
    )
    assert desk.pen.next(None, NOON) is None  # who only reads goes on
    for _ in range(2):
        assert isinstance(desk.pen.next(Note("still here"), NOON), NewDevice)
    steps = desk.write(Note("on with it"))
    assert [type(step) for step in steps] == [NewDevice, Admit, Append, Append]
    assert desk.disk[-1].device == desk.pen.device_key != desk.alice.key
    assert len(desk.write(Note("and on"))) == 1
