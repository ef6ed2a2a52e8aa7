"""A node in memory behind the control socket: small, but it keeps what it is told and refuses what it must."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import trio
from builders import person

from p2pblog.core import codec
from p2pblog.core.runs import encode_run
from p2pblog.errors import NotFound, NotPermitted, TimedOut, UsageError

ALICE = "a" * 56
BOB = "b" * 56
NOW_MS = 1_760_000_000_000


def an_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class FakeNode:
    """Alice's node. `faults` maps a method to what it raises; `gate` holds `status` back until it is set."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: NOW_MS) -> None:
        self.clock_ms = clock_ms
        self.name: str | None = "alice"
        self.bio: str | None = None
        self.notices: list[dict[str, Any]] = []
        self.follows: dict[str, dict[str, Any]] = {}
        self.peer_rows: list[dict[str, Any]] = []
        self.faults: dict[str, BaseException] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.gate: trio.Event | None = None
        self.watchers: list[trio.MemorySendChannel[dict[str, Any]]] = []
        self.watching = 0
        self.bookmarked: list[dict[str, Any]] = []
        self.address = ALICE
        self.owner = person("alice")
        self.piece = 2
        """Whose logs are exported, and so many entries at a time."""
        self.token: trio.lowlevel.TrioToken | None = None  # where the node runs in another thread than the test

    def _called(self, route: str, **arguments: Any) -> None:
        self.calls.append((route, arguments))
        if route in self.faults:
            raise self.faults[route]

    def add(self, author: str = ALICE, name: str | None = "alice", text: str = "hello", **more: Any) -> dict[str, Any]:
        """A notice that came to stand in the timeline."""
        notice = {
            "id": an_id(len(self.notices)),
            "type": "note",
            "author": author,
            "name": name,
            "text": text,
            "time": self.clock_ms(),
            "reply_to": None,
            "boost_of": None,
            "likes": 0,
            "boosts": 0,
            "tags": [],
            "cw": None,
            "lang": None,
            "imported_time": None,
            **more,
        }
        self.notices.append(notice)
        if self.token is None:
            self._tell(notice)
        else:
            self.token.run_sync_soon(self._tell, notice)
        return notice

    def _tell(self, notice: dict[str, Any]) -> None:
        for watcher in self.watchers:
            watcher.send_nowait(notice)

    def _find(self, prefix: str) -> dict[str, Any]:
        found = [notice for notice in self.notices if notice["id"].startswith(prefix)]
        if not found:
            raise NotFound(f"no notice {prefix} is held here")
        if len(found) > 1:
            raise UsageError(f"{prefix} begins several ids: give more digits")
        return found[0]

    def _written(self, notice: dict[str, Any], kind: str) -> dict[str, Any]:
        return {
            "id": notice["id"],
            "type": kind,
            "author": ALICE,
            "device": "d" * 64,
            "seq": len(self.notices),
            "time": notice["time"],
        }

    async def id(self) -> dict[str, Any]:
        self._called("id")
        return {
            "address": self.address,
            "name": self.name,
            "device": "d" * 64,
            "node": "e" * 64,
            "uri": f"p2pblog:{ALICE}",
        }

    async def status(self) -> dict[str, Any]:
        self._called("status")
        if self.gate is not None:
            await self.gate.wait()
        return {
            "address": ALICE,
            "name": self.name,
            "listen": "127.0.0.1:4711",
            "pid": 1234,
            "peers": len(self.peer_rows),
            "dht_nodes": 20,
            "follows": len(self.follows),
            "entries": len(self.notices),
            "uptime_s": 3_725,
            "version": "0.1.0",
            "pending": [address for address, row in self.follows.items() if row["state"] == "searching"],
        }

    async def post(
        self, text: str, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> dict[str, Any]:
        self._called("post", text=text, reply_to=reply_to, cw=cw, lang=lang)
        parent = None if reply_to is None else self._find(reply_to)["id"]
        return self._written(self.add(name=self.name, text=text, reply_to=parent), "note")

    async def boost(self, notice: str) -> dict[str, Any]:
        self._called("boost", notice=notice)
        found = self._find(notice)
        return self._written(self.add(type="boost", text=found["text"], boost_of=found["id"]), "boost")

    async def bookmark(self, notice: str) -> dict[str, Any]:
        self._called("bookmark", notice=notice)
        self.bookmarked.insert(0, found := self._find(notice))
        return {"id": found["id"], "bookmarked": True}

    async def unbookmark(self, notice: str) -> dict[str, Any]:
        self._called("unbookmark", notice=notice)
        self.bookmarked.remove(found := self._find(notice))
        return {"id": found["id"], "bookmarked": False}

    async def bookmarks(self, limit: int = 20, before: str | None = None) -> list[dict[str, Any]]:
        self._called("bookmarks", limit=limit, before=before)
        return self.bookmarked[:limit]

    async def unboost(self, notice: str) -> dict[str, Any]:
        self._called("unboost", notice=notice)
        return self._written(self.add(type="delete", text=self._find(notice)["text"]), "delete")

    async def unlike(self, notice: str) -> dict[str, Any]:
        self._called("unlike", notice=notice)
        return self._written(self.add(type="delete", text=self._find(notice)["text"]), "delete")

    async def like(self, notice: str) -> dict[str, Any]:
        self._called("like", notice=notice)
        found = self._find(notice)
        found["likes"] += 1
        return self._written(found, "like")

    async def delete(self, notice: str) -> dict[str, Any]:
        self._called("delete", notice=notice)
        found = self._find(notice)
        if found["author"] != ALICE:
            raise NotPermitted("that notice is somebody else's")
        self.notices.remove(found)
        return self._written(found, "delete")

    async def profile(self, name: str | None = None, bio: str | None = None) -> dict[str, Any]:
        self._called("profile", name=name, bio=bio)
        self.name = self.name if name is None else name
        self.bio = self.bio if bio is None else bio
        return {"address": ALICE, "name": self.name, "bio": self.bio}

    async def follow(self, address: str, petname: str | None = None) -> dict[str, Any]:
        self._called("follow", address=address, petname=petname)
        if len(address) != 56:
            raise UsageError("an address has 56 characters")
        row = {"address": address, "name": None, "petname": petname, "entries": 0, "newest": None, "state": "searching"}
        self.follows[address] = row
        return row

    async def unfollow(self, address: str) -> dict[str, Any]:
        self._called("unfollow", address=address)
        for key, row in self.follows.items():
            if address in (key, row["petname"]):
                return self.follows.pop(key)
        raise NotFound("nobody of that name or address is followed")

    async def following(self) -> list[dict[str, Any]]:
        self._called("following")
        return list(self.follows.values())

    async def invite(self) -> dict[str, Any]:
        self._called("invite")
        return {"uri": f"p2pblog:{ALICE}?peer=127.0.0.1:4711"}

    async def timeline(
        self, limit: int = 20, before: str | None = None, author: str | None = None, tag: str | None = None
    ) -> list[dict[str, Any]]:
        self._called("timeline", limit=limit, before=before, author=author, tag=tag)
        rows = list(reversed(self.notices))
        if before is not None:
            rows = rows[rows.index(self._find(before)) + 1 :]
        return [row for row in rows if author in (None, row["author"])][:limit]

    async def watch(self, author: str | None = None, tag: str | None = None) -> AsyncIterator[dict[str, Any]]:
        self._called("watch", author=author, tag=tag)
        outgoing, incoming = trio.open_memory_channel[dict[str, Any]](100)
        self.watchers.append(outgoing)
        self.watching += 1
        try:
            async for notice in incoming:
                if "fault" in notice:
                    raise notice["fault"]
                yield notice
        finally:
            self.watching -= 1
            self.watchers.remove(outgoing)

    async def show(self, notice: str) -> dict[str, Any]:
        self._called("show", notice=notice)
        return self._find(notice)

    async def thread(self, notice: str) -> dict[str, Any]:
        self._called("thread", notice=notice)
        root = self._find(notice)
        while root["reply_to"] is not None:
            root = self._find(root["reply_to"])
        held = [root]
        for row in self.notices:
            if row["reply_to"] in {above["id"] for above in held}:
                held.append(row)
        return {"root": root["id"], "notices": held, "missing": 0}

    async def peers(self) -> list[dict[str, Any]]:
        self._called("peers")
        return self.peer_rows

    async def add_peer(self, endpoint: str) -> dict[str, Any]:
        self._called("add_peer", endpoint=endpoint)
        if endpoint.endswith(":1"):
            raise TimedOut(f"nobody answers at {endpoint}")
        if ":" not in endpoint:
            raise UsageError("an endpoint is written HOST:PORT")
        row = {
            "node": "f" * 64,
            "endpoint": endpoint,
            "direction": "out",
            "since": self.clock_ms(),
            "feeds": 2,
            "bytes_in": 1_234,
            "bytes_out": 5_600_000,
        }
        self.peer_rows.append(row)
        return row

    async def entry(self, entry: str) -> dict[str, Any]:
        self._called("entry", entry=entry)
        found = self._find(entry)
        return {"id": found["id"], "body": "97", "payload": "80", "signature": "00" * 64, "chain": []}

    async def export_logs(self) -> dict[str, Any]:
        self._called("export_logs")
        log = {"device": self.owner.key.hex(), "entries": len(self.owner.log.entries)}
        return {"address": self.owner.address, "identity": self.owner.identity.wire.hex(), "logs": [log]}

    async def export_run(self, device: str, first: int) -> dict[str, Any]:
        self._called("export_run", device=device, first=first)
        run = self.owner.log.run(first, first + self.piece - 1)
        if not run:
            return {"run": None, "next": None}
        return {"run": codec.pack(encode_run(run)).hex(), "next": run[-1].seq + 1}

    async def import_identity(self, identity: str) -> dict[str, Any]:
        self._called("import_identity", identity=identity)
        return {"entries": 0, "new": 0}

    async def import_run(self, run: str) -> dict[str, Any]:
        self._called("import_run", run=run)
        return {"entries": 3, "new": 2}

    async def import_note(
        self, text: str, time: int, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> dict[str, Any]:
        self._called("import_note", text=text, time=time, reply_to=reply_to, cw=cw, lang=lang)
        return self._written(self.add(text=text, imported_time=time, reply_to=reply_to, cw=cw, lang=lang), "note")


def failing(kind: str = "status") -> FakeNode:
    """A node with a bug."""
    node = FakeNode()
    node.faults[kind] = ZeroDivisionError("a secret of the inside")
    return node
