"""The command that shows and saves a file, and what `post` and `profile` do to hand files over."""

from __future__ import annotations

import base64
import io
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pblog.commands import command, offers
from p2pblog.commands.progress import count_bar
from p2pblog.config import FILE_BYTES_MAX, FILES_PER_NOTE_MAX, PIECE_BYTES
from p2pblog.control import words
from p2pblog.disk import open_file, put_in_place, reason
from p2pblog.errors import UsageError, UserError
from p2pblog.pages import files as pages
from p2pblog.session import Session
from p2pblog.terminal import clean_line, line

if TYPE_CHECKING:
    from p2pblog.control.documents import MediaDocument

UPLOAD_BYTES = 2 * PIECE_BYTES
"""What one request hands over: 175 kB of base64, below the 256 KiB that one may have."""
KEEP = "p2pblog post TEXT --media FILE --keep-metadata"
LABEL_COLUMNS = 30


# --- posting ----------------------------------------------------------------------------------------------------------


def attach(session: Session, paths: Sequence[str], alts: Sequence[str], keep_metadata: bool) -> list[dict[str, str]]:
    """Hand files to the node, pictures without their metadata; gives what `post` is told of them.

    All are read and checked before the first is handed over. Raises UsageError or UserError.
    """
    if len(paths) > FILES_PER_NOTE_MAX:
        raise UsageError(f"a notice has at most {FILES_PER_NOTE_MAX} files")
    if len(alts) > len(paths):
        raise UsageError("there are more descriptions than files: --alt belongs to a --media", "p2pblog post --help")
    described = [words.check_alt(alt) for alt in alts] + [""] * (len(paths) - len(alts))
    ready = [prepared(path, keep_metadata) for path in paths]
    handed = []
    for (name, data, thumb), alt in zip(ready, described, strict=True):
        handed.append({**_handed(session, name, data, thumb), "alt": alt})
        if not alt and not session.json:
            session.tell([line(f"{clean_line(name)} has no description: who can't see it learns nothing. Use --alt.")])
    return handed


def hand_over_pictures(session: Session, paths: dict[str, str | None]) -> dict[str, list[dict[str, str]] | None]:
    """Hand the pictures of a profile to the node, without their metadata; gives what `profile` is told of each: an
    empty path is no picture, and None leaves what there is.

    All are read and checked before the first is handed over. Raises UsageError or UserError.
    """
    ready = {what: prepared(path, keep_metadata=False, picture=what) for what, path in paths.items() if path}
    handed = {what: [_handed(session, *file)] for what, file in ready.items()}
    return {what: handed.get(what, None if path is None else []) for what, path in paths.items()}


def _handed(session: Session, name: str, data: bytes, thumb: bytes | None) -> dict[str, str]:
    with _bar(session, f"handing over {name}", len(data)) as moved:
        told = {"upload": hand_over(session, data, moved), "name": name}
    if thumb is not None:
        told["thumb"] = hand_over(session, thumb, lambda count: None)
    return told


def prepared(path: str, keep_metadata: bool, picture: str | None = None) -> tuple[str, bytes, bytes | None]:
    """(name, bytes, thumbnail) of a file as it is to be posted. `picture`: as what a picture is asked for; nothing else
    will do then. Raises UsageError, or UserError without Pillow."""
    from p2pblog import pictures
    from p2pblog.core.media import may_tell_places, plain_name, sniff

    name, data, thumb = plain_name(path), _read(path), None
    shown = clean_line(name)
    if picture is not None and sniff(data) not in pictures.FORMATS:
        raise UsageError(f"{shown} is no {picture}: {words.PICTURES}")
    if not keep_metadata and sniff(data) in pictures.FORMATS:
        data, thumb = pictures.cleaned(data, shown, KEEP if picture is None else None)
    elif not keep_metadata and may_tell_places(data):
        sentence = f"{shown} may tell where and with what it was made, and that can't be taken out"
        raise UsageError(f"{sentence}: of a picture make a JPEG or PNG", KEEP)
    if len(data) > FILE_BYTES_MAX:
        raise UsageError(f"{shown} has over {FILE_BYTES_MAX:,} bytes without its metadata")
    return name, data, thumb


def _read(path: str) -> bytes:
    _check_named(path)
    shown = clean_line(path)
    try:
        with io.BufferedReader(open_file(Path(path))) as stream:
            size = os.fstat(stream.fileno()).st_size  # of what a system makes as it is read, 0
            data = stream.read(min(size or FILE_BYTES_MAX, FILE_BYTES_MAX) + 1)  # room is made for all that is asked
    except IsADirectoryError as error:
        raise UsageError(f"{shown} is a folder") from error
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {reason(error)}") from error
    except ValueError as error:  # a null byte
        raise UsageError(f"{shown} cannot be read: {error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise UsageError(f"{shown} has over {FILE_BYTES_MAX:,} bytes, and a file of a notice at most that many")
    if size and len(data) != size:
        raise UsageError(f"{shown} changed while it was read: post it once it is whole")
    if not data:
        raise UsageError(f"{shown} is empty")
    return data


def _check_named(path: str) -> None:
    """Raises UsageError. An empty path is the folder that one is in, and nobody means that."""
    if not words.check_utf8(path, "the file's name"):
        raise UsageError("the file's name is empty")


def hand_over(session: Session, data: bytes, moved: Callable[[int], None]) -> str:
    upload: str | None = None
    for at in range(0, len(data), UPLOAD_BYTES):
        piece = base64.b64encode(data[at : at + UPLOAD_BYTES]).decode()
        document = session.ask("upload", data=piece, upload=upload)
        upload = document["upload"]
        moved(document["size"])
    assert upload is not None
    return upload


# --- reading ----------------------------------------------------------------------------------------------------------


@command("media", "p2pblog media 5feceb66ff\np2pblog media 5feceb66ff --save bees.jpg")
@click.argument("file", metavar="HASH", shell_complete=offers("files"))
@click.option("--save", "place", metavar="FILE", shell_complete=offers("file"), help="Fetch it, and save it there.")
def media(session: Session, file: str, place: str | None) -> None:
    """A file of a notice or a profile. What it is and how much of it is here; with --save, the file itself."""
    wanted = words.check_id(file)
    document: MediaDocument = session.ask("media", file=wanted)
    if place is None:
        session.show(document, lambda: pages.media_page(document, session.columns))
        return
    target = _target(place, document["name"])
    document = _fetched(session, document)
    _save(target, content(session, document))
    session.show({**document, "saved": str(target)}, lambda: pages.saved_page(document, str(target)))


def _target(place: str, name: str) -> Path:
    """Where to save it: in a folder under its own name, which is a plain one. Raises UsageError; nothing is written
    over."""
    _check_named(place)
    path = Path(place)
    try:
        is_folder = path.is_dir()
        path = path / name if is_folder else path
        taken = os.path.lexists(path)
    except ValueError as error:
        raise UsageError(f"{clean_line(place)} cannot be a file: {error}") from error
    if taken:
        raise UsageError(f"{clean_line(str(path))} is there already")
    if place.endswith(os.sep) and not is_folder:
        raise UsageError(f"there is no folder {clean_line(place)}")
    return path


def _fetched(session: Session, document: MediaDocument) -> MediaDocument:
    """Ask until all of it is at the node. Raises NotFound or TimedOut."""
    with _bar(session, f"fetching {document['name']}", document["size"]) as moved:
        while document["state"] != "here":
            document = session.ask("fetch_media", file=document["hash"], known=document["pieces"])
            moved(document["held"])
    return document


def content(session: Session, document: MediaDocument) -> bytes:
    """All pieces. Raises UserError for what is not the file: the node may have thrown it away in between."""
    from p2pblog.core.media import table_of

    asked = (session.ask("media_piece", file=document["hash"], index=index) for index in range(document["pieces"]))
    data = b"".join(base64.b64decode(piece["data"]) for piece in asked)
    if not data or table_of(data).file.hex() != document["hash"]:
        raise UserError("what the node gave is not that file")
    return data


def _save(target: Path, data: bytes) -> None:
    """All of it or nothing. Raises UsageError or UserError."""
    draft = target.with_name(f".{secrets.token_hex(8)}.part")  # short: a name that holds another may be too long
    try:
        try:
            with draft.open("xb") as stream:
                stream.write(data)
            put_in_place(draft, target, force=False)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{clean_line(str(target))} is there already") from error
    except OSError as error:
        raise UserError(f"{clean_line(str(target))} cannot be written: {reason(error)}") from error


def _bar(session: Session, label: str, size: int) -> AbstractContextManager[Callable[[int], None]]:
    """Called with how many bytes are done."""
    return count_bar(clean_line(label)[:LABEL_COLUMNS], size, is_wanted=not session.json)
