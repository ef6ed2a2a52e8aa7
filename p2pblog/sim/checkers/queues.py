"""No queue grows without bound: every table of a node is held against the limit that the code names for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pblog.config import KNOWN_PEERS_MAX, LINKS_ACCEPTED_MAX, MESSAGE_BYTES_MAX, QUEUE_BYTES_MAX, RUN_ENTRIES_MAX
from p2pblog.gossip import broadcast, membership, messages, relay, replication, sharing, strays
from p2pblog.gossip.driver import STORE_WAITING_BYTES_MAX
from p2pblog.gossip.keeper import REMEMBERED_MAX
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.gossip.machine import Gossip
    from p2pblog.sim.links import Lane
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

NODES_PER_TICK = 50
"""Nodes looked at each time, in rotation: of 10,000 each comes up every other run, of 50 each every time."""

Size = tuple[str, int, int]
"""(what, how many, how many at most)"""


class BoundedQueues(Watcher):
    """`largest`: the fullest that each table was, and its limit then."""

    def __init__(self) -> None:
        self.largest: dict[str, tuple[int, int]] = {}
        self._turn = 0

    def on_tick(self, world: World) -> None:
        for _ in range(min(NODES_PER_TICK, len(world.nodes))):
            node = world.nodes[self._turn % len(world.nodes)]
            self._turn += 1
            if world.is_honest_online(node.number):
                self._look(world, node)

    def _look(self, world: World, node: SimNode) -> None:
        for what, size, limit in sizes(node):
            if size > self.largest.get(what, (-1, 0))[0]:
                self.largest[what] = size, limit
            if size > limit:
                world.fail(f"node {node.number} holds {size} in {what}, which should hold at most {limit}")


def sizes(node: SimNode) -> Iterator[Size]:
    """Every table of a node that somebody else can make grow."""
    yield from _links_and_dials(node.machine)
    yield from _shared(node.machine)
    yield from _fetched(node.machine)
    yield from _trees(node.machine)
    yield from _relayed(node.machine)
    for lane in node.lanes.values():
        yield from _lane(lane)
    links = membership.LINKS_MAX
    yield "what waits for the writer", node.writing_bytes, STORE_WAITING_BYTES_MAX + links * MESSAGE_BYTES_MAX
    yield "memories of peers kept", node.keeper.remembered, REMEMBERED_MAX
    yield "peers kept", node.store.peers_kept, KNOWN_PEERS_MAX


def _links_and_dials(machine: Gossip) -> Iterator[Size]:
    members, links = machine.membership, len(machine.sharing.sessions)
    yield "links", links, membership.LINKS_MAX
    yield "known endpoints", len(members.known), membership.KNOWN_MAX
    yield "blocks of known endpoints", len(members.crowds), len(members.known)
    yield "what an endpoint holds", max((len(k.holds) for k in members.known.values()), default=0), membership.HOLDS_MAX
    yield "dials", len(members.dialing), membership.DIALS_MAX
    yield "endpoints of our own", len(members.own), membership.OWN_MAX
    yield "links lost lately", len(members.lost), LINKS_ACCEPTED_MAX
    for what in ("hearsay", "pinged", "round_trips", "linked_at"):
        yield f"membership.{what}", len(getattr(members, what)), links


def _shared(machine: Gossip) -> Iterator[Size]:
    holdings, links = machine.holdings, len(machine.sharing.sessions)
    cared, logs = len(holdings.cared_for), len(holdings.owners)
    yield "identities that are shared", len(machine.sharing.sharers), cared
    yield "who shares one", max((len(peers) for peers in machine.sharing.sharers.values()), default=0), links
    yield "stray entries asked for", len(machine.strays.asked), strays.ASKED_MAX
    for session in machine.sharing.sessions.values():
        if session.ready:  # before, it is what was remembered of the last link
            yield "shared on a link", len(session.shared), cared
        yield "numbers in clocks", session.clock_numbers, sharing.CLOCK_NUMBERS_MAX
        yield "clocks", len(session.clocks), sharing.CLOCK_NUMBERS_MAX + logs
        yield "tokens told", len(session.memory.told), messages.TOKENS_MAX
        yield "forks told", len(session.memory.forks), logs
        yield "clocks due", len(session.due_clocks), cared
        yield "answers owed", session.loads, broadcast.LOADS_MAX + strays.LOADS_MAX


def _fetched(machine: Gossip) -> Iterator[Size]:
    logs, links = len(machine.holdings.owners), len(machine.sharing.sessions)
    yield "logs being fetched", len(machine.replication.fetching), logs
    yield "peers asked", len(machine.replication.queues), links
    for queue in machine.replication.queues.values():
        questions = replication.WANTS_PER_PEER + logs  # one that looks for a fork, at most, for each log
        yield "questions under way", queue.under_way, questions
        yield "questions of a peer", queue.asked, replication.ASKED_MAX
        for what in ("fresh", "old", "doubted"):
            yield f"logs {what}", len(getattr(queue, what)), logs


def _trees(machine: Gossip) -> Iterator[Size]:
    logs, links = len(machine.holdings.owners), len(machine.sharing.sessions)
    casts = machine.broadcast
    yield "trees", len(casts.trees), logs
    yield "entries on their way", len(casts.coming), logs
    yield "batches of lazy notices", len(casts.batches), links
    for batch in casts.batches.values():
        yield "lazy notices in a batch", len(batch), max(messages.HAVES_MAX, logs)
    for tree in casts.trees.values():
        yield "eager links", len(tree.eager_to), links
        for what in ("announced", "waited", "grafted", "due"):
            yield f"entries {what}", len(getattr(tree, what)), broadcast.NEAR
        for announcers in tree.announced.values():
            yield "announcers", len(announcers), broadcast.ANNOUNCERS_MAX


def _relayed(machine: Gossip) -> Iterator[Size]:
    holdings, links = machine.holdings, len(machine.sharing.sessions)
    yield "leases", len(holdings.leases), relay.RELAYS_MAX
    yield "relayed identities", len(holdings.relayed), relay.RELAYS_MAX
    yield "quests", len(machine.relaying.quests), len(holdings.cared_for)
    yield "peers heeded", len(machine.relaying.heeded), links
    for identity in holdings.relayed:
        if holdings.is_borrowed(identity):
            held = sum(holdings.entries(device) for device in holdings.devices(identity))
            yield "entries of a borrowed feed", held, replication.RELAYED_ENTRIES_MAX + RUN_ENTRIES_MAX


def _lane(lane: Lane) -> Iterator[Size]:
    asked = replication.ASKED_MAX + broadcast.LOADS_MAX + strays.LOADS_MAX
    yield "bytes that wait for a peer", lane.queued_bytes, QUEUE_BYTES_MAX
    yield "reads that wait for a peer", len(lane.loads), asked
    yield "names said", len(lane.encoder._numbers), messages.NAMES_MAX
    yield "names heard", len(lane.decoder._names), messages.NAMES_MAX
