"""Which links live: quiet ones are pinged now and then, all of them at once when something has happened.

Theory. To ping a link each second finds a crash soon, and costs six times the bytes of the notices of a day. But a
crash that matters takes many links of many nodes. Some of these are due in the next moment, and who finds one silent
tells the others, over links that stand and over those that survivors make. Who has no link left hears nothing from
anybody, which shows as soon; so in quiet times each node hears from somebody every few seconds, whoever it is.

Rules.

* A link is pinged when neither end has pinged the other for about PING_EVERY_S.
* Who has heard nothing from anybody for QUIET_S pings the link that is due first; not who knows of nobody else to dial,
  whom it would not help.
* An answer is owed once the ping has gone out: what the peer still takes in before it is our queue, not his silence.
* An answer that is late makes all other links be pinged that have said nothing since: whoever else is gone shows, and
  some who answer late by intent cause little.
* Where three links or more, and as many as are left, are gone (membership.py), those that stand hear an alarm, and so
  does each new link meanwhile, though it is not to pass it on where nobody is left who could show that others are gone.
* Who hears an alarm pings all its links, and passes it on to them while it has hops to go. Within ALARM_AGAIN_S it only
  passes on one that has more hops to go than the last: a liar can make us say no more than a ping and three alarms to
  each link in that time.
"""

from __future__ import annotations

import math
import random

from p2pblog.core.keys import NodeKey
from p2pblog.core.value import State, field
from p2pblog.errors import BadMessage, TooSlow
from p2pblog.gossip.events import Close, Effect, PongDue, Send, SetTimer
from p2pblog.gossip.messages import ALARM_HOPS_MAX, ALARM_VERSION, PING_MAX, Alarm, Ping, Pong
from p2pblog.gossip.sharing import Session, Sharing

PING_EVERY_S = 50.0
"""How long nobody pings a link on average, give or take a quarter by chance, so that no two links keep step: a day on
one link costs 84 kB. HyParView's detection by TCP alone takes minutes."""
QUIET_S = 3.0
"""How long nobody may be heard. (Without this, one in a thousand survivors of a crash that took four fifths of 2,000
nodes, whom nobody dialed, had a notice after 6.8 s, not 5.)"""
SUSPECT_AFTER_S = 0.5
SUSPECT_MAX_S = 2.0
"""A ping unanswered for max(SUSPECT_AFTER_S, 3 round trips), but this at most, makes all quiet links be pinged. (An
answer held up once behind a run would else count as a round trip, and its peer's death be seen seconds later.)"""
LOST_AFTER_S = 10.0
"""A link that owes an answer and has said nothing for this long has ended: a laptop's lid, not a lost packet."""
OWED_MAX_S = 120.0
"""How long an answer may be owed by who says other things: a full queue of runs takes a slow line a minute."""
ALARM_AGAIN_S = 10.0
"""How often an alarm is raised, and one heeded: false ones make a node of ten links say three things a second, answers
included, and up to three more where their hops grow."""


class Pinged(State):
    """A ping that awaits its answer. `alive_at`: when the peer last showed life, or the time of the ping; `owed_from`:
    from when the answer was owed at the earliest, for until then the ping may have waited here for the peer."""

    number: int
    at: float
    alive_at: float
    owed_from: float


class Liveness(State):
    """The machine. `rng` keeps links out of step; the same seed decides the same."""

    sharing: Sharing
    rng: random.Random
    pinged: dict[NodeKey, Pinged] = field(default_factory=dict)
    round_trips: dict[NodeKey, float] = field(default_factory=dict)
    due: dict[NodeKey, float] = field(default_factory=dict)
    """When each link is pinged next, once it was greeted."""
    due_from: float = math.inf
    """No link is due before."""
    greeted: dict[NodeKey, float] = field(default_factory=dict)
    """When each link said Hello."""
    heard: dict[NodeKey, float] = field(default_factory=dict)
    """When each peer said anything last."""
    heard_at: float = 0.0
    """When anybody said anything last."""
    raised_at: float = -ALARM_AGAIN_S
    alarmed_at: float = -ALARM_AGAIN_S
    """When we raised an alarm last, and when we did or heeded one."""
    alarm_hops: int = 0
    """How far that one may go from here."""
    _number: int = 0

    # --- links ---

    def on_hello(self, peer: NodeKey, now: float) -> None:
        self.greeted[peer] = now
        self._put_off(peer, now + self.rng.random() * PING_EVERY_S)

    def on_link_down(self, peer: NodeKey) -> None:
        self.pinged.pop(peer, None)
        self.round_trips.pop(peer, None)
        self.heard.pop(peer, None)
        self.greeted.pop(peer, None)
        self.due.pop(peer, None)

    # --- time ---

    def go_on(self, now: float, *, has_others: bool) -> list[Effect]:
        """End what has been silent for too long, and ping what is due. `has_others`: whether anybody else is known."""
        owing = sorted(self.pinged.items())
        lost = [peer for peer, row in owing if now - row.alive_at > LOST_AFTER_S or now - row.owed_from > OWED_MAX_S]
        effects: list[Effect] = [Close(peer, TooSlow("no answer to a ping")) for peer in lost]
        due = list[tuple[float, NodeKey]]()
        if self.due_from <= now:
            due = sorted((at, peer) for peer, at in self.due.items() if at <= now and peer not in self.pinged)
        if not due and has_others and self.heard_at + QUIET_S <= now:
            due = sorted((at, peer) for peer, at in self.due.items() if peer not in self.pinged)[:1]
        effects += [effect for _at, peer in due for effect in self._ping(peer, now)]
        if self.due_from <= now:
            self.due_from = min(self.due.values(), default=math.inf)
        return effects

    def on_pong_due(self, timer: PongDue, now: float) -> list[Effect]:
        """An answer is late: unless the peer is busy saying other things, all are pinged that said nothing since."""
        pinged = self.pinged.get(timer.peer)
        if pinged is None or pinged.number != timer.number:
            return []
        due = pinged.alive_at + self._patience_s(timer.peer)
        if due > now:
            return [SetTimer(timer, due)]
        self.sharing.sessions[timer.peer].is_late = True
        return self._ping_all(now, silent_since=pinged.at)

    def _ping_all(self, now: float, silent_since: float = math.inf) -> list[Effect]:
        idle = [
            peer
            for peer in sorted(self.due)
            if peer not in self.pinged and self.heard.get(peer, -math.inf) < silent_since
        ]
        return [effect for peer in idle for effect in self._ping(peer, now)]

    def _ping(self, peer: NodeKey, now: float) -> list[Effect]:
        self._number = self._number % PING_MAX + 1  # 0 is sharing's COMPARE_PING
        self.pinged[peer] = Pinged(self._number, now, now, now)
        self._put_off(peer, self._in_turn(now))
        return [Send(peer, Ping(self._number)), SetTimer(PongDue(peer, self._number), now + self._patience_s(peer))]

    def _put_off(self, peer: NodeKey, until: float) -> None:
        self.due[peer] = until
        self.due_from = min(self.due_from, until)

    def _in_turn(self, now: float) -> float:
        """When a link that is pinged now is due again."""
        return now + (0.75 + 0.5 * self.rng.random()) * PING_EVERY_S

    # --- alarms ---

    def raise_alarm(self, now: float) -> list[Effect]:
        """As many links are gone as are left."""
        if now < self.raised_at + ALARM_AGAIN_S:
            return []
        self.raised_at = self.alarmed_at = now
        return self._ping_all(now) + self._pass_on(ALARM_HOPS_MAX, None, now)

    def tell_alarm(self, session: Session, now: float) -> list[Effect]:
        """A link has come up while it is so."""
        if session.version < ALARM_VERSION:
            return []
        return [Send(session.peer, Alarm(ALARM_HOPS_MAX if self._has_stood(now) else 0))]

    def _has_stood(self, now: float) -> bool:
        """Whether a link stands that stood before; else it may be our own network that was gone."""
        return any(at < self.raised_at and not self._is_suspect(peer, now) for peer, at in self.greeted.items())

    def on_alarm(self, session: Session, message: Alarm, now: float) -> list[Effect]:
        if self.alarmed_at + ALARM_AGAIN_S <= now:
            self.alarmed_at = now
            return self._ping_all(now) + self._pass_on(message.hops_left - 1, session.peer, now)
        if message.hops_left - 1 <= self.alarm_hops:
            return []
        return self._pass_on(message.hops_left - 1, session.peer, now)

    def _pass_on(self, hops_left: int, teller: NodeKey | None, now: float) -> list[Effect]:
        """Let those hear of it that do not seem to be gone."""
        self.alarm_hops = hops_left
        return [
            Send(peer, Alarm(hops_left))
            for peer in sorted(self.due if hops_left >= 0 else ())
            if self.sharing.sessions[peer].version >= ALARM_VERSION
            and peer != teller
            and not self._is_suspect(peer, now)
        ]

    # --- what peers say ---

    def on_ping(self, session: Session, message: Ping, now: float) -> list[Effect]:
        self._put_off(session.peer, self._in_turn(now))
        return [Send(session.peer, Pong(message.number))]

    def on_pong(self, session: Session, message: Pong, now: float) -> list[Effect]:
        pinged = self.pinged.get(session.peer)
        if pinged is None or pinged.number != message.number:
            raise BadMessage("an answer to no ping")
        del self.pinged[session.peer]
        self.round_trips[session.peer] = now - pinged.at
        return []

    def on_life(self, session: Session, now: float) -> list[Effect]:
        """Anything from a peer shows that it lives, even part of a message: a long run may delay its answer to a ping.
        Who was late and has not answered yet may be so again."""
        peer = session.peer
        self.heard[peer] = self.heard_at = now
        pinged = self.pinged.get(peer)
        if pinged is None:
            return []
        pinged.alive_at = now
        if not session.is_late:
            return []
        session.is_late = False
        return [SetTimer(PongDue(peer, pinged.number), now + self._patience_s(peer))]

    def on_taking(self, peer: NodeKey, now: float) -> None:
        """Who is still taking in what stands before our ping owes no answer yet.
        (On 10 Mbit/s twelve who fetched history were taken for a crash, and told of as one, without this.)"""
        pinged = self.pinged.get(peer)
        if pinged is not None:
            pinged.alive_at = pinged.owed_from = now

    def on_held_back(self, now: float) -> None:
        """What was said to us lay unread, so nobody's silence counts until now."""
        self.heard_at = now
        for pinged in self.pinged.values():
            pinged.alive_at = now

    # --- what is known ---

    def suspects(self, now: float) -> int:
        """How many links owe an answer for longer than they should."""
        return sum(self._is_suspect(peer, now) for peer in self.pinged)

    def _is_suspect(self, peer: NodeKey, now: float) -> bool:
        pinged = self.pinged.get(peer)
        return pinged is not None and now >= pinged.alive_at + self._patience_s(peer)

    def _patience_s(self, peer: NodeKey) -> float:
        """The longest where our own words stood before the ping: a full line loses packets, and stands still for a
        second or two until they are said again."""
        pinged = self.pinged.get(peer)
        if pinged is not None and pinged.owed_from > pinged.at:
            return SUSPECT_MAX_S
        return min(SUSPECT_MAX_S, max(SUSPECT_AFTER_S, 3 * self.round_trips.get(peer, 0.0)))
