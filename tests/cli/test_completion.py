"""Alice presses Tab: her shell asks for words, as click's protocol has it, and puts them into her command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from fake_node import BOB, FakeNode, an_id
from terminal_scene import Alice

from p2pblog.cli import main
from p2pblog.commands.completing import NOTICES_MAX, SHELLS, is_plain
from p2pblog.errors import UserError

CAROL, DAVE = "c" * 56, "d" * 56


def tab(alice: Alice, *words: str, shell: str = "bash", home: bool = True, **more: str) -> list[str]:
    """The lines that a shell gets for the last of the words, in a process of its own."""
    typed = ["p2pblog", *(("--home", str(alice.home.folder)) if home else ()), *words]
    asked = {"_P2PBLOG_COMPLETE": f"{shell}_complete", "COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(typed) - 1)}
    if shell == "fish":
        asked["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [sys.executable, "-m", "p2pblog"],
        env={**os.environ, **asked, **more},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [text for text in done.stdout.split("\n") if text]


@pytest.fixture
def friends(alice: Alice, node: FakeNode) -> FakeNode:
    """Alice follows bob, a person with a petname that no shell would leave alone, and one with none."""
    for address, petname, name in ((BOB, "bob", "Bobby"), (CAROL, "$(reboot); c *", "carol"), (DAVE, None, "dave")):
        alice.types("follow", address, *(("--petname", petname) if petname else ()))
        node.follows[address]["name"] = name
    return node


@pytest.mark.parametrize(
    "words",
    [["follow"], ["unfollow"], ["timeline", "--author"], ["dm"], ["dm", "bob"], ["mute"], ["block"], ["profile"],
     ["list", "add", "tea"], ["list", "add", "tea", "bob"]],
)  # fmt: skip
def test_an_address_is_completed_by_petname_or_address(alice: Alice, friends: FakeNode, words: list[str]) -> None:
    assert tab(alice, *words, "") == ["plain,bob", f"plain,{CAROL}", f"plain,{DAVE}"]
    assert tab(alice, *words, "bo") == ["plain,bob"]
    assert tab(alice, *words, "bbb") == [f"plain,{BOB}"]
    assert tab(alice, *words, "x") == []
    assert tab(alice, *words, "'$(re") == []


MORE_NOTICES = (
    ["post", "hi", "--reply-to"],
    *([each] for each in ("edit", "quote", "vote", "pin", "why")),
    ["timeline", "--before"],
    ["search", "bees", "--before"],
)


def test_the_last_ids_are_offered_with_their_texts(alice: Alice, node: FakeNode) -> None:
    for number in range(NOTICES_MAX + 5):
        node.add(BOB, "bob", f"notice {number}")
    ids = [an_id(number)[:10] for number in range(NOTICES_MAX + 4, 4, -1)]

    for words in (["show"], ["like"], ["thread"], ["entry"], ["delete"], *MORE_NOTICES):
        assert tab(alice, *words, "") == [f"plain,{each}" for each in ids]
    assert node.calls[-1] == (
        "timeline",
        {"limit": NOTICES_MAX, "before": None, "author": None, "tag": None, "of_list": None},
    )
    assert tab(alice, "show", an_id(20)[:12]) == [f"plain,{an_id(20)[:12]}"]
    assert tab(alice, "show", ids[0][:3], shell="zsh")[:3] == ["plain", ids[0], "bob: notice 24"]
    assert tab(alice, "show", ids[0], shell="fish") == [f"plain,{ids[0]}\tbob: notice 24"]


def test_bookmarks_are_offered_where_they_are_meant(alice: Alice, node: FakeNode) -> None:
    node.add(text="one")
    node.bookmarked.append(node.add(text="two"))

    assert tab(alice, "unbookmark", "") == tab(alice, "bookmarks", "--before", "") == [f"plain,{an_id(1)[:10]}"]


def test_what_can_be_undone_is_offered(alice: Alice, friends: FakeNode) -> None:
    alice.types("pin", friends.add(text="one")["id"])
    for words in (["mute", "bob"], ["mute", "e" * 56], ["mute", "--word", "spoiler"], ["block", CAROL]):
        assert alice.types(*words).exit_code == 0

    assert tab(alice, "unpin", "") == [f"plain,{an_id(0)[:10]}"]
    assert tab(alice, "unmute", "") == ["plain,bob", f"plain,{'e' * 56}"]
    assert tab(alice, "unblock", "") == [f"plain,{CAROL}"]


def test_where_nobody_is_muted_nobody_is_asked_for(alice: Alice, friends: FakeNode) -> None:
    """A node that does not answer is waited for once."""
    assert tab(alice, "unmute", "") == []
    assert friends.calls[-1][0] == "muted", "and nobody asks whom one follows"


def test_lists_and_who_is_in_one_are_offered(alice: Alice, friends: FakeNode) -> None:
    for words in (["create", "tea"], ["create", "my friends"], ["add", "tea", "bob"]):
        assert alice.types("list", *words).exit_code == 0

    for words in (["list", "add"], ["list", "remove"], ["list", "show"], ["list", "delete"], ["timeline", "--list"]):
        assert tab(alice, *words, "") == ["plain,tea"]
    assert tab(alice, "list", "remove", "tea", "") == ["plain,bob"]
    assert tab(alice, "list", "remove", "no", "") == []


def test_direct_messages_notifications_and_files_are_offered(alice: Alice, node: FakeNode) -> None:
    like = {"id": "5" * 64, "type": "like", "from": BOB, "notice": "6" * 64, "time": 1, "read": False}
    node.news.append({**like, "name": "bob"})
    file = node.file(b"hello", {"name": "hello.txt", "alt": "a word"})
    node.add(media=[file])
    sent = alice.gets("dm", BOB, "Tea at five?")["id"][:10]

    assert tab(alice, "dm", "--before", "", shell="zsh") == ["plain", sent, "Tea at five?"]
    assert tab(alice, "notifications", "--before", "", shell="zsh") == ["plain", "5" * 10, "like: bob"]
    assert tab(alice, "media", "", shell="zsh") == ["plain", file["hash"][:10], "hello.txt: a word"]


def test_what_is_behind_a_warning_stands_beside_no_word(alice: Alice, node: FakeNode) -> None:
    file = node.file(b"hello", {"name": "butler.txt", "alt": "the butler"})
    warned = node.add(BOB, "bob", "the butler", cw="the end", media=[file])
    node.waiting = [warned]

    assert tab(alice, "show", "", shell="zsh") == ["plain", warned["id"][:10], "bob: CW: the end"]
    assert tab(alice, "admit", "", shell="zsh") == ["plain", BOB, "bob: CW: the end"]
    assert tab(alice, "media", "", shell="zsh") == ["plain", file["hash"][:10], "CW: the end"]


def test_words_that_are_always_the_same_are_offered_without_a_daemon(alice: Alice) -> None:
    for words in ("get", "set", "unset"):
        assert tab(alice, "config", words, "") == ["plain,files.max", "plain,store.max"]
    assert tab(alice, "import", "--from", "") == ["plain,mastodon", "plain,csv"]
    assert tab(alice, "completion", "z") == ["plain,zsh"]


def test_what_others_wrote_can_neither_draw_nor_add_words(alice: Alice, node: FakeNode) -> None:
    node.add(BOB, "b\x1b[2Jb\nplain", "one\nplain\nevil\x1b]0;x\x07 \u202e two " + "long " * 99)
    node.add(BOB, "bob", "the end: the butler", cw="spoilers\x1b[0m")

    shown = tab(alice, "show", "", shell="zsh")

    assert len(shown) == 6
    assert shown[::3] == ["plain", "plain"]
    assert shown[2] == "bob: CW: spoilers"
    assert all(text.isprintable() and len(text) <= 61 for text in shown)
    assert "\x1b" not in "".join(shown) and "\u202e" not in "".join(shown)


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_daemon_nothing_is_offered_and_nothing_said(alice: Alice, shell: str) -> None:
    began = time.monotonic()
    assert tab(alice, "unfollow", "b", shell=shell) == []
    assert tab(alice, "show", "", shell=shell) == []
    assert tab(alice, "--home", "~nobody-there/x", "show", "", shell=shell, home=False) == []
    assert time.monotonic() - began < 20


def test_an_error_of_the_daemon_is_nothing_too(alice: Alice, node: FakeNode) -> None:
    node.faults |= {"following": UserError("no"), "timeline": ZeroDivisionError()}

    assert tab(alice, "unfollow", "") == tab(alice, "show", "") == []


@pytest.mark.parametrize(
    "words",
    [["post", "hi", "--media"], ["media", "5feceb66", "--save"], ["export"], ["import"], ["profile", "--avatar"],
     ["profile", "--banner"], ["sim", "run"]],
)  # fmt: skip
def test_the_shell_is_left_to_complete_a_file(alice: Alice, words: list[str]) -> None:
    assert tab(alice, *words, "pic") == ["file,pic"]


@pytest.mark.parametrize(
    "words", [["--home"], ["sim", "plot"], ["sim", "compare"], ["sim", "compare", "a"], ["sim", "run", "x", "--out"]]
)
def test_the_shell_is_left_to_complete_a_folder(alice: Alice, words: list[str]) -> None:
    assert tab(alice, *words, "res") == ["dir,res"]


def places_without_offers(group: click.Group, *path: str) -> Iterator[str]:
    """Every parameter of every command that takes a file or a folder, and offers none."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        for each in found.params:
            if each.metavar in ("FILE", "DIR") and each._custom_shell_complete is None:
                yield " ".join((*path, name, each.name or ""))
        if isinstance(found, click.Group):
            yield from places_without_offers(found, *path, name)


def test_no_file_and_no_folder_is_forgotten() -> None:
    assert list(places_without_offers(main)) == []


def test_scenarios_are_offered(alice: Alice) -> None:
    assert tab(alice, "sim", "run", "stead") == ["plain,steady"]


def test_commands_are_offered(alice: Alice) -> None:
    assert tab(alice, "book") == ["plain,bookmark", "plain,bookmarks"]
    assert tab(alice, "completion", "--j") == ["plain,--json"]


@pytest.mark.parametrize("word", ["bob", "b.o_b-2+", "日本", "हिन्दी", "Zoë", "bob\u0301"[:3]])
def test_a_plain_word_means_itself(word: str) -> None:
    assert is_plain(word)


@pytest.mark.parametrize(
    "word",
    ["", "-n", ".", "+x", "a b", "a;b", "$HOME", "`id`", "a'b", 'a"b', "a\\b", "a*", "a?", "[a]", "{a,b}", "~a", "a=b",
     "a:b", "a@b", "a,b", "a&", "a|b", "<a", "(a)", "a!", "#a", "a%", "a^", "a/b", "a\nb", "a\u200bb", "\u202ea",
     "a\x1b", "a\u00a0b", "a\u2028b", "\U0001f600"],
)  # fmt: skip
def test_other_words_do_not(word: str) -> None:
    assert not is_plain(word)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_for_this_program(alice: Alice, shell: str) -> None:
    document = alice.gets("completion", shell)

    assert document["shell"] == shell
    assert "_P2PBLOG_COMPLETE" in document["script"]
    assert alice.types("completion", shell).stdout.split() == document["script"].split()


def test_there_is_no_script_for_another_shell(alice: Alice) -> None:
    result = alice.types("completion", "tcsh")

    assert result.exit_code == 2
    assert "bash, zsh and fish" in result.stderr


def test_bash_puts_the_words_into_the_line(alice: Alice, friends: FakeNode, tmp_path: Path) -> None:
    program = tmp_path / "p2pblog"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m p2pblog "$@"\n')
    program.chmod(0o700)
    (tmp_path / "script").write_text(alice.types("completion", "bash").stdout)
    scene = f"""
        source {tmp_path}/script 2> /dev/null
        COMP_WORDS=(p2pblog --home {alice.home.folder} unfollow "") COMP_CWORD=4
        _p2pblog_completion {program}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", scene], capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["bob", CAROL, DAVE]


def test_those_who_are_followed_are_told_apart_by_what_stands_beside_them(alice: Alice, friends: FakeNode) -> None:
    shown = tab(alice, "unfollow", "", shell="zsh")

    assert shown == [
        *("plain", "bob", f"Bobby: {BOB}"[:59] + "…"),
        *("plain", CAROL, "$(reboot); c *"),
        *("plain", DAVE, "dave"),
    ]


def test_a_terminal_of_few_characters_is_offered_what_it_can_show(alice: Alice, friends: FakeNode) -> None:
    friends.follows[BOB]["petname"] = "日本"
    friends.add(BOB, "bob", "naïve – 日本")

    assert tab(alice, "unfollow", "", PYTHONIOENCODING="ascii")[0] == f"plain,{BOB}"
    assert tab(alice, "show", "", shell="zsh", PYTHONIOENCODING="ascii")[2] == "bob: na?ve ? ??"
