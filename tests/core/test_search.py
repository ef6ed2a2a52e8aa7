"""What a person may ask for, and by which words a text is found."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import (
    SEARCH_CHARACTERS_MAX,
    SEARCH_TERMS_MAX,
    SEARCH_WORD_CHARACTERS_MAX,
    TIME_MS_MAX,
)
from p2pblog.core.search import Phrase, Query, parse, words_of
from p2pblog.errors import UsageError

DAY_MS = 24 * 3600 * 1000
NOW = 1_790_000_000_000
NOVEMBER_1 = 1_793_491_200_000
"""2026-11-01T00:00Z."""

# --- the words of a text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Bees & honey, it's 2026!", ["bees", "honey", "it", "s", "2026"]),
        ("snake_case x-ray", ["snake", "case", "x", "ray"]),
        ("Čeština Ñandú Ёлка ΆΛΦΑ", ["cestina", "nandu", "елка", "αλφα"]),
        ("Straße STRASSE İstanbul ﬁne", ["strasse", "strasse", "istanbul", "fine"]),
        ("cafe\u0301 café", ["cafe", "cafe"]),
        ("half\u00adway zero\u200bwidth \u202eevil\u202c", ["halfway", "zero", "width", "evil"]),
        ("東京タワー Tokyo", ["東", "京", "タ", "ワ", "ー", "tokyo"]),
        ("ﾄｳｷｮｳ ＴＯＫＹＯ", ["ト", "ウ", "キ", "ョ", "ウ", "tokyo"]),
        ("학교에서", ["학", "교", "에", "서"]),
        ("नमस्ते", ["नमस्ते"]),
        ("สวัสดี", list("สวัสดี")),
        ("🐝🐝🏽 ❤️ 👩\u200d🚀", ["🐝", "🐝", "❤", "👩", "🚀"]),
        ('"#@:_*()^+-\x00 ', []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_a_word_is_safe_wherever_it_goes_and_found_by_itself(text: str) -> None:
    words = words_of(text)
    for word in words:
        assert word
        assert not re.search(r"[^a-z0-9]", word, re.ASCII) or not word.isascii()
        assert not re.search(r"[\x00-/:-@A-Z\[-`{-\x7f\s]", word)
    assert words_of(text.upper().lower()) == words_of(text.upper())
    assert words_of(unicodedata.normalize("NFD", text)) == words_of(unicodedata.normalize("NFC", text))
    assert words_of(" ".join(words)) == words


@pytest.mark.parametrize("length", [-1, 0, 1])
def test_a_long_word_is_cut(length: int) -> None:
    size = SEARCH_WORD_CHARACTERS_MAX + length
    assert words_of("x" * size) == ["x" * min(size, SEARCH_WORD_CHARACTERS_MAX)]


def test_a_phrase_stands_in_words_in_its_order() -> None:
    words = words_of("the bee keeper keeps bees")
    assert Phrase(("bee", "keeper")).is_in(words)
    assert not Phrase(("keeper", "bee")).is_in(words)
    assert not Phrase(("kee",)).is_in(words)
    assert Phrase(("kee",), begins=True).is_in(words)
    assert Phrase(("bee", "keep"), begins=True).is_in(words)
    assert Phrase(("keeper", "keep"), begins=True).is_in(words)
    assert not Phrase(("be", "keeper"), begins=True).is_in(words)
    assert not Phrase(("the", "the", "bee")).is_in(words)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Bees", Query((Phrase(("bees",)),))),
        ("  bees   bees & Wax ", Query((Phrase(("bees",)), Phrase(("wax",))))),
        ('"Honey bees"', Query((Phrase(("honey", "bees")),))),
        ("it's", Query((Phrase(("it", "s")),))),
        ("bee*", Query((Phrase(("bee",), True),))),
        ('"bee kee"*', Query((Phrase(("bee", "kee"), True),))),
        ("東京", Query((Phrase(("東", "京")),))),
        ("東京*", Query((Phrase(("東", "京")),))),
        ("#Bees", Query((Phrase(("#bees",)),))),
        ("HAS:media", Query((Phrase(("has:media",)),))),
        ("from:bob", Query(people=("bob",))),
        ('from:"bob the bee" x', Query((Phrase(("x",)),), people=("bob the bee",))),
        ("x -y -#z -has:media", Query((Phrase(("x",)),), tuple(Phrase((word,)) for word in ("y", "#z", "has:media")))),
        ("x -from:bob", Query((Phrase(("x",)),), (), (), ("bob",))),
        ('x -"y z"', Query((Phrase(("x",)),), (Phrase(("y", "z")),))),
        ("https://example.org/a", Query((Phrase(("https", "example", "org", "a")),))),
        ("since:2026-11-01", Query(since_ms=NOVEMBER_1)),
        ("until:2026-11-01", Query(until_ms=NOVEMBER_1 + DAY_MS)),
        ("since:7d", Query(since_ms=NOW - 7 * DAY_MS)),
        ("since:2w until:12h", Query(since_ms=NOW - 14 * DAY_MS, until_ms=NOW - DAY_MS // 2)),
        ("since:999y", Query(since_ms=0)),
        ("since:9999-12-31", Query(since_ms=253_402_214_400_000)),
        ("AND OR NOT NEAR(a)", Query(tuple(map(Phrase, [("and",), ("or",), ("not",), ("near", "a")])))),
    ],
)  # fmt: skip
def test_queries(text: str, query: Query) -> None:
    assert parse(text, NOW) == query


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "***", "& - !", '"', 'bees "and', '""', "from:", 'from:""', "has:", "has:wings", "since:",
        "since:tomorrow", "since:2026-02-29", "since:2026-13-01", "since:1969-12-31", "since:7", "since:7m", "until:x",
        "-since:7d", "since:1d since:2d", "since:1d until:2d", "since:2026-11-02 until:2026-11-01", "#", "#1", "#a-b",
        "-x", "-x since:7d", "-from:bob", "a*", "since:١d",
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text, NOW)
    assert refused.value.hint == "p2pblog search --help"


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_query_has_limits(over: int) -> None:
    long = "x " * 10 + "y" * (SEARCH_CHARACTERS_MAX + over - 20)
    many = " ".join(f"w{number}" for number in range(SEARCH_TERMS_MAX + over - 2)) + " from:bob since:1d"
    for text in (long, many):
        if over > 0:
            with pytest.raises(UsageError, match="at most"):
                parse(text, NOW)
        else:
            parse(text, NOW)


@given(st.text(st.sampled_from('ab "#-*:@_(){}^+\x00東é\u0301') | st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parse(text, NOW)
    except UsageError:
        return
    for phrase in query.wanted + query.unwanted:
        assert phrase.words
        assert not any('"' in word for word in phrase.words)
    assert all(0 <= bound <= TIME_MS_MAX + DAY_MS for bound in (query.since_ms, query.until_ms) if bound is not None)
