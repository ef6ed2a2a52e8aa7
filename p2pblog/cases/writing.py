"""Use cases that write: notices, what one says about those of others, and taking that back."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.cases.desk import no_notice, ref_to, said_in
from p2pblog.cases.files import Files
from p2pblog.cases.polling import Polling
from p2pblog.control.documents import FileArgument, WrittenDocument
from p2pblog.control.words import check_language, check_text, check_warning
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Located
from p2pblog.core.mentions import with_addresses
from p2pblog.core.payload import REPLACES_MAX, Boost, Delete, Edit, Like, Note, Quote, Ref, encode
from p2pblog.core.value import replace
from p2pblog.errors import LocalProtocolError, NotFound, NotPermitted
from p2pblog.store.meaning import Kind, Version, current


class Writing(Polling, Files):
    """Of `Node`: what writes."""

    async def post(
        self,
        text: str,
        reply_to: str | None = None,
        cw: str | None = None,
        lang: str | None = None,
        poll: list[str] | None = None,
        closes: str | None = None,
        media: Sequence[FileArgument] | None = None,
    ) -> WrittenDocument:
        signed, warning, language = self._as_signed(text), *_beside(cw, lang)
        asked = self._poll(signed, poll, closes)
        ref = None if reply_to is None else await self._notice_ref(reply_to)
        files = await self._attach("".join((signed, *(poll or ()))), media or ())
        written = await self._author.write(Note(signed, ref, warning, language, None, asked, files))
        self._forget_uploads(media or ())
        return self._written(written, Note.type)

    async def quote(self, notice: str, text: str, cw: str | None = None, lang: str | None = None) -> WrittenDocument:
        """The words as they stand here now are those that are quoted, whatever their author makes of them later."""
        signed, warning, language = self._as_signed(text), *_beside(cw, lang)
        of = await self._notice_ref(notice)
        version = await self._version_of(of)
        note = Note(signed, None, warning, language, Quote(of, version))
        return self._written(await self._author.write(note), Note.type)

    async def _version_of(self, of: Ref) -> Ref | None:
        """The edit whose words stand; None for the first ones."""
        edit = current((await self._store.versions(of.id))[1:])
        located = None if edit is None else await self._store.locate(edit.id)
        return None if located is None else ref_to(located)

    async def edit(self, notice: str, text: str, cw: str | None = None, lang: str | None = None) -> WrittenDocument:
        """A content warning and a language that are not given stay; an empty one is taken away."""
        signed, of = self._as_signed(text), await self._notice_ref(notice)
        if of.identity != self._author.identity_hash:
            raise NotPermitted("that notice is somebody else's: only its author can edit it")
        async with self._in_turn():
            row = next(iter(await self._store.rows([of.id])), None)
            if row is None:
                raise no_notice(None)
            edits = (await self._store.versions(of.id))[1:]
            warning = row.warning if cw is None else _beside(cw or None, None)[0]
            language = row.language if lang is None else _beside(None, lang or None)[1]
            replaced = _replaced(edits)
            written = await self._author.write(_fitting(Edit(of, signed, replaced, warning, language)))
        return self._written(written, Edit.type)

    def _as_signed(self, text: str) -> str:
        """The text with each `@petname` of ours as an address. Raises UsageError."""
        return check_text(with_addresses(check_text(text), self._named))

    def _named(self, petname: str) -> IdentityHash | None:
        return next((each.identity for each in self._follows.values() if each.petname == petname), None)

    async def boost(self, notice: str) -> WrittenDocument:
        """Boosting twice gives the first boost again: a timeline shows it once."""
        return await self._react(Boost(await self._notice_ref(notice)), Kind.BOOST)

    async def like(self, notice: str) -> WrittenDocument:
        """Liking twice gives the first like again."""
        return await self._react(Like(await self._notice_ref(notice)), Kind.LIKE)

    async def unboost(self, notice: str) -> WrittenDocument:
        return await self._unreact(await self._notice_ref(notice), Kind.BOOST, "boosted")

    async def unlike(self, notice: str) -> WrittenDocument:
        return await self._unreact(await self._notice_ref(notice), Kind.LIKE, "liked")

    async def _react(self, payload: Boost | Like, kind: Kind) -> WrittenDocument:
        async with self._in_turn():
            for earlier in await self._own_reactions(payload.of, kind):
                return self._written(earlier.entry, payload.type)
            return self._written(await self._author.write(payload), payload.type)

    async def _unreact(self, of: Ref, kind: Kind, done: str) -> WrittenDocument:
        """Another device of ours, or an older version, may have said it more than once: all of it is taken back."""
        async with self._in_turn():
            own = await self._own_reactions(of, kind)
            if not own:
                raise NotFound(f"you have not {done} that notice")
            return await self._take_back(own)

    async def _take_back(self, own: Sequence[Located]) -> WrittenDocument:
        """All of these entries of ours, one at least; gives the last delete."""
        for at in range(0, len(own), 1 + REPLACES_MAX):
            written = await self._author.write(_delete_of(own[at : at + 1 + REPLACES_MAX]))
        return self._written(written, Delete.type)

    async def _own_reactions(self, of: Ref, kind: Kind) -> list[Located]:
        return await self._located(await self._store.reactions(self._author.identity_hash, of.id, kind))

    async def _located(self, ids: Sequence[EntryId]) -> list[Located]:
        found = [await self._store.locate(each) for each in ids]
        return [located for located in found if located is not None]

    async def delete(self, notice: str) -> WrittenDocument:
        """A notice goes with all its edits, or their words would stay on every disk and in what quotes them."""
        located = await self._locate(notice)
        if located.identity != self._author.identity_hash:
            raise NotPermitted("that notice is somebody else's: only its author can delete it")
        if located.entry.seq == 1:
            raise NotPermitted("the first entry of a log cannot be deleted")
        if isinstance(said_in(located.entry), Delete):
            raise NotPermitted("a delete cannot be taken back")
        async with self._in_turn():
            if await self._store.taken_back_by(located.identity, located.entry.id) is not None:
                raise NotFound("that notice was deleted already")
            edits = await self._edits_of(located)
            while len(edits) > REPLACES_MAX:  # the oldest: its words stay to the end
                await self._author.write(_delete_of(edits[: 1 + REPLACES_MAX]))
                edits, before = await self._edits_of(located), edits
                if edits == before:
                    raise NotPermitted("what this device writes has no effect any more")
            return self._written(await self._author.write(_delete_of([located, *edits])), Delete.type)

    async def _edits_of(self, located: Located) -> list[Located]:
        """Of a notice, the oldest first."""
        return await self._located([each.id for each in (await self._store.versions(located.entry.id))[1:]])


def _replaced(edits: Sequence[Version]) -> tuple[EntryId, ...]:
    """What an edit names that takes the place of these, the oldest first: the newest, and in any case the last of each
    device, which would stand beside it."""
    last = {each.log: each.id for each in sorted(edits, key=lambda each: (each.log, each.seq))}
    lasts = [each.id for each in edits if last[each.log] == each.id]
    others = [each.id for each in edits if last[each.log] != each.id]
    return tuple([*others, *lasts][-REPLACES_MAX:])


def _fitting(edit: Edit) -> Edit:
    """With as many of the newest ids that it replaces as long words leave room for."""
    while True:
        try:
            encode(edit)
            return edit
        except LocalProtocolError:
            if not edit.replaces:
                raise
            edit = replace(edit, replaces=edit.replaces[1:])


def _delete_of(gone: Sequence[Located]) -> Delete:
    """At most 1 + REPLACES_MAX of our own entries."""
    first, *others = gone
    return Delete(ref_to(first), tuple(each.entry.id for each in others))


def _beside(cw: str | None, lang: str | None) -> tuple[str | None, str | None]:
    """A content warning and a language, checked. Raises UsageError."""
    return None if cw is None else check_warning(cw), None if lang is None else check_language(lang)
