"""The table of the manual: what each scenario aims at and what was measured, between two marks in the page."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.sim.aims import figure_at
from p2pblog.sim.folder import Result
from p2pblog.sim.pages import lasting, number

BEGIN = "<!-- figures: written by `make sim-long`, not by hand -->"
END = "<!-- end of the figures -->"

Measured = tuple[str, str, Sequence[str], Sequence[Result]]
"""A row: its scenario, the command that runs it, the figures it has aims for, and its runs."""


def rewrite(page: str, rows: Sequence[Measured]) -> str:
    """The page with a new table; the page must have both marks. A row without runs stays as the page has it: they lie
    on another machine."""
    before, _, rest = page.partition(BEGIN)
    table, mark, after = rest.partition(END)
    assert mark, "the page has lost the marks of its table"
    figures_before, notes_before = _kept(table)
    lines = ["| scenario | nodes | figure | aim | measured | |", "|---|---|---|---|---|---|"]
    notes = ["", "| scenario | command | took | memory | violations |", "|---|---|---|---|---|"]
    for scenario, command, figures, results in rows:
        lines += _lines(figures, results) if results else figures_before.get(scenario, [])
        notes += [_note(command, results)] if results else notes_before.get(scenario, [])
    return f"{before}{BEGIN}\n" + "\n".join(lines + notes) + f"\n{END}{after}"


def _kept(table: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The lines of each scenario in both halves of a table that was written before."""
    halves: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for half, text in zip(halves, table.strip().split("\n\n"), strict=False):
        scenario = ""
        for line in text.splitlines()[2:]:
            scenario = line.split("|")[1].strip(" `") or scenario
            half.setdefault(scenario, []).append(line)
    return halves


def _lines(figures: Sequence[str], results: Sequence[Result]) -> list[str]:
    """A line for each aim; the scenario is named on the first."""
    first = results[0].document
    lines: list[str] = []
    for figure in figures:
        judged = [aim for result in results for aim in result.document["aims"] if aim["figure"] == figure]
        if not judged:
            continue
        met = "met" if all(aim["met"] for aim in judged) else "**missed**"
        named = f"`{first['scenario']}` | {first['nodes']:,}" if not lines else " | "
        lines.append(f"| {named} | `{figure}` | {judged[0]['aim']} | {_range(figure, results)} | {met} |")
    return lines


def _range(figure: str, results: Sequence[Result]) -> str:
    """The least and the largest of all seeds."""
    values = [value for value in (figure_at(result.document, figure) for result in results) if value is not None]
    if not values:
        return "none"
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _note(command: str, results: Sequence[Result]) -> str:
    documents = [result.document for result in results]
    walls = sorted(document["wall_s"] for document in documents)
    seeds = f"{len(documents)} seeds, {lasting(round(walls[-1]))} at most" if len(documents) > 1 else lasting(walls[0])
    memory = max(document["peak_mib"] for document in documents)
    violations = sum(document.get("violations_total", len(document["violations"])) for document in documents)
    return f"| `{documents[0]['scenario']}` | `{command}` | {seeds} | {memory:,} MiB | {violations} |"
