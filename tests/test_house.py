"""The house keeps its own rules: which way imports point, what stays pure, and how a file looks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "p2pblog"

# --- who stands where: a file may import what is in its own row or in one above ---------------------------------------

LAYERS: list[tuple[str, set[str]]] = [
    ("config and errors", {"p2pblog", "errors", "config", "disk", "extras", "home", "terminal"}),
    ("core", {"core.*"}),
    (
        "pure machines, interfaces and the keys on disk",
        {
            "control", "control.api", "control.documents", "control.routes", "control.settings", "control.words",
            "dht", "dht.clock_check", "dht.contacts", "dht.gathering", "dht.guard", "dht.kinds", "dht.lookup",
            "dht.parameters", "dht.records", "dht.round_trips", "dht.shelf", "dht.walk", "dht.wire", "gossip.*",
            "installation", "keyring", "pen", "pictures", "pruning", "rendezvous.*", "store", "store.conversations",
            "store.meaning", "store.referring", "store.spans", "store.stretch", "transport", "transport.framing",
            "transport.handshake", "transport.lobby", "transport.sodium",
        },
    ),
    (
        "adapters",
        {
            "archives", "bridge", "descriptors", "dht.*", "gossip.driver", "gossip.keeper", "logbook", "names",
            "outbox", "rendezvous.reader", "signals", "store.*", "transport.*",
        },
    ),
    (
        "node",
        {
            "author", "cases", "cases.*", "node", "rendezvous.driver", "rendezvous.pointed", "rendezvous.visiting",
            "room",
        },
    ),
    ("control", {"control.server", "control.exchange", "control.client"}),
    ("daemon and simulator", {"daemon", "restoring", "sim.*", "sim"}),
    ("command line", {"cli", "commands", "commands.*", "pages", "pages.*", "session", "__main__"}),
]  # fmt: skip

UNTOUCHED = {
    "control.client": {"config", "errors", "home"},
    "control.api": {"control.documents", "errors"},
    "control.documents": set[str](),
    "errors": set[str](),
}
"""Files that may import these of ours and nothing else, because something small must start at once."""

WORLD = {
    "aiosqlite", "asyncio", "datetime", "h11", "http", "io", "kademlia", "logging", "multiprocessing",
    "os", "pathlib", "rpcudp", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "sys", "tempfile", "threading", "time", "trio", "uuid",
}  # fmt: skip
"""Clocks, chance, files, sockets, other processes: what no pure file may know."""

ONLY = {
    "asyncio": {"bridge", "store.sqlite", "dht.server", "sim.loop"},
    "aiosqlite": {"store.sqlite"},
    "h11": {"control.exchange"},
    "kademlia": {"dht.server", "dht.protocol", "dht.table", "sim.library"},
    "rpcudp": {"dht.server", "dht.protocol", "sim.library"},
    "nacl": {"core.keys", "core.passphrase", "core.sealed", "transport.sodium"},
    "PIL": {"pictures"},
    "msgspec": {"core.value", "sim.tables"},
}
"""What else lives in one place: asyncio behind the bridge, one verifier for all signatures, places that seal."""

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


def layer(module: str) -> int:
    """The row of a file: the one that names it, else the one that names its folder."""
    for wanted in (module, f"{module.partition('.')[0]}.*"):
        for row, (_, members) in enumerate(LAYERS):
            if wanted in members:
                return row
    raise AssertionError(f"{module}.py stands in no row of LAYERS")


def is_pure(module: str) -> bool:
    outside = {"keyring", "installation", "pictures"}
    return 1 <= layer(module) <= 2 and module not in outside


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Every dotted name that a file imports, wherever in it; `from a import b` gives `a.b`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module: str) -> set[str]:
    """The files of ours that a file imports."""
    found = set()
    for name in imports(module):
        if name.partition(".")[0] != "p2pblog":
            continue
        inner = name.removeprefix("p2pblog").removeprefix(".")
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        found.add(inner or "p2pblog")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inward(module: str) -> None:
    outward = {other for other in own_imports(module) if layer(other) > layer(module)}
    assert outward == set()


def test_the_tour_names_every_file_at_the_top() -> None:
    tour = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    named = {word for line in tour.splitlines() if line.startswith("    ") for word in line.split()}
    assert {path.name for path in PACKAGE.glob("[!_]*.py")} - named == set()


@pytest.mark.parametrize("module", UNTOUCHED)
def test_what_must_start_at_once_imports_little(module: str) -> None:
    assert own_imports(module) <= UNTOUCHED[module]


def test_each_logger_is_called_log_and_names_a_part_of_ours() -> None:
    sources = [path.read_text() for module, path in MODULES.items() if module != "logbook"]  # it looks for trio's
    made = [line for source in sources for line in source.splitlines() if "getLogger" in line]
    assert made
    assert [line for line in made if not re.fullmatch(r'log = logging\.getLogger\("p2pblog\.\w+"\)', line)] == []


@pytest.mark.parametrize("module", [module for module in MODULES if is_pure(module)])
def test_pure_files_know_no_world(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(module)} & WORLD == set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "eval", "exec"}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random", "a machine is given its chance, it does not take it"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("core")])
def test_the_core_awaits_nothing_and_draws_no_lots(module: str) -> None:
    assert "random" not in set(imports(module))
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, waits) for node in ast.walk(tree(module)))


@pytest.mark.parametrize("module", MODULES)
def test_some_things_live_in_one_place(module: str) -> None:
    for name in imports(module):
        top = name.partition(".")[0]
        assert module in ONLY.get(top, {module}), f"{module} imports {top}"


@pytest.mark.parametrize("module", ["cli", "session", "control.client"])
def test_the_command_line_starts_without_the_server(module: str) -> None:
    if module not in MODULES:
        pytest.skip("not built yet")
    code = f"import sys, p2pblog.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"trio", "asyncio", "h11", "kademlia", "aiosqlite", "noise"}
    assert heavy & set(loaded) == set()


# --- how a file looks -------------------------------------------------------------------------------------------------

FOLDERS = ("p2pblog", "tests", "simulations", "benchmarks")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts  # of others, where a benchmark installed them
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_opens_with_a_caption_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    caption = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
    assert caption, "a file opens with a caption"
    assert "\n" not in caption, "the caption is one line"
    assert text.count("\n") <= 600


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_for_later(path: Path) -> None:
    """The words are spelled in halves, so that this file is looked at, too."""
    text = path.read_text(encoding="utf-8")
    for first, rest in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("NotImplemented", "Error")):
        assert first + rest not in text


DATACLASSES = {
    "home": "what a command imports before it asks the daemon, and msgspec takes longer than one class",
    "control.settings": "as above",
    "pages.notices": "as above",
    "terminal": "as above",
    "dht.contacts": "a field that is made of the others and not compared",
    "dht.shelf": "as above",
    "core.runs": "a sequence, compared as one",
}
"""Where something frozen is a dataclass, and why it is no Value."""


@pytest.mark.parametrize(
    "module", [module for module in MODULES if not {module, f"{module.rpartition('.')[0]}.*"} & {*DATACLASSES}]
)
def test_what_never_changes_is_a_value(module: str) -> None:
    """A frozen dataclass is compiled anew at each start of a node, in ten times the time."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "dataclass":
                    assert "frozen" not in {keyword.arg for keyword in decorator.keywords}, node.name


@pytest.mark.parametrize(
    "module", [module for module in MODULES if not module.startswith("sim") and module not in DATACLASSES]
)
def test_what_changes_in_a_node_is_a_state(module: str) -> None:
    """A dataclass is compiled, one with slots is made twice too: ten and twenty times the time, at each start."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef):
            names = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
            assert "dataclass" not in names, node.name


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("core")])
def test_the_core_explains_itself(module: str) -> None:
    """Public classes, and public functions of more than one line, greet the caller; values never change."""
    for node in tree(module).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            fields_tell = [n for n in node.body if isinstance(n, ast.FunctionDef)] == [] and len(node.body) <= 2
            assert ast.get_docstring(node) or fields_tell, node.name
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "dataclass":
                    assert "frozen" in {keyword.arg for keyword in decorator.keywords}, node.name
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or len(node.body) == 1, node.name
