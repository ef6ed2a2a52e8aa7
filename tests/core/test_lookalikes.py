"""Which names look like which: Mallory tries to be taken for alice."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.core import confusables
from p2pblog.core.lookalikes import Bearers, mixes_scripts, skeletons


def look_alike(one: str, other: str) -> bool:
    return not skeletons(one).isdisjoint(skeletons(other))


@pytest.mark.parametrize(
    ("name", "real"),
    [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("ALICE", "alice"),
        ("aIice", "alice"),
        ("a1ice", "alice"),
        ("al|ce", "allce"),
        ("\u0430lice", "alice"),
        ("\u0430l\u0456c\u0435", "alice"),
        ("\u03b1lice", "alice"),
        ("al\u0131ce", "alice"),
        ("\uff41\uff4c\uff49\uff43\uff45", "alice"),
        ("\U0001d4d0\U0001d4f5\U0001d4f2\U0001d4ec\U0001d4ee", "alice"),
        ("a\u200bli\u00adce", "alice"),
        ("ali\ufe0fce", "alice"),
        ("\u202ealice\u202c", "alice"),
        ("  alice\u3000", "alice"),
        ("b0b", "bob"),
        ("BOB", "\u0412\u041e\u0412"),
        ("rnary", "mary"),
        ("bob srnith", "Bob\u00a0Smith"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("\u043f\u0435\u0442\u044f", "\u041f\u0415\u0422\u042f"),
        ("\u6771\u4eac", "\u6771\u4eac\u200d"),
    ],
)
def test_who_looks_like_whom(name: str, real: str) -> None:
    assert look_alike(name, real) and look_alike(real, name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("alice", "alicia"),
        ("alice", "alice2"),
        ("alice", "al ice"),
        ("zoe", "zo\u00eb"),
        ("bob", "bo"),
        ("\u0410\u043d\u043d\u0430", "Anna"),
        ("\u6771", "\u67ac"),
        ("\u200b", "\u200b"),
        ("", ""),
    ],
)
def test_who_does_not(name: str, other: str) -> None:
    assert not look_alike(name, other)


@pytest.mark.parametrize("name", ["p\u0430ypal", "alic\u0435", "\u03b1lice", "Bob \u0405mith", "\u041c\u043e\u0441kva"])
def test_a_word_of_letters_that_do_not_belong_together_is_seen(name: str) -> None:
    assert mixes_scripts(name)


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Jos\u00e9 \u0418\u0432\u0430\u043d",  # a word of each
        "\u0418\u0432\u0430\u043d",
        "\u6771\u4eac\u30bf\u30ef\u30fcTokyo\u3072",
        "\ud64d\uae38\u52a8kim",
        "\u03a9mega\u0416",
        "caf\u00e9\u2615",
        "\u0915\u094d\u0937",
        "\uff21\uff22",
    ],
)
def test_what_people_write_is_left_alone(name: str) -> None:
    assert not mixes_scripts(name)


def test_somebody_else_of_that_name_is_named() -> None:
    known = Bearers.of([("a", "alice"), ("b", "bob"), ("b", None), ("b", "robert"), ("c", "\u0430lice")])

    assert known.other("b0b", "m") == "b"
    assert known.other("robert", "m") == "b"
    assert known.other("bob", "b") is None
    assert known.other("carol", "m") is None
    assert known.other(None, "m") is None
    assert known.other("\u200b", "m") is None
    assert (known.other("alice", "m"), known.other("alice", "a"), known.other("alice", "c")) == ("a", "c", "a")


def test_the_table_is_what_its_maker_makes_of_lines_like_unicodes() -> None:
    prototypes = confusables.prototypes()

    assert len(prototypes) > 2_500
    assert (prototypes[0x430], prototypes[0x3B9], prototypes[0x14B]) == ("a", "i", "n\u0329")
    assert all(code > 0x7F for code in prototypes)
    assert all(unicodedata.is_normalized("NFKD", chr(code)) for code in prototypes)
    assert all(ord(each) not in prototypes for text in prototypes.values() for each in text), "a prototype has none"


@given(st.text(max_size=50))
def test_every_name_has_at_most_two_skeletons_and_looks_like_itself(name: str) -> None:
    assert len(skeletons(name)) <= 2
    assert all(look_alike(name, name) for _ in skeletons(name))
    assert all(each and each == each.casefold() for each in skeletons(name))
    mixes_scripts(name)


def test_a_name_of_ascii_needs_no_table() -> None:
    import subprocess

    code = "import sys; from p2pblog.core.lookalikes import skeletons, mixes_scripts; skeletons('Alice'); "
    code += "mixes_scripts('Alice'); print('p2pblog.core.confusables' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
