"""Homes made ready for a benchmark: keys, follows, and a store filled through its own interface with signed runs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import trio

from benchmarks.kit.notices import Author, write_log
from p2pblog import installation, keyring
from p2pblog.bridge import open_bridge
from p2pblog.config import RUN_ENTRIES_MAX
from p2pblog.core.logs import Batch
from p2pblog.home import Home
from p2pblog.store import Follow
from p2pblog.store.sqlite import open_sqlite

RUNS_PER_WRITE = 10
"""Runs handed to the store at once while a home is filled."""


def make_home(folder: Path, follows: Sequence[Author] = (), held: Iterable[Batch] = ()) -> Home:
    """A home that follows these authors from its first start on, marked as lying where it was made.

    `held`: runs of theirs that its store is to hold already, with the identities.
    """
    home = Home(folder)
    keyring.create(home, None, secrets.token_bytes(32))
    trio.run(_fill, home, follows, iter(held))
    installation.mark(home)
    return home


def logs_of(authors: Sequence[Author], notices: int) -> Iterator[Batch]:
    """The whole log of each: its first entry and so many notices, in runs, signed as at whoever received them."""
    for author in authors:
        entries = write_log(author, notices, sign_all=False)
        for at in range(0, len(entries), RUN_ENTRIES_MAX):
            yield Batch(author.hash, tuple(entries[at : at + RUN_ENTRIES_MAX]))


async def _fill(home: Home, follows: Sequence[Author], held: Iterator[Batch]) -> None:
    identities = {author.hash: author.identity for author in follows}
    now_ms = time.time_ns() // 1_000_000
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        try:
            for number, author in enumerate(follows):
                await store.put_follow(Follow(author.hash, None, now_ms + number))
            while runs := list(islice(held, RUNS_PER_WRITE)):
                for identity in {batch.identity: None for batch in runs}:
                    if (stated := identities.pop(identity, None)) is not None:
                        await store.put_identity(stated)
                await store.append(runs, now_ms)
        finally:
            await store.aclose()
