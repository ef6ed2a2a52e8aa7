"""The command that brings one's data in: an archive of one's own, or what comes from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pblog import outbox
from p2pblog.archives import Archive, Tick, open_archive
from p2pblog.commands import command, now_ms, offers, one_of
from p2pblog.commands.files import hand_over
from p2pblog.commands.from_mastodon import import_mastodon
from p2pblog.commands.kept import as_typed
from p2pblog.commands.moving import ask_passphrase, named_file, refused
from p2pblog.commands.progress import share_bar
from p2pblog.control import words
from p2pblog.core import address, archive, codec, follow_list
from p2pblog.core.address import Link
from p2pblog.core.archive import Secrets
from p2pblog.core.follow_list import Listed
from p2pblog.core.runs import encode_run
from p2pblog.core.value import replace
from p2pblog.disk import reason
from p2pblog.errors import NotPermitted, RemoteProtocolError, UsageError, UserError
from p2pblog.home import Home
from p2pblog.pages import moving as pages
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import TakenDocument
    from p2pblog.restoring import Restored

NO_ADDRESS = "that is not an address of p2pblog"


@command(
    "import",
    "p2pblog import alice.zip\np2pblog import --from mastodon archive.zip\np2pblog import --from csv follows.csv",
)
@click.argument("file", metavar="FILE", shell_complete=offers("file"))
@click.option(
    "--from",
    "kind",
    metavar="KIND",
    shell_complete=one_of("mastodon", "csv"),
    help="What FILE is: mastodon, or csv for a list of follows.",
)
def import_(session: Session, file: str, kind: str | None) -> None:
    """Take an archive back, or bring posts or follows here. An archive is one of your own; what comes from elsewhere
    comes with --from."""
    readers: dict[str | None, Callable[[Session, Path], None]] = {
        None: _import_archive,
        "mastodon": import_mastodon,
        "csv": _import_list,
    }
    if kind not in readers:
        raise UsageError("--from takes mastodon or csv", "p2pblog import --help")
    readers[kind](session, named_file(file))


# --- an archive of one's own ------------------------------------------------------------------------------------------


def _import_archive(session: Session, file: Path) -> None:
    is_new = not os.path.lexists(session.home.keys)
    with _hinted(file), open_archive(file) as opened:
        with share_bar("Checking") as tick:
            opened.check(tick)
        listed = follow_list.read_list(opened.follows())
        document = _restore(session, opened, listed) if is_new else _take_back(session, opened, listed)
    session.show(document, lambda: pages.import_page(document, session.command))  # type: ignore[arg-type]


FOREIGN = {".csv": "csv", ".json": "mastodon", ".gz": "mastodon", ".tgz": "mastodon"}
"""End of a file's name -> what it may be, where it is no archive of one's own. Of a .zip its members say so."""


@contextmanager
def _hinted(file: Path) -> Iterator[None]:
    """What could be read, and is no archive, may be something to be brought with --from."""
    import shlex

    try:
        yield
    except UserError as error:
        if error.hint is None and isinstance(error.__cause__, RemoteProtocolError):
            kind = "mastodon" if outbox.is_zipped(file) else FOREIGN.get(file.suffix.lower())
            error.hint = kind and f"p2pblog import --from {kind} {shlex.quote(str(file))}"
        raise


def _take_back(session: Session, opened: Archive, listed: list[Listed]) -> dict[str, Any]:
    """Into a running node of the same identity."""
    own, brought = session.ask("id")["address"], address.spell(opened.identity.hash)
    if own != brought:
        raise NotPermitted(f"that is the archive of {brought}, and your address is {own}: each takes back its own")
    session.ask("import_identity", identity=opened.identity.wire.hex())
    with share_bar("Importing") as tick:
        seen, new, refused = _take_logs(session, opened, tick)
        followed, _already, skipped = _follow_all(session, listed, tick, anyhow=True)
    files = _take_files(session, opened)
    told = {"address": own, "entries": seen, "new": new, "refused": refused, "followed": followed}
    return {**told, "restored": False, "files": files, "skipped": skipped}


def _take_logs(session: Session, opened: Archive, tick: Tick) -> tuple[int, int, int]:
    """(entries, new ones, refused ones). Once a run is refused the rest of its log is left: what touches nothing that
    the node holds would be stored as if it belonged there."""
    seen = new = refused = 0
    for device in opened.devices:
        is_refused = False
        for run in opened.runs(device):
            if not is_refused:
                taken: TakenDocument = session.ask("import_run", run=codec.pack(encode_run(run)).hex())
                new, is_refused = new + taken["new"], taken["refused"] > 0
            seen, refused = seen + len(run), refused + (len(run) if is_refused else 0)
            tick(seen / (opened.manifest.entries or 1))
    return seen, new, refused


def _take_files(session: Session, opened: Archive) -> int:
    """After their notices, so that the node knows what they are for; gives how many were not there."""
    files = opened.files
    if not files:
        return 0
    new = 0
    with share_bar("Importing files") as tick:
        for number, file in enumerate(files, 1):
            upload = hand_over(session, opened.file(file), lambda count: None)
            new += session.ask("import_file", file=file.hex(), upload=upload)["new"]
            tick(number / len(files))
    return new


def _restore(session: Session, opened: Archive, listed: list[Listed]) -> dict[str, Any]:
    """Into a home that has no identity."""
    if not opened.has_secrets:
        raise UserError(
            f"there is no identity in {session.home.folder}, and the archive holds no secret keys to make it from",
            "p2pblog init",
        )
    held = opened.secrets(ask_passphrase(is_new=False))
    held = replace(held, kept=as_typed(held.kept))
    linked = [(each, link) for each in listed if (link := _link(each.address)) is not None]
    follows = [(link, words.taken(words.check_petname, each.petname)) for each, link in linked]
    with share_bar("Restoring") as tick:
        restored = _restore_into(session.home, opened, held, follows, tick)
    spelled = address.spell(opened.identity.hash)
    told: dict[str, Any] = {"address": spelled, "entries": opened.manifest.entries, "new": restored.entries}
    told |= {"refused": restored.refused}
    skipped = []
    for each in listed:
        link = _link(each.address)
        why = NO_ADDRESS if link is None else restored.left.get(link.identity)
        skipped += [] if why is None else [{"line": each.line, "reason": why}]
    told |= {"followed": restored.followed, "restored": True, "files": restored.files}
    return {**told, "skipped": skipped}


def _restore_into(
    home: Home, opened: Archive, held: Secrets, follows: list[tuple[Link, str | None]], tick: Tick
) -> Restored:
    from p2pblog.restoring import restore  # with it come the server's libraries

    return restore(home, opened, held, follows, now_ms(), tick)


def _link(text: str) -> Link | None:
    try:
        return address.read_link(text)
    except RemoteProtocolError:
        return None


# --- follows ----------------------------------------------------------------------------------------------------------


def _import_list(session: Session, file: Path) -> None:
    with refused(file):
        listed = follow_list.read_list(_small(file))
    with share_bar("Following") as tick:
        followed, already, skipped = _follow_all(session, listed, tick)
    document = {"followed": followed, "already": already, "skipped": skipped}
    session.show(document, lambda: pages.list_page(document))  # type: ignore[arg-type]


def _small(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:  # which may be a pipe: a list is short and read once
            data = stream.read(archive.FOLLOWS_BYTES_MAX + 1)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {reason(error)}") from error
    if len(data) > archive.FOLLOWS_BYTES_MAX:
        raise UserError(f"{file} has over {archive.FOLLOWS_BYTES_MAX:,} bytes, which is more than a list of follows")
    return data


def _follow_all(
    session: Session, listed: list[Listed], tick: Tick, *, anyhow: bool = False
) -> tuple[int, int, list[dict[str, Any]]]:
    """(followed, followed already, rows refused). `anyhow`: without its petname where that is refused."""
    known = {each["address"] for each in session.ask("following")}
    followed = already = 0
    skipped: list[dict[str, Any]] = []
    for number, each in enumerate(listed, 1):
        link = _link(each.address)
        if link is not None and address.spell(link.identity) in known:
            already += 1
        else:
            try:
                if link is None:
                    raise UsageError(NO_ADDRESS)
                _follow(session, each, anyhow)
            except UserError as error:
                if type(error) not in (UsageError, UserError):  # nobody answers: what is left would fail the same way
                    raise
                skipped.append({"line": each.line, "reason": error.sentence})
            else:
                followed += 1
                known.add(address.spell(link.identity))
        tick(number / len(listed))
    return followed, already, skipped


def _follow(session: Session, row: Listed, anyhow: bool) -> None:
    try:
        petname = None if row.petname is None else words.check_petname(row.petname)
        session.ask("follow", address=row.address, petname=petname)
    except UsageError:
        if not anyhow or row.petname is None:
            raise
        session.ask("follow", address=row.address, petname=None)
