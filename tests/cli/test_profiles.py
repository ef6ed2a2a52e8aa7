"""Profiles on the command line, with what is pinned beside them."""

from __future__ import annotations

from typing import Any

import pytest
from fake_node import ALICE, BOB, NOW_MS, FakeNode, an_id
from terminal_scene import Alice, lines_of

from p2pblog.config import LINK_CHARACTERS_MAX, LINKS_MAX
from p2pblog.control.documents import ProfileDocument
from p2pblog.pages import notices, people
from p2pblog.terminal import width


def test_pinned_notices_stand_below_the_profile(alice: Alice, node: FakeNode) -> None:
    first, second = node.add(text="read this"), node.add(text="and that \x1b[2J")
    said = alice.types("pin", first["id"][:8]).stdout
    assert said == f"Pinned {first['id'][:10]} (entry {first['id'][:10]}; unpin takes it back)\n"
    alice.gets("pin", second["id"])
    assert alice.gets("profile")["pinned"] == [second["id"], first["id"]]
    node.pinned.append(an_id(99))  # taken back meanwhile
    page = alice.types("profile").stdout.splitlines()
    at = page.index("Pinned (3):")
    assert [text for text in page[at:] if text.startswith("  ")] == ["  and that", "  read this"]
    assert page[-1] == an_id(99)[:10]
    said = alice.types("unpin", first["id"]).stdout
    assert said.startswith(f"Took back your pin of {first['id'][:10]} (entry ")
    assert alice.gets("profile")["pinned"] == [second["id"], an_id(99)]


def test_a_pinned_notice_calls_people_as_any_other_page_does(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB, "--petname", "robert")
    said = node.add(text=f"@{BOB} and @{ALICE}", mentions=[BOB, ALICE])
    alice.gets("pin", said["id"])
    for words in (["show", said["id"]], ["profile"]):
        assert "@robert and @alice" in alice.types(*words).stdout


def test_somebody_elses_notice_is_not_pinned(alice: Alice, node: FakeNode) -> None:
    theirs = node.add(author=BOB)
    assert alice.types("pin", theirs["id"]).exit_code == 5


def test_links_are_replaced_together(alice: Alice, node: FakeNode) -> None:
    alice.gets("profile", "--link", " https://example.org ", "--link", "mailto:a@example.org", "--name", "al")
    assert node.calls[-1][1] == {
        "name": "al", "bio": None, "links": ["https://example.org", "mailto:a@example.org"], "address": None,
        "avatar": None, "banner": None,
    }  # fmt: skip
    assert alice.types("profile").stdout.splitlines()[-2:] == ["  https://example.org", "  mailto:a@example.org"]
    alice.gets("profile", "--link", "")
    assert node.calls[-1][1]["links"] == []
    assert alice.gets("profile")["links"] == []
    alice.gets("profile", *(f"--link=https://example.org/{number}" for number in range(LINKS_MAX)))
    assert len(alice.gets("profile")["links"]) == LINKS_MAX


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([f"--link=https://example.org/{number}" for number in range(LINKS_MAX + 1)], "at most 8 links"),
        (["--link", "javascript:alert(1)"], "a link begins with"),
        (["--link", "https://example.org/\x1b[2J"], "a link begins with"),
        (["--link", "https://example.org/a b"], "a link begins with"),
        (["--link", "https://" + "x" * (LINK_CHARACTERS_MAX - 7)], "201 characters"),
        (["--link", "\udcff"], "not valid UTF-8"),
        (["\udcff"], "not valid UTF-8"),
    ],
)
def test_a_wrong_link_is_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types("profile", *words)
    assert (result.exit_code, node.calls) == (2, [])
    assert sentence in result.stderr


@pytest.mark.parametrize("warning", [None, "⚠ not bbbbbbbb"])
@pytest.mark.parametrize("columns", [40, 80])
def test_a_long_name_is_set_in_as_a_whole(columns: int, warning: str | None) -> None:
    """Its end in the first column could pass for a line of ours."""
    name = "漢" * 35 + "xaddress  aebfk"
    profile: Any = {"address": ALICE, "name": name, "bio": None, "lookalike": None}
    profile |= {"links": [], "avatar": None, "banner": None, "pinned": [], "petname": None}
    known = notices.Known(warnings={} if warning is None else {(ALICE, name): warning})

    shown = lines_of(people.profile_page(profile, [], NOW_MS, columns, known))

    assert shown[-1] == f"address  {ALICE}"
    assert all(width(text) <= columns for text in shown[:-1])
    assert all(text.startswith(" " * 9) for text in shown[1:-1])
    assert shown[0].endswith(" ⚠ not bbbbbbbb") == (warning is not None)
    rows = [text[9:].removesuffix(" ⚠ not bbbbbbbb") for text in shown[:-1]]
    assert "".join(rows).replace(" ", "") == name.replace(" ", "")

    named = {**profile, "petname": "漢" * 50}
    page = lines_of(people.profile_page(named, [], NOW_MS, columns, notices.NOTHING_KNOWN))
    assert all(width(text) <= columns for text in page[:-1])


def test_somebody_elses_profile_is_shown(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB, "--petname", "robert")
    node.follows[BOB]["name"] = "bob\x1b[2J"
    assert list(alice.gets("profile", "robert")) == list(ProfileDocument.__annotations__)
    assert alice.types("profile", BOB).stdout.splitlines() == [
        "petname  robert",
        "name     bob",
        f"address  {BOB}",
    ]
    assert alice.types("profile", "nobody").exit_code == 4


def test_hostile_links_stay_in_their_place() -> None:
    profile: Any = {
        "address": BOB, "name": None, "bio": None, "petname": None, "pinned": [], "lookalike": None,
        "avatar": None, "banner": None,
        "links": ["https://x/" + "mallory(bbbbbbbb)·" * 20, "https://x/\x1b[2J\u202e\r\n"],
    }  # fmt: skip
    page = people.profile_page(profile, [], NOW_MS, 80, notices.NOTHING_KNOWN)
    shown = lines_of(page)
    assert all(text.startswith("  ") and width(text) <= 80 for text in shown[2:])
    assert not any(character in "".join(shown) for character in "\x1b\u202e\r")
