"""Whatever msgpack can say, for searches."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from p2pblog.core import codec

INTEGERS = st.integers(codec.INT64_MIN, codec.UINT64_MAX) | st.integers(-200, 200)
SCALARS = st.none() | st.booleans() | INTEGERS | st.binary(max_size=70) | st.text(max_size=40)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.text(max_size=8), inner, max_size=6).map(
            lambda items: dict(sorted(items.items(), key=lambda pair: pair[0].encode()))
        )
    ),
    max_leaves=24,
).filter(lambda value: depth(value) <= 8)
"""Whatever the codec can carry, maps in order."""


def depth(value: Any) -> int:
    """Levels of arrays and maps; 0 for a plain value."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0
