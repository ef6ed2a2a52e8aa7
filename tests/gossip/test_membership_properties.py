"""Whatever happens, what membership keeps so as not to look at everybody says what it would see if it looked."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from builders import person
from gossip_scenes import build_machine, node_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey, hash32
from p2pblog.errors import BadMessage, Disconnected, TooSlow
from p2pblog.gossip import membership
from p2pblog.gossip.events import (
    Candidates,
    Close,
    Dial,
    DialFailed,
    Due,
    Event,
    Interested,
    LinkDown,
    LinkUp,
    LookDue,
    Received,
    Uninterested,
)
from p2pblog.gossip.memory import token
from p2pblog.gossip.messages import Bye, Clock, Clocks, Forget, Hello, IdentityClock, Message, Peers, Ping, Tokens

PEOPLE = [person(f"author {number}") for number in range(6)]
PLACES = [Endpoint(f"10.{number % 4}.{number}.1", 4000) for number in range(11)]
PEERS = [node_key(f"peer {number}") for number in range(9)]
TABLES = {
    "KNOWN_MAX": 7, "HOLDS_MAX": 2, "OWN_MAX": 2, "LINKS_CHOSEN_MAX": 2, "LINKS_ACCEPTED_MAX": 6, "LINKS_ENOUGH": 1,
    "LINKS_AT_ONCE_MAX": 5, "UNCOVERED_MANY": 3, "DIALS_MAX": 3, "DIALS_CALM": 1, "DIALS_BUSY": 2,
}  # fmt: skip
"""Small ones, so that a few events fill them."""
WAITS = (0.0, 0.0, 0.01, 0.3, 1.0, 1.0, 5.0, 30.0, 120.0)


class Days:
    """A node to which anything happens that a driver can let happen; looked at after each event."""

    def __init__(self) -> None:
        self.machine = build_machine("bob", port=4000, follows=PEOPLE[:4])
        self.now = 0.0
        self.dialing: dict[Endpoint, None] = {}
        self.links: dict[NodeKey, None] = {}
        self.ending: list[Close] = []
        self.links_so_far = 0
        self.feed(Due(LookDue()))

    def feed(self, event: Event) -> None:
        for effect in self.machine.handle(event, self.now):
            if isinstance(effect, Dial):
                self.dialing[effect.endpoint] = None
            if isinstance(effect, Close):
                self.ending.append(effect)
        self.look()

    def look(self) -> None:
        members, few = self.machine.membership, self.machine.membership._uncovered[1]
        named = {(identity, place) for place, known in members.known.items() for identity in known.holds}
        assert named == {(identity, place) for identity, held in members.holders.items() for place in held}
        assert all(members.holders.values())
        assert all(len(known.holds) <= membership.HOLDS_MAX for known in members.known.values())
        assert len(members.own) <= membership.OWN_MAX and len(members.known) <= membership.KNOWN_MAX
        assert list(members.linked_at.values()) == sorted(members.linked_at.values())
        assert members.liveness.due_from <= min(members.liveness.due.values(), default=math.inf)
        if members._uncovered[0] == members.sharing.changes and self.now < members._nobody_until:
            assert members._free(members._holders_of(few), self.now) == []

    # --- what may happen ---

    def look_due(self, chance: Random) -> None:
        self.feed(Due(LookDue()))

    def named(self, chance: Random) -> None:
        who = chance.choice([None, person("bob").hash, *(one.hash for one in PEOPLE)])
        self.feed(Candidates(tuple(chance.sample(PLACES, chance.randint(1, 3))), who))

    def dial_over(self, chance: Random) -> None:
        if not self.dialing:
            return
        place, peer = chance.choice(list(self.dialing)), chance.choice(PEERS)
        del self.dialing[place]
        ends = [DialFailed(place), DialFailed(place, own=True), DialFailed(place, linked=peer), None, None]
        failed = chance.choice(ends)
        if failed is not None:
            self.feed(failed)
        else:
            self.link(peer, place, dialed=True)

    def dialed(self, chance: Random) -> None:
        self.link(chance.choice(PEERS), Endpoint(chance.choice(PLACES).host, 50_000), dialed=False)

    def link(self, peer: NodeKey, place: Endpoint, *, dialed: bool) -> None:
        self.end(peer, Disconnected("another takes its place"))
        self.links_so_far += 1
        self.links[peer] = None
        self.feed(LinkUp(peer, place, dialed, hash32(bytes([self.links_so_far % 256]), b"p2pblog tests"), None))

    def end(self, peer: NodeKey, error: BadMessage | Disconnected | TooSlow | None) -> None:
        if peer in self.links:
            del self.links[peer]
            self.feed(LinkDown(peer, error))

    def cut(self, chance: Random) -> None:
        errors = [None, TooSlow("silent"), Disconnected("gone"), BadMessage("a lie")]
        self.end(chance.choice(PEERS), chance.choice(errors))

    def closed(self, chance: Random) -> None:
        if self.ending:
            self.end(self.ending.pop(0).peer, None)

    def told(self, chance: Random) -> None:
        peer = chance.choice(list(self.links) or PEERS)
        session = self.machine.sharing.sessions.get(peer)
        if session is None:
            return
        who = chance.choice(PEOPLE)
        clock = IdentityClock(who.hash, who.identity.digest, ((who.key, Clock(((1, 1),), tip=bytes(8))),))
        words: list[Message] = [Hello(1, chance.choice([0, 4000]), chance.randint(0, 5), None)]
        if session.ready:
            words = [Tokens((token(session.binding, not session.dialed, who.hash),)), Clocks((clock,)), Bye()]
            words += [Forget((who.hash,)), Peers(tuple(chance.sample(PLACES, 2))), Ping(5)]
        self.feed(Received(peer, chance.choice(words)))

    def interest(self, chance: Random) -> None:
        who = chance.choice(PEOPLE).hash
        self.feed(Uninterested(who) if who in self.machine.holdings.interests else Interested(who))


HAPPENS: list[Callable[[Days, Random], None]] = [
    Days.look_due, Days.look_due, Days.named, Days.named, Days.dial_over, Days.dial_over, Days.dialed, Days.told,
    Days.told, Days.told, Days.cut, Days.closed, Days.interest,
]  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(HAPPENS), st.sampled_from(WAITS), st.integers(0, 1 << 16)), min_size=60, max_size=150
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_what_is_kept_agrees_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[Callable[[Days, Random], None], float, int]]
) -> None:
    for name, size in TABLES.items():
        monkeypatch.setattr(membership, name, size)
    days = Days()
    for happen, wait, seed in steps:
        days.now += wait
        happen(days, Random(seed))
