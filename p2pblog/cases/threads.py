"""Use cases about conversations: one as it is held here, and what it lacks fetched from others."""

from __future__ import annotations

from contextlib import suppress

import trio

from p2pblog.cases.desk import no_notice, ref_to, said_in
from p2pblog.cases.singles import Singles
from p2pblog.config import (
    THREAD_FETCH_ANSWERS_MAX,
    THREAD_FETCH_AT_ONCE,
    THREAD_FETCH_DEPTH_MAX,
    THREAD_FETCH_QUOTED_MAX,
    THREAD_FETCH_REFS_MAX,
    THREAD_FETCH_S,
)
from p2pblog.control.documents import ThreadDocument
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.payload import Boost, Edit, Like, Note, Pin, Ref, Vote
from p2pblog.core.quiet import hidden_by
from p2pblog.errors import StoreError
from p2pblog.gossip.events import Ask
from p2pblog.store import Thread
from p2pblog.store.conversations import quoted_by


class Threads(Singles):
    """Of `Node`: what reads conversations."""

    async def thread(self, notice: str, fetch: bool = False) -> ThreadDocument:
        """`fetch`: look first, for at most THREAD_FETCH_S, for what the conversation names and lacks, for answers to
        this notice and to the first one, and for what became of those that are here singly. Raises NotFound, also for
        what is no notice."""
        wanted = await self._find(notice)
        if fetch:
            with trio.move_on_after(THREAD_FETCH_S):
                await self._fetch_rest(wanted)
        found = await self._store.thread(wanted)
        if not (found.notices or found.lacking or found.waiting):
            raise no_notice(said_in((await self._locate(notice)).entry))
        await self._ask_again(found.notices)
        return ThreadDocument(
            root=None if found.root is None else found.root.hex(),
            notices=self._marked(found.notices),
            known=found.known,
            missing=found.missing,
            pruned=found.pruned,
            strangers=await self._count_waiting(found),
        )

    async def _fetch_rest(self, notice: EntryId) -> None:
        """Answers are looked for beside what is lacking; those to the topmost notice once that is known."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_answers, notice)
            nursery.start_soon(self._fetch_since, notice)
            await self._fetch_lacking(notice)
        root = (await self._store.thread(notice)).root
        if root is not None and root != notice:
            await self._fetch_answers(root)

    async def _fetch_since(self, notice: EntryId) -> None:
        """Of this notice and the first one before the others, the newest of these first."""
        with suppress(StoreError):
            thread = await self._store.thread(notice)
            boosts = [row for row in await self._store.rows([notice]) if row.type == Boost.type]
            first = [row for row in thread.notices if row.id in (notice, thread.root)]
            named = [row.boost_of for row in boosts if row.boost_of is not None]
            thorough = [*(row.id for row in first), *named]
            await self._learn_since([*boosts, *first, *reversed(thread.notices)], thorough=thorough)

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

    async def _fetch_lacking(self, notice: EntryId) -> None:
        """What is quoted is looked for beside the way up, so that neither waits for the other; and then what those
        quote that came."""
        asked: set[EntryId] = set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_quoted, notice, asked)
            await self._fetch_above(notice)
        await self._fetch_quoted(notice, asked)

    async def _fetch_quoted(self, notice: EntryId, asked: set[EntryId]) -> None:
        """`asked`: what need not be asked for again; it grows."""
        limiter = trio.CapacityLimiter(THREAD_FETCH_AT_ONCE)

        async def fetch(ref: Ref) -> None:
            async with limiter:
                await self._fetch_entry(ref)

        while refs := quotes_lacking(await self._store.thread(notice), asked):
            asked.update(ref.id for ref in refs)
            async with trio.open_nursery() as nursery:
                for ref in refs:
                    nursery.start_soon(fetch, ref)

    async def _fetch_above(self, notice: EntryId) -> None:
        """Up from the topmost notice that is here, one at a time: only its text tells what it answers."""
        for _ in range(THREAD_FETCH_DEPTH_MAX):
            found = await self._store.thread(notice)
            if found.root not in found.lacking or not await self._fetch_root(notice, found):
                return

    async def _fetch_root(self, notice: EntryId, thread: Thread) -> bool:
        """Whether the topmost notice is here now."""
        for ref in await self._refs_to_root(notice, thread):
            if await self._fetch_entry(ref):
                return True
        return False

    async def _refs_to_root(self, notice: EntryId, thread: Thread) -> list[Ref]:
        """Where its log is, as what was asked for says and those who answer it, who may differ or lie; or as we know
        it, if only its payload is lacking."""
        if thread.root is None:
            return []
        held = await self._store.locate(thread.root)
        if held is not None:
            return [ref_to(held)]
        refs: dict[Ref, None] = {}
        for entry in (notice, *(row.id for row in thread.notices if row.reply_to == thread.root)):
            located = await self._store.locate(entry)
            ref = None if located is None else _ref_up(located.entry)
            if ref is not None and ref.id == thread.root:
                refs[ref] = None
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


def _ref_up(entry: Entry) -> Ref | None:
    """To what an entry answers or reacts to."""
    match said_in(entry):
        case Note(reply_to=ref):
            return ref
        case Boost(ref) | Like(ref) | Pin(ref) | Vote(ref) | Edit(ref):
            return ref
        case _:
            return None


def quotes_lacking(thread: Thread, asked: set[EntryId]) -> list[Ref]:
    """Where the words are that its notices quote and that are not here, as they say; but what was asked for, and no
    more than one `thread --fetch` may ask for."""
    refs: dict[EntryId, Ref] = {}
    for row in thread.notices:
        quoted = quoted_by(row)
        if row.quote is not None and quoted in thread.lacking and quoted not in asked:
            refs.setdefault(quoted, row.quote.words)
    return list(refs.values())[: max(0, THREAD_FETCH_QUOTED_MAX - len(asked))]
