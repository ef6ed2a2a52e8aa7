"""How long Hypothesis searches: the same examples in every run, or new and many with P2PBLOG_SEARCH=1 (`make fuzz`)."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("search" if os.environ.get("P2PBLOG_SEARCH") else "same")
