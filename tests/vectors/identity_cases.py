"""Statements and identities, right and wrong."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from vectors.parts import (
    ALICE,
    BOB,
    BOB_PHONE,
    BOB_ROOT,
    GUARDIANS,
    LAPTOP,
    PHONE,
    ROOT,
    ROOT_1,
    ROOT_2,
    WEAK_KEYS,
    Case,
    accept,
    another_signature,
    deep,
    flip,
    key,
    malleable,
    raw,
    reject,
    swap,
)
from vectors.readers import read_identity_case, read_statement, read_statement_case

from p2pblog.core import codec
from p2pblog.core.identity import (
    Device,
    Identity,
    Inception,
    Policy,
    Statement,
    key_hash,
    restate,
    state_device,
    state_retire,
    state_rotate,
)
from p2pblog.core.keys import CONSENT_DOMAIN, ENTRY_DOMAIN, STATEMENT_DOMAIN, DeviceKey, EntryId, KeyPair, hash32
from p2pblog.core.value import replace

DEVICE = state_device(ROOT, PHONE, ALICE.hash, 0, 0)
ENTRY_ID = EntryId(bytes(range(32)))
RETIRE = state_retire(ROOT, ALICE.hash, 0, 1, DeviceKey(PHONE.public), 7, ENTRY_ID)
ROTATE = state_rotate(
    [ROOT_1], ALICE.hash, 1, Policy.of_one(ROOT_1.public), ROOT_1.public, Policy.of_one(ROOT_2.public)
)
GUARDED_POLICY = Policy(2, tuple(key_hash(guardian.public) for guardian in GUARDIANS))
GUARDED = Identity(Inception(ROOT.public, GUARDED_POLICY.hash))


def _given(statement: Statement | bytes, before: Sequence[Statement] = (), base: Identity = ALICE) -> Any:
    data = statement if isinstance(statement, bytes) else codec.pack(statement.value)
    return {
        "inception": base.inception.wire,
        "before": [codec.pack(earlier.value) for earlier in before],
        "statement": data,
    }


def _signed(body: Any, signers: Sequence[KeyPair] = (ROOT,), consent: Any = None) -> bytes:
    """A statement of any body, rightly signed."""
    packed = body if isinstance(body, bytes) else raw(body)
    statement_id = hash32(packed, b"p2pblog state 1")
    return raw([packed, [signer.sign(STATEMENT_DOMAIN, statement_id) for signer in signers], consent])


def _guarded(signers: Sequence[KeyPair], policy: Policy = GUARDED_POLICY, root: bytes = ROOT_2.public) -> Statement:
    return state_rotate(signers, GUARDED.hash, 1, policy, root, Policy.of_one(ROOT_1.public))


def statements() -> list[Case]:
    new_laptop = state_device(ROOT_1, LAPTOP, ALICE.hash, 1, 0)
    told: dict[str, Any] = {
        "device": _given(DEVICE),
        "device with the highest counter": _given(state_device(ROOT, LAPTOP, ALICE.hash, 0, 2**53 - 1)),
        "retire after entry 7": _given(RETIRE, [DEVICE]),
        "retire that comes before its device": _given(RETIRE),
        "retire of a device that wrote nothing": _given(
            state_retire(ROOT, ALICE.hash, 0, 1, DeviceKey(PHONE.public), 0, None)
        ),
        "rotate": _given(ROTATE, [DEVICE]),
        "rotate by two of three guardians": _given(_guarded(GUARDIANS[:2]), base=GUARDED),
        "rotate by all three guardians": _given(_guarded(GUARDIANS), base=GUARDED),
        "device under the second root": _given(new_laptop, [ROTATE]),
        "device stated anew under the second root, with its old consent": _given(
            restate(ROOT_1, DEVICE, 1, 0), [DEVICE, ROTATE]
        ),
    }
    cases = [accept(name, given, read_statement_case(given)) for name, given in told.items()]
    return cases + _misshapen_statements() + _forged_statements() + _misplaced_statements()


def _device_body(*fields: Any, kind: str = "device") -> list[Any]:
    return [kind, ALICE.hash, *fields]


def _misshapen_statements() -> list[Case]:
    consent = DEVICE.consent
    phone, signature = PHONE.public, DEVICE.signatures[0]
    body = codec.pack(DEVICE.body.value)
    policy, next_hash = [1, [key_hash(ROOT_1.public)]], Policy.of_one(ROOT_2.public).hash
    hashes = [bytes([n]) * 32 for n in range(17)]

    def rotate(policy: Any = policy, signers: Any = (ROOT_1.public,), epoch: Any = 1) -> bytes:
        return _signed(["rotate", ALICE.hash, epoch, policy, list(signers), ROOT_1.public, next_hash], [ROOT_1])

    malformed = {
        "no array": raw({"device": 1}),
        "two fields": raw([body, [signature]]),
        "four fields": raw([body, [signature], consent, None]),
        "a body that is no byte string": raw([DEVICE.body.value, [signature], consent]),
        "a signature of 63 bytes": raw([body, [signature[:63]], consent]),
        "a consent of 63 bytes": raw([body, [signature], (consent or b"")[:63]]),
        "a signature outside an array": raw([body, signature, consent]),
        "an unknown kind": _signed(_device_body(0, 0, phone, kind="admit"), consent=consent),
        "a device statement of six fields": _signed(_device_body(0, 0, phone, None), consent=consent),
        "a retire statement of five fields": _signed(_device_body(0, 0, phone, kind="retire")),
        "epoch 17": _signed(_device_body(17, 0, phone), consent=consent),
        "a negative epoch": _signed(_device_body(-1, 0, phone), consent=consent),
        "a counter of 2^53": _signed(_device_body(0, 2**53, phone), consent=consent),
        "a counter that is true": _signed(_device_body(0, True, phone), consent=consent),
        "a counter that is nil": _signed(_device_body(0, None, phone), consent=consent),
        "a counter that is a float": _signed(_device_body(0, 1.0, phone), consent=consent),
        "a device key of 31 bytes": _signed(_device_body(0, 0, phone[:31]), consent=consent),
        "a device key as text": _signed(_device_body(0, 0, "a" * 32), consent=consent),
        "an identity of 33 bytes": _signed(["device", ALICE.hash + b"\0", 0, 0, phone], consent=consent),
        "retire after entry 0 with an id": _signed(_device_body(0, 1, phone, 0, ENTRY_ID, kind="retire")),
        "retire after entry 5 without an id": _signed(_device_body(0, 1, phone, 5, None, kind="retire")),
        "retire after entry 2^32": _signed(_device_body(0, 1, phone, 2**32, ENTRY_ID, kind="retire")),
        "rotate into epoch 0": rotate(epoch=0),
        "rotate with a threshold of 0": rotate(policy=[0, policy[1]]),
        "rotate with a threshold of 2 of 1": rotate(policy=[2, policy[1]]),
        "rotate with half a policy and 17 signers": rotate(policy=policy[:1], signers=hashes),
        "rotate with a policy of no keys": rotate(policy=[1, []]),
        "rotate with one key listed twice": rotate(policy=[1, [hashes[1], hashes[1]]]),
        "a byte after the statement": raw(DEVICE.value) + b"\xc0",
        "a statement of eight fields": _signed([*_device_body(0, 1, phone, 5, ENTRY_ID, kind="retire"), 0]),
        "a statement cut short": raw(DEVICE.value)[:-1],
        "a body with a byte after it": raw([body + b"\xc0", [signature], consent]),
    }
    not_canonical = {
        "an array with a long head": b"\xdc\x00\x03" + raw(DEVICE.value)[1:],
        "a body with a long integer": _signed(swap(body, b"\x00\x00\xc4", b"\x00\xcc\x00\xc4"), consent=consent),
        "a body with a long string": _signed(swap(body, b"\xa6device", b"\xd9\x06device"), consent=consent),
        "a body with a long byte string": _signed(swap(body, b"\0\0\xc4\x20", b"\0\0\xc5\0\x20"), consent=consent),
    }  # fmt: skip
    too_large = {
        "17 signatures": raw([body, [signature] * 17, consent]),
        "a policy of 17 keys": rotate(policy=[1, hashes]),
        "17 signers": rotate(signers=hashes),
        "a body of over 4 KiB": _signed(_device_body(0, 0, phone, bytes(4096)), consent=consent),
        "a body of nine levels": _signed(_device_body(0, 0, deep(8)), consent=consent),
    }
    return _refused({"malformed": malformed, "not-canonical": not_canonical, "too-large": too_large})


def _refused(wrong: dict[str, dict[str, bytes]]) -> list[Case]:
    return [reject(error, name, _given(data)) for error, named in wrong.items() for name, data in named.items()]


def _forged_statements() -> list[Case]:
    phone, signature, consent = PHONE.public, DEVICE.signatures[0], DEVICE.consent
    assert consent is not None
    other_domain = replace(DEVICE, signatures=(ROOT.sign(ENTRY_DOMAIN, DEVICE.id),))
    unbound = PHONE.sign(STATEMENT_DOMAIN, ALICE.hash)
    forged: dict[str, Any] = {
        "signed by bob": _given(state_device(BOB_ROOT, PHONE, ALICE.hash, 0, 0)),
        "signed by the device itself": _given(state_device(PHONE, PHONE, ALICE.hash, 0, 0)),
        "signed by the next root before it rotated": _given(state_device(ROOT_1, PHONE, ALICE.hash, 0, 0)),
        "signed by the first root after it was replaced": _given(state_device(ROOT, PHONE, ALICE.hash, 1, 0), [ROTATE]),
        "a signature from another domain": _given(other_domain),
        "a signature with one bit flipped": _given(replace(DEVICE, signatures=(flip(signature, 100),))),
        "a signature with S + L": _given(replace(DEVICE, signatures=(malleable(signature),))),
        "a signature of zeros": _given(replace(DEVICE, signatures=(bytes(64),))),
        "the signature of another counter": _given(replace(DEVICE, body=Device(ALICE.hash, 0, 1, DeviceKey(phone)))),
        "the consent of another device": _given(replace(DEVICE, consent=LAPTOP.sign(CONSENT_DOMAIN, ALICE.hash))),
        "a consent to another identity": _given(replace(DEVICE, consent=PHONE.sign(CONSENT_DOMAIN, BOB.hash))),
        "a consent from another domain": _given(replace(DEVICE, consent=unbound)),
        "a consent with one bit flipped": _given(replace(DEVICE, consent=flip(consent, 300))),
        "a retire of another number": _given(
            replace(RETIRE, body=replace(RETIRE.body, seq=8)),
            [DEVICE],  # type: ignore[arg-type]
        ),
        "a rotate with a flipped bit": _given(replace(ROTATE, signatures=(flip(ROTATE.signatures[0], 9),))),
        "a rotate signed by the root that it replaces": _given(
            replace(ROTATE, signatures=(ROOT.sign(STATEMENT_DOMAIN, ROTATE.id),))
        ),
    }
    weak = [
        reject("bad-key", f"a device with a weak key: {name}",
               _given(_signed(_device_body(0, 0, bytes.fromhex(text)), consent=bytes(64))))
        for name, text in WEAK_KEYS.items()
    ]  # fmt: skip
    weak_root = state_rotate(
        [ROOT_1], ALICE.hash, 1, Policy.of_one(ROOT_1.public), bytes.fromhex(WEAK_KEYS["order 8"]),
        Policy.of_one(ROOT_2.public),
    )  # fmt: skip
    return [
        *(reject("bad-signature", name, given) for name, given in forged.items()),
        *weak,
        reject("bad-key", "a rotate to a weak root", _given(weak_root)),
    ]


def _misplaced_statements() -> list[Case]:
    signature = DEVICE.signatures[0]
    outsider = state_rotate(
        [BOB_ROOT], ALICE.hash, 1, Policy.of_one(ROOT_1.public), ROOT_1.public, Policy.of_one(ROOT_2.public)
    )
    own_policy = state_rotate(
        [BOB_ROOT], ALICE.hash, 1, Policy.of_one(BOB_ROOT.public), BOB_ROOT.public, Policy.of_one(ROOT_2.public)
    )
    second = state_rotate(
        [ROOT_1], ALICE.hash, 2, Policy.of_one(ROOT_1.public), ROOT_1.public, Policy.of_one(ROOT_2.public)
    )
    misplaced: dict[str, Any] = {
        "about another identity": _given(state_device(ROOT, PHONE, BOB.hash, 0, 0)),
        "a device statement without signature": _given(replace(DEVICE, signatures=())),
        "a device statement with two signatures": _given(replace(DEVICE, signatures=(signature, signature))),
        "a device statement without consent": _given(replace(DEVICE, consent=None)),
        "a retire statement with a consent": _given(replace(RETIRE, consent=DEVICE.consent), [DEVICE]),
        "a retire statement with two signatures": _given(replace(RETIRE, signatures=RETIRE.signatures * 2), [DEVICE]),
        "a rotate with a consent": _given(replace(ROTATE, consent=DEVICE.consent)),
        "a rotate without signatures": _given(replace(ROTATE, signatures=())),
        "a rotate by a key that the policy does not list": _given(outsider),
        "a rotate under a policy of its own": _given(own_policy),
        "a second rotate under the first one's policy": _given(second, [ROTATE]),
        "a rotate by one of two guardians due": _given(_guarded(GUARDIANS[:1]), base=GUARDED),
        "a rotate by one guardian twice": _given(_guarded((GUARDIANS[0], GUARDIANS[0])), base=GUARDED),
        "a rotate with a signature too many": _given(
            replace(_guarded(GUARDIANS[:2]), signatures=_guarded(GUARDIANS).signatures), base=GUARDED
        ),
        "a rotate that lowers the threshold": _given(
            _guarded(GUARDIANS[:1], Policy(1, GUARDED_POLICY.key_hashes)), base=GUARDED
        ),
    }
    return [reject("bad-statement", name, given) for name, given in misplaced.items()]


# --- identities -------------------------------------------------------------------------------------------------------


def identities() -> list[Case]:
    one = ALICE.merge([DEVICE])
    two = one.merge([state_device(ROOT, LAPTOP, ALICE.hash, 0, 1)])
    retired = two.merge([state_retire(ROOT, ALICE.hash, 0, 2, DeviceKey(PHONE.public), 7, ENTRY_ID)])
    corrected = two.merge([state_retire(ROOT, ALICE.hash, 0, 3, DeviceKey(PHONE.public), 9, ENTRY_ID)])
    rotated = one.merge([ROTATE])
    restated = rotated.merge([restate(ROOT_1, DEVICE, 1, 0)])
    again = state_rotate(
        [ROOT_2], ALICE.hash, 2, Policy.of_one(ROOT_2.public), ROOT_2.public, Policy.of_one(key(4).public)
    )
    rivals = [GUARDED.merge([_guarded(pair)]) for pair in itertools.combinations(GUARDIANS, 2)]
    named = zip(rivals, (PHONE, LAPTOP, BOB_PHONE), strict=True)
    rivals = [rival.merge([state_device(ROOT_2, device, GUARDED.hash, 1, 0)]) for rival, device in named]
    told: dict[str, list[Identity]] = {
        "an inception alone": [ALICE],
        "one device": [one],
        "two devices": [two],
        "a retired device beside another": [retired],
        "a retire without its device admits nobody": [ALICE.merge([RETIRE])],
        "a rotation, before any device was stated anew": [rotated],
        "a rotation, and its device stated anew": [restated],
        "two rotations": [restated.merge([again])],
        "a guarded identity": [rivals[0]],
        "merge: two devices stated on two machines": [one, ALICE.merge([state_device(ROOT, LAPTOP, ALICE.hash, 0, 0)])],
        "merge: a retire beats a device of a higher counter": [
            retired,
            ALICE.merge([state_device(ROOT, PHONE, ALICE.hash, 0, 99)]),
        ],
        "merge: the higher counter of two retires": [retired, corrected],
        "merge: a later epoch beats all of an earlier one": [retired, restated, one],
        "merge: three rotations into one epoch": rivals,
        "merge: two signatures of one device statement": [one, ALICE.merge([_signed_anew(DEVICE, ROOT)])],
        "merge: two consents of one device statement": [
            one,
            ALICE.merge([replace(DEVICE, consent=another_signature(PHONE, CONSENT_DOMAIN, ALICE.hash))]),
        ],
        "merge: two signatures of one rotation, under which two devices are stated": [
            restated,
            ALICE.merge([_signed_anew(ROTATE, ROOT_1), state_device(ROOT_1, LAPTOP, ALICE.hash, 1, 0)]),
        ],
    }
    cases = []
    for name, states in told.items():
        given = {"identity": None, "wires": [state.wire for state in states]}
        cases.append(accept(name, given, read_identity_case(given)))
    given = {"identity": ALICE.hash, "wires": [one.wire]}
    cases.append(accept("the identity that was asked for", given, read_identity_case(given)))
    return cases + _wrong_identities(one, two, retired, restated)


def _signed_anew(statement: Statement, signer: KeyPair) -> Statement:
    return replace(statement, signatures=(another_signature(signer, STATEMENT_DOMAIN, statement.id),))


def _wrong_identities(one: Identity, two: Identity, retired: Identity, restated: Identity) -> list[Case]:
    inception, listed = ALICE.inception.wire, [s.value for s in two.statements]
    superseded = state_device(ROOT, PHONE, ALICE.hash, 0, 5).value
    old = sorted([*(s.value for s in restated.statements), DEVICE.value], key=lambda v: read_statement(raw(v)).id)
    forged = replace(DEVICE, signatures=(flip(DEVICE.signatures[0], 1),))
    rivals = sorted([ROTATE, replace(ROTATE, body=replace(ROTATE.body, root=ROOT_2.public))], key=lambda s: s.id)

    def with_root(text: str) -> bytes:
        return raw([raw([bytes.fromhex(text), ALICE.inception.policy_hash]), []])

    wrong = {
        "malformed": {
            "no bytes": b"",
            "no array": raw(inception),
            "one field": raw([inception]),
            "an inception that is no byte string": raw([[ROOT.public, ALICE.inception.policy_hash], []]),
            "an inception of one field": raw([raw([ROOT.public]), []]),
            "a policy hash of 31 bytes": raw([raw([ROOT.public, bytes(31)]), []]),
            "a root of 33 bytes": raw([raw([ROOT.public + b"\0", bytes(32)]), []]),
            "statements that are no array": raw([inception, None]),
            "a byte after it": one.wire + b"\0",
            "cut short": one.wire[:-1],
            "an array that promises 2^32 - 1 items": b"\xdd\xff\xff\xff\xff" + one.wire[1:],
        },
        "not-canonical": {
            "statements out of order": raw([inception, listed[::-1]]),
            "a long array head": b"\xdc\x00\x02" + one.wire[1:],
            "an inception with a long head": raw([b"\xdc\x00\x02" + inception[1:], []]),
            "an inception in a long byte string": swap(ALICE.wire, b"\x92\xc4\x45", b"\x92\xc5\x00\x45"),
        },
        "too-large": {
            "257 statements": raw([inception, [None] * 257]),
            "an inception of 81 bytes": raw([inception + bytes(12), []]),
            "nine levels": raw([inception, deep(8)]),
        },
        "bad-key": {f"a weak root: {name}": with_root(text) for name, text in WEAK_KEYS.items()},
        "bad-signature": {
            "a forged statement": raw([inception, [forged.value]]),
            "a forged statement among others": raw([inception, [forged.value, listed[1]]]),
            "a statement signed by bob": raw([inception, [state_device(BOB_ROOT, LAPTOP, ALICE.hash, 0, 0).value]]),
        },
        "bad-statement": {
            "a statement twice": raw([inception, [DEVICE.value, DEVICE.value]]),
            "a statement that a higher counter beats": raw([inception, sorted([DEVICE.value, superseded])]),
            "a statement of an epoch that has passed": raw([inception, old]),
            "a statement of an epoch that has not come": raw(
                [inception, [state_device(ROOT_1, PHONE, ALICE.hash, 1, 0).value]]
            ),
            "another inception under these statements": raw([BOB.inception.wire, [DEVICE.value]]),
            "two rotations of one epoch, one of them forged": raw([inception, [s.value for s in rivals]]),
        },
    }
    cases = [
        reject(error, name, {"identity": None, "wires": [data]})
        for error, named in wrong.items()
        for name, data in named.items()
    ]
    asked = {"identity": BOB.hash, "wires": [retired.wire]}
    other = reject("bad-statement", "another identity than the one that was asked for", asked)
    return [*cases, other, *_of_two_faults()]


def _of_two_faults() -> list[Case]:
    """The first of them, from left to right, gives the name."""
    weak = raw([bytes.fromhex(WEAK_KEYS["no point at all"]), ALICE.inception.policy_hash])
    given = {"identity": None, "wires": [raw([weak, [5]])]}
    asked = {"identity": BOB.hash, "wires": [raw([ALICE.inception.wire, [5]])]}
    return [
        reject("bad-key", "a weak root, and no statement", given),
        reject("bad-statement", "another identity than was asked for, and no statement", asked),
    ]
