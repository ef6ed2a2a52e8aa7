"""The command that takes one's data out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from p2pblog import keyring
from p2pblog.archives import Tick, Writer, write_archive
from p2pblog.commands import command, now_ms, offers
from p2pblog.commands.files import content
from p2pblog.commands.kept import kept_of
from p2pblog.commands.moving import ask_passphrase, named_file, own_notices
from p2pblog.commands.progress import share_bar
from p2pblog.core import address, archive, follow_list, passphrase
from p2pblog.core.archive import Secrets
from p2pblog.core.keys import DeviceKey
from p2pblog.core.media import FileHash
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.value import State, field, replace
from p2pblog.errors import NotFound, RemoteProtocolError, UserError
from p2pblog.pages import moving as pages
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        FileDocument,
        FollowDocument,
        LogsDocument,
        MediaDocument,
        ProfileDocument,
        RunDocument,
    )


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
    target = named_file(file)
    if not force and os.path.lexists(target):
        raise UserError(f"{file} exists already: choose another name, or say --force to replace it")
    head: LogsDocument = session.ask("export_logs")
    follows: list[FollowDocument] = session.ask("following")
    faults = Faults()
    sealed = _sealed(session, head, follows, faults) if with_secrets else None
    told_of = [each for each in follows if not each["private"]]
    with write_archive(target, force) as writer, share_bar("Exporting") as tick:
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


def _sealed(session: Session, head: LogsDocument, follows: list[FollowDocument], faults: Faults) -> bytes:
    """The secret keys, which are read from the home and never cross the socket, and what the person keeps alone."""
    held = keyring.load(session.home)
    if address.spell(held.inception.identity) != head["address"]:
        raise UserError("the daemon runs for another identity than this home's")
    typed = ask_passphrase(is_new=True)
    former = tuple(device.seed for device in held.former)
    peers = tuple(address.Endpoint.parse(each) for each in head["peers"])
    kept = replace(kept_of(session, follows, faults.noted), peers=peers)
    told = Secrets(held.root.seed, held.device.seed, kept, former).encode()
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
        for notice in own_notices(session, own):
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
    with share_bar("Exporting files") as tick:
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
