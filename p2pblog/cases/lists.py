"""Lists: people whom one follows, put together under a name. Nobody else hears of them."""

from __future__ import annotations

import shlex

from p2pblog.cases.desk import Desk
from p2pblog.config import LIST_MEMBERS_MAX, LISTS_MAX
from p2pblog.control.documents import ListDocument, ListMembersDocument, MemberDocument
from p2pblog.control.words import check_list_name
from p2pblog.core import address
from p2pblog.core.keys import IdentityHash
from p2pblog.errors import NotFound, UserError


class Listing(Desk):
    """Of `Node`: what is done with lists."""

    async def lists(self) -> list[ListDocument]:
        return [ListDocument(name=row.name, members=row.members) for row in await self._store.lists()]

    async def create_list(self, name: str) -> ListDocument:
        name = check_list_name(name)
        async with self._following:
            if any(row.name == name for row in await self._store.lists()):
                raise UserError("you have a list of that name already", hint="p2pblog lists")
            if not await self._store.put_list(name):
                raise UserError(f"you have {LISTS_MAX} lists already", hint="p2pblog list delete NAME")
        return ListDocument(name=name, members=0)

    async def delete_list(self, name: str) -> ListDocument:
        async with self._following:
            members = await self._store.members(name)
            await self._store.drop_list(name)
        return ListDocument(name=name, members=len(members))

    async def add_to_list(self, name: str, addresses: list[str]) -> ListDocument:
        """All of them or, if one is not followed or there is no room, none."""
        async with self._following:
            people = [(await self._resolve(text)).identity for text in addresses]
            for text, identity in zip(addresses, people, strict=True):
                if identity not in self._follows:
                    raise NotFound(f"you do not follow {text}", hint="p2pblog follow ADDRESS")
            if not await self._store.put_members(name, people):
                raise UserError(f"a list has at most {LIST_MEMBERS_MAX} members", hint="p2pblog list create NAME")
            return ListDocument(name=name, members=len(await self._store.members(name)))

    async def remove_from_list(self, name: str, addresses: list[str]) -> ListDocument:
        """All of them or, if one is not in it, none."""
        async with self._following:
            members = set(await self._store.members(name))
            people = [(await self._resolve(text)).identity for text in addresses]
            for text, identity in zip(addresses, people, strict=True):
                if identity not in members:
                    raise NotFound(f"{text} is not in that list", hint=f"p2pblog list show {shlex.quote(name)}")
            await self._store.drop_members(name, people)
            return ListDocument(name=name, members=len(await self._store.members(name)))

    async def show_list(self, name: str) -> ListMembersDocument:
        members = await self._store.members(name)
        names = await self._store.names(members)
        return ListMembersDocument(name=name, members=[self._member(each, names[each]) for each in members])

    def _member(self, identity: IdentityHash, name: str | None) -> MemberDocument:
        follow = self._follows.get(identity)
        return MemberDocument(
            address=address.spell(identity), name=name, petname=None if follow is None else follow.petname
        )
