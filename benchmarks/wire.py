"""Bytes on the socket: a notice in a run and live, coming back, and a day with 1,000 authors beside Scuttlebutt's.

Two nodes over TCP on loopback, and between them a forwarder that counts what passes in both directions: Noise and
frames are in it, TCP's own headers are not.
"""

from __future__ import annotations

import random
import secrets
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import trio

from benchmarks.kit import peers
from benchmarks.kit.counted import Counted, counting
from benchmarks.kit.notices import Author, author, text, write_log
from benchmarks.kit.report import ROUNDS, Figure, Report, Say
from benchmarks.kit.wired import Wired, at_work, filled, wall_ms
from p2pblog.config import NETWORK_ID
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import KeyPair
from p2pblog.core.payload import Note, encode
from p2pblog.store.memory import MemoryStore
from p2pblog.transport.handshake import Handshake, make_credentials

FEEDS = 20
NOTICES = 1_000
"""Feeds whose history is fetched, and the notices of each."""
AUTHORS = 1_000
A_DAY = 4_600
"""Whom a node follows, and what they write in a day."""
LIVE = 200
SETTLED_S = 0.5
"""By when all is said that an idle link says because it was made, mostly before the first ping, of 44 bytes."""
QUIET_LINKS = 10
QUIET_FIRST_S = 60.0
QUIET_S = 150.0
"""How many links are listened to while nothing happens, from when on and for how long: three pings on each."""
APART_S = 0.4
"""How long one node starts after another, so that they do not look whether all is quiet at the same moment."""
NOWHERE = Endpoint("127.0.0.1", 1)
"""Where nobody answers."""
TELLING_S = 3.0
"""By when all is said of 1,000 feeds that have changed."""
LINK_ENDS_S = 0.3
SSB_TIMEOUT_S = 600.0
"""For Scuttlebutt's day, which takes two minutes."""
SSB_IDLE_S = 5.0
"""How long its script listens to a quiet link."""
DAY_S = 24 * 3600


def measure(say: Say) -> Report:
    say(f"{FEEDS} feeds of {NOTICES} notices, then {LIVE} live ones")
    in_run, live = trio.run(_history_and_live)
    say(f"a day with {AUTHORS} authors and {A_DAY} notices")
    day = trio.run(_day)
    say(f"{QUIET_LINKS} quiet links, where nobody else is known and where somebody is")
    for name, others in (("idle_alone_a_day", ()), ("idle_a_day", (NOWHERE,))):
        day[name] = round(trio.run(_quiet, others) * DAY_S / QUIET_S / QUIET_LINKS)
    say("the same between two ssb-db2 peers")
    theirs = _ssb_day(say)
    return Report(
        (
            Figure("a notice in a run", in_run, "bytes", "figure <= 165", less_is_better=True),
            Figure("a live notice", live, "bytes", "figure <= 260", less_is_better=True),
            Figure("idle reconnect", day["idle_reconnect"], "bytes", "figure < 100", less_is_better=True),
            *_day_figures(day, theirs),
        ),
        {"handshake_bytes": _handshake_bytes(), "day": day, "ssb_day": theirs},
    )


def _day_figures(ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[Figure]:
    """The day from four sides: its notices alone, with coming back in the morning, and with pings around the clock on
    the only link, where there is nobody else to dial if it should be gone, and where there is."""
    came_back = ("notices", "reconnect")
    parts = {
        "a day's notices": ("notices",),
        "with coming back": came_back,
        "on a link all day": (*came_back, "idle_alone_a_day"),
        "where others are known": (*came_back, "idle_a_day"),
    }
    theirs = None if theirs is None else {**theirs, "idle_alone_a_day": theirs["idle_a_day"]}
    return [
        Figure(
            name,
            sum(ours[part] for part in summed),
            "bytes",
            "ratio >= 2",
            None if theirs is None else sum(theirs[part] for part in summed),
            less_is_better=True,
        )
        for name, summed in parts.items()
    ]


# --- one feed after the other -----------------------------------------------------------------------------------------


async def _history_and_live() -> tuple[float, float]:
    """Bytes for each notice: of whole feeds that a newcomer fetches, and of single ones as they are written."""
    authors = [author(f"author {number}") for number in range(FEEDS)]
    logs = [write_log(of, NOTICES, sign_all=False) for of in authors]
    held, fetched = await filled(authors, logs), await filled(authors)
    async with (
        at_work("holder", held) as holder,
        counting(holder.endpoint) as counted,
        at_work("reader", fetched, counted.endpoint) as reader,
    ):
        await reader.until_holds(authors, sum(map(len, logs)))
        in_run = counted.total - _handshake_bytes()
        tips = [log[-1] for log in logs]
        await _write_live(holder, reader, authors, tips, FEEDS)  # each feed finds its way first
        before = counted.total
        await _write_live(holder, reader, authors, tips, LIVE)
        return in_run / (FEEDS * NOTICES), (counted.total - before) / LIVE


async def _write_live(holder: Wired, reader: Wired, authors: Sequence[Author], tips: list[Entry], notices: int) -> None:
    """So many notices by the authors in turn, each when the last one was stored at the reader; `tips` goes along."""
    held, rng = reader.holds(authors), random.Random(notices)
    for number in range(notices):
        turn = number % len(authors)
        payload = encode(Note(text(rng, number)))
        tips[turn] = write(authors[turn].device, tips[turn], wall_ms(), payload)
        await holder.publish(authors[turn], tips[turn])
        await reader.until_holds(authors, held + number + 1)


def _handshake_bytes() -> int:
    """What both sides send before the first message."""
    dialer, listener = (
        Handshake(
            make_credentials(KeyPair.from_seed(secrets.token_bytes(32)), secrets.token_bytes(32)),
            secrets.token_bytes(32),
            dialed=dialed,
            network_id=NETWORK_ID,
        )
        for dialed in (True, False)
    )
    first = dialer.start()
    second = listener.feed(first).send
    third = dialer.feed(second).send
    return len(first) + len(second) + len(third)


# --- a day ------------------------------------------------------------------------------------------------------------


async def _day() -> dict[str, Any]:
    """Bytes of a follower's day: it comes back in the morning, each author having written the day before, and hears a
    day's notices. `idle_reconnect`: messages of coming back when nothing has happened, the median of some rounds."""
    authors = [author(f"author {number}") for number in range(AUTHORS)]
    logs = [write_log(of, 1) for of in authors]
    tips = [log[-1] for log in logs]
    held, kept = await filled(authors, logs), await filled(authors)
    found: dict[str, Any] = {}
    async with at_work("holder", held) as holder, counting(holder.endpoint) as counted:
        async with at_work("reader", kept, counted.endpoint) as reader:
            await reader.until_holds(authors, 2 * AUTHORS)
            found["first"] = counted.total
            await _write_live(holder, reader, authors, tips, AUTHORS)
            await trio.sleep(SETTLED_S)
        await trio.sleep(LINK_ENDS_S)
        before = counted.total
        async with at_work("reader", kept, counted.endpoint) as reader:
            await trio.sleep(TELLING_S)
            found["reconnect"] = counted.total - before
            before = counted.total
            await _write_live(holder, reader, authors, tips, A_DAY)
            found["notices"] = counted.total - before
        await _come_back(counted, kept, TELLING_S)  # to tell what the day has changed
        rounds = [await _come_back(counted, kept, SETTLED_S) for _ in range(ROUNDS)]
        found["idle_reconnects"], found["idle_reconnect"] = rounds, statistics.median(rounds)
    return found


async def _quiet(others: Sequence[Endpoint]) -> int:
    """Bytes on all links together in QUIET_S. `others`: who is known besides to both ends."""
    async with AsyncExitStack() as pairs:
        counts = []
        for number in range(QUIET_LINKS):
            holder = await pairs.enter_async_context(at_work(f"holder {number}", MemoryStore(), *others))
            counts.append(await pairs.enter_async_context(counting(holder.endpoint)))
            await trio.sleep(APART_S)
            reader = at_work(f"reader {number}", MemoryStore(), counts[-1].endpoint, *others)
            await pairs.enter_async_context(reader)
        await trio.sleep(QUIET_FIRST_S)
        before = sum(counted.total for counted in counts)
        await trio.sleep(QUIET_S)
        return sum(counted.total for counted in counts) - before


async def _come_back(counted: Counted, store: MemoryStore, within_s: float) -> int:
    """Bytes of messages that a link takes, in so much time, to be where the last one ended."""
    await trio.sleep(LINK_ENDS_S)
    before = counted.total
    async with at_work("reader", store, counted.endpoint):
        await trio.sleep(within_s)
        return counted.total - before - _handshake_bytes()


def _ssb_day(say: Say) -> dict[str, Any] | None:
    folder, node = peers.installed("ssb", say), peers.node()
    if folder is None or node is None:
        return None
    command = [node, "day.js", str(AUTHORS), str(A_DAY)]
    found = peers.answer("ssb", command, say, folder=folder, timeout_s=SSB_TIMEOUT_S)
    return None if found is None else {**found, "idle_a_day": round(found["idle"] * DAY_S / SSB_IDLE_S)}
