"""How far the author of each shared feed is, over the links that carry it: what "reached" means.

Theory. That a neighbour holds old entries does not say that new ones will come to it. So neighbours tell each other how
many links lie between them and the author's own node: a distance vector (RIP, RFC 2453) for each feed, over those who
share it. It settles within a few round trips after a link came or went, and costs nothing while nothing changes.

Rules.

* Our own feed is 0 hops away. Any other is one hop farther than at the nearest link that gives it to us; beyond
  HOPS_FAR there is no way.
* Nobody is told a way that leads back over him (split horizon with poisoned reverse, RFC 2453, 3.4.3). What is left of
  longer loops counts up to HOPS_FAR and ends.
* What has changed is told together, NEAR_DELAY_S later. Nothing is remembered of it when the link ends.

A liar may call himself near. He is believed until he does not give what his clock promises (replication.py); one whose
clock promises nothing gains what any withholding neighbour has: that feeds are wished for twice bounds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2pblog.core.keys import IdentityHash, NodeKey
from p2pblog.gossip.events import Effect, NearDue, Send, SetTimer
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import HOPS_FAR, NO_WAY, TOKENS_MAX, Near
from p2pblog.gossip.sharing import Session, Sharing

NEAR_DELAY_S = 0.1
"""Changes told together: a new link changes the distances of all feeds that it shares (a guess: a round trip)."""


@dataclass(slots=True)
class Nearness:
    """The machine. `due`: feeds whose distance may have changed since it was told."""

    holdings: Holdings
    sharing: Sharing
    due: dict[IdentityHash, None] = field(default_factory=dict)
    is_set: bool = False

    def hops(self, identity: IdentityHash) -> int | None:
        """How many links lie between us and the author; None for no way."""
        return self.sharing.hops(identity)

    def settle(self, now: float) -> list[Effect]:
        """Take up what has changed while the last event was handled."""
        if not self.sharing.news:
            return []
        self.due.update(self.sharing.news)
        self.sharing.news.clear()
        if self.is_set:
            return []
        self.is_set = True
        return [SetTimer(NearDue(), now + NEAR_DELAY_S)]

    def on_near(self, session: Session, message: Near) -> list[Effect]:
        for named, hops in zip(message.tokens, message.hops, strict=True):
            identity = self.sharing.expected(session).get(named)
            if identity is None or identity not in session.shared:
                continue  # unfollowed in the meantime
            if hops == NO_WAY:
                changed = session.near.pop(identity, None) is not None
            else:
                changed = session.near.get(identity) != hops
                session.near[identity] = hops
            if changed:
                self.sharing.touch(identity)
        return []

    def on_near_due(self) -> list[Effect]:
        """Tell every link what has changed for it."""
        self.is_set = False
        due, self.due = self.due, {}
        news: dict[NodeKey, list[tuple[IdentityHash, int]]] = {}
        for identity in due:
            sessions = self.sharing.sharing(identity)
            first, over, second = self._ways(identity, self.sharing.nearest(identity, sessions))
            is_relayed = identity in self.holdings.relayed
            for session in sessions:
                hops = second if session.peer == over else first
                if is_relayed and not self.holdings.gives(session.peer, identity):
                    hops = NO_WAY
                if session.near_told.get(identity, NO_WAY) != hops:
                    session.near_told[identity] = hops
                    news.setdefault(session.peer, []).append((identity, hops))
        effects: list[Effect] = []
        for peer, told in sorted(news.items()):
            session = self.sharing.sessions[peer]
            for at in range(0, len(told), TOKENS_MAX):
                some = told[at : at + TOKENS_MAX]
                tokens = tuple(session.memory.own_token(identity) for identity, _hops in some)
                effects.append(Send(peer, Near(tokens, bytes(hops for _identity, hops in some))))
        return effects

    def _ways(self, identity: IdentityHash, nearest: list[tuple[int, NodeKey]]) -> tuple[int, NodeKey | None, int]:
        """(how far it is, over whom, how far it is otherwise): nobody is told the way that leads over himself."""
        if identity == self.holdings.own:
            return 0, None, 0
        if not nearest:
            return NO_WAY, None, NO_WAY
        told = [hops + 1 if hops < HOPS_FAR else NO_WAY for hops, _peer in nearest]
        return told[0], nearest[0][1], told[1] if len(told) > 1 else NO_WAY
