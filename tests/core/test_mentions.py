"""Whom a text mentions, and what becomes of a petname in it."""

from __future__ import annotations

import pytest
from builders import person
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import MENTIONS_MAX
from p2pblog.core.address import spell
from p2pblog.core.keys import IdentityHash
from p2pblog.core.mentions import mentions_of, unnamed, with_addresses

ALICE, BOB = person("alice").hash, person("bob").hash
A, B = spell(ALICE), spell(BOB)
NAMES = {"bob": BOB, "bob-2": ALICE, "Ünal": ALICE, "dr.bee": BOB}


@pytest.mark.parametrize(
    ("text", "whom"),
    [
        ("nobody", ()),
        (f"@{A}", (ALICE,)),
        (f"@{A.upper()}, and @{B}: and @{A} again", (ALICE, BOB)),
        (f"(@{B})", (BOB,)),
        (f"x@{A} and /@{A} and @@{A} and .@{A}", ()),  # mail, a link, a row of signs
        (f"@{A}x @{A}_ @{A}é @{A}\u203f @{A}\u0301", ()),  # more of a word behind it
        (f"x\u203f@{A} x\uff3f@{A}", ()),  # connecting punctuation is of a word on both sides
        (f"@{A[:-1]}", ()),
        (f"@{'b' if A[0] == 'a' else 'a'}{A[1:]}", ()),  # the checksum is wrong
        (f"@p2pblog:{A}", ()),
        ("@", ()),
        (f"@ {A}", ()),
    ],
)
def test_a_mention_is_a_whole_valid_address(text: str, whom: tuple[IdentityHash, ...]) -> None:
    assert mentions_of(text) == whom


def test_so_many_people_are_mentioned_and_no_more() -> None:
    people = [person(f"p{number}").hash for number in range(MENTIONS_MAX + 1)]
    text = " ".join(f"@{spell(each)}" for each in people)
    for count in (MENTIONS_MAX - 1, MENTIONS_MAX, MENTIONS_MAX + 1):
        assert mentions_of(" ".join(text.split()[:count])) == tuple(people[:count])[:MENTIONS_MAX]


@pytest.mark.parametrize(
    ("typed", "signed"),
    [
        ("hello @bob", f"hello @{B}"),
        ("@bob's and @bob. and @bob-", f"@{B}'s and @{B}. and @{B}-"),
        ("@bob-2 is not @bob", f"@{A} is not @{B}"),
        ("@dr.bee.", f"@{B}."),
        ("@Ünal", f"@{A}"),
        ("@bobby @Bob mail@bob @@bob", "@bobby @Bob mail@bob @@bob"),
        ("@bob\u203f x\u203f@bob @bob", f"@bob\u203f x\u203f@bob @{B}"),
        (f"@{A} @bob", f"@{A} @{B}"),
        ("@bob@example.org and @bob", f"@bob@example.org and @{B}"),
        ("@", "@"),
    ],
)
def test_petnames_become_addresses(typed: str, signed: str) -> None:
    assert with_addresses(typed, NAMES.get) == signed


@given(st.text(alphabet="@bob.-2 ü\n_", max_size=40))
def test_what_became_an_address_is_a_mention_and_nothing_else_changes(typed: str) -> None:
    signed = with_addresses(typed, NAMES.get)
    assert signed.replace(B, "bob").replace(A, "bob-2") == typed
    assert set(mentions_of(signed)) == {each for each in (ALICE, BOB) if spell(each) in signed}
    assert with_addresses(signed, NAMES.get) == signed


@pytest.mark.parametrize(
    ("typed", "nobodies"),
    [
        ("hello @bob, @Bob and @dave: @dave's", ("Bob", "dave")),
        ("@dr.bee. and @dr.who. and @Ünal and @ünal-", ("dr.who", "ünal")),
        (f"@{A} and @{B}. but @{A[:-1]}", (A[:-1],)),  # a mistyped address
        ("mail@dave.org, @dave@example.org, @@dave, @ and @-. and /@dave", ()),
        ("none", ()),
    ],
)
def test_what_looks_like_a_mention_and_is_none(typed: str, nobodies: tuple[str, ...]) -> None:
    assert unnamed(typed, NAMES) == nobodies


@given(st.text(alphabet="@bo.-_é2 d"))
def test_what_is_nobodys_stays_as_it_was_typed(text: str) -> None:
    signed = with_addresses(text, NAMES.get)
    assert all(f"@{name}" in signed for name in unnamed(text, NAMES))
