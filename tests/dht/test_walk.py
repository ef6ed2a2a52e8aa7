"""What a step of a walk costs: it looks at each contact once, however many calls it makes."""

from __future__ import annotations

from collections import Counter

from test_lookup import KEY, OWN, asked, at

from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import Parameters, Peer, Walk
from p2pblog.dht.round_trips import RoundTrips


class Watched(Walk):
    """Counts how often it is asked of each contact whether it may be called."""

    def __init__(self, *args: object) -> None:
        self.judged: Counter[Contact] = Counter()
        super().__init__(*args)  # type: ignore[arg-type]

    def _may_ask(self, peer: Peer) -> bool:
        self.judged[peer.contact] += 1
        return super()._may_ask(peer)


def test_twelve_calls_are_chosen_in_one_look_at_the_nearest() -> None:
    walk = Watched(KEY, OWN, [at(n) for n in range(1, 60)], RoundTrips(), Parameters())
    calls = asked([*walk.advance(0.0)])
    assert calls == [at(n) for n in range(1, 13)]
    assert walk.judged == Counter(calls)
