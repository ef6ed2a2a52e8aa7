"""Keeps a node below the cap that its person has set: looks how full it is, and has old entries of others dropped.

What goes first is core/room.py's to say. A log is cut in its turn among all that waits for the store, 64 entries at a
time, so that no write waits long. While the store is over its cap, gossip asks for no history.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import trio

from p2pblog.config import ANSWERED_LATELY_MAX, FILES_KEPT_BYTES_MAX, NEWEST_FIRST, ROOM_CHECK_S, RUN_BYTES_MAX
from p2pblog.core.keys import IdentityHash
from p2pblog.core.quiet import MuteKind
from p2pblog.core.room import Closeness, Cut, Share, closeness, files_max_of, target_of
from p2pblog.core.value import Value
from p2pblog.errors import StoreDamaged, StoreError
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.room_events import LiftFloors, Pruned, PruneLog, RoomChanged
from p2pblog.pruning import Pruning
from p2pblog.signals import Signal
from p2pblog.store import CONFIG, Follow, Store
from p2pblog.store.meaning import meaning_of

log = logging.getLogger("p2pblog.room")

RETRY_S = 30.0
"""How soon a store that failed, or of which nothing more may go, is looked at again."""
LOOK_AGAIN_S = 30.0
"""How soon it is looked again though nothing came: words are indexed behind what came, and fill the disk, too."""
LIFT_PATIENCE_S = 2.0
"""How long who lifts what was pruned waits for a store that is behind or takes nothing; a guess."""
STRAYS_AT_ONCE = 64
"""Strays that are looked at in one transaction."""
PAGES_AT_ONCE = 256
"""Pages given back to the disk in one transaction: a megabyte."""
FREE_PART = 8
"""Free pages are given back where they are more than so large a part of what is used; else they are soon used again."""


class Fullness(Value):
    """Bytes that the database and files take up, and entries that went to save room."""

    used: int
    pruned: int


def _read(value: bytes) -> int | None:
    return int(value) if value else None


class Room:
    """The settings about room, and the task that keeps to them."""

    def __init__(
        self,
        own: IdentityHash,
        store: Store,
        driver: Driver,
        follows: Mapping[IdentityHash, Follow],
        is_muted: Callable[[MuteKind, bytes], object],
        settings: Mapping[str, bytes],
        try_dms: Callable[[], Awaitable[None]],
    ) -> None:
        """`is_muted`: gives the mute in force, if there is one. `try_dms`: sets aside what is for others."""
        self._own = own
        self._store = store
        self._driver = driver
        self._follows = follows
        self._is_muted = is_muted
        self._try_dms = try_dms
        self._set = {name: _read(value) for name, value in settings.items() if name.startswith(CONFIG)}
        self._changed = Signal()
        self._is_due = True

    # --- settings ---

    def setting(self, key: str, default: int | None) -> int | None:
        return self._set.get(CONFIG + key, default)

    async def put_setting(self, key: str, size: int | None) -> None:
        await self._store.put_setting(CONFIG + key, b"" if size is None else str(size).encode())
        await self._take_settings({**self._set, CONFIG + key: size})

    async def drop_setting(self, key: str) -> None:
        await self._store.put_setting(CONFIG + key, None)
        await self._take_settings({name: size for name, size in self._set.items() if name != CONFIG + key})

    async def _take_settings(self, after: dict[str, int | None]) -> None:
        """A higher cap, or none, makes what was pruned wanted again: there is room for it."""
        before = self.store_max
        self._set = after
        await self._driver.blobs.limit(self.files_max)
        if before is not None and (self.store_max is None or self.store_max > before):
            await self._lift(LiftFloors())
            self._driver.feed(RoomChanged(False))
        self._is_due = True
        self._changed.set()

    @property
    def store_max(self) -> int | None:
        return self.setting("store.max", None)

    @property
    def files_max(self) -> int | None:
        return files_max_of(self.setting("files.max", FILES_KEPT_BYTES_MAX), self.store_max)

    # --- the task ---

    def on_stored(self) -> None:
        """More is held."""
        self._is_due = True
        self._changed.set()

    async def run(self) -> None:
        """Look again whenever more was stored, and now and then, for ever."""
        await self._begin()
        while True:
            while self.store_max is None:
                await self._changed.wait()
            with trio.move_on_after(LOOK_AGAIN_S):
                while not self._is_due:
                    await self._changed.wait()
            self._is_due = False
            try:
                await trio.sleep(ROOM_CHECK_S if await self._make_room() else RETRY_S)
            except StoreError as error:
                log.error("no room could be made, trying again in %d s: %s", RETRY_S, error)
                self._is_due = True
                await trio.sleep(RETRY_S)

    async def _begin(self) -> None:
        """What was set last holds, though the node may have been killed before it did all that follows from it."""
        try:
            await self._driver.blobs.limit(self.files_max)
            if self.store_max is None and (await self._store.usage()).pruned:
                await self._lift(LiftFloors())
        except StoreError as error:
            log.error("files of others may take more room than was set: %s", error)

    async def fullness(self) -> Fullness:
        usage = await self._store.usage()
        return Fullness(usage.used + await self._driver.blobs.used(), usage.pruned)

    async def lift(self, identity: IdentityHash) -> None:
        """What was pruned of somebody is wanted again: they are followed anew."""
        if (await self._store.usage()).pruned:
            await self._lift(LiftFloors(identity))

    async def _lift(self, floors: LiftFloors) -> None:
        """Who asked has an answer though the disk takes nothing now: it is carried out when it does."""
        with trio.move_on_after(LIFT_PATIENCE_S):
            await self._driver.carry_out(floors)

    async def _make_room(self) -> bool:
        """Whether the node is below its cap now."""
        files = await self._driver.blobs.used()
        if not await self._is_over(self.store_max, files):
            if self._driver.machine.holdings.is_full:  # what was in the way went otherwise, as by a block
                self._driver.feed(RoomChanged(False))
            return True
        self._driver.feed(RoomChanged(True))
        try:
            await self._try_dms()
        except StoreDamaged as error:  # those for others stay for now
            log.error("direct messages were not tried before room is made: %s", error)
        plan, strays_kept = await self._plan(), 0
        while self.store_max is not None and await self._is_over(target_of(self.store_max), files):
            due = plan.next()
            if due is None:
                break  # what is left may not go
            try:
                if due[1].device is None:
                    strays_kept = await self._cut_strays(plan, due[0], strays_kept)
                else:
                    await self._cut(plan, *due)
            except StoreDamaged as error:  # it is cut no more, and the next one is
                log.error("what is damaged makes no room: %s", error)
        await self._give_back()
        is_full = await self._is_over(self.store_max, files)
        self._driver.feed(RoomChanged(is_full))
        if is_full:
            log.warning("the node is above its cap, and nothing more of others may go: p2pblog status")
        return not is_full

    async def _is_over(self, bytes_max: int | None, files: int) -> bool:
        return bytes_max is not None and files + (await self._store.usage()).used > bytes_max

    async def _cut(self, plan: Pruning, share: Share, cut: Cut) -> None:
        assert cut.device is not None
        for event in await self._driver.carry_out(PruneLog(cut.device, cut.up_to)):
            if isinstance(event, Pruned) and event.oldest_ms is not None:
                plan.cut(share, event.state.spans[0].low, event.oldest_ms)

    async def _cut_strays(self, plan: Pruning, share: Share, passed: int) -> int:
        kept, dropped = await self._store.prune_strays(passed, STRAYS_AT_ONCE)
        if kept + dropped == STRAYS_AT_ONCE:
            plan.cut(share, 0, 0)
        return passed + kept

    async def _give_back(self) -> None:
        usage = await self._store.usage()
        free = usage.free
        while free > usage.used // FREE_PART:
            left = await self._store.give_back(PAGES_AT_ONCE)
            if left >= free:
                return
            free = left

    # --- what takes up room, and how near it is ---

    async def _plan(self) -> Pruning:
        shares = [Share(None, Closeness.STRAY, 0, 0, 0)]
        listed, answered = set(await self._store.listed()), await self._answered()
        relayed = self._driver.machine.holdings.relayed
        for bottom in await self._store.bottoms():
            whose = bottom.identity
            if whose == self._own:
                continue
            is_muted = self._is_muted(MuteKind.PERSON, whose) is not None
            near = closeness(whose in self._follows, is_muted, whose in listed, whose in answered)
            stays = NEWEST_FIRST if whose in relayed else 0 if near == Closeness.STRANGER else 1
            shares.append(Share(bottom.device, near, bottom.low, bottom.high, bottom.oldest_ms, stays))
        return Pruning.of(shares)

    async def _answered(self) -> set[IdentityHash]:
        """To whom our own devices' latest entries are said."""
        said: set[IdentityHash] = set()
        holdings = self._driver.machine.holdings
        for device in holdings.devices(self._own):
            state = holdings.logs.get(device)
            newest = state.spans[-1] if state is not None and state.spans else None
            seq = 0 if newest is None else max(newest.low, newest.high - ANSWERED_LATELY_MAX + 1)
            while newest is not None and seq <= newest.high:
                try:
                    entries = await self._store.run(device, seq, newest.high, RUN_BYTES_MAX)
                except StoreDamaged as error:  # fewer are spared, and room is made all the same
                    log.error("to whom we said something lately can't be read: %s", error)
                    break
                if not entries:
                    break
                for entry in entries:
                    said.update(meaning_of(entry.payload).to)
                seq = entries[-1].seq + 1
        return said
