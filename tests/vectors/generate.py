"""Writes the core's test vectors: `PYTHONPATH=tests .venv/bin/python -m vectors.generate` writes the same bytes always.

The cases are told in the files beside this one, a line each. What a valid input means is computed by the code under
test, and kept from drifting by the files that it once wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vectors.address_cases import addresses
from vectors.dm_cases import dms
from vectors.entry_cases import entries, payloads
from vectors.group_cases import groups
from vectors.identity_cases import identities, statements
from vectors.parts import Case
from vectors.readers import (
    read_address_case,
    read_dm_case,
    read_entry_case,
    read_fork_case,
    read_group_case,
    read_identity_case,
    read_payload_case,
    read_run_case,
    read_statement_case,
)
from vectors.run_cases import fork_proofs, runs

FOLDER = Path(__file__).parent

FILES: dict[str, tuple[Callable[[], list[Case]], Callable[[Any], Any]]] = {
    "addresses": (addresses, read_address_case),
    "statements": (statements, read_statement_case),
    "identities": (identities, read_identity_case),
    "entries": (entries, read_entry_case),
    "payloads": (payloads, read_payload_case),
    "dms": (dms, read_dm_case),
    "groups": (groups, read_group_case),
    "runs": (runs, read_run_case),
    "fork-proofs": (fork_proofs, read_fork_case),
}
"""File -> what makes its cases, what reads an input of them. See README.md here for what the fields mean."""


def render(cases: list[Case]) -> str:
    """One case a line, so that a changed vector is a changed line."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, sort_keys=False) for case in cases)
    return f"[\n{lines}\n]\n"


def main() -> None:
    for name, (make, _) in FILES.items():
        (FOLDER / f"{name}.json").write_text(render(make()), encoding="ascii")


if __name__ == "__main__":
    main()
