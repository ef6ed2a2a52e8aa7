"""Watchers: what sees everything that happens in a world and may say that it must not happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, NodeKey
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Stored
from p2pblog.gossip.messages import Message

if TYPE_CHECKING:
    from p2pblog.sim.links import Lane
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

LAST_S = 5
"""What somebody gives out within so many seconds of the end can't be expected to have reached everybody: it is the time
in which each survivor of a crash of 80% is to have what is new."""


TICKS = 100
"""Parts of a run, after each of which watchers look."""

Size = tuple[str, int, int]
"""(what, how many, how many at most)"""


class Watcher:
    """Sees a world; each method may be left out. It reports by `world.fail`."""

    def on_written(self, world: World, node: SimNode, entry: Entry) -> None:
        """An honest author has written an entry."""

    def on_posted(self, world: World, node: SimNode) -> None:
        """A person has asked a node that is up to write a notice, or a use case writes what its log has room for."""

    def on_sealed(self, world: World, node: SimNode, entry: EntryId, to: int, text: str) -> None:
        """A person has written a direct message to another."""

    def on_shown(self, world: World, node: SimNode, peer: NodeKey) -> None:
        """A peer has told a node all that it holds of what both share."""

    def on_sent(self, world: World, sender: SimNode, receiver: SimNode, message: Message) -> None:
        """A node's machine has sent a message."""

    def on_stored(self, world: World, node: SimNode, stored: Stored) -> None:
        """A batch is in a node's store."""

    def on_closed(self, world: World, lane: Lane, error: RemoteProtocolError | None) -> None:
        """A node has ended its link with another, this end of it, for an error or in peace."""

    def on_booted(self, world: World, node: SimNode) -> None:
        """A node has started on what its disk holds."""

    def on_tick(self, world: World) -> None:
        """A hundredth of the run has passed."""

    def on_last(self, world: World) -> None:
        """LAST_S of the run are left."""

    def on_end(self, world: World) -> None:
        """The run is over."""
