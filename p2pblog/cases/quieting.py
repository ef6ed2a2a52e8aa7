"""Use cases of who wants less: mutes, blocks, and why something shows or does not. Nobody else hears of any of it."""

from __future__ import annotations

from p2pblog.cases.desk import said_in
from p2pblog.cases.files import Files
from p2pblog.cases.people import People
from p2pblog.cases.quiet import Ranking
from p2pblog.cases.strangers import why_told
from p2pblog.config import ADDRESS_LETTERS, BLOCKS_MAX, MUTES_MAX
from p2pblog.control.documents import BlockDocument, MuteDocument, NewBlockDocument, WhyDocument
from p2pblog.control.words import check_duration, check_tag, check_words
from p2pblog.core import address as addresses
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.payload import Boost, Note
from p2pblog.core.quiet import Mute, MuteKind, Reason, Rules, Why, hidden_by
from p2pblog.core.timelines import Row, is_shown
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.gossip.events import Blocked, Unblocked
from p2pblog.store import Block

BOOSTS_WEIGHED_MAX = 100
"""Boosts of one notice that `why` looks at: a notice that as many of those one follows boost is seen by one of them."""


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

    # --- why ---

    async def why(self, notice: str) -> WhyDocument:
        entry = await self._find(notice)
        rows = await self._store.rows([entry])
        if not rows:
            return WhyDocument(id=entry.hex(), shown=False, reasons=[await self._why_unreadable(entry)])
        rules, ranking = self._quiet.rules(), Ranking()
        is_seen, reasons = await self._why_line(rows[0], rules, ranking)
        if not is_seen and rows[0].type == Note.type:
            boosts = (await self._store.boosts_at_home(entry))[:BOOSTS_WEIGHED_MAX]
            for row in await self._store.rows(boosts):
                is_seen_so, told = await self._why_line(row, rules, ranking)
                is_seen = is_seen or is_seen_so
                reasons += [reason for reason in told if reason not in reasons]
        is_followed = rows[0].author in self._follows
        reasons += await why_told(rows[0], rules, is_followed, self._store, self._call)
        return WhyDocument(id=entry.hex(), shown=is_seen, reasons=reasons)

    async def _why_unreadable(self, entry: EntryId) -> str:
        located = await self._store.locate(entry)
        if located is None:
            return "this node does not hold it any more"
        holdings, device, seq = self._driver.machine.holdings, located.entry.device, located.entry.seq
        state = holdings.logs.get(device)
        if located.entry.payload is None and state is not None and seq in state.missing:
            return "what it says is not here yet"
        if located.entry.payload is not None and not isinstance(said_in(located.entry), Note | Boost):
            return "it is no notice"
        if located.identity in holdings.identities and not is_shown(holdings.standing(device), seq):
            return "its author does not vouch for the device that wrote it"
        return "its author deleted it"

    async def _why_line(self, row: Row, rules: Rules, ranking: Ranking) -> tuple[bool, list[str]]:
        """Whether this line stands in the home timeline, and why."""
        author = IdentityHash(row.author)
        verb = "boosted it" if row.type == Boost.type else "wrote it"
        if author == rules.own:
            return True, [f"you {verb}"]
        reasons = [self._sentence(reason) for reason in hidden_by(row, rules)]
        if author not in self._follows:
            groups = [f"it was said to !{group}, which you joined" for group in row.groups if group in self._joined]
            return False, [*reasons, f"you do not follow {self._call(author)}, who {verb}", *groups]
        is_over, told = await self._why_budget(row, rules, ranking)
        if reasons or is_over:
            return False, [*reasons, *(told if is_over else [])]
        located = await self._store.locate(row.id)
        if located is not None and not self._driver.machine.holdings.holds(located.entry.device, located.entry.seq):
            called = self._call(author)
            return False, [f"it is kept by itself: what {called} said around it has gone, or has not come"]
        if row.type == Boost.type and not row.text:
            told = [*told, "what it boosts is not here yet, or was deleted"]
        return True, [f"you follow {self._call(author)}, who {verb}", *told]

    async def _why_budget(self, row: Row, rules: Rules, ranking: Ranking) -> tuple[bool, list[str]]:
        terms = rules.terms.get(row.author)
        if terms is None or terms.budget is None:
            return False, []
        called, budget = self._call(IdentityHash(row.author)), terms.budget
        if await self._quiet.answers_me(row):
            return False, ["it answers you, so no budget counts"]
        order = await self._quiet.rank(row, rules, ranking)
        is_over = await self._quiet.is_over(row, rules, ranking)
        place = f"number {order.index(row.id) + 1:,} of {len(order):,}" if row.id in order else "behind all others"
        said = f"{place} of {called} in that {budget.period}, by likes and boosts of those you follow"
        return is_over, [f"it is {'over' if is_over else 'within'} the budget of {budget.spelled}: {said}"]

    def _sentence(self, reason: Reason) -> str:
        called = "" if reason.whom is None else self._call(IdentityHash(reason.whom))
        match reason.why:
            case Why.BLOCKED:
                return f"you blocked {called}"
            case Why.NO_BOOSTS:
                return f"you do not want boosts by {called}"
            case Why.MUTED:
                assert reason.mute is not None
                return self._muted_sentence(reason.mute)

    def _muted_sentence(self, mute: Mute) -> str:
        if mute.kind == MuteKind.PERSON:
            return f"you muted {self._call(IdentityHash(mute.what))}"
        if mute.kind == MuteKind.TAG:
            return f"you muted the tag #{mute.what.decode()}"
        return f"you muted the word {mute.what.decode()}"

    def _call(self, identity: IdentityHash) -> str:
        """What the person calls somebody, or the first letters of the address."""
        follow = self._follows.get(identity)
        petname = None if follow is None else follow.petname
        return petname or addresses.spell(identity)[:ADDRESS_LETTERS]


def _mute_document(mute: Mute) -> MuteDocument:
    is_person = mute.kind == MuteKind.PERSON
    what = addresses.spell(IdentityHash(mute.what)) if is_person else mute.what.decode()
    return MuteDocument(kind=mute.kind.name.lower(), what=what, until=mute.until_ms)


def _block_document(block: Block) -> BlockDocument:
    return BlockDocument(address=addresses.spell(block.identity), since=block.since_ms)
