"""What a door is, and who stands before the doors: shared by the tables of them."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import person

from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.core.runs import encode_run
from p2pblog.errors import P2pblogError, RemoteProtocolError, UserError

VECTORS = Path(__file__).parent / "vectors"
SCRATCH = Path(tempfile.mkdtemp(prefix="p2pblog-doors-"))
"""For what is read from a file."""
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


@dataclass(frozen=True)
class Door:
    """`knock` gives a value or raises one of `faults`, whatever the bytes; it takes each of `seeds` in some way."""

    knock: Callable[[bytes], Any]
    seeds: tuple[bytes, ...]
    faults: tuple[type[P2pblogError], ...] = (RemoteProtocolError,)


def vectors(name: str) -> list[Any]:
    """The inputs of a vector file, the refused ones too."""
    told = json.loads((VECTORS / f"{name}.json").read_text())
    return [case["input"] for case in (told["cases"] if isinstance(told, dict) else told)]


def strings(value: Any) -> Iterator[str]:
    """Every text in an input of a vector."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def in_hex(*inputs: Any) -> Iterator[bytes]:
    """The byte strings in inputs of vectors."""
    for text in strings(list(inputs)):
        try:
            yield bytes.fromhex(text)
        except ValueError:
            continue


SEED_BYTES_MAX = 4096
"""Longer seeds are left to the tests of their packages: an accident in 2 MiB is one in 4 KiB."""


def of_peers(knock: Callable[[bytes], Any], *seeds: bytes) -> Door:
    return Door(knock, _short(seeds))


def of_values(knock: Callable[[Any], Any], *seeds: bytes) -> Door:
    return of_peers(lambda data: knock(codec.unpack(data, bytes_max=2**16)), *seeds)


def of_text(knock: Callable[[str], Any], *seeds: str, fault: type[P2pblogError] = RemoteProtocolError) -> Door:
    """Text as a command line has it: bytes that are no UTF-8 are lone surrogates (PEP 383)."""
    given = tuple(seed.encode("utf-8", "surrogateescape") for seed in seeds)
    return Door(lambda data: knock(data.decode("utf-8", "surrogateescape")), _short(given), (fault,))


def of_file(knock: Callable[[Path], Any], *seeds: bytes, name: str, fault: type[P2pblogError] = UserError) -> Door:
    """`knock` gets the path of a file of that name that holds the bytes."""
    place = SCRATCH / name

    def write(data: bytes) -> Any:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return knock(place)

    return Door(write, _short(seeds), (fault,))


def _short(seeds: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(seed for seed in seeds if len(seed) <= SEED_BYTES_MAX))


# --- who is there -----------------------------------------------------------------------------------------------------

ALICE, BOB = person("alice"), person("bob")
ALICE.notes(3)
CLONE = ALICE.log.branch(2)
CLONE.note("clone")
NODE = KeyPair.from_seed(b"alice".ljust(32, b"."))
HERE, SIX = Endpoint("192.0.2.1", 4711), Endpoint("2001:db8::1", 80)
RUN = codec.pack(encode_run(ALICE.log.run()))
