"""What an input of a vector means: it gives the expectations when they are written and checks them in the tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from vectors.parts import from_hex

from p2pblog.core import codec
from p2pblog.core.address import read_link, spell
from p2pblog.core.entry import Entry, check_signed, decode_body, with_payload
from p2pblog.core.forks import ForkProof
from p2pblog.core.groups import group_id, groups_of
from p2pblog.core.identity import STATEMENT_BYTES_MAX, Device, Identity, Inception, Retire, Statement
from p2pblog.core.keys import EntryId, IdentityHash, KeyPair
from p2pblog.core.media import Attachment
from p2pblog.core.payload import (
    Boost,
    Delete,
    Dm,
    Edit,
    Like,
    LogStart,
    Note,
    Pin,
    Profile,
    Ref,
    Unknown,
    Vote,
    Vouch,
    decode,
)
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.sealed import read


def read_address_case(given: str) -> Any:
    link = read_link(given)
    return {"identity": link.identity, "address": spell(link.identity), "peers": [str(peer) for peer in link.peers]}


def read_statement_case(given: Any) -> Any:
    base = Identity(Inception.decode(from_hex(given["inception"])))
    for earlier in given["before"]:
        base = base.merge([read_statement(from_hex(earlier))])
    statement = read_statement(from_hex(given["statement"]))
    assert codec.pack(statement.value) == from_hex(given["statement"])
    merged = base.merge([statement])
    assert statement in merged.statements
    body = statement.body
    common = {"id": statement.id, "identity": body.identity, "epoch": body.epoch}
    if isinstance(body, Device):
        return {"kind": "device", **common, "counter": body.counter, "device": body.device}
    if isinstance(body, Retire):
        told = {"counter": body.counter, "device": body.device, "seq": body.seq, "entry": body.entry}
        return {"kind": "retire", **common, **told}
    policy = {"threshold": body.policy.threshold, "key_hashes": list(body.policy.key_hashes)}
    told = {"policy": policy, "signers": list(body.signers), "root": body.root, "policy_hash": body.policy_hash}
    return {"kind": "rotate", **common, **told}


def read_statement(data: bytes) -> Statement:
    return Statement.from_value(codec.unpack(data, bytes_max=2 * STATEMENT_BYTES_MAX))


def read_identity_case(given: Any) -> Any:
    """Several wire forms are merged, in every order, and all orders must agree."""
    expected = None if given.get("identity") is None else from_hex(given["identity"])
    states = [Identity.decode(from_hex(wire), expected) for wire in given["wires"]]
    merged = [_merge_all(order) for order in itertools.permutations(states)]
    assert len({state.wire for state in merged}) == 1
    return _identity_fields(merged[0])


def _merge_all(states: Sequence[Identity]) -> Identity:
    merged = states[0]
    for state in states[1:]:
        merged = merged.merge(state.statements)
    return merged


def _identity_fields(state: Identity) -> Any:
    devices = [
        {"device": device, "retired": standing.retired, "seq": standing.seq if standing.retired else None,
         "entry": standing.entry}
        for device, standing in state.devices.items()
    ]  # fmt: skip
    told = {"identity": state.hash, "address": spell(state.hash), "epoch": state.epoch, "root": state.root}
    return {**told, "devices": devices, "digest": state.digest, "wire": state.wire}


def read_entry_case(given: Any) -> Any:
    entry = decode_body(from_hex(given["body"]))
    entry = check_signed(entry, from_hex(given["signature"]))
    assert entry.body == from_hex(given["body"])
    if given["payload"] is not None:
        entry = with_payload(entry, from_hex(given["payload"]))
    return _entry_fields(entry)


def _entry_fields(entry: Entry) -> Any:
    told = {"id": entry.id, "device": entry.device, "seq": entry.seq, "prev": entry.prev, "time_ms": entry.time_ms}
    return {**told, "payload_size": entry.payload_size, "payload_hash": entry.payload_hash}


def read_payload_case(given: str) -> Any:
    match decode(from_hex(given)):
        case Unknown(kind):
            return {"understood": False, "type": kind}
        case LogStart(identity):
            return {"understood": True, "type": "log", "identity": identity}
        case Edit(of, text, replaces, warning, language):
            said = {"text": text, "replaces": list(replaces), "cw": warning, "lang": language}
            return {"understood": True, "type": "edit", "of": _ref_fields(of), **said}
        case Note(text, reply_to, warning, language, quote, poll, media, imported_ms):
            said = {"text": text, "reply_to": _ref_fields(reply_to), "cw": warning, "lang": language}
            if imported_ms is not None:
                said["imported"] = imported_ms
            if quote is not None:
                said["quote"] = {"of": _ref_fields(quote.of), "version": _ref_fields(quote.version)}
            if media:
                said["media"] = [_attachment_fields(attachment) for attachment in media]
            if poll is not None:
                said["poll"] = {"options": list(poll.options), "closes": poll.closes_ms}
            return {"understood": True, "type": "note", **said}
        case Boost(of):
            return {"understood": True, "type": "boost", "of": _ref_fields(of)}
        case Like(of):
            return {"understood": True, "type": "like", "of": _ref_fields(of)}
        case Pin(of):
            return {"understood": True, "type": "pin", "of": _ref_fields(of)}
        case Vote(of, choice):
            return {"understood": True, "type": "vote", "of": _ref_fields(of), "choice": choice}
        case Vouch(identity):
            return {"understood": True, "type": "vouch", "of": identity}
        case Delete(of, replaces):
            return {"understood": True, "type": "delete", "of": _ref_fields(of), "replaces": list(replaces)}
        case Profile(name, bio, links, avatar, banner):
            told = {"name": name, "bio": bio, **({"links": list(links)} if links else {})}
            for what, picture in (("avatar", avatar), ("banner", banner)):
                told |= {} if picture is None else {what: _attachment_fields(picture)}
            return {"understood": True, "type": "profile", **told}
        case Dm(boxes, sealed):
            return {"understood": True, "type": "dm", "boxes": boxes, "sealed": sealed}


def read_dm_case(given: Any) -> Any:
    """What the holder of these device keys reads."""
    dm = decode(from_hex(given["payload"]))
    assert isinstance(dm, Dm)
    keys = [KeyPair.from_seed(from_hex(seed)) for seed in given["seeds"]]
    message = read(dm, IdentityHash(from_hex(given["author"])), IdentityHash(from_hex(given["reader"])), keys)
    return None if message is None else {"from": message.author, "to": list(message.to), "text": message.text}


def read_group_case(text: str) -> Any:
    """The groups that a text names."""
    return [{"name": name, "id": group_id(name)} for name in groups_of(text)]


def _attachment_fields(attachment: Attachment) -> Any:
    told = {"hash": attachment.file, "name": attachment.name, "type": attachment.type, "size": attachment.size}
    return {**told, "alt": attachment.alt, "thumb": attachment.thumb}


def _ref_fields(ref: Ref | None) -> Any:
    if ref is None:
        return None
    return {"identity": ref.identity, "device": ref.device, "seq": ref.seq, "id": ref.id}


def read_run_case(given: Any) -> Any:
    before = None if given["before"] is None else EntryId(from_hex(given["before"]))
    texts = given.get("texts", False)
    entries = check_run(codec.unpack(from_hex(given["run"]), bytes_max=2**21 + 2**18), before, texts)
    carried = codec.unpack(from_hex(given["run"]), bytes_max=2**21 + 2**18)
    assert encode_run(entries, carried[2] is None, texts) == carried
    return [
        {"seq": e.seq, "id": e.id, "prev": e.prev, "time_ms": e.time_ms, "payload": e.payload, "signature": e.signature}
        for e in entries
    ]


def read_fork_case(given: str) -> Any:
    proof = ForkProof.decode(from_hex(given))
    assert proof.wire == from_hex(given)
    lengths = [len(branch) for branch in proof.branches]
    return {"device": proof.device, "seq": proof.seq, "ids": list(proof.ids), "bodies": lengths}
