"""What a simulated DHT replaces from outside: the kademlia library's clock and chance, and signatures checked twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from random import Random
from types import SimpleNamespace
from typing import Any

import kademlia.network
import kademlia.protocol
import kademlia.routing
import kademlia.storage
import rpcudp.protocol

from p2pblog.core import keys

SIGNATURES_REMEMBERED = 1 << 16
"""Verified signatures of which the result is kept: every record of a large world, many times over."""


@contextmanager
def replaced(clock: Callable[[], float], rng: Random) -> Iterator[None]:
    """For the length of the block the library asks `clock` (in seconds) and `rng` instead of the machine, and a
    signature that held once holds again without the arithmetic: it is a pure function, called by every holder of the
    same record."""
    time = SimpleNamespace(monotonic=clock)
    real: Any = vars(keys)["sodium"]
    sodium = SimpleNamespace(**vars(real))
    sodium.crypto_sign_open = lru_cache(SIGNATURES_REMEMBERED)(real.crypto_sign_open)
    places: list[tuple[Any, str, Any]] = [
        (kademlia.routing, "time", time),
        (kademlia.storage, "time", time),
        (kademlia.protocol, "random", rng),
        (kademlia.network, "random", rng),
        (rpcudp.protocol, "os", SimpleNamespace(urandom=rng.randbytes)),
        (keys, "sodium", sodium),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, value in places:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
