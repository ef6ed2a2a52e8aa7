"""What `export --secrets` takes along of what a person keeps for themselves, and how it is read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.control import words
from p2pblog.core.address import read_link
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.core.value import replace
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import FollowDocument, MuteDocument


def kept_of(
    session: Session, follows: Sequence[FollowDocument], noted: Callable[[], AbstractContextManager[None]]
) -> Kept:
    """As the node has it. `follows`: all that one has. `noted` goes around what reads notices, of which one may be
    damaged."""
    on_terms = [each for each in follows if each["no_boosts"] or each["budget"] is not None or each["private"]]
    shown = [(name, session.ask("show_list", name=name)["members"]) for name in _lists(session)]
    return Kept(
        tuple(_bookmarks(session, noted)[::-1]),
        tuple(
            KeptFollow(_identity(each["address"]), each["petname"], each["no_boosts"], each["budget"], each["private"])
            for each in on_terms
        ),
        tuple((name, tuple(_identity(each["address"]) for each in members)) for name, members in shown),
        tuple(map(_mute, session.ask("muted"))),
        tuple(_identity(each["address"]) for each in session.ask("blocked")),
        tuple(_identity(each["address"]) for each in session.ask("admitted") if each["admitted"]),
        tuple(each["name"] for each in session.ask("groups")),
    )


def _lists(session: Session) -> list[str]:
    return [each["name"] for each in session.ask("lists")]


def _bookmarks(session: Session, noted: Callable[[], AbstractContextManager[None]]) -> list[EntryId]:
    """Those that are here, the one bookmarked last first."""
    found: list[EntryId] = []
    before: str | None = None
    with noted():
        while page := session.ask("bookmarks", limit=TIMELINE_ROWS_MAX, before=before):
            found += [EntryId(bytes.fromhex(each["id"])) for each in page]
            before = page[-1]["id"]
    return found


def _identity(address: str) -> IdentityHash:
    return read_link(address).identity


def _mute(document: MuteDocument) -> Mute:
    kind = MuteKind[document["kind"].upper()]
    what = _identity(document["what"]) if kind == MuteKind.PERSON else document["what"].encode()
    return Mute(kind, what, 0, document["until"])


def as_typed(kept: Kept) -> Kept:
    """With names as they would be taken from a person: none rather than a wrong one."""
    lists = ((words.taken(words.check_list_name, name), members) for name, members in kept.lists)
    return replace(
        kept,
        follows=tuple(replace(each, petname=words.taken(words.check_petname, each.petname)) for each in kept.follows),
        lists=tuple((name, members) for name, members in lists if name is not None),
    )
