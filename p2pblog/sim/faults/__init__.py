"""Faults: what a scenario does to its nodes and its network, each kind in a file of its own."""

from __future__ import annotations

from p2pblog.errors import UsageError
from p2pblog.sim.faults.any import AnyFaults
from p2pblog.sim.faults.crash import Crash
from p2pblog.sim.faults.fault import Fault
from p2pblog.sim.faults.leave import Leave
from p2pblog.sim.faults.partition import Partition
from p2pblog.sim.faults.relink import Relink
from p2pblog.sim.faults.retire import Retire
from p2pblog.sim.faults.rewire import Rewire
from p2pblog.sim.faults.skew import Skew
from p2pblog.sim.scenario import Scenario
from p2pblog.sim.tables import fill

FAULTS: dict[str, type[Fault]] = {
    "any": AnyFaults,
    "crash": Crash,
    "leave": Leave,
    "partition": Partition,
    "relink": Relink,
    "retire": Retire,
    "rewire": Rewire,
    "skew": Skew,
}
"""What a `[[faults]]` table calls its `kind`."""


def faults_of(scenario: Scenario) -> list[Fault]:
    """The faults of a scenario, in the order of its file. Raises UsageError."""
    found = []
    for table in scenario.faults:
        what = f"a fault of the scenario {scenario.name}"
        if not isinstance(table, dict) or table.get("kind") not in FAULTS:
            raise UsageError(f"{what} has no known kind; there are {', '.join(FAULTS)}")
        kind = FAULTS[table["kind"]]
        found.append(fill(kind, {name: value for name, value in table.items() if name != "kind"}, what))
    for fault in found:
        fault.check(scenario)
    return found
