"""Follows pointers: who answered, mentioned or quoted somebody, as the DHT tells; each entry is checked."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pblog.config import (
    POINTED_AGAIN_MS,
    POINTED_CROWDED,
    POINTED_EACH_MAX,
    POINTED_EVERY_S,
    POINTED_NOTICES,
    POINTED_S,
    POINTED_VAIN_MAX,
)
from p2pblog.core.logs import Located
from p2pblog.dht.records import DhtKey, Pointer, Record, head_key, notice_key, pointer_key
from p2pblog.errors import StoreError
from p2pblog.gossip.driver import Driver
from p2pblog.rendezvous.single import in_turn, pointed_in
from p2pblog.store import Store, TimelineQuery

log = logging.getLogger("p2pblog.rendezvous")

SOON_MS = 30_000
"""When a pointer that led to nothing is followed again: heads wait ten seconds, so that of who is new here may come
after it."""
LATER = 4
"""Each time that it leads to nothing again, the wait is so many times as long."""

LookUp = Callable[[DhtKey], Awaitable[Sequence[Record]]]


class Pointed:
    """Looks at targets. `look_up` gives the valid records under a key of the DHT; `can_look`: whether anybody is known
    there. What led to nothing is remembered and comes after all else, so that lies don't keep the rest from having its
    turn; it is tried again ever later, for who is new here may point before others can prove whose device it is."""

    def __init__(
        self,
        look_up: LookUp,
        can_look: Callable[[], bool],
        store: Store,
        driver: Driver,
        wall_ms: Callable[[], int],
    ) -> None:
        self._look_up = look_up
        self._can_look = can_look
        self._store = store
        self._driver = driver
        self._wall_ms = wall_ms
        self._met = trio.Event()
        self._told = 0
        """How many pointers the last look at our identity found."""
        self._vain: dict[Pointer, tuple[int, int]] = {}
        """When each pointer that led to nothing may be followed again, and how long it waits until then, in ms."""

    async def find(self, target: bytes, limit: int) -> list[Located]:
        """At most `limit` entries that refer to the target (32 bytes) and are not held, checked; within POINTED_S, and
        none by those who are blocked or by ourselves. Raises StoreError."""
        found: list[Located] = []
        if not self._can_look():
            return found

        async def follow(pointer: Pointer) -> None:
            located = await self._follow(pointer)
            if located is not None:
                found.append(located)
            else:
                self._remember_vain(pointer)

        with trio.move_on_after(POINTED_S):
            told = await self._look_up(pointer_key(target))
            pointers = [record for record in told if isinstance(record, Pointer) and record.target == target]
            if target == self._driver.machine.holdings.own:
                self._told = len(pointers)
            turns = in_turn(pointers, self._driver.machine.membership.rng)
            worthy = await self._worth_following(turns, limit)
            async with trio.open_nursery() as nursery:
                for pointer in worthy:
                    nursery.start_soon(follow, pointer)
        return found

    async def _worth_following(self, pointers: Sequence[Pointer], limit: int) -> list[Pointer]:
        holdings, now_ms = self._driver.machine.holdings, self._wall_ms()
        worthy: list[Pointer] = []
        for pointer in sorted(pointers, key=lambda pointer: pointer in self._vain):
            if len(worthy) == limit:
                break
            is_unwanted = pointer.author == holdings.own or pointer.author in holdings.blocked
            if is_unwanted or self._is_vain(pointer, now_ms):
                continue
            if await self._store.id_at(pointer.device, pointer.seq) is None:
                worthy.append(pointer)
        return worthy

    async def _follow(self, pointer: Pointer) -> Located | None:
        """The notice and what proves whose it is, at once."""
        heads, notices = await look_up_both(
            self._look_up, head_key(pointer.author), notice_key(pointer.device, pointer.seq)
        )
        return pointed_in(pointer, heads, notices, self._driver.machine.holdings.own)

    def _is_vain(self, pointer: Pointer, now_ms: int) -> bool:
        """A clock that was put back must not keep it from being followed until it has caught up."""
        again_ms, wait_ms = self._vain.get(pointer, (0, 0))
        return now_ms < again_ms <= now_ms + wait_ms

    def _remember_vain(self, pointer: Pointer) -> None:
        _again_ms, waited_ms = self._vain.pop(pointer, (0, 0))
        wait_ms = min(waited_ms * LATER, POINTED_AGAIN_MS) or SOON_MS
        self._vain[pointer] = self._wall_ms() + wait_ms, wait_ms
        if len(self._vain) > POINTED_VAIN_MAX:
            del self._vain[next(iter(self._vain))]

    # --- what is said to ourselves ---

    def on_met(self) -> None:
        """Somebody is known in the DHT."""
        self._met.set()

    async def keep_looking(self) -> None:
        """Each POINTED_EVERY_S, and at first as soon as somebody is known, take what strangers say to our person."""
        await self._met.wait()
        while True:
            try:
                await self._look()
            except StoreError as error:
                log.error("what others say to us was not looked for: %s", error)
            await trio.sleep(POINTED_EVERY_S)

    async def _look(self) -> None:
        """Where many answer, there is no room for more under our identity, but under our notices there is."""
        own = self._driver.machine.holdings.own
        await self._take(own)
        if self._told >= POINTED_CROWDED:
            for row in await self._store.timeline(TimelineQuery(POINTED_NOTICES, identities=(own,))):
                await self._take(row.id)

    async def _take(self, target: bytes) -> None:
        for located in await self.find(target, POINTED_EACH_MAX):
            self._driver.take_stray(located)


async def look_up_both(look_up: LookUp, one: DhtKey, other: DhtKey) -> tuple[Sequence[Record], Sequence[Record]]:
    """The records under two keys, asked for at once."""
    found: dict[DhtKey, Sequence[Record]] = {}

    async def find(key: DhtKey) -> None:
        found[key] = await look_up(key)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(find, one)
        nursery.start_soon(find, other)
    return found[one], found[other]
