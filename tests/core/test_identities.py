"""Alice and her devices: whoever holds the same statements comes to the same answer, in any order."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import pytest
from builders import key_pair, person
from core_scenes import flipped, tampered
from hypothesis import assume, given
from hypothesis import strategies as st
from values import VALUES
from vectors.parts import another_signature

from p2pblog.config import SEQ_MAX, STATEMENTS_MAX
from p2pblog.core import codec, identity
from p2pblog.core.identity import (
    COUNTER_MAX,
    EPOCH_MAX,
    IDENTITY_BYTES_MAX,
    Device,
    Identity,
    Inception,
    Policy,
    Retire,
    Rotate,
    Standing,
    Statement,
    key_hash,
    restate,
    state_device,
    state_retire,
    state_rotate,
)
from p2pblog.core.keys import STATEMENT_DOMAIN, DeviceKey, EntryId, IdentityHash, KeyPair, root_key
from p2pblog.core.value import replace
from p2pblog.errors import (
    BadSignature,
    BadStatement,
    LocalProtocolError,
    Malformed,
    NotCanonical,
    RemoteProtocolError,
    TooLarge,
)

# --- a small world with every kind of disagreement --------------------------------------------------------------------

ROOTS = [key_pair(f"root {number}") for number in range(5)]
GUARDIANS = [key_pair(f"guardian {number}") for number in range(3)]
DEVICES = [key_pair(f"device {number}") for number in range(3)]
POLICY = Policy(2, tuple(key_hash(guardian.public) for guardian in GUARDIANS))
NEXT = [Policy.of_one(ROOTS[3].public), Policy.of_one(ROOTS[4].public)]
BARE = Identity(Inception(ROOTS[0].public, POLICY.hash))
IDS = [EntryId(bytes([number]) * 32) for number in range(3)]


def first_rotations() -> list[tuple[Statement, KeyPair, int]]:
    """Every pair of guardians, two new roots, two policies: twelve rivals with their root and the policy's number."""
    return [
        (state_rotate(pair, BARE.hash, 1, POLICY, root.public, NEXT[number]), root, number)
        for pair in itertools.combinations(GUARDIANS, 2)
        for root in ROOTS[1:3]
        for number in range(2)
    ]


def second_rotations(number: int) -> list[tuple[Statement, KeyPair]]:
    """Two rivals under the policy of that number."""
    signer = ROOTS[3 + number]
    return [
        (state_rotate([signer], BARE.hash, 2, NEXT[number], root.public, NEXT[0]), root) for root in (ROOTS[1], signer)
    ]


FIRST = first_rotations()
SECOND = [second_rotations(0), second_rotations(1)]


@functools.cache
def about_devices(root: KeyPair, epoch: int) -> list[Statement]:
    """What a root may say of three devices in its epoch."""
    return [
        statement
        for device, counter in itertools.product(DEVICES, range(3))
        for statement in (
            state_device(root, device, BARE.hash, epoch, counter),
            *(
                state_retire(root, BARE.hash, epoch, counter, DeviceKey(device.public), seq, IDS[seq] if seq else None)
                for seq in range(3)
            ),
        )
    ]


@st.composite
def states(draw: st.DrawFn) -> Identity:
    """An identity as somebody honest may hold it."""
    epoch = draw(st.integers(0, 2))
    chain: list[Statement] = []
    root = ROOTS[0]
    if epoch >= 1:
        rotation, root, number = draw(st.sampled_from(FIRST))
        chain.append(rotation)
        if epoch == 2:
            rotation, root = draw(st.sampled_from(SECOND[number]))
            chain.append(rotation)
    told = draw(st.lists(st.sampled_from(about_devices(root, epoch)), max_size=8))
    return BARE.merge(chain).merge(told)


# --- the laws ---------------------------------------------------------------------------------------------------------


def both(one: Identity, other: Identity) -> Identity:
    return one.merge(other.statements)


@given(states(), states())
def test_merging_is_commutative(one: Identity, other: Identity) -> None:
    assert both(one, other) == both(other, one)
    assert both(one, other).wire == both(other, one).wire


@given(states(), states(), states())
def test_merging_is_associative(one: Identity, other: Identity, third: Identity) -> None:
    assert both(both(one, other), third) == both(one, both(other, third))


@given(states(), states())
def test_merging_twice_changes_nothing(one: Identity, other: Identity) -> None:
    merged = both(one, other)
    assert merged.merge(one.statements) is merged
    assert merged.merge(other.statements) is merged
    assert merged.merge([]) is merged


@given(states(), states(), states())
def test_merging_keeps_its_laws_where_the_bound_cuts(one: Identity, other: Identity, third: Identity) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "STATEMENTS_MAX", 4)
        one, other, third = (BARE.merge(state.statements) for state in (one, other, third))
        assert both(one, other) == both(other, one)
        assert both(both(one, other), third) == both(one, both(other, third))
        assert both(one, one) is one
        assert len(both(one, other).statements) <= 4


@given(states(), st.randoms(use_true_random=False))
def test_statements_of_one_epoch_may_come_in_any_order(state: Identity, rng: object) -> None:
    told = [s for s in state.statements if not isinstance(s.body, Rotate)]
    rng.shuffle(told)  # type: ignore[attr-defined]
    growing = BARE.merge(state.rotations)
    for statement in told:
        growing = growing.merge([statement])
    assert growing == state


@given(states())
def test_an_identity_travels(state: Identity) -> None:
    assert Identity.decode(state.wire) == state
    assert Identity.decode(state.wire, BARE.hash).digest == state.digest
    assert Identity.restore(state.wire, BARE.hash) == state


def test_an_identity_of_our_own_store_is_the_one_that_it_is_kept_as() -> None:
    with pytest.raises(BadStatement):
        Identity.restore(BARE.wire, IdentityHash(bytes(32)))
    with pytest.raises(Malformed):
        Identity.restore(BARE.wire[:-1], BARE.hash)


@given(states(), st.data())
def test_a_set_has_one_wire_form(state: Identity, data: st.DataObject) -> None:
    """In order, each once, and nothing that the others take the force from."""
    listed = [statement.value for statement in state.statements]
    assume(len(listed) > 1)
    shuffled = data.draw(st.permutations(listed))
    if shuffled != listed:
        with pytest.raises(NotCanonical):
            Identity.decode(codec.pack([BARE.inception.wire, shuffled]))
    with pytest.raises(BadStatement):
        Identity.decode(codec.pack([BARE.inception.wire, [*listed, listed[0]]]))


# --- the rules --------------------------------------------------------------------------------------------------------


def test_a_retire_beats_a_device_whatever_their_counters() -> None:
    alice = person("alice")
    told = alice.identity.merge(
        [
            state_retire(alice.root, alice.hash, 0, 0, alice.key, 3, IDS[0]),
            state_device(alice.root, alice.device, alice.hash, 0, 99),
        ]
    )
    assert told.devices == {alice.key: Standing(True, 3, IDS[0])}


def test_the_owner_can_correct_a_retire() -> None:
    alice = person("alice")
    alice.retire(alice.key, 3, IDS[0])
    assert alice.retire(alice.key, 5, IDS[1]).devices == {alice.key: Standing(True, 5, IDS[1])}


def test_a_device_stands_until_the_identity_says_otherwise() -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    assert alice.identity.devices == {key: Standing(False, SEQ_MAX) for key in sorted([alice.key, laptop.key])}
    stated = alice.identity.statement_of(laptop.key)
    assert stated is not None
    assert stated.body.device == laptop.key  # type: ignore[union-attr]
    assert alice.identity.statement_of(person("bob").key) is None


def test_mallory_cannot_claim_alices_log_by_retiring_it() -> None:
    """A retire has no consent; alone it must not make Alice's first notices Mallory's."""
    alice, mallory = person("alice"), person("mallory")
    last = alice.log.note("mine")
    assert alice.key not in mallory.retire(alice.key, last.seq, last.id).devices
    stolen = alice.identity.statements[0]
    assert stolen.consent is not None
    bare = Statement(replace(stolen.body, identity=mallory.hash), ())
    claim = Statement(bare.body, (mallory.root.sign(STATEMENT_DOMAIN, bare.id),), stolen.consent)
    with pytest.raises(BadSignature):
        mallory.identity.merge([claim])


def test_a_new_root_speaks_for_a_device_that_is_lost() -> None:
    alice = person("alice")
    old = alice.identity
    rotated = old.merge(
        [
            state_rotate(
                [alice.next_root],
                alice.hash,
                1,
                Policy.of_one(alice.next_root.public),
                alice.next_root.public,
                Policy.of_one(key_pair("alice/root 2").public),
            )
        ]
    )
    assert (rotated.epoch, rotated.root, rotated.devices) == (1, alice.next_root.public, {})
    again = restate(alice.next_root, old.statements[0], 1, rotated.next_counter)
    gone = state_retire(alice.next_root, alice.hash, 1, 1, alice.key, 7, IDS[0])
    assert rotated.merge([again, gone]).devices == {alice.key: Standing(True, 7, IDS[0])}
    with pytest.raises(LocalProtocolError):
        restate(alice.next_root, rotated.rotations[0], 2, 0)


def test_a_thief_of_the_first_root_gains_nothing_after_the_rotation() -> None:
    alice = person("alice")
    thief = alice.root
    stolen = alice.identity.merge([state_device(thief, key_pair("thief"), alice.hash, 0, 9)])
    next_policy = Policy.of_one(key_pair("alice/root 2").public)
    rotation = state_rotate(
        [alice.next_root], alice.hash, 1, Policy.of_one(alice.next_root.public), alice.next_root.public, next_policy
    )
    for order in ([stolen, alice.identity.merge([rotation])], [alice.identity.merge([rotation]), stolen]):
        assert both(*order).devices == {}
    with pytest.raises(BadStatement):
        forged = state_rotate([thief], alice.hash, 1, Policy.of_one(thief.public), thief.public, next_policy)
        alice.identity.merge([forged])
    with pytest.raises(BadSignature):
        alice.identity.merge([rotation]).merge([state_device(thief, key_pair("thief"), alice.hash, 1, 0)])


def test_rival_rotations_end_everywhere_alike() -> None:
    """Two pairs of guardians acted at once, with different new roots; nobody's set may offend anybody's node."""
    one = BARE.merge([FIRST[0][0]]).merge(about_devices(FIRST[0][1], 1)[:4])
    other = BARE.merge([FIRST[6][0]]).merge([SECOND[FIRST[6][2]][0][0]])
    merged = both(one, other)
    winner = min((one, other), key=lambda state: state.rotations[0].id)
    assert merged == both(other, one) == winner


def test_a_root_that_comes_back_does_not_bring_what_it_once_said() -> None:
    rotation, root, number = FIRST[0]
    back = next(second for second, new_root in SECOND[number] if new_root is root)
    once = about_devices(root, 1)[0]
    assert BARE.merge([rotation, back, once]).devices == {}
    with pytest.raises(BadStatement):
        values = [s.value for s in sorted([rotation, back, once], key=lambda s: s.id)]
        Identity.decode(codec.pack([BARE.inception.wire, values]))


def test_the_bound_cuts_devices_before_retires_and_low_counters_before_high_ones() -> None:
    told = [
        *(s for s in about_devices(ROOTS[0], 0) if s.body.counter == 0),  # type: ignore[union-attr]
        *(state_device(ROOTS[0], key_pair(f"more {n}"), BARE.hash, 0, n) for n in range(1, 4)),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "STATEMENTS_MAX", 5)
        kept = [s.body for s in BARE.merge(told).statements]
    assert sum(isinstance(body, Retire) for body in kept) == len(DEVICES)
    assert sorted(body.counter for body in kept if isinstance(body, Device)) == [2, 3]


def test_later_epochs_wait_for_their_rotation() -> None:
    rotation, root, _ = FIRST[0]
    early = about_devices(root, 1)[0]
    assert BARE.merge([early]) is BARE
    assert early in BARE.merge([rotation, early]).statements
    assert early in BARE.merge([rotation]).merge([early]).statements


def test_a_set_may_leave_out_the_rotations_that_both_know() -> None:
    rotation, _, number = FIRST[0]
    second, second_root = SECOND[number][0]
    known = BARE.merge([rotation])
    assert known.merge([second]).epoch == 2
    assert known.merge([second, *about_devices(second_root, 2)[:1]]).devices


def test_counters_go_up() -> None:
    alice = person("alice")
    assert BARE.next_counter == 0
    assert alice.identity.next_counter == 1
    alice.add_device("laptop")
    assert alice.identity.next_counter == 2


def test_two_signatures_for_one_statement_cannot_part_two_nodes() -> None:
    alice = person("alice")
    (stated,) = alice.identity.statements
    other = replace(stated, signatures=(another_signature(alice.root, STATEMENT_DOMAIN, stated.id),))
    assert other.signatures != stated.signatures
    bare = Identity(alice.identity.inception)
    one, two = bare.merge([stated]), bare.merge([other])
    assert one.wire != two.wire
    assert both(one, two).wire == both(two, one).wire
    assert len(both(one, two).statements) == 1


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_two_full_sets_merge_into_one() -> None:
    """Raising would let the owner of one identity end the links between all others."""
    root = key_pair("many")
    bare = Identity.begin(root, key_pair("many next").public)
    halves = [
        [state_device(root, key_pair(f"{half} {n}"), bare.hash, 0, n) for n in range(STATEMENTS_MAX)]
        for half in range(2)
    ]
    one, two = (bare.merge(half) for half in halves)
    merged = both(one, two)
    assert merged == both(two, one)
    assert len(merged.statements) == STATEMENTS_MAX
    assert min(s.body.counter for s in merged.statements) == STATEMENTS_MAX // 2  # type: ignore[union-attr]
    assert Identity.decode(merged.wire) == merged
    assert len(merged.wire) <= IDENTITY_BYTES_MAX


def test_the_largest_identity_fits_its_bound() -> None:
    guardians = [key_pair(f"many {n}") for n in range(16)]
    policy = Policy(16, tuple(key_hash(guardian.public) for guardian in guardians))
    root = key_pair("root")
    state = Identity(Inception(root.public, policy.hash))
    for epoch in range(1, EPOCH_MAX + 1):
        state = state.merge([state_rotate(guardians, state.hash, epoch, policy, root.public, policy)])
    assert state.epoch == EPOCH_MAX
    counter = 2**53 - 1
    for n in range(STATEMENTS_MAX):
        state = state.merge([state_device(root, key_pair(f"d {n}"), state.hash, EPOCH_MAX, counter)])
    assert len(state.statements) == STATEMENTS_MAX
    assert len(state.wire) <= IDENTITY_BYTES_MAX
    assert Identity.decode(state.wire) == state


def test_the_highest_counter_leaves_room_for_what_comes_after() -> None:
    """A thief of the home may have stated it; what is stated after it can still be stored and read again."""
    root = key_pair("root")
    bare = Identity.begin(root, key_pair("next").public)
    state = bare.merge([state_device(root, key_pair("thief's"), bare.hash, 0, COUNTER_MAX)])
    assert state.next_counter == COUNTER_MAX
    mine = DeviceKey(key_pair("mine").public)
    state = state.merge([state_device(root, key_pair("mine"), bare.hash, 0, state.next_counter)])
    state = state.merge([state_retire(root, bare.hash, 0, state.next_counter, mine, 0, None)])
    assert state.devices[mine].retired
    assert Identity.decode(state.wire) == Identity.restore(state.wire, bare.hash) == state


def test_nothing_is_stated_that_others_refuse() -> None:
    root, policy = key_pair("root"), Policy.of_one(key_pair("next").public)
    fine = state_device(root, root, BARE.hash, EPOCH_MAX, COUNTER_MAX)
    for epoch, counter in ((0, COUNTER_MAX + 1), (0, -1), (EPOCH_MAX + 1, 0), (-1, 0)):
        with pytest.raises(LocalProtocolError):
            state_device(root, root, BARE.hash, epoch, counter)
        with pytest.raises(LocalProtocolError):
            state_retire(root, BARE.hash, epoch, counter, DeviceKey(root.public), 0, None)
        with pytest.raises(LocalProtocolError):
            restate(root, fine, epoch, counter)
    with pytest.raises(LocalProtocolError):
        state_retire(root, BARE.hash, 0, 0, DeviceKey(root.public), SEQ_MAX + 1, EntryId(bytes(32)))
    with pytest.raises(LocalProtocolError):
        state_rotate([root], BARE.hash, EPOCH_MAX + 1, policy, root.public, policy)


def test_a_set_of_too_many_statements_is_refused() -> None:
    with pytest.raises(TooLarge):
        Identity.decode(codec.pack([BARE.inception.wire, [None] * (STATEMENTS_MAX + 1)]))
    with pytest.raises(TooLarge):
        Identity.decode(bytes(IDENTITY_BYTES_MAX + 1))


# --- what Mallory tries -----------------------------------------------------------------------------------------------


def full_state() -> Identity:
    rotation, root, _ = FIRST[0]
    return BARE.merge([rotation]).merge(about_devices(root, 1)[:6])


def test_no_bit_of_an_identity_can_be_flipped() -> None:
    state = full_state()
    for changed in flipped(state.wire):
        with pytest.raises(RemoteProtocolError):
            Identity.decode(changed, state.hash)


@given(st.data())
def test_an_identity_that_was_tampered_with_is_refused_by_name(data: st.DataObject) -> None:
    state = full_state()
    changed = data.draw(tampered(state.wire))
    assume(changed != state.wire)
    with pytest.raises(RemoteProtocolError):
        Identity.decode(changed, state.hash)


@given(VALUES | st.lists(VALUES, min_size=3, max_size=3))
def test_no_value_surprises_a_statement(value: object) -> None:
    try:
        statement = Statement.from_value(value)
    except RemoteProtocolError:
        return
    assert codec.pack(statement.value) == codec.pack(value)


@given(st.lists(VALUES, min_size=5, max_size=7), st.sampled_from(["device", "retire", "rotate"]))
def test_no_body_surprises_a_statement(fields: list[object], kind: str) -> None:
    value = [codec.pack([kind, BARE.hash, *fields[2:]]), [bytes(64)], None]
    try:
        assert Statement.from_value(value).value == value
    except RemoteProtocolError:
        return


def test_rivals_in_one_wire_form_are_refused_before_any_signature() -> None:
    """Each statement would be tried under the root of each rival: 32 of both are 1,000 signatures to check."""
    signer = key_pair("next root")
    bare = Identity.begin(key_pair("root"), signer.public)
    policy = Policy.of_one(signer.public)
    roots = [key_pair(f"rival {number}") for number in range(32)]
    rivals = [state_rotate([signer], bare.hash, 1, policy, root.public, policy) for root in roots]
    devices = [state_device(roots[-1], key_pair(f"device {n}"), bare.hash, 1, n) for n in range(32)]
    values = [s.value for s in sorted([*rivals, *devices], key=lambda s: s.id)]
    checked: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "verify", lambda key, *rest: checked.append(key))
        with pytest.raises(BadStatement):
            Identity.decode(codec.pack([bare.inception.wire, values]))
    assert checked == []


def test_one_forged_statement_spoils_the_whole_set() -> None:
    told: Sequence[Statement] = about_devices(ROOTS[0], 0)[:3]
    forged = state_device(key_pair("mallory"), DEVICES[2], BARE.hash, 0, 7)
    with pytest.raises(BadSignature):
        BARE.merge([*told, forged])


def test_roots_from_recovery_words_make_the_address() -> None:
    entropy = bytes(range(32))
    first, second = root_key(entropy, 0), root_key(entropy, 1)
    assert Identity.begin(first, second.public).hash == Identity.begin(first, second.public).hash
    assert Identity.begin(second, first.public).hash != Identity.begin(first, second.public).hash
