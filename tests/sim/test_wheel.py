"""The archives: an installed wheel brings the scenarios along, and the sources bring all that a change takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from p2pblog import __version__
from p2pblog.sim import scenario

ROOT = Path(__file__).parents[2]


def test_the_source_archive_has_what_it_takes_to_change_the_program(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(tmp_path / f"p2pblog-{__version__}.tar.gz") as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    wanted = {".ci/run", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "LICENSE-UNICODE", "Makefile", "README.md"}
    assert wanted <= held
    assert {"benchmarks/__main__.py", "docs/architecture.md", "simulations/series.py", "tests/test_house.py"} <= held


def test_the_simulator_runs_from_an_unpacked_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name == f"p2pblog-{__version__}-py3-none-any.whl"
    zipfile.ZipFile(wheel).extractall(tmp_path / "there")
    elsewhere = os.environ | {"PYTHONPATH": str(tmp_path / "there")}

    def types(*words: str) -> str:
        command = [sys.executable, "-m", "p2pblog", "sim", *words]
        done = subprocess.run(command, cwd=tmp_path, env=elsewhere, check=True, capture_output=True, text=True)
        return done.stdout

    code = "import p2pblog.sim.scenario as scenario; print(scenario.folder())"
    place = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=elsewhere, check=True, capture_output=True, text=True
    )
    assert place.stdout.strip() == str(tmp_path / "there" / "p2pblog" / "sim" / "scenarios")
    assert types("list").split() == scenario.names()
    assert json.loads(types("run", "steady", "--nodes", "20", "--json"))["delivered_ratio"] == 1.0
