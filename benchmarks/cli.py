"""Whole commands beside the bare import of click: `p2pblog post` and `timeline` against a running daemon."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kit.report import Figure, Report, Say
from simulations.demo import Person

ALTERNATIONS = 31
"""Each runs every command once: a process takes 50 ms, so many cost little and their median stands still."""
NOTICES = 40
"""In the timeline before anything is measured: two pages of it."""
TIMES_MAX = 1.7
PROGRAM = "from p2pblog.__main__ import start; start()"
"""What the installed script says; so nothing need be installed."""
COMMANDS: dict[str, list[str]] = {
    "post": ["post", "A notice that says what somebody wants to say, at the usual length of a hundred letters or so."],
    "timeline": ["timeline"],
}


def measure(say: Say) -> Report:
    with tempfile.TemporaryDirectory(prefix="p2pb-") as folder:
        person = Person("alice", Path(folder) / "p2pblog")  # where a home lies when nobody names one
        person.ask("init", "--name", "alice")
        say(f"a daemon starts, {NOTICES} notices are posted, each command runs {ALTERNATIONS} times")
        person.start()
        try:
            for number in range(NOTICES):
                person.ask("post", f"Notice number {number}: a line of text as people write them – with a dash.")
            taken = _alternate(_surroundings(Path(folder)))
        finally:
            person.stop()
    bare = taken.pop("click")
    figures = tuple(
        Figure(
            name,
            statistics.median(times),
            "ms",
            aim=f"ratio >= {1 / TIMES_MAX:.3f}",
            baseline=statistics.median(bare),
            less_is_better=True,
        )
        for name, times in taken.items()
    )
    return Report(figures, _facts(taken, bare))


def _surroundings(folder: Path) -> dict[str, str]:
    """No home is named, as people do: it is found where the platform keeps such things. All modules are compiled
    beforehand, click's like ours, as an installer does it."""
    unwanted = ("P2PBLOG_HOME", "P2PBLOG_DEBUG", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "XDG_DATA_HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def _alternate(surroundings: dict[str, str]) -> dict[str, list[float]]:
    """Milliseconds of each command and of the bare import, in turn; the first turn only compiles and warms."""
    lines = {"click": [sys.executable, "-c", "import click"]}
    lines |= {name: [sys.executable, "-c", PROGRAM, *words] for name, words in COMMANDS.items()}
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for turn in range(ALTERNATIONS + 1):
        for name, line in lines.items():
            spent = _time(line, surroundings)
            if turn:
                taken[name].append(spent)
    return taken


def _time(line: Sequence[str], surroundings: dict[str, str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(line, env=surroundings, capture_output=True, check=False)
    spent = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)} ended with {done.returncode}: {done.stderr.decode()}")
    return 1000 * spent


def _facts(taken: dict[str, list[float]], bare: list[float]) -> dict[str, object]:
    def of(times: list[float]) -> dict[str, float]:
        return {"minimum_ms": round(min(times), 1), "median_ms": round(statistics.median(times), 1)}

    found: dict[str, object] = {"import click": of(bare)}
    for name, times in taken.items():
        found[name] = {
            **of(times),
            "times_the_import_by_medians": round(statistics.median(times) / statistics.median(bare), 2),
            "times_the_import_by_minimums": round(min(times) / min(bare), 2),
        }
    return {"alternations": ALTERNATIONS, "python": sys.version.split()[0], "commands": found}
