"""What is asked of the store in a dict: timelines, conversations, what others say, by the rules of store/meaning.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from heapq import nlargest, nsmallest
from itertools import groupby, islice

from p2pblog.config import (
    PINS_MAX,
    PINS_READ_MAX,
    THREAD_NOTICES_MAX,
    TIMELINE_ROWS_MAX,
    VERSIONS_MAX,
)
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.media import FileHash
from p2pblog.core.payload import Profile, Ref
from p2pblog.core.polls import Ballot
from p2pblog.core.quiet import Rated
from p2pblog.core.timelines import Row
from p2pblog.errors import NotFound
from p2pblog.store import (
    OWN_IDENTITY,
    DmRow,
    Follow,
    FollowRow,
    GroupRow,
    Reference,
    SearchQuery,
    SearchResult,
    Thread,
    TimelineQuery,
    Vouched,
)
from p2pblog.store.conversations import Node, Which, named_in, walk_thread
from p2pblog.store.meaning import (
    IN_TIMELINES,
    PLAIN,
    SAID,
    Kind,
    Meaning,
    News,
    PollEnd,
    Shown,
    Standing,
    Version,
    awaits_poll,
    called,
    compose,
    current,
    found_words,
    is_retractable,
    look_at_poll,
    meaning_of,
    news_of,
    profile_of,
    quoted_id,
    vouched_to,
)
from p2pblog.store.memory_desk import MemoryDesk
from p2pblog.store.memory_log import Held as _Held
from p2pblog.store.memory_log import Log as _Log
from p2pblog.store.memory_log import shown as _shown
from p2pblog.store.memory_log import version as _version
from p2pblog.store.referring import ENTRIES_PER_LOG, Referring, largest, told_of


class MemoryReading(MemoryDesk):
    """The part of `store.Store` that a person asks; `memory.py` adds what changes it."""

    def __init__(self) -> None:
        super().__init__()
        self._identities: dict[IdentityHash, Identity] = {}
        self._logs: dict[DeviceKey, _Log] = {}
        self._logs_of: dict[IdentityHash, dict[DeviceKey, _Log]] = {}
        self._logs_met = 0
        self._by_id: dict[EntryId, _Held] = {}
        self._listed: dict[IdentityHash, dict[EntryId, _Held]] = {}
        self._profiles: dict[IdentityHash, dict[EntryId, _Held]] = {}
        self._replies: dict[EntryId, dict[EntryId, _Held]] = {}
        self._reactions: dict[tuple[EntryId, Kind], dict[EntryId, _Held]] = {}
        self._pins: dict[IdentityHash, dict[EntryId, _Held]] = {}
        self._votes: dict[EntryId, dict[EntryId, _Held]] = {}
        self._deletes: dict[EntryId, dict[EntryId, _Held]] = {}
        self._edits: dict[EntryId, dict[EntryId, _Held]] = {}
        self._vouches: dict[IdentityHash, dict[EntryId, _Held]] = {}
        self._files: dict[FileHash, dict[EntryId, _Held]] = {}
        self._strays: dict[EntryId, _Held] = {}
        self._dms: dict[EntryId, _Held] = {}

    # --- what is shown: the rules of store/meaning.py ---

    def _is_vouched(self, held: _Held) -> bool:
        log = held.log
        return held.entry.seq <= vouched_to(self._identities.get(log.identity), log.device)

    def _is_listed(self, held: _Held) -> bool:
        """Whether it stands in timelines, if it is shown: no stray does, and nothing of whose identity is not kept."""
        return held.stray is None and held.log.identity in self._identities

    def _is_here_for_us(self, held: _Held) -> bool:
        """Whether it is here for more than that others have us hold its log: whoever asks us to relay ever new people
        is to put nothing before the person, and into no count."""
        return held.log.identity in self._identities or held.stray is not None or held.lent is not None

    def _is_ours(self, log: _Log) -> bool:
        """Whether it is held for our own sake: of oneself or of somebody followed, whose identity has come. That an
        identity is kept does not say so: we may have followed it once."""
        return log.identity in self._identities and self._is_near(log.identity)

    def _counts(self, held: _Held) -> bool:
        return self._is_here_for_us(held) and self._is_shown(held)

    def _retractions(self, held: _Held) -> list[_Held]:
        """The deletes in force that name it."""
        if not is_retractable(held.meaning.kind, held.entry.seq):
            return []
        return self._deletes_of(held.entry.id, held.log.identity)

    def _deletes_of(self, entry: EntryId, author: IdentityHash) -> list[_Held]:
        """The deletes in force by this author that name an entry, whether it is here or not."""
        named = self._deletes.get(entry, {}).values()
        return [delete for delete in named if delete.log.identity == author and self._is_vouched(delete)]

    def _is_shown(self, held: _Held) -> bool:
        return held.entry.payload is not None and self._is_vouched(held) and not self._retractions(held)

    def _is_missing(self, held: _Held) -> bool:
        return held.entry.payload is None and held.stray is None and not self._retractions(held)

    # --- what a person asks for ---

    async def timeline(self, query: TimelineQuery) -> list[Row]:
        before = self._place_of(query.before)
        if query.strangers:
            listed: Iterable[_Held] = (
                held for held in self._said_to_us() if self._waits(held) and held.meaning.kind == Kind.NOTE
            )
        else:
            listed = self._in_group(query) if query.group is not None else self._in_timelines(query)
            if query.tag is not None:
                listed = (held for held in listed if self._is_listed(held) and query.tag in self._said(held).tags)
        shown = (held for held in listed if (before is None or held.place < before) and self._is_shown(held))
        limit = max(0, min(query.limit, TIMELINE_ROWS_MAX))
        return [self._row(held) for held in nlargest(limit, shown, key=lambda held: held.place)]

    def _in_timelines(self, query: TimelineQuery) -> Iterable[_Held]:
        whose: Iterable[IdentityHash] = query.identities or ()
        if query.identities is None:
            whose = self._at_home() if query.tag is None else self._listed
        return (held for identity in dict.fromkeys(whose) for held in self._listed_of(identity))

    def _listed_of(self, identity: IdentityHash) -> Iterable[_Held]:
        return self._listed.get(identity, {}).values() if identity in self._identities else ()

    def _in_group(self, query: TimelineQuery) -> Iterable[_Held]:
        here = filter(self._is_here_for_us, self._by_id.values())
        said = (held for held in here if query.group in self._said(held).groups)
        return (held for held in said if query.identities is None or held.log.identity in query.identities)

    def _place_of(self, entry: EntryId | None) -> tuple[int, int, int] | None:
        if entry is None:
            return None
        if entry not in self._by_id:
            raise NotFound(f"there is no notice {entry.hex()} here")
        return self._by_id[entry].place

    def _at_home(self) -> dict[IdentityHash, None]:
        own = self._settings.get(OWN_IDENTITY)
        return dict.fromkeys([*self._follows, *([] if own is None else [IdentityHash(own)])])

    async def search(self, query: SearchQuery) -> SearchResult:
        below = None
        if query.before is not None:
            if query.before not in self._by_id:
                raise NotFound(f"there is no notice {query.before.hex()} here")
            below = self._by_id[query.before].place
        shown = (held for held in self._by_id.values() if held.meaning.kind == Kind.NOTE and self._counts(held))
        older = (held for held in shown if below is None or held.place < below)
        found = (held for held in older if self._fits(held, query))
        limit = max(0, min(query.limit, TIMELINE_ROWS_MAX))
        return SearchResult(tuple(self._row(held) for held in nlargest(limit, found, key=lambda held: held.place)))

    def _fits(self, held: _Held, query: SearchQuery) -> bool:
        words = found_words(held.entry.payload or b"", held.log.no, self._edit_of(held))
        return query.fits(held.log.identity, held.sort, words)

    async def rows(self, ids: Sequence[EntryId]) -> list[Row]:
        found = (self._by_id.get(entry) for entry in ids)
        return [
            self._row(held)
            for held in found
            if held is not None and held.meaning.kind in IN_TIMELINES and self._is_shown(held)
        ]

    def _row(self, held: _Held) -> Row:
        meaning, author = held.meaning, held.log.identity
        shown = _shown(held)
        words = held if meaning.kind != Kind.BOOST or meaning.of is None else self._by_id.get(meaning.of)
        is_there = words is not None and self._is_shown(words)
        standing = Standing(
            words.entry.payload if words is not None and is_there else None,
            self._edit_of(words) if words is not None and is_there else None,
            self._count(shown.counted, Kind.LIKE),
            self._count(shown.counted, Kind.BOOST),
            self._quoted(words) if words is not None and is_there else None,
            words.log.identity if words is not None and is_there else None,
        )
        return compose(shown, self._profile(author)[0], standing, self._ballots, self._is_taken_back)

    def _is_taken_back(self, ref: Ref) -> bool:
        return bool(self._deletes_of(ref.id, ref.identity))

    def _said(self, held: _Held) -> Meaning:
        """What the words of a notice mean, as they stand; nothing of anything else."""
        if held.meaning.kind != Kind.NOTE:
            return PLAIN
        edit = self._edit_of(held)
        return held.meaning if edit is None else meaning_of(edit.payload)

    async def group(self, name: str) -> GroupRow | None:
        return self._group_row(name) if name in self._groups else None

    async def groups(self) -> list[GroupRow]:
        return [self._group_row(name) for name in sorted(self._groups)]

    def _group_row(self, name: str) -> GroupRow:
        notices = [held for held in self._in_group(TimelineQuery(0, group=name)) if self._is_shown(held)]
        authors = {held.log.identity for held in notices}
        return GroupRow(name, self._groups[name], len(notices), len(authors))

    def _quoted(self, words: _Held) -> Shown | None:
        wanted = quoted_id(words.entry.payload)
        held = None if wanted is None else self._by_id.get(wanted)
        if held is None or not self._is_shown(held):
            return None
        of = held.meaning.of if held.meaning.kind == Kind.EDIT else None
        return _shown(held) if of is None or not self._deletes_of(of, held.log.identity) else None

    def _edit_of(self, held: _Held) -> Version | None:
        return current([_version(edit) for edit in self._shown_edits(held)])

    def _shown_edits(self, held: _Held) -> list[_Held]:
        named = self._edits.get(held.entry.id, {}).values()
        return [edit for edit in named if edit.log.identity == held.log.identity and self._is_shown(edit)]

    async def taken_back_by(self, author: IdentityHash, entry: EntryId) -> EntryId | None:
        held = self._by_id.get(entry)
        if held is not None and not is_retractable(held.meaning.kind, held.entry.seq):
            return None
        return min((delete.entry.id for delete in self._deletes_of(entry, author)), default=None)

    async def taken_back(self, device: DeviceKey, since_ms: int) -> list[int]:
        named = [held for target in self._deletes if (held := self._by_id.get(target)) is not None]
        found = [held for held in named if held.log.device == device and held.entry.payload is not None]
        return sorted(h.entry.seq for h in found if h.entry.time_ms > since_ms and self._retractions(h))

    async def versions(self, notice: EntryId) -> list[Version]:
        held = self._by_id.get(notice)
        if held is None or held.meaning.kind != Kind.NOTE or not self._is_shown(held):
            return []
        newest = sorted(self._shown_edits(held), key=lambda edit: (edit.log.no, edit.entry.seq))[-VERSIONS_MAX:]
        return [_version(each) for each in (held, *sorted(newest, key=lambda edit: edit.place))]

    async def refs(self, ids: Sequence[EntryId]) -> list[tuple[Ref, ...]]:
        return [tuple(self._refs(self._by_id.get(entry))) for entry in ids]

    def _refs(self, held: _Held | None) -> Iterator[Ref]:
        if held is None or not self._is_shown(held):
            return
        edit = self._edit_of(held) if held.meaning.kind == Kind.NOTE else None
        for each in (held, None if edit is None else self._by_id[edit.id]):
            if each is not None:
                yield Ref(each.log.identity, each.log.device, each.entry.seq, each.entry.id)

    async def news(
        self, limit: int, before: EntryId | None = None, unread: bool = False, but_of: Collection[bytes] = ()
    ) -> list[News]:
        came = self._news()
        if before is not None:
            ids = [each.id for each in came]
            if before not in ids:
                raise NotFound("that is no notification")
            came = came[ids.index(before) + 1 :]
        wanted = [each for each in came if not (unread and each.is_read) and each.author not in but_of]
        return wanted[: max(0, limit)]

    async def mark_news_read(self) -> int:
        unread = [each.id for each in self._news() if not each.is_read]
        for held in (self._by_id[entry] for entry in (*unread, *self._polls_ended)):
            held.log.read[held.entry.seq] = self._news_since(held)
        return len(unread)

    def _news(self) -> list[News]:
        said = (held for held in self._said_to_us() if not self._waits(held))
        told = [held for held in said if held.meaning.at is None or self._is_own_at(held.meaning.at)]
        told += filter(self._is_shown, map(self._by_id.__getitem__, self._polls_ended))
        letters = (held for held in self._dms.values() if held.told_ms is not None and self._is_letter(held))
        told += (held for held in letters if not self._is_stranger(held.log.identity))
        found = (
            news_of(_shown(held), self._is_own, held.entry.seq in held.log.read, self._shown_by_id)
            for held in sorted(told, key=lambda held: (self._news_since(held), held.place), reverse=True)
        )
        return [each for each in found if each is not None]

    def _news_since(self, held: _Held) -> int:
        """What was read stands where it stood when it comes again."""
        since = self._polls_ended.get(held.entry.id, held.seen if held.told_ms is None else held.told_ms)
        return held.log.read.get(held.entry.seq, since)

    async def put_setting(self, key: str, value: bytes | None) -> None:
        if key == OWN_IDENTITY and value != self._settings.get(key):
            for log in self._logs.values():
                log.read.clear()
            for held in self._dms.values():
                held.told_ms = None
        await super().put_setting(key, value)

    def _await_polls(self, identity: IdentityHash, entries: Iterable[Entry], now_ms: int) -> None:
        if identity == self._settings.get(OWN_IDENTITY):
            for entry in entries:
                if awaits_poll(entry.payload):
                    self._polls_due.setdefault(entry.id, (now_ms, 0))

    async def end_polls(self, now_ms: int) -> int:
        ended: dict[EntryId, EntryId] = {}
        due = sorted((at, self._by_id[entry].place[1:], entry) for entry, (_, at) in self._polls_due.items())
        for _, _, entry in (each for each in due if each[0] < now_ms):
            since_ms, _ = self._polls_due.pop(entry)
            shown = self._shown_by_id(entry) if self._is_own(entry) else None
            found = None if shown is None else look_at_poll(shown, self._shown_by_id, since_ms, now_ms)
            if isinstance(found, int):
                self._polls_due[entry] = since_ms, found
            elif found is not None and not self._is_told(found):
                ended.setdefault(found.notice, entry)
        self._polls_ended.update(dict.fromkeys(ended.values(), now_ms))
        return len(ended)

    def _is_told(self, end: PollEnd) -> bool:
        votes = self._votes.get(end.notice, {}).items()
        return any(entry in self._polls_ended and self._counts(vote) for entry, vote in votes)

    def _shown_by_id(self, entry: EntryId) -> Shown | None:
        held = self._by_id.get(entry)
        return _shown(held) if held is not None and self._is_shown(held) else None

    def _said_to_us(self) -> list[_Held]:
        return [held for held in self._by_id.values() if self._is_said_to_us(held)]

    def _is_said_to_us(self, held: _Held) -> bool:
        own = self._settings.get(OWN_IDENTITY)
        is_ours = own in held.meaning.to and held.meaning.kind in SAID
        return is_ours and held.log.identity != own and self._counts(held)

    # --- strangers ---

    def _waits(self, held: _Held) -> bool:
        return self._is_said_to_us(held) and self._is_stranger(held.log.identity)

    def _is_stranger(self, identity: IdentityHash) -> bool:
        return identity not in self._admitted and not self._is_near(identity) and not self._vouchers(identity)

    def _is_near(self, identity: IdentityHash) -> bool:
        """One's own, or followed."""
        return identity in self._follows or identity == self._settings.get(OWN_IDENTITY)

    def _vouchers(self, subject: IdentityHash) -> set[IdentityHash]:
        held = self._vouches.get(subject, {}).values()
        return {each.log.identity for each in held if self._is_near(each.log.identity) and self._counts(each)}

    async def vouchers(self, subject: IdentityHash) -> list[IdentityHash]:
        return sorted(self._vouchers(subject))

    async def vouches(self, by: IdentityHash, subject: IdentityHash | None = None) -> list[Vouched]:
        subjects = sorted(self._vouches) if subject is None else [subject]
        found = []
        for whom in subjects:
            held = [each for each in self._vouches.get(whom, {}).values() if each.log.identity == by]
            shown = sorted(filter(self._counts, held), key=lambda each: (each.log.no, each.entry.seq))
            found += [Vouched(each.entry.id, whom, each.entry.time_ms) for each in shown]
        return found

    def _is_own(self, entry: EntryId) -> bool:
        held = self._by_id.get(entry)
        return held is not None and held.log.identity == self._settings.get(OWN_IDENTITY)

    def _is_own_at(self, at: Ref) -> bool:
        """Whether an own notice or boost is shown where this says."""
        held = self._by_id[at.id] if self._is_own(at.id) else None
        is_there = held is not None and (held.log.device, held.entry.seq) == (at.device, at.seq)
        return held is not None and is_there and held.meaning.kind in IN_TIMELINES and self._is_shown(held)

    def _ballots(self, notice: EntryId) -> Iterator[Ballot]:
        own = self._settings.get(OWN_IDENTITY)
        for held in self._votes.get(notice, {}).values():
            if self._counts(held):
                voter, entry = held.log.identity, held.entry
                place, choice = held.place, held.meaning.choice
                yield Ballot(voter, held.log.no, entry.seq, place[0], entry.id, choice, voter == own)

    def _count(self, target: EntryId, kind: Kind) -> int:
        held = self._reactions.get((target, kind), {}).values()
        return len({reaction.log.identity for reaction in held if self._counts(reaction)})

    async def reactions(self, identity: IdentityHash, notice: EntryId, kind: Kind) -> list[EntryId]:
        held = self._reactions.get((notice, kind), {}).values()
        mine = [each for each in held if each.log.identity == identity and self._counts(each)]
        return [each.entry.id for each in sorted(mine, key=lambda each: (each.log.no, each.entry.seq))]

    async def pins(self, identity: IdentityHash) -> list[EntryId]:
        return self._pins_of(identity)

    def _pins_of(self, identity: IdentityHash) -> list[EntryId]:
        pins = (pin for pin in self._pins.get(identity, {}).values() if self._counts(pin))
        newest = nlargest(PINS_READ_MAX, pins, key=lambda pin: pin.place)
        targets = (self._by_id.get(pin.meaning.of) for pin in newest if pin.meaning.of is not None)
        found = (
            held.entry.id
            for held in targets
            if held is not None
            and held.log.identity == identity
            and held.meaning.kind == Kind.NOTE
            and self._is_shown(held)
        )
        return list(islice(dict.fromkeys(found), PINS_MAX))

    def _newest_profile(self, identity: IdentityHash) -> _Held | None:
        shown = (held for held in self._profiles.get(identity, {}).values() if self._is_shown(held))
        return max(shown, key=lambda held: held.place, default=None)

    def _whole_profile(self, identity: IdentityHash) -> Profile | None:
        newest = self._newest_profile(identity)
        return profile_of(None if newest is None else newest.entry.payload)

    def _profile(self, identity: IdentityHash) -> tuple[str | None, str | None]:
        return called(self._whole_profile(identity))

    async def whole_profile(self, identity: IdentityHash) -> Profile | None:
        return self._whole_profile(identity)

    async def profile(self, identity: IdentityHash) -> tuple[str | None, str | None]:
        return self._profile(identity)

    async def names(self, identities: Collection[IdentityHash]) -> dict[IdentityHash, str | None]:
        return {identity: self._profile(identity)[0] or None for identity in identities}

    async def thread(self, notice: EntryId) -> Thread:
        walk = walk_thread(notice, self._node, self._replies_to, THREAD_NOTICES_MAX)
        held = [self._by_id[entry] for entry in walk.held]
        notices = [self._row(found) for found in held if found.meaning.kind == Kind.NOTE and self._is_shown(found)]
        return Thread(walk.root, tuple(notices), *named_in(walk, notices, self._node), walk.waiting)

    def _node(self, entry: EntryId) -> Node | None:
        held = self._by_id.get(entry)
        if held is None:
            return None
        return Node(
            held.meaning.kind,
            held.meaning.of,
            self._is_missing(held),
            held.place,
            self._is_own(entry),
            self._is_stranger(held.log.identity),
            self._waits(held),
        )

    def _replies_to(self, parent: EntryId, most: int, which: Which) -> list[EntryId]:
        here = filter(self._is_here_for_us, self._replies.get(parent, {}).values())
        vouched = [held for held in here if self._is_vouched(held)]
        if which != Which.ALL:
            vouched = [held for held in vouched if self._waits(held) == (which == Which.WAITING)]
        return [held.entry.id for held in sorted(vouched, key=lambda held: held.place)[:most]]

    async def dms(self, limit: int, before: EntryId | None = None, untold: bool = False) -> list[DmRow]:
        place, own = self._place_of(before), self._settings.get(OWN_IDENTITY)
        below = (held for held in self._dms.values() if place is None or held.place < place)
        shown = (held for held in below if not held.aside and self._is_letter(held))
        if untold:
            shown = (held for held in shown if held.told_ms is None and held.log.identity != own)
        first = nsmallest if untold else nlargest
        found = first(max(0, min(limit, TIMELINE_ROWS_MAX)), shown, key=lambda held: held.place)
        return [
            DmRow(held.entry.id, held.log.identity, held.entry.time_ms, held.entry.payload or b"") for held in found
        ]

    def _is_letter(self, held: _Held) -> bool:
        """Whether a direct message is listed if it is not set aside."""
        return held.log.identity in self._identities and self._is_shown(held)

    async def settle_dms(self, for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
        for held in (self._dms[each] for each in for_others if each in self._dms):
            held.aside, held.told_ms = True, None
        for row in await self.dms(len(self._dms), untold=True):
            if row.id in for_us:
                self._dms[row.id].told_ms = now_ms

    async def find_ids(self, prefix: str) -> list[EntryId]:
        wanted = prefix.lower()
        return sorted(entry for entry in self._by_id if entry.hex().startswith(wanted))[:2]

    async def find_files(self, prefix: str) -> list[FileHash]:
        named = [file for file in sorted(self._files) if file.hex().startswith(prefix.lower())]
        return [file for file in named if self._referring(file)][:2]

    async def references(self, file: FileHash) -> list[Reference]:
        return told_of(self._references(file, ENTRIES_PER_LOG))

    async def promised_size(self, file: FileHash) -> int:
        return largest(self._references(file, 1), file)

    def _references(self, file: FileHash, per_log: int) -> Iterator[Reference]:
        """Those of the first entries of each log that refer to a file."""
        for _, held in groupby(self._referring(file), key=lambda each: each.place[1]):
            for each in islice(held, per_log):
                is_profile = each.meaning.kind == Kind.PROFILE
                found = Referring(each.entry.id, each.log.identity, each.entry.payload, is_profile)
                yield from found.references(file)

    async def unreferred(self, files: Sequence[FileHash]) -> list[FileHash]:
        return [file for file in files if not self._referring(file)]

    def _referring(self, file: FileHash) -> list[_Held]:
        return sorted(filter(self._is_shown, self._files.get(file, {}).values()), key=lambda held: held.place[1:])

    async def entry_count(self, device: DeviceKey | None = None) -> int:
        return sum(len(log.held) for each, log in self._logs.items() if device in (None, each))

    # --- what the desk refers to ---

    async def window(self, identity: IdentityHash, from_ms: int, to_ms: int, limit: int) -> list[Rated]:
        shown = [held for held in self._listed_of(identity) if from_ms <= held.sort < to_ms and self._is_shown(held)]
        first = sorted(shown, key=lambda held: held.place)[: max(0, limit)]
        return [Rated(row, self._praise(row)) for row in map(self._row, first)]

    def _praise(self, row: Row) -> int:
        people = self._at_home().keys() - {row.author, *([row.of_author] if row.type == "boost" else [])}
        target = row.boost_of or row.id
        reactions = [
            each for kind in (Kind.LIKE, Kind.BOOST) for each in self._reactions.get((target, kind), {}).values()
        ]
        return len({(each.meaning.kind, each.log.identity) for each in reactions if self._praises(each, people)})

    def _praises(self, held: _Held, people: Set[bytes]) -> bool:
        return held.log.identity in people and self._counts(held)

    async def boosts_at_home(self, notice: EntryId) -> list[EntryId]:
        held, near = self._reactions.get((notice, Kind.BOOST), {}).values(), self._at_home()
        return sorted(each.entry.id for each in held if each.log.identity in near and self._counts(each))

    async def bookmarks(self, limit: int, before: EntryId | None = None) -> list[Row]:
        if before is not None and before not in self._bookmarks:
            raise NotFound("that notice is not bookmarked")
        places = sorted(((since, notice) for notice, since in self._bookmarks.items()), reverse=True)
        below = None if before is None else (self._bookmarks[before], before)
        wanted = [notice for since, notice in places if below is None or (since, notice) < below]
        return (await self.rows(wanted))[: max(0, limit)]

    async def follow_rows(self, of: Collection[IdentityHash] | None = None) -> list[FollowRow]:
        return [self._follow_row(each) for each in self._sorted_follows() if of is None or each.identity in of]

    def _follow_row(self, follow: Follow) -> FollowRow:
        entries = sum(len(log.held) for log in self._logs_of.get(follow.identity, {}).values())
        shown = (held for held in self._listed_of(follow.identity) if self._is_shown(held))
        newest = max(shown, key=lambda held: held.place, default=None)
        return FollowRow(
            follow.identity,
            self._profile(follow.identity)[0],
            follow.petname,
            entries,
            None if newest is None else newest.entry.time_ms,
            follow.no_boosts,
            follow.budget,
            follow.private,
            sum(log.pruned for log in self._logs_of.get(follow.identity, {}).values()),
        )
