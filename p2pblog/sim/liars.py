"""Liars of the DHT: nodes that joined like all others and then answer with what harms a look-up most.

They run the shipped protocol up to the answer, so that they are in everybody's tables, prove their ids and hear the
others; only what they say is theirs. Two kinds: single ones, each with one bad habit, and colluders, whose ids were
minted to lie beside a key and who name only each other. What they need to know of others' records is given to them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from p2pblog.config import DHT_REPLY_CONTACTS_MAX
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.core.value import replace
from p2pblog.dht import wire
from p2pblog.dht.contacts import ID_BYTES, Contact, NodeId, distance, node_id
from p2pblog.dht.protocol import GuardedProtocol
from p2pblog.dht.server import GuardedServer
from p2pblog.sim.network import PORT

HABITS = ("forge", "replay", "garbage", "invent", "swallow", "clique")
"""What single liars do, in turn: serve records with a false signature; serve the oldest version; answer with garbage;
name nodes that don't exist, nearest to the target; take stores and name honest contacts; name only other liars."""

NEAR_BITS = 24
"""Invented ids share so many bits with the target: nearer than any honest node of a world that fits in memory."""


NOWHERE = 200
"""The first number of the addresses where the invented contacts are said to live; the world's own begin at 20."""


@dataclass(slots=True)
class Conspiracy:
    """What all liars of a world know: who they are, and the versions of the record of each key, oldest first."""

    rng: random.Random
    members: list[Contact] = field(default_factory=list)
    versions: dict[bytes, list[bytes]] = field(default_factory=dict)
    begun: bool = False
    """Until then they behave, so that the tables are as after normal joins, with them in."""

    def nearest(self, target: bytes) -> list[Contact]:
        ranked = sorted(self.members, key=lambda contact: distance(contact.id, target))
        return ranked[:DHT_REPLY_CONTACTS_MAX]

    def inventions(self, target: bytes) -> list[Contact]:
        """Ids beside the target at addresses where nobody listens."""
        point, invented = int.from_bytes(target, "big"), []
        for _ in range(DHT_REPLY_CONTACTS_MAX):
            number = point ^ self.rng.getrandbits(8 * ID_BYTES - NEAR_BITS)
            host = f"{NOWHERE}.{self.rng.randrange(256)}.{self.rng.randrange(256)}.1"
            invented.append(Contact(NodeId(number.to_bytes(ID_BYTES, "big")), Endpoint(host, PORT)))
        return invented

    def forgery(self, key: bytes) -> bytes:
        """The newest version with a greater counter, under the signature of the old one."""
        body, signature = codec.unpack(self.versions[key][-1], bytes_max=2_000)
        items: list[Any] = codec.unpack(body, bytes_max=2_000)
        items[7] += 1 + self.rng.randrange(1_000)  # a head's counter
        return codec.pack([codec.pack(items), signature])


class LyingProtocol(GuardedProtocol):
    """A node's socket in a liar's hands. `habit` is one of HABITS or "collude"."""

    conspiracy: Conspiracy
    habit: str = "swallow"

    def _answer_find(
        self, call: wire.Find, sender: NodeId | None, reply: wire.Reply, bytes_max: int
    ) -> wire.Reply | None:
        if not self.conspiracy.begun:
            return super()._answer_find(call, sender, reply, bytes_max)
        contacts, records = self._lie(call, sender)
        said = wire.fit_found(reply, contacts, (), (), bytes_max - sum(len(data) + 3 for data in records), self.id)
        if said is None or not isinstance(said.answer, wire.Found):
            return said
        return replace(said, answer=wire.Found(said.answer.contacts, tuple(records)))

    def _lie(self, call: wire.Find, sender: NodeId | None) -> tuple[list[Contact], list[bytes]]:
        """(contacts, records) of the answer."""
        conspiracy, known = self.conspiracy, self.conspiracy.versions.get(call.key or b"", [])
        honest = self.router.nearest(call.target, DHT_REPLY_CONTACTS_MAX, exclude=sender)
        match self.habit:
            case "forge":
                return honest, [conspiracy.forgery(call.key or b"")] if known else []
            case "replay":
                return honest, known[:1]
            case "garbage":
                return honest, [conspiracy.rng.randbytes(200)] if call.key else []
            case "invent":
                return conspiracy.inventions(call.target), []
            case "swallow":
                return honest, []
            case _:
                return conspiracy.nearest(call.target), []

    def _send(self, data: bytes, endpoint: Endpoint) -> bool:
        if self.conspiracy.begun and self.habit == "garbage" and data[4] == wire.REPLY and self._rng.random() < 0.5:
            kept = wire.HEADER_BYTES  # with the right call id, so that it reaches the decoder
            data = data[:kept] + self._rng.randbytes(len(data) - kept)
        return super()._send(data, endpoint)

    def rpc_store(self, sender: Endpoint, key: bytes, record: bytes) -> str:
        """Said to be held, and forgotten."""
        return "held" if self.conspiracy.begun else super().rpc_store(sender, key, record)


class LyingServer(GuardedServer):
    """A node that lies as soon as its conspiracy has begun."""

    protocol: LyingProtocol
    protocol_class = LyingProtocol

    def conspire(self, conspiracy: Conspiracy, habit: str, endpoint: Endpoint) -> None:
        """Join the others. To be called before the first datagram."""
        self.protocol.conspiracy = conspiracy
        self.protocol.habit = habit
        conspiracy.members.append(Contact(self.protocol.id, endpoint))


def mint(rng: random.Random, count: int) -> list[tuple[NodeId, KeyPair]]:
    """So many node keys, sorted by the ids that they prove: what an attacker chooses his places from. Nobody can choose
    an id, but anybody can make keys until enough of their ids lie where he wants them."""
    minted = []
    for _ in range(count):
        pair = KeyPair.from_seed(rng.randbytes(32))
        minted.append((node_id(pair.public), pair))
    return sorted(minted, key=lambda item: item[0])


def beside(minted: list[tuple[NodeId, KeyPair]], key: bytes, count: int) -> list[KeyPair]:
    """The minted keys whose ids lie nearest to a key, nearest first."""
    ranked = sorted(minted, key=lambda item: distance(item[0], key))
    return [pair for _, pair in ranked[:count]]
