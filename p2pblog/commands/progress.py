"""Bars on a terminal that show how far something is that takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

PARTS = 1_000
"""In how many steps a bar of shares moves: more than any terminal has columns."""
BAR_COLUMNS = 36
"""As click has it."""


@contextmanager
def count_bar(
    label: str, due: int, columns: int = BAR_COLUMNS, *, is_wanted: bool = True
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; beside the output, so that `--json` stays one document. Called with how
    many of those that are due are done."""
    if not is_wanted or sys.stderr is None or not sys.stderr.isatty():
        yield lambda count: None
        return
    with click.progressbar(length=max(1, due), label=label, width=columns, file=sys.stderr, show_pos=False) as bar:
        yield lambda count: bar.update(max(0, min(count, due) - bar.pos))


@contextmanager
def share_bar(label: str, columns: int = BAR_COLUMNS) -> Iterator[Callable[[float], None]]:
    """The same, called with which share of all is done."""
    with count_bar(label, PARTS, columns) as done:
        yield lambda share: done(round(share * PARTS))
