"""What commands say of what they did, or refuse to do, word for word."""

from __future__ import annotations

from typing import Any

import pytest
from fake_node import ALICE, BOB, NOW_MS, FakeNode
from terminal_scene import Alice, a_follow, lines_of

from p2pblog import installation
from p2pblog.pages import people


def test_what_was_done_is_said(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB, "--petname", "bob")
    node.news.append(
        {"id": "1" * 64, "type": "like", "from": BOB, "name": "bob", "notice": "5" * 64, "time": 1, "read": True}
    )
    setting = "store.max is {} (by default none)\nroom on the disk; beyond, old notices of others go\n"
    for words, said in (
        (["list", "create", " tea "], "Created: tea, 0 members\n"),
        (["list", "add", " tea ", "bob"], "Now: tea, 1 member\n"),
        (["list", "remove", " tea ", "bob"], "Now: tea, 0 members\n"),
        (["list", "delete", " tea "], "Deleted: tea, 0 members\n"),
        (["group", "join", "!Birds"], "Joined: !birds, nothing of it is here yet\n"),
        (["group", "leave", "!Birds"], "Left: !birds, nothing of it is here yet\n"),
        (["config", "set", "store.max", "2GB"], setting.format("2GB")),
        (["config", "get", "store.max"], setting.format("2GB")),
        (["config", "unset", "store.max"], setting.format("none")),
        (["invite"], f"p2pblog:{ALICE}?peer="),
        (["peer", "add", "192.0.2.1:4711"], "NODE        ENDPOINT        WAY  SINCE"),
        (["mute", "--word", "tea", "--for", "7d"], 'Muted: the word "tea", for '),
        (["unmute", "--word", "tea"], 'No longer muted: the word "tea"\n'),
        (["block", "d" * 56], f"Blocked: {'d' * 56}\nNothing of theirs is kept here or passed on.\n"),
        (["unblock", "d" * 56], f"No longer blocked: {'d' * 56}\n"),
        (["unfollow", "bob"], "You no longer follow:\nbob (bbbbbbbb): "),
        (["notifications", "--unread"], "Nothing new.\n"),
        (["notifications", "--before", "111111"], "  bob (bbbbbbbb) liked your notice 5555555555 · "),
    ):
        result = alice.types(*words)
        assert (result.exit_code, result.stdout[: len(said)]) == (0, said), words


@pytest.mark.parametrize(
    ("words", "sentence", "helps"),
    [
        (["dm", BOB], "a direct message has an ADDRESS and a TEXT", "dm --help"),
        (["dm", BOB, "hi", "-n", "5"], "-n and --before are for the list, which takes no ADDRESS", "dm --help"),
        (["mute", BOB, "--tag", "a"], "say one thing: an ADDRESS, --tag T or --word W", "mute --help"),
        (["timeline", "--author", BOB, "--list", "tea"], "--author and --list do not go together", "timeline --help"),
        (["timeline", "--strangers", "--tag", "a"], "--strangers goes with -n and --before only", "timeline --help"),
        (["timeline", "--strangers", "-f"], "--strangers goes with -n and --before only", "timeline --help"),
        (["timeline", "-f", "--before", "5feceb66"], "-f and --before do not go together", "timeline --help"),
        (["timeline", "--fetch"], "--fetch goes with --group", "timeline --help"),
        (
            ["timeline", "-f", "--group", "birds", "--fetch"],
            "-f looks for new ones by itself, without --fetch",
            "timeline --help",
        ),
        (["unmute"], "say one thing: an ADDRESS, --tag T or --word W", "unmute --help"),
        (["notifications", "--unread", "read"], "`notifications read` marks all that has come", "notifications read"),
        (
            ["notifications", "--before", "111111", "read"],
            "`notifications read` marks all that has come",
            "notifications read",
        ),
    ],
    ids=str,
)
def test_what_is_refused_is_said(alice: Alice, node: FakeNode, words: list[str], sentence: str, helps: str) -> None:
    result = alice.types(*words)
    first, second = result.stderr.splitlines()
    assert (result.exit_code, node.calls) == (2, [])
    assert first == f"p2pblog: {sentence}."
    assert second.startswith("Try: ") and second.endswith(f" --home {alice.home.folder} {helps}")


def test_what_is_asked_of_notifications_reaches_the_node(alice: Alice, node: FakeNode) -> None:
    alice.gets("notifications", "-n", "3", "--before", "5FECEB66", "--unread")
    assert node.calls == [("notifications", {"limit": 3, "before": "5feceb66", "unread": True})]
    assert alice.types("notifications", "--before", "5fec").exit_code == 2


def test_strangers_who_wait_are_told_of_on_the_first_page(alice: Alice, node: FakeNode) -> None:
    node.waiting.append(node.add(BOB, "bob"))
    first, second = alice.types("notifications").stderr.splitlines()
    assert first == "Strangers said something to you, which waits."
    assert second.endswith(f" --home {alice.home.folder} timeline --strangers")
    assert alice.types("notifications", "--before", "5feceb66").stderr == ""
    assert alice.types("notifications", "--json").stderr == ""


def test_silence_may_be_that_of_who_was_muted(alice: Alice, node: FakeNode) -> None:
    """Not where something older or new alone was asked for."""
    alice.gets("mute", BOB)
    whole, *narrower = (
        alice.types("notifications", *words).stdout for words in ([], ["--unread"], ["--before", "5feceb66"])
    )
    assert whole.startswith("Nobody has said anything to you but, perhaps, people whom you muted.\n")
    assert narrower == ["Nothing new.\n", "Nothing older.\n"]


def test_an_identity_is_shown_and_its_home_marked(alice: Alice) -> None:
    made = alice.gets("init", "--name", "alice")
    assert installation.is_in_place(alice.home)
    held = alice.gets("id")
    assert alice.types("id").stdout.splitlines() == [
        "name     alice",
        f"address  {made['address']}",
        f"link     p2pblog:{made['address']}",
        f"device   {held['device']}",
        f"node     {held['node']}",
    ]


def test_a_profile_shows_what_somebody_says_of_themselves(alice: Alice, node: FakeNode) -> None:
    page = alice.types("profile", "--name", "alice", "--bio", "Bees \x1b[2J\nand bicycles").stdout
    assert page == f"name     alice\naddress  {ALICE}\n  Bees\n  and bicycles\n"
    node.name, node.bio = None, None
    assert alice.types("profile").stdout == f"name     (none)\naddress  {ALICE}\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"state": "searching"}, "searching for it"),
        ({}, "0 entries held"),
        ({"entries": 1, "newest": NOW_MS - 120_000}, "1 entry held, the newest 2 min ago"),
        (
            {"entries": 1_234, "no_boosts": True, "budget": "3/day", "private": True},
            "1,234 entries held; no boosts; 3/day; private",
        ),
    ],
)
def test_a_follow_is_one_sentence(row: dict[str, Any], said: str) -> None:
    page = people.follow_page(a_follow(BOB, petname="bob", **row), NOW_MS, None)
    assert lines_of(page) == [f"bob (bbbbbbbb): {said}"]
