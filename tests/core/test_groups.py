"""Which words of a text are groups, and that all spellings of one have one id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import GROUP_CHARACTERS_MAX, GROUPS_MAX
from p2pblog.core.groups import as_group, group_id, groups_of
from p2pblog.core.keys import hash32
from p2pblog.core.tags import word_at


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("no group at all", ()),
        ("!birds", ("birds",)),
        ("of !Birds, !bees and !BIRDS again", ("birds", "bees")),
        ("a\n!birds\t!bees\r\n!wax\u2003!honey", ("birds", "bees", "wax", "honey")),
        ("wow! birds, wow!birds and wow !", ()),
        ("a!=b, a !=b, a != b", ()),
        ("!! and !!birds and ! birds", ()),
        ("if (!done) or [!done] or #!/bin/sh or /!x", ()),
        ("!1 and !2026 and !_ and !__7", ()),
        ("!2026plans !a1 !_x", ("2026plans", "a1", "_x")),
        ("!birds' !bird-watchers!", ("birds", "bird")),
        ("!Straße !STRASSE !ﬁne !fine", ("strasse", "fine")),
        ("!café !cafe\u0301 !CAFÉ", ("café",)),
        ("!می\u200cخواهم !میخواهم", ("میخواهم",)),
        ("!\u200dwax !birds\u200d", ("birds",)),
        ("！birds !🐝", ()),
        ("#birds !birds", ("birds",)),
    ],
)
def test_words_after_a_sign(text: str, groups: tuple[str, ...]) -> None:
    assert groups_of(text) == groups


def test_limits() -> None:
    assert groups_of("!" + "x" * GROUP_CHARACTERS_MAX) == ("x" * GROUP_CHARACTERS_MAX,)
    assert groups_of("!" + "x" * (GROUP_CHARACTERS_MAX + 1)) == ()
    assert groups_of("!" + "ß" * GROUP_CHARACTERS_MAX) == ()  # each is two letters once normal
    for count in (GROUPS_MAX - 1, GROUPS_MAX, GROUPS_MAX + 1):
        text = " ".join(f"!g{number}" for number in range(count))
        assert groups_of(text) == tuple(f"g{number}" for number in range(min(count, GROUPS_MAX)))


@pytest.mark.parametrize("typed", ["birds", "!birds", " !BIRDS ", "Birds"])
def test_what_a_person_types_is_the_same_group(typed: str) -> None:
    assert as_group(typed) == "birds"


@pytest.mark.parametrize(
    "typed", ["", "!", "!!birds", "two words", "!a !b", "1", "birds!", "#birds", "x" * 65, "\ud800"]
)
def test_what_is_no_group(typed: str) -> None:
    assert as_group(typed) is None


def test_the_name_of_a_group_that_was_found_is_one() -> None:
    (group,) = groups_of("!para\u0140lel")
    assert as_group(group) == as_group("!" + group) == group == "paral\u00b7lel"


def test_an_id_is_the_hash_of_the_name_and_of_nothing_else() -> None:
    assert group_id("bücher") == hash32("bücher".encode(), b"p2pblog group 1")
    assert len({group_id("birds"), group_id("bird"), hash32(b"birds", b"p2pblog entry 1")}) == 3


@given(st.text(st.sampled_from("!aßİ1_/& \u0301\u200dあ\n"), max_size=30) | st.text())
def test_every_group_found_is_one_and_is_normal(text: str) -> None:
    for group in groups_of(text):
        assert 0 < len(group) <= GROUP_CHARACTERS_MAX
        if word_at(group, 0, GROUP_CHARACTERS_MAX) != group:  # a letter became a sign: see the tests of tags
            continue
        assert as_group(group) == as_group("!" + group) == group
        assert groups_of(f"x !{group}.") == (group,)
