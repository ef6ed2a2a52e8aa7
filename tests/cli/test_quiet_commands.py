"""Alice wants less: what her commands of muting and blocking send, answer and refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fake_node import BOB, NOW_MS, FakeNode
from terminal_scene import Alice

from p2pblog.commands.reading import Company
from p2pblog.config import MUTE_MS_MAX, MUTED_WORDS_CHARACTERS_MAX
from p2pblog.control.words import check_duration, check_words
from p2pblog.errors import UsageError
from p2pblog.pages import quiet as pages
from p2pblog.pages.values import NOBODY
from p2pblog.terminal import width

CAROL = "c" * 56

DAY_MS = 24 * 3_600_000


def test_what_is_meant_reaches_the_node_in_its_one_spelling(alice: Alice, node: FakeNode) -> None:
    alice.gets("mute", "bob", "--for", "7d")
    alice.gets("mute", "--tag", "#Bees")
    alice.gets("mute", "--word", "Pumpkin-Spice")
    alice.gets("unmute", "--word", "pumpkin SPICE")
    alice.gets("follow", BOB, "--no-boosts", "--budget", "3/Day", "--private")
    alice.gets("follow", BOB, "--boosts", "--budget", "none", "--public")

    plain = {"address": None, "tag": None, "word": None}
    assert node.calls[:4] == [
        ("mute", {**plain, "address": "bob", "lasting": "7d"}),
        ("mute", {**plain, "tag": "bees", "lasting": None}),
        ("mute", {**plain, "word": "pumpkin spice", "lasting": None}),
        ("unmute", {**plain, "word": "pumpkin spice"}),
    ]
    (_, strict), (_, lenient) = node.calls[4:]
    assert (strict["no_boosts"], strict["budget"], strict["private"]) == (True, "3/Day", True)
    assert (lenient["no_boosts"], lenient["budget"], lenient["private"]) == (False, "none", False)


def test_pages_say_what_was_done_and_what_stands(alice: Alice, node: FakeNode) -> None:
    assert alice.types("muted").stdout == "You have muted nobody and nothing.\n"
    assert alice.types("blocked").stdout == "You have blocked nobody.\n"
    assert alice.types("mute", BOB).stdout == f"Muted: (bbbbbbbb)\n  {BOB}\n"
    assert alice.types("mute", "--word", "a spoiler").stdout == 'Muted: the word "a spoiler"\n'
    assert alice.types("mute", "--tag", "bees").stdout == "Muted: #bees\n"
    rows = [text.split() for text in alice.types("muted").stdout.splitlines()]
    assert rows == [["KIND", "WHAT"], ["person", "(bbbbbbbb)"], [BOB], ["word", "a", "spoiler"], ["tag", "bees"]]
    assert alice.types("unmute", "--tag", "bees").stdout == "No longer muted: #bees\n"

    alice.gets("follow", BOB)
    assert alice.types("block", BOB).stdout == (
        f"Blocked: {BOB}\nNothing of theirs is kept here or passed on. You no longer follow them.\n"
    )
    assert alice.types("block", BOB).stdout.endswith("passed on.\n")
    head, whole = alice.types("blocked").stdout.splitlines()
    assert head.startswith("(bbbbbbbb)  ") and whole == f"  {BOB}"
    assert alice.types("unblock", BOB).stdout == f"No longer blocked: {BOB}\n"

    notice = node.add(muted=True)
    assert alice.types("why", notice["id"][:6]).stdout == (
        f"{notice['id'][:10]} does not show in your timeline:\n  you wrote it\n"
    )
    assert "muted" in alice.types("show", notice["id"]).stdout


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_whoever_is_muted_is_named_and_can_be_copied_however_narrow_the_terminal(
    alice: Alice, node: FakeNode, columns: int
) -> None:
    for address, petname, name in ((BOB, "bob", "Bobby"), (CAROL, None, "Carolina von und zu Hohenstauffen")):
        alice.types("follow", address, *(("--petname", petname) if petname else ()))
        node.follows[address]["name"] = name
    env = {"COLUMNS": str(columns)}

    told = alice.types("mute", CAROL, "--for", "1m", env=env).stdout.splitlines()
    assert told[0].startswith("Muted: Carolin") and told[0].endswith(" (cccccccc), for 1 min")
    assert told[1] == f"  {CAROL}"
    alice.types("mute", BOB)
    shown = alice.types("muted", env=env).stdout.splitlines()
    assert re.match(r"person  Carolin.* \(cccccccc\) +1 min$", shown[1])
    assert re.match(r"person  bob \((Bobby, )?bbbbbbbb\)$", shown[3])
    assert [shown[2], shown[4]] == [f"  {CAROL}", f"  {BOB}"]
    assert all(width(text) <= columns for text in (told[0], *shown[::2][:1], *shown[1::2]))
    assert alice.types("unmute", BOB).stdout.startswith("No longer muted: bob (Bobby, bbbbbbbb)\n")


def test_who_is_named_on_a_page_is_looked_up_among_the_follows_that_were_read_once() -> None:
    """Ten thousand may be admitted, and as many followed."""
    asked, walked = list[str](), list[None]()

    class Follows(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            walked.append(None)
            return super().__iter__()

    def ask(route: str, **arguments: str) -> Any:
        asked.append(route)
        return {"address": "a" * 56} if route == "id" else Follows([{"address": BOB}, {"address": CAROL}])

    session: Any = SimpleNamespace(ask=ask)
    assert Company(session).among([BOB, CAROL] * 50).others == {}
    assert (asked, len(walked)) == (["following", "id"], 1)


def test_why_says_first_whether_it_shows(alice: Alice, node: FakeNode) -> None:
    shown, hidden = node.add(), node.add(muted=True)
    page = alice.types("why", shown["id"]).stdout
    assert page == f"{shown['id'][:10]} shows in your timeline:\n  you wrote it\n"
    assert " does not show in your timeline:\n" in alice.types("why", hidden["id"]).stdout


def test_a_follow_tells_its_terms(alice: Alice, node: FakeNode) -> None:
    row = alice.types("follow", BOB, "--no-boosts", "--budget", "3/day", "--private").stdout.splitlines()[0]
    assert row.endswith("; no boosts; 3/day; private")
    assert "searching, no boosts, 3/day, private" in alice.types("following").stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["mute"], 2, "say one thing"),
        (["mute", "bob", "--tag", "bees"], 2, "say one thing"),
        (["unmute"], 2, "say one thing"),
        (["mute", "--tag", "two words"], 2, "a tag is one word"),
        (["mute", "--word", "..."], 2, "a word has letters"),
        (["mute", "--word", "x" * (MUTED_WORDS_CHARACTERS_MAX + 1)], 2, "at most 100"),
        (["mute", "bob", "--for", "soon"], 2, "a time is written 30m, 12h or 7d, from 1 minute to 366 days"),
        (["mute", "bob", "--for", "10s"], 2, "from 1 minute to 366 days"),
        (["mute", "bob", "--for", "0m"], 2, "a minute to 366 days"),
        (["mute", "\udcff"], 2, "not valid UTF-8"),
        (["follow", BOB, "--budget", "3/month"], 2, "a budget is"),
        (["follow", BOB, "--budget", "0/day"], 2, "a budget is"),
        (["unmute", "--tag", "bees"], 4, "you have not muted that"),
        (["unblock", BOB], 4, "you have not blocked"),
        (["why", "12345"], 2, "6 digits"),
        (["why", "5feceb66"], 4, "no notice"),
    ],
)
@pytest.mark.usefixtures("node")
def test_what_is_refused(alice: Alice, words: list[str], code: int, sentence: str) -> None:
    result = alice.types(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        ("1m", 60_000),
        ("90M", 90 * 60_000),
        (" 12h ", 12 * 3_600_000),
        ("7d", 7 * DAY_MS),
        ("365d", 365 * DAY_MS),
        ("366d", MUTE_MS_MAX),
        ("367d", None),
        ("8785h", None),
        ("0d", None),
        ("9" * 5_000 + "m", None),
        ("", None),
        ("d", None),
        ("-1d", None),
        ("1.5d", None),
        ("٣d", None),
        ("7", None),
        ("7w", None),
    ],
)
def test_a_time_is_minutes_hours_or_days(typed: str, length: int | None) -> None:
    if length is None:
        with pytest.raises(UsageError):
            check_duration(typed)
    else:
        assert check_duration(typed) == length


def test_a_word_has_a_length() -> None:
    longest = "x" * MUTED_WORDS_CHARACTERS_MAX
    assert check_words(longest) == longest and check_words(longest[1:]) == longest[1:]
    with pytest.raises(UsageError):
        check_words(longest + "x")


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (1, "1 min"),
        (-5, "1 min"),
        (60_001, "2 min"),
        (119 * 60_000, "119 min"),
        (120 * 60_000, "2 h"),
        (121 * 60_000, "3 h"),
        (47 * 3_600_000, "47 h"),
        (48 * 3_600_000 - 60_000, "48 h"),
        (48 * 3_600_000, "2 days"),
        (7 * DAY_MS - 1, "7 days"),
        (30 * DAY_MS, "30 days"),
        (30 * DAY_MS + 60_000, "31 days"),
    ],
)
def test_what_is_left_of_a_mute_is_told_roughly(ms: int, said: str) -> None:
    mute: Any = {"kind": "tag", "what": "bees\x1b[2J", "until": NOW_MS + ms}
    (text,) = ("".join(piece.text if hasattr(piece, "text") else piece for piece in each)
               for each in pages.mute_page(mute, True, NOBODY, NOW_MS, 80))  # fmt: skip
    assert text.endswith(f", for {said}") and "\x1b" not in text
