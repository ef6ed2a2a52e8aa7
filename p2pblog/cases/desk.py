"""What every use case works with: the author, the store, the links, and what a person typed."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from p2pblog.author import Author
from p2pblog.cases.again import Again
from p2pblog.cases.documents import notice_document
from p2pblog.cases.quiet import Quiet
from p2pblog.cases.told import Told
from p2pblog.cases.uploads import Fetching, Uploads
from p2pblog.config import ADDRESS_LETTERS
from p2pblog.control.documents import NoticeDocument, WrittenDocument
from p2pblog.control.words import ID_DIGITS, check_id
from p2pblog.core import address, payload
from p2pblog.core.address import Endpoint, Link
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Located
from p2pblog.core.lookalikes import Bearers
from p2pblog.core.media import FileHash
from p2pblog.core.payload import Boost, Dm, Edit, Payload, Ref
from p2pblog.core.quiet import hidden_by
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value
from p2pblog.errors import BadAddress, Malformed, NotFound, UsageError
from p2pblog.gossip.driver import Driver
from p2pblog.rendezvous.driver import Meeting
from p2pblog.room import Room
from p2pblog.signals import Signal
from p2pblog.store import Follow, Store
from p2pblog.terminal import clean_name


class Place(Value):
    """Where this node listens, and what an invitation says of it."""

    listen: Endpoint
    reachable: tuple[Endpoint, ...]


class Desk:
    """The base of every group of use cases."""

    def __init__(
        self,
        author: Author,
        store: Store,
        driver: Driver,
        meeting: Meeting,
        follows: dict[IdentityHash, Follow],
        place: Place,
        wall_ms: Callable[[], int],
        quiet: Quiet,
        room: Room,
    ) -> None:
        self._author = author
        self._store = store
        self._driver = driver
        self._meeting = meeting
        self._follows = follows
        self._place = place
        self._wall_ms = wall_ms
        self._quiet = quiet
        self._room = room
        self._started_ms = wall_ms()
        self._started = trio.current_time()
        holdings = driver.machine.holdings
        self._held_at_start = {log.device: max(holdings.high(log.device), log.floor) for log in holdings.logs.values()}
        """Of each log the highest number that was here when the node started: what stands above it came since."""
        self._told = Told()
        self._following = trio.Lock()
        self._reacting = trio.Lock()
        self._blobs = driver.blobs
        self._uploads = Uploads()
        self._fetching: dict[FileHash, Fetching] = {}
        self._attached: set[FileHash] = set()
        """Files that a notice of ours is to have, until `drop_unreferred` comes upon them."""
        self._watchers: set[trio.MemorySendChannel[EntryId]] = set()
        self._watched_groups: dict[trio.MemorySendChannel[EntryId], str] = {}
        self._joined: dict[str, float | None] = {}
        """The groups that were joined, and when each was last looked for by trio's clock; None: it is due."""
        self._joined_changed = Signal()
        self._again = Again()

    def move(self, place: Place) -> None:
        """This node listens elsewhere now: its machine has another address."""
        self._place = place

    def _written(self, entry: Entry, kind: str) -> WrittenDocument:
        return WrittenDocument(
            id=entry.id.hex(),
            type=kind,
            author=address.spell(self._author.identity_hash),
            device=entry.device.hex(),
            seq=entry.seq,
            time=entry.time_ms,
        )

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """For what depends on what we have written: one at a time, and once what others hold of it is here. Where the
        home was put back that comes in after the start, and time passes."""
        async with self._reacting:
            await self._author.until_complete()
            yield

    async def _resolve(self, text: str) -> Link:
        """An address, a link, or a petname of ours. Raises UsageError."""
        for follow in self._follows.values():
            if follow.petname is not None and follow.petname == text:
                return Link(follow.identity)
        try:
            return address.read_link(text)
        except (BadAddress, Malformed) as error:
            if len(text) < address.ADDRESS_CHARACTERS // 2 and not text.lower().startswith("p2pblog:"):
                raise await self._nobody(clean_name(text) or "that") from error
            raise UsageError(str(error)) from error

    async def _nobody(self, typed: str) -> UsageError:
        """The error about what is neither an address nor a petname. Some take for one what people call themselves."""
        names = (await self._names()).items()
        called = [whose for whose, name in names if clean_name(name) == typed and whose in self._follows]
        if not called:
            return UsageError(f"{typed} is neither an address nor a petname of yours", hint="p2pblog following")
        spelled = address.spell(called[0])
        whom = f"somebody whom you follow calls themselves so ({spelled[:ADDRESS_LETTERS]})"
        if len(called) > 1:
            whom = f"{len(called)} people whom you follow call themselves so"
        hint = f"p2pblog follow {spelled} --petname {shlex.quote(typed)}" if len(called) == 1 else "p2pblog following"
        return UsageError(f"{typed} is no petname of yours; {whom}", hint)

    async def _find(self, prefix: str) -> EntryId:
        wanted = check_id(prefix)
        found = await self._store.find_ids(wanted)
        if not found and await self._store.was_pruned(wanted):
            raise NotFound("that was pruned to save room", hint="p2pblog config get store.max")
        if not found:
            raise NotFound("this node holds no such entry")
        if len(found) > 1:
            raise UsageError("more than one id begins like that: give more digits")
        return found[0]

    async def _begin_of_page(self, prefix: str) -> EntryId:
        """Where a page begins: a whole id is taken at its word, for the page says itself if it is not here."""
        wanted = check_id(prefix)
        return EntryId(bytes.fromhex(wanted)) if len(wanted) == ID_DIGITS else await self._find(wanted)

    async def _locate(self, prefix: str) -> Located:
        located = await self._store.locate(await self._find(prefix))
        if located is None:
            raise NotFound("this node holds no such entry")
        return located

    async def _names(self) -> dict[IdentityHash, str | None]:
        """What we and those whom we follow call themselves."""
        return await self._store.names([self._author.identity_hash, *self._follows])

    def _bearers(self, names: Mapping[IdentityHash, str | None]) -> Bearers:
        """Who is called what by themselves, as `names` has it, or by us."""
        pairs: list[tuple[str, str | None]] = []
        for whose, name in names.items():
            spelled, follow = address.spell(whose), self._follows.get(whose)
            pairs += [(spelled, None if follow is None else follow.petname), (spelled, name)]
        return Bearers.of(pairs)

    def _marked(self, rows: Sequence[Row]) -> list[NoticeDocument]:
        """Notices where all are shown: those that a mute hides from timelines bear a mark."""
        rules, now_ms = self._quiet.rules(is_home=False), self._wall_ms()
        return [notice_document(row, now_ms, muted=bool(hidden_by(row, rules))) for row in rows]

    def _tell(self, watcher: trio.MemorySendChannel[EntryId], entry: EntryId) -> None:
        """Hand an entry to a live timeline; one that does not read is ended."""
        try:
            watcher.send_nowait(entry)
        except trio.WouldBlock:
            self._watchers.discard(watcher)
            watcher.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._watchers.discard(watcher)

    async def _notice_ref(self, prefix: str) -> Ref:
        """What a reply, boost or like refers to: a notice; a boost stands for the notice that it boosts, an
        edit for the one that it edits. Whose that is its own entry says, where it is held: who boosts it may lie."""
        located = await self._locate(prefix)
        said = said_in(located.entry)
        if not isinstance(said, Edit) and not await self._store.rows([located.entry.id]):
            raise no_notice(said)
        if not isinstance(said, Edit | Boost):
            return ref_to(located)
        held = await self._store.locate(said.of.id)
        if held is None and isinstance(said, Boost):
            return said.of
        is_edited_by_another = held is not None and isinstance(said, Edit) and held.identity != located.identity
        if held is None or is_edited_by_another or not await self._store.rows([held.entry.id]):
            raise no_notice(said)
        return ref_to(held)


def no_notice(said: Payload | None) -> NotFound:
    """What is told of an entry that was taken for a notice. `said`: what it holds."""
    if isinstance(said, Dm):
        return NotFound("that is a direct message, and no notice", hint="p2pblog dm")
    return NotFound("that is no notice, or it was deleted")


def said_in(entry: Entry) -> Payload | None:
    return None if entry.payload is None else payload.decode(entry.payload)


def ref_to(located: Located) -> Ref:
    return Ref(located.identity, located.entry.device, located.entry.seq, located.entry.id)
