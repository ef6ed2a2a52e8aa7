"""Lists of follows: what was written is read, and rows of other tools are understood as far as they can be."""

from __future__ import annotations

import tracemalloc

import pytest
from builders import person
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import FOLLOWS_MAX
from p2pblog.core.follow_list import COMMAS_MAX, LINES_MAX, Listed, read_list, write_list
from p2pblog.errors import Malformed, TooLarge

ALICE, BOB = person("alice").address, person("bob").address


@given(st.lists(st.tuples(st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
                          st.sampled_from([ALICE, BOB]))))  # fmt: skip
def test_what_was_written_is_read(follows: list[tuple[str | None, str]]) -> None:
    listed = read_list(write_list(follows))
    assert [(each.petname, each.address) for each in listed] == follows
    assert [each.line for each in listed] == list(range(2, len(follows) + 2))


def test_a_petname_may_hold_what_python_calls_the_end_of_a_line() -> None:
    for name in ("a\u2028b", "a\u2029b", "a\x0bb", "a\x85b"):
        assert [(each.petname, each.line) for each in read_list(write_list([(name, ALICE)]))] == [(name, 2)]


def test_a_written_list_is_plain_csv() -> None:
    data = write_list([('bob, the "bee"', BOB), (None, ALICE)])
    assert data.decode() == f'petname,address\n"bob, the ""bee""",{BOB}\n,{ALICE}\n'


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("", []),
        ("\n\n", []),
        ("address\n", []),
        (ALICE, [Listed(1, ALICE, None)]),
        (f"\ufeff{ALICE}\r\n\r\n{BOB}\r\n", [Listed(1, ALICE, None), Listed(3, BOB, None)]),
        (f"ally,{ALICE}\n{BOB},bobby\n", [Listed(1, ALICE, "ally"), Listed(2, BOB, "bobby")]),
        (f"Name,Address,Petname\nx, {ALICE} ,ally\n", [Listed(2, ALICE, "ally")]),
        (f"name,address\nx,{ALICE.upper()}\n", [Listed(2, ALICE.upper(), None)]),
        ("petname,address\nally\n", [Listed(2, "", "ally")]),
        (f"p2pblog:{BOB}?peer=192.0.2.1:4711", [Listed(1, f"p2pblog:{BOB}?peer=192.0.2.1:4711", None)]),
        ("Account address,Show boosts\nbob@m.example,true\n",
         [Listed(1, "Account address", "Show boosts"), Listed(2, "bob@m.example", "true")]),
    ],
)  # fmt: skip
def test_lists_of_other_tools(text: str, listed: list[Listed]) -> None:
    assert read_list(text.encode()) == listed


@pytest.mark.parametrize("data", [b"\xff\xfe", b'"never closed', b'"a"b', b"a" * 4_097, b"x," + b"a" * 200_000])
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_list(data)


@pytest.mark.parametrize("part", [b"\n", b"\r", b"\r\n", b"x\n", b",", b"a,"])
def test_parts_without_number_are_refused_before_they_are_read(part: bytes) -> None:
    """8 MiB of free lines became a gigabyte and a half."""
    data = part * (8 * 1024 * 1024 // len(part))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="over 40,000 lines, or 1,000,000 commas"):
            read_list(data)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(data)
    finally:
        tracemalloc.stop()


def test_the_longest_list_is_read() -> None:
    follows = [("x" * 50, ALICE)] * FOLLOWS_MAX
    assert len(read_list(write_list(follows) + b"\n" * (LINES_MAX - FOLLOWS_MAX - 1))) == FOLLOWS_MAX
    assert len(read_list((ALICE + "," * (COMMAS_MAX // FOLLOWS_MAX) + "\n").encode() * FOLLOWS_MAX)) == FOLLOWS_MAX
    for one_more in (b"\n" * (LINES_MAX + 1), b"," * (COMMAS_MAX + 1)):
        with pytest.raises(TooLarge):
            read_list(one_more)
