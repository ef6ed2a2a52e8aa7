"""What a node keeps for itself, in dicts: follows, lists, peers, settings, bookmarks. `memory.py` adds peers' words."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.config import (
    ADMITTED_MAX,
    BLOCKS_MAX,
    BOOKMARKS_MAX,
    GROUPS_JOINED_MAX,
    KNOWN_PEERS_MAX,
    LIST_MEMBERS_MAX,
    LISTS_MAX,
    MUTES_MAX,
)
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.errors import NotFound
from p2pblog.store import OWN_IDENTITY, Admitted, Block, Follow, KnownPeer, ListRow


class MemoryDesk:
    """The part of `store.Store` that no entry has a say in; see there what each method gives."""

    def __init__(self) -> None:
        self._follows: dict[IdentityHash, Follow] = {}
        self._peers: dict[str, KnownPeer] = {}
        self._settings: dict[str, bytes] = {}
        self._bookmarks: dict[EntryId, int] = {}
        self._mutes: dict[tuple[MuteKind, bytes], Mute] = {}
        self._blocks: dict[IdentityHash, Block] = {}
        self._admitted: dict[IdentityHash, int] = {}
        self._lists: dict[str, set[IdentityHash]] = {}
        self._groups: dict[str, int] = {}
        self._polls_due: dict[EntryId, tuple[int, int]] = {}
        """Of own polls and votes: since when they are here, and when to look at them; in ms."""
        self._polls_ended: dict[EntryId, int] = {}
        """Own polls and votes whose poll has closed, with the time when that was noticed."""

    def copy_desk(self, twin: MemoryDesk) -> None:
        """Give a twin the same."""
        twin._follows.update(self._follows)
        twin._peers.update(self._peers)
        twin._settings.update(self._settings)
        twin._bookmarks.update(self._bookmarks)
        twin._mutes.update(self._mutes)
        twin._blocks.update(self._blocks)
        twin._groups.update(self._groups)
        twin._polls_due.update(self._polls_due)
        twin._polls_ended.update(self._polls_ended)
        twin._admitted.update(self._admitted)
        twin._lists.update({name: set(members) for name, members in self._lists.items()})

    async def put_bookmark(self, notice: EntryId, now_ms: int) -> bool:
        if notice not in self._bookmarks and len(self._bookmarks) >= BOOKMARKS_MAX:
            return False
        self._bookmarks.setdefault(notice, now_ms)
        return True

    async def drop_bookmark(self, notice: EntryId) -> bool:
        return self._bookmarks.pop(notice, None) is not None

    async def put_mute(self, mute: Mute, now_ms: int) -> bool:
        self._mutes = {key: each for key, each in self._mutes.items() if each.holds(now_ms)}
        if (mute.kind, mute.what) not in self._mutes and len(self._mutes) >= MUTES_MAX:
            return False
        self._mutes[mute.kind, mute.what] = mute
        return True

    async def drop_mute(self, kind: MuteKind, what: bytes) -> bool:
        return self._mutes.pop((kind, what), None) is not None

    def _note_block(self, block: Block) -> bool:
        """Gives whether there was room."""
        if block.identity not in self._blocks and len(self._blocks) >= BLOCKS_MAX:
            return False
        self._blocks.setdefault(block.identity, block)
        self._admitted.pop(block.identity, None)
        return True

    async def drop_block(self, identity: IdentityHash) -> bool:
        return self._blocks.pop(identity, None) is not None

    async def put_admitted(self, identity: IdentityHash, now_ms: int) -> bool:
        if identity not in self._admitted and len(self._admitted) >= ADMITTED_MAX:
            return False
        self._admitted.setdefault(identity, now_ms)
        return True

    async def drop_admitted(self, identity: IdentityHash) -> bool:
        return self._admitted.pop(identity, None) is not None

    async def admitted(self) -> list[Admitted]:
        ordered = sorted((since, identity) for identity, since in self._admitted.items())
        return [Admitted(identity, since) for since, identity in ordered]

    def _sorted_mutes(self) -> tuple[Mute, ...]:
        return tuple(mute for _, mute in sorted(self._mutes.items()))

    def _sorted_blocks(self) -> tuple[Block, ...]:
        return tuple(sorted(self._blocks.values(), key=lambda block: (block.since_ms, block.identity)))

    def _sorted_follows(self) -> list[Follow]:
        return sorted(self._follows.values(), key=lambda follow: (follow.since_ms, follow.identity))

    async def put_follow(self, follow: Follow) -> None:
        self._follows[follow.identity] = follow

    async def drop_follow(self, identity: IdentityHash) -> None:
        self._follows.pop(identity, None)
        for members in self._lists.values():
            members.discard(identity)

    async def put_list(self, name: str) -> bool:
        if name not in self._lists and len(self._lists) >= LISTS_MAX:
            return False
        self._lists.setdefault(name, set())
        return True

    async def drop_list(self, name: str) -> None:
        self._list(name)
        del self._lists[name]

    async def put_members(self, name: str, identities: Sequence[IdentityHash]) -> bool:
        together = self._list(name) | set(identities)
        if len(together) > LIST_MEMBERS_MAX:
            return False
        self._lists[name] = together
        return True

    async def drop_members(self, name: str, identities: Sequence[IdentityHash]) -> None:
        self._list(name).difference_update(identities)

    async def members(self, name: str) -> list[IdentityHash]:
        return sorted(self._list(name))

    async def lists(self) -> list[ListRow]:
        return [ListRow(name, len(members)) for name, members in sorted(self._lists.items())]

    async def listed(self) -> list[IdentityHash]:
        return sorted(set[IdentityHash]().union(*self._lists.values()))

    def _list(self, name: str) -> set[IdentityHash]:
        if name not in self._lists:
            raise NotFound("you have no list of that name", hint="p2pblog lists")
        return self._lists[name]

    async def put_group(self, name: str, now_ms: int) -> bool:
        if name not in self._groups and len(self._groups) >= GROUPS_JOINED_MAX:
            return False
        self._groups.setdefault(name, now_ms)
        return True

    async def drop_group(self, name: str) -> bool:
        return self._groups.pop(name, None) is not None

    async def put_peers(self, peers: Sequence[KnownPeer]) -> None:
        self._peers.update({peer.endpoint: peer for peer in peers})
        while len(self._peers) > KNOWN_PEERS_MAX:
            oldest = min(self._peers.values(), key=lambda peer: (peer.seen_ms, peer.endpoint))
            del self._peers[oldest.endpoint]

    async def put_setting(self, key: str, value: bytes | None) -> None:
        if key == OWN_IDENTITY and value != self._settings.get(key):
            self._polls_due.clear()
            self._polls_ended.clear()
        if value is None:
            self._settings.pop(key, None)
        else:
            self._settings[key] = value

    async def settings(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in sorted(self._settings.items()) if name.startswith(prefix)}
