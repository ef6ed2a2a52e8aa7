"""Use cases that take a person's data out and bring it in: own logs, run by run, and notices written elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from p2pblog.cases.desk import Desk
from p2pblog.config import ARCHIVED_PEERS_MAX, CHECKPOINT_EVERY, EXPORT_PAYLOADS_BYTES_MAX, TIME_MS_MAX
from p2pblog.control.documents import (
    FileTakenDocument,
    LogDocument,
    LogsDocument,
    RunDocument,
    TakenDocument,
    WrittenDocument,
)
from p2pblog.control.words import check_language, check_text, check_warning
from p2pblog.core import address, codec
from p2pblog.core.entry import Entry
from p2pblog.core.forks import prove_fork
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.media import FileHash, table_of
from p2pblog.core.payload import Note
from p2pblog.core.runs import VerifiedRun, encode_run
from p2pblog.errors import (
    BadChain,
    BadForkProof,
    NotFound,
    NotPermitted,
    RemoteProtocolError,
    StoreDamaged,
    UsageError,
    UserError,
)
from p2pblog.gossip.events import ForkProved, Learned, Stored

log = logging.getLogger("p2pblog.moving")


class Moving(Desk):
    """Of `Node`: what moves."""

    # --- out ---

    async def export_logs(self) -> LogsDocument:
        holdings = self._driver.machine.holdings
        own = self._author.identity_hash
        held = {device: await self._store.entry_count(device) for device in holdings.devices(own)}
        return LogsDocument(
            address=address.spell(own),
            identity=holdings.identities[own].wire.hex(),
            logs=[LogDocument(device=device.hex(), entries=entries) for device, entries in held.items() if entries],
            peers=[str(peer) for peer in self._driver.machine.membership.best_known(ARCHIVED_PEERS_MAX)],
        )

    async def export_run(self, device: str, first: int) -> RunDocument:
        """A piece of a log from number `first` on, or from the next one that is held and as it was signed. Where there
        is none up to a checkpoint, it is none, with where to go on."""
        key = self._own_device(device)
        state = self._driver.machine.holdings.logs.get(key)  # None where nothing of it can be read
        span = next((span for span in state.spans if span.high >= first), None) if state is not None else None
        if span is None:
            return RunDocument(run=None, next=None)
        first = max(first, span.low)
        entries: Sequence[Entry] = ()
        with suppress(StoreDamaged):  # the store has logged it
            entries = await self._store.run(key, first, span.high, EXPORT_PAYLOADS_BYTES_MAX)
        if not entries:
            return RunDocument(run=None, next=first + CHECKPOINT_EVERY - (first - 1) % CHECKPOINT_EVERY)
        return RunDocument(run=codec.pack(encode_run(entries)).hex(), next=entries[-1].seq + 1)

    def _own_device(self, device: str) -> DeviceKey:
        try:
            key = DeviceKey(bytes.fromhex(device))
        except ValueError as error:
            raise UsageError("a device is 64 hexadecimal digits") from error
        holdings = self._driver.machine.holdings
        if holdings.owners.get(key) != self._author.identity_hash:
            raise NotFound("no log of that device is held")
        return key

    # --- in ---

    async def import_identity(self, identity: str) -> TakenDocument:
        """What an archive says of our devices: what is new in it is stored first, then told to peers."""
        from p2pblog.core import archive  # no node needs it from day to day

        own = self._author.identity_hash
        try:
            brought = Identity.decode(_bytes(identity))
        except RemoteProtocolError as error:
            raise UserError(f"these statements are refused: {archive.refusal(error)}") from error
        if brought.hash != own:
            raise NotPermitted(
                f"that is the archive of {address.spell(brought.hash)}, and this node is {address.spell(own)}'s"
            )
        known = self._driver.machine.holdings.identities[own]
        merged = known.merge(brought.statements)
        if merged is not known:
            await self._store.put_identity(merged)
            self._driver.feed(Learned(merged))
        return TakenDocument(entries=0, new=0, refused=0)

    async def import_run(self, run: str) -> TakenDocument:
        """A run of one of our own logs, as if a peer had sent it: what is held stays, a log that is disputed takes
        nothing more. One of another history than is held is refused, and makes its log disputed where what is held and
        this run show it; who imports leaves the rest of that log, which may touch nothing that is held. What it holds
        of the log that we write ourselves makes us go on with another device."""
        from p2pblog.core import archive

        holdings = self._driver.machine.holdings
        own = self._author.identity_hash
        try:
            verified = archive.read_run(_bytes(run))
            archive.check_belongs(holdings.identities[own], verified)
        except RemoteProtocolError as error:
            raise UserError(f"these entries are refused: {archive.refusal(error)}") from error
        if holdings.owners.get(verified.device) != own or holdings.is_frozen(verified.device):
            return TakenDocument(entries=len(verified), new=0, refused=len(verified))
        before = holdings.logs.get(verified.device)
        batch = Batch(own, verified)
        try:
            (state,) = await self._store.append([batch], self._wall_ms(), durable=True)
        except BadChain:
            await self._on_other_history(batch)
            return TakenDocument(entries=len(verified), new=0, refused=len(verified))
        new = _gained(before, state, verified)
        if new:
            self._driver.feed(Stored(None, batch, state, live=False))
            self.on_stored(batch, live=False)
        return TakenDocument(entries=len(verified), new=new, refused=0)

    async def _on_other_history(self, batch: Batch) -> None:
        """Two histories of one of our logs were signed. Where they show it, everybody is told, also where the key of
        another device can't be kept: whoever posts next hears of that, unless it can be kept by then."""
        first = batch.entries[0]
        log.warning("the log of device %s goes on otherwise in an archive than here", first.device.hex()[:10])
        try:
            self._author.on_refused(first)
        except UserError as error:
            log.error("no new device log was opened yet: %s", error)
        with suppress(BadForkProof):  # too little of ours is held to show it: a peer who has more of it may
            self._driver.feed(ForkProved(prove_fork(await self._driver.ours_around(batch), batch.entries)))

    async def import_file(self, file: str, upload: str) -> FileTakenDocument:
        """An upload as a file of our own again. It is left where no notice here has it: that one was deleted."""
        wanted = FileHash(_bytes(file))
        data = self._uploads.read(upload)
        self._uploads.forget(upload)
        if table_of(data).file != wanted:
            raise UserError("these bytes are not the file of that hash: nothing of it was taken")
        if not await self._store.references(wanted):
            return FileTakenDocument(hash=file, new=False)
        held = await self._blobs.held(wanted)
        await self._blobs.put_own(data)
        return FileTakenDocument(hash=file, new=held is None or not (held.own and held.is_whole))

    async def import_note(
        self, text: str, time: int, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument:
        """A notice that was first written elsewhere, at `time` (ms)."""
        check_text(text)
        warning = None if cw is None else check_warning(cw)
        language = None if lang is None else check_language(lang)
        if not 0 <= time <= TIME_MS_MAX:
            raise UsageError("that time is outside the limits")
        ref = None if reply_to is None else await self._notice_ref(reply_to)
        note = Note(text, ref, warning, language, imported_ms=time)
        return self._written(await self._author.write(note), Note.type)

    def on_stored(self, batch: Batch, live: bool) -> None:
        """What `Node` does with what was stored."""
        raise AssertionError("only Node is told")


def _count(state: LogState) -> int:
    return sum(span.high - span.low + 1 for span in state.spans)


def _gained(before: LogState | None, after: LogState, run: VerifiedRun) -> int:
    """How many entries of a run were not held, or lacked their payload."""
    if before is None:
        return _count(after)
    filled = {seq for seq in before.missing if run.first <= seq < run.first + len(run)} - set(after.missing)
    return _count(after) - _count(before) + len(filled)


def _bytes(hexadecimal: str) -> bytes:
    try:
        return bytes.fromhex(hexadecimal)
    except ValueError as error:
        raise UsageError("these bytes are not hexadecimal") from error
