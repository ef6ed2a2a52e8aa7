"""The hand of a simulated person: the daemon's own use cases over a simulated node, and what one does with them.

A use case that would wait is asked for once there is nothing to wait for, so each runs to its end in its moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast

import trio

from p2pblog.author import Author
from p2pblog.cases.desk import Place
from p2pblog.cases.quiet import Quiet
from p2pblog.control.documents import NoticeDocument
from p2pblog.core.address import spell
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Note, Payload
from p2pblog.errors import UserError
from p2pblog.gossip.driver import Driver
from p2pblog.keyring import Keyring
from p2pblog.node import Node
from p2pblog.rendezvous.driver import Meeting
from p2pblog.room import Room
from p2pblog.signals import Signal
from p2pblog.sim.scenario import Doing
from p2pblog.store import Contents
from p2pblog.store.blobs import MemoryBlobs

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode

T = TypeVar("T")

READ_ROWS = 20
"""How far down somebody reads before they answer: the page that the command shows."""
WAITS_S = 1.0
"""A use case that waits is a fault of ours: after so long, which takes no time, it ends with an error."""


class Hand(Node):
    """One run of a daemon has one. All that decides is `Node`'s own."""

    def __init__(self, node: SimNode, loaded: Contents, chance: Random) -> None:
        self._node = node
        self._drawn = chance
        self._clock = _Standing(node)
        self.refused = 0
        """How often a use case said no."""
        own = node.person.hash
        follows = {follow.identity: follow for follow in loaded.follows}
        super().__init__(
            cast(Author, _Writer(node)),
            node.store,
            cast(Driver, _Wire(node)),
            cast(Meeting, _Nothing()),  # a full node's rendezvous machine is told by the node itself
            follows,
            Place(node.endpoint, ()),
            node.wall_ms,
            Quiet(own, node.store, follows, node.wall_ms, loaded),
            cast(Room, _Nothing()),
        )

    def _draw(self, size: int) -> bytes:
        return self._drawn.randbytes(size)

    def run(self, case: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run a use case to its end, in no time. Raises what it raises."""

        async def at_once() -> T:
            with trio.fail_after(WAITS_S):
                return await case(*args)

        return trio.run(at_once, clock=self._clock)

    def try_it(self, doing: Doing, text: str, chance: Random) -> None:
        """What a person tries: a use case may refuse it, as it refuses a delete of what is deleted."""
        try:
            self.run(self.do, doing, text, chance)
        except UserError:
            self.refused += 1

    async def do(self, doing: Doing, text: str, chance: Random) -> None:
        """Do it with something that is on the first page, of others or of oneself; nothing where there is none."""
        own = spell(self._node.person.hash)
        if doing == "dm":
            await self._write_letter(text, chance)
            return
        author = own if doing in ("edit", "delete") else None
        page = await self.timeline(READ_ROWS, author=author)
        able = [row for row in page if row["type"] == Note.type and (row["author"] == own) == (author is not None)]
        if not able:
            return
        await self._act_on(doing, chance.choice(able), text)

    async def _act_on(self, doing: Doing, row: NoticeDocument, text: str) -> None:
        notice = row["id"]
        match doing:
            case "answer":
                await self.post(text, reply_to=notice)
            case "quote":
                await self.quote(notice, text)
            case "edit":
                await self.edit(notice, text)
            case "delete":
                await self.delete(notice)
            case "like":
                await self.like(notice)
            case "boost":
                await self.boost(notice)

    async def _write_letter(self, text: str, chance: Random) -> None:
        """To somebody whom one follows and who would hear of it: a direct message lies in one's own log."""
        node = self._node
        world = node.world
        mutual = [other for other in world.follows[node.number] if other in world.followers[node.number]]
        if not mutual:
            return
        to = chance.choice(mutual)
        written = await self.dm([spell(world.nodes[to].person.hash)], text)
        world.on_sealed(node, await self._find(written["id"]), to, text)


def build(node: SimNode, loaded: Contents, chance: Random) -> Hand:
    """The hand of a node that starts, once its machine is there."""

    async def built() -> Hand:  # its use cases ask trio for the time
        return Hand(node, loaded, chance)

    return trio.run(built, clock=_Standing(node))


class _Standing(trio.abc.Clock):
    """The node's own clock, which stands still while a use case runs; once one waits it goes on to its end at once."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._ahead_s = 0.0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._node.network.loop.now + self._ahead_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if deadline < inf:
            self._ahead_s = max(self._ahead_s, deadline - self._node.network.loop.now)
        return 0.0 if deadline < inf else deadline


class _Writer:
    """What use cases know of `Author`."""

    def __init__(self, node: SimNode) -> None:
        self._node = node

    @property
    def keyring(self) -> Keyring:
        who = self._node.person
        return Keyring(who.root, who.identity.inception, who.device, who.node, None, who.former)

    @property
    def identity_hash(self) -> IdentityHash:
        return self._node.person.hash

    @property
    def device(self) -> DeviceKey:
        return self._node.desk.pen.device_key

    async def until_complete(self) -> None:
        assert self._node.desk.is_complete

    async def write(self, payload: Payload) -> Entry:
        return self._node.desk.write_now(payload)


class _Wire:
    """What use cases know of `Driver`."""

    def __init__(self, node: SimNode) -> None:
        self.machine = node.machine
        self.feed = node.feed
        self.blobs = MemoryBlobs()
        self.answers_changed = Signal()


class _Nothing:
    """What a simulated node has no task for."""

    def on_stored(self, batch: Batch | None = None) -> None:
        pass
