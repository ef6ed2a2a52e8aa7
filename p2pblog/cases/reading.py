"""Use cases that read: timelines as they stand and as they come, single entries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import trio

from p2pblog.cases.groups import Grouping
from p2pblog.cases.singles import Singles
from p2pblog.config import CONTROL_WATCH_LAG_MAX, CONTROL_WATCH_ROWS_MAX, POINTED_S, TIMELINE_ROWS_MAX
from p2pblog.control.documents import EntryDocument, NoticeDocument, VersionDocument
from p2pblog.control.words import check_group, check_tag
from p2pblog.core import payload
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Edit, Note
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.timelines import Row
from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.gossip.events import Ask
from p2pblog.store import TimelineQuery, Version

ASKED_AT_ONCE_MAX = 20
"""Boosted notices asked for because somebody looked at a page: a page's worth."""


class Reading(Singles, Grouping):
    """Of `Node`: what reads."""

    async def timeline(
        self,
        limit: int = 20,
        before: str | None = None,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
        fetch: bool = False,
        strangers: bool = False,
    ) -> list[NoticeDocument]:
        """`fetch`: look first for what was said to the group, and what became of that; without it new ones are looked
        for meanwhile, if it is due."""
        if strangers and (author, tag, of_list, group) != (None, None, None, None):
            raise UsageError("what strangers say waits in one place: without a person, a tag, a list or a group")
        if not 1 <= limit <= TIMELINE_ROWS_MAX:
            raise UsageError(f"a timeline has 1 to {TIMELINE_ROWS_MAX:,} lines")
        query = TimelineQuery(
            limit,
            None if before is None else await self._begin_of_page(before),
            await self._whose(author, of_list),
            None if tag is None else check_tag(tag),
            None if group is None else check_group(group),
            strangers,
        )
        if fetch and query.group is None:
            raise UsageError("only a group is fetched")
        try:
            rows = await self._quiet.page(query, is_whole=author is not None)
            if query.group is not None and not fetch:
                self._look_soon(query.group)
            elif query.group is not None:
                await self._fetch_group(query.group, rows)
                rows = await self._quiet.page(query, is_whole=author is not None)
        except NotFound:
            if before is not None:
                await self._find(before)  # tells what became of it
            raise
        if not strangers:  # who could make us ask others for what they name
            near = [row for row in rows if query.group is None or self._is_near(IdentityHash(row.author))]
            self._ask_for_texts(near)
        await self._ask_again(rows)
        return self._marked(rows)

    async def _fetch_group(self, name: str, rows: list[Row]) -> None:
        """Look for what is new, and at once for what became of these, which may be much in a slow DHT: not longer than
        for the new ones. Raises StoreError, also in a group of its own."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_at_group, name)
            with trio.move_on_after(POINTED_S):
                await self._learn_since(rows)

    async def _whose(self, author: str | None, of_list: str | None) -> tuple[IdentityHash, ...] | None:
        """Whose notices are asked for; None: nobody's in particular."""
        if author is not None and of_list is not None:
            raise UsageError("one person or a list, not both")
        if of_list is not None:
            return tuple(await self._store.members(of_list))
        return None if author is None else ((await self._resolve(author)).identity,)

    def _ask_for_texts(self, rows: list[Row]) -> None:
        """Boosts and quotes of what is not here yet: ask whoever is linked now, for the next look."""
        boosted = [(row, row.boosted) for row in rows if row.boosted is not None]
        quotes = [(row, row.quote) for row in rows if row.quote is not None and row.quoted_text is None]
        quoted = [(row, quote.words) for row, quote in quotes]
        for row, ref in boosted[:ASKED_AT_ONCE_MAX] + quoted[:ASKED_AT_ONCE_MAX]:
            self._driver.feed(Ask(ref, IdentityHash(row.author)))

    async def watch(
        self,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
    ) -> AsyncIterator[NoticeDocument]:
        send, receive = trio.open_memory_channel[EntryId](CONTROL_WATCH_LAG_MAX)
        self._watchers.add(send)
        try:
            only = await self._whose(author, of_list)
            under = None if tag is None else check_tag(tag)
            within = None if group is None else check_group(group)
            if within is not None:
                self._watched_groups[send] = within
                self._look_soon(within)
            async for entry in receive:
                rows = await self._store.rows([entry, *_waiting(receive)])
                if author is None:
                    rules = self._quiet.rules(is_home=under is None and only is None and within is None)
                    rows = await self._quiet.let_through(rows, rules)
                for row in rows:
                    if (only is None or row.author in only) and _is_of(row, under, within):
                        yield self._marked([row])[0]
            raise UserError(
                f"more than {CONTROL_WATCH_LAG_MAX:,} notices came before this timeline was read: it ends here",
                "p2pblog timeline",
            )
        finally:
            self._watchers.discard(send)
            self._watched_groups.pop(send, None)

    async def show(self, notice: str) -> NoticeDocument:
        found = await self._find(notice)
        rows = await self._store.rows([found]) or await self._store.rows([(await self._notice_ref(notice)).id])
        self._ask_for_texts(rows)
        await self._ask_again(rows)
        return self._marked(rows)[0]

    async def versions(self, notice: str) -> list[VersionDocument]:
        of = await self._notice_ref(notice)
        return [_version_document(each) for each in await self._store.versions(of.id)]

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

    def _news(self, batch: Batch, live: bool) -> list[EntryId]:
        """What of a batch live timelines show, each entry once however often it is stored."""
        run = batch.entries
        numbers = self._told.take(run[0].device, range(run[0].seq, run[0].seq + len(run)))
        if not self._watchers:
            return []
        ids = run.ids if isinstance(run, VerifiedRun) else [entry.id for entry in run]  # of columns no entry is made
        return [ids[seq - run[0].seq] for seq in (numbers if live else self._caught_up(batch, numbers))]

    def _caught_up(self, batch: Batch, numbers: list[int]) -> list[int]:
        """What of a caught-up batch is news: all that stands in its log above what was here when we started, so what
        was said while this node was off. Of a log of which nothing was here, and of somebody who is followed only since
        then, what claims to be written since he is followed."""
        run, follow = batch.entries, self._follows.get(batch.identity)
        held = self._held_at_start.get(run[0].device)
        # a time that lies ahead is of a clock that was put back since
        is_told = follow is not None and follow.since_ms <= self._wall_ms()
        since_ms = follow.since_ms if follow is not None and is_told else self._started_ms
        if held is not None and since_ms <= self._started_ms:
            return [seq for seq in numbers if seq > held]
        times = run.times if isinstance(run, VerifiedRun) else [entry.time_ms for entry in run]
        return [seq for seq in numbers if times[seq - run[0].seq] >= since_ms]

    def _tell_watchers(self, entry: EntryId) -> None:
        for watcher in list(self._watchers):
            self._tell(watcher, entry)


def _waiting(receive: trio.MemoryReceiveChannel[EntryId]) -> list[EntryId]:
    """What more waits already: one look at the store for all of it, so that who watches keeps up with any rate."""
    more: list[EntryId] = []
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while len(more) < CONTROL_WATCH_ROWS_MAX - 1:
            more.append(receive.receive_nowait())
    return more


def _is_of(row: Row, tag: str | None, group: str | None) -> bool:
    """A boost has neither tag nor group: the notice that it boosts does."""
    if tag is None and group is None:
        return True
    return row.type == Note.type and (tag is None or tag in row.tags) and (group is None or group in row.groups)


def _version_document(version: Version) -> VersionDocument:
    said = payload.decode(version.payload)
    assert isinstance(said, Note | Edit)
    return VersionDocument(
        id=version.id.hex(), time=version.time_ms, text=said.text, cw=said.warning, lang=said.language
    )
