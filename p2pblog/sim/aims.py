"""Aims: what a scenario's figures are to reach, as its file says it. An aim that is missed is no violation."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

from p2pblog.core.value import Value
from p2pblog.errors import UsageError

_COMPARES = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}
_AIM = re.compile(r"(<=|>=|<|>|=) *(-?[0-9]+(?:\.[0-9]+)?)")


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
        """The aim beside what was measured. `met` is None where nothing was."""
        value = figure_at(document, self.figure)
        met = None if value is None else _COMPARES[self.sign](value, self.bound)
        return {"figure": self.figure, "aim": self.text, "value": value, "met": met}


def figure_at(document: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted path; None where there is none."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


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
