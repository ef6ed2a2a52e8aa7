"""Use cases about files: handing them over for a notice, fetching those of others, reading them piece by piece."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence

import trio

from p2pblog.cases.desk import Desk
from p2pblog.cases.uploads import Fetching
from p2pblog.config import FILES_PER_NOTE_MAX, NOTE_WITH_FILES_BYTES_MAX, THUMB_BYTES_MAX
from p2pblog.control.documents import FileArgument, MediaDocument, PieceDocument, UploadDocument
from p2pblog.control.words import PICTURES, check_alt, check_id
from p2pblog.core import address
from p2pblog.core.media import PICTURE_TYPES, Attachment, FileHash, plain_name, sniff, table_of
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, StoreError, TimedOut, UsageError, UserError
from p2pblog.gossip.events import Ending, FetchFile, FileNews
from p2pblog.store.blobs import Held

log = logging.getLogger("p2pblog.files")

UNREFERRED = "unreferred."
"""The settings that say since when a file that is here has been without a notice."""
NEWS_WITHIN_S = 1.0
"""How long `fetch_media` waits for something new before it answers: a progress bar that moves each second lives."""


class Files(Desk):
    """Of `Node`: what has to do with files."""

    # --- ours ---

    async def upload(self, data: str, upload: str | None = None) -> UploadDocument:
        name, size = self._uploads.add(data, upload)
        return UploadDocument(upload=name, size=size)

    async def _attach(self, text: str, media: Sequence[FileArgument]) -> tuple[Attachment, ...]:
        """The uploads as files of a notice with this text, on disk before anybody hears of them. Raises UsageError."""
        if len(media) > FILES_PER_NOTE_MAX:
            raise UsageError(f"a notice has at most {FILES_PER_NOTE_MAX} files")
        said = [(plain_name(each.get("name", "")), check_alt(each.get("alt", ""))) for each in media]
        size = len(text.encode()) + sum(len(name.encode()) + len(alt.encode()) for name, alt in said)
        if media and size > NOTE_WITH_FILES_BYTES_MAX:
            raise UsageError(
                f"the text and the descriptions have {size:,} bytes in UTF-8, and with files at most "
                f"{NOTE_WITH_FILES_BYTES_MAX:,} together"
            )
        whole = [self._uploads.read(each["upload"]) for each in media]
        small = [self._uploads.read(each["thumb"]) if each.get("thumb") else None for each in media]
        if any(data is not None and len(data) > THUMB_BYTES_MAX for data in small):
            raise UsageError(f"a thumbnail of over {THUMB_BYTES_MAX:,} bytes")
        attached = []
        for (name, alt), data, thumb in zip(said, whole, small, strict=True):
            shrunk = None if thumb is None else await self._put_own(thumb)
            file = await self._put_own(data)
            attached.append(Attachment(file, name, sniff(data), len(data), alt, shrunk))
        return tuple(attached)

    async def _put_own(self, data: bytes) -> FileHash:
        """It is kept from `drop_unreferred` first: its notice may wait for peers, and the same file may be here from
        one that was deleted a week ago."""
        self._attached.add(table_of(data).file)
        return await self._blobs.put_own(data)

    async def _picture(self, files: Sequence[FileArgument], what: str) -> Attachment | None:
        """The one upload as a picture that needs no description, on disk; None without any. Raises UsageError."""
        if len(files) > 1:
            raise UsageError(f"a profile has one {what}")
        if any(sniff(self._uploads.read(file["upload"])) not in PICTURE_TYPES for file in files):
            raise UsageError(f"that file is no {what}: {PICTURES}")
        attached = await self._attach("", files)
        return replace(attached[0], alt="") if attached else None

    def _forget_uploads(self, media: Sequence[FileArgument]) -> None:
        for each in media:
            for upload in (each["upload"], each.get("thumb", "")):
                self._uploads.forget(upload)

    # --- anybody's ---

    async def drop_unreferred(self, kept_ms: int) -> None:
        """Drop files that no notice and no profile has any more, so many ms after that was first seen, or after they
        were last to have one: a delete may turn out to be a thief's. Raises StoreError."""
        now_ms, seen = self._wall_ms(), await self._store.settings(UNREFERRED)
        own = await self._blobs.own()
        here = dict.fromkeys([*own, *await self._blobs.others()])
        names = {UNREFERRED + file.hex(): file for file in await self._store.unreferred(list(here))}
        self._attached.difference_update(file for file in here if UNREFERRED + file.hex() not in names)
        for name in seen:
            if name not in names:  # a notice has it again, or it went to make room
                await self._store.put_setting(name, None)
        for name, file in names.items():
            if name not in seen or file in self._attached:
                self._attached.discard(file)
                await self._store.put_setting(name, now_ms.to_bytes(8, "big"))
            elif now_ms - int.from_bytes(seen[name], "big") > kept_ms and await self._is_idle(file):
                await (self._blobs.drop(file) if file in own else self._blobs.drop_other(file))
                await self._store.put_setting(name, None)

    async def _is_idle(self, file: FileHash) -> bool:
        """Whether still no notice has it, or is to have it: one may have come meanwhile, for which it is being
        fetched."""
        return not await self._store.references(file) and file not in self._fetching and file not in self._attached

    async def _drop_forgotten(self) -> None:
        """Drop what is here of others' files that no notice and no profile has any more, at once. Where that fails they
        go with what `drop_unreferred` drops."""
        try:
            for file in await self._store.unreferred(await self._blobs.others()):
                if not await self._store.references(file):  # a notice may have come meanwhile
                    await self._blobs.drop_other(file)
        except StoreError as error:
            log.error("files without a notice were not dropped: %s", error)

    async def media(self, file: str) -> MediaDocument:
        return await self._media(await self._find_file(file))

    async def fetch_media(self, file: str, known: int | None = None) -> MediaDocument:
        """Raises NotFound where nobody who is linked has it, TimedOut where nobody answered, and UserError where what
        comes can't be kept; it goes on once it can be."""
        wanted = await self._find_file(file)
        held = await self._blobs.held(wanted)
        if held is None or not held.is_whole:
            await self._await_news(wanted, held, known)
        return await self._media(wanted)

    async def _await_news(self, file: FileHash, held: Held | None, known: int | None) -> None:
        fetching = self._fetching.get(file)
        if fetching is None:
            fetching = self._fetching[file] = Fetching()
            try:
                references = await self._store.references(file)
                size_max = await self._store.promised_size(file)
            except StoreError:
                del self._fetching[file]
                raise
            authors = tuple(dict.fromkeys(reference.author for reference in references))
            table, pieces = (None, frozenset[int]()) if held is None else (held.table, held.pieces)
            self._driver.feed(FetchFile(file, authors, size_max, table, pieces))
        with trio.move_on_after(NEWS_WITHIN_S):
            while fetching.ending is None and fetching.held == known:
                await fetching.lot.park()
        if fetching.ending not in (None, Ending.WHOLE):
            assert fetching.ending is not None
            raise _refusal(fetching.ending)
        if self._driver.stuck_by is not None and fetching.ending is None and fetching.held == known:
            raise UserError(f"the file can't be fetched: what comes can't be kept, {self._driver.stuck_by}")

    def on_file_news(self, news: FileNews) -> None:
        """How far the driver has come."""
        self._room.on_stored()
        fetching = self._fetching.get(news.file)
        if fetching is None:
            return
        fetching.held, fetching.ending = news.held, news.ending
        if news.ending is not None:
            del self._fetching[news.file]
        fetching.lot.unpark_all()

    async def media_piece(self, file: str, index: int = 0) -> PieceDocument:
        wanted = await self._find_file(file)
        data = await self._blobs.piece(wanted, index)
        if data is None:
            raise NotFound("that piece of the file is not here", hint=f"p2pblog media {wanted.hex()[:10]} --save FILE")
        return PieceDocument(hash=wanted.hex(), index=index, data=base64.b64encode(data).decode())

    async def _find_file(self, prefix: str) -> FileHash:
        wanted = check_id(prefix)
        found = await self._store.find_files(wanted)
        if not found:
            raise NotFound("no notice or profile here has such a file")
        if len(found) > 1:
            raise UsageError("more than one file begins like that: give more digits")
        return found[0]

    async def _media(self, file: FileHash) -> MediaDocument:
        references = await self._store.references(file)
        if not references:
            raise NotFound("no notice or profile here has such a file")
        first = next((each for each in references if not each.is_profile), references[0])
        held = await self._blobs.held(file)
        said, is_thumb = first.attachment, file != first.attachment.file
        here = 0 if held is None else sum(held.table.piece_size(index) for index in held.pieces)
        return MediaDocument(
            hash=file.hex(),
            name=f"{said.name[:80]} (small).jpg" if is_thumb else said.name,
            type="image/jpeg" if is_thumb else said.type,
            size=held.table.size if held is not None else THUMB_BYTES_MAX if is_thumb else said.size,
            alt=said.alt,
            thumb=None if is_thumb or said.thumb is None else said.thumb.hex(),
            author=address.spell(first.author),
            notice=None if first.is_profile else first.notice.hex(),
            held=here,
            pieces=0 if held is None else len(held.pieces),
            state=self._file_state(file, held),
        )

    def _file_state(self, file: FileHash, held: Held | None) -> str:
        if held is not None and held.is_whole:
            return "here"
        if file in self._fetching:
            return "fetching"
        return "partly" if held is not None and held.pieces else "elsewhere"


def _refusal(ending: Ending) -> UserError:
    if ending is Ending.LACKING:
        return NotFound(ending.value, hint="p2pblog peers")
    if ending is Ending.SILENT:
        return TimedOut(ending.value)
    return UserError(f"the file can't be fetched: {ending.value}")
