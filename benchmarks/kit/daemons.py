"""Real daemons on loopback: started as a person starts them, asked over the control socket, watched from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from p2pblog.control import client
from p2pblog.home import Home

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Daemon:
    """One running daemon."""

    home: Home
    process: subprocess.Popen[str]
    listen: str
    start_s: float
    """From the start of the process until it said where it listens."""

    def ask(self, route: str, **arguments: Any) -> Any:
        return client.call(self.home, route, **arguments)

    @property
    def resident_mb(self) -> float:
        return resident_mb(self.process.pid)

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)


@contextmanager
def daemon(home: Home) -> Iterator[Daemon]:
    """A daemon on this home, for the length of the block; what it logs lies in the home's folder."""
    command = [sys.executable, "-m", "p2pblog", "--home", str(home.folder)]
    begun = time.perf_counter()
    with (home.folder / "log").open("a") as log:
        process = subprocess.Popen(
            [*command, "run", "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_surroundings(),
        )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"a daemon did not start: {(home.folder / 'log').read_text()[-2_000:]}")
        yield Daemon(home, process, json.loads(line)["listen"], time.perf_counter() - begun)
    finally:
        _end(process)


def _surroundings() -> dict[str, str]:
    """As an installed program runs: what one start compiled, the next ones read, whatever our own Python is told."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": _compiled().name}


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """Where the compiled modules lie until this program ends."""
    return tempfile.TemporaryDirectory(prefix="p2pblog-compiled-")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def resident_mb(pid: int) -> float:
    """What a process holds in memory now, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@dataclass
class Peak:
    """The most memory that each of some processes held while it was watched."""

    every_s: float = 0.05
    peaks_mb: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def watching(self, *pids: int) -> Iterator[Peak]:
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(self.every_s):
                for pid in pids:
                    self.peaks_mb[pid] = max(self.peaks_mb.get(pid, 0.0), resident_mb(pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()
