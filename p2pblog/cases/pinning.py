"""Use cases of pins: what one wants others to read first."""

from __future__ import annotations

from p2pblog.cases.writing import Writing
from p2pblog.config import PINS_MAX
from p2pblog.control.documents import WrittenDocument
from p2pblog.core.payload import Pin
from p2pblog.errors import NotPermitted
from p2pblog.store.meaning import Kind


class Pinning(Writing):
    """Of `Node`: pins."""

    async def pin(self, notice: str) -> WrittenDocument:
        """Pinning twice gives the first pin again."""
        ref, own = await self._notice_ref(notice), self._author.identity_hash
        if ref.identity != own:
            raise NotPermitted("that notice is somebody else's: only notices of your own can be pinned")
        async with self._in_turn():
            pinned = await self._store.pins(own)
            earlier = await self._own_reactions(ref, Kind.PIN)
            if earlier and ref.id in pinned:  # else newer pins count in its stead
                return self._written(earlier[0].entry, Pin.type)
            if len(pinned) >= PINS_MAX:
                raise NotPermitted(f"{PINS_MAX} notices are pinned already: unpin one first", hint="p2pblog profile")
            return self._written(await self._author.write(Pin(ref)), Pin.type)

    async def unpin(self, notice: str) -> WrittenDocument:
        return await self._unreact(await self._notice_ref(notice), Kind.PIN, "pinned")
