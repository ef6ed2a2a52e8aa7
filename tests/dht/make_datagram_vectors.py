"""Writes tests/vectors/dht-datagrams.json: `PYTHONPATH=tests:tests/dht .venv/bin/python -m make_datagram_vectors`.

A case is one datagram as it comes to a node that was asked (`request`) or has asked (`reply`). Where a reply has to
prove the id of who answers, a case says by which id its `asker` goes and which one was `called`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dht_scenes import HOME, alice, bob, carol
from vectors.parts import Case, accept, in_hex, raw, reject

from p2pblog.config import DATAGRAM_BYTES_MAX, MANY_PER_KEY_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import KeyPair
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact, NodeId, node_id, pack_endpoint
from p2pblog.dht.records import encode, replica_key

FILE = Path(__file__).parent.parent / "vectors" / "dht-datagrams.json"
CALL, TOKEN = bytes(range(16)), b"8 bytes."
ALICE, BOB, CAROL = (node_id(person.node.public) for person in (alice, bob, carol))
SIX = Endpoint.of("2001:db8::7", 4711)
KEY, RECORD = replica_key(alice.identity.hash), encode(carol.replica(alice.identity))
TAG = b"tag of 8"
SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def asking(data: bytes) -> dict[str, Any]:
    return {"request": data}


def answering(data: bytes) -> dict[str, Any]:
    """A reply of which no proof was asked."""
    return {"reply": data}


def proving(data: bytes, asker: NodeId | None = ALICE, called: NodeId | None = BOB) -> dict[str, Any]:
    return {"reply": data, "asker": asker, "called": called}


def proved(you: Endpoint = HOME, asker: NodeId | None = ALICE, call_id: bytes = CALL) -> wire.Reply:
    """Bob's answer to a ping, with the proof of his id for another call if need be."""
    return wire.Reply(CALL, wire.Pong(), TOKEN, you, wire.prove(bob.node, call_id, asker, you))


# --- accepted ---------------------------------------------------------------------------------------------------------

FOUND = wire.Found((Contact(BOB, HOME), Contact(CAROL, SIX)), (RECORD,), True)
REQUESTS = [
    ("a first ping, padded to 64 bytes", wire.Request(CALL, wire.Ping(), ALICE, None, True), 64),
    ("a ping of who has a token", wire.Request(CALL, wire.Ping(), ALICE, TOKEN), 0),
    ("a ping of a client", wire.Request(CALL, wire.Ping()), 0),
    ("a find of contacts", wire.Request(CALL, wire.Find(KEY), ALICE, TOKEN), 0),
    ("a first find, padded for a full reply", wire.Request(CALL, wire.Find(KEY, KEY), ALICE, None, True), 467),
    ("a find of records but one", wire.Request(CALL, wire.Find(KEY, KEY, (TAG,)), ALICE, TOKEN), 0),
    ("a store", wire.Request(CALL, wire.Store(KEY, RECORD), ALICE, TOKEN), 0),
]
REPLIES = [
    ("an answer to a ping", wire.Reply(CALL, wire.Pong(), TOKEN, HOME)),
    ("an answer to somebody with IPv6", wire.Reply(CALL, wire.Pong(), TOKEN, SIX)),
    ("contacts and a record, and there are more", wire.Reply(CALL, FOUND, TOKEN, HOME)),
    ("nothing is found", wire.Reply(CALL, wire.Found(), TOKEN, HOME)),
    ("a record is held", wire.Reply(CALL, wire.Stored("held"), TOKEN, HOME)),
    ("a record is not looked at without a token", wire.Reply(CALL, wire.Stored("token"), TOKEN, HOME)),
    ("a record has expired", wire.Reply(CALL, wire.Stored("expired"), TOKEN, HOME)),
    ("a token is not valid", wire.Reply(CALL, wire.Refusal("token"), TOKEN, HOME)),
]


def accepted() -> list[Case]:
    told = [(name, asking(wire.encode_request(request, least))) for name, request, least in REQUESTS]
    told += [(name, answering(wire.encode_reply(reply))) for name, reply in REPLIES]
    told += [
        ("an answer that proves its node's id", proving(wire.encode_reply(proved()))),
        ("a proof to who knows the endpoint alone", proving(wire.encode_reply(proved()), called=None)),
        ("a proof to a client with IPv6", proving(wire.encode_reply(proved(SIX, None)), asker=None)),
    ]
    return [accept(name, given, read(given)) for name, given in told]


# --- refused ----------------------------------------------------------------------------------------------------------


def datagram(kind: int, body: Any) -> bytes:
    return wire.NETWORK_TAG + bytes([kind]) + CALL + (body if isinstance(body, bytes) else raw(body))


def bad_frames() -> list[Case]:
    ping = wire.encode_request(wire.Request(CALL, wire.Ping(), ALICE))
    given = {
        "malformed": {
            "nothing": b"",
            "a header alone": ping[:21],
            "a datagram of another network": b"none" + ping[4:],
            "neither request nor reply": ping[:4] + b"\x02" + ping[5:],
            "a reply where a request is due": wire.encode_reply(wire.Reply(CALL, wire.Pong(), TOKEN, HOME)),
            "no msgpack": datagram(0, b"\xc1"),
            "a byte after the body": ping + b"\0",
            "a datagram cut short": ping[:-1],
        },
        "not-canonical": {"a call's kind in two bytes": datagram(0, b"\x95\xc0\xc2\xc0\x91\xcc\x01\xc4\x00")},
        "too-large": {"1,401 bytes": ping + bytes(DATAGRAM_BYTES_MAX + 1 - len(ping))},
    }
    return [reject(error, name, asking(data)) for error, named in given.items() for name, data in named.items()]


def bad_requests() -> list[Case]:
    def body(call: Any = (1,), sender: Any = None, prove: Any = False, token: Any = None, padding: Any = b"") -> Any:
        return [sender, prove, token, call, padding]

    given = {
        "malformed": {
            "a request of four fields": body()[:4],
            "a request that is a map": {},
            "an id of 19 bytes": body(sender=bytes(19)),
            "1 for a wish for proof": body(prove=1),
            "a token of 7 bytes": body(token=bytes(7)),
            "padding as text": body(padding="padding"),
            "an empty call": body([]),
            "a call of no known kind": body([4]),
            "a call of the kind true": body([True]),
            "a ping of two fields": body([1, None]),
            "a find without tags": body([2, KEY, KEY]),
            "a find around 19 bytes": body([2, KEY[:19], None, []]),
            "a find of a key of 21 bytes": body([2, KEY, KEY + b"\0", []]),
            "a tag of 7 bytes": body([2, KEY, KEY, [TAG[:7]]]),
            "a store under 19 bytes": body([3, KEY[:19], RECORD]),
            "a store of text": body([3, KEY, "record"]),
            "an id of 19 bytes, and too many tags": body([2, KEY, KEY, [TAG] * 129], sender=bytes(19)),
            "a find of a key of 21 bytes, and too many tags": body([2, KEY, KEY + b"\0", [TAG] * 129]),
        },
        "too-large": {
            "129 tags": body([2, KEY, KEY, [TAG] * (MANY_PER_KEY_MAX + 1)]),
            "a record of 1,001 bytes to be stored": body([3, KEY, bytes(1_001)]),
        },
    }
    return [
        reject(error, name, asking(datagram(0, data))) for error, named in given.items() for name, data in named.items()
    ]


def bad_replies() -> list[Case]:
    you, contact = pack_endpoint(HOME), Contact(BOB, HOME).wire

    def body(answer: Any = (1,), token: Any = TOKEN, you: Any = you, proof: Any = None) -> Any:
        return [token, you, proof, answer]

    def found(contacts: Any = (), records: Any = (), more: Any = False) -> Any:
        return body([2, contacts, records, more])

    mapped = bytes(10) + b"\xff\xff" + you
    given = {
        "malformed": {
            "a reply of three fields": body()[:3],
            "a reply without a token": body(token=None),
            "a place of 5 bytes": body(you=you[:5]),
            "a proof of a key alone": body(proof=[bob.node.public]),
            "a proof with 63 bytes of signature": body(proof=[bob.node.public, bytes(63)]),
            "an answer of no known kind": body([4, "held"]),
            "found without more": body([2, [], []]),
            "a contact of 25 bytes": found([contact[:25]]),
            "a contact as text": found(["contact"]),
            "0 for no more": found(more=0),
            "an outcome as bytes": body([3, b"held"]),
            "a token of 7 bytes, and too many contacts": body([2, [contact] * 21, [], False], token=bytes(7)),
            "half a contact, and too many records": found([contact[:13]], [b""] * 129),
        },
        "not-canonical": {
            "a place by IPv4 written as IPv6": body(you=mapped),
            "a contact by IPv4 written as IPv6": found([BOB + mapped]),
        },
        "too-large": {
            "21 contacts": found([contact] * 21),
            "129 records": found([], [b""] * (MANY_PER_KEY_MAX + 1)),
            "a record of 1,001 bytes": found([], [bytes(1_001)]),
            "an outcome of 33 bytes": body([3, "x" * 33]),
            "a reason of 33 bytes": body([0, "x" * 33]),
        },
    }
    return [
        reject(error, name, answering(datagram(1, data)))
        for error, named in given.items()
        for name, data in named.items()
    ]


def bad_proofs() -> list[Case]:
    def by(node: KeyPair, key: bytes) -> bytes:
        return datagram(1, [TOKEN, pack_endpoint(HOME), [key, wire.prove(node, CALL, ALICE, HOME).signature], [1]])

    moved = datagram(
        1, [TOKEN, pack_endpoint(SIX), [bob.node.public, wire.prove(bob.node, CALL, ALICE, HOME).signature], [1]]
    )
    return [
        reject("bad-handshake", "no proof", proving(wire.encode_reply(wire.Reply(CALL, wire.Pong(), TOKEN, HOME)))),
        reject("bad-handshake", "the proof of another id", proving(wire.encode_reply(proved()), called=CAROL)),
        reject("bad-handshake", "another key in the proof", proving(by(bob.node, carol.node.public))),
        reject(
            "bad-key", "an id of a key of small order", proving(by(bob.node, SMALL_ORDER), called=node_id(SMALL_ORDER))
        ),
        reject("bad-signature", "a proof by another key", proving(by(carol.node, bob.node.public))),
        reject("bad-signature", "a proof for another asker", proving(wire.encode_reply(proved(asker=CAROL)))),
        reject("bad-signature", "a proof for a client", proving(wire.encode_reply(proved(asker=None)))),
        reject("bad-signature", "a proof for another call", proving(wire.encode_reply(proved(call_id=bytes(16))))),
        reject("bad-signature", "a proof for another place", proving(moved)),
    ]


# --- meaning ----------------------------------------------------------------------------------------------------------


def read(given: dict[str, Any]) -> dict[str, Any]:
    """What a datagram says, and who proves to say it; byte strings or hex. Raises RemoteProtocolError."""
    told = {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in given.items()}
    if "request" in told:
        request = wire.decode_request(told["request"])
        return {
            "call_id": request.call_id,
            "sender": request.sender,
            "prove": request.prove,
            "token": request.token,
            "call": _call(request.call),
        }
    reply = wire.decode_reply(told["reply"])
    node = wire.check_proof(reply, told["asker"], told["called"]) if "asker" in told else None
    said = {"call_id": reply.call_id, "token": reply.token, "you": str(reply.you), "node": node}
    return {**said, "answer": _answer(reply.answer)}


def _call(call: wire.Call) -> dict[str, Any]:
    match call:
        case wire.Ping():
            return {"kind": "ping"}
        case wire.Find(target, key, have):
            return {"kind": "find", "target": target, "key": key, "have": list(have)}
        case wire.Store(key, record):
            return {"kind": "store", "key": key, "record": record}


def _answer(answer: wire.Answer) -> dict[str, Any]:
    match answer:
        case wire.Pong():
            return {"kind": "ping"}
        case wire.Found(contacts, records, more):
            named = [{"id": each.id, "endpoint": str(each.endpoint)} for each in contacts]
            return {"kind": "find", "contacts": named, "records": list(records), "more": more}
        case wire.Stored(outcome):
            return {"kind": "store", "outcome": outcome}
        case wire.Refusal(reason):
            return {"kind": "refusal", "reason": reason}


def all_cases() -> list[Case]:
    return accepted() + bad_frames() + bad_requests() + bad_replies() + bad_proofs()


def render() -> str:
    lines = ",\n".join(json.dumps(in_hex(case)) for case in all_cases())
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="ascii")
