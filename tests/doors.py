"""Every door through which outside bytes come in, with inputs that it takes and the errors that it may raise."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import nacl.bindings as sodium
from builders import person
from door_kinds import (
    ALICE,
    BOB,
    CLONE,
    HERE,
    NODE,
    RUN,
    SIX,
    VECTORS,
    Door,
    in_hex,
    of_file,
    of_peers,
    of_text,
    of_values,
    strings,
    vectors,
)
from home_doors import home_doors
from moving_doors import moving_doors

from p2pblog.core import codec, groups, payload, sealed, tags
from p2pblog.core.address import Endpoint, read, read_link
from p2pblog.core.entry import decode_body
from p2pblog.core.forks import ForkProof, prove_fork
from p2pblog.core.identity import Identity, Inception, Policy, Statement
from p2pblog.core.keys import NODE_DOMAIN, KeyPair
from p2pblog.core.runs import check_run, encode_run
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact, node_id, unpack_endpoint
from p2pblog.dht.records import DhtKey
from p2pblog.dht.records import decode as decode_record
from p2pblog.dht.server import STATE_VERSION, read_state
from p2pblog.errors import UsageError
from p2pblog.gossip.memory import Memory, Shared
from p2pblog.gossip.messages import Decoder, Fork, Found, IdentityClock, Live, Run, Statements
from p2pblog.gossip.names import Names
from p2pblog.gossip.sharing import identity_of
from p2pblog.gossip.strays import check_found
from p2pblog.sim import folder, scenario
from p2pblog.sim.aims import parse_all
from p2pblog.sim.churn import read_trace
from p2pblog.sim.directory import DhtPlan
from p2pblog.transport.framing import FrameReader
from p2pblog.transport.handshake import PROOF_PURPOSE, TAG_BYTES, Handshake, Proven, check_proof, make_credentials

TEXTS = codec.pack(encode_run(ALICE.log.run(), texts=True))
CONTACTS = [Contact(node_id(NODE.public), HERE), Contact(node_id(b"bob"), SIX)]


# --- the core ---------------------------------------------------------------------------------------------------------


def _core() -> dict[str, Door]:
    identities, bodies = [*in_hex(*vectors("identities"))], [*in_hex(*(i["body"] for i in vectors("entries")))]
    statements = [*in_hex(*(given["statement"] for given in vectors("statements")))]
    inceptions = [*in_hex(*(given["inception"] for given in vectors("statements"))), ALICE.identity.inception.wire]
    texts, runs = [*strings(vectors("addresses")), ALICE.address], [*in_hex(*(i["run"] for i in vectors("runs"))), RUN]
    policy = codec.pack(Policy.of_one(ALICE.log.device.public).value)
    ref = payload.Ref(ALICE.identity.hash, ALICE.log.key, 2, ALICE.log.entries[1].id)
    return {
        "msgpack": of_peers(partial(codec.unpack, bytes_max=2**16), *runs[:8], *identities[:8]),
        "msgpack of few values": of_peers(partial(codec.unpack, bytes_max=2**16, items_max=9), *runs[:8], *bodies[:4]),
        "address": of_text(read, *texts),
        "link": of_text(read_link, *texts, f"p2pblog:{ALICE.address}?peer={HERE}&peer={SIX}"),
        "endpoint": of_text(Endpoint.parse, str(HERE), str(SIX), "[::ffff:192.0.2.1]:1", "[fe80::1%eth0]:1"),
        "inception": of_peers(Inception.decode, *inceptions),
        "identity": of_peers(Identity.decode, *identities),
        "statement": of_values(Statement.from_value, *statements),
        "policy": of_values(Policy.from_value, policy),
        "body": of_peers(decode_body, *bodies),
        "payload": of_peers(payload.decode, *in_hex(*vectors("payloads"))),
        "run": of_values(check_run, *runs),
        "run of texts": of_values(partial(check_run, texts=True), *runs, TEXTS),
        "run that follows one we hold": of_values(
            lambda value: check_run(value, ALICE.log.entries[0].id),
            codec.pack(encode_run(ALICE.log.run(2), prev_known=True)),
            *runs[:4],
        ),
        "fork proof": of_peers(
            ForkProof.decode, *in_hex(*vectors("fork-proofs")), prove_fork(ALICE.log.run(), CLONE.run()).wire
        ),
        "reference": of_values(payload.Ref.from_value, codec.pack(ref.value)),
        "quote": of_values(payload.Quote.from_value, codec.pack([ref.value, ref.value]), codec.pack([ref.value, None])),
        "groups": of_text(
            groups.groups_of, "!one and !Zwei, not!three (!x) !123 !\u0e17\u200c\u0e2d", "!" * 40, "! !a!b"
        ),
        "tags": of_text(tags.tags_of, "#one and #Zwei, not/#three #123 #\u0e17\u200c\u0e2d", "#" * 40),
    }


# --- direct messages --------------------------------------------------------------------------------------------------

SAID = codec.pack({"from": ALICE.hash, "text": "tea at five?", "to": [BOB.hash]})


def _open(data: bytes) -> sealed.Message:
    """What is sealed for real, so that accidents reach what lies behind the seal."""
    key, nonce = bytes(sealed.KEY_BYTES), bytes(sealed.NONCE_BYTES)
    encrypt = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt
    return sealed._open(nonce + encrypt(data, sealed.DM_DOMAIN, nonce, key), key)


def _received(data: bytes) -> sealed.Message | None:
    """A payload, as the one reads it for whom it may be."""
    found = payload.decode(data)
    return sealed.read(found, ALICE.hash, BOB.hash, [BOB.device]) if isinstance(found, payload.Dm) else None


def _sealed() -> dict[str, Door]:
    entry = person("alice").log.dm("tea at five?", BOB, by=ALICE)
    assert entry.payload is not None
    payloads = in_hex(*(given["payload"] for given in vectors("dms")))
    return {
        "direct message": of_peers(_received, entry.payload, *payloads),
        "direct message unsealed": of_peers(_open, SAID + b"\x80" + bytes(255 - len(SAID)), SAID),
        "text of a direct message": of_peers(sealed._read, SAID),
    }


# --- links ------------------------------------------------------------------------------------------------------------


def _message(data: bytes) -> None:
    """A gossip message on a link on which two logs were named, and what is read within it."""
    decoder = Decoder()
    for log in (ALICE.log.key, BOB.log.key):
        decoder.log(log)
    match decoder.decode(data):
        case Run(value) | Live(value):
            check_run(value, texts=True)
        case Statements(wire):
            identity_of(wire)
            Identity.decode(wire)
        case Fork(proof):
            ForkProof.decode(proof)
        case Found() as found:
            check_found(found)


def _resumed(data: bytes) -> None:
    """A gossip message on a link that goes on from a memory of two feeds and two logs."""
    decoder, feeds = Decoder(), sorted((ALICE.identity.hash, BOB.identity.hash))
    decoder.resume(Names(tuple(feeds), tuple(sorted((ALICE.log.key, BOB.log.key)))))
    decoder.decode(data)


def _messages(data: bytes) -> None:
    """All messages of one direction of a link."""
    decoder = Decoder()
    for item in codec.as_list(codec.unpack(data, bytes_max=2**16)):
        decoder.decode(codec.as_bytes(item))


def _remembered() -> bytes:
    clock = IdentityClock(ALICE.identity.hash, bytes(8), ())
    memory = Memory(said=b"8 bytes.", told={ALICE.identity.hash}, forks={ALICE.log.key}, tokens={b"a token."})
    memory.shared[ALICE.identity.hash] = Shared(clock, None)
    memory.shared[BOB.identity.hash] = Shared(clock, clock)
    return memory.wire


class Unsealed:
    """A cipher that seals nothing, so that accidents reach what lies behind it."""

    def open(self, sealed: bytes) -> bytes:
        return sealed[:-TAG_BYTES]


def _frames(data: bytes) -> None:
    reader = FrameReader(Unsealed())  # type: ignore[arg-type]
    for piece in (data[: len(data) // 2], data[len(data) // 2 :], b"", b"more"):
        reader.feed(piece)


def _framed(*plains: bytes) -> bytes:
    return b"".join((len(each) + TAG_BYTES).to_bytes(2, "big") + each + bytes(TAG_BYTES) for each in plains)


def _end_of(given: Any, data: bytes) -> Proven | None:
    """The end of a connection that a vector speaks of, which receives these bytes."""
    node = KeyPair.from_seed(bytes.fromhex(given["node_seed"]))
    credentials = make_credentials(node, bytes.fromhex(given["static"]))
    network, dialed = bytes.fromhex(given["network_id"]), given["role"] == "dialer"
    end = Handshake(credentials, bytes.fromhex(given["ephemeral"]), dialed=dialed, network_id=network)
    end.start()
    first = 34 if not dialed else len(data)
    step = end.feed(data[:first])
    if step.proven is None and data[first:]:
        step = end.feed(data[first:])
    if step.proven is not None:
        reader = FrameReader(step.proven.receiver)
        for piece in (step.proven.rest, b""):
            reader.feed(piece)
    return step.proven


def _links() -> dict[str, Door]:
    said, ends = vectors("gossip-messages"), vectors("handshake")
    by_role = {role: [given for given in ends if given["role"] == role] for role in ("dialer", "listener")}
    static = bytes(range(32))
    proof = codec.pack([NODE.public, NODE.sign(NODE_DOMAIN, PROOF_PURPOSE + static)])
    doors = {
        "gossip message": of_peers(_message, *in_hex(*said)),
        "gossip link": of_peers(
            _messages, *(codec.pack([*in_hex(each)]) for each in said if isinstance(each, list) and each != [""])
        ),
        "gossip message by remembered names": of_peers(_resumed, *in_hex(*said)),
        "memory of a peer": of_peers(Memory.from_wire, _remembered(), Memory().wire),
        "frames": of_peers(_frames, _framed(b"\x02hi", b"\x01!\x81\x00"), _framed(b"\x90\x01" + bytes(144))),
        "node key's proof": of_peers(lambda data: check_proof(data, static), proof),
    }
    for role, given in by_role.items():
        received = [b"".join(in_hex(each["received"])) for each in given]
        doors[f"handshake of a {role}"] = of_peers(partial(_end_of, given[0]), *received)
    return doors


# --- the DHT ----------------------------------------------------------------------------------------------------------


def _reply(data: bytes) -> None:
    wire.check_proof(wire.decode_reply(data), node_id(NODE.public), None)


def _dht() -> dict[str, Door]:
    cases = json.loads((VECTORS / "dht-records.json").read_text())
    now_ms = cases[0]["now"]
    records = [bytes.fromhex(case["record"]) for case in cases]
    keyed = [bytes.fromhex(case["key"]) + record for case, record in zip(cases, records, strict=True)]
    call_id, own, token = bytes(range(16)), node_id(NODE.public), b"8 bytes."
    calls = [wire.Ping(), wire.Find(own, own, (bytes(wire.TAG_BYTES),)), wire.Store(own, records[0])]
    found = wire.Found(tuple(CONTACTS), (records[0],), True)
    answers = [wire.Pong(), found, wire.Stored("held"), wire.Refusal("rate")]
    proof = wire.prove(NODE, call_id, own, HERE)
    state = codec.pack([STATE_VERSION, [contact.wire for contact in CONTACTS]])
    return {
        "DHT record": of_peers(lambda data: decode_record(DhtKey(data[:20]), data[20:], now_ms), *keyed),
        "DHT request": of_peers(
            wire.decode_request,
            *(wire.encode_request(wire.Request(call_id, call, own, token, True)) for call in calls),
        ),
        "DHT reply": of_peers(
            _reply, *(wire.encode_reply(wire.Reply(call_id, answer, token, HERE, proof)) for answer in answers)
        ),
        "contact": of_peers(Contact.from_wire, *(contact.wire for contact in CONTACTS)),
        "packed endpoint": of_peers(unpack_endpoint, *(contact.wire[20:] for contact in CONTACTS)),
        "saved contacts": of_peers(read_state, state),
    }


# --- the simulator ----------------------------------------------------------------------------------------------------


def _scenario(text: str) -> None:
    read_one = scenario.read("fuzz", text)
    parse_all(read_one.aims)
    if read_one.dht:
        DhtPlan.from_table(read_one.dht)


def _table(path: Path) -> None:
    (path.parent / folder.RESULT).write_text('{"scenario": "fuzz", "seed": 1, "nodes": 20}')
    folder.Result(path.parent).column("curve", "t", "share")


def _simulator() -> dict[str, Door]:
    files = [file.read_text(encoding="utf-8") for file in scenario.folder().iterdir() if file.name.endswith(".toml")]
    result = b'{"scenario": "fuzz", "seed": 1, "nodes": 20}'
    return {
        "scenario": of_text(_scenario, *sorted(files), fault=UsageError),
        "trace": of_file(
            lambda path: read_trace(str(path)),
            b"node,start_s,end_s\n1,0,3.5\n1,4,9e3\n22,1,2\n",
            name="trace.csv",
            fault=UsageError,
        ),
        "result of a run": of_file(
            lambda path: folder.results(str(path.parent)), result, name=f"result/{folder.RESULT}"
        ),
        "table of a run": of_file(_table, b"t,share\n0,0.5\n1,\n2,1e9\n", name="table/curve.csv"),
    }


DOORS: dict[str, Door] = _core() | _sealed() | _links() | _dht() | home_doors() | moving_doors() | _simulator()
