"""Use cases about conversations: one as it is held here, and what it lacks fetched from others."""

from __future__ import annotations

from contextlib import suppress

import trio

from p2pblog.cases.desk import Desk, ref_to, said_in
from p2pblog.config import THREAD_FETCH_ANSWERS_MAX, THREAD_FETCH_DEPTH_MAX, THREAD_FETCH_REFS_MAX, THREAD_FETCH_S
from p2pblog.control.api import ThreadDocument
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.payload import Note, Ref
from p2pblog.core.quiet import hidden_by
from p2pblog.errors import StoreError
from p2pblog.gossip.events import Ask
from p2pblog.store import Thread


class Threads(Desk):
    """Of `Node`: what reads conversations."""

    async def thread(self, notice: str, fetch: bool = False) -> ThreadDocument:
        """`fetch`: look first, for at most THREAD_FETCH_S, for what the conversation lacks: above its notices, and
        answers to this one and to the first."""
        wanted = await self._find(notice)
        if fetch:
            with trio.move_on_after(THREAD_FETCH_S):
                await self._fetch_rest(wanted)
        found = await self._store.thread(wanted)
        return ThreadDocument(
            root=None if found.root is None else found.root.hex(),
            notices=self._marked(found.notices),
            missing=found.missing,
            pruned=found.pruned,
            strangers=await self._count_waiting(found),
        )

    async def _fetch_rest(self, notice: EntryId) -> None:
        """A failing store is told by the question that comes after, and not inside a group."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_answers, notice)
            with suppress(StoreError):
                await self._fetch_above(notice)
                root = (await self._store.thread(notice)).root
                if root is not None and root != notice:
                    nursery.start_soon(self._fetch_answers, root)

    async def _fetch_answers(self, notice: EntryId) -> None:
        """Answers by whomever, as pointers in the DHT lead to them."""
        found: list[Located] = []
        with suppress(StoreError):
            found = await self._meeting.find_pointed(notice, THREAD_FETCH_ANSWERS_MAX)
        for located in found:
            self._driver.take_stray(located)
        while any(self._driver.is_awaited(located.entry.id) for located in found):
            await self._driver.answers_changed.wait()

    async def _count_waiting(self, thread: Thread) -> int:
        """What of strangers waits in it, as far as it is not muted besides."""
        rules = self._quiet.rules(is_home=False)
        if rules.are_none:
            return len(thread.waiting)
        return sum(not hidden_by(row, rules) for row in await self._store.rows(thread.waiting))

    async def _fetch_above(self, notice: EntryId) -> None:
        """Up from the topmost notice that is here, one at a time: only its text tells what it answers."""
        for _ in range(THREAD_FETCH_DEPTH_MAX):
            found = await self._store.thread(notice)
            if not found.missing or not await self._fetch_root(found):
                return

    async def _fetch_root(self, thread: Thread) -> bool:
        """Whether the topmost notice is here now."""
        for ref in await self._refs_to_root(thread):
            if await self._fetch_entry(ref):
                return True
        return False

    async def _refs_to_root(self, thread: Thread) -> list[Ref]:
        """Where its log is, as those who answer it say, who may differ or lie; or as we know it, if only its payload
        is lacking."""
        if thread.root is None:
            return []
        held = await self._store.locate(thread.root)
        if held is not None:
            return [ref_to(held)]
        refs: dict[Ref, None] = {}
        for row in thread.notices:
            located = await self._store.locate(row.id) if row.reply_to == thread.root else None
            said = said_in(located.entry) if located is not None else None
            if isinstance(said, Note) and said.reply_to is not None:
                refs[said.reply_to] = None
            if len(refs) == THREAD_FETCH_REFS_MAX:
                break
        return list(refs)

    async def _fetch_entry(self, ref: Ref) -> bool:
        """Ask peers and the DHT at once; whoever has it first ends it. Whether it is here now."""
        if ref.identity in self._driver.machine.holdings.blocked:
            return False

        async def await_it() -> None:
            while self._driver.is_awaited(ref.id):
                await self._driver.answers_changed.wait()
            with suppress(StoreError):  # it is raised by the same question below, and not inside a group
                if await self._holds(ref.id):
                    nursery.cancel_scope.cancel()

        async def look_up() -> None:
            located = await self._meeting.find_entry(ref)
            if located is not None:
                self._driver.take_stray(located)
                await await_it()

        self._driver.feed(Ask(ref))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(await_it)
            nursery.start_soon(look_up)
        return await self._holds(ref.id)

    async def _holds(self, entry: EntryId) -> bool:
        located = await self._store.locate(entry)
        return located is not None and located.entry.payload is not None
