"""What somebody wrote on Mastodon, read from the outbox.json of the archive that it hands out.

That is an ActivityPub collection (https://www.w3.org/TR/activitystreams-vocabulary/#dfn-orderedcollection). Taken are
posts of its owner that were addressed to everybody: `Create` of a `Note` whose `to` names the public collection. What
they boosted, sent to followers or to single people, or asked as a poll, is left there.
"""

from __future__ import annotations

import calendar
import json
import re
from html.parser import HTMLParser
from typing import Any

from p2pblog.config import (
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    OUTBOX_BRACKETS_MAX,
    OUTBOX_COMMAS_MAX,
    OUTBOX_CONTENT_CHARACTERS_MAX,
    OUTBOX_TAG_CHARACTERS_MAX,
    TIME_MS_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.core.payload import is_language
from p2pblog.core.value import Value
from p2pblog.errors import Malformed, TooLarge

PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
"""The collection of everybody, and its two short names (ActivityPub, 5.6)."""


class Post(Value):
    """A public post. `id` and `answers` are addresses on the web, as the outbox has them; `texts` its text in as many
    parts as notices have to be made of it."""

    id: str
    time_ms: int
    texts: tuple[str, ...]
    answers: str | None = None
    warning: str | None = None
    language: str | None = None


def read_outbox(data: bytes) -> tuple[list[Post], int]:
    """The public posts of an outbox, oldest first, and how many other things it holds.

    Raises Malformed for what is no outbox, or TooLarge for one of more parts than Mastodon makes of any.
    """
    _check_parts(data)
    try:
        outbox = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed("it is not JSON") from error
    items = outbox.get("orderedItems") if isinstance(outbox, dict) else None
    if not isinstance(items, list) or outbox.get("type") != "OrderedCollection":
        raise Malformed("it is no outbox of Mastodon: it holds no ordered collection")
    found = [_post(item) for item in items]
    posts = [post for post in found if post is not None]
    return sorted(posts, key=lambda post: post.time_ms), len(found) - len(posts)


def _check_parts(data: bytes) -> None:
    """Before anything is made of them: three bytes of JSON may become a hundred of memory. What stands in texts is
    counted too, which costs nothing and only errs to the safe side."""
    if data.count(b"{") + data.count(b"[") > OUTBOX_BRACKETS_MAX:
        raise TooLarge(
            f"it has over {OUTBOX_BRACKETS_MAX:,} lists and objects, more than Mastodon makes of 100,000 posts"
        )
    if data.count(b",") > OUTBOX_COMMAS_MAX:
        raise TooLarge(f"it has over {OUTBOX_COMMAS_MAX:,} commas, more than Mastodon makes of 100,000 posts")


def _post(item: Any) -> Post | None:
    """One activity, if it is a public post of the outbox's owner that can be read."""
    note = item.get("object") if isinstance(item, dict) and item.get("type") == "Create" else None
    if not isinstance(note, dict) or note.get("type") != "Note":
        return None
    actor, author = _id_of(item.get("actor")), _id_of(note.get("attributedTo"))
    identifier, time_ms = _id_of(note), _time_ms(note.get("published") or item.get("published"))
    if identifier is None or time_ms is None or not actor or author not in (None, actor) or not _is_public(note, item):
        return None
    content = note.get("content")
    if not isinstance(content, str) or len(content) > OUTBOX_CONTENT_CHARACTERS_MAX:
        return None
    texts = tuple(split(_whole(f"{text_of(content)}\n\n{_attached(note.get('attachment'))}")))
    if not texts:
        return None
    answers, warning, language = _id_of(note.get("inReplyTo")), _warning(note.get("summary")), _language(note)
    return Post(identifier, time_ms, texts, answers, warning, language)


def _id_of(value: Any) -> str | None:
    """An object stands for itself or is named by its id."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def _is_public(note: dict[str, Any], item: dict[str, Any]) -> bool:
    to = note.get("to", item.get("to"))
    return any(isinstance(each, str) and each in PUBLIC for each in (to if isinstance(to, list) else [to]))


def _warning(summary: Any) -> str | None:
    """A content warning: one line, cut where ours would be too long."""
    line = " ".join(_whole(summary).split()) if isinstance(summary, str) else ""
    return (line if len(line) <= WARNING_CHARACTERS_MAX else f"{line[: WARNING_CHARACTERS_MAX - 1]}…") or None


def _language(note: dict[str, Any]) -> str | None:
    """Said by the one key of `contentMap`; where there are several, none of them is the post's own."""
    told = note.get("contentMap")
    keys = list(told) if isinstance(told, dict) else []
    return keys[0] if len(keys) == 1 and is_language(keys[0]) else None


def _attached(attachments: Any) -> str:
    """Pictures do not come along: a line for each, with the words that its author put to it."""
    lines = []
    for each in attachments if isinstance(attachments, list) else []:
        if isinstance(each, dict):
            media, name = each.get("mediaType"), each.get("name")
            kind = media.partition("/")[0] if isinstance(media, str) else ""
            kind = kind if kind in ("image", "video", "audio") else "file"
            words = " ".join(name.split()) if isinstance(name, str) else ""
            lines.append(f"[{kind}: {words}]" if words else f"[{kind}]")
    return "\n".join(lines)


# --- times ------------------------------------------------------------------------------------------------------------

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII | re.IGNORECASE
)


def _time_ms(value: Any) -> int | None:
    """A time as ActivityStreams writes it (xsd:dateTime with its zone), in ms; None for another, or before 1970."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    if not (1 <= month <= 12 and hour < 24 and minute < 60 and second <= 60 and year):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    ahead_s = 0 if found[8] is None else int(f"{found[8]}1") * (3600 * int(found[9]) + 60 * int(found[10]))
    seconds = calendar.timegm((year, month, day, hour, minute, second)) - ahead_s
    time_ms = 1000 * seconds + int((found[7] or "0")[:3].ljust(3, "0"))
    return time_ms if 0 <= time_ms <= TIME_MS_MAX else None


# --- texts ------------------------------------------------------------------------------------------------------------


def text_of(content: str) -> str:
    """The text of a post's HTML: paragraphs with a free line between them, lines, lists, and where links lead."""
    reader = _Reader()
    reader.feed(_plain(content))
    reader.close()
    return reader.text


_DECLARATION = re.compile(r"<!--|<[!?]")
_UNENDED = re.compile(r"<[!?/A-Za-z][^>]*\Z")
_LONG_NUMBER = re.compile(r"&#[0-9]{9,};?")
"""Unicode's last character has 7 digits; of over 4,300 Python makes no number."""


def _plain(content: str) -> str:
    """HTML without comments and declarations, and without a tag that never ends: the library takes some of them for
    mistakes of ours, and others take it a time that grows with their square."""
    parts, at = [], 0
    while begin := _DECLARATION.search(content, at):
        parts.append(content[at : begin.start()])
        if parts[-1].endswith("<"):  # which would open another with what follows
            parts.append(" ")
        end = "-->" if begin[0] == "<!--" else ">"
        found = content.find(end, begin.end())
        at = len(content) if found < 0 else found + len(end)
    kept = "".join([*parts, content[at:]])
    last = kept.rfind(">") + 1
    return _LONG_NUMBER.sub("\ufffd", kept[:last] + _UNENDED.sub("", kept[last:]))


def _whole(text: str) -> str:
    """Without control characters and halves of surrogate pairs, which JSON can spell and no notice can."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    kept = "".join(letter for letter in text if letter in "\n\t" or not (ord(letter) < 32 or 127 <= ord(letter) < 160))
    return kept.strip("\n").rstrip()


_KEPT_SPACE = "\xa0"
"""Stands for a space of preformatted text until the lines are in order: elsewhere it has become a common one."""
_KEPT_BREAK = "\u2028"
"""Likewise for the end of a line of it."""


class _Reader(HTMLParser):
    """HTML as Mastodon writes it, and what other servers wrote of the same kind."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._links: list[tuple[str | None, int]] = []
        self._hidden = 0
        self._as_is = 0

    @property
    def text(self) -> str:
        lines = map(_in_order, "".join(self._out).split("\n"))
        whole = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
        return whole.replace(_KEPT_SPACE, " ").replace(_KEPT_BREAK, "\n")

    def parse_starttag(self, i: int) -> int:
        """A tag that is too long is left out up to its first `>`, before its attributes become objects: the library
        looks at no more than the longest tag may have, for looking takes it 600 bytes for each attribute."""
        whole, self.rawdata = self.rawdata, self.rawdata[i : i + OUTBOX_TAG_CHARACTERS_MAX]
        is_cut = i + OUTBOX_TAG_CHARACTERS_MAX < len(whole)
        try:
            found = self.check_for_whole_start_tag(0)
        finally:
            self.rawdata = whole
        if found < 0 and is_cut:
            return whole.find(">", i) + 1 or len(whole)
        return super().parse_starttag(i)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._as_is:
            self._out.append(re.sub(r"\r\n?|\n", _KEPT_BREAK, data).replace(" ", _KEPT_SPACE))
        else:
            self._out.append(re.sub(r"\s+", " ", data))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        match tag:
            case "script" | "style":
                self._hidden += 1
            case "br":
                self._out.append(_KEPT_BREAK if self._as_is else "\n")
            case "pre":
                self._as_is += 1
                self._out.append("\n\n")
            case "p" | "blockquote" | "ul" | "ol" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._out.append("\n\n")
            case "li":
                self._out.append("\n* ")
            case "a":
                self._links.append((_target(dict(attrs)), len(self._out)))

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "script" | "style":
                self._hidden = max(0, self._hidden - 1)
            case "pre":
                self._as_is = max(0, self._as_is - 1)
                self._out.append("\n\n")
            case "p" | "blockquote" | "ul" | "ol" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._out.append("\n\n")
            case "a" if self._links:
                self._end_link(*self._links.pop())

    def _end_link(self, target: str | None, begun: int) -> None:
        """A link is its target; where its words are others than that, they stand before it."""
        if target is None:
            return
        words = "".join(self._out[begun:]).strip()
        bare = {target, target.partition("://")[2], target.partition("://")[2].rstrip("/")}
        self._out[begun:] = [target if words in bare or not words else f"{words} ({target})"]


def _in_order(line: str) -> str:
    """A line, or all of a preformatted text, without the spaces and free lines around it that show nowhere."""
    return _KEPT_BREAK.join(each.strip(" ").rstrip() for each in line.split(_KEPT_BREAK)).strip(_KEPT_BREAK)


def _target(attributes: dict[str, str | None]) -> str | None:
    """Where a link leads on the web. Mentions and tags are what they say: their words mean the same everywhere."""
    kinds = (attributes.get("class") or "").split()
    target = (attributes.get("href") or "").strip()
    is_web = re.match(r"https?://\S+$", target, re.IGNORECASE) is not None
    return target if is_web and not {"mention", "hashtag"} & set(kinds) else None


def split(text: str) -> list[str]:
    """A text in parts that each fit a notice, cut at paragraphs, lines or words where it can be; none of nothing. A
    line that begins a part keeps the spaces before it."""
    parts = []
    while text:
        room = _fits(text)
        cut = room if room == len(text) else _cut(text, room)
        part, rest = text[:cut].rstrip(), text[cut:]
        text = rest.lstrip("\n") if rest.startswith("\n") else rest.lstrip()
        parts += [part] if part else []
    return parts


def _fits(text: str) -> int:
    """How many characters of the beginning fit."""
    text = text[:NOTE_CHARACTERS_MAX]
    return len(text.encode()[:NOTE_BYTES_MAX].decode(errors="ignore"))


def _cut(text: str, room: int) -> int:
    """Where to cut within `room`: not above its half, so that no part is a scrap."""
    ends = (text.rfind(end, 0, room) for end in ("\n\n", "\n", " "))
    return next((at for at in ends if at > room // 2), room)
