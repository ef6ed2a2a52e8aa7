"""Pictures of results, by matplotlib: one curve for each scenario and size, a band where there are several seeds."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from p2pblog import extras
from p2pblog.core.value import Value
from p2pblog.errors import UserError
from p2pblog.sim.aims import figure_at
from p2pblog.sim.compare import grouped
from p2pblog.sim.folder import SEED_FOLDER, Result

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Told apart by the colour-blind too (Okabe and Ito 2008)."""
STROKES = ("-", "--", "-.", ":")
"""A second mark beside the colour, for print and for more curves than colours."""
SIZE_INCHES = (8.0, 4.5)
DOTS_PER_INCH = 100
POINTS_MAX = 4_000
"""Dots of one picture; more are black."""
DUPLICATES_SHOWN = 0.02
"""The axis goes so far at least: twice the aim, so that none look like none."""

LOG_STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Which numbers of a decade a logarithmic axis may name, the finest first."""
DIGIT_INCHES = 0.09
"""How wide a digit of an axis is, in the size that matplotlib gives it (10 points)."""

LABELS_WITHIN_MAX = 8
"""More curves than that are named beside the picture: within it they would cover what is drawn."""

Rows = list[tuple[float, ...]]


class Curves(Value):
    """The runs of one scenario and size, which are drawn together."""

    label: str
    colour: str
    stroke: str
    results: tuple[Result, ...]

    def series(self, table: str, *names: str) -> list[Rows]:
        """The rows of each run that has some."""
        return [rows for rows in (result.column(table, *names) for result in self.results) if rows]


def draw_all(results: Sequence[Result], place: Path) -> list[Path]:
    """Draw every picture for which the results have something, into `place`; gives the files.

    Raises UserError where matplotlib is missing, nothing could be drawn, or the place can't be written to.
    """
    wanted = {place / f"{name}.png": name for name in PICTURES}
    written = [path for path, name in wanted.items() if draw(name, results, path)]
    if not written:
        raise UserError(f"the results in {place} have no tables to draw from: run them with --out")
    return written


def draw(name: str, results: Sequence[Result], path: Path) -> bool:
    """Draw one picture of PICTURES into a file, unless the results have nothing for it. Raises UserError."""
    figure = _matplotlib()(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    if not PICTURES[name](figure, curves(results)):
        return False
    try:
        figure.savefig(path, metadata={"Software": None})
    except OSError as error:
        raise UserError(f"can't write to {path}: {error.strerror}") from error
    return True


def _matplotlib() -> Callable[..., Any]:
    """The class of figures. No window system is asked: a figure of its own draws to memory."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        hint = extras.install(extras.MATPLOTLIB)
        raise UserError("pictures need matplotlib, which is not installed", hint) from error
    made: Callable[..., Any] = Figure
    return made


def curves(results: Sequence[Result]) -> list[Curves]:
    """What is drawn together, each with a colour and a stroke of its own."""
    drawn = [
        (_label(group, place, runs), runs)
        for group, all_runs in grouped(results).items()
        for place, runs in _apart(all_runs).items()
    ]
    return [
        Curves(label, COLOURS[at % len(COLOURS)], STROKES[at // len(COLOURS) % len(STROKES)], tuple(runs))
        for at, (label, runs) in enumerate(drawn)
    ]


def _apart(results: Sequence[Result]) -> dict[str, list[Result]]:
    """By folders, where a seed is there twice: those of before and after a change are no band of one curve. All
    together, under no name, where each is there once."""
    places = [result.place.absolute() for result in results]
    homes = [place.parent if re.fullmatch(f"{SEED_FOLDER}[0-9]+", place.name) else place for place in places]
    top = Path(os.path.commonpath(homes))
    parts: dict[str, list[Result]] = {}
    for depth in range(1 + max(len(home.relative_to(top).parts) for home in homes)):
        parts = {}
        for home, result in zip(homes, results, strict=True):
            name = "/".join(home.relative_to(top).parts[:depth])
            parts.setdefault(name or top.name * bool(depth), []).append(result)
        if not any(_is_doubled(runs) for runs in parts.values()):
            break
    return parts


def _is_doubled(runs: Sequence[Result]) -> bool:
    kept = Counter((run.document["scenario"], run.document["nodes"], run.document["seed"]) for run in runs)
    return max(kept.values()) > 1


def _label(group: tuple[str, int], place: str, runs: Sequence[Result]) -> str:
    seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
    return _plain(f"{group[0]}, {group[1]:,} nodes{_where(place)}{seeds}")


def _where(place: str) -> str:
    return f", in {place}" if place else ""


def _plain(label: str) -> str:
    """A label as it is spelled. matplotlib takes what stands between two dollars for mathematics, and leaves out of the
    legend what begins with an underscore."""
    return (" " if label.startswith("_") else "") + label.replace("$", r"\$")


# --- pictures ---------------------------------------------------------------------------------------------------------


def _delivery(figure: Any, groups: Sequence[Curves]) -> bool:
    """How long a notice takes: while one is on line, and after coming back."""
    ways = [
        ("Writing to delivery, both on line", ("warm_ms", "cold_ms")),
        ("Back on line to delivery", ("catch_up_ms",)),
    ]
    ways = [(title, names) for title, names in ways if any(each.series("delivery", names[0]) for each in groups)]
    if not ways:
        return False
    for axes, (title, names) in zip(_panels(figure, len(ways)), ways, strict=True):
        for each in groups:
            for name, stroke in zip(names, STROKES, strict=False):
                kind = {"warm_ms": "", "cold_ms": " (first notices)", "catch_up_ms": ""}[name]
                _distribution(axes, each, each.series("delivery", "share", name), each.label + kind, stroke)
        _finish(axes, title, "milliseconds", "deliveries", logarithmic=True)
        _percent(axes)
    return True


def _coverage(figure: Any, groups: Sequence[Curves]) -> bool:
    """Who has what while it happens, with what was done to the network behind it."""
    axes = figure.subplots()
    drawn = False
    for each in groups:
        tables = each.series("coverage", "at_s", "pairs", "held")
        runs: list[Rows] = [[(at, held / pairs) for at, pairs, held in rows if pairs] for rows in tables]
        if any(runs):
            drawn = True
            at, low, middle, high = _across(runs)
            axes.plot(at, middle, color=each.colour, linestyle=each.stroke, label=each.label)
            axes.fill_between(at, low, high, color=each.colour, alpha=0.2, linewidth=0)
    for kind, begin_s, end_s in _episodes(groups):
        if begin_s == end_s:
            axes.axvline(begin_s, color="#777777", linewidth=1, label=kind)
        else:
            axes.axvspan(begin_s, end_s, color="#999999", alpha=0.25, linewidth=0, label=kind)
    _finish(
        axes,
        "Notices held by followers on line",
        "seconds of virtual time",
        "recent notices held",
        legend="lower right",
    )
    _percent(axes, from_zero=False)
    return drawn


def _episodes(groups: Sequence[Curves]) -> Iterator[tuple[str, float, float]]:
    """What was done to the network and for how long, each once."""
    seen: set[tuple[str, float, float]] = set()
    named: set[str] = set()
    for each in groups:
        episodes = each.results[0].document.get("episodes", ())
        for episode in (one for asked in episodes for one in asked.get("drawn", [asked])):
            key = (str(episode["kind"]), float(episode["from_s"]), float(episode["to_s"]))
            if key not in seen:
                seen.add(key)
                yield (key[0] if key[0] not in named else "_" + key[0], key[1], key[2])  # "_": not in the legend again
                named.add(key[0])


def _duplicates(figure: Any, groups: Sequence[Curves]) -> bool:
    """Copies that nobody needed, notice by notice."""
    axes = figure.subplots()
    highest = 0.0
    drawn = False
    for each in groups:
        runs = each.series("notices", "written_s", "first", "deliveries", "copies")
        rows = sorted(row for run in runs for row in run if row[2])
        rows = rows[:: max(1, len(rows) // POINTS_MAX)]
        for first, marker, kind in ((0.0, ".", ""), (1.0, "^", " (first notices)")):
            points = [(at, copies / deliveries - 1) for at, is_first, deliveries, copies in rows if is_first == first]
            if points:
                drawn, highest = True, max(highest, *(excess for _, excess in points))
                axes.plot(*zip(*points, strict=True), marker, color=each.colour, alpha=0.6, label=each.label + kind)
    _finish(axes, "Duplicates of each notice", "written at, seconds of virtual time", "copies beyond one a delivery")
    axes.set_ylim(-0.1 * max(DUPLICATES_SHOWN, highest), 1.1 * max(DUPLICATES_SHOWN, highest))
    return drawn


def _bytes(figure: Any, groups: Sequence[Curves]) -> bool:
    """What taking part costs each node."""
    axes = figure.subplots()
    drawn = False
    for each in groups:
        runs: list[Rows] = []
        for result in each.results:
            seconds = figure_at(result.document, "virtual_s") or 1.0
            rates = sorted(sent / seconds for (sent,) in result.column("nodes", "bytes_sent"))
            runs.append([((at + 1) / len(rates), rate) for at, rate in enumerate(rates)])
        drawn = _distribution(axes, each, runs, each.label, each.stroke) or drawn
    _finish(axes, "Traffic of each node", "bytes sent a second, over the whole run", "nodes", logarithmic=True)
    _percent(axes)
    return drawn


def _lookups(figure: Any, groups: Sequence[Curves]) -> bool:
    """How long the DHT takes."""
    axes = figure.subplots()
    drawn = False
    for each in groups:
        rows = each.series("lookups", "share", "lookup_ms")
        drawn = _distribution(axes, each, rows, each.label, each.stroke) or drawn
        stored = each.series("lookups", "share", "acked_ms")
        drawn = _distribution(axes, each, stored, f"{each.label}: published to 8", ":") or drawn
    _finish(axes, "Look-ups in the DHT", "milliseconds", "look-ups", logarithmic=True)
    _percent(axes)
    return drawn


def _dead(figure: Any, groups: Sequence[Curves]) -> bool:
    """The DHT's latency against the share of dead nodes, where nothing else is wrong."""
    found = [result for each in groups for result in each.results if _dead_alone(result) is not None]
    parts = _apart(found) if found else {}
    parts = {place: runs for place, runs in parts.items() if len({_dead_alone(run) for run in runs}) > 1}
    if not parts:
        return False
    axes = figure.subplots()
    for at, (place, runs) in enumerate(parts.items()):
        shares = sorted({_dead_alone(run) or 0.0 for run in runs})
        for name, number, marker in (("p50_ms", 2 * at, "o-"), ("p99_ms", 2 * at + 1, "s--")):
            values = [
                sorted(run.document["dht"][name] for run in runs if _dead_alone(run) == share) for share in shares
            ]
            percents, colour = [share * 100 for share in shares], COLOURS[number % len(COLOURS)]
            label = _plain(name[:3] + _where(place))
            axes.plot(percents, [_middle(each) for each in values], marker, color=colour, label=label)
            axes.fill_between(
                percents, [each[0] for each in values], [each[-1] for each in values], color=colour, alpha=0.2
            )
    _finish(axes, "Look-ups among dead nodes", "percent of the nodes that are dead", "milliseconds")
    axes.set_ylim(bottom=0)
    return True


def _dead_alone(result: Result) -> float | None:
    """The share of dead nodes of a run that looked things up; None where something else was wrong, too."""
    conditions = dict(result.document.get("conditions", ()))
    dead = conditions.pop("dead", None)
    if dead is None or not figure_at(result.document, "dht.lookups") or any(conditions.values()):
        return None
    return float(dead)


PICTURES: dict[str, Callable[[Any, Sequence[Curves]], bool]] = {
    "delivery": _delivery,
    "coverage": _coverage,
    "duplicates": _duplicates,
    "bytes": _bytes,
    "lookups": _lookups,
    "dead": _dead,
}
"""File name -> what draws it; it says whether there was something to draw."""


# --- shapes -----------------------------------------------------------------------------------------------------------


def _panels(figure: Any, count: int) -> list[Any]:
    return list(figure.subplots(1, count, squeeze=False)[0])


def _distribution(axes: Any, each: Curves, runs: Sequence[Rows], label: str, stroke: str) -> bool:
    """A cumulative curve: (share, value) rows of each seed; the band is between the least and the largest."""
    if not any(runs):
        return False
    shares, low, middle, high = _across(runs)
    axes.plot(middle, shares, color=each.colour, linestyle=stroke, label=label)
    axes.fill_betweenx(shares, low, high, color=each.colour, alpha=0.2, linewidth=0)
    return True


def _across(runs: Sequence[Rows]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Of several curves over the same places: the places, and at each the least, the middle and the largest."""
    values: dict[float, list[float]] = {}
    for rows in runs:
        for place, value in rows:
            values.setdefault(place, []).append(value)
    places = sorted(values)
    ranked = [sorted(values[place]) for place in places]
    return places, [each[0] for each in ranked], [_middle(each) for each in ranked], [each[-1] for each in ranked]


def _middle(ranked: Sequence[float]) -> float:
    return ranked[(len(ranked) - 1) // 2]


def _percent(axes: Any, from_zero: bool = True) -> None:
    """Shares up to 100%, with as many decimals as a tick has: 97.5% is not 98%."""
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
    axes.set_ylim(bottom=0 if from_zero else None, top=1.01)


def _one_two_five(axes: Any) -> None:
    """A logarithmic axis across what is drawn, with numbers that a person reads: 1, 2 and 5 of each decade, or 1 and 3,
    or 1 alone where the others would stand in each other's way."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    least, most = axes.get_xlim()
    long = axes.figure.get_figwidth() * axes.get_position().width
    steps = next((each for each in LOG_STEPS if _have_room(each, least, most, long)), LOG_STEPS[-1])
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _have_room(steps: Sequence[float], least: float, most: float, long: float) -> bool:
    """Whether the numbers at these steps of each decade fit side by side along a logarithmic axis of so many inches."""
    decades = range(floor(log10(least)), ceil(log10(most)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps if least <= step * 10.0**decade <= most]
    return all(
        long * log10(right / left) / log10(most / least)
        > DIGIT_INCHES * (len(f"{left:,g}") + len(f"{right:,g}") + 2) / 2
        for left, right in pairwise(ticks)
    )


def _finish(axes: Any, title: str, across: str, up: str, logarithmic: bool = False, legend: str = "best") -> None:
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if logarithmic and axes.lines:
        _one_two_five(axes)
    labels = len(axes.get_legend_handles_labels()[0])
    if labels > LABELS_WITHIN_MAX:
        axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    elif labels:
        axes.legend(fontsize="small", framealpha=0.9, loc=legend)
