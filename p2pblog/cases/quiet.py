"""What a person does not want to see, kept in mind: the one place that every timeline asks before it shows a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

from p2pblog.config import BUDGET_NOTICES_MAX, QUIET_ROWS_EMPTY_MAX, QUIET_ROWS_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.quiet import Mute, MuteKind, Rules, Terms, answers, hidden_by, ranked, read_budget, rules_at
from p2pblog.core.timelines import Row
from p2pblog.core.value import State, field, replace
from p2pblog.store import Contents, Follow, Store, TimelineQuery

ROWS_AT_ONCE = 250
"""Lines that are read at once below a first page's worth."""
STOPS_MAX = 64
STOP_LASTS_MS = 10 * 60 * 1000
"""How long it is remembered where a page stopped looking: mutes end, and likes and boosts come in meanwhile."""


class Ranking(State):
    """The ids of each period as they compete for its budget, the best first; looked up once for a page."""

    periods: dict[tuple[bytes, int], list[EntryId]] = field(default_factory=dict)


Fetch = Callable[[int, EntryId | None], Awaitable[Sequence[Row]]]
"""So many lines, as far as there are so many, from below an id or from the top."""


class Quiet:
    """Mutes and blocks as they stand, and the terms of follows; whoever changes them here has stored them before."""

    def __init__(
        self,
        own: IdentityHash,
        store: Store,
        follows: Mapping[IdentityHash, Follow],
        wall_ms: Callable[[], int],
        loaded: Contents,
    ) -> None:
        self._own = own
        self._store = store
        self._follows = follows
        self._wall_ms = wall_ms
        self._mutes = {(mute.kind, mute.what): mute for mute in loaded.mutes}
        self.blocks = {block.identity: block for block in loaded.blocks}
        self._stops: dict[tuple[Hashable, EntryId], tuple[EntryId, int]] = {}

    # --- what stands ---

    def mutes(self) -> list[Mute]:
        """Those in force, by kind and then as they came."""
        now = self._wall_ms()
        held = [mute for mute in self._mutes.values() if mute.holds(now)]
        return sorted(held, key=lambda mute: (mute.kind, mute.since_ms, mute.what))

    def mute_of(self, kind: MuteKind, what: bytes) -> Mute | None:
        mute = self._mutes.get((kind, what))
        return mute if mute is not None and mute.holds(self._wall_ms()) else None

    def put(self, mute: Mute) -> None:
        self._mutes = {(each.kind, each.what): each for each in self.mutes()}
        self._mutes[mute.kind, mute.what] = mute
        self.on_changed()

    def drop(self, mute: Mute) -> None:
        self._mutes.pop((mute.kind, mute.what), None)
        self.on_changed()

    def on_changed(self) -> None:
        """Other rules hold from now on: what was passed over may show."""
        self._stops.clear()

    def rules(self, is_home: bool = True) -> Rules:
        """All that holds now; the terms of follows hold at home only."""
        follows = self._follows.values() if is_home else ()
        strict = [follow for follow in follows if follow.no_boosts or follow.budget is not None]
        terms: dict[bytes, Terms] = {follow.identity: terms_of(follow) for follow in strict}
        return rules_at(self._wall_ms(), self._own, self._mutes.values(), self.blocks, terms)

    # --- what shows ---

    async def page(self, query: TimelineQuery, is_whole: bool = False) -> list[Row]:
        """A timeline's page without what is hidden, as `fill` has it. `is_whole`: nothing is hidden, as in somebody's
        own timeline."""
        is_of_all = query.tag is None and query.group is None and query.identities is None
        rules = self.rules(is_home=is_of_all and not query.strangers)
        if is_whole or rules.are_none:
            return await self._store.timeline(query)

        async def fetch(limit: int, before: EntryId | None) -> Sequence[Row]:
            return await self._store.timeline(replace(query, limit=limit, before=before))

        asked = replace(query, limit=0, before=None)
        return await self.fill(fetch, asked, query.limit, query.before, rules)

    async def fill(self, fetch: Fetch, asked: Hashable, limit: int, before: EntryId | None, rules: Rules) -> list[Row]:
        """A page without what is hidden, and full all the same if there is as much below. `asked`: what all pages of
        it have in common.

        At most QUIET_ROWS_MAX lines are looked at, or QUIET_ROWS_EMPTY_MAX while none shows. A page that stopped there
        is short, and the next one, which begins below its last line, goes on where it stopped.
        """
        shown: list[Row] = []
        ranking, place, looked = Ranking(), self._resume(asked, before), 0
        while len(shown) < limit:
            most = QUIET_ROWS_MAX if shown else QUIET_ROWS_EMPTY_MAX
            size = min(max(limit - len(shown), ROWS_AT_ONCE if looked else 1), most - looked)
            if size <= 0:
                self._stop(asked, shown[-1].id if shown else before, place)
                break
            rows = await fetch(size, place)
            shown += await self.let_through(rows, rules, ranking)
            if len(rows) < size:
                break
            looked, place = looked + len(rows), rows[-1].id
        return shown[:limit]

    def _resume(self, asked: Hashable, before: EntryId | None) -> EntryId | None:
        """From where to look on: the place of `before`, or where a page that ended on it stopped looking."""
        if before is None:
            return None
        place, until_ms = self._stops.get((asked, before), (before, 0))
        return place if self._wall_ms() < until_ms else before

    def _stop(self, asked: Hashable, last: EntryId | None, place: EntryId | None) -> None:
        if last is None or place is None:
            return  # the newest page begins at the top each time
        while len(self._stops) >= STOPS_MAX:
            del self._stops[next(iter(self._stops))]
        self._stops[asked, last] = place, self._wall_ms() + STOP_LASTS_MS

    async def let_through(self, rows: Sequence[Row], rules: Rules, ranking: Ranking | None = None) -> list[Row]:
        """Those that show."""
        asked = ranking or Ranking()
        return [row for row in rows if not hidden_by(row, rules) and not await self.is_over(row, rules, asked)]

    async def is_over(self, row: Row, rules: Rules, ranking: Ranking) -> bool:
        """Whether others of its author in the same period leave it no place in the budget."""
        terms = rules.terms.get(row.author)
        if terms is None or terms.budget is None or row.author == rules.own or await self.answers_me(row):
            return False
        return row.id not in (await self.rank(row, rules, ranking))[: terms.budget.count]

    async def rank(self, row: Row, rules: Rules, ranking: Ranking) -> list[EntryId]:
        """What competes for the places of the period in which a line stands, the best first."""
        budget = rules.terms[row.author].budget
        assert budget is not None
        begin, end = budget.window(row.place_ms)
        if (row.author, begin) not in ranking.periods:
            window = await self._store.window(IdentityHash(row.author), begin, end, BUDGET_NOTICES_MAX)
            ranking.periods[row.author, begin] = ranked(window, rules)
        return ranking.periods[row.author, begin]

    async def answers_me(self, row: Row) -> bool:
        """Whether it answers a notice of one's own, and does not only say so."""
        if not answers(row, self._own) or row.reply_to is None:
            return False
        located = await self._store.locate(row.reply_to)
        return located is not None and located.identity == self._own


def terms_of(follow: Follow) -> Terms:
    return Terms(follow.no_boosts, None if follow.budget is None else read_budget(follow.budget))
