"""What a person does not want to see: mutes, blocks, boosts left out and volume budgets, decided line by line.

Rules. One's own notices and boosts always show. A block or a mute of a person hides what they say, and boosts of it by
others. A muted tag or word hides notices with it, and boosts of them; a word is looked for in content warnings too.
What somebody boosts, or says beyond a budget, is hidden by the terms on which one follows them, and at home only.

A budget lets through the best notices and boosts of each hour, day or week: those with the most likes and boosts by
people whom one follows; the earlier of two with as many. Answers to oneself always show, and use nothing of it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, IntEnum

from p2pblog.config import BUDGET_COUNT_MAX
from p2pblog.core.keys import EntryId
from p2pblog.core.plain_words import has_words, words_to_search
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value, field

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
MONDAY_MS = 4 * DAY_MS
"""The first Monday since 1970, which began on a Thursday: weeks begin on Mondays (ISO 8601)."""
PERIODS_MS = {"hour": HOUR_MS, "day": DAY_MS, "week": 7 * DAY_MS}


class MuteKind(IntEnum):
    """What a mute is about. These numbers are in databases: never change one."""

    PERSON = 1
    TAG = 2
    WORD = 3


class Mute(Value):
    """`what`: an identity's hash, or a tag (core.tags) or words (core.plain_words) in UTF-8. `until_ms`: its end."""

    kind: MuteKind
    what: bytes
    since_ms: int = 0
    until_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether it is in force: up to its end, not at it."""
        return self.until_ms is None or now_ms < self.until_ms


class Budget(Value):
    """So many of each period: `Budget(3, "day")`."""

    count: int
    period: str

    @property
    def spelled(self) -> str:
        return f"{self.count}/{self.period}"

    def window(self, at_ms: int) -> tuple[int, int]:
        """The period around a time, in ms: its begin, and its end, which is the begin of the next one. In UTC."""
        length = PERIODS_MS[self.period]
        begins_at = MONDAY_MS if self.period == "week" else 0
        begin = (at_ms - begins_at) // length * length + begins_at
        return begin, begin + length


def read_budget(text: str) -> Budget | None:
    """What `3/day` says; None for what is no budget of 1 to BUDGET_COUNT_MAX an hour, day or week."""
    count, _, period = text.strip().lower().partition("/")
    if period not in PERIODS_MS or not (count.isascii() and count.isdigit() and len(count) <= 9):
        return None
    return Budget(int(count), period) if 1 <= int(count) <= BUDGET_COUNT_MAX else None


class Terms(Value):
    """On which terms somebody is followed."""

    no_boosts: bool = False
    budget: Budget | None = None


NO_TERMS = Terms()


class Rules(Value):
    """All that one person does not want to see, at one moment. Make it with `rules_at`."""

    own: bytes
    blocked: frozenset[bytes] = frozenset()
    people: Mapping[bytes, Mute] = field(default_factory=dict)
    tags: Mapping[str, Mute] = field(default_factory=dict)
    words: Mapping[str, Mute] = field(default_factory=dict)
    terms: Mapping[bytes, Terms] = field(default_factory=dict)

    @property
    def are_none(self) -> bool:
        return not (self.blocked or self.people or self.tags or self.words or self.terms)


def rules_at(
    now_ms: int, own: bytes, mutes: Iterable[Mute], blocked: Iterable[bytes], terms: Mapping[bytes, Terms]
) -> Rules:
    """The rules with those mutes that are in force now. `terms`: by whom they are about."""
    held = [mute for mute in mutes if mute.holds(now_ms)]

    def named(kind: MuteKind) -> dict[str, Mute]:
        return {mute.what.decode(): mute for mute in held if mute.kind == kind}

    people = {mute.what: mute for mute in held if mute.kind == MuteKind.PERSON}
    return Rules(own, frozenset(blocked), people, named(MuteKind.TAG), named(MuteKind.WORD), terms)


class Why(Enum):
    """Why something is hidden."""

    BLOCKED = "blocked"
    MUTED = "muted"
    NO_BOOSTS = "no boosts"


class Reason(Value):
    """`whom`: who is blocked, or whose boosts are left out. `mute`: the one that hides it."""

    why: Why
    whom: bytes | None = None
    mute: Mute | None = None


def hidden_by(row: Row, rules: Rules) -> tuple[Reason, ...]:
    """All that keeps a line from being shown, a budget left aside; nothing for what shows."""
    if row.author == rules.own:
        return ()
    people = [row.author]
    if row.type == "boost" and row.of_author is not None and row.of_author != row.author:
        people.append(row.of_author)
    if row.quote is not None and row.quoted_text is not None and row.quote.of.identity not in people:
        people.append(row.quote.of.identity)  # whose words stand on the page
    reasons = [Reason(Why.BLOCKED, whom) for whom in people if whom in rules.blocked]
    mutes = [rules.people[whom] for whom in people if whom in rules.people]
    mutes += [rules.tags[tag] for tag in row.tags if tag in rules.tags]
    if rules.words:
        said = words_to_search("\n".join(_shown_words(row)))
        mutes += [mute for word, mute in rules.words.items() if has_words(said, word)]
    reasons += [Reason(Why.MUTED, mute=mute) for mute in mutes]
    if row.type == "boost" and rules.terms.get(row.author, NO_TERMS).no_boosts:
        reasons.append(Reason(Why.NO_BOOSTS, row.author))
    return tuple(reasons)


def _shown_words(row: Row) -> list[str]:
    """All that a page shows of a line in words."""
    options = () if row.poll is None else row.poll.options
    quoted = [row.quoted_warning or "", row.quoted_text or ""]
    return [row.warning or "", row.text, *quoted, *options, *(each.alt for each in row.media)]


class Rated(Value):
    """A line, and how many likes and boosts it has by people whom one follows."""

    row: Row
    praise: int


def answers(row: Row, own: bytes) -> bool:
    """Whether it says that it answers a notice of one's own."""
    return row.type == "note" and row.of_author == own


def ranked(window: Sequence[Rated], rules: Rules) -> list[EntryId]:
    """What competes for the places of one period's budget, the best first. `window`: one person's lines of that period,
    the earliest first; what is hidden anyway takes no place, nor does an answer to oneself."""
    able = [each for each in window if not answers(each.row, rules.own) and not hidden_by(each.row, rules)]
    return [each.row.id for each in sorted(able, key=lambda each: -each.praise)]
