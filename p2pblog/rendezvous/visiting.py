"""Visits: short links with replicas of somebody to whom we said something, where no link leads to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pblog.config import (
    LINKS_ACCEPTED_MAX,
    LINKS_CHOSEN_MAX,
    OFFER_VISIT_AGAIN_S,
    OFFER_VISIT_EVERY_S,
    OFFER_VISIT_S,
    OFFER_VISITED,
    OFFER_VISITS_MAX,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import IdentityHash, NodeKey
from p2pblog.core.value import Value
from p2pblog.dht.records import DhtKey, Record, Replica, replica_key
from p2pblog.errors import UserError
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.membership import LINKS_ENOUGH


class Tried(Value):
    """How often somebody was visited, and when it is tried again."""

    times: int
    again_at: float


class Visiting:
    """`look_up` gives the valid records under a key of the DHT, none where nobody is known there."""

    def __init__(self, look_up: Callable[[DhtKey], Awaitable[Sequence[Record]]], driver: Driver) -> None:
        self._look_up = look_up
        self._driver = driver
        self._tried: dict[IdentityHash, Tried] = {}

    async def keep_visiting(self) -> None:
        """One person each OFFER_VISIT_EVERY_S."""
        while True:
            await trio.sleep(OFFER_VISIT_EVERY_S)
            whom = self._next()
            if whom is not None:
                await self._visit(whom)

    def _next(self) -> IdentityHash | None:
        unheard, now = self._driver.machine.offers.unheard(), trio.current_time()
        self._tried = {whom: tried for whom, tried in self._tried.items() if whom in unheard}
        for whom in unheard:
            tried = self._tried.get(whom, Tried(0, now))
            if tried.times < OFFER_VISITS_MAX and tried.again_at <= now:
                return whom
        return None

    async def _visit(self, whom: IdentityHash) -> None:
        times = self._tried[whom].times if whom in self._tried else 0
        self._tried[whom] = Tried(times + 1, trio.current_time() + OFFER_VISIT_AGAIN_S * 2**times)
        machine = self._driver.machine
        told = [record for record in await self._look_up(replica_key(whom)) if isinstance(record, Replica)]
        strangers = [record for record in told if record.node not in self._driver.lanes]
        places = sorted({record.address for record in strangers if isinstance(record.address, Endpoint)})
        chosen = machine.membership.rng.sample(places, min(OFFER_VISITED, len(places)))
        async with trio.open_nursery() as nursery:
            for endpoint in chosen:
                if len(self._driver.lanes) < LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX:
                    nursery.start_soon(self._call_at, endpoint)

    async def _call_at(self, endpoint: Endpoint) -> None:
        """What waits is offered and fetched while the link stands; one that we are glad of stays, and one that stood
        before: a replica is whoever says so, and may say that it is where a neighbour of ours is."""
        before = set(self._driver.lanes)
        try:
            session = await self._driver.connect(endpoint)
        except UserError:
            return
        await trio.sleep(OFFER_VISIT_S)
        if session.peer not in before and not self._is_wanted(session.peer):
            self._driver.hang_up(session.peer)

    def _is_wanted(self, peer: NodeKey) -> bool:
        sharing, interests = self._driver.machine.sharing, self._driver.machine.holdings.interests
        session = sharing.sessions.get(peer)
        if session is None or len(sharing.sessions) <= LINKS_ENOUGH:
            return True
        return any(identity in interests for identity in session.shared)
