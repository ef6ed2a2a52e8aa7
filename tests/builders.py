"""People, devices and logs for tests: the same name always gives the same keys, ids and signatures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from p2pblog.config import SEQ_MAX, TIME_MS_MAX
from p2pblog.core.address import spell
from p2pblog.core.entry import Entry, is_checkpoint, write
from p2pblog.core.identity import Identity, state_device, state_retire
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, KeyPair, hash32
from p2pblog.core.payload import (
    Boost,
    Delete,
    Edit,
    Like,
    LogStart,
    Note,
    Payload,
    Pin,
    Profile,
    Quote,
    Ref,
    Vote,
    Vouch,
    encode,
)
from p2pblog.core.polls import Poll
from p2pblog.core.sealed import Message, seal
from p2pblog.core.value import replace

NOON = 1_700_000_000_000
"""A moment for tests that need one, in ms; entries of a built log follow each other by a second from here."""


def key_pair(name: str) -> KeyPair:
    """The key pair that this name always gives."""
    return KeyPair.from_seed(hash32(name.encode(), b"p2pblog tests"))


_owners: dict[DeviceKey, IdentityHash] = {}


def ref(entry: Entry | Ref) -> Ref:
    """How anybody refers to an entry of a log that was built here."""
    return entry if isinstance(entry, Ref) else Ref(_owners[entry.device], entry.device, entry.seq, entry.id)


@dataclass
class Log:
    """A device log that is being written: `entries` are all signed and hold their payloads."""

    identity: IdentityHash
    device: KeyPair
    entries: list[Entry] = field(default_factory=list)

    @property
    def key(self) -> DeviceKey:
        return DeviceKey(self.device.public)

    def write(self, payload: Payload | bytes, time_ms: int | None = None) -> Entry:
        """Sign and add the next entry; a second after the one before unless `time_ms` says otherwise."""
        after = self.entries[-1] if self.entries else None
        if time_ms is None:
            time_ms = NOON if after is None else min(after.time_ms + 1_000, TIME_MS_MAX)
        raw = payload if isinstance(payload, bytes) else encode(payload)
        entry = write(self.device, after, time_ms, raw)
        self.entries.append(entry)
        return entry

    def note(self, text: str, reply_to: Entry | Ref | None = None, time_ms: int | None = None) -> Entry:
        return self.write(Note(text, None if reply_to is None else ref(reply_to)), time_ms)

    def like(self, of: Entry | Ref) -> Entry:
        return self.write(Like(ref(of)))

    def pin(self, of: Entry | Ref) -> Entry:
        return self.write(Pin(ref(of)))

    def poll(self, *options: str, closes_ms: int = NOON + 86_400_000) -> Entry:
        return self.write(Note("which one?", poll=Poll(options, closes_ms)))

    def vote(self, of: Entry | Ref, choice: int, time_ms: int | None = None) -> Entry:
        return self.write(Vote(ref(of), choice), time_ms)

    def vouch(self, of: IdentityHash) -> Entry:
        return self.write(Vouch(of))

    def boost(self, of: Entry | Ref, time_ms: int | None = None) -> Entry:
        return self.write(Boost(ref(of)), time_ms)

    def delete(self, of: Entry | Ref, replaces: Sequence[Entry] = ()) -> Entry:
        return self.write(Delete(ref(of), tuple(entry.id for entry in replaces)))

    def quote(self, of: Entry, text: str, version: Entry | None = None) -> Entry:
        return self.write(Note(text, quote=Quote(ref(of), None if version is None else ref(version))))

    def edit(self, of: Entry | Ref, text: str, replaces: Sequence[Entry] = ()) -> Entry:
        return self.write(Edit(ref(of), text, tuple(entry.id for entry in replaces)))

    def profile(self, name: str, bio: str = "", links: Sequence[str] = ()) -> Entry:
        return self.write(Profile(name, bio, tuple(links)))

    def dm(self, text: str, *to: Person, by: Person) -> Entry:
        """A direct message of this log's owner `by` to these people, each with the device that `person` gave them."""
        people = [by, *to]
        draws = itertools.count()

        def draw(size: int) -> bytes:
            return hash32(f"{len(self.entries)} {next(draws)}".encode(), b"p2pblog tests")[:size]

        message = Message(self.identity, tuple(each.hash for each in to), text)
        return self.write(seal(message, [each.key for each in people], draw))

    def run(self, first: int = 1, last: int = SEQ_MAX) -> tuple[Entry, ...]:
        """Entries `first` to `last` as a peer would have verified them: signed at checkpoints and at the end only."""
        chosen = [entry for entry in self.entries if first <= entry.seq <= last]
        return tuple(
            entry if is_checkpoint(entry.seq) or entry is chosen[-1] else replace(entry, signature=None)
            for entry in chosen
        )

    def branch(self, upto: int) -> Log:
        """A copy of the log up to that number, to be written on differently: a fork."""
        return Log(self.identity, self.device, self.entries[:upto])


@dataclass
class Person:
    """Somebody with a root key, an identity and one device log that begins with its LogStart entry."""

    name: str
    root: KeyPair
    next_root: KeyPair
    device: KeyPair
    identity: Identity
    log: Log

    @property
    def hash(self) -> IdentityHash:
        return self.identity.hash

    @property
    def address(self) -> str:
        return spell(self.hash)

    @property
    def key(self) -> DeviceKey:
        return DeviceKey(self.device.public)

    def write_all(self, payloads: Sequence[Payload | bytes]) -> list[Entry]:
        return [self.log.write(payload) for payload in payloads]

    def notes(self, count: int, text: str = "note") -> list[Entry]:
        """`count` more notes, numbered."""
        return [self.log.note(f"{text} {number}") for number in range(1, count + 1)]

    def add_device(self, label: str) -> Log:
        """A second device, stated by the root; gives its log, with its LogStart written."""
        pair = key_pair(f"{self.name}/{label}")
        stated = state_device(self.root, pair, self.hash, self.identity.epoch, self.identity.next_counter)
        self.identity = self.identity.merge([stated])
        return _begin_log(self.hash, pair)

    def retire(self, device: DeviceKey, seq: int, entry: EntryId | None) -> Identity:
        """The root says that the device wrote up to `seq` and no further; gives the identity as it stands then."""
        stated = state_retire(self.root, self.hash, self.identity.epoch, self.identity.next_counter, device, seq, entry)
        self.identity = self.identity.merge([stated])
        return self.identity


def person(name: str) -> Person:
    """`person("alice")`: always the same keys; the identity states one device, whose log holds its LogStart."""
    root, next_root, device = key_pair(f"{name}/root 0"), key_pair(f"{name}/root 1"), key_pair(f"{name}/device")
    bare = Identity.begin(root, next_root.public)
    identity = bare.merge([state_device(root, device, bare.hash, 0, 0)])
    return Person(name, root, next_root, device, identity, _begin_log(identity.hash, device))


def _begin_log(identity: IdentityHash, device: KeyPair) -> Log:
    log = Log(identity, device)
    _owners[log.key] = identity
    log.write(LogStart(identity))
    return log
