"""Commands that take one's data out and bring it in."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pblog import keyring, outbox
from p2pblog.archives import Archive, Tick, Writer, open_archive, write_archive
from p2pblog.commands import command, now_ms, offers, one_of
from p2pblog.commands.files import content, hand_over
from p2pblog.commands.kept import as_typed, kept_of, petname_of
from p2pblog.config import TIMELINE_ROWS_MAX, Home
from p2pblog.control import words
from p2pblog.core import address, archive, codec, follow_list, mastodon, passphrase
from p2pblog.core.address import Link
from p2pblog.core.archive import Secrets
from p2pblog.core.follow_list import Listed
from p2pblog.core.keys import DeviceKey
from p2pblog.core.mastodon import Post
from p2pblog.core.media import FileHash
from p2pblog.core.runs import VerifiedRun, encode_run
from p2pblog.core.value import State, field, replace
from p2pblog.disk import reason
from p2pblog.errors import NotFound, NotPermitted, RemoteProtocolError, UsageError, UserError
from p2pblog.pages import moving as pages
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        FileDocument,
        FollowDocument,
        LogsDocument,
        MediaDocument,
        NoticeDocument,
        ProfileDocument,
        RunDocument,
        TakenDocument,
        VersionDocument,
    )
    from p2pblog.restoring import Restored

PASSPHRASE = "P2PBLOG_PASSPHRASE"  # noqa: S105 - the name of it
PASSPHRASE_CHARACTERS_MIN = 8
"""Argon2 makes each guess cost half a second; fewer characters are guessed all the same."""
PASSPHRASE_CHARACTERS_MAX = 1_000


# --- what a person is asked -------------------------------------------------------------------------------------------


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _passphrase(is_new: bool) -> str:
    """From the environment, or asked for on the terminal; a new one twice. Raises UsageError."""
    typed = os.environ.get(PASSPHRASE)
    if typed is None:
        if not _is_at_terminal():
            raise UsageError(f"a passphrase is needed: type it on a terminal, or set {PASSPHRASE}")
        typed = click.prompt("Passphrase of the secret keys", hide_input=True, err=True)
        is_confirmed = not is_new or click.prompt("The same again", hide_input=True, err=True) == typed
        if not is_confirmed:
            raise UsageError("the two passphrases are not the same")
    words.check_utf8(typed, "the passphrase")
    if is_new and len(typed) < PASSPHRASE_CHARACTERS_MIN:
        raise UsageError(f"the passphrase has {len(typed)} characters: take {PASSPHRASE_CHARACTERS_MIN} or more")
    if len(typed) > PASSPHRASE_CHARACTERS_MAX:
        raise UsageError(f"the passphrase has over {PASSPHRASE_CHARACTERS_MAX:,} characters")
    return typed


def _file(typed: str) -> Path:
    if not Path(typed).name or "\0" in typed:
        raise UsageError("that is no name of a file")
    if typed == "-":
        raise UsageError("an archive is a file: give the name of one instead of -")
    return Path(typed)


@contextmanager
def _progress(label: str) -> Iterator[Tick]:
    """A bar on a terminal, nothing elsewhere; beside the output, so that `--json` stays one document."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda share: None
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr, show_pos=False) as bar:
        yield lambda share: bar.update(max(0, min(1000, round(share * 1000)) - bar.pos))


# --- out --------------------------------------------------------------------------------------------------------------


@command("export", "p2pblog export alice.zip\np2pblog export --secrets alice.zip")
@click.argument("file", metavar="FILE", shell_complete=offers("file"))
@click.option(
    "--secrets",
    "with_secrets",
    is_flag=True,
    help="Also the secret keys and what you keep for yourself alone, sealed.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export(session: Session, file: str, with_secrets: bool, force: bool) -> None:
    """Write all that is yours to an archive. Other tools can read and check it too. Where the database is damaged,
    all that can be read is written, and the exit code is 1."""
    target = _file(file)
    if not force and os.path.lexists(target):
        raise UserError(f"{file} exists already: choose another name, or say --force to replace it")
    head: LogsDocument = session.ask("export_logs")
    follows: list[FollowDocument] = session.ask("following")
    faults = Faults()
    sealed = _sealed(session, head["address"], follows, faults) if with_secrets else None
    told_of = [each for each in follows if not each["private"]]
    with write_archive(target, force) as writer, _progress("Exporting") as tick:
        writer.add(archive.IDENTITY, bytes.fromhex(head["identity"]))
        entries, missing, referred = _write_logs(session, writer, head, tick)
        shown = _write_notices(session, writer, head["address"], faults)
        pictures: list[FileHash] = []
        with faults.noted():
            own: ProfileDocument = session.ask("profile")
            pictures = _hashes(file for file in (own["avatar"], own["banner"]) if file is not None)
        writer.add(archive.FOLLOWS, follow_list.write_list((each["petname"], each["address"]) for each in told_of))
        if sealed is not None:
            writer.add(archive.SECRETS, sealed)
        every = dict.fromkeys([*pictures, *shown])
        wanted = [file for file in every if file in referred]  # not of what was posted after the logs were read
        files = _write_files(session, writer, wanted)
        writer.finish(address.read_link(head["address"]).identity, now_ms(), entries)
    size = target.stat().st_size
    document = {"file": file, "entries": entries, "bytes": size, "secrets": with_secrets}
    document |= {"files": files, "missing_files": len(wanted) - files}
    document |= {"missing_follows": 0 if with_secrets else len(follows) - len(told_of)}
    document |= {"missing_entries": missing, "faults": faults.told}
    session.show(document, lambda: pages.export_page(document))  # type: ignore[arg-type]
    if missing or faults.told:
        raise click.exceptions.Exit(UserError.exit_code)


class Faults(State):
    """What the node could not read of what is taken out beside the logs, a sentence each: the rest is written."""

    told: list[str] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what fails in the block, and go on after it; not where nobody answers: all else would fail, too."""
        try:
            yield
        except UserError as error:
            if type(error) is not UserError:
                raise
            if error.sentence not in self.told:
                self.told.append(error.sentence)


def _sealed(session: Session, own: str, follows: list[FollowDocument], faults: Faults) -> bytes:
    """The secret keys, which are read from the home and never cross the socket, and what the person keeps alone."""
    held = keyring.load(session.home)
    if address.spell(held.inception.identity) != own:
        raise UserError("the daemon runs for another identity than this home's")
    typed = _passphrase(is_new=True)
    former = tuple(device.seed for device in held.former)
    told = Secrets(held.root.seed, held.device.seed, kept_of(session, follows, faults.noted), former).encode()
    salt, nonce = secrets.token_bytes(passphrase.SALT_BYTES), secrets.token_bytes(passphrase.NONCE_BYTES)
    return passphrase.seal(told, typed, salt, nonce)


def _write_logs(session: Session, writer: Writer, head: LogsDocument, tick: Tick) -> tuple[int, int, set[FileHash]]:
    """All logs, a member each; gives how many entries, how many could not be read, and the files that their notes and
    profiles have."""
    due = sum(log["entries"] for log in head["logs"]) or 1
    written, missing, referred = 0, 0, set[FileHash]()
    for log in head["logs"]:
        before = written
        with writer.member(archive.log_name(DeviceKey(bytes.fromhex(log["device"])))) as write:
            first: int | None = 1
            while first is not None:
                piece: RunDocument = session.ask("export_run", device=log["device"], first=first)
                first = piece["next"]
                run = _sound(piece)
                if run is not None:
                    write(archive.frame_run(run))
                    written += len(run)
                    referred |= archive.files_of(run)
                    tick(written / due)
        missing += max(0, log["entries"] - (written - before))  # what was posted meanwhile is written too
    return written, missing, referred


def _sound(piece: RunDocument) -> VerifiedRun | None:
    """None also where the disk has changed it since the node looked: the archive would be refused whole for it."""
    try:
        return None if piece["run"] is None else archive.read_run(bytes.fromhex(piece["run"]))
    except RemoteProtocolError:
        return None


def _write_notices(session: Session, writer: Writer, own: str, faults: Faults) -> list[FileHash]:
    """What is shown of one's own, newest first, a line of JSON each: for people and simple tools. Gives the files that
    these notices have, each once, in the same order."""
    import json

    files: dict[FileHash, None] = {}
    with writer.member(archive.NOTICES) as write, faults.noted():
        for notice in _own_notices(session, own):
            write((json.dumps(notice, ensure_ascii=True) + "\n").encode("ascii"))
            said = notice["media"] if notice["author"] == own and notice["boost_of"] is None else []
            files.update(dict.fromkeys(_hashes(said)))
    return list(files)


def _hashes(files: Iterable[FileDocument]) -> list[FileHash]:
    """Of files and their thumbnails."""
    hashes = (each for file in files for each in (file["hash"], file["thumb"]) if each is not None)
    return [FileHash(bytes.fromhex(each)) for each in hashes]


def _write_files(session: Session, writer: Writer, wanted: list[FileHash]) -> int:
    """The files that the node holds whole, while there is room; gives how many."""
    if not wanted:
        return 0
    written = 0
    with _progress("Exporting files") as tick:
        for number, file in enumerate(wanted, 1):
            data = _held(session, file) if writer.room else None
            if data is not None:
                writer.add(archive.file_name(file), data)
                written += 1
            tick(number / len(wanted))
    return written


def _held(session: Session, file: FileHash) -> bytes | None:
    """All of a file; None where the node does not have it, or not any more."""
    try:
        document: MediaDocument = session.ask("media", file=file.hex())
        return content(session, document) if document["state"] == "here" else None
    except UserError as error:
        if type(error) not in (NotFound, UserError):  # nobody answers: what is left would fail the same way
            raise
        return None


def _own_notices(session: Session, own: str) -> Iterator[NoticeDocument]:
    before: str | None = None
    while page := session.ask("timeline", author=own, limit=TIMELINE_ROWS_MAX, before=before):
        yield from page
        before = page[-1]["id"]


# --- in ---------------------------------------------------------------------------------------------------------------


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
        "mastodon": _import_mastodon,
        "csv": _import_list,
    }
    if kind not in readers:
        raise UsageError("--from takes mastodon or csv", "p2pblog import --help")
    readers[kind](session, _file(file))


def _import_archive(session: Session, file: Path) -> None:
    is_new = not os.path.lexists(session.home.keys)
    with _hinted(file), open_archive(file) as opened:
        with _progress("Checking") as tick:
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
    with _progress("Importing") as tick:
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
    with _progress("Importing files") as tick:
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
    held = opened.secrets(_passphrase(is_new=False))
    held = replace(held, kept=as_typed(held.kept))
    follows = [(link, petname_of(each.petname)) for each in listed if (link := _link(each.address)) is not None]
    with _progress("Restoring") as tick:
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

NO_ADDRESS = "that is not an address of p2pblog"


def _import_list(session: Session, file: Path) -> None:
    with _refused(file):
        listed = follow_list.read_list(_small(file))
    with _progress("Following") as tick:
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


# --- Mastodon ---------------------------------------------------------------------------------------------------------

Known = dict[tuple[int | None, str], list[str]]
"""The notices that an import wrote before this one, newest first, by time and text: a person may say the same twice in
a second, and parts of one post may be alike."""


@contextmanager
def _refused(file: Path) -> Iterator[None]:
    try:
        yield
    except RemoteProtocolError as error:
        raise UserError(f"{file} is refused, nothing of it was taken: {archive.refusal(error)}") from error


def _import_mastodon(session: Session, file: Path) -> None:
    with _refused(file):
        posts, skipped = mastodon.read_outbox(outbox.load(file))
    own = session.ask("id")["address"]
    known = _imported_before(session, own)
    imported = already = 0
    ends: dict[str, str] = {}
    with _progress("Importing") as tick:
        for number, post in enumerate(posts, 1):
            texts = [text for text in post.texts if _fits(words.check_text, text)]
            if not texts:
                skipped += 1
            elif post.id in ends:  # the outbox has it twice
                already += len(texts)
            else:
                written, ends[post.id] = _import_post(session, replace(post, texts=tuple(texts)), known, ends)
                imported, already = imported + written, already + len(texts) - written
            tick(number / len(posts))
    document = {"imported": imported, "skipped": skipped, "already": already}
    session.show(document, lambda: pages.brought_page(document))  # type: ignore[arg-type]


def _imported_before(session: Session, own: str) -> Known:
    known: Known = {}
    for each in _own_notices(session, own):
        if each["imported_time"] is not None:
            known.setdefault((each["imported_time"], _first_words(session, each)), []).append(each["id"])
    return known


def _first_words(session: Session, notice: NoticeDocument) -> str:
    """The text that it had when it was imported: what was edited since is not new."""
    if not notice["edited"]:
        return notice["text"]
    first: VersionDocument = session.ask("versions", notice=notice["id"])[0]
    return first["text"]


def _import_post(session: Session, post: Post, known: Known, ends: dict[str, str]) -> tuple[int, str]:
    """A post and, where it is too long for one notice, the rest as answers to it. What is `known` of it is taken out;
    `ends`: the last notice of each post. Gives how many notices were written, and the id of the last."""
    last = ends.get(post.answers or "")
    warning = post.warning if _fits(words.check_warning, post.warning or "") else None
    written = 0
    for text in post.texts:
        if found := known.get((post.time_ms, text)):
            last = found.pop()  # the oldest, which was the first of them to be imported too
            continue
        document = session.ask(
            "import_note", text=text, time=post.time_ms, reply_to=last, cw=warning, lang=post.language
        )
        last = document["id"]
        written += 1
    assert last is not None
    return written, last


def _fits(check: Callable[[str], str], text: str) -> bool:
    """Whether a person could type this."""
    try:
        check(text)
    except UsageError:
        return False
    return True
