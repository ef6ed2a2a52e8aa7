"""Direct messages at a terminal: what alice types, and what she sees of what others wrote to her."""

from __future__ import annotations

from typing import Any

import pytest
from fake_node import ALICE, BOB, FakeNode, an_id
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal_scene import Alice, lines_of
from test_terminal import FORBIDDEN, anything

from p2pblog.config import DM_BYTES_MAX, DM_RECIPIENTS_MAX
from p2pblog.control import documents
from p2pblog.errors import NotFound, UserError
from p2pblog.pages.private import dms_page
from p2pblog.terminal import width

CAROL = "c" * 56


def test_a_message_is_the_last_word_and_the_others_are_people(alice: Alice, node: FakeNode) -> None:
    written = alice.gets("dm", BOB, "carol", "  two\n lines ☼ ")
    assert list(written) == list(documents.WrittenDocument.__annotations__)
    assert written["type"] == "dm"
    alice.gets("dm", "bob", "-", stdin=b"from a file\n")
    alice.gets("dm", "bob", "--", "-v")
    assert node.calls == [
        ("dm", {"to": [BOB, "carol"], "text": "  two\n lines ☼ "}),
        ("dm", {"to": ["bob"], "text": "from a file"}),
        ("dm", {"to": ["bob"], "text": "-v"}),
    ]


def test_a_person_is_told_when_it_arrives(alice: Alice, node: FakeNode) -> None:
    result = alice.types("dm", "bob", "carol", "hello")
    assert result.stdout == f"Written: {an_id(500)[:10]}\n"  # not for how many: one may be typed in two ways
    assert result.stderr == "They get it when their node takes your log, as it does if they follow you.\n"
    assert alice.types("dm", "bob", "hello", "--json").stderr == ""


def test_the_list_is_the_nodes(alice: Alice, node: FakeNode) -> None:
    assert alice.gets("dm") == []
    assert alice.types("dm").stdout == "You have no direct messages.\n"
    for number in range(30):
        alice.gets("dm", BOB, str(number))
    rows = alice.gets("dm")
    assert [row["text"] for row in rows] == [str(number) for number in range(29, 9, -1)]
    assert list(rows[0]) == ["id", "from", "to", "text", "time"] == list(documents.DmDocument.__annotations__)
    node.calls.clear()
    assert [row["text"] for row in alice.gets("dm", "-n", "2", "--before", rows[0]["id"])] == ["28", "27"]
    assert node.calls == [("dms", {"limit": 2, "before": rows[0]["id"]})]
    assert alice.types("dm", "--before", node.sealed[-1]["id"]).stdout == "Nothing older.\n"


def test_a_page_calls_people_as_the_reader_does(alice: Alice, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    alice.gets("follow", BOB, "--petname", "robert")
    node.follows[BOB]["name"] = "bob"
    alice.gets("dm", BOB, CAROL, "one\n\ntwo " + "x" * 60)
    node.sealed.insert(0, {**node.sealed[0], "from": BOB, "to": [ALICE], "text": "yes", "id": an_id(7)})
    page = alice.types("dm").stdout.splitlines()
    assert page[0].startswith("robert (bob, bbbbbbbb) · ")
    assert page[0].endswith(f" · {an_id(7)[:10]}")
    assert page[1:3] == ["  to you", "  yes"]
    assert page[4].startswith("you · ")
    assert page[5:9] == ["  to robert (bob, bbbbbbbb), (cccccccc)", "  one", "", "  two"]
    assert all(len(text) <= 60 for text in page)

    node.faults["following"] = UserError("not now")
    assert alice.types("dm").stdout.startswith("(bbbbbbbb) · ")  # no page fails for want of names


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dm", "bob"], "has an ADDRESS and a TEXT"),
        (["dm", "bob", ""], "an empty message"),
        (["dm", "bob", " \n"], "an empty message"),
        (["dm", "bob", "\u202e"], "no visible character"),
        (["dm", "bob", "\udcff"], "the text is not valid UTF-8"),
        (["dm", "\udcff", "hello"], "the address is not valid UTF-8"),
        (["dm", "bob", "x" * (DM_BYTES_MAX + 1)], "7,001 bytes in UTF-8, and a direct message at most 7,000"),
        (["dm", *["bob"] * (DM_RECIPIENTS_MAX + 1), "hi"], "at most 16 people"),
        (["dm", "bob", "hi", "-n", "20"], "for the list"),
        (["dm", "bob", "hi", "--before", "5feceb66"], "for the list"),
        (["dm", "-n", "0"], "-n takes a number from 1 to 1000"),
        (["dm", "--before", "abc"], "6 digits"),
    ],
)
def test_words_that_are_off_are_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert node.calls == []


def test_the_longest_text_is_sent_and_no_longer_one_from_a_file(alice: Alice, node: FakeNode) -> None:
    alice.gets("dm", *["bob"] * DM_RECIPIENTS_MAX, "é" * (DM_BYTES_MAX // 2))
    alice.gets("dm", "bob", "-", stdin=b"x" * DM_BYTES_MAX + b"\n")
    assert len(node.calls) == 2
    result = alice.types("dm", "bob", "-", stdin=b"x" * (DM_BYTES_MAX + 1))
    assert result.exit_code == 2
    assert "over 7,000 bytes, and a direct message at most that many" in result.stderr


def test_somebody_of_whom_nothing_is_here_is_4_with_what_helps(alice: Alice, node: FakeNode) -> None:
    node.faults["dm"] = NotFound("nothing of them is here yet: follow them first", f"p2pblog follow {BOB}")
    result = alice.types("dm", BOB, "hello")
    assert result.exit_code == 4
    assert f"--home {alice.home.folder} follow {BOB}" in result.stderr


def test_delete_takes_one_back_by_its_id(alice: Alice, node: FakeNode) -> None:
    written = alice.gets("dm", BOB, "hello")
    node.calls.clear()
    alice.types("delete", written["id"])
    assert ("delete", {"notice": written["id"]}) in node.calls


hostile_dm = st.fixed_dictionaries(
    {
        "id": st.just(an_id(1)),
        "from": st.just(BOB),
        "to": st.lists(st.sampled_from([ALICE, BOB, CAROL]), min_size=1, max_size=DM_RECIPIENTS_MAX),
        "text": anything,
        "time": st.integers(0, 2**53 - 1),
    }
)


@settings(max_examples=100)
@given(hostile_dm, anything, st.integers(40, 130))
def test_no_message_can_forge_the_head_of_another(dm: Any, name: str, columns: int) -> None:
    follow: Any = {"address": BOB, "name": name, "petname": None, "lookalike": CAROL}
    page = dms_page([dm], False, ALICE, {BOB: follow}, 1_760_000_000_000, columns)
    shown = lines_of(page)
    assert not any(FORBIDDEN.search(text) for text in shown)
    assert len(shown) == len(page)
    assert all(text == "" or text.startswith("  ") for text in shown[1:])
    assert all(width(text) <= columns for text in shown[1:])
