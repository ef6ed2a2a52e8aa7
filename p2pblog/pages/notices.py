"""Notices, conversations and what became of what one wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pblog.config import ADDRESS_CHARACTERS, ADDRESS_LETTERS, RECORD_BYTES_MAX
from p2pblog.pages.files import file_lines
from p2pblog.pages.values import (
    ID_DIGITS,
    TEXT_COLUMNS_MAX,
    ago,
    counted,
    day,
    fields,
    name_warning,
    short_id,
    try_line,
    who,
)
from p2pblog.terminal import Line, Page, Piece, Style, clean_line, clean_name, clean_text, fit, line, width, wrap

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        BookmarkDocument,
        EntryDocument,
        FollowDocument,
        IdDocument,
        NoticeDocument,
        ThreadDocument,
        VersionDocument,
        WrittenDocument,
    )
    from p2pblog.core.lookalikes import Bearers

RECORD_FRAMES = 77
"""Bytes of a DHT record beside an entry's body and payload: the signature's 64, a kind and six lengths."""
NOBODIES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader knows beside the notices of a page: whom they follow, each with a petname or None, by address;
    boosted notices, by id; warnings beside names that look like others, by (address, name); what those whom they follow
    and they themselves are called, by address; and their own address, where the page speaks of them."""

    petnames: Mapping[str, str | None] = field(default_factory=dict)
    boosted: Mapping[str, NoticeDocument] = field(default_factory=dict)
    warnings: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=dict)
    own: str | None = None
    pruned: Mapping[str, int] = field(default_factory=dict)
    """How many entries of whom one follows went to save room, by address."""


NOTHING_KNOWN = Known()
_MENTION = re.compile(rf"@([a-z2-7]{{{ADDRESS_CHARACTERS}}})(?!\w)", re.IGNORECASE | re.ASCII)


def name_warnings(
    notices: Sequence[NoticeDocument], follows: Sequence[FollowDocument], own: IdDocument | None
) -> dict[tuple[str, str | None], str]:
    """What stands beside the names on a page of notices."""
    followed = {follow["address"]: follow["name"] for follow in follows}
    quoted = [notice["quote"]["author"] for notice in notices if notice["quote"] is not None]
    pairs = [(notice["author"], notice["name"]) for notice in notices]
    pairs += [(address, followed[address]) for address in quoted if address in followed]
    return warnings_beside(pairs, follows, own)


def warnings_beside(
    pairs: Sequence[tuple[str, str | None]], follows: Sequence[FollowDocument], own: IdDocument | None
) -> dict[tuple[str, str | None], str]:
    """What stands beside people, each as (address, name): of those followed the daemon has said whom they look like.
    Others are compared with these and, where `own` is given, with oneself; so is a name that somebody followed has just
    left."""
    followed = {follow["address"]: follow for follow in follows}
    called = {follow["address"]: follow["petname"] or follow["name"] for follow in follows}
    bearers: Bearers | None = None
    found = {}
    for address, name in dict.fromkeys(pairs):
        row = followed.get(address)
        if row is not None and row["petname"]:  # whom the reader has named is no other's double
            continue
        if own is not None and address == own["address"]:  # nor are they themselves
            continue
        like = row["lookalike"] if row is not None else None
        is_compared = row["name"] != name if row is not None else own is not None and address not in called
        if is_compared and name is not None:
            bearers = bearers or _bearers(follows, own)
            like = bearers.other(name, address)
        if warning := name_warning(name, like, called.get(like or ""), None if own is None else own["address"]):
            found[address, name] = warning
    return found


def _bearers(follows: Sequence[FollowDocument], own: IdDocument | None) -> Bearers:
    from p2pblog.core.lookalikes import Bearers  # only where strangers are on the page

    pairs = [] if own is None else [(own["address"], own["name"])]
    return Bearers.of(
        [*pairs, *((each["address"], name) for each in follows for name in (each["petname"], each["name"]))]
    )


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
    said = clean_text(_with_names(notice["text"], known)).rstrip()
    body = [line(inner, text) if text else line() for text in wrap(said, text_columns)]
    if notice["poll"] is not None:
        from p2pblog.pages.polls import poll_lines  # few notices are polls

        is_own = notice["author"] == known.own and notice["type"] == "note"
        body += poll_lines(notice["poll"], now_ms, len(inner) + text_columns, inner, is_own=is_own)
    body += _quoted(notice, inner, text_columns, known, is_asked_for)
    if notice["cw"]:
        body = _behind(notice["cw"], body, notice, line(inner), text_columns, is_asked_for)
    if notice["type"] == "boost" and not notice["text"]:
        body = [line(inner, Piece(fit(_not_here(notice["boost_deleted"]), text_columns), Style.DIM))]
    is_hidden = bool(notice["cw"]) and not is_asked_for
    return [
        _head(notice, now_ms, columns, known, indent + mark),
        *body,
        *(file_lines(notice["media"], inner, columns, is_hidden=is_hidden) if notice["media"] else ()),
        *_foot(notice, inner, columns, known, replies=not mark),
    ]


def _with_names(text: str, known: Known) -> str:
    """The text with the reader's own word for each mentioned person and their own name for themselves, or the first
    letters of the address: how others call themselves is no word to tell them by."""

    def called(found: re.Match[str]) -> str:
        address = found[1].lower()
        own_word = known.names.get(address) if address == known.own else known.petnames.get(address)
        return f"@{clean_name(own_word) or address[:ADDRESS_LETTERS] + '…'}"

    return _MENTION.sub(called, text)


def _not_here(is_deleted: bool) -> str:
    return "(deleted by its author)" if is_deleted else "(not here: deleted, or not fetched yet)"


def _behind(warning: str, body: Page, notice: NoticeDocument, lead: Line, columns: int, is_asked_for: bool) -> Page:
    """A content warning, and below it the words of the notice that it stands before, or how to see them."""
    warned = [line(*lead, Piece(text, Style.BOLD)) for text in wrap(f"CW: {clean_line(warning)}", columns)]
    hidden = fit(f"(text hidden; show {short_id(notice['boost_of'] or notice['id'])})", columns)
    return [*warned, *(body if is_asked_for else [line(*lead, Piece(hidden, Style.DIM))])]


def _quoted(notice: NoticeDocument, inner: str, columns: int, known: Known, is_asked_for: bool) -> Page:
    """The quoted words, set in behind a bar; whose, and which notice. A warning stands before them here as there."""
    quote = notice["quote"]
    if quote is None:
        return []
    author = quote["author"]
    name = known.names.get(author)
    warning = known.warnings.get((author, name))
    room = columns - 2 - ID_DIGITS - 3 - ADDRESS_LETTERS - 3 - (1 + width(warning) if warning else 0)
    whose = who(name, author, known.petnames.get(author), room, warning)
    head = line(inner, Piece("│ ", Style.DIM), *whose, Piece(f" · {short_id(quote['id'])}", Style.DIM))
    if quote["text"] is None:
        return [head, line(inner, Piece(fit(f"│ {_not_here(quote['deleted'])}", columns), Style.DIM))]
    rows = wrap(clean_text(_with_names(quote["text"], known)).rstrip(), columns - 2)
    lead = line(inner, Piece("│ ", Style.DIM))
    said = [line(*lead, text) for text in rows]
    return [head, *(_behind(quote["cw"], said, notice, lead, columns - 2, is_asked_for) if quote["cw"] else said)]


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
    warnings = [known.warnings.get((each["author"], each["name"])) for each in people]
    room = columns - len(lead) - letters - sum(width(piece.text) for piece in (*word, *tail))
    room -= sum(1 + width(warning) for warning in warnings if warning)
    called = [
        who(each["name"], each["author"], known.petnames.get(each["author"]), room // len(people), warning)
        for each, warning in zip(people, warnings, strict=True)
    ]
    return line(Piece(lead, Style.DIM), *called[0], *word, *(called[1] if len(called) > 1 else ()), *tail)


def _foot(notice: NoticeDocument, inner: str, columns: int, known: Known, replies: bool) -> Page:
    said = [counted(notice["likes"], "like")] if notice["likes"] else []
    said += [counted(notice["boosts"], "boost")] if notice["boosts"] else []
    if notice["muted"]:
        said.insert(0, "muted")
    if notice["imported_time"] is not None:
        said.insert(0, f"imported, first written {day(notice['imported_time'])}")
    if notice["reply_to"] and replies:
        said.insert(0, f"in reply to {short_id(notice['reply_to'])}")
    if notice["edited"] is not None:
        said.append("edited")
    if notice["boost_of"] in known.boosted:
        said.insert(0, f"boost of {short_id(notice['boost_of'] or '')}")
    return [line(inner, Piece(fit(" · ".join(said), columns - len(inner)), Style.DIM))] if said else []


def timeline_page(notices: Sequence[NoticeDocument], now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """Notices in the order given, with a free line between two."""
    page: Page = []
    for notice in notices:
        page += [*([line()] if page else []), *notice_lines(notice, now_ms, columns, known)]
    return page


def empty_home_page(known: Known, command: str) -> Page:
    """Why nothing stands at home. `command` is how this program is called here."""
    if not known.petnames:
        return [line("Nothing here yet. Post something, or follow somebody."), try_line(f"{command} follow ADDRESS")]
    whom = line(counted(len(known.petnames), "person", "people"))
    if len(known.petnames) == 1:
        ((address, petname),) = known.petnames.items()
        whom = who(known.names.get(address), address, petname)
    return [
        line("You follow ", *whom, ", and nothing of theirs has come or been written yet."),
        try_line(f"{command} following"),
    ]


def empty_timeline_page(older: bool, under: str | None, search: str | None = None) -> Page:
    """Why nothing stands here: what was asked for lay below a notice (`older`), had a tag or group (`under`, with its
    sign), or was of some people. `search`: what finds single notices of the one, where some are here."""
    if older:
        return [line("Nothing older.")]
    if under is not None:
        return [line(f"Nothing with {clean_line(under)} is here yet.")]
    if search is not None:
        return [line("Only single notices of theirs are here."), try_line(search)]
    return [line("Nothing of theirs is here yet.")]


def thread_page(thread: ThreadDocument, now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """A conversation as a tree: each answer set in below what it answers."""
    page: Page = []
    for notice, depth in _tree(thread["notices"]):
        indent = "  " * min(depth - 1, max(0, (columns - 44) // 2)) if depth else ""
        mark = "└ " if depth else ""
        page += [*([line()] if page else []), *notice_lines(notice, now_ms, columns, known, indent, mark)]
    return page


def gap_page(missing: int, known: int, command: str | None, pruned: int = 0) -> Page:
    """What a conversation of `known` notices lacks, and how much of that was pruned. `command`: what fetches it; None
    where that was tried just now."""
    if not missing:
        return []
    gap = f"{missing} of {counted(known, 'known reply', 'known replies')} not fetched"
    if pruned:
        gap += f", {pruned} of them pruned to save room" if missing > 1 else ", but pruned to save room"
    if command is None:
        gap += f": nobody who could be asked gave {'it' if missing == 1 else 'them'}"
    said = [line(), line(Piece(f"{gap}.", Style.DIM))]
    return said if command is None else [*said, try_line(command)]


def end_page(pruned: int) -> Page:
    """Below the last notice there is: what came before it was pruned, if anything was."""
    if not pruned:
        return []
    return [line(), line(Piece(f"{counted(pruned, 'older entry', 'older entries')} pruned to save room.", Style.DIM))]


def strangers_page(strangers: int, command: str) -> Page:
    """How many replies of strangers wait in a conversation. `command`: what lists them."""
    if not strangers:
        return []
    return [line(), line(Piece(f"{strangers_wait(strangers)}.", Style.DIM)), try_line(command)]


def strangers_wait(count: int) -> str:
    return counted(count, "reply by a stranger waits", "replies by strangers wait")


def fetching_page(where: str = "at peers and in the DHT") -> Page:
    """Said while a person waits."""
    return [line(Piece(f"Looking for what is missing, {where} …", Style.DIM))]


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


DONE = {
    "note": "Posted",
    "edit": "Edited",
    "boost": "Boosted",
    "like": "Liked",
    "pin": "Pinned",
    "vouch": "Vouched",
    "delete": "Deleted",
}
"""Type of what was written -> how a person is told."""


def written_page(written: WrittenDocument, about: str | None = None, undone: str | None = None) -> Page:
    """What became of a command that writes; `about` is the id of the notice that it meant, or its beginning. `undone`:
    what it took back of what one had said of that notice."""
    done = DONE.get(written["type"], "Written")
    entry = Piece(short_id(written["id"]), Style.ID)
    if about is None:
        return [line(f"{done}: ", entry)]
    if undone is not None:
        return [line(f"Took back your {undone} of ", Piece(short_id(about), Style.ID), " (entry ", entry, ")")]
    if written["type"] == "note":
        return [line(f"{done}: ", entry, " (quotes ", Piece(short_id(about), Style.ID), ")")]
    way_back = ")" if written["type"] in ("delete", "edit") else f"; un{written['type']} takes it back)"
    return [line(f"{done} ", Piece(short_id(about), Style.ID), " (entry ", entry, way_back)]


def heard_page() -> Page:
    """Beside a like, a boost or a vote, which travels in one's own log."""
    return [line("Its author sees it if they follow you.")]


def nobodies_page(nobodies: Sequence[str], command: str) -> Page:
    """Whom a text seems to mention and does not. `command`: what gives somebody a petname."""
    signs = ", ".join(f"@{clean_line(name)}" for name in nobodies[:NOBODIES_SHOWN])
    more = ", …" if len(nobodies) > NOBODIES_SHOWN else ""
    said = "mentions nobody: it is no petname" if len(nobodies) == 1 else "mention nobody: they are no petnames"
    return [line(f"{signs}{more} {said} of yours."), try_line(command)]


def versions_page(versions: Sequence[VersionDocument], now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """The words of a notice as they were one after another."""
    page: Page = []
    for number, version in enumerate(versions):
        word = "edited" if number else "written"
        head = line(
            Piece(f"{word} {ago(version['time'], now_ms)} · ", Style.DIM), Piece(short_id(version["id"]), Style.ID)
        )
        warned = (
            [line("  ", Piece(fit(f"CW: {clean_line(version['cw'])}", columns - 2), Style.BOLD))]
            if version["cw"]
            else []
        )
        rows = wrap(clean_text(_with_names(version["text"], known)).rstrip(), min(columns - 2, TEXT_COLUMNS_MAX))
        page += [*([line()] if page else []), head, *warned, *(line("  ", text) for text in rows)]
    return page


def bookmark_page(bookmark: BookmarkDocument) -> Page:
    word = "Bookmarked" if bookmark["bookmarked"] else "No longer bookmarked:"
    return [line(f"{word} ", Piece(short_id(bookmark["id"]), Style.ID))]


def bookmarks_page(
    notices: Sequence[NoticeDocument], older: bool, now_ms: int, columns: int, known: Known = NOTHING_KNOWN
) -> Page:
    if not notices:
        return [line("Nothing older." if older else "You have no bookmarks.")]
    return timeline_page(notices, now_ms, columns, known)


def search_page(
    notices: Sequence[NoticeDocument], older: bool, now_ms: int, columns: int, known: Known = NOTHING_KNOWN
) -> Page:
    if not notices:
        return [line("Nothing older." if older else "Nothing that is here fits.")]
    return timeline_page(notices, now_ms, columns, known)


def unread_page(unread: int) -> Page:
    """That a search did not look everywhere, as an aside."""
    return [line(f"{counted(unread, 'entry', 'entries')} came in too lately to be searched yet: ask again in a while.")]


def is_too_long_for_dht(entry: EntryDocument) -> bool:
    """Whether an entry, with what it says, can't be a DHT record, so that only replicas carry it."""
    return (len(entry["body"]) + len(entry["payload"] or "")) // 2 + RECORD_FRAMES > RECORD_BYTES_MAX


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
