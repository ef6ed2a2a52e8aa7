"""What becomes garbage in a run is found between its steps, and Python looks by itself again afterwards."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from p2pblog.sim import garbage


class Ring:
    """Names itself, so nobody but a look for garbage ends it."""

    def __init__(self) -> None:
        self.self = self


def test_a_ring_is_found_by_a_tick_and_by_nothing_else() -> None:
    shares: list[float] = []
    with garbage.seldom(shares.append) as looking:
        assert not gc.isenabled()
        ring = weakref.ref(Ring())
        assert ring() is not None
        looking(0.5)
        assert ring() is None
    assert shares == [0.5]
    assert gc.isenabled()


def test_a_run_that_fails_leaves_python_looking_again() -> None:
    with pytest.raises(ZeroDivisionError), garbage.seldom(lambda share: None) as looking:
        looking(1 / 0)
    assert gc.isenabled()


def test_a_look_waits_for_twenty_times_what_the_last_one_took(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    now = 100.0

    def look() -> None:
        nonlocal now
        looks.append(now)
        now += 2.0

    monkeypatch.setattr(gc, "collect", look)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    with garbage.seldom(lambda share: None) as looking:
        looking(0.1)
        now = 141.0
        looking(0.2)
        now = 142.0
        looking(0.3)
    assert looks == [100.0, 142.0]
