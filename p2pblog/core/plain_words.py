"""Whole words of a text, alike whatever the writer's capitals and composition: what muted words are looked for in."""

from __future__ import annotations

import re

from p2pblog.core.letters import caseless, is_of_word

_ASCII_WORD = re.compile("[a-z0-9_]+")


def plain_words(text: str) -> str:
    """The words of a text in their order with one blank between two, caseless and composed; "" where it has none.

    A word is letters, marks, digits and connecting punctuation (UTS #18, annex C, `\\w`) that stand together. Capitals,
    compatibility forms and composition make no difference (Unicode, 3.13, D146), and joiners are left out. So `don't`
    is two words, and a language that is written without blanks has whole sentences for words.
    """
    normal = caseless(text)
    if normal.isascii():
        return " ".join(_ASCII_WORD.findall(normal))
    return " ".join("".join(each if is_of_word(each) else " " for each in normal).split())


def has_words(words: str, wanted: str) -> bool:
    """Whether these words stand in a row among those; both as `plain_words` gives them."""
    return f" {wanted} " in f" {words} "
