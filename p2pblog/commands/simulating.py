"""`p2pblog sim`: the commands around the simulator, imported only when one of them is called."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import click

from p2pblog.commands import offers
from p2pblog.commands.progress import BAR_COLUMNS, share_bar
from p2pblog.errors import NotFound, UsageError
from p2pblog.session import Command, Session, json_option, this
from p2pblog.sim import folder, pages, scenario, sense
from p2pblog.sim.aims import parse_all
from p2pblog.sim.compare import compare
from p2pblog.sim.run import Outcome, Tick, run
from p2pblog.sim.tables import SEED_LIMIT
from p2pblog.terminal import clean_line, columns, fit, width

VIOLATED = 1
"""The exit code of a run in which something happened that must never happen."""
SEEDS_MAX = 10_000
"""In one call; it also keeps `1-99999999999` from being a list in memory."""
BAR_COLUMNS_MIN = 6
BESIDE_BAR_COLUMNS = len("  []  100%  1d 00:00:00") + 2
"""What stands around the bar, with two to spare: a line that is full wraps, and each step would leave one behind."""


def _example(text: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {each}" for each in text.splitlines())


# --- list -------------------------------------------------------------------------------------------------------------


@click.command("list", cls=Command, epilog=_example("p2pblog sim list"))
@json_option
@this
def list_scenarios(session: Session) -> None:
    """The scenarios that can be run, one name on each line."""
    names = scenario.names()
    document = [_listed(scenario.find(name)) for name in names] if session.json else []
    session.show(document, lambda: pages.list_page(names))


def _listed(found: scenario.Scenario) -> dict[str, Any]:
    aims = {aim.figure: aim.text for aim in parse_all(found.aims)}
    return {"name": found.name, "caption": found.caption, "kind": found.kind, "nodes": found.nodes, "aims": aims}


# --- run --------------------------------------------------------------------------------------------------------------


def _seeds(context: click.Context, _: click.Parameter, typed: str | None) -> range | None:
    if typed is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", typed)
    if match is None or not int(match[1]) <= int(match[2]) < int(match[1]) + SEEDS_MAX:
        raise click.UsageError(f"--seeds takes a range such as 1-5, of at most {SEEDS_MAX:,} seeds", context)
    return range(int(match[1]), int(match[2]) + 1)


@click.command(
    "run",
    cls=Command,
    epilog=_example("p2pblog sim run steady --nodes 200\np2pblog sim run steady --nodes 200 --seeds 1-5 --out results"),
)
@click.argument("name", metavar="SCENARIO", shell_complete=offers("scenarios"))
@click.option("--nodes", metavar="N", type=int, help=f"How many nodes, at least {scenario.NODES_MIN}.")
@click.option("--seed", metavar="S", type=int, help="What all chance of the run comes from.")
@click.option("--seeds", metavar="A-B", callback=_seeds, help="Several runs, one for each seed.")
@click.option("--out", metavar="DIR", shell_complete=offers("folder"), help="Keep the result there.")
@json_option
@this
def run_scenario(
    session: Session, name: str, nodes: int | None, seed: int | None, seeds: range | None, out: str | None
) -> None:
    """Run a scenario and check its rules. SCENARIO is the name of one in the list, or a file ending in .toml. Ends with
    1 if a rule was broken."""
    planned = scenario.find(name)
    nodes = planned.nodes if nodes is None else nodes
    if not scenario.NODES_MIN <= nodes <= scenario.NODES_MAX:
        raise UsageError(f"--nodes is at least {scenario.NODES_MIN} and at most {scenario.NODES_MAX:,}, not {nodes:,}")
    if seed is not None and seeds is not None:
        raise UsageError("--seed and --seeds do not go together", "p2pblog sim run --help")
    if seed is not None and not 0 <= seed < SEED_LIMIT:
        raise UsageError(f"--seed is a whole number from 0 to {SEED_LIMIT - 1:,}")
    sense.check(planned, nodes)  # before a folder is made
    place = None if out is None else folder.begin(out, seeds or ())
    documents: list[dict[str, Any]] = []
    for each in seeds or [planned.seed if seed is None else seed]:
        with _progress(planned.name, nodes, each) as tick:
            outcome = run(planned, nodes, each, tick)
        replay = replay_command(session, name, nodes, each) if outcome.violations else None
        _keep(outcome, replay, place, several=seeds is not None, first=not documents)
        documents.append(outcome.document)
        if not session.json:
            session.show(outcome.document, partial(pages.run_page, outcome.document, replay))
    if session.json:
        session.show(documents if seeds is not None else documents[0], list)
    if any(document["violations"] for document in documents):
        raise click.exceptions.Exit(VIOLATED)


def _keep(outcome: Outcome, replay: str | None, place: Path | None, several: bool, first: bool) -> None:
    if replay is not None:
        outcome.document["replay"] = replay
    if place is None:
        return
    if first:  # not before: until a run is over it may yet fail
        folder.clear(place)
    folder.write(folder.folder_of(place, outcome.document["seed"]) if several else place, outcome)


def replay_command(session: Session, name: str, nodes: int, seed: int) -> str:
    """What to type to see the same run again."""
    return f"{session.program} sim run {shlex.quote(name)} --nodes {nodes} --seed {seed}"


def _progress(name: str, nodes: int, seed: int) -> AbstractContextManager[Tick]:
    room = columns(sys.stderr) - BESIDE_BAR_COLUMNS
    label = _bar_label(clean_line(name), nodes, seed, room - BAR_COLUMNS_MIN)
    return share_bar(label, min(BAR_COLUMNS, room - width(label)))


def _bar_label(name: str, nodes: int, seed: int, room: int) -> str:
    """As much as fits of which run it is. The seed stays longest: of a series it is what changes."""
    labels = (f"{name}, {nodes:,} nodes, seed {seed}", f"{name}, seed {seed}", f"seed {seed}")
    return next((label for label in labels if width(label) <= room), fit(labels[-1], room))


# --- what came of it --------------------------------------------------------------------------------------------------


@click.command("plot", cls=Command, epilog=_example("p2pblog sim plot results"))
@click.argument("place", metavar="DIR", shell_complete=offers("folder"))
@json_option
@this
def plot(session: Session, place: str) -> None:
    """Draw results as pictures. Of those in DIR and in folders within it, as PNG files in DIR."""
    from p2pblog.sim import pictures

    paths = [str(path) for path in pictures.draw_all(folder.results(place), Path(place))]
    session.show({"pictures": paths}, lambda: pages.list_page(paths))


@click.command("compare", cls=Command, epilog=_example("p2pblog sim compare results/before results/after"))
@click.argument("before", metavar="DIR", shell_complete=offers("folder"))
@click.argument("after", metavar="DIR", shell_complete=offers("folder"))
@json_option
@this
def compare_results(session: Session, before: str, after: str) -> None:
    """The figures of two results side by side. It says which got worse; of several seeds in a folder it compares the
    means."""
    compared = compare(folder.results(before), folder.results(after))
    if not compared["groups"]:
        sides = ((before, "only_before"), (after, "only_after"))
        there = "; ".join(f"in {name} {', '.join(compared[side])}" for name, side in sides)
        raise NotFound(f"nothing to compare: no scenario ran in the same size on both sides; there is {there}")
    document = {"before": before, "after": after, **compared}
    session.show(document, lambda: pages.compare_page(document))


COMMANDS = {each.name: each for each in (list_scenarios, run_scenario, plot, compare_results)}
