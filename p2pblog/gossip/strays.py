"""Single entries of logs that we don't follow: what a boost or a reply refers to, fetched from whoever is linked.

Of such an entry we hear nothing more by itself, for nobody tells us of its log. So who is asked for one gives what he
knows that its author said of it since, a delete or other words; and it is asked for again, though it is here, now and
then while somebody looks at it.
"""

from __future__ import annotations

from p2pblog.core.entry import check_chain, check_signed, decode_body, with_payload
from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Located
from p2pblog.core.payload import Delete, Edit, Ref, decode
from p2pblog.core.timelines import is_shown
from p2pblog.core.value import State, field
from p2pblog.errors import BadChain, BadMessage
from p2pblog.gossip.events import Ask, Effect, LoadedOne, LoadOne, Send, StoreStray
from p2pblog.gossip.membership import LINKS_MAX
from p2pblog.gossip.messages import Fetch, Found
from p2pblog.gossip.sharing import Session, Sharing

ASKED_PEERS_MAX = 3
"""Peers asked for one stray entry."""
ASKED_MAX = 1_024
"""Stray entries asked for at once; beyond, the oldest question is forgotten."""
ASK_AGAIN_S = 20.0
"""When an entry may be asked for again although somebody owes an answer still: as an answer to Want."""
TRIED_MAX = 256
"""Entries of which it is remembered who was asked, the latest."""
TRIED_PEERS_MAX = LINKS_MAX
"""Peers remembered of each, so that all are asked before the first one is asked again."""
LATER_MAX = 2 * ASKED_PEERS_MAX
"""Deletes and edits taken for one question: we give one, and a peer may know another one than the next."""
FETCHES_OWED_MAX = 1_024
"""Answers that we owe one peer at once; beyond, it is told that we hold nothing."""


class Question(State):
    """Who owes us an answer about an entry of that identity since when. `is_here`: the entry itself is wanted no more.
    `later`: so many deletes and edits have come for it."""

    identity: IdentityHash
    peers: set[NodeKey]
    at: float
    is_here: bool = False
    later: int = 0


class Strays(State):
    """The machine. `tried`: who was asked for an entry that has not come, the latest last."""

    sharing: Sharing
    asked: dict[EntryId, Question] = field(default_factory=dict)
    tried: dict[EntryId, dict[NodeKey, None]] = field(default_factory=dict)

    def ask(self, event: Ask, now: float) -> list[Effect]:
        """Ask up to three peers, others each time; nobody for what a blocked author wrote."""
        ref = event.ref
        if ref.identity in self.sharing.holdings.blocked:
            return []
        asked, chosen = self.asked.get(ref.id), self._choose(event)
        if not chosen or (asked is not None and now < asked.at + ASK_AGAIN_S):
            return []
        self.asked.pop(ref.id, None)
        if len(self.asked) >= ASKED_MAX:
            del self.asked[next(iter(self.asked))]
        self.asked[ref.id] = Question(ref.identity, set(chosen), now, event.again)
        self._remember(ref.id, chosen)
        return [Send(peer, Fetch(ref)) for peer in chosen]

    def awaits(self, entry: EntryId) -> bool:
        """Whether somebody owes us an entry that is not here."""
        asked = self.asked.get(entry)
        return asked is not None and not asked.is_here

    def _choose(self, event: Ask) -> list[NodeKey]:
        """Those who were not asked for it yet, and of these who share its author's feed, first: else the same three,
        who may have nothing or say nothing, would be asked each time. Where somebody followed in private refers to it,
        only those who share his feed: to ask others would tell them of the follow. What is here is asked only of those
        who care for its author's feed: others hear of no delete either."""
        ref, by = event.ref, event.by
        is_private = by in self.sharing.holdings.private
        turns = {peer: turn for turn, peer in enumerate(self.tried.get(ref.id, ()), 1)}
        ready = sorted(
            (turns.get(peer, 0), not _cares(session, ref.identity), peer)
            for peer, session in self.sharing.sessions.items()
            if session.ready
            and (not is_private or by in session.shared)
            and (not event.again or _cares(session, ref.identity))
        )
        return [peer for *_rank, peer in ready[:ASKED_PEERS_MAX]]

    def _remember(self, entry: EntryId, chosen: list[NodeKey]) -> None:
        tried = self.tried[entry] = self.tried.pop(entry, {})
        for peer in chosen:
            tried.pop(peer, None)
            tried[peer] = None
        while len(tried) > TRIED_PEERS_MAX:
            del tried[next(iter(tried))]
        if len(self.tried) > TRIED_MAX:
            del self.tried[next(iter(self.tried))]

    def on_link_down(self, peer: NodeKey) -> None:
        for entry in list(self.asked):
            self._answered(entry, peer)

    def on_fetch(self, session: Session, message: Fetch) -> list[Effect]:
        if session.fetches_owed >= FETCHES_OWED_MAX:
            return [Send(session.peer, Found(message.ref))]
        session.fetches_owed += 1
        return [LoadOne(session.peer, message.ref)]

    def on_loaded(self, session: Session, event: LoadedOne) -> list[Effect]:
        """What was said of it since goes first: who asked listens until the entry itself comes. Of what is taken back
        only that is told."""
        session.fetches_owed = max(0, session.fetches_owed - 1)
        later = None if event.later is None else self._found(event.later, _place_of(event.later), event.identity)
        effects: list[Effect] = [] if later is None or later.identity is None else [Send(event.peer, later)]
        is_gone = later is not None and later.payload is not None and isinstance(decode(later.payload), Delete)
        found = Found(event.ref) if is_gone else self._found(event.located, event.ref, event.identity)
        return [*effects, Send(event.peer, found)]

    def _found(self, located: Located | None, ref: Ref, identity: bytes | None) -> Found:
        """The answer to who asks for what is at `ref`."""
        if located is None or identity is None or located.entry.payload is None or not self._is_there(located, ref):
            return Found(ref)
        chain = (located.entry, *located.chain)
        bodies = tuple(entry.body for entry in chain)
        return Found(ref, identity, bodies, chain[-1].signature, located.entry.payload)

    def _is_there(self, located: Located, ref: Ref) -> bool:
        """Whether an entry of ours is where somebody says, and may be shown still. The reference is its author's word
        and not that of who asks: an answer that does not hold would part two honest nodes."""
        entry, identity = located.entry, self.sharing.holdings.identities.get(located.identity)
        if identity is None or (located.identity, entry.device, entry.seq) != (ref.identity, ref.device, ref.seq):
            return False
        return is_shown(identity.devices.get(entry.device), entry.seq)

    def on_found(self, session: Session, message: Found) -> list[Effect]:
        asked = self.asked.get(message.ref.id)
        if asked is None or session.peer not in asked.peers:
            return self._on_later(session, message)
        self._answered(message.ref.id, session.peer)
        if message.identity is None or message.ref.identity in self.sharing.holdings.blocked:
            return []
        located = check_found(message)
        if asked.is_here:
            return []
        asked.is_here = True  # who else was asked may know what became of it
        self.tried.pop(message.ref.id, None)
        return [StoreStray(located)]

    def _on_later(self, session: Session, message: Found) -> list[Effect]:
        """What an author said since of an entry that this peer was asked for. Anything else is left aside: the question
        was forgotten, or this is no answer."""
        said = None if message.payload is None else decode(message.payload)
        if not isinstance(said, Delete | Edit) or message.ref.identity in self.sharing.holdings.blocked:
            return []
        replaced = said.replaces if isinstance(said, Delete) else ()
        for entry in (said.of.id, *replaced):
            asked = self.asked.get(entry)
            if asked is None or session.peer not in asked.peers or asked.later >= LATER_MAX:
                continue
            if asked.identity != message.ref.identity:
                continue
            asked.later += 1
            return [StoreStray(check_found(message))]
        return []

    def take(self, located: Located) -> list[Effect]:
        """One that came by another way than a link, checked; nobody's answer is awaited any more."""
        self._forget(located.entry.id)
        return [] if located.identity in self.sharing.holdings.blocked else [StoreStray(located)]

    def _answered(self, entry: EntryId, peer: NodeKey) -> None:
        asked = self.asked.get(entry)
        if asked is not None:
            asked.peers.discard(peer)
            if not asked.peers:
                del self.asked[entry]

    def _forget(self, entry: EntryId) -> None:
        self.asked.pop(entry, None)
        self.tried.pop(entry, None)


def _cares(session: Session, identity: IdentityHash) -> bool:
    """Whether a peer follows somebody, or is theirs."""
    return identity in session.shared or session.memory.cares(identity)


def _place_of(located: Located) -> Ref:
    return Ref(located.identity, located.entry.device, located.entry.seq, located.entry.id)


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
