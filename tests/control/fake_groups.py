"""The groups of the node in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p2pblog.errors import NotFound


class FakeGroups:
    """Of `FakeNode`: what is done with groups. `joined`: the rows by their names."""

    clock_ms: Callable[[], int]
    _called: Callable[..., None]

    def __init__(self) -> None:
        super().__init__()
        self.joined: dict[str, dict[str, Any]] = {}

    async def groups(self) -> list[dict[str, Any]]:
        self._called("groups")
        return [row for _, row in sorted(self.joined.items())]

    async def join_group(self, name: str) -> dict[str, Any]:
        self._called("join_group", name=name)
        row = {"name": name, "since": self.clock_ms(), "notices": 0, "authors": 0}
        return self.joined.setdefault(name, row)

    async def leave_group(self, name: str) -> dict[str, Any]:
        self._called("leave_group", name=name)
        if name not in self.joined:
            raise NotFound("you have not joined that group", "p2pblog groups")
        return self.joined.pop(name)
