"""Whole words of a text, alike whatever the writer's capitals and composition: what muted words are looked for in."""

from __future__ import annotations

import re

from p2pblog.core.letters import UNSEEN, caseless, is_of_word
from p2pblog.terminal import clean_text

_ASCII_WORD = re.compile("[a-z0-9_]+")
_NO_WIDTH = "\u200b"


def plain_words(text: str) -> str:
    """The words of a text in their order with one blank between two, caseless and composed; "" where it has none.

    A word is letters, marks, digits and connecting punctuation (UTS #18, annex C, `\\w`) that stand together. Capitals,
    compatibility forms and composition make no difference (Unicode, 3.13, D146), and all that pages leave out of a
    text, and what is there and not seen, such as joiners and letters that are blank, is left out. So `don't` is two
    words, and a language that is written without blanks has whole sentences for words.
    """
    shown = clean_text(text)
    normal = caseless(shown if shown.isascii() else UNSEEN.sub("", shown))
    if normal.isascii():
        return " ".join(_ASCII_WORD.findall(normal))
    return " ".join("".join(each if is_of_word(each) else " " for each in normal).split())


def words_to_search(text: str) -> str:
    """The words to look for others in: where a text has spaces of no width, which part words in Khmer and Thai and hide
    within them elsewhere, its words without them, and then those that they part."""
    words = plain_words(text)
    # Two blanks stand between: no row of words goes from the one into the other.
    return f"{words}  {plain_words(text.replace(_NO_WIDTH, ' '))}" if _NO_WIDTH in text else words


def has_words(words: str, wanted: str) -> bool:
    """Whether these words stand in a row among those; both as `plain_words` gives them."""
    return f" {wanted} " in f" {words} "
