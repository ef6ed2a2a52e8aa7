"""What a DHT record can be: six kinds, the keys under which they lie, and which one of two stays."""

from __future__ import annotations

from typing import NewType

from p2pblog.config import NOTICE_LIFETIME_MS
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Device, Identity, Inception, Retire, Statement
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey, digest
from p2pblog.core.value import Value

DhtKey = NewType("DhtKey", bytes)
"""20 bytes: a point of the space in which node ids lie too."""

KEY_BYTES = 20
HEAD, NOTICE, POINTER, REPLICA, RETIRED, DROPPED = 1, 2, 3, 4, 5, 6
"""The kinds, as the first item of a body."""


# --- keys -------------------------------------------------------------------------------------------------------------


def head_key(identity: IdentityHash) -> DhtKey:
    """Where an identity's heads and retirements lie."""
    return _key(b"head", identity)


def notice_key(device: DeviceKey, seq: int) -> DhtKey:
    """Where entry `seq` of a device's log lies, or its drop."""
    return _key(b"notice", device + seq.to_bytes(4, "big"))


def pointer_key(target: bytes) -> DhtKey:
    """Where entries that refer to `target` are announced: an entry id, identity or group of 32 bytes."""
    return _key(b"pointer", target)


def replica_key(identity: IdentityHash) -> DhtKey:
    """Where nodes that hold an identity's logs announce themselves."""
    return _key(b"replica", identity)


def _key(kind: bytes, subject: bytes) -> DhtKey:
    """BLAKE2b(digest_size=20) over the kind, zero-padded to 8 bytes, and the subject."""
    return DhtKey(digest(kind.ljust(8, b"\0") + subject, size=KEY_BYTES))


# --- addresses --------------------------------------------------------------------------------------------------------


class RelayAddress(Value):
    """Reached through a relay: the relay's node key."""

    relay: NodeKey


class UnknownAddress(Value):
    """An address of a later version, kept as the bytes that it came in and otherwise ignored."""

    wire: bytes


Address = Endpoint | RelayAddress | UnknownAddress


# --- records ----------------------------------------------------------------------------------------------------------


class Head(Value):
    """The newest entry of one device's log, with the proof that the device belongs to the identity."""

    inception: Inception
    rotations: tuple[Statement, ...]
    statement: Statement
    counter: int
    seq: int
    entry: EntryId
    expires_ms: int
    signature: bytes

    @property
    def identity(self) -> IdentityHash:
        return self.inception.identity

    @property
    def device(self) -> DeviceKey:
        assert isinstance(self.statement.body, Device)
        return self.statement.body.device

    @property
    def key(self) -> DhtKey:
        return head_key(self.identity)

    @property
    def statements(self) -> tuple[Statement, ...]:
        return (*self.rotations, self.statement)

    def partial_identity(self) -> Identity:
        """The identity as far as this record shows it. Raises BadStatement or BadSignature."""
        return Identity(self.inception).merge(self.statements)


class Retired(Value):
    """A retire statement, at the head key: it removes that device's head. It has no expiry; holders keep it a while.

    It carries the device's admission too: without the device's consent an identity could retire somebody else's.
    """

    inception: Inception
    rotations: tuple[Statement, ...]
    admission: Statement
    statement: Statement

    @property
    def identity(self) -> IdentityHash:
        return self.inception.identity

    @property
    def device(self) -> DeviceKey:
        return self.body.device

    @property
    def body(self) -> Retire:
        assert isinstance(self.statement.body, Retire)
        return self.statement.body

    @property
    def key(self) -> DhtKey:
        return head_key(self.identity)

    @property
    def statements(self) -> tuple[Statement, ...]:
        return (*self.rotations, self.admission, self.statement)

    def partial_identity(self) -> Identity:
        """The identity as far as this record shows it. Raises BadStatement or BadSignature."""
        return Identity(self.inception).merge(self.statements)


class Notice(Value):
    """One whole entry with its payload and its own signature. It lives 48 hours from the time that its body claims."""

    entry: Entry

    @property
    def device(self) -> DeviceKey:
        return self.entry.device

    @property
    def key(self) -> DhtKey:
        return notice_key(self.entry.device, self.entry.seq)

    @property
    def expires_ms(self) -> int:
        return self.entry.time_ms + NOTICE_LIFETIME_MS


class Dropped(Value):
    """The same device takes its notice back: nothing else replaces a notice."""

    device: DeviceKey
    seq: int
    expires_ms: int
    signature: bytes

    @property
    def key(self) -> DhtKey:
        return notice_key(self.device, self.seq)


class Pointer(Value):
    """An entry that refers to the target. The author is only claimed: the reader fetches the entry and checks it."""

    target: bytes
    author: IdentityHash
    device: DeviceKey
    seq: int
    expires_ms: int
    signature: bytes

    @property
    def key(self) -> DhtKey:
        return pointer_key(self.target)


class Replica(Value):
    """A node that holds an identity's logs, and where it listens."""

    identity: IdentityHash
    node: NodeKey
    address: Address
    expires_ms: int
    signature: bytes

    @property
    def key(self) -> DhtKey:
        return replica_key(self.identity)


Record = Head | Notice | Pointer | Replica | Retired | Dropped


# --- slots ------------------------------------------------------------------------------------------------------------


def slot(record: Record) -> tuple[str, bytes, int]:
    """What there is one record of under a key: a device's head or retirement, a notice or its drop, a device's pointer
    to one entry, a node's replica."""
    match record:
        case Head() | Retired():
            return ("device", record.device, 0)
        case Notice() | Dropped():
            return ("notice", b"", 0)
        case Pointer():
            return ("pointer", record.device, record.seq)
        case Replica():
            return ("replica", record.node, 0)


def signer(record: Record) -> bytes:
    """The key whose quota a record counts against: who signed it. An author that a pointer merely claims has no say."""
    match record:
        case Head() | Retired():
            return record.identity
        case Notice() | Dropped() | Pointer():
            return record.device
        case Replica():
            return record.node
