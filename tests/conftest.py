"""What holds for all tests: how long Hypothesis searches, and how little each store reserves of the disk.

Hypothesis tries the same examples in every run, or new and many with P2PBLOG_SEARCH=1 (`make fuzz`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from p2pblog.store import reserve

settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("search" if os.environ.get("P2PBLOG_SEARCH") else "same")


@pytest.fixture(scope="session", autouse=True)
def small_reserve() -> Iterator[None]:
    """Hundreds of stores would leave 8 MiB each in the temporary folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reserve, "RESERVE_BYTES", 64 * 1024)
        yield


@pytest.fixture(autouse=True)
def no_bug_called_damage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Code of the store that fails raises StoreDamaged, which a node goes on after: a bug would pass unseen. So a test
    fails when that was logged, unless it is marked `damages`, because it does damage to a database."""
    seen: list[str] = []
    watch = logging.Handler(logging.ERROR)
    watch.emit = lambda record: seen.append(record.getMessage()) if record.exc_info else None  # type: ignore[method-assign]
    logger = logging.getLogger("p2pblog.store")
    logger.addHandler(watch)
    yield
    logger.removeHandler(watch)
    if request.node.get_closest_marker("damages") is None:
        assert not seen
