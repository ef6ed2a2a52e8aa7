"""The command line: `python -m benchmarks` lists them, `python -m benchmarks NAME... [--json]` runs some.

A benchmark is a file of this folder whose caption says what it measures and whose `measure(say)` gives a Report.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from benchmarks.kit.report import Report
from p2pblog.daemon import INTERPRETER_TURN_S


def names() -> list[str]:
    """The benchmarks, as they are typed."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    return [name.replace("_", "-") for name in files if not name.startswith("__")]


def caption(name: str) -> str:
    return (_module(name).__doc__ or "").partition("\n")[0]


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name.replace('-', '_')}")


def _line(name: str, document: dict[str, Any]) -> str:
    def cell(value: float | None) -> str:
        return "-" if value is None else f"{value:,.4g}"

    met = {True: "met", False: "missed", None: "not judged"}[document["met"]]
    ratio = "" if document["ratio"] is None else f", {cell(document['ratio'])} times the baseline's"
    return f"{name:24} {cell(document['figure'])} {document['unit']}{ratio}; {document['aim'] or 'no aim'}: {met}"


@click.command(help=__doc__)
@click.argument("chosen", metavar="NAME...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Run all of them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each, on a line of its own.")
def main(chosen: tuple[str, ...], is_all: bool, as_json: bool) -> None:
    known = names()
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"no benchmark is called {name!r}; there are {', '.join(known)}")
    wanted = known if is_all else list(chosen)
    if not wanted:
        for name in known:
            about = {"name": name, "caption": caption(name)}
            click.echo(json.dumps(about) if as_json else f"{name:14} {about['caption']}")
        return
    sys.setswitchinterval(INTERPRETER_TURN_S)  # as a daemon's threads take turns, also where one is driven in here
    failed = []
    for name in wanted:
        try:
            report: Report = _module(name).measure(lambda text, of=name: click.echo(f"{of}: {text}", err=True))
        except Exception:  # whatever it was, the others can be measured
            click.echo(f"{name}: {traceback.format_exc()}", err=True)
            failed.append(name)
            continue
        document = report.document(name)
        if as_json:
            click.echo(json.dumps(document))
            continue
        for which, found in document["details"]["figures"].items():
            click.echo(_line(which, found))
    sys.stdout.flush()
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
