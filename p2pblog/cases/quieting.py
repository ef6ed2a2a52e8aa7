"""Use cases of who wants less: mutes and blocks. Nobody else hears of any of it."""

from __future__ import annotations

from p2pblog.cases.files import Files
from p2pblog.cases.people import People
from p2pblog.config import BLOCKS_MAX, MUTES_MAX
from p2pblog.control.documents import BlockDocument, MuteDocument, NewBlockDocument
from p2pblog.control.words import check_duration, check_tag, check_words
from p2pblog.core import address as addresses
from p2pblog.core.keys import IdentityHash
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.gossip.events import Blocked, Unblocked
from p2pblog.store import Block


class Quieting(People, Files):
    """Of `Node`: who wants less."""

    # --- mutes ---

    async def mute(
        self, address: str | None = None, tag: str | None = None, word: str | None = None, lasting: str | None = None
    ) -> MuteDocument:
        kind, what = await self._meant(address, tag, word)
        if what == self._author.identity_hash:
            raise UsageError("that is your own address: your notices always show")
        now = self._wall_ms()
        mute = Mute(kind, what, now, None if lasting is None else now + check_duration(lasting))
        if not await self._store.put_mute(mute, now):
            raise UserError(f"you have {MUTES_MAX:,} mutes already", hint="p2pblog muted")
        self._quiet.put(mute)
        return _mute_document(mute)

    async def unmute(self, address: str | None = None, tag: str | None = None, word: str | None = None) -> MuteDocument:
        kind, what = await self._meant(address, tag, word)
        mute = self._quiet.mute_of(kind, what)
        if mute is None:
            raise NotFound("you have not muted that", hint="p2pblog muted")
        await self._store.drop_mute(kind, what)
        self._quiet.drop(mute)
        return _mute_document(mute)

    async def muted(self) -> list[MuteDocument]:
        return [_mute_document(mute) for mute in self._quiet.mutes()]

    async def _meant(self, address: str | None, tag: str | None, word: str | None) -> tuple[MuteKind, bytes]:
        if [address, tag, word].count(None) != 2:
            raise UsageError("say one thing: an ADDRESS, --tag T or --word W")
        if address is not None:
            return MuteKind.PERSON, (await self._resolve(address)).identity
        if tag is not None:
            return MuteKind.TAG, check_tag(tag).encode()
        return MuteKind.WORD, check_words(word or "").encode()

    # --- blocks ---

    async def block(self, address: str) -> NewBlockDocument:
        """Who is followed is followed no longer. What is held of them goes, files too, and no more of it comes."""
        async with self._following:
            identity = (await self._resolve(address)).identity
            if identity == self._author.identity_hash:
                raise UsageError("that is your own address")
            if identity not in self._quiet.blocks and len(self._quiet.blocks) >= BLOCKS_MAX:
                raise UserError(f"you have blocked {BLOCKS_MAX:,} people already", hint="p2pblog blocked")
            is_followed = identity in self._follows
            if is_followed:
                await self._unfollow(identity)
            block = self._quiet.blocks.get(identity, Block(identity, self._wall_ms()))
            await self._keep_out(block)
            await self._drop_forgotten()
            return NewBlockDocument(**_block_document(block), unfollowed=is_followed)

    async def _keep_out(self, block: Block) -> None:
        """First for what is on its way to the store, then what is there."""
        self._driver.feed(Blocked(block.identity))
        try:
            await self._store.put_block(block)
        except StoreError:
            if block.identity not in self._quiet.blocks:
                self._driver.feed(Unblocked(block.identity))
            raise
        self._quiet.blocks[block.identity] = block
        self._quiet.on_changed()

    async def unblock(self, address: str) -> BlockDocument:
        async with self._following:
            identity = (await self._resolve(address)).identity
            block = self._quiet.blocks.get(identity)
            if block is None:
                raise NotFound("you have not blocked that address", hint="p2pblog blocked")
            await self._store.drop_block(identity)
            del self._quiet.blocks[identity]
            self._quiet.on_changed()
            self._driver.feed(Unblocked(identity))
            return _block_document(block)

    async def blocked(self) -> list[BlockDocument]:
        blocks = sorted(self._quiet.blocks.values(), key=lambda block: (block.since_ms, block.identity))
        return [_block_document(block) for block in blocks]


def _mute_document(mute: Mute) -> MuteDocument:
    is_person = mute.kind == MuteKind.PERSON
    what = addresses.spell(IdentityHash(mute.what)) if is_person else mute.what.decode()
    return MuteDocument(kind=mute.kind.name.lower(), what=what, until=mute.until_ms)


def _block_document(block: Block) -> BlockDocument:
    return BlockDocument(address=addresses.spell(block.identity), since=block.since_ms)
