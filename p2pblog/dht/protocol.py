"""kademlia's protocol behind the guard: every datagram in and out of a node, and what it answers to others.

The library's dispatch by name, its trust in whatever a message says and its hand-off to strangers are overridden; its
routing table stays, behind a door of its own (table.py). No task is made for a datagram: it is read, acted on and
answered at once, and what nobody awaits is counted and forgotten.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from kademlia.node import Node
from kademlia.protocol import KademliaProtocol
from kademlia.storage import IStorage

from p2pblog.config import (
    DHT_CALL_TIMEOUT_S,
    DHT_CALLS_MAX,
    DHT_CHECKS_MAX,
    DHT_MISSES_MAX,
    DHT_NEWCOMERS_MAX,
    DHT_PROOF_LIFETIME_S,
    DHT_REPLY_CONTACTS_MAX,
    DHT_SEND_BUFFER_BYTES_MAX,
    DHT_TOKEN_LIFETIME_S,
    DHT_TOKENS_MAX,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.core.value import State, Value, replace
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact, NodeId, Place, may_call, node_id, place_of
from p2pblog.dht.guard import Guard
from p2pblog.dht.records import DhtKey, Record, decode, encode
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.shelf import Held, Limits, Outcome, RecordStore
from p2pblog.dht.table import GuardedTable, ProvenNode
from p2pblog.errors import LocalProtocolError, Malformed, RemoteProtocolError

SMALLEST_REQUEST_BYTES = 64
"""What every request is padded to, so that a reply to a ping with its proof stays within three times of it."""


class Loop(Protocol):
    """What is used of the asyncio loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any: ...


class Heard(Value):
    """A reply to a call of ours, by the node that proved this id at the contact's endpoint."""

    contact: Contact
    answer: wire.Answer
    you: Endpoint


DHT_SEEN_AS_MAX = 64
"""Address blocks that are remembered for what they see us as."""

BAD_REPLIES_MAX = 4
"""Replies to one call that don't hold, after which it counts as unanswered. A forger who saw it does not end it with
the first of them, and can't have signatures checked without end."""

OnEnd = Callable[[Heard | None], None]
"""Called once for each call: with the reply, or None if none that counts came in time."""


class Awaited(State):
    """A call that we sent. `expected` is None while only the endpoint is known."""

    endpoint: Endpoint
    expected: NodeId | None
    call: wire.Call
    on_end: OnEnd
    sent_at: float
    prove: bool
    repeated: bool
    heard_before: int
    """How many replies had come when it was sent."""
    timer: Any = None
    bad_replies: int = 0


class RecordShelves(IStorage):  # type: ignore[misc]
    """kademlia's storage interface over our record store: the second gate, behind the protocol's."""

    def __init__(self, store: RecordStore, clock: Callable[[], int]) -> None:
        self.store = store
        self._clock = clock

    def put(self, key: bytes, data: bytes, source: Endpoint | None, is_neighbour: bool = False) -> Outcome:
        """Verify and hold. Raises the RemoteProtocolError that the bytes earn."""
        now_ms = self._clock()
        return self.store.put(decode(DhtKey(key), data, now_ms), source, now_ms, is_neighbour)

    def held(self, key: bytes) -> list[Held]:
        return self.store.get(DhtKey(key), self._clock())

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.put(key, value, None)

    def __getitem__(self, key: bytes) -> list[bytes]:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return list(found)

    def get(self, key: bytes, default: Any = None) -> Any:
        return [item.wire for item in self.held(key)] or default

    def iter_older_than(self, seconds_old: float) -> Iterator[tuple[bytes, bytes]]:
        """What nobody stored for so long. (The caller stores it again unchanged; nothing here resets an expiry.)"""
        before_ms = self._clock() - int(seconds_old * 1000)
        for key in self.store.all_keys():
            for item in self.held(key):
                if item.stored_ms <= before_ms:
                    yield key, item.wire

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self.iter_older_than(0)


class GuardedProtocol(KademliaProtocol):  # type: ignore[misc]
    """A node's socket. `clock` gives milliseconds since 1970; `rng` makes call ids and must be a SystemRandom outside
    of tests. With `client` it answers nobody and is nobody's contact."""

    router: GuardedTable
    storage: RecordShelves
    transport: Any

    def __init__(
        self,
        node: KeyPair,
        loop: Loop,
        clock: Callable[[], int],
        rng: random.Random,
        test_network: bool,
        client: bool,
        ksize: int,
        limits: Limits | None = None,
    ) -> None:
        self.id = node_id(node.public)
        store = RecordStore(self.id, limits or Limits(exempt_private=test_network))
        super().__init__(Node(self.id), RecordShelves(store, clock), ksize)
        self.router = GuardedTable(self, ksize, self.source_node, test_network)
        self.guard = Guard(rng.randbytes(32), test_network)
        self.round_trips = RoundTrips()
        self.refused: Counter[str] = Counter()
        self.client = client
        self.closed = False
        self._node = node
        self._loop = loop
        self._clock = clock
        self._rng = rng
        self.test_network = test_network
        self._awaited: dict[bytes, Awaited] = {}
        self._checking: set[Contact] = set()
        self._newcomers: dict[Contact, Place] = {}
        """Those of whom are checked because they called us, and where they are from."""
        self._tokens: OrderedDict[Endpoint, tuple[bytes, float]] = OrderedDict()
        self._proven: OrderedDict[Endpoint, tuple[NodeId, float]] = OrderedDict()
        self._seen_as: OrderedDict[bytes, Endpoint] = OrderedDict()
        self._heard = 0
        """Replies that counted."""
        self._silences = 0
        """Calls to contacts that stayed unanswered since the last of these."""

    def __getattr__(self, name: str) -> NoReturn:
        # The library turns every unknown name into a remote call; a typing error would go out as a datagram.
        raise AttributeError(name)

    # --- calling others ---

    def call(self, endpoint: Endpoint, expected: NodeId | None, call: wire.Call, on_end: OnEnd) -> bool:
        """Send a call; gives False, and never calls back, if it can't be sent. Nothing is repeated here but a call
        that was answered with a new token only."""
        return self._send_call(endpoint, expected, call, on_end, repeated=False)

    def _send_call(
        self, endpoint: Endpoint, expected: NodeId | None, call: wire.Call, on_end: OnEnd, repeated: bool
    ) -> bool:
        if self.closed or len(self._awaited) >= DHT_CALLS_MAX or not may_call(endpoint, self.test_network):
            return False
        now = self._loop.time()
        call_id = self._rng.randbytes(wire.CALL_ID_BYTES)
        token, prove = self._token_for(endpoint, now), not self._is_proven(endpoint, expected, now)
        request = wire.Request(call_id, call, None if self.client else self.id, token, prove)
        bytes_min = SMALLEST_REQUEST_BYTES if token or not isinstance(call, wire.Find) else wire.PADDED_BYTES
        if not self._send(wire.encode_request(request, bytes_min), endpoint):
            return False
        awaited = Awaited(endpoint, expected, call, on_end, now, prove, repeated, self._heard)
        awaited.timer = self._loop.call_later(DHT_CALL_TIMEOUT_S, self._timed_out, call_id)
        self._awaited[call_id] = awaited
        return True

    def _token_for(self, endpoint: Endpoint, now: float) -> bytes | None:
        token, since = self._tokens.get(endpoint, (None, 0.0))
        return token if now - since < DHT_TOKEN_LIFETIME_S else None

    def _is_proven(self, endpoint: Endpoint, expected: NodeId | None, now: float) -> bool:
        proven, since = self._proven.get(endpoint, (None, 0.0))
        return proven is not None and proven == expected and now - since < DHT_PROOF_LIFETIME_S

    def _send(self, data: bytes, endpoint: Endpoint) -> bool:
        if self.transport is None or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size() > DHT_SEND_BUFFER_BYTES_MAX:
            self.guard.dropped["send-buffer"] += 1
            return False
        six = ":" in self.transport.get_extra_info("sockname")[0]
        if six and ":" not in endpoint.host:
            self.transport.sendto(data, (f"::ffff:{endpoint.host}", endpoint.port))
        elif not six and ":" in endpoint.host:
            return False
        else:
            self.transport.sendto(data, (endpoint.host, endpoint.port))
        return True

    def _timed_out(self, call_id: bytes) -> None:
        awaited = self._awaited.pop(call_id, None)
        if awaited is not None:
            if awaited.expected is not None:
                self._missed(Contact(awaited.expected, awaited.endpoint), awaited)
            awaited.on_end(None)

    def _missed(self, contact: Contact, awaited: Awaited) -> None:
        """Silence counts against a contact only where somebody else was heard meanwhile: otherwise it may be our own
        line that is down, and a few seconds of that would empty the table."""
        if not self.router.has(contact):
            return
        self._silences += 1
        self.router.missed(contact, is_own_fault=self._heard > awaited.heard_before)

    @property
    def is_unheard(self) -> bool:
        """Whether so many calls to contacts in a row stayed unanswered that nobody of them seems to be there: as many
        as would have emptied the table, or the part of it where a walk begins."""
        size: int = min(self.router.size, self.router.ksize)
        return 0 < size * DHT_MISSES_MAX <= self._silences

    def check_contact(self, contact: Contact) -> None:
        """Ping somebody who claims an id, or may be dead: who proves it enters the table, who is silent leaves it."""
        if contact in self._checking or len(self._checking) >= DHT_CHECKS_MAX:
            return

        def end(_: Heard | None) -> None:
            self._checking.discard(contact)
            self._newcomers.pop(contact, None)

        if self.call(contact.endpoint, contact.id, wire.Ping(), end):
            self._checking.add(contact)

    # --- datagrams in ---

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            source = Endpoint.of(str(addr[0]).partition("%")[0], addr[1])
        except Malformed:
            source = None
        if source is None or not may_call(source, self.test_network):
            self.guard.dropped["source"] += 1
            return
        kind = self.guard.kind(data)
        if kind is None:
            return
        if kind[0] == wire.REPLY:
            self._on_reply(data, kind[1], source)
        elif not self.client:
            self._on_request(data, source)

    def error_received(self, exc: Exception) -> None:
        """The system says that a datagram did not arrive; the time-out says it too."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        """End every call that is under way."""
        self.closed = True
        awaited, self._awaited = self._awaited, {}
        for item in awaited.values():
            item.timer.cancel()
            item.on_end(None)

    def _on_reply(self, data: bytes, call_id: bytes, source: Endpoint) -> None:
        awaited = self._awaited.get(call_id)
        if awaited is None or awaited.endpoint != source:
            self.guard.dropped["unasked"] += 1
            return
        reply = self.guard.admit_reply(data)
        proven = None if reply is None else self._proven_by(reply, awaited)
        if reply is None or proven is None:
            awaited.bad_replies += 1
            if awaited.bad_replies >= BAD_REPLIES_MAX:
                awaited.timer.cancel()
                self._timed_out(call_id)
            return
        del self._awaited[call_id]
        awaited.timer.cancel()
        self._on_proven_reply(reply, Contact(proven, source), awaited)

    def _proven_by(self, reply: wire.Reply, awaited: Awaited) -> NodeId | None:
        """Who answered, or None for what is counted and dropped."""
        try:
            return self._proven_id(reply, awaited)
        except RemoteProtocolError as error:
            self.guard.dropped[error.name] += 1
            return None

    def _proven_id(self, reply: wire.Reply, awaited: Awaited) -> NodeId:
        if awaited.prove:
            return wire.check_proof(reply, None if self.client else self.id, awaited.expected)
        assert awaited.expected is not None
        return awaited.expected

    def _on_proven_reply(self, reply: wire.Reply, contact: Contact, awaited: Awaited) -> None:
        now = self._loop.time()
        self._heard += 1
        self._silences = 0
        if not isinstance(awaited.call, wire.Find) or not awaited.call.have:
            # who is asked again and again for what did not fit would set the time-out of all calls
            self.round_trips.sample(now - awaited.sent_at)
        _remember(self._tokens, contact.endpoint, (reply.token, now))
        if awaited.prove:
            _remember(self._proven, contact.endpoint, (contact.id, now))
        _remember(self._seen_as, contact.endpoint.block, reply.you, entries_max=DHT_SEEN_AS_MAX)
        self.welcome_if_new(ProvenNode(contact))
        wants_token = reply.answer in (wire.Stored("token"), wire.Refusal("token"))
        if (
            wants_token
            and not awaited.repeated
            and self._send_call(contact.endpoint, contact.id, awaited.call, awaited.on_end, repeated=True)
        ):
            return
        awaited.on_end(Heard(contact, reply.answer, reply.you))

    def welcome_if_new(self, node: Node) -> None:
        """A proven node may enter the table. It gets no keys for that: its neighbours store to it when they are due."""
        self.router.add_contact(node)

    def seen_as(self, family: int) -> Endpoint | None:
        """Where those whom we call by IPv4 or IPv6 say that our datagrams come from: what most address blocks say. Who
        has both is seen at two addresses."""
        votes = Counter(endpoint for endpoint in self._seen_as.values() if endpoint.family == family)
        return min(votes, key=lambda endpoint: (-votes[endpoint], endpoint)) if votes else None

    def move(self, test_network: bool) -> None:
        """This node stands at another address, and `test_network` is what it is there. What others said of the old
        address counts no more."""
        self.test_network = self.guard.test_network = test_network
        self.router.move(test_network)
        self.storage.store.set_limits(replace(self.storage.store.limits, exempt_private=test_network))
        self._seen_as.clear()

    # --- answering others ---

    def _on_request(self, data: bytes, source: Endpoint) -> None:
        now = self._loop.time()
        request = self.guard.admit_request(data, source, now)
        if request is None:
            return
        proven = self.guard.tokens.is_valid(request.token, source, now)
        proof = wire.prove(self._node, request.call_id, request.sender, source) if request.prove else None
        reply = wire.Reply(request.call_id, wire.Pong(), self.guard.tokens.issue(source, now), source, proof)
        bytes_max = wire.reply_bytes_max(len(data), proven)
        answered = self._answer(request, reply, source, proven, bytes_max)
        encoded = b"" if answered is None else wire.encode_reply(answered)
        if not encoded or len(encoded) > bytes_max:
            self.guard.dropped["reply-size"] += 1
            return
        self._send(encoded, source)
        if proven and request.sender is not None:
            self._consider(Contact(request.sender, source))

    def _answer(
        self, request: wire.Request, reply: wire.Reply, source: Endpoint, proven: bool, bytes_max: int
    ) -> wire.Reply | None:
        if request.token is not None and not proven:
            return replace(reply, answer=wire.Refusal("token"))
        match request.call:
            case wire.Ping():
                return reply
            case wire.Find():
                return self._answer_find(request.call, request.sender, reply, bytes_max)
            case wire.Store(key, record):
                outcome = self.rpc_store(source, key, record) if proven else "token"
                return replace(reply, answer=wire.Stored(outcome))

    def _answer_find(
        self, call: wire.Find, sender: NodeId | None, reply: wire.Reply, bytes_max: int
    ) -> wire.Reply | None:
        contacts = self.router.nearest(call.target, DHT_REPLY_CONTACTS_MAX, exclude=sender)
        held = [] if call.key is None else self.storage.held(call.key)
        return wire.fit_found(reply, contacts, held, call.have, bytes_max, salt=self.id)

    def rpc_store(self, sender: Endpoint, key: bytes, record: bytes) -> str:
        """What became of a record that a proven source wants held, as the reply says it."""
        try:
            outcome = self.storage.put(key, record, sender, self._is_neighbour(sender, key))
        except RemoteProtocolError as error:
            self.refused[error.name] += 1
            return error.name
        if outcome is not Outcome.HELD:
            self.refused[outcome.value] += 1
        return outcome.value

    def _is_neighbour(self, sender: Endpoint, key: bytes) -> bool:
        """Whether a node that proved its id there is one of those who, as far as we know, hold what is under a key."""
        return any(contact.endpoint == sender for contact in self.router.nearest(key, self.router.ksize))

    def _consider(self, contact: Contact) -> None:
        """Somebody who calls us and hears us may be a contact: if there is room, he is asked for a proof. Who claims
        another id with each call holds one of the places for that, and all such leave half to our own checks. A contact
        that is silent where we know it may call from where it moved to."""
        if contact.id == self.id:
            return
        is_known = self.router.get(contact.id) is not None
        if not (self.router.may_move(contact) if is_known else self.router.has_room(contact)):
            return
        place = place_of(contact.endpoint)
        if place in self._newcomers.values() or len(self._newcomers) >= DHT_NEWCOMERS_MAX:
            return
        self.check_contact(contact)
        if contact in self._checking:
            self._newcomers[contact] = place

    def hold(self, record: Record) -> None:
        """Hold a record that we published, unless it is none to be held any more: publishing takes its time."""
        try:
            self.storage.put(record.key, encode(record), None)
        except RemoteProtocolError as error:
            self.refused[error.name] += 1

    # --- the library's remote names and calls: none is reachable ---

    def _closed_road(self, *args: object) -> NoReturn:
        raise LocalProtocolError("the library's own calls are not spoken in this network")

    rpc_stun = rpc_ping = rpc_find_node = rpc_find_value = _closed_road
    call_ping = call_store = call_find_node = call_find_value = handle_call_response = _closed_road
    _solve_datagram = _accept_request = _accept_response = get_refresh_ids = _closed_road


def _remember(table: OrderedDict[Any, Any], key: Any, value: Any, entries_max: int = DHT_TOKENS_MAX) -> None:
    table.pop(key, None)
    table[key] = value
    while len(table) > entries_max:
        table.popitem(last=False)
