"""The keeper: carries out on a store what a machine wants stored or read, and gives the events that follow.

It awaits nothing but the store, so it runs under any scheduler: the driver's, or a simulation's with the dict store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from p2pblog.config import OFFER_LIFETIME_MS, RUN_BYTES_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, commits_to, payload_hash
from p2pblog.core.keys import EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch, Located
from p2pblog.core.runs import VerifiedRun
from p2pblog.errors import BadChain, BadPiece, RemoteProtocolError, StoreDamaged, StoreError
from p2pblog.gossip.events import (
    Contradicted,
    DropIfOther,
    DropLog,
    Dropped,
    Event,
    FileStored,
    FileUnstored,
    KeepOffer,
    LeaveLog,
    Loaded,
    LoadedFile,
    LoadedOne,
    LoadFile,
    LoadOne,
    LoadRun,
    OfferKept,
    PayloadsStored,
    PayloadsUnfit,
    Remember,
    RememberPeer,
    RememberRelayed,
    Stored,
    StoreFork,
    StoreIdentity,
    StorePayloads,
    StorePiece,
    StoreRun,
    StoreStray,
    StoreTable,
    Unstored,
    Unwanted,
)
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import Decoder, Encoder, Found
from p2pblog.gossip.room_events import LiftFloors, Pruned, PruneLog
from p2pblog.store import Contents, KnownPeer, Store
from p2pblog.store.blobs import Blobs
from p2pblog.store.later import later_than

log = logging.getLogger("p2pblog.gossip")

PER_COMMIT_MAX = 256
"""Runs or identities stored in one transaction: what waits longer than that would hold up everybody who reads."""
REMEMBERED_MAX = 192
"""Peers whose memories are kept: more than we have links, at most some 100 kB each."""
REMEMBERED = "remembered"
"""The setting that lists them, the latest last."""
OFFERED = "offer."
"""How the settings begin that keep what waits for somebody: its id follows."""
RELAYED = "relayed"
"""The setting that lists the identities that are held for others only."""

Writing = (
    StoreRun
    | StorePayloads
    | StoreIdentity
    | StoreFork
    | StoreStray
    | DropLog
    | LeaveLog
    | DropIfOther
    | PruneLog
    | LiftFloors
    | Remember
    | RememberPeer
    | RememberRelayed
    | StoreTable
    | StorePiece
    | KeepOffer
)

W = TypeVar("W", StoreRun, StoreIdentity)


class Keeper:
    """One store as one machine uses it. Every method raises StoreError where the store fails."""

    def __init__(
        self, holdings: Holdings, store: Store, wall_ms: Callable[[], int], blobs: Blobs | None = None
    ) -> None:
        """Without `blobs` it has no files and takes none."""
        self._holdings = holdings
        self._store = store
        self._wall_ms = wall_ms
        self._blobs = blobs
        self._remembered: dict[NodeKey, None] | None = None

    # --- writing ---

    async def write(self, waiting: Sequence[Writing]) -> tuple[int, list[Event]]:
        """Store the first of what waits, or all the runs or identities that stand in a row there, in one transaction.

        Gives how many are done, and what follows from it, in order. After a StoreError all still wait; but what meets
        damage would meet it again, and is left aside, so that all else can be stored.
        """
        if runs := self._row_of(StoreRun, waiting):
            return await self._write_runs(runs)
        if identities := self._row_of(StoreIdentity, waiting):
            return await self._write_identities(identities)
        try:
            return 1, await self._write_other(waiting[0])
        except StoreDamaged as error:
            return 1, _left_aside(waiting[0], error)

    def _row_of(self, kind: type[W], waiting: Iterable[Writing]) -> list[W]:
        """The first of what waits that are of this kind, and wanted."""
        row: list[W] = []
        for writing in waiting:
            if not isinstance(writing, kind) or len(row) == PER_COMMIT_MAX or self._is_unwanted(writing):
                break
            row.append(writing)
        return row

    async def _write_runs(self, runs: list[StoreRun]) -> tuple[int, list[Event]]:
        try:
            states = await self._store.append([run.batch for run in runs], self._wall_ms())
        except (BadChain, StoreDamaged) as error:
            if len(runs) > 1:
                return await self._write_runs(runs[: len(runs) // 2])  # the culprit is found by halves
            if isinstance(error, StoreDamaged):
                return 1, _left_aside(runs[0], error)
            return 1, await self._contradicted(runs[0])
        pairs = zip(runs, states, strict=True)
        return len(runs), [Stored(run.source, run.batch, state, run.live) for run, state in pairs]

    async def _contradicted(self, run: StoreRun) -> list[Event]:
        if run.source is None:
            return []
        try:
            ours = await self.ours_around(run.batch)
        except StoreDamaged as error:
            return _left_aside(run, error)
        return [Contradicted(run.source, run.batch, ours, run.live)]

    async def _write_identities(self, writings: list[StoreIdentity]) -> tuple[int, list[Event]]:
        try:
            await self._store.put_identities([writing.identity for writing in writings])
        except StoreDamaged as error:
            if len(writings) > 1:
                return await self._write_identities(writings[: len(writings) // 2])
            return 1, _left_aside(writings[0], error)
        return len(writings), []

    def _is_unwanted(self, writing: Writing) -> bool:
        """Whether it is of somebody who was blocked while it waited."""
        match writing:
            case StoreRun(batch=Batch(identity)) | StoreStray(Located(identity)):
                return identity in self._holdings.blocked
            case StoreIdentity(identity):
                return identity.hash in self._holdings.blocked
            case StorePayloads(device=device):
                return self._holdings.is_blocked(device)
            case _:
                return False

    async def _write_other(self, writing: Writing) -> list[Event]:
        if self._is_unwanted(writing):
            match writing:
                case StoreRun(source, batch):
                    return [Unwanted(source, batch.entries[0].device)]
                case StorePayloads(source, device):
                    return [Unwanted(source, device)]
            return []
        match writing:
            case StorePayloads():
                return [await self._write_payloads(writing)]
            case StoreFork(proof):
                await self._store.freeze(proof)
            case StoreStray(located):
                await self._store.put_stray(located, self._wall_ms())
            case DropLog(device):
                await self._store.drop_log(device)
                return [Dropped(device)]
            case LeaveLog(device):
                await self._store.leave_log(device, self._wall_ms())
                return [Dropped(device)]
            case DropIfOther(device, seq, entry):
                held = await self._store.run(device, seq, seq, RUN_BYTES_MAX)
                if held and held[0].id != entry:
                    go = LeaveLog if self._holdings.is_borrowed_log(device) else DropLog
                    return await self._write_other(go(device))
            case PruneLog() | LiftFloors():
                return await self._write_room(writing)
            case Remember(peer, memory):
                await self._remember(peer, memory)
            case RememberPeer(endpoint, node, failures):
                await self._store.put_peers([KnownPeer(str(endpoint), node, self._wall_ms(), failures)])
            case RememberRelayed(identities):
                await self._store.put_setting(RELAYED, b"".join(identities) or None)
            case KeepOffer(entry, found, hops_left):
                value = None if found is None else offer_value(found, hops_left, self._wall_ms())
                await self._store.put_setting(OFFERED + entry.hex(), value)
                return [] if found is None else [OfferKept(entry)]
            case StoreTable() | StorePiece():
                return await self._write_file(writing)
            case StoreRun() | StoreIdentity():
                raise AssertionError("these are stored together")
        return []

    async def _write_room(self, writing: PruneLog | LiftFloors) -> list[Event]:
        if isinstance(writing, LiftFloors):
            return [Pruned(state) for state in await self._store.lift_floors(writing.identity)]
        try:
            done = await self._store.prune(writing.device, writing.up_to, self._wall_ms())
        except BadChain:  # the log was dropped while this waited
            return []
        return [Pruned(done.state, done.oldest_ms)]

    async def _write_file(self, writing: StoreTable | StorePiece) -> list[Event]:
        """A disk that does not take a file ends that search: notices are not to wait for it."""
        file = writing.table.file if isinstance(writing, StoreTable) else writing.file
        if self._blobs is None:
            return [FileUnstored(file)]
        try:
            if isinstance(writing, StoreTable):
                await self._blobs.begin(writing.table)
                return []
            held = await self._blobs.put_piece(file, writing.index, writing.data)
        except (StoreError, BadPiece) as error:
            log.error("a file could not be stored: %s", error)
            return [FileUnstored(file)]
        return [FileUnstored(file) if held is None else FileStored(file, writing.index)]

    async def _write_payloads(self, writing: StorePayloads) -> Event:
        try:
            state = await self._store.put_payloads(writing.device, writing.payloads)
        except BadChain:
            return PayloadsUnfit(writing.source, writing.device, await self._first_unfit(writing))
        return PayloadsStored(writing.source, state, tuple(seq for seq, _payload in writing.payloads))

    async def _first_unfit(self, writing: StorePayloads) -> tuple[int, bytes] | None:
        for seq, payload in writing.payloads:
            held = await self._store.run(writing.device, seq, seq, RUN_BYTES_MAX)
            if held and held[0].seq == seq and not commits_to(held[0], payload):
                return seq, payload_hash(payload)
        return None

    async def _remember(self, peer: NodeKey, memory: bytes | None) -> None:
        """Keep the memories of the peers that left last: node keys cost nothing, so their number must be bounded."""
        if self._remembered is None:
            listed = (await self._store.settings(REMEMBERED)).get(REMEMBERED, b"")
            self._remembered = {NodeKey(listed[at : at + 32]): None for at in range(0, len(listed), 32)}
        before = list(self._remembered)
        self._remembered.pop(peer, None)
        if memory is not None:
            self._remembered[peer] = None
        elif peer not in before:
            return
        while len(self._remembered) > REMEMBERED_MAX:
            oldest = next(iter(self._remembered))
            del self._remembered[oldest]
            await self._store.put_setting(memory_name(oldest), None)
        if list(self._remembered) != before:
            await self._store.put_setting(REMEMBERED, b"".join(self._remembered))
        await self._store.put_setting(memory_name(peer), memory)

    @property
    def remembered(self) -> int:
        """How many peers' memories are kept, as far as this run has looked."""
        return len(self._remembered or ())

    # --- reading ---

    async def recall(self, peer: NodeKey) -> bytes | None:
        """What `Remember` kept of the last link with a peer."""
        name = memory_name(peer)
        return (await self._store.settings(name)).get(name)

    async def ours_around(self, batch: Batch) -> tuple[Entry, ...]:
        """What we hold at the numbers of a run that contradicts it, and one to either side; without payloads."""
        first, last = batch.entries[0].seq - 1, batch.entries[-1].seq + 1
        state = self._holdings.logs.get(batch.entries[0].device)
        ours: list[Entry] = []
        for span in state.spans if state is not None else ():
            low, high = max(span.low, first), min(span.high, last)
            while low <= high:
                some = await self._store.run(batch.entries[0].device, low, high, RUN_BYTES_MAX)
                if not some:
                    break
                ours += [entry.without_payload() for entry in some]
                low = some[-1].seq + 1
        return tuple(ours)

    async def load(self, request: LoadRun | LoadOne | LoadFile) -> Event:
        """What a machine wants to read for a peer. What is damaged is as if it were not held; the store has logged
        that, once, however often a peer asks."""
        with suppress(StoreDamaged):
            return await self._load(request)
        match request:
            case LoadRun():
                return Loaded(request, ())
            case LoadOne(peer, ref):
                return LoadedOne(peer, ref, None, None)
            case LoadFile(peer, file, index):
                return LoadedFile(peer, file, index)

    async def _load(self, request: LoadRun | LoadOne | LoadFile) -> Event:
        if isinstance(request, LoadFile):
            return await self._load_file(request)
        if isinstance(request, LoadRun):
            entries = await self._store.run(request.device, request.first, request.last, RUN_BYTES_MAX)
            return Loaded(request, entries)
        located = await self._store.locate(request.ref.id)
        known = self._holdings.identities.get(request.ref.identity)
        later = await later_than(self._store, request.ref.identity, request.ref.id)
        return LoadedOne(request.peer, request.ref, None if known is None else known.wire, located, later)

    async def _load_file(self, request: LoadFile) -> LoadedFile:
        """A table or a piece, if a notice shown here has the file: a node is nobody's store of what it can't see."""
        peer, file, index = request.peer, request.file, request.index
        if self._blobs is None or not await self._store.references(file):
            return LoadedFile(peer, file, index)
        try:
            if index is not None:
                return LoadedFile(peer, file, index, data=await self._blobs.piece(file, index))
            held = await self._blobs.held(file)
        except StoreError as error:
            log.error("a file could not be read: %s", error)
            return LoadedFile(peer, file, index)
        return LoadedFile(peer, file, index, table=None if held is None else held.table)


def _left_aside(writing: Writing, error: StoreDamaged) -> list[Event]:
    """What follows from something that can't be stored here, now or later."""
    log.error("something is left aside that can't be stored: %s", error)
    match writing:
        case StoreRun(source, batch, live=False) if source is not None:
            return [Unstored(source, batch.entries[0].device)]
        case StorePayloads(source, device):
            return [Unstored(source, device)]
    return []


def holdings_of(own: IdentityHash, loaded: Contents) -> Holdings:
    """What a node begins with, from all that its store kept."""
    holdings = Holdings(own)
    holdings.interests = {own: None, **{follow.identity: None for follow in loaded.follows}}
    holdings.private = {follow.identity: None for follow in loaded.follows if follow.private}
    holdings.blocked = {block.identity: None for block in loaded.blocks}
    for identity in loaded.identities:
        holdings.learn(identity)
    for state in loaded.logs:
        holdings.take(state)
    listed = loaded.settings.get(RELAYED, b"")
    relayed = [IdentityHash(listed[at : at + 32]) for at in range(0, len(listed), 32)]
    holdings.relayed = {identity: True for identity in relayed if identity not in holdings.interests}
    return holdings


def offer_value(found: Found, hops_left: int, now_ms: int) -> bytes:
    """What keeps something that waits for somebody: our own form, read by nobody else."""
    return codec.pack([now_ms, hops_left, Encoder().encode(found)])


def kept_offers(loaded: Contents, now_ms: int) -> tuple[list[tuple[Found, int, float]], list[EntryId]]:
    """What waits for somebody since less than OFFER_LIFETIME_MS, the oldest first, each with its `hops_left` and the
    seconds that are left of it; and the ids of what has waited longer, or was written by another version of ours."""
    kept: list[tuple[int, bytes, Found, int]] = []
    stale: list[EntryId] = []
    for name, value in loaded.settings.items():
        if not name.startswith(OFFERED):
            continue
        entry = EntryId(bytes.fromhex(name.removeprefix(OFFERED)))
        read = _read_offer(value)
        if read is not None and now_ms - OFFER_LIFETIME_MS < read[0] and read[2].ref.id == entry:
            kept.append((read[0], entry, read[2], read[1]))
        else:
            stale.append(entry)
    kept.sort(key=lambda row: row[:2])
    left = ((found, hops, min(OFFER_LIFETIME_MS, since + OFFER_LIFETIME_MS - now_ms)) for since, _, found, hops in kept)
    return [(found, hops, left_ms / 1000) for found, hops, left_ms in left], stale


def _read_offer(value: bytes) -> tuple[int, int, Found] | None:
    try:
        since_ms, hops_left, message = codec.as_list(codec.unpack(value, bytes_max=len(value)), length=3)
        found = Decoder().decode(codec.as_bytes(message))
    except RemoteProtocolError:
        return None
    return (since_ms, hops_left, found) if isinstance(found, Found) else None


def memory_name(peer: NodeKey) -> str:
    """The setting that keeps what a peer and we told each other."""
    return f"memory.{peer.hex()}"


def weight(writing: Writing) -> int:
    """About how many bytes wait with it."""
    if isinstance(writing, StoreRun):
        run = writing.batch.entries
        payloads = run.payloads if isinstance(run, VerifiedRun) else [entry.payload for entry in run]
        return 200 * len(payloads) + sum(map(len, filter(None, payloads)))
    if isinstance(writing, StorePayloads):
        return sum(len(payload) for _seq, payload in writing.payloads)
    if isinstance(writing, StoreIdentity):
        return len(writing.identity.wire)
    if isinstance(writing, Remember):
        return len(writing.memory or b"")
    if isinstance(writing, StorePiece):
        return len(writing.data)
    if isinstance(writing, KeepOffer) and writing.found is not None:
        return len(writing.found.payload or b"") + len(writing.found.identity or b"")
    if isinstance(writing, StoreStray):
        return 200 * (1 + len(writing.located.chain)) + len(writing.located.entry.payload or b"")
    if isinstance(writing, StoreFork):
        return 200 * sum(map(len, writing.proof.branches))
    if isinstance(writing, StoreTable):
        return sum(map(len, writing.table.pieces))
    return 200
