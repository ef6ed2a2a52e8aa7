"""Series of simulations: a short one that every `make test` runs, and the long one that fills the table of the manual.

    python -m simulations.series short
    python -m simulations.series long

A series is a TOML file in simulations/series. Each run is a process of its own, so none inherits another's memory, and
what it found lies in simulations/results. With `resume` a run that is there is not run again unless the code or the
scenario has changed, so a long series that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from p2pblog.sim import pictures, scenario
from p2pblog.sim.aims import parse_all
from p2pblog.sim.folder import RESULT, Result
from p2pblog.sim.tables import Table, fill
from simulations.table import rewrite

ROOT = Path(__file__).parents[1]
SERIES = ROOT / "simulations" / "series"
RESULTS = ROOT / "simulations" / "results"
MANUAL = ROOT / "docs" / "simulating.md"
PICTURES = ROOT / "docs" / "pictures"
CODE = "code.txt"
"""Beside a result: of which code and scenario it is."""
RUNNING_CODE = (
    "config.py", "core", "dht", "errors.py", "gossip", "pen.py", "rendezvous", "signals.py", "sim", "store",
    "transport",
)  # fmt: skip
"""What of the package decides how a run goes: all of it that the simulator imports, but for what shows."""

PEOPLES_CODE = (
    "author.py", "cases", "control", "disk.py", "home.py", "keyring.py", "names.py", "node.py", "pruning.py",
    "room.py",
)  # fmt: skip
"""What else does where people do something with what they read."""


class Row(Table):
    """A scenario, by name or as a file seen from the checkout, with its size and seeds. `need`: aims without which the
    series fails, as it does at any violation."""

    scenario: str
    nodes: int = 0
    """0: as many as the scenario says."""
    seeds: tuple[int, int] = (1, 1)
    """The first and the last."""
    need: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.nodes or found(self.scenario).nodes

    def command(self, seeds: Sequence[int]) -> str:
        """What runs these seeds of it by hand."""
        first, last = min(seeds), max(seeds)
        chosen = f"--seed {first}" if first == last else f"--seeds {first}-{last}"
        return f"p2pblog sim run {self.scenario} --nodes {self.size} {chosen}"

    def places(self) -> Iterator[tuple[int, Path]]:
        """Each seed and where its result lies."""
        for seed in range(self.seeds[0], self.seeds[1] + 1):
            yield seed, RESULTS / f"{Path(self.scenario).stem}-{self.size}" / f"seed-{seed}"


class Picture(Table):
    """A picture of the manual: which drawing, of which rows, into which file."""

    file: str
    draws: str
    rows: tuple[str, ...]


class Series(Table):
    """All rows of a file, and the pictures that are drawn of them. `manual`: they are what docs/simulating.md shows."""

    rows: tuple[dict[str, Any], ...]
    resume: bool = False
    manual: bool = False
    pictures: tuple[dict[str, Any], ...] = ()


def main(words: Sequence[str]) -> int:
    """Run a series; gives 1 if something in it failed."""
    parser = argparse.ArgumentParser(prog="python -m simulations.series", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", choices=sorted(path.stem for path in SERIES.glob("*.toml")))
    parser.add_argument("--only", metavar="SCENARIO", help="run this scenario's rows alone")
    parser.add_argument("--write", action="store_true", help="run nothing: write the manual from the results there are")
    asked = parser.parse_args(words)
    with (SERIES / f"{asked.series}.toml").open("rb") as file:
        series = fill(Series, tomllib.load(file), f"the series {asked.series}")
    rows = [fill(Row, table, "a row") for table in series.rows]
    chosen = [row for row in rows if asked.only in (None, row.scenario)]
    failed = [] if asked.write else [problem for row in chosen for problem in _run_row(row, series.resume)]
    for problem in failed:
        print(f"failed: {problem}")
    if series.manual:
        _write_manual(rows, [fill(Picture, table, "a picture") for table in series.pictures])
    return 1 if failed else 0


# --- running ----------------------------------------------------------------------------------------------------------


def _run_row(row: Row, resume: bool) -> list[str]:
    """Run what is not there yet; gives what must not be so."""
    problems = []
    code = fingerprint(row.scenario)
    for seed, place in row.places():
        if not (resume and _is_done(place, code)):
            shutil.rmtree(place, ignore_errors=True)  # whole: of tables without a result nobody knows whose they are
            words = ["--nodes", str(row.size), "--seed", str(seed), "--out", str(place), "--json"]
            command = [sys.executable, "-m", "p2pblog", "sim", "run", row.scenario, *words]
            subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
            if not (place / RESULT).is_file():
                problems.append(f"{row.scenario}, seed {seed}: no result")
                continue
            (place / CODE).write_text(code + "\n", encoding="utf-8")
        problems += _judge(row, Result(place))
    return problems


def _judge(row: Row, result: Result) -> list[str]:
    document = result.document
    named = f"{row.scenario}, {document['nodes']:,} nodes, seed {document['seed']}"
    missed = [aim for aim in document["aims"] if aim["figure"] in row.need and not aim["met"]]
    print(f"{named}: {document['wall_s']:g} s, {len(document['violations'])} violations", flush=True)
    return [
        *(f"{named}: {violation}" for violation in document["violations"][:5]),
        *(f"{named}: {aim['figure']} {aim['aim']} is {aim['value']}" for aim in missed),
    ]


def _is_done(place: Path, code: str) -> bool:
    written = place / CODE
    return (place / RESULT).is_file() and written.is_file() and written.read_text(encoding="utf-8").strip() == code


def found(name: str) -> scenario.Scenario:
    """The scenario of a row."""
    return scenario.find(str(ROOT / name) if name.endswith(".toml") else name)


def fingerprint(name: str) -> str:
    """Eight digits for the code that runs and the scenario's file: with the same ones, a run would be the same."""
    digest = hashlib.blake2b(digest_size=4)
    file = name if name.endswith(".toml") else f"simulations/scenarios/{name}.toml"
    scenario_text = (ROOT / file).read_text(encoding="utf-8")
    for part in RUNNING_CODE + (PEOPLES_CODE if "words" in tomllib.loads(scenario_text) else ()):
        top = ROOT / "p2pblog" / part
        for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
            digest.update(path.read_bytes())
    digest.update(scenario_text.encode())
    return digest.hexdigest()


# --- the manual -------------------------------------------------------------------------------------------------------


def _results(row: Row) -> list[Result]:
    return [Result(place) for _, place in row.places() if (place / RESULT).is_file()]


def _write_manual(rows: Sequence[Row], wanted: Sequence[Picture]) -> None:
    """The table, and the pictures of which each row has results: without one they would tell less than before."""
    table = []
    for row in rows:
        results = _results(row)
        command = row.command([result.document["seed"] for result in results]) if results else ""
        figures = [aim.figure for aim in parse_all(found(row.scenario).aims)]
        table.append((Path(row.scenario).stem, command, figures, results))
    text = MANUAL.read_text(encoding="utf-8")
    MANUAL.write_text(rewrite(text, table), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for picture in wanted:
        drawn = [_results(row) for row in rows if Path(row.scenario).stem in picture.rows]
        if all(drawn) and pictures.draw(picture.draws, [*chain(*drawn)], PICTURES / picture.file):
            print(f"drew {PICTURES / picture.file}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
