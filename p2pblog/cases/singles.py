"""Notices that are held singly, because somebody boosted or quoted them, or said them to us: what became of them.

Their authors' logs do not come here, so an edit or a delete does not either. It is asked for while somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import trio

from p2pblog.cases.desk import Desk
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.payload import Boost, Ref
from p2pblog.core.timelines import Row
from p2pblog.errors import StoreError
from p2pblog.gossip.events import Ask

SINGLE_PEERS_S = 2.0
"""How long a person waits for what peers say of them: as long as a peer has to answer anything."""
SINGLE_DHT_AT_ONCE = 4
"""Of how many at a time it is looked up in the DHT: some ten look-ups each, of the 32 that a node may have running."""


class Singles(Desk):
    """Of `Node`: what asks again."""

    def _is_near(self, identity: IdentityHash) -> bool:
        """Whether it is oneself or somebody whom one follows."""
        return identity == self._author.identity_hash or identity in self._follows

    async def _ask_again(self, rows: Iterable[Row], *, at_once: bool = False) -> list[Ref]:
        """Ask peers what became of what these rows show, the first ones first, as far as it is held singly and due;
        `at_once`: all of it is due. Gives what was asked for."""
        shown = self._singles(rows)
        due = self._again.take(shown, trio.current_time(), at_once=at_once)
        asked: list[Ref] = []
        # The edit whose words stand is asked for as well: it may be taken back by itself.
        for entry, found in zip(due, await self._store.refs(due) if due else (), strict=True):
            for ref in found:
                if not self._is_near(ref.identity):
                    self._driver.feed(Ask(ref, shown[entry], again=True))
                    asked.append(ref)
        return asked

    def _singles(self, rows: Iterable[Row]) -> dict[EntryId, IdentityHash | None]:
        """The notices of somebody who is not followed, each with who refers to it. What a stranger quotes is left out:
        anybody could make us ask others."""
        found: dict[EntryId, IdentityHash | None] = {}
        for row in rows:
            by = IdentityHash(row.author)
            if row.type == Boost.type:
                if row.boosted is None and row.boost_of is not None and row.of_author is not None:
                    found.setdefault(row.boost_of, by)
            elif not self._is_near(by):
                found.setdefault(row.id, None)
            elif row.quote is not None and row.quoted_text is not None:
                found.setdefault(row.quote.words.id, by)
        return found

    async def _learn_since(self, rows: Sequence[Row], *, thorough: Sequence[EntryId] = ()) -> None:
        """Ask peers and the DHT what became of what these rows show, and wait for it, for SINGLE_PEERS_S and as long as
        look-ups take. `thorough`: for these the DHT is asked for edits too; of the others it says what was taken
        back."""
        with suppress(StoreError):
            refs = await self._ask_again(rows, at_once=True)
            limiter = trio.CapacityLimiter(SINGLE_DHT_AT_ONCE)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._await_answers, refs)
                for ref in refs:
                    nursery.start_soon(self._look_up_later, ref, ref.id in thorough, limiter)
            while self._driver.is_storing_strays:
                await self._driver.answers_changed.wait()

    async def _await_answers(self, refs: Sequence[Ref]) -> None:
        with trio.move_on_after(SINGLE_PEERS_S):
            while any(self._driver.is_asked(ref.id) for ref in refs):
                await self._driver.answers_changed.wait()

    async def _look_up_later(self, ref: Ref, thorough: bool, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            for located in await self._meeting.find_later(ref, thorough=thorough):
                self._driver.take_stray(located)
