"""A signal: what tasks wait for again and again."""

from __future__ import annotations

import trio


class Signal:
    """Setting it wakes all who wait now, and nobody who comes later: look at what changed before you wait."""

    def __init__(self) -> None:
        self._lot = trio.lowlevel.ParkingLot()

    def set(self) -> None:
        self._lot.unpark_all()

    async def wait(self) -> None:
        await self._lot.park()
