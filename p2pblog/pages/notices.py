"""Notices, conversations and what became of what one wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pblog.config import RECORD_BYTES_MAX
from p2pblog.pages.values import ADDRESS_LETTERS, TEXT_COLUMNS_MAX, ago, counted, day, fields, short_id, try_line, who
from p2pblog.terminal import Line, Page, Piece, Style, clean_line, clean_text, fit, line, width, wrap

if TYPE_CHECKING:
    from p2pblog.control.api import BookmarkDocument, EntryDocument, NoticeDocument, ThreadDocument, WrittenDocument

NOTICE_RECORD_OVERHEAD = 230
"""Bytes of a DHT notice record beside the text: body 115 to 140, signature 66, frames and the payload's names."""
FIELD_OVERHEAD = 8
"""What a content warning or a language adds beside its own bytes: its name, and two lengths."""
REPLY_OVERHEAD = 117
"""What naming the answered notice adds: three hashes, a number and a name."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader knows beside the notices of a page: whom they follow, each with a petname or None, by address;
    and boosted notices, by id."""

    petnames: Mapping[str, str | None] = field(default_factory=dict)
    boosted: Mapping[str, NoticeDocument] = field(default_factory=dict)


NOTHING_KNOWN = Known()


def notice_lines(
    notice: NoticeDocument,
    now_ms: int,
    columns: int,
    known: Known = NOTHING_KNOWN,
    indent: str = "",
    mark: str = "",
    *,
    is_asked_for: bool = False,
) -> Page:
    """A notice: who, when and which id; its text; what it answers and what it got. `indent` leads every line.
    `is_asked_for`: the text is shown although a content warning stands before it."""
    inner = indent + " " * len(mark) + "  "
    text_columns = min(columns - len(inner), TEXT_COLUMNS_MAX)
    # Every line of the text is set in, so that no text can draw what looks like the head of another notice.
    body = [line(inner, text) if text else line() for text in wrap(clean_text(notice["text"]).rstrip(), text_columns)]
    if notice["cw"]:
        warned = [
            line(inner, Piece(text, Style.BOLD)) for text in wrap(f"CW: {clean_line(notice['cw'])}", text_columns)
        ]
        hidden = fit(f"(text hidden; p2pblog show {short_id(notice['boost_of'] or notice['id'])})", text_columns)
        body = [*warned, *(body if is_asked_for else [line(inner, Piece(hidden, Style.DIM))])]
    if notice["type"] == "boost" and not notice["text"]:
        body = [line(inner, Piece(fit("(not here: deleted, or not fetched yet)", text_columns), Style.DIM))]
    return [
        _head(notice, now_ms, columns, known, indent + mark),
        *body,
        *_foot(notice, inner, columns, known, replies=not mark),
    ]


def _head(notice: NoticeDocument, now_ms: int, columns: int, known: Known, lead: str) -> Line:
    """Who said it, or who boosted whose words; when; and the id to type."""
    dot = Piece(" · ", Style.DIM)
    tail = line(dot, Piece(ago(notice["time"], now_ms), Style.DIM), dot, Piece(short_id(notice["id"]), Style.ID))
    original = known.boosted.get(notice["boost_of"] or "")
    word = line(Piece(" boosted " if original else " · boosted ", Style.GOOD)) if notice["type"] == "boost" else ()
    if word and not original:
        word = line(*word, Piece(short_id(notice["boost_of"] or ""), Style.ID))
    people = [notice, original] if word and original else [notice]
    letters = len(f" ({'x' * ADDRESS_LETTERS})") * len(people)
    room = columns - len(lead) - letters - sum(width(piece.text) for piece in (*word, *tail))
    called = [
        who(each["name"], each["author"], known.petnames.get(each["author"]), room // len(people)) for each in people
    ]
    return line(Piece(lead, Style.DIM), *called[0], *word, *(called[1] if len(called) > 1 else ()), *tail)


def _foot(notice: NoticeDocument, inner: str, columns: int, known: Known, replies: bool) -> Page:
    said = [counted(notice["likes"], "like")] if notice["likes"] else []
    said += [counted(notice["boosts"], "boost")] if notice["boosts"] else []
    if notice["imported_time"] is not None:
        said.insert(0, f"imported, first written {day(notice['imported_time'])}")
    if notice["reply_to"] and replies:
        said.insert(0, f"in reply to {short_id(notice['reply_to'])}")
    if notice["boost_of"] in known.boosted:
        said.insert(0, f"boost of {short_id(notice['boost_of'] or '')}")
    return [line(inner, Piece(fit(" · ".join(said), columns - len(inner)), Style.DIM))] if said else []


def timeline_page(notices: Sequence[NoticeDocument], now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """Notices in the order given, with a free line between two."""
    page: Page = []
    for notice in notices:
        page += [*([line()] if page else []), *notice_lines(notice, now_ms, columns, known)]
    return page


def empty_timeline_page(older: bool, of_one: bool, tag: str | None, command: str) -> Page:
    """Why nothing stands here: what was asked for lay below a notice (`older`), had a tag, or was one person's."""
    if older:
        return [line("Nothing older.")]
    if tag is not None:
        return [line(f"Nothing with #{clean_line(tag)} is here yet.")]
    if of_one:
        return [line("Nothing of theirs is here yet.")]
    return [line("Nothing here yet. Post something, or follow somebody."), try_line(f"{command} follow ADDRESS")]


def thread_page(thread: ThreadDocument, now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """A conversation as a tree: each answer set in below what it answers."""
    page: Page = []
    for notice, depth in _tree(thread["notices"]):
        indent = "  " * min(depth - 1, max(0, (columns - 44) // 2)) if depth else ""
        mark = "└ " if depth else ""
        page += [*([line()] if page else []), *notice_lines(notice, now_ms, columns, known, indent, mark)]
    if thread["missing"]:
        page += [line(), line(Piece(f"{counted(thread['missing'], 'notice')} not found yet.", Style.DIM))]
    return page


def _tree(notices: Sequence[NoticeDocument]) -> list[tuple[NoticeDocument, int]]:
    """Depth first, each with its depth; what answers something that is not held stands at the top."""
    held = {notice["id"] for notice in notices}
    answers: dict[str | None, list[NoticeDocument]] = {}
    for notice in notices:
        above = notice["reply_to"] if notice["reply_to"] in held else None
        answers.setdefault(above, []).append(notice)
    found: list[tuple[NoticeDocument, int]] = []
    waiting = [(notice, 0) for notice in reversed(answers.get(None, []))]
    while waiting:
        notice, depth = waiting.pop()
        found.append((notice, depth))
        waiting += [(answer, depth + 1) for answer in reversed(answers.get(notice["id"], []))]
    return found


def written_page(written: WrittenDocument, about: str | None = None, undone: str | None = None) -> Page:
    """What became of a command that writes; `about` is the id of the notice that it meant, or its beginning. `undone`:
    what it took back of what one had said of that notice."""
    done = {"note": "Posted", "boost": "Boosted", "like": "Liked", "delete": "Deleted"}.get(written["type"], "Written")
    entry = Piece(short_id(written["id"]), Style.ID)
    if about is None:
        return [line(f"{done}: ", entry)]
    if undone is not None:
        return [line(f"Took back your {undone} of ", Piece(short_id(about), Style.ID), " (entry ", entry, ")")]
    way_back = ")" if written["type"] == "delete" else f"; un{written['type']} takes it back)"
    return [line(f"{done} ", Piece(short_id(about), Style.ID), " (entry ", entry, way_back)]


def bookmark_page(bookmark: BookmarkDocument) -> Page:
    word = "Bookmarked" if bookmark["bookmarked"] else "No longer bookmarked:"
    return [line(f"{word} ", Piece(short_id(bookmark["id"]), Style.ID))]


def bookmarks_page(
    notices: Sequence[NoticeDocument], older: bool, now_ms: int, columns: int, known: Known = NOTHING_KNOWN
) -> Page:
    if not notices:
        return [line("Nothing older." if older else "You have no bookmarks.")]
    return timeline_page(notices, now_ms, columns, known)


def is_too_long_for_dht(text: str, is_reply: bool, *extras: str | None) -> bool:
    """Whether a notice with this text, content warning and language can't be a DHT record, so that only replicas carry
    it; said a few bytes early."""
    overhead = NOTICE_RECORD_OVERHEAD + (REPLY_OVERHEAD if is_reply else 0)
    overhead += sum(FIELD_OVERHEAD + len(extra.encode()) for extra in extras if extra)
    return len(text.encode()) > RECORD_BYTES_MAX - overhead


def entry_page(entry: EntryDocument, raw: bool) -> Page:
    """The exact bytes of an entry in hexadecimal, or how many they are."""
    chain = entry["chain"]
    if raw:
        rows = [(name, str(entry[name] or "(not held)")) for name in ("id", "body", "payload", "signature")]
        return fields([*rows, *((f"chain {number}", body) for number, body in enumerate(chain, 1))])
    payload = "not held" if entry["payload"] is None else counted(len(entry["payload"]) // 2, "byte")
    signed = "its own" if not chain else f"of the entry {counted(len(chain), 'place')} later"
    return fields(
        [
            ("id", entry["id"]),
            ("body", counted(len(entry["body"]) // 2, "byte")),
            ("payload", payload),
            ("signature", signed),
        ]
    )
