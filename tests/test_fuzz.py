"""Bytes from anybody, pushed through every door: a value or one of the door's own errors, in little memory."""

from __future__ import annotations

import ast
import re
import sys
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest
from door_kinds import SEED_BYTES_MAX, Door
from doors import DOORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from values import VALUES

from p2pblog.core import codec
from p2pblog.errors import P2pblogError, RemoteProtocolError

ALL_SEEDS = [seed for door in DOORS.values() for seed in door.seeds]
each_door = pytest.mark.parametrize("name", DOORS)


def knock(door: Door, data: bytes) -> None:
    """Any other error than the door's is the test's failure."""
    try:
        door.knock(data)
    except door.faults as error:
        assert type(error) is not RemoteProtocolError, "an error of the family, with no name of its own"


# --- accidents --------------------------------------------------------------------------------------------------------

HUGE = [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
    b"\xdd\x00\x0f\xff\xff", b"\xdf\x00\x01\x00\x00", b"\xc9\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff",
    b"\xc5\xff\xff", b"\xff\xff", b"\xff\xff\xff\x7f", b"\x9f", b"\x8f",
]  # fmt: skip
"""What promises much: the heads of msgpack's arrays, maps and strings, and lengths of frames and messages."""
DEEP = [b"\x91", b"\x9f", b"\x81\xa0", b"\xdd\x00\x00\x00\x01", b"[", b'{"a":', b"a.", b"[["]
"""What opens a level, in msgpack, JSON and TOML."""
ODD = [
    b"\x00", b"\x7f", b"\x80", b"\xc0", b"\xc1", b"\xc4\x00", b"\xcb" + bytes(8), b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + bytes(7), b"\xd6\xff" + bytes(4), b"\xed\xa0\x80", b"\xe2\x80\xae", b'"', b"'", b",", b"\n",
    b"\r\n", b"%", b"&peer=" * 40, b"1e999", b"nan", b"-1", b"\xc2\xb2", b"\xd9\xa3", b"9" * 5_000, b"0x", b"[::%",
    b"null", b"true", b"{}", b"\xef\xbb\xbf", b'"\\ud800"',
    b"Content-Length: " + b"9" * 17 + b"\r\n", b"Content-Length: " + b"9" * 5_000 + b"\r\n",
]  # fmt: skip
"""What readers stumble over: nil, floats, timestamps, surrogates, numbers of many digits or none, separators."""


def accidents(seed: bytes, number: int) -> bytes:
    """`seed` after one to three accidents: the same ones for the same number.

    (Drawn by Hypothesis one by one, they would take ten times as long as all readers together.)
    """
    rng, data = Random(number), seed
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(data))
        match rng.choice(["flip", "cut", "end", "odd", "huge", "deep", "repeat", "swap", "splice"]):
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << rng.randint(0, 7)]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + rng.randint(1, 40) :]
            case "end":
                data = data[:at]
            case "odd":
                data = data[:at] + rng.choice(ODD) + data[at + rng.randint(0, 9) :]
            case "huge":
                data = data[:at] + rng.choice(HUGE) + data[at + rng.randint(0, 5) :]
            case "deep":
                data = data[:at] + rng.choice(DEEP) * rng.choice([7, 9, 600, 9_000]) + data[at:]
            case "repeat":
                data = data[:at] + data[max(0, at - rng.randint(1, 40)) :]
            case "swap":
                a, b = sorted((at, rng.randint(0, len(data))))
                data = data[:a] + data[b : b + 4] + data[a + 4 : b] + data[a : a + 4] + data[b + 4 :]
            case _:
                other = rng.choice(ALL_SEEDS)
                data = data[:at] + other[rng.randint(0, len(other)) :]
    return data


def inputs(door: Door) -> st.SearchStrategy[bytes]:
    """Most of them accidents of what the door takes; else what another door takes, any value of msgpack, or noise."""
    own = st.builds(accidents, st.sampled_from(door.seeds), st.integers(0, 2**32))
    other = st.sampled_from(ALL_SEEDS) | st.binary(max_size=300) | VALUES.map(codec.pack)
    return st.one_of(own, own, own, own, own, own, other)


@each_door
def test_any_bytes_are_a_value_or_an_error_of_the_door(name: str) -> None:
    door = DOORS[name]

    @settings(max_examples=settings.default.max_examples // 2, suppress_health_check=list(HealthCheck))
    @given(data=inputs(door))
    def search(data: bytes) -> None:
        knock(door, data)

    search()


@each_door
def test_every_beginning_of_an_input_is_a_value_or_an_error_of_the_door(name: str) -> None:
    door = DOORS[name]
    for seed in door.seeds[:3]:
        for length in range(0, len(seed) + 1, 1 + len(seed) // 250):
            knock(door, seed[:length])


@each_door
def test_a_long_input_is_a_value_or_an_error_of_the_door(name: str) -> None:
    door = DOORS[name]
    for piece in (b"9", b"a", b'"', b"\n", b"\xe2\x80\x8b", b"\x00", b"\xff"):
        for start in (b"", min(door.seeds, key=len), max(door.seeds, key=len)):
            knock(door, start + piece * (LONG_BYTES // len(piece)))


LONG_BYTES = 150_000
"""More than the csv module takes for one field."""

# --- memory -----------------------------------------------------------------------------------------------------------

PROMISES = [head + bytes(20) for head in HUGE] + [head * 60 for head in HUGE] + [level * 9_000 for level in DEEP]
PEAK_BYTES_MAX = 3 * 1024 * 1024
"""For inputs of at most 45 kB. What msgpack's decoder takes for a moment is under 1 MB (`SMALL_BYTES_MAX`); the largest
promise in `HUGE` is of 4 GiB."""


@each_door
def test_a_promise_takes_no_memory(name: str) -> None:
    door = DOORS[name]
    seed = min(door.seeds, key=len)
    places = {0, 1, len(seed) // 4, len(seed) // 2, 3 * len(seed) // 4, len(seed) - 1, len(seed)}
    knock(door, door.seeds[0])  # what is loaded or remembered once counts for nobody
    worst = (0, b"")
    tracemalloc.start()
    try:
        for data in (seed[:at] + promise + seed[at:] for at in sorted(places) for promise in PROMISES):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            knock(door, data)
            worst = max(worst, (tracemalloc.get_traced_memory()[1] - before, data[:40]))
    finally:
        tracemalloc.stop()
    assert worst[0] <= PEAK_BYTES_MAX, worst


@pytest.mark.parametrize("digits", [9, 17, 4_301, 60_000])
def test_a_length_of_many_digits_is_no_answer_and_takes_no_memory(digits: int) -> None:
    tracemalloc.start()
    try:
        knock(DOORS["answer to a command"], b"HTTP/1.0 200\r\nContent-Length: " + b"9" * digits + b"\r\n\r\n[]")
        assert tracemalloc.get_traced_memory()[1] <= PEAK_BYTES_MAX
    finally:
        tracemalloc.stop()


# --- the table is complete --------------------------------------------------------------------------------------------

PACKAGE = Path(__file__).parents[1] / "p2pblog"
READS = re.compile(r"_*(decode|read|parse|unpack|peek|check|feed|from_value|from_wire|from_table|as)(_|$)|_*clean")
"""How functions are called that make a value of what somebody gave."""
RAW = {"unpack", "unpackb", "loads", "DictReader", "fromhex", "b32decode", "parse_qs"}
"""Who calls these has bytes or text in hand that nobody checked."""
GIVEN = re.compile(r"\b(bytes|bytearray|str|Any|object|Path|Traversable)\b")

EXCUSED = {
    "commands.kept:_bookmarks": "ids that our daemon spelled",
    "commands.exporting:_write_logs": "device keys and runs that our daemon packed",
    "commands.exporting:_hashes": "hashes of files that our daemon spelled",
    "commands.exporting:export": "the identity that our daemon packed",
    "control.client:_check_own": "looks at a folder, reads nothing",
    "control.server:_check_own": "looks at a folder, reads nothing",
    "keyring:_check_private": "looks at a folder, reads nothing",
    "cases.desk:Desk._begin_of_page": "digits that control.words has checked",
    "cases.people:People._check_petname": "compares a petname that control.words has checked",
    "gossip.keeper:_read_offer": "what we packed ourselves, in our own database; what was read from a link within it",
    "commands.exporting:_sound": "our own node's answer, by archive.read_run, which has a door",
    "gossip.keeper:kept_offers": "names and values that we spelled ourselves, in our own database",
    "room:_read": "a number that we wrote ourselves, in our own database",
    "sim.churn:_check_form": "a shape or sigma that stands in a scenario of one's own",
    "sim.liars:Conspiracy.forgery": "a record of the simulation's own",
    "store.sql_room:was_pruned": "digits that control.words has checked",
    "store.sql_read:_read_chain": "what we packed ourselves, in our own database",
}
"""Readers to which nothing comes from outside, or nothing unchecked, and why."""


def decoders() -> Iterator[str]:
    """`module:function` of everything in p2pblog that reads, by its name or by what it calls."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for name, function in functions(ast.parse(path.read_text(encoding="utf-8")).body):
            if is_reader(function) or calls_raw(function):
                yield f"{module}:{name}"


def functions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield within + node.name, node


def is_reader(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if READS.match(function.name) is None:
        return False
    given = [each for each in function.args.args if each.arg not in ("self", "cls")]
    return bool(given and given[0].annotation and GIVEN.search(ast.unparse(given[0].annotation)))


def calls_raw(function: ast.AST) -> bool:
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any((func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")) in RAW for func in called)


@cache
def reached() -> frozenset[str]:
    """Every function of p2pblog that runs when each door is given what it takes."""
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            path = Path(code.co_filename).relative_to(PACKAGE).with_suffix("")
            seen.add(f"{'.'.join(path.parts).removesuffix('.__init__')}:{code.co_qualname.partition('.<locals>')[0]}")

    for door in DOORS.values():
        for data in (*door.seeds, b"never read before"):  # past what remembers its answers
            sys.setprofile(watch)
            try:
                door.knock(data)
            except door.faults:
                pass
            finally:
                sys.setprofile(None)
    return frozenset(seen)


def test_every_reader_stands_behind_a_door() -> None:
    missed = sorted(name for name in decoders() if name not in reached() | EXCUSED.keys())
    assert missed == [], "give it a door, see tests/doors.py, or a reason here why nothing from outside comes to it"


def test_no_excuse_has_grown_old() -> None:
    assert EXCUSED.keys() <= set(decoders())
    assert EXCUSED.keys() & reached() == set()


def test_every_door_takes_something_and_refuses_something() -> None:
    for name, door in DOORS.items():
        taken = sum(was_taken(door, seed) for seed in door.seeds)
        assert taken or name == "frames", name  # whose stream ends each time
        assert all(len(seed) <= SEED_BYTES_MAX for seed in door.seeds)


def was_taken(door: Door, data: bytes) -> bool:
    try:
        door.knock(data)
    except door.faults:
        return False
    return True


def test_every_named_error_has_a_name_of_its_own() -> None:
    kinds = RemoteProtocolError.__subclasses__()
    names = [kind.name for kind in kinds]
    assert len(set(names)) == len(names)
    assert all(issubclass(kind, P2pblogError) for kind in kinds)
    assert all(kind.__doc__ for kind in kinds)
