"""Chance: every draw of a run comes from its seed and a name, so one part's draws never shift another's."""

from __future__ import annotations

import hashlib
from decimal import Context, Decimal
from random import Random

_MASK = (1 << 64) - 1
_EXACT = Context(prec=20)
"""Logarithms and powers are taken here: correctly rounded, so the same on every machine, as a C library's are not."""


def generator(seed: int, *name: object) -> Random:
    """A generator of its own for what is named; the same for the same seed and name everywhere."""
    said = "/".join(str(part) for part in (seed, *name)).encode()
    return Random(int.from_bytes(hashlib.blake2b(said, digest_size=16, person=b"p2pblog sim").digest(), "big"))


def draw(seed: int, one: int, other: int) -> float:
    """A number in [0, 1) for a pair of numbers, without a table (SplitMix64's finaliser, Steele et al. 2014)."""
    value = (seed * 0x9E3779B97F4A7C15 + one * 0xD1B54A32D192ED03 + other * 0x8CB92BA72F3D8DD7) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((value ^ (value >> 31)) >> 11) / (1 << 53)


def weibull_us(rng: Random, scale_us: int, shape: str) -> int:
    """A time from the Weibull distribution, by inverting it; `shape` as its decimal spelling."""
    minus_log = -_EXACT.ln(Decimal(1) - Decimal(rng.random()))
    return int(_EXACT.multiply(Decimal(scale_us), _EXACT.power(minus_log, _EXACT.divide(Decimal(1), Decimal(shape)))))


def log_normal_us(rng: Random, median_us: int, sigma: str) -> int:
    """A time whose logarithm is normal; `sigma` as its decimal spelling. The normal is a sum of twelve uniform draws
    (Irwin-Hall), exact on every machine; it ends at six standard deviations."""
    normal = sum(Decimal(rng.random()) for _ in range(12)) - 6
    return int(_EXACT.multiply(Decimal(median_us), _EXACT.exp(_EXACT.multiply(Decimal(sigma), normal))))
