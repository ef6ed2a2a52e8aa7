"""Notifications: what others said to us."""

from __future__ import annotations

import math
from contextlib import suppress

from p2pblog.cases.private import Private
from p2pblog.config import NEWS_WAITED_FOR_S, TIMELINE_ROWS_MAX
from p2pblog.control.documents import NotificationDocument, ReadDocument
from p2pblog.core import address
from p2pblog.core.keys import IdentityHash
from p2pblog.errors import StoreError
from p2pblog.store import News


class Notifying(Private):
    """Of `Node`: what is said to us."""

    async def gather_news(self, within_s: float = math.inf) -> None:
        """Polls that have closed meanwhile, and direct messages that came, become news; of these only those that are
        opened `within_s`. Raises StoreError."""
        try:
            await self._store.end_polls(self._wall_ms())
        finally:  # one that fails keeps not the other from being told
            await self.tell_dms(within_s)

    async def notifications(
        self, limit: int = 20, before: str | None = None, unread: bool = False
    ) -> list[NotificationDocument]:
        """Without those by people who are muted; a page is full all the same, as a timeline's is."""
        with suppress(StoreError):  # on a full disk people still read
            await self.gather_news(NEWS_WAITED_FOR_S)
        below = None if before is None else await self._find(before)
        muted = self._quiet.rules(is_home=False).people
        found = await self._store.news(limit, below, unread, frozenset(muted))
        names = await self._store.names({IdentityHash(each.author) for each in found})
        return [_document(each, names[IdentityHash(each.author)]) for each in found]

    async def read_notifications(self) -> ReadDocument:
        """All is marked, and what people who are muted said is not counted: nobody was told of it."""
        await self.gather_news(NEWS_WAITED_FOR_S)
        muted = frozenset(self._quiet.rules(is_home=False).people)
        told = await self._unread_but_of(muted) if muted else None
        marked = await self._store.mark_news_read()
        return ReadDocument(read=marked if told is None else told)

    async def _unread_but_of(self, people: frozenset[bytes]) -> int:
        count, below = 0, None
        while page := await self._store.news(TIMELINE_ROWS_MAX, below, True, people):
            count, below = count + len(page), page[-1].id
        return count


def _document(news: News, name: str | None) -> NotificationDocument:
    return {
        "id": news.id.hex(),
        "type": news.type.value,
        "from": address.spell(IdentityHash(news.author)),
        "name": name,
        "notice": news.notice.hex(),
        "time": news.time_ms,
        "read": news.is_read,
    }
