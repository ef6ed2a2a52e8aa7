"""Software of others that benchmarks run beside ours: where it lies, and how it gets there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.kit.report import Say

PEERS = Path(__file__).parents[1] / "peers"
"""A folder for each, with a lock file and scripts of our own; what is installed there is not kept in git."""
INSTALL_TIMEOUT_S = 600
"""330 packages took 26 s over a fast line."""


T = TypeVar("T")


class Turns(Generic[T]):
    """What a rival's turns gave beside ours: all of them, or none, for half of the turns would be no baseline."""

    def __init__(self, can_run: bool) -> None:
        self.can_run = can_run
        self.found: list[T] = []

    def take(self, one: T | None) -> None:
        """What a turn gave; None, and the rival is out of it."""
        if one is None:
            self.can_run = False
            self.found.clear()
        else:
            self.found.append(one)


def node() -> str | None:
    """The Node.js that runs them, if this machine has one."""
    return shutil.which("node")


def installed(name: str, say: Say) -> Path | None:
    """The folder of a peer that runs on Node.js, with the packages that its lock file names installed.

    None, after telling why, where that can't be: the figure then stands without a ratio.
    """
    folder, npm = PEERS / name, shutil.which("npm")
    if node() is None or npm is None:
        say(f"no Node.js here, so nothing to measure {name} with")
        return None
    if _is_current(folder):
        return folder
    say(f"installing {name} into {folder / 'node_modules'}")
    command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        say(f"{name} could not be installed: {error.stderr.strip()[-500:]}")
        return None
    except subprocess.TimeoutExpired:
        say(f"{name} could not be installed within {INSTALL_TIMEOUT_S} s")
        return None
    return folder


def answer(
    name: str, command: Sequence[str], say: Say, *, folder: Path | None = None, told: str = "", timeout_s: float
) -> dict[str, Any] | None:
    """What a peer's script says: the JSON object on its last line, after it was told something on its standard input.

    None, after telling why, where it can't run, takes longer than `timeout_s` or says nothing: the figure then stands
    without a ratio, as where it is not installed.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, input=told, check=True, capture_output=True, text=True, timeout=timeout_s
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        say(f"{name} ended with {error.returncode}: {error.stderr.strip()[-500:]}")
    except subprocess.TimeoutExpired:
        say(f"{name} was not done within {timeout_s:g} s")
    except OSError as error:
        say(f"{name} can't be started: {error}")
    except (IndexError, ValueError):
        say(f"{name} ended and said nothing that is a result")
    else:
        return found
    return None


def _is_current(folder: Path) -> bool:
    """Whether what the lock file names was installed after it was last changed; npm writes the marker last."""
    marker, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    return marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime
