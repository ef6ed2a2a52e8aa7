"""Our Noise against the published vectors of cacophony, snow and noise-c, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from p2pblog.transport.handshake import NoiseXX

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "noise-xx.json").read_text())


def test_the_vectors_are_there() -> None:
    assert [vector["name"] for vector in VECTORS] == ["cacophony", "snow", "noise-c"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_published_vector(vector: dict[str, Any]) -> None:
    ends = [_end(vector, "init"), _end(vector, "resp")]
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    for turn, (payload, ciphertext) in enumerate(messages[:3]):
        writer, reader = ends[turn % 2], ends[(turn + 1) % 2]
        assert writer.write(payload) == ciphertext
        assert reader.read(ciphertext) == payload
    assert ends[0].hash == ends[1].hash
    if "handshake_hash" in vector:
        assert ends[0].hash.hex() == vector["handshake_hash"]
    ciphers = [end.ciphers() for end in ends]
    for turn, (payload, ciphertext) in enumerate(messages[3:], start=3):
        assert ciphers[turn % 2][0].seal(payload) == ciphertext
        assert ciphers[(turn + 1) % 2][1].open(ciphertext) == payload


def _end(vector: dict[str, Any], who: str) -> NoiseXX:
    static, ephemeral, prologue = (
        bytes.fromhex(vector[f"{who}_{what}"]) for what in ("static", "ephemeral", "prologue")
    )
    return NoiseXX(static, ephemeral, who == "init", prologue)
