"""`p2pblog sim` at the terminal: what it prints, what it keeps, and with which exit code it ends."""

from __future__ import annotations

import io
import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from p2pblog.cli import main
from p2pblog.commands import simulating
from p2pblog.sim import folder, pages, scenario
from p2pblog.sim.run import Outcome
from p2pblog.sim.world import World
from p2pblog.terminal import render

SHORT = """
caption = "A short one, with {nodes} nodes"
nodes = 20
duration_s = 12
settle_s = 2
[posts]
count = 2
first_s = 5
every_s = 3
[aims]
delivered_ratio = "= 1"
latency_ms.p99 = "< 0.001"
catch_up_ms.p99 = "< 500"
"""

KEYS = [
    "scenario", "seed", "nodes", "virtual_s", "wall_s", "delivered_ratio", "missed", "lost", "latency_ms", "rmr",
    "rmr_cold", "relay_share", "lazy_bytes_ratio", "last_hop", "bytes_per_node_s", "dht", "violations", "trace_hash",
]  # fmt: skip


@pytest.fixture
def short(tmp_path: Path) -> str:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return str(path)


def types(*words: str) -> Result:
    result = CliRunner().invoke(main, ["sim", *words])
    assert "Traceback" not in result.output
    return result


def gets(*words: str) -> Any:
    result = types(*words, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


# --- list -------------------------------------------------------------------------------------------------------------


def test_list_prints_bare_names_one_on_each_line() -> None:
    result = types("list")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == scenario.names()
    assert {"steady", "many-authors"} <= set(result.stdout.splitlines())


def test_list_tells_what_each_scenario_is_for() -> None:
    listed = {each["name"]: each for each in gets("list")}

    assert list(listed) == scenario.names()
    assert all(each["caption"] and each["nodes"] >= 20 for each in listed.values())
    assert listed["steady"]["nodes"] == 10_000
    assert listed["steady"]["aims"]["latency_cold_ms.p99"] == "< 1100"


def test_the_command_line_knows_the_simulator_without_importing_it() -> None:
    code = "import sys, p2pblog.cli; print(*[name for name in sys.modules if 'sim' in name.split('.')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []


# --- run --------------------------------------------------------------------------------------------------------------


def test_a_run_prints_one_document_with_the_promised_keys_first(short: str) -> None:
    document = gets("run", short, "--seed", "7")

    assert list(document)[: len(KEYS)] == KEYS
    assert (document["scenario"], document["seed"], document["nodes"]) == ("short", 7, 20)
    assert document["virtual_s"] == 14
    assert (document["delivered_ratio"], document["missed"], document["pairs"]) == (1.0, 0, 38)
    assert list(document["latency_ms"]) == ["p50", "p90", "p99"]
    assert list(document["dht"]) == ["lookups", "success_ratio", "p50_ms", "p99_ms", "hops_p50"]
    assert document["violations"] == []
    assert [aim["met"] for aim in document["aims"]] == [True, False, None]


def test_a_person_reads_a_page(short: str) -> None:
    page = types("run", short).stdout

    assert page.startswith("short: 20 nodes, seed 1, 14 s of virtual time")
    assert "100.000%, 0 missed" in page
    assert "delivered_ratio = 1: 1, met" in page
    assert ", missed\n" in page
    assert "catch_up_ms.p99 < 500: none, not measured" in page
    assert page.endswith("No violation.\n")


def test_several_seeds_are_kept_in_a_folder_each(short: str, tmp_path: Path) -> None:
    documents = gets("run", short, "--seeds", "1-2", "--out", str(tmp_path / "out"))

    kept = [json.loads((tmp_path / "out" / f"seed-{seed}" / "result.json").read_text()) for seed in (1, 2)]
    assert kept == documents
    assert [document["seed"] for document in documents] == [1, 2]
    assert documents[0]["trace_hash"] != documents[1]["trace_hash"]
    assert (tmp_path / "out" / "seed-1" / "notices.csv").read_text().count("\n") == 3


def test_a_series_takes_the_place_of_the_one_that_lay_there(short: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    for seed in (1, 2, 3):
        folder.write(place / f"seed-{seed}", Outcome({"scenario": "old", "nodes": 20, "seed": seed}))

    gets("run", short, "--seeds", "1-2", "--out", str(place))
    assert [path.name for path in sorted(place.iterdir())] == ["seed-1", "seed-2"]
    assert {result.document["scenario"] for result in folder.results(str(place))} == {"short"}

    gets("run", short, "--out", str(place))
    assert [result.place for result in folder.results(str(place))] == [place]


def test_a_violation_ends_with_1_and_the_command_that_shows_it_again(
    short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted = World.post

    def post(world: World, author: int, number: int = 0) -> None:
        posted(world, author, number)
        world.fail("the moon fell down")

    monkeypatch.setattr(World, "post", post)
    page = types("run", short, "--nodes", "21", "--seed", "5")
    machine = types("run", short, "--nodes", "21", "--seed", "5", "--json")

    (replay,) = [text for text in page.stdout.splitlines() if "See it again" in text]
    assert (page.exit_code, machine.exit_code) == (1, 1)
    assert "Violations: 2\n  at " in page.stdout and " s: the moon fell down\n" in page.stdout
    assert replay.endswith(f"sim run {short} --nodes 21 --seed 5")
    document = json.loads(machine.stdout)
    assert [told.partition(": ")[2] for told in document["violations"]] == ["the moon fell down"] * 2
    again = types(*shlex.split(document["replay"].partition(" sim ")[2]), "--json")
    assert json.loads(again.stdout)["trace_hash"] == document["trace_hash"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["run", "steady", "--nodes", "19"], 2, "at least 20"),
        (["run", "steadi"], 4, "no scenario steadi"),
        (["run", "nowhere/x.toml"], 4, "can't be read"),
        (["run", "steady", "--seed", "-1"], 2, "--seed is a whole number"),
        (["run", "steady", "--seed", "1", "--seeds", "1-2"], 2, "do not go together"),
        (["run", "steady", "--seeds", "2-1"], 2, "a range such as 1-5"),
        (["run", "steady", "--seeds", "1-99999999999"], 2, "a range such as 1-5"),
        (["run", "steady", "--out", "/dev/null/there"], 1, "can't write to /dev/null/there"),
    ],
)
def test_what_can_not_be_run_is_said_at_once(words: list[str], code: int, sentence: str) -> None:
    result = types(*words)

    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr


def test_what_makes_no_sense_makes_no_folder(short: str, tmp_path: Path) -> None:
    Path(short).write_text(SHORT + "[start]\nnewcomers = 22\n")

    result = types("run", short, "--nodes", "22", "--out", str(tmp_path / "out"))

    assert (result.exit_code, result.stdout) == (2, "")
    assert "start.newcomers is below the number of nodes, 22" in result.stderr
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_run_at_once_without_a_result(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "p2pblog", "sim", "run", "steady", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (tmp_path / "out").exists():  # it is made just before ten thousand nodes are
        assert child.poll() is None and time.monotonic() < deadline

    child.send_signal(signal.SIGINT)
    said, beside = child.communicate(timeout=30)

    assert (child.returncode, said, beside.strip()) == (130, b"", b"")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_page_says_what_can_not_be_known(short: str) -> None:
    document = gets("run", short)
    document["dht"] |= {"lookups": 7, "p50_ms": 210.5, "p99_ms": 480.0}

    page = render(pages.run_page(document, None), colour=False)

    assert "7 look-ups\n" in page
    assert "p50 210.5 ms, p99 480 ms" in page


class Screen(io.StringIO):
    """A terminal, as far as a bar asks."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 41, 63, 64, 80, 200])
@pytest.mark.parametrize("seed", [1, 9_000_000_000_000_000_000])
def test_the_bar_of_a_run_fits_the_terminal(columns: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen, hours = Screen(), itertools.count(0, 3_600)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("click._termui_impl.time", SimpleNamespace(time=lambda: next(hours)))

    with simulating._progress("steady", 200, seed) as tick:
        for step in range(101):
            tick(step / 100)

    lines = screen.getvalue().replace("\n", "\r").split("\r")
    assert any("d 0" in line for line in lines), "the longest time that is left is shown"
    assert all(len(re.sub("\x1b\\[[0-9?]*[a-zA-Z]", "", line)) < columns for line in lines)
    assert f"seed {seed}"[:8] in lines[1]
    assert seed > 1 or ("steady, 200 nodes" in lines[1]) == (columns > 60)


def test_an_unknown_scenario_leads_to_the_list() -> None:
    assert types("run", "steadi").stderr.rstrip().endswith("sim list")
