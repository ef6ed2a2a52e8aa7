"""Whole words of a text, alike whatever the writer's capitals and composition: what muted words are looked for in."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))
"""Zero-width joiners, which stand inside words of Persian and of Indian languages (UAX #31, 2.3)."""
_ASCII_WORD = re.compile("[a-z0-9_]+")


def plain_words(text: str) -> str:
    """The words of a text in their order with one blank between two, caseless and composed; "" where it has none.

    A word is letters, marks, digits and connecting punctuation (UTS #18, annex C, `\\w`) that stand together. Capitals,
    compatibility forms and composition make no difference (Unicode, 3.13, D146), and joiners are left out. So `don't`
    is two words, and a language that is written without blanks has whole sentences for words.
    """
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower()))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    normal = unicodedata.normalize("NFKC", folded.casefold()).translate(_JOINERS)
    return " ".join("".join(each if _is_of_word(each) else " " for each in normal).split())


def has_words(words: str, wanted: str) -> bool:
    """Whether these words stand in a row among those; both as `plain_words` gives them."""
    return f" {wanted} " in f" {words} "


def _is_of_word(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "Pc"
