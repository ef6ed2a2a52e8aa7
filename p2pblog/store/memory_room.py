"""What makes room in the dict store: the plain rules of what stays, beside what goes. See sql_room.py for the SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2pblog.config import DELETES_WAITING_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import LogState
from p2pblog.core.value import replace
from p2pblog.errors import BadChain
from p2pblog.store import OWN_IDENTITY, Bottom, PrunedLog, Thread, Usage
from p2pblog.store.meaning import REACTIONS, Kind, ref_of, taken_back_ref
from p2pblog.store.memory_log import Held, Log, Stray
from p2pblog.store.memory_read import MemoryReading
from p2pblog.store.spans import span_of

ENTRY_BYTES = 500
"""About what an entry takes up beside its payload."""


class MemoryRoom(MemoryReading):
    """The part of `store.Store` that forgets; `memory.py` adds what comes in."""

    def _forget(self, gone: Iterable[Held]) -> None:
        for held in gone:
            identifier, meaning, log = held.entry.id, held.meaning, held.log
            (log.held if held.stray is None else log.strays).pop(held.entry.seq)
            if held.stray is None:
                log.gaps.discard(held.entry.seq)
            self._by_id.pop(identifier)
            self._strays.pop(identifier, None)
            self._dms.pop(identifier, None)
            self._polls_due.pop(identifier, None)
            self._polls_ended.pop(identifier, None)
            self._listed.get(log.identity, {}).pop(identifier, None)
            self._profiles.get(log.identity, {}).pop(identifier, None)
            self._pins.get(log.identity, {}).pop(identifier, None)
            if meaning.of is not None:
                self._replies.get(meaning.of, {}).pop(identifier, None)
                self._reactions.get((meaning.of, meaning.kind), {}).pop(identifier, None)
                self._votes.get(meaning.of, {}).pop(identifier, None)
                self._edits.get(meaning.of, {}).pop(identifier, None)
            for subject in meaning.to:
                self._vouches.get(subject, {}).pop(identifier, None)
            for target in meaning.deletes:
                self._deletes[target].pop(identifier)
            for file in meaning.files:
                self._files[file].pop(identifier)

    def _drop_strays(self, gone: Sequence[Held]) -> None:
        """Forget strays, and each log of which nothing else is left."""
        self._forget(gone)
        for log in dict.fromkeys(held.log for held in gone):
            self._drop_bare(log)

    def _drop_bare(self, log: Log) -> None:
        """Take a log out of which nothing is held or known, and which no identity that is kept names."""
        kept = self._identities.get(log.identity)
        if kept is not None and log.device in kept.devices:
            return
        if log.fork is None and not (log.spans or log.strays or log.floor or log.pruned):
            del self._logs[log.device], self._logs_of[log.identity][log.device]

    def _state(self, log: Log) -> LogState:
        missing = (seq for seq in sorted(log.gaps) if self._is_missing(log.held[seq]))
        return LogState(log.device, log.identity, log.spans, tuple(missing), log.fork, log.floor)

    async def usage(self) -> Usage:
        used = sum(ENTRY_BYTES + len(held.entry.payload or b"") for held in self._by_id.values())
        return Usage(used, 0, sum(log.pruned for log in self._logs.values()))

    async def bottoms(self) -> list[Bottom]:
        return [
            Bottom(log.device, log.identity, low := log.spans[0].low, log.spans[-1].high, log.held[low].sort)
            for log in self._logs.values()
            if log.spans
        ]

    async def prune(self, device: DeviceKey, up_to: int, now_ms: int) -> PrunedLog:
        log = self._logs.get(device)
        if log is None:
            raise BadChain("room is to be made in a log that is not held")
        items = [log.held[seq] for seq in sorted(log.held) if seq <= up_to]
        before = log.held[up_to].entry.id if up_to in log.held else None
        is_of_stranger = log.identity not in self._identities and self._is_stranger(log.identity)
        gone = self._drop_most(log, items, now_ms, is_of_stranger)
        self._cut_spans(log, up_to, before)
        log.floor = max(log.floor, up_to) if log.spans else 0
        log.pruned += gone
        left = log.held[log.spans[0].low].sort if log.spans else None
        return PrunedLog(self._state(log), gone, left)

    def _drop_most(self, log: Log, items: Sequence[Held], now_ms: int, only_by_hand: bool) -> int:
        """Forget these entries of runs, all but what stays as strays; gives how many went. `only_by_hand`: of a
        stranger, whose log anybody can have us hold, nothing stays but what is held by hand."""
        if self._is_ours(log):
            for held in items:
                held.lent = None
        kept = self._kept(log, items, only_by_hand)
        staying = [held for held in items if held.entry.id in kept]
        strays = [held.lent or Stray(self._chain_of(held), now_ms, True) for held in staying]
        for held, stray in zip(staying, strays, strict=True):
            self._make_stray(held, stray)
        self._forget([held for held in items if held.entry.id not in kept])
        return len(items) - len(kept)

    def _cut_spans(self, log: Log, up_to: int, before: EntryId | None) -> None:
        left = [span for span in log.spans if span.high > up_to]
        if left and left[0].low <= up_to:
            left[0] = replace(left[0], low=up_to + 1, low_id=log.held[up_to + 1].entry.id, low_prev=before)
        log.spans = tuple(left)

    def _chain_of(self, held: Held) -> tuple[Entry, ...]:
        chain: list[Entry] = []
        last = held.entry
        while last.signature is None:
            last = held.log.held[last.seq + 1].entry
            chain.append(last.without_payload())
        return tuple(chain)

    def _make_stray(self, held: Held, stray: Stray) -> None:
        log, entry = held.log, held.entry
        del log.held[entry.seq]
        log.gaps.discard(entry.seq)
        self._listed.get(log.identity, {}).pop(entry.id, None)
        if not stray.kept:
            self._dms.pop(entry.id, None)
        held.stray, held.lent = stray, None
        log.strays[entry.seq] = held
        self._strays[entry.id] = held

    # --- what stays ---

    def _kept(self, log: Log, items: Sequence[Held], only_by_hand: bool = False) -> set[EntryId]:
        """What a person holds on to, what is lent, and what belongs to it."""
        held = [each for each in items if each.entry.payload is not None]
        kept = {each.entry.id for each in items if each.lent is not None}
        if only_by_hand:
            notes = (each for each in held if each.meaning.kind == Kind.NOTE)
            kept |= {each.entry.id for each in notes if self._is_held_by_hand(each)}
        else:
            kept |= {each.entry.id for each in held if self._is_held_on_to(each)}
            kept |= self._kept_of_author(log, held)
        going = {each.entry.id for each in items} - kept
        kept |= {each.entry.id for each in held if self._is_last_edit(each, going)}
        kept |= self._kept_deletes(held, going - kept)
        deletes = [] if only_by_hand else [each for each in held if each.meaning.kind == Kind.DELETE]
        return kept | self._waiting_deletes(log, deletes, kept)

    def _kept_of_author(self, log: Log, held: Sequence[Held]) -> set[EntryId]:
        pinned = set(self._pins_of(log.identity))
        profile = self._newest_profile(log.identity)
        kept = {each.entry.id for each in held if each.entry.id in pinned or each is profile}
        return kept | {each.entry.id for each in held if self._is_last_pin(each, pinned)}

    def _kept_deletes(self, held: Sequence[Held], going: set[EntryId]) -> set[EntryId]:
        """The first delete of each entry that stays, unless a lent one names it, or one that stayed before."""
        kept, hidden = set[EntryId](), set[EntryId]()
        for each in sorted(held, key=lambda each: each.lent is None):
            hides = self._hidden_by(each) - going - hidden
            if hides:
                kept.add(each.entry.id)
                hidden |= hides
        return kept

    def _waiting_deletes(self, log: Log, deletes: Sequence[Held], kept: set[EntryId]) -> set[EntryId]:
        """Deletes whose notice may still come, as many as may wait in a log; of somebody whose identity is not kept
        none, for anybody can have us take those."""
        if log.identity not in self._identities:
            return set()
        waiting = [each.entry.id for each in deletes if each.entry.id not in kept and self._awaits_notice(each)]
        others = [each for each in log.strays.values() if each.meaning.kind == Kind.DELETE and each not in deletes]
        return set(waiting[: max(0, DELETES_WAITING_MAX - len(others))])

    def _is_held_by_hand(self, held: Held) -> bool:
        """By something that the person did."""
        identifier = held.entry.id
        own = self._settings.get(OWN_IDENTITY)
        referring = [
            *(
                each
                for kinds in (Kind.LIKE, Kind.BOOST)
                for each in self._reactions.get((identifier, kinds), {}).values()
            ),
            *self._votes.get(identifier, {}).values(),
        ]
        answers = filter(self._is_here_for_us, self._replies.get(identifier, {}).values())
        return (
            identifier in self._bookmarks
            or any(each.log.identity == own and self._counts(each) for each in referring)
            or any(each.log.identity == own and self._is_vouched(each) for each in answers)
        )

    def _is_held_on_to(self, held: Held) -> bool:
        kind = held.meaning.kind
        return (
            self._is_held_by_hand(held)
            or (kind == Kind.NOTE and self._is_news(held))
            or self._is_vouch(held)
            or (kind == Kind.DM and not held.aside and held.entry.id in self._dms and self._is_letter(held))
        )

    def _is_vouch(self, held: Held) -> bool:
        return held.meaning.kind == Kind.VOUCH and self._is_near(held.log.identity) and self._counts(held)

    def _is_news(self, held: Held) -> bool:
        return self._is_said_to_us(held) and self._is_shown(held) and not self._waits(held)

    def _is_last_pin(self, held: Held, pinned: set[EntryId]) -> bool:
        target = held.meaning.of
        if held.meaning.kind != Kind.PIN or target not in pinned:
            return False
        pins = [each for each in self._pins.get(held.log.identity, {}).values() if each.meaning.of == target]
        return max(filter(self._counts, pins), key=lambda each: (each.log.no, each.entry.seq), default=None) is held

    def _is_last_edit(self, held: Held, going: set[EntryId]) -> bool:
        target = held.meaning.of if held.meaning.kind == Kind.EDIT else None
        found = None if target is None else self._by_id.get(target)
        if found is None or target in going or found.log.identity != held.log.identity:
            return False
        edits = [each for each in self._shown_edits(found) if each.log is held.log]
        return max(edits, key=lambda each: each.entry.seq, default=None) is held

    def _hidden_by(self, held: Held) -> set[EntryId]:
        named = (self._by_id.get(target) for target in held.meaning.deletes)
        own = (each for each in named if each is not None and each.log.identity == held.log.identity)
        return {each.entry.id for each in own if not self._is_hidden_before(each, held)}

    def _is_hidden_before(self, target: Held, by: Held) -> bool:
        """Whether an earlier delete of the same log, which stayed as what was around it went, names it."""
        earlier = (each for each in self._retractions(target) if each.log is by.log and each.entry.seq < by.entry.seq)
        return any(each.stray is not None and each.stray.kept for each in earlier)

    def _awaits_notice(self, held: Held) -> bool:
        ref = taken_back_ref(held.entry.payload)
        if ref is None or ref.identity != held.log.identity or ref.device == held.log.device or ref.id in self._by_id:
            return False
        named = self._logs.get(ref.device)
        if named is None or named.identity != held.log.identity:
            return named is None
        return ref.seq > named.floor and span_of(named.spans, ref.seq) is None

    # --- strays, and what is known of what went ---

    def _by_age(self) -> list[Held]:
        return sorted(self._strays.values(), key=_age)

    async def prune_strays(self, passed: int, most: int) -> tuple[int, int]:
        own = self._settings.get(OWN_IDENTITY)
        looked_at, kept = self._by_age()[passed : passed + most], 0
        for each in looked_at:  # one after the other: what goes may have been all that kept the next one
            if each.log.identity == own or self._kept(each.log, [each]):
                kept += 1
            else:
                self._drop_strays([each])
        return kept, len(looked_at) - kept

    async def lift_floors(self, identity: IdentityHash | None = None) -> list[LogState]:
        logs = list((self._logs if identity is None else self._logs_of.get(identity, {})).values())
        had = [log for log in logs if log.floor]
        for log in logs:
            log.floor = log.pruned = 0
            self._drop_bare(log)
        return [self._state(log) for log in had]

    async def thread(self, notice: EntryId) -> Thread:
        found = await super().thread(notice)
        return replace(found, pruned=sum([await self.was_pruned(each.hex()) for each in found.lacking]))

    async def was_pruned(self, prefix: str) -> bool:
        wanted = prefix.lower()
        naming = [held for held in self._by_id.values() if _names(held, wanted)]
        return any(self._is_below_floor(held) for held in naming if self._is_heard(held))

    def _is_heard(self, held: Held) -> bool:
        if held.meaning.kind == Kind.NOTE:
            return self._is_vouched(held) and self._is_here_for_us(held)
        return held.meaning.kind in (*REACTIONS, Kind.VOTE) and self._counts(held)

    def _is_below_floor(self, held: Held) -> bool:
        ref = ref_of(held.entry.payload)
        log = None if ref is None else self._logs.get(ref.device)
        if ref is None or log is None or ref.id in self._by_id or log.identity != ref.identity:
            return False
        return ref.seq <= log.floor

    async def give_back(self, pages: int) -> int:
        return 0


def _age(held: Held) -> tuple[int, int, int]:
    return 0 if held.stray is None else held.stray.since_ms, held.log.no, held.entry.seq


def _names(held: Held, prefix: str) -> bool:
    return held.meaning.of is not None and held.meaning.of.hex().startswith(prefix)
