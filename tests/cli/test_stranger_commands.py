"""Strangers at alice's door: what her commands send, answer and refuse."""

from __future__ import annotations

import pytest
from fake_node import BOB, FakeNode
from terminal_scene import Alice, a_follow
from test_completion import tab

EVE = "e" * 56


def test_what_waits_is_listed_with_who_it_is_and_how_to_let_them_in(alice: Alice, node: FakeNode) -> None:
    assert alice.types("timeline", "--strangers").stdout == "No stranger waits.\n"
    assert alice.types("timeline", "--strangers", "--before", "5feceb66").stdout == "Nothing older.\n"
    node.waiting = [node.add(EVE, "eve\x1b[2J", "hello, alice"), node.add(BOB, None, "me too")]
    told = alice.types("timeline", "--strangers", "-n", "5").stdout
    assert "hello, alice" in told and "\x1b" not in told
    lines = [text.strip() for text in told.splitlines()]
    for address, name in ((EVE, "eve (eeeeeeee)"), (BOB, "(bbbbbbbb)")):
        typed = next(text for text in lines if text.endswith(f" --home {alice.home.folder} admit {address}"))
        assert lines[lines.index(typed) - 1] == name
    assert alice.gets("timeline", "--strangers") == node.waiting
    asked = [arguments for route, arguments in node.calls if route == "timeline"]
    assert asked[1] == {"limit": 20, "before": "5feceb66", "strangers": True}
    assert asked[2]["limit"] == 5


def test_a_thread_and_the_notifications_tell_that_strangers_wait(alice: Alice, node: FakeNode) -> None:
    notice = node.add(text="mine")["id"][:8]
    assert "stranger" not in alice.types("thread", notice).stdout
    for count, sentence in ((1, "1 reply by a stranger waits."), (2, "2 replies by strangers wait.")):
        node.strange_replies = count
        *_, told, hint = alice.types("thread", notice).stdout.splitlines()
        assert told == sentence
        assert hint.startswith("Try: ") and hint.endswith(" timeline --strangers")
    assert alice.gets("thread", notice)["strangers"] == 2

    assert alice.types("notifications").stderr == ""
    node.waiting = [node.add(EVE, "eve", "hello")]
    assert "Strangers said something to you, which waits.\n" in alice.types("notifications").stderr
    assert alice.gets("notifications") == []
    assert node.calls[-1][0] == "notifications"


def test_pages_say_who_was_let_in(alice: Alice, node: FakeNode) -> None:
    assert alice.types("admitted").stdout == "You have let nobody in.\n"
    assert alice.types("admit", EVE).stdout.startswith(f"Admitted: {EVE}\n")
    vouched = alice.types("vouch", BOB).stdout
    assert vouched.startswith(f"Vouched for: {BOB} (entry 5555555555; unvouch takes it back)\n")
    assert "Everybody can read that" in vouched
    alice.types("follow", BOB, "--petname", "bob")
    rows = [text.partition(",")[0] for text in alice.types("admitted").stdout.splitlines()]
    assert rows == ["(eeeeeeee)  admitted", f"  {EVE}", "bob (bbbbbbbb)  vouched for", f"  {BOB}"]
    node.heard_of.append(a_follow(EVE, name="eve"))
    assert alice.types("admitted").stdout.startswith("eve (eeeeeeee)  admitted, ")
    assert alice.types("unvouch", BOB).stdout == f"No longer vouched for: {BOB} (entry 5555555555)\n"
    alice.types("vouch", EVE)
    assert alice.types("unadmit", EVE).stdout == (
        f"No longer admitted: {EVE}\nThey are still let in: you vouched for them.\n"
    )


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["timeline", "--strangers", "-f"], 2, "--strangers goes with -n and --before only"),
        (["timeline", "--strangers", "--author", "bob"], 2, "--strangers goes with"),
        (["timeline", "--strangers", "--tag", "bees"], 2, "--strangers goes with"),
        (["timeline", "--strangers", "--list", "tea"], 2, "--strangers goes with"),
        (["timeline", "--strangers", "--fetch", "--group", "birds"], 2, "--strangers goes with"),
        (["unadmit", BOB], 4, "you have not admitted"),
        (["unvouch", BOB], 4, "you have not vouched"),
        (["admit", "\udcff"], 2, "not valid UTF-8"),
        (["vouch"], 2, "ADDRESS"),
    ],
)
@pytest.mark.usefixtures("node")
def test_what_is_refused(alice: Alice, words: list[str], code: int, sentence: str) -> None:
    result = alice.types(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr


def test_who_waits_and_who_was_let_in_are_offered(alice: Alice, node: FakeNode) -> None:
    node.waiting = [node.add(EVE, "eve", "two"), node.add(EVE, "eve", "one")]
    alice.types("follow", BOB, "--petname", "bob")
    assert tab(alice, "admit", "") == [f"plain,{EVE}"]
    assert tab(alice, "vouch", "") == ["plain,bob", f"plain,{EVE}"]
    assert tab(alice, "admit", "eee", shell="fish") == [f"plain,{EVE}\teve: two"]
    alice.types("admit", EVE)
    assert tab(alice, "unadmit", "") == tab(alice, "unvouch", "e") == [f"plain,{EVE}"]
