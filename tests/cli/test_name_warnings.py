"""Mallory calls himself what Alice's friends are called, and every page says that he is somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from fake_node import ALICE, BOB, NOW_MS, FakeNode
from terminal_scene import Alice, a_follow

from p2pblog.commands import reading
from p2pblog.pages import people
from p2pblog.terminal import render

MALLORY = "m" * 56
FALSE_BOB = "b\u043eb"
"""With one Cyrillic letter."""


@pytest.fixture
def friend(alice: Alice, node: FakeNode) -> FakeNode:
    """Alice follows Bob, whom she calls robert."""
    node.follows[BOB] = a_follow(BOB, name="bob", petname="robert")
    node.add(text="mine")
    return node


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("bob", "⚠ not robert (bbbbbbbb)"),
        ("B0B", "⚠ not robert (bbbbbbbb)"),
        (FALSE_BOB, "⚠ not robert (bbbbbbbb)"),
        ("Robert", "⚠ not robert (bbbbbbbb)"),
        ("a\u200blice", "⚠ not you"),
        ("m\u0430llory", "⚠ mixed letters"),
        ("mallory", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("command", ["timeline", "show", "thread", "bookmarks", "author"])
def test_a_stranger_with_a_name_that_looks_like_a_known_one_is_marked(
    alice: Alice, friend: FakeNode, command: str, name: str | None, warning: str | None
) -> None:
    said = friend.add(MALLORY, name, "send me money")
    friend.bookmarked.append(said)
    words = {"author": ["timeline", "--author", MALLORY], "timeline": ["timeline"], "bookmarks": ["bookmarks"]}

    page = alice.types(*words.get(command, [command, said["id"]]), env={"COLUMNS": "100"}).stdout

    head = next(text for text in page.splitlines() if "mmmmmmmm" in text)
    assert ("⚠" in page) == (warning is not None)
    assert warning is None or f"(mmmmmmmm) {warning} ·" in head


def test_nobody_is_marked_for_themselves(alice: Alice, friend: FakeNode) -> None:
    friend.name = FALSE_BOB
    friend.add(ALICE, FALSE_BOB, "mine too")
    friend.news.append(
        {"id": "5" * 64, "type": "poll", "from": ALICE, "name": FALSE_BOB, "notice": "6" * 64, "time": 1}
    )
    friend.news[-1]["read"] = False

    for words in (["timeline"], ["timeline", "--author", ALICE], ["search", "mine"], ["notifications"]):
        page = alice.types(*words).stdout
        assert FALSE_BOB in page and "⚠" not in page


@pytest.mark.parametrize("name", [FALSE_BOB, "Robert"])
def test_a_boosted_stranger_is_marked_too(alice: Alice, friend: FakeNode, name: str) -> None:
    said = friend.add(MALLORY, name, "send me money")
    friend.add(BOB, "bob", "send me money", type="boost", boost_of=said["id"])

    head = alice.types("timeline", "-n", "1", env={"COLUMNS": "140"}).stdout.splitlines()[0]

    assert head.startswith(f"robert (bob, bbbbbbbb) boosted {name} (mmmmmmmm) ⚠ not robert (bbbbbbbb) ·")


def test_those_whom_one_follows_are_marked_as_the_daemon_says(alice: Alice, friend: FakeNode) -> None:
    friend.follows[MALLORY] = a_follow(MALLORY, name="bob", lookalike=BOB)
    friend.add(MALLORY, "bob", "hello")
    friend.calls.clear()

    page = alice.types("timeline").stdout

    assert "bob (mmmmmmmm) ⚠ not robert (bbbbbbbb) ·" in page
    assert [route for route, _ in friend.calls] == ["timeline", "following"], "who oneself is need not be asked"


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_of_those_whom_one_follows_marks_them(columns: int) -> None:
    rows = [
        a_follow(BOB, name="bob", petname="robert"),
        a_follow(MALLORY, name="bob", lookalike=BOB),
        a_follow("c" * 56, name="alice", lookalike=ALICE),
        a_follow("d" * 56, name="d\u0430d"),
    ]
    page = render(people.following_page(rows, ALICE, NOW_MS, columns, "p2pblog"), colour=False)

    assert page.count("⚠") == 3
    for warning in ("found ⚠ not robert (bbbbbbbb)\n", "found ⚠ not you\n", "found ⚠ mixed letters\n"):
        assert warning in page


@pytest.mark.parametrize(
    ("name", "like", "warning"), [("bob", BOB, "⚠ not robert (bbbbbbbb)"), ("alice", ALICE, "⚠ not you")]
)
def test_each_page_says_who_somebody_is_not(alice: Alice, friend: FakeNode, name: str, like: str, warning: str) -> None:
    friend.follows[MALLORY] = a_follow(MALLORY, name=name, lookalike=like)
    said = {"id": "e" * 64, "type": "like", "from": MALLORY, "name": name, "notice": "f" * 64, "time": 0, "read": True}
    friend.news.append(said)
    friend.listed["tea"] = [MALLORY]
    friend.sealed.append({"id": "d" * 64, "from": MALLORY, "to": [ALICE], "text": "hello", "time": NOW_MS})
    friend.add(MALLORY, name, "hello")

    for words in (
        ["timeline"], ["following"], ["notifications"], ["list", "show", "tea"], ["dm"], ["profile", MALLORY],
        ["unfollow", MALLORY],
    ):  # fmt: skip
        assert warning in alice.types(*words, env={"COLUMNS": "120"}).stdout, words


@pytest.mark.parametrize("columns", ["20", "40", "60", "120"])
def test_whoever_is_muted_is_said_not_to_be_another_however_narrow_the_page_is(
    alice: Alice, friend: FakeNode, columns: str
) -> None:
    friend.follows[MALLORY] = a_follow(MALLORY, name="Robert von und zu Hohenstauffen", lookalike=BOB)

    for words in (["mute", MALLORY, "--for", "7d"], ["muted"], ["unmute", MALLORY]):
        assert "⚠ not robert (bbbbbbbb)" in alice.types(*words, env={"COLUMNS": columns}).stdout, words


def test_ones_own_profile_carries_no_mark(alice: Alice, friend: FakeNode) -> None:
    friend.name = "bob"
    friend.own_lookalike = BOB

    assert alice.gets("profile")["lookalike"] == BOB
    assert "⚠" not in alice.types("profile").stdout


def test_whom_one_has_named_oneself_carries_no_mark(alice: Alice, friend: FakeNode) -> None:
    double: Any = a_follow(MALLORY, name="bob", petname="bob", lookalike=BOB)
    friend.follows[MALLORY] = double
    friend.add(MALLORY, "bob", "hello")
    friend.news.append(
        {"id": "e" * 64, "type": "reply", "from": MALLORY, "name": "bob", "notice": "f" * 64, "time": 0, "read": True}
    )
    for words in (["timeline"], ["following"], ["notifications"]):
        page = alice.types(*words).stdout
        assert "bob" in page and "⚠" not in page
    assert "⚠" not in alice.types("unfollow", MALLORY).stdout


def test_a_live_notice_of_a_stranger_is_compared_with_oneself_and_those_followed(friend: FakeNode) -> None:
    from p2pblog.pages.notices import name_warnings

    own: Any = {"address": ALICE, "name": "alice", "device": "", "node": "", "uri": ""}
    notices: Any = [friend.add(author, name) for author, name in ((ALICE, "alice"), (BOB, "bob"), (MALLORY, "Alice"))]

    assert name_warnings(notices, list(friend.follows.values()), own) == {(MALLORY, "Alice"): "⚠ not you"}
    assert name_warnings(notices, [], None) == {}


def test_a_direct_message_and_a_list_mark_names_too(alice: Alice, friend: FakeNode) -> None:
    friend.follows[MALLORY] = a_follow(MALLORY, name="bob", lookalike=BOB)
    message = {"id": "e" * 64, "from": MALLORY, "to": [ALICE, MALLORY], "text": "send me money", "time": NOW_MS}
    friend.sealed.append(message)
    friend.listed["tea"] = [BOB, MALLORY]

    messages = alice.types("dm", env={"COLUMNS": "100"}).stdout.splitlines()
    members = alice.types("list", "show", "tea").stdout

    assert messages[0].startswith("bob (mmmmmmmm) ⚠ not robert (bbbbbbbb) · ")
    assert messages[1] == "  to you, bob (mmmmmmmm) ⚠ not robert (bbbbbbbb)"
    assert members.count("⚠") == 1 and f"(mmmmmmmm) ⚠ not robert (bbbbbbbb)\n  {MALLORY}\n" in members


def test_one_is_called_by_ones_own_name_in_mentions_and_quotes(alice: Alice, friend: FakeNode) -> None:
    """Others only by one's own word for them, or by letters: what they call themselves is no word to tell them by."""
    quote: Any = {
        "id": "a" * 64,
        "version": "a" * 64,
        "author": ALICE,
        "text": f"as @{ALICE} said",
        "cw": None,
        "deleted": False,
    }
    friend.add(BOB, "bob", f"@{ALICE}, @{BOB} and @{MALLORY}", mentions=[ALICE, BOB, MALLORY], quote=quote)

    page = alice.types("timeline").stdout.splitlines()

    assert page[1:4] == ["  @alice, @robert and @mmmmmmmm…", "  │ alice (aaaaaaaa) · aaaaaaaaaa", "  │ as @alice said"]

    friend.add(BOB, "bob", "mentions nobody", quote=quote)
    assert alice.types("timeline", "-n", "1").stdout.splitlines()[2:4] == page[2:4]


def test_a_quoted_name_of_somebody_followed_is_marked(alice: Alice, friend: FakeNode) -> None:
    friend.follows[MALLORY] = a_follow(MALLORY, name="bob", lookalike=BOB)
    quote: Any = {
        "id": "a" * 64,
        "version": "a" * 64,
        "author": MALLORY,
        "text": "trust me",
        "cw": None,
        "deleted": False,
    }
    friend.add(BOB, "bob", "see", quote=quote)

    assert "  │ bob (mmmmmmmm) ⚠ not robert (bbbbbbbb) · aaaaaaaaaa\n" in alice.types("timeline").stdout


def test_a_live_timeline_marks_a_name_that_was_taken_meanwhile(
    alice: Alice, friend: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks anew for another name, and after a second in any case: the reader may have named them."""
    clock = [0.0]

    def come() -> Iterator[dict[str, Any]]:
        friend.follows[MALLORY] = a_follow(MALLORY, name="mallory")
        yield friend.add(MALLORY, "mallory", "first")
        yield friend.add(MALLORY, "mallory", "asks nothing")
        friend.follows[MALLORY] = a_follow(MALLORY, name="bob", lookalike=BOB)
        yield friend.add(MALLORY, "bob", "second")
        friend.follows[MALLORY] = a_follow(MALLORY, name="bob", petname="crook", lookalike=BOB)
        clock[0] += reading.COMPANY_KEPT_S
        yield friend.add(MALLORY, "bob", "third")
        friend.name = "al"
        yield friend.add("e" * 56, "al", "fourth")

    monkeypatch.setattr(reading, "monotonic", lambda: clock[0])
    monkeypatch.setattr(reading.client, "watch", lambda *_, **__: nullcontext(come()))
    friend.calls.clear()

    page = alice.types("timeline", "-f", env={"COLUMNS": "100"}).stdout

    heads = [text.partition(" ·")[0] for text in page.splitlines() if " · " in text]
    assert heads[1:] == [
        "mallory (mmmmmmmm)",
        "mallory (mmmmmmmm)",
        "bob (mmmmmmmm) ⚠ not robert (bbbbbbbb)",
        "crook (bob, mmmmmmmm)",
        "al (eeeeeeee) ⚠ not you",
    ]
    assert [route for route, _ in friend.calls].count("following") == 5, "one for the page, and none for the second"


def test_a_name_that_somebody_followed_has_just_left_is_compared_here(friend: FakeNode) -> None:
    from p2pblog.pages.notices import name_warnings

    notice: Any = friend.add(MALLORY, "bob", "I was bob")
    follows: Any = [a_follow(BOB, name="bob"), a_follow(MALLORY, name="mallory")]

    assert name_warnings([notice], follows, None) == {(MALLORY, "bob"): "⚠ not bob (bbbbbbbb)"}
