"""Garbage of a run: looked for between its steps, so seldom that looking takes a twentieth of the time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 20
"""So many times as long as the last look took must have passed before the next one."""


@contextmanager
def seldom(tick: Callable[[float], None]) -> Iterator[Callable[[float], None]]:
    """Python does not look for garbage by itself meanwhile; whoever ticks with what this gives does now and then.

    Both ends of a closed link name each other and wait to be found. Python looks whenever a quarter more objects have
    come up, and those of thousands of nodes, which all stay, are looked through each time: over half of all time while
    2,000 nodes make their links.
    """
    was_on = gc.isenabled()
    gc.disable()
    looked = took = 0.0

    def looking(share: float) -> None:
        nonlocal looked, took
        now = time.perf_counter()
        if now - looked >= SHARE * took:
            gc.collect()
            looked = time.perf_counter()
            took = looked - now
        tick(share)

    try:
        yield looking
    finally:
        if was_on:
            gc.enable()
