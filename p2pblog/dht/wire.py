"""Datagrams: what calls and answers say, their bytes, how much of an answer fits, and the proof of a node id.

A datagram is `network tag 4 | 0 or 1 | call id 16 | body`, at most 1,400 bytes; the body is canonical msgpack. A node
id is BLAKE2b-160 of a node key, proven by a signature over the call id, the asker's id and its address.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

from p2pblog.config import (
    DATAGRAM_BYTES_MAX,
    DHT_REPLY_CONTACTS_MAX,
    DHT_REPLY_FACTOR,
    MANY_PER_KEY_MAX,
    NETWORK_ID,
    RECORD_BYTES_MAX,
)
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NODE_DOMAIN, KeyPair, NodeKey, digest, verify
from p2pblog.core.value import Value
from p2pblog.dht.contacts import ID_BYTES, Contact, NodeId, node_id, pack_endpoint, unpack_endpoint
from p2pblog.dht.shelf import TAG_BYTES, Held
from p2pblog.errors import BadHandshake, LocalProtocolError, Malformed, TooLarge

NETWORK_TAG = digest(NETWORK_ID, size=4)
CALL_ID_BYTES, TOKEN_BYTES = 16, 8
HEADER_BYTES = len(NETWORK_TAG) + 1 + CALL_ID_BYTES
REQUEST, REPLY = 0, 1
_BEFORE_ID, _BEFORE_TOKEN = codec.pack(bytes(ID_BYTES))[:-ID_BYTES], codec.pack(bytes(TOKEN_BYTES))[:-TOKEN_BYTES]
"""How msgpack begins a node id, and a token."""
PADDED_BYTES = -(-DATAGRAM_BYTES_MAX // DHT_REPLY_FACTOR)
"""What a request is padded to when its asker has no token yet: a third of a full reply, rounded up."""
CONTACTS_BESIDE_RECORDS = 4
"""Contacts that a reply keeps room for, so that a walk goes on from holders too."""


class Kind(IntEnum):
    """What a call, or the answer to it, is: the first item of either."""

    REFUSAL = 0
    PING = 1
    FIND = 2
    STORE = 3


# --- what datagrams say -----------------------------------------------------------------------------------------------


class Ping(Value):
    """Are you there?"""


class Find(Value):
    """The contacts nearest to `target` and, if a key is given, its records other than those with the tags in `have`."""

    target: bytes
    key: bytes | None = None
    have: tuple[bytes, ...] = ()


class Store(Value):
    """Hold this record under this key."""

    key: bytes
    record: bytes


Call = Ping | Find | Store


class Request(Value):
    """`sender` is None for a client, which is nobody's contact; `token` shows that we hear you; `prove` asks for proof
    of the answering node's id."""

    call_id: bytes
    call: Call
    sender: NodeId | None = None
    token: bytes | None = None
    prove: bool = False


class Pong(Value):
    """I am."""


class Found(Value):
    """`more`: there are records that did not fit."""

    contacts: tuple[Contact, ...] = ()
    records: tuple[bytes, ...] = ()
    more: bool = False


class Stored(Value):
    """What became of the record: `held`, `stale`, `full`, `refused`, `token`, or the name of an error."""

    outcome: str


class Refusal(Value):
    """No answer, and why."""

    reason: str


Answer = Pong | Found | Stored | Refusal


class Proof(Value):
    key: NodeKey
    signature: bytes


class Reply(Value):
    """`you`: where the request came from; `token`: what the asker may show next time from there."""

    call_id: bytes
    answer: Answer
    token: bytes
    you: Endpoint
    proof: Proof | None = None


# --- bytes ------------------------------------------------------------------------------------------------------------


def encode_request(request: Request, bytes_min: int = 0) -> bytes:
    """The datagram, padded to at least `bytes_min`. Raises LocalProtocolError over DATAGRAM_BYTES_MAX."""
    bare = _request_bytes(request, b"")
    return _bounded(bare if len(bare) >= bytes_min else _request_bytes(request, bytes(bytes_min - len(bare))))


def _request_bytes(request: Request, padding: bytes) -> bytes:
    body = [request.sender, request.prove, request.token, _call_value(request.call), padding]
    return NETWORK_TAG + bytes([REQUEST]) + request.call_id + codec.pack(body)


def encode_reply(reply: Reply) -> bytes:
    """The datagram. Raises LocalProtocolError over DATAGRAM_BYTES_MAX."""
    return _bounded(_reply_bytes(reply))


def _reply_bytes(reply: Reply) -> bytes:
    proof = None if reply.proof is None else [reply.proof.key, reply.proof.signature]
    body = [reply.token, pack_endpoint(reply.you), proof, _answer_value(reply.answer)]
    return NETWORK_TAG + bytes([REPLY]) + reply.call_id + codec.pack(body)


def _bounded(data: bytes) -> bytes:
    if len(data) > DATAGRAM_BYTES_MAX:
        raise LocalProtocolError(f"a datagram of {len(data)} bytes")
    return data


def _call_value(call: Call) -> list[Any]:
    match call:
        case Ping():
            return [Kind.PING]
        case Find(target, key, have):
            return [Kind.FIND, target, key, list(have)]
        case Store(key, record):
            return [Kind.STORE, key, record]


def _answer_value(answer: Answer) -> list[Any]:
    match answer:
        case Pong():
            return [Kind.PING]
        case Found(contacts, records, more):
            return [Kind.FIND, [contact.wire for contact in contacts], list(records), more]
        case Stored(outcome):
            return [Kind.STORE, outcome]
        case Refusal(reason):
            return [Kind.REFUSAL, reason]


def peek(data: bytes) -> tuple[int, bytes]:
    """(REQUEST or REPLY, call id) of a datagram. Raises TooLarge or Malformed."""
    if len(data) > DATAGRAM_BYTES_MAX:
        raise TooLarge(f"a datagram of {len(data)} bytes")
    if len(data) <= HEADER_BYTES or data[:4] != NETWORK_TAG:
        raise Malformed("not a datagram of this network")
    if data[4] not in (REQUEST, REPLY):
        raise Malformed("neither a request nor a reply")
    return data[4], data[5:HEADER_BYTES]


def shown_token(data: bytes) -> bytes | None:
    """The token that a datagram shows if it is a request, without reading the rest: its sender's id and the flag before
    it have only these lengths. None for whatever else it is."""
    at = (
        HEADER_BYTES
        + (len(_BEFORE_ID) + ID_BYTES if data[HEADER_BYTES + 1 : HEADER_BYTES + 3] == _BEFORE_ID else 1)
        + 2
    )
    return data[at + 2 : at + 2 + TOKEN_BYTES] if data[at : at + 2] == _BEFORE_TOKEN else None


def decode_request(data: bytes) -> Request:
    """Raises TooLarge, Malformed or NotCanonical."""
    call_id = _call_id(data, REQUEST)
    sender, prove, token, call, padding = codec.as_list(
        codec.unpack(data[HEADER_BYTES:], bytes_max=DATAGRAM_BYTES_MAX), length=5
    )
    request = Request(
        call_id=call_id,
        sender=None if sender is None else NodeId(codec.as_bytes(sender, length=ID_BYTES)),
        prove=_as_bool(prove),
        token=None if token is None else codec.as_bytes(token, length=TOKEN_BYTES),
        call=_read_call(call),
    )
    codec.as_bytes(padding)
    return request


def decode_reply(data: bytes) -> Reply:
    """Raises TooLarge, Malformed or NotCanonical."""
    call_id = _call_id(data, REPLY)
    token, you, proof, answer = codec.as_list(codec.unpack(data[HEADER_BYTES:], bytes_max=DATAGRAM_BYTES_MAX), length=4)
    return Reply(
        call_id=call_id,
        token=codec.as_bytes(token, length=TOKEN_BYTES),
        you=unpack_endpoint(codec.as_bytes(you)),
        proof=None if proof is None else _read_proof(proof),
        answer=_read_answer(answer),
    )


def _call_id(data: bytes, expected: int) -> bytes:
    kind, call_id = peek(data)
    if kind != expected:
        raise Malformed("a request for a reply, or the reverse")
    return call_id


def _read_proof(value: Any) -> Proof:
    key, signature = codec.as_list(value, length=2)
    return Proof(NodeKey(codec.as_bytes(key, length=32)), codec.as_bytes(signature, length=64))


def _read_call(value: Any) -> Call:
    items = codec.as_list(value)
    match _kind(items), len(items):
        case Kind.PING, 1:
            return Ping()
        case Kind.FIND, 4:
            target = codec.as_bytes(items[1], length=ID_BYTES)
            key = None if items[2] is None else codec.as_bytes(items[2], length=ID_BYTES)
            have = codec.as_list(items[3], length_max=MANY_PER_KEY_MAX)
            return Find(target, key, tuple(codec.as_bytes(tag, length=TAG_BYTES) for tag in have))
        case Kind.STORE, 3:
            return Store(
                codec.as_bytes(items[1], length=ID_BYTES), codec.as_bytes(items[2], length_max=RECORD_BYTES_MAX)
            )
        case _:
            raise Malformed("a call of no known kind")


def _read_answer(value: Any) -> Answer:
    items = codec.as_list(value)
    match _kind(items), len(items):
        case Kind.PING, 1:
            return Pong()
        case Kind.FIND, 4:
            contacts = codec.as_list(items[1], length_max=DHT_REPLY_CONTACTS_MAX)
            named = tuple(Contact.from_wire(codec.as_bytes(item)) for item in contacts)
            records = codec.as_list(items[2], length_max=MANY_PER_KEY_MAX)
            given = tuple(codec.as_bytes(item, length_max=RECORD_BYTES_MAX) for item in records)
            return Found(named, given, _as_bool(items[3]))
        case Kind.STORE, 2:
            return Stored(codec.as_text(items[1], 32))
        case Kind.REFUSAL, 2:
            return Refusal(codec.as_text(items[1], 32))
        case _:
            raise Malformed("an answer of no known kind")


def _kind(items: list[Any]) -> int:
    if not items:
        raise Malformed("neither call nor answer")
    return codec.as_int(items[0], 0, 255)


def _as_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed("not a boolean")
    return value


# --- fitting an answer ------------------------------------------------------------------------------------------------


def reply_bytes_max(request_bytes: int, proven: bool) -> int:
    """How large a reply to this request may be."""
    return DATAGRAM_BYTES_MAX if proven else min(DATAGRAM_BYTES_MAX, DHT_REPLY_FACTOR * request_bytes)


def fit_found(
    reply: Reply, contacts: Sequence[Contact], held: Sequence[Held], have: Sequence[bytes], bytes_max: int, salt: bytes
) -> Reply | None:
    """The reply with as many records and contacts as fit, None if not even the empty one does.

    Records come in an order of this node's own (`salt`), so that several holders give different ones first; those
    that are held in passing come last, for one neighbour may have made many of them.
    """
    known = set(have)
    wanted = [item for item in held if item.tag not in known]
    if len(wanted) > 1:
        wanted.sort(key=lambda item: (item.in_passing, digest(salt + item.tag, size=8)))
    near = list(contacts[:DHT_REPLY_CONTACTS_MAX])
    size = _found_bytes_min(len(reply.token), len(pack_endpoint(reply.you)), reply.proof is not None) + 4
    if size > bytes_max:
        return None
    room = bytes_max - size - sum(len(contact.wire) + 2 for contact in near[:CONTACTS_BESIDE_RECORDS])
    chosen: list[bytes] = []
    for item in wanted:
        if len(item.wire) + 3 <= room:
            chosen.append(item.wire)
            room -= len(item.wire) + 3
    room = bytes_max - size - sum(len(wire) + 3 for wire in chosen)
    listed: list[Contact] = []
    for contact in near:
        if len(contact.wire) + 2 <= room:
            listed.append(contact)
            room -= len(contact.wire) + 2
    return _with(reply, Found(tuple(listed), tuple(chosen), len(chosen) < len(wanted)))


@lru_cache(16)
def _found_bytes_min(token_bytes: int, you_bytes: int, is_proof: bool) -> int:
    """Bytes of a reply that found nothing; the two arrays of a fuller one may need counts longer by two each."""
    proof = [bytes(32), bytes(64)] if is_proof else None
    return HEADER_BYTES + len(codec.pack([bytes(token_bytes), bytes(you_bytes), proof, _answer_value(Found())]))


def _with(reply: Reply, answer: Answer) -> Reply:
    return Reply(reply.call_id, answer, reply.token, reply.you, reply.proof)


# --- proofs -----------------------------------------------------------------------------------------------------------


def prove(node: KeyPair, call_id: bytes, asker: NodeId | None, you: Endpoint) -> Proof:
    """The answering node's proof of its id for this one call."""
    return Proof(NodeKey(node.public), node.sign(NODE_DOMAIN, _proof_message(call_id, asker, you)))


def check_proof(reply: Reply, asker: NodeId | None, expected: NodeId | None) -> NodeId:
    """The id that the reply proves. Raises BadHandshake without a proof or for another id than expected, BadKey or
    BadSignature."""
    if reply.proof is None:
        raise BadHandshake("no proof of the node id")
    proven = node_id(reply.proof.key)
    if expected is not None and proven != expected:
        raise BadHandshake("another node than the one that was named")
    verify(reply.proof.key, NODE_DOMAIN, _proof_message(reply.call_id, asker, reply.you), reply.proof.signature)
    return proven


def _proof_message(call_id: bytes, asker: NodeId | None, you: Endpoint) -> bytes:
    return b"dht id" + call_id + (asker or bytes(ID_BYTES)) + pack_endpoint(you)
