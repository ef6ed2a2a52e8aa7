"""The store in a dict: for simulations and for tests that move the clock. Nothing outlives the process.

It keeps no index of what is shown but asks the rules of store/meaning.py at every query, and so is also the plain
statement of what the SQL must answer: tests/store compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2pblog.config import (
    CHECKPOINT_EVERY,
    RUN_BYTES_MAX,
    RUN_ENTRIES_MAX,
    STRAYS_MAX,
)
from p2pblog.core.entry import Entry, with_payload
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located, LogState, Span
from p2pblog.core.timelines import AHEAD_MAX_MS
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, LocalProtocolError
from p2pblog.store import (
    OWN_IDENTITY,
    Block,
    Contents,
    TimelineQuery,
)
from p2pblog.store.meaning import (
    IN_TIMELINES,
    REACTIONS,
    Kind,
    meaning_of,
    places,
    vouched_to,
)
from p2pblog.store.memory_log import Held as _Held
from p2pblog.store.memory_log import Log as _Log
from p2pblog.store.memory_log import Stray as _Stray
from p2pblog.store.memory_room import MemoryRoom
from p2pblog.store.spans import Fit, above_floor, check_newest, fit, neighbours, span_of
from p2pblog.store.stretch import cut_run


class MemoryStore(MemoryRoom):
    """p2pblog.store.Store in memory; see there what each method gives."""

    async def aclose(self) -> None:
        pass

    # --- for simulations ---

    def copy(self) -> MemoryStore:
        """The same at this moment, as a snapshot of a disk. What never changes is shared."""
        twin = MemoryStore()
        twin._identities.update(self._identities)
        self.copy_desk(twin)
        for log in self._logs.values():  # in the order in which they were met, which settles ties
            new = twin._add_log(log.device, log.identity)
            new.spans, new.fork, new.floor, new.pruned = log.spans, log.fork, log.floor, log.pruned
            new.read.update(log.read)
            for held in (*log.held.values(), *log.strays.values()):
                twin._enter(replace(held, log=new))
        twin._strays = {identifier: twin._by_id[identifier] for identifier in self._strays}
        return twin

    def held(self, device: DeviceKey) -> Mapping[int, Entry]:
        """The entries held of a log by their numbers, strays left aside."""
        log = self._logs.get(device)
        return {} if log is None else {seq: held.entry for seq, held in log.held.items()}

    def holds(self, device: DeviceKey, seq: int) -> bool:
        """Whether this entry is held, with or without its payload."""
        log = self._logs.get(device)
        return log is not None and seq in log.held

    def logs(self) -> list[LogState]:
        """The state of each log of which anything is held."""
        return [self._state(log) for _, log in sorted(self._logs.items()) if log.spans or log.fork is not None]

    @property
    def peers_kept(self) -> int:
        return len(self._peers)

    async def load(self) -> Contents:
        return Contents(
            tuple(identity for _, identity in sorted(self._identities.items())),
            tuple(self.logs()),
            tuple(self._sorted_follows()),
            tuple(peer for _, peer in sorted(self._peers.items())),
            await self.settings(""),
            self._sorted_mutes(),
            self._sorted_blocks(),
        )

    # --- runs ---

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        wanted = [cut for batch in batches if (cut := self._above_floor(batch)) is not None]
        fits = self._fit_all(wanted)
        for batch, fitted in zip(wanted, fits, strict=True):
            self._append_run(batch, fitted, now_ms)
        return [self._state(self._logs[batch.entries[0].device]) for batch in batches]

    def _above_floor(self, batch: Batch) -> Batch | None:
        """None where all of it was pruned."""
        log = self._logs.get(batch.entries[0].device) if batch.entries else None
        if log is None or not log.floor:
            return batch
        entries = above_floor(batch.entries, log.floor)
        return replace(batch, entries=entries) if entries else None

    def _fit_all(self, batches: Sequence[Batch]) -> list[Fit]:
        """Each run among what is held and the runs before it; nothing is stored if one of them is refused."""
        spans: dict[DeviceKey, tuple[Span, ...]] = {}
        owners: dict[DeviceKey, IdentityHash] = {}
        coming: dict[tuple[DeviceKey, int], EntryId] = {}
        fits = []
        for batch in batches:
            if not batch.entries:
                raise LocalProtocolError("an empty run to be stored")
            device = batch.entries[0].device
            log = self._logs.get(device)
            if log is not None and log.spans:
                owners.setdefault(device, log.identity)
                spans.setdefault(device, log.spans)
            if owners.setdefault(device, batch.identity) != batch.identity:
                raise BadChain("a run under another identity than the log that is held")

            def held_id(seq: int, log: _Log | None = log, device: DeviceKey = device) -> EntryId:
                return log.held[seq].entry.id if log is not None and seq in log.held else coming[device, seq]

            check_newest(spans.get(device, ()), batch)
            fitted = fit(spans.get(device, ()), batch.entries, held_id)
            spans[device] = fitted.spans
            coming.update({(device, entry.seq): entry.id for entry in batch.entries})
            self._check_payloads(log, batch)
            fits.append(fitted)
        return fits

    def _check_payloads(self, log: _Log | None, batch: Batch) -> None:
        for entry in batch.entries:
            held = None if log is None else log.held.get(entry.seq)
            if held is not None and held.entry.payload is None and entry.payload is not None:
                with_payload(held.entry, entry.payload)

    def _append_run(self, batch: Batch, fitted: Fit, now_ms: int) -> None:
        device = batch.entries[0].device
        log = self._logs.get(device) or self._add_log(device, batch.identity)
        if log.identity != batch.identity:
            self._forget(list(log.strays.values()))
            self._move(log, batch.identity)
        before, log.spans = log.spans, fitted.spans
        lent = self._to_be_lent(log, fitted)
        for stretch in fitted.fresh:
            self._forget([log.strays[entry.seq] for entry in stretch if entry.seq in log.strays])
            if batch.identity == self._settings.get(OWN_IDENTITY):
                self._stand_now(log, before, now_ms)
            below, above = neighbours(before, stretch[0].seq, stretch[-1].seq)
            sorts = places(
                stretch,
                now_ms,
                None if below is None else log.held[below].sort,
                None if above is None else log.held[above].sort,
            )
            self._await_polls(batch.identity, stretch, now_ms)
            for entry, sort in zip(stretch, sorts, strict=True):
                self._enter(_Held(log, entry, sort, now_ms, meaning_of(entry.payload)))
        for entry in batch.entries:
            held = log.held[entry.seq]
            if entry.signature is not None and held.entry.signature is None:
                held.entry = replace(held.entry, signature=entry.signature)
            if entry.payload is not None:
                self._fill(held, entry.payload)
        for stray in lent:
            self._lend(log.held[stray.entry.seq], stray)

    def _stand_now(self, log: _Log, spans: Sequence[Span], now_ms: int) -> None:
        ahead_ms = now_ms + AHEAD_MAX_MS
        if not spans or log.held[spans[-1].high].sort <= ahead_ms:
            return
        shown = [held for held in self._in_timelines(TimelineQuery(1)) if self._is_shown(held)]
        are_others_ahead = any(held.sort > ahead_ms and held.log.identity != log.identity for held in shown)
        if are_others_ahead or all(held.sort > ahead_ms for held in shown):
            return
        for held in log.held.values():
            held.sort = min(held.sort, now_ms)

    def _to_be_lent(self, log: _Log, fitted: Fit) -> list[_Held]:
        """The strays that are part of a run of somebody who is not followed; none that it contradicts."""
        if self._is_ours(log):
            return []
        coming = (entry for stretch in fitted.fresh for entry in stretch)
        found = ((log.strays.get(entry.seq), entry.id) for entry in coming)
        return [stray for stray, identifier in found if stray is not None and stray.entry.id == identifier]

    def _lend(self, held: _Held, stray: _Held) -> None:
        held.lent = held.lent or stray.stray
        if stray.entry.signature is not None and held.entry.signature is None:
            held.entry = replace(held.entry, signature=stray.entry.signature)
        if stray.entry.payload is not None:
            self._fill(held, stray.entry.payload)

    def _enter(self, held: _Held) -> None:
        shelf = held.log.held if held.stray is None else held.log.strays
        shelf[held.entry.seq] = held
        self._by_id[held.entry.id] = held
        if held.entry.payload is None and held.stray is None:
            held.log.gaps.add(held.entry.seq)
        self._refer(held)

    def _refer(self, held: _Held) -> None:
        """Enter what its payload says."""
        kind, identifier = held.meaning.kind, held.entry.id
        if kind in IN_TIMELINES and held.stray is None:
            self._listed.setdefault(held.log.identity, {})[identifier] = held
        if kind == Kind.DM and (held.stray is None or held.stray.kept):
            self._dms[identifier] = held
        if kind == Kind.PROFILE:
            self._profiles.setdefault(held.log.identity, {})[identifier] = held
        if kind == Kind.NOTE and held.meaning.of is not None:
            self._replies.setdefault(held.meaning.of, {})[identifier] = held
        if kind in REACTIONS and held.meaning.of is not None:
            self._reactions.setdefault((held.meaning.of, kind), {})[identifier] = held
        if kind == Kind.PIN:
            self._pins.setdefault(held.log.identity, {})[identifier] = held
        if kind == Kind.VOUCH:
            for subject in held.meaning.to:
                self._vouches.setdefault(subject, {})[identifier] = held
        if kind == Kind.VOTE and held.meaning.of is not None:
            self._votes.setdefault(held.meaning.of, {})[identifier] = held
        if kind == Kind.EDIT and held.meaning.of is not None:
            self._edits.setdefault(held.meaning.of, {})[identifier] = held
        for target in held.meaning.deletes:
            self._deletes.setdefault(target, {})[identifier] = held
        for file in held.meaning.files:
            self._files.setdefault(file, {})[identifier] = held

    # --- payloads ---

    async def put_payloads(self, device: DeviceKey, payloads: Sequence[tuple[int, bytes]]) -> LogState:
        log = self._logs.get(device)
        if log is None or not log.spans:
            raise BadChain("payloads for a log that is not held")
        wanted = [(log.held[seq], payload) for seq, payload in payloads if seq in log.held]
        for held, payload in wanted:
            if self._is_missing(held):
                with_payload(held.entry, payload)
        for held, payload in wanted:
            self._fill(held, payload)
        return self._state(log)

    def _fill(self, held: _Held, payload: bytes) -> None:
        if self._is_missing(held):
            held.entry = with_payload(held.entry, payload)
            if held.meaning == meaning_of(None):  # else it was here before, until its bytes were dropped
                self._await_polls(held.log.identity, [held.entry], held.seen)
            held.meaning = meaning_of(payload)
            held.log.gaps.discard(held.entry.seq)
            self._refer(held)

    async def drop_retracted(self, before_ms: int) -> int:
        named = (self._by_id.get(target) for target in sorted(self._deletes))
        dropped = 0
        for held in [found for found in named if found is not None and found.entry.payload is not None]:
            retractions = self._retractions(held)
            if retractions and min(delete.seen for delete in retractions) < before_ms:
                held.entry = held.entry.without_payload()
                if held.stray is None:
                    held.log.gaps.add(held.entry.seq)
                dropped += 1
        return dropped

    # --- strays ---

    async def put_stray(self, located: Located, now_ms: int) -> None:
        entry = located.entry
        if (located.chain[-1] if located.chain else entry).signature is None:
            raise LocalProtocolError("a stray that no signature vouches for")
        log = self._log_for_stray(located)
        if log is None:
            return
        chain = () if entry.signature is not None else tuple(after.without_payload() for after in located.chain)
        what = _Stray(chain, now_ms)
        held = _Held(log, entry, min(entry.time_ms, now_ms), now_ms, meaning_of(entry.payload), what)
        in_run, stray = log.held.get(entry.seq), log.strays.get(entry.seq)
        if in_run is not None:
            if in_run.entry.id == entry.id:
                self._put_into_run(in_run, held)
            return
        if stray is not None:
            if stray.entry.id != entry.id or stray.entry.payload is not None or entry.payload is None:
                return
            self._forget([stray])
        self._enter(held)
        self._strays[entry.id] = held
        if len(self._strays) > STRAYS_MAX:
            others = [(old, each) for old in self._by_age() if (each := old.stray) is not None and not each.kept]
            over = others[: max(0, len(others) - STRAYS_MAX)]
            for old, stays in over:
                if old.meaning.kind == Kind.NOTE and self._is_held_by_hand(old):
                    old.stray = replace(stays, kept=True)
            self._drop_strays([old for old, stays in over if old.stray is stays])

    def _put_into_run(self, held: _Held, stray: _Held) -> None:
        """What is held in a run already; if that is held for others it is lent to it, as if it had come before."""
        if not self._is_ours(held.log):
            self._lend(held, stray)
        elif stray.entry.payload is not None:
            self._fill(held, stray.entry.payload)

    def _log_for_stray(self, located: Located) -> _Log | None:
        log = self._logs.get(located.entry.device)
        if log is None:
            return self._add_log(located.entry.device, located.identity)
        if log.identity != located.identity:
            if log.spans or vouched_to(self._identities.get(log.identity), log.device):
                return None
            self._forget(list(log.strays.values()))
            self._move(log, located.identity)
        return log

    # --- logs and identities ---

    def _add_log(self, device: DeviceKey, identity: IdentityHash) -> _Log:
        self._logs_met += 1
        log = _Log(self._logs_met, device, identity)
        self._logs[device] = log
        self._logs_of.setdefault(identity, {})[device] = log
        return log

    def _move(self, log: _Log, identity: IdentityHash) -> None:
        """An empty log comes to be another identity's."""
        del self._logs_of[log.identity][log.device]
        log.identity = identity
        self._logs_of.setdefault(identity, {})[log.device] = log

    async def put_identities(self, identities: Sequence[Identity]) -> None:
        for identity in identities:
            await self.put_identity(identity)

    async def put_identity(self, identity: Identity) -> None:
        self._identities[identity.hash] = identity
        for known in self._logs_of.get(identity.hash, {}).values():
            for held in known.held.values():
                held.lent = None
        for device in identity.devices:
            log = self._logs.get(device)
            if log is None:
                self._add_log(device, identity.hash)
            elif log.identity != identity.hash and not log.spans:
                rival = self._identities.get(log.identity)
                if rival is None or device not in rival.devices:
                    self._forget(list(log.strays.values()))
                    self._move(log, identity.hash)

    async def freeze(self, proof: ForkProof) -> None:
        log = self._logs.get(proof.device)
        if log is not None and log.fork is None:
            log.fork = proof

    async def drop_log(self, device: DeviceKey) -> None:
        log = self._logs.get(device)
        if log is not None:
            self._forget([*log.held.values(), *log.strays.values()])
            log.spans, log.fork, log.floor, log.pruned = (), None, 0, 0
            self._drop_bare(log)

    async def leave_log(self, device: DeviceKey, now_ms: int) -> None:
        log = self._logs.get(device)
        if log is not None:
            items = [log.held[seq] for seq in sorted(log.held)]
            self._drop_most(log, items, now_ms, self._is_stranger(log.identity))
            log.spans, log.fork, log.floor, log.pruned = (), None, 0, 0
            self._drop_bare(log)

    async def put_block(self, block: Block) -> bool:
        if not self._note_block(block):
            return False
        self._identities.pop(block.identity, None)
        for device, log in list(self._logs_of.get(block.identity, {}).items()):
            for held in (*log.held.values(), *log.strays.values()):
                self._bookmarks.pop(held.entry.id, None)
            await self.drop_log(device)
        return True

    # --- what peers ask for ---

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        log = self._logs.get(device)
        span = None if log is None else span_of(log.spans, first)
        if log is None or span is None or last < first:
            return []
        end = min(span.high, last + CHECKPOINT_EVERY - 1, first + RUN_ENTRIES_MAX - 1)
        entries = [log.held[seq].entry for seq in range(first, end + 1)]
        return cut_run(entries, last, bytes_max, RUN_BYTES_MAX)

    async def locate(self, entry: EntryId) -> Located | None:
        held = self._by_id.get(entry)
        if held is None:
            return None
        chain = self._chain_of(held) if held.stray is None else held.stray.chain
        return Located(held.log.identity, held.entry, chain)

    async def id_at(self, device: DeviceKey, seq: int) -> EntryId | None:
        log = self._logs.get(device)
        held = None if log is None else log.held.get(seq) or log.strays.get(seq)
        return None if held is None else held.entry.id
