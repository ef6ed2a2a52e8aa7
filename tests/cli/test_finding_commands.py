"""What the commands answer that choose among notices: searches and lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_node import ALICE, BOB, FakeNode
from terminal_scene import Alice, a_follow, fields, lines_of

from p2pblog.control import documents
from p2pblog.errors import NotFound, UserError
from p2pblog.pages.news import notifications_page
from p2pblog.terminal import render

CAROL = "c" * 56


def test_a_search_shows_notices_and_says_aside_what_it_did_not_look_into(alice: Alice, node: FakeNode) -> None:
    node.add(text="honey bees")
    newest = node.add(text="bees")
    assert [row["text"] for row in alice.gets("search", "bees", "-n", "5")] == ["bees", "honey bees"]
    assert [list(row) for row in alice.gets("search", " honey", "bees ")] == [fields(documents.NoticeDocument)]
    assert "honey bees" in alice.types("search", "bees").stdout
    alice.gets("search", "--before", newest["id"], "--", "bees", "-wasps")
    assert node.calls[-1] == ("search", {"query": "bees -wasps", "limit": 20, "before": newest["id"]})
    assert alice.types("search", "wasps").stdout == "Nothing that is here fits.\n"
    assert alice.types("search", "wasps", "--before", newest["id"]).stdout == "Nothing older.\n"
    node.unread = 1_200
    result = alice.types("search", "honey", "--json")
    assert [row["text"] for row in json.loads(result.stdout)] == ["honey bees"]
    assert result.stderr == "1,200 entries came in too lately to be searched yet: ask again in a while.\n"


def test_lists_are_made_filled_and_read(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB)
    assert alice.types("lists").stdout.startswith("You have no lists.\nTry: ")
    assert alice.gets("list", "create", " tea ") == {"name": "tea", "members": 0}
    assert alice.types("list", "show", "tea").stdout == "Nobody is in it yet.\n"
    assert alice.gets("list", "add", "tea", BOB, ALICE) == {"name": "tea", "members": 2}
    assert node.calls[-1] == ("add_to_list", {"name": "tea", "addresses": [BOB, ALICE]})
    assert alice.types("list", "remove", "tea", ALICE).stdout == "Now: tea, 1 member\n"
    assert alice.gets("lists") == [{"name": "tea", "members": 1}]
    assert alice.types("lists").stdout.split() == ["NAME", "MEMBERS", "tea", "1"]
    assert alice.gets("list", "show", "tea") == {
        "name": "tea",
        "members": [{"address": BOB, "name": None, "petname": "bob"}],
    }
    assert alice.types("list", "show", "tea").stdout == f"bob ({BOB[:8]})\n  {BOB}\n"
    alice.gets("timeline", "--list", "tea", "-n", "3")
    assert node.calls[-1][1] == {"limit": 3, "before": None, "author": None, "tag": None, "of_list": "tea"}
    assert alice.types("timeline", "--list", "tea").stdout == "Nothing of theirs is here yet.\n"
    assert alice.types("list", "delete", "tea").stdout == "Deleted: tea, 1 member\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "create"], "missing argument 'NAME'"),
        (["list", "create", ""], "the list's name is empty"),
        (["list", "create", "x" * 51], "51 characters"),
        (["list", "create", "a\nb"], "more than one line"),
        (["list", "show", "\u202e"], "no visible character"),
        (["list", "add", "tea"], "missing argument 'ADDRESS...'"),
        (["list", "remove", "tea", "\udcff"], "not valid UTF-8"),
        (["timeline", "--list", "tea", "--author", "bob"], "do not go together"),
        (["timeline", "--list", ""], "the list's name is empty"),
        (["search"], "missing argument 'QUERY...'"),
        (["search", " "], "there is nothing to look for"),
        (["search", '"bees'], 'a " is opened and not closed'),
        (["search", "since:yesterday"], "since: takes a day like 2026-11-01"),
        (["search", "x" * 501], "501 characters"),
        (["search", "\udcff"], "not valid UTF-8"),
        (["search", "bees", "--before", "abc"], "6 digits"),
    ],
)
def test_wrong_words_are_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types(*words)

    assert (result.exit_code, result.stdout, node.calls) == (2, "", [])
    assert sentence.lower() in result.stderr.lower()


def test_a_poll_that_closed_reads_by_whose_it_is() -> None:
    bob = "bob" * 18 + "ab"
    ends: list[documents.NotificationDocument] = [
        {"id": "aa" * 32, "type": "poll", "from": bob, "name": None, "notice": "aa" * 32, "time": 0, "read": False},
        {"id": "bb" * 32, "type": "poll", "from": bob, "name": None, "notice": "cc" * 32, "time": 0, "read": True},
    ]
    page = notifications_page(ends, [a_follow(bob, petname="bob")], None, 120_000, 80, False, False)
    assert lines_of(page) == [
        "* Your poll aaaaaaaaaa has closed · 2 min ago",
        "  bob (bobbobbo) asked, and you voted: cccccccccc has closed · 2 min ago",
    ]


def test_a_full_page_says_what_shows_the_one_below(alice: Alice, node: FakeNode) -> None:
    """Of a like its line shows the notice alone."""
    for digit in "123":
        node.news.append(
            {"id": digit * 64, "type": "like", "from": BOB, "name": "bob", "notice": "5" * 64, "time": 1, "read": False}
        )

    assert "Older" not in alice.types("notifications", "-n", "4").stdout
    *_, below = alice.types("notifications", "-n", "2", "--unread").stdout.splitlines()
    assert below.startswith("Older: ") and below.endswith(" notifications --unread -n 2 --before 2222222222")


def test_what_is_read_is_told_and_is_all_that_came(alice: Alice, node: FakeNode) -> None:
    assert alice.types("notifications", "read").stdout == "Nothing was unread.\n"
    for number in (1, 2):
        news = {"id": f"{number}" * 64, "type": "like", "from": BOB, "name": "bob", "notice": "5" * 64, "time": 0}
        node.news.append({**news, "read": False})
    node.calls.clear()
    refused = alice.types("notifications", "--unread", "read")  # what is not shown would be marked too
    assert (refused.exit_code, node.calls) == (2, [])
    assert alice.types("notifications", "read").stdout == "2 notifications marked as read.\n"


def test_below_the_last_one_is_nothing_older(alice: Alice, node: FakeNode) -> None:
    assert render(notifications_page([], [], None, 0, 80, False, True), colour=False) == "Nothing older.\n"
    said = node.add()
    assert alice.types("bookmark", said["id"]).stdout == f"Bookmarked {said['id'][:10]}\n"
    assert alice.types("bookmarks", "--before", said["id"]).stdout == "Nothing older.\n"
    assert alice.types("unbookmark", said["id"]).stdout == f"No longer bookmarked: {said['id'][:10]}\n"
    assert alice.types("bookmarks").stdout == "You have no bookmarks.\n"


def test_who_deletes_is_told_what_that_can_not_do(alice: Alice, node: FakeNode) -> None:
    readable, forgotten = "it can be read until they ask again.", "Nobody can make a node forget it."
    said = alice.types("delete", node.add()["id"]).stderr
    assert readable in said and forgotten in said
    said = alice.types("delete", node.add(type="boost", boost_of=node.add()["id"])["id"]).stderr
    assert readable not in said and forgotten in said
    assert alice.types("delete", node.add()["id"], "--json").stderr == ""
    like = node.add()["id"]
    node.faults["show"] = NotFound("that is no notice")
    assert alice.types("delete", like).stderr == said


def test_a_quote_bears_the_warning_that_is_typed(alice: Alice, node: FakeNode) -> None:
    alice.gets("quote", node.add()["id"], "look", "--cw", "spoiler")
    assert node.calls[-1][1]["cw"] == "spoiler"


def test_silence_is_not_said_where_somebody_is_muted(alice: Alice, node: FakeNode) -> None:
    assert alice.types("notifications").stdout == "Nobody has said anything to you yet.\n"
    alice.types("mute", "--word", "bees")
    assert alice.types("notifications").stdout == "Nobody has said anything to you yet.\n"
    alice.types("mute", BOB)
    said, hint = alice.types("notifications").stdout.splitlines()
    assert said.endswith("perhaps, people whom you muted.") and hint.endswith(" muted")
    assert alice.types("notifications", "--unread").stdout == "Nothing new.\n"


def test_single_notices_of_one_person_are_told_of(alice: Alice, node: FakeNode) -> None:
    assert alice.types("timeline", "--author", BOB).stdout == "Nothing of theirs is here yet.\n"
    node.add("c" * 56, None, f"what the node finds for from:{BOB}")
    said, hint = alice.types("timeline", "--author", BOB).stdout.splitlines()
    assert said == "Only single notices of theirs are here."
    assert hint.endswith(f" search from:{BOB}")
    alice.gets("follow", BOB, "--petname", 'bo"b smith')
    for typed in ('bo"b smith', f"p2pblog:{BOB.upper()}"):
        assert alice.types("timeline", "--author", typed).stdout.endswith(f" search from:{BOB}\n")
    node.add("d" * 56, None, f'what the node finds for from:"p2pblog:{CAROL}"')
    link = f"p2pblog:{CAROL}"
    assert alice.types("timeline", "--author", link).stdout.endswith(f" search 'from:\"{link}\"'\n")


def test_a_direct_message_is_told() -> None:
    bob = "bob" * 18 + "ab"
    told: list[documents.NotificationDocument] = [
        {"id": "aa" * 32, "type": "dm", "from": bob, "name": None, "notice": "aa" * 32, "time": 0, "read": False},
        {"id": "bb" * 32, "type": "dm", "from": bob, "name": None, "notice": "bb" * 32, "time": 0, "read": False},
    ]
    page = notifications_page(told, [a_follow(bob, petname="bob")], None, 120_000, 80, False, False)
    assert lines_of(page) == [
        "* bob (bobbobbo) sent you a direct message, aaaaaaaaaa · 2 min ago",
        "* bob (bobbobbo) sent you a direct message, bbbbbbbbbb · 2 min ago",
    ]


A_REPLY: Any = {"id": "aa" * 32, "type": "reply", "notice": "bb" * 32, "time": 0, "read": False}


def test_a_notification_names_who_is_followed_within_its_line() -> None:
    bob, mallory, stranger = "bob" * 18 + "ab", "mal" * 18 + "ab", "str" * 18 + "ab"
    follows = [
        a_follow(bob, name="Robert von und zu Hohenstauffen-Wittelsbach", petname="a petname of some length"),
        a_follow(mallory, name="Robert", lookalike=bob),
    ]
    news: list[documents.NotificationDocument] = [
        {**A_REPLY, "from": who, "name": name}
        for who, name in ((bob, follows[0]["name"]), (mallory, "Robert"), (stranger, None))
    ]
    narrow, wide = (
        lines_of(notifications_page(news, follows, None, 120_000, columns, False, False)) for columns in (80, 120)
    )
    said = "answered your bbbbbbbbbb with aaaaaaaaaa · 2 min ago"
    assert wide == [
        f"* a petname of some… (Robert von und zu…, bobbobbo) {said}",
        f"* Robert (malmalma) ⚠ not a petname of so… (bobbobbo) {said}",
        f"* (strstrst) {said}",
    ]
    assert narrow == [f"* a petname of… (bobbobbo) {said}", *wide[1:]]  # no warning gives way


def test_a_mention_of_nobody_is_told_after_it_was_written(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB, "--petname", "bob")
    one = "@dave mentions nobody: it is no petname of yours."
    quoted = alice.gets("post", "@bob and you")["id"]
    for words in ("post", "hi @bob and @dave"), ("edit", quoted, "hi @dave"), ("quote", quoted, "see, @dave"):
        said, hint = alice.types(*words).stderr.splitlines()
        assert said == one
        assert hint.endswith(" follow ADDRESS --petname dave")
        assert alice.types(*words, "--json").stderr == ""
    many = alice.types("post", " ".join(f"@d{number}" for number in range(7))).stderr
    assert many.startswith("@d0, @d1, @d2, @d3, @d4, … mention nobody: they are no petnames of yours.\n")
    assert alice.types("post", "hello @bob").stderr == ""
    node.faults["following"] = UserError("too busy")
    assert alice.types("post", "hello @bob").stderr == ""  # of petnames that are not known nothing is said
    del node.faults["following"]
    node.calls.clear()
    alice.types("post", "no such sign")
    assert [name for name, _ in node.calls] == ["post"]


@pytest.mark.parametrize("words", [["like"], ["boost"], ["vote"]], ids=str)
def test_what_is_said_of_a_notice_says_whether_its_author_hears_of_it(
    alice: Alice, node: FakeNode, words: list[str]
) -> None:
    more = ["1"] if words == ["vote"] else []
    told = "Its author sees it if they follow you.\n"
    theirs, mine = node.add(BOB, "bob")["id"], node.add()["id"]
    passed_on, own_boost = node.add(BOB, "bob", type="boost", boost_of=mine), node.add(type="boost", boost_of=theirs)
    for notice, expected in ((theirs, told), (mine, ""), (passed_on["id"], ""), (own_boost["id"], told)):
        assert alice.types(*words, notice, *more).stderr == expected
    assert alice.types(*words, theirs, *more, "--json").stderr == ""
    alice.gets("follow", BOB)
    assert alice.types(*words, theirs, *more).stderr == ""
    node.faults["following"] = UserError("too busy")
    assert alice.types(*words, theirs, *more).stderr == ""


def test_who_writes_is_told_what_the_dht_can_not_carry(alice: Alice, node: FakeNode) -> None:
    too_long = "It is too long for the DHT: while you are offline, only nodes that follow you pass it on.\n"
    notice = node.add()["id"]
    for words in (["post"], ["edit", notice], ["quote", notice]):
        for text, told in (("x" * 700, ""), ("x" * 2_000, too_long)):
            assert alice.types(*words, text).stderr == told
            assert alice.types(*words, text, "--json").stderr == ""
    for words in (["--cw", "w" * 200], ["--poll", "tea", "--poll", "coffee"], []):
        node.calls.clear()
        alice.types("post", "x" * 100 if words else "x" * 101, *words)
        assert [name for name, _ in node.calls] == ["post", "entry"]
    node.faults["entry"] = UserError("too busy")
    assert alice.types("post", "x" * 2_000 + " @dave").stderr.startswith("@dave mentions nobody")


def test_a_stranger_is_named_and_compared_with_those_one_knows(alice: Alice, node: FakeNode) -> None:
    eve, mallory = "e" * 56, "m" * 56
    alice.gets("follow", BOB, "--petname", "bob")
    for who, name in ((eve, "eve"), (mallory, "B0b")):
        news = {"id": "aa" * 32, "type": "dm", "from": who, "name": name, "notice": "aa" * 32, "time": 0, "read": False}
        node.news.append(news)
    told = alice.types("notifications").stdout.splitlines()
    assert [line.partition(" sent you")[0] for line in told] == [
        "* eve (eeeeeeee)",
        f"* B0b (mmmmmmmm) ⚠ not bob ({BOB[:8]})",
    ]
    assert [list(row) for row in alice.gets("notifications")] == [fields(documents.NotificationDocument)] * 2
