"""What each command answers, and with which exit code: the contract that scripts rely on."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from fake_node import ALICE, BOB, FakeNode, an_id
from terminal_scene import Alice, fields

from p2pblog import cli, keyring
from p2pblog.control import api, documents
from p2pblog.core import address, keys
from p2pblog.errors import USER_ERRORS, UserError
from p2pblog.pages import people
from p2pblog.session import Session, _program

NEEDS_A_DAEMON = [
    ["status"],
    ["config"],
    ["config", "get", "store.max"],
    ["config", "set", "store.max", "2GB"],
    ["config", "unset", "store.max"],
    ["post", "hello"],
    ["edit", "5feceb66", "hello"],
    ["quote", "5feceb66", "hello"],
    ["notifications", "--unread"],
    ["vote", "5feceb66", "2"],
    ["pin", "5feceb66"],
    ["unpin", "5feceb66"],
    ["boost", "5feceb66"],
    ["like", "5feceb66"],
    ["unlike", "5feceb66"],
    ["bookmark", "5feceb66"],
    ["unbookmark", "5feceb66"],
    ["bookmarks"],
    ["dm"],
    ["dm", BOB, "hello"],
    ["unboost", "5feceb66"],
    ["delete", "5feceb66"],
    ["profile", "--name", "alice"],
    ["follow", BOB],
    ["unfollow", BOB],
    ["following"],
    ["invite"],
    ["mute", BOB],
    ["unmute", "--tag", "bees"],
    ["muted"],
    ["block", BOB],
    ["unblock", BOB],
    ["blocked"],
    ["why", "5feceb66"],
    ["admit", BOB],
    ["unadmit", BOB],
    ["admitted"],
    ["vouch", BOB],
    ["unvouch", BOB],
    ["timeline"],
    ["timeline", "-f"],
    ["lists"],
    ["list", "create", "tea"],
    ["list", "delete", "tea"],
    ["list", "add", "tea", BOB],
    ["list", "remove", "tea", BOB],
    ["list", "show", "tea"],
    ["groups"],
    ["group", "join", "birds"],
    ["group", "leave", "birds"],
    ["search", "hello"],
    ["show", "5feceb66"],
    ["media", "5feceb66"],
    ["thread", "5feceb66"],
    ["peers"],
    ["peer", "add", "127.0.0.1:4711"],
    ["entry", "5feceb66", "--raw"],
    ["export", "alice.zip"],
    ["import", "--from", "csv", __file__],
]
"""Every command of the contract that asks the daemon."""


# --- without a daemon -------------------------------------------------------------------------------------------------


def test_init_shows_the_words_once_and_a_second_one_changes_nothing(alice: Alice) -> None:
    made = alice.gets("init", "--name", " Alice ")
    before = alice.home.keys.read_bytes()
    again = alice.types("init", "--name", "mallory")

    assert list(made) == ["address", "name", "home", "recovery_words"]
    assert (made["name"], made["home"]) == ("Alice", str(alice.home.folder))
    root = keys.root_key(keys.entropy_of(made["recovery_words"]), 0)
    assert root == keyring.load(alice.home).root
    assert again.exit_code == 1
    assert "already" in again.stderr
    assert f"--home {alice.home.folder} id" in again.stderr
    assert alice.home.keys.read_bytes() == before


@pytest.mark.parametrize("columns", [40, 60, 64, 80])
def test_a_person_can_copy_all_words_from_the_page(alice: Alice, columns: int) -> None:
    page = alice.types("init", env={"COLUMNS": str(columns)}).stdout

    assert all(len(text) <= columns for text in page.splitlines() if re.search(r"[0-9]\. ", text))
    numbered = dict(re.findall(r"(\d+)\. ([a-z]+)", page))
    words = [numbered[str(number)] for number in range(1, 25)]
    assert keys.root_key(keys.entropy_of(words), 0) == keyring.load(alice.home).root
    assert f"--home {alice.home.folder} run" in page
    assert "No command takes these words yet." in page and f"--home {alice.home.folder} export FILE --secrets" in page


def test_id_works_without_a_daemon_and_agrees_with_it(alice: Alice, monkeypatch: pytest.MonkeyPatch) -> None:
    made = alice.gets("init", "--name", "alice")
    document = alice.gets("id")

    held = keyring.load(alice.home)
    assert list(document) == fields(documents.IdDocument)
    assert document == {
        "address": made["address"],
        "name": "alice",
        "device": held.device.public.hex(),
        "node": held.node.public.hex(),
        "uri": f"p2pblog:{made['address']}",
    }
    assert address.read_link(document["uri"].upper()).identity == held.inception.identity


@pytest.mark.usefixtures("node")
def test_id_asks_a_daemon_that_runs(alice: Alice) -> None:
    assert alice.gets("id")["address"] == ALICE


def test_id_reads_the_key_file_while_the_daemon_is_busy(alice: Alice, node: FakeNode) -> None:
    made = alice.gets("init")
    node.faults["id"] = UserError("the daemon is busy with other commands: try again")
    assert alice.gets("id")["address"] == made["address"] != ALICE


def test_no_identity_names_init(alice: Alice) -> None:
    for command in (["id"], ["post", "hello"]):
        result = alice.types(*command)
        assert result.exit_code == (1 if command == ["id"] else 3)
        assert f"--home {alice.home.folder} init" in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("words", NEEDS_A_DAEMON, ids=" ".join)
def test_no_daemon_is_3(alice: Alice, words: list[str]) -> None:
    alice.gets("init")
    for result in (alice.types(*words), alice.types("--json", *words)):
        assert result.exit_code == 3
        assert result.stdout == ""
        assert f"the daemon is not running in {alice.home.folder}.\n" in result.stderr
        assert f"--home {alice.home.folder} run" in result.stderr


def test_a_socket_left_by_kill_9_is_3(alice: Alice) -> None:
    alice.gets("init")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(alice.home.control))
        dead.listen()
    assert alice.types("status").exit_code == 3


def test_a_key_file_that_others_can_read_is_refused(alice: Alice) -> None:
    alice.gets("init")
    alice.home.keys.chmod(0o644)
    result = alice.types("id")
    assert result.exit_code == 1
    assert f"chmod 600 {alice.home.keys}" in result.stderr


# --- documents --------------------------------------------------------------------------------------------------------


def test_every_command_answers_its_document_wherever_json_stands(alice: Alice, node: FakeNode) -> None:
    node.add()
    expected: list[tuple[list[str], Any]] = [
        (["id"], documents.IdDocument),
        (["status"], documents.StatusDocument),
        (["post", "hello"], documents.WrittenDocument),
        (["vote", "5feceb66", "2"], documents.WrittenDocument),
        (["pin", "5feceb66"], documents.WrittenDocument),
        (["unpin", "5feceb66"], documents.WrittenDocument),
        (["boost", "5feceb66"], documents.WrittenDocument),
        (["like", "5feceb66"], documents.WrittenDocument),
        (["unlike", "5feceb66"], documents.WrittenDocument),
        (["unboost", "5feceb66"], documents.WrittenDocument),
        (["profile"], documents.ProfileDocument),
        (["follow", BOB], documents.FollowDocument),
        (["invite"], documents.InviteDocument),
        (["mute", "--tag", "bees"], documents.MuteDocument),
        (["block", "d" * 56], documents.NewBlockDocument),
        (["why", "5feceb66"], documents.WhyDocument),
        (["admit", BOB], documents.AdmittedDocument),
        (["vouch", BOB], documents.WrittenDocument),
        (["unvouch", BOB], documents.WrittenDocument),
        (["unadmit", BOB], documents.AdmittedDocument),
        (["show", "5feceb66"], documents.NoticeDocument),
        (["thread", "5feceb66"], documents.ThreadDocument),
        (["peer", "add", "127.0.0.1:4711"], documents.PeerDocument),
        (["entry", "5feceb66", "--raw"], documents.EntryDocument),
    ]
    for words, shape in expected:
        for spelled in (["--json", *words], [*words, "--json"], [words[0], "--json", *words[1:]]):
            result = alice.types(*spelled)
            assert result.exit_code == 0, result.output
            assert list(json.loads(result.stdout)) == fields(shape)


def test_lists_are_lists(alice: Alice, node: FakeNode) -> None:
    assert alice.gets("timeline") == alice.gets("following") == alice.gets("peers") == []
    node.add()
    alice.gets("follow", BOB, "--petname", "bob")
    alice.gets("peer", "add", "127.0.0.1:4711")

    assert [list(row) for row in alice.gets("timeline")] == [fields(documents.NoticeDocument)]
    assert [list(row) for row in alice.gets("following")] == [fields(documents.FollowDocument)]
    assert [list(row) for row in alice.gets("peers")] == [fields(documents.PeerDocument)]
    assert alice.gets("unfollow", "bob")["address"] == BOB
    assert alice.gets("following") == []


def test_arguments_reach_the_node_as_they_were_typed(alice: Alice, node: FakeNode) -> None:
    notice = node.add()
    alice.gets("post", "--reply-to", "5FECEB66", "--cw", " the end ", "--lang", "pt-BR", "  two\n lines ☼ ")
    alice.gets("timeline", "-n", "7", "--before", notice["id"], "--author", "bob", "--tag", "#Bees")
    alice.gets("profile", "--bio", "")
    alice.gets("follow", BOB, "--petname", "")

    unsaid = {"no_boosts": None, "budget": None, "private": None}
    nothing, no_pictures = {"poll": None, "closes": None}, {"avatar": None, "banner": None}
    assert node.calls == [
        ("post", {"text": "  two\n lines ☼ ", "reply_to": "5feceb66", "cw": "the end", "lang": "pt-BR", **nothing}),
        ("timeline", {"limit": 7, "before": notice["id"], "author": "bob", "tag": "bees", "of_list": None}),
        ("profile", {"name": None, "bio": "", "links": None, "address": None, **no_pictures}),
        ("follow", {"address": BOB, "petname": "", **unsaid}),
    ]


def test_timeline_shows_20_unless_told(alice: Alice, node: FakeNode) -> None:
    for number in range(30):
        node.add(text=str(number))

    assert [notice["text"] for notice in alice.gets("timeline")] == [str(number) for number in range(29, 9, -1)]
    assert len(alice.gets("timeline", "-n", "1000")) == 30
    assert [notice["text"] for notice in alice.gets("timeline", "--before", an_id(2))] == ["1", "0"]


@pytest.mark.parametrize(
    ("typed", "posted"),
    [
        (b"hello\n", "hello"),
        (b"hello", "hello"),
        (b"hello\n\n", "hello\n"),
        (b"hello\r\n", "hello\r"),
        (b" a\n\n b\n", " a\n\n b"),
        ("☼\n".encode(), "☼"),
        (b"x" * 5000 + b"\n", "x" * 5000),
    ],
)
def test_post_reads_stdin_and_drops_one_final_newline(alice: Alice, node: FakeNode, typed: bytes, posted: str) -> None:
    alice.gets("post", "-", stdin=typed)
    (call,) = node.calls
    assert call[1].pop("text") == posted
    assert call == ("post", dict.fromkeys(("reply_to", "cw", "lang", "poll", "closes")))


def test_a_text_like_an_option_is_posted_after_two_dashes(alice: Alice, node: FakeNode) -> None:
    alice.gets("post", "--", "--json")
    assert node.notices[0]["text"] == "--json"


# --- what a page adds -------------------------------------------------------------------------------------------------


def test_a_page_calls_people_as_the_reader_does_and_says_whose_words_a_boost_shows(
    alice: Alice, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    alice.gets("follow", BOB, "--petname", "robert")
    theirs = node.add(author=BOB, name="bob", text="theirs")
    node.add(type="boost", text="theirs", boost_of=theirs["id"])
    lost = node.add(author=BOB, name="bob", type="boost", text="", boost_of=an_id(99))

    page = alice.types("timeline", "-n", "2").stdout.splitlines()  # the boosted notice is not on the page itself
    assert page[0].startswith(f"robert (bob, bbbbbbbb) · boosted {an_id(99)[:10]} · ")
    assert page[1] == "  (not here: deleted, or not fetched yet)"
    assert page[3].startswith("alice (aaaaaaaa) boosted robert (bbbbbbbb) · ")
    assert page[4:] == ["  theirs", f"  boost of {theirs['id'][:10]}"]
    assert all(len(text) <= 80 for text in page)
    for words in (["show", theirs["id"]], ["thread", theirs["id"]]):
        assert alice.types(*words).stdout.startswith("robert (bob, bbbbbbbb) · ")

    node.calls.clear()
    assert [row["boost_of"] for row in alice.gets("timeline", "-n", "2")] == [lost["boost_of"], theirs["id"]]
    assert [route for route, _ in node.calls] == ["timeline"]  # a document needs none of it
    node.faults["following"] = node.faults["show"] = UserError("not now")
    assert alice.types("timeline", "-n", "2").stdout.count("· boosted ") == 2  # nor does a page fail for want of it


def test_an_empty_page_says_why(alice: Alice, node: FakeNode) -> None:
    node.peer_rows.append({})
    hint = f"Try: {Session().command} --home {alice.home.folder} follow ADDRESS\n"
    assert alice.types("timeline").stdout == f"Nothing here yet. Post something, or follow somebody.\n{hint}"
    assert alice.types("following").stdout == f"You follow nobody yet.\n{hint}"
    alice.gets("follow", BOB)
    assert alice.types("timeline").stdout.startswith("You follow (bbbbbbbb), and nothing of theirs has come")
    notice = node.add()
    assert alice.types("timeline", "--before", notice["id"]).stdout == "Nothing older.\n"
    assert alice.types("timeline", "--author", BOB).stdout == "Nothing of theirs is here yet.\n"
    assert alice.gets("timeline", "--before", notice["id"]) == []


def test_who_is_linked_with_nobody_is_told_what_to_do(alice: Alice, node: FakeNode) -> None:
    alone = "Your node is linked with no other yet. Take somebody's invitation, or name a node to begin with.\n"
    alone += f"Try: {Session().command} --home {alice.home.folder} peer add HOST:PORT\n"
    asked = (["timeline"], ["status"], ["peers"], ["follow", BOB])
    assert [alice.types(*words).stdout.endswith(alone) for words in asked] == [True] * len(asked)
    node.calls.clear()
    assert alice.gets("timeline") == alice.gets("peers") == []
    assert [route for route, _ in node.calls] == ["timeline", "peers"]

    alice.gets("peer", "add", "192.0.2.1:4711")
    assert [alone in alice.types(*words).stdout for words in asked] == [False] * len(asked)


def test_likes_boosts_and_deletes_say_which_notice_was_meant(alice: Alice, node: FakeNode) -> None:
    first = node.add()["id"][:10]
    assert alice.types("like", first[:6]).stdout == f"Liked {first} (entry {first}; unlike takes it back)\n"
    boost = an_id(1)[:10]
    assert alice.types("boost", first).stdout == f"Boosted {first} (entry {boost}; unboost takes it back)\n"
    assert alice.types("like", boost).stdout.startswith(f"Liked {first} ")  # a boost stands for what it boosts
    assert alice.types("delete", boost[:6]).stdout == f"Deleted {boost} (entry {boost})\n"
    assert alice.types("delete", boost).exit_code == 4
    assert alice.types("unlike", first).stdout.startswith(f"Took back your like of {first} (entry ")
    assert alice.types("unboost", first).stdout.startswith(f"Took back your boost of {first} (entry ")
    node.calls.clear()
    alice.gets("like", first)
    assert [route for route, _ in node.calls] == ["like"]


@pytest.mark.usefixtures("node")
def test_an_invitation_that_leads_nowhere_else_says_so(alice: Alice) -> None:
    link = alice.gets("invite")["uri"]
    told = alice.types("invite")
    assert told.stdout == f"{link}\n"  # for `follow "$(p2pblog invite)"`
    assert told.stderr == "This link works on this machine only.\n"


def test_of_two_commands_that_help_each_has_a_line(alice: Alice, node: FakeNode) -> None:
    node.faults["status"] = UserError("it is late", "pip install sleep\np2pblog peers")
    helps = f"{Session().command} --home {alice.home.folder} peers"
    assert alice.types("status").stderr == f"p2pblog: it is late.\nTry: pip install sleep\nTry: {helps}\n"


def test_a_question_keeps_its_mark(alice: Alice) -> None:
    result = alice.types("pots")
    assert result.exit_code == 2
    assert "?." not in result.stderr
    assert result.stderr.splitlines()[0].startswith("p2pblog: no such command 'pots'")


@pytest.mark.parametrize(("words", "is_told"), [([], True), (["--name", "alice"], False)])
def test_who_begins_without_a_name_is_told_how_to_take_one(alice: Alice, words: list[str], is_told: bool) -> None:
    page = alice.types("init", *words).stdout
    assert (f"--home {alice.home.folder} profile --name NICK" in page) == is_told


def test_a_word_that_is_nearly_a_command_is_told_which(alice: Alice) -> None:
    result = alice.types("timelin", "-n", "5")
    assert (result.exit_code, result.stdout) == (2, "")
    helps = f"{Session().command} --home {alice.home.folder} timeline"
    assert result.stderr == f"p2pblog: no such command 'timelin'.\nTry: {helps}\n"
    assert alice.types("xyzzy").stderr.endswith(" --help\n")


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["post"], "missing argument 'TEXT'"),
        (["post", ""], "an empty notice"),
        (["post", " \n"], "an empty notice"),
        (["post", "\u202e"], "the text has no visible character"),
        (["post", "\u200b \u3164\n\ufe0f"], "the text has no visible character"),
        (["follow", BOB, "--petname", "\u200b"], "the petname has no visible character"),
        (["profile", "--name", "\u202e"], "the name has no visible character"),
        (["post", "two", "words"], "unexpected extra argument"),
        (["post", "x" * 5001], "5,001 characters"),
        (["post", "☼" * 5000 + "x"], "5,001 characters"),
        (["post", "\U0001f41d" * 4000], "16,000 bytes"),
        (["post", "\udcff"], "the text is not valid UTF-8"),
        (["post", "hello", "--reply-to", "5fece"], "6 digits, and this has 5"),
        (["post", "hello", "--reply-to", "xyzxyz"], "hexadecimal"),
        (["show", ""], "hexadecimal"),
        (["show", "5feceb6٣"], "hexadecimal"),
        (["show", "a" * 65], "hexadecimal"),
        (["like", "\udcff"], "not valid UTF-8"),
        (["boost", "5f-eb66"], "hexadecimal"),
        (["thread", "12345"], "6 digits"),
        (["entry", "12345"], "6 digits"),
        (["delete"], "missing argument 'ID'"),
        (["timeline", "-n", "0"], "-n takes a number from 1 to 1000"),
        (["timeline", "-n", "1001"], "-n takes a number from 1 to 1000"),
        (["timeline", "-n", "many"], "-n takes a number from 1 to 1000"),
        (["timeline", "--before", "abc"], "6 digits"),
        (["timeline", "-f", "--before", "5feceb66"], "do not go together"),
        (["follow", "mistyped"], "56 characters"),
        (["follow", "\udcff"], "not valid UTF-8"),
        (["follow", BOB, "--petname", " "], "the petname is empty"),
        (["follow", BOB, "--petname", "x" * 51], "51 characters"),
        (["follow", BOB, "--petname", "P2PBLOG:x"], "must not look like an address"),
        (["follow", BOB, "--petname", "a\nb"], "control characters"),
        (["profile", "--name", "\x1b[31m"], "control characters"),
        (["profile", "--name", "x" * 51], "51 characters"),
        (["profile", "--bio", "x" * 1001], "1,001 characters"),
        (["peer", "add", "nowhere"], "HOST:PORT"),
        (["nothing"], "no such command 'nothing'"),
        (["post", "--colour", "red", "hello"], "no such option"),
        (["run", "--bootstrap", "\udcff"], "not valid UTF-8"),
        ([], "missing command"),
        (["peer"], "Usage: p2pblog peer"),
    ],
)
def test_wrong_words_are_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    node.add()
    result = alice.types(*words)

    assert result.exit_code == 2
    assert sentence.lower() in result.stderr.lower()
    assert result.stdout == ""
    assert len(node.notices) == 1


@pytest.mark.parametrize("words", [["post", "hi", "--media"], ["post", "hi", "--reply-to"], ["sim", "run", "--seed"]])
def test_an_option_without_its_value_names_the_help_of_its_command(alice: Alice, words: list[str]) -> None:
    told = alice.types(*words)
    command = " ".join(word for word in words[:-1] if word != "hi")
    assert told.exit_code == 2
    assert told.stderr.endswith(f" {command} --help\n")


@pytest.mark.parametrize("typed", [b"", b"\n", b"\xff\xfe\n", b"x" * 5001, b"x" * 10_000_000, "é".encode()[:1]])
def test_a_wrong_standard_input_is_2(alice: Alice, node: FakeNode, typed: bytes) -> None:
    assert alice.types("post", "-", stdin=typed).exit_code == 2
    assert node.calls == []


def test_not_found_is_4_and_somebody_elses_is_5_and_no_answer_is_6(alice: Alice, node: FakeNode) -> None:
    node.add(author=BOB)
    for code, words in (
        (4, ["show", "ffffff"]),
        (4, ["unfollow", "nobody"]),
        (5, ["delete", "5feceb66"]),
        (6, ["peer", "add", "127.0.0.1:1"]),
    ):
        result = alice.types("--json", *words)
        assert result.exit_code == code
        assert result.stdout == ""
        assert re.fullmatch(r"p2pblog: [^\n]+\.\n", result.stderr)


@pytest.mark.parametrize("code", USER_ERRORS)
def test_every_error_of_the_node_is_one_sentence_and_a_command(alice: Alice, node: FakeNode, code: int) -> None:
    node.faults["status"] = USER_ERRORS[code]("something \x1b[2J happened.", "p2pblog peers")
    result = alice.types("status")

    assert result.exit_code == code
    helps = f"{Session().command} --home {alice.home.folder} peers"
    assert result.stderr == f"p2pblog: something  happened.\nTry: {helps}\n"


def test_a_bug_of_ours_is_1_and_no_traceback(alice: Alice, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("\x1b[2J")

    node.faults["status"] = ZeroDivisionError("inside")
    assert alice.types("status").stderr == "p2pblog: internal error: the daemon's log says more.\n"

    monkeypatch.setattr(people, "following_page", broken)
    result = alice.types("following")
    assert result.exit_code == 1
    assert result.stderr.startswith("p2pblog: internal error (ZeroDivisionError)")

    from click.testing import CliRunner

    words = ["--home", str(alice.home.folder), "following"]
    shown = CliRunner().invoke(cli.main, words, env={"P2PBLOG_DEBUG": "1"})
    assert "Traceback" in shown.stderr
    assert "\x1b" not in shown.stderr


@pytest.mark.parametrize("folder", ["", "~nobody-of-this-name/x"])
def test_a_home_that_cannot_be_is_2(folder: str) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli.main, ["--home", folder, "status"])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_home_that_is_a_file_is_1(alice: Alice, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    alice.home = type(alice.home)(file)
    assert alice.types("init").exit_code == 1
    assert alice.types("id").exit_code == 1
    assert alice.types("status").exit_code == 3


# --- how it was called ------------------------------------------------------------------------------------------------


def test_hints_can_be_typed_as_they_stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "p2pblog").write_text("#!/bin/sh\n")
    (tmp_path / "p2pblog").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert _program(str(tmp_path / "p2pblog")) == "p2pblog"
    assert _program(".venv/bin/p2pblog") == ".venv/bin/p2pblog"
    assert _program("/some where/p2pblog") == "'/some where/p2pblog'"
    assert _program("/x/p2pblog/__main__.py") == f"{sys.executable} -m p2pblog"

    session = Session()
    monkeypatch.setattr(sys, "argv", [".venv/bin/p2pblog"])
    monkeypatch.delenv("P2PBLOG_HOME", raising=False)
    assert session.command == ".venv/bin/p2pblog"
    monkeypatch.setenv("P2PBLOG_HOME", "/my home")
    assert session.command == ".venv/bin/p2pblog --home '/my home'"
    session.folder = "other"
    assert session.command == ".venv/bin/p2pblog --home other"


def all_commands() -> list[str]:
    return cli.main.list_commands(click.Context(cli.main))


def commands() -> list[list[str]]:
    """Every command by its words, groups and what is in them."""

    def walk(found: click.Command, words: list[str]) -> Iterator[list[str]]:
        yield words
        if isinstance(found, click.Group):
            context = click.Context(found)
            for name in found.list_commands(context):
                within = found.get_command(context, name)
                assert within is not None
                yield from walk(within, [*words, name])

    return [words for words in walk(cli.main, []) if words]


def test_the_contracts_commands_are_all_there() -> None:
    alone = {"init", "run", "id", "check", "completion", "sim"}
    assert {words[0] for words in NEEDS_A_DAEMON} | alone == set(all_commands())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_has_an_example_that_calls_the_command(alice: Alice, words: list[str]) -> None:
    result = alice.types(*words, "--help")

    assert result.exit_code == 0
    _, _, example = result.stdout.partition("Example:")
    assert f"p2pblog {' '.join(words)}" in example
    assert "--json" in result.stdout


@pytest.mark.parametrize("words", [[], *commands()], ids=" ".join)
def test_a_help_page_fits_a_terminal_of_80_columns(alice: Alice, words: list[str]) -> None:
    """Of which click takes two less. What a list says of a command, up to the first full stop, is cut if it is longer;
    a block that is not wrapped would run on."""
    page = alice.types(*words, "--help", columns=80 - 2).stdout.splitlines()
    assert not [line for line in page if len(line) > 80 - 2]
    assert not [line for line in page if line.endswith("...") and not line.startswith("Usage:")]


def test_the_manual_names_every_command_field_and_exit_code() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()

    for words in commands():
        assert f"p2pblog {' '.join(words)}" in manual
    shapes = [shape for name, shape in vars(api).items() if name.endswith("Document") and name != "ErrorDocument"]
    for field in {field for shape in shapes for field in fields(shape)}:
        assert f'"{field}"' in manual, field
    for code in USER_ERRORS:
        assert f"| {code} |" in manual
