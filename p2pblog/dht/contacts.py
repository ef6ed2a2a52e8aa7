"""Contacts: a node id with the place where it is reached, as datagrams and saved state spell them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NewType

from p2pblog.core.address import HOSTS_REMEMBERED, Endpoint
from p2pblog.core.keys import digest
from p2pblog.errors import Malformed, NotCanonical

NodeId = NewType("NodeId", bytes)
"""20 bytes: BLAKE2b(node key, digest_size=20)."""

Place = Endpoint | bytes
"""Whom an endpoint belongs to, as `place_of` tells."""

ID_BYTES = 20
SPACE = 1 << (8 * ID_BYTES)


def node_id(key: bytes) -> NodeId:
    """The id that a node key proves."""
    return NodeId(digest(key, size=ID_BYTES))


def distance(one: bytes, other: bytes) -> int:
    """Kademlia's XOR metric (Maymounkov and Mazières 2002, section 2.1)."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


@dataclass(frozen=True, slots=True, order=True)
class Contact:
    """A node id that somebody claims to be reached at an endpoint."""

    id: NodeId
    endpoint: Endpoint
    wire: bytes = field(init=False, repr=False, compare=False)
    """id 20 | IPv4 address 4 or IPv6 address 16 | port 2, big-endian."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", self.id + pack_endpoint(self.endpoint))

    def __hash__(self) -> int:
        return hash(self.wire)  # which remembers it

    @classmethod
    def from_wire(cls, data: bytes) -> Contact:
        """Raises Malformed or NotCanonical."""
        return _read_contact(data)


@lru_cache(HOSTS_REMEMBERED)
def _read_contact(data: bytes) -> Contact:
    """Remembered: the answers of one walk name the same contacts again and again."""
    return Contact(NodeId(data[:ID_BYTES]), unpack_endpoint(data[ID_BYTES:]))


@lru_cache(HOSTS_REMEMBERED)
def pack_endpoint(endpoint: Endpoint) -> bytes:
    """IPv4 address 4 or IPv6 address 16 | port 2, big-endian."""
    return ipaddress.ip_address(endpoint.host).packed + endpoint.port.to_bytes(2, "big")


@lru_cache(HOSTS_REMEMBERED)
def unpack_endpoint(data: bytes) -> Endpoint:
    """Raises Malformed or, for IPv4 written as IPv6, NotCanonical: there is only this form, never a name to look up."""
    if len(data) not in (6, 18):
        raise Malformed("an endpoint has 6 or 18 bytes")
    endpoint = Endpoint.of(str(ipaddress.ip_address(data[:-2])), int.from_bytes(data[-2:], "big"))
    if endpoint.family == 4 and len(data) != 6:
        raise NotCanonical("an IPv4 address in IPv6 form")
    return endpoint


@lru_cache(HOSTS_REMEMBERED)
def may_call(endpoint: Endpoint, test_network: bool) -> bool:
    """Whether a datagram may go there because a peer said so: a public unicast address; in a test network a loopback
    or private one too. Otherwise any peer could steer us at a router, a broadcast address or a neighbour's printer."""
    ip = ipaddress.ip_address(endpoint.host)
    if endpoint.port == 0 or ip.is_multicast or ip.is_unspecified or ip.is_link_local:
        return False
    if ip.version == 4 and ip.is_reserved:
        return False
    return test_network or endpoint.is_public


def place_of(endpoint: Endpoint) -> Place:
    """Whom a public endpoint belongs to, as far as one can tell: its address block, as one host can have as many node
    ids as it likes. In a test network, where many share a block, each node is a place."""
    return endpoint.block if endpoint.is_public else endpoint


def is_over(since_ms: int, now_ms: int, wait_ms: int) -> bool:
    """Whether so long has passed by a wall clock, which may be put back: then what lies as far ahead is over, too, and
    nothing waits for more than twice as long."""
    return abs(now_ms - since_ms) >= wait_ms


def estimate_nodes(own: bytes, ids: list[NodeId], sample: int = 20) -> int:
    """How many nodes there are, judging by how near the nearest ones to `own` are. At least the ids given and oneself.

    With n nodes spread evenly the j-th nearest lies at about j/n of the space; (j - 1)/distance has no bias.
    """
    nearest = sorted(distance(own, other) for other in ids)[:sample]
    if len(nearest) < sample:
        return len(ids) + 1
    return max(len(ids) + 1, (len(nearest) - 1) * SPACE // max(1, nearest[-1]))
