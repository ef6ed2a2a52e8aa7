"""The rendezvous driver: the DHT, the store, the gossip driver and an alarm, around the machine that decides."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from p2pblog.core.address import Endpoint
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import Batch, Located
from p2pblog.core.payload import Ref
from p2pblog.dht import Directory, Early
from p2pblog.dht.records import DhtKey, Dropped, Head, Record, head_key, notice_key
from p2pblog.errors import StoreError
from p2pblog.gossip.driver import Driver
from p2pblog.rendezvous.events import (
    Effect,
    Event,
    FindRecords,
    Followed,
    Found,
    FoundFirst,
    KeepPointed,
    LinksChanged,
    LinksLost,
    LoadOwn,
    LoadUnpointed,
    Met,
    OwnHeads,
    OwnLoaded,
    OwnLogCompared,
    PeersGiven,
    PublishedTo,
    PublishRecords,
    Reachable,
    Refused,
    Replicas,
    Started,
    StoredOf,
    TakeRun,
    TellGossip,
    Unpointed,
    Wake,
    Woken,
)
from p2pblog.rendezvous.machine import Rendezvous
from p2pblog.rendezvous.pointed import Pointed, look_up_both
from p2pblog.rendezvous.reader import keep_pointed, load_own, load_unpointed
from p2pblog.rendezvous.single import LATER_READ_DROPPED_MAX, LATER_READ_MAX, entry_in, later_in, later_places
from p2pblog.rendezvous.visiting import Visiting
from p2pblog.signals import Signal
from p2pblog.store import KnownPeer, Store

log = logging.getLogger("p2pblog.rendezvous")

FINDS_MAX = 32
"""Look-ups of ours that cross to the DHT at once: as many as it has under way (config.DHT_LOOKUPS_MAX)."""


class Meeting:
    """Runs one machine; `run` keeps it going, the other methods say what has changed."""

    def __init__(
        self,
        machine: Rendezvous,
        directory: Directory,
        store: Store,
        driver: Driver,
        wall_ms: Callable[[], int],
        *,
        until_compared: Callable[[], Awaitable[None]],
        on_own_heads: Callable[[Sequence[Head]], None],
    ) -> None:
        self.machine = machine
        self._directory = directory
        self._store = store
        self._driver = driver
        self._wall_ms = wall_ms
        self._until_compared = until_compared
        self._on_own_heads = on_own_heads
        self._finds = trio.CapacityLimiter(FINDS_MAX)
        self._pointed = Pointed(self._look_up, lambda: self._directory.size > 0, store, driver, wall_ms)
        self._visiting = Visiting(self._look_up, driver)
        self._wake_at = float("inf")
        self._wake_set = Signal()
        self._nursery: trio.Nursery | None = None

    @property
    def dht_nodes(self) -> int:
        return self._directory.size

    async def run(self) -> None:
        """Compare, publish, announce and search until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                self.feed(Started())
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._watch_links)
                nursery.start_soon(self._pointed.keep_looking)
                nursery.start_soon(self._visiting.keep_visiting)
                await self._until_compared()
                self.feed(OwnLogCompared())
                await trio.sleep_forever()
            finally:
                self._nursery = None  # what ends now, links above all, must start nothing any more

    def feed(self, event: Event) -> None:
        """The one door: decide, then start what was decided. Nothing is while the node is not at work: when it begins,
        the machine sees for itself."""
        if self._directory.size:
            self._pointed.on_met()
        for known in (Met(self._directory.size), event):
            if self._nursery is not None:
                for effect in self.machine.handle(known, trio.current_time(), self._wall_ms()):
                    self._perform(effect, self._nursery)

    # --- what has changed ---

    def on_stored(self, batch: Batch) -> None:
        """A batch of ours, or of somebody who is followed, is on disk."""
        self.feed(StoredOf(batch.identity))

    def on_followed(self, identity: IdentityHash) -> None:
        """The person follows an identity, of which the gossip machine knows."""
        self.feed(Followed(identity))

    def on_reachable(self, endpoint: Endpoint | None) -> None:
        """Others reach this node there now, or nowhere."""
        self.feed(Reachable(endpoint))

    def on_links_lost(self) -> None:
        """Half of the gossip links are gone, or seem so."""
        self.feed(LinksLost())

    async def remember(self, endpoints: Sequence[Endpoint]) -> None:
        """Keep endpoints that a person gave, and let the DHT meet them."""
        now = self._wall_ms()
        try:
            await self._store.put_peers([KnownPeer(str(endpoint), None, now) for endpoint in endpoints])
        except StoreError as error:
            log.error("peers were not remembered: %s", error)
        await self.meet(endpoints)

    async def meet(self, endpoints: Sequence[Endpoint]) -> None:
        """Let the DHT meet them."""
        await self._directory.add_contacts(endpoints)
        self.feed(PeersGiven())

    async def find_entry(self, ref: Ref) -> Located | None:
        """One entry that something refers to, if its author published it lately; checked as one from a link is."""
        if not self._directory.size:
            return None
        heads, notices = await look_up_both(self._look_up, head_key(ref.identity), notice_key(ref.device, ref.seq))
        return entry_in(ref, heads, notices)

    async def find_later(self, ref: Ref, *, thorough: bool) -> list[Located]:
        """What its author said since of an entry, deletes and edits, as far as it stands among the newest entries that
        each device has published; checked as what comes from a link is. Unless it is `thorough`, only if a drop lies
        where the entry did."""
        if not self._directory.size:
            return []
        heads, notices = await look_up_both(self._look_up, head_key(ref.identity), notice_key(ref.device, ref.seq))
        is_dropped = any(isinstance(record, Dropped) for record in notices)
        if not is_dropped and not thorough:
            return []
        found: list[Record] = []

        async def look_up(device: DeviceKey, seq: int) -> None:
            found.extend(await self._look_up(notice_key(device, seq)))

        async with trio.open_nursery() as nursery:
            for device, seq in later_places(ref, heads, LATER_READ_DROPPED_MAX if is_dropped else LATER_READ_MAX):
                nursery.start_soon(look_up, device, seq)
        return later_in(ref, heads, found)

    async def find_pointed(self, target: bytes, limit: int) -> list[Located]:
        """At most `limit` entries that refer to the target (32 bytes: an entry's id, an identity's hash) and are not
        held yet, as pointers lead to them; checked as those from a link are. Within config.POINTED_S. Raises
        StoreError."""
        return await self._pointed.find(target, limit)

    async def _look_up(self, key: DhtKey, early: Early | None = None, twice_named: bool = False) -> list[Record]:
        async with self._finds:
            return await self._directory.find(key, early=early, twice_named=twice_named)

    async def _watch_links(self) -> None:
        while True:
            await self._driver.links_changed.wait()
            self.feed(LinksChanged())

    # --- effects ---

    def _perform(self, effect: Effect, nursery: trio.Nursery) -> None:
        match effect:
            case FindRecords():
                nursery.start_soon(self._find, effect)
            case PublishRecords():
                nursery.start_soon(self._publish, effect)
            case LoadOwn():
                nursery.start_soon(self._load_own, effect)
            case LoadUnpointed():
                nursery.start_soon(self._load_unpointed, effect)
            case KeepPointed():
                nursery.start_soon(self._keep_pointed, effect)
            case TellGossip(event):
                self._driver.feed(event)
            case TakeRun(batch):
                self._driver.take_run(batch)
            case OwnHeads(heads):
                self._on_own_heads(heads)
            case Refused(identity, error):
                log.info("what the DHT says of %s was refused: %s: %s", identity.hex()[:10], error.name, error)
            case Wake(at):
                self._wake_at = at
                self._wake_set.set()

    async def _find(self, effect: FindRecords) -> None:
        query = effect.query
        early = partial(self._hear_first, query.identity) if isinstance(query, Replicas) else None
        records = await self._look_up(effect.key, early, effect.twice_named)
        self.feed(Found(query, tuple(records)))

    def _hear_first(self, identity: IdentityHash, records: Sequence[Record]) -> None:
        """In a task of our own: what is called from the other side of the bridge must not raise."""
        if self._nursery is not None:
            self._nursery.start_soon(self._feed_soon, FoundFirst(identity, tuple(records)))

    async def _feed_soon(self, event: Event) -> None:
        self.feed(event)

    async def _publish(self, effect: PublishRecords) -> None:
        told = PublishedTo.told(effect.offering, await self._directory.publish(effect.records))
        log.debug("published %d records, held by %s", len(effect.records), told.holders)
        self.feed(told)

    async def _load_own(self, effect: LoadOwn) -> None:
        try:
            loaded = await load_own(self._store, effect)
        except StoreError as error:
            log.error("our newest notices were not published: %s", error)
            loaded = OwnLoaded(effect.device, None)
        self.feed(loaded)

    async def _load_unpointed(self, effect: LoadUnpointed) -> None:
        try:
            loaded = await load_unpointed(self._store, effect)
        except StoreError as error:
            log.error("no pointers to our newest notices were published: %s", error)
            loaded = Unpointed(effect.device, effect.last, None)
        self.feed(loaded)

    async def _keep_pointed(self, effect: KeepPointed) -> None:
        try:
            await keep_pointed(self._store, effect)
        except StoreError as error:
            log.error("pointers will be published again at the next start: %s", error)

    async def _keep_time(self) -> None:
        while True:
            if trio.current_time() >= self._wake_at:
                self._wake_at = float("inf")
                self.feed(Woken())
            with trio.move_on_at(self._wake_at):
                await self._wake_set.wait()
