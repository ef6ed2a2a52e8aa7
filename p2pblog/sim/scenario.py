"""Scenarios: a TOML file becomes plain values, or one sentence that says what is wrong with it."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from p2pblog.errors import NotFound, UsageError
from p2pblog.sim.network import Weather

T = TypeVar("T")

NODES_MIN = 20
"""Every scenario runs with so many nodes, and with more."""

SCENARIO_CHARACTERS_MAX = 64 * 1024
LINE_CHARACTERS_MAX = 1_000
"""Of a scenario's file: ten times our longest one. A key of many parts takes tomllib memory with the square of their
number, and all of them stand in one line."""


@dataclass(frozen=True, slots=True)
class Follows:
    """Who follows whom. `one-author`: all follow the first `authors` nodes. `power-law`: each follows `mean` others on
    average, the popular ones more often: the number with more than n followers falls with n squared.

    `absent`: so many more people have no node at all. The first `collectors` nodes follow them, too, and hold a notice
    of each from the beginning.
    """

    graph: str = "one-author"
    authors: int = 1
    mean: int = 75
    absent: int = 0
    collectors: int = 2


@dataclass(frozen=True, slots=True)
class Posts:
    """Who writes when. Each of the first `authors` nodes (0: everybody who is followed) writes `count` notices, the
    first at `first_s`, then every `every_s`; with `spread` each author begins somewhere within the first interval."""

    authors: int = 1
    count: int = 10
    first_s: float = 10.0
    every_s: float = 5.0
    spread: bool = False
    characters: int = 140


@dataclass(frozen=True, slots=True)
class Start:
    """What nodes know when they are first started: so many others, as one remembers from earlier days, and for each
    feed so many nodes that hold it, as the DHT tells. They start within `within_s`."""

    known: int = 20
    holders: int = 3
    stale: bool = False
    """Whether the DHT still names holders that have gone: their records live for two days."""
    within_s: float = 1.0
    newcomers: int = 0
    """So many of the last nodes start at `newcomers_s` and not before, with empty stores and nobody remembered. They
    neither come nor go after that."""
    newcomers_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Churn:
    """Sessions and the pauses between them; nothing comes or goes after `until_s` (0: the scenario's duration).

    `sessions`: weibull (with `scale_s` and `shape`), log-normal (with `median_s` and `sigma`) or a name from
    sim/churn.py's PRESETS; shapes and sigmas as decimal text. `pauses`: the same, empty for the sessions' own. `trace`:
    a CSV file with the columns node, start_s and end_s, instead of both. `online`: the share on line at the start.

    `leave`: the share of sessions that end politely; the others end in a crash, `dark` of which are power failures.
    `rollback` and `lost`: the shares of crashes after which the disk is as it was `rollback_s` ago, or empty.
    """

    sessions: str = "ipfs"
    scale_s: float = 0.0
    shape: str = ""
    median_s: float = 0.0
    sigma: str = ""
    pauses: str = ""
    pause_scale_s: float = 0.0
    pause_shape: str = ""
    pause_median_s: float = 0.0
    pause_sigma: str = ""
    online: float = 0.5
    leave: float = 0.5
    dark: float = 0.5
    rollback: float = 0.0
    rollback_s: float = 300.0
    lost: float = 0.0
    trace: str = ""
    until_s: float = 0.0
    steady: int = 1
    """So many of the first nodes stay: somebody has to write."""


@dataclass(frozen=True, slots=True)
class Byzantine:
    """A share of the nodes that lie, never the first `spare`. `behaviours`: names from sim/byzantine; none for all of
    them. Each liar takes up to `most` of them."""

    share: float = 0.0
    behaviours: tuple[str, ...] = ()
    most: int = 3
    spare: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One experiment, apart from its seed."""

    name: str
    caption: str
    kind: str = "gossip"
    nodes: int = 100
    seed: int = 1
    duration_s: float = 60.0
    settle_s: float = 20.0
    """Time after the last event before it is looked whether everybody has everything."""
    full: bool = False
    """Whether each node runs the DHT too, and finds others by it."""
    network: Weather = field(default_factory=Weather)
    follows: Follows = field(default_factory=Follows)
    posts: Posts = field(default_factory=Posts)
    start: Start = field(default_factory=Start)
    churn: Churn | None = None
    byzantine: Byzantine = field(default_factory=Byzantine)
    faults: tuple[dict[str, Any], ...] = ()
    dht: dict[str, Any] = field(default_factory=dict)
    aims: dict[str, str] = field(default_factory=dict)


# --- finding and reading ----------------------------------------------------------------------------------------------


def folder() -> Traversable:
    """Where the scenarios lie: beside an installed package, or in a checkout's simulations/scenarios."""
    packaged = resources.files("p2pblog.sim") / "scenarios"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "simulations" / "scenarios"


def names() -> list[str]:
    """The names of all scenarios, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in folder().iterdir() if file.name.endswith(".toml"))


def find(name: str) -> Scenario:
    """By its name, or by the path of a file that ends in .toml. Raises NotFound or UsageError."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            return read(path.stem, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound(f"the scenario {name} can't be read: {error}") from error
    if name not in names():
        raise NotFound(f"there is no scenario {name}", "p2pblog sim list")
    return read(name, (folder() / f"{name}.toml").read_text(encoding="utf-8"))


def read(name: str, text: str) -> Scenario:
    """A scenario from its file's text. Raises UsageError."""
    if len(text) > SCENARIO_CHARACTERS_MAX or max(map(len, text.splitlines()), default=0) > LINE_CHARACTERS_MAX:
        raise UsageError(
            f"the scenario {name} has over {SCENARIO_CHARACTERS_MAX:,} characters, or {LINE_CHARACTERS_MAX:,} in a line"
        )
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"the scenario {name} is no TOML: {error}") from error
    scenario = fill(Scenario, {"name": name, **table}, f"the scenario {name}")
    if scenario.nodes < NODES_MIN:
        raise UsageError(f"the scenario {name} has fewer than {NODES_MIN} nodes")
    return scenario


def fill(kind: type[T], table: dict[str, Any], what: str) -> T:
    """A dataclass from a TOML table, tables within it too. Raises UsageError for a key or type that does not fit."""
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise UsageError(f"{what} has an unknown key: {key}")
    for key, item in known.items():
        lacks = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if lacks and key not in table:
            raise UsageError(f"{what} lacks {key}")
    return kind(**{key: _fit(hints[key], value, f"{what}: {key}") for key, value in table.items()})


def _fit(hint: Any, value: Any, what: str) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return fill(hint, value, what)
    origin = typing.get_origin(hint) or hint
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if origin is tuple and isinstance(value, list):
        return tuple(value)
    if not isinstance(value, origin) or (origin is int and isinstance(value, bool)):
        raise UsageError(f"{what} should be of another type than {type(value).__name__}")
    return value
