"""What a person does not want to see: words, tags, people, boosts, and the best of each day."""

from __future__ import annotations

import sys

import pytest
from builders import NOON, person

from p2pblog.config import BUDGET_COUNT_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.media import Attachment, FileHash
from p2pblog.core.payload import Quote, Ref
from p2pblog.core.plain_words import has_words, plain_words, words_to_search
from p2pblog.core.polls import Tally
from p2pblog.core.quiet import (
    DAY_MS,
    HOUR_MS,
    Budget,
    Mute,
    MuteKind,
    Rated,
    Reason,
    Rules,
    Terms,
    Why,
    answers,
    hidden_by,
    ranked,
    read_budget,
    rules_at,
)
from p2pblog.core.timelines import Row
from p2pblog.core.value import replace
from p2pblog.terminal import clean_text

ALICE, BOB, CAROL = (person(name).hash for name in ("alice", "bob", "carol"))


def a_row(number: int = 1, author: bytes = BOB, text: str = "hello", **more: object) -> Row:
    identifier = EntryId(bytes([number]) * 32)
    return replace(Row(identifier, "note", author, None, text, NOON, None, None, 0, 0), **more)  # type: ignore[arg-type]


def a_boost(author: bytes, of: bytes, text: str = "hello") -> Row:
    return a_row(9, author, text, type="boost", boost_of=EntryId(bytes(32)), of_author=of)


def rules_of(*mutes: Mute, now_ms: int = NOON, blocked: tuple[bytes, ...] = (), **terms: Terms) -> Rules:
    return rules_at(now_ms, ALICE, mutes, blocked, {person(name).hash: on for name, on in terms.items()})


def word(text: str, until_ms: int | None = None) -> Mute:
    return Mute(MuteKind.WORD, plain_words(text).encode(), NOON, until_ms)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" ... ", ""),
        ("Hello, World", "hello world"),
        ("don't e-mail_me 2", "don t e mail_me 2"),
        ("STRASSE straße", "strasse strasse"),
        ("Cafe\u0301 CAF\u00c9", "caf\u00e9 caf\u00e9"),
        ("ﬁne Ⅷ", "fine viii"),
        ("ab\u200ccd", "abcd"),
        ("cafe\u200d\u0301 か\u200d\u3099く", "caf\u00e9 がく"),
        ("हिन्दी!", "हिन्दी"),
        ("#Bees,bees", "bees bees"),
    ],
)
def test_words_are_alike_however_they_are_written(text: str, words: str) -> None:
    assert plain_words(text) == words
    assert plain_words(words) == words


UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b"
    "\u200c\u200e\u202e\u2060\u3164\ufe0f\ufeff\uffa0\U0001bca0\U000e0020\0"
)


@pytest.mark.parametrize("unseen", list(UNSEEN))
def test_nobody_hides_a_muted_word_behind_what_is_not_seen(unseen: str) -> None:
    assert plain_words(f"the spoi{unseen}ler ends") == "the spoiler ends"


def test_pages_and_mutes_leave_out_the_same() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        if clean_text(f"a{character}b") == "ab":
            assert plain_words(f"a{character}b") == "ab", hex(ord(character))
    assert plain_words("spoi\x1b[1mler") == "spoiler"


def test_spaces_of_no_width_part_words_and_hide_within_them() -> None:
    said = words_to_search("the spoi\u200bler of ភាសា\u200bខ្មែរ")
    assert has_words(said, "spoiler") and has_words(said, "ខ្មែរ") and has_words(said, "of ភាសាខ្មែរ")
    assert not has_words(said, "ភាសាខ្មែរ the")


def test_a_word_is_whole_and_words_stand_in_a_row() -> None:
    said = plain_words("The art of Pumpkin-Spice coffee")
    assert has_words(said, "art") and has_words(said, "pumpkin spice")
    assert not has_words(said, "pump") and not has_words(said, "spice pumpkin") and not has_words(said, "par")


# --- what is hidden ---------------------------------------------------------------------------------------------------


def test_a_mute_of_a_person_hides_what_they_say_and_boosts_of_it_and_by_them() -> None:
    mute = Mute(MuteKind.PERSON, BOB, NOON)
    rules = rules_of(mute)
    muted = (Reason(Why.MUTED, mute=mute),)
    assert hidden_by(a_row(author=BOB), rules) == muted
    assert hidden_by(a_boost(BOB, CAROL), rules) == hidden_by(a_boost(CAROL, BOB), rules) == muted
    assert hidden_by(a_boost(BOB, BOB), rules) == muted  # once
    assert hidden_by(a_row(author=CAROL, of_author=BOB), rules) == ()  # an answer to him is somebody else's word
    assert hidden_by(a_boost(ALICE, BOB), rules) == ()  # one's own


def test_words_that_are_quoted_are_hidden_as_those_that_are_said() -> None:
    mute, spice = Mute(MuteKind.PERSON, BOB, NOON), word("pumpkin spice")
    rules, quote = rules_of(mute, spice), Quote(Ref(IdentityHash(BOB), person("bob").key, 2, EntryId(bytes(32))))
    assert hidden_by(a_row(author=CAROL, quote=quote, quoted_text="hi"), rules) == (Reason(Why.MUTED, mute=mute),)
    assert hidden_by(a_row(author=CAROL, quote=quote), rules) == ()  # his words are not here
    assert hidden_by(a_row(author=BOB, quote=quote, quoted_text="hi"), rules) == (Reason(Why.MUTED, mute=mute),)  # once
    poll = Tally(("tea", "Pumpkin spice"), (0, 0), NOON, 0, None)
    picture = Attachment(FileHash(bytes(32)), "a.png", "image/png", 4, "pumpkin spice")
    for row in (
        a_row(author=CAROL, quote=quote, quoted_text="pumpkin spice"),
        a_row(author=CAROL, quote=quote, quoted_text="hi", quoted_warning="pumpkin spice"),
        a_row(author=CAROL, poll=poll),
        a_row(author=CAROL, media=(picture,)),
    ):
        assert Reason(Why.MUTED, mute=spice) in hidden_by(row, rules)


def test_a_mute_ends_on_time() -> None:
    mute = Mute(MuteKind.PERSON, BOB, NOON, NOON + 1_000)
    assert hidden_by(a_row(), rules_of(mute, now_ms=NOON + 999))
    assert not hidden_by(a_row(), rules_of(mute, now_ms=NOON + 1_000))
    assert rules_of(mute, now_ms=NOON + 1_000).are_none and not rules_of(mute).are_none


def test_tags_and_words_are_looked_for_in_boosts_and_warnings_too() -> None:
    tag, spice = Mute(MuteKind.TAG, b"bees", NOON), word("Pumpkin Spice")
    rules = rules_of(tag, spice)
    assert hidden_by(a_row(tags=("bees",)), rules) == (Reason(Why.MUTED, mute=tag),)
    assert hidden_by(a_row(text="bees"), rules) == ()
    for row in (a_row(text="PUMPKIN spice!"), a_boost(CAROL, BOB, "pumpkin spice"), a_row(warning="Pumpkin spice")):
        assert hidden_by(row, rules) == (Reason(Why.MUTED, mute=spice),)
    assert hidden_by(a_row(text="spice", warning="pumpkin"), rules)  # as they stand on a page
    assert hidden_by(a_row(author=ALICE, text="pumpkin spice", tags=("bees",)), rules) == ()


def test_a_block_hides_as_a_mute_does_and_every_reason_is_told() -> None:
    mute = Mute(MuteKind.PERSON, BOB, NOON)
    rules = rules_of(mute, blocked=(BOB,), carol=Terms(no_boosts=True))
    told = hidden_by(a_boost(CAROL, BOB), rules)
    assert told == (Reason(Why.BLOCKED, BOB), Reason(Why.MUTED, mute=mute), Reason(Why.NO_BOOSTS, CAROL))
    assert hidden_by(a_row(author=CAROL), rules) == ()


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "budget"),
    [
        ("3/day", Budget(3, "day")),
        (" 1/HOUR ", Budget(1, "hour")),
        (f"{BUDGET_COUNT_MAX - 1}/week", Budget(BUDGET_COUNT_MAX - 1, "week")),
        (f"{BUDGET_COUNT_MAX}/week", Budget(BUDGET_COUNT_MAX, "week")),
        (f"{BUDGET_COUNT_MAX + 1}/week", None),
        ("0/day", None),
        ("-1/day", None),
        ("٣/day", None),
        ("²/day", None),
        ("9" * 5_000 + "/day", None),
        ("3/month", None),
        ("3", None),
        ("/day", None),
        ("3/day/", None),
        ("", None),
    ],
)
def test_a_budget_is_so_many_a_period(typed: str, budget: Budget | None) -> None:
    assert read_budget(typed) == budget
    if budget is not None:
        assert read_budget(budget.spelled) == budget


def test_periods_are_those_of_the_calendar_in_utc() -> None:
    monday = 1_760_313_600_000  # Monday, 13 October 2025
    assert Budget(1, "week").window(monday) == (monday, monday + 7 * DAY_MS)
    assert Budget(1, "week").window(monday - 1) == (monday - 7 * DAY_MS, monday)
    assert Budget(1, "day").window(monday + DAY_MS - 1) == (monday, monday + DAY_MS)
    assert Budget(1, "hour").window(monday + HOUR_MS) == (monday + HOUR_MS, monday + 2 * HOUR_MS)
    assert Budget(1, "week").window(0) == (-3 * DAY_MS, 4 * DAY_MS)


def test_the_best_come_first_and_the_earlier_of_two_alike() -> None:
    rules = rules_of(word("spoiler"), bob=Terms(no_boosts=True))
    window = [
        Rated(a_row(1), 0),
        Rated(a_row(2), 2),
        Rated(a_row(3, text="a spoiler"), 9),
        Rated(a_row(4), 2),
        Rated(a_row(5, reply_to=EntryId(bytes(32)), of_author=ALICE), 9),
        Rated(a_boost(BOB, CAROL), 9),
        Rated(a_row(6), 3),
    ]
    assert [identifier[0] for identifier in ranked(window, rules)] == [6, 2, 4, 1]
    assert [identifier[0] for identifier in ranked(window[::-1], rules)] == [6, 4, 2, 1]
    assert answers(window[4].row, ALICE) and not answers(a_boost(BOB, ALICE), ALICE)
