"""First sync of a million notices: a newcomer follows 1,000 authors with 1,000 notices each; the curve and the memory.

Ours runs once, for minutes; ssb-db2 with ssb-ebt replicates a tenth of it before and after, which is kind to it: nobody
gets faster as it fills. SYNC_AUTHORS in the environment asks for fewer authors.
"""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path

from benchmarks.kit.report import Figure, Report, Say
from benchmarks.kit.syncing import Holder, Rival

AUTHORS = 1_000
NOTICES = 1_000
RIVAL_AUTHORS = 100
RIVAL_RUNS = 2
"""Before ours, and as many after."""
CURVE_EVERY_S = 1.0
RESIDENT_MB_MAX = 250


def measure(say: Say) -> Report:
    authors = int(os.environ.get("SYNC_AUTHORS", AUTHORS))
    with tempfile.TemporaryDirectory(prefix="p2pblog-sync-") as name:
        rival = Rival("ssb", Path(name), RIVAL_AUTHORS, NOTICES, say)
        holder = Holder(Path(name), authors, NOTICES, say)
        for _ in range(RIVAL_RUNS):
            rival.sync()
        say(f"syncing {holder.total:,} notices; ssb before: {rival.median or 0:,.0f} messages a second")
        ours = holder.sync(every_s=CURVE_EVERY_S)
        say(f"{ours.seconds:.0f} s")
        for _ in range(RIVAL_RUNS):
            rival.sync()
    peaks = {"newcomer-resident": ours.newcomer_peak_mb, "holder-resident": ours.holder_peak_mb}
    resident = [Figure(of, peak, "MB", f"figure <= {RESIDENT_MB_MAX}") for of, peak in peaks.items()]
    return Report(
        (Figure("sync-million", holder.total / ours.seconds, "notices/s", "ratio >= 6", rival.median), *resident),
        {
            "notices": holder.total,
            "seconds": round(ours.seconds, 1),
            "newcomer_cpu_s": round(ours.newcomer_cpu_s, 1),
            "holder_cpu_s": round(ours.holder_cpu_s, 1),
            "rival_messages_per_s": [round(found) for found in rival.found],
            "notices_per_s_by_tenths": _by_tenths(ours.curve),
            "curve": ours.curve,
        },
    )


def _by_tenths(curve: list[tuple[float, int]]) -> list[int]:
    """The speed within each tenth of the way, interpolated."""
    total = curve[-1][1]
    times = [_time_at(curve, total * tenth / 10) for tenth in range(11)]
    return [round(total / 10 / (after - before)) for before, after in pairwise(times)]


def _time_at(curve: list[tuple[float, int]], held: float) -> float:
    for (begun, low), (ended, high) in pairwise(curve):
        if low <= held <= high and high > low:
            return begun + (ended - begun) * (held - low) / (high - low)
    return curve[-1][0]
