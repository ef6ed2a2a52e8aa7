"""Search: what a person asks for, the words of a text, and whether the one is in the other. Pure, for every store.

A query is a row of terms, which all have to hold: `word`, `begin*`, `"some words"`, `from:ADDRESS`, `#tag`,
`has:media`, each with a `-` before it if it must not hold, and `since:` and `until:` with a day (UTC) or a time ago.

All stores find by the same words, those of `words_of`: an index gets them ready-made and has no rules of its own.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange, timegm
from collections.abc import Sequence

from p2pblog.config import (
    SEARCH_BEGINNING_MIN,
    SEARCH_CHARACTERS_MAX,
    SEARCH_TERMS_MAX,
    SEARCH_WORD_CHARACTERS_MAX,
    TIME_MS_MAX,
)
from p2pblog.core.tags import as_tag
from p2pblog.core.value import State, Value, field
from p2pblog.errors import UsageError

WORDS_FORM = f"2, Unicode {unicodedata.unidata_version}"
"""The version of the words that `words_of` and `store.meaning.found_words` give; an index made under another is made
anew."""

# --- the words of a text ----------------------------------------------------------------------------------------------

_APART = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul, whose particles stick to words
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Writing without spaces between words: each character is a word, and what is typed in one is found as a phrase."""
_SILENT = ((0xFE00, 0xFE0F), (0x1F3FB, 0x1F3FF), (0xE0100, 0xE01EF))
"""How something is drawn: variation selectors, and the colours of a skin."""
_ACCENTS = re.compile("[\u0300-\u036f]+")
"""The marks over letters of Latin, Greek and Cyrillic; those of other scripts are vowels and stay."""
_TABLE_MAX = 64 * 1024
"""Characters of which we remember what they are: 6 MB at most."""


def _within(code: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= code <= high for low, high in ranges)


class _Table(dict[int, str | None]):
    """For `str.translate`: what is of a word stays, what stands for itself gets space around it, the rest is space."""

    def __missing__(self, code: int) -> str | None:
        found = self._find(code)
        if len(self) < _TABLE_MAX:
            self[code] = found
        return found

    @staticmethod
    def _find(code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        if _within(code, _SILENT) or category == "Me" or (category == "Cf" and code != 0x200B):  # a space of no width
            return None
        if category == "So" or (category[0] in "LMN" and _within(code, _APART)):  # emoji, for one
            return f" {character} "
        return character if category[0] in "LMN" else " "


_TABLE = _Table()


def words_of(text: str) -> list[str]:
    """The words of a text in their order: caseless, composed, and without accents over Latin, Greek and Cyrillic.

    A word is letters, marks and digits; in scripts without spaces, and of signs such as emoji, it is one character. No
    word has an ASCII character but letters and digits. Longer ones are cut to SEARCH_WORD_CHARACTERS_MAX.
    """
    if text.isascii():
        text = text.lower()
    else:
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
        text = unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", plain))).casefold()
    return [word[:SEARCH_WORD_CHARACTERS_MAX] for word in text.translate(_TABLE).split()]


# --- what is looked for -----------------------------------------------------------------------------------------------


class Phrase(Value):
    """Words that follow each other. `begins`: the last one may go on."""

    words: tuple[str, ...]
    begins: bool = False

    def is_in(self, words: Sequence[str]) -> bool:
        """Whether it stands in a row of words."""
        size, (*before, last) = len(self.words), self.words
        for end in range(size - 1, len(words)):
            ends_so = words[end].startswith(last) if self.begins else words[end] == last
            if ends_so and list(words[end + 1 - size : end]) == before:
                return True
        return False


MEDIA = "has:media"
"""Among a notice's words, that something hangs on it. No word of a text has a sign like these in it."""


def tag_word(tag: str) -> str:
    """A tag, as it stands among a notice's words."""
    return f"#{tag}"


def log_word(log: int) -> str:
    """By which log a notice is, as it stands among its words; `log` is the store's own number for it."""
    return f"@{log}"


class Query(Value):
    """What a person asks for. `people`, `not_people`: as they were typed. Times in ms: from `since_ms`, below
    `until_ms`."""

    wanted: tuple[Phrase, ...] = ()
    unwanted: tuple[Phrase, ...] = ()
    people: tuple[str, ...] = ()
    not_people: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None


_TERM = re.compile(
    r"""(?P<no>-?) (?P<field>[A-Za-z]+:)? (?: "(?P<quoted>[^"]*)(?P<end>"?)(?P<star>\*?) | (?P<bare>[^\s"]*) )""",
    re.VERBOSE,
)
_FIELDS = ("from", "has", "since", "until")
_AGO = re.compile(r"([0-9]{1,6})([hdwy])", re.ASCII)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_HOUR_MS = 3_600_000
_UNITS_MS = {"h": _HOUR_MS, "d": 24 * _HOUR_MS, "w": 7 * 24 * _HOUR_MS, "y": 365 * 24 * _HOUR_MS}
_HELP = "p2pblog search --help"


def parse(text: str, now_ms: int) -> Query:
    """What these terms ask for; `now_ms` is what times ago count from.

    Raises UsageError: nothing to look for, a term that means nothing, too long, too many.
    """
    if len(text) > SEARCH_CHARACTERS_MAX:
        raise UsageError(f"the query has {len(text):,} characters, and at most {SEARCH_CHARACTERS_MAX} are allowed")
    draft = _Draft(now_ms)
    rest = text.strip()
    while rest:
        term = _TERM.match(rest)
        assert term is not None
        draft.take(term)
        rest = rest[term.end() :].lstrip()
    return draft.query()


class _Draft(State):
    """A query while its terms are read."""

    now_ms: int
    phrases: dict[bool, list[Phrase]] = field(default_factory=lambda: {True: [], False: []})
    people: dict[bool, list[str]] = field(default_factory=lambda: {True: [], False: []})
    bounds: dict[str, int] = field(default_factory=dict)

    def take(self, term: re.Match[str]) -> None:
        if term["quoted"] is not None and not term["end"]:
            raise UsageError('a " is opened and not closed', _HELP)
        is_wanted, name = not term["no"], (term["field"] or "")[:-1].lower()
        value = term["bare"] if term["quoted"] is None else term["quoted"]
        if name not in _FIELDS:
            self._take_words(term, (term["field"] or "") + value, is_wanted)
        elif not value.strip():
            raise UsageError(f"something has to stand behind {name}:", _HELP)
        elif name == "from":
            self.people[is_wanted].append(value.strip())
        elif name == "has":
            if value.lower() != "media":
                raise UsageError("what can be asked for so is has:media", _HELP)
            self.phrases[is_wanted].append(Phrase((MEDIA,)))
        else:
            self._take_bound(name, value, is_wanted)

    def _take_words(self, term: re.Match[str], value: str, is_wanted: bool) -> None:
        if value.startswith("#") and term["quoted"] is None:
            tag = as_tag(value)
            if tag is None:
                raise UsageError("that is no tag: a tag is one word of letters, digits and _, not digits alone", _HELP)
            self.phrases[is_wanted].append(Phrase((tag_word(tag),)))
            return
        begins = bool(term["star"]) or (term["quoted"] is None and value.endswith("*"))
        words = tuple(words_of(value))
        if not words:  # a sign between words
            return
        if begins and len(words[-1]) < SEARCH_BEGINNING_MIN:
            if not _stands_alone(words[-1]):
                raise UsageError(f"before a * stand at least {SEARCH_BEGINNING_MIN} letters", _HELP)
            begins = False
        self.phrases[is_wanted].append(Phrase(words, begins))

    def _take_bound(self, name: str, value: str, is_wanted: bool) -> None:
        if not is_wanted:
            raise UsageError(f"there is no -{name}:", _HELP)
        if name in self.bounds:
            raise UsageError(f"{name}: stands here twice", _HELP)
        if ago := _AGO.fullmatch(value.lower()):
            self.bounds[name] = max(0, self.now_ms - int(ago[1]) * _UNITS_MS[ago[2]])
            return
        day = _day_ms(value)
        if day is None:
            raise UsageError(f"{name}: takes a day like 2026-11-01, or a time ago like 12h, 7d, 2w or 1y", _HELP)
        self.bounds[name] = day if name == "since" else day + _UNITS_MS["d"]

    def query(self) -> Query:
        wanted, unwanted = (tuple(dict.fromkeys(self.phrases[key])) for key in (True, False))
        people, not_people = (tuple(dict.fromkeys(self.people[key])) for key in (True, False))
        terms = len(wanted) + len(unwanted) + len(people) + len(not_people) + len(self.bounds)
        if terms > SEARCH_TERMS_MAX:
            raise UsageError(f"a query has at most {SEARCH_TERMS_MAX} terms, and this one {terms}")
        if not terms:
            raise UsageError("there is nothing to look for", _HELP)
        if (unwanted or not_people) and not (wanted or people):
            raise UsageError("this says only what not to find: add a word, a #tag or from:", _HELP)
        since, until = self.bounds.get("since"), self.bounds.get("until")
        if since is not None and until is not None and since >= until:
            raise UsageError("until: lies before since:", _HELP)
        return Query(wanted, unwanted, people, not_people, since, until)


def _stands_alone(word: str) -> bool:
    return _TABLE[ord(word[0])] != word[0]


def _day_ms(text: str) -> int | None:
    """When a day begins (UTC); None for what is no day since 1970."""
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    return min(timegm((year, month, day, 0, 0, 0)) * 1_000, TIME_MS_MAX)
