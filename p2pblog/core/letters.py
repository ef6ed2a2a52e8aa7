"""Letters: which characters make words, and which spellings of a word are alike."""

from __future__ import annotations

import re
import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width joiners, which stand inside words of Persian and of Indian languages (UAX #31, 2.3)."""
_WITHOUT_JOINERS = dict.fromkeys(map(ord, JOINERS))
UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of DerivedCoreProperties.txt, Unicode 17: what is not seen."""


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
