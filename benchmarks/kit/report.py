"""What a benchmark found: figures beside a baseline of the same run, and whether they reach their aims."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pblog.sim.aims import Aim

ROUNDS = 5
"""Alternating runs of ours and of the baseline; their medians count, so one disturbed run changes nothing."""

Say = Callable[[str], None]
"""Tells a person what is being done now."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `aim` bounds either side: "ratio >= 20" or "figure <= 165". `value` or `baseline` is None where it
    could not be measured, as without a peer's software. `less_is_better`: of times and bytes."""

    name: str
    value: float | None
    unit: str
    aim: str = ""
    baseline: float | None = None
    less_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better than the baseline."""
        if not self.value or not self.baseline:
            return None
        return self.baseline / self.value if self.less_is_better else self.value / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where nothing says so."""
        if not self.aim:
            return None
        side, _, bound = self.aim.partition(" ")
        met: bool | None = Aim.parse(side, bound).judge({"figure": self.value, "ratio": self.ratio})["met"]
        return met

    def document(self) -> dict[str, Any]:
        return {
            "figure": _short(self.value),
            "unit": self.unit,
            "baseline": _short(self.baseline),
            "ratio": _short(self.ratio),
            "aim": self.aim,
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All that one benchmark found; the first figure stands for it. `facts`: what else helps to judge it."""

    figures: tuple[Figure, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def document(self, name: str) -> dict[str, Any]:
        """As `--json` prints it. `met` is of all the figures with an aim: null if one could not be measured, unless
        another one missed."""
        found = [figure.met for figure in self.figures if figure.aim]
        met = False if False in found else None if None in found else True
        others = {figure.name: figure.document() for figure in self.figures}
        return {"name": name, **self.figures[0].document(), "met": met, "details": {"figures": others, **self.facts}}


def alternate(ours: Callable[[], float], baseline: Callable[[], float], rounds: int = ROUNDS) -> tuple[float, float]:
    """(median of ours, median of the baseline's), measured in turn: what else the machine does meets both."""
    pairs = [(ours(), baseline()) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(value: float | None) -> float | None:
    """To four digits: no machine repeats the fifth."""
    return None if value is None else float(f"{value:.4g}")
