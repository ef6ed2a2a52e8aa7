"""Scenarios: a TOML file becomes plain values, or one sentence that says what is wrong with it."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from p2pblog.config import NOTE_CHARACTERS_MAX
from p2pblog.core.value import field, replace
from p2pblog.errors import NotFound, UsageError
from p2pblog.sim import aims
from p2pblog.sim.network import Weather
from p2pblog.sim.tables import Count, Meta, Positive, Ratio, Seconds, Seed, Table, fill

NODES_MIN = 20
"""Every scenario runs with so many nodes, and with more."""
NODES_MAX = 1_000_000
"""More are a slip of the hand: ten thousand take minutes."""

SCENARIO_CHARACTERS_MAX = 64 * 1024
LINE_CHARACTERS_MAX = 1_000
"""Of a scenario's file: ten times our longest one. A key of many parts takes tomllib memory with the square of their
number, and all of them stand in one line."""

WEATHERS: dict[str, dict[str, Any]] = {
    "even": {},
    "tail": {"tail_share": 0.05, "tail_rtt_ms": 1_000},
    "lossy": {"loss": 0.3},
}
"""Networks that `like` in [network] names: what they have that a plain one has not."""
UNUSED: dict[str, set[str]] = {
    "dht": {"duration_s", "settle_s", "full", "follows", "posts", "words", "start", "churn", "byzantine", "faults"},
    "gossip": {"dht"},
}
"""Keys that mean nothing to a world of this kind; to write them is a mistake."""


class Follows(Table):
    """Who follows whom. `one-author`: all follow the first `authors` nodes. `power-law`: each follows `mean` others on
    average, the popular ones more often: the number with more than n followers falls with n squared.

    `absent`: so many more people have no node at all. The first `collectors` nodes follow them, too, and hold a notice
    of each from the beginning.
    """

    graph: Literal["one-author", "power-law"] = "one-author"
    authors: Count = 1
    mean: Count = 75
    absent: Count = 0
    collectors: Count = 2


class Posts(Table):
    """Who writes when. Each of the first `authors` nodes (0: everybody who is followed) writes `count` notices, the
    first at `first_s`, then every `every_s`; with `spread` each author begins somewhere within the first interval."""

    authors: Count = 1
    count: Count = 10
    first_s: Seconds = 10.0
    every_s: Seconds = 5.0
    spread: bool = False
    characters: Annotated[int, Meta(ge=1, le=NOTE_CHARACTERS_MAX)] = 140


Doing = Literal["answer", "quote", "edit", "delete", "like", "boost", "dm"]
"""What a person does with what they read: each is a use case of the daemon."""


class Words(Table):
    """What people do beside writing notices: each of the first `people` nodes (0: everybody) does `count` things, one
    in `every_s` seconds from a moment of their own after `first_s` on, each drawn from `kinds`: with a notice on the
    first page of their timeline, or of what they wrote themselves; a direct message goes to somebody who follows them
    and whom they follow."""

    people: Count = 0
    count: Count = 5
    first_s: Seconds = 15.0
    every_s: Seconds = 5.0
    kinds: tuple[Doing, ...] = get_args(Doing)


class Start(Table):
    """What nodes know when they are first started: so many others, as one remembers from earlier days, and for each
    feed so many nodes that hold it, as the DHT tells. They start within `within_s`."""

    known: Count = 20
    holders: Count = 3
    stale: bool = False
    """Whether the DHT still names holders that have gone: their records live for two days."""
    within_s: Seconds = 1.0
    newcomers: Count = 0
    """So many of the last nodes start at `newcomers_s` and not before, with empty stores and nobody remembered. They
    neither come nor go after that."""
    newcomers_s: Seconds = 0.0


class Churn(Table):
    """Sessions and the pauses between them; nothing comes or goes after `until_s` (0: the scenario's duration).

    `sessions`: weibull (with `scale_s` and `shape`), log-normal (with `median_s` and `sigma`) or a name from
    sim/churn.py's PRESETS; shapes and sigmas as decimal text. `pauses`: the same, empty for the sessions' own. `trace`:
    a CSV file with the columns node, start_s and end_s, instead of both. `online`: the share on line at the start.

    `leave`: the share of sessions that end politely; the others end in a crash, `dark` of which are power failures.
    `rollback` and `lost`: the shares of crashes after which the disk is as it was `rollback_s` ago, or empty.
    """

    sessions: str = "ipfs"
    scale_s: Seconds = 0.0
    shape: str = ""
    median_s: Seconds = 0.0
    sigma: str = ""
    pauses: str = ""
    pause_scale_s: Seconds = 0.0
    pause_shape: str = ""
    pause_median_s: Seconds = 0.0
    pause_sigma: str = ""
    online: Ratio = 0.5
    leave: Ratio = 0.5
    dark: Ratio = 0.5
    rollback: Ratio = 0.0
    rollback_s: Seconds = 300.0
    lost: Ratio = 0.0
    trace: str = ""
    until_s: Seconds = 0.0
    steady: Count = 1
    """So many of the first nodes stay: somebody has to write."""


class Byzantine(Table):
    """A share of the nodes that lie, never the first `spare`. `behaviours`: names from sim/byzantine; none for all of
    them. Each liar takes up to `most` of them."""

    share: Ratio = 0.0
    behaviours: tuple[str, ...] = ()
    most: Positive = 3
    spare: Count = 1


class Scenario(Table):
    """One experiment, apart from its seed."""

    name: str
    """That of its file."""
    caption: str
    kind: Literal["gossip", "dht"] = "gossip"
    nodes: Annotated[int, Meta(ge=NODES_MIN, le=NODES_MAX)] = 100
    seed: Seed = 1
    duration_s: Seconds = 60.0
    settle_s: Seconds = 20.0
    """Time after the last event before it is looked whether everybody has everything."""
    full: bool = False
    """Whether each node runs the DHT too, and finds others by it."""
    network: Weather = field(default_factory=Weather)
    follows: Follows = field(default_factory=Follows)
    posts: Posts = field(default_factory=Posts)
    words: Words | None = None
    start: Start = field(default_factory=Start)
    churn: Churn | None = None
    byzantine: Byzantine = field(default_factory=Byzantine)
    faults: tuple[dict[str, Any], ...] = ()
    dht: dict[str, Any] = field(default_factory=dict)
    aims: dict[str, Any] = field(default_factory=dict)


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
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise NotFound(f"the scenario {name} can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"the scenario {name} is no text in UTF-8") from error
        return _beside(read(path.stem, text), path)
    if name not in names():
        file = f"{name}.toml"
        meant = f"p2pblog sim run {shlex.quote(file)}" if _is_file(file) else "p2pblog sim list"
        raise NotFound(f"there is no scenario {name}", meant)
    return read(name, (folder() / f"{name}.toml").read_text(encoding="utf-8"))


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name that is longer than one may be
        return False


def _beside(scenario: Scenario, path: Path) -> Scenario:
    """A trace is looked for beside the scenario's file."""
    churn = scenario.churn
    if churn is None or not churn.trace:
        return scenario
    return replace(scenario, churn=replace(churn, trace=str(path.parent / churn.trace)))


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
    what = f"the scenario {name}"
    if "name" in table:
        raise UsageError(f"{what} has the name of its file, and no key for it")
    scenario = fill(Scenario, {"name": name, **_with_weather(table, what)}, what)
    unused = [key for key in table if key in UNUSED[scenario.kind]]
    network = scenario.network
    unused += ["network.unreachable"] * (scenario.kind == "dht" and network.unreachable > 0)
    has_datagrams = scenario.kind == "dht" or scenario.full
    unused += ["network.duplicate or reorder"] * (not has_datagrams and network.duplicate + network.reorder > 0)
    if unused:
        raise UsageError(f"{what} is of the kind {scenario.kind}, for which {unused[0]} means nothing")
    aims.check(scenario)
    return scenario


def _with_weather(table: dict[str, Any], what: str) -> dict[str, Any]:
    """With what the network has that `like` names."""
    network = table.get("network")
    if not isinstance(network, Mapping) or "like" not in network:
        return table
    own = {key: value for key, value in network.items() if key != "like"}
    weather = WEATHERS.get(network["like"]) if isinstance(network["like"], str) else None
    if weather is None:
        raise UsageError(f"{what}: network.like is one of {', '.join(WEATHERS)}")
    return {**table, "network": {**weather, **own}}
