"""A routing table without a network, and contacts for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kademlia.node import Node

from p2pblog.core.address import Endpoint
from p2pblog.dht.contacts import Contact, NodeId
from p2pblog.dht.table import GuardedTable

OWN = Node(b"\x80" + bytes(19))


def contact(number: int, endpoint: Endpoint | None = None) -> Contact:
    """A contact in a /24 of its own with an id that begins with the number."""
    home = endpoint or Endpoint.of(f"8.{number // 250}.{number % 250}.1", 4711)
    return Contact(NodeId(number.to_bytes(2, "big") + bytes(18)), home)


@dataclass
class Checks:
    """Who was to be pinged."""

    asked: list[Contact] = field(default_factory=list)

    def check_contact(self, contact: Contact) -> None:
        self.asked.append(contact)


def table(test_network: bool = False) -> tuple[GuardedTable, Checks]:
    checks = Checks()
    return GuardedTable(checks, 20, OWN, test_network), checks
