"""Who plays in the DHT's tests, and one record of each kind."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from p2pblog.config import HEAD_LIFETIME_MS, POINTER_LIFETIME_MS, REPLICA_LIFETIME_MS
from p2pblog.core import entry as entries
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity, Policy, state_device, state_retire, state_rotate
from p2pblog.core.keys import EntryId, KeyPair
from p2pblog.core.payload import LogStart, Note
from p2pblog.core.payload import encode as encode_payload
from p2pblog.dht.records import (
    Dropped,
    Head,
    Notice,
    Pointer,
    Record,
    Replica,
    Retired,
    notice_record,
    retired_record,
    sign_drop,
    sign_head,
    sign_pointer,
    sign_replica,
)

NOW = 1_767_225_600_000
"""2026-01-01, 00:00 UTC."""
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
HOME = Endpoint.of("198.51.100.7", 4711)
AT_ONCE = 0.0
"""Seconds in which one call goes before the others: none, where a test says whom it expects at once."""


def key_of(name: str) -> KeyPair:
    return KeyPair.from_seed(hashlib.blake2b(name.encode(), digest_size=32).digest())


class Person:
    """Somebody with root keys on paper, devices, a node and a first notice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roots = [key_of(f"{name} root {index}") for index in range(8)]
        self.laptop, self.phone = key_of(f"{name} laptop"), key_of(f"{name} phone")
        self.node = key_of(f"{name} node")
        first = Identity.begin(self.roots[0], self.roots[1].public)
        self.identity = first.merge([state_device(self.roots[0], self.laptop, first.hash, 0, 0)])

    def rotated(self, times: int) -> Identity:
        """The identity after so many rotations, with the laptop admitted by the last root."""
        identity, policy = Identity.begin(self.roots[0], self.roots[1].public), Policy.of_one(self.roots[1].public)
        for epoch in range(1, times + 1):
            after = Policy.of_one(self.roots[epoch + 1].public)
            root = self.roots[epoch]
            identity = identity.merge([state_rotate([root], identity.hash, epoch, policy, root.public, after)])
            policy = after
        return identity.merge([state_device(self.roots[times], self.laptop, identity.hash, times, 0)])

    def retiring(self, identity: Identity | None = None) -> Identity:
        """The identity with the laptop retired after entry 3."""
        known = identity or self.identity
        root = self.roots[known.epoch]
        return known.merge([
            state_retire(root, known.hash, known.epoch, known.next_counter, self.laptop.public, 3, EntryId(b"3" * 32))
        ])  # fmt: skip

    def head(self, counter: int = 1, seq: int = 7, expires_ms: int = NOW + DAY) -> Head:
        return must(sign_head(self.identity, self.laptop, counter, seq, EntryId(bytes([seq % 256]) * 32), expires_ms))

    def phone_head(self) -> Head:
        """The head of a second device under the same key."""
        known = self.identity
        both = known.merge([state_device(self.roots[0], self.phone, known.hash, 0, known.next_counter)])
        return must(sign_head(both, self.phone, 1, 1, EntryId(b"1" * 32), NOW + DAY))

    def retired(self) -> Retired:
        return must(retired_record(self.retiring(), self.laptop.public))

    def entry(self, text: str = "Hello, DHT", time_ms: int = NOW) -> Entry:
        first = entries.write(self.laptop, None, NOW - DAY, encode_payload(LogStart(self.identity.hash)))
        return entries.write(self.laptop, first, time_ms, encode_payload(Note(text)))

    def notice(self, text: str = "Hello, DHT", time_ms: int = NOW) -> Notice:
        return must(notice_record(self.entry(text, time_ms)))

    def drop(self, seq: int = 2) -> Dropped:
        return sign_drop(self.laptop, seq, NOW)

    def pointer(self, target: bytes = b"t" * 32, seq: int = 2, expires_ms: int = NOW + POINTER_LIFETIME_MS) -> Pointer:
        return sign_pointer(self.laptop, target, self.identity.hash, seq, expires_ms)

    def replica(self, of: Identity, endpoint: Endpoint = HOME, expires_ms: int = NOW + REPLICA_LIFETIME_MS) -> Replica:
        return sign_replica(self.node, of.hash, endpoint, expires_ms)


T = TypeVar("T")


def must(value: T | None) -> T:
    assert value is not None
    return value


alice, bob, carol, mallory = Person("alice"), Person("bob"), Person("carol"), Person("mallory")


def one_of_each() -> dict[str, Record]:
    """One valid record of each kind at NOW."""
    rotated = must(sign_head(alice.rotated(4), alice.laptop, 9, 40, EntryId(b"e" * 32), NOW + HEAD_LIFETIME_MS))
    return {
        "head": alice.head(),
        "head after four rotations": rotated,
        "retired": alice.retired(),
        "notice": alice.notice(),
        "dropped": alice.drop(),
        "pointer": bob.pointer(alice.notice().entry.id),
        "replica": carol.replica(alice.identity),
    }
