"""Writes tests/vectors/dht-records.json; run it from the repository's root after a change of the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dht_scenes import DAY, HOME, MINUTE, NOW, alice, bob, carol, key_of, mallory, must, one_of_each

from p2pblog.config import HEAD_LIFETIME_MS, POINTER_LIFETIME_MS, REPLICA_LIFETIME_MS
from p2pblog.core import codec
from p2pblog.core.identity import Identity, Policy, state_device, state_rotate
from p2pblog.core.keys import RECORD_DOMAIN, EntryId, KeyPair, NodeKey
from p2pblog.dht.kinds import DROPPED, HEAD, NOTICE, POINTER, REPLICA, RETIRED, Record
from p2pblog.dht.records import (
    RelayAddress,
    UnknownAddress,
    encode,
    head_key,
    notice_key,
    pointer_key,
    replica_key,
    sign_head,
    sign_pointer,
    sign_replica,
)
from p2pblog.errors import RemoteProtocolError

FILE = Path(__file__).parent.parent / "vectors" / "dht-records.json"
SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
Case = dict[str, Any]


def case(name: str, key: bytes, record: bytes, error: str | None = None, now: int = NOW) -> Case:
    return {
        "name": name, "kind": None, "key": key.hex(), "record": record.hex(), "now": now,
        "accept": error is None, "error": error,
    }  # fmt: skip


def fields(record: Record) -> tuple[list[Any], bytes]:
    """The items of a record's body, and its signature."""
    body, signature = codec.unpack(encode(record), 1_000)
    return codec.unpack(body, 1_000), signature


def joined(items: list[Any], signature: bytes) -> bytes:
    return codec.pack([codec.pack(items), signature])


def resigned(items: list[Any], signer: KeyPair) -> bytes:
    body = codec.pack(items)
    return codec.pack([body, signer.sign(RECORD_DOMAIN, body)])


def changed(record: Record, position: int, value: Any) -> bytes:
    """One field replaced, the signature left as it was."""
    items, signature = fields(record)
    items[position] = value
    return joined(items, signature)


def accepted() -> list[Case]:
    cases = [case(name, record.key, encode(record)) for name, record in one_of_each().items()]
    guarded = guarded_head()
    extra: dict[str, Record] = {
        "head that expires at the last allowed moment": alice.head(expires_ms=NOW + HEAD_LIFETIME_MS + 10 * MINUTE),
        "head with the highest counter": alice.head(counter=2**53 - 1),
        "head of an identity whose guardians rotated it": guarded,
        "notice from a clock ten minutes fast": alice.notice(time_ms=NOW + 10 * MINUTE),
        "notice of exactly 1,000 bytes": alice.notice("x" * largest_text()),
        "replica over IPv6": sign_replica(
            carol.node, alice.identity.hash, type(HOME).of("2001:db8::7", 4711), NOW + DAY
        ),
        "replica through a relay": sign_replica(
            carol.node, alice.identity.hash, RelayAddress(NodeKey(bob.node.public)), NOW + DAY
        ),
        "replica at an address of an unknown kind": sign_replica(
            carol.node, alice.identity.hash, UnknownAddress(codec.pack([9, "somewhere", b"else"])), NOW + DAY
        ),
    }
    return cases + [case(name, record.key, encode(record)) for name, record in extra.items()]


def largest_text() -> int:
    short = len(encode(alice.notice("x" * 600)))
    return 600 + 1_000 - short


def guarded_head() -> Record:
    """Two of three guardians opened epoch 1: the rotation travels in its long form."""
    guardians = [key_of(f"guardian {index}") for index in range(3)]
    policy = Policy(2, tuple(sorted(Policy.of_one(key.public).key_hashes[0] for key in guardians)))
    begun = Identity.begin(alice.roots[0], alice.roots[1].public)
    begun = Identity(type(begun.inception)(begun.inception.root, policy.hash))
    fresh = alice.roots[5]
    rotation = state_rotate(guardians[:2], begun.hash, 1, policy, fresh.public, Policy.of_one(alice.roots[6].public))
    identity = begun.merge([rotation]).merge([state_device(fresh, alice.laptop, begun.hash, 1, 0)])
    return must(sign_head(identity, alice.laptop, 1, 1, EntryId(b"g" * 32), NOW + DAY))


def rejected() -> list[Case]:
    return [*bad_forms(), *bad_places_and_times(), *bad_heads(), *bad_others()]


def bad_forms() -> list[Case]:
    head, pointer = alice.head(), bob.pointer()
    wire, key = encode(head), head.key
    items, signature = fields(head)
    return [
        case("nothing", key, b"", "malformed"),
        case("half a head", key, wire[:200], "malformed"),
        case("a byte after the record", key, wire + b"\0", "malformed"),
        case("a map", key, codec.pack({"body": b"", "signature": b""}), "malformed"),
        case("three items", key, codec.pack([codec.pack(items), signature, b""]), "malformed"),
        case("a body that is no array", key, codec.pack([codec.pack(7), signature]), "malformed"),
        case("an empty body", key, codec.pack([codec.pack([]), signature]), "malformed"),
        case("a kind that nobody knows", key, joined([99, *items[1:]], signature), "malformed"),
        case("a kind spelt true", key, joined([True, *items[1:]], signature), "malformed"),
        case("a signature of 63 bytes", key, joined(items, signature[:63]), "malformed"),
        case("1,001 bytes", key, wire + bytes(1_001 - len(wire)), "too-large"),
        case("a number in a longer form", pointer.key, longer_number(pointer), "not-canonical"),
        case("a number in a longer form, and 63 bytes of signature", pointer.key, longer_number(pointer, 63),
             "not-canonical"),
        case("nesting without end", key, b"\x91" * 900, "too-large"),
        case("a float for a counter", key, joined([*items[:7], 1.0, *items[8:]], signature), "malformed"),
        case("a negative counter", key, joined([*items[:7], -1, *items[8:]], signature), "malformed"),
        case("a head about entry 0", key, joined([*items[:9], 0, items[10]], signature), "malformed"),
        case("five rotations", key, joined([*items[:2], [[b"r" * 32, b"", b""]] * 5, *items[3:]], signature),
             "too-large"),
    ]  # fmt: skip


def longer_number(record: Record, signature_bytes: int = 64) -> bytes:
    items, signature = fields(record)
    body = codec.pack(items)
    at = body.index(codec.pack(items[4]) + codec.pack(items[5]), 100)
    return codec.pack([body[:at] + b"\xcc\x02" + body[at + 1 :], signature[:signature_bytes]])


def bad_places_and_times() -> list[Case]:
    head, notice, pointer, replica = alice.head(), alice.notice(), bob.pointer(), carol.replica(alice.identity)
    late = alice.head(expires_ms=NOW + HEAD_LIFETIME_MS + 10 * MINUTE + 1)
    patient = sign_replica(carol.node, alice.identity.hash, HOME, NOW + REPLICA_LIFETIME_MS + 11 * MINUTE)
    lasting = sign_pointer(bob.laptop, b"t" * 32, bob.identity.hash, 2, NOW + POINTER_LIFETIME_MS + 11 * MINUTE)
    return [
        case("alice's head under bob's key", head_key(bob.identity.hash), encode(head), "bad-record"),
        case("a head under the replica key", replica_key(alice.identity.hash), encode(head), "bad-record"),
        case("a notice under the next number", notice_key(notice.device, 3), encode(notice), "bad-record"),
        case("a notice under another device", notice_key(bob.laptop.public, 2), encode(notice), "bad-record"),
        case("a pointer under another target", pointer_key(b"u" * 32), encode(pointer), "bad-record"),
        case("a replica under another identity", replica_key(bob.identity.hash), encode(replica), "bad-record"),
        case("a drop under another number", notice_key(alice.laptop.public, 9), encode(alice.drop(2)), "bad-record"),
        case("a head at its expiry", head.key, encode(head), "expired", now=NOW + DAY),
        case("a head that claims a day too much", late.key, encode(late), "expired"),
        case("a notice two days old", notice.key, encode(notice), "expired", now=NOW + 2 * DAY),
        case("a notice from far ahead", notice.key, encode(notice), "expired", now=NOW - 11 * MINUTE),
        case("a drop past its expiry", alice.drop().key, encode(alice.drop()), "expired", now=NOW + 3 * DAY),
        case("a replica that claims too much", patient.key, encode(patient), "expired"),
        case("a pointer that claims too much", lasting.key, encode(lasting), "expired"),
    ]


def bad_heads() -> list[Case]:
    head = alice.head()
    items, _ = fields(head)
    theirs, _ = fields(mallory.head())
    retired = alice.retired()
    rotated, rotated_signature = fields(
        must(sign_head(alice.rotated(2), alice.laptop, 1, 1, EntryId(b"e" * 32), NOW + DAY))
    )
    shortened = [*rotated[:2], rotated[2][:1], *rotated[3:]]
    swapped = [*rotated[:2], rotated[2][::-1], *rotated[3:]]
    return [
        case("a counter raised", head.key, changed(head, 7, 99), "bad-signature"),
        case("an expiry moved", head.key, changed(head, 8, NOW + 2 * DAY), "bad-signature"),
        case("another entry id", head.key, changed(head, 10, b"x" * 32), "bad-signature"),
        case("mallory's device in alice's head", head.key,
             resigned([*items[:3], mallory.laptop.public, *items[4:]], mallory.laptop), "bad-signature"),
        case("mallory's statement in alice's head", head.key,
             resigned([*items[:3], *theirs[3:]], mallory.laptop), "bad-signature"),
        case("a head without the device's consent", head.key, resigned([*items[:6], b"c" * 64, *items[7:]],
             alice.laptop), "bad-signature"),
        case("a device of small order", head.key, changed(head, 3, SMALL_ORDER), "bad-key"),
        case("a root of small order", head.key,
             changed(head, 1, codec.pack([SMALL_ORDER, alice.identity.inception.policy_hash])), "bad-key"),
        case("a rotation left out", head.key, resigned(shortened, alice.laptop), "bad-signature"),
        case("rotations exchanged", head.key, resigned(swapped, alice.laptop), "bad-statement"),
        case("a rotation's signature broken", head.key, resigned(
            [*rotated[:2], [[*rotated[2][0][:2], b"s" * 64], rotated[2][1]], *rotated[3:]], alice.laptop),
            "bad-signature"),
        case("a retirement by the device itself", retired.key,
             joined(fields(retired)[0], alice.laptop.sign(b"p2pblog state 1", retired.statement.id)), "bad-signature"),
        case("a retirement after another entry", retired.key, changed(retired, 8, 4), "bad-signature"),
        case("a retirement after no entry with an id", retired.key, changed(retired, 8, 0), "malformed"),
        case("a signature of another head", head.key, joined(items, rotated_signature), "bad-signature"),
    ]  # fmt: skip


def bad_others() -> list[Case]:
    notice, drop, pointer, replica = alice.notice(), alice.drop(), bob.pointer(), carol.replica(alice.identity)
    pointing, _ = fields(pointer)
    standing, _ = fields(replica)
    entry = notice.entry
    local = [1, bytes([0, 0, 0, 0]), 4711]
    return [
        case("another payload", notice.key, changed(notice, 2, b"\x81\xa4type\xa4none"), "bad-chain"),
        case("a notice with a broken signature", notice.key, joined([NOTICE, entry.body, entry.payload], b"s" * 64),
             "bad-signature"),
        case("a notice signed as a record", notice.key, resigned([NOTICE, entry.body, entry.payload], alice.laptop),
             "bad-signature"),
        case("bob drops alice's notice", drop.key, resigned(fields(drop)[0], bob.laptop), "bad-signature"),
        case("a drop of a device of small order", notice_key(SMALL_ORDER, 2), changed(drop, 1, SMALL_ORDER), "bad-key"),
        case("a pointer to an entry of somebody else's device", pointer.key,
             resigned([*pointing[:3], alice.laptop.public, *pointing[4:]], bob.laptop), "bad-signature"),
        case("a pointer with another author", pointer.key, changed(pointer, 2, alice.identity.hash), "bad-signature"),
        case("a replica with another node", replica.key, changed(replica, 2, bob.node.public), "bad-signature"),
        case("a replica moved elsewhere", replica.key, changed(replica, 3, [1, bytes([192, 0, 2, 1]), 80]),
             "bad-signature"),
        case("a replica at 0.0.0.0", replica.key, resigned([*standing[:3], local, standing[4]], carol.node),
             "bad-record"),
        case("a replica at a group of hosts", replica.key,
             resigned([*standing[:3], [1, bytes([224, 0, 0, 1]), 80], standing[4]], carol.node), "bad-record"),
        case("a replica at port 0", replica.key,
             resigned([*standing[:3], [1, bytes([192, 0, 2, 1]), 0], standing[4]], carol.node), "malformed"),
        case("a replica at a name", replica.key,
             resigned([*standing[:3], [1, "example.org", 80], standing[4]], carol.node), "malformed"),
        case("an IPv4 address as IPv6", replica.key, resigned(
            [*standing[:3], [1, bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]), 80], standing[4]], carol.node),
            "not-canonical"),
        case("a relay of small order", replica.key,
             resigned([*standing[:3], [2, SMALL_ORDER], standing[4]], carol.node), "bad-key"),
        case("an address without end", replica.key,
             resigned([*standing[:3], [9, b"x" * 200], standing[4]], carol.node), "too-large"),
        case("a head's kind on a pointer", pointer.key, resigned([HEAD, *pointing[1:]], bob.laptop), "malformed"),
        case("a retirement's kind on a replica", replica.key, resigned([RETIRED, *standing[1:]], carol.node),
             "malformed"),
        case("a drop's kind on a replica", replica.key, resigned([DROPPED, *standing[1:]], carol.node), "malformed"),
        case("a pointer's kind on a replica", replica.key, resigned([POINTER, *standing[1:]], carol.node), "malformed"),
        case("a replica's kind on a pointer", pointer.key, resigned([REPLICA, *pointing[1:]], bob.laptop), "malformed"),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    return [{**item, "kind": kind_of(bytes.fromhex(item["record"]))} for item in accepted() + rejected()]


def kind_of(record: bytes) -> str | None:
    """What the record says that it is; None where it doesn't get so far."""
    names = {
        HEAD: "head",
        NOTICE: "notice",
        POINTER: "pointer",
        REPLICA: "replica",
        RETIRED: "retired",
        DROPPED: "dropped",
    }
    try:
        items = codec.unpack(codec.unpack(record, 1_000)[0], 1_000)
        return names[codec.as_int(items[0], 0, 255)]
    except (RemoteProtocolError, LookupError, TypeError):
        return None


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(item) for item in all_cases())
    FILE.write_text(f"[\n{lines}\n]\n")
