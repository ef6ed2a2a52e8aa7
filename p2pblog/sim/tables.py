"""What a scenario's tables may hold: kinds of values with their bounds, and a sentence for whatever does not fit."""

from __future__ import annotations

import typing
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta as Meta

from p2pblog.core.value import Value
from p2pblog.errors import UsageError

T = TypeVar("T")

Ratio = Annotated[float, Meta(ge=0, le=1)]
Loss = Annotated[float, Meta(ge=0, le=0.9)]
"""Where everything is lost, what is sent again and again never comes; where nobody can be reached, nobody meets."""
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""Up to thirty years: microseconds of that are still whole numbers."""
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Positive = Annotated[int, Meta(ge=1, le=10_000_000)]
SEED_LIMIT = 1 << 63
Seed = Annotated[int, Meta(ge=0, le=SEED_LIMIT - 1)]

_WORDS = {
    "Object contains unknown field ": "unknown key: ",
    "Object missing required field ": "it lacks ",
    "Expected ": "expected ",
    "`float`": "a number",
    "`int`": "a whole number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`object`": "a table",
    "`array`": "a list",
    "`null`": "nothing",
    "`object | null`": "a table",
}
"""msgspec's words, and those for somebody who writes TOML."""


class Table(Value, forbid_unknown_fields=True):
    """A table of a scenario or of a series: its fields are the keys that it may have."""


def fill(kind: type[T], table: dict[str, Any], what: str) -> T:
    """A value from a TOML table, tables within it too. Raises UsageError for what does not fit, with `what` it is."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$.")
        if said.startswith("Invalid enum value "):
            place = place.rstrip("`")
            value = said.removeprefix("Invalid enum value ")
            raise UsageError(f"{what}: {place} is one of {', '.join(_choices(kind, place))}, not {value}") from error
        for theirs, ours in _WORDS.items():
            said = said.replace(theirs, ours)
        place = f": {place.rstrip('`')}" if place else ""
        raise UsageError(f"{what}{place}: {said.replace('`', '')}") from error


def _choices(kind: Any, place: str) -> list[str]:
    """What may stand at a dotted place, where only some words may."""
    for name in place.split("."):
        kind = typing.get_type_hints(kind)[name]
    return [str(getattr(each, "value", each)) for each in typing.get_args(kind) or kind]
