"""Writes our own log: every entry is on disk before anybody hears of it. `pen.py` decides what is written, and when."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

import trio

from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Payload
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, StoreDamaged, UserError
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.events import Learned, Stored
from p2pblog.keyring import Keyring
from p2pblog.pen import Admit, Append, NewDevice, Pen
from p2pblog.signals import Signal
from p2pblog.store import Store

log = logging.getLogger("p2pblog.author")

SEED_BYTES = 32
"""Randomness of a new device key: an Ed25519 seed."""


class Author:
    """The writer of one identity's log on this installation: the pen, with the store, the key file and the gossip
    driver around it."""

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
        machine = driver.machine
        self.pen = Pen(
            keyring.root,
            keyring.inception,
            keyring.device,
            machine.holdings,
            machine.sharing,
            lambda: secrets.token_bytes(SEED_BYTES),
        )
        self._save = save
        self._store = store
        self._driver = driver
        self._wall_ms = wall_ms
        self._on_written = on_written
        self._lock = trio.Lock()
        self._comparing = Signal()

    @property
    def identity_hash(self) -> IdentityHash:
        return self.pen.identity_hash

    @property
    def device(self) -> DeviceKey:
        return self.pen.device_key

    # --- beginning ---

    async def begin(self, compare_with: set[str]) -> None:
        """Take up our log where it stands, or begin one. `compare_with`: see `Pen.begin`. Where the database is damaged
        so that nothing can be written, all can be read and exported; whoever posts hears of it."""
        self.pen.begin(await self._newest(), compare_with, trio.current_time())
        try:
            await self._open()
        except StoreDamaged as error:
            log.error("our log can't be written: %s", error)

    async def _open(self) -> None:
        await self._write(None)
        await self._tell_name()  # a start may have ended between the first entry and the name
        if self.pen.is_compared:  # else it goes before what is written next
            await self._write(None)

    async def _newest(self) -> Entry | None:
        state = self._driver.machine.holdings.logs.get(self.device)
        if state is None or not state.spans:
            return None
        high = state.spans[-1].high
        entries = await self._store.run(self.device, high, high, 1)
        return entries[0] if entries else None

    # --- comparing ---

    def heard_dht(self) -> None:
        """See `Pen.heard_dht`."""
        self.pen.heard_dht()
        self._comparing.set()

    def heard_peer(self, peer: NodeKey) -> None:
        """See `Pen.heard_peer`."""
        self.pen.heard_peer(peer)
        self._comparing.set()

    async def until_compared(self) -> None:
        """Our log was compared, or had nothing to be compared with, or nobody showed anything in time."""
        while (until := self.pen.waits_until) > trio.current_time():
            with trio.move_on_at(until):
                await self._comparing.wait()

    async def until_complete(self) -> None:
        """As `until_compared`; and if our log went on elsewhere, what is known of it has come, or did not in time."""
        await self.until_compared()
        while (until := self.pen.lacks_until) > trio.current_time():
            with trio.move_on_at(until):
                await self._comparing.wait()

    def heard_stored(self, batch: Batch) -> None:
        """More is held."""
        if batch.identity == self.identity_hash:
            self._comparing.set()

    def proved_elsewhere(self, device: DeviceKey, seq: int, entry: EntryId) -> None:
        """Somebody proved this entry of a log: see `Pen.proved_elsewhere`. Where the new key can't be kept, whoever
        posts next hears of that, unless it can be kept by then."""
        step = self.pen.proved_elsewhere(device, seq, entry)
        if step is None:
            return
        log.warning("our log goes on elsewhere (entry %d): this home was copied or put back", seq)
        try:
            self._leave_log(step)
        except UserError as error:
            log.error("no new device log was opened yet: %s", error)

    def _leave_log(self, step: NewDevice) -> None:
        self._keep(self.keyring.on_device(step.device))
        self.pen.left(step)
        self._comparing.set()

    # --- writing ---

    async def write(self, payload: Payload) -> Entry:
        """Sign the payload as our next entry, store it durably and pass it on. Raises StoreError.

        Cancelled before that has begun, it writes nothing; from then on the entry is written and given all the same.
        """
        await self.until_compared()
        async with self._lock:
            entry = await self._write(payload)
        assert entry is not None
        return entry

    async def _write(self, payload: Payload | None) -> Entry | None:
        """Take the pen's steps until the payload is written. After a failure the next write goes on from there."""
        was_refused = False
        while (step := self.pen.next(payload, self._wall_ms())) is not None:
            match step:
                case NewDevice():
                    self._leave_log(step)
                case Admit(identity):
                    await self._learn(identity)
                case Append():
                    try:
                        await self._append(step.batch)
                    except BadChain:
                        if was_refused:
                            raise
                        was_refused = True
                        self.on_refused(step.entry)
                        continue
                    if step.is_asked:
                        return step.entry
        return None

    def on_refused(self, entry: Entry) -> None:
        """The store refused this entry, for it holds another one of that number. If that is our log, it is left.
        Raises UserError where the new key can't be kept."""
        step = self.pen.refused(entry)
        if step is not None:
            log.warning("another entry took our number: opening a new device log")
            self._leave_log(step)

    async def _learn(self, identity: Identity) -> None:
        await self._store.put_identity(identity)
        self._driver.feed(Learned(identity))

    async def _append(self, batch: Batch) -> None:
        (entry,) = batch.entries
        with trio.CancelScope(shield=True):  # who asked may go; an entry that may be on disk must not be forgotten
            (state,) = await self._store.append([batch], entry.time_ms, durable=True)
            self.pen.stored(entry)
            self._driver.feed(Stored(None, batch, state, live=True))
            self._on_written(batch)
            if entry.seq == 1:
                await self._tell_name()

    async def _tell_name(self) -> None:
        """The name that the person chose is told next, unless some log of theirs has a profile."""
        if self.keyring.name and await self._store.whole_profile(self.identity_hash) is None:
            self.pen.tell_name(self.keyring.name)

    def rename(self, name: str | None) -> None:
        """Keep the chosen name where `id` finds it without a daemon."""
        self._keep(replace(self.keyring, name=name))

    def _keep(self, keyring: Keyring) -> None:
        self._save(keyring)
        self.keyring = keyring
