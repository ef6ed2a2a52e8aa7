"""Verifying runs of 1,000 notices, against checking the signature of each.

Both read the same notices from their wire bytes and end with every id, hash and payload checked; nothing is stored.
Ours is what a node does. Measured is CPU time, which what else runs on the machine disturbs least.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgpack
from nacl.signing import VerifyKey

from benchmarks.kit.notices import as_runs, author, one_by_one, write_log
from benchmarks.kit.report import ROUNDS, Figure, Report, Say, alternate
from p2pblog.config import CHECKPOINT_EVERY, RUN_BYTES_MAX, RUN_ENTRIES_MAX
from p2pblog.core import codec
from p2pblog.core.runs import VerifiedRun, check_run
from p2pblog.store.stretch import meanings_of

LOGS = 20
"""Runs for each measurement, of one author each: 50 ms of ours, a second of the plain loop."""
WIRE_BYTES_MAX = RUN_BYTES_MAX + 2**18
"""As a link takes them."""
UNIT = "notices/CPU s"


def measure(say: Say) -> Report:
    say(f"writing {LOGS} logs of {RUN_ENTRIES_MAX} notices, every entry signed")
    logs = [write_log(author(f"author {number}"), RUN_ENTRIES_MAX)[1:] for number in range(LOGS)]
    runs, singles = [as_runs(log)[0] for log in logs], [one_by_one(log) for log in logs]
    for log, run, single in zip(logs, runs, singles, strict=True):
        written = [entry.id for entry in log]
        assert verify_run(run).ids == written == [identifier for _seq, identifier, _said in plain_loop(single)]

    say("ours and the loop in turn, payloads decoded")
    decoded = alternate(_rate(read_run, runs), _rate(plain_loop, singles))
    say("the same without payloads, then what lies between the two")
    bare = alternate(_rate(verify_run, runs), _rate(lambda log: plain_loop(log, decode=False), singles))
    made, sparse = alternate(
        _rate(lambda run: read_run(run).entries, runs),
        _rate(lambda log: plain_loop(log, every=CHECKPOINT_EVERY), singles),
    )
    few, many = alternate(_rate(read_run, runs[:1]), _rate(read_run, runs * 10))
    figures = (
        Figure("verify", decoded[0], UNIT, "ratio >= 20", decoded[1]),
        Figure("payloads not decoded", bare[0], UNIT, "ratio >= 25", bare[1]),
        Figure("an Entry made for each", made, UNIT, baseline=decoded[1]),
        Figure("loop with checkpoint signatures", decoded[0], UNIT, baseline=sparse),
    )
    facts = {
        "rounds": ROUNDS,
        "runs_a_round": LOGS,
        "signatures_a_run": sum(signature is not None for signature in verify_run(runs[0]).signatures),
        "bytes_a_notice": round(sum(map(len, runs)) / (LOGS * RUN_ENTRIES_MAX), 1),
        "rate_at_1_run": round(few),
        f"rate_at_{10 * LOGS}_runs": round(many),
    }
    return Report(figures, facts)


def _rate(read: Callable[[Any], object], given: Sequence[Any]) -> Callable[[], float]:
    """Measures how many notices `read` gets through in a second of CPU time, a log or run at each call."""

    def once() -> float:
        gc.collect()  # what was read before
        began = time.process_time()
        for one in given:
            read(one)
        return len(given) * RUN_ENTRIES_MAX / (time.process_time() - began)

    return once


# --- ours -------------------------------------------------------------------------------------------------------------


def verify_run(wire: bytes) -> VerifiedRun:
    return check_run(codec.unpack(wire, WIRE_BYTES_MAX), texts=True)


def read_run(wire: bytes) -> VerifiedRun:
    """Verified, and each payload decoded, as the store needs them."""
    run = verify_run(wire)
    meanings_of(run.payloads, run.notes)
    return run


# --- the loop that anybody would write first --------------------------------------------------------------------------


def plain_loop(entries: Sequence[bytes], decode: bool = True, every: int = 1) -> list[tuple[int, bytes, Any]]:
    """(seq, id, payload) of the entries of one log. `every`: check the signatures of such multiples and of the last."""
    found, before, key = [], None, None
    for at, data in enumerate(entries, 1):
        body, signature, payload = msgpack.unpackb(data)
        _version, device, seq, prev, _time_ms, size, hashed = canonical(body)
        identifier = blake2b(body, digest_size=32, person=b"p2pblog entry 1").digest()
        if before not in (None, prev):
            raise ValueError("a gap in the chain")
        if len(payload) != size or blake2b(payload, digest_size=32, person=b"p2pblog payload1").digest() != hashed:
            raise ValueError("another payload")
        if seq % every == 0 or at == len(entries):
            key = key or VerifyKey(device)
            key.verify(b"p2pblog entry 1\0" + identifier, signature)
        found.append((seq, identifier, canonical(payload) if decode else payload))
        before = identifier
    return found


def canonical(data: bytes) -> Any:
    """The protocol has one encoding for each value."""
    value = msgpack.unpackb(data)
    if msgpack.packb(value) != data:
        raise ValueError("another encoding of the same value")
    return value
