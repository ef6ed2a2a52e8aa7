"""kademlia's routing table, with a door: proven ids only, few of one address block, and the oldest stay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, Protocol

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

from p2pblog.config import (
    DHT_BUCKET_EVERY_MS,
    DHT_CONTACTS_PER_BLOCK_AND_BUCKET_MAX,
    DHT_CONTACTS_PER_BLOCK_MAX,
    DHT_MISSES_MAX,
)
from p2pblog.dht.contacts import ID_BYTES, Contact, NodeId, distance, estimate_nodes, is_over, may_call, place_of

BLOCKS_LISTED_MIN = 1_000
"""Address blocks that are noted before it is looked which of them are still in the table."""


class ProvenNode(Node):  # type: ignore[misc]
    """kademlia's Node for a contact that proved its id. `is_silent`: it left the last call unanswered; `misses`: how
    many in a row while others were heard; `is_guest`: its address block had no place for it."""

    def __init__(self, contact: Contact) -> None:
        super().__init__(contact.id, contact.endpoint.host, contact.endpoint.port)
        self.contact = contact
        self.block = contact.endpoint.block
        self.misses = 0
        self.is_silent = False
        self.is_guest = False


class HasChecks(Protocol):
    """What the table asks of the protocol that owns it."""

    def check_contact(self, contact: Contact) -> None:
        """Ping a contact that may be dead."""


class GuardedTable(RoutingTable):  # type: ignore[misc]
    """Overrides: `add_contact` (no unproven id, no crowd from one address block, no endless splitting by invented
    ids), `find_neighbors` (the k nearest, not the first k met), `get_bucket_for` (the stock one disagrees with `split`
    about a bucket's last id)."""

    buckets: list[Any]

    def __init__(self, protocol: HasChecks, ksize: int, node: Node, test_network: bool) -> None:
        super().__init__(protocol, ksize, node)
        self.test_network = test_network
        self._walked_ms: dict[tuple[int, int], int] = {}
        self._listed: dict[bytes, set[NodeId]] = {}
        """By address block, whoever may be in the table: all who are, and some who have left it."""
        self._blocks_max = BLOCKS_LISTED_MIN
        self.size = 0
        self._nodes: tuple[int, int, int] | None = None
        """How many nodes there are for a walk to anywhere, and to a target no farther from us than the third says."""

    def get_bucket_for(self, node: Node) -> int:
        return next(index for index, bucket in enumerate(self.buckets) if node.long_id <= bucket.range[1])

    def get(self, identifier: NodeId) -> ProvenNode | None:
        found = self.buckets[self.get_bucket_for(Node(identifier))].nodes.get(identifier)
        assert found is None or isinstance(found, ProvenNode)
        return found

    def nodes(self, target: bytes) -> int:
        """How many nodes there are in all, judging by how near our contacts lie, for a walk to this target. Where it
        lies beside us, k ids that somebody chose to lie beside it are our neighbours too, and would have it look as if
        there were so many everywhere that nothing is odd about them. Then what lies behind has a say."""
        if self._nodes is None:  # reckoned when one has come or gone
            ids = [contact.id for contact in self.nearest(self.node.id, self.size)]
            beside = 2 * distance(self.node.id, ids[self.ksize - 1]) if len(ids) >= self.ksize else 0
            by_near, by_more = (estimate_nodes(self.node.id, ids, times * self.ksize) for times in (1, 2))
            by_near = by_more if self.guests() else by_near  # one host may have chosen their ids
            self._nodes = by_near, min(by_near, by_more), beside
        anywhere, here, beside = self._nodes
        return here if distance(self.node.id, target) <= beside else anywhere

    def contacts(self) -> list[Contact]:
        """All of them, bucket by bucket, least recently heard first."""
        return [node.contact for bucket in self.buckets for node in bucket.get_nodes()]

    def add_contact(self, node: Node) -> bool:
        """Take a node that just proved its id; gives whether it is in the table now."""
        if not isinstance(node, ProvenNode) or node.id == self.node.id:
            return False
        known = self.get(node.contact.id)
        if known is not None:
            return self._heard_again(known, node)
        node.is_guest = not self.has_place(node.contact)
        if not node.is_guest:
            self._let_guests_go()
        elif not self._may_be_guest(node.contact):
            return False
        self._list(node)
        bucket = self.buckets[self.get_bucket_for(node)]
        while not bucket.add_node(node):  # a full bucket keeps it as a replacement
            if not self._may_split(bucket):
                self.protocol.check_contact(bucket.head().contact)
                break
            bucket.replacement_nodes.pop(node.id, None)
            self.split_bucket(self.buckets.index(bucket))
            bucket = self.buckets[self.get_bucket_for(node)]
        self._count()
        return self.get(node.contact.id) is not None

    def _may_split(self, bucket: KBucket) -> bool:
        """Section 4.2 of the paper, as the library reads it: our own side, or up to five levels elsewhere."""
        if bucket.has_in_range(self.node):
            return True
        ids = [node.long_id for node in bucket.nodes.values()]
        shared_bits = 8 * ID_BYTES - (min(ids) ^ max(ids)).bit_length()
        return bool(shared_bits % 5)

    def _heard_again(self, known: ProvenNode, node: ProvenNode) -> bool:
        """A known id, proven again. Where it moved it may stay only if its old place fell silent and its new block has
        room, or anybody who passes proofs on could pull contacts to himself, one lost datagram each."""
        bucket = self.buckets[self.get_bucket_for(known)]
        if known.contact.endpoint == node.contact.endpoint:
            known.misses, known.is_silent = 0, False
            node = known
        elif not self.may_move(node.contact):
            return False
        self._list(node)
        bucket.add_node(node)  # to the end: most recently heard
        return True

    def may_move(self, contact: Contact) -> bool:
        """Whether a known id that is proven at this other endpoint would be a contact there. That nobody else was heard
        meanwhile excuses no silence here: of two nodes neither ever hears anybody else. A guest may move in any case,
        for one host that passes proofs on may have made guests of all who are there."""
        known = self.get(contact.id)
        if known is None or known.contact == contact or not self.has_place(contact):
            return False
        return known.is_silent or known.contact in self.guests()

    def has_room(self, contact: Contact) -> bool:
        """Whether a newcomer with this id would be a contact, and not only wait for one to leave."""
        if not self.has_place(contact):
            return self._may_be_guest(contact)
        bucket = self.buckets[self.get_bucket_for(Node(contact.id))]
        return len(bucket) < self.ksize or self._may_split(bucket) or bool(self.guests())

    def _may_be_guest(self, contact: Contact) -> bool:
        """Whether so few are here that a contact has room beyond the share of its address block. Up to k contacts are
        all named in each answer and all asked in each walk, so a guest hides nobody; and where all nodes live in a few
        blocks, as in a university's /48, there is nobody else."""
        return self.size < self.ksize and may_call(contact.endpoint, self.test_network)

    def guests(self) -> list[Contact]:
        """Whom the table has beyond the share of their address blocks, nearest to us first. Who had a place when he
        came keeps it, or anybody in his block could take it by ids nearer to ours."""
        if self.size > self.ksize:
            return []
        taken: Counter[tuple[bytes, int | None]] = Counter()
        found = []
        for node in sorted(self.find_neighbors(self.node), key=lambda node: node.is_guest):
            if place_of(node.contact.endpoint) is node.contact.endpoint:
                continue
            block, bucket = node.block, self.get_bucket_for(node)
            node.is_guest = (
                taken[block, bucket] >= DHT_CONTACTS_PER_BLOCK_AND_BUCKET_MAX
                or taken[block, None] >= DHT_CONTACTS_PER_BLOCK_MAX
            )
            if node.is_guest:
                found.append(node.contact)
            else:
                taken[block, bucket] += 1
                taken[block, None] += 1
        return found

    def _let_guests_go(self) -> None:
        """Somebody comes who has a place: the farthest go, until there is room."""
        guests = self.guests()
        while guests and self.size >= self.ksize:
            self.remove_contact(self.get(guests.pop().id))
            self._count()

    def has_place(self, contact: Contact) -> bool:
        """Whether its address block may have this contact beside others, in the table and in the bucket."""
        endpoint = contact.endpoint
        if not may_call(endpoint, self.test_network):
            return False
        if place_of(endpoint) is endpoint:
            return True
        if len(self._listed.get(endpoint.block, ())) < DHT_CONTACTS_PER_BLOCK_AND_BUCKET_MAX:
            return True  # nearly always, and asked of whoever is heard: to look through all takes a quarter of the time
        found = [_of_block(bucket, endpoint.block) for bucket in self.buckets]
        self._listed[endpoint.block] = set(chain.from_iterable(found))
        found = [[other for other in of_block if other != contact.id] for of_block in found]
        if len(found[self.get_bucket_for(Node(contact.id))]) >= DHT_CONTACTS_PER_BLOCK_AND_BUCKET_MAX:
            return False
        return sum(map(len, found)) < DHT_CONTACTS_PER_BLOCK_MAX

    def _list(self, node: ProvenNode) -> None:
        """Note whom a bucket is about to take; where most of those who are noted have left, all are noted anew."""
        self._listed.setdefault(node.block, set()).add(node.contact.id)
        if len(self._listed) > self._blocks_max:
            listed: dict[bytes, set[NodeId]] = {node.block: {node.contact.id}}
            for other in chain.from_iterable(map(_all_of, self.buckets)):
                listed.setdefault(other.block, set()).add(other.contact.id)
            self._listed, self._blocks_max = listed, max(2 * len(listed), BLOCKS_LISTED_MIN)

    def has(self, contact: Contact) -> bool:
        """Whether it is in the table, at this very endpoint."""
        known = self.get(contact.id)
        return known is not None and known.contact == contact

    def missed(self, contact: Contact, is_own_fault: bool = True) -> None:
        """A call to it stayed unanswered. It counts towards its removal only where it is its own fault, as far as we
        can tell: others were heard meanwhile."""
        known = self.get(contact.id)
        if known is None or known.contact != contact:
            return
        known.is_silent = True
        if not is_own_fault:
            return
        known.misses += 1
        if known.misses >= DHT_MISSES_MAX:
            self.remove_contact(known)
            self._count()

    def find_neighbors(self, node: Node, k: int | None = None, exclude: Node | None = None) -> list[ProvenNode]:
        """The k nearest to a node or key."""
        listed = [
            other
            for bucket in self.buckets
            for other in bucket.get_nodes()
            if other.id != node.id and (exclude is None or other.id != exclude.id)
        ]
        return sorted(listed, key=node.distance_to)[: k or self.ksize]

    def nearest(self, target: bytes, k: int, exclude: NodeId | None = None) -> list[Contact]:
        """The k contacts nearest to a target, which may be one of them."""
        point = int.from_bytes(target, "big")
        found: list[Contact] = []
        for bucket in sorted(self.buckets, key=lambda bucket: _distance_of_range(bucket.range, point)):
            near = [(node.long_id ^ point, node.contact) for node in bucket.nodes.values() if node.id != exclude]
            found += [contact for _, contact in sorted(near)]  # all nearer than any of the buckets to come
            if len(found) >= k:
                break
        return found[:k]

    def touch(self, target: bytes, now_ms: int) -> None:
        """A walk went into this bucket."""
        bucket = self.buckets[self.get_bucket_for(Node(target))]
        self._walked_ms[bucket.range] = now_ms

    def lonely_targets(self, now_ms: int, rng: random.Random) -> list[bytes]:
        """An id in each bucket that saw no walk for long."""
        ranges = [tuple(bucket.range) for bucket in self.buckets]
        self._walked_ms = {span: self._walked_ms.get(span, now_ms) for span in ranges}
        due = [span for span in ranges if is_over(self._walked_ms[span], now_ms, DHT_BUCKET_EVERY_MS)]
        return [rng.randint(low, min(high, 2**160 - 1)).to_bytes(ID_BYTES, "big") for low, high in due]

    def move(self, test_network: bool) -> None:
        """This node stands elsewhere. Whom it must not call from there leaves the table."""
        self.test_network = test_network
        for node in list(chain.from_iterable(map(_all_of, self.buckets))):
            if not may_call(node.contact.endpoint, test_network):
                self.remove_contact(node)
        self._count()

    def _count(self) -> None:
        self.size = sum(len(bucket) for bucket in self.buckets)
        self._nodes = None


def _all_of(bucket: KBucket) -> Iterator[ProvenNode]:
    return chain(bucket.nodes.values(), bucket.replacement_nodes.values())  # nobody is in both


def _of_block(bucket: KBucket, block: bytes) -> list[NodeId]:
    return [node.contact.id for node in _all_of(bucket) if node.block == block]


def _distance_of_range(span: tuple[int, int], point: int) -> int:
    """How far the nearest id of a bucket's range is. A range is a subtree, so all of one are nearer than all of the
    next; the library's ranges begin with 1, where a subtree begins with 0, and the first has one id too many."""
    low, high = span
    bits = (high - low - (low == 0)).bit_length()
    return ((point ^ low) >> bits) << bits
