"""A node in memory behind the control socket: small, but it keeps what it is told and refuses what it must."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import trio
from builders import person
from fake_groups import FakeGroups
from fake_settings import SETTING_CALLS, STATUS, FakeSettings
from fake_strangers import STRANGER_CALLS, FakeStrangers

from p2pblog.core import codec
from p2pblog.core.media import pieces_of, sniff, table_of
from p2pblog.core.runs import encode_run
from p2pblog.errors import NotFound, NotPermitted, TimedOut, UsageError

ALICE = "a" * 56
BOB = "b" * 56
NOW_MS = 1_760_000_000_000
MORE_CALLS = {**STRANGER_CALLS, **SETTING_CALLS}


def an_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def a_poll(*options: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A poll of (text, votes)."""
    rows = [{"text": text, "votes": votes} for text, votes in options]
    voters = sum(votes for _, votes in options)
    return {"options": rows, "closes": NOW_MS + 86_400_000, "closed": False, "voters": voters, "own": None, **more}


class FakeNode(FakeGroups, FakeSettings, FakeStrangers):
    """Alice's node. `faults` maps a method to what it raises; `gate` holds `status` back until it is set."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: NOW_MS) -> None:
        super().__init__()
        self.clock_ms = clock_ms
        self.name: str | None = "alice"
        self.bio: str | None = None
        self.links: list[str] = []
        self.pictures: dict[str, Any] = {"avatar": None, "banner": None}
        self.notices: list[dict[str, Any]] = []
        self.before_edits: dict[str, list[dict[str, Any]]] = {}
        self.follows: dict[str, dict[str, Any]] = {}
        self.heard_of: list[dict[str, Any]] = []  # rows of people who are not followed, and have profiles here
        self.peer_rows: list[dict[str, Any]] = []
        self.faults: dict[str, BaseException] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.gate: trio.Event | None = None
        self.watchers: list[trio.MemorySendChannel[dict[str, Any]]] = []
        self.watching = 0
        self.news: list[dict[str, Any]] = []
        self.pinned: list[str] = []
        self.own_lookalike: str | None = None
        self.sealed: list[dict[str, Any]] = []
        self.bookmarked: list[dict[str, Any]] = []
        self.mutes: dict[tuple[str, str], dict[str, Any]] = {}
        self.blocks: dict[str, dict[str, Any]] = {}
        self.begin()
        self.unread = 0
        self.thread_lacks = 0  # 1: what is fetched is found; more: it is not
        self.listed: dict[str, list[str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.fetched = 0  # pieces of each file that are here
        self.address = ALICE
        self.owner = person("alice")
        self.piece = 2  # entries in a run
        self.refuses_runs = False
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
            "boost_deleted": False,
            "likes": 0,
            "boosts": 0,
            "tags": [],
            "groups": [],
            **dict.fromkeys(("cw", "lang", "edited", "quote")),
            "mentions": [],
            "poll": None,
            "muted": False,
            "media": [],
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
        return STATUS | {
            "name": self.name,
            "peers": len(self.peer_rows),
            "follows": len(self.follows),
            "entries": len(self.notices),
            "store": self._fullness(),
            "devices": self.devices,
            "pending": [address for address, row in self.follows.items() if row["state"] == "searching"],
        }

    async def post(
        self,
        text: str,
        reply_to: str | None = None,
        cw: str | None = None,
        lang: str | None = None,
        poll: list[str] | None = None,
        closes: str | None = None,
        media: list[dict[str, str]] | None = None,
    ) -> dict[str, Any]:
        more = {} if media is None else {"media": media}
        self._called("post", text=text, reply_to=reply_to, cw=cw, lang=lang, poll=poll, closes=closes, **more)
        parent = None if reply_to is None else self._find(reply_to)["id"]
        asked = None if poll is None else a_poll(*((option, 0) for option in poll))
        files = [self.file(self.uploads.pop(each["upload"]), each) for each in media or ()]
        return self._written(self.add(name=self.name, text=text, reply_to=parent, poll=asked, media=files), "note")

    async def vote(self, notice: str, choice: int) -> dict[str, Any]:
        self._called("vote", notice=notice, choice=choice)
        return self._written(self._find(notice), "vote")

    def file(self, data: bytes, told: dict[str, str]) -> dict[str, Any]:
        """A file that the node holds, as its notice describes it."""
        table = table_of(data)
        self.files[table.file.hex()] = data
        return {
            "hash": table.file.hex(),
            "name": told["name"],
            "type": sniff(data),
            "size": len(data),
            "alt": told.get("alt", ""),
            "thumb": None,
        }

    async def upload(self, data: str, upload: str | None = None) -> dict[str, Any]:
        self._called("upload", data=data, upload=upload)
        name = upload or f"upload {len(self.uploads)}"
        self.uploads[name] = self.uploads.get(name, b"") + base64.b64decode(data)
        return {"upload": name, "size": len(self.uploads[name])}

    def _media(self, prefix: str) -> dict[str, Any]:
        said = [(file, n["author"], n["id"]) for n in self.notices for file in n["media"]]
        said += [(file, ALICE, None) for file in self.pictures.values() if file is not None]
        for file, author, notice in said:
            for name in (file["hash"], file["thumb"]):
                if name in self.files and name.startswith(prefix):
                    size, held = len(self.files[name]), min(self.fetched, len(pieces_of(self.files[name])))
                    here = min(held * 65_536, size)
                    told = {**file, "hash": name, "size": size, "author": author, "notice": notice}
                    state = "here" if here == size else "partly" if held else "elsewhere"
                    return {**told, "held": here, "pieces": held, "state": state}
        raise NotFound("no notice here has such a file")

    async def media(self, file: str) -> dict[str, Any]:
        self._called("media", file=file)
        return self._media(file)

    async def fetch_media(self, file: str, known: int | None = None) -> dict[str, Any]:
        self._called("fetch_media", file=file, known=known)
        self.fetched += 1
        return self._media(file)

    async def media_piece(self, file: str, index: int = 0) -> dict[str, Any]:
        self._called("media_piece", file=file, index=index)
        found = self._media(file)
        data = base64.b64encode(pieces_of(self.files[found["hash"]])[index]).decode()
        return {"hash": found["hash"], "index": index, "data": data}

    async def edit(self, notice: str, text: str, cw: str | None = None, lang: str | None = None) -> dict[str, Any]:
        self._called("edit", notice=notice, text=text, cw=cw, lang=lang)
        found = self._find(notice)
        self.before_edits.setdefault(found["id"], []).append(dict(found))
        found.update(text=text, edited=self.clock_ms())
        return self._written(found, "edit")

    async def quote(self, notice: str, text: str, cw: str | None = None, lang: str | None = None) -> dict[str, Any]:
        self._called("quote", notice=notice, text=text, cw=cw, lang=lang)
        of = self._find(notice)
        quoted = {"id": of["id"], "version": of["id"], "deleted": False}
        quoted |= {key: of[key] for key in ("author", "text", "cw")}
        return self._written(self.add(text=text, quote=quoted), "note")

    async def versions(self, notice: str) -> list[dict[str, Any]]:
        self._called("versions", notice=notice)
        rows = [*self.before_edits.get(notice, []), self._find(notice)]
        return [{name: each[name] for name in ("id", "time", "text", "cw", "lang")} for each in rows]

    async def notifications(
        self, limit: int = 20, before: str | None = None, unread: bool = False
    ) -> list[dict[str, Any]]:
        self._called("notifications", limit=limit, before=before, unread=unread)
        return [each for each in self.news if not (unread and each["read"])][:limit]

    async def read_notifications(self) -> dict[str, Any]:
        self._called("read_notifications")
        unread = [each for each in self.news if not each["read"]]
        for each in unread:
            each["read"] = True
        return {"read": len(unread)}

    async def boost(self, notice: str) -> dict[str, Any]:
        self._called("boost", notice=notice)
        found = self._find(notice)
        return self._written(self.add(type="boost", text=found["text"], boost_of=found["id"]), "boost")

    async def dm(self, to: list[str], text: str) -> dict[str, Any]:
        self._called("dm", to=to, text=text)
        row = {"id": an_id(500 + len(self.sealed)), "from": ALICE, "to": to, "text": text, "time": self.clock_ms()}
        self.sealed.insert(0, row)
        return self._written({**row, "author": ALICE}, "dm")

    async def dms(self, limit: int = 20, before: str | None = None) -> list[dict[str, Any]]:
        self._called("dms", limit=limit, before=before)
        ids = [row["id"] for row in self.sealed]
        return self.sealed[0 if before is None else ids.index(before) + 1 :][:limit]

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
        ids = [row["id"] for row in self.bookmarked]
        return self.bookmarked[0 if before is None else ids.index(before) + 1 :][:limit]

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

    async def pin(self, notice: str) -> dict[str, Any]:
        self._called("pin", notice=notice)
        found = self._find(notice)
        if found["author"] != ALICE:
            raise NotPermitted("that notice is somebody else's")
        self.pinned.insert(0, found["id"])
        return self._written(found, "pin")

    async def unpin(self, notice: str) -> dict[str, Any]:
        self._called("unpin", notice=notice)
        if (found := self._find(notice))["id"] in self.pinned:
            self.pinned.remove(found["id"])
        return self._written(self.add(type="delete", text=found["text"]), "delete")

    async def delete(self, notice: str) -> dict[str, Any]:
        self._called("delete", notice=notice)
        found = self._find(notice)
        if found["author"] != ALICE:
            raise NotPermitted("that notice is somebody else's")
        self.notices.remove(found)
        return self._written(found, "delete")

    async def profile(
        self,
        name: str | None = None,
        bio: str | None = None,
        links: list[str] | None = None,
        address: str | None = None,
        avatar: Any = None,
        banner: Any = None,
    ) -> dict[str, Any]:
        self._called("profile", name=name, bio=bio, links=links, address=address, avatar=avatar, banner=banner)
        if address is not None:
            known = [*self.follows.values(), *self.heard_of]
            row = next((row for row in known if address in (row["address"], row["petname"])), None)
            if row is None:
                raise NotFound("nothing of theirs is here")
            empty = {"bio": None, "links": [], "avatar": None, "banner": None, "pinned": []}
            told = {"address": row["address"], "name": row["name"], **empty}
            return {**told, "petname": row["petname"], "lookalike": row["lookalike"]}
        self.links = self.links if links is None else links
        self.name = self.name if name is None else name
        self.bio = self.bio if bio is None else bio
        for what, files in (("avatar", avatar), ("banner", banner)):
            if files is not None:
                self.pictures[what] = self.file(self.uploads.pop(files[0]["upload"]), files[0]) if files else None
        told = {"address": ALICE, "name": self.name, "bio": self.bio, "links": self.links, **self.pictures}
        return {**told, "pinned": list(self.pinned), "petname": None, "lookalike": self.own_lookalike}

    async def follow(
        self,
        address: str,
        petname: str | None = None,
        no_boosts: bool | None = None,
        budget: str | None = None,
        private: bool | None = None,
    ) -> dict[str, Any]:
        self._called("follow", address=address, petname=petname, no_boosts=no_boosts, budget=budget, private=private)
        if len(address) != 56:
            raise UsageError("an address has 56 characters")
        if petname and any(each["petname"] == petname for key, each in self.follows.items() if key != address):
            raise UsageError("you call somebody else by that petname")
        row = {"address": address, "name": None, "petname": petname, "entries": 0, "newest": None, "state": "searching"}
        row |= {"no_boosts": bool(no_boosts), "budget": budget, "private": bool(private)}
        row |= {"pruned": self.pruned, "lookalike": None}
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

    async def mute(
        self, address: str | None = None, tag: str | None = None, word: str | None = None, lasting: str | None = None
    ) -> dict[str, Any]:
        self._called("mute", address=address, tag=tag, word=word, lasting=lasting)
        kind = "person" if address else "tag" if tag else "word"
        what = address or tag or word or ""
        until = None if lasting is None else self.clock_ms() + 3 * 24 * 3_600_000
        self.mutes[kind, what] = {"kind": kind, "what": what, "until": until}
        return self.mutes[kind, what]

    async def unmute(
        self, address: str | None = None, tag: str | None = None, word: str | None = None
    ) -> dict[str, Any]:
        self._called("unmute", address=address, tag=tag, word=word)
        for (kind, what), row in self.mutes.items():
            if what == {"person": address, "tag": tag, "word": word}[kind]:
                del self.mutes[kind, what]
                return row
        raise NotFound("you have not muted that", "p2pblog muted")

    async def muted(self) -> list[dict[str, Any]]:
        self._called("muted")
        return list(self.mutes.values())

    async def block(self, address: str) -> dict[str, Any]:
        self._called("block", address=address)
        self.blocks[address] = {"address": address, "since": self.clock_ms()}
        return {**self.blocks[address], "unfollowed": self.follows.pop(address, None) is not None}

    async def unblock(self, address: str) -> dict[str, Any]:
        self._called("unblock", address=address)
        if address not in self.blocks:
            raise NotFound("you have not blocked that address", "p2pblog blocked")
        return self.blocks.pop(address)

    async def blocked(self) -> list[dict[str, Any]]:
        self._called("blocked")
        return list(self.blocks.values())

    async def why(self, notice: str) -> dict[str, Any]:
        self._called("why", notice=notice)
        found = self._find(notice)
        return {"id": found["id"], "shown": not found["muted"], "reasons": ["you wrote it"]}

    async def invite(self) -> dict[str, Any]:
        self._called("invite")
        return {"uri": f"p2pblog:{ALICE}?peer=127.0.0.1:4711"}

    async def lists(self) -> list[dict[str, Any]]:
        self._called("lists")
        return [{"name": name, "members": len(members)} for name, members in sorted(self.listed.items())]

    async def create_list(self, name: str) -> dict[str, Any]:
        self._called("create_list", name=name)
        self.listed[name] = []
        return {"name": name, "members": 0}

    async def delete_list(self, name: str) -> dict[str, Any]:
        self._called("delete_list", name=name)
        return {"name": name, "members": len(self.listed.pop(name))}

    async def add_to_list(self, name: str, addresses: list[str]) -> dict[str, Any]:
        self._called("add_to_list", name=name, addresses=addresses)
        self.listed[name] += addresses
        return {"name": name, "members": len(self.listed[name])}

    async def remove_from_list(self, name: str, addresses: list[str]) -> dict[str, Any]:
        self._called("remove_from_list", name=name, addresses=addresses)
        self.listed[name] = [address for address in self.listed[name] if address not in addresses]
        return {"name": name, "members": len(self.listed[name])}

    async def show_list(self, name: str) -> dict[str, Any]:
        self._called("show_list", name=name)
        members = [{"address": address, "name": None, "petname": "bob"} for address in self.listed[name]]
        return {"name": name, "members": members}

    async def timeline(
        self,
        limit: int = 20,
        before: str | None = None,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
        fetch: bool = False,
        strangers: bool = False,
    ) -> list[dict[str, Any]]:
        if strangers:
            self._called("timeline", limit=limit, before=before, strangers=True)
            return self.waiting[:limit]
        more = {"group": group, "fetch": fetch} if group is not None or fetch else {}
        self._called("timeline", limit=limit, before=before, author=author, tag=tag, of_list=of_list, **more)
        rows = [row for row in reversed(self.notices) if group is None or group in row["groups"]]
        if before is not None:
            rows = rows[rows.index(self._find(before)) + 1 :]
        return [row for row in rows if author in (None, row["author"])][:limit]

    async def watch(
        self,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        more = {} if group is None else {"group": group}
        self._called("watch", author=author, tag=tag, of_list=of_list, **more)
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

    async def search(self, query: str, limit: int = 20, before: str | None = None) -> dict[str, Any]:
        self._called("search", query=query, limit=limit, before=before)
        found = [row for row in reversed(self.notices) if query in row["text"]]
        return {"notices": found[:limit], "unread": self.unread}

    async def show(self, notice: str) -> dict[str, Any]:
        self._called("show", notice=notice)
        return self._find(notice)

    async def thread(self, notice: str, fetch: bool = False) -> dict[str, Any]:
        self._called("thread", notice=notice, fetch=fetch)
        root = self._find(notice)
        while root["reply_to"] is not None:
            root = self._find(root["reply_to"])
        held = [root]
        for row in self.notices:
            if row["reply_to"] in {above["id"] for above in held}:
                held.append(row)
        if fetch:
            self.thread_lacks = 0 if self.thread_lacks == 1 else self.thread_lacks
        return {
            "root": root["id"],
            "notices": held,
            "known": len(held) + self.thread_lacks,
            "missing": self.thread_lacks,
            "pruned": min(self.pruned, self.thread_lacks),
            "strangers": self.strange_replies,
        }

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
        said = found["text"].encode().hex()
        return {"id": found["id"], "body": "97", "payload": said, "signature": "00" * 64, "chain": []}

    async def export_logs(self) -> dict[str, Any]:
        self._called("export_logs")
        log = {"device": self.owner.key.hex(), "entries": len(self.owner.log.entries)}
        return {"address": self.owner.address, "identity": self.owner.identity.wire.hex(), "logs": [log], "peers": []}

    async def export_run(self, device: str, first: int) -> dict[str, Any]:
        self._called("export_run", device=device, first=first)
        run = self.owner.log.run(first, first + self.piece - 1)
        if not run:
            return {"run": None, "next": None}
        return {"run": codec.pack(encode_run(run)).hex(), "next": run[-1].seq + 1}

    async def import_identity(self, identity: str) -> dict[str, Any]:
        self._called("import_identity", identity=identity)
        return {"entries": 0, "new": 0, "refused": 0}

    async def import_run(self, run: str) -> dict[str, Any]:
        self._called("import_run", run=run)
        return {"entries": 2, "new": 0, "refused": 2} if self.refuses_runs else {"entries": 2, "new": 2, "refused": 0}

    async def import_file(self, file: str, upload: str) -> dict[str, Any]:
        self._called("import_file", file=file, upload=upload)
        is_new = file not in self.files
        self.files[file] = self.uploads.pop(upload, b"")
        return {"hash": file, "new": is_new}

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
