"""What a person reads: each document of the control socket as a page of lines, from values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pblog.config import RECORD_BYTES_MAX
from p2pblog.terminal import Line, Page, Piece, Style, clean_line, clean_name, clean_text, fit, line, width, wrap

if TYPE_CHECKING:
    from datetime import tzinfo

    from p2pblog.control.api import (
        BookmarkDocument,
        EntryDocument,
        FollowDocument,
        IdDocument,
        InviteDocument,
        NoticeDocument,
        PeerDocument,
        ProfileDocument,
        StatusDocument,
        ThreadDocument,
        WrittenDocument,
    )

ID_DIGITS = 10
"""Digits of an id on a page: unique among a million notices at odds of 2 to 1, and short enough to type."""
ADDRESS_LETTERS = 8
"""Letters of an address beside a name: names are anybody's choice, so a page always says whose it is."""
TEXT_COLUMNS_MAX = 100
"""Longer lines are hard to read."""
NOTICE_RECORD_OVERHEAD = 230
"""Bytes of a DHT notice record beside the text: body 115 to 140, signature 66, frames and the payload's names."""
FIELD_OVERHEAD = 8
"""What a content warning or a language adds beside its own bytes: its name, and two lengths."""
REPLY_OVERHEAD = 117
"""What naming the answered notice adds: three hashes, a number and a name."""
NAME_COLUMNS_MIN = 8
"""Columns that a name keeps where a head is crowded; a line that wraps is better than a name that nobody knows."""
NAME_COLUMNS_MAX = 40
TWO_NAMES_COLUMNS_MIN = 20
"""Below it a petname and a name side by side would both be cut to nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader knows beside the notices of a page: whom they follow, each with a petname or None, by address;
    and boosted notices, by id."""

    petnames: Mapping[str, str | None] = field(default_factory=dict)
    boosted: Mapping[str, NoticeDocument] = field(default_factory=dict)


NOTHING_KNOWN = Known()


# --- small values -----------------------------------------------------------------------------------------------------


def ago(time_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """A time as a person says it; dates in `zone` (None: the machine's own)."""
    seconds = (now_ms - time_ms) // 1000
    if -60 < seconds < 60:
        return "just now"
    if 0 < seconds < 3600:
        return f"{seconds // 60} min ago"
    if 0 < seconds < 86_400:
        return f"{seconds // 3600} h ago"
    if 0 < seconds < 7 * 86_400:
        return f"{seconds // 86_400} d ago"
    from datetime import datetime

    try:
        return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "in another age"


def lasting(seconds: int) -> str:
    """A duration in its two largest units."""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def sized(count: int) -> str:
    """Bytes in decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def short_id(identifier: str) -> str:
    return identifier[:ID_DIGITS]


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _who(name: str | None, address: str, petname: str | None = None, columns: int = NAME_COLUMNS_MAX) -> Line:
    """Whose it is: the reader's own word for them first, then what they call themselves and the letters of the address.

    The names together take at most `columns`; where that is too few for two, the reader's own word stands alone.
    """
    letters, shown, own_word = address[:ADDRESS_LETTERS], clean_name(name), clean_name(petname)
    first = own_word or shown
    if first is None:
        return line(Piece(f"({letters})", Style.DIM))
    second = None if first == shown or columns < TWO_NAMES_COLUMNS_MIN else shown
    room = min(columns, NAME_COLUMNS_MAX) if second is None else (min(columns, NAME_COLUMNS_MAX) - 2) // 2
    beside = f"({letters})" if second is None else f"({fit(second, room)}, {letters})"
    return line(Piece(fit(first, max(NAME_COLUMNS_MIN, room)), Style.NAME), " ", Piece(beside, Style.DIM))


# --- notices ----------------------------------------------------------------------------------------------------------


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
    who = [
        _who(each["name"], each["author"], known.petnames.get(each["author"]), room // len(people)) for each in people
    ]
    return line(Piece(lead, Style.DIM), *who[0], *word, *(who[1] if len(who) > 1 else ()), *tail)


def _foot(notice: NoticeDocument, inner: str, columns: int, known: Known, replies: bool) -> Page:
    said = [_counted(notice["likes"], "like")] if notice["likes"] else []
    said += [_counted(notice["boosts"], "boost")] if notice["boosts"] else []
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
    return [line("Nothing here yet. Post something, or follow somebody."), _try(f"{command} follow ADDRESS")]


def _try(typed: str) -> Line:
    return line("Try: ", Piece(typed, Style.BOLD))


def thread_page(thread: ThreadDocument, now_ms: int, columns: int, known: Known = NOTHING_KNOWN) -> Page:
    """A conversation as a tree: each answer set in below what it answers."""
    page: Page = []
    for notice, depth in _tree(thread["notices"]):
        indent = "  " * min(depth - 1, max(0, (columns - 44) // 2)) if depth else ""
        mark = "└ " if depth else ""
        page += [*([line()] if page else []), *notice_lines(notice, now_ms, columns, known, indent, mark)]
    if thread["missing"]:
        page += [line(), line(Piece(f"{_counted(thread['missing'], 'notice')} not found yet.", Style.DIM))]
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


# --- people and nodes -------------------------------------------------------------------------------------------------


def id_page(identity: IdDocument) -> Page:
    rows = [("name", clean_name(identity["name"]) or "(none)"), ("address", identity["address"])]
    return _fields([*rows, ("link", identity["uri"]), ("device", identity["device"]), ("node", identity["node"])])


def status_page(status: StatusDocument, columns: int) -> Page:
    page = _fields(
        [
            ("name", clean_name(status["name"]) or "(none)"),
            ("address", status["address"]),
            ("listening", status["listen"]),
            ("peers", f"{status['peers']:,} linked, {status['dht_nodes']:,} known in the DHT"),
            ("follows", f"{status['follows']:,}"),
            ("entries", f"{status['entries']:,}"),
            ("running", f"{lasting(status['uptime_s'])}, process {status['pid']}, p2pblog {status['version']}"),
        ]
    )
    if status["pending"]:
        page += [line(), line(Piece(f"Not found yet: {_counted(len(status['pending']), 'address', 'addresses')}"))]
        page += [line("  ", fit(address, columns - 2)) for address in status["pending"]]
    return page


def profile_page(profile: ProfileDocument, columns: int) -> Page:
    page = _fields([("name", clean_name(profile["name"]) or "(none)"), ("address", profile["address"])])
    bio = wrap(clean_text(profile["bio"] or ""), min(columns, TEXT_COLUMNS_MAX) - 2) if profile["bio"] else []
    return [*page, *(line("  ", text) for text in bio)]


def follow_page(follow: FollowDocument, now_ms: int) -> Page:
    """One follow, in a sentence."""
    held = _counted(follow["entries"], "entry", "entries")
    newest = f", the newest {ago(follow['newest'], now_ms)}" if follow["newest"] is not None else ""
    state = "searching for it" if follow["state"] == "searching" else f"{held} held{newest}"
    return [line(*_who(follow["name"], follow["address"], follow["petname"]), f": {state}")]


def following_page(follows: Sequence[FollowDocument], now_ms: int, columns: int, command: str) -> Page:
    """`command` is how this program is called here."""
    if not follows:
        return [line("You follow nobody yet."), _try(f"{command} follow ADDRESS")]
    rows = [
        [
            clean_name(follow["petname"]) or "",
            clean_name(follow["name"]) or "",
            follow["address"],
            f"{follow['entries']:,}",
            "" if follow["newest"] is None else ago(follow["newest"], now_ms),
            follow["state"],
        ]
        for follow in follows
    ]
    header = ["PETNAME", "NAME", "ADDRESS", "ENTRIES", "NEWEST", "STATE"]
    if columns >= 120:
        return _table(header, rows, columns, shrink=(0, 1), right={3})
    # A whole address is what one copies: where it does not fit beside the rest it has a line of its own.
    table = _table([*header[:2], *header[3:]], [[*row[:2], *row[3:]] for row in rows], columns, (0, 1), right={2})
    below = [line("  ", Piece(row[2], Style.DIM)) for row in rows]
    return [table[0], *(text for pair in zip(table[1:], below, strict=True) for text in pair)]


def peers_page(peers: Sequence[PeerDocument], now_ms: int, columns: int) -> Page:
    if not peers:
        return [line("No peers at the moment.")]
    rows = [
        [
            short_id(peer["node"]),
            peer["endpoint"],
            peer["direction"],
            ago(peer["since"], now_ms),
            f"{peer['feeds']:,}",
            sized(peer["bytes_in"]),
            sized(peer["bytes_out"]),
        ]
        for peer in peers
    ]
    header = ["NODE", "ENDPOINT", "WAY", "SINCE", "FEEDS", "IN", "OUT"]
    return _table(header, rows, columns, shrink=(1,), right={4, 5, 6})


def invite_page(invite: InviteDocument) -> Page:
    """The link, and whether it leads anywhere from another machine."""
    from urllib.parse import parse_qs

    peers = parse_qs(invite["uri"].partition("?")[2]).get("peer", [])
    here_only = bool(peers) and all(_is_loopback(peer) for peer in peers)
    return [line(invite["uri"]), *([line("This link works on this machine only.")] if here_only else [])]


def _is_loopback(endpoint: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(endpoint.rpartition(":")[0].strip("[]")).is_loopback
    except ValueError:
        return False


def entry_page(entry: EntryDocument, raw: bool) -> Page:
    """The exact bytes of an entry in hexadecimal, or how many they are."""
    chain = entry["chain"]
    if raw:
        rows = [(name, str(entry[name] or "(not held)")) for name in ("id", "body", "payload", "signature")]
        return _fields([*rows, *((f"chain {number}", body) for number, body in enumerate(chain, 1))])
    payload = "not held" if entry["payload"] is None else _counted(len(entry["payload"]) // 2, "byte")
    signed = "its own" if not chain else f"of the entry {_counted(len(chain), 'place')} later"
    return _fields(
        [
            ("id", entry["id"]),
            ("body", _counted(len(entry["body"]) // 2, "byte")),
            ("payload", payload),
            ("signature", signed),
        ]
    )


def init_page(address: str, name: str | None, home: str, words: Sequence[str], command: str) -> Page:
    """A new identity: the one time that the recovery words are seen."""
    numbered = [f"{number:2}. {word}" for number, word in enumerate(words, 1)]
    quarter = len(numbered) // 4
    grid = ["".join(cell.ljust(16) for cell in numbered[row::quarter]).rstrip() for row in range(quarter)]
    return [
        *_fields([("name", clean_name(name) or "(none)"), ("address", address), ("home", home)]),
        line(),
        line(Piece("Your recovery words. Write them on paper now: they are shown only this once.", Style.WARNING)),
        line(),
        *(line("  ", Piece(row, Style.BOLD)) for row in grid),
        line(),
        line("Start your node: ", Piece(f"{command} run", Style.BOLD)),
    ]


# --- shapes -----------------------------------------------------------------------------------------------------------


def _fields(rows: Sequence[tuple[str, str]]) -> Page:
    column = max(len(name) for name, _ in rows) + 2
    return [line(Piece(name.ljust(column), Style.DIM), value) for name, value in rows]


def _table(header: list[str], rows: list[list[str]], columns: int, shrink: tuple[int, ...], right: set[int]) -> Page:
    """Aligned columns two spaces apart; those named in `shrink` give way until the table fits, an empty one goes."""
    filled = [at for at in range(len(header)) if any(row[at] for row in rows)]
    widths = {at: max(width(header[at]), *(width(row[at]) for row in rows)) for at in filled}
    for at in (at for at in shrink if at in widths):
        excess = sum(widths.values()) + 2 * (len(filled) - 1) - columns
        widths[at] -= max(0, min(excess, widths[at] - len(header[at])))
    cells = [header, *rows]
    lines = [
        "  ".join(_aligned(fit(clean_line(row[at]), widths[at]), widths[at], at in right) for at in filled).rstrip()
        for row in cells
    ]
    return [line(Piece(lines[0], Style.DIM)), *(line(text) for text in lines[1:])]


def _aligned(text: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


def qr_page(text: str) -> Page:
    """A QR code of half-block characters, dark on light, with the quiet zone that scanners need."""
    import segno

    border = 2
    matrix = [[bool(module) for module in row] for row in segno.make(text, micro=False).matrix_iter(border=border)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    blocks: dict[tuple[bool, bool], str] = {
        (False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█",
    }  # fmt: skip
    return [
        line(Piece("".join(blocks[pair] for pair in zip(upper, lower, strict=True)), Style.INK))
        for upper, lower in zip(matrix[::2], matrix[1::2], strict=True)
    ]
