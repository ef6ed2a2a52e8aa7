"""Mentions: `@address` in a text names a person; `@petname` is what its writer typed for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from p2pblog.config import MENTIONS_MAX
from p2pblog.core import address
from p2pblog.core.keys import IdentityHash
from p2pblog.core.letters import is_of_word
from p2pblog.errors import BadAddress

_BEFORE = "/@."
"""Before an `@` these make it part of a link, of a row of signs or of a mail address."""
_SIGN = re.compile("@")
_IN_ADDRESS = re.compile(r"[a-z2-7]+", re.IGNORECASE | re.ASCII)


def mentions_of(text: str) -> tuple[IdentityHash, ...]:
    """Whom a text mentions, in the order in which they come first, each once; at most MENTIONS_MAX.

    A mention is an `@` that follows neither a word nor one of `/@.`, and then a whole valid address with no word behind
    it (`letters.is_of_word`). Capitals have no meaning in an address.
    """
    if "@" not in text:  # as in nearly all
        return ()
    found: dict[IdentityHash, None] = {}
    for _start, _end, identity in _mentions(text):
        found.setdefault(identity)
        if len(found) == MENTIONS_MAX:
            break
    return tuple(found)


def with_addresses(text: str, named: Callable[[str], IdentityHash | None]) -> str:
    """The text as it is signed: each `@petname` that `named` knows becomes `@address`.

    Of the word behind the sign the longest beginning that `named` knows is taken, so that `@bob's` and `@bob.` mean
    bob; a petname may have `-` and `.` in it. What nobody is called stays as it was typed, and so does an account
    elsewhere, `@bob@example.org`."""
    out, done = [], 0
    for start, word in _words(text):
        if start < done:
            continue
        for end in _ends(word):
            identity = named(word[:end])
            if identity is not None:
                out += [text[done:start], address.spell(identity)]
                done = start + end
                break
    return "".join([*out, text[done:]])


def unnamed(text: str, petnames: Collection[str]) -> tuple[str, ...]:
    """What was typed as if it were a petname, `@dave`, and is none of these: each once, as it was typed, without dots
    and hyphens at its end. Not what is an address."""
    addressed = {start + 1 for start, _, _ in _mentions(text)}
    typed = (word for start, word in _words(text) if start not in addressed)
    nobodies = (word for word in typed if not any(word[:end] in petnames for end in _ends(word)))
    return tuple(dict.fromkeys(word.rstrip("-.") for word in nobodies))


def _words(text: str) -> list[tuple[int, str]]:
    """(where it begins, the word) behind each sign that may stand before a petname."""
    found = ((at + 1, _petname(text, at + 1)) for at in _signs(text))
    return [(at, word) for at, word in found if word.strip("-.") and not text.startswith("@", at + len(word))]


def _ends(word: str) -> list[int]:
    """Where the petname in a word may end, the last first."""
    return [end for end in range(len(word), 0, -1) if end == len(word) or not is_of_word(word[end])]


def _mentions(text: str) -> list[tuple[int, int, IdentityHash]]:
    """(where the sign stands, where the address ends, whose it is) of each mention."""
    found = []
    for start in _signs(text):
        spelled = _IN_ADDRESS.match(text, start + 1, start + 1 + address.ADDRESS_CHARACTERS)
        end = start + 1 if spelled is None else spelled.end()
        if end - start <= address.ADDRESS_CHARACTERS or (end < len(text) and is_of_word(text[end])):
            continue
        try:
            found.append((start, end, address.read(text[start + 1 : end])))
        except BadAddress:
            continue
    return found


def _signs(text: str) -> list[int]:
    signs = (sign.start() for sign in _SIGN.finditer(text))
    return [at for at in signs if not at or not (text[at - 1] in _BEFORE or is_of_word(text[at - 1]))]


def _petname(text: str, start: int) -> str:
    """The longest word that begins here, dots and hyphens within; cut at the length of an address, which no petname
    reaches."""
    end = start
    while end < len(text) and end - start < address.ADDRESS_CHARACTERS and (is_of_word(text[end]) or text[end] in "-."):
        end += 1
    return text[start:end]
