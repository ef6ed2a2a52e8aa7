"""Notifications: what others said to us."""

from __future__ import annotations

from p2pblog.cases.desk import Desk
from p2pblog.control.api import NotificationDocument, ReadDocument
from p2pblog.core import address
from p2pblog.core.keys import IdentityHash
from p2pblog.store import News


class Notifying(Desk):
    """Of `Node`: what is said to us."""

    async def notifications(
        self, limit: int = 20, before: str | None = None, unread: bool = False
    ) -> list[NotificationDocument]:
        below = None if before is None else await self._find(before)
        return [_document(each) for each in await self._store.news(limit, below, unread)]

    async def read_notifications(self) -> ReadDocument:
        return ReadDocument(read=await self._store.mark_news_read())


def _document(news: News) -> NotificationDocument:
    return {
        "id": news.id.hex(),
        "type": news.type.value,
        "from": address.spell(IdentityHash(news.author)),
        "notice": news.notice.hex(),
        "time": news.time_ms,
        "read": news.is_read,
    }
