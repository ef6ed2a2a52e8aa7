"""What a fake node knows of strangers."""

from __future__ import annotations

from typing import Any

from p2pblog.control import documents
from p2pblog.errors import NotFound

STRANGER_CALLS: dict[str, tuple[dict[str, Any], type]] = {
    "admit": ({"address": "b" * 56}, documents.AdmittedDocument),
    "admitted": ({}, documents.AdmittedDocument),
    "unadmit": ({"address": "c" * 56}, documents.AdmittedDocument),
    "vouch": ({"address": "b" * 56}, documents.WrittenDocument),
    "unvouch": ({"address": "c" * 56}, documents.WrittenDocument),
}
"""Routes, what they are called with where "c…" was let in both ways, and what they answer."""


class FakeStrangers:
    """Of `FakeNode`. `waiting`: what strangers said, the newest first; `let_in`: by address."""

    waiting: list[dict[str, Any]]
    let_in: dict[str, dict[str, Any]]
    strange_replies: int

    def begin(self) -> None:
        self.waiting, self.let_in, self.strange_replies = [], {}, 0

    async def let_somebody_in(self, address: str) -> None:
        await self.admit(address)
        await self.vouch(address)

    async def admit(self, address: str) -> dict[str, Any]:
        return self._let_in("admit", address, admitted=True)

    async def unadmit(self, address: str) -> dict[str, Any]:
        row = self._let_in("unadmit", address)
        if not row["admitted"]:
            raise NotFound("you have not admitted that address", "p2pblog admitted")
        row["admitted"] = False
        return row

    async def admitted(self) -> list[dict[str, Any]]:
        self._called("admitted")  # type: ignore[attr-defined]
        return list(self.let_in.values())

    async def vouch(self, address: str) -> dict[str, Any]:
        row = self._let_in("vouch", address, vouch="5" * 64)
        return self._vouched("vouch", row["since"])

    async def unvouch(self, address: str) -> dict[str, Any]:
        row = self._let_in("unvouch", address)
        if row["vouch"] is None:
            raise NotFound("you have not vouched for that address", "p2pblog admitted")
        row["vouch"] = None
        return self._vouched("delete", row["since"])

    def _vouched(self, kind: str, time_ms: int) -> dict[str, Any]:
        return {"id": "5" * 64, "type": kind, "author": "a" * 56, "device": "d" * 64, "seq": 9, "time": time_ms}

    def _let_in(self, route: str, address: str, **changed: Any) -> dict[str, Any]:
        self._called(route, address=address)  # type: ignore[attr-defined]
        plain = {"address": address, "since": self.clock_ms(), "admitted": False, "vouch": None}  # type: ignore[attr-defined]
        row = self.let_in.get(address, plain) | changed
        if changed:
            self.let_in[address] = row
        return row
