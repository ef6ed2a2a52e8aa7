"""The use case that searches what the node holds."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.cases.desk import Desk
from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.control.documents import SearchDocument
from p2pblog.control.words import check_utf8
from p2pblog.core.keys import EntryId
from p2pblog.core.search import parse
from p2pblog.core.timelines import Row
from p2pblog.core.value import replace
from p2pblog.errors import UsageError
from p2pblog.store import SearchQuery


class Searching(Desk):
    """Of `Node`: what searches."""

    async def search(self, query: str, limit: int = 20, before: str | None = None) -> SearchDocument:
        if not 1 <= limit <= TIMELINE_ROWS_MAX:
            raise UsageError(f"a page has 1 to {TIMELINE_ROWS_MAX:,} notices")
        asked = parse(check_utf8(query, "the query"), self._wall_ms())
        sought = SearchQuery(
            0,
            None,
            asked.wanted,
            asked.unwanted,
            tuple([(await self._resolve(person)).identity for person in asked.people]) or None,
            tuple([(await self._resolve(person)).identity for person in asked.not_people]),
            asked.since_ms,
            asked.until_ms,
        )
        below = None if before is None else await self._find(before)
        unread = 0

        async def fetch(size: int, place: EntryId | None) -> Sequence[Row]:
            nonlocal unread
            found = await self._store.search(replace(sought, limit=size, before=place))
            unread = found.unread
            return found.rows

        rows = await self._quiet.fill(fetch, sought, limit, below, self._quiet.rules(is_home=False))
        return SearchDocument(notices=self._marked(rows), unread=unread)
