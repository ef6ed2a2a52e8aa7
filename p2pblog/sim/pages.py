"""What a person reads about runs, from their documents alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from p2pblog.terminal import Line, Page, Piece, Style, line

VIOLATIONS_SHOWN = 20
"""On a page; the document has them all."""
RANGES_SHOWN = 5
"""Of seeds, in a heading."""
LABEL_COLUMNS = 16


def list_page(names: Sequence[str]) -> Page:
    """Bare names, so that scripts can loop over them."""
    return [line(name) for name in names]


def run_page(document: Mapping[str, Any], replay: str | None) -> Page:
    """One run: what it was, its figures, which aims it meets, and what must not have happened."""
    title = f"{document['scenario']}: {document['nodes']:,} nodes, seed {document['seed']}"
    took = f"{lasting(document['virtual_s'])} of virtual time in {lasting(document['wall_s'])}"
    page = [line(Piece(title, Style.BOLD), f", {took}, {document['peak_mib']:,} MiB"), line()]
    page += [_field(name, text) for name, text in _figures(document) if text]
    page += _aims(document["aims"])
    total = document.get("violations_total", len(document["violations"]))
    return page + _violations(document["violations"], total, replay)


def _figures(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    dht, missed = document["dht"], document["missed"]
    gossip: list[tuple[str, str]] = []
    if document["delivered_ratio"] is not None:
        gossip = [
            ("delivered", f"{document['delivered_ratio']:.3%}, {missed:,} missed, {document['lost']:,} lost"),
            ("latency", spread(document["latency_ms"])),
            ("  cold", spread(document["latency_cold_ms"])),
            ("  warm", spread(document["latency_warm_ms"])),
            ("catching up", spread(document["catch_up_ms"])),
            ("duplicates", f"{number(document['rmr'])} a delivery, {number(document['rmr_cold'])} of first notices"),
            ("relayed", f"{number(document['relay_share'])} a delivery"),
            ("lazy notices", f"{number(document['lazy_bytes_ratio'])} of the payload bytes"),
            ("last hop", number(document["last_hop"])),
        ]
    found = f"{dht['lookups']:,} look-ups" if dht["lookups"] else ""
    if dht["success_ratio"] is not None:
        found += f", {dht['success_ratio']:.3%} found"
    return [
        *gossip,
        ("DHT", found),
        ("DHT look-up", f"p50 {number(dht['p50_ms'])} ms, p99 {number(dht['p99_ms'])} ms" if found else ""),
        ("DHT publish", _publish(dht)),
        ("said to others", _said(document)),
        ("traffic", f"{number(document['bytes_per_node_s'])} bytes a second and node"),
        ("trace", document["trace_hash"]),
    ]


def _said(document: Mapping[str, Any]) -> str:
    if "words" not in document:
        return ""
    words = document["words"]
    answers = f"{words['reached']:,} of {words['addressed']:,} answers to strangers came"
    return f"{answers}, {words['read']:,} of {words['letters']:,} direct messages were read"


def _publish(dht: Mapping[str, Any]) -> str:
    if "publishes" not in dht:
        return ""
    return f"8 holders after p50 {number(dht['acked_p50_ms'])} ms, p99 {number(dht['acked_p99_ms'])} ms"


def _aims(judged: Sequence[Mapping[str, Any]]) -> Page:
    page: Page = [line(), line("Aims")] if judged else []
    for aim in judged:
        word, style = {True: ("met", Style.GOOD), False: ("missed", Style.WARNING)}.get(
            aim["met"], ("not measured", Style.DIM)
        )
        page.append(line(f"  {aim['figure']} {aim['aim']}: {number(aim['value'])}, ", Piece(word, style)))
    return page


def _violations(violations: Sequence[str], total: int, replay: str | None) -> Page:
    if not violations:
        return [line(), line(Piece("No violation.", Style.GOOD))]
    page = [line(), line(Piece(f"Violations: {total:,}", Style.ERROR))]
    page += [line(f"  {text}") for text in violations[:VIOLATIONS_SHOWN]]
    if total > VIOLATIONS_SHOWN:
        page.append(line(f"  and {total - VIOLATIONS_SHOWN:,} more"))
    return [*page, line("See it again: ", Piece(replay or "", Style.BOLD))]


def compare_page(compared: Mapping[str, Any]) -> Page:
    """Two results side by side; what got worse stands out."""
    page: Page = [line(f"before: {compared['before']}"), line(f"after:  {compared['after']}")]
    for group in compared["groups"]:
        title = f"{group['scenario']}, {group['nodes']:,} nodes"
        page += [line(), line(Piece(title, Style.BOLD), f" ({_told_of_runs(group)})")]
        page.append(line(Piece(f"  {'':<24}{'before':>12}  {'after':>12}", Style.DIM)))
        for row in group["figures"]:
            page.append(_compared(row))
    for side in ("before", "after"):
        page += [line(f"only {side}: {name}") for name in compared[f"only_{side}"]]
    return page


def _told_of_runs(group: Mapping[str, Any]) -> str:
    """How many runs there are, and how far they are of the same seeds: another seed alone changes figures."""
    runs = f"{group['runs_before']} and {group['runs_after']} runs"
    common = group["seeds_common"]
    if not common:
        return f"{runs}, with no seed in common"
    told = f"seed {common[0]}" if len(common) == 1 else f"seeds {_ranges(common)}"
    if group["seeds_differ"]:
        alike = ", there with the same traces" if group["identical"] else ""
        return f"{runs}, of which {told} on both sides{alike}"
    return f"{runs}, {told}" + (", with the same traces" if group["identical"] else "")


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in short, as `1-3, 7`."""
    ends: list[list[int]] = []
    for number in numbers:
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    told = [str(low) if low == high else f"{low}-{high}" for low, high in ends[:RANGES_SHOWN]]
    return ", ".join(told) + (", …" if len(ends) > RANGES_SHOWN else "")


def _compared(row: Mapping[str, Any]) -> Line:
    percent = "" if row["percent"] is None else f"{row['percent']:+.1f}%"
    values = f"{number(row['before']):>12}  {number(row['after']):>12}  {percent:>9}"
    verdict, style = {"worse": ("  worse", Style.WARNING), "better": ("  better", Style.GOOD)}.get(
        row["verdict"], ("", Style.PLAIN)
    )
    return line(f"  {row['figure']:<24}{values}", Piece(verdict, style))


# --- shapes -----------------------------------------------------------------------------------------------------------


def _field(name: str, text: str) -> Line:
    return line(Piece(name.ljust(LABEL_COLUMNS), Style.DIM), text)


def number(value: float | None) -> str:
    """A figure as short as it can be said, with thousands apart."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.5g}"


def spread(quantiles: Mapping[str, float | None]) -> str:
    """Times in ms; nothing where there are none."""
    if quantiles["p50"] is None:
        return ""
    return ", ".join(f"{name} {number(value)} ms" for name, value in quantiles.items())


def lasting(seconds: float) -> str:
    """A duration in units that fit it."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"
