"""Relaying on demand: a feed that no link of ours leads to is asked of neighbours, who take it up for a while.

Theory. Links alone lead only 44 to 76% of followers to each author they follow (our model). Relaying is a temporary
interest: who relays an identity shares it with those of its links that follow it, so sharing, replication and the live
tree do all the rest. It differs in that only the newest of each log is fetched, that nothing of it is listed,
announced or kept, and that it ends.

Rules.

* A relay shows itself only to who said a token for that identity, and to its askers.
* A relay gives what it relays to its askers only, and takes nothing of it from them. So entries run one way, no two
  relays can each take the other for the source, and who holds nothing but its asker's own entries is seen to be dry.
* A feed is reached while a link that shares it, askers left aside, is fewer than four hops from the author
  (nearness.py). If we asked that neighbour, it may relay for our sake, so it is asked to go on; so it is while the
  author is away, if it tells of entries.
* A followed feed not reached for RELAY_AFTER_S is asked of three neighbours; first they may not ask on, next time once,
  then twice: three relays in a row at most, and the near ones first. Others are asked each time; after that one at a
  time, ever more seldom, and seldom far where links share the feed without having it: they search, too.
* A relay that doesn't reach the feed either, and whose links tell of no entries, asks on while its askers allow it,
  with one hop less than was allowed to it, so that no two relays can keep each other at it once nobody wants the feed
  any more. Where they tell of entries, whoever asked sees them, and looks on himself; where enough of them share it,
  they search themselves.
* Who has no room says nothing, which shows by when others would be asked. He is left alone for a while, and asking him
  was no try.
* A lease is short at first; renewed while the relay tells of a way to the author, or its links of entries, it is long,
  and renewed again at its half. Asking again never makes it shorter. Two relays are renewed for each feed.
* What the person has blocked is relayed for nobody. For what is followed in private nobody is asked: that names it.
* The lease ends when nobody renews it, or its askers forget the identity: what was stored for it goes, all but what the
  person holds on to, or was here before.
"""

from __future__ import annotations

import math
import random

from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.value import State, field
from p2pblog.gossip.broadcast import Broadcast
from p2pblog.gossip.events import DropLog, Effect, LeaveLog, RelayDue, RememberRelayed, Send, SetTimer, StoreIdentity
from p2pblog.gossip.holdings import Asker, Holdings, Lease
from p2pblog.gossip.messages import HOPS_MAX, NO_WAY, Relay
from p2pblog.gossip.replication import Replication
from p2pblog.gossip.sharing import Session, Sharing, tells

RELAYS_MAX = 100
"""Identities relayed at once (DESIGN); in our model a node relays 16, at most 98."""
RELAYS_PER_PEER_MAX = 25
"""Of these for one neighbour, so that four of them are needed to fill us."""
RELAY_LEASE_S = 600.0
"""A lease with a relay that leads to the feed; renewed every 5 minutes, 40 bytes each time."""
RELAY_TRIAL_S = 30.0
"""A lease until then, and what is left of one whose asker's link ends: time for three relays to ask on. (With
60 s, what leads nowhere took up nearly all of the 100 places where 70% of 500 nodes can't be dialed.)"""
RELAY_CHECK_S = 1.0
"""How often it is looked which feeds are not reached."""
RELAY_AFTER_S = 2.0
"""How long a followed feed may be without a link before neighbours are asked: time for the first links and what they
tell. (With 5 s, and a look each 2.5 s, a tenth of what is caught up with under Bamboo's churn came after 7.8 s.)"""
GRACE_S = 4.0
"""How much longer where most neighbours have come up with us. (Without it, 300 nodes that start together and follow 75
each carry 0.4 relayed copies for each delivery, not 0.08.)"""
SETTLED_LINKS = 8
"""Other links of a neighbour, when it greeted us, by which it was there before us."""
PASS_AFTER_S = 1.0
"""How long tokens and clocks may take to show a relay that a link of its own has the feed."""
RELAY_SOON_S = 1.5
RELAY_AGAIN_S = 5.0
RELAY_AGAIN_MAX_S = 600.0
"""Asking again begins after 1.5 s, time for a relay to say what it has, or 5 s where most neighbours have come up with
us, and slows down to once in ten minutes. (With 5 s everywhere, under Bamboo's churn one catch-up in a hundred took
6.2 s, not 4.4.)"""
RELAY_AWAY_S = 60.0
RELAY_AWAY_MAX_S = 3600.0
"""While links tell of a feed's entries and nobody knows a way, its author is most likely away: after the first round
one neighbour is asked, 2 minutes later, then ever more seldom (a thousand such feeds: 0.3 questions a second)."""
ALONE_FOR = 2
"""Rounds in which nobody is waited for who searches for the same feed: they come 1.5 and 3 s after the first."""
ASKED_AT_ONCE = 3
PASSED_ON_TO = 2
"""Neighbours asked at once by a follower, and by a relay: at most 3 + 6 + 12 hear of a feed nobody has."""
WIDE_ROUNDS = 5
"""Rounds in which so many are asked, within half a minute; after those the author is most likely away, and one is
asked. (With 3, three of 500 nodes, of which 70% can't be dialed, lacked a feed after two minutes.)"""
HOPS_LATER = 1
FAR_EACH = 4
"""How far is asked on in the rounds after those where others search as well, all but each fourth one: 1 + 2 hear, not
1 + 2 + 4."""
SLOWER_MAX = 10
"""How often the wait doubles: the longest waits are reached before."""
FELLOWS_ENOUGH = 3
"""Links that share a feed without having it, who asked among them, where a relay of it asks nobody on: they search, and
give what they find to all."""
RELAYS_KEPT = 2
"""Relays renewed for one feed: DESIGN has each followed identity covered twice."""
ASKS_PER_CHECK_MAX = 32
"""Feeds asked for in one check; the rest waits for the next one."""
REFUSED_FOR_S = RELAY_TRIAL_S / 2
"""How long who had no room is not asked: half of the shortest leases have ended by then."""
HEEDED_MAX = 2 * RELAYS_PER_PEER_MAX
HEEDED_PER_S = 0.5
"""Relay messages of one peer that are heeded: so many at once, for each feed one to begin and one to go on."""


class Quest(State):
    """The search for relays of one identity. `asked`: until when each neighbour's lease lasts or lasted."""

    next_at: float
    tries: int = 0
    asked: dict[NodeKey, float] = field(default_factory=dict)
    tried: dict[NodeKey, None] = field(default_factory=dict)
    """Who was asked in this round; once all have been, the next round begins."""
    due: float = 0.0
    """When it is to be looked at, if nothing changes before."""
    answer_at: float = math.inf
    """By when those who were asked last have taken it up, if they have room."""


class Turn(State):
    """What all that is asked in one check goes by: the time, for how many feeds somebody may still be asked and, once
    somebody is, our neighbours and how many feeds each relays for us, as far as we know."""

    now: float
    asks_left: int = ASKS_PER_CHECK_MAX
    neighbours: list[Session] = field(default_factory=list)
    load: dict[NodeKey, int] = field(default_factory=dict)


class Relaying(State):
    """The machine. `rng` picks whom to ask; the leases are in the holdings, for all machines go by them."""

    holdings: Holdings
    sharing: Sharing
    replication: Replication
    broadcast: Broadcast
    rng: random.Random
    quests: dict[IdentityHash, Quest] = field(default_factory=dict)
    _checked: int = 0
    """As of which change of what is shared all feeds were looked at."""
    _quests_due: float = 0.0
    _leases_due: float = 0.0
    """When a quest, and a lease, is to be looked at, if nothing changes before."""
    heeded: dict[NodeKey, tuple[float, float]] = field(default_factory=dict)
    """How many more messages of a peer are heeded, as of when."""
    refused: dict[NodeKey, float] = field(default_factory=dict)
    """Until when who did not take up what it was asked for is not asked again."""

    def start(self, now: float) -> list[Effect]:
        """Whatever was relayed when the last run ended is forgotten."""
        for identity in self.holdings.interests:
            self.sharing.note_links(identity)
        effects: list[Effect] = [SetTimer(RelayDue(), now)]
        return effects + self._leave(list(self.holdings.relayed))

    # --- links ---

    def on_link_down(self, peer: NodeKey, now: float) -> None:
        self.heeded.pop(peer, None)
        self.refused.pop(peer, None)
        for identity, lease in self.holdings.leases.items():
            asker = lease.askers.pop(peer, None)
            if asker is not None:
                self.sharing.note_way(identity)
                lease.until = max(lease.until, min(asker.until, now + RELAY_TRIAL_S))
                self._leases_due = now
        for identity, quest in self.quests.items():
            quest.tried.pop(peer, None)
            if quest.asked.pop(peer, None) is not None:
                self.sharing.note_links(identity)

    # --- what peers ask of us ---

    def on_relay(self, session: Session, message: Relay, now: float) -> list[Effect]:
        """Begin or go on to relay, if there is room; who asks sees by our clock that we do."""
        identity = message.identity
        if not self._is_heeded(session.peer, now) or not self._is_welcome(session.peer, identity):
            return []
        is_new = not self.holdings.cares_for(identity)
        allowed = self._hops(identity)
        lease = self.holdings.leases.setdefault(identity, Lease())
        known = lease.askers.get(session.peer)
        if known is None:
            until = now + RELAY_TRIAL_S
            self.sharing.note_way(identity)
        else:
            until = max(known.until, now + (RELAY_LEASE_S if self._leads_to(session, identity) else RELAY_TRIAL_S))
        lease.askers[session.peer] = Asker(until, message.hops_left)
        self._leases_due = min(self._leases_due, now + RELAY_TRIAL_S)
        if is_new:
            return self._take(identity, now)
        if self._hops(identity) > allowed:
            self.sharing.note_links(identity)
            if identity in self.quests:
                self.quests[identity].next_at = min(self.quests[identity].next_at, now + PASS_AFTER_S)
        return self.sharing.answer(session, identity)

    def _leads_to(self, asker: Session, identity: IdentityHash) -> bool:
        """Whether who asks for a feed again takes us to lead there, and the lease to be long. He goes by the way that
        we told him, which comes before the entries; it never leads over himself, nor are they his."""
        return asker.near_told.get(identity, NO_WAY) != NO_WAY or bool(self._givers(identity))

    def _take(self, identity: IdentityHash, now: float) -> list[Effect]:
        self.holdings.relayed[identity] = True
        self._begin_quest(identity, now + PASS_AFTER_S)
        return [self._remember(), *self.sharing.take_up(identity, now)]

    def _is_heeded(self, peer: NodeKey, now: float) -> bool:
        room, since = self.heeded.get(peer, (float(HEEDED_MAX), now))
        room = min(float(HEEDED_MAX), room + (now - since) * HEEDED_PER_S)
        self.heeded[peer] = (max(0.0, room - 1), now)
        return room >= 1

    def _is_welcome(self, peer: NodeKey, identity: IdentityHash) -> bool:
        """Whether there is room, and it is not blocked. A feed that the person unfollowed, and that is kept, is not
        mixed up with others'."""
        if identity in self.holdings.blocked:
            return False
        if identity not in self.holdings.interests:
            held = any(device in self.holdings.logs for device in self.holdings.devices(identity))
            if held and not self.holdings.is_borrowed(identity):
                return False
        lease = self.holdings.leases.get(identity)
        if lease is not None and peer in lease.askers:
            return True
        theirs = sum(peer in other.askers for other in self.holdings.leases.values())
        return theirs < RELAYS_PER_PEER_MAX and (lease is not None or len(self.holdings.leases) < RELAYS_MAX)

    def on_forget(self, peer: NodeKey, identities: tuple[IdentityHash, ...]) -> None:
        """Who asked us has lost interest: the lease ends with the next check, unless others asked too."""
        for identity in identities:
            lease = self.holdings.leases.get(identity)
            if lease is not None:
                lease.askers.pop(peer, None)
                self.sharing.note_way(identity)
                self._leases_due = 0.0

    # --- what the person wants ---

    def on_interested(self, identity: IdentityHash, now: float) -> list[Effect]:
        """Follow: what was relayed so far is ours from now on, and its history is fetched too."""
        was_relayed = self.holdings.relayed.pop(identity, None)
        self._end_quest(identity)
        if was_relayed is None:
            return self.sharing.on_interested(identity, now)
        self.holdings.interests[identity] = None
        self.sharing.note_way(identity)
        effects: list[Effect] = [self._remember(), *self.sharing.take_up(identity, now)]
        known = self.holdings.identities.get(identity)
        if known is not None:
            effects.append(StoreIdentity(known))
        for session in self.sharing.sessions_of(identity):
            effects += self._settle(session, identity)
        return effects

    def _settle(self, session: Session, identity: IdentityHash) -> list[Effect]:
        """What we give to a peer, and take from it, has changed."""
        return self.sharing.say_clock(session, identity) + self.replication.consider(session, [identity])

    def on_uninterested(self, identity: IdentityHash) -> list[Effect]:
        """Unfollow: while a lease runs it is still relayed. What the person fetched stays, as after any unfollow."""
        self._end_quest(identity)
        if identity in self.holdings.leases:
            self.holdings.interests.pop(identity, None)
            self.holdings.relayed[identity] = False
            self.sharing.note_way(identity)
            effects: list[Effect] = []
            for session in self.sharing.sessions_of(identity):
                effects += self._settle(session, identity)
            return effects
        self.broadcast.on_uninterested(identity)
        return self.sharing.on_uninterested(identity)

    def on_blocked(self, identity: IdentityHash) -> list[Effect]:
        """Neither follow nor relay it any more, whoever asked us to, and hold nothing of it."""
        self.holdings.blocked[identity] = None
        self.holdings.set_private(identity, False)
        if self.holdings.leases.pop(identity, None) is not None:
            self.sharing.note_way(identity)
        effects: list[Effect] = []
        if identity in self.holdings.interests:
            effects += self.on_uninterested(identity)
        if identity in self.holdings.relayed:
            self.holdings.relayed[identity] = True
            return effects + self._leave([identity])
        devices = self.holdings.devices(identity)
        self.replication.forget(devices)
        self.holdings.forget_identity(identity)
        return effects + [DropLog(device) for device in devices]

    def on_unblocked(self, identity: IdentityHash) -> None:
        """From now on it is as one of which we have never heard."""
        self.holdings.blocked.pop(identity, None)
        for device in self.holdings.devices(identity):
            self.holdings.forget_log(device)

    # --- what the store says ---

    def on_stored(self, identity: IdentityHash) -> list[Effect]:
        """A relayed feed that has grown too big begins afresh with the newest of its longest logs."""
        if not self.holdings.is_borrowed(identity):
            return []
        return [LeaveLog(device) for device in self.replication.borrowed.make_room(identity)]

    # --- time ---

    def on_relay_due(self, now: float) -> list[Effect]:
        """End what is over, then look at the feeds that may not be reached any more."""
        effects: list[Effect] = [SetTimer(RelayDue(), now + RELAY_CHECK_S)]
        if self._leases_due <= now:
            effects += self._end_leases(now)
        return effects + self._seek(now)

    def _end_leases(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        left: list[IdentityHash] = []
        for identity, lease in list(self.holdings.leases.items()):
            over = [peer for peer, asker in lease.askers.items() if asker.until <= now]
            for peer in over:
                del lease.askers[peer]
                self.sharing.note_way(identity)
            if not lease.askers and lease.until <= now:
                del self.holdings.leases[identity]
                if identity in self.holdings.relayed:
                    left.append(identity)
                    continue
            for peer in over:
                if identity in self.sharing.sessions[peer].shared:
                    effects += self._settle(self.sharing.sessions[peer], identity)
        self._leases_due = min((_next_end(lease) for lease in self.holdings.leases.values()), default=math.inf)
        return effects + self._leave(left)

    def _leave(self, identities: list[IdentityHash]) -> list[Effect]:
        """Relay no more. The logs go, unless the person has followed them once; of those who are blocked altogether."""
        if not identities:
            return []
        for identity in identities:
            self._end_quest(identity)
            self.broadcast.on_uninterested(identity)
        effects = self.sharing.leave(identities)
        for identity in identities:
            devices, is_borrowed = self.holdings.devices(identity), self.holdings.is_borrowed(identity)
            del self.holdings.relayed[identity]
            if is_borrowed:
                self.replication.forget(devices)
                self.holdings.forget_identity(identity)
                go = DropLog if identity in self.holdings.blocked else LeaveLog
                effects += [go(device) for device in devices]
        return [*effects, self._remember()]

    def _remember(self) -> Effect:
        borrowed = (identity for identity, is_borrowed in self.holdings.relayed.items() if is_borrowed)
        return RememberRelayed(tuple(borrowed))

    # --- whom we ask ---

    def _seek(self, now: float) -> list[Effect]:
        """Look at each feed to which the way may have changed, and at each whose quest is due."""
        changed, self._checked = self.sharing.changed_since(self._checked), self.sharing.changes
        if not changed and now < self._quests_due:
            return []
        due = [identity for identity, quest in self.quests.items() if quest.due <= now]
        turn = Turn(now)
        effects: list[Effect] = []
        for identity in dict.fromkeys([*reversed(changed), *due]):
            effects += self._look(identity, turn)
        self._quests_due = min((quest.due for quest in self.quests.values()), default=math.inf)
        return effects

    def _look(self, identity: IdentityHash, turn: Turn) -> list[Effect]:
        """Whether a feed is reached: begin, go on with or end the search for relays of it."""
        quest = self.quests.get(identity)
        is_told_nobody = identity == self.holdings.own or identity in self.holdings.private
        if is_told_nobody or not self.holdings.cares_for(identity):
            self._end_quest(identity)
            return []
        if self._hops(identity) < 0:
            if quest is not None:
                quest.due = math.inf
            return []
        near = self._near(identity)
        if quest is None:
            if not near:
                self._begin_quest(identity, turn.now + RELAY_AFTER_S)
            return []
        for peer in [peer for peer, until in quest.asked.items() if until + RELAY_LEASE_S <= turn.now]:
            del quest.asked[peer]
        if any(peer not in quest.asked for peer in near):
            self._end_quest(identity)
            return []
        return self._go_on(identity, quest, near, turn)

    def _go_on(self, identity: IdentityHash, quest: Quest, near: list[NodeKey], turn: Turn) -> list[Effect]:
        """Renew what leads to the feed or, where nothing does, ask on."""
        now = turn.now
        self._note_refusals(identity, quest, now)
        kept = self._kept(quest, near or self._givers(identity), now) if quest.asked else []
        effects = self._renew(identity, quest, kept, now)
        if near:
            quest.tries, quest.next_at = 0, now
        elif quest.next_at <= now - (0.0 if quest.tries else self._grace_s()) and turn.asks_left:
            turn.asks_left -= 1
            effects += self._ask(identity, quest, turn)
        renewals = [quest.asked[peer] - RELAY_LEASE_S / 2 for peer in kept]
        ends = [until + RELAY_LEASE_S for until in quest.asked.values()]
        checks = [quest.answer_at] if quest.answer_at > now else []
        quest.due = min([*renewals, *ends, *checks, math.inf if near else quest.next_at])
        return effects

    def _note_refusals(self, identity: IdentityHash, quest: Quest, now: float) -> None:
        """Who relays a feed shares it with us within a round trip; who does not has no room. That was no try."""
        if now < quest.answer_at:
            return
        quest.answer_at = math.inf
        asked = [peer for peer, until in quest.asked.items() if now < until <= now + RELAY_TRIAL_S]
        refused = [peer for peer in asked if identity not in self.sharing.sessions[peer].shared]
        for peer in refused:
            self.refused[peer] = now + REFUSED_FOR_S
            del quest.asked[peer]
            quest.tried.pop(peer, None)
        if refused and len(refused) == len(asked):
            quest.tries = max(0, quest.tries - 1)
            quest.next_at = min(quest.next_at, now + RELAY_SOON_S)

    def _begin_quest(self, identity: IdentityHash, at: float) -> None:
        quest = self.quests[identity] = Quest(at, due=at)
        self.holdings.asked[identity] = quest.asked

    def _end_quest(self, identity: IdentityHash) -> None:
        if self.quests.pop(identity, None) is not None and self.holdings.asked.pop(identity):
            self.sharing.note_links(identity)

    def _grace_s(self) -> float:
        """How much longer to wait for links before anybody is asked. Among nodes that have just come up themselves most
        are still to be made, and a relay asked too early takes the place of a link that would have led there."""
        return GRACE_S if self._are_all_new() else 0.0

    def _are_all_new(self) -> bool:
        settled = sum(session.links >= SETTLED_LINKS for session in self.sharing.sessions.values())
        return 2 * settled < len(self.sharing.sessions)

    def _near(self, identity: IdentityHash) -> list[NodeKey]:
        """The links over which an identity's author is near, without those that may have it from us."""
        reach = self.sharing.reach(identity)
        return [
            session.peer
            for session in self.sharing.sessions_of(identity)
            if session.near.get(identity, reach) < reach
            and identity not in session.unkept
            and self.holdings.takes(session.peer, identity)
        ]

    def _look_round(self, turn: Turn) -> None:
        """A lease that has run out is remembered for as long as it could have been renewed: until then that neighbour
        may still tell us of entries, but it counts as free."""
        turn.neighbours = [session for _peer, session in sorted(self.sharing.sessions.items()) if session.ready]
        turn.load = dict.fromkeys(self.sharing.sessions, 0)
        for quest in self.quests.values():
            for peer, until in quest.asked.items():
                turn.load[peer] += until > turn.now

    def _hops(self, identity: IdentityHash) -> int:
        """How many relays may stand behind whom we ask; below 0: we may ask nobody."""
        if identity in self.holdings.interests:
            return HOPS_MAX
        lease = self.holdings.leases.get(identity)
        return -1 if lease is None else max((asker.hops_left for asker in lease.askers.values()), default=0) - 1

    def _givers(self, identity: IdentityHash) -> list[NodeKey]:
        """The links that have something of an identity, without those that may have it from us."""
        return [peer for peer in self._holders(identity) if not self.holdings.is_asked_by(peer, identity)]

    def _holders(self, identity: IdentityHash) -> list[NodeKey]:
        """The links that have something of an identity, wherever from, and give it."""
        devices: list[DeviceKey] | None = None
        holders: list[NodeKey] = []
        for session in self.sharing.sessions_of(identity):
            if identity in session.unkept:
                continue
            devices = self.holdings.devices(identity) if devices is None else devices
            if tells(session, devices):
                holders.append(session.peer)
        return holders

    def _kept(self, quest: Quest, givers: list[NodeKey], now: float) -> list[NodeKey]:
        """The relays that are worth their lease, those first that still have it."""
        asked = [peer for peer in givers if peer in quest.asked]
        return sorted(asked, key=lambda peer: (quest.asked[peer] <= now, peer))[:RELAYS_KEPT]

    def _renew(self, identity: IdentityHash, quest: Quest, kept: list[NodeKey], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for peer in kept:
            if quest.asked[peer] - now <= RELAY_LEASE_S / 2:
                quest.asked[peer] = now + RELAY_LEASE_S
                effects.append(Send(peer, Relay(identity, self._hops(identity))))
        return effects

    def _ask(self, identity: IdentityHash, quest: Quest, turn: Turn) -> list[Effect]:
        is_own, holders, now = identity in self.holdings.interests, self._holders(identity), turn.now
        is_away = bool(holders if is_own else self._givers(identity))
        if not turn.neighbours:
            self._look_round(turn)
        able = self._able(identity, quest, set(holders) - quest.asked.keys(), turn)
        untried = [peer for peer in able if peer not in quest.tried]
        if not untried:
            quest.tried.clear()
            untried = able
        fellows = self._fellows(identity, quest, now)
        chosen = self._choose(identity, quest, untried, _asked_at_once(quest, is_own, is_away, fellows))
        hops = 0 if is_away else _hops_in_round(quest.tries, fellows) if is_own else self._hops(identity)
        for peer in chosen:
            turn.load[peer] += quest.asked.get(peer, 0.0) <= now
            quest.tried[peer] = None
            quest.asked[peer] = now + RELAY_TRIAL_S
        if chosen:
            quest.answer_at = now + RELAY_SOON_S
            self.sharing.note_links(identity)
        wait = self._wait(quest, is_own, is_away, fellows)
        quest.tries += bool(chosen)
        quest.next_at = now + wait
        return [Send(peer, Relay(identity, hops)) for peer in chosen]

    def _choose(self, identity: IdentityHash, quest: Quest, untried: list[NodeKey], most: int) -> list[NodeKey]:
        """Whom to ask of these: by chance, but first one that shares the feed and gives nothing, each second time where
        only one is asked. It may relay it for others, and costs nobody anything; or it follows it and searches, too."""
        mixed = self.rng.sample(untried, len(untried))
        sharers = self.sharing.sharers.get(identity, {})
        others = [peer for peer in mixed if peer not in sharers]
        relays = [peer for peer in mixed if peer in sharers]
        first = relays[:1] if most > 1 or quest.tries % 2 else []
        return [*first, *others, *relays[len(first) :]][:most]

    def _able(self, identity: IdentityHash, quest: Quest, no_better: set[NodeKey], turn: Turn) -> list[NodeKey]:
        """Whom we could ask: nobody who asked us, who is no better off than we are, or who relays enough for us."""
        lease = self.holdings.leases.get(identity)
        apart = no_better if lease is None else no_better | lease.askers.keys()
        return [
            session.peer
            for session in turn.neighbours
            if session.peer not in apart
            and identity not in session.unkept
            and (self.refused.get(session.peer, 0.0) <= turn.now or identity in session.shared)
            and (turn.load[session.peer] < RELAYS_PER_PEER_MAX or quest.asked.get(session.peer, 0.0) > turn.now)
        ]

    def _fellows(self, identity: IdentityHash, quest: Quest, now: float) -> int:
        """How many links share the feed and don't relay it for us: where none of them leads to it, they search, too."""
        sharers = self.sharing.sharers.get(identity, ())
        return sum(quest.asked.get(peer, 0.0) <= now for peer in sharers)

    def _wait(self, quest: Quest, is_own: bool, is_away: bool, fellows: int) -> float:
        """How long until others are asked. Neighbours who follow it too search as we do, and who finds it gives to all:
        after the first rounds each takes its turn."""
        if is_away:
            return min(RELAY_AWAY_MAX_S, RELAY_AWAY_S * 2.0 ** min(quest.tries, SLOWER_MAX))
        first = RELAY_AGAIN_S if self._are_all_new() else RELAY_SOON_S
        slower = 2.0 ** min(quest.tries, SLOWER_MAX)
        wait = min(RELAY_AGAIN_MAX_S, first * slower) if is_own else RELAY_TRIAL_S
        if is_own and quest.tries < ALONE_FOR:
            return wait
        return min(RELAY_AWAY_MAX_S, wait * (1.0 + fellows))


def _asked_at_once(quest: Quest, is_own: bool, is_away: bool, fellows: int) -> int:
    """How many are asked in this round; a relay asks nobody where it is told of entries, or where others search."""
    if not is_own:
        return 0 if is_away or fellows >= FELLOWS_ENOUGH else 1 if quest.tries >= WIDE_ROUNDS else PASSED_ON_TO
    if is_away:
        return 1 if quest.tries else max(1, ASKED_AT_ONCE - fellows)
    return ASKED_AT_ONCE if quest.tries < WIDE_ROUNDS else 1


def _hops_in_round(tries: int, fellows: int) -> int:
    """How many relays may stand behind whom a follower asks: none, then one and so on; later, where others search too,
    seldom many."""
    is_far = tries < WIDE_ROUNDS or fellows == 0 or tries % FAR_EACH == 0
    return min(tries, HOPS_MAX if is_far else HOPS_LATER)


def _next_end(lease: Lease) -> float:
    """When the first of its askers' times is over or, without askers, the lease itself."""
    return min((asker.until for asker in lease.askers.values()), default=lease.until)
