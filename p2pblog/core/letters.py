"""Letters: which characters make words, and which spellings of a word are alike."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width joiners, which stand inside words of Persian and of Indian languages (UAX #31, 2.3)."""
_WITHOUT_JOINERS = dict.fromkeys(map(ord, JOINERS))


def is_of_word(character: str) -> bool:
    """Letters, marks, numbers and connecting punctuation such as `_` (UTS #18, annex C, `\\w`)."""
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "Pc"


def caseless(text: str) -> str:
    """Caseless and composed (Unicode, 3.13, D146: compatibility caseless matching), without joiners.

    These go first: one that stood between a letter and its mark would keep the two from being composed, and the word
    would have another normal form than what looks the same."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.translate(_WITHOUT_JOINERS))
    folded = unicodedata.normalize("NFKC", decomposed.casefold())
    return unicodedata.normalize("NFKC", folded.casefold())
