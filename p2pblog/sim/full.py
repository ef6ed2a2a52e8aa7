"""A full node's dealings with the DHT: the shipped rendezvous machine over a shipped DHT server, on the virtual loop.

It is to the rendezvous machine what rendezvous/driver.py is in a daemon: it carries out effects and feeds back answers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from p2pblog.core.address import Endpoint
from p2pblog.core.keys import IdentityHash
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import Record
from p2pblog.dht.server import GuardedServer, open_server
from p2pblog.gossip.events import OwnLogElsewhere, StoreRun
from p2pblog.rendezvous.events import (
    Effect,
    Event,
    FindRecords,
    Found,
    FoundFirst,
    KeepPointed,
    LoadOwn,
    LoadUnpointed,
    Met,
    OwnHeads,
    OwnLogCompared,
    PeersGiven,
    PublishedTo,
    PublishRecords,
    Refused,
    Replicas,
    Started,
    TakeRun,
    TellGossip,
    Wake,
    Woken,
)
from p2pblog.rendezvous.machine import Rendezvous
from p2pblog.rendezvous.reader import keep_pointed, load_own, load_unpointed
from p2pblog.sim.chance import generator
from p2pblog.sim.loop import done, micros
from p2pblog.sim.network import PORT

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode

FIND_TIMEOUT_S = 10.0
"""As dht.Directory's: a look-up that takes longer gives what it has."""
SAVE_US = 300_000_000
"""How often a daemon saves the DHT's contacts (daemon.STATE_EVERY_S)."""


class Dealings:
    """One run of a full node has one."""

    def __init__(self, node: SimNode, life: int) -> None:
        self._node = node
        self._loop = node.network.loop
        self._chance = generator(node.world.seed, "dht", node.number, life)
        self.server: GuardedServer | None = None
        self._is_client = node.number in node.network.behind_router
        holdings, sharing = node.machine.holdings, node.machine.sharing
        endpoint = None if self._is_client else node.endpoint
        self.machine = Rendezvous(node.person.node, lambda: node.person.device, holdings, sharing, endpoint)

    @property
    def size(self) -> int:
        """As dht.Directory's."""
        return 0 if self.server is None else self.server.size

    def open(self, known: Sequence[Endpoint]) -> None:
        """Open the socket, begin from saved contacts and these, and start the machine."""
        self._start(self._open(known), lambda _: None)
        self.feed(Started())
        if self._node.desk.pen.is_compared:
            self.feed(OwnLogCompared())
        self._node.after_us(SAVE_US, self._save)

    async def _open(self, known: Sequence[Endpoint]) -> None:
        node = self._node
        self.server = await open_server(
            node.person.node,
            Endpoint(node.endpoint.host, PORT),
            node.wall_ms,
            self._chance,
            False,
            self._is_client,
            node.dht_state,
            Parameters(),
            None,
        )
        if known:
            await self._meet(known)

    async def _meet(self, endpoints: Sequence[Endpoint]) -> None:
        if self.server is not None and not self.server.protocol.closed:
            await self.server.add_contacts(endpoints)
            self.feed(PeersGiven())

    def meet(self, endpoints: Sequence[Endpoint]) -> None:
        """Others have been named to the node."""
        self._start(self._meet(endpoints), lambda _: None)

    def close(self, is_polite: bool) -> None:
        """The process ends; its socket is gone at once."""
        server, self.server = self.server, None
        if server is not None:
            if is_polite:
                self._node.dht_state = server.state_bytes()
            server.transport.close()
            self._loop.create_task(server.aclose())

    def _save(self) -> None:
        if self.server is not None:
            self._node.dht_state = self.server.state_bytes()
        self._node.after_us(SAVE_US, self._save)

    # --- the one door ---

    def feed(self, event: Event) -> None:
        """Decide, then start what was decided."""
        for known in (Met(self.size), event):
            for effect in self.machine.handle(known, self._loop.now, self._node.wall_ms()):
                self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        node = self._node
        match effect:
            case FindRecords():
                self._start(self._find(effect), self.feed)
            case PublishRecords():
                self._start(self._publish(effect), self.feed)
            case LoadOwn():
                loaded = done(load_own(node.store, effect))
                node.after_us(0, self.feed, loaded)
            case LoadUnpointed():
                unpointed = done(load_unpointed(node.store, effect))
                node.after_us(0, self.feed, unpointed)
            case KeepPointed():
                done(keep_pointed(node.store, effect))
            case TellGossip(event):
                node.feed(event)
            case TakeRun(batch):
                node.perform([StoreRun(None, batch, live=False)])
            case OwnHeads(heads):
                for head in heads:
                    node.desk.prove_elsewhere(OwnLogElsewhere(head.device, head.seq, head.entry))
                node.desk.heard_dht()
            case Refused():
                pass
            case Wake(at):
                node.after_us(max(0, micros(at) - self._loop.now_us), self.feed, Woken())

    def _start(self, work: Coroutine[Any, Any, Any], then: Callable[[Any], None]) -> None:
        """A task whose answer is heard if this run of the daemon still goes on."""
        task = self._loop.create_task(work)
        task.add_done_callback(lambda ended: self._node.after_us(0, then, ended.result()))

    async def _find(self, effect: FindRecords) -> Found:
        server, begun_us = self.server, self._loop.now_us
        if server is None:
            return Found(effect.query, ())
        query = effect.query
        early = partial(self._hear_first, query.identity) if isinstance(query, Replicas) else None
        records = await server.find(effect.key, FIND_TIMEOUT_S, early, effect.twice_named)
        self._node.world.meter.lookups_us.append(self._loop.now_us - begun_us)
        return Found(query, tuple(records))

    async def _hear_first(self, identity: IdentityHash, records: Sequence[Record]) -> None:
        self._node.after_us(0, self.feed, FoundFirst(identity, tuple(records)))

    async def _publish(self, effect: PublishRecords) -> PublishedTo:
        server = self.server
        if server is None:
            return PublishedTo(effect.offering, tuple(0 for _ in effect.records))
        return PublishedTo.told(effect.offering, await server.publish(effect.records))
