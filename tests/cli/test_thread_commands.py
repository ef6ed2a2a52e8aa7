"""What `show` tells of a notice's history, what `thread` of what a conversation lacks, and how that is fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_node import ALICE, FakeNode
from terminal_scene import Alice

LOOKING = "Looking for what is missing, at peers and in the DHT …\n"


def asked(node: FakeNode) -> list[Any]:
    found = [arguments["fetch"] for route, arguments in node.calls if route == "thread"]
    node.calls.clear()
    return found


def test_an_edited_notice_says_so_and_shows_its_history(alice: Alice, node: FakeNode) -> None:
    said = node.add(text=f"first, @{ALICE}", cw="old warning")
    alice.gets("edit", said["id"], "now")
    assert alice.types("show", said["id"]).stdout.splitlines()[-1] == "  edited"
    node.notices[-1]["cw"] = None
    written, *first, edited, now = alice.types("show", said["id"], "--history").stdout.splitlines()
    assert written.startswith("written ") and first == ["  CW: old warning", "  first, @alice", ""]
    assert edited.startswith("edited ") and now == "  now"
    assert [row["text"] for row in alice.gets("show", said["id"], "--history")] == [f"first, @{ALICE}", "now"]


def test_a_gap_is_told_with_the_command_that_fetches_it(alice: Alice, node: FakeNode) -> None:
    notice = node.add(text="an answer")["id"][:8]
    assert "not fetched" not in alice.types("thread", notice).stdout
    node.thread_lacks = 1
    result = alice.types("thread", notice)
    assert result.stdout.splitlines()[-2] == "1 of 2 known replies not fetched."
    assert result.stdout.splitlines()[-1].endswith(f" thread {notice} --fetch")
    assert asked(node) == [False, False]


def test_what_is_missing_is_fetched_and_the_person_told_meanwhile(alice: Alice, node: FakeNode) -> None:
    notice = node.add(text="an answer")["id"][:8]
    node.thread_lacks = 1
    result = alice.types("thread", notice, "--fetch")
    assert (result.exit_code, result.stderr) == (0, LOOKING)
    assert "an answer" in result.stdout and "not fetched" not in result.stdout
    assert asked(node) == [False, True]

    node.thread_lacks = 2
    result = alice.types("thread", notice, "--fetch")
    assert result.stdout.splitlines()[-1] == ("2 of 3 known replies not fetched: nobody who could be asked gave them.")
    result = alice.types("thread", notice, "--fetch", "--json")
    document = json.loads(result.stdout)
    assert (document["missing"], document["known"], result.stderr) == (2, 3, "")
    assert asked(node) == [False, True] * 2


def test_more_answers_are_looked_for_where_nothing_is_known_to_be_missing(alice: Alice, node: FakeNode) -> None:
    notice = node.add()["id"][:8]
    assert alice.types("thread", notice, "--fetch").stderr == LOOKING
    assert asked(node) == [False, True]


@pytest.mark.usefixtures("node")
def test_an_unknown_notice_is_not_found(alice: Alice) -> None:
    assert alice.types("thread", "abcdef", "--fetch").exit_code == 4
