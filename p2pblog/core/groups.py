"""Groups: what `!word` in a text names, and the id by which people who never met find what was said to one."""

from __future__ import annotations

import unicodedata

from p2pblog.config import GROUP_CHARACTERS_MAX, GROUPS_MAX
from p2pblog.core.keys import hash32
from p2pblog.core.tags import whole_word, words_behind

_CONTROLS_BETWEEN = "\t\n\v\f\r\x85"
"""White space that is of no category of separators (Unicode's property White_Space)."""
GROUP_DOMAIN = b"p2pblog group 1"


def groups_of(text: str) -> tuple[str, ...]:
    """The groups that a text names in the order in which they come first, normal, each once; at most GROUPS_MAX.

    A group is a `!` at the beginning or behind white space, and then a word as a tag has it, of at most
    GROUP_CHARACTERS_MAX characters when normal. So `wow!`, `a!=b`, `(!done)` and `!!` name none. (What may stand before
    the sign is Laconica's rule, which let some punctuation pass as well.)
    """
    return words_behind("!", text, lambda before: not _is_white_space(before), GROUPS_MAX, GROUP_CHARACTERS_MAX)


def as_group(typed: str) -> str | None:
    """What a person typed as a group, with or without its `!`, as `groups_of` gives it; None for what can't be one."""
    return whole_word(typed.strip().removeprefix("!"), GROUP_CHARACTERS_MAX)


def group_id(name: str) -> bytes:
    """32 bytes by which a group is found: H(its normal name in UTF-8, "p2pblog group 1")."""
    return hash32(name.encode(), GROUP_DOMAIN)


def _is_white_space(character: str) -> bool:
    return character in _CONTROLS_BETWEEN or unicodedata.category(character)[0] == "Z"
