"""Which words of a text are tags, and that all spellings of one are the same."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import TAG_CHARACTERS_MAX, TAGS_MAX
from p2pblog.core.letters import is_of_word
from p2pblog.core.tags import _unfolded, as_tag, normal_word, tags_of, word_at


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("no tag at all", ()),
        ("#bees", ("bees",)),
        ("of #Bees, (#honey) and #BEES again", ("bees", "honey")),
        ("#bees#honey and ##wax", ("bees",)),  # a word, or another sign, comes before
        ("word#bees", ()),
        ("https://example.org/#bees and &#233; and x/#y", ()),
        ("# bees, #-bees and #", ()),
        ("#1 and #2026 and #_ and #__7", ()),  # numbers and lines
        ("#2026plans #a1 #_x", ("2026plans", "a1", "_x")),
        ("#bees' #bees-and-#honey!", ("bees", "honey")),
        ("#Straße #STRASSE #ﬁne #fine", ("strasse", "fine")),
        ("#café #cafe\u0301 #CAFÉ", ("café",)),
        ("#हिन्दी #蜜蜂 #пчёлы", ("हिन्दी", "蜜蜂", "пчёлы")),
        ("#می\u200cخواهم #میخواهم", ("میخواهم",)),  # with and without a joiner
        ("#cafe\u200d\u0301 #cafe\u0301 #ca\u200cf\u00e9", ("caf\u00e9",)),  # a joiner before a mark
        ("#bees\u200d", ("bees",)),
        ("#\u200dbees", ()),  # joiners stand between letters
        ("#🐝", ()),
        ("a\n#bees\t#honey", ("bees", "honey")),
    ],
)
def test_words_after_a_sign(text: str, tags: tuple[str, ...]) -> None:
    assert tags_of(text) == tags


def test_limits() -> None:
    assert tags_of("#" + "x" * TAG_CHARACTERS_MAX) == ("x" * TAG_CHARACTERS_MAX,)
    assert tags_of("#" + "x" * (TAG_CHARACTERS_MAX + 1)) == ()
    assert tags_of("#" + "ß" * TAG_CHARACTERS_MAX) == ()  # each is two letters once normal
    for joiners in ("\u200d", "\u200c\u200d" * TAG_CHARACTERS_MAX):  # they count, within a word
        assert tags_of("#" + "x" * TAG_CHARACTERS_MAX + joiners) == ("x" * TAG_CHARACTERS_MAX,)
        assert tags_of("#" + "x" * TAG_CHARACTERS_MAX + joiners + "y") == ()
        assert tags_of("#xx" + joiners + "y" * TAG_CHARACTERS_MAX) == ()
    for count in (TAGS_MAX - 1, TAGS_MAX, TAGS_MAX + 1):
        text = " ".join(f"#t{number}" for number in range(count))
        assert tags_of(text) == tuple(f"t{number}" for number in range(min(count, TAGS_MAX)))


@pytest.mark.parametrize("typed", ["bees", "#bees", " #BEES ", "Bees"])
def test_what_a_person_types_is_the_same_tag(typed: str) -> None:
    assert as_tag(typed) == "bees"


@pytest.mark.parametrize("typed", ["", "#", "##bees", "two words", "#bees #honey", "1", "bees!", "x" * 65, "\ud800"])
def test_what_is_no_tag(typed: str) -> None:
    assert as_tag(typed) is None


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        ("para\u0140lel", "paral\u00b7lel"),
        ("PARA\u013fLEL", "paral\u00b7lel"),
        ("\u00bdprice", "1\u20442price"),
        ("\u2474\u247d\u2488", "(1)(10)1."),
        ("x\u037a", "x \u03b9"),
        ("\ufdfa", "صلى الله عليه وسلم"),
    ],
)
def test_a_tag_with_signs_that_letters_became_is_one(word: str, tag: str) -> None:
    assert tags_of("#" + word) == (tag,)
    assert as_tag(word) == as_tag(tag) == as_tag("#" + tag) == as_tag(tag.upper()) == tag


@pytest.mark.parametrize("typed", ["a\u00b7b", "price\u20442", "(a)", "(21)", ".5", "l\u00b7 l\u00b7l", "a \u03b9 b"])
def test_the_same_signs_elsewhere_are_not(typed: str) -> None:
    assert as_tag(typed) is None


def test_all_letters_that_become_signs_are_known() -> None:
    known = {character for _normal, character in _unfolded()}
    words = (chr(at) for at in range(sys.maxunicode + 1) if is_of_word(chr(at)))
    normal = {word: normal_word(word, 20) or "" for word in words if not word.isascii()}
    signs = {word for word, made in normal.items() if not all(map(is_of_word, made))}
    assert signs <= known | {"\u013f"}, "a large l with a dot becomes what the small one does"


@given(st.text(st.sampled_from("aeß1_½\u0140\u2474\ufdfaか\u200c\u200d\u0301\u0308\u3099"), min_size=1, max_size=9))
def test_every_normal_word_is_its_own(word: str) -> None:
    normal = normal_word(word, TAG_CHARACTERS_MAX)
    assert normal is None or as_tag(normal) == as_tag(word) == normal


@given(st.text(st.sampled_from("#aßİ1_/& \u0301\u200dあ"), max_size=30) | st.text())
def test_every_tag_found_is_one_and_is_normal(text: str) -> None:
    for tag in tags_of(text):
        assert 0 < len(tag) <= TAG_CHARACTERS_MAX
        if word_at(tag, 0, TAG_CHARACTERS_MAX) != tag:  # a letter became a sign
            continue
        assert as_tag(tag) == as_tag("#" + tag) == tag
        assert tags_of(f"x #{tag}.") == (tag,)
        assert tags_of(f"#{tag.upper()}") in ((tag,), ())  # capitals may be longer than a tag may be


def test_the_pattern_knows_no_other_words() -> None:
    """What `\\w` matches is a subset of what counts; the rest, marks and connectors, is asked one by one."""
    ours = [chr(at) for at in range(sys.maxunicode + 1) if is_of_word(chr(at))]
    theirs = [chr(at) for at in range(sys.maxunicode + 1) if re.match(r"\w", chr(at))]
    assert set(theirs) < set(ours)
    assert len("".join(ours)) > len(theirs) + 2_000


@given(st.text(st.sampled_from("aZ9_٣ßé\u0301\u0903‿⁀\u200c\u200d-# 蜜"), max_size=40), st.integers(1, 12))
def test_a_word_ends_where_one_by_one_says(text: str, most: int) -> None:
    end = 0
    while end < len(text) and (is_of_word(text[end]) or (end and text[end] in "\u200c\u200d")):
        end += 1
    word, found = text[:end].rstrip("\u200c\u200d"), word_at(text, 0, most)
    assert found == word if len(word) <= most else len(found) > most and word.startswith(found)


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=20))
def test_ascii_is_normal_in_lower_case(word: str) -> None:
    assert normal_word(word, 40) == normal_word(word + "\u200d", 41)
