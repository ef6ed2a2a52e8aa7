"""Who votes twice, late or for nothing does not count, whatever order the votes come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pblog.core.keys import EntryId
from p2pblog.core.polls import Ballot, Poll, tally

CLOSES = 1_000
POLL = Poll(("tea", "coffee", "water"), CLOSES)


def vote(voter: int, choice: int, *, log: int = 0, seq: int = 2, place: int = 10, tie: int = 0) -> Ballot:
    """`log`: which of the voter's devices; `tie`: the first byte of the entry's id."""
    return Ballot(voter, 10 * voter + log, seq, place, EntryId(bytes([tie, voter]) + bytes(30)), choice, voter == 7)


def test_each_person_counts_once() -> None:
    ballots = [vote(1, 1), vote(2, 3), vote(3, 3), vote(3, 1, seq=3), vote(7, 2)]
    counted = tally(POLL, ballots)
    assert counted.votes == (1, 1, 2)
    assert (counted.voters, counted.own, counted.own_vote) == (4, 2, vote(7, 2).id)
    assert tally(POLL, ballots[:4]).own is None


def test_a_vote_counts_up_to_the_moment_at_which_the_poll_closes() -> None:
    assert tally(POLL, [vote(1, 1, place=CLOSES - 1), vote(2, 1, place=CLOSES)]).votes == (2, 0, 0)
    assert tally(POLL, [vote(1, 1, place=CLOSES + 1)]).votes == (0, 0, 0)


def test_a_vote_for_what_is_not_there_neither_counts_nor_stands_in_the_way() -> None:
    assert tally(POLL, [vote(1, 4), vote(1, 3, seq=3)]).votes == (0, 0, 1)


def test_on_one_device_the_lower_number_is_first_also_at_one_place() -> None:
    """The places of two votes that came together are one; whoever saw them come apart must count the same."""
    assert tally(POLL, [vote(1, 2, seq=9, tie=1), vote(1, 1, seq=5, tie=2)]).votes == (1, 0, 0)


def test_of_two_devices_the_earlier_place_is_first_then_the_lower_id() -> None:
    phone, laptop = vote(1, 1, place=20, tie=1), vote(1, 2, log=1, seq=50, place=10, tie=2)
    assert tally(POLL, [phone, laptop]).votes == (0, 1, 0)
    phone = vote(1, 1, place=10, tie=1)
    assert tally(POLL, [phone, laptop]).votes == tally(POLL, [laptop, phone]).votes == (1, 0, 0)


VOTES = st.builds(
    vote,
    st.integers(1, 3),
    st.integers(1, 4),
    log=st.integers(0, 1),
    seq=st.integers(2, 5),
    place=st.integers(CLOSES - 2, CLOSES + 2),
    tie=st.integers(0, 255),
)


@given(st.lists(VOTES, max_size=12, unique_by=(lambda each: (each.log, each.seq), lambda each: each.id)), st.data())
def test_the_order_in_which_votes_come_does_not_matter(ballots: list[Ballot], data: st.DataObject) -> None:
    assert tally(POLL, ballots) == tally(POLL, data.draw(st.permutations(ballots)))
