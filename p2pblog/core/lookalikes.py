"""Names that look like other names, after Unicode Technical Standard #39.

Names are anybody's choice: what looks like the name of somebody whom the reader follows, and is another person's, is
pointed out. Small, for most names are ASCII; the table for the others is imported when there is one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from p2pblog.core.letters import UNSEEN
from p2pblog.core.value import Value
from p2pblog.terminal import clean_name

NAMES_REMEMBERED = 32_768
"""Names whose skeletons are remembered, at most some 15 MB: two of each of 10,000 follows, asked for with each page."""

_ASCII = {ord("0"): "O", ord("1"): "l", ord("I"): "l", ord("|"): "l", ord("m"): "rn", ord("`"): "'", ord('"'): "''"}
"""Of confusables.txt: what looks alike within ASCII, but for the percent sign."""
_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)
"""Scripts that people write within one word (UTS #39, 5.2, "Highly Restrictive")."""
_SAME_SCRIPT = {"HENTAIGANA": "HIRAGANA", "IDEOGRAPHIC": "CJK"}


@lru_cache(NAMES_REMEMBERED)
def skeletons(name: str) -> frozenset[str]:
    """What the name looks like: two names look alike if they share one. No skeleton for a name that shows
    nothing.

    One or two of them: the skeleton of UTS #39, 4, and that of the name in small letters, both in small letters then.
    ("aIice" with a capital i looks like "alice", and "ALICE" is the same name to most.) Compatibility variants, such as
    wide or bold letters, count as what they stand for.
    """
    shown = clean_name(name)
    if shown is None:
        return frozenset()
    plain = _seen(shown)
    found = {_skeleton(plain), _skeleton(plain.casefold())}
    return frozenset(found - {""})


def mixes_scripts(name: str) -> bool:
    """Whether a word of the name has letters of several scripts that are not written together, and could be read as a
    word of one of them: "mixed-script confusable" (UTS #39, 4), as `pаypal` with one Cyrillic letter is."""
    if name.isascii():
        return False
    return any(_is_mixed(word) for word in _seen(clean_name(name) or "").split())


class Bearers(Value):
    """Who is called what, of those whom the reader knows: addresses by skeleton, in the order in which they came."""

    by_skeleton: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, known: Iterable[tuple[str, str | None]]) -> Bearers:
        """From pairs of an address and a name that it has; one with several names comes several times."""
        found: dict[str, dict[str, None]] = {}
        for address, name in known:
            for each in skeletons(name) if name else ():
                found.setdefault(each, {})[address] = None
        return cls({each: tuple(addresses) for each, addresses in found.items()})

    def other(self, name: str | None, address: str) -> str | None:
        """The first known address but this one that has a name which looks like this name; None for nobody."""
        if not name:
            return None
        for each in sorted(skeletons(name)):
            for bearer in self.by_skeleton.get(each, ()):
                if bearer != address:
                    return bearer
        return None


def _seen(text: str) -> str:
    """Decomposed, without what is not seen."""
    if text.isascii():
        return text
    return UNSEEN.sub("", unicodedata.normalize("NFKD", text))


def _skeleton(plain: str) -> str:
    mapped = plain.translate(_ASCII)
    if not mapped.isascii():
        mapped = unicodedata.normalize("NFKD", mapped.translate(_prototypes()))
    return mapped.casefold()


@lru_cache(1)
def _prototypes() -> dict[int, str]:
    from p2pblog.core.confusables import prototypes

    return prototypes()


def _is_mixed(word: str) -> bool:
    scripts = {script for each in word if (script := _script(each)) is not None}
    if len(scripts) < 2 or any(scripts <= together for together in _TOGETHER):
        return False
    read = {script for each in word.translate(_prototypes()) if (script := _script(each)) is not None}
    return len(read) == 1 and read <= scripts


def _script(character: str) -> str | None:
    """The script of a letter, by the first word of its name; None for what is no letter or of all scripts."""
    if unicodedata.category(character)[0] != "L":
        return None
    first = unicodedata.name(character, "").partition(" ")[0]
    return None if first in ("", "MODIFIER", "MASCULINE", "FEMININE") else _SAME_SCRIPT.get(first, first)
