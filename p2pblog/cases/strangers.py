"""Use cases of strangers: who is let in, by oneself or by the word of somebody whom one follows."""

from __future__ import annotations

from p2pblog.cases.writing import Writing
from p2pblog.config import ADMITTED_MAX
from p2pblog.control.documents import AdmittedDocument, WrittenDocument
from p2pblog.control.words import BLOCKED
from p2pblog.core import address as addresses
from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Located
from p2pblog.core.payload import Vouch
from p2pblog.errors import NotFound, UsageError, UserError


class Strangers(Writing):
    """Of `Node`: who is let in."""

    async def admit(self, address: str) -> AdmittedDocument:
        identity = await self._somebody_else(address)
        if not await self._store.put_admitted(identity, self._wall_ms()):
            raise UserError(f"you have admitted {ADMITTED_MAX:,} people already", hint="p2pblog admitted")
        return (await self._let_in())[identity]

    async def unadmit(self, address: str) -> AdmittedDocument:
        identity = (await self._resolve(address)).identity
        before = (await self._let_in()).get(identity)
        if before is None or not await self._store.drop_admitted(identity):
            raise NotFound("you have not admitted that address", hint="p2pblog admitted")
        before["admitted"] = False
        return before

    async def admitted(self) -> list[AdmittedDocument]:
        found = await self._let_in()
        return sorted(found.values(), key=lambda each: (each["since"], each["address"]))

    async def vouch(self, address: str) -> WrittenDocument:
        """Vouching twice gives the first vouch again."""
        identity = await self._somebody_else(address)
        async with self._in_turn():
            for earlier in await self._own_vouches(identity):
                return self._written(earlier.entry, Vouch.type)
            return self._written(await self._author.write(Vouch(identity)), Vouch.type)

    async def unvouch(self, address: str) -> WrittenDocument:
        """Another device of ours may have vouched too: all of it is taken back."""
        identity = (await self._resolve(address)).identity
        async with self._in_turn():
            own = await self._own_vouches(identity)
            if not own:
                raise NotFound("you have not vouched for that address", hint="p2pblog admitted")
            return await self._take_back(own)

    async def _own_vouches(self, identity: IdentityHash) -> list[Located]:
        vouched = await self._store.vouches(self._author.identity_hash, identity)
        return await self._located([each.id for each in vouched])

    async def _let_in(self) -> dict[IdentityHash, AdmittedDocument]:
        """Those whom we let in, by hand or by a vouch."""
        found = {
            each.identity: AdmittedDocument(
                address=addresses.spell(each.identity), since=each.since_ms, admitted=True, vouch=None
            )
            for each in await self._store.admitted()
        }
        for vouched in await self._store.vouches(self._author.identity_hash):
            spelled = addresses.spell(vouched.subject)
            known = AdmittedDocument(address=spelled, since=vouched.time_ms, admitted=False, vouch=None)
            row = found.setdefault(vouched.subject, known)
            row["since"] = min(row["since"], vouched.time_ms)
            row["vouch"] = row["vouch"] or vouched.id.hex()
        return found

    async def _somebody_else(self, address: str) -> IdentityHash:
        identity = (await self._resolve(address)).identity
        if identity == self._author.identity_hash:
            raise UsageError("that is your own address")
        if identity in self._quiet.blocks:
            raise UserError(BLOCKED, hint="p2pblog unblock ADDRESS")
        return identity
