"""Meets people through the DHT: publishes our heads and newest notices, announces what we hold, looks for whom we lack.

The DHT is a hint, gossip is the truth: what is found here becomes candidates for links, statements that prove
themselves, and, where nobody is linked who has a feed, its newest notices.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import trio

from p2pblog.config import (
    HEAD_LIFETIME_MS,
    NOTICE_LIFETIME_MS,
    REPLICA_LIFETIME_MS,
    REPLICAS_WANTED,
    RUN_BYTES_MAX,
)
from p2pblog.core import payload
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, follow_one_another
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Boost, Delete, Note
from p2pblog.dht import Directory
from p2pblog.dht.records import (
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
from p2pblog.gossip.replication import check_start
from p2pblog.store import KnownPeer, Store

log = logging.getLogger("p2pblog.rendezvous")

COALESCE_S = 10.0
"""Heads are published at most this often (DESIGN: coalesced over 10 s)."""
AGAIN_MS = 22 * 3600 * 1000
"""Heads and replicas are published anew well within a record's two days (IPFS: 22 h of 48 h)."""
RETRY_MS = 60 * 1000
"""How soon a record that nobody took is offered again."""
LOOK_EVERY_S = 30.0
"""How often a waiting task looks at the wall clock, which goes on while a laptop sleeps."""
DHT_WAIT_S = 0.5
"""How often it is looked whether the DHT has been reached."""
SEARCH_FIRST_S = 5.0
SEARCH_MAX_S = 600.0
"""Looking for a feed nobody had begins after 5 s and slows down to once in ten minutes."""
WORKERS_MAX = 8
"""Feeds looked for, and announced, at once."""
NOTICES_MAX = 8
"""Newest notices of an offline author read from the DHT, and published of our own."""


@dataclass(slots=True)
class Search:
    """How a feed without a link is being looked for."""

    due: float
    delay_s: float = SEARCH_FIRST_S
    under_way: bool = False


class Rendezvous:
    """One node's dealings with the DHT; `run` does them, the `on_…` methods say what has changed."""

    def __init__(
        self,
        directory: Directory,
        store: Store,
        driver: Driver,
        node: KeyPair,
        device: Callable[[], KeyPair],
        announced_at: Callable[[], Endpoint | None],
        wall_ms: Callable[[], int],
        *,
        until_compared: Callable[[], Awaitable[None]],
        on_own_heads: Callable[[Sequence[Head]], None],
    ) -> None:
        self._directory = directory
        self._store = store
        self._driver = driver
        self._node = node
        self._device = device
        self._announced_at = announced_at
        self._wall_ms = wall_ms
        self._until_compared = until_compared
        self._on_own_heads = on_own_heads
        self._searches: dict[IdentityHash, Search] = {}
        self._announce_at_ms: dict[IdentityHash, int] = {}
        self._publish_at_ms = 0
        self._own_news = Signal()
        self._follow_news = Signal()

    @property
    def dht_nodes(self) -> int:
        return self._directory.size

    @property
    def _own(self) -> IdentityHash:
        return self._driver.machine.holdings.own

    async def run(self) -> None:
        """Compare, publish, announce and search until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_publishing)
            nursery.start_soon(self._keep_announcing)
            nursery.start_soon(self._keep_searching)

    async def remember(self, endpoints: Sequence[Endpoint]) -> None:
        """Keep endpoints that a person gave, and let the DHT meet them."""
        now = self._wall_ms()
        try:
            await self._store.put_peers([KnownPeer(str(endpoint), None, now) for endpoint in endpoints])
        except StoreError as error:
            log.error("peers were not remembered: %s", error)
        await self._directory.add_contacts(endpoints)
        for search in self._searches.values():
            search.due = trio.current_time()
        self._follow_news.set()

    # --- what has changed ---

    def on_stored(self, batch: Batch) -> None:
        if batch.identity == self._own:
            self._publish_at_ms = 0
            self._own_news.set()
        if batch.identity not in self._announce_at_ms:
            self._announce_at_ms[batch.identity] = 0
            self._follow_news.set()

    def on_followed(self, identity: IdentityHash) -> None:
        self._searches[identity] = Search(due=trio.current_time())
        self._follow_news.set()

    # --- our own log ---

    async def _keep_publishing(self) -> None:
        """First see what the DHT proves of our own log, so that an old copy of it never overrides a newer head."""
        await self._reach_dht()
        await self._find_heads(self._own)
        await self._until_compared()
        while True:
            begun = trio.current_time()
            if self._wall_ms() >= self._publish_at_ms:
                self._publish_at_ms = self._wall_ms() + AGAIN_MS
                if not await self._publish_own():
                    self._publish_at_ms = min(self._publish_at_ms, self._wall_ms() + RETRY_MS)
            await trio.sleep_until(begun + COALESCE_S)
            while self._wall_ms() < self._publish_at_ms:
                with trio.move_on_after(LOOK_EVERY_S):
                    await self._own_news.wait()

    async def _publish_own(self) -> bool:
        """Whether somebody took each of our records; a failing store is said and tried again."""
        try:
            return await self._publish(await self._own_records())
        except StoreError as error:
            log.error("our newest notices were not published: %s", error)
            return False

    async def _own_records(self) -> list[Record]:
        """Our head, our newest notices that fit, and drops of those that were taken back."""
        now_ms, device, machine = self._wall_ms(), self._device(), self._driver.machine
        own = DeviceKey(device.public)
        state = machine.holdings.logs.get(own)
        identity = machine.holdings.identities.get(self._own)
        if state is None or not state.spans or identity is None or identity.statement_of(own) is None:
            return []
        last = state.spans[-1]
        head = sign_head(identity, device, now_ms, last.high, last.high_id, now_ms + HEAD_LIFETIME_MS)
        records: list[Record] = [] if head is None else [head]
        newest = await self._store.run(own, max(last.low, last.high - NOTICES_MAX + 1), last.high, RUN_BYTES_MAX)
        newest = [entry for entry in newest if entry.time_ms + NOTICE_LIFETIME_MS > now_ms]  # what nobody would take
        said = {entry.id: payload.decode(entry.payload) for entry in newest if entry.payload is not None}
        readable = {row.id for row in await self._store.rows([entry.id for entry in newest])}
        for entry in newest:
            spoken = said.get(entry.id)
            if isinstance(spoken, Note | Boost) and entry.id not in readable:
                continue  # taken back, perhaps by another device of ours
            if isinstance(spoken, Delete) and spoken.of.device == own:
                records.append(sign_drop(device, spoken.of.seq, now_ms))
            if (record := notice_record(entry)) is not None:
                records.append(record)
        return records

    async def _publish(self, records: Sequence[Record]) -> bool:
        """Whether every record is held by somebody now."""
        if not records or not self._directory.size:
            return not records
        outcome = await self._directory.publish(records)
        log.debug("published %d records, held by %s", len(records), [one.holders for one in outcome])
        return all(one.holders for one in outcome)

    async def _reach_dht(self) -> None:
        while not self._directory.size:
            with trio.move_on_after(DHT_WAIT_S):
                await self._follow_news.wait()

    # --- what we hold ---

    async def _keep_announcing(self) -> None:
        """Announce ourselves as a replica of each feed that we hold, while there are not enough."""
        while True:
            await self._reach_dht()
            endpoint = self._announced_at()
            due = self._due_announcements() if endpoint is not None else []
            if endpoint is not None and due:
                async with trio.open_nursery() as nursery:
                    for identity in due:
                        nursery.start_soon(self._announce, identity, endpoint)
                continue
            with trio.move_on_after(LOOK_EVERY_S):
                await self._follow_news.wait()

    def _due_announcements(self) -> list[IdentityHash]:
        now_ms, holdings = self._wall_ms(), self._driver.machine.holdings
        for identity in [i for i in self._announce_at_ms if i not in holdings.interests]:
            del self._announce_at_ms[identity]
        due = (i for i in holdings.interests if self._announce_at_ms.get(i, 0) <= now_ms)
        held = (i for i in due if any(device in holdings.logs for device in holdings.devices(i)))
        return list(islice(held, WORKERS_MAX))

    async def _announce(self, identity: IdentityHash, endpoint: Endpoint) -> None:
        self._announce_at_ms[identity] = self._wall_ms() + AGAIN_MS
        alive = [record for record in await self._directory.find(replica_key(identity)) if isinstance(record, Replica)]
        if identity != self._own and len(alive) >= REPLICAS_WANTED:
            return
        expires_ms = self._wall_ms() + REPLICA_LIFETIME_MS
        if not await self._publish([sign_replica(self._node, identity, endpoint, expires_ms)]):
            self._announce_at_ms[identity] = self._wall_ms() + RETRY_MS

    # --- whom we lack ---

    async def _keep_searching(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await self._reach_dht()
                for identity in self._due_searches(trio.current_time()):
                    self._searches[identity].under_way = True
                    nursery.start_soon(self._search, identity)
                with trio.move_on_after(1.0):
                    await self._follow_news.wait()

    def _due_searches(self, now: float) -> list[IdentityHash]:
        """Feeds that no link leads to, those never found first."""
        machine = self._driver.machine
        for identity in [i for i in self._searches if i not in machine.holdings.interests]:
            if not self._searches[identity].under_way:
                del self._searches[identity]
        lacking = [identity for identity in machine.holdings.interests if not machine.sharing.cover(identity)]
        for identity in lacking:
            self._searches.setdefault(identity, Search(due=now))
        busy = sum(search.under_way for search in self._searches.values())
        due = [i for i in lacking if not self._searches[i].under_way and self._searches[i].due <= now]
        due.sort(key=lambda identity: identity in machine.holdings.identities)
        return due[: WORKERS_MAX - busy]

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
        records = await self._directory.find(replica_key(identity))
        told = [r for r in records if isinstance(r, Replica) and r.node != self._node.public]
        endpoints = tuple(sorted({r.address for r in told if isinstance(r.address, Endpoint)}))
        if endpoints:
            self._driver.feed(Candidates(endpoints, identity))
        return len(endpoints)

    async def _find_heads(self, identity: IdentityHash) -> None:
        """Nobody to ask: take the statements and the newest notices from the DHT itself."""
        records = await self._directory.find(head_key(identity))
        heads = sorted((record for record in records if isinstance(record, Head)), key=lambda head: head.device)
        if identity == self._own:
            self._on_own_heads(heads)
        for head in heads:
            if identity not in self._driver.machine.holdings.interests:
                return
            try:
                self._driver.feed(Learned(head.partial_identity()))
            except RemoteProtocolError as error:
                log.info("a head record contradicts what we hold: %s", error)
                continue
            await self._find_notices(identity, head)

    async def _find_notices(self, identity: IdentityHash, head: Head) -> None:
        held = self._driver.machine.holdings.high(head.device)
        found: list[Entry] = []

        async def fetch(seq: int) -> None:
            records = await self._directory.find(notice_key(head.device, seq))
            found.extend(record.entry for record in records if isinstance(record, Notice))

        async with trio.open_nursery() as nursery:
            for seq in range(max(held + 1, head.seq - NOTICES_MAX + 1), head.seq + 1):
                nursery.start_soon(fetch, seq)
        for stretch in stretches(found):
            self._take(identity, stretch)

    def _take(self, identity: IdentityHash, run: tuple[Entry, ...]) -> None:
        """Have a run stored, under the same rules as one from a link."""
        holdings = self._driver.machine.holdings
        device = run[0].device
        if identity not in holdings.interests or holdings.owners.get(device) != identity:
            return
        try:
            check_start(identity, run)
        except RemoteProtocolError as error:
            log.info("a log in the DHT was refused: %s", error)
            return
        if run[-1].seq <= holdings.last_wanted(device):
            self._driver.take_run(Batch(identity, run))


def stretches(entries: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """The unbroken stretches of some entries of one log, each with its own signature; the newest stretch first."""
    parts: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if parts and follow_one_another([parts[-1][-1], entry]):
            parts[-1].append(entry)
        elif not parts or entry.seq != parts[-1][-1].seq:
            parts.append([entry])
    return [tuple(part) for part in reversed(parts)]
