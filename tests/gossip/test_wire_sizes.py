"""What a notice of 140 characters takes on the wire: bytes that are counted here, so that none is added unseen."""

from __future__ import annotations

from builders import NOON, person

from p2pblog.core import codec
from p2pblog.core.runs import encode_run
from p2pblog.gossip.messages import Encoder, Have, Live, Run

HOUR_MS = 3600 * 1000
TEXT = "x" * 140
PAYLOAD_BYTES = len(codec.pack({"text": TEXT, "type": "note"}))
STEP_BYTES = len(codec.pack(5 * HOUR_MS))
"""More than a minute lies between two notices of one person, and less than 49 days."""

ALICE = person("alice")
for number in range(1, 1_001):
    ALICE.log.note(TEXT, time_ms=NOON + 5 * HOUR_MS * number)


def test_a_notice_in_a_run_takes_its_text_and_seven_bytes_more() -> None:
    """2 for the text's length, 5 for the time; and for each 64th a signature: 148 in all. Its payload takes 158."""
    run = ALICE.log.run(2, 1_001)
    message = Encoder().encode(Run(encode_run(run, texts=True)))
    signatures = sum(entry.signature is not None for entry in run)
    assert (PAYLOAD_BYTES, STEP_BYTES, signatures) == (158, 5, 16)
    frame = len(message) - 1_000 * (2 + len(TEXT) + STEP_BYTES) - 64 * signatures
    assert 0 < frame < 100
    assert len(message) / 1_000 < 148.2


def test_a_live_notice_takes_its_text_a_signature_and_sixteen_bytes_more() -> None:
    """Of a log that this link has named before; 18 more for the frame on the link, so 238."""
    encoder = Encoder()
    first, second = (encoder.encode(Live(encode_run([entry], True, texts=True))) for entry in ALICE.log.entries[10:12])
    assert len(second) == len(TEXT) + 64 + 16
    assert len(first) == len(second) + 37, "the first one names the log"


def test_an_announcement_takes_a_few_bytes() -> None:
    encoder = Encoder()
    said = [encoder.encode(Have(((ALICE.key, seq),))) for seq in (100, 101)]
    assert len(said[1]) < 10
