"""What the commands answer that join, leave, list and read groups."""

from __future__ import annotations

import json

import pytest
from fake_node import BOB, NOW_MS, FakeNode
from terminal_scene import Alice, lines_of
from test_completion import tab

from p2pblog.config import GROUP_CHARACTERS_MAX
from p2pblog.pages import groups as pages
from p2pblog.terminal import width


def test_groups_are_joined_listed_and_left(alice: Alice, node: FakeNode) -> None:
    assert alice.gets("groups") == []
    assert alice.types("groups").stdout.startswith("You have joined no groups.\nTry: ")
    joined = alice.types("group", "join", "!Birds")
    assert joined.stdout.splitlines()[0] == "Joined: !birds, nothing of it is here yet"
    assert joined.stdout.splitlines()[1].endswith(" timeline --group birds")
    assert node.calls[-1] == ("join_group", {"name": "birds"})
    row = {"name": "birds", "since": NOW_MS, "notices": 0, "authors": 0}
    assert alice.gets("group", "join", "birds") == row
    assert alice.gets("groups") == [row]
    node.joined["birds"] |= {"notices": 1_234, "authors": 5}
    assert alice.types("groups").stdout.split()[:7] == ["NAME", "NOTICES", "AUTHORS", "JOINED", "!birds", "1,234", "5"]
    assert alice.types("group", "leave", "birds").stdout == "Left: !birds, 1,234 notices by 5 people here\n"
    result = alice.types("group", "leave", "birds")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (4, "p2pblog: you have not joined that group.")


def test_a_groups_timeline_has_a_head(alice: Alice, node: FakeNode) -> None:
    node.add(BOB, "bob", "who saw the !birds?", groups=["birds"])
    node.add(text="none")
    shown = alice.types("timeline", "--group", "!Birds").stdout.splitlines()
    assert shown[0] == "!birds · not joined"
    assert shown[1].startswith("Try: ") and shown[1].endswith(" group join birds")
    assert (shown[2], shown[4]) == ("", "  who saw the !birds?")
    assert [row["text"] for row in alice.gets("timeline", "--group", "birds")] == ["who saw the !birds?"]
    asked = {"limit": 20, "before": None, "author": None, "tag": None, "of_list": None}
    assert node.calls[-1] == ("timeline", {**asked, "group": "birds", "fetch": False})
    alice.gets("group", "join", "birds")
    node.joined["birds"] |= {"notices": 1, "authors": 1}
    head = alice.types("timeline", "--group", "birds").stdout.splitlines()[0]
    assert head.startswith("!birds · 1 notice by 1 person here · joined ")
    assert alice.types("timeline", "--group", "bees").stdout.splitlines()[3] == "Nothing with !bees is here yet."


def test_a_group_is_fetched_if_one_asks_for_it(alice: Alice, node: FakeNode) -> None:
    result = alice.types("timeline", "--group", "birds", "--fetch")
    assert result.stderr == "Looking for what is missing, in the DHT …\n"
    assert ("timeline", "birds", True) in [(route, said.get("group"), said.get("fetch")) for route, said in node.calls]
    result = alice.types("timeline", "--group", "birds", "--fetch", "--json")
    assert (json.loads(result.stdout), result.stderr) == ([], "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["group", "join"], "missing argument 'NAME'"),
        (["group", "join", ""], "a group is one word"),
        (["group", "join", "two words"], "a group is one word"),
        (["group", "join", "7"], "not digits alone"),
        (["group", "join", "x" * (GROUP_CHARACTERS_MAX + 1)], f"at most {GROUP_CHARACTERS_MAX} letters"),
        (["group", "leave", "\udcff"], "not valid UTF-8"),
        (["timeline", "--group", "!"], "a group is one word"),
        (["timeline", "--fetch"], "--fetch goes with --group"),
        (["timeline", "--group", "birds", "--fetch", "-f"], "without --fetch"),
    ],
)
def test_what_is_refused(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert node.calls == []


def test_joined_groups_are_offered(alice: Alice, node: FakeNode) -> None:
    for name in ("birds", "bees", "蜜蜂"):
        alice.gets("group", "join", name)
    for words in (["group", "leave"], ["timeline", "--group"]):
        assert tab(alice, *words, "b") == ["plain,bees", "plain,birds"]
    assert tab(alice, "group", "join", "b") == []


@pytest.mark.parametrize("columns", [40, 80])
def test_a_head_fits_its_line(columns: int) -> None:
    row = {"name": "蜜" * GROUP_CHARACTERS_MAX, "since": NOW_MS, "notices": 10**9, "authors": 10**9}
    for name, joined in ((row["name"], row), (row["name"], None), ("bees", row), ("bees", None)):
        page = pages.header_page(name, joined, NOW_MS, columns, "p2pblog")  # type: ignore[arg-type]
        assert width(lines_of(page)[0]) <= columns
