"""The guard: every datagram passes it. What it lets through is well formed, wanted, and small enough to answer.

The rules, in full:

* What a datagram says, and in which bytes, is told in wire.py.
* A reply counts only if its call id is one that we await from that very address.
* A request spends from the bucket of its address: one that shows a valid token from another bucket than all others,
  which whoever forges the address may have sent. What breaks a rule is counted by the rule's name and forgotten.
* A source is proven when it shows the token that we sent to its address. Until then a reply is at most three times its
  request (RFC 9000, section 8.1), so askers pad; a store from an unproven source is refused.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable

from p2pblog.config import DHT_RATE_BURST, DHT_RATE_PER_S, DHT_RATE_SOURCES_MAX, DHT_TOKEN_LIFETIME_S
from p2pblog.core.address import Endpoint
from p2pblog.core.value import State, Value, field
from p2pblog.dht.contacts import pack_endpoint
from p2pblog.dht.wire import TOKEN_BYTES, Reply, Request, decode_reply, decode_request, peek, shown_token
from p2pblog.errors import RemoteProtocolError


class Tokens(Value):
    """Tokens for addresses, from one secret (32 bytes), without a table: as BEP 5's, bound to address and port."""

    secret: bytes

    def issue(self, source: Endpoint, now: float) -> bytes:
        return self._token(source, int(now // DHT_TOKEN_LIFETIME_S))

    def is_valid(self, token: bytes | None, source: Endpoint, now: float) -> bool:
        """Whether we sent this token there within the last one to two lifetimes."""
        turn = int(now // DHT_TOKEN_LIFETIME_S)
        return token is not None and (token == self._token(source, turn) or token == self._token(source, turn - 1))

    def _token(self, source: Endpoint, turn: int) -> bytes:
        message = turn.to_bytes(8, "big", signed=True) + pack_endpoint(source)
        return hashlib.blake2b(message, key=self.secret, digest_size=TOKEN_BYTES).digest()


class Rates(State):
    """A token bucket per source; the least recently seen source is forgotten first."""

    per_s: float = DHT_RATE_PER_S
    burst: float = DHT_RATE_BURST
    sources_max: int = DHT_RATE_SOURCES_MAX
    _levels: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict)

    def allow(self, source: bytes, now: float) -> bool:
        """Take one from the source's bucket."""
        level, since = self._levels.pop(source, (self.burst, now))
        level = min(self.burst, level + max(0.0, now - since) * self.per_s)
        allowed = level >= 1
        self._levels[source] = (level - 1 if allowed else level, now)
        while len(self._levels) > self.sources_max:
            self._levels.popitem(last=False)
        return allowed


class Guard:
    """The door: `admit_request` and `admit_reply` give what may be acted on, and count the rest in `dropped`."""

    def __init__(self, secret: bytes, test_network: bool, rates: Callable[[], Rates] = Rates) -> None:
        self.tokens = Tokens(secret)
        self.dropped: Counter[str] = Counter()
        self._proven, self._unproven = rates(), rates()
        self.test_network = test_network

    def kind(self, data: bytes) -> tuple[int, bytes] | None:
        """(REQUEST or REPLY, call id), or None for what is counted and dropped."""
        try:
            return peek(data)
        except RemoteProtocolError as error:
            self.dropped[error.name] += 1
            return None

    def admit_request(self, data: bytes, source: Endpoint, now: float) -> Request | None:
        """The token is looked at before anything else is read: so garbage costs next to nothing, and who forges an
        address leaves its owner what he may ask, as long as he has a token that is valid."""
        is_proven = self.tokens.is_valid(shown_token(data), source, now)
        if not (self._proven if is_proven else self._unproven).allow(self._owner(source), now):
            self.dropped["rate"] += 1
            return None
        try:
            return decode_request(data)
        except RemoteProtocolError as error:
            self.dropped[error.name] += 1
            return None

    def admit_reply(self, data: bytes) -> Reply | None:
        try:
            return decode_reply(data)
        except RemoteProtocolError as error:
            self.dropped[error.name] += 1
            return None

    def _owner(self, source: Endpoint) -> bytes:
        """Whose bucket: an IPv4 address or an IPv6 /48; in a test network, where many share one, address and port."""
        packed = pack_endpoint(source)
        if self.test_network:
            return packed
        return packed[:4] if len(packed) == 6 else source.block
