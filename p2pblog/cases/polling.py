"""Use cases of polls: one says what one chooses, and every node counts for itself."""

from __future__ import annotations

from p2pblog.cases.desk import Desk
from p2pblog.config import POLL_OPEN_MS
from p2pblog.control.documents import WrittenDocument
from p2pblog.control.words import check_lasting, check_poll
from p2pblog.core.payload import Vote
from p2pblog.core.polls import Poll
from p2pblog.errors import NotFound, NotPermitted, UsageError


class Polling(Desk):
    """Of `Node`: polls."""

    def _poll(self, text: str, options: list[str] | None, closes: str | None) -> Poll | None:
        """What a notice with this text asks. Raises UsageError."""
        if not options:
            if closes is not None:
                raise UsageError("only a poll closes: give its options with --poll", "p2pblog post --help")
            return None
        lasting_ms = POLL_OPEN_MS if closes is None else check_lasting(closes)
        return Poll(tuple(check_poll(options, text)), self._wall_ms() + lasting_ms)

    async def vote(self, notice: str, choice: int) -> WrittenDocument:
        ref = await self._notice_ref(notice)
        async with self._in_turn():
            poll = next((row.poll for row in await self._store.rows([ref.id])), None)
            if poll is None:
                raise NotFound("that notice is no poll")
            if not 1 <= choice <= len(poll.options):
                raise UsageError(f"that poll has the options 1 to {len(poll.options)}", f"p2pblog show {notice}")
            if self._wall_ms() > poll.closes_ms:
                raise NotPermitted("that poll is closed")
            if poll.own is not None and poll.own_vote is not None:
                chosen = f"{poll.own}, {poll.options[poll.own - 1]}"
                back = f"p2pblog delete {poll.own_vote.hex()[:12]}"
                raise NotPermitted(f"you have voted already: for {chosen}", hint=back)
            return self._written(await self._author.write(Vote(ref, choice)), Vote.type)
