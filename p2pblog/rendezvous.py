"""Meets people through the DHT: publishes our heads and newest notices, announces what we hold, looks for whom we lack.

The DHT is a hint, gossip is the truth: what is found here becomes candidates for links, statements that prove
themselves, and, where nobody is linked who has a feed, its newest notices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from p2pblog.config import (
    HEAD_LIFETIME_MS,
    REPLICA_LIFETIME_MS,
    REPLICAS_WANTED,
    RUN_BYTES_MAX,
)
from p2pblog.core import payload
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, follow_one_another
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Delete
from p2pblog.dht import Directory
from p2pblog.dht.records import (
    DhtKey,
    Head,
    Notice,
    Record,
    Replica,
    head_key,
    notice_key,
    notice_record,
    replica_key,
    sign_drop,
    sign_head,
    sign_replica,
)
from p2pblog.errors import RemoteProtocolError, StoreError
from p2pblog.gossip.driver import Driver, Signal
from p2pblog.gossip.events import Candidates, Learned
from p2pblog.store import KnownPeer, Store

log = logging.getLogger("p2pblog.rendezvous")

COALESCE_S = 10.0
"""Heads are published at most this often (DESIGN: coalesced over 10 s)."""
ANNOUNCE_EVERY_S = 22 * 3600.0
"""Replicas announce themselves anew well within a record's two days (IPFS: republish at 22 h of 48 h)."""
HEAD_EVERY_S = 22 * 3600.0
SEARCH_FIRST_S = 5.0
SEARCH_MAX_S = 600.0
"""Looking for a feed nobody had begins after 5 s and slows down to once in ten minutes."""
SEARCHES_MAX = 8
"""Feeds looked for at once."""
NOTICES_MAX = 8
"""Newest notices of an offline author read from the DHT, and published of our own."""


@dataclass(slots=True)
class Search:
    """How a feed without a link is being looked for."""

    due: float
    delay_s: float = SEARCH_FIRST_S
    under_way: bool = False


@dataclass(slots=True)
class Timing:
    """What was published when, in trio's time."""

    head_at: float = -float("inf")
    announced: dict[IdentityHash, float] = field(default_factory=dict)


class Rendezvous:
    """One node's dealings with the DHT; `run` does them, the `on_…` methods say what has changed."""

    def __init__(
        self,
        directory: Directory,
        store: Store,
        driver: Driver,
        node: KeyPair,
        device: Callable[[], KeyPair],
        reachable: Endpoint | None,
        wall_ms: Callable[[], int],
        *,
        on_own_heads: Callable[[Sequence[Head]], None],
    ) -> None:
        self._directory = directory
        self._store = store
        self._driver = driver
        self._node = node
        self._device = device
        self._reachable = reachable
        self._wall_ms = wall_ms
        self._on_own_heads = on_own_heads
        self._searches: dict[IdentityHash, Search] = {}
        self._timing = Timing()
        self._news = Signal()
        self._drops: list[Record] = []
        self._dirty = True

    @property
    def dht_nodes(self) -> int:
        return self._directory.size

    @property
    def _own(self) -> IdentityHash:
        return self._driver.machine.holdings.own

    async def run(self) -> None:
        """Publish, announce and search until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._compare_own)
            nursery.start_soon(self._keep_publishing)
            nursery.start_soon(self._keep_announcing)
            nursery.start_soon(self._keep_searching)

    async def remember(self, endpoints: Sequence[Endpoint]) -> None:
        """Keep endpoints that a person gave, and let the DHT meet them."""
        if not endpoints:
            return
        now = self._wall_ms()
        await self._store.put_peers([KnownPeer(str(endpoint), None, now) for endpoint in endpoints])
        await self._directory.add_contacts(endpoints)
        for search in self._searches.values():
            search.due = trio.current_time()
        self._dirty = True
        self._news.set()

    # --- what has changed ---

    def on_stored(self, batch: Batch) -> None:
        if batch.identity == self._own:
            self._dirty = True
        self._news.set()

    def on_deleted(self, entry: Entry) -> None:
        """Take our notice back from the DHT as well."""
        device = self._device()
        if entry.device == device.public:
            self._drops.append(sign_drop(device, entry.seq, self._wall_ms()))
            self._dirty = True
            self._news.set()

    def on_followed(self, identity: IdentityHash) -> None:
        self._searches[identity] = Search(due=trio.current_time())
        self._news.set()

    # --- our own log ---

    async def _compare_own(self) -> None:
        """What the DHT proves of our own log; said once, also where it proves nothing."""
        heads = [record for record in await self._find(head_key(self._own)) if isinstance(record, Head)]
        self._on_own_heads(heads)

    async def _keep_publishing(self) -> None:
        while True:
            now = trio.current_time()
            due = self._timing.head_at + (COALESCE_S if self._dirty else HEAD_EVERY_S)
            if now < due or not self._directory.size:
                with trio.move_on_at(due if self._directory.size else now + 1.0):
                    await self._news.wait()
                continue
            self._dirty, self._timing.head_at = False, now
            await self._publish(await self._own_records())

    async def _own_records(self) -> list[Record]:
        now_ms, device, machine = self._wall_ms(), self._device(), self._driver.machine
        records, self._drops = self._drops, []
        own = DeviceKey(device.public)
        state = machine.holdings.logs.get(own)
        identity = machine.holdings.identities.get(self._own)
        if state is None or not state.spans or identity is None or identity.statement_of(own) is None:
            return records
        last = state.spans[-1]
        head = sign_head(identity, device, now_ms, last.high, last.high_id, now_ms + HEAD_LIFETIME_MS)
        if head is not None:
            records.append(head)
        newest = await self._store.run(own, max(last.low, last.high - NOTICES_MAX + 1), last.high, RUN_BYTES_MAX)
        return records + [record for entry in _not_taken_back(newest) if (record := notice_record(entry)) is not None]

    async def _publish(self, records: Sequence[Record]) -> None:
        if records:
            outcome = await self._directory.publish(records)
            log.debug("published %d records, held by %s", len(records), [one.holders for one in outcome])

    # --- what we hold ---

    async def _keep_announcing(self) -> None:
        """Announce ourselves as a replica of each feed that we hold, while there are not enough."""
        while True:
            now = trio.current_time()
            endpoint = self._reachable
            due = self._due_announcements(now) if endpoint is not None and self._directory.size else []
            for identity in due:
                self._timing.announced[identity] = now
                if endpoint is not None:
                    await self._announce(identity, endpoint)
            with trio.move_on_after(1.0 if due or not self._directory.size else SEARCH_FIRST_S):
                await self._news.wait()

    def _due_announcements(self, now: float) -> list[IdentityHash]:
        holdings = self._driver.machine.holdings
        held = [i for i in holdings.interests if any(device in holdings.logs for device in holdings.devices(i))]
        return [i for i in held if now - self._timing.announced.get(i, -float("inf")) >= ANNOUNCE_EVERY_S]

    async def _announce(self, identity: IdentityHash, endpoint: Endpoint) -> None:
        alive = [record for record in await self._find(replica_key(identity)) if isinstance(record, Replica)]
        if identity != self._own and len(alive) >= REPLICAS_WANTED:
            return
        expires_ms = self._wall_ms() + REPLICA_LIFETIME_MS
        await self._publish([sign_replica(self._node, identity, endpoint, expires_ms)])

    # --- whom we lack ---

    async def _keep_searching(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                for identity in self._due_searches(now):
                    self._searches[identity].under_way = True
                    nursery.start_soon(self._search, identity)
                with trio.move_on_after(1.0):
                    await self._news.wait()

    def _due_searches(self, now: float) -> list[IdentityHash]:
        """Feeds that no link shares, those never found first."""
        machine = self._driver.machine
        for identity in [i for i in self._searches if i not in machine.holdings.interests]:
            if not self._searches[identity].under_way:
                del self._searches[identity]
        lacking = [i for i in machine.holdings.interests if not machine.sharing.sharing(i)]
        for identity in lacking:
            self._searches.setdefault(identity, Search(due=now))
        if not self._directory.size:
            return []
        busy = sum(search.under_way for search in self._searches.values())
        due = [i for i in lacking if not self._searches[i].under_way and self._searches[i].due <= now]
        due.sort(key=lambda identity: identity in machine.holdings.identities)
        return due[: SEARCHES_MAX - busy]

    async def _search(self, identity: IdentityHash) -> None:
        search = self._searches[identity]
        try:
            if await self._find_replicas(identity) == 0 or identity not in self._driver.machine.holdings.identities:
                await self._find_heads(identity)
        finally:
            search.under_way = False
            search.due = trio.current_time() + search.delay_s
            search.delay_s = min(2 * search.delay_s, SEARCH_MAX_S)

    async def _find_replicas(self, identity: IdentityHash) -> int:
        records = await self._find(replica_key(identity))
        told = [r for r in records if isinstance(r, Replica) and r.node != self._node.public]
        endpoints = tuple(sorted({r.address for r in told if isinstance(r.address, Endpoint)}))
        if endpoints:
            self._driver.feed(Candidates(endpoints, identity))
        return len(endpoints)

    async def _find_heads(self, identity: IdentityHash) -> None:
        """Nobody to ask: take the statements and the newest notices from the DHT itself."""
        heads = [record for record in await self._find(head_key(identity)) if isinstance(record, Head)]
        for head in sorted(heads, key=lambda head: head.device):
            try:
                self._driver.feed(Learned(head.partial_identity()))
            except RemoteProtocolError as error:
                log.info("a head record contradicts what we hold: %s", error)
                continue
            if identity != self._own:
                await self._find_notices(identity, head)

    async def _find_notices(self, identity: IdentityHash, head: Head) -> None:
        held = self._driver.machine.holdings.high(head.device)
        first = max(held + 1, head.seq - NOTICES_MAX + 1)
        found: dict[int, Entry] = {}

        async def fetch(seq: int) -> None:
            for record in await self._find(notice_key(head.device, seq)):
                if isinstance(record, Notice):
                    found[seq] = record.entry

        async with trio.open_nursery() as nursery:
            for seq in range(first, head.seq + 1):
                nursery.start_soon(fetch, seq)
        run = _newest_stretch(found)
        if run:
            self._driver.take_run(Batch(identity, run))

    async def _find(self, key: DhtKey) -> list[Record]:
        try:
            return await self._directory.find(key)
        except StoreError as error:
            log.error("the DHT's own store failed: %s", error)
            return []


def _not_taken_back(entries: Sequence[Entry]) -> list[Entry]:
    """Those that none of them deletes: a delete comes after what it names."""
    said = [payload.decode(entry.payload) for entry in entries if entry.payload is not None]
    deleted = {named for delete in said if isinstance(delete, Delete) for named in (delete.of.id, *delete.replaces)}
    return [entry for entry in entries if entry.id not in deleted]


def _newest_stretch(found: dict[int, Entry]) -> tuple[Entry, ...]:
    """The unbroken stretch of entries that ends on the newest one found."""
    highest = max(found, default=0)
    stretch: list[Entry] = []
    for seq in range(highest, 0, -1):
        entry = found.get(seq)
        if entry is None or (stretch and not follow_one_another([entry, stretch[0]])):
            break
        stretch.insert(0, entry)
    return tuple(stretch)
