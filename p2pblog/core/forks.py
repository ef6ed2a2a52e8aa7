"""Fork proofs: evidence, which anybody can check, that one log has two histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2pblog.config import FORK_BODIES_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, check_signed, decode_body, follow_one_another
from p2pblog.core.identity import Standing
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.core.value import Value
from p2pblog.errors import BadForkProof, LocalProtocolError, RemoteProtocolError

FORK_PROOF_BYTES_MAX = 2 * (FORK_BODIES_MAX * 144 + 80) + 16
"""Two full branches: each body with its head in 144 bytes, a signature and the arrays around it in 80."""


class ForkProof(Value):
    """Two branches of one log from entry `seq` on: bodies that follow one another, the last one signed.

    The branch with the lower first id comes first, so one fork has one proof for given branches.
    """

    branches: tuple[tuple[Entry, ...], tuple[Entry, ...]]

    @property
    def device(self) -> DeviceKey:
        return self.branches[0][0].device

    @property
    def seq(self) -> int:
        """The first number at which the branches differ."""
        return self.branches[0][0].seq

    @property
    def ids(self) -> tuple[EntryId, EntryId]:
        return self.branches[0][0].id, self.branches[1][0].id

    @property
    def value(self) -> list[Any]:
        """[[[bodies…], signature], [[bodies…], signature]]"""
        return [[[entry.body for entry in branch], branch[-1].signature] for branch in self.branches]

    @property
    def wire(self) -> bytes:
        return codec.pack(self.value)

    @classmethod
    def decode(cls, data: bytes) -> ForkProof:
        """From the wire form, checked. Raises BadForkProof, or what reading a body or signature raises."""
        first, second = codec.as_list(codec.unpack(data, bytes_max=FORK_PROOF_BYTES_MAX), length=2)
        proof = cls((_branch(first), _branch(second)))
        _check(proof)
        return proof


def prove_fork(one: Sequence[Entry], other: Sequence[Entry]) -> ForkProof:
    """The proof in two stretches of one log, each ending on a signed entry, that cover a common number with two ids.

    Raises BadForkProof where there is none.
    """
    ids = {entry.seq: entry.id for entry in other}
    split = next((entry.seq for entry in one if ids.get(entry.seq, entry.id) != entry.id), None)
    if split is None:
        raise BadForkProof("the two stretches agree")
    branches = sorted((_from(one, split), _from(other, split)), key=lambda branch: branch[0].id)
    proof = ForkProof((branches[0], branches[1]))
    try:
        _check(proof)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"a fork that we can't prove: {error}") from error
    return proof


def freezes(standing: Standing | None) -> bool:
    """Whether a proof still freezes its log: not once the identity retired the device, which picks the branch, makes
    everything up to its last number immune, and hides what lies beyond."""
    return standing is None or not standing.retired


def _from(entries: Sequence[Entry], seq: int) -> tuple[Entry, ...]:
    """From `seq` to the first signed entry: the shortest branch."""
    tail = [entry.without_payload() for entry in entries if entry.seq >= seq]
    for position, entry in enumerate(tail):
        if entry.signature is not None:
            return tuple(tail[: position + 1])
    raise BadForkProof("a branch that ends on no signature")


def _branch(value: Any) -> tuple[Entry, ...]:
    bodies, signature = codec.as_list(value, length=2)
    listed = codec.as_list(bodies, length_max=FORK_BODIES_MAX)
    if not listed:
        raise BadForkProof("an empty branch")
    entries = [decode_body(codec.as_bytes(body)) for body in listed]
    entries[-1] = check_signed(entries[-1], codec.as_bytes(signature, length=64))
    return tuple(entries)


def _check(proof: ForkProof) -> None:
    """The relations between the branches; their signatures were checked when they were read."""
    for branch in proof.branches:
        if len(branch) > FORK_BODIES_MAX:
            raise BadForkProof(f"a branch of over {FORK_BODIES_MAX} bodies")
        if not follow_one_another(branch):
            raise BadForkProof("a branch whose bodies do not follow one another")
    one, other = proof.branches[0][0], proof.branches[1][0]
    if one.device != other.device or one.seq != other.seq:
        raise BadForkProof("branches of two logs or from two numbers")
    if one.id >= other.id:
        raise BadForkProof("branches that are equal or out of order")
