"""Mallory writes to everybody's terminal; nothing that she sends may be obeyed by one."""

from __future__ import annotations

import io
import re
import unicodedata
from typing import Any

import pytest
from fake_node import FakeNode, a_poll
from hypothesis import example, given, settings
from hypothesis import strategies as st
from terminal_scene import lines_of

from p2pblog import terminal
from p2pblog.pages import notices as pages
from p2pblog.terminal import Piece, Style, clean_line, clean_name, clean_text, fit, line, render, width, wrap

FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls (C0 but the line feed, DEL, C1), what reorders or breaks lines, and what no encoding holds."""
OUR_COLOURS = re.compile("\x1b\\[(?:0|1|2|32|33|1;31|1;33|1;36|38;5;16;48;5;231)m")

CORPUS = [
    "\x1b]52;c;ZXZpbA==\x07",  # writes the clipboard
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x9d52;c;ZXZpbA==\x9c",  # the same in 8 bits
    "\x1b]8;;https://evil.example\x1b\\bank.example\x1b]8;;\x1b\\",  # a link that lies
    "\x1b]0;a title\x07",
    "\x1b]0;never ended",
    '\x1bP$q"p\x1b\\',  # DCS: asks for settings
    "\x90+q544e\x9c",
    "\x1b_Gf=100;AAAA\x1b\\",  # APC: an image
    "\x9fGf=100\x9c",
    "\x1b^private\x1b\\",
    "\x1bXstring\x1b\\",
    "\x1b[6n",  # asks where the cursor is: the answer is typed into the shell
    "\x9b6n",
    "\x1b[c",
    "\x1b[2J\x1b[H",
    "\x1b[1000D\x1b[2Kforged",
    "\x1b[?1049h",
    "\x1b[8m hidden",
    "\x1bc",
    "\x1b#8",
    "\x1b%G",
    "\x1b(0lqqk",
    "\x1b",
    "\x1b\x1b[[31m",
    "\x1b[\x1b[31m31m",
    "a\rforged",
    "a\bb\x7fc",
    "\u202egpj.exe",
    "\u2066\u2067\u2068\u2069",
    "\u2028\u2029\x85\x0b\x0c",
    "\ud83d",
    "\udcff",
    "\U000e0041\U000e007f",
    "\xad\u200b\ufeff",
    "Z" + "\u0300" * 200,
]

anything = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from(
            "\x1b\x07\x9b\x9d\x90\x9c[]P_^X;?0123456789mnHJKc\\\r\n\t\b\x7f\u202e\u2066\u200b\ufe0f\ud800 a漢é\u0301"
        ),
    ),
    max_size=200,
)


@given(anything)
def test_no_text_reaches_the_terminal_with_a_control(text: str) -> None:
    shown = render([line(text, Piece(text, Style.NAME))], colour=False)
    assert not FORBIDDEN.search(shown)
    assert shown.count("\n") == 1  # one line stays one line


@given(anything)
def test_colours_are_only_our_own(text: str) -> None:
    shown = render([line(text, *(Piece(text, style) for style in Style))], colour=True)
    assert not FORBIDDEN.search(OUR_COLOURS.sub("", shown))
    assert shown.count("\n") == 1
    assert not shown.rstrip("\n").endswith("\x1b")
    dressed = re.findall(r"\x1b\[([0-9;]+)m", shown)
    assert dressed.count("0") * 2 == len(dressed)  # each colour ends


@pytest.mark.parametrize("text", CORPUS, ids=ascii)
def test_known_attacks_are_harmless(text: str) -> None:
    for cleaned in (clean_text(text), clean_line(text), clean_name(text) or ""):
        assert not FORBIDDEN.search(cleaned.replace("\n", ""))
        assert clean_text(cleaned) == cleaned
        assert len(cleaned) <= 40


def test_sequences_go_as_a_whole_and_the_words_stay() -> None:
    assert clean_text("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain") == "red and plain"
    assert clean_text("\x1b]8;;https://evil.example\x1b\\bank\x1b]8;;\x1b\\") == "bank"
    assert clean_text("\x1b]0;never ended") == "0;never ended"


def test_what_people_write_stays_as_it_is() -> None:
    for text in ("naïve café ☼ 日本語 עברית العربية", "👩‍👩‍👧 ❤️ 🇨🇭", "नमस्ते", "a\n\n  b", "Tiếng Việt"):
        assert clean_text(text) == text
    assert clean_text("a\tb\r\nc\rd") == "a    b\nc\nd"


@given(anything)
def test_a_name_is_one_visible_line_or_nothing(text: str) -> None:
    name = clean_name(text)
    if name is not None:
        assert not FORBIDDEN.search(name)
        assert "\n" not in name
        assert name == name.strip()
        assert not re.search("[\u200b-\u200f\u2060-\u2064\ufeff\xad]", name)
        assert unicodedata.is_normalized("NFC", name)


@pytest.mark.parametrize("name", [None, "", " ", "\u200b\u2060\ufeff", "\u3164", "\x1b[31m", "\n"])
def test_a_name_of_nothing_is_no_name(name: str | None) -> None:
    assert clean_name(name) is None


def test_two_names_that_look_alike_are_alike() -> None:
    assert clean_name("al\u200bi\u200dce\u2060") == clean_name("  alice ") == "alice"
    assert clean_name("Jose\u0301") == clean_name("José")


@given(anything, st.integers(2, 60))
@example("❤️" * 50, 20)
def test_no_wrapped_line_is_wider_than_asked(text: str, columns: int) -> None:
    cleaned = clean_text(text)
    lines = wrap(cleaned, columns)

    assert all(width(one) <= columns for one in lines)
    assert "".join("".join(lines).split()) == "".join(cleaned.split())  # and no letter is lost
    assert width(fit(cleaned.replace("\n", " "), columns)) <= columns


def test_width_is_never_less_than_the_terminal_takes() -> None:
    for text, columns in (
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("❤\ufe0f", 2),
        ("🐝", 2),
        ("\U0001fae9", 2),
        ("é", 1),
    ):
        assert width(text) == columns, ascii(text)


def test_wrapping_breaks_at_spaces_and_keeps_indents() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("  indented text", 12) == ["  indented", "text"]
    assert wrap("abcdefghij kl", 4) == ["abcd", "efgh", "ij", "kl"]
    assert wrap("日本語", 4) == ["日本", "語"]
    assert wrap("", 10) == [""]


def test_a_text_of_one_word_costs_what_its_length_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are scripts without blanks: a page of long texts took half a minute."""
    measured: list[str] = []
    whole = terminal._character_width

    def counted(character: str) -> int:
        measured.append(character)
        return whole(character)

    monkeypatch.setattr(terminal, "_character_width", counted)

    assert wrap("漢" * 5000, 40) == ["漢" * 20] * 250
    assert len(measured) <= 4 * 5000


hostile_poll = st.builds(
    a_poll,
    *[st.tuples(anything, st.integers(0, 10**4)) for _ in range(4)],
    own=st.none() | st.integers(1, 4),
    closes=st.integers(0, 2**53 - 1),
    closed=st.booleans(),
)
hostile_notice = st.fixed_dictionaries(
    {
        "id": st.just("5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"),
        "type": st.sampled_from(["note", "boost"]),
        "author": st.just("m" * 56),
        "name": st.none() | anything,
        "text": anything,
        "time": st.integers(0, 2**53 - 1),
        "reply_to": st.none() | st.just("a" * 64),
        "boost_of": st.just("b" * 64),
        "boost_deleted": st.booleans(),
        "likes": st.integers(0, 10**6),
        "boosts": st.integers(0, 10**6),
        "tags": st.just([]),
        "groups": st.just([]),
        "cw": st.none() | anything,
        "lang": st.none(),
        "edited": st.none() | st.just(5),
        "quote": st.none()
        | st.fixed_dictionaries(
            {
                "id": st.just("c" * 64),
                "version": st.just("d" * 64),
                "author": st.just("b" * 56),
                "text": st.none() | st.text(max_size=300),
                "cw": st.none() | anything,
                "deleted": st.booleans(),
            }
        ),
        "mentions": st.lists(st.just("b" * 56), max_size=2),
        "poll": st.none() | hostile_poll,
        "muted": st.booleans(),
        "media": st.just([]),
        "imported_time": st.none() | st.integers(0, 2**53),
    }
)


@settings(max_examples=200)
@given(hostile_notice, st.integers(40, 130), st.booleans())
def test_no_notice_can_forge_the_head_of_another(notice: Any, columns: int, is_asked_for: bool) -> None:
    page = pages.notice_lines(notice, 1_760_000_000_000, columns, is_asked_for=is_asked_for)
    shown = lines_of(page)

    assert not any(FORBIDDEN.search(text) for text in shown)
    assert len(shown) == len(page)
    assert all(text == "" or text.startswith("  ") for text in shown[1:])  # heads alone stand at the edge
    assert all(width(text) <= columns for text in shown[1:])


@pytest.mark.parametrize(
    ("said", "wide"),
    [("100", 100), (" 60 ", 60), ("5", 40), ("9" * 5_000, 80), ("99999", 80), ("-3", 80), ("wide", 80), ("", 80)],
)
def test_how_wide_a_page_is(said: str, wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert terminal.columns(io.StringIO()) == wide


def flowed(columns: int, *pieces: str | Piece) -> list[str]:
    return lines_of(terminal.flowed([line(*pieces)], columns))


def test_a_wide_line_is_broken_at_blanks_and_set_in_below() -> None:
    assert flowed(20, "one two three four five six") == ["one two three four", "  five six"]
    assert flowed(18, "one two three four five six") == ["one two three four", "  five six"]
    assert flowed(20, "  one two three four five") == ["  one two three four", "    five"]
    assert flowed(20, "one two ", Piece("three", Style.NAME), ", four five") == ["one two three, four", "  five"]
    assert flowed(20, "one two three four", Piece("fivesix", Style.ID)) == ["one two three", "  fourfivesix"]
    assert flowed(12, "日本語 日本語") == ["日本語", "  日本語"]
    assert flowed(20, "", "one two") == ["one two"]


def test_what_is_to_be_typed_and_what_fits_no_line_stays_whole() -> None:
    typed = Piece("p2pblog follow bob", Style.BOLD)
    assert flowed(20, "Type: ", typed) == ["Type:", "  p2pblog follow bob"]
    assert flowed(19, "Type: ", typed) == ["Type: p2pblog follow bob"]
    assert flowed(20, "  " + "x" * 30) == ["  " + "x" * 30]
    assert flowed(20, "one " + "x" * 30 + " two three four") == ["one " + "x" * 30, "  two three four"]


@given(st.lists(st.builds(Piece, anything, st.sampled_from(Style)), min_size=1), st.integers(10, 60))
@example([Piece("x" * 20 + "\x1b y")], 10)
def test_no_letter_is_lost_or_comes_to_the_first_column_where_a_line_is_broken(
    pieces: list[Piece], columns: int
) -> None:
    whole = render([tuple(pieces)], colour=False)
    first, *more = flowed(columns, *pieces)
    assert "".join("".join([first, *more]).split()) == "".join(whole.split())
    assert all(each.startswith("  ") for each in more)


def test_lines_are_broken_for_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = "word " * 20
    for is_terminal, lines in ((True, 3), (False, 1)):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal)
        terminal.write(stream, [line(said)], colour=False)
        assert stream.getvalue().count("\n") == lines


def test_output_that_the_terminal_cannot_encode_is_replaced() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    terminal.write(stream, [line("café ☼")], colour=False)
    assert buffer.getvalue() == b"caf? ?\n"


@pytest.mark.parametrize("mark", "\u0301\u0610\u06e1\u0730\u08e4\u1cd0\u20dd\ua8e0\U0001e8d0")
def test_no_tower_of_marks_is_higher_than_four(mark: str) -> None:
    assert clean_text("a" + mark * 100 + "b") == "a" + mark * 4 + "b"
    assert clean_text("a" + f"{mark}\u200d" * 100).count(mark) == 4  # a joiner between them is no ground to stand on
    assert clean_text(f"a{mark}" * 100) == f"a{mark}" * 100


def test_a_long_attack_takes_no_long_time() -> None:
    for text in ("\x1b]" * 7_500, "\x9d" * 15_000, "\x1b[" * 7_500, "\x1b[" + "0" * 15_000, "e" + "\u0301" * 15_000):
        assert len(clean_text(text)) <= 15_000


def test_a_hostile_notice_through_the_whole_command(alice: Any, node: FakeNode) -> None:
    for text in CORPUS:
        node.add(name=text.encode(errors="ignore").decode(), text=text.encode(errors="ignore").decode())
    for words in (["timeline", "-n", "100"], ["show", node.notices[0]["id"]], ["thread", node.notices[0]["id"]]):
        assert not FORBIDDEN.search(alice.types(*words).output.replace("\n", ""))
    shown = alice.types("--json", "timeline", "-n", "100").stdout
    assert shown.isascii()
    assert not FORBIDDEN.search(shown.replace("\n", ""))
