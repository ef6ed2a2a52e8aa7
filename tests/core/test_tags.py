"""Which words of a text are tags, and that all spellings of one are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import TAG_CHARACTERS_MAX, TAGS_MAX
from p2pblog.core.tags import as_tag, tags_of


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
        ("#bees\u200d", ("bees",)),
        ("#\u200dbees", ("bees",)),
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
    for count in (TAGS_MAX - 1, TAGS_MAX, TAGS_MAX + 1):
        text = " ".join(f"#t{number}" for number in range(count))
        assert tags_of(text) == tuple(f"t{number}" for number in range(min(count, TAGS_MAX)))


@pytest.mark.parametrize("typed", ["bees", "#bees", " #BEES ", "Bees"])
def test_what_a_person_types_is_the_same_tag(typed: str) -> None:
    assert as_tag(typed) == "bees"


@pytest.mark.parametrize("typed", ["", "#", "##bees", "two words", "#bees #honey", "1", "bees!", "x" * 65, "\ud800"])
def test_what_is_no_tag(typed: str) -> None:
    assert as_tag(typed) is None


@given(st.text(st.sampled_from("#aßİ1_/& \u0301\u200dあ"), max_size=30) | st.text())
def test_every_tag_found_is_one_and_is_normal(text: str) -> None:
    for tag in tags_of(text):
        assert 0 < len(tag) <= TAG_CHARACTERS_MAX
        assert as_tag(tag) == as_tag("#" + tag) == tag
        assert tags_of(f"x #{tag}.") == (tag,)
        assert tags_of(f"#{tag.upper()}") in ((tag,), ())  # capitals may be longer than a tag may be
