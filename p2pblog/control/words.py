"""What a person may type: notices, names, ids. Refused with exit code 2 before anything is sent or written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from p2pblog.config import (
    ALT_CHARACTERS_MAX,
    BIO_CHARACTERS_MAX,
    BUDGET_COUNT_MAX,
    DM_BYTES_MAX,
    GROUP_CHARACTERS_MAX,
    ID_PREFIX_MIN,
    LINK_CHARACTERS_MAX,
    LINKS_MAX,
    LIST_NAME_CHARACTERS_MAX,
    MUTE_MS_MAX,
    MUTE_MS_MIN,
    MUTED_WORDS_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    PETNAME_CHARACTERS_MAX,
    POLL_OPEN_MS_MAX,
    POLL_OPEN_MS_MIN,
    POLL_OPTION_CHARACTERS_MAX,
    POLL_OPTIONS_MAX,
    POLL_OPTIONS_MIN,
    TAG_CHARACTERS_MAX,
    VOTE_CHOICE_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.errors import UsageError
from p2pblog.terminal import clean_name

BLOCKED = "you have blocked that address"
HOW_FAR = (
    "This link works on this machine only.",
    "This link works in your local network only. Elsewhere you both need a node that can be reached from everywhere.",
)
"""What is to be said of a link, by how far the peer in it is reached from that is reached from farthest."""
NAMES_NOBODY = "This link names no node to begin with: it is for who is linked with others already, as you have to be."
FOLLOWS_FULL = "you follow {} people already, which is as many as a node keeps up with"
ID_DIGITS = 64
PICTURES = "it has to be a JPEG, PNG, GIF or WebP picture"
UNITS_MS = {"m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""How long a unit of time is."""


def check_text(text: str) -> str:
    """A notice's text, as it is. Raises UsageError: empty, too long, or no text at all."""
    check_utf8(text, "the text")
    if not text.strip():
        raise UsageError("an empty notice says nothing")
    _check_length(text, "the text", NOTE_CHARACTERS_MAX)
    _check_visible(text, "the text")
    size = len(text.encode())
    if size > NOTE_BYTES_MAX:
        raise UsageError(f"the text has {size:,} bytes in UTF-8, and a notice at most {NOTE_BYTES_MAX:,}")
    return text


def check_dm(text: str) -> str:
    """The text of a direct message, as it is. Raises UsageError: empty, too long, or no text at all."""
    check_utf8(text, "the text")
    if not text.strip():
        raise UsageError("an empty message says nothing")
    _check_visible(text, "the text")
    size = len(text.encode())
    if size > DM_BYTES_MAX:
        raise UsageError(f"the text has {size:,} bytes in UTF-8, and a direct message at most {DM_BYTES_MAX:,}")
    return text


def check_name(name: str) -> str:
    """A display name, without space around it; one line. Raises UsageError."""
    return _one_line(name, "the name", NAME_CHARACTERS_MAX)


def check_petname(petname: str) -> str:
    """A petname, without space around it; one line, and nothing that reads as an address. Raises UsageError."""
    petname = _one_line(petname, "the petname", PETNAME_CHARACTERS_MAX)
    if petname.lower().startswith("p2pblog:"):  # a bare address is longer than a petname may be
        raise UsageError("a petname must not look like an address")
    return petname


def check_list_name(name: str) -> str:
    """A list's name, without space around it; one line. Raises UsageError."""
    return _one_line(name, "the list's name", LIST_NAME_CHARACTERS_MAX)


def check_bio(bio: str) -> str:
    """A bio, as it is; an empty one takes the old one away. Raises UsageError."""
    check_utf8(bio, "the bio")
    return _check_length(bio, "the bio", BIO_CHARACTERS_MAX)


def check_links(links: Sequence[str]) -> list[str]:
    """The links of a profile, each without space around it and once; empty ones are none. Raises UsageError."""
    from p2pblog.core.links import is_link  # few commands need it

    found = dict.fromkeys(link for given in links if (link := check_utf8(given, "the link").strip()))
    if len(found) > LINKS_MAX:
        raise UsageError(f"a profile has at most {LINKS_MAX} links, and these are {len(found)}")
    for link in found:
        _check_length(link, "the link", LINK_CHARACTERS_MAX)
        if not is_link(link):
            raise UsageError("a link begins with http://, https://, gemini://, mailto: or p2pblog:, and has no spaces")
    return list(found)


def check_warning(text: str) -> str:
    """A content warning, without space around it; one line. Raises UsageError."""
    return _one_line(text, "the content warning", WARNING_CHARACTERS_MAX)


def check_alt(text: str) -> str:
    """What is to be seen in a picture, without space around it; may be empty. Raises UsageError."""
    return _check_length(check_utf8(text, "the description").strip(), "the description", ALT_CHARACTERS_MAX)


def check_language(text: str) -> str:
    """A language tag, as it is. Raises UsageError."""
    from p2pblog.core.payload import is_language  # few commands need it

    if not is_language(check_utf8(text, "the language")):
        raise UsageError("a language is written as a tag like en, pt-BR or zh-Hant")
    return text


def check_tag(text: str) -> str:
    """A tag, with or without its #, as notices have it. Raises UsageError."""
    from p2pblog.core.tags import as_tag  # few commands need it

    tag = as_tag(check_utf8(text, "the tag"))
    if tag is None:
        raise UsageError(f"a tag is one word of at most {TAG_CHARACTERS_MAX} letters, digits and _, not digits alone")
    return tag


def check_group(text: str) -> str:
    """A group, with or without its !, as notices name it. Raises UsageError."""
    from p2pblog.core.groups import as_group  # few commands need it

    group = as_group(check_utf8(text, "the group"))
    if group is None:
        raise UsageError(
            f"a group is one word of at most {GROUP_CHARACTERS_MAX} letters, digits and _, not digits alone"
        )
    return group


def check_joined(text: str) -> str:
    """A group to leave, with or without its !, also one whose letters only a later Unicode knows: it came with an
    archive. Raises UsageError for what is no UTF-8."""
    from p2pblog.core.groups import as_group  # few commands need it

    return as_group(check_utf8(text, "the group")) or text.strip().removeprefix("!")


def check_poll(options: Sequence[str], text: str) -> list[str]:
    """The options of a poll, each without space around it, one line, unlike the others; `text` is that of its notice.
    Raises UsageError."""
    if not POLL_OPTIONS_MIN <= len(options) <= POLL_OPTIONS_MAX:
        raise UsageError(f"a poll has {POLL_OPTIONS_MIN} to {POLL_OPTIONS_MAX} options, and this has {len(options)}")
    checked = [_one_line(option, "an option", POLL_OPTION_CHARACTERS_MAX) for option in options]
    if len(set(map(clean_name, checked))) < len(checked):
        raise UsageError("two options of the poll are the same")
    size = sum(len(part.encode()) for part in (text, *checked))
    if size > NOTE_BYTES_MAX:
        raise UsageError(f"the text and the options have {size:,} bytes, and together at most {NOTE_BYTES_MAX:,}")
    return checked


def check_lasting(text: str) -> int:
    """How long a poll is open, as `90min`, `24h` or `7d`, in ms. Raises UsageError."""
    lasting_ms = _length_ms(text)
    if lasting_ms is None:
        raise UsageError("how long a poll is open is written as 90min, 24h or 7d")
    if not POLL_OPEN_MS_MIN <= lasting_ms <= POLL_OPEN_MS_MAX:
        raise UsageError("a poll is open for 5 minutes to 30 days")
    return lasting_ms


def _length_ms(text: str) -> int | None:
    """What a person typed as a length of time: a number, and m or min, h, d; None for anything else."""
    found = re.fullmatch(r"([0-9]{1,10}) ?(m|min|h|d)", check_utf8(text, "the time").strip().lower())
    return None if found is None else int(found[1]) * UNITS_MS[found[2]]


def check_choice(text: str) -> int:
    """The number of an option, counted from 1. Raises UsageError."""
    digits = check_utf8(text, "the choice").strip()
    if not re.fullmatch(r"[0-9]{1,3}", digits) or not 1 <= int(digits) <= VOTE_CHOICE_MAX:
        raise UsageError("a choice is the number of an option, counted from 1")
    return int(digits)


def check_words(text: str) -> str:
    """A word, or a few in a row, as texts are searched for it. Raises UsageError."""
    from p2pblog.core.plain_words import plain_words

    _check_length(check_utf8(text, "the word"), "the word", MUTED_WORDS_CHARACTERS_MAX)
    words = plain_words(text)
    if not words:
        raise UsageError("a word has letters or digits")
    return words


def check_duration(text: str) -> int:
    """How long `7d`, `12h` or `30m` is, in ms. Raises UsageError: no such thing, or not a minute to a year."""
    length = _length_ms(text)
    if length is None:
        raise UsageError("a time is written 30m, 12h or 7d, from 1 minute to 366 days")
    if not MUTE_MS_MIN <= length <= MUTE_MS_MAX:
        raise UsageError("a mute lasts a minute to 366 days; without a time it has no end")
    return length


def check_budget(text: str) -> str | None:
    """A budget such as `3/day` in its one spelling; None for `none`. Raises UsageError."""
    from p2pblog.core.quiet import read_budget

    if text.strip().lower() == "none":
        return None
    budget = read_budget(text)
    if budget is None:
        raise UsageError(f"a budget is 1 to {BUDGET_COUNT_MAX:,} an hour, day or week, as 3/day; none takes it back")
    return budget.spelled


def check_query(text: str, now_ms: int) -> str:
    """What to search for, without space around it. Raises UsageError; who is meant by `from:` only the node knows."""
    from p2pblog.core.search import parse  # few commands need it

    parse(check_utf8(text, "the query"), now_ms)
    return text.strip()


def check_id(text: str) -> str:
    """An id or the beginning of one, in lower case. Raises UsageError; whether it is unique only the node knows."""
    check_utf8(text, "the id")
    digits = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) > ID_DIGITS:
        raise UsageError(f"an id is {ID_DIGITS} hexadecimal digits, or the first {ID_PREFIX_MIN} or more of them")
    if len(digits) < ID_PREFIX_MIN:
        raise UsageError(f"an id may be shortened to {ID_PREFIX_MIN} digits, and this has {len(digits)}")
    return digits


def taken(check: Callable[[str], str], text: str | None) -> str | None:
    """A text as `check` takes it from a person; none rather than a wrong one."""
    try:
        return None if text is None else check(text)
    except UsageError:
        return None


def check_utf8(text: str, what: str) -> str:
    """Text that came as bytes from a terminal, a file or JSON is UTF-8. Raises UsageError.

    Python keeps bytes that are not as lone surrogates (PEP 383), and JSON can spell those too.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is not valid UTF-8") from error
    return text


def _one_line(text: str, what: str, characters_max: int) -> str:
    text = check_utf8(text, what).strip()
    if not text:
        raise UsageError(f"{what} is empty")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UsageError(f"{what} has control characters or more than one line")
    _check_length(text, what, characters_max)
    return _check_visible(text, what)


def _check_visible(text: str, what: str) -> str:
    """Something is left of it on a page, where controls and blanks go, and marks need a letter to stand on."""
    if all(unicodedata.category(character) in ("Mn", "Me") for character in clean_name(text) or ""):
        raise UsageError(f"{what} has no visible character")
    return text


def _check_length(text: str, what: str, characters_max: int) -> str:
    if len(text) > characters_max:
        raise UsageError(f"{what} has {len(text):,} characters, and at most {characters_max:,} are allowed")
    return text


def link_limit(uri: str) -> str | None:
    """Where one's own link leads nowhere, in a sentence; None where it leads to you from everywhere."""
    from p2pblog.core.address import read_peers  # most commands need none

    peers = read_peers(uri.partition("?")[2])
    if not peers:
        return NAMES_NOBODY
    reach = max(peer.reach for peer in peers)
    return HOW_FAR[reach] if reach < len(HOW_FAR) else None
