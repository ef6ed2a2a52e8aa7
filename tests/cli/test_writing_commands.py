"""What `post`, `edit` and `quote` take, and what of it reaches the node."""

from __future__ import annotations

import pytest
from fake_node import FakeNode
from terminal_scene import Alice

from p2pblog.commands.writing import from_stdin
from p2pblog.errors import UsageError

WRITING = (["post"], ["edit", "5FECEB66"], ["quote", "5FECEB66"])
"""Each without its text. The id is that of the first notice of a fake node."""


@pytest.mark.parametrize("words", [["edit"], ["quote"]], ids=str)
def test_other_words_reach_the_node_as_they_were_typed(alice: Alice, node: FakeNode, words: list[str]) -> None:
    node.add()
    alice.gets(*words, "5FECEB66", "--cw", " the end ", "--lang", "pt-BR", " two\n lines ")
    alice.gets(*words, "5feceb66", "-", stdin=b" from a pipe\n")
    assert node.calls == [
        (words[0], {"notice": "5feceb66", "text": " two\n lines ", "cw": "the end", "lang": "pt-BR"}),
        (words[0], {"notice": "5feceb66", "text": " from a pipe", "cw": None, "lang": None}),
    ]


def test_an_edit_keeps_takes_away_or_changes_what_stands_beside_the_text(alice: Alice, node: FakeNode) -> None:
    node.add()
    for words, sent in (
        ([], (None, None)),
        (["--cw", "", "--lang", ""], ("", "")),
        (["--cw", "spoiler"], ("spoiler", None)),
        (["--lang", "de"], (None, "de")),
    ):
        alice.gets("edit", "5feceb66", "hello", *words)
        assert (node.calls[-1][1]["cw"], node.calls[-1][1]["lang"]) == sent


@pytest.mark.parametrize("words", WRITING, ids=str)
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([""], "an empty notice says nothing"),
        (["-"], "an empty notice says nothing"),
        (["hello", "--cw", "two\nlines"], "the content warning has control characters or more than one line"),
        (["hello", "--lang", "de_DE"], "a language is written as a tag like en, pt-BR or zh-Hant"),
    ],
    ids=str,
)
def test_what_is_wrong_reaches_no_node(
    alice: Alice, node: FakeNode, words: list[str], wrong: list[str], sentence: str
) -> None:
    node.add()
    result = alice.types(*words, *wrong, stdin=b"\n")
    assert (result.exit_code, node.calls) == (2, [])
    assert result.stderr.startswith(f"p2pblog: {sentence}.")


def test_only_a_poll_closes(alice: Alice, node: FakeNode) -> None:
    result = alice.types("post", "hello", "--closes", "2h")
    assert (result.exit_code, node.calls) == (2, [])
    assert result.stderr.startswith("p2pblog: only a poll closes: give its options with --poll.\nTry: ")
    assert result.stderr.endswith(" post --help\n")


def test_who_closed_the_standard_input_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="the standard input is closed"):
        from_stdin()
