"""Writes our own log: every entry is on disk before anybody hears of it, and no number is ever signed twice.

A home can be copied and a disk can be rolled back. Two writers on one log would fork it, so before the first own entry
after a start we compare with peers and the DHT: whoever proves more of our log than we hold makes us open a new device
log. A fork that came about all the same, or a home that was found to be a copy, does the same.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

import trio

from p2pblog.core import payload as payloads
from p2pblog.core.entry import Entry, write
from p2pblog.core.identity import Identity, state_device
from p2pblog.core.keys import DeviceKey, EntryId, KeyPair
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart, Payload, Profile
from p2pblog.errors import BadChain
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.events import Learned, Stored
from p2pblog.gossip.messages import tip_of
from p2pblog.keyring import Keyring
from p2pblog.store import Store

log = logging.getLogger("p2pblog.author")

COMPARE_TIMEOUT_S = 5.0
"""How long a first entry may wait for others to show what they hold of our log."""


class Author:
    """The writer of one identity's log on this installation."""

    def __init__(
        self,
        keyring: Keyring,
        save: Callable[[Keyring], None],
        store: Store,
        driver: Driver,
        wall_ms: Callable[[], int],
        *,
        on_written: Callable[[Batch], None],
    ) -> None:
        self.keyring = keyring
        self.identity_hash = keyring.inception.identity
        self._save = save
        self._store = store
        self._driver = driver
        self._wall_ms = wall_ms
        self._on_written = on_written
        self._lock = trio.Lock()
        self._last: Entry | None = None
        self._awaited: set[str] = set()
        self._compared = trio.Event()
        self._compare_until = -float("inf")

    @property
    def device(self) -> DeviceKey:
        return DeviceKey(self.keyring.device.public)

    @property
    def identity(self) -> Identity:
        return self._driver.machine.holdings.identities[self.identity_hash]

    # --- beginning ---

    async def begin(self, compare_with: set[str]) -> None:
        """Take up our log where it stands, or begin one.

        `compare_with` names who must be heard before the first entry (see `heard`): nobody where we never had a peer.
        """
        if self.identity_hash not in self._driver.machine.holdings.identities:
            await self._learn(Identity(self.keyring.inception))
        self._last = await self._newest(self.device)
        if self._last is None:
            await self._begin_log()
            compare_with = set()
        else:
            await self._admit_device()
        self._awaited = set(compare_with)
        self._compare_until = trio.current_time() + COMPARE_TIMEOUT_S
        if not compare_with:
            self._compared.set()

    async def _admit_device(self) -> None:
        if self.device in self.identity.devices:
            return
        stated = state_device(
            self.keyring.root, self.keyring.device, self.identity_hash, self.identity.epoch, self.identity.next_counter
        )
        await self._learn(self.identity.merge([stated]))

    async def _learn(self, identity: Identity) -> None:
        await self._store.put_identity(identity)
        self._driver.feed(Learned(identity))

    async def _newest(self, device: DeviceKey) -> Entry | None:
        state = self._driver.machine.holdings.logs.get(device)
        if state is None or not state.spans:
            return None
        high = state.spans[-1].high
        entries = await self._store.run(device, high, high, 1)
        return entries[0] if entries else None

    async def _begin_log(self) -> None:
        """State the device, then write entry 1, which names the identity; after a failure it is tried again. The name
        that the person chose follows, unless an older log told it already."""
        await self._admit_device()
        await self._append_once(LogStart(self.identity_hash))
        known, _bio = await self._store.profile(self.identity_hash)
        if self.keyring.name and known is None and self._last is not None:
            await self._append_once(Profile(self.keyring.name))

    # --- comparing ---

    def heard(self, who: str) -> None:
        """One of those we waited for ("peers", "dht") has shown what it holds of our log."""
        self._awaited.discard(who)
        if not self._awaited and not self._is_claimed():
            self._compared.set()

    async def until_compared(self) -> None:
        """Our log was compared, or had nothing to be compared with, or nobody showed anything in time."""
        with trio.move_on_at(max(self._compare_until, trio.current_time())):
            await self._compared.wait()

    def proved_elsewhere(self, device: DeviceKey, seq: int, entry: EntryId) -> None:
        """Somebody proved this entry of a log. If it is ours and we did not write it, our log goes on elsewhere too."""
        if device != self.device or self._last is None or seq < self._last.seq or entry == self._last.id:
            return
        log.warning("our log goes on elsewhere (entry %d): this home was copied or put back", seq)
        self._leave_log()
        self._compared.set()

    def _leave_log(self) -> None:
        """From here on a new device writes; its key is on disk before anything else can happen."""
        self._keep(replace(self.keyring, device=KeyPair.from_seed(secrets.token_bytes(32))))
        self._last = None

    def _is_claimed(self) -> bool:
        """Whether a linked peer says that our log is longer, or another; what proves it, if real, is on its way."""
        sessions = self._driver.machine.sharing.sessions.values()
        clocks = [session.clocks[self.device] for session in sessions if self.device in session.clocks]
        seq, tip = (0, None) if self._last is None else (self._last.seq, tip_of(self._last.id))
        return any(clock.high > seq or (clock.high == seq and clock.tip not in (None, tip)) for clock in clocks)

    # --- writing ---

    async def write(self, payload: Payload) -> Entry:
        """Sign the payload as our next entry, store it durably and pass it on. Raises StoreError."""
        await self.until_compared()
        async with self._lock:
            if self._driver.machine.holdings.is_frozen(self.device):
                self._leave_log()
            try:
                return await self._append(payload)
            except BadChain:
                log.warning("another entry took our number: opening a new device log")
                self._leave_log()
                return await self._append(payload)

    async def _append(self, payload: Payload) -> Entry:
        while self._last is None:  # it may be left again while its first entries are stored
            await self._begin_log()
        return await self._append_once(payload)

    async def _append_once(self, payload: Payload) -> Entry:
        time_ms = self._wall_ms()
        entry = write(self.keyring.device, self._last, time_ms, payloads.encode(payload))
        batch = Batch(self.identity_hash, (entry,), newest=True)
        with trio.CancelScope(shield=True):  # who asked may go; an entry that may be on disk must not be forgotten
            (state,) = await self._store.append([batch], time_ms, durable=True)
            if entry.device == self.device:  # else the log was left meanwhile
                self._last = entry
            self._driver.feed(Stored(None, batch, state, live=True))
            self._on_written(batch)
        return entry

    def rename(self, name: str | None) -> None:
        """Keep the chosen name where `id` finds it without a daemon."""
        self._keep(replace(self.keyring, name=name))

    def _keep(self, keyring: Keyring) -> None:
        self._save(keyring)
        self.keyring = keyring
