"""What a shell offers when Tab is pressed: names, addresses and ids, as the daemon knows them; and the scripts.

Whatever goes wrong, nothing is offered and nothing is said: an answer between two keys must not scroll the terminal.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from p2pblog.commands import command, one_of
from p2pblog.control import client
from p2pblog.errors import UsageError, UserError
from p2pblog.home import find_home
from p2pblog.session import Session
from p2pblog.terminal import Piece, Style, clean_line, clean_name, fit, line

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        AdmittedDocument,
        BlockDocument,
        DmDocument,
        FollowDocument,
        GroupDocument,
        ListDocument,
        ListMembersDocument,
        MuteDocument,
        NoticeDocument,
        NotificationDocument,
        ProfileDocument,
    )

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
TIMEOUT_S = 1.0
"""How long a person at the Tab key waits for a daemon that does not answer."""
NOTICES_MAX = 20
"""Ids that are offered: those on the first page of a timeline."""
ID_DIGITS = 10
"""Digits of an id that is offered, as on a page."""
HELP_COLUMNS = 60
"""What stands beside an id or address; it fits a line of a terminal."""
_PLAIN = "_.+-"
"""What a word may hold beside letters and digits, and mean itself to every shell."""


# --- what is offered --------------------------------------------------------------------------------------------------


def people(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those whom one follows, by petname, and by address once letters of it are typed.

    A shell reads some characters as orders of its own, and what it is given to complete a word is put there as it is:
    who has no petname, or one that is not plain, is offered by address from the beginning.
    """
    return _followed(context, typed)


def _followed(context: click.Context, typed: str, whom: Collection[str] | None = None) -> list[CompletionItem]:
    """`whom`: only these; those of them who are not followed by address."""
    if whom is not None and not whom:
        return []
    follows: list[FollowDocument] = _ask(context, "following") or []
    found = []
    for follow in follows:
        if whom is not None and follow["address"] not in whom:
            continue
        petname, address = follow["petname"], follow["address"]
        plain = petname if petname is not None and is_plain(petname) and _sayable(petname) == petname else None
        if plain is not None and plain.startswith(typed):
            found.append(_item(plain, follow["name"], address))
        elif address.startswith(typed) and (typed or plain is None):
            found.append(_item(address, petname or follow["name"]))
    others = [] if whom is None else sorted(set(whom) - {follow["address"] for follow in follows})
    return [*found, *(_item(each) for each in others if each.startswith(typed))]


def notices(context: click.Context, typed: str) -> list[CompletionItem]:
    """The newest notices of the timeline, by id, each with its text beside it."""
    return _ids(_ask(context, "timeline", limit=NOTICES_MAX), typed)


def bookmarks(context: click.Context, typed: str) -> list[CompletionItem]:
    """The same of the last bookmarks."""
    return _ids(_ask(context, "bookmarks", limit=NOTICES_MAX), typed)


def direct_messages(context: click.Context, typed: str) -> list[CompletionItem]:
    """The newest ones by id, each with its text."""
    found: list[DmDocument] = _ask(context, "dms", limit=NOTICES_MAX) or []
    return [_id_item(each["id"], typed, each["text"]) for each in found if each["id"].startswith(typed)]


def notifications(context: click.Context, typed: str) -> list[CompletionItem]:
    """The newest ones by id, each with what happened and by whom."""
    found: list[NotificationDocument] = _ask(context, "notifications", limit=NOTICES_MAX) or []
    return [_id_item(each["id"], typed, each["type"], each["name"]) for each in found if each["id"].startswith(typed)]


def pins(context: click.Context, typed: str) -> list[CompletionItem]:
    """What one has pinned, by id."""
    own: ProfileDocument | None = _ask(context, "profile")
    return [_id_item(each, typed) for each in (own["pinned"] if own else ()) if each.startswith(typed)]


def files(context: click.Context, typed: str) -> list[CompletionItem]:
    """The files of the newest notices, by hash, each with its name, or with the warning before it."""
    found: list[NoticeDocument] = _ask(context, "timeline", limit=NOTICES_MAX) or []
    media = {file["hash"]: (file, notice) for notice in found for file in notice["media"]}
    return [
        _id_item(each, typed, *_unless_warned(notice, file["name"], file["alt"]))
        for each, (file, notice) in media.items()
        if each.startswith(typed)
    ]


def lists(context: click.Context, typed: str) -> list[CompletionItem]:
    """One's lists, by name."""
    found: list[ListDocument] = _ask(context, "lists") or []
    return [_item(each["name"]) for each in found if each["name"].startswith(typed) and is_plain(each["name"])]


def members(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those in the list that stands before."""
    shown: ListMembersDocument | None = _ask(context, "show_list", name=context.params.get("name"))
    return _followed(context, typed, {each["address"] for each in shown["members"]}) if shown else []


def groups(context: click.Context, typed: str) -> list[CompletionItem]:
    """The groups that one joined, without the sign, which shells read as an order of their own."""
    joined: list[GroupDocument] = _ask(context, "groups") or []
    return [_item(each["name"]) for each in joined if each["name"].startswith(typed) and is_plain(each["name"])]


def strangers(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those who said something to one last and wait, by address."""
    found: list[NoticeDocument] = _ask(context, "timeline", limit=NOTICES_MAX, strangers=True) or []
    authors = {notice["author"]: notice for notice in reversed(found)}
    waiting = [
        _item(each, notice["name"], *_unless_warned(notice, notice["text"]))
        for each, notice in reversed(authors.items())
    ]
    return [item for item in waiting if item.value.startswith(typed)]


def anybody(context: click.Context, typed: str) -> list[CompletionItem]:
    return [*people(context, typed), *strangers(context, typed)]


def admitted(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those whom one has let in, by address."""
    found: list[AdmittedDocument] = _ask(context, "admitted") or []
    return [_item(each["address"]) for each in found if each["address"].startswith(typed)]


def file(_: click.Context, typed: str) -> list[CompletionItem]:
    """Its names are the shell's own to offer."""
    return [CompletionItem(typed, type="file")]


def folder(_: click.Context, typed: str) -> list[CompletionItem]:
    """The same."""
    return [CompletionItem(typed, type="dir")]


def scenarios(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those of the list, else a file of one's own."""
    from p2pblog.sim import scenario

    return [CompletionItem(name) for name in scenario.names() if name.startswith(typed)] or file(context, typed)


def muted(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those whom one has muted."""
    found: list[MuteDocument] = _ask(context, "muted") or []
    return _followed(context, typed, {each["what"] for each in found if each["kind"] == "person"})


def blocked(context: click.Context, typed: str) -> list[CompletionItem]:
    """Those whom one has blocked, by address: nobody is blocked and followed."""
    found: list[BlockDocument] = _ask(context, "blocked") or []
    return [_item(each["address"]) for each in found if each["address"].startswith(typed)]


def settings(_: click.Context, typed: str) -> list[CompletionItem]:
    """The keys of all settings."""
    from p2pblog.control.settings import SETTINGS

    return [_item(key, setting.caption) for key, setting in SETTINGS.items() if key.startswith(typed)]


OFFERS: dict[str, Callable[[click.Context, str], list[CompletionItem]]] = {
    "people": people,
    "notices": notices,
    "bookmarks": bookmarks,
    "direct messages": direct_messages,
    "notifications": notifications,
    "pins": pins,
    "files": files,
    "lists": lists,
    "members": members,
    "groups": groups,
    "strangers": strangers,
    "anybody": anybody,
    "admitted": admitted,
    "muted": muted,
    "blocked": blocked,
    "settings": settings,
    "file": file,
    "folder": folder,
    "scenarios": scenarios,
}


def is_plain(word: str) -> bool:
    """Whether every shell takes this word for itself: letters and digits of any script, the marks on them and some
    signs, no option, nothing that a page would show differently."""
    return (
        clean_name(word) == word
        and word[:1] not in _PLAIN
        and all(each in _PLAIN or each.isalnum() or unicodedata.category(each) in ("Mn", "Mc") for each in word)
    )


def _ids(found: list[NoticeDocument] | None, typed: str) -> list[CompletionItem]:
    return [
        _id_item(notice["id"], typed, notice["name"], *_unless_warned(notice, notice["text"]))
        for notice in found or []
        if notice["id"].startswith(typed)
    ]


def _unless_warned(notice: NoticeDocument, *said: str) -> Sequence[str]:
    """What a notice says; of one with a content warning that alone."""
    return (f"CW: {notice['cw']}",) if notice["cw"] else said


def _id_item(identifier: str, typed: str, *said: str | None) -> CompletionItem:
    return _item(identifier[: max(ID_DIGITS, len(typed))], *said)


def _item(word: str, *said: str | None) -> CompletionItem:
    beside = ": ".join(clean_line(each) for each in said if each)
    return CompletionItem(word, help=_sayable(fit(beside, HELP_COLUMNS)) or None)


def _sayable(text: str) -> str:
    """In the characters of the standard output: one more would end in a traceback."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, errors="replace").decode(encoding)


def _ask(context: click.Context, route: str, **arguments: Any) -> Any:
    """The daemon's answer, None where there is none. The commands that set the session's home do not run now."""
    folder = context.find_root().params.get("folder")
    try:
        return client.call(find_home(folder), route, timeout_s=TIMEOUT_S, **arguments)
    except (UserError, OSError, RuntimeError, ValueError):  # the latter three where the home can't be one
        return None


# --- the scripts ------------------------------------------------------------------------------------------------------


@command("completion", 'eval "$(p2pblog completion bash)"')
@click.argument("shell", metavar="bash|zsh|fish", shell_complete=one_of("bash", "zsh", "fish"))
def completion(session: Session, shell: str) -> None:
    """Print the script by which a shell completes what you type. It knows commands, petnames, ids and files.

    \b
    bash  add to ~/.bashrc:  eval "$(p2pblog completion bash)"
    zsh   add to ~/.zshrc, below compinit:  eval "$(p2pblog completion zsh)"
    fish  p2pblog completion fish > ~/.config/fish/completions/p2pblog.fish
    """
    if shell not in SHELLS:
        raise UsageError("there is a script for bash, zsh and fish", "p2pblog completion --help")
    # Its own way to make the script would start bash first, to warn of one that is too old.
    made = SHELLS[shell](click.Command("p2pblog"), {}, "p2pblog", "_P2PBLOG_COMPLETE")
    script = made.source_template % made.source_vars()
    whole = [line(Piece(text, Style.BOLD)) for text in script.splitlines()]  # never broken
    session.show({"shell": shell, "script": script}, lambda: whole)
