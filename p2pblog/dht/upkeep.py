"""What a DHT node does by the clock: keep its neighbours, begin again where it knows nobody, store records again.

It decides what is due and has the server do it. Of those who left the table it remembers some: without them a node
whose line was down for a while would have nobody to begin again from, and two parts of a network that was split for a
quarter of an hour would never hear of each other again, as each has contacts enough.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from p2pblog.config import (
    DHT_BOOTSTRAPS_MAX,
    DHT_GONE_CONTACTS_MAX,
    DHT_NEIGHBOURS_EVERY_MS,
    DHT_RESTORE_EVERY_MS,
    DHT_RESTORES_PER_TURN,
    DHT_STATE_CONTACTS_MAX,
    DHT_UPKEEP_EVERY_S,
    HEAD_LIFETIME_MS,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import digest
from p2pblog.dht.contacts import Contact, is_over
from p2pblog.dht.records import DhtKey, Replica, Retired
from p2pblog.dht.shelf import TAG_BYTES, Held

if TYPE_CHECKING:
    from p2pblog.dht.server import GuardedServer

RESTORED_AT_ONCE = 32
"""Records of one key: all 128 that it may have, at two dozen holders each, would be 3,000 datagrams in a row."""
KEYS_AT_ONCE = 64
"""Keys that are looked at before the loop's other work has its turn: some 10 ms of the two seconds of a full store."""
NOT_OURS_MS = DHT_NEIGHBOURS_EVERY_MS
"""How long a key that belongs to others is not looked at: the neighbours by whom we know it are found so often."""
UNHEARD_AGAIN_MS = DHT_NEIGHBOURS_EVERY_MS
"""When it is tried again to store what nobody said anything about: our line may have been down. In the turns between
others have theirs, or a few liars who hear stores and don't answer would keep them waiting for ever."""
TAKES_A_PLACE = 0.1
"""How many of those who leave the table take the place of one who left before (a guess: see `Upkeep._remembered`)."""
SOON_OVER_MS = 60_000
"""What expires so soon is not stored again: it would be over on its way, which looks as if our clock were wrong."""


class Upkeep:
    """The upkeep of one server. `clock` gives milliseconds since 1970."""

    def __init__(self, server: GuardedServer, clock: Callable[[], int], rng: random.Random) -> None:
        self._server = server
        self._clock = clock
        self._rng = rng
        self._bootstraps: dict[Endpoint, None] = {}
        self._met: list[Contact] = []
        self._left: list[Contact] = []
        self._neighbours_ms = clock()
        self._few_wait_ms = 0
        self._few_since_ms = 0
        self._restored: dict[bytes, tuple[int, int]] = {}
        """By tag, when a record was last stored again, and for how long that is enough, both in ms."""
        self._not_ours: dict[DhtKey, int] = {}
        """Keys with records that were due, but belong to others, and when that was seen."""

    # --- whom to begin from ---

    def remember(self, endpoints: list[Endpoint]) -> None:
        """Begin again from these where few are known; of too many the first go."""
        self._bootstraps |= dict.fromkeys(endpoints)
        while len(self._bootstraps) > DHT_BOOTSTRAPS_MAX:
            del self._bootstraps[next(iter(self._bootstraps))]

    def recall(self, contacts: list[Contact]) -> None:
        """These were met in an earlier life; who of them does not answer counts as one who left the table."""
        self._met = contacts

    def met(self) -> list[Contact]:
        """Whom to begin from at the next start: the contacts of the table, nearest first, then some of those who left
        it. An empty table leaves the last ones that there were."""
        router = self._server.protocol.router
        if router.size:
            self._left = self._remembered(self._gone())
            near = router.nearest(self._server.protocol.id, DHT_STATE_CONTACTS_MAX - len(self._left))
            self._met = near + self._left
        return self._met

    def _remembered(self, gone: list[Contact]) -> list[Contact]:
        """Of those who left the table some. Once the places are taken, one in ten who leave takes somebody's, by lot:
        in a split so many leave at once that some of them are remembered, and however many come and go afterwards,
        they are forgotten slowly, half of them after 140 others."""
        known, before = set(gone), set(self._left)
        kept = [contact for contact in self._left if contact in known]
        new = [contact for contact in gone if contact not in before]
        for contact in self._rng.sample(new, len(new)):
            if len(kept) < DHT_GONE_CONTACTS_MAX:
                kept.append(contact)
            elif self._rng.random() < TAKES_A_PLACE:
                kept[self._rng.randrange(len(kept))] = contact
        return kept

    def _gone(self) -> list[Contact]:
        """Those we met who are not in the table."""
        return [contact for contact in self._met if self._server.protocol.router.get(contact.id) is None]

    # --- a turn ---

    async def turn(self) -> None:
        """What is due by the clock: expiry, a walk to our own id and into forgotten buckets, storing again."""
        server, now_ms = self._server, self._clock()
        router = server.protocol.router
        await self._expire(now_ms)
        await self._look_for_more(now_ms)
        if is_over(self._neighbours_ms, now_ms, DHT_NEIGHBOURS_EVERY_MS):
            self._neighbours_ms = now_ms
            for contact in router.nearest(server.protocol.id, server.ksize):
                server.protocol.check_contact(contact)
            await server.look_around()
            await self._look_beyond()
        for target in router.lonely_targets(now_ms, self._rng):
            await server.find_nodes(target)
        await self.store_again(now_ms)

    async def _expire(self, now_ms: int) -> None:
        store = self._server.protocol.storage.store
        async for key in self._in_slices(store.all_keys()):
            store.expire(key, now_ms)

    async def _in_slices(self, keys: list[DhtKey]) -> AsyncIterator[DhtKey]:
        """All of these; the loop's other work has its turn between. Somebody may have filled the store."""
        for number, key in enumerate(keys, 1):
            if number % KEYS_AT_ONCE == 0:
                await self._server.let_others_go_on()
            yield key

    async def _look_for_more(self, now_ms: int) -> None:
        """With fewer than k contacts we may be nearly cut off, and what we publish reaches nobody: a walk of which most
        was lost leaves a table of one or two. So we begin again, at every turn while nobody is there, else ever more
        seldom, for there may be no more than these. Guests don't count: one host may be all of them."""
        server, size = self._server, self._server.size
        self.met()
        if size - len(server.protocol.router.guests()) >= server.ksize:
            self._few_wait_ms = 0
            return
        if size and not is_over(self._few_since_ms, now_ms, self._few_wait_ms):
            return
        self._few_wait_ms = min(DHT_NEIGHBOURS_EVERY_MS, max(int(DHT_UPKEEP_EVERY_S * 1000), 2 * self._few_wait_ms))
        self._few_since_ms = now_ms
        gone = [contact.endpoint for contact in self._gone()]
        if not await server.greet([*self._bootstraps, *gone]) and server.protocol.router.size:
            await server.look_around()

    async def _look_beyond(self) -> None:
        """Try somebody from whom we began, and somebody who left the table. All who were there when the network was
        split do so, two calls each, and the first who is heard again has them meet."""
        here = {contact.endpoint for contact in self._server.protocol.router.contacts()}
        begun = [endpoint for endpoint in self._bootstraps if endpoint not in here]
        gone = [contact.endpoint for contact in self._gone()]
        await self._server.look_beyond([self._rng.choice(some) for some in (begun, gone) if some])

    # --- storing again ---

    async def store_again(self, now_ms: int) -> None:
        """The unchanged signed bytes of what nobody stored here for long, if the key still belongs to us. A replica
        announces itself: from anybody else it would be refused. While nobody is there, nothing is."""
        self._restored = {
            tag: (at, wait) for tag, (at, wait) in self._restored.items() if not is_over(at, now_ms, wait)
        }
        if not self._server.size:
            return
        due = await self._due_here(now_ms)
        for _, key, items in sorted(due, key=lambda item: item[:2])[:DHT_RESTORES_PER_TURN]:
            for first in range(0, len(items), RESTORED_AT_ONCE):
                await self._store_these_again(key, items[first : first + RESTORED_AT_ONCE], now_ms)

    async def _due_here(self, now_ms: int) -> list[tuple[int, DhtKey, list[Held]]]:
        """Since when a key that belongs to us has records that are due, the key, and these in our own order."""
        store, due, before = self._server.protocol.storage.store, [], self._not_ours
        self._not_ours = {}
        async for key in self._in_slices(store.all_keys()):
            seen_ms = before.get(key)
            if seen_ms is not None and not is_over(seen_ms, now_ms, NOT_OURS_MS):
                self._not_ours[key] = seen_ms
                continue
            items = [item for item in store.get(key, now_ms) if self._is_due(item, now_ms)]
            if items and self._server.belongs_here(key):
                due.append((min(item.stored_ms for item in items), key, sorted(items, key=self._turn_of)))
            elif items:
                self._not_ours[key] = now_ms
        return due

    async def _store_these_again(self, key: DhtKey, items: list[Held], now_ms: int) -> None:
        """What is stored by now has its time here, too. What others refuse they will refuse for a while; what none of
        them said anything about may not have reached them."""
        machine = await self._server.store_at_nearest(key, [item.record for item in items])
        for index, item in enumerate(items):
            self._restored[item.tag] = now_ms, DHT_RESTORE_EVERY_MS if machine.is_judged(index) else UNHEARD_AGAIN_MS
            if machine.holders(index) and not isinstance(item.record, Retired):  # our own word does not prolong it
                self._server.protocol.storage.store.touch(item, self._clock())

    def _turn_of(self, item: Held) -> bytes:
        """Of pointers a newcomer takes some from each of us, so each offers them in an order of its own."""
        return digest(self._server.protocol.id + item.tag, size=TAG_BYTES)

    def _is_due(self, item: Held, now_ms: int) -> bool:
        """Each by itself: where somebody points at a target every few hours, what others said there is due as well. A
        retirement has no expiry, so two holders could keep it alive between them for ever; after its time it is left to
        whoever cares for it, and to holders who came later."""
        if isinstance(item.record, Replica) or item.tag in self._restored or item.expires_ms < now_ms + SOON_OVER_MS:
            return False
        if isinstance(item.record, Retired) and now_ms - item.first_ms >= HEAD_LIFETIME_MS:
            return False
        return is_over(item.stored_ms, now_ms, DHT_RESTORE_EVERY_MS)
