"""The use case that says why a notice shows or does not, and why what a stranger says is told or waits."""

from __future__ import annotations

from collections.abc import Callable

from p2pblog.cases.desk import Desk, said_in
from p2pblog.cases.quiet import Ranking
from p2pblog.config import ADDRESS_LETTERS
from p2pblog.control.documents import WhyDocument
from p2pblog.core import address as addresses
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.payload import Boost, Note
from p2pblog.core.quiet import Mute, MuteKind, Reason, Rules, Why, hidden_by
from p2pblog.core.timelines import Row, is_shown
from p2pblog.store import Store
from p2pblog.store.meaning import meaning_of

BOOSTS_WEIGHED_MAX = 100
"""Boosts of one notice that `why` looks at: a notice that as many of those one follows boost is seen by one of them."""
VOUCHERS_TOLD_MAX = 3
"""Of those who vouch for somebody, so many are named: one is enough."""


class Explaining(Desk):
    """Of `Node`: why something shows or does not."""

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
        reasons += await _why_told(rows[0], rules, is_followed, self._store, self._call)
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


async def _why_told(
    row: Row, rules: Rules, is_followed: bool, store: Store, call: Callable[[IdentityHash], str]
) -> list[str]:
    """Why what somebody says to us is told us, or waits; nothing where it is not said to us, or by somebody followed,
    or by somebody whose mute keeps it from us. `call`: what a person calls somebody."""
    author, own = IdentityHash(row.author), rules.own
    if author == own or is_followed or author in rules.people or not await _is_said_to(own, row, store):
        return []
    called = call(author)
    if any(each.identity == author for each in await store.admitted()):
        return [f"you admitted {called}, so you are told what they say to you"]
    by = await store.vouchers(author)
    if not by:
        is_listed = row.type != Boost.type and not hidden_by(row, rules)
        where = ": see p2pblog timeline --strangers" if is_listed else ""
        return [f"{called} is a stranger to you, so what they say to you waits{where}"]
    others = [call(each) for each in by if each != own][:VOUCHERS_TOLD_MAX]
    whose = "you" if own in by else f"{' and '.join(others)}, whom you follow,"
    return [f"{whose} vouched for {called}, so you are told what they say to you"]


async def _is_said_to(own: bytes, row: Row, store: Store) -> bool:
    """Whether the node's own person is told of it, or would be if it came from somebody known: what a notice said first
    counts, and of boosts those of what is shown."""
    located = await store.locate(row.id)
    is_there = row.type != Boost.type or row.boosted is None
    return is_there and located is not None and own in meaning_of(located.entry.payload).to
