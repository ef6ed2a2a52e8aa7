"""The simulator runs what is shipped: it imports the machines, repeats none of their rules, and one seed is one run."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kademlia.node
import pytest

from p2pblog.core.entry import write
from p2pblog.dht.server import GuardedServer
from p2pblog.gossip.keeper import Keeper
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.messages import Decoder, Encoder
from p2pblog.sim import run as running
from p2pblog.sim import scenario
from p2pblog.store.memory import MemoryStore

PACKAGE = Path(running.__file__).parents[1]
SHIPPED = ("core", "gossip", "dht", "rendezvous", "store", "transport")

SAME_WORD = {
    "Lane": "the end of a simulated link; gossip/driver.py's has tasks and a socket behind it",
    "Notice": "the counts of one notice; the other is a record of the DHT",
    "Outcome": "what came of a run; the other is what came of storing a record",
    "Retire": "a person who takes a device out of use; the other is the statement that says so",
}
"""Names of both sides that mean different things."""

SMALL = """
caption = "Many trees, relays among them"
nodes = 24
duration_s = 16
settle_s = 4
[follows]
graph = "power-law"
mean = 3
[posts]
authors = 12
count = 2
first_s = 6
every_s = 4
spread = true
"""

DIRECTORY = """
caption = "A few look-ups among the dead"
kind = "dht"
[dht]
lookups = 5
publishes = 3
dead = 0.5
"""


def small(name: str = "small") -> scenario.Scenario:
    return scenario.read(name, SMALL)


def measured(document: dict[str, Any]) -> dict[str, Any]:
    """What depends on the seed alone, not on the machine."""
    return {name: value for name, value in document.items() if name not in {"wall_s", "peak_mib"}}


@pytest.fixture(scope="module")
def usual_trace() -> str:
    """Of the small scenario with seed 1, as it is shipped."""
    return str(running.run(small(), 24, 1).document["trace_hash"])


@pytest.fixture(scope="module")
def usual_directory() -> str:
    return str(running.run(scenario.read("directory", DIRECTORY), 24, 1).document["trace_hash"])


# --- the same modules -------------------------------------------------------------------------------------------------


def test_simulated_nodes_are_made_of_the_shipped_classes() -> None:
    node, links, world = (importlib.import_module(f"p2pblog.sim.{name}") for name in ("node", "links", "world"))

    assert (node.Gossip, node.Keeper, node.MemoryStore) == (Gossip, Keeper, MemoryStore)
    assert (links.Encoder, links.Decoder) == (Encoder, Decoder)
    assert write in vars(world).values() or write in vars(importlib.import_module("p2pblog.sim.desk")).values()


@pytest.mark.parametrize(
    ("module", "constant", "other"),
    [
        ("gossip.broadcast", "HAVES_DELAY_S", 0.2),
        ("gossip.broadcast", "GRAFT_WAIT_S", 0.001),
        ("gossip.liveness", "QUIET_S", 2.0),
        ("gossip.replication", "CLOCKS_DELAY_S", 0.1),
        ("gossip.clocks", "CLOCKS_PER_MESSAGE", 1),
        ("core.entry", "ENTRY_DOMAIN", b"p2pblog entry 7"),
    ],
)
def test_a_shipped_constant_that_changes_is_felt(
    module: str, constant: str, other: float | bytes, usual_trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"p2pblog.{module}.{constant}", other)

    assert running.run(small(), 24, 1).document["trace_hash"] != usual_trace


def test_a_simulated_directory_is_made_of_shipped_servers() -> None:
    directory = importlib.import_module("p2pblog.sim.directory")
    liars = importlib.import_module("p2pblog.sim.liars")

    assert directory.WatchedServer.__bases__ == (GuardedServer,)
    assert [name for name, value in vars(directory.WatchedServer).items() if callable(value)] == ["_drive"]
    assert issubclass(liars.LyingServer, GuardedServer)
    assert issubclass(directory.ProvenNode, kademlia.node.Node), "the library's own routing runs below it"


@pytest.mark.parametrize(
    ("module", "constant", "other"),
    [
        ("wire", "PADDED_BYTES", 300),
        ("protocol", "SMALLEST_REQUEST_BYTES", 200),
        ("server", "PUBLISH_TIMEOUT_S", 0.2),
    ],
)
def test_a_constant_of_the_directory_that_changes_is_felt(
    module: str, constant: str, other: float, usual_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"p2pblog.dht.{module}.{constant}", other)

    assert running.run(scenario.read("directory", DIRECTORY), 24, 1).document["trace_hash"] != usual_directory


# --- no second copy ---------------------------------------------------------------------------------------------------


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PACKAGE / folder).rglob("*.py"))


def names(path: Path) -> Iterator[str]:
    """The classes and constants that a file defines."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        yield from (each.id for each in targets if isinstance(each, ast.Name) and len(each.id) > 1)


def bodies(path: Path) -> Iterator[tuple[str, str]]:
    """(name, what it does) of each function that is long enough to hold a rule."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[1:] if ast.get_docstring(node) is not None else node.body
            said = "\n".join(ast.dump(statement) for statement in told)
            if said.count("(") > 20:
                yield node.name, said


def test_the_simulator_defines_nothing_under_a_shipped_name() -> None:
    shipped = {name for path in files(*SHIPPED) for name in names(path)}

    found = {name: path.name for path in files("sim") for name in names(path) if name in shipped}

    assert found.keys() - SAME_WORD.keys() == set(), found


def test_the_simulator_copies_no_function() -> None:
    shipped = {body: f"{path.name}: {name}" for path in files(*SHIPPED) for name, body in bodies(path)}
    assert len(shipped) > 300, "the bodies of shipped functions are seen"

    copied = {f"{path.name}: {name}": shipped[body] for path in files("sim") for name, body in bodies(path)
              if body in shipped}  # fmt: skip

    assert copied == {}


# --- one seed, one run ------------------------------------------------------------------------------------------------


def test_a_seed_is_the_same_run_in_every_process(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    said = []
    for hash_seed in ("1", "77"):
        command = [sys.executable, "-m", "p2pblog", "sim", "run", str(file), "--seed", "5", "--json"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        said.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    one, other = (measured(json.loads(text)) for text in said)
    assert one == other
    assert one["delivered_ratio"] == 1.0
    assert one == measured(json.loads(json.dumps(running.run(small(), 24, 5).document)))
    assert one["trace_hash"] != running.run(small(), 24, 6).document["trace_hash"]


def test_looking_changes_nothing(usual_trace: str) -> None:
    """The curve of coverage, the checkers and the progress bar only watch: without them the run is the same."""
    world = running.World(small(), 24, 1)
    world.run()

    assert world.meter.trace_hash == usual_trace
