"""What goes first when room is needed: the order over all logs, and what never goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import CHECKPOINT_EVERY, NEWEST_FIRST
from p2pblog.core.keys import DeviceKey
from p2pblog.core.room import Closeness, Cut, Share, closeness, cut_of, files_max_of, target_of, turn_of
from p2pblog.pruning import Pruning

FOLLOWED = (Closeness.MUTED, Closeness.FOLLOWED, Closeness.CLOSE)


def device(number: int) -> DeviceKey:
    return DeviceKey(number.to_bytes(32, "big"))


def share(number: int, near: Closeness, low: int, high: int, oldest_ms: int = 0, stays: int | None = None) -> Share:
    return Share(device(number), near, low, high, oldest_ms, (near in FOLLOWED) if stays is None else stays)


def all_cuts(shares: list[Share]) -> list[tuple[Share, Cut]]:
    """All that goes, one after the other; entry `n` of each log stands 10 ms after the one before it."""
    plan, cuts = Pruning.of(shares), []
    while (due := plan.next()) is not None:
        cuts.append(due)
        whose, cut = due
        if cut.device is not None:
            plan.cut(whose, cut.up_to + 1, whose.oldest_ms + 10 * (cut.up_to + 1 - whose.low))
    return cuts


def test_how_near_somebody_is() -> None:
    assert closeness(False, True, True, True) == Closeness.STRANGER
    assert closeness(True, True, True, True) == Closeness.MUTED
    assert closeness(True, False, False, False) == Closeness.FOLLOWED
    assert closeness(True, False, True, False) == closeness(True, False, False, True) == Closeness.CLOSE


def test_a_piece_ends_on_a_checkpoint_or_where_the_newest_begin() -> None:
    near = Closeness.FOLLOWED
    assert cut_of(share(1, near, 1, 1_000)).up_to == 64
    assert cut_of(share(1, near, 64, 1_000)).up_to == 64
    assert cut_of(share(1, near, 65, 1_000)).up_to == 128
    assert cut_of(share(1, near, 940, 1_000)).up_to == 950
    assert cut_of(share(1, near, 951, 1_000)).up_to == 960  # of the newest, now that their turn has come
    assert cut_of(share(1, near, 999, 1_000)).up_to == 999
    assert turn_of(share(1, near, 1_000, 1_000)) is None
    assert cut_of(share(1, Closeness.STRANGER, 990, 1_000)).up_to == 1_000
    assert turn_of(share(1, Closeness.STRANGER, 951, 1_000, stays=NEWEST_FIRST)) is None  # relayed for others


def test_the_oldest_of_those_followed_least_go_first() -> None:
    strays = Share(None, Closeness.STRAY, 0, 0, 0)
    shares = [
        share(1, Closeness.CLOSE, 1, 100, 0),
        share(2, Closeness.FOLLOWED, 1, 100, 500),
        share(3, Closeness.FOLLOWED, 1, 100, 400),
        share(4, Closeness.MUTED, 1, 100, 900),
        share(5, Closeness.STRANGER, 1, 100, 1_000),
        strays,
    ]
    cuts = all_cuts(shares)
    order = [int.from_bytes(whose.device or b"", "big") for whose, _ in cuts]
    assert order == [5, 5, 0, 4, 3, 2, 1, 4, 4, 3, 2, 3, 2, 1, 1]  # then the newest 50 of each
    assert [cut.up_to for whose, cut in cuts if whose.device == device(3)] == [50, 64, 99]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Closeness.STRANGER, *FOLLOWED]),
            st.integers(1, 300),
            st.integers(0, 500),
            st.integers(0, 5_000),
        ),
        max_size=6,
    )
)
def test_in_any_crowd(rows: list[tuple[Closeness, int, int, int]]) -> None:
    shares = [share(number, near, low, low + more, old) for number, (near, low, more, old) in enumerate(rows)]
    cuts = all_cuts(shares)
    left = {each.device: each.low for each in shares}
    high = {each.device: each.high for each in shares}
    for whose, cut in cuts:
        assert left[cut.device] == whose.low <= cut.up_to <= whose.low + CHECKPOINT_EVERY - 1  # never empty, never long
        left[cut.device] = cut.up_to + 1
    for each in shares:  # all of strangers, all but the last one of others
        assert left[each.device] == (each.high + 1 if each.closeness == Closeness.STRANGER else each.high)
    turns = [turn_of(whose) for whose, _ in cuts]
    by_kind = [turn[:2] for turn in turns if turn is not None]
    assert by_kind == sorted(by_kind)
    first_newest = next((at for at, turn in enumerate(by_kind) if turn[0]), len(cuts))
    for whose, cut in cuts[:first_newest]:
        if whose.closeness != Closeness.STRANGER:
            assert cut.up_to <= high[cut.device] - NEWEST_FIRST


def test_how_much_goes_and_what_files_may_take() -> None:
    assert target_of(2_000_000_000) == 1_800_000_000
    assert files_max_of(None, None) is None
    assert files_max_of(100, None) == files_max_of(100, 1_000) == 100
    assert files_max_of(900, 1_000) == files_max_of(None, 1_000) == 500
