"""The DHT over UDP: kademlia's server with our protocol, look-up and state. All of it runs on the asyncio side."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from kademlia.network import Server

from p2pblog.config import (
    DHT_BOOTSTRAPS_MAX,
    DHT_FEW_CONTACTS,
    DHT_LOOKUPS_MAX,
    DHT_PUBLISHED_BURST,
    DHT_PUBLISHED_PER_S,
    DHT_STATE_CONTACTS_MAX,
    DHT_UPKEEP_EVERY_S,
)
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.dht import Published, wire
from p2pblog.dht.clock_check import ClockCheck
from p2pblog.dht.contacts import ID_BYTES, SPACE, Contact, distance, may_call, place_of
from p2pblog.dht.gathering import GATHERED_MAX, Gathering
from p2pblog.dht.lookup import (
    Answered,
    Begin,
    Done,
    Event,
    Failed,
    Find,
    Publish,
    Put,
    PutAnswered,
    PutFailed,
    Repair,
    Wake,
    Woke,
)
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.protocol import GuardedProtocol, Heard
from p2pblog.dht.records import DhtKey, Record, Replica, decode, encode
from p2pblog.dht.shelf import Limits, Outcome, newest
from p2pblog.dht.upkeep import Upkeep
from p2pblog.dht.walk import Ask, Walk
from p2pblog.errors import Expired, LocalProtocolError, RemoteProtocolError

log = logging.getLogger("p2pblog.dht")

STATE_VERSION = 1
STATE_BYTES_MAX = 64 * 1024
PING_TRIES = 3
PING_EVERY_S = 0.5
PUBLISH_TIMEOUT_S = 10.0
LOOKS_MAX = 3
"""Walks to our own id in a row, where nobody answers who just did: at 30% loss one contact is silent in a walk one time
in four."""
DETOURS = 4
"""Points around which a walk asks when ids crowd its target."""
DETOUR_REGION = 40
"""They lie where the 40 nodes nearest to the target should be, but not among the 10 nearest: an answer names 20, and
around such a point these are others than the crowd."""


TIME_JUDGED = {Expired.name, *(outcome.value for outcome in Outcome)}
"""What is said of a record by who has looked at its time."""
VERIFIED_MAX = GATHERED_MAX
"""Records of one look-up that are not verified twice: as many as it keeps."""


Tell = Callable[[Sequence[Record]], Awaitable[object]]
"""Told of the first valid records of a look-up that goes on when this has ended, once; it must not raise."""


class GuardedServer(Server):  # type: ignore[misc]
    """A DHT node. `open_server` makes it."""

    protocol: GuardedProtocol
    protocol_class = GuardedProtocol

    def __init__(
        self,
        node: KeyPair,
        clock: Callable[[], int],
        rng: random.Random,
        test_network: bool,
        client: bool,
        parameters: Parameters,
        limits: Limits | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        made = self.protocol_class(node, self._loop, clock, rng, test_network, client, parameters.k, limits)
        super().__init__(parameters.k, parameters.alpha, made.id, made.storage)
        self.protocol = made
        self.parameters = parameters
        self._clock = clock
        self._rng = rng
        self._lookups = asyncio.Semaphore(DHT_LOOKUPS_MAX)
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in the order of their start: a set has one by address
        self._next_turn = -math.inf
        self._upkeep = Upkeep(self, clock, rng)
        self.clock_check = ClockCheck()

    # --- opening and closing ---

    async def listen(self, port: int, interface: str = "0.0.0.0") -> None:  # noqa: S104 - the caller chose it
        self.transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self.protocol, local_addr=(interface, port)
        )

    def start_upkeep(self) -> None:
        """Look from now on, every DHT_UPKEEP_EVERY_S, whether refreshing or storing again is due."""
        self._spawn(self._keep_up())

    @property
    def endpoint(self) -> Endpoint:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return Endpoint.of(host, port)

    async def aclose(self) -> None:
        tasks, self._tasks = list(self._tasks), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.protocol.close()
        self.stop()
        await asyncio.sleep(0)  # the transport closes its socket at the loop's next turn

    def _spawn(self, work: Any) -> None:
        """A task that ends with this server at the latest."""
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the DHT ended by a bug", exc_info=task.exception())

    # --- finding ---

    async def find(
        self, key: DhtKey, timeout_s: float, early: Tell | None = None, twice_named: bool = False
    ) -> list[Record]:
        """Local hits are checked as strictly as those of others."""
        machine = Find(self._walk(key, self.protocol.router.nodes(key)), gathering=Gathering(twice_named))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._lookups:
                await self._drive(machine, key, early=early)
        found = machine.found(self._clock())
        for repair in machine.repairs(found):
            store = wire.Store(key, encode(repair.record))
            self.protocol.call(repair.contact.endpoint, repair.contact.id, store, _ignore)
        held = self._verified(key, {}, [item.wire for item in self.protocol.storage.held(key)])
        local = [record for record in held if self._may_dial(record)]
        return newest([*found, *local], self._clock()) if local else found

    async def find_nodes(self, target: bytes, seeds: list[Contact] | None = None) -> list[Contact]:
        """The contacts nearest to a target that answered, of those to whom `seeds` or our own contacts lead."""
        machine = Find(self._walk(target, 0, seeds=seeds), wants_records=False)
        async with self._lookups:
            await self._drive(machine, None)
        return machine.walk.closest()

    def _may_dial(self, record: Record, by_public: bool = False) -> bool:
        """Nobody is sent to dial an address that he must not call."""
        if not isinstance(record, Replica) or not isinstance(record.address, Endpoint):
            return True
        return self._is_worth_hearing(record.address, by_public)

    def _verified(self, key: DhtKey, lately: dict[bytes, Record], wires: Iterable[bytes]) -> list[Record]:
        """The records that hold. Those of `lately` did before in this look-up: all holders give the same bytes."""
        records = []
        for data in wires:
            try:
                record = lately.get(data) or decode(key, data, self._clock())
            except RemoteProtocolError as error:
                self.protocol.refused[error.name] += 1
                continue
            if len(lately) < VERIFIED_MAX:
                lately[data] = record
            records.append(record)
        return records

    # --- publishing ---

    async def publish(self, records: Sequence[Record]) -> list[Published]:
        by_key: dict[DhtKey, list[int]] = {}
        for index, record in enumerate(records):
            by_key.setdefault(record.key, []).append(index)
        results = [Published(0)] * len(records)

        async def one(key: DhtKey, indexes: list[int]) -> None:
            told = await self._publish_key(key, [records[index] for index in indexes])
            for index, published in zip(indexes, told, strict=True):
                results[index] = published

        async with asyncio.TaskGroup() as group:
            for key, indexes in by_key.items():
                for _ in indexes:
                    await self._wait_for_turn()
                group.create_task(one(key, indexes))
        return results

    async def _wait_for_turn(self) -> None:
        """Where few are there each of them is asked to hold each record, and drops what is over its rate."""
        if self.protocol.router.size >= DHT_FEW_CONTACTS:
            return
        now = self._loop.time()
        at_once_since = now - DHT_PUBLISHED_BURST / DHT_PUBLISHED_PER_S
        self._next_turn = max(self._next_turn, at_once_since) + 1 / DHT_PUBLISHED_PER_S
        await asyncio.sleep(max(0.0, self._next_turn - now))

    async def _publish_key(self, key: DhtKey, records: list[Record]) -> list[Published]:
        machine = await self.store_at_nearest(key, records)
        if self.belongs_here(key):
            for record in records:
                self.protocol.hold(record)
        return [Published(machine.holders(index), machine.is_judged(index)) for index in range(len(records))]

    async def store_at_nearest(self, key: DhtKey, records: list[Record]) -> Publish:
        """Store records of one key at the nodes nearest to it; gives the machine, which knows what became of each."""
        nodes = self.protocol.router.nodes(key)
        machine = Publish(self._walk(key, nodes, _family_of(records)), len(records), nodes)
        with suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S), self._lookups:
                await self._drive(machine, None, [wire.Store(key, encode(record)) for record in records])
        return machine

    def _detour(self, key: bytes, nodes: int) -> bytes:
        """A point near the key that nobody could crowd around beforehand."""
        region = DETOUR_REGION * SPACE // nodes
        offset = self._rng.randrange(region // 4, max(region // 4 + 1, region))
        return ((int.from_bytes(key, "big") ^ offset) % SPACE).to_bytes(ID_BYTES, "big")

    def belongs_here(self, key: bytes) -> bool:
        """Whether we are one of the k nearest to a key that we know of."""
        if self.protocol.client:
            return False
        nearest = self.protocol.router.nearest(key, self.ksize)
        return len(nearest) < self.ksize or distance(self.protocol.id, key) < distance(nearest[-1].id, key)

    # --- driving a machine ---

    def _walk(self, target: bytes, nodes: int, family: int | None = None, seeds: list[Contact] | None = None) -> Walk:
        """From our own contacts unless `seeds` are given; with a `family`, among those who are called by that version
        of IP."""
        router, parameters, trips = self.protocol.router, self.parameters, self.protocol.round_trips
        router.touch(target, self._clock())
        if seeds is None:
            seeds = router.nearest(target, parameters.seeds if family is None else max(router.size, 1))
        if family is not None:
            seeds = [contact for contact in seeds if contact.endpoint.family == family][: parameters.seeds]
        detours = (self._detour(target, nodes) for _ in range(DETOURS if nodes else 0))
        return Walk(target, self.protocol.id, seeds, trips, parameters, nodes, detours, family)

    async def _drive(
        self,
        machine: Find | Publish,
        key: DhtKey | None,
        stores: Sequence[wire.Store] = (),
        early: Tell | None = None,
    ) -> None:
        """Carry out what the machine wants until it is done."""
        verified: dict[bytes, Record] = {}
        inbox: asyncio.Queue[Event] = asyncio.Queue()  # bounded by the calls that the machine makes
        inbox.put_nowait(Begin())
        wake_at: float | None = None
        while True:
            event = await self._next_event(inbox, wake_at)
            if early is not None and isinstance(event, Answered) and event.records:
                await early(list(event.records))
                early = None
            for effect in machine.handle(event, self._loop.time()):
                match effect:
                    case Ask(contact, target, have):
                        self._send_find(contact, wire.Find(target, key, have), verified, inbox)
                    case Put(contact, index):
                        self._send_store(contact, index, stores[index], inbox)
                    case Wake(at):
                        wake_at = at
                    case Done():
                        return
                    case Repair():
                        raise LocalProtocolError("repairs are asked for, not given")

    async def _next_event(self, inbox: asyncio.Queue[Event], wake_at: float | None) -> Event:
        try:
            async with asyncio.timeout_at(wake_at):
                return await inbox.get()
        except TimeoutError:
            return Woke()

    def _send_find(
        self, contact: Contact, call: wire.Find, verified: dict[bytes, Record], inbox: asyncio.Queue[Event]
    ) -> None:
        def end(heard: Heard | None) -> None:
            if heard is not None:
                inbox.put_nowait(self._answered(contact, call.key, verified, heard))

        if not self.protocol.call(contact.endpoint, contact.id, call, end):
            inbox.put_nowait(Failed(contact))

    def _answered(self, contact: Contact, key: bytes | None, verified: dict[bytes, Record], heard: Heard) -> Event:
        match heard.answer:
            case wire.Found(contacts, wires, more):
                by_public = contact.endpoint.is_public
                named = tuple(item for item in contacts if self._is_worth_hearing(item.endpoint, by_public))
                untimely = self.protocol.refused[Expired.name]
                records = [] if key is None else self._verified(DhtKey(key), verified, wires)
                if key is not None and wires:
                    self._check_clock(contact, self.protocol.refused[Expired.name] > untimely)
                told = tuple(record for record in records if self._may_dial(record, by_public))
                return Answered(contact, named, told, more)
            case _:
                return Failed(contact)

    def _is_worth_hearing(self, named: Endpoint, by_public: bool) -> bool:
        """Who speaks from a public address has no business naming private ones: they would be in our own net, where he
        can't call himself."""
        return may_call(named, self.protocol.test_network) and (not by_public or named.is_public)

    def _send_store(self, contact: Contact, index: int, store: wire.Store, inbox: asyncio.Queue[Event]) -> None:
        def end(heard: Heard | None) -> None:
            if heard is not None:
                outcome = heard.answer.outcome if isinstance(heard.answer, wire.Stored) else ""
                if outcome in TIME_JUDGED:
                    self._check_clock(contact, outcome == Expired.name)
                inbox.put_nowait(PutAnswered(contact, index, outcome == Outcome.HELD.value))

        if not self.protocol.call(contact.endpoint, contact.id, store, end):
            inbox.put_nowait(PutFailed(contact, index))

    def _check_clock(self, contact: Contact, contradicts: bool) -> None:
        if self.clock_check.hear(place_of(contact.endpoint), contradicts, self._loop.time()):
            log.warning(
                "this computer's clock seems to be wrong: DHT nodes in %d networks have another time; until it is set, "
                "your notices reach nobody by the DHT, or those of others are not found there",
                self.clock_check.places_against(self._loop.time()),
            )

    # --- contacts and upkeep ---

    @property
    def size(self) -> int:
        """Contacts in the routing table; 0 while they all seem to be silent, as where our own line is down."""
        return 0 if self.protocol.is_unheard else self.protocol.router.size

    async def add_contacts(self, endpoints: Sequence[Endpoint]) -> int:
        """Remember these to begin from, and greet them."""
        self._upkeep.remember(list(endpoints))
        return await self.greet(endpoints)

    async def greet(self, endpoints: Sequence[Endpoint]) -> int:
        """Ping these and look around if one proves an id; gives how many did."""
        proven = await self._ping_all(endpoints)
        if proven:
            await self.look_around()
        return len(proven)

    async def look_beyond(self, endpoints: Sequence[Endpoint]) -> None:
        """Ping these, and look around from each that proves an id, as if we knew nobody else: what it knows may be a
        part of the network from which ours was split, and our own contacts lead nowhere but to each other."""
        for contact in await self._ping_all(endpoints):
            self._greet_found(await self.find_nodes(self.protocol.id, [contact]))

    async def look_around(self) -> None:
        """Walk to our own id, then greet who was found there: now we have their tokens, so they may take us in."""
        for _ in range(LOOKS_MAX):
            contacts = await self.find_nodes(self.protocol.id)
            self._greet_found(contacts)
            if contacts:
                return

    def _greet_found(self, contacts: list[Contact]) -> None:
        for contact in contacts:
            self.protocol.call(contact.endpoint, contact.id, wire.Ping(), _ignore)

    async def _ping_all(self, endpoints: Sequence[Endpoint]) -> list[Contact]:
        """Who proved an id at one of these endpoints."""
        unique = list(dict.fromkeys(endpoints))[: 4 * DHT_BOOTSTRAPS_MAX]
        answers = await asyncio.gather(*(self._ping(endpoint) for endpoint in unique))
        return [contact for contact in answers if contact is not None]

    async def _ping(self, endpoint: Endpoint) -> Contact | None:
        proven: asyncio.Future[Contact] = self._loop.create_future()

        def end(heard: Heard | None) -> None:
            if heard is not None and not proven.done():
                proven.set_result(heard.contact)

        for _ in range(PING_TRIES):
            self.protocol.call(endpoint, None, wire.Ping(), end)
            await asyncio.wait([proven], timeout=PING_EVERY_S)
            if proven.done():
                return proven.result()
        return None

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(DHT_UPKEEP_EVERY_S)
            await self.upkeep()

    async def upkeep(self) -> None:
        """What is due by the clock."""
        await self._upkeep.turn()

    async def let_others_go_on(self) -> None:
        """In the middle of long work: datagrams that came meanwhile are answered."""
        await asyncio.sleep(0)

    # --- state ---

    def state_bytes(self) -> bytes:
        """msgpack [1, [contact…]]: neighbours, to begin from at the next start; the last ones where nobody is left."""
        return codec.pack([STATE_VERSION, [contact.wire for contact in self._upkeep.met()]])

    async def begin_from(self, saved: list[Contact]) -> None:
        """Greet the contacts of an earlier life; they stay in the state until others have taken their places."""
        self._upkeep.recall(saved)
        await self.greet([contact.endpoint for contact in saved])

    # --- the library's own ways, which ours replace ---

    def _closed_road(self, *args: object, **kwargs: object) -> NoReturn:
        raise LocalProtocolError("replaced: see publish, find, add_contacts and state_bytes")

    get = set = set_digest = bootstrap = bootstrap_node = _refresh_table = _closed_road
    refresh_table = save_state = load_state = save_state_regularly = _closed_road


def _family_of(records: Sequence[Record]) -> int | None:
    """By which version of IP these have to be stored: a holder takes a replica only from the host that it names, and
    who has both is another host by the other one. None: by any."""
    addresses = [record.address for record in records if isinstance(record, Replica)]
    families = {address.family for address in addresses if isinstance(address, Endpoint)}
    return families.pop() if len(families) == 1 else None


def _ignore(_: Heard | None) -> None:
    """Nobody waits for this one."""


def read_state(state: bytes | None) -> list[Contact]:
    """The contacts of a saved state; none where it is missing or damaged, for it is only a help to start faster."""
    if state is None:
        return []
    try:
        version, items = codec.as_list(codec.unpack(state, bytes_max=STATE_BYTES_MAX), length=2)
        codec.as_int(version, STATE_VERSION, STATE_VERSION)
        listed = codec.as_list(items, length_max=DHT_STATE_CONTACTS_MAX)
        return [Contact.from_wire(codec.as_bytes(item)) for item in listed]
    except RemoteProtocolError:
        return []


async def open_server(
    node: KeyPair,
    listen: Endpoint,
    clock: Callable[[], int],
    rng: random.Random,
    test_network: bool,
    client: bool,
    state: bytes | None,
    parameters: Parameters,
    limits: Limits | None,
) -> GuardedServer:
    """As `adapter.open_dht`, for who runs on the asyncio loop himself; `aclose` ends it."""
    server = GuardedServer(node, clock, rng, test_network, client, parameters, limits)
    await server.listen(listen.port, listen.host)
    server.start_upkeep()
    saved = read_state(state)
    if saved:
        server._spawn(server.begin_from(saved))
    return server
