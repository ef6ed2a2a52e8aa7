"""The guard: what a datagram may be, how large an answer, and who has proven what."""

from __future__ import annotations

import random

import msgpack
import pytest
from dht_scenes import DAY, HOME, NOW, alice, bob, carol, key_of
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pblog.config import DATAGRAM_BYTES_MAX, DHT_REPLY_FACTOR, DHT_TOKEN_LIFETIME_S
from p2pblog.core.address import Endpoint
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact, NodeId, may_call, node_id
from p2pblog.dht.guard import Guard, Rates, Tokens
from p2pblog.dht.records import encode, sign_pointer, sign_replica
from p2pblog.dht.shelf import Limits, Shelf
from p2pblog.errors import BadHandshake, LocalProtocolError, RemoteProtocolError

CALL = b"c" * 16
ALICE, BOB = node_id(alice.node.public), node_id(bob.node.public)
CONTACT = Contact(BOB, HOME)
SIX = Endpoint.of("2001:db8::7", 4711)

REQUESTS = [
    wire.Request(CALL, wire.Ping()),
    wire.Request(CALL, wire.Ping(), ALICE, b"t" * 8, True),
    wire.Request(CALL, wire.Find(b"k" * 20), ALICE),
    wire.Request(CALL, wire.Find(b"t" * 20, b"k" * 20, (b"1" * 8, b"2" * 8)), ALICE, b"t" * 8),
    wire.Request(CALL, wire.Store(b"k" * 20, encode(alice.head())), ALICE, b"t" * 8),
]
REPLIES = [
    wire.Reply(CALL, wire.Pong(), b"t" * 8, HOME),
    wire.Reply(CALL, wire.Pong(), b"t" * 8, SIX, wire.prove(bob.node, CALL, ALICE, SIX)),
    wire.Reply(CALL, wire.Found((CONTACT, Contact(ALICE, SIX)), (encode(alice.head()),), True), b"t" * 8, HOME),
    wire.Reply(CALL, wire.Stored("held"), b"t" * 8, HOME),
    wire.Reply(CALL, wire.Refusal("token"), b"t" * 8, HOME),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda item: type(item.call).__name__)
def test_a_request_survives_the_way_through_bytes(request_: wire.Request) -> None:
    assert wire.decode_request(wire.encode_request(request_)) == request_
    padded = wire.encode_request(request_, 800)
    assert 800 <= len(padded) <= 801 and wire.decode_request(padded) == request_


@pytest.mark.parametrize("reply", REPLIES, ids=lambda item: type(item.answer).__name__)
def test_a_reply_survives_the_way_through_bytes(reply: wire.Reply) -> None:
    assert wire.decode_reply(wire.encode_reply(reply)) == reply


def test_the_largest_request_fits_a_datagram() -> None:
    tags = tuple(bytes([n]) * 8 for n in range(120))
    full = wire.Request(CALL, wire.Find(b"t" * 20, b"k" * 20, tags), ALICE, b"t" * 8, True)
    assert len(wire.encode_request(full)) <= DATAGRAM_BYTES_MAX
    with pytest.raises(LocalProtocolError):
        wire.encode_request(wire.Request(CALL, wire.Store(b"k" * 20, bytes(1_400))))


# --- malformed --------------------------------------------------------------------------------------------------------


def request_with(body: object) -> bytes:
    return wire.NETWORK_TAG + b"\0" + CALL + msgpack.packb(body)


MALFORMED = {
    "nothing": (b"", "malformed"),
    "a stock packet": (b"\0" + bytes(20) + msgpack.packb(["ping", [bytes(20)]]), "malformed"),
    "another network": (b"none" + wire.encode_request(REQUESTS[0])[4:], "malformed"),
    "neither request nor reply": (wire.NETWORK_TAG + b"\2" + CALL + b"\x90", "malformed"),
    "a header alone": (wire.NETWORK_TAG + b"\0" + CALL, "malformed"),
    "no msgpack": (wire.NETWORK_TAG + b"\0" + CALL + b"\xc1", "malformed"),
    "a map": (request_with({}), "malformed"),
    "too few fields": (request_with([None, False]), "malformed"),
    "an id of 21 bytes": (request_with([bytes(21), False, None, [1], b""]), "malformed"),
    "an id of 30 bytes": (request_with([bytes(30), False, None, [1], b""]), "malformed"),
    "an id that is a number": (request_with([1.5, False, None, [1], b""]), "malformed"),
    "a call that is a name": (request_with([None, False, None, ["ping"], b""]), "malformed"),
    "an unknown call": (request_with([None, False, None, [77], b""]), "malformed"),
    "an empty call": (request_with([None, False, None, [], b""]), "malformed"),
    "a find without a target": (request_with([None, False, None, [2, None, None, []], b""]), "malformed"),
    "a key of one byte": (request_with([None, False, None, [3, b"k", b""], b""]), "malformed"),
    "a value that is a map": (request_with([None, False, None, [3, bytes(20), {}], b""]), "malformed"),
    "a record over 1,000 bytes": (request_with([None, False, None, [3, bytes(20), bytes(1_001)], b""]), "too-large"),
    "a thousand tags": (request_with([None, False, None, [2, bytes(20), None, [b""] * 1_000], b""]), "too-large"),
    "a number for a flag": (request_with([None, 1, None, [1], b""]), "malformed"),
    "deep nesting": (wire.NETWORK_TAG + b"\0" + CALL + b"\x91" * 1_300, "too-large"),
    "an endless array": (wire.NETWORK_TAG + b"\0" + CALL + b"\xdd\xff\xff\xff\xff", "malformed"),
    "an extension": (request_with([None, False, None, msgpack.ExtType(4, b"x"), b""]), "malformed"),
    "a timestamp": (request_with([None, False, None, msgpack.Timestamp(2**33, 0), b""]), "malformed"),
    "a longer number": (wire.encode_request(REQUESTS[0]).replace(b"\x91\x01", b"\x91\xcc\x01"), "not-canonical"),
    "1,401 bytes": (wire.encode_request(REQUESTS[0], 1_399) + b"\0", "too-large"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_datagram_is_dropped_and_counted_by_what_is_wrong(name: str) -> None:
    data, reason = MALFORMED[name]
    guard = Guard(b"s" * 32, test_network=True)
    if guard.kind(data) is not None:
        assert guard.admit_request(data, HOME, 0.0) is None
    assert dict(guard.dropped) == {reason: 1}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(noise: bytes) -> None:
    for data in (noise, wire.NETWORK_TAG + b"\0" + CALL + noise, wire.NETWORK_TAG + b"\1" + CALL + noise):
        for read in (wire.decode_request, wire.decode_reply):
            try:
                read(data)
            except RemoteProtocolError:
                continue


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(REPLIES), st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_reply_with_a_flipped_bit_is_another_reply_or_none(reply: wire.Reply, position: int, bit: int) -> None:
    data = bytearray(wire.encode_reply(reply))
    data[position % len(data)] ^= 1 << bit
    try:
        assert wire.decode_reply(bytes(data)) != reply
    except RemoteProtocolError:
        return


@pytest.mark.parametrize(
    ("host", "in_public", "in_test"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1", True, True),
        ("127.0.0.1", False, True),
        ("192.168.1.1", False, True),
        ("::1", False, True),
        ("0.0.0.0", False, False),
        ("255.255.255.255", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("64:ff9b::c0a8:101", False, True),
    ],
)
def test_where_a_peer_may_send_us(host: str, in_public: bool, in_test: bool) -> None:
    """Weakness 17: the stock library goes wherever it is told, routers and broadcast addresses included."""
    endpoint = Endpoint.of(host, 4711)
    assert (may_call(endpoint, False), may_call(endpoint, True)) == (in_public, in_test)
    assert not may_call(Endpoint.of(host, 0), True)


# --- sizes ------------------------------------------------------------------------------------------------------------


def shelf_of(replicas: int) -> Shelf:
    shelf = Shelf(Limits(per_key_and_block=200))
    for number in range(replicas):
        shelf.put(sign_replica(key_of(f"node {number}"), alice.identity.hash, HOME, NOW + DAY), HOME, NOW)
    return shelf


def base(proof: bool = True) -> wire.Reply:
    return wire.Reply(CALL, wire.Pong(), b"t" * 8, HOME, wire.prove(bob.node, CALL, ALICE, HOME) if proof else None)


NEIGHBOURS = [Contact(NodeId(bytes([n]) * 20), Endpoint.of(f"203.0.113.{n}", 4711)) for n in range(30)]


@pytest.mark.parametrize("request_bytes", [64, 80, 120, 200, 467, 1_400])
def test_an_unproven_source_gets_at_most_three_times_its_request(request_bytes: int) -> None:
    """Weakness 3: a stock node answers 78 bytes with 60,031."""
    allowed = wire.reply_bytes_max(request_bytes, proven=False)
    assert allowed <= DHT_REPLY_FACTOR * request_bytes
    held = shelf_of(60).records(NOW)
    reply = wire.fit_found(base(), NEIGHBOURS, held, (), allowed, b"salt")
    if reply is not None:
        assert len(wire.encode_reply(reply)) <= allowed
    pong = len(wire.encode_reply(base()))
    assert pong <= wire.reply_bytes_max(64, proven=False), "a ping is answered even to a stranger"


def test_a_full_reply_is_one_datagram_with_records_and_a_few_contacts() -> None:
    held = shelf_of(60).records(NOW)
    reply = wire.fit_found(base(), NEIGHBOURS, held, (), DATAGRAM_BYTES_MAX, b"salt")
    assert reply is not None and isinstance(reply.answer, wire.Found)
    assert len(wire.encode_reply(reply)) <= DATAGRAM_BYTES_MAX
    assert len(reply.answer.records) >= 6 and len(reply.answer.contacts) >= 4 and reply.answer.more


def test_what_was_passed_on_beyond_the_share_of_its_block_comes_last() -> None:
    """One neighbour may have made many of those, and a reader has room for so many of a key."""
    shelf = Shelf()
    for number in range(12):
        pointer = sign_pointer(key_of(f"device {number}"), b"t" * 32, alice.identity.hash, 2, NOW + DAY)
        shelf.put(pointer, HOME, NOW, is_neighbour=True)
    held = shelf.records(NOW)
    said = {item.wire for item in held if not item.in_passing}
    for salt in (b"one", b"two", b"three"):
        reply = wire.fit_found(base(), NEIGHBOURS, held, (), DATAGRAM_BYTES_MAX, salt)
        assert reply is not None and isinstance(reply.answer, wire.Found)
        assert reply.answer.more and set(reply.answer.records[:2]) == said


def test_a_record_of_1000_bytes_fits_beside_the_proof() -> None:
    shelf = Shelf()
    text = "x" * (600 + 1_000 - len(encode(alice.notice("x" * 600))))
    shelf.put(alice.notice(text), HOME, NOW)
    reply = wire.fit_found(base(), NEIGHBOURS, shelf.records(NOW), (), DATAGRAM_BYTES_MAX, b"salt")
    assert reply is not None and isinstance(reply.answer, wire.Found)
    assert len(reply.answer.records[0]) == 1_000 and not reply.answer.more


def test_asking_again_with_what_one_has_brings_the_rest() -> None:
    shelf, got, rounds = shelf_of(60), set[bytes](), 0
    tags = {item.wire: item.tag for item in shelf.records(NOW)}
    while len(got) < 60:
        have = [tags[record] for record in got]
        reply = wire.fit_found(base(), NEIGHBOURS, shelf.records(NOW), have, DATAGRAM_BYTES_MAX, b"salt")
        assert reply is not None and isinstance(reply.answer, wire.Found) and reply.answer.records
        assert got.isdisjoint(reply.answer.records)
        got.update(reply.answer.records)
        assert reply.answer.more == (len(got) < 60)
        rounds += 1
    assert rounds <= 10


def test_two_holders_give_different_ones_first() -> None:
    held = shelf_of(60).records(NOW)
    replies = [wire.fit_found(base(), [], held, (), DATAGRAM_BYTES_MAX, salt) for salt in (ALICE, BOB)]
    first, second = (set(reply.answer.records) for reply in replies if reply and isinstance(reply.answer, wire.Found))
    assert len(first & second) < len(first) / 2


# --- tokens, proofs, rates --------------------------------------------------------------------------------------------


def test_a_token_is_good_for_its_address_and_for_a_while() -> None:
    tokens = Tokens(b"s" * 32)
    token = tokens.issue(HOME, 1_000.0)
    assert tokens.is_valid(token, HOME, 1_000.0 + DHT_TOKEN_LIFETIME_S)
    assert not tokens.is_valid(token, HOME, 1_000.0 + 2 * DHT_TOKEN_LIFETIME_S)
    assert not tokens.is_valid(token, Endpoint.of(HOME.host, 4712), 1_000.0)
    assert not tokens.is_valid(token, SIX, 1_000.0)
    assert not tokens.is_valid(None, HOME, 1_000.0)
    assert not Tokens(b"o" * 32).is_valid(token, HOME, 1_000.0)


def test_a_proof_is_for_one_call_one_asker_and_one_place() -> None:
    reply = wire.Reply(CALL, wire.Pong(), b"t" * 8, HOME, wire.prove(bob.node, CALL, ALICE, HOME))
    assert wire.check_proof(reply, ALICE, BOB) == BOB
    assert wire.check_proof(reply, ALICE, None) == BOB
    wrong = [
        (wire.Reply(b"d" * 16, reply.answer, reply.token, HOME, reply.proof), ALICE, BOB),
        (wire.Reply(CALL, reply.answer, reply.token, SIX, reply.proof), ALICE, BOB),
        (reply, None, BOB),
        (reply, BOB, BOB),
        (reply, ALICE, ALICE),
        (wire.Reply(CALL, reply.answer, reply.token, HOME), ALICE, BOB),
    ]
    for claimed, asker, expected in wrong:
        with pytest.raises(RemoteProtocolError):
            wire.check_proof(claimed, asker, expected)


def test_mallory_can_not_prove_an_id_next_to_a_key() -> None:
    """Weakness 6: a stock node has whatever id it says, so exactly that of the key."""
    with pytest.raises(BadHandshake):
        wire.check_proof(base(), ALICE, NodeId(b"\0" * 20))


def test_a_bucket_runs_dry_and_fills_again() -> None:
    rates = Rates(per_s=10, burst=5)
    assert [rates.allow(b"a", 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert rates.allow(b"b", 0.0)
    assert rates.allow(b"a", 0.1) and not rates.allow(b"a", 0.1)
    assert sum(rates.allow(b"a", 100.0) for _ in range(50)) == 5


def test_the_rates_of_many_sources_take_bounded_room() -> None:
    rates = Rates(sources_max=100)
    rng = random.Random(3)
    for _ in range(1_000):
        rates.allow(rng.randbytes(4), 0.0)
    assert len(rates._levels) == 100


def test_many_requests_of_one_address_are_dropped_as_too_many_whatever_the_port() -> None:
    guard = Guard(b"s" * 32, test_network=False, rates=lambda: Rates(per_s=1, burst=3))
    data = wire.encode_request(REQUESTS[0])
    admitted = [guard.admit_request(data, Endpoint.of(HOME.host, port), 0.0) for port in range(1, 6)]
    assert [request is not None for request in admitted] == [True] * 3 + [False] * 2
    assert guard.dropped["rate"] == 2
    assert guard.admit_request(data, Endpoint.of("198.51.100.8", 1), 0.0)


def test_all_addresses_of_one_48_have_one_bucket() -> None:
    guard = Guard(b"s" * 32, test_network=False, rates=lambda: Rates(per_s=1, burst=1))
    hosts = ["2600:1:2:3::1", "2600:1:2:ffff::2", "2600:1:3::1"]
    admitted = [guard.admit_request(wire.encode_request(REQUESTS[0]), Endpoint.of(host, 1), 0.0) for host in hosts]
    assert [request is not None for request in admitted] == [True, False, True]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda item: type(item.call).__name__)
def test_the_token_that_a_request_shows_is_seen_without_reading_it(request_: wire.Request) -> None:
    assert wire.shown_token(wire.encode_request(request_, 100)) == request_.token


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_garbage_shows_a_token_of_eight_bytes_at_most(noise: bytes) -> None:
    for data in (noise, wire.encode_request(REQUESTS[1])[: len(noise)]):
        token = wire.shown_token(data)
        assert token is None or len(token) <= wire.TOKEN_BYTES


def test_who_forges_an_address_leaves_its_owner_what_he_may_ask() -> None:
    """60 datagrams of 22 bytes a second in somebody's name were enough, and nobody answered him or took his records."""
    guard = Guard(b"s" * 32, test_network=False, rates=lambda: Rates(per_s=1, burst=3))
    own = wire.encode_request(wire.Request(CALL, wire.Ping(), ALICE, guard.tokens.issue(HOME, 0.0)))
    forged = [wire.encode_request(REQUESTS[1]), wire.encode_request(REQUESTS[0]), wire.NETWORK_TAG + bytes(18)]
    for number in range(30):
        guard.admit_request(forged[number % 3], HOME, 0.0)
    assert guard.dropped["rate"] == 27
    assert [guard.admit_request(own, HOME, 0.0) is not None for _ in range(4)] == [True] * 3 + [False]


def test_a_replica_of_carol_is_smaller_than_a_seventh_of_a_reply() -> None:
    assert len(encode(carol.replica(alice.identity))) < DATAGRAM_BYTES_MAX / 7
