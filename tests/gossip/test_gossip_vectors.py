"""Every case of tests/vectors/gossip-messages.json, and that the file is what its maker makes."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, get_args

import pytest
from make_gossip_vectors import FILE, meaning, render

from p2pblog.config import FILE_PATIENCE_S, HANDSHAKE_TIMEOUT_S, MESSAGE_BYTES_MAX, OFFER_EVERY_S
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.media import PIECES_MAX
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip import (
    broadcast,
    clocks,
    files,
    liveness,
    membership,
    messages,
    offers,
    relay,
    replication,
    sharing,
    strays,
)
from p2pblog.gossip.messages import Decoder, Encoder, Message
from p2pblog.gossip.names import Names
from p2pblog.gossip.offer_messages import OFFERS_PER_MESSAGE

CASES: list[dict[str, Any]] = json.loads(FILE.read_text())


def said_in(case: dict[str, Any]) -> list[str]:
    """The messages, in hex, of a link that begins afresh or goes on from a memory."""
    told = case["input"]
    return list(told["messages"] if isinstance(told, dict) else told)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    *before, last = [bytes.fromhex(item) for item in said_in(case)]
    decoder, encoder = Decoder(), Encoder()
    if isinstance(case["input"], dict):
        known = {
            what: [bytes.fromhex(each) for each in case["input"]["remembered"][what]] for what in ("feeds", "logs")
        }
        names = Names(tuple(map(IdentityHash, known["feeds"])), tuple(map(DeviceKey, known["logs"])))
        decoder.resume(names)
        encoder.resume(names)
    for data in before:
        assert encoder.encode(decoder.decode(data)) == data
    if case["accept"]:
        message = decoder.decode(last)
        assert meaning(message) == case["expect"]
        assert encoder.encode(message) == last
        return
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(last)
    assert caught.value.name == case["error"]


def test_the_file_is_what_its_maker_makes() -> None:
    assert render() == FILE.read_text()


def test_every_kind_is_accepted_once_and_enough_is_refused() -> None:
    told = {case["expect"]["kind"] for case in CASES if case["accept"]}
    assert told == {kind.__name__ for kind in get_args(Message)}
    assert sum(not case["accept"] for case in CASES) >= 30
    tally = Counter(case["error"] for case in CASES if not case["accept"])
    assert all(tally[name] >= 3 for name in ("malformed", "not-canonical", "too-large", "bad-message"))
    assert len({case["name"] for case in CASES}) == len(CASES)


PAGE = FILE.parents[2] / "docs" / "protocol" / "gossip.md"


def test_the_examples_on_the_page_are_in_the_vectors() -> None:
    """A line of hex and the deeper ones after it are one byte string."""
    blocks = re.findall(r"^    ([0-9a-f]{4,}(?:\n      [0-9a-f]+)*)$", PAGE.read_text(), re.MULTILINE)
    known = {item for case in CASES for item in said_in(case) if case["accept"]}
    assert len(blocks) >= 15
    assert {re.sub(r"\s", "", block) for block in blocks} <= known


def test_the_page_names_every_kind_by_its_number() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    said = {case["expect"]["kind"]: bytes.fromhex(said_in(case)[-1])[1] for case in CASES if case["accept"]}
    assert {name: int(number) for number, name in rows} == said


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    rows = dict(re.findall(r"^\| \d+ \| (\w+) \|.*\| ([\d,]+)[^|]*\|$", text, re.MULTILINE))
    limits = {name: int(value.replace(",", "")) for name, value in rows.items()}
    assert limits == {
        "Tokens": messages.TOKENS_MAX,
        "Forget": messages.TOKENS_MAX,
        "Clocks": messages.CLOCKS_MAX,
        "WantPayloads": messages.PAYLOADS_MAX,
        "Payloads": messages.PAYLOADS_MAX,
        "Have": messages.HAVES_MAX,
        "Found": 64,
        "Peers": messages.PEERS_MAX,
        "Near": messages.TOKENS_MAX,
        "TableOf": PIECES_MAX,
        "Offer": OFFERS_PER_MESSAGE,
    }
    for value in (messages.NAMES_MAX, sharing.CLOCK_NUMBERS_MAX, clocks.CLOCK_NUMBERS_PER_MESSAGE, MESSAGE_BYTES_MAX):
        assert f"{value:,}" in text


TIMES = {
    "Hello, from the handshake on": HANDSHAKE_TIMEOUT_S,
    "an answer to Want, since the last answer or part of one": replication.WANT_TIMEOUT_S,
    "clocks told together": replication.CLOCKS_DELAY_S,
    "wait for an announced entry": broadcast.GRAFT_WAIT_S,
    "more after Wait": broadcast.WAIT_EXTRA_S,
    "next announcer": broadcast.GRAFT_RETRY_S,
    "switch on a lead of": broadcast.SWITCH_LEAD_S,
    "batch of announcements": broadcast.HAVES_DELAY_S,
    "ping, each link every": liveness.PING_EVERY_S,
    "ping, having heard nobody for": liveness.QUIET_S,
    "an answer to a ping late, after at most": liveness.SUSPECT_MAX_S,
    "an answer to a ping, while other things are said": liveness.OWED_MAX_S,
    "another Alarm raised, or heeded, after": liveness.ALARM_AGAIN_S,
    "look for feeds not reached, every": relay.RELAY_CHECK_S,
    "asked again, the first time": (relay.RELAY_SOON_S, relay.RELAY_AGAIN_S),
    "not reached, before neighbours are asked": (relay.RELAY_AFTER_S, relay.RELAY_AFTER_S + relay.GRACE_S),
    "looking whether somebody for whom something waits has come, every": OFFER_EVERY_S,
    "an offered entry, before another one who offered it is asked": offers.ASK_AGAIN_S,
    "an entry of a stranger's log, before three others are asked for it": strays.ASK_AGAIN_S,
    "a piece of a file": FILE_PATIENCE_S,
    "a search for a file, at least": files.SEARCH_S,
    "dial, the first time": membership.DIAL_FIRST_S,
    "a lease at first, a lease renewed": (relay.RELAY_TRIAL_S, relay.RELAY_LEASE_S),
    "links lost together": membership.LOST_WITHIN_S,
}


def test_the_times_on_the_page_are_those_of_the_code() -> None:
    table = PAGE.read_text().partition("| what | s | why |\n")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE))
    assert rows == {
        what: " or ".join(f"{each:g}" for each in time) if isinstance(time, tuple) else f"{time:g}"
        for what, time in TIMES.items()
    }
