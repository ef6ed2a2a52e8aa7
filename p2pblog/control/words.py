"""What a person may type: notices, names, ids. Refused with exit code 2 before anything is sent or written."""

from __future__ import annotations

import re
import unicodedata

from p2pblog.config import (
    BIO_CHARACTERS_MAX,
    DM_BYTES_MAX,
    ID_PREFIX_MIN,
    NAME_CHARACTERS_MAX,
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    PETNAME_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.errors import UsageError
from p2pblog.terminal import clean_name

ID_DIGITS = 64


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


def check_bio(bio: str) -> str:
    """A bio, as it is; an empty one takes the old one away. Raises UsageError."""
    check_utf8(bio, "the bio")
    return _check_length(bio, "the bio", BIO_CHARACTERS_MAX)


def check_warning(text: str) -> str:
    """A content warning, without space around it; one line. Raises UsageError."""
    return _one_line(text, "the content warning", WARNING_CHARACTERS_MAX)


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


def check_id(text: str) -> str:
    """An id or the beginning of one, in lower case. Raises UsageError; whether it is unique only the node knows."""
    check_utf8(text, "the id")
    digits = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) > ID_DIGITS:
        raise UsageError(f"an id is {ID_DIGITS} hexadecimal digits, or the first {ID_PREFIX_MIN} or more of them")
    if len(digits) < ID_PREFIX_MIN:
        raise UsageError(f"an id may be shortened to {ID_PREFIX_MIN} digits, and this has {len(digits)}")
    return digits


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
