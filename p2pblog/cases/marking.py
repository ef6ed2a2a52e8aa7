"""Bookmarks: nobody else hears of them."""

from __future__ import annotations

from p2pblog.cases.desk import Desk, said_in
from p2pblog.config import BOOKMARKS_MAX
from p2pblog.control.documents import BookmarkDocument, NoticeDocument
from p2pblog.core.payload import Boost, Edit
from p2pblog.errors import NotFound, UserError


class Marking(Desk):
    """Of `Node`: what is remembered."""

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
        said = said_in(located.entry)
        wanted = said.of.id if isinstance(said, Boost | Edit) else located.entry.id
        if not await self._store.drop_bookmark(wanted):
            raise NotFound("that notice is not bookmarked")
        return BookmarkDocument(id=wanted.hex(), bookmarked=False)

    async def bookmarks(self, limit: int = 20, before: str | None = None) -> list[NoticeDocument]:
        below = None if before is None else await self._find(before)
        return self._marked(await self._store.bookmarks(limit, below))
