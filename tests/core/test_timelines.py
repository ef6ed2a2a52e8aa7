"""Where a notice stands, whatever time it claims, and what a retired device may still show."""

from __future__ import annotations

from builders import NOON
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.core.identity import Standing
from p2pblog.core.timelines import is_shown, sort_time

TIMES = st.integers(0, 2**53 - 1)
YEAR = 365 * 24 * 3600 * 1000


def test_a_clock_a_year_ahead_gains_nothing() -> None:
    assert sort_time(NOON + YEAR, NOON, None, None) == NOON


def test_a_clock_a_year_behind_stays_behind_but_never_before_its_predecessor() -> None:
    assert sort_time(NOON - YEAR, NOON, None, None) == NOON - YEAR
    assert sort_time(NOON - YEAR, NOON, NOON - 5, None) == NOON - 5


@given(st.lists(st.tuples(TIMES, TIMES), max_size=20))
def test_a_log_received_in_order_stands_in_order(entries: list[tuple[int, int]]) -> None:
    before = None
    for time_ms, first_seen_ms in entries:
        place = sort_time(time_ms, first_seen_ms, before, None)
        assert before is None or place >= before
        assert before is not None or place <= first_seen_ms
        before = place


@given(TIMES, TIMES, TIMES, TIMES)
def test_a_gap_is_filled_between_its_neighbours(time_ms: int, seen: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert low <= sort_time(time_ms, seen, low, high) <= high


def test_only_what_the_identity_vouches_for_is_shown() -> None:
    assert is_shown(Standing(False), 2**32 - 1)
    assert is_shown(Standing(True, 7, None), 7)
    assert not is_shown(Standing(True, 7, None), 8)
    assert not is_shown(Standing(True, 0, None), 1)
    assert not is_shown(None, 1)
