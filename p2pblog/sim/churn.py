"""Churn: nodes that come and go, by published distributions or by a trace, and in what state they come back.

What is known of real networks: sessions are heavy tailed, so most are short and most of the time is spent in long ones.
Times are drawn in decimal arithmetic (sim/chance.py), so a seed gives the same sessions on any machine.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from p2pblog.core.value import Value
from p2pblog.errors import UsageError
from p2pblog.sim.chance import generator, log_normal_us, weibull_us
from p2pblog.sim.loop import SECOND_US
from p2pblog.sim.scenario import Churn
from p2pblog.sim.sessions import Disk, End

if TYPE_CHECKING:
    from p2pblog.sim.world import World

MINUTE_S = 60
SHAPE_MIN, SHAPE_MAX = Decimal("0.05"), Decimal(20)
SIGMA_MAX = Decimal(10)
"""Measured ones lie between 0.3 and 1, and below 3. Far from these a draw takes minutes of decimal arithmetic."""


class Weibull(Value):
    """`scale_s` in seconds, `shape` as its decimal spelling."""

    scale_s: float
    shape: str

    def draw_us(self, rng: Random) -> int:
        return weibull_us(rng, int(self.scale_s * SECOND_US), self.shape)


class LogNormal(Value):
    """`median_s` in seconds, `sigma` of the logarithm as its decimal spelling."""

    median_s: float
    sigma: str

    def draw_us(self, rng: Random) -> int:
        return log_normal_us(rng, int(self.median_s * SECOND_US), self.sigma)


Times = Weibull | LogNormal

PRESETS: dict[str, Times] = {
    "bittorrent-34": Weibull(21 * MINUTE_S, "0.34"),
    "bittorrent-38": Weibull(42 * MINUTE_S, "0.38"),
    "bittorrent-59": Weibull(42 * MINUTE_S, "0.59"),
    "ipfs": Weibull(13_160, "0.608"),
    "ipfs-log-normal": LogNormal(7_200, "1.647"),
    "bamboo": Weibull(121.2, "1"),
}
"""Sessions as others measured them.

bittorrent-*: three BitTorrent communities, Weibull with shapes 0.34, 0.38 and 0.59 and scales of 21, 42 and 42 min
(Stutzbach and Rejaie, Understanding churn in peer-to-peer networks, IMC 2006; quoted after later papers).
ipfs: half of the sessions end within 2 h, 80% within 8 h (probe-lab, network-measurements RFM 2); the Weibull, and the
log-normal, that pass through both points. bamboo: a median of 1.4 min, exponential, the hardest churn under which
Bamboo's look-ups still worked (Rhea et al., Handling churn in a DHT, USENIX 2004): its scale is 84 s / ln 2."""


def times_of_sessions(churn: Churn) -> Times:
    """How long sessions last. Raises UsageError."""
    return times_of(churn.sessions, churn.scale_s, churn.shape, churn.median_s, churn.sigma)


def times_of_pauses(churn: Churn) -> Times:
    """How long somebody is away: as long as sessions last, unless said otherwise. Raises UsageError."""
    if not churn.pauses:
        return times_of_sessions(churn)
    return times_of(churn.pauses, churn.pause_scale_s, churn.pause_shape, churn.pause_median_s, churn.pause_sigma)


def times_of(name: str, scale_s: float, shape: str, median_s: float, sigma: str) -> Times:
    """The distribution that a scenario names. Raises UsageError."""
    if name == "weibull":
        chosen: Times = Weibull(scale_s, shape)
    elif name == "log-normal":
        chosen = LogNormal(median_s, sigma)
    elif name in PRESETS:
        chosen = PRESETS[name]
    else:
        raise UsageError(f"there are no sessions called {name}; there are weibull, log-normal, {', '.join(PRESETS)}")
    typical_s = chosen.scale_s if isinstance(chosen, Weibull) else chosen.median_s
    if typical_s < 1:
        raise UsageError(f"sessions of {name} need a {'scale' if name == 'weibull' else 'median'} of a second or more")
    _check_form(name, chosen)
    return chosen


def _check_form(name: str, chosen: Times) -> None:
    """Raises UsageError for a shape or a sigma that no sessions have, and that might take for ever to draw by."""
    key, text = ("shape", chosen.shape) if isinstance(chosen, Weibull) else ("sigma", chosen.sigma)
    least, most = (SHAPE_MIN, SHAPE_MAX) if key == "shape" else (Decimal(0), SIGMA_MAX)
    try:
        fits = least <= Decimal(text) <= most
    except ArithmeticError:
        fits = False
    if not fits:
        what = f"{key} is {text!r}" if text else f"there is no {key}"
        raise UsageError(f'sessions of {name} need a {key} from {least} to {most} as a text, such as "0.6"; {what}')


def plan_churn(world: World, churn: Churn) -> set[int]:
    """Plan the sessions of every node but the first `steady` and the newcomers; gives those that are off line at the
    beginning."""
    if churn.trace:
        return _plan_trace(world, churn)
    sessions, pauses = times_of_sessions(churn), times_of_pauses(churn)
    asleep: set[int] = set()
    for number in range(churn.steady, world.settled):
        life = _Life(world, churn, number, sessions, pauses)
        if life.rng.random() < churn.online:
            life.plan_end(int(world.scenario.start.within_s * SECOND_US))
        else:
            asleep.add(number)
            life.plan_return(0, Disk.INTACT)
    return asleep


class _Life:
    """One node's sessions, each planned when the one before has ended."""

    def __init__(self, world: World, churn: Churn, number: int, sessions: Times, pauses: Times) -> None:
        self.rng = generator(world.seed, "churn", number)
        self._world = world
        self._churn = churn
        self._number = number
        self._sessions = sessions
        self._pauses = pauses
        self._until_us = int((churn.until_s or world.scenario.duration_s) * SECOND_US)

    def plan_end(self, begun_us: int) -> None:
        end, disk = draw_end(self.rng, self._churn)
        at_us = begun_us + self._sessions.draw_us(self.rng)
        if at_us >= self._until_us:
            return
        if disk is Disk.PUT_BACK:
            earlier_us = max(begun_us, at_us - int(self._churn.rollback_s * SECOND_US))
            self._world.loop.at(earlier_us, self._world.nodes[self._number].take_snapshot)
        self._world.loop.at(at_us, self._end, end, disk)

    def _end(self, end: End, disk: Disk) -> None:
        self._world.stop(self._number, end)
        self.plan_return(self._world.loop.now_us, disk)

    def plan_return(self, gone_us: int, disk: Disk) -> None:
        at_us = gone_us + self._pauses.draw_us(self.rng)
        if at_us < self._until_us:
            self._world.loop.at(at_us, self._return, disk)

    def _return(self, disk: Disk) -> None:
        self._world.wake(self._number, disk)
        self.plan_end(self._world.loop.now_us)


def draw_end(rng: Random, churn: Churn) -> tuple[End, Disk]:
    """How a session ends, and what is on the disk when the next one begins."""
    if rng.random() < churn.leave:
        return End.LEAVE, Disk.INTACT
    end = End.DARK if rng.random() < churn.dark else End.KILL
    chance = rng.random()
    if chance < churn.rollback:
        return end, Disk.PUT_BACK
    return end, Disk.LOST if chance < churn.rollback + churn.lost else Disk.INTACT


# --- traces -----------------------------------------------------------------------------------------------------------


def _plan_trace(world: World, churn: Churn) -> set[int]:
    """Sessions from a file; a node that it does not name is never on line, except the steady ones."""
    until_us = int((churn.until_s or world.scenario.duration_s) * SECOND_US)
    asleep = set(range(churn.steady, world.settled))
    for number, spells in sorted(read_trace(churn.trace).items()):
        if not churn.steady <= number < world.settled:
            continue
        rng = generator(world.seed, "churn", number)
        disk = Disk.INTACT
        for start_us, end_us in spells:
            if start_us == 0:
                asleep.discard(number)
            elif start_us < until_us:
                world.loop.at(start_us, world.wake, number, disk)
            end, disk = draw_end(rng, churn)
            if end_us >= until_us:
                continue
            if disk is Disk.PUT_BACK:
                earlier_us = max(start_us, end_us - int(churn.rollback_s * SECOND_US))
                world.loop.at(earlier_us, world.nodes[number].take_snapshot)
            world.loop.at(end_us, world.stop, number, end)
    return asleep


def read_trace(path: str) -> dict[int, list[tuple[int, int]]]:
    """Node -> its sessions as (start, end) in microseconds, in order. The file is CSV; its first line names the columns
    node, start_s and end_s. Raises UsageError."""
    spells: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    at = 1
    try:
        with Path(path).open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            for row in rows:
                at = rows.line_num
                start_us, end_us = (int(float(row[name]) * SECOND_US) for name in ("start_s", "end_s"))
                spells[int(row["node"])].append((start_us, end_us))
    except OSError as error:
        raise UsageError(f"the trace {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the trace {path} is no text in UTF-8") from error
    except KeyError as error:
        raise UsageError(f"the trace {path} is no CSV whose first line names node, start_s and end_s") from error
    except (TypeError, ValueError, OverflowError, csv.Error) as error:
        raise UsageError(f"the trace {path} has no node and two times in its line {at:,}") from error
    for number, listed in spells.items():
        listed.sort()
        ends = [0, *(end for _start, end in listed)]
        if any(start < before or start >= end for before, (start, end) in zip(ends, listed, strict=False)):
            raise UsageError(f"the trace {path} has sessions of node {number} that overlap or end before they begin")
    return dict(spells)
