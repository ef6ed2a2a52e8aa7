"""Single entries of logs that we don't follow: what a boost or a reply refers to, fetched from whoever is linked."""

from __future__ import annotations

from p2pblog.core.entry import check_chain, check_signed, decode_body, with_payload
from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.payload import Ref
from p2pblog.core.timelines import is_shown
from p2pblog.core.value import State, field
from p2pblog.errors import BadChain, BadMessage
from p2pblog.gossip.events import Effect, LoadedOne, LoadOne, Send, StoreStray
from p2pblog.gossip.messages import Fetch, Found
from p2pblog.gossip.sharing import Session, Sharing

ASKED_PEERS_MAX = 3
"""Peers asked for one stray entry."""
ASKED_MAX = 1_024
"""Stray entries asked for at once; beyond, the oldest question is forgotten."""
LOADS_MAX = 1_024
"""Answers that we owe one peer at once; beyond, it is told that we hold nothing."""


class Strays(State):
    """The machine. `asked`: entry -> the links on which an answer is awaited."""

    sharing: Sharing
    asked: dict[EntryId, set[bytes]] = field(default_factory=dict)

    def ask(self, ref: Ref) -> list[Effect]:
        """Ask up to three peers, those who share its author's feed first; nobody for what a blocked author wrote."""
        if ref.identity in self.sharing.holdings.blocked:
            return []
        ready = [peer for peer in sorted(self.sharing.sessions) if self.sharing.sessions[peer].ready]
        near = [peer for peer in ready if ref.identity in self.sharing.sessions[peer].shared]
        chosen = [*near, *(peer for peer in ready if peer not in near)][:ASKED_PEERS_MAX]
        if not chosen or ref.id in self.asked:
            return []
        if len(self.asked) >= ASKED_MAX:
            del self.asked[next(iter(self.asked))]
        self.asked[ref.id] = set(chosen)
        return [Send(peer, Fetch(ref)) for peer in chosen]

    def on_link_down(self, peer: bytes) -> None:
        for entry in list(self.asked):
            self._answered(entry, peer)

    def on_fetch(self, session: Session, message: Fetch) -> list[Effect]:
        if session.loads >= LOADS_MAX:
            return [Send(session.peer, Found(message.ref))]
        session.loads += 1
        return [LoadOne(session.peer, message.ref)]

    def on_loaded(self, session: Session, event: LoadedOne) -> list[Effect]:
        session.loads = max(0, session.loads - 1)
        located = event.located
        if located is None or event.identity is None or located.entry.payload is None:
            return [Send(event.peer, Found(event.ref))]
        if not self._is_there(located, event.ref):
            return [Send(event.peer, Found(event.ref))]
        chain = (located.entry, *located.chain)
        bodies = tuple(entry.body for entry in chain)
        return [Send(event.peer, Found(event.ref, event.identity, bodies, chain[-1].signature, located.entry.payload))]

    def _is_there(self, located: Located, ref: Ref) -> bool:
        """Whether an entry of ours is where somebody says, and may be shown still. The reference is its author's word
        and not that of who asks: an answer that does not hold would part two honest nodes."""
        entry, identity = located.entry, self.sharing.holdings.identities.get(located.identity)
        if identity is None or (located.identity, entry.device, entry.seq) != (ref.identity, ref.device, ref.seq):
            return False
        return is_shown(identity.devices.get(entry.device), entry.seq)

    def on_found(self, session: Session, message: Found) -> list[Effect]:
        if session.peer not in self.asked.get(message.ref.id, set()):
            return []  # another peer's answer came first, or the question was forgotten
        self._answered(message.ref.id, session.peer)
        if message.identity is None or message.ref.identity in self.sharing.holdings.blocked:
            return []
        located = check_found(message)
        self.asked.pop(message.ref.id, None)
        return [StoreStray(located)]

    def take(self, located: Located) -> list[Effect]:
        """One that came by another way than a link, checked; nobody's answer is awaited any more."""
        self.asked.pop(located.entry.id, None)
        return [] if located.identity in self.sharing.holdings.blocked else [StoreStray(located)]

    def _answered(self, entry: EntryId, peer: bytes) -> None:
        waiting = self.asked.get(entry, set())
        waiting.discard(peer)
        if not waiting:
            self.asked.pop(entry, None)


def check_found(message: Found) -> Located:
    """The entry with all that vouches for it. Raises BadChain, BadSignature or what reading the parts raises."""
    ref = message.ref
    if message.identity is None or message.signature is None or message.payload is None or not message.bodies:
        raise BadMessage("half an answer")
    identity = Identity.decode(message.identity, expected=ref.identity)
    chain = [decode_body(body) for body in message.bodies]
    check_chain(chain)
    chain[-1] = check_signed(chain[-1], message.signature)
    entry = with_payload(chain[0], message.payload)
    if (entry.id, entry.device, entry.seq) != (ref.id, ref.device, ref.seq):
        raise BadChain("another entry than was asked for")
    if not is_shown(identity.devices.get(entry.device), entry.seq):
        raise BadChain("an entry of a device that the identity does not vouch for")
    return Located(identity.hash, entry, tuple(chain[1:]))
