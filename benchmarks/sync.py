"""First sync: two daemons on loopback, and a newcomer that follows 100 authors with 1,000 notices each.

Ours and each rival are measured in turn: from the dial, handshake included, to the last notice stored. Ours counts
until it can be read as well; the indexes of ssb-db2 and of whoever reads hypercores come later and are not waited for.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.kit.report import ROUNDS, Figure, Report, Say
from benchmarks.kit.syncing import Holder, Rival, Synced

AUTHORS = 100
NOTICES = 1_000


def measure(say: Say) -> Report:
    ours: list[Synced] = []
    with tempfile.TemporaryDirectory(prefix="p2pblog-sync-") as name:
        folder = Path(name)
        rivals = [Rival(of, folder, AUTHORS, NOTICES, say) for of in ("ssb", "hypercore")]
        holder = Holder(folder, AUTHORS, NOTICES, say)
        for number in range(ROUNDS):
            ours.append(holder.sync())
            say(f"round {number + 1}: ours {holder.total / ours[-1].seconds:,.0f} notices a second")
            for rival in rivals:
                rival.sync()
                say(f"round {number + 1}: {rival.name} {(rival.found or [0])[-1]:,.0f} messages a second")
        shares = [holder.newest_share() for _ in range(ROUNDS)]
        speeds = [holder.total / one.seconds for one in ours]
    figures = [
        Figure(title, statistics.median(speeds), "notices/s", "ratio >= 8", rival.median)
        for title, rival in zip(("sync", "sync-hypercore"), rivals, strict=True)
    ]
    newest = Figure("newest-first", statistics.median(shares), "of all bytes", "figure <= 0.1", less_is_better=True)
    return Report(
        (*figures, newest),
        {
            "rounds_notices_per_s": [round(speed) for speed in speeds],
            "rivals_messages_per_s": {rival.name: [round(found) for found in rival.found] for rival in rivals},
            "newcomer_cpu_s": round(statistics.median(one.newcomer_cpu_s for one in ours), 2),
            "holder_cpu_s": round(statistics.median(one.holder_cpu_s for one in ours), 2),
            "newcomer_peak_mb": round(max(one.newcomer_peak_mb for one in ours), 1),
            "holder_peak_mb": round(max(one.holder_peak_mb for one in ours), 1),
            "newest_first_shares": [round(share, 3) for share in shares],
        },
    )
