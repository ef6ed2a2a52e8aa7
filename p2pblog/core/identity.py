"""An identity: a set of signed statements about its devices, which merges by union and so can never fork.

The rules, in full:

* The inception names `root_0` and commits to the next root; its hash is the identity.
* `rotate` opens the next epoch. It reveals the policy that the epoch before committed to and is signed by `threshold`
  of the keys whose hashes that policy lists. Of several for one epoch the lowest id wins.
* `device` and `retire` count only in the current epoch, signed by its root. `device` also carries the device's consent.
* For one device: a `retire` beats a `device`; then the higher counter, then the lower id.

So the state is a function of the set: whoever holds the same statements comes to the same answer, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from p2pblog.errors import BadStatement, Malformed

StatementId = NewType("StatementId", bytes)

COUNTER_MAX = 2**53 - 1
EPOCH_MAX = 2**16
POLICY_KEYS_MAX = 16
STATEMENT_BYTES_MAX = 4 * 1024
"""A rotate with 16 guardians: 16 hashes, keys and signatures."""
IDENTITY_BYTES_MAX = STATEMENTS_MAX * 300
"""A full set of device and retire statements, each under 300 bytes."""


@dataclass(frozen=True, slots=True)
class Policy:
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
        return cls(codec.as_int(threshold, 1, max(1, len(listed))), listed)


def key_hash(key: bytes) -> bytes:
    """What a policy lists of a key that is still on paper."""
    return hash32(key, b"p2pblog next key")


@dataclass(frozen=True, slots=True)
class Inception:
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
        root, policy_hash = codec.as_list(codec.unpack(data, bytes_max=80), length=2)
        inception = cls(codec.as_bytes(root, length=32), codec.as_bytes(policy_hash, length=32))
        check_key(inception.root)
        return inception


# --- statements -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Device:
    """This device writes for the identity."""

    identity: IdentityHash
    epoch: int
    counter: int
    device: DeviceKey

    @property
    def value(self) -> list[Any]:
        return ["device", self.identity, self.epoch, self.counter, self.device]


@dataclass(frozen=True, slots=True)
class Retire:
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


@dataclass(frozen=True, slots=True)
class Rotate:
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


@dataclass(frozen=True)
class Statement:
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
    items = codec.as_list(value, length_max=7)
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
            signers = tuple(
                codec.as_bytes(key, length=32) for key in codec.as_list(items[4], length_max=POLICY_KEYS_MAX)
            )
            return Rotate(
                identity,
                codec.as_int(items[2], 1, EPOCH_MAX),
                Policy.from_value(items[3]),
                signers,
                codec.as_bytes(items[5], length=32),
                codec.as_bytes(items[6], length=32),
            )
        case _:
            raise Malformed("a statement of no known kind")


def _epoch_and_counter(items: list[Any]) -> tuple[int, int]:
    return codec.as_int(items[2], 0, EPOCH_MAX), codec.as_int(items[3], 0, COUNTER_MAX)


def state_device(root: KeyPair, device: KeyPair, identity: IdentityHash, epoch: int, counter: int) -> Statement:
    """Both keys agree that the device writes for the identity."""
    bare = Statement(Device(identity, epoch, counter, DeviceKey(device.public)), ())
    return Statement(bare.body, (root.sign(STATEMENT_DOMAIN, bare.id),), device.sign(CONSENT_DOMAIN, bare.id))


def state_retire(
    root: KeyPair, identity: IdentityHash, epoch: int, counter: int, device: DeviceKey, seq: int, entry: EntryId | None
) -> Statement:
    bare = Statement(Retire(identity, epoch, counter, device, seq, entry), ())
    return Statement(bare.body, (root.sign(STATEMENT_DOMAIN, bare.id),))


def state_rotate(
    signers: Sequence[KeyPair], identity: IdentityHash, epoch: int, policy: Policy, root: bytes, next_policy: Policy
) -> Statement:
    """`policy` is the one that the epoch before committed to; `signers` are keys that it lists."""
    keys = tuple(signer.public for signer in signers)
    bare = Statement(Rotate(identity, epoch, policy, keys, root, next_policy.hash), ())
    return Statement(bare.body, tuple(signer.sign(STATEMENT_DOMAIN, bare.id) for signer in signers))


# --- the identity -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What an identity says of one device: active, or retired after entry `seq` with id `entry`."""

    retired: bool
    seq: int = SEQ_MAX
    entry: EntryId | None = None


@dataclass(frozen=True)
class Identity:
    """An inception and the statements that have force, ordered by id. Build one with `begin`, `decode` or `merge`."""

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
        """Every device that the current root names, in the order of the keys."""
        standings: dict[DeviceKey, Standing] = {}
        for statement in self.statements:
            body = statement.body
            if isinstance(body, Retire):
                standings[body.device] = Standing(True, body.seq, body.entry)
            elif isinstance(body, Device) and body.device not in standings:
                standings[body.device] = Standing(False)
        return dict(sorted(standings.items()))

    @property
    def next_counter(self) -> int:
        """A counter higher than any that is in force."""
        counters = [s.body.counter for s in self.statements if not isinstance(s.body, Rotate)]
        return max(counters, default=-1) + 1

    def statement_of(self, device: DeviceKey) -> Statement | None:
        """The statement by which the device was admitted."""
        for statement in self.statements:
            if isinstance(statement.body, Device) and statement.body.device == device:
                return statement
        return None

    def merge(self, statements: Iterable[Statement]) -> Identity:
        """The union, less what has no force. Gives `self` itself if nothing changes.

        Raises BadStatement or BadSignature if one of `statements` could have force in no set, TooLarge over the bound.
        """
        known = {statement.id: statement for statement in self.statements}
        for statement in statements:
            if statement.body.identity != self.hash:
                raise BadStatement("a statement of another identity")
            known.setdefault(statement.id, statement)
        merged = Identity(self.inception, _in_force(self.inception, list(known.values())))
        if len(merged.statements) > STATEMENTS_MAX:
            raise BadStatement(f"more than {STATEMENTS_MAX} statements")
        return self if merged.statements == self.statements else merged

    @classmethod
    def decode(cls, data: bytes, expected: IdentityHash | None = None) -> Identity:
        """From the wire form, checked.

        Raises Malformed, NotCanonical, TooLarge, BadKey, BadStatement or BadSignature.
        """
        inception_bytes, values = codec.as_list(codec.unpack(data, bytes_max=IDENTITY_BYTES_MAX), length=2)
        inception = Inception.decode(codec.as_bytes(inception_bytes))
        if expected is not None and inception.identity != expected:
            raise BadStatement("the inception of another identity")
        statements = [Statement.from_value(item) for item in codec.as_list(values, length_max=STATEMENTS_MAX)]
        return cls(inception).merge(statements)


def _in_force(inception: Inception, statements: list[Statement]) -> tuple[Statement, ...]:
    """The statements of the set that count, ordered by id. Raises if a statement is forged."""
    rotations = _rotation_chain(inception, [s for s in statements if isinstance(s.body, Rotate)])
    roots = [inception.root, *(s.body.root for s in rotations if isinstance(s.body, Rotate))]
    best: dict[tuple[str, bytes], Statement] = {}
    for statement in sorted(statements, key=lambda s: s.id):
        body = statement.body
        if isinstance(body, Rotate) or body.epoch >= len(roots):
            continue  # a later epoch whose rotation we lack: it has no force yet
        _check_signed(statement, roots[body.epoch])
        if body.epoch < len(roots) - 1:
            continue  # the root that said so has been replaced
        key = (type(body).__name__, body.device)
        rival = best.get(key)
        if rival is None or _counter(statement) > _counter(rival):
            best[key] = statement
    return tuple(sorted([*rotations, *best.values()], key=lambda s: s.id))


def _counter(statement: Statement) -> int:
    assert not isinstance(statement.body, Rotate)
    return statement.body.counter


def _rotation_chain(inception: Inception, candidates: list[Statement]) -> list[Statement]:
    chain: list[Statement] = []
    committed = inception.policy_hash
    for epoch in range(1, EPOCH_MAX):
        opened = [s for s in candidates if isinstance(s.body, Rotate) and s.body.epoch == epoch]
        fitting = [s for s in opened if isinstance(s.body, Rotate) and s.body.policy.hash == committed]
        if not fitting:
            break
        for statement in fitting:
            _check_rotation(statement)
        winner = min(fitting, key=lambda s: s.id)
        assert isinstance(winner.body, Rotate)
        committed = winner.body.policy_hash
        chain.append(winner)
    if any(isinstance(s.body, Rotate) and s.body.epoch == len(chain) + 1 for s in candidates):
        raise BadStatement("a rotation that the epoch before did not commit to")
    return chain


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
        verify(body.device, CONSENT_DOMAIN, statement.id, statement.consent)


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
