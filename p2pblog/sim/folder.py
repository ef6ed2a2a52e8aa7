"""Result folders: `result.json`, the document of a run, and beside it a CSV file for each of its tables."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.sim.run import Outcome

RESULT = "result.json"
TABLES = ("delivery", "coverage", "notices", "nodes", "lookups")
"""The tables that a run may have, each in a CSV file of that name."""
PICTURES = ("delivery", "coverage", "duplicates", "bytes", "lookups", "dead")
"""What may be drawn of runs, each in a PNG file of that name (sim/pictures.py)."""
SEED_FOLDER = "seed-"
"""What the folder of one seed of several is called, before the number."""
DEPTH_MAX = 3
"""Folders within the one that is named: scenario and seed, and one more for whoever sorts by day."""
RUNS_MAX = 10_000
"""Results under one folder; more are taken for a mistake in the name."""


def begin(name: str, seeds: Iterable[int] = ()) -> Path:
    """A folder to write to, made at once: a long run must not end with a refusal. `seeds`: of several runs, each of
    which has a folder in it. What lies in them stays until the run is over. Raises UserError, too for a folder that has
    files of our names and no finished run: they are somebody else's."""
    if not name:
        raise UsageError("--out is the name of a folder, and this one is empty")
    place = Path(name)
    for each in (place, *(folder_of(place, seed) for seed in seeds)):
        if not _holds_run(each):
            _refuse_foreign(each)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(f"can't write to {name}: {error.strerror}") from error
    return place


def folder_of(place: Path, seed: int) -> Path:
    """Where one of several runs lies."""
    return place / f"{SEED_FOLDER}{seed}"


def clear(place: Path) -> None:
    """Take away what lay in a folder that is used again, a run or a series: old runs beside new ones would be drawn and
    compared with them as if they were of one code. Only what we write, by its names: whatever else is there stays.
    Raises UserError."""
    try:
        seeds = [
            path
            for path in (place.iterdir() if place.is_dir() else ())
            if re.fullmatch(f"{SEED_FOLDER}[0-9]+", path.name) and not path.is_symlink() and _holds_run(path)
        ]
        for path in seeds:
            _clear_run(path)
            if not any(path.iterdir()):
                path.rmdir()
        if _holds_run(place):
            _clear_run(place)
        elif seeds:
            _clear_pictures(place)
    except OSError as error:
        raise UserError(f"can't write to {place}: {error.strerror}") from error


def _holds_run(place: Path) -> bool:
    """Whether what has the names of our files here is ours."""
    try:
        Result(place)
    except UserError:
        return False
    return True


def _refuse_foreign(place: Path) -> None:
    """Raises UserError for what has one of our names and is not known to be ours."""
    foreign = [path.name for path in _files_of_run(place) if path.exists()]
    if foreign:
        files = " and ".join(foreign)
        raise UserError(f"there is {files} in {place}, which no finished run has written: choose another folder")


def _files_of_run(place: Path) -> list[Path]:
    return [place / RESULT, *(place / f"{table}.csv" for table in TABLES)]


def _clear_run(place: Path) -> None:
    _clear_pictures(place)
    for left in _files_of_run(place):
        left.unlink(missing_ok=True)


def _clear_pictures(place: Path) -> None:
    for picture in PICTURES:
        (place / f"{picture}.png").unlink(missing_ok=True)


def write(place: Path, outcome: Outcome) -> None:
    """Keep a run in place of what lay there, lest a picture shows one run's tables under another's name. The result
    comes last: where it is, all is. What fails or is interrupted leaves nothing: the next run would take it for
    somebody else's. Raises UserError."""
    clear(place)
    _refuse_foreign(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        _write_files(place, outcome)
    except OSError as error:
        raise UserError(f"can't write to {place}: {error.strerror}") from error


def _write_files(place: Path, outcome: Outcome) -> None:
    try:
        for name, table in outcome.tables.items():
            with (place / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(table.header)
                writer.writerows(table.rows)
        (place / RESULT).write_text(json.dumps(outcome.document, indent=1) + "\n", encoding="utf-8")
    except BaseException:
        for left in _files_of_run(place):
            left.unlink(missing_ok=True)
        raise


class Result:
    """A run that was kept in a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        try:
            document = json.loads((place / RESULT).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{place / RESULT} can't be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place / RESULT} is no result of a run: it is no JSON") from error
        kinds = {"scenario": str, "seed": int, "nodes": int}
        if not isinstance(document, dict) or not all(isinstance(document.get(key), kinds[key]) for key in kinds):
            raise UserError(f"{place / RESULT} is no result of a run")
        self.document: dict[str, Any] = document

    def column(self, table: str, *names: str) -> list[tuple[float, ...]]:
        """The rows of some columns; those without a value are left out, and there are none without the file."""
        path = self.place / f"{table}.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            try:
                return [
                    tuple(float(row[name]) for name in names)
                    for row in csv.DictReader(file)
                    if all(row[name] != "" for name in names)
                ]
            except (KeyError, TypeError, ValueError, csv.Error) as error:
                raise UserError(f"{path} is no table of a run: a row has no number below {', '.join(names)}") from error


def results(name: str) -> list[Result]:
    """The runs in a folder and within it, by scenario, nodes and seed. Raises UsageError, NotFound or UserError."""
    if not name:  # which is the folder that one is in
        raise UsageError("the folder's name is empty")
    top = Path(name)
    places = sorted(path.parent for depth in range(DEPTH_MAX + 1) for path in top.glob("*/" * depth + RESULT))
    if not places:
        raise NotFound(f"there is no {RESULT} in {name} or within it", "p2pblog sim run steady --nodes 100 --out DIR")
    if len(places) > RUNS_MAX:
        raise UserError(f"there are more than {RUNS_MAX:,} results in {name}")
    found = [Result(place) for place in places]
    return sorted(found, key=lambda one: (one.document["scenario"], one.document["nodes"], one.document["seed"]))
