"""An identity: a set of signed statements about its devices, which merges by union and so can never fork.

The rules, in full:

* The inception names `root_0` and commits to the next root; its hash is the identity.
* `rotate` opens the next epoch. It reveals the policy that the epoch before committed to and is signed by `threshold`
  of the keys whose hashes that policy lists. Of several for one epoch the lowest id wins, and what hangs on the other
  goes with it: chains of rotations are compared whole, epoch by epoch, and never mixed.
* `device` and `retire` count only in the current epoch, signed by its root. `device` also carries the device's consent,
  which names the identity and nothing else, so a later root can state the device anew while it is offline or lost.
* For one device: a `retire` beats a `device`; then the higher counter, then the lower id. A `retire` alone says
  nothing: without the consent an identity could claim somebody else's log up to its entry N.
* Over the bound the retires stay first, then the higher counters, then the lower ids.

So two states merge to one, whatever the order, grouping or repetition, and a set that travels holds what has force.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any, NewType

from p2pblog.config import SEQ_MAX, STATEMENTS_MAX
from p2pblog.core import codec
from p2pblog.core.keys import (
    CONSENT_DOMAIN,
    STATEMENT_DOMAIN,
    DeviceKey,
    EntryId,
    IdentityHash,
    KeyPair,
    check_key,
    digest,
    hash32,
    verify,
)
from p2pblog.core.value import Value, replace
from p2pblog.errors import BadSignature, BadStatement, LocalProtocolError, Malformed, NotCanonical

StatementId = NewType("StatementId", bytes)

COUNTER_MAX = 2**53 - 1
"""What every JSON reader holds exactly, as of times."""
EPOCH_MAX = 16
"""Rotations of one identity: one each five years of a long life. Four of them fit a head record."""
POLICY_KEYS_MAX = 16
"""Guardians of one policy: more friends than anybody asks for that."""
STATEMENT_BYTES_MAX = 4 * 1024
"""A rotate with 16 guardians: 16 hashes, keys and signatures."""
IDENTITY_BYTES_MAX = STATEMENTS_MAX * 230 + EPOCH_MAX * 2_500
"""A full set: device and retire statements under 230 bytes each, rotations by 16 guardians under 2,500."""


class Policy(Value):
    """Who may open the next epoch: `threshold` of the keys with these hashes."""

    threshold: int
    key_hashes: tuple[bytes, ...]

    @property
    def value(self) -> list[Any]:
        return [self.threshold, list(self.key_hashes)]

    @property
    def hash(self) -> bytes:
        return hash32(codec.pack(self.value), b"p2pblog policy 1")

    @classmethod
    def of_one(cls, next_root: bytes) -> Policy:
        return cls(1, (key_hash(next_root),))

    @classmethod
    def from_value(cls, value: Any) -> Policy:
        threshold, hashes = codec.as_list(value, length=2)
        listed = tuple(codec.as_bytes(item, length=32) for item in codec.as_list(hashes, length_max=POLICY_KEYS_MAX))
        if len(set(listed)) != len(listed):
            raise Malformed("a policy that lists one key twice")
        return cls(codec.as_int(threshold, 1, len(listed)), listed)


def key_hash(key: bytes) -> bytes:
    """What a policy lists of a key that is still on paper."""
    return hash32(key, b"p2pblog next key")


class Inception(Value):
    """The beginning of an identity; its hash is what an address spells."""

    root: bytes
    policy_hash: bytes

    @property
    def wire(self) -> bytes:
        return codec.pack([self.root, self.policy_hash])

    @property
    def identity(self) -> IdentityHash:
        return IdentityHash(hash32(self.wire, b"p2pblog identity"))

    @classmethod
    def decode(cls, data: bytes) -> Inception:
        """Raises Malformed, NotCanonical, TooLarge or BadKey."""
        inception = cls.restore(data)
        check_key(inception.root)
        return inception

    @classmethod
    def restore(cls, data: bytes) -> Inception:
        """From our own store: the form alone. Raises Malformed, NotCanonical or TooLarge."""
        root, policy_hash = codec.as_list(codec.unpack(data, bytes_max=80), length=2)
        return cls(codec.as_bytes(root, length=32), codec.as_bytes(policy_hash, length=32))


# --- statements -------------------------------------------------------------------------------------------------------


class Device(Value):
    """This device writes for the identity."""

    identity: IdentityHash
    epoch: int
    counter: int
    device: DeviceKey

    @property
    def value(self) -> list[Any]:
        return ["device", self.identity, self.epoch, self.counter, self.device]


class Retire(Value):
    """This device wrote for the identity up to entry `seq` with id `entry` (0 and None: nothing), and no further."""

    identity: IdentityHash
    epoch: int
    counter: int
    device: DeviceKey
    seq: int
    entry: EntryId | None

    @property
    def value(self) -> list[Any]:
        return ["retire", self.identity, self.epoch, self.counter, self.device, self.seq, self.entry]


class Rotate(Value):
    """Epoch `epoch` begins: `root` signs from here on, `policy_hash` commits to who may open the one after."""

    identity: IdentityHash
    epoch: int
    policy: Policy
    signers: tuple[bytes, ...]
    root: bytes
    policy_hash: bytes

    @property
    def value(self) -> list[Any]:
        return [
            "rotate", self.identity, self.epoch, self.policy.value, list(self.signers), self.root, self.policy_hash,
        ]  # fmt: skip


Body = Device | Retire | Rotate


class Statement(Value, dict=True):
    """A body and its signatures: one by the epoch's root, or one by each signer of a rotate; and a device's consent."""

    body: Body
    signatures: tuple[bytes, ...]
    consent: bytes | None = None

    @cached_property
    def id(self) -> StatementId:
        return StatementId(hash32(codec.pack(self.body.value), b"p2pblog state 1"))

    @property
    def value(self) -> list[Any]:
        return [codec.pack(self.body.value), list(self.signatures), self.consent]

    @classmethod
    def from_value(cls, value: Any) -> Statement:
        """From its wire form. Shape only: what it is worth only the whole identity can say."""
        body, signatures, consent = codec.as_list(value, length=3)
        decoded = _body(codec.unpack(codec.as_bytes(body), bytes_max=STATEMENT_BYTES_MAX))
        return cls(
            decoded,
            tuple(codec.as_bytes(item, length=64) for item in codec.as_list(signatures, length_max=POLICY_KEYS_MAX)),
            None if consent is None else codec.as_bytes(consent, length=64),
        )


def _body(value: Any) -> Body:
    items = codec.as_list(value)
    if len(items) < 5:
        raise Malformed("a statement of too few fields")
    identity = IdentityHash(codec.as_bytes(items[1], length=32))
    match items[0], len(items):
        case "device", 5:
            epoch, counter = _epoch_and_counter(items)
            return Device(identity, epoch, counter, DeviceKey(codec.as_bytes(items[4], length=32)))
        case "retire", 7:
            epoch, counter = _epoch_and_counter(items)
            seq = codec.as_int(items[5], 0, SEQ_MAX)
            entry = None if items[6] is None else EntryId(codec.as_bytes(items[6], length=32))
            if (seq == 0) != (entry is None):
                raise Malformed("a retire names an entry by number and id, or neither")
            return Retire(identity, epoch, counter, DeviceKey(codec.as_bytes(items[4], length=32)), seq, entry)
        case "rotate", 7:
            return Rotate(
                identity,
                codec.as_int(items[2], 1, EPOCH_MAX),
                Policy.from_value(items[3]),
                tuple(codec.as_bytes(key, length=32) for key in codec.as_list(items[4], length_max=POLICY_KEYS_MAX)),
                codec.as_bytes(items[5], length=32),
                codec.as_bytes(items[6], length=32),
            )
        case _:
            raise Malformed("a statement of no known kind")


def _epoch_and_counter(items: list[Any]) -> tuple[int, int]:
    return codec.as_int(items[2], 0, EPOCH_MAX), codec.as_int(items[3], 0, COUNTER_MAX)


def state_device(root: KeyPair, device: KeyPair, identity: IdentityHash, epoch: int, counter: int) -> Statement:
    """Both keys agree that the device writes for the identity. Raises LocalProtocolError for numbers out of range."""
    _check_range(epoch, counter)
    bare = Statement(Device(identity, epoch, counter, DeviceKey(device.public)), ())
    return Statement(bare.body, (root.sign(STATEMENT_DOMAIN, bare.id),), device.sign(CONSENT_DOMAIN, identity))


def state_retire(
    root: KeyPair, identity: IdentityHash, epoch: int, counter: int, device: DeviceKey, seq: int, entry: EntryId | None
) -> Statement:
    """The root says that the device wrote up to entry `seq` with that id (0 and None: nothing), and no further.

    Raises LocalProtocolError for numbers out of range.
    """
    _check_range(epoch, counter, seq)
    bare = Statement(Retire(identity, epoch, counter, device, seq, entry), ())
    return Statement(bare.body, (root.sign(STATEMENT_DOMAIN, bare.id),))


def restate(root: KeyPair, statement: Statement, epoch: int, counter: int) -> Statement:
    """A device or retire statement again, under a later root: the device's consent holds for good.

    Raises LocalProtocolError for a rotate, which nobody can repeat, and for numbers out of range.
    """
    if isinstance(statement.body, Rotate):
        raise LocalProtocolError("a rotation stands once")
    _check_range(epoch, counter)
    bare = Statement(replace(statement.body, epoch=epoch, counter=counter), ())
    return Statement(bare.body, (root.sign(STATEMENT_DOMAIN, bare.id),), statement.consent)


def state_rotate(
    signers: Sequence[KeyPair], identity: IdentityHash, epoch: int, policy: Policy, root: bytes, next_policy: Policy
) -> Statement:
    """`policy` is the one that the epoch before committed to; `signers` are keys that it lists.

    Raises LocalProtocolError for an epoch out of range.
    """
    _check_range(epoch, 0)
    keys = tuple(signer.public for signer in signers)
    bare = Statement(Rotate(identity, epoch, policy, keys, root, next_policy.hash), ())
    return Statement(bare.body, tuple(signer.sign(STATEMENT_DOMAIN, bare.id) for signer in signers))


def _check_range(epoch: int, counter: int, seq: int = 0) -> None:
    """Others, and our own store, refuse an identity with anything beyond."""
    if not (0 <= epoch <= EPOCH_MAX and 0 <= counter <= COUNTER_MAX and 0 <= seq <= SEQ_MAX):
        raise LocalProtocolError(f"a statement of epoch {epoch}, counter {counter}, entry {seq}")


# --- the identity -----------------------------------------------------------------------------------------------------


class Standing(Value):
    """What an identity says of one device: active, or retired after entry `seq` with id `entry`."""

    retired: bool
    seq: int = SEQ_MAX
    entry: EntryId | None = None


class Identity(Value, dict=True):
    """An inception and the statements that have force, ordered by id.

    Build one with `begin`, `decode`, `restore` or `merge`.
    """

    inception: Inception
    statements: tuple[Statement, ...] = ()

    @classmethod
    def begin(cls, root: KeyPair, next_root: bytes) -> Identity:
        return cls(Inception(root.public, Policy.of_one(next_root).hash))

    @cached_property
    def hash(self) -> IdentityHash:
        return self.inception.identity

    @cached_property
    def wire(self) -> bytes:
        """The wire form: [inception, [statement…]]."""
        return codec.pack([self.inception.wire, [statement.value for statement in self.statements]])

    @cached_property
    def digest(self) -> bytes:
        """8 bytes by which two peers see that they hold the same statements."""
        return digest(self.wire, size=8, person=b"p2pblog set 1")

    @cached_property
    def rotations(self) -> tuple[Statement, ...]:
        """The rotations that have force, by epoch."""
        found = (statement for statement in self.statements if isinstance(statement.body, Rotate))
        return tuple(sorted(found, key=lambda statement: statement.body.epoch))

    @property
    def epoch(self) -> int:
        return len(self.rotations)

    @property
    def root(self) -> bytes:
        """The key that signs statements now."""
        if not self.rotations:
            return self.inception.root
        last = self.rotations[-1].body
        assert isinstance(last, Rotate)
        return last.root

    @cached_property
    def devices(self) -> dict[DeviceKey, Standing]:
        """Every device that consented and that the current root names, in the order of the keys."""
        bodies = [statement.body for statement in self.statements]
        retired = {body.device: Standing(True, body.seq, body.entry) for body in bodies if isinstance(body, Retire)}
        admitted = sorted(body.device for body in bodies if isinstance(body, Device))
        return {device: retired.get(device, Standing(False)) for device in admitted}

    @property
    def next_counter(self) -> int:
        """A counter higher than any that is in force; where one has the highest, that again, and the lower id decides.
        (Who got hold of the root may have stated it.)"""
        counters = [s.body.counter for s in self.statements if not isinstance(s.body, Rotate)]
        return min(max(counters, default=-1) + 1, COUNTER_MAX)

    def statement_of(self, device: DeviceKey) -> Statement | None:
        """The statement by which the device was admitted."""
        for statement in self.statements:
            if isinstance(statement.body, Device) and statement.body.device == device:
                return statement
        return None

    def merge(self, statements: Iterable[Statement]) -> Identity:
        """The union, less what has no force. Gives `self` itself if nothing changes.

        `statements` may leave out the first rotations, or all: then ours are meant. One of an epoch whose rotation is
        missing is ignored, so rotations come with or before what they make valid.
        Raises BadStatement, BadSignature or BadKey if one of `statements` is forged.
        """
        brought = list(statements)
        if any(statement.body.identity != self.hash for statement in brought):
            raise BadStatement("a statement of another identity")
        first = min((s.body.epoch for s in brought if isinstance(s.body, Rotate)), default=EPOCH_MAX + 1)
        theirs = _in_force(self.inception, [*self.rotations[: first - 1], *brought])
        merged = _join(self.statements, theirs)
        return self if merged == self.statements else Identity(self.inception, merged)

    @classmethod
    def decode(cls, data: bytes, expected: IdentityHash | None = None) -> Identity:
        """From the wire form, checked: exactly the statements that have force, in the order of their ids.

        Raises Malformed, NotCanonical, TooLarge, BadKey, BadStatement or BadSignature.
        """
        inception_bytes, listed = _unpacked(data)
        inception = Inception.decode(inception_bytes)
        if expected is not None and inception.identity != expected:
            raise BadStatement("the inception of another identity")
        statements = _statements(listed)
        _check_no_rivals(statements)
        identity = cls(inception).merge(statements)
        if len(identity.statements) != len(statements):
            raise BadStatement("a statement that has no force beside the others")
        if identity.wire != data:
            raise NotCanonical("statements out of order")
        return identity

    @classmethod
    def restore(cls, data: bytes, expected: IdentityHash) -> Identity:
        """From our own store, which holds the wire form of what was checked when it came: its form and its inception
        alone. To check all signatures again took a fifth of a start. Raises Malformed, NotCanonical, TooLarge or
        BadStatement."""
        inception_bytes, listed = _unpacked(data)
        identity = cls(Inception.restore(inception_bytes), tuple(_statements(listed)))
        if identity.hash != expected:
            raise BadStatement("the inception of another identity")
        return identity


def _unpacked(data: bytes) -> tuple[bytes, Any]:
    """The inception, and what should be statements: who reads checks them one after the other."""
    inception, listed = codec.as_list(codec.unpack(data, bytes_max=IDENTITY_BYTES_MAX), length=2)
    return codec.as_bytes(inception), listed


def _statements(listed: Any) -> list[Statement]:
    return [Statement.from_value(item) for item in codec.as_list(listed, length_max=STATEMENTS_MAX)]


# --- which statements have force --------------------------------------------------------------------------------------


def _check_no_rivals(statements: list[Statement]) -> None:
    """Of two rotations for one epoch one has no force. Raises BadStatement.

    This comes before any signature: a merge tries each statement under the roots of all rivals of its epoch, so 128
    rivals and as many statements would cost 16,000 checks, over two seconds, for 60 kB that anybody can send.
    """
    epochs = [statement.body.epoch for statement in statements if isinstance(statement.body, Rotate)]
    if len(set(epochs)) != len(epochs):
        raise BadStatement("two rotations of one epoch")


def _join(one: Sequence[Statement], other: Sequence[Statement]) -> tuple[Statement, ...]:
    """Two states in one: the better chain of rotations with its statements; of equal chains, the statements of both.

    A pair of an ordered thing and a set under it: that makes the merge associative (a lexicographic join).
    """
    if _chain_rank(one) != _chain_rank(other):
        return tuple(one if _chain_rank(one) < _chain_rank(other) else other)
    rotations = {s.id: s for s in sorted([*one, *other], key=_rank, reverse=True) if isinstance(s.body, Rotate)}
    return _ordered(list(rotations.values()), [s for s in [*one, *other] if not isinstance(s.body, Rotate)])


def _chain_rank(statements: Sequence[Statement]) -> list[bytes]:
    """Chains compare by the id at the first epoch where they differ; one that goes on beats one that ends."""
    rotations = sorted((s for s in statements if isinstance(s.body, Rotate)), key=lambda s: s.body.epoch)
    return [*(s.id for s in rotations), b"\xff" * 33]


def _in_force(inception: Inception, statements: list[Statement]) -> tuple[Statement, ...]:
    """The statements of one set that count, in order. Raises if a statement is forged."""
    by_epoch = _rotations(inception, statements)
    chain: list[Statement] = []
    committed, root = inception.policy_hash, inception.root
    for rivals in by_epoch:
        fitting = [(s, body) for s, body in rivals if body.policy.hash == committed]
        if not fitting:
            break
        winner, rotation = min(fitting, key=lambda pair: _rank(pair[0]))
        committed, root = rotation.policy_hash, rotation.root
        chain.append(winner)
    roots = [[inception.root], *([body.root for _, body in rivals] for rivals in by_epoch)]
    current: list[Statement] = []
    for statement in statements:
        body = statement.body
        if isinstance(body, Rotate) or body.epoch >= len(roots):
            continue  # a later epoch whose rotation we lack: it has no force yet
        if _check_signed_by_one(statement, roots[body.epoch]) == root and body.epoch == len(chain):
            current.append(statement)
    return _ordered(chain, current)


def _rotations(inception: Inception, statements: list[Statement]) -> list[list[tuple[Statement, Rotate]]]:
    """The rotations of epoch 1, 2, … that one of the epoch before committed to, verified; rivals side by side."""
    found: list[list[tuple[Statement, Rotate]]] = []
    committed = {inception.policy_hash}
    for epoch in range(1, EPOCH_MAX + 1):
        rivals = [(s, s.body) for s in statements if isinstance(s.body, Rotate) and s.body.epoch == epoch]
        if not rivals:
            break
        for statement, body in rivals:
            if body.policy.hash not in committed:
                raise BadStatement("a rotation that the epoch before did not commit to")
            _check_rotation(statement)
        committed = {body.policy_hash for _, body in rivals}
        found.append(rivals)
    return found


def _ordered(rotations: Sequence[Statement], others: Iterable[Statement]) -> tuple[Statement, ...]:
    """The best statement of each kind for each device, as many as the bound allows, with the rotations, by id."""
    best: dict[tuple[str, bytes], Statement] = {}
    for statement in sorted(others, key=_rank):
        assert not isinstance(statement.body, Rotate)
        best.setdefault((type(statement.body).__name__, statement.body.device), statement)
    # What beats another of its device also ranks above it, so cutting here and merging on loses nothing that counts.
    kept = list(best.values())[: STATEMENTS_MAX - len(rotations)]
    return tuple(sorted([*rotations, *kept], key=lambda s: s.id))


def _rank(statement: Statement) -> tuple[bool, int, bytes, tuple[bytes, ...], bytes]:
    """Lower is better: retires, then higher counters, then lower ids. Signatures decide last: the owner of a key can
    make several for one statement, and all must come to the same set."""
    body = statement.body
    counter = 0 if isinstance(body, Rotate) else body.counter
    return isinstance(body, Device), -counter, statement.id, statement.signatures, statement.consent or b""


def _check_signed_by_one(statement: Statement, roots: list[bytes]) -> bytes:
    """Which of the rival roots of its epoch signed it. Raises what the last of them says if none did."""
    for root in roots[:-1]:
        try:
            _check_signed(statement, root)
        except BadSignature:
            continue
        return root
    _check_signed(statement, roots[-1])
    return roots[-1]


@lru_cache(maxsize=16_384)
def _check_signed(statement: Statement, root: bytes) -> None:
    """A device or retire statement under the root of its epoch."""
    body = statement.body
    if len(statement.signatures) != 1:
        raise BadStatement("a device or retire statement has one signature")
    if isinstance(body, Device) != (statement.consent is not None):
        raise BadStatement("a device statement carries the device's consent, no other does")
    verify(root, STATEMENT_DOMAIN, statement.id, statement.signatures[0])
    if isinstance(body, Device) and statement.consent is not None:
        verify(body.device, CONSENT_DOMAIN, body.identity, statement.consent)


@lru_cache(maxsize=4_096)
def _check_rotation(statement: Statement) -> None:
    body = statement.body
    assert isinstance(body, Rotate)
    hashes = [key_hash(key) for key in body.signers]
    if len(set(hashes)) != len(hashes) or not set(hashes) <= set(body.policy.key_hashes):
        raise BadStatement("a rotation signed by keys that the policy does not list")
    if len(hashes) < body.policy.threshold or len(statement.signatures) != len(hashes) or statement.consent is not None:
        raise BadStatement("a rotation with too few or too many signatures")
    check_key(body.root)
    for key, signature in zip(body.signers, statement.signatures, strict=True):
        verify(key, STATEMENT_DOMAIN, statement.id, signature)
