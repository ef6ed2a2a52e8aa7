"""Who may wait for a handshake: strangers come in for free, so the crowd pays with its own oldest.

Rules
  * At most `total_max` wait, at most `block_max` of them from one address block.
  * A newcomer is never refused. Over a block's limit the oldest of that block goes; over the total the oldest of the
    most crowded block goes. An honest handshake is short, so it is done before its turn to go comes, also behind an
    address that floods us.
"""

from __future__ import annotations

from collections import Counter


class Lobby:
    """Tickets of connections that have not proven a key, oldest first."""

    def __init__(self, total_max: int, block_max: int) -> None:
        self._total_max = total_max
        self._block_max = block_max
        self._waiting: dict[int, bytes] = {}  # ticket -> address block, in order of arrival
        self._crowd: Counter[bytes] = Counter()
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, block: bytes) -> tuple[int, int | None]:
        """(the newcomer's ticket, the ticket that has to go for it or None)."""
        gone = None
        if self._crowd[block] >= self._block_max:
            gone = self._oldest(block)
        elif len(self._waiting) >= self._total_max:
            gone = self._oldest(max(self._waiting.values(), key=self._crowd.__getitem__))
        if gone is not None:
            self.leave(gone)
        ticket = self._next
        self._next += 1
        self._waiting[ticket] = block
        self._crowd[block] += 1
        return ticket, gone

    def leave(self, ticket: int) -> None:
        """The ticket is done with; safe to call twice."""
        block = self._waiting.pop(ticket, None)
        if block is not None:
            self._crowd[block] -= 1
            if not self._crowd[block]:
                del self._crowd[block]

    def _oldest(self, block: bytes) -> int:
        return next(ticket for ticket, its_block in self._waiting.items() if its_block == block)
