"""Alice at her terminal: she types commands in this process, or starts them as real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from click.testing import CliRunner, Result

from p2pblog.cli import main
from p2pblog.home import Home
from p2pblog.terminal import Page, render


class Alice:
    """Types commands in this process, or starts them as real ones."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def types(
        self,
        *words: str,
        stdin: str | bytes | None = None,
        env: dict[str, str] | None = None,
        columns: int | None = None,
    ) -> Result:
        """`columns`: those of a help page, 80 if not told, whatever the terminal has."""
        argv = ["--home", str(self.home.folder), *words]
        result = CliRunner().invoke(main, argv, input=stdin, env=env, terminal_width=columns)
        assert "Traceback" not in result.output
        return result

    def gets(self, *words: str, stdin: str | bytes | None = None) -> Any:
        """The one document that a command prints with --json."""
        result = self.types("--json", *words, stdin=stdin)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    def argv(self, *words: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-m", "p2pblog", "--home", str(self.home.folder), *words]

    def starts(self, words: Sequence[str | bytes], **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.argv(*words), capture_output=True, timeout=30, check=False, **more)


def lines_of(page: Page) -> list[str]:
    """What a page is where there are no colours."""
    return render(page, colour=False).splitlines()


def fields(shape: Any) -> list[str]:
    """The keys of a document, in their order."""
    return list(shape.__annotations__)


def a_follow(address: str, **more: Any) -> Any:
    """A row of `following`, as of somebody who has no name."""
    row = {"address": address, "name": None, "petname": None, "entries": 0, "newest": None, "state": "found"}
    row |= {"no_boosts": False, "budget": None, "private": False, "pruned": 0}
    return {**row, "lookalike": None, **more}
