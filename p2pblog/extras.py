"""What is installed beside p2pblog for some commands, and what to type for it."""

from __future__ import annotations

import shlex
import sys

PILLOW = "pillow >=11,<14"
MATPLOTLIB = "matplotlib >=3.8,<4"
"""As pyproject.toml has them, which a test compares."""


def install(requirement: str) -> str:
    """The command that installs it for the Python that runs this: a bare pip may be another one's."""
    return shlex.join([sys.executable, "-m", "pip", "install", requirement])
