"""The use cases of one node put together, with how it is doing and what it is linked with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import trio

from p2pblog import __version__, names
from p2pblog.cases.lists import Listing
from p2pblog.cases.marking import Marking
from p2pblog.cases.moving import Moving
from p2pblog.cases.news import Notifying
from p2pblog.cases.people import People
from p2pblog.cases.pinning import Pinning
from p2pblog.cases.profiles import Profiles
from p2pblog.cases.quieting import Quieting
from p2pblog.cases.reading import Reading
from p2pblog.cases.searching import Searching
from p2pblog.cases.settings import Settings
from p2pblog.cases.strangers import Strangers
from p2pblog.cases.threads import Threads
from p2pblog.cases.why import Explaining
from p2pblog.control.documents import DeviceDocument, PeerDocument, StatusDocument, StoreDocument
from p2pblog.core import address, payload
from p2pblog.core.address import Endpoint
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Boost, Note
from p2pblog.core.runs import payloads_but_texts
from p2pblog.errors import UserError
from p2pblog.gossip.driver import Lane
from p2pblog.gossip.events import Ask, Candidates
from p2pblog.gossip.sharing import Session

LOOK_FOR_STRAYS_BELOW = 64
"""Batches up to this size are searched for boosts of what we don't hold; history is not, it would fetch old things."""


class Node(
    Pinning,
    Marking,
    Profiles,
    Notifying,
    Strangers,
    Quieting,
    Explaining,
    People,
    Listing,
    Reading,
    Threads,
    Searching,
    Settings,
    Moving,
):
    """Implements `control.api.NodeApi` over the machines, the store and the DHT."""

    async def status(self) -> StatusDocument:
        own = self._author.identity_hash
        name, _bio = await self._store.profile(own)
        full, stuck_by = await self._room.fullness(), self._driver.stuck_by
        failing = None if stuck_by is None else str(stuck_by)
        return StatusDocument(
            address=address.spell(own),
            name=name or None,
            listen=str(self._place.listen),
            pid=os.getpid(),
            peers=len(self._driver.machine.sharing.sessions),
            dht_nodes=self._meeting.dht_nodes,
            follows=len(self._follows),
            entries=await self._store.entry_count(),
            uptime_s=int(trio.current_time() - self._started),  # whatever becomes of the wall clock
            version=__version__,
            store=StoreDocument(used=full.used, max=self._room.store_max, pruned=full.pruned, failing=failing),
            devices=self._devices(),
            pending=[address.spell(identity) for identity in self._follows if self._is_searching(identity)],
        )

    def _devices(self) -> list[DeviceDocument]:
        """All that our identity names, the one of this node first; it is named with its first entry."""
        holdings, here = self._driver.machine.holdings, self._author.device
        identity = holdings.identities.get(self._author.identity_hash)
        named = {} if identity is None else identity.devices
        return [
            DeviceDocument(
                device=device.hex(),
                entries=holdings.entries(device),
                here=device == here,
                retired=device in named and named[device].retired,
            )
            for device in (here, *(each for each in named if each != here))
        ]

    async def peers(self) -> list[PeerDocument]:
        lanes = sorted(self._driver.lanes.items())
        return [self._peer(lane) for _peer, lane in lanes]

    async def add_peer(self, endpoint: str) -> PeerDocument:
        found = await names.resolve(names.check_contact(endpoint))
        known = [self._driver.machine.membership.known.get(each) for each in found]
        nodes = {each.node for each in known if each is not None}
        for peer, standing in sorted(self._driver.lanes.items()):
            if standing.link.endpoint in found or peer in nodes:
                return self._peer(standing)
        reached, session = await self._connect(found)
        self._driver.feed(Candidates((reached,)))
        await self._meeting.remember((reached,))
        lane = self._driver.lanes.get(session.peer)
        if lane is None:
            raise UserError(f"{endpoint} answered and hung up")
        return self._peer(lane)

    async def _connect(self, found: Sequence[Endpoint]) -> tuple[Endpoint, Session]:
        """The first of a node's addresses that answers. Raises the last one's UserError."""
        for each in found[:-1]:
            with suppress(UserError):
                return each, await self._driver.connect(each)
        return found[-1], await self._driver.connect(found[-1])

    def _peer(self, lane: Lane) -> PeerDocument:
        session = self._driver.machine.sharing.sessions.get(lane.link.peer)
        return PeerDocument(
            node=lane.link.peer.hex(),
            endpoint=str(lane.link.endpoint),
            direction="out" if lane.link.dialed else "in",
            since=lane.since_ms,
            feeds=len(session.shared) if session is not None else 0,
            bytes_in=lane.link.bytes_in,
            bytes_out=lane.link.bytes_out,
        )

    def on_stored(self, batch: Batch, live: bool) -> None:
        """Tell who watches, publish what is ours, and look for what a boost refers to."""
        self._room.on_stored()
        if batch.identity != self._author.identity_hash and batch.identity not in self._follows:
            return
        self._meeting.on_stored(batch)
        for entry in self._news(batch, live):
            self._tell_watchers(entry)
        if len(batch.entries) <= LOOK_FOR_STRAYS_BELOW:
            self._look_for_strays(batch)

    def _look_for_strays(self, batch: Batch) -> None:
        holdings = self._driver.machine.holdings
        for said in map(payload.decode, payloads_but_texts(batch.entries)):
            if isinstance(said, Boost) and said.of.identity not in holdings.interests:
                self._driver.feed(Ask(said.of, batch.identity))
            if isinstance(said, Note) and said.quote is not None and said.quote.of.identity not in holdings.interests:
                self._driver.feed(Ask(said.quote.words, batch.identity))
