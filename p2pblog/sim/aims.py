"""Aims: what a scenario's figures are to reach, as its file says it. An aim that is missed is no violation."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from p2pblog.core.value import Value
from p2pblog.errors import UsageError
from p2pblog.gossip.messages import Message

if TYPE_CHECKING:
    from p2pblog.sim.scenario import Scenario

_COMPARES = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}
_AIM = re.compile(r"(<=|>=|<|>|=) *(-?[0-9]+(?:\.[0-9]+)?)")

_KINDS = tuple(kind.__name__ for kind in get_args(Message))


PAYLOADS = ("boost", "delete", "dm", "edit", "like", "note")
"""The types of entries that people write in a simulation, beside the first one of a log."""


def _below(table: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{table}.{name}" for name in names)


MEASURED: tuple[tuple[str, Callable[[Scenario], bool], tuple[str, ...]], ...] = (
    (
        "",
        lambda scenario: True,
        ("violations_total", "bytes_per_node_s", "virtual_s", "wall_s", "peak_mib"),
    ),
    (
        'kind = "gossip"',
        lambda scenario: scenario.kind == "gossip",
        (
            "delivered_ratio", "missed", "lost", *_below("latency_ms", "p50", "p90", "p99"),
            *(path for table in ("latency_cold_ms", "latency_warm_ms", "catch_up_ms")
              for path in _below(table, "p50", "p90", "p99", "max")),
            "rmr", "rmr_cold", "relay_share", "lazy_bytes_ratio", "last_hop", "notices", "pairs", "events",
            *_below("bytes_by_kind", *_KINDS), *_below("messages", *_KINDS),
        ),
    ),
    (
        'kind = "dht", or full = true',
        lambda scenario: scenario.kind == "dht" or scenario.full,
        _below("dht", "lookups", "p50_ms", "p99_ms"),
    ),
    (
        'kind = "dht"',
        lambda scenario: scenario.kind == "dht",
        (*_below("dht", "success_ratio", "hops_p50"), "datagrams",
         *_below("conditions", "dead", "liars", "colluders", "loss", "tail_share")),
    ),
    (
        "publishes in [dht]",
        lambda scenario: bool(scenario.dht.get("publishes")),
        _below("dht", "publishes", "acked_p50_ms", "acked_p99_ms", "publish_p99_ms", "holders_p50"),
    ),
    (
        "newcomers in [start]",
        lambda scenario: scenario.start.newcomers > 0,
        _below("newcomers", "pairs", "readable", "ratio"),
    ),
    (
        "a table [words]",
        lambda scenario: scenario.words is not None,
        (*_below("words", "refused", "shown", "boosts", "boosts_read", "addressed", "reached", "reached_ratio",
                 "letters", "read"),
         *_below("words.written", *PAYLOADS)),
    ),
    (
        "a fault of the kind relink",
        lambda scenario: any(fault.get("kind") == "relink" for fault in scenario.faults),
        (*_below("relink", "feeds", "bytes", "clock_bytes"), *_below("relink.bytes_by_kind", *_KINDS)),
    ),
)  # fmt: skip
"""What is measured: which scenarios have it, in a word and to be asked, and the paths into their documents."""
OF_PAIRS = ("missed", "last_hop")
"""Counts that are 0 where nobody could have had anything."""
NEAREST = 3
"""Paths that are offered for one that is none."""


class Aim(Value):
    """One figure of the document, by its path (`latency_ms.p99`), and the bound on it."""

    figure: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, figure: str, text: str) -> Aim:
        """From the two sides of a line in `[aims]`, as `rmr = "<= 0.01"`. Raises UsageError."""
        match = _AIM.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"the aim for {figure} is not a sign and a number, such as '<= 0.01': {text!r}")
        return cls(figure, match[1], float(match[2]))

    @property
    def text(self) -> str:
        return f"{self.sign} {self.bound:g}"

    def judge(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The aim beside what was measured. `met` is None where nothing was: that of no pair of a notice and a follower
        one is missed, says nothing."""
        value = None if self.figure in OF_PAIRS and not document.get("pairs") else figure_at(document, self.figure)
        met = None if value is None else _COMPARES[self.sign](value, self.bound)
        return {"figure": self.figure, "aim": self.text, "value": value, "met": met}


def figure_at(document: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted path; None where there is none."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def figures(scenario: Scenario) -> list[str]:
    """Every path at which a run of this scenario may have a number."""
    return [path for _, has, paths in MEASURED if has(scenario) for path in paths]


def check(scenario: Scenario) -> None:
    """Raises UsageError for an aim that no run can meet or miss, or that is none."""
    there = figures(scenario)
    for aim in parse_all(scenario.aims):
        if aim.figure in there:
            continue
        what = f"the scenario {scenario.name} aims at {aim.figure}"
        for needed, _, paths in MEASURED:
            if aim.figure in paths:
                raise UsageError(f"{what}, which is not measured without {needed}")
        near = get_close_matches(aim.figure, there, NEAREST)
        brief = [path for path in there if path.rpartition(".")[2] not in _KINDS]
        offered = f"the nearest: {', '.join(near)}" if near else f"there are {', '.join(brief)}"
        raise UsageError(f"{what}, which is no figure of a run; {offered}")


def parse_all(table: Mapping[str, Any], path: str = "") -> list[Aim]:
    """Every aim of an `[aims]` table; a dotted key of TOML is tables within tables. Raises UsageError."""
    aims: list[Aim] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            aims += parse_all(value, f"{path}{name}.")
        elif isinstance(value, str):
            aims.append(Aim.parse(path + name, value))
        else:
            raise UsageError(f"the aim for {path}{name} is a text such as '<= 0.01'")
    return aims
