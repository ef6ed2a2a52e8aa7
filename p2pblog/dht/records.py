"""DHT records: what may be stored under which key, and how anybody can check it.

The rules, in full:

* A record is msgpack `[body, signature]`, at most 1,000 bytes; the body is msgpack `[kind, …]`.
* It counts only under the one key that its body names, and only until the expiry that is signed with it.
* A head, a retirement, a notice and a drop have one writer each, so anybody may store them again unchanged. Pointers
  and replicas are many under a key, and each has one writer too.
* Of two records of one slot (the same device's head, the same node's replica…) `supersedes` picks one, the same one
  everywhere.

Nothing here asks the network or the clock: the time comes as an argument.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from p2pblog.config import (
    HEAD_LIFETIME_MS,
    NOTICE_LIFETIME_MS,
    POINTER_LIFETIME_MS,
    RECORD_BYTES_MAX,
    RECORD_SKEW_MS,
    REPLICA_LIFETIME_MS,
    ROTATIONS_MAX,
    SEQ_MAX,
    TIME_MS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, check_signed, decode_body, with_payload
from p2pblog.core.identity import (
    COUNTER_MAX,
    Device,
    Identity,
    Inception,
    Policy,
    Retire,
    Rotate,
    Statement,
    key_hash,
)
from p2pblog.core.keys import (
    RECORD_DOMAIN,
    DeviceKey,
    EntryId,
    IdentityHash,
    KeyPair,
    NodeKey,
    check_key,
    verify,
)
from p2pblog.dht import kinds
from p2pblog.dht.kinds import (
    DROPPED,
    HEAD,
    KEY_BYTES,
    NOTICE,
    POINTER,
    REPLICA,
    RETIRED,
    Address,
    DhtKey,
    Dropped,
    Head,
    Notice,
    Pointer,
    Record,
    RelayAddress,
    Replica,
    Retired,
    UnknownAddress,
    head_key,
    notice_key,
    pointer_key,
    replica_key,
    signer,
    slot,
)
from p2pblog.errors import BadRecord, Expired, LocalProtocolError, Malformed, NotCanonical

__all__ = [
    "KEY_BYTES",
    "Address",
    "DhtKey",
    "Dropped",
    "Head",
    "Notice",
    "Pointer",
    "Record",
    "RelayAddress",
    "Replica",
    "Retired",
    "UnknownAddress",
    "decode",
    "encode",
    "head_key",
    "notice_key",
    "notice_record",
    "pointer_key",
    "replica_key",
    "retired_record",
    "sign_drop",
    "sign_head",
    "sign_pointer",
    "sign_replica",
    "signer",
    "slot",
    "supersedes",
]

ADDRESS_IP, ADDRESS_RELAY = 1, 2
"""The kinds of address, as its first item."""
ADDRESS_BYTES_MAX = 128
"""One address of a kind that we don't know: room for an onion service with its key."""


# --- making them ------------------------------------------------------------------------------------------------------


def sign_head(
    identity: Identity, device: KeyPair, counter: int, seq: int, entry_id: EntryId, expires_ms: int
) -> Head | None:
    """The head of a device's log, or None where no holder would take it: the device is retired, or the identity
    rotated too often, or by too many guardians, to fit.

    Raises LocalProtocolError for a device that the identity does not name.
    """
    own = DeviceKey(device.public)
    statement = identity.statement_of(own)
    if statement is None:
        raise LocalProtocolError("a head of a device that the identity does not name")
    if identity.devices[own].retired:
        return None
    bare = Head(identity.inception, identity.rotations, statement, counter, seq, entry_id, expires_ms, b"")
    head = Head(
        bare.inception, bare.rotations, statement, counter, seq, entry_id, expires_ms,
        device.sign(RECORD_DOMAIN, _head_body(bare)),
    )  # fmt: skip
    return head if len(head.rotations) <= ROTATIONS_MAX and _fits(head) else None


def retired_record(identity: Identity, device: DeviceKey) -> Retired | None:
    """The identity's retire statement for that device as a record; None if there is none or it does not fit."""
    for statement in identity.statements:
        if isinstance(statement.body, Retire) and statement.body.device == device:
            admission = identity.statement_of(device)
            if admission is None:
                return None
            record = Retired(identity.inception, identity.rotations, admission, statement)
            return record if len(record.rotations) <= ROTATIONS_MAX and _fits(record) else None
    return None


def notice_record(entry: Entry) -> Notice | None:
    """The entry as a record; None if it does not fit, or its payload or own signature is not at hand."""
    if entry.payload is None or entry.signature is None:
        return None
    record = Notice(entry)
    return record if _fits(record) else None


def sign_drop(device: KeyPair, seq: int, now_ms: int) -> Dropped:
    """Take entry `seq` of this device's log back; it outlives every notice that a holder may have by now."""
    own, expires_ms = DeviceKey(device.public), now_ms + NOTICE_LIFETIME_MS + RECORD_SKEW_MS
    bare = Dropped(own, seq, expires_ms, b"")
    return Dropped(own, seq, expires_ms, device.sign(RECORD_DOMAIN, _drop_body(bare)))


def sign_pointer(device: KeyPair, target: bytes, author: IdentityHash, seq: int, expires_ms: int) -> Pointer:
    """Entry `seq` of this device's log, which `author` owns, refers to the target (32 bytes)."""
    own = DeviceKey(device.public)
    bare = Pointer(target, author, own, seq, expires_ms, b"")
    return Pointer(target, author, own, seq, expires_ms, device.sign(RECORD_DOMAIN, _pointer_body(bare)))


def sign_replica(node: KeyPair, identity: IdentityHash, address: Address, expires_ms: int) -> Replica:
    """This node holds the identity's logs and listens there. Holders take it only from that very host."""
    own = NodeKey(node.public)
    bare = Replica(identity, own, address, expires_ms, b"")
    return Replica(identity, own, address, expires_ms, node.sign(RECORD_DOMAIN, _replica_body(bare)))


def _fits(record: Record) -> bool:
    return len(_encode(record)) <= RECORD_BYTES_MAX


# --- bytes ------------------------------------------------------------------------------------------------------------


def encode(record: Record) -> bytes:
    """The bytes of a record: msgpack [body, signature]. Raises LocalProtocolError over RECORD_BYTES_MAX."""
    data = _encode(record)
    if len(data) > RECORD_BYTES_MAX:
        raise LocalProtocolError(f"a record of {len(data)} bytes")
    return data


def _encode(record: Record) -> bytes:
    match record:
        case Head():
            body, signature = _head_body(record), record.signature
        case Retired():
            body, signature = _retired_body(record), record.statement.signatures[0]
        case Notice(entry):
            assert entry.signature is not None and entry.payload is not None
            body, signature = codec.pack([NOTICE, entry.body, entry.payload]), entry.signature
        case Dropped():
            body, signature = _drop_body(record), record.signature
        case Pointer():
            body, signature = _pointer_body(record), record.signature
        case Replica():
            body, signature = _replica_body(record), record.signature
    return codec.pack([body, signature])


def _head_body(head: Head) -> bytes:
    proof = _proof_items(head.inception, head.rotations, head.statement)
    return codec.pack([HEAD, *proof, head.counter, head.expires_ms, head.seq, head.entry])


def _retired_body(record: Retired) -> bytes:
    proof, body = _proof_items(record.inception, record.rotations, record.admission), record.body
    return codec.pack([RETIRED, *proof, body.counter, body.seq, body.entry])


def _proof_items(inception: Inception, rotations: tuple[Statement, ...], admission: Statement) -> list[Any]:
    """What shows that the device belongs to the identity; identity and epoch of the statements are implied."""
    assert isinstance(admission.body, Device)
    return [
        inception.wire, [_rotation_value(item) for item in rotations],
        admission.body.device, admission.body.counter, admission.signatures[0], admission.consent,
    ]  # fmt: skip


def _drop_body(drop: Dropped) -> bytes:
    return codec.pack([DROPPED, drop.device, drop.seq, drop.expires_ms])


def _pointer_body(pointer: Pointer) -> bytes:
    return codec.pack([POINTER, pointer.target, pointer.author, pointer.device, pointer.seq, pointer.expires_ms])


def _replica_body(replica: Replica) -> bytes:
    return codec.pack([REPLICA, replica.identity, replica.node, _address_value(replica.address), replica.expires_ms])


def _rotation_value(statement: Statement) -> list[Any]:
    """Short where the next root alone opened the epoch, as it is at first; else the statement as it travels."""
    body = statement.body
    assert isinstance(body, Rotate)
    if body.policy == Policy.of_one(body.root) and body.signers == (body.root,) and len(statement.signatures) == 1:
        return [body.root, body.policy_hash, statement.signatures[0]]
    return statement.value


def _read_rotation(value: Any, identity: IdentityHash, epoch: int) -> Statement:
    items = codec.as_list(value, length=3)
    if isinstance(items[1], list):
        statement = Statement.from_value(items)
        if not isinstance(statement.body, Rotate):
            raise BadRecord("a statement that is no rotation among the rotations")
        return statement
    root, policy_hash = codec.as_bytes(items[0], length=32), codec.as_bytes(items[1], length=32)
    policy = Policy(1, (key_hash(root),))
    body = Rotate(identity, epoch, policy, (root,), root, policy_hash)
    return Statement(body, (codec.as_bytes(items[2], length=64),))


# --- addresses as bytes -----------------------------------------------------------------------------------------------


def _address_value(address: Address) -> list[Any]:
    match address:
        case Endpoint(host, port):
            return [ADDRESS_IP, ipaddress.ip_address(host).packed, port]
        case RelayAddress(relay):
            return [ADDRESS_RELAY, relay]
        case UnknownAddress(wire):
            return codec.as_list(codec.unpack(wire, bytes_max=ADDRESS_BYTES_MAX))


def _read_address(value: Any) -> Address:
    items = codec.as_list(value)
    if not items:
        raise Malformed("an address without a kind")
    kind = codec.as_int(items[0], 1, 255)
    if kind == ADDRESS_IP:
        _, packed, port = codec.as_list(items, length=3)
        return _read_endpoint(codec.as_bytes(packed), codec.as_int(port, 1, 65_535))
    if kind == ADDRESS_RELAY:
        _, relay = codec.as_list(items, length=2)
        check_key(codec.as_bytes(relay, length=32))
        return RelayAddress(NodeKey(relay))
    wire = codec.pack(items)
    codec.as_bytes(wire, length_max=ADDRESS_BYTES_MAX)
    return UnknownAddress(wire)


def _read_endpoint(packed: bytes, port: int) -> Endpoint:
    if len(packed) not in (4, 16):
        raise Malformed("an IP address has 4 or 16 bytes")
    ip = ipaddress.ip_address(packed)
    if ip.is_unspecified or ip.is_multicast or (ip.version == 4 and ip.is_reserved):
        raise BadRecord("an address where no node can listen")
    return Endpoint.of(str(ip), port)


# --- reading them -----------------------------------------------------------------------------------------------------


def decode(key: DhtKey, data: bytes, now_ms: int) -> Record:
    """The record that `data` is under `key` at this time, verified in full.

    Raises TooLarge, Malformed, NotCanonical or BadKey for its form, BadRecord under a key that is not its own, Expired
    outside its lifetime, BadSignature, BadStatement or BadChain where a proof does not hold.
    """
    body, signature = codec.as_list(codec.unpack(data, bytes_max=RECORD_BYTES_MAX), length=2)
    items = codec.as_list(codec.unpack(codec.as_bytes(body), bytes_max=RECORD_BYTES_MAX))
    record = _read(items, body, codec.as_bytes(signature, length=64), key, now_ms)
    if _encode(record) != data:
        raise NotCanonical("another encoding of the same record")
    return record


def _read(items: list[Any], body: bytes, signature: bytes, key: DhtKey, now_ms: int) -> Record:
    match codec.as_int(items[0], 0, 255) if items else 0:
        case kinds.HEAD:
            return _read_head(items, body, signature, key, now_ms)
        case kinds.RETIRED:
            return _read_retired(items, signature, key)
        case kinds.NOTICE:
            return _read_notice(items, signature, key, now_ms)
        case kinds.DROPPED:
            return _read_drop(items, body, signature, key, now_ms)
        case kinds.POINTER:
            return _read_pointer(items, body, signature, key, now_ms)
        case kinds.REPLICA:
            return _read_replica(items, body, signature, key, now_ms)
        case _:
            raise Malformed("a record of no known kind")


def _read_head(items: list[Any], body: bytes, signature: bytes, key: DhtKey, now_ms: int) -> Head:
    counter, expires_ms, seq, entry = codec.as_list(items, length=11)[7:]
    inception, rotations, admission = _read_proof(items[1:7])
    head = Head(
        inception,
        rotations,
        admission,
        codec.as_int(counter, 0, COUNTER_MAX),
        codec.as_int(seq, 1, SEQ_MAX),
        EntryId(codec.as_bytes(entry, length=32)),
        codec.as_int(expires_ms, 0, TIME_MS_MAX),
        signature,
    )
    _check_place(head, key)
    _check_time(head.expires_ms, HEAD_LIFETIME_MS, now_ms)
    verify(head.device, RECORD_DOMAIN, body, signature)
    _check_force(head)
    return head


def _read_retired(items: list[Any], signature: bytes, key: DhtKey) -> Retired:
    counter, seq, entry = codec.as_list(items, length=10)[7:]
    inception, rotations, admission = _read_proof(items[1:7])
    assert isinstance(admission.body, Device)
    number = codec.as_int(seq, 0, SEQ_MAX)
    if (number == 0) != (entry is None):
        raise Malformed("a retire names an entry by number and id, or neither")
    retire = Retire(
        inception.identity,
        len(rotations),
        codec.as_int(counter, 0, COUNTER_MAX),
        admission.body.device,
        number,
        None if entry is None else EntryId(codec.as_bytes(entry, length=32)),
    )
    record = Retired(inception, rotations, admission, Statement(retire, (signature,)))
    _check_place(record, key)
    _check_force(record)
    return record


def _read_proof(items: list[Any]) -> tuple[Inception, tuple[Statement, ...], Statement]:
    inception_wire, rotation_values, device, counter, root_signature, consent = items
    inception = Inception.decode(codec.as_bytes(inception_wire))
    rotations = _read_rotations(rotation_values, inception.identity)
    admitted = Device(
        inception.identity,
        len(rotations),
        codec.as_int(counter, 0, COUNTER_MAX),
        DeviceKey(codec.as_bytes(device, length=32)),
    )
    signatures = (codec.as_bytes(root_signature, length=64),)
    return inception, rotations, Statement(admitted, signatures, codec.as_bytes(consent, length=64))


def _read_rotations(value: Any, identity: IdentityHash) -> tuple[Statement, ...]:
    listed = codec.as_list(value, length_max=ROTATIONS_MAX)
    return tuple(_read_rotation(item, identity, epoch) for epoch, item in enumerate(listed, 1))


def _read_notice(items: list[Any], signature: bytes, key: DhtKey, now_ms: int) -> Notice:
    _, entry_body, payload = codec.as_list(items, length=3)
    notice = Notice(with_payload(decode_body(codec.as_bytes(entry_body)), codec.as_bytes(payload)))
    _check_place(notice, key)
    _check_time(notice.expires_ms, NOTICE_LIFETIME_MS, now_ms)
    return Notice(check_signed(notice.entry, signature))


def _read_drop(items: list[Any], body: bytes, signature: bytes, key: DhtKey, now_ms: int) -> Dropped:
    _, device, seq, expires_ms = codec.as_list(items, length=4)
    drop = Dropped(
        DeviceKey(codec.as_bytes(device, length=32)),
        codec.as_int(seq, 1, SEQ_MAX),
        codec.as_int(expires_ms, 0, TIME_MS_MAX),
        signature,
    )
    _check_place(drop, key)
    _check_time(drop.expires_ms, NOTICE_LIFETIME_MS + RECORD_SKEW_MS, now_ms)
    verify(drop.device, RECORD_DOMAIN, body, signature)
    return drop


def _read_pointer(items: list[Any], body: bytes, signature: bytes, key: DhtKey, now_ms: int) -> Pointer:
    _, target, author, device, seq, expires_ms = codec.as_list(items, length=6)
    pointer = Pointer(
        codec.as_bytes(target, length=32),
        IdentityHash(codec.as_bytes(author, length=32)),
        DeviceKey(codec.as_bytes(device, length=32)),
        codec.as_int(seq, 1, SEQ_MAX),
        codec.as_int(expires_ms, 0, TIME_MS_MAX),
        signature,
    )
    _check_place(pointer, key)
    _check_time(pointer.expires_ms, POINTER_LIFETIME_MS, now_ms)
    verify(pointer.device, RECORD_DOMAIN, body, signature)
    return pointer


def _read_replica(items: list[Any], body: bytes, signature: bytes, key: DhtKey, now_ms: int) -> Replica:
    _, identity, node, address, expires_ms = codec.as_list(items, length=5)
    replica = Replica(
        IdentityHash(codec.as_bytes(identity, length=32)),
        NodeKey(codec.as_bytes(node, length=32)),
        _read_address(address),
        codec.as_int(expires_ms, 0, TIME_MS_MAX),
        signature,
    )
    _check_place(replica, key)
    _check_time(replica.expires_ms, REPLICA_LIFETIME_MS, now_ms)
    verify(replica.node, RECORD_DOMAIN, body, signature)
    return replica


def _check_place(record: Record, key: DhtKey) -> None:
    if record.key != key:
        raise BadRecord("a record under a key that is not its own")


def _check_time(expires_ms: int, lifetime_ms: int, now_ms: int) -> None:
    if expires_ms <= now_ms:
        raise Expired("a record past its expiry")
    if expires_ms > now_ms + lifetime_ms + RECORD_SKEW_MS:
        raise Expired("a record that claims to live longer than its kind may")


def _check_force(record: Head | Retired) -> None:
    """The chain of proof from the inception to the device, under the identity's own rules."""
    standing = record.partial_identity().devices.get(record.device)
    if standing is None or standing.retired != isinstance(record, Retired):
        raise BadRecord("a statement that has no force under its own rotations")


# --- which one stays --------------------------------------------------------------------------------------------------


def supersedes(old: Record, new: Record) -> bool:
    """Whether `new` takes the place of `old`, which holds the same slot. Equal records do not; of two different ones
    of the same writer exactly one does in either direction, except that the first of two notices stays."""
    match old, new:
        case Head(), Head():
            return _head_rank(new) > _head_rank(old)
        case Head(), Retired():
            return True
        case Retired(), Head():
            return False
        case Retired(), Retired():
            return _retired_rank(new) > _retired_rank(old)
        case Notice(), Dropped():
            return True
        case Dropped(), Dropped():
            return _age_rank(new) > _age_rank(old)
        case Pointer(), Pointer():
            return _age_rank(new) > _age_rank(old)
        case Replica(), Replica():
            return _age_rank(new) > _age_rank(old)
        case _:
            return False


def _head_rank(head: Head) -> tuple[int, int, int, int, bytes]:
    """A later epoch first: the root that it replaced has no say any more; then the counter, then anything that is the
    same everywhere."""
    return len(head.rotations), head.counter, head.seq, head.expires_ms, _encode(head)


def _retired_rank(record: Retired) -> tuple[int, int, bytes]:
    """As `core.identity` ranks retire statements: epoch, counter, lower id."""
    inverted = bytes(255 - byte for byte in record.statement.id)
    return len(record.rotations), record.body.counter, inverted


def _age_rank(record: Dropped | Pointer | Replica) -> tuple[int, bytes]:
    return record.expires_ms, _encode(record)
