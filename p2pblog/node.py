"""The use cases of one node: publish, follow, read, and say how things stand."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import trio

from p2pblog import __version__, names
from p2pblog.author import Author
from p2pblog.config import (
    BOOKMARKS_MAX,
    CONTROL_WATCH_LAG_MAX,
    FOLLOWS_MAX,
    TIMELINE_ROWS_MAX,
)
from p2pblog.control.api import (
    BookmarkDocument,
    EntryDocument,
    FollowDocument,
    IdDocument,
    InviteDocument,
    NoticeDocument,
    PeerDocument,
    ProfileDocument,
    StatusDocument,
    ThreadDocument,
    WrittenDocument,
)
from p2pblog.control.words import (
    check_bio,
    check_id,
    check_language,
    check_name,
    check_petname,
    check_tag,
    check_text,
    check_warning,
)
from p2pblog.core import address, payload
from p2pblog.core.address import Endpoint, Link
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located
from p2pblog.core.payload import REPLACES_MAX, Boost, Delete, Like, Note, Payload, Profile, Ref
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.timelines import Row
from p2pblog.errors import BadAddress, Malformed, NotFound, NotPermitted, UsageError, UserError
from p2pblog.gossip.driver import Driver, Lane
from p2pblog.gossip.events import Ask, Candidates, Interested, Uninterested
from p2pblog.rendezvous.driver import Meeting
from p2pblog.store import Follow, FollowRow, Store, TimelineQuery
from p2pblog.store.meaning import Kind

LOOK_FOR_STRAYS_BELOW = 64
"""Batches up to this size are searched for boosts of what we don't hold; history is not, it would fetch old things."""
ASKED_AT_ONCE_MAX = 20
"""Boosted notices asked for because somebody looked at a page: a page's worth."""
INVITE_PEERS_MAX = 4
"""Endpoints in an invitation: our own and some peers that hold our feed, still short enough for a QR code."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this node listens, and what an invitation says of it."""

    listen: Endpoint
    reachable: tuple[Endpoint, ...]


class Node:
    """Implements `control.api.NodeApi` over the machines, the store and the DHT."""

    def __init__(
        self,
        author: Author,
        store: Store,
        driver: Driver,
        meeting: Meeting,
        follows: dict[IdentityHash, Follow],
        place: Place,
        wall_ms: Callable[[], int],
    ) -> None:
        self._author = author
        self._store = store
        self._driver = driver
        self._meeting = meeting
        self._follows = follows
        self._place = place
        self._wall_ms = wall_ms
        self._started_ms = wall_ms()
        self._following = trio.Lock()
        self._reacting = trio.Lock()
        self._watchers: set[trio.MemorySendChannel[EntryId]] = set()

    # --- who and how ---

    async def id(self) -> IdDocument:
        own = self._author.identity_hash
        name, _bio = await self._store.profile(own)
        return IdDocument(
            address=address.spell(own),
            name=name or None,
            device=self._author.device.hex(),
            node=self._author.keyring.node.public.hex(),
            uri=Link(own).uri,
        )

    async def status(self) -> StatusDocument:
        own = self._author.identity_hash
        name, _bio = await self._store.profile(own)
        return StatusDocument(
            address=address.spell(own),
            name=name or None,
            listen=str(self._place.listen),
            pid=os.getpid(),
            peers=len(self._driver.machine.sharing.sessions),
            dht_nodes=self._meeting.dht_nodes,
            follows=len(self._follows),
            entries=await self._store.entry_count(),
            uptime_s=max(0, self._wall_ms() - self._started_ms) // 1000,
            version=__version__,
            pending=[address.spell(identity) for identity in self._follows if self._is_searching(identity)],
        )

    def _is_searching(self, identity: IdentityHash) -> bool:
        """Nobody had it so far."""
        return identity not in self._driver.machine.holdings.identities

    # --- writing ---

    async def post(
        self, text: str, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument:
        check_text(text)
        warning = None if cw is None else check_warning(cw)
        language = None if lang is None else check_language(lang)
        ref = None if reply_to is None else await self._notice_ref(reply_to)
        return self._written(await self._author.write(Note(text, ref, warning, language)), Note.type)

    async def boost(self, notice: str) -> WrittenDocument:
        """Boosting twice gives the first boost again: a timeline shows it once."""
        return await self._react(Boost(await self._notice_ref(notice)), Kind.BOOST)

    async def like(self, notice: str) -> WrittenDocument:
        """Liking twice gives the first like again."""
        return await self._react(Like(await self._notice_ref(notice)), Kind.LIKE)

    async def unboost(self, notice: str) -> WrittenDocument:
        return await self._unreact(await self._notice_ref(notice), Kind.BOOST, "boosted")

    async def unlike(self, notice: str) -> WrittenDocument:
        return await self._unreact(await self._notice_ref(notice), Kind.LIKE, "liked")

    async def _react(self, payload: Boost | Like, kind: Kind) -> WrittenDocument:
        async with self._reacting:
            for earlier in await self._own_reactions(payload.of, kind):
                return self._written(earlier.entry, payload.type)
            return self._written(await self._author.write(payload), payload.type)

    async def _unreact(self, of: Ref, kind: Kind, done: str) -> WrittenDocument:
        """Another device of ours, or an older version, may have said it more than once: all of it is taken back."""
        async with self._reacting:
            own = await self._own_reactions(of, kind)
            if not own:
                raise NotFound(f"you have not {done} that notice")
            for at in range(0, len(own), 1 + REPLACES_MAX):
                first, *others = own[at : at + 1 + REPLACES_MAX]
                written = await self._author.write(Delete(_ref(first), tuple(each.entry.id for each in others)))
            return self._written(written, Delete.type)

    async def _own_reactions(self, of: Ref, kind: Kind) -> list[Located]:
        ids = await self._store.reactions(self._author.identity_hash, of.id, kind)
        found = [await self._store.locate(each) for each in ids]
        return [located for located in found if located is not None]

    async def delete(self, notice: str) -> WrittenDocument:
        located = await self._locate(notice)
        if located.identity != self._author.identity_hash:
            raise NotPermitted("that notice is somebody else's: only its author can delete it")
        if located.entry.seq == 1:
            raise NotPermitted("the first entry of a log cannot be deleted")
        if isinstance(_said(located.entry), Note | Boost) and not await self._store.rows([located.entry.id]):
            raise NotFound("that notice was deleted already")
        return self._written(await self._author.write(Delete(_ref(located))), Delete.type)

    async def profile(self, name: str | None = None, bio: str | None = None) -> ProfileDocument:
        own = self._author.identity_hash
        known_name, known_bio = await self._store.profile(own)
        if name is not None or bio is not None:
            chosen = check_name(name) if name is not None else known_name
            told = check_bio(bio) if bio is not None else known_bio
            await self._author.write(Profile(chosen or "", told or ""))
            self._author.rename(chosen or None)
            known_name, known_bio = chosen, told
        return ProfileDocument(address=address.spell(own), name=known_name or None, bio=known_bio or None)

    def _written(self, entry: Entry, kind: str) -> WrittenDocument:
        return WrittenDocument(
            id=entry.id.hex(),
            type=kind,
            author=address.spell(self._author.identity_hash),
            device=entry.device.hex(),
            seq=entry.seq,
            time=entry.time_ms,
        )

    # --- bookmarks: nobody else hears of them ---

    async def bookmark(self, notice: str) -> BookmarkDocument:
        ref = await self._notice_ref(notice)
        if not await self._store.rows([ref.id]):
            raise NotFound("the boosted notice is not here yet")
        if not await self._store.put_bookmark(ref.id, self._wall_ms()):
            raise UserError(f"you have {BOOKMARKS_MAX:,} bookmarks already", hint="p2pblog unbookmark ID")
        return BookmarkDocument(id=ref.id.hex(), bookmarked=True)

    async def unbookmark(self, notice: str) -> BookmarkDocument:
        """Also of a notice that its author deleted meanwhile: it would hold its place for ever."""
        located = await self._locate(notice)
        said = _said(located.entry)
        wanted = said.of.id if isinstance(said, Boost) else located.entry.id
        if not await self._store.drop_bookmark(wanted):
            raise NotFound("that notice is not bookmarked")
        return BookmarkDocument(id=wanted.hex(), bookmarked=False)

    async def bookmarks(self, limit: int = 20, before: str | None = None) -> list[NoticeDocument]:
        below = None if before is None else await self._find(before)
        return [_notice(row) for row in await self._store.bookmarks(limit, below)]

    # --- following ---

    async def follow(self, address: str, petname: str | None = None) -> FollowDocument:
        async with self._following:
            return await self._follow(self._resolve(address), petname)

    async def _follow(self, link: Link, petname: str | None) -> FollowDocument:
        if link.identity == self._author.identity_hash:
            raise UsageError("that is your own address: your notices are in your timeline anyway")
        known = self._follows.get(link.identity)
        if known is None and len(self._follows) >= FOLLOWS_MAX:
            raise UserError(f"you follow {FOLLOWS_MAX} people already, which is as many as a node keeps up with")
        chosen = known.petname if known is not None else None
        if petname is not None:
            chosen = self._check_petname(petname, link.identity)
        follow = Follow(link.identity, chosen, known.since_ms if known is not None else self._wall_ms())
        await self._store.put_follow(follow)
        self._follows[link.identity] = follow
        self._driver.feed(Interested(link.identity))
        if link.peers:
            self._driver.feed(Candidates(link.peers, link.identity))
            await self._meeting.remember(link.peers)
        self._meeting.on_followed(link.identity)
        return await self._follow_row(link.identity)

    async def unfollow(self, address: str) -> FollowDocument:
        async with self._following:
            return await self._unfollow(self._resolve(address).identity)

    async def _unfollow(self, identity: IdentityHash) -> FollowDocument:
        if identity not in self._follows:
            raise NotFound("you do not follow that address", hint="p2pblog following")
        row = await self._follow_row(identity)
        await self._store.drop_follow(identity)
        del self._follows[identity]
        self._driver.feed(Uninterested(identity))
        return row

    async def following(self) -> list[FollowDocument]:
        return [self._follow_document(row) for row in await self._store.follow_rows()]

    async def _follow_row(self, identity: IdentityHash) -> FollowDocument:
        rows = await self._store.follow_rows()
        return next(self._follow_document(row) for row in rows if row.identity == identity)

    def _follow_document(self, row: FollowRow) -> FollowDocument:
        return FollowDocument(
            address=address.spell(row.identity),
            name=row.name,
            petname=row.petname,
            entries=row.entries,
            newest=row.newest_ms,
            state=self._state(row.identity),
        )

    def _state(self, identity: IdentityHash) -> str:
        holdings = self._driver.machine.holdings
        if self._is_searching(identity):
            return "searching"
        disputed = any(holdings.is_frozen(device) for device in holdings.devices(identity))
        return "disputed" if disputed else "found"

    async def invite(self) -> InviteDocument:
        sessions = self._driver.machine.sharing.sessions
        own = self._author.identity_hash
        near = [sessions[p].endpoint for p in sorted(sessions) if sessions[p].dialed and own in sessions[p].shared]
        helpers = [endpoint for endpoint in near if endpoint.reach >= self._place.listen.reach]
        peers = [*self._place.reachable, *helpers][:INVITE_PEERS_MAX]
        return InviteDocument(uri=Link(own, tuple(peers)).uri)

    # --- reading ---

    async def timeline(
        self, limit: int = 20, before: str | None = None, author: str | None = None, tag: str | None = None
    ) -> list[NoticeDocument]:
        if not 1 <= limit <= TIMELINE_ROWS_MAX:
            raise UsageError(f"a timeline has 1 to {TIMELINE_ROWS_MAX:,} lines")
        query = TimelineQuery(
            limit,
            None if before is None else await self._find(before),
            None if author is None else (self._resolve(author).identity,),
            None if tag is None else check_tag(tag),
        )
        rows = await self._store.timeline(query)
        await self._ask_for_texts(rows)
        return [_notice(row) for row in rows]

    async def _ask_for_texts(self, rows: list[Row]) -> None:
        """Boosts of what is not here yet: ask whoever is linked now, for the next look."""
        for row in [row for row in rows if row.type == Boost.type and not row.text][:ASKED_AT_ONCE_MAX]:
            located = await self._store.locate(row.id)
            said = _said(located.entry) if located is not None else None
            if isinstance(said, Boost):
                self._driver.feed(Ask(said.of))

    async def watch(self, author: str | None = None, tag: str | None = None) -> AsyncIterator[NoticeDocument]:
        send, receive = trio.open_memory_channel[EntryId](CONTROL_WATCH_LAG_MAX)
        self._watchers.add(send)
        try:
            only = None if author is None else self._resolve(author).identity
            under = None if tag is None else check_tag(tag)
            async for entry in receive:
                for row in await self._store.rows([entry, *_waiting(receive)]):
                    if (only is None or row.author == only) and (under is None or _stands_under(row, under)):
                        yield _notice(row)
        finally:
            self._watchers.discard(send)

    async def show(self, notice: str) -> NoticeDocument:
        rows = await self._store.rows([await self._find(notice)])
        if not rows:
            raise NotFound("that is no notice, or it was deleted")
        return _notice(rows[0])

    async def thread(self, notice: str) -> ThreadDocument:
        found = await self._store.thread(await self._find(notice))
        return ThreadDocument(
            root=None if found.root is None else found.root.hex(),
            notices=[_notice(row) for row in found.notices],
            missing=found.missing,
        )

    async def entry(self, entry: str) -> EntryDocument:
        located = await self._locate(entry)
        chain = (located.entry, *located.chain)
        assert chain[-1].signature is not None
        return EntryDocument(
            id=located.entry.id.hex(),
            body=located.entry.body.hex(),
            payload=None if located.entry.payload is None else located.entry.payload.hex(),
            signature=chain[-1].signature.hex(),
            chain=[after.body.hex() for after in located.chain],
        )

    # --- peers ---

    async def peers(self) -> list[PeerDocument]:
        lanes = sorted(self._driver.lanes.items())
        return [self._peer(lane) for _peer, lane in lanes]

    async def add_peer(self, endpoint: str) -> PeerDocument:
        parsed = await names.resolve(names.check_contact(endpoint))
        known = self._driver.machine.membership.known.get(parsed)
        for peer, standing in sorted(self._driver.lanes.items()):
            if standing.link.endpoint == parsed or (known is not None and known.node == peer):
                return self._peer(standing)
        session = await self._driver.connect(parsed)
        self._driver.feed(Candidates((parsed,)))
        await self._meeting.remember((parsed,))
        lane = self._driver.lanes.get(session.peer)
        if lane is None:
            raise UserError(f"{endpoint} answered and hung up")
        return self._peer(lane)

    def _peer(self, lane: Lane) -> PeerDocument:
        session = self._driver.machine.sharing.sessions.get(lane.link.peer)
        return PeerDocument(
            node=lane.link.peer.hex(),
            endpoint=str(lane.link.endpoint),
            direction="out" if lane.link.dialed else "in",
            since=lane.since_ms,
            feeds=len(session.shared) if session is not None else 0,
            bytes_in=lane.link.bytes_in,
            bytes_out=lane.link.bytes_out,
        )

    # --- what was stored ---

    def on_stored(self, batch: Batch, live: bool) -> None:
        """Tell who watches, publish what is ours, and look for what a boost refers to."""
        if batch.identity != self._author.identity_hash and batch.identity not in self._follows:
            return
        self._meeting.on_stored(batch)
        if live or self._is_news(batch):
            for entry in batch.entries:
                if live or entry.time_ms >= self._started_ms:
                    self._tell_watchers(entry.id)
        if len(batch.entries) <= LOOK_FOR_STRAYS_BELOW:
            self._look_for_strays(batch)

    def _is_news(self, batch: Batch) -> bool:
        """Whether any of it claims to be written since we started; of a run of history no entry is made for that."""
        run = batch.entries
        times = run.times if isinstance(run, VerifiedRun) else [entry.time_ms for entry in run]
        return max(times) >= self._started_ms

    def _tell_watchers(self, entry: EntryId) -> None:
        for watcher in list(self._watchers):
            try:
                watcher.send_nowait(entry)
            except trio.WouldBlock:
                self._watchers.discard(watcher)
                watcher.close()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._watchers.discard(watcher)

    def _look_for_strays(self, batch: Batch) -> None:
        holdings = self._driver.machine.holdings
        for entry in batch.entries:
            said = _said(entry)
            if isinstance(said, Boost) and said.of.identity not in holdings.interests:
                self._driver.feed(Ask(said.of))

    # --- what a person typed ---

    def _resolve(self, text: str) -> Link:
        """An address, a link, or a petname of ours."""
        for follow in self._follows.values():
            if follow.petname is not None and follow.petname == text:
                return Link(follow.identity)
        try:
            return address.read_link(text)
        except (BadAddress, Malformed) as error:
            if len(text) < address.ADDRESS_CHARACTERS // 2 and not text.lower().startswith("p2pblog:"):
                raise UsageError("neither an address nor a petname of yours", hint="p2pblog following") from error
            raise UsageError(str(error)) from error

    def _check_petname(self, petname: str, identity: IdentityHash) -> str:
        chosen = check_petname(petname)
        for other in self._follows.values():
            if other.petname == chosen and other.identity != identity:
                raise UsageError("you call somebody else by that petname", hint="p2pblog following")
        return chosen

    async def _find(self, prefix: str) -> EntryId:
        wanted = check_id(prefix)
        found = await self._store.find_ids(wanted)
        if not found:
            raise NotFound("this node holds no such entry")
        if len(found) > 1:
            raise UsageError("more than one id begins like that: give more digits")
        return found[0]

    async def _locate(self, prefix: str) -> Located:
        located = await self._store.locate(await self._find(prefix))
        if located is None:
            raise NotFound("this node holds no such entry")
        return located

    async def _notice_ref(self, prefix: str) -> Ref:
        """What a reply, boost or like refers to: a notice; a boost stands for the notice that it boosts."""
        located = await self._locate(prefix)
        said = _said(located.entry)
        if not isinstance(said, Note | Boost) or not await self._store.rows([located.entry.id]):
            raise NotFound("that is no notice, or it was deleted")
        return said.of if isinstance(said, Boost) else _ref(located)


def _waiting(receive: trio.MemoryReceiveChannel[EntryId]) -> list[EntryId]:
    """What more waits already: one look at the store for all of it, so that who watches keeps up with any rate."""
    more: list[EntryId] = []
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while len(more) < CONTROL_WATCH_LAG_MAX:
            more.append(receive.receive_nowait())
    return more


def _stands_under(row: Row, tag: str) -> bool:
    """A boost stands under no tag: the notice that it boosts does."""
    return row.type == Note.type and tag in row.tags


def _said(entry: Entry) -> Payload | None:
    return None if entry.payload is None else payload.decode(entry.payload)


def _ref(located: Located) -> Ref:
    return Ref(located.identity, located.entry.device, located.entry.seq, located.entry.id)


def _notice(row: Row) -> NoticeDocument:
    return NoticeDocument(
        id=row.id.hex(),
        type=row.type,
        author=address.spell(IdentityHash(row.author)),
        name=row.name or None,
        text=row.text,
        time=row.time_ms,
        reply_to=None if row.reply_to is None else row.reply_to.hex(),
        boost_of=None if row.boost_of is None else row.boost_of.hex(),
        likes=row.likes,
        boosts=row.boosts,
        tags=list(row.tags),
        cw=row.warning,
        lang=row.language,
    )
