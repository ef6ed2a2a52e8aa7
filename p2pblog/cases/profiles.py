"""Use cases of profiles: how one wants to be seen, and how others do."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.cases.documents import file_document
from p2pblog.cases.files import Files
from p2pblog.control.documents import FileArgument, ProfileDocument
from p2pblog.control.words import BLOCKED, check_bio, check_links, check_name
from p2pblog.core.address import spell
from p2pblog.core.keys import IdentityHash
from p2pblog.core.payload import Profile
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, NotPermitted
from p2pblog.store import SearchQuery, TimelineQuery


class Profiles(Files):
    """Of `Node`: profiles."""

    async def profile(
        self,
        name: str | None = None,
        bio: str | None = None,
        links: list[str] | None = None,
        address: str | None = None,
        avatar: Sequence[FileArgument] | None = None,
        banner: Sequence[FileArgument] | None = None,
    ) -> ProfileDocument:
        """No upload for an avatar or a banner takes it away. Their descriptions are not kept."""
        own = self._author.identity_hash
        whose = own if address is None else (await self._resolve(address)).identity
        if any(change is not None for change in (name, bio, links, avatar, banner)):
            if whose != own:
                raise NotPermitted("that profile is somebody else's: only your own can be changed")
            await self._change(name, bio, links, avatar, banner)
            self._forget_uploads([*(avatar or ()), *(banner or ())])
        elif whose != own and not await self._is_held(whose):
            raise await self._why_not_held(whose)
        return await self._profile_document(whose)

    async def _why_not_held(self, whose: IdentityHash) -> NotFound:
        """Nothing of theirs came but single notices, if those; or it may not."""
        if whose in self._quiet.blocks:
            return NotFound(f"{BLOCKED}, so nothing of theirs is here", hint=f"p2pblog unblock {spell(whose)}")
        helps = "p2pblog following" if whose in self._follows else f"p2pblog follow {spell(whose)}"
        if (await self._store.search(SearchQuery(1, authors=(whose,)))).rows:
            sentence = "only single notices of theirs are here, and no profile"
            is_muted = whose in self._quiet.rules(is_home=False).people  # which a search leaves out
            finds = f"p2pblog {'unmute ' if is_muted else 'search from:'}{spell(whose)}"
            return NotFound(sentence, hint=f"{finds}\n{helps}")
        return NotFound("nothing of theirs is here", hint=helps)

    async def _change(
        self,
        name: str | None,
        bio: str | None,
        links: list[str] | None,
        avatar: Sequence[FileArgument] | None,
        banner: Sequence[FileArgument] | None,
    ) -> None:
        """What is not given stays as it is; so one change at a time. Pictures are read before the wait for that: it may
        be long, and other uploads take the place of those that were handed over first."""
        name, bio = None if name is None else check_name(name), None if bio is None else check_bio(bio)
        links = None if links is None else check_links(links)
        face = None if avatar is None else await self._picture(avatar, "avatar")
        wide = None if banner is None else await self._picture(banner, "banner")
        async with self._in_turn():
            own = await self._store.whole_profile(self._author.identity_hash)
            told = own or Profile(self._author.keyring.name or "")  # which may not be told yet
            if name is not None:
                told = replace(told, name=name)
            if bio is not None:
                told = replace(told, bio=bio)
            if links is not None:
                told = replace(told, links=tuple(links))
            if avatar is not None:
                told = replace(told, avatar=face)
            if banner is not None:
                told = replace(told, banner=wide)
            await self._author.write(told)
            self._author.rename(told.name or None)

    async def _is_held(self, whose: IdentityHash) -> bool:
        """Whether anything of theirs has come."""
        if whose in self._driver.machine.holdings.identities or await self._store.whole_profile(whose) is not None:
            return True
        return bool(await self._store.timeline(TimelineQuery(1, None, (whose,))))

    async def _profile_document(self, whose: IdentityHash) -> ProfileDocument:
        told = await self._store.whole_profile(whose) or Profile("")
        follow = self._follows.get(whose)
        bearers = self._bearers(await self._names())
        return ProfileDocument(
            address=spell(whose),
            name=told.name or None,
            bio=told.bio or None,
            links=list(told.links),
            avatar=None if told.avatar is None else file_document(told.avatar),
            banner=None if told.banner is None else file_document(told.banner),
            pinned=[notice.hex() for notice in await self._store.pins(whose)],
            petname=None if follow is None else follow.petname,
            lookalike=bearers.other(told.name or None, spell(whose)),
        )
