"""Series of simulations: what a row runs, when it is not run again, and the table that it fills."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from p2pblog.sim import folder, scenario
from p2pblog.sim.run import Outcome
from p2pblog.sim.tables import fill
from simulations import series, table
from simulations.series import Row

SERIES = '[[rows]]\nscenario = "steady"\nnodes = 20\nneed = ["delivered_ratio"]\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one series, `mine`, whose results lie in it too, and a page to be written."""
    (tmp_path / "mine.toml").write_text("resume = true\nmanual = true\n" + SERIES)
    (tmp_path / "page.md").write_text(f"Before.\n{table.BEGIN}\nold\n{table.END}\nAfter.\n")
    for name, there in (("SERIES", ""), ("RESULTS", "results"), ("MANUAL", "page.md"), ("PICTURES", "pictures")):
        monkeypatch.setattr(series, name, tmp_path / there)
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was run; each run leaves a result, as if it had taken place."""
    ran: list[list[str]] = []

    def run(command: list[str], **more: Any) -> None:
        ran.append(command)
        folder.write(
            Path(command[command.index("--out") + 1]), Outcome(document(int(command[command.index("--seed") + 1])))
        )

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def document(seed: int, **changed: Any) -> dict[str, Any]:
    aims = [{"figure": "delivered_ratio", "aim": "= 1", "value": 1.0, "met": True}]
    return {"scenario": "steady", "nodes": 20, "seed": seed, "wall_s": 1.5, "peak_mib": 50, "violations": [],
            "delivered_ratio": 1.0, "rmr": 0.002 * seed, "aims": aims} | changed  # fmt: skip


def test_a_series_runs_real_simulations_and_writes_the_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert series.main(["mine"]) == 0

    said = capsys.readouterr().out
    page = (place / "page.md").read_text()
    assert said.startswith("steady, 20 nodes, seed 1: ")
    assert said.count("failed") == 0
    assert page.startswith(f"Before.\n{table.BEGIN}\n| scenario |")
    assert page.endswith(f"{table.END}\nAfter.\n")
    assert "| `delivered_ratio` | = 1 | 1 | met |" in page
    assert "`p2pblog sim run steady --nodes 20 --seed 1`" in page

    (place / "mine.toml").write_text(SERIES)
    assert series.main(["mine"]) == 0, "over the results of the time before, without resume"


def test_what_is_done_is_not_done_again_until_the_code_changes(
    place: Path, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    series.main(["mine"])
    series.main(["mine"])
    assert len(runs) == 1

    monkeypatch.setattr(series, "fingerprint", lambda name: "12345678")
    series.main(["mine"])
    assert len(runs) == 2

    (place / "mine.toml").write_text(SERIES)
    series.main(["mine"])
    assert len(runs) == 3, "without resume every run is run"


def test_the_fingerprint_is_of_code_and_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("p2pblog/core", "simulations/scenarios"):
        (tmp_path / part).mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / "simulations" / "scenarios" / f"{name}.toml").write_text(f"# {name}")
    (tmp_path / "p2pblog" / "config.py").write_text("A = 1")
    monkeypatch.setattr(series, "ROOT", tmp_path)
    before = series.fingerprint("one")

    assert series.fingerprint("two") != before
    (tmp_path / "p2pblog" / "session.py").write_text("A = 1")
    assert series.fingerprint("one") == before, "how it is shown changes no figure"
    (tmp_path / "p2pblog" / "core" / "keys.py").write_text("A = 1")
    assert series.fingerprint("one") != before


def test_the_use_cases_count_where_people_use_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("p2pblog/core", "p2pblog/cases", "simulations/scenarios"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "p2pblog" / "config.py").write_text("A = 1")
    (tmp_path / "simulations" / "scenarios" / "silent.toml").write_text("nodes = 20")
    (tmp_path / "simulations" / "scenarios" / "people.toml").write_text("[words]\ncount = 1")
    monkeypatch.setattr(series, "ROOT", tmp_path)
    before = [series.fingerprint(name) for name in ("silent", "people")]
    (tmp_path / "p2pblog" / "cases" / "writing.py").write_text("A = 1")
    after = [series.fingerprint(name) for name in ("silent", "people")]

    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_the_fingerprint_is_of_all_that_a_simulation_imports() -> None:
    imported = "p2pblog.sim.run, p2pblog.sim.full, p2pblog.sim.directory"
    assert imported_by(imported) - stems(series.RUNNING_CODE) == {"terminal"}, "which only shows"
    with_people = imported_by(f"{imported}, p2pblog.sim.hand")
    assert with_people - stems(series.RUNNING_CODE) - stems(series.PEOPLES_CODE) == {"terminal"}


def stems(parts: Sequence[str]) -> set[str]:
    return {Path(part).stem for part in parts}


def imported_by(modules: str) -> set[str]:
    """The parts of the package that are there once these modules are."""
    script = f"import sys, {modules}; print(*sys.modules, sep='\\n')"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=series.ROOT)
    return {name.split(".")[1] for name in told.stdout.split() if name.startswith("p2pblog.")}


def test_a_violation_a_missed_need_or_a_run_without_result_fails_the_series(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    came: list[dict[str, Any]] = [
        document(1, violations=["the moon fell down"]),
        document(1, aims=[{"figure": "delivered_ratio", "aim": "= 1", "value": 0.5, "met": False}]),
        document(1, aims=[{"figure": "rmr", "aim": "= 1", "value": 0.5, "met": False}]),
    ]

    def run(command: list[str], **more: Any) -> None:
        if came:
            folder.write(Path(command[command.index("--out") + 1]), Outcome(came.pop(0)))

    monkeypatch.setattr(subprocess, "run", run)
    (place / "mine.toml").write_text(SERIES)
    ended = [series.main(["mine"]) for _ in range(4)]

    assert ended == [1, 1, 0, 1]
    said = [text for text in capsys.readouterr().out.splitlines() if text.startswith("failed")]
    assert said == [
        "failed: steady, 20 nodes, seed 1: the moon fell down",
        "failed: steady, 20 nodes, seed 1: delivered_ratio = 1 is 0.5",
        "failed: steady, seed 1: no result",
    ]


def test_the_table_shows_the_range_of_all_seeds(tmp_path: Path) -> None:
    aims = [{"figure": "rmr", "aim": "<= 0.005", "value": None, "met": met} for met in (True, False)]
    for seed, aim in ((1, aims[0]), (3, aims[1])):
        folder.write(tmp_path / str(seed), Outcome(document(seed, aims=[aim])))

    row = ("steady", "the command", ["rmr"], folder.results(str(tmp_path)))
    page = table.rewrite(f"{table.BEGIN}{table.END}", [row])

    assert "| `steady` | 20 | `rmr` | <= 0.005 | 0.002 to 0.006 | **missed** |" in page
    assert "| `steady` | `the command` | 2 seeds, 2 s at most | 50 MiB | 0 |" in page
    assert table.rewrite(page, [row]) == page


def test_a_row_whose_runs_are_on_another_machine_stays_as_it_was(tmp_path: Path) -> None:
    aims = [{"figure": figure, "aim": "<= 0.005", "value": 0.002, "met": True} for figure in ("rmr", "missed")]
    folder.write(tmp_path, Outcome(document(1, aims=aims)))
    page = table.rewrite(
        f"{table.BEGIN}{table.END}", [("steady", "the command", ["rmr", "missed"], folder.results(str(tmp_path)))]
    )
    assert "| `steady` | `the command` |" in page

    assert table.rewrite(page, [("rewire", "", ["rmr"], []), ("steady", "", ["rmr", "missed"], [])]) == page
    assert "steady" not in table.rewrite(page, [("rewire", "", ["rmr"], [])])


@pytest.mark.parametrize("path", sorted(series.SERIES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_series_names_scenarios_and_aims_that_are(path: Path) -> None:
    rows = [fill(Row, each, "a row") for each in series.tomllib.loads(path.read_text())["rows"]]

    assert rows
    for row in rows:
        found = series.found(row.scenario)
        aims = {aim.figure for aim in series.parse_all(found.aims)}
        assert set(row.need) <= aims, row
        assert row.size >= scenario.NODES_MIN
        assert row.seeds[0] <= row.seeds[1]
