"""Links of a profile: which ones a reader may be shown, by their form alone."""

from __future__ import annotations

import re

from p2pblog.config import LINK_CHARACTERS_MAX

_LINK = re.compile(
    r"(https?|gemini)://[^/?#@]+([/?#].*)?|mailto:[^@]+@[^@]+|p2pblog:[a-z2-7]{56}(\?.*)?", re.IGNORECASE | re.ASCII
)
"""Schemes that lead to a page, a letter or a person; none that a program would run, as `javascript:` or `file:`. A
page has no name before its host, which could be made to look like another host."""


def is_link(text: str) -> bool:
    """Whether this has the form of a link to a page (http, https, gemini), an address for letters (mailto) or somebody
    here (p2pblog), in printable characters without spaces. Nothing is looked up."""
    if not text.isprintable() or " " in text or len(text) > LINK_CHARACTERS_MAX:
        return False
    return _LINK.fullmatch(text) is not None
