"""What a node keeps for itself, in dicts: follows, peers, settings, bookmarks. `memory.py` adds what peers write."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import BOOKMARKS_MAX, KNOWN_PEERS_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.store import Follow, KnownPeer


class MemoryDesk:
    """The part of `store.Store` that no entry has a say in; see there what each method gives."""

    def __init__(self) -> None:
        self._follows: dict[IdentityHash, Follow] = {}
        self._peers: dict[str, KnownPeer] = {}
        self._settings: dict[str, bytes] = {}
        self._bookmarks: dict[EntryId, int] = {}

    def copy_desk(self, twin: MemoryDesk) -> None:
        """Give a twin the same."""
        twin._follows.update(self._follows)
        twin._peers.update(self._peers)
        twin._settings.update(self._settings)
        twin._bookmarks.update(self._bookmarks)

    async def put_bookmark(self, notice: EntryId, now_ms: int) -> bool:
        if notice not in self._bookmarks and len(self._bookmarks) >= BOOKMARKS_MAX:
            return False
        self._bookmarks.setdefault(notice, now_ms)
        return True

    async def drop_bookmark(self, notice: EntryId) -> bool:
        return self._bookmarks.pop(notice, None) is not None

    def _sorted_follows(self) -> list[Follow]:
        return sorted(self._follows.values(), key=lambda follow: (follow.since_ms, follow.identity))

    async def put_follow(self, follow: Follow) -> None:
        self._follows[follow.identity] = follow

    async def drop_follow(self, identity: IdentityHash) -> None:
        self._follows.pop(identity, None)

    async def put_peers(self, peers: Sequence[KnownPeer]) -> None:
        self._peers.update({peer.endpoint: peer for peer in peers})
        while len(self._peers) > KNOWN_PEERS_MAX:
            oldest = min(self._peers.values(), key=lambda peer: (peer.seen_ms, peer.endpoint))
            del self._peers[oldest.endpoint]

    async def put_setting(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._settings.pop(key, None)
        else:
            self._settings[key] = value

    async def settings(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in sorted(self._settings.items()) if name.startswith(prefix)}
