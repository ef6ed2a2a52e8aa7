"""Use cases about people: who one is, whom one follows, and how others find one."""

from __future__ import annotations

from p2pblog.cases.desk import Desk
from p2pblog.config import FOLLOWS_MAX
from p2pblog.control.documents import FollowDocument, IdDocument, InviteDocument
from p2pblog.control.words import BLOCKED, FOLLOWS_FULL, check_budget, check_petname
from p2pblog.core import address
from p2pblog.core.address import Link
from p2pblog.core.keys import IdentityHash
from p2pblog.core.lookalikes import Bearers
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.gossip.events import Candidates, Interested, Uninterested
from p2pblog.store import Follow, FollowRow

INVITE_PEERS_MAX = 4
"""Endpoints in an invitation: our own and some peers that hold our feed, still short enough for a QR code."""


class People(Desk):
    """Of `Node`: who is who."""

    async def id(self) -> IdDocument:
        own = self._author.identity_hash
        name, _bio = await self._store.profile(own)
        return IdDocument(
            address=address.spell(own),
            name=name or None,
            device=self._author.device.hex(),
            node=self._author.keyring.node.public.hex(),
            uri=Link(own).uri,
        )

    async def follow(
        self,
        address: str,
        petname: str | None = None,
        no_boosts: bool | None = None,
        budget: str | None = None,
        private: bool | None = None,
    ) -> FollowDocument:
        async with self._following:
            link = await self._resolve(address)
            known = self._follows.get(link.identity, Follow(link.identity, None, self._wall_ms()))
            wanted = replace(
                known,
                petname=known.petname if petname is None else self._check_petname(petname, link.identity),
                no_boosts=known.no_boosts if no_boosts is None else no_boosts,
                budget=known.budget if budget is None else check_budget(budget),
                private=known.private if private is None else private,
            )
            return await self._follow(link, wanted)

    async def _follow(self, link: Link, follow: Follow) -> FollowDocument:
        if link.identity == self._author.identity_hash:
            raise UsageError("that is your own address: your notices are in your timeline anyway")
        if link.identity in self._quiet.blocks:
            raise UserError(BLOCKED, hint="p2pblog unblock ADDRESS")
        if link.identity not in self._follows and len(self._follows) >= FOLLOWS_MAX:
            raise UserError(FOLLOWS_FULL.format(FOLLOWS_MAX))
        is_new = link.identity not in self._follows
        await self._store.put_follow(follow)
        self._follows[link.identity] = follow
        self._quiet.on_changed()
        self._driver.feed(Interested(link.identity, follow.private))
        if is_new:
            await self._room.lift(link.identity)
        if link.peers:
            self._driver.feed(Candidates(link.peers, link.identity))
            await self._meeting.remember(link.peers)
        self._meeting.on_followed(link.identity)
        return await self._follow_row(link.identity)

    async def unfollow(self, address: str) -> FollowDocument:
        async with self._following:
            return await self._unfollow((await self._resolve(address)).identity)

    async def _unfollow(self, identity: IdentityHash) -> FollowDocument:
        if identity not in self._follows:
            raise NotFound("you do not follow that address", hint="p2pblog following")
        row = await self._follow_row(identity)
        await self._store.drop_follow(identity)
        del self._follows[identity]
        self._quiet.on_changed()
        self._driver.feed(Uninterested(identity))
        return row

    async def following(self) -> list[FollowDocument]:
        rows, own = await self._store.follow_rows(), self._author.identity_hash
        bearers = self._bearers({**await self._store.names([own]), **{row.identity: row.name for row in rows}})
        return [self._follow_document(row, bearers) for row in rows]

    async def _follow_row(self, identity: IdentityHash) -> FollowDocument:
        (row,) = await self._store.follow_rows([identity])
        return self._follow_document(row, self._bearers(await self._names()))

    def _follow_document(self, row: FollowRow, bearers: Bearers) -> FollowDocument:
        spelled = address.spell(row.identity)
        return FollowDocument(
            address=spelled,
            name=row.name,
            petname=row.petname,
            entries=row.entries,
            newest=row.newest_ms,
            state=self._state(row.identity),
            no_boosts=row.no_boosts,
            budget=row.budget,
            private=row.private,
            pruned=row.pruned,
            lookalike=bearers.other(row.name, spelled),
        )

    def _state(self, identity: IdentityHash) -> str:
        holdings = self._driver.machine.holdings
        if self._is_searching(identity):
            return "searching"
        disputed = any(holdings.is_frozen(device) for device in holdings.devices(identity))
        return "disputed" if disputed else "found"

    def _is_searching(self, identity: IdentityHash) -> bool:
        """Nobody had it so far."""
        return identity not in self._driver.machine.holdings.identities

    async def invite(self) -> InviteDocument:
        sessions = self._driver.machine.sharing.sessions
        own = self._author.identity_hash
        near = [sessions[p].endpoint for p in sorted(sessions) if sessions[p].dialed and own in sessions[p].shared]
        helpers = [endpoint for endpoint in near if endpoint.reach >= self._place.listen.reach]
        peers = [*self._place.reachable, *helpers][:INVITE_PEERS_MAX]
        return InviteDocument(uri=Link(own, tuple(peers)).uri)

    def _check_petname(self, petname: str, identity: IdentityHash) -> str | None:
        """As it is kept; an empty one takes the old one away. Raises UsageError."""
        if not petname:
            return None
        chosen = check_petname(petname)
        for other in self._follows.values():
            if other.petname == chosen and other.identity != identity:
                raise UsageError("you call somebody else by that petname", hint="p2pblog following")
        return chosen
