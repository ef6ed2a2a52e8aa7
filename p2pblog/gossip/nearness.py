"""How far the author of each shared feed is, over the links that carry it: what "reached" means.

Theory. That a neighbour holds old entries does not say that new ones will come to it. So neighbours tell each other how
many links lie between them and the author's own node: a distance vector (RIP, RFC 2453) for each feed, over those who
share it. It settles within a few round trips after a link came or went, and costs nothing while nothing changes.

Rules.

* Our own feed is 0 hops away. Any other is one hop farther than at the nearest link that gives it to us; beyond
  HOPS_FAR there is no way.
* Nobody is told a way that leads back over him (split horizon with poisoned reverse, RFC 2453, 3.4.3).
* A way is lost when the nearest link left is not nearer than we were: it may lead back over us (the feasibility
  condition, RFC 8966, 2.4). Then there is no way for HOLD_S, time for that to be heard, so that neighbours do not take
  each other's word in turn and count up to HOPS_FAR.
* Whose word on a feed comes back after a loss more than FLAPS_MAX times within FLAP_S is not heeded on it until he has
  said nothing of it for as long (route flap damping, RFC 2439, without its decay). A liar had everybody tell it on.
* What has changed is told together, NEAR_DELAY_S later. Nothing is remembered of it when the link ends.

A liar may call himself near. He is believed until he does not give what his clock promises (replication.py); one whose
clock promises nothing gains what any withholding neighbour has: that feeds are wished for twice bounds it.
"""

from __future__ import annotations

from p2pblog.core.keys import IdentityHash, NodeKey
from p2pblog.core.value import State, field
from p2pblog.gossip.events import Effect, NearDue, Send, SetTimer
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import HOPS_FAR, NO_WAY, TOKENS_MAX, Near
from p2pblog.gossip.sharing import Session, Sharing

NEAR_DELAY_S = 0.1
"""Changes told together: a new link changes the distances of all feeds that it shares (a guess: a round trip)."""
HOLD_S = 1.0
"""How long a lost way stays lost: half of HOPS_FAR links, at a delay and 150 ms each."""
FLAPS_MAX = 4
FLAP_S = 60.0
"""How often an honest way may come back in what time (a guess: a link that fails and is made again takes some seconds).
Only what comes back is counted, once for each loss, so that who is next to the liar is the first to stop. (In a mesh of
twelve nobody lost the way to an author whose only link came and went each 20 s; each 10 s all but his neighbour did,
had his notices as soon as before, and asked 23 times for a relay in 5 minutes.)"""


class Flaps(State):
    """What one link says of one feed, once it has lost it. `came_back`: how often since `since`."""

    number: int
    """The link's."""
    word: int
    is_lost: bool
    since: float
    at: float
    came_back: int = 0


class Nearness(State):
    """The machine. `due`: feeds whose distance may have changed since it was told. `ways`: the distances told last."""

    holdings: Holdings
    sharing: Sharing
    due: dict[IdentityHash, None] = field(default_factory=dict)
    is_set: bool = False
    ways: dict[IdentityHash, int] = field(default_factory=dict)
    held: dict[IdentityHash, float] = field(default_factory=dict)
    """Until when a lost way stays lost."""
    flaps: dict[tuple[NodeKey, IdentityHash], Flaps] = field(default_factory=dict)
    """Who changed last stands last."""
    swept_at: float = 0.0

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

    def on_near(self, session: Session, message: Near, now: float) -> list[Effect]:
        for named, hops in zip(message.tokens, message.hops, strict=True):
            identity = self.sharing.expected(session).get(named)
            if identity is None or identity not in session.shared:
                continue  # unfollowed in the meantime
            self._take(session, identity, self._heeded(session, identity, hops, now))
        return self._sweep_later(now)

    def _take(self, session: Session, identity: IdentityHash, hops: int) -> None:
        if session.near.get(identity, NO_WAY) == hops:
            return
        if hops == NO_WAY:
            del session.near[identity]
        else:
            session.near[identity] = hops
        self.sharing.note_way(identity)

    def _heeded(self, session: Session, identity: IdentityHash, hops: int, now: float) -> int:
        """What a link's word on a feed counts as."""
        before = session.near.get(identity, NO_WAY)
        row = self.flaps.pop((session.peer, identity), None)
        if row is None or row.number != session.number:
            if hops > before:
                self.flaps[session.peer, identity] = Flaps(session.number, hops, True, now, now)
            return hops
        self.flaps[session.peer, identity] = row
        if row.came_back <= FLAPS_MAX and row.since + FLAP_S < now:
            row.came_back, row.since = 0, now
        if hops < row.word and row.is_lost:
            row.came_back, row.is_lost = row.came_back + 1, False
        row.is_lost = row.is_lost or hops > row.word
        row.word, row.at = hops, now
        return NO_WAY if row.came_back > FLAPS_MAX else hops

    def _sweep_later(self, now: float) -> list[Effect]:
        if not self.flaps or self.swept_at > now:
            return []
        self.swept_at = next(iter(self.flaps.values())).at + FLAP_S
        return [SetTimer(NearDue(), self.swept_at)]

    def _sweep(self, now: float) -> list[Effect]:
        """Who has been quiet for long enough is heeded again."""
        if self.swept_at > now:
            return []
        while self.flaps:
            (peer, identity), row = next(iter(self.flaps.items()))
            if row.at + FLAP_S > now:
                break
            del self.flaps[peer, identity]
            session = self.sharing.sessions.get(peer)
            if session is not None and session.number == row.number and identity in session.shared:
                self._take(session, identity, row.word)
        return self._sweep_later(now)

    def on_near_due(self, now: float) -> list[Effect]:
        """Tell every link what has changed for it."""
        self.is_set = False
        effects = self._sweep(now)
        again = [identity for identity, until in self.held.items() if until <= now]
        due, self.due = self.due | dict.fromkeys(again), {}
        news: dict[NodeKey, list[tuple[IdentityHash, int]]] = {}
        for identity in due:
            sessions = self.sharing.sessions_of(identity)
            nearest = self.sharing.nearest(identity, sessions)
            effects += self._settle_way(identity, nearest, now)
            first, over, second = self._ways(identity, [] if identity in self.held else nearest)
            is_relayed = identity in self.holdings.relayed
            for session in sessions:
                hops = second if session.peer == over else first
                if is_relayed and not self.holdings.gives(session.peer, identity):
                    hops = NO_WAY
                if session.near_told.get(identity, NO_WAY) != hops:
                    session.near_told[identity] = hops
                    news.setdefault(session.peer, []).append((identity, hops))
        for peer, told in sorted(news.items()):
            session = self.sharing.sessions[peer]
            for at in range(0, len(told), TOKENS_MAX):
                some = told[at : at + TOKENS_MAX]
                tokens = tuple(session.memory.own_token(identity) for identity, _hops in some)
                effects.append(Send(peer, Near(tokens, bytes(hops for _identity, hops in some))))
        return effects

    def _settle_way(self, identity: IdentityHash, nearest: list[tuple[int, NodeKey]], now: float) -> list[Effect]:
        """Take the nearest way, or lose the one there was for a while."""
        until = self.held.get(identity)
        if until is not None and now < until:
            return []
        self.held.pop(identity, None)
        before = self.ways.pop(identity, None)
        if not nearest or nearest[0][0] >= HOPS_FAR:
            return []
        if before is not None and nearest[0][0] >= before:
            self.held[identity] = now + HOLD_S
            return [SetTimer(NearDue(), now + HOLD_S)]
        self.ways[identity] = nearest[0][0] + 1
        return []

    def _ways(self, identity: IdentityHash, nearest: list[tuple[int, NodeKey]]) -> tuple[int, NodeKey | None, int]:
        """(how far it is, over whom, how far it is otherwise): nobody is told the way that leads over himself."""
        if identity == self.holdings.own:
            return 0, None, 0
        if not nearest:
            return NO_WAY, None, NO_WAY
        told = [hops + 1 if hops < HOPS_FAR else NO_WAY for hops, _peer in nearest]
        return told[0], nearest[0][1], told[1] if len(told) > 1 else NO_WAY
