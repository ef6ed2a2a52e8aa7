"""Polls on the command line: how they are asked, how a vote is said, and what a page draws."""

from __future__ import annotations

from typing import Any

import pytest
from fake_node import BOB, NOW_MS, FakeNode, a_poll, an_id
from terminal_scene import Alice, lines_of

from p2pblog.config import POLL_OPTION_CHARACTERS_MAX, POLL_OPTIONS_MAX
from p2pblog.errors import NotFound, NotPermitted, UsageError
from p2pblog.pages import notices, polls
from p2pblog.terminal import width

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def drawn(poll: dict[str, Any], columns: int = 80) -> list[str]:
    """The lines of the poll itself, without the head and the text of its notice."""
    notice: Any = {**FakeNode().add(text="What to drink?"), "poll": poll}
    page = lines_of(notices.notice_lines(notice, NOW_MS, columns))
    assert page[1] == "  What to drink?"
    return page[2:]


def test_a_poll_is_asked_and_answered(alice: Alice, node: FakeNode) -> None:
    written = alice.gets("post", "What to drink?", "--poll", " tea ", "--poll", "coffee", "--closes", "90min")
    call = node.calls[-1][1]
    assert (call["poll"], call["closes"]) == (["tea", "coffee"], "90min")
    said = alice.types("vote", written["id"][:10].upper(), "2").stdout
    assert said == f"Voted 2 in {written['id'][:10]} (entry {written['id'][:10]}; delete takes it back)\n"
    assert node.calls[-1] == ("vote", {"notice": written["id"][:10], "choice": 2})
    assert alice.gets("show", written["id"])["poll"]["options"] == [
        {"text": "tea", "votes": 0},
        {"text": "coffee", "votes": 0},
    ]
    assert "  1. tea " in alice.types("show", written["id"]).stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--poll", "one"], "2 to 10 options, and this has 1"),
        ([f"--poll={number}" for number in range(POLL_OPTIONS_MAX + 1)], "2 to 10 options, and this has 11"),
        (["--poll", "one", "--poll", " "], "an option is empty"),
        (["--poll", "one", "--poll", " one "], "two options of the poll are the same"),
        (["--poll", "one", "--poll", "two\nlines"], "control characters or more than one line"),
        (["--poll", "one", "--poll", "x" * (POLL_OPTION_CHARACTERS_MAX + 1)], "101 characters"),
        (["--poll", "one", "--poll", "\u200b"], "no visible character"),
        (["--closes", "2h"], "only a poll closes"),
        (["--poll", "a", "--poll", "b", "--closes", "soon"], "90min, 24h or 7d"),
        (["--poll", "a", "--poll", "b", "--closes", "4min"], "5 minutes to 30 days"),
        (["--poll", "a", "--poll", "b", "--closes", "31d"], "5 minutes to 30 days"),
    ],
)
def test_a_wrong_poll_is_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types("post", "which one?", *words)
    assert (result.exit_code, node.calls) == (2, [])
    assert sentence in result.stderr


def test_polls_at_their_limits_are_posted(alice: Alice, node: FakeNode) -> None:
    for options, closes in (
        ([str(number) for number in range(POLL_OPTIONS_MAX)], None),
        (["x" * POLL_OPTION_CHARACTERS_MAX, "y"], "5min"),
        (["x", "y"], "30d"),
    ):
        node.calls.clear()
        words = [*(f"--poll={option}" for option in options), *(["--closes", closes] if closes else [])]
        result = alice.types("post", "which one?", *words)
        assert result.stdout == f"Posted: {node.notices[-1]['id'][:10]}\n"
        assert (node.calls[0][1]["poll"], node.calls[0][1]["closes"]) == (options, closes)


def test_a_text_and_its_options_fit_a_payload_together(alice: Alice, node: FakeNode) -> None:
    options = ["--poll=" + str(number) + 99 * "\U0001f30d" for number in range(POLL_OPTIONS_MAX)]
    result = alice.types("post", "\U0001f30d" * 3_000, *options)
    assert (result.exit_code, node.calls) == (2, [])
    assert "15,970 bytes, and together at most 15,000" in result.stderr
    alice.gets("post", "\U0001f30d" * 2_750, *options)
    assert len(node.calls[-1][1]["poll"]) == POLL_OPTIONS_MAX


@pytest.mark.parametrize("choice", ["0", "-1", "two", "256", "1.5", "٣", ""])
def test_a_choice_that_is_no_number_is_2(alice: Alice, node: FakeNode, choice: str) -> None:
    result = alice.types("vote", "5feceb66", "--", choice)
    assert (result.exit_code, node.calls) == (2, [])
    assert "the number of an option, counted from 1" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotFound("that notice is no poll"), 4), (NotPermitted("that poll is closed"), 5), (UsageError("1 to 2"), 2)],
)
def test_what_the_node_refuses_has_its_code(alice: Alice, node: FakeNode, error: Exception, code: int) -> None:
    node.faults["vote"] = error
    result = alice.types("vote", "5feceb66", "1")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"p2pblog: {error}.\n")


@pytest.mark.parametrize(
    "body", [{}, {"choice": None}, {"choice": 0}, {"choice": 256}, {"choice": "1"}, {"choice": True}]
)
def test_a_request_without_a_proper_choice_is_refused(alice: Alice, node: FakeNode, body: dict[str, Any]) -> None:
    from p2pblog.control import client

    with pytest.raises(UsageError, match="choice must be a number from 1 to 255"):
        client.call(alice.home, "vote", notice="5feceb66", **body)


@pytest.mark.parametrize("options", ["tea", [1, 2], ["tea", None], {"tea": 1}])
def test_a_request_whose_options_are_no_texts_is_refused(alice: Alice, node: FakeNode, options: Any) -> None:
    from p2pblog.control import client

    with pytest.raises(UsageError, match="poll must be a list of texts"):
        client.call(alice.home, "post", text="which one?", poll=options)


def test_a_poll_is_bars() -> None:
    poll = a_poll(("tea", 3), ("coffee", 1), ("water", 0), own=1, closes=NOW_MS + 3 * HOUR + MINUTE)
    assert drawn(poll) == [
        "  1. tea     ███████████████      3  75%",
        "  2. coffee  █████                1  25%",
        "  3. water                        0   0%",
        "  4 votes known here · closes in 3 h · you voted 1",
    ]
    assert drawn(poll, 40)[3:] == ["  4 votes known here · closes in 3 h ·", "  you voted 1"]


def test_who_asks_is_told_whose_votes_come(alice: Alice, node: FakeNode) -> None:
    alice.gets("follow", BOB)
    asked = node.add(text="Which?", poll=a_poll(("tea", 1), ("coffee", 0)))
    told = "  1 vote of people you follow ·"
    assert told in alice.types("show", asked["id"]).stdout
    theirs = node.add(BOB, "bob", text="Which?", poll=asked["poll"])
    node.add(text="Which?", poll=asked["poll"], type="boost", boost_of=theirs["id"])
    assert alice.types("timeline").stdout.count("1 vote ") == 3
    assert alice.types("timeline").stdout.count(told) == 1


@pytest.mark.parametrize(
    ("left_ms", "closed", "said"),
    [
        (0, False, "closes within a minute"),
        (MINUTE, False, "closes in 1 min"),
        (59 * MINUTE, False, "closes in 59 min"),
        (HOUR, False, "closes in 1 h"),
        (47 * HOUR, False, "closes in 47 h"),
        (48 * HOUR, False, "closes in 2 d"),
        (30 * DAY, False, "closes in 30 d"),
        (-1, True, "closed"),
        (31 * DAY, False, "closes in 31 d, by its author's clock"),
        (2**53 - 1 - NOW_MS, False, "closes in 104,229,621 d, by its author's clock"),
    ],
)
def test_a_poll_says_when_it_closes(left_ms: int, closed: bool, said: str) -> None:
    poll = a_poll(("tea", 0), ("coffee", 0), closes=NOW_MS + left_ms, closed=closed)
    assert drawn(poll)[-1].split(" · ")[1] == said


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("text", ["x" * 100, "日" * 100, "word " * 20, "e\u0301" * 50])
def test_long_options_and_many_votes_stay_on_the_page(columns: int, text: str) -> None:
    lines = drawn(a_poll((text, 10_000), ("b", 1), *((f"{number}", 10) for number in range(8))), columns)
    assert all(width(each) <= columns for each in lines)
    options = lines[: next(at for at, each in enumerate(lines) if "votes known here" in each)]
    letters = "".join(each[6:].partition("█")[0].replace(" ", "") for each in options if text[0] in each)
    assert letters.count(text[0]) == text.count(text[0])
    if columns == 120:
        assert all(width(each) <= 102 for each in lines)


def test_a_poll_deep_in_a_thread_stays_on_the_page() -> None:
    poll = a_poll(("word " * 20, 10_000), ("b", 1))
    for columns, depth in ((40, 0), (80, 18), (120, 38)):  # as deep as pages.notices sets in
        indent = "  " * depth + "    "
        lines = lines_of(polls.poll_lines(poll, NOW_MS, columns, indent))  # type: ignore[arg-type]
        assert max(map(width, lines)) <= columns


def test_hostile_options_draw_nothing_of_their_own() -> None:
    poll = a_poll(("\x1b[2J\x1b]0;x\x07tea\u202e", 1), ("\r\n\nmallory (bbbbbbbb) · just now", 0), ("\u202e\x00", 0))
    lines = drawn(poll)
    assert lines[0].startswith("  1. tea ")
    assert lines[1].startswith("  2. mallory (bbbbbbbb)")
    assert lines[2].startswith("  3. (nothing to be seen)")
    assert not any(character in "".join(lines) for character in "\x1b\x07\u202e\x00\r")
    assert len(lines) == 4


def test_a_poll_behind_a_content_warning_waits_to_be_asked_for(alice: Alice, node: FakeNode) -> None:
    node.add(author=BOB, cw="the end", text="Who dies?", poll=a_poll(("she", 1), ("he", 0)))
    assert "she" not in alice.types("timeline").stdout
    assert "1. she" in alice.types("show", an_id(0)).stdout


def test_a_vote_says_what_it_was() -> None:
    written: Any = {"id": an_id(3), "type": "vote"}
    (said,) = lines_of(polls.voted_page(written, "5feceb66", 2))
    assert said.startswith("Voted 2 in 5feceb66 (entry ")
