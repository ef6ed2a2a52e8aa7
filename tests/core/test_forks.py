"""Alice restored a clone of her disk: two histories of one log, and a proof that anybody can check."""

from __future__ import annotations

import pytest
from builders import Log, person
from core_scenes import alice_with_a_long_log, flipped, tampered
from hypothesis import assume, given
from hypothesis import strategies as st

from p2pblog.config import FORK_BODIES_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry
from p2pblog.core.forks import FORK_PROOF_BYTES_MAX, ForkProof, freezes, prove_fork
from p2pblog.core.identity import Standing
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.value import replace
from p2pblog.errors import BadForkProof, LocalProtocolError, RemoteProtocolError

ALICE = alice_with_a_long_log()
LOG = ALICE.log


def clone(split: int, count: int) -> Log:
    """Alice's log as the clone wrote it on after entry `split`."""
    other = LOG.branch(split)
    for number in range(count):
        other.note(f"clone {number}")
    return other


@given(st.integers(0, 150), st.integers(1, 50), st.integers(1, 70), st.data())
def test_two_branches_make_a_proof_that_travels(split: int, ours: int, theirs: int, data: st.DataObject) -> None:
    one, other = LOG.run(1, split + ours), clone(split, theirs).run()
    start = data.draw(st.integers(0, split))
    proof = prove_fork(one[start:], other)
    assert proof.seq == split + 1
    assert proof.device == ALICE.key
    assert set(proof.ids) == {one[split].id, other[split].id}
    assert all(len(branch) <= FORK_BODIES_MAX for branch in proof.branches)
    assert len(proof.wire) <= FORK_PROOF_BYTES_MAX

    arrived = ForkProof.decode(proof.wire)
    assert arrived == proof
    assert ForkProof.decode(arrived.wire) == proof
    assert prove_fork(other, one[start:]) == proof


@given(st.integers(1, 60), st.integers(1, 40))
def test_the_proof_comes_out_of_two_runs_as_peers_send_them(split: int, more: int) -> None:
    one = check_run(encode_run(LOG.run(1, split + more)))
    other = check_run(encode_run(clone(split, more).run()))
    assert ForkProof.decode(prove_fork(one, other).wire).seq == split + 1


def test_a_stretch_that_begins_after_the_fork_proves_it_too() -> None:
    other = clone(10, 20)
    proof = prove_fork(LOG.run(15, 40), other.run(13, 20))
    assert proof.seq == 15
    assert ForkProof.decode(proof.wire) == proof


def test_the_longest_branches_reach_from_one_checkpoint_to_the_next() -> None:
    proof = prove_fork(LOG.run(), clone(64, 100).run())
    assert [len(branch) for branch in proof.branches] == [FORK_BODIES_MAX, FORK_BODIES_MAX]
    assert ForkProof.decode(proof.wire) == proof


def test_a_proof_carries_no_payloads() -> None:
    proof = prove_fork(LOG.run(1, 12), clone(10, 2).run())
    assert all(entry.payload is None for branch in proof.branches for entry in branch)


@given(st.integers(1, 150), st.integers(0, 49), st.integers(1, 150), st.integers(0, 49))
def test_stretches_that_agree_prove_nothing(first: int, more: int, other: int, others: int) -> None:
    with pytest.raises(BadForkProof):
        prove_fork(LOG.run(first, first + more), LOG.run(other, other + others))


def test_stretches_without_a_common_number_prove_nothing() -> None:
    with pytest.raises(BadForkProof):
        prove_fork(LOG.run(1, 12), clone(10, 5).run(13, 15))


def test_a_branch_without_a_signature_proves_nothing() -> None:
    unsigned = [replace(entry, signature=None) for entry in clone(10, 3).run()]
    with pytest.raises(BadForkProof):
        prove_fork(LOG.run(1, 12), unsigned)


def test_two_peoples_logs_are_no_fork() -> None:
    with pytest.raises(LocalProtocolError):
        prove_fork(LOG.run(1, 3), person("bob").log.run())


# --- what Mallory tries -----------------------------------------------------------------------------------------------


def test_no_bit_of_a_proof_can_be_flipped() -> None:
    proof = prove_fork(LOG.run(1, 13), clone(10, 2).run())
    for changed in flipped(proof.wire):
        with pytest.raises(RemoteProtocolError):
            ForkProof.decode(changed)


@given(st.data())
def test_a_proof_that_was_tampered_with_is_refused_by_name(data: st.DataObject) -> None:
    wire = prove_fork(LOG.run(1, 13), clone(10, 2).run()).wire
    changed = data.draw(tampered(wire))
    assume(changed != wire)
    with pytest.raises(RemoteProtocolError):
        ForkProof.decode(changed)


@given(st.integers(1, 100), st.integers(0, 40), st.integers(0, 40))
def test_one_history_cannot_be_told_as_two(first: int, one: int, other: int) -> None:
    """Mallory holds Alice's only log, with all its signatures, and cuts it as she likes."""
    branches = [LOG.entries[first - 1 : first + length] for length in (one, other)]
    with pytest.raises(BadForkProof):
        ForkProof.decode(proof_of(branches[0], branches[1]))
    shifted = LOG.entries[first : first + 1 + other]
    for pair in ((branches[0], shifted), (shifted, branches[0])):
        with pytest.raises(BadForkProof):
            ForkProof.decode(proof_of(*pair))


def test_a_branch_over_65_bodies_is_refused() -> None:
    other = clone(0, 70)
    low, high = sorted([LOG.entries[:65], other.entries[:65]], key=lambda branch: branch[0].id)
    with pytest.raises(RemoteProtocolError) as caught:
        ForkProof.decode(proof_of(low, high))
    assert caught.value.name == "too-large"


def proof_of(one: list[Entry], other: list[Entry]) -> bytes:
    return codec.pack([[[entry.body for entry in branch], branch[-1].signature] for branch in (one, other)])


# --- what it does -----------------------------------------------------------------------------------------------------


def test_a_fork_freezes_a_log_until_its_owner_retires_the_device() -> None:
    assert freezes(None)
    assert freezes(ALICE.identity.devices[ALICE.key])
    assert not freezes(Standing(True, 12, LOG.entries[11].id))
    assert not freezes(Standing(True, 5, LOG.entries[4].id))
