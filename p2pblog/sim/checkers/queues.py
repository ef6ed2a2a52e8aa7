"""No queue grows without bound: every table of a node is held against the limit that the code names for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from p2pblog import config
from p2pblog.config import KNOWN_PEERS_MAX, LINKS_ACCEPTED_MAX, MESSAGE_BYTES_MAX, QUEUE_BYTES_MAX, RUN_ENTRIES_MAX
from p2pblog.gossip import broadcast, giving, membership, messages, relay, replication, sharing, strays
from p2pblog.gossip.borrowed import RELAYED_ENTRIES_MAX
from p2pblog.gossip.driver import STORE_WAITING_BYTES_MAX
from p2pblog.gossip.keeper import REMEMBERED_MAX
from p2pblog.sim.checkers.servers import rendezvous_sizes, server_sizes, too_full
from p2pblog.sim.watch import TICKS, Size, Watcher

if TYPE_CHECKING:
    from p2pblog.gossip.machine import Gossip
    from p2pblog.sim.links import Lane
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

NODES_PER_TICK = 50
"""Nodes looked at each time, in rotation: of 50 each every time; more where more are needed to look at all in a run."""

OF_MEMBERSHIP, OF_LIVENESS = ("hearsay", "linked_at"), ("pinged", "round_trips", "due", "greeted", "heard")
"""Tables of the two with a row for each link at most."""


class BoundedQueues(Watcher):
    """`largest`: the fullest that each table was, and its limit then."""

    def __init__(self) -> None:
        self.largest: dict[str, tuple[int, int]] = {}
        self._turn = 0

    def on_tick(self, world: World) -> None:
        count = len(world.nodes)
        for _ in range(min(max(NODES_PER_TICK, -(-count // TICKS)), count)):
            node = world.nodes[self._turn % count]
            self._turn += 1
            if world.is_honest_online(node.number):
                self._look(world, node)

    def _look(self, world: World, node: SimNode) -> None:
        found = sizes(node)
        for what, size, limit in found:
            if size > self.largest.get(what, (-1, 0))[0]:
                self.largest[what] = size, limit
        for said in too_full(found):
            world.fail(f"node {node.number} holds {said}")


def sizes(node: SimNode) -> list[Size]:
    """Every table of a node that somebody else can make grow; of tables of one kind and one limit, the fullest."""
    machine = node.machine
    links = membership.LINKS_MAX
    found = _links_and_dials(machine) + _shared(machine) + _fetched(machine) + _trees(machine) + _relayed(machine)
    return [
        *found,
        *_offered(machine),
        *_lanes(list(node.lanes.values())),
        *_met(node),
        ("leases that are over", _over(machine, node.network.loop.now), 0),
        ("what waits for the writer", node.writing_bytes, STORE_WAITING_BYTES_MAX + links * MESSAGE_BYTES_MAX),
        ("memories of peers kept", node.keeper.remembered, REMEMBERED_MAX),
        ("peers kept", node.store.peers_kept, KNOWN_PEERS_MAX),
    ]


def _met(node: SimNode) -> list[Size]:
    """Of a whole node also what it has to do with the DHT."""
    meeting = node.meeting
    if meeting is None:
        return []
    server = [] if meeting.server is None else server_sizes(meeting.server)
    return server + rendezvous_sizes(meeting.machine, len(node.machine.holdings.cared_for))


def _most(sizes: Iterable[int]) -> int:
    return max(sizes, default=0)


def _links_and_dials(machine: Gossip) -> list[Size]:
    members, links = machine.membership, len(machine.sharing.sessions)
    return [
        ("links", links, membership.LINKS_MAX),
        ("known endpoints", len(members.known), membership.KNOWN_MAX),
        ("blocks of known endpoints", len(members.crowds), len(members.known)),
        ("what an endpoint holds", _most([len(k.holds) for k in members.known.values()]), membership.HOLDS_MAX),
        ("holders", sum(map(len, members.holders.values())), sum(len(k.holds) for k in members.known.values())),
        ("dials", len(members.dialing), membership.DIALS_MAX),
        ("endpoints of our own", len(members.own), membership.OWN_MAX),
        ("links lost lately", len(members.lost), LINKS_ACCEPTED_MAX),
        ("those who fell silent", len(members.silent), len(members.known)),
        ("nodes that broke a rule", len(members.shunned), membership.SHUNNED_MAX),
        *((f"membership.{what}", len(getattr(members, what)), links) for what in OF_MEMBERSHIP),
        *((f"liveness.{what}", len(getattr(members.liveness, what)), links) for what in OF_LIVENESS),
    ]


def _shared(machine: Gossip) -> list[Size]:
    holdings, sessions = machine.holdings, list(machine.sharing.sessions.values())
    cared, logs = len(holdings.cared_for), len(holdings.owners)
    return [
        ("identities that are shared", len(machine.sharing.sharers), cared),
        ("who shares one", _most([len(peers) for peers in machine.sharing.sharers.values()]), len(sessions)),
        ("stray entries asked for", len(machine.strays.asked), strays.ASKED_MAX),
        ("stray entries tried for", len(machine.strays.tried), strays.TRIED_MAX),
        (
            "who was asked for one",
            _most([len(tried) for tried in machine.strays.tried.values()]),
            strays.TRIED_PEERS_MAX,
        ),
        # before a link is ready, it is what was remembered of the last one
        ("shared on a link", _most([len(session.shared) for session in sessions if session.ready]), cared),
        ("broken promises", _most([len(session.unkept) for session in sessions]), cared),
        ("numbers in clocks", _most([session.clock_numbers for session in sessions]), sharing.CLOCK_NUMBERS_MAX),
        ("clocks", _most([len(session.clocks) for session in sessions]), sharing.CLOCK_NUMBERS_MAX + logs),
        ("tokens told", _most([len(session.memory.told) for session in sessions]), messages.TOKENS_MAX),
        ("forks told", _most([len(session.memory.forks) for session in sessions]), logs),
        ("clocks due", _most([len(session.due_clocks) for session in sessions]), cared),
        ("answers to grafts owed", _most([session.grafts_owed for session in sessions]), broadcast.GRAFTS_OWED_MAX),
        ("single entries owed", _most([session.fetches_owed for session in sessions]), strays.FETCHES_OWED_MAX),
    ]


def _fetched(machine: Gossip) -> list[Size]:
    logs, links = len(machine.holdings.owners), len(machine.sharing.sessions)
    queues = list(machine.replication.queues.values())
    questions = replication.NEWEST_PER_PEER + logs  # one that looks for a fork, at most, for each log
    return [
        ("logs being fetched", len(machine.replication.fetching), logs),
        ("peers asked", len(queues), links),
        ("questions under way", _most([queue.under_way for queue in queues]), questions),
        ("peers who ask", len(machine.giving.asked), links),
        ("questions of a peer", _most(list(machine.giving.asked.values())), giving.ASKED_MAX),
        ("logs fresh", _most([len(queue.fresh) for queue in queues]), logs),
        ("logs old", _most([len(queue.old) for queue in queues]), logs),
        ("logs doubted", _most([len(queue.doubted) for queue in queues]), logs),
        ("devices to be forgotten", len(machine.sharing.unnamed), 0),
        ("logs stinted", _most([len(queue.stinted) for queue in queues]), logs),
    ]


def _trees(machine: Gossip) -> list[Size]:
    logs, links = len(machine.holdings.owners), len(machine.sharing.sessions)
    casts, trees = machine.broadcast, list(machine.broadcast.trees.values())
    holdings, rows = machine.holdings, list(machine.broadcast.trees.items())
    announced = [announcers for tree in trees for announcers in tree.announced.values()]
    return [
        ("trees", len(trees), logs),
        ("entries on their way", len(casts.coming), logs),
        ("batches of lazy notices", len(casts.batches), links),
        ("lazy notices in a batch", _most([len(b) for b in casts.batches.values()]), max(messages.HAVES_MAX, logs)),
        ("eager links", _most([len(tree.eager_to) for tree in trees]), links),
        ("entries announced", _most([len(tree.announced) for tree in trees]), broadcast.NEAR),
        ("entries waited", _most([len(tree.waited) for tree in trees]), broadcast.NEAR),
        ("entries grafted", _most([len(tree.grafted) for tree in trees]), broadcast.NEAR),
        ("entries due", _most([len(tree.due) for tree in trees]), broadcast.NEAR),
        ("waits for entries that are held", _most([_waits_below(tree, holdings.high(log)) for log, tree in rows]), 0),
        ("announcers", _most([len(announcers) for announcers in announced]), broadcast.ANNOUNCERS_MAX),
    ]


def _waits_below(tree: broadcast.Tree, high: int) -> int:
    """What a tree still knows of entries that came, where only what is to come concerns it."""
    return sum(seq <= high for rows in (tree.announced, tree.waited, tree.grafted, tree.due) for seq in rows)


def _relayed(machine: Gossip) -> list[Size]:
    holdings, links = machine.holdings, len(machine.sharing.sessions)
    borrowed = [identity for identity in holdings.relayed if holdings.is_borrowed(identity)]
    held = [sum(holdings.entries(device) for device in holdings.devices(identity)) for identity in borrowed]
    return [
        ("leases", len(holdings.leases), relay.RELAYS_MAX),
        ("relayed identities", len(holdings.relayed), relay.RELAYS_MAX),
        ("quests", len(machine.relaying.quests), len(holdings.cared_for)),
        ("peers heeded", len(machine.relaying.heeded), links),
        ("entries of a borrowed feed", _most(held), RELAYED_ENTRIES_MAX + RUN_ENTRIES_MAX),
    ]


def _over(machine: Gossip, now: float) -> int:
    """Leases of which a part has ended before the last look at them. What was given back just now has no asker, perhaps
    an end that is long over, and goes with the next look, which is due at once then."""
    is_given_back = machine.relaying._leases_due == 0.0
    leases = [lease for lease in machine.holdings.leases.values() if lease.askers or not is_given_back]
    return sum(0 < relay._next_end(lease) < now - 2 * relay.RELAY_CHECK_S for lease in leases)


def _offered(machine: Gossip) -> list[Size]:
    offers, links = machine.offers, len(machine.sharing.sessions)
    waiting = list(offers.waiting.values())
    return [
        ("entries that wait for somebody", len(waiting), config.OFFERS_MAX),
        ("links told of one", _most([len(each.told) for each in waiting]), config.OFFERS_TOLD_MAX),
        ("offered entries asked for", len(offers.asked), config.OFFERS_ASKED_MAX),
        ("offered entries seen", len(offers.seen), config.OFFERS_SEEN_MAX),
        ("links that offer", max(len(offers.heard), len(offers.said)), links),
    ]


def _lanes(lanes: list[Lane]) -> list[Size]:
    asked = giving.ASKED_MAX + broadcast.GRAFTS_OWED_MAX + strays.FETCHES_OWED_MAX
    return [
        ("bytes that wait for a peer", _most([lane.queued_bytes for lane in lanes]), QUEUE_BYTES_MAX),
        ("reads that wait for a peer", _most([len(lane.loads) for lane in lanes]), asked),
        ("names said", _most([len(lane.encoder._numbers) for lane in lanes]), messages.NAMES_MAX),
        ("names heard", _most([len(lane.decoder._names) for lane in lanes]), messages.NAMES_MAX),
    ]
