"""The manual of the simulator tells of everything there is: each key of a scenario, of a result, of a table."""

from __future__ import annotations

import importlib
import importlib.util
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from p2pblog.sim import aims, scenario
from p2pblog.sim import run as running
from p2pblog.sim.byzantine import BEHAVIOURS
from p2pblog.sim.directory import DhtPlan
from p2pblog.sim.scenario import Scenario
from p2pblog.sim.tables import Table
from simulations import table

MANUAL = Path(__file__).parents[2] / "docs" / "simulating.md"


@pytest.fixture(scope="module")
def manual() -> str:
    return MANUAL.read_text(encoding="utf-8")


def tables(kind: type[Any], name: str = "") -> Iterator[tuple[str, list[str]]]:
    """(heading, keys) of the top of a scenario and of each table in it."""
    hints = typing.get_type_hints(kind)
    keys = ["like"] if name == "[network]" else []
    for item in structs.fields(kind):
        hint = hints[item.name]
        inner = [each for each in (hint, *typing.get_args(hint)) if isinstance(each, type) and issubclass(each, Table)]
        if inner:
            yield from tables(typing.cast("type[Any]", inner[0]), f"[{item.name}]")
        elif item.name not in {"name", "faults", "dht", "aims"}:
            keys.append(item.name)
    yield name or "at the top", keys


@pytest.mark.parametrize(
    ("heading", "keys"), [*tables(Scenario), ("[dht]", [field.name for field in structs.fields(DhtPlan)])]
)
def test_every_key_of_a_scenario_is_told_of(heading: str, keys: list[str], manual: str) -> None:
    _, found, rest = manual.partition(f"| `{heading}` |" if heading.startswith("[") else f"| {heading} |")
    told = re.findall(r"`([a-z_]+)`", "".join(row.split("|")[1] for row in rest.partition("\n\n")[0].splitlines()[1:]))

    assert found, heading
    assert sorted(told) == sorted(keys)


def test_every_fault_is_told_of(manual: str) -> None:
    if importlib.util.find_spec("p2pblog.sim.faults") is None:
        pytest.skip("not built yet")
    faults: dict[str, Any] = importlib.import_module("p2pblog.sim.faults").FAULTS
    said = manual.partition(table.BEGIN)[0]  # what was measured has rows of the same names
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.* \| .*) \|$", said, re.MULTILINE))

    for kind, made in faults.items():
        told = set(re.findall(r"`([a-z_]+)`", rows[kind]))
        assert {field.name for field in structs.fields(made)} - {"at_s"} <= told | {"at_s"}, kind


def test_every_lie_is_told_of(manual: str) -> None:
    (row,) = re.findall(r"^\| `behaviours`, `most` \|.*$", manual, re.MULTILINE)

    assert set(re.findall(r"`([a-z-]+)`", row)) == {*BEHAVIOURS, "behaviours", "most"}


def test_the_example_runs(manual: str) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)

    outcome = running.run(scenario.read("mine", example), 20, 1)

    assert outcome.document["notices"] > 0
    assert all(aim["met"] is not None for aim in outcome.document["aims"] if aim["figure"] == "delivered_ratio")


def paths(document: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in document.items():
        yield above + name
        if isinstance(value, dict):
            yield from paths(value, f"{above}{name}.")


@pytest.mark.parametrize(
    "text", ["duration_s = 12\nsettle_s = 1\n[posts]\ncount = 1", 'kind = "dht"\n[dht]\nlookups = 3\npublishes = 3']
)
def test_every_key_of_a_result_and_every_column_is_told_of(text: str, manual: str) -> None:
    planned = scenario.read("mine", f'caption = "x"\n{text}')
    outcome = running.run(planned, 20, 1)

    may_be = {path for path in aims.figures(planned) if not path.startswith(("messages.", "bytes_by_kind."))}
    there = {path for path in paths(outcome.document) if path.rpartition(".")[0] not in {"messages", "bytes_by_kind"}}
    assert may_be <= there, "an aim may be at what is there and nothing else"
    assert {path for path in there - may_be if aims.figure_at(outcome.document, path) not in (None, 0)} <= {
        "seed", "nodes",
    }  # fmt: skip
    for key in outcome.document:
        assert f"`{key}`" in manual, key
    for name, columns in outcome.tables.items():
        (row,) = re.findall(rf"^\| `{name}.csv` \|.*$", manual, re.MULTILINE)
        assert all(f"`{column}`" in row for column in columns.header), name


def test_its_pictures_and_marks_are_there(manual: str) -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", manual):
        picture = MANUAL.parent / path
        assert picture.read_bytes().startswith(b"\x89PNG"), path
        assert picture.stat().st_size < 150_000, "a page should not be heavy"
    assert (manual.count(table.BEGIN), manual.count(table.END)) == (1, 1)
