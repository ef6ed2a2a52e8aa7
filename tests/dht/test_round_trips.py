"""How long answers take: what one of them may teach."""

from __future__ import annotations

from p2pblog.dht.round_trips import RoundTrips


def test_the_answer_that_lay_there_while_the_computer_slept_teaches_little() -> None:
    """Eight hours counted as a round trip: for a hundred answers no call was late, and look-ups stood still."""
    trips = RoundTrips()
    for _ in range(100):
        trips.sample(0.1)
    trips.sample(8 * 3600.0)
    assert trips.hedge_s(1.0) < 0.5
    for _ in range(20):
        trips.sample(0.1)
    assert trips.hedge_s(1.0) < 0.2 and trips.timeout_s < 0.5
