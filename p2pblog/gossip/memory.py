"""What both ends of a link know that the other was told: it outlives the link, so that a reconnect is short."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from p2pblog.core import codec
from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey, digest
from p2pblog.core.value import State, Value, field
from p2pblog.errors import BadMessage
from p2pblog.gossip.messages import NAMES_MAX, Clocks, Decoder, Encoder, IdentityClock, Message
from p2pblog.gossip.names import Names

MEMORY_BYTES_MAX = 8 * 1024 * 1024
"""What is kept of one peer: 10,000 shared feeds at under 200 bytes, with room."""
TOKENS_HEARD_MAX = 16_384
"""Tokens remembered of one peer, 1.2 MB: somebody who follows 10,000. Who says more is told all we care for."""


class Shared(State):
    """One identity that both sides care about: what we told of it and what we heard."""

    told: IdentityClock | None = None
    heard: IdentityClock | None = None


class Resume(Value):
    """The link to this peer goes on from what both remember: from now on these have their numbers, both ways."""

    peer: NodeKey
    names: Names


class Memory(State):
    """What both ends know that the other was told; it outlives the link. `binding` and `dialed`: of the link that it
    began with, for whose sake its tokens mean the same on all that go on from it."""

    binding: bytes = bytes(32)
    dialed: bool = False
    said: bytes = bytes(8)
    heard: bytes = bytes(8)
    told: set[IdentityHash] = field(default_factory=set)
    forks: set[DeviceKey] = field(default_factory=set)
    """Logs whose fork proof passed this link, in either direction."""
    shared: dict[IdentityHash, Shared] = field(default_factory=dict)
    tokens: set[bytes] = field(default_factory=set)
    """All that the peer said and did not take back, so that we can see at any time whether it cares for something."""

    def own_token(self, identity: IdentityHash) -> bytes:
        """By which we name an identity to this peer."""
        return token(self.binding, self.dialed, identity)

    def their_token(self, identity: IdentityHash) -> bytes:
        """By which this peer names it to us."""
        return token(self.binding, not self.dialed, identity)

    def cares(self, identity: IdentityHash) -> bool:
        """Whether the peer said that it cares for an identity."""
        return self.their_token(identity) in self.tokens

    @property
    def is_full(self) -> bool:
        """Whether the peer may care for more than is remembered."""
        return len(self.tokens) >= TOKENS_HEARD_MAX

    def hear_tokens(self, tokens: Iterable[bytes]) -> None:
        """Remember what a peer cares for."""
        for item in tokens:
            if self.is_full:
                return
            self.tokens.add(item)

    def hash(self, own_first: bool) -> bytes | None:
        """The same 8 bytes on both sides, if both remember the same and give the same numbers; None for nothing."""
        if self.said == self.heard == bytes(8):
            return None
        one, other = (self.said, self.heard) if own_first else (self.heard, self.said)
        names = self.names
        told = codec.pack([one, other, list(names.feeds), list(names.logs)])
        return digest(told, size=8, person=b"p2pblog names")

    @property
    def names(self) -> Names:
        """Feeds of which either side told a clock, and the logs in those clocks: they have numbers on the next link."""
        told = [clock for row in self.shared.values() for clock in (row.told, row.heard) if clock is not None]
        feeds = sorted({clock.identity for clock in told})
        logs = sorted({device for clock in told for device, _held in clock.logs})
        return Names(tuple(feeds[:NAMES_MAX]), tuple(logs[:NAMES_MAX]))

    @property
    def wire(self) -> bytes:
        """Bytes for the store: our own form, read by nobody else. Mostly both sides hold the same of a feed, so such a
        clock stands there once."""
        encoder = Encoder()
        rows = [
            [identity, _clock_wire(encoder, row.told), row.heard == row.told or _clock_wire(encoder, row.heard)]
            for identity, row in sorted(self.shared.items())
        ]
        began = [self.binding, self.dialed, b"".join(sorted(self.tokens))]
        return codec.pack([self.said, self.heard, sorted(self.told), sorted(self.forks), rows, began])

    @classmethod
    def from_wire(cls, data: bytes) -> Memory:
        """Raises RemoteProtocolError for what we did not write."""
        said, heard, told, forks, rows, began = codec.as_list(codec.unpack(data, bytes_max=MEMORY_BYTES_MAX), length=6)
        binding, dialed, tokens = codec.as_list(began, length=3)
        tokens = codec.as_bytes(tokens)
        decoder = Decoder()
        shared: dict[IdentityHash, Shared] = {}
        for row in codec.as_list(rows):
            identity, told_clock, heard_clock = codec.as_list(row, length=3)
            told_one = _one_clock(decoder, told_clock)
            heard_one = told_one if heard_clock is True else _one_clock(decoder, heard_clock)
            shared[IdentityHash(codec.as_bytes(identity, length=32))] = Shared(told_one, heard_one)
        told_set = {IdentityHash(codec.as_bytes(item, length=32)) for item in codec.as_list(told)}
        fork_set = {DeviceKey(codec.as_bytes(item, length=32)) for item in codec.as_list(forks)}
        return cls(
            binding=codec.as_bytes(binding, length=32),
            dialed=bool(dialed),
            said=codec.as_bytes(said, length=8),
            heard=codec.as_bytes(heard, length=8),
            told=told_set,
            forks=fork_set,
            shared=shared,
            tokens={tokens[at : at + 8] for at in range(0, len(tokens), 8)},
        )


def token(binding: bytes, by_dialer: bool, identity: IdentityHash) -> bytes:
    """8 bytes that name an identity between two peers, in one direction, to who knows it."""
    person = b"p2pblog token d" if by_dialer else b"p2pblog token a"
    return hashlib.blake2b(identity, digest_size=8, key=binding, person=person).digest()


def _clock_wire(encoder: Encoder, clock: IdentityClock | None) -> bytes | None:
    return None if clock is None else encoder.encode(Clocks((clock,)))


def _one_clock(decoder: Decoder, data: bytes | None) -> IdentityClock | None:
    if data is None:
        return None
    message = decoder.decode(data)
    if not isinstance(message, Clocks) or len(message.clocks) != 1:
        raise BadMessage("not a memory")
    return message.clocks[0]


def fold(running: bytes, message: Message) -> bytes:
    """The running hash of one direction, 8 bytes, after one more message (docs/protocol/gossip.md, "Memory")."""
    # A fresh encoder names every log in full, so that both ends fold the same bytes.
    return digest(running + Encoder().encode(message), size=8, person=b"p2pblog memory")
