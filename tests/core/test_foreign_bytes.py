"""Every door of the core, and bytes from anybody: a value or one named error, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import person
from core_scenes import VALUES, tampered
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.core import codec
from p2pblog.core.address import Endpoint, read, read_link
from p2pblog.core.entry import decode_body
from p2pblog.core.forks import ForkProof, prove_fork
from p2pblog.core.identity import Identity, Inception, Policy, Statement
from p2pblog.core.payload import Ref
from p2pblog.core.runs import check_run, encode_run
from p2pblog.errors import P2pblogError, RemoteProtocolError

Door = Callable[[bytes], Any]


def text_door(door: Callable[[str], Any]) -> Door:
    return lambda data: door(data.decode("utf-8", "surrogateescape"))


def value_door(door: Callable[[Any], Any]) -> Door:
    return lambda data: door(codec.unpack(data, bytes_max=2**16))


DOORS: dict[str, Door] = {
    "codec": lambda data: codec.unpack(data, bytes_max=2**16),
    "address": text_door(read),
    "link": text_door(read_link),
    "endpoint": text_door(Endpoint.parse),
    "inception": Inception.decode,
    "identity": Identity.decode,
    "statement": value_door(Statement.from_value),
    "policy": value_door(Policy.from_value),
    "body": decode_body,
    "run": value_door(check_run),
    "run that follows one we hold": value_door(lambda value: check_run(value, ALICE.log.entries[0].id)),
    "fork proof": ForkProof.decode,
    "reference": value_door(Ref.from_value),
}

ALICE = person("alice")
ALICE.notes(3)
CLONE = ALICE.log.branch(2)
CLONE.note("clone")
SEEDS: dict[str, bytes] = {
    "identity": ALICE.identity.wire,
    "inception": ALICE.identity.inception.wire,
    "statement": codec.pack(ALICE.identity.statements[0].value),
    "body": ALICE.log.entries[1].body,
    "run": codec.pack(encode_run(ALICE.log.run())),
    "run that follows": codec.pack(encode_run(ALICE.log.run(2), prev_known=True)),
    "fork proof": prove_fork(ALICE.log.run(), CLONE.run()).wire,
    "address": ALICE.address.encode(),
    "link": f"p2pblog:{ALICE.address}?peer=192.0.2.1:4711&peer=[2001:db8::1]:80".encode(),
}
"""A valid input of each kind; every one of them is also pushed through every other's door."""


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@given(data=st.binary(max_size=300) | VALUES.map(codec.pack))
def test_any_bytes_are_a_value_or_a_named_error(door: Door, data: bytes) -> None:
    knock(door, data)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@given(data=st.sampled_from(sorted(SEEDS)).flatmap(lambda name: tampered(SEEDS[name])))
def test_any_accident_is_a_value_or_a_named_error(door: Door, data: bytes) -> None:
    knock(door, data)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_beginning_of_every_input_is_a_value_or_a_named_error(door: Door) -> None:
    for seed in SEEDS.values():
        for length in range(len(seed) + 1):
            knock(door, seed[:length])


def knock(door: Door, data: bytes) -> None:
    try:
        door(data)
    except RemoteProtocolError as error:
        assert type(error).name != RemoteProtocolError.name


def test_every_named_error_has_a_name_of_its_own() -> None:
    kinds = RemoteProtocolError.__subclasses__()
    names = [kind.name for kind in kinds]
    assert len(set(names)) == len(names)
    assert all(issubclass(kind, P2pblogError) for kind in kinds)
    assert all(kind.__doc__ for kind in kinds)
