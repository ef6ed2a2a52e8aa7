"""Whom to be linked with: finding peers, choosing among them, mending after a crash.

After HyParView (Leitao et al., DSN 2007): a small active view, the links, over a larger passive one, the endpoints that
we know. We differ in that links are chosen for the feeds they share, and in that a lost half of the links makes
DIALS_MAX dials start at once instead of one.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile

from p2pblog.config import LINKS_ACCEPTED_MAX, LINKS_CHOSEN_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import IdentityHash, NodeKey
from p2pblog.core.value import State, Value, field
from p2pblog.errors import Disconnected, QueueFull, RemoteProtocolError, TooSlow
from p2pblog.gossip.events import (
    Close,
    Dial,
    DialFailed,
    Effect,
    LinksLost,
    LookDue,
    PongDue,
    RememberPeer,
    Send,
    SetTimer,
)
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.liveness import Liveness
from p2pblog.gossip.messages import PEERS_MAX, Bye, Peers
from p2pblog.gossip.sharing import COVER_WANTING, Session, Sharing

LOOK_EVERY_S = 1.0
"""How often it is looked whether links are to be pinged, made or let go."""
DIALS_MAX = 16
"""Dials at once after a crash. (With 8, the last of 100 survivors of 2,000 nodes was back after 8.3 s, not 4.2.)"""
ALARM_FROM = 3
"""Links lost, and as many as are left, from which on it is a crash that others should hear of: who has one neighbour
and loses him has nothing to tell."""
DIAL_TIMEOUT_S = 10.0
"""How long a dial may take: one lost packet costs a connection 1 s, two cost 3 s (RFC 6298)."""
DIAL_FIRST_S = 3.0
"""How long it may take with somebody who has not failed us yet: most who do not answer at once are away, and others
wait to be dialed."""
LINKS_MAX = LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX + 16
"""Links of any kind, those being turned away included."""
LINKS_DIALED_BY_OTHERS_MAX = LINKS_MAX - LINKS_CHOSEN_MAX
"""Who comes to us in any number leaves the places of those whom we choose."""
STALE_AFTER_S = DIAL_TIMEOUT_S
"""A link that stands for longer was not made at the same time as another that arrives: its other end has lost it."""
DIALS_CALM = 2
"""Dials at once in quiet times."""
DIALS_BUSY = 4
UNCOVERED_MANY = 8
"""Dials at once while so many feeds have too few links: each dial is likely to lead to one of them, so up to
LINKS_AT_ONCE_MAX links none waits for what the last has led to."""
LINKS_AT_ONCE_MAX = LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX // 2
"""A third of the places stays free for those who come later. (Up to all 48, in 50 nodes with liars followers were left
behind; up to 16, relays carried 0.48 copies for each delivery among 600 nodes that start together, not 0.21.)"""
BACKOFF_S = 2.0
BACKOFF_MAX_S = 600.0
BYE_PAUSE_S = 5.0
"""How long somebody with links enough dials nobody after a Bye from whom he dialed: where many are full, all others are
on their way. (Who dialed us says nothing of that, and may say Bye at any time.)"""
TURNED_AWAY_S = 60.0
"""How long who had no room for us is left alone at first."""
LOST_WITHIN_S = 10.0
"""Links lost within this time count as one crash (a guess: our model's survivors were all back in ten seconds). One
that others dialed, and that shares nothing with us, is a loss if it stood for as long: who comes and goes was none of
those that we had."""
KNOWN_MAX = 1_024
"""Endpoints remembered: the passive view, thirty times HyParView's 30, for they cost 100 bytes each."""
SHUNNED_MAX = 1_024
"""Nodes remembered that broke a rule, the latest ones: as many as endpoints. Who makes new keys needs no old one."""
HOLDS_MAX = 64
"""Identities remembered of one endpoint: those for which it was found last."""
HEARSAY_EVERY_S = 1.0
"""How often one peer may name others: it does so at the start, and once a minute in all."""
OWN_MAX = 64
"""Endpoints remembered that lead to ourselves."""
SHUFFLE_EVERY_S = 60.0
"""iroh-gossip's figure."""
TRY_LOST_EVERY_S = 5.0
"""How often one of those who fell silent is tried again (a guess: a split of 20 neighbours is mended in two minutes;
who does not answer is tried ever more seldom)."""
VISIT_S = 60.0
"""How long a link stays before it may make way for another feed: enough for the newest 50 of all that it shares."""
VISIT_EVERY_S = 10.0
VISIT_EVERY_MAX_S = 160.0
"""How often a link may make way: a link's handshake and clocks each time, so a small budget; half as often each time
that the last visit led to no feed which no other link leads to, until a holder is named who was not known. (Without
that, where half of the authors are away, each of 300 nodes made a visit every 17 s.)"""
VISIT_AGAIN_S = 300.0
"""When who made way may be visited again (DESIGN: at most every 5 minutes)."""
LINKS_ENOUGH = 5
"""Links of somebody whose feeds are all covered (our model: degree 5 reaches hop 20 under re-wiring, 13 doubles the
lazy notices)."""
SETTLE_S = 1.0
"""How long a link that we dialed may take to show which feeds it leads to, before others are dialed for them: Hello,
tokens and clocks are three round trips. (Nobody waits for links that others dial: they come when those want.)"""
DIAL_IN_CRASH_S = 0.5
"""How long a dial may take after a crash, when most of those we know are gone: two slow round trips."""
COVER_TWICE = 2
"""Links wished for each followed identity."""


class Known(State):
    """An endpoint worth dialing: who answered there, how often nobody did, when to try again, and what it may hold."""

    block: bytes
    is_public: bool
    node: NodeKey | None = None
    failures: int = 0
    not_before: float = 0.0
    holds: dict[IdentityHash, None] = field(default_factory=dict)
    faults: int = 0
    """How often whoever is there broke a rule."""
    turned_away: int = 0
    closed_until: float = 0.0
    """How often in turn it had no room for us, and until when it is not asked again."""


class Shunned(Value):
    """A node that broke a rule: how often, and until when it is not let in."""

    faults: int
    until: float


class Membership(State):
    """The machine. `liveness` says which links are gone; `rng` decides who is named; the same seed decides the same."""

    node: NodeKey
    holdings: Holdings
    sharing: Sharing
    liveness: Liveness
    rng: random.Random
    known: dict[Endpoint, Known] = field(default_factory=dict)
    crowds: Counter[bytes] = field(default_factory=Counter)
    """Address block -> known endpoints in it."""
    holders: dict[IdentityHash, dict[Endpoint, None]] = field(default_factory=dict)
    """What `holds` says of all that are known, by identity."""
    dialing: dict[Endpoint, None] = field(default_factory=dict)
    silent: dict[Endpoint, None] = field(default_factory=dict)
    """Those whose last link ended in silence: few, and looked at every second."""
    shunned: dict[NodeKey, Shunned] = field(default_factory=dict)
    hearsay: dict[NodeKey, float] = field(default_factory=dict)
    """When each peer last named others."""
    own: dict[Endpoint, None] = field(default_factory=dict)
    lost: dict[NodeKey, float] = field(default_factory=dict)
    """Whose links ended lately, and when; who is back is not lost."""
    linked_at: dict[NodeKey, float] = field(default_factory=dict)
    """When each link came up, the latest last."""
    _shuffle_at: float = 0.0
    _in_crash: bool = False
    _is_alarmed: bool = False
    _uncovered: tuple[int, set[IdentityHash]] = field(default_factory=lambda: (-1, set()))
    """What links lead to too seldom, as of which change of what is shared."""
    _nobody_until: float = 0.0
    """Before that no holder of what has too few links is worth dialing, unless something happens. (To look at hundreds
    who rest, several times a second, was two fifths of what a node did under churn.)"""
    _try_lost_at: float = 0.0
    _pause_until: float = 0.0
    _has_followers: bool = False
    """Whether somebody was said to hold our own log: then it is to be covered, too. A newcomer's own is nowhere."""
    _wanting: dict[IdentityHash, None] = field(default_factory=dict)
    """Feeds that links lead to, and whose holders were searched all the same: for what those links lack."""
    _visit_at: float = 0.0
    _visit_wait_s: float = VISIT_EVERY_S

    # --- the passive view ---

    def on_candidates(self, endpoints: Iterable[Endpoint], identity: IdentityHash | None, now: float) -> list[Effect]:
        for endpoint in endpoints:
            if endpoint in self.own or endpoint.port == 0:
                continue
            known = self._know(endpoint)
            if identity is not None:
                if identity == self.holdings.own and not self._has_followers:
                    self._has_followers, self._uncovered = True, (-1, set())
                if identity not in known.holds:  # a visit may be worth it again, but no sooner than others were
                    self._visit_at -= self._visit_wait_s - VISIT_EVERY_S
                    self._visit_wait_s = VISIT_EVERY_S
                known.holds[identity] = self.holders.setdefault(identity, {})[endpoint] = None
                known.not_before = min(known.not_before, now)
                self._nobody_until = 0.0
                if len(known.holds) > HOLDS_MAX:
                    self._let_go(endpoint, known, next(iter(known.holds)))
        if identity in self.holdings.interests and self.sharing.cover(identity) and self._is_lacking(identity):
            self._wanting[identity] = None
            self.sharing.note_links(identity)
        return self._dial(now)

    def _know(self, endpoint: Endpoint) -> Known:
        """What is known of an endpoint. A newcomer takes the place of the worst in the most crowded address block, so
        that who has many addresses in a few blocks does not drive out all the others."""
        known = self.known.get(endpoint)
        if known is not None:
            return known
        if len(self.known) >= KNOWN_MAX:
            self._forget(max(self.known, key=self._worth_forgetting))
        known = self.known[endpoint] = Known(endpoint.block, endpoint.is_public)
        self.crowds[known.block] += 1
        return known

    def _worth_forgetting(self, endpoint: Endpoint) -> tuple[bool, int, int, bool, Endpoint]:
        known = self.known[endpoint]
        is_idle = known.node not in self.sharing.sessions
        return is_idle, self.crowds[known.block], known.failures, known.node is None, endpoint

    def _forget(self, endpoint: Endpoint) -> None:
        known = self.known.pop(endpoint, None)
        self.silent.pop(endpoint, None)
        if known is None:
            return
        self.crowds[known.block] -= 1
        if not self.crowds[known.block]:
            del self.crowds[known.block]
        for identity in list(known.holds):
            self._let_go(endpoint, known, identity)

    def _let_go(self, endpoint: Endpoint, known: Known, identity: IdentityHash) -> None:
        """Remember no more that it may hold this."""
        del known.holds[identity], self.holders[identity][endpoint]
        if not self.holders[identity]:
            del self.holders[identity]

    def on_dial_failed(self, event: DialFailed, now: float) -> list[Effect]:
        endpoint = event.endpoint
        self.dialing.pop(endpoint, None)
        if event.own:
            self.own[endpoint] = None
            if len(self.own) > OWN_MAX:
                del self.own[next(iter(self.own))]
            self._forget(endpoint)
            return self._dial(now)
        known = self.known.get(endpoint)
        if known is None:
            return []
        if event.linked is None:
            known.failures += 1
            known.not_before = now + _wait_s(known.failures)
        else:
            known.node, known.failures, known.not_before = event.linked, 0, now + BACKOFF_S
        self._nobody_until = min(self._nobody_until, known.not_before)
        return [RememberPeer(endpoint, known.node, known.failures), *self._dial(now)]

    # --- links ---

    def on_link_up(self, session: Session, now: float) -> list[Effect]:
        shunned = self.shunned.get(session.peer)
        if shunned is not None and now < shunned.until and not session.dialed:
            return self._turn_away(session)
        self.linked_at[session.peer] = now
        if not session.dialed:
            return []
        self.dialing.pop(session.endpoint, None)
        known = self._know(session.endpoint)
        known.node, known.failures = session.peer, 0
        self.silent.pop(session.endpoint, None)
        return [RememberPeer(session.endpoint, session.peer, 0)]

    def on_hello(self, session: Session, now: float) -> list[Effect]:
        """Name some peers; turn away whom we have no room for, unless it has nobody else."""
        self.liveness.on_hello(session.peer, now)
        self.lost.pop(session.peer, None)
        effects: list[Effect] = self.liveness.tell_alarm(session, now) if self._is_alarmed else []
        if not session.dialed and session.port:
            endpoint = Endpoint.of(session.endpoint.host, session.port)
            known = self._know(endpoint)
            known.node, known.failures = session.peer, 0
            self.silent.pop(endpoint, None)
            effects.append(RememberPeer(endpoint, session.peer, 0))
        effects += self._name_peers(session)
        accepted = sum(1 for other in self.sharing.sessions.values() if not other.dialed)
        if not session.dialed and accepted > LINKS_ACCEPTED_MAX and session.links >= 2:
            effects += self._turn_away(session)
        return effects + self._dial(now)

    def _turn_away(self, session: Session) -> list[Effect]:
        """End a link for want of room; that is no loss."""
        self.linked_at.pop(session.peer, None)
        return [Send(session.peer, Bye()), Close(session.peer)]

    def on_link_down(
        self, peer: NodeKey, session: Session | None, error: RemoteProtocolError | None, now: float
    ) -> list[Effect]:
        """Who broke a rule is dialed, and let in, ever more seldom; who fell silent is not forgotten. `session`: what
        was said on the link."""
        is_fault = error is not None and not isinstance(error, TooSlow | Disconnected | QueueFull)
        if is_fault:
            self._shun(peer, now)
        self._nobody_until = 0.0
        self.liveness.on_link_down(peer)
        self.hearsay.pop(peer, None)
        stood_s = now - self.linked_at.pop(peer, math.inf)
        if session is not None and _is_loss(session, stood_s):
            self.lost[peer] = now
            lately = [row for row in self.lost.items() if now - row[1] < LOST_WITHIN_S]
            self.lost = dict(lately[-LINKS_ACCEPTED_MAX:])
        for endpoint, known in self.known.items():
            if known.node == peer:
                known.faults += is_fault
                self.silent.pop(endpoint, None)
                if isinstance(error, TooSlow):
                    self.silent[endpoint] = None
                known.not_before = max(known.not_before, now + _wait_s(known.faults))
        return self._dial(now)

    def _shun(self, peer: NodeKey, now: float) -> None:
        earlier = self.shunned.pop(peer, None)
        faults = 1 if earlier is None else earlier.faults + 1
        self.shunned[peer] = Shunned(faults, now + _wait_s(faults))
        if len(self.shunned) > SHUNNED_MAX:
            del self.shunned[next(iter(self.shunned))]

    def on_bye(self, session: Session, now: float) -> list[Effect]:
        """Who has no room is left alone, longer each time, whatever else we hear of it; and it is not lost."""
        if session.dialed:
            self._pause_until = now + BYE_PAUSE_S
        stood_s = now - self.linked_at.pop(session.peer, now)
        for known in self.known.values():
            if known.node == session.peer:
                known.turned_away = 1 if stood_s > TURNED_AWAY_S else known.turned_away + 1
                known.closed_until = now + min(BACKOFF_MAX_S, TURNED_AWAY_S * 2 ** min(known.turned_away - 1, 10))
        return [Close(session.peer)]

    def on_peers(self, session: Session, message: Peers, now: float) -> list[Effect]:
        """Hearsay: dialed in quiet times only, and never an address from another world than the teller's."""
        last = self.hearsay.get(session.peer)
        if last is not None and now - last < HEARSAY_EVERY_S:
            return []
        self.hearsay[session.peer] = now
        told = [e for e in message.endpoints if e.is_public or not session.endpoint.is_public]
        return self.on_candidates(told, None, now)

    def _name_peers(self, session: Session) -> list[Effect]:
        is_public = session.endpoint.is_public
        good = [
            endpoint
            for endpoint, known in self.known.items()
            if known.node is not None and known.node != session.peer and known.failures == 0
            and (known.is_public or not is_public)
        ]  # fmt: skip
        picked = self.rng.sample(good, min(PEERS_MAX, len(good)))
        return [Send(session.peer, Peers(tuple(picked)))] if picked else []

    def best_known(self, most: int) -> list[Endpoint]:
        """Where somebody answered, those first whom links lead to; then what else is known."""
        order = [
            (known.node is None, known.failures, known.node not in self.sharing.sessions, not known.is_public, endpoint)
            for endpoint, known in self.known.items()
        ]
        return [endpoint for *_worth, endpoint in sorted(order)[:most]]

    # --- every second ---

    def on_look_due(self, now: float) -> list[Effect]:
        has_others = any(known.node not in self.sharing.sessions for known in self.known.values())
        effects: list[Effect] = [SetTimer(LookDue(), now + LOOK_EVERY_S)]
        effects += self.liveness.go_on(now, has_others=has_others)
        if now >= self._shuffle_at and self.sharing.sessions:
            self._shuffle_at = now + SHUFFLE_EVERY_S
            chosen = self.rng.choice(sorted(self.sharing.sessions))
            if self.sharing.sessions[chosen].ready:
                effects += self._name_peers(self.sharing.sessions[chosen])
        return effects + self._make_way(now) + self._dial(now) + self._try_lost(now)

    def on_pong_due(self, timer: PongDue, now: float) -> list[Effect]:
        """What is lost is made good without waiting for the next turn."""
        return self.liveness.on_pong_due(timer, now) + self._dial(now)

    def _try_lost(self, now: float) -> list[Effect]:
        """Now and then dial somebody whose link ended in silence. After a split each side has links enough that lead to
        all it follows, and would never look across once the network has healed."""
        if now < self._try_lost_at or self.dialing:
            return []
        able = [
            (known.not_before, endpoint)
            for endpoint, known in ((endpoint, self.known[endpoint]) for endpoint in self.silent)
            if known.not_before <= now and known.node not in self.sharing.sessions
        ]
        if not able or len(self.sharing.sessions) >= LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX:
            return []
        self._try_lost_at = now + TRY_LOST_EVERY_S
        endpoint = min(able)[1]
        self.dialing[endpoint] = None
        return [Dial(endpoint, DIAL_TIMEOUT_S)]

    # --- visits ---

    def _make_way(self, now: float) -> list[Effect]:
        """With every place taken, the longest link that we chose gives its place to a node that holds a feed which no
        link leads to: first one whose feeds others lead to as well, else any in turn. So each feed is visited."""
        taken = len(self.sharing.sessions) + len(self.dialing)
        if taken < LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX or now < self._visit_at or not self._is_missed(now):
            return []
        old = [
            session
            for peer, session in sorted(self.sharing.sessions.items())
            if session.dialed and session.ready and now - self.linked_at.get(peer, now) >= VISIT_S
        ]
        if not old:
            return []
        leaves = min(old, key=lambda session: (self._is_needed(session), session.number))
        is_in_vain = not self._is_needed(max(old, key=lambda session: session.number))
        self._visit_wait_s = min(VISIT_EVERY_MAX_S, 2 * self._visit_wait_s) if is_in_vain else VISIT_EVERY_S
        self._visit_at = now + self._visit_wait_s
        for known in self.known.values():
            if known.node == leaves.peer:
                known.not_before = max(known.not_before, now + VISIT_AGAIN_S)
        return self._turn_away(leaves)

    def _is_missed(self, now: float) -> bool:
        """Whether somebody whom we could dial holds a feed that no link leads to."""
        missed = [identity for identity in self.holdings.interests if not self.sharing.cover(identity)]
        return any(until <= now for until in self._rests_of(missed))

    def _is_needed(self, session: Session) -> bool:
        """Whether a feed that we follow would be without a link."""
        followed = [identity for identity in session.shared if identity in self.holdings.interests]
        return any(self.sharing.leading(identity) == [session] for identity in followed)

    # --- dialing ---

    def _dial(self, now: float) -> list[Effect]:
        suspects = self.liveness.suspects(now)
        links = len(self.sharing.sessions) - suspects
        effects = self._note_crash(links, suspects, now)
        uncovered = self._poorly_covered()
        room = self._dials_free(links, uncovered)
        if room <= 0 or (not self._in_crash and links >= LINKS_ENOUGH and now < self._pause_until):
            return effects
        spare, beyond = self._links_wished(links, uncovered, room, now)
        if spare <= 0 and (beyond <= 0 or not uncovered or now < self._nobody_until):
            return effects
        chosen = self._worth_dialing(now, uncovered, beyond, spare)[:room]
        if spare <= 0 and not chosen:
            self._nobody_until = self._rested_from(uncovered, now)
        for endpoint in chosen:
            self.dialing[endpoint] = None
        return [*effects, *(Dial(endpoint, self._dial_s(endpoint)) for endpoint in chosen)]

    def _note_crash(self, links: int, suspects: int, now: float) -> list[Effect]:
        """Whether as many links are gone, or seem so, as are left: others hear of it."""
        gone = suspects + sum(1 for at in self.lost.values() if now - at < LOST_WITHIN_S)
        is_crash = gone > 0 and gone >= links
        effects: list[Effect] = [LinksLost()] if is_crash and not self._in_crash else []
        self._in_crash, self._is_alarmed = is_crash, is_crash and gone >= ALARM_FROM
        return effects + self.liveness.raise_alarm(now) if self._is_alarmed else effects

    def _dials_free(self, links: int, uncovered: set[IdentityHash]) -> int:
        """How many more dials may be under way."""
        calm = DIALS_BUSY if len(uncovered) >= UNCOVERED_MANY else DIALS_CALM
        return (DIALS_MAX if self._in_crash or links < 2 else calm) - len(self.dialing)

    def _links_wished(self, links: int, uncovered: set[IdentityHash], room: int, now: float) -> tuple[int, int]:
        """How many more links may lead to anybody, and how many to whoever holds what too few lead to."""
        taken = links + len(self.dialing)
        beyond = LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX - taken
        if self._in_crash and links < LINKS_ENOUGH:
            return room, beyond  # most of those we know are gone too, so more are dialed than there are places
        if uncovered and not self._is_settling(now):
            return (LINKS_CHOSEN_MAX if self._is_any_bare(uncovered) else LINKS_ENOUGH) - taken, beyond
        if len(uncovered) >= UNCOVERED_MANY:
            return LINKS_CHOSEN_MAX - taken, LINKS_AT_ONCE_MAX - taken
        return LINKS_ENOUGH - taken, LINKS_ENOUGH - taken

    def _is_any_bare(self, uncovered: set[IdentityHash]) -> bool:
        """Whether strangers may help: a feed that links lead to, and that lacks something, is in its holders' hands."""
        return any(
            identity not in self._wanting or self.sharing.cover(identity, unasked=True) < COVER_TWICE
            for identity in uncovered
        )

    def _dial_s(self, endpoint: Endpoint) -> float:
        if self._in_crash:
            return DIAL_IN_CRASH_S
        return DIAL_TIMEOUT_S if self.known[endpoint].failures else DIAL_FIRST_S

    def _worth_dialing(self, now: float, uncovered: set[IdentityHash], beyond: int, spare: int) -> list[Endpoint]:
        """Those that hold what too few links lead to, most of it first, up to `beyond`; then any of the most reliable,
        up to `spare` in all."""
        holders = self._holders_of(uncovered)
        able = self._free([endpoint for endpoint in self.known if endpoint in holders], now)
        needed = sorted(
            (-len(uncovered & known.holds.keys()), known.failures, self.rng.random(), endpoint)
            for endpoint, known in able
        )
        chosen = [endpoint for *_rank, endpoint in needed[: max(0, beyond)]]
        if spare > len(needed):
            others = sorted(
                (known.failures, self.rng.random(), endpoint)
                for endpoint, known in self._free(self.known, now)
                if endpoint not in holders
            )
            chosen += [endpoint for *_rank, endpoint in others[: spare - len(needed)]]
        return chosen

    def _free(self, endpoints: Iterable[Endpoint], now: float) -> list[tuple[Endpoint, Known]]:
        """Those of the known who are neither linked nor being dialed, nor to be left alone."""
        everybody, sessions = self.known, self.sharing.sessions
        rested = [
            (endpoint, known)
            for endpoint in endpoints
            if (known := everybody[endpoint]).not_before <= now
            and known.closed_until <= now
            and known.node not in sessions
        ]
        if not rested:
            return []
        busy = {session.endpoint for session in sessions.values()} | self.dialing.keys()
        return [row for row in rested if row[0] not in busy]

    def _rested_from(self, uncovered: set[IdentityHash], now: float) -> float:
        """When the next of those is worth dialing who hold what too few links lead to, if nothing happens before."""
        return min((until for until in self._rests_of(uncovered) if until > now), default=math.inf)

    def _rests_of(self, identities: Iterable[IdentityHash]) -> Iterable[float]:
        """Until when each of those who hold any of these is left alone."""
        known = (self.known[endpoint] for endpoint in self._holders_of(identities))
        return (max(holder.not_before, holder.closed_until) for holder in known)

    def _holders_of(self, identities: Iterable[IdentityHash]) -> set[Endpoint]:
        return {endpoint for identity in identities for endpoint in self.holders.get(identity, ())}

    def _is_settling(self, now: float) -> bool:
        """Whether what we have may yet turn out to lead to all that we follow."""
        if len(self.sharing.sessions) < LINKS_ENOUGH:
            return True
        lately = takewhile(lambda row: now - row[1] < SETTLE_S, reversed(self.linked_at.items()))
        return bool(self.dialing) or any(self.sharing.sessions[peer].dialed for peer, _at in lately)

    def _poorly_covered(self) -> set[IdentityHash]:
        """What is followed and has fewer links than we wish for; counted anew only where something has changed."""
        (as_of, few), followed = self._uncovered, self.holdings.interests
        if as_of == self.sharing.changes:
            return few
        few &= followed.keys()
        for identity in followed if as_of < 0 else self.sharing.changed_since(as_of):
            if identity not in followed:
                self._wanting.pop(identity, None)
            is_wished_for = identity in followed and (self._has_followers or identity != self.holdings.own)
            if is_wished_for and self._is_poorly_covered(identity):
                if identity not in few:
                    self._nobody_until = 0.0
                few.add(identity)
            else:
                few.discard(identity)
        self._uncovered = self.sharing.changes, few
        return few

    def _is_poorly_covered(self, identity: IdentityHash) -> bool:
        """A feed of which something is wanting, or that has gone astray, has few links only once a search has named
        holders: for a moment it is so with each new link, before its clocks and distances have come."""
        if identity in self._wanting and not self._is_lacking(identity):
            del self._wanting[identity]
        wished = COVER_WANTING if identity in self._wanting else COVER_TWICE
        return self.sharing.cover(identity, unasked=True) < wished

    def _is_lacking(self, identity: IdentityHash) -> bool:
        return self.sharing.is_wanting(identity) or self.sharing.is_astray(identity)


def has_room(dialed: bool, links: int, by_others: int) -> bool:
    """Whether a link that we `dialed`, or not, may begin beside so many, of which others dialed so many."""
    return links < LINKS_MAX and (dialed or by_others < LINKS_DIALED_BY_OTHERS_MAX)


def outranks(own: NodeKey, peer: NodeKey, is_dialed: bool, was_dialed: bool, stood_s: float) -> bool:
    """Whether a second link with a node takes the place of the first, which has stood for so long.

    Where both dialed at the same time, the link that the lower key dialed stays, as both ends see alike. Else the
    other end would not have dialed, or let itself be dialed, if it still had the first.
    """
    return is_dialed == was_dialed or stood_s > STALE_AFTER_S or is_dialed == (own < peer)


def _is_loss(session: Session, stood_s: float) -> bool:
    """Whether the end of a link that stood for so long, below 0 if we ended it for want of room, tells of a crash. Who
    had not said Hello has no place left, not even for saying so."""
    return session.ready and stood_s >= (0 if session.dialed or session.shared else LOST_WITHIN_S)


def _wait_s(times: int) -> float:
    """How long nothing is tried with who has failed so often."""
    return float(min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(times, 10)))
