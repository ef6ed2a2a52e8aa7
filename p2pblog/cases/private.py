"""Direct messages: sealed as they are written, opened as they are listed."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress

import trio

from p2pblog.cases.desk import Desk, said_in
from p2pblog.config import DM_BOXES_MAX, DM_RECIPIENTS_MAX, TIMELINE_ROWS_MAX
from p2pblog.control.documents import DmDocument, WrittenDocument
from p2pblog.control.words import check_dm
from p2pblog.core import payload, sealed
from p2pblog.core.address import spell
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.payload import Dm
from p2pblog.core.sealed import Message
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.store import DmRow

log = logging.getLogger("p2pblog.node")

TRIED_AT_ONCE = 50
"""Direct messages that are read from the store at once."""


class Private(Desk):
    """Of `Node`: what only those read whom it is for."""

    def _draw(self, size: int) -> bytes:
        """Random bytes for one message."""
        return secrets.token_bytes(size)

    async def dm(self, to: list[str], text: str) -> WrittenDocument:
        check_dm(text)
        own = self._author.identity_hash
        recipients = tuple(dict.fromkeys([(await self._resolve(each)).identity for each in to]))
        if not recipients:
            raise UsageError("a direct message needs somebody to go to", hint="p2pblog dm --help")
        if len(recipients) > DM_RECIPIENTS_MAX:
            raise UsageError(f"a direct message goes to at most {DM_RECIPIENTS_MAX} people")
        others = tuple(each for each in recipients if each != own)
        devices = {self._author.device, *self._active_devices(own)}
        for recipient in others:
            devices |= self._reachable_devices(recipient)
        if len(devices) > DM_BOXES_MAX:
            raise UserError(
                f"they have {len(devices)} devices with yours, and a direct message has {DM_BOXES_MAX} at most"
            )
        message = Message(own, others or (own,), text)
        written = await self._author.write(sealed.seal(message, devices, self._draw))
        return self._written(written, Dm.type)

    def _active_devices(self, identity: IdentityHash) -> set[DeviceKey]:
        """Those that the identity, as far as it is known here, has not retired."""
        known = self._driver.machine.holdings.identities.get(identity)
        devices = {} if known is None else known.devices
        return {device for device, standing in devices.items() if not standing.retired}

    def _reachable_devices(self, identity: IdentityHash) -> set[DeviceKey]:
        address = spell(identity)
        if identity in self._quiet.blocks:
            raise UserError(f"you have blocked {address}", f"p2pblog unblock {address}")
        devices = self._active_devices(identity)
        if devices:
            return devices
        if identity in self._follows:
            raise NotFound(f"nothing of {address} is here yet: wait until their feed is found", "p2pblog following")
        raise NotFound(f"nothing of {address} is here yet: follow them first", f"p2pblog follow {address}")

    async def dms(self, limit: int = 20, before: str | None = None) -> list[DmDocument]:
        """Those that are for others are set aside on the way, so the next list does not try them again."""
        if not 1 <= limit <= TIMELINE_ROWS_MAX:
            raise UsageError(f"a list has 1 to {TIMELINE_ROWS_MAX:,} lines")
        below = None if before is None else await self._dm_of(before)
        found: list[DmDocument] = []
        while len(found) < limit:
            rows = await self._store.dms(TRIED_AT_ONCE, below)
            found += await self._open(rows)
            if len(rows) < TRIED_AT_ONCE:
                break
            below = rows[-1].id
        return found[:limit]

    async def _dm_of(self, prefix: str) -> EntryId:
        """The direct message of this id. Raises NotFound, also for what is none, or UsageError."""
        entry = (await self._locate(prefix)).entry
        if not isinstance(said_in(entry), Dm):
            raise NotFound("that is no direct message")
        return entry.id

    async def try_dms(self) -> None:
        """Set all aside that are for others, before room is made: what is not tried stays. Raises StoreError."""
        below: EntryId | None = None
        while True:
            try:
                rows = await self._store.dms(TRIED_AT_ONCE, below)
            except NotFound:  # the last one tried was dropped meanwhile: those below it have their turn the next time
                return
            await self._open(rows)
            if len(rows) < TRIED_AT_ONCE:
                return
            below = rows[-1].id

    async def tell_dms(self, within_s: float) -> None:
        """Those that came for us become news, each once, the oldest first; what is not opened `within_s` has its turn
        the next time. Raises StoreError."""
        until = trio.current_time() + within_s
        tried: set[EntryId] = set()
        while rows := await self._store.dms(TRIED_AT_ONCE, untold=True):
            if tried.issuperset(row.id for row in rows):  # damage can keep one from being settled
                return
            tried.update(row.id for row in rows)
            is_ours = {row.id: await self._read(row) is not None for row in rows}
            for_us, for_others = ([id for id, ours in is_ours.items() if ours == wanted] for wanted in (True, False))
            await self._store.settle_dms(for_us, for_others, self._wall_ms())
            if trio.current_time() >= until:
                return

    async def _open(self, rows: Sequence[DmRow]) -> list[DmDocument]:
        opened = [(row, await self._read(row)) for row in rows]
        if of_others := [row.id for row, message in opened if message is None]:
            with suppress(StoreError):  # on a full disk people still read; these are tried again
                await self._store.settle_dms((), of_others, self._wall_ms())
        return [_document(row, message) for row, message in opened if message is not None]

    async def _read(self, row: DmRow) -> Message | None:
        """After each key the rest of the node has its turn: one tries up to DM_BOXES_MAX boxes, some 2 ms. One that the
        disk lost is set aside with those of others, so that it is met, and logged, once, and keeps back none."""
        dm = payload.decode(row.payload)
        if not isinstance(dm, Dm):
            log.error("the database is damaged: %s is no direct message any more, and is set aside", row.id.hex())
            return None
        keyring = self._author.keyring
        for key in (keyring.device, *keyring.former):
            message = sealed.read(dm, row.author, self._author.identity_hash, (key,))
            await trio.lowlevel.checkpoint()
            if message is not None:
                return message
        return None


def _document(row: DmRow, message: Message) -> DmDocument:
    to = [spell(each) for each in message.to]
    return DmDocument(
        {"id": row.id.hex(), "from": spell(row.author), "to": to, "text": message.text, "time": row.time_ms}
    )
