"""Who people are, oneself among them, and whom one follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.files import file_line
from p2pblog.pages.notices import Known, notice_lines
from p2pblog.pages.values import (
    TEXT_COLUMNS_MAX,
    address_line,
    ago,
    counted,
    fields,
    known_warning,
    short_id,
    table,
    try_line,
    who,
)
from p2pblog.terminal import Page, Piece, Style, clean_line, clean_name, clean_text, line, width, wrap

if TYPE_CHECKING:
    from p2pblog.control.documents import FollowDocument, IdDocument, InviteDocument, NoticeDocument, ProfileDocument


WORD_COLUMNS = 16
"""Of a recovery word, with its number and what parts it from the next: words of BIP 39 have at most 8 letters."""
PROFILE_FIELD_COLUMNS = len("address") + 2
"""What stands before a value at the top of a profile."""


def id_page(identity: IdDocument) -> Page:
    rows = [("name", clean_name(identity["name"]) or "(none)"), ("address", identity["address"])]
    return fields([*rows, ("link", identity["uri"]), ("device", identity["device"]), ("node", identity["node"])])


def init_page(address: str, name: str | None, home: str, words: Sequence[str], command: str, columns: int) -> Page:
    """A new identity: the one time that the recovery words are seen, each whole on its line."""
    numbered = [f"{number:2}. {word}" for number, word in enumerate(words, 1)]
    deep = len(numbered) // min(4, columns // WORD_COLUMNS)
    grid = ["".join(cell.ljust(WORD_COLUMNS) for cell in numbered[row::deep]).rstrip() for row in range(deep)]
    return [
        *fields([("name", clean_name(name) or "(none)"), ("address", address), ("home", home)]),
        line(),
        line(Piece("Your recovery words. Write them on paper now: they are shown only this once.", Style.WARNING)),
        line(),
        *(line("  ", Piece(row, Style.BOLD)) for row in grid),
        line(),
        line("No command takes these words yet. Until then your backup is an archive with your keys, kept elsewhere:"),
        line("  ", Piece(f"{command} export FILE --secrets", Style.BOLD)),
        line(),
        line("Start your node: ", Piece(f"{command} run", Style.BOLD)),
        *(
            []
            if name
            else [line("While it runs, name yourself: ", Piece(f"{command} profile --name NICK", Style.BOLD))]
        ),
    ]


def profile_page(
    profile: ProfileDocument, pinned: Sequence[NoticeDocument], now_ms: int, columns: int, known: Known
) -> Page:
    """Somebody's profile and what they pinned; `pinned`: of those notices the ones that could be had."""
    warning = known.warnings.get((profile["address"], profile["name"]))
    room = columns - PROFILE_FIELD_COLUMNS
    petname = _named("petname", profile["petname"], room) if profile["petname"] else []
    name = _named("name", profile["name"], room - (0 if warning is None else 1 + width(warning)))
    page = fields([*petname, *name, ("address", profile["address"])])
    if warning is not None:
        page[len(petname)] += line(" ", Piece(warning, Style.WARNING))
    bio = wrap(clean_text(profile["bio"] or ""), min(columns, TEXT_COLUMNS_MAX) - 2) if profile["bio"] else []
    page += [line("  ", text) for text in bio]
    for link in profile["links"]:  # cut where it is too long: what wraps to the first column could be anything
        page += [line("  ", part) for part in wrap(clean_line(link), columns - 2)]
    for what, picture in (("avatar", profile["avatar"]), ("banner", profile["banner"])):
        page += [] if picture is None else [file_line(f"  {what}: ", picture, columns)]
    if profile["pinned"]:
        page += [line(), line(Piece(f"Pinned ({len(profile['pinned'])}):", Style.DIM))]
    for notice in pinned:
        page += [line(), *notice_lines(notice, now_ms, columns, known)]
    had = {notice["id"] for notice in pinned}
    return [*page, *(line(Piece(short_id(each), Style.ID)) for each in profile["pinned"] if each not in had)]


def _named(field: str, name: str | None, room: int) -> list[tuple[str, str]]:
    """The rows of a name, however long: what wraps to the first column could be anything."""
    first, *more = wrap(clean_name(name) or "(none)", room)
    return [(field, first), *(("", part) for part in more)]


def follow_page(follow: FollowDocument, now_ms: int, warning: str | None) -> Page:
    """One follow, in a sentence. `warning`: what stands beside the name."""
    held = counted(follow["entries"], "entry", "entries")
    newest = f", the newest {ago(follow['newest'], now_ms)}" if follow["newest"] is not None else ""
    state = "searching for it" if follow["state"] == "searching" else f"{held} held{newest}"
    terms = "".join(f"; {term}" for term in _terms(follow))
    whose = who(follow["name"], follow["address"], follow["petname"], warning=warning)
    return [line(*whose, f": {state}{terms}")]


def _terms(follow: FollowDocument) -> list[str]:
    """On which terms somebody is followed, where they are no usual ones."""
    budget = [] if follow["budget"] is None else [clean_line(follow["budget"])]
    return [*(["no boosts"] if follow["no_boosts"] else []), *budget, *(["private"] if follow["private"] else [])]


def following_page(follows: Sequence[FollowDocument], own: str | None, now_ms: int, columns: int, command: str) -> Page:
    """`own`: the reader's address; `command` is how this program is called here."""
    if not follows:
        return [line("You follow nobody yet."), try_line(f"{command} follow ADDRESS")]
    followed = {follow["address"]: follow for follow in follows}
    warnings = [known_warning(each, followed, own) for each in follows]
    rows = [
        [
            clean_name(follow["petname"]) or "",
            clean_name(follow["name"]) or "",
            follow["address"],
            f"{follow['entries']:,}",
            "" if follow["newest"] is None else ago(follow["newest"], now_ms),
            ", ".join([follow["state"], *_terms(follow)]) + (f" {warning}" if warning else ""),
        ]
        for follow, warning in zip(follows, warnings, strict=True)
    ]
    header = ["PETNAME", "NAME", "ADDRESS", "ENTRIES", "NEWEST", "STATE"]
    if columns >= 120:
        return table(header, rows, columns, shrink=(0, 1), right={3})
    listed = table([*header[:2], *header[3:]], [[*row[:2], *row[3:]] for row in rows], columns, (0, 1), right={2})
    below = [address_line(row[2]) for row in rows]
    return [listed[0], *(text for pair in zip(listed[1:], below, strict=True) for text in pair)]


def invite_page(invite: InviteDocument) -> Page:
    """What is to be said beside the link: that it does not lead to you from everywhere."""
    from p2pblog.control.words import link_limit

    limit = link_limit(invite["uri"])
    return [] if limit is None else [line(limit)]
