"""What two linked nodes say to each other, and the bytes of it.

A log is named by its 32-byte device key the first time a direction of a link speaks of it, and by a small number ever
after: both ends count the names as they pass. So a live notice spends a byte or two on naming its log. On a link that
goes on from a memory, logs and feeds have numbers from the beginning on (`names`). A live notice's time travels as the
difference to that of the Live message before it in this direction: three to five bytes, not nine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p2pblog.config import MESSAGE_BYTES_MAX, RUN_ENTRIES_MAX, SEQ_MAX, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.forks import FORK_PROOF_BYTES_MAX
from p2pblog.core.identity import IDENTITY_BYTES_MAX
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, digest
from p2pblog.core.payload import Ref
from p2pblog.core.value import State, Value, field
from p2pblog.errors import BadMessage, LocalProtocolError, Malformed, NotCanonical
from p2pblog.gossip.file_messages import FILE_READERS, Piece, TableOf, WantPiece, WantTable, file_value
from p2pblog.gossip.names import Names
from p2pblog.gossip.offer_messages import OFFER_READERS, Offer, offer_value

PROTOCOL_VERSION = 5
"""What our Hello says: version 2 knows files, 3 offers too, 5 alarms; of none of them is anything said to who says
less. From 4 on notes travel as their texts."""
TEXTS_VERSION = 4
ALARM_VERSION = 5
TOKEN_BYTES = 8
TOKENS_MAX = 16_384
"""Identities one peer may ask about: beyond FOLLOWS_MAX, with room for relayed feeds."""
NAMES_MAX = 16_384
"""Logs, and feeds, with a number in one direction of a link: beyond FOLLOWS_MAX, and 2 MB; others go by their keys."""
CLOCKS_MAX = 4_096
"""Identities in one Clocks message; more go in several."""
LOGS_PER_CLOCK_MAX = 64
SPANS_MAX = 16
"""Spans told of one log, newest first: a log with more holes is told of in part."""
MISSING_MAX = 256
"""Missing payloads told of one log, newest first."""
PEERS_MAX = 5
"""Peers named in one message (HyParView, shuffle of 3 + 4; DESIGN says up to 5 of one's own)."""
HOST_BYTES_MAX = 45
"""INET6_ADDRSTRLEN without its zero byte (RFC 3493, 6.6)."""
HAVES_MAX = 1_024
PAYLOADS_MAX = 64
"""Payloads in one answer, of numbers within so many: with the 63 entries up to the next signature they fit one run."""
TIP_BYTES = 8
HOPS_FAR = 8
"""Links between a node and an author beyond which there is no way: a broken way is counted up to here, a tenth of a
second each."""
NO_WAY = 255
PING_MAX = 2**32 - 1
"""The highest number of a Ping that we say."""
ALARM_HOPS_MAX = 2
"""How far an alarm goes beyond who hears it first: with ten links each, a false one reaches 1,000 nodes; where 80 of
100 nodes are gone, the survivors have two links each that stand."""
HOPS_MAX = 2
"""Relays that may stand behind a relay: three in a row (our model: 100% delivered within 4 hops)."""


class Hello(Value):
    """The first message of each side. `port`: where it listens at the address it dials from, 0 if it can't be reached.

    `links`: how many it has. `memory`: 8 bytes of hash of what it remembers of the last link, None for nothing.
    """

    version: int
    port: int
    links: int
    memory: bytes | None = None


class Tokens(Value):
    """Identities of interest, each as its token on this link."""

    tokens: tuple[bytes, ...]


class Forget(Value):
    """No longer interested in these shared identities."""

    identities: tuple[IdentityHash, ...]


class Statements(Value):
    """All that is known of an identity, as `Identity.wire`."""

    identity: bytes


class Clock(Value):
    """What a node holds of one log: spans of numbers, newest first, and payloads missing inside them.

    `tip`: a digest of the newest entry's id, so that two histories of one length are told apart; None for not known.
    """

    spans: tuple[tuple[int, int], ...] = ()
    missing: tuple[int, ...] = ()
    tip: bytes | None = None

    @property
    def high(self) -> int:
        return self.spans[0][1] if self.spans else 0

    def holds(self, seq: int) -> bool:
        return self.span_of(seq) is not None

    def span_of(self, seq: int) -> tuple[int, int] | None:
        return next((span for span in self.spans if span[0] <= seq <= span[1]), None)

    def extended(self, low: int, high: int) -> Clock:
        """The clock of a node that has come to hold these numbers too; at most SPANS_MAX spans, the newest."""
        apart = [span for span in self.spans if span[1] < low - 1 or span[0] > high + 1]
        for span in self.spans:
            if span not in apart:
                low, high = min(low, span[0]), max(high, span[1])
        return Clock(tuple(sorted([*apart, (low, high)], reverse=True)[:SPANS_MAX]), self.missing)


class IdentityClock(Value):
    """What a node holds of one identity: 8 bytes of its statements' digest (None: nothing) and a clock a log."""

    identity: IdentityHash
    digest: bytes | None
    logs: tuple[tuple[DeviceKey, Clock], ...] = ()


class Clocks(Value):
    clocks: tuple[IdentityClock, ...]


class Want(Value):
    """Asks for entries `first` to `last`; answered by one Run, or by Lack."""

    device: DeviceKey
    first: int
    last: int


class Run(Value):
    """The answer to a Want: a run as `encode_run` gives it. It may begin later and go on further than was asked."""

    value: list[Any]


class Lack(Value):
    """The answer to a Want for what is not held (any more)."""

    device: DeviceKey
    first: int


class Live(Value):
    """Entries pushed to who named us its eager peer, or grafted: a run whose predecessor the receiver should hold."""

    value: list[Any]


class WantPayloads(Value):
    device: DeviceKey
    seqs: tuple[int, ...]


class Payloads(Value):
    device: DeviceKey
    payloads: tuple[tuple[int, bytes], ...]


class Have(Value):
    """Lazy notices: this node holds entry `seq` of each log."""

    entries: tuple[tuple[DeviceKey, int], ...]


class Graft(Value):
    """Be my eager peer for this log, and send entries from `first` on (0: only those to come)."""

    device: DeviceKey
    first: int = 0


class Prune(Value):
    """Send me lazy notices of this log, not entries."""

    device: DeviceKey


class Wait(Value):
    """I asked for this entry and will pass it on: give me time."""

    device: DeviceKey
    seq: int


class Fork(Value):
    """A fork proof, as `ForkProof.wire`."""

    proof: bytes


class Fetch(Value):
    """Asks for one entry of a log that need not be shared."""

    ref: Ref


class Found(Value):
    """The answer to a Fetch: the identity, bodies from the entry to a signed one, that signature, and the payload.

    All None where it is not held.
    """

    ref: Ref
    identity: bytes | None = None
    bodies: tuple[bytes, ...] = ()
    signature: bytes | None = None
    payload: bytes | None = None


class Peers(Value):
    """Nodes worth dialing."""

    endpoints: tuple[Endpoint, ...]


class Ping(Value):
    number: int


class Pong(Value):
    number: int


class Alarm(Value):
    """As many links of somebody are gone as are left: see whether yours live, and tell the others while there are
    hops left."""

    hops_left: int


class Bye(Value):
    """The last message: no room for this link. Peers that may have some came before."""


class Near(Value):
    """How many links lie between the sender and the authors of these shared feeds, each named by its token as the
    sender says it; NO_WAY for none."""

    tokens: tuple[bytes, ...]
    hops: bytes


class Relay(Value):
    """Please care for this identity while a lease lasts; so many relays may stand behind you."""

    identity: IdentityHash
    hops_left: int


Message = (
    Hello
    | Tokens
    | Forget
    | Statements
    | Clocks
    | Want
    | Run
    | Lack
    | Live
    | WantPayloads
    | Payloads
    | Have
    | Graft
    | Prune
    | Wait
    | Fork
    | Fetch
    | Found
    | Peers
    | Ping
    | Pong
    | Alarm
    | Bye
    | Relay
    | Near
    | WantTable
    | TableOf
    | WantPiece
    | Piece
    | Offer
)


# --- bytes ------------------------------------------------------------------------------------------------------------


class Encoder(State):
    """The sending half of one link: messages to bytes."""

    _numbers: dict[bytes, int] = field(default_factory=dict)
    _remembered: Names = field(default_factory=Names)
    _live_time_ms: int = 0

    def resume(self, names: Names) -> None:
        """The link goes on from a memory, and nothing was named on it yet."""
        self._remembered = names
        self._numbers = {device: number for number, device in enumerate(names.logs)}

    def encode(self, message: Message) -> bytes:
        """Raises LocalProtocolError for what the peer would refuse."""
        return codec.pack(self._value(message))

    def _log(self, device: bytes) -> bytes | int:
        number = self._numbers.get(device)
        if number is not None:
            return number
        if len(self._numbers) < NAMES_MAX:
            self._numbers[device] = len(self._numbers)
        return device

    def _run(self, value: list[Any]) -> list[Any]:
        return [self._log(value[0]), *value[1:]]

    def _live(self, value: list[Any]) -> list[Any]:
        device, first, prev, (time_ms, *steps), payloads, signatures = value
        step, self._live_time_ms = time_ms - self._live_time_ms, time_ms
        return [self._log(device), first, prev, [step, *steps], payloads, signatures]

    def _value(self, message: Message) -> list[Any]:
        match message:
            case Live(value):  # said most often, to everybody; then what is said every second
                return [8, *self._live(value)]
            case Ping():
                return [19, message.number]
            case Pong():
                return [20, message.number]
            case Hello(version, port, links, memory):
                return [0, version, port, links, memory]
            case Tokens(tokens):
                return [1, b"".join(tokens)]
            case Forget(identities):
                return [2, list(identities)]
            case Statements(identity):
                return [3, identity]
            case Clocks(clocks):
                return [4, [self._clock(clock) for clock in clocks]]
            case Want(device, first, last):
                return [5, self._log(device), first, last]
            case Run(value):
                return [6, self._run(value)]
            case Lack(device, first):
                return [7, self._log(device), first]
            case WantPayloads(device, seqs):
                return [9, self._log(device), list(seqs)]
            case Payloads(device, payloads):
                return [10, self._log(device), [[seq, payload] for seq, payload in payloads]]
            case Have(entries):
                return [11, [[self._log(device), seq] for device, seq in entries]]
            case Graft(device, first):
                if not 0 <= first <= SEQ_MAX:
                    raise LocalProtocolError("a graft from a number that no entry has")
                return [12, self._log(device), first]
            case Prune(device):
                return [13, self._log(device)]
            case Wait(device, seq):
                return [14, self._log(device), seq]
            case Fork(proof):
                return [15, proof]
            case Fetch(ref):
                return [16, ref.value]
            case Found(ref, identity, bodies, signature, payload):
                return [17, ref.value, identity, list(bodies), signature, payload]
            case Peers(endpoints):
                return [18, [[endpoint.host, endpoint.port] for endpoint in endpoints]]
            case Bye():
                return [21]
            case Relay(identity, hops_left):
                return [22, identity, hops_left]
            case Near(tokens, hops):
                return [23, b"".join(tokens), hops]
            case Alarm(hops_left):
                return [29, hops_left]
            case Offer():
                return offer_value(message)
            case _:
                return file_value(message)

    def _feed(self, identity: IdentityHash) -> bytes | int:
        number = self._remembered.number_of(identity)
        return identity if number is None else number

    def _clock(self, clock: IdentityClock) -> list[Any]:
        logs = [
            [self._log(device), [number for span in held.spans for number in span], list(held.missing), held.tip]
            for device, held in clock.logs
        ]
        return [self._feed(clock.identity), clock.digest, logs]


class Decoder(State):
    """The receiving half of one link: bytes to messages."""

    _names: list[DeviceKey] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)
    _remembered: Names = field(default_factory=Names)
    _live_time_ms: int = 0

    def resume(self, names: Names) -> None:
        """The link goes on from a memory, and nothing was named on it yet."""
        self._remembered, self._names, self._known = names, list(names.logs), set(names.logs)

    def decode(self, data: bytes) -> Message:
        """Raises Malformed, NotCanonical, TooLarge or BadMessage."""
        items = codec.as_list(codec.unpack(data, bytes_max=MESSAGE_BYTES_MAX))
        if not items or type(items[0]) is not int or items[0] not in _READERS:
            raise BadMessage("a message of no known kind")
        length, reader = _READERS[items[0]]
        codec.as_list(items, length=length)
        return reader(self, items)

    def log(self, value: Any) -> DeviceKey:
        if type(value) is int:
            if not 0 <= value < len(self._names):
                raise BadMessage("a log by a number that names none")
            return self._names[value]
        device = DeviceKey(codec.as_bytes(value, length=32))
        if device in self._known:
            raise NotCanonical("a log named twice")
        if len(self._names) < NAMES_MAX:
            self._names.append(device)
            self._known.add(device)
        return device

    def run(self, value: Any) -> list[Any]:
        items = codec.as_list(value, length=6)
        return [self.log(items[0]), *items[1:]]

    def live(self, items: list[Any]) -> list[Any]:
        """The run within a Live message, its first time made absolute."""
        log, first, prev, times, payloads, signatures = items
        device, listed = self.log(log), codec.as_list(times, length_max=RUN_ENTRIES_MAX)
        if not listed:
            raise Malformed("an empty run")
        self._live_time_ms += codec.as_int(listed[0], -TIME_MS_MAX, TIME_MS_MAX)
        if not 0 <= self._live_time_ms <= TIME_MS_MAX:
            raise Malformed("a time outside the limits")
        return [device, first, prev, [self._live_time_ms, *listed[1:]], payloads, signatures]

    def feed(self, value: Any) -> IdentityHash:
        if type(value) is int:
            if not 0 <= value < len(self._remembered.feeds):
                raise BadMessage("a feed by a number that names none")
            return self._remembered.feeds[value]
        identity = IdentityHash(codec.as_bytes(value, length=32))
        if self._remembered.number_of(identity) is not None:
            raise NotCanonical("a feed by its hash where it has a number")
        return identity

    def clock(self, value: Any) -> IdentityClock:
        identity, digest, logs = codec.as_list(value, length=3)
        return IdentityClock(
            self.feed(identity),
            None if digest is None else codec.as_bytes(digest, length=8),
            tuple(self._log_clock(item) for item in codec.as_list(logs, length_max=LOGS_PER_CLOCK_MAX)),
        )

    def _log_clock(self, value: Any) -> tuple[DeviceKey, Clock]:
        log, numbers, missing, tip = codec.as_list(value, length=4)
        device = self.log(log)
        flat = [_seq(number) for number in codec.as_list(numbers, length_max=2 * SPANS_MAX)]
        if len(flat) % 2:
            raise Malformed("a span with one end")
        spans = tuple(zip(flat[::2], flat[1::2], strict=True))
        below = SEQ_MAX + 2
        for low, high in spans:
            if not low <= high < below - 1:
                raise Malformed("spans that overlap, touch or stand out of order")
            below = low
        lacking = tuple(_seq(number) for number in codec.as_list(missing, length_max=MISSING_MAX))
        if (tip is None) != (not spans):
            raise Malformed("a tip where nothing is held, or none where something is")
        return device, Clock(spans, lacking, None if tip is None else codec.as_bytes(tip, length=TIP_BYTES))


def tip_of(entry: EntryId) -> bytes:
    """What a clock says of the newest entry."""
    return digest(entry, size=TIP_BYTES, person=b"p2pblog tip")


def _seq(value: Any) -> int:
    return codec.as_int(value, 1, SEQ_MAX)


def _tokens(value: Any) -> tuple[bytes, ...]:
    joined = codec.as_bytes(value, length_max=TOKEN_BYTES * TOKENS_MAX)
    if len(joined) % TOKEN_BYTES:
        raise Malformed("tokens are 8 bytes each")
    return tuple(joined[at : at + TOKEN_BYTES] for at in range(0, len(joined), TOKEN_BYTES))


def _near(items: list[Any]) -> Near:
    tokens, hops = _tokens(items[1]), codec.as_bytes(items[2], length_max=TOKENS_MAX)
    if len(tokens) != len(hops):
        raise Malformed("as many distances as feeds")
    if any(number > HOPS_FAR and number != NO_WAY for number in hops):
        raise Malformed("a distance beyond those that count")
    return Near(tokens, hops)


def _want_payloads(self: Decoder, items: list[Any]) -> WantPayloads:
    device, numbers = self.log(items[1]), codec.as_list(items[2], length_max=PAYLOADS_MAX)
    return WantPayloads(device, tuple(_seq(number) for number in numbers))


def _payloads(self: Decoder, items: list[Any]) -> Payloads:
    device, listed = self.log(items[1]), codec.as_list(items[2], length_max=PAYLOADS_MAX)
    pairs = (codec.as_list(item, length=2) for item in listed)
    return Payloads(device, tuple((_seq(seq), codec.as_bytes(payload)) for seq, payload in pairs))


def _have(self: Decoder, items: list[Any]) -> Have:
    pairs = (codec.as_list(item, length=2) for item in codec.as_list(items[1], length_max=HAVES_MAX))
    return Have(tuple((self.log(log), _seq(seq)) for log, seq in pairs))


def _found(items: list[Any]) -> Found:
    return Found(
        Ref.from_value(items[1]),
        None if items[2] is None else codec.as_bytes(items[2], length_max=IDENTITY_BYTES_MAX),
        tuple(codec.as_bytes(body, length_max=160) for body in codec.as_list(items[3], length_max=64)),
        None if items[4] is None else codec.as_bytes(items[4], length=64),
        None if items[5] is None else codec.as_bytes(items[5]),
    )


def _peers(items: list[Any]) -> Peers:
    pairs = (codec.as_list(item, length=2) for item in codec.as_list(items[1], length_max=PEERS_MAX))
    return Peers(tuple(_endpoint(host, port) for host, port in pairs))


def _endpoint(host: Any, port: Any) -> Endpoint:
    if Endpoint.of(codec.as_text(host, bytes_max=HOST_BYTES_MAX), 0).host != host:
        raise NotCanonical("an IP address in another spelling")
    return Endpoint(host, codec.as_int(port, 1, 65_535))


def _hello(items: list[Any]) -> Hello:
    memory = None if items[4] is None else codec.as_bytes(items[4], length=8)
    port, links = codec.as_int(items[2], 0, 65_535), codec.as_int(items[3], 0, 65_535)
    return Hello(codec.as_int(items[1], 1, 255), port, links, memory)


def _identities(value: Any) -> tuple[IdentityHash, ...]:
    return tuple(IdentityHash(codec.as_bytes(i, length=32)) for i in codec.as_list(value, length_max=TOKENS_MAX))


def _plain(read: Callable[[list[Any]], Message]) -> Callable[[Decoder, list[Any]], Message]:
    """The reader of a message that names no log."""
    return lambda _decoder, items: read(items)


# Kind -> (items in the array, reader)
_READERS: dict[int, tuple[int, Callable[[Decoder, list[Any]], Message]]] = {
    0: (5, _plain(_hello)),
    1: (2, lambda d, i: Tokens(_tokens(i[1]))),
    2: (2, lambda d, i: Forget(_identities(i[1]))),
    3: (2, lambda d, i: Statements(codec.as_bytes(i[1], length_max=IDENTITY_BYTES_MAX))),
    4: (2, lambda d, i: Clocks(tuple(d.clock(c) for c in codec.as_list(i[1], length_max=CLOCKS_MAX)))),
    5: (4, lambda d, i: Want(d.log(i[1]), _seq(i[2]), _seq(i[3]))),
    6: (2, lambda d, i: Run(d.run(i[1]))),
    7: (3, lambda d, i: Lack(d.log(i[1]), _seq(i[2]))),
    8: (7, lambda d, i: Live(d.live(i[1:]))),
    9: (3, _want_payloads),
    10: (3, _payloads),
    11: (2, _have),
    12: (3, lambda d, i: Graft(d.log(i[1]), codec.as_int(i[2], 0, SEQ_MAX))),
    13: (2, lambda d, i: Prune(d.log(i[1]))),
    14: (3, lambda d, i: Wait(d.log(i[1]), _seq(i[2]))),
    15: (2, lambda d, i: Fork(codec.as_bytes(i[1], length_max=FORK_PROOF_BYTES_MAX))),
    16: (2, lambda d, i: Fetch(Ref.from_value(i[1]))),
    17: (6, _plain(_found)),
    18: (2, _plain(_peers)),
    19: (2, lambda d, i: Ping(codec.as_int(i[1], 0, SEQ_MAX))),
    20: (2, lambda d, i: Pong(codec.as_int(i[1], 0, SEQ_MAX))),
    21: (1, lambda d, i: Bye()),
    22: (3, lambda d, i: Relay(IdentityHash(codec.as_bytes(i[1], length=32)), codec.as_int(i[2], 0, HOPS_MAX))),
    23: (3, _plain(_near)),
    **{kind: (length, _plain(read)) for kind, (length, read) in (*FILE_READERS.items(), *OFFER_READERS.items())},
    29: (2, lambda d, i: Alarm(codec.as_int(i[1], 0, ALARM_HOPS_MAX))),
}
