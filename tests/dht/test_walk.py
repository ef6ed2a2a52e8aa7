"""The steps of a walk: each looks at a contact once, however many calls it makes, and the first step makes only two."""

from __future__ import annotations

from collections import Counter

from dht_scenes import AT_ONCE
from test_lookup import KEY, OWN, asked, at, wake

from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import Answered, Begin, Failed, Find, Woke
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.walk import Peer, Walk


class Watched(Walk):
    """Counts how often it is asked of each contact whether it may be called."""

    def __init__(self, *args: object) -> None:
        self.judged: Counter[Contact] = Counter()
        super().__init__(*args)  # type: ignore[arg-type]

    def _may_ask(self, peer: Peer) -> bool:
        self.judged[peer.contact] += 1
        return super()._may_ask(peer)


def test_twelve_calls_are_chosen_in_one_look_at_the_nearest() -> None:
    walk = Watched(KEY, OWN, [at(n) for n in range(1, 60)], RoundTrips(), Parameters(lead_s=AT_ONCE))
    calls = asked([*walk.advance(0.0)])
    assert calls == [at(n) for n in range(1, 13)]
    assert walk.judged == Counter(calls)


def begun(contacts: int) -> tuple[Find, list[Contact]]:
    """A look-up among so many contacts, and whom it asked at first."""
    look_up = Find(Walk(KEY, OWN, [at(n) for n in range(1, contacts + 1)], RoundTrips(), Parameters()))
    effects = look_up.handle(Begin(), 5.0)
    assert wake(effects) == 5.0 + Parameters().lead_s
    return look_up, asked(effects)


def test_one_call_leads_and_the_others_follow_after_two_milliseconds() -> None:
    look_up, first = begun(30)
    assert first == [at(1)]
    assert asked(look_up.handle(Woke(), 5.001)) == []
    effects = look_up.handle(Woke(), 5.0 + Parameters().lead_s)
    assert asked(effects) == [at(n) for n in range(2, 13)]
    assert wake(effects) == 5.0 + look_up.walk.round_trips.hedge_s(1.0)  # and no more for the one that led


def test_the_first_answer_lets_the_others_follow_at_once() -> None:
    look_up, _ = begun(30)
    assert asked(look_up.handle(Answered(at(1)), 5.0005)) == [at(n) for n in range(2, 14)]


def test_whom_no_call_can_be_sent_to_leaves_the_lead_to_the_next() -> None:
    look_up, _ = begun(30)
    assert asked(look_up.handle(Failed(at(1)), 5.0)) == [at(2)]
