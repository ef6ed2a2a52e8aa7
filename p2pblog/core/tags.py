"""Tags: what `#word` in a text names, alike on every node whatever the writer's capitals and composition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from p2pblog.config import TAG_CHARACTERS_MAX, TAGS_MAX
from p2pblog.core.letters import JOINERS, caseless, is_of_word

_BEFORE = "/&#"
"""Before a `#` these make it part of an address, of a character reference or of a row of signs."""
_LETTERS = re.compile(r"[\w\u200c\u200d]*")
"""What a pattern knows of a word: its letters and numbers, `_`, and joiners."""
_ROW_OF_JOINERS = re.compile("[\u200c\u200d]*")
_UNFOLDING = (
    (0xBC, 0xBE), (0x140, 0x140), (0x37A, 0x37A), (0x2150, 0x215F), (0x2189, 0x2189), (0x2474, 0x249B),
    (0x3220, 0x3229), (0xFC5E, 0xFC63), (0xFDFA, 0xFDFB), (0xFE70, 0xFE7E), (0x1F100, 0x1F10A),
)  # fmt: skip
"""Where the letters and numbers stand that are signs too once they are normal: a half is `1\u20442`, an l with a dot
`l\u00b7` (Unicode 14, all of them)."""


def tags_of(text: str) -> tuple[str, ...]:
    """The tags of a text in the order in which they come first, normal, each once; at most TAGS_MAX.

    A tag is a `#` that follows neither a word nor one of `/&#`, and then letters, marks, digits, connecting
    punctuation such as `_`, and joiners between them; not digits alone, nor over TAG_CHARACTERS_MAX characters when
    normal. (What counts as a word is that of `letters.is_of_word`.)
    """
    return words_behind("#", text, lambda before: before in _BEFORE or is_of_word(before), TAGS_MAX, TAG_CHARACTERS_MAX)


def words_behind(
    sign: str, text: str, spoils: Callable[[str], bool], most: int, characters_max: int
) -> tuple[str, ...]:
    """The words that stand behind a sign, normal, in the order in which they come first, each once; at most `most`.
    `spoils`: what, when it stands before the sign, makes it mean something else."""
    found: dict[str, None] = {}
    at = text.find(sign)
    while at >= 0 and len(found) < most:
        if not at or not spoils(text[at - 1]):
            word = normal_word(word_at(text, at + 1, characters_max), characters_max)
            if word is not None:
                found.setdefault(word)
        at = text.find(sign, at + 1)
    return tuple(found)


def as_tag(typed: str) -> str | None:
    """What a person typed as a tag, with or without its `#`, as `tags_of` gives it; None for what can't be one."""
    return whole_word(typed.strip().removeprefix("#"), TAG_CHARACTERS_MAX)


def whole_word(word: str, characters_max: int) -> str | None:
    """A word that is nothing else, as `normal_word` gives it; None for anything else. What `normal_word` gives is one,
    also with the signs that a letter or number of the word became."""
    normal = normal_word(word, characters_max)
    if normal is None or word_at(word, 0, characters_max) == word:
        return normal
    before = normal
    for unfolded, character in _unfolded():
        before = before.replace(unfolded, character)
    is_one = word_at(before, 0, characters_max) == before and normal_word(before, characters_max) == normal
    return normal if is_one else None


@cache
def _unfolded() -> list[tuple[str, str]]:
    """What each character of `_UNFOLDING` becomes, the longest first, and the character."""
    characters = [chr(at) for first, last in _UNFOLDING for at in range(first, last + 1)]
    found = [(normal, character) for character in characters if (normal := normal_word(character, 20)) is not None]
    return sorted(found, key=lambda pair: len(pair[0]), reverse=True)


def word_at(text: str, start: int, characters_max: int) -> str:
    """The longest word that begins here; of one that is longer than so many characters, more than those."""
    if text[start : start + 1] in JOINERS:  # also where nothing is left: joiners stand between letters
        return ""
    end, most = start, min(start + characters_max + 1, len(text))
    while (match := _LETTERS.match(text, end, most)) is not None:
        end = match.end()
        if end == most or not is_of_word(text[end]):  # a mark, or a connector
            break
        end += 1
    behind = _ROW_OF_JOINERS.match(text, end)
    assert behind is not None
    if behind.end() < len(text) and is_of_word(text[behind.end()]):
        return text[start:end]  # joiners at its end are within the word, which goes on
    return text[start:end].rstrip(JOINERS)


def normal_word(word: str, characters_max: int) -> str | None:
    """As `letters.caseless` gives it; None for what is empty, longer than that before or then, or has neither a letter
    nor a mark nor a number but decimal digits."""
    if not word or len(word) > characters_max:
        return None
    normal = caseless(word)
    is_word = any(unicodedata.category(each) not in ("Nd", "Pc") for each in normal)
    return normal if is_word and len(normal) <= characters_max else None
