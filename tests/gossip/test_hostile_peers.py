"""What a hostile peer may say: only its own link ends, nothing grows without bound, honest peers notice nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import pytest
from builders import person
from gossip_scenes import Puppet, Scene, Table, claim, done, live, node_key, run_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pblog.config import SEQ_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.media import FileHash, table_of
from p2pblog.core.payload import Ref
from p2pblog.core.value import State, Value
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip import messages as m
from p2pblog.gossip.events import Ask, Received
from p2pblog.gossip.membership import KNOWN_MAX
from p2pblog.gossip.memory import TOKENS_HEARD_MAX

CAROL = person("carol")
CAROL.notes(200)
REF = Ref(CAROL.hash, CAROL.key, 3, CAROL.log.entries[2].id)
ANY = DeviceKey(bytes(32))

PICTURE = table_of(b"a picture")
SAMPLES: list[m.Message] = [
    m.Hello(1, 4000, 3, bytes(8)),
    m.Tokens((bytes(8), b"12345678")),
    m.Forget((CAROL.hash,)),
    m.Statements(CAROL.identity.wire),
    m.Clocks((m.IdentityClock(CAROL.hash, bytes(8), ((CAROL.key, claim((1, SEQ_MAX))),)),)),
    m.Clocks((m.IdentityClock(CAROL.hash, CAROL.identity.digest, ((CAROL.key, m.Clock()),)),)),
    m.Want(CAROL.key, 1, SEQ_MAX),
    m.Want(CAROL.key, 9, 3),
    run_of(CAROL.log.run()),
    m.Run(list(live(CAROL.log.run(5, 9)).value)),
    m.Lack(CAROL.key, 1),
    live(CAROL.log.run(200, 201)),
    live(CAROL.log.run(), prev_known=False),
    m.WantPayloads(CAROL.key, (9, 8, 7)),
    m.WantPayloads(CAROL.key, (7, 8)),
    m.WantPayloads(CAROL.key, ()),
    m.Payloads(CAROL.key, ((3, b"x"), (3, b"x"))),
    m.Have(((CAROL.key, SEQ_MAX), (CAROL.key, 5), (ANY, 7))),
    m.Graft(CAROL.key, 1),
    m.Graft(CAROL.key, SEQ_MAX),
    m.Prune(CAROL.key),
    m.Wait(CAROL.key, 6),
    m.Fork(b"\x92\x90\x90"),
    m.Fetch(REF),
    m.Found(REF),
    m.Found(REF, CAROL.identity.wire, (CAROL.log.entries[2].body,), CAROL.log.entries[2].signature, b"x"),
    m.Peers((Endpoint("192.0.2.1", 1), Endpoint("2001:db8::1", 65_535))),
    m.Ping(SEQ_MAX),
    m.Pong(1),
    m.Alarm(2),
    m.Alarm(0),
    m.Bye(),
    m.Relay(CAROL.hash, 2),
    m.Relay(IdentityHash(bytes(32)), 0),
    m.WantTable(PICTURE.file),
    m.TableOf(PICTURE.file),
    m.TableOf(PICTURE.file, PICTURE),
    m.WantPiece(PICTURE.file, 127),
    m.Piece(PICTURE.file, 0, b"a lie"),
]


def size_of(thing: object, seen: set[int] | None = None) -> int:
    """How many items all the dicts, lists, sets and tuples hold that this reaches."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | type(None) | random.Random):
        return 0
    seen.add(id(thing))
    if isinstance(thing, dict):
        return len(thing) + sum(size_of(k, seen) + size_of(v, seen) for k, v in thing.items())
    if isinstance(thing, list | set | tuple | frozenset):
        return len(thing) + sum(size_of(item, seen) for item in thing)
    if is_dataclass(thing):
        return sum(size_of(getattr(thing, f.name), seen) for f in fields(thing))
    if isinstance(thing, State | Value):
        return sum(size_of(getattr(thing, name), seen) for name in thing.__struct_fields__)
    return 0


class Stage:
    """Bob follows Carol and holds her log; Dave is honest, Mallory shares the feed and means no good."""

    def __init__(self, *, shared: bool = True) -> None:
        self.scene = Scene()
        self.carol = CAROL
        self.bob: Table = self.scene.node("bob", "carol", "erin")
        self.bob.keep(CAROL, CAROL.log.run(1, 150))
        self.erin: Table = self.scene.node("erin")
        self.scene.link("erin", "bob")
        self.mallory: Puppet = self.scene.puppet("mallory")
        if shared:
            self.mallory.greet("bob", CAROL)
        else:
            self.mallory.greet("bob")
        self.scene.run(1)

    def ended_by(self) -> list[str]:
        return [error.name for who, other, error in self.scene.closed if error and (who, other) == ("bob", "mallory")]

    def honest_peers_notice_nothing(self) -> None:
        assert all(other == "mallory" for who, other, _ in self.scene.closed if who == "bob")
        self.erin.post("still here")
        self.scene.until(lambda: "still here" in self.bob.texts(self.erin.person), within_s=10)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
@pytest.mark.parametrize("moment", ["before Hello", "unshared", "shared"])
def test_any_message_at_any_moment_ends_its_link_at_worst(sample: m.Message, moment: str) -> None:
    stage = Stage(shared=moment == "shared") if moment != "before Hello" else None
    if stage is None:
        scene = Scene()
        scene.node("bob", "carol")
        scene.puppet("mallory")
        scene.link("mallory", "bob")
        scene.send("mallory", "bob", sample)
        scene.run(1)
        assert bool(scene.closed) == (not isinstance(sample, m.Hello))
        return
    stage.mallory.say("bob", sample, sample)
    stage.honest_peers_notice_nothing()


@pytest.mark.parametrize(
    "sample",
    [
        run_of(CAROL.log.run()),
        m.Lack(CAROL.key, 1),
        m.Payloads(CAROL.key, ()),
        m.Pong(7),
        m.Hello(1, 0, 3),
        m.Want(CAROL.key, 9, 3),
        m.WantPayloads(CAROL.key, (7, 8)),
        m.WantPayloads(CAROL.key, (200, 1)),
        m.Fork(b"\x92\x90\x90"),
        m.Statements(b"\xc0"),
    ],
    ids=lambda sample: type(sample).__name__,
)
def test_what_nobody_asked_for_or_can_mean_ends_the_link(sample: m.Message) -> None:
    stage = Stage()
    stage.mallory.say("bob", sample)
    (name,) = stage.ended_by()
    assert name in ("bad-message", "malformed", "bad-fork-proof")
    stage.honest_peers_notice_nothing()


def flood(stage: Stage, make: Callable[[int], m.Message], count: int = 2_000) -> tuple[int, int]:
    """Bob's size after a tenth of a flood and after all of it; the flood must end the link or cost nothing more."""
    sizes = []
    for number in range(count):
        if not stage.mallory.is_linked:
            break
        stage.scene.send("mallory", "bob", make(number))
        if number % 50 == 0:
            stage.scene.run(0.07)
        if number == count // 10:
            sizes.append(size_of(stage.bob.machine))
    stage.scene.run(1)
    sizes.append(size_of(stage.bob.machine))
    return sizes[0], sizes[-1]


def device(number: int) -> DeviceKey:
    return DeviceKey(number.to_bytes(32, "big"))


FLOODS: dict[str, Callable[[int], m.Message]] = {
    "Have of unknown logs": lambda n: m.Have(tuple((device(64 * n + k), k + 1) for k in range(64))),
    "Have of entries never delivered": lambda n: m.Have(
        tuple((CAROL.key, 151 + (7 * n + k) % 5_000) for k in range(64))
    ),
    "Have far above": lambda n: m.Have(((CAROL.key, SEQ_MAX - 3 * n),)),
    "Tokens": lambda n: m.Tokens(tuple((64 * n + k).to_bytes(8, "big") for k in range(64))),
    "Forget": lambda n: m.Forget((IdentityHash(n.to_bytes(32, "big")),)),
    "clocks of unknown identities": lambda n: m.Clocks((m.IdentityClock(IdentityHash(device(n)), None, ()),)),
    "clocks of ever new logs": lambda n: m.Clocks(
        (m.IdentityClock(CAROL.hash, bytes(8), tuple((device(64 * n + k), claim((1, SEQ_MAX))) for k in range(64))),)
    ),
    "clocks that rise": lambda n: m.Clocks(
        (m.IdentityClock(CAROL.hash, CAROL.identity.digest, ((CAROL.key, claim((1, 151 + n))),)),)
    ),
    "Wait": lambda n: m.Wait(CAROL.key, 151 + n),
    "Graft": lambda n: m.Graft(CAROL.key, 1 + n % 150),
    "Graft of unknown logs": lambda n: m.Graft(device(n), 1),
    "Prune of unknown logs": lambda n: m.Prune(device(n)),
    "Fetch": lambda n: m.Fetch(Ref(CAROL.hash, CAROL.key, 3, CAROL.log.entries[n % 150].id)),
    "Found": lambda n: m.Found(REF),
    "Peers": lambda n: m.Peers(tuple(Endpoint(f"10.{n % 250}.{k}.{n // 250}", 1 + n) for k in range(5))),
    "Ping": lambda n: m.Ping(n),
    "Alarm": lambda n: m.Alarm(n % 3),
    "Want": lambda n: m.Want(CAROL.key, 1, 150),
    "Statements": lambda n: m.Statements(CAROL.identity.wire),
    "Statements of strangers": lambda n: m.Statements(person("frank").identity.wire),
    "Relay of ever new identities": lambda n: m.Relay(IdentityHash(device(n)), n % 3),
    "Relay of one identity": lambda n: m.Relay(CAROL.hash, 2),
    "Relay and Forget in turn": lambda n: (
        m.Forget((IdentityHash(device(n // 2)),)) if n % 2 else m.Relay(IdentityHash(device(n // 2)), 2)
    ),
    "WantPiece": lambda n: m.WantPiece(PICTURE.file, n % 128),
    "WantTable of ever new files": lambda n: m.WantTable(FileHash(n.to_bytes(32, "big"))),
    "old entries": lambda n: live(CAROL.log.run(100, 128)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_leaves_nothing_behind_that_grows(kind: str) -> None:
    stage = Stage()
    early, late = flood(stage, FLOODS[kind])
    room = {"Peers": 6 * KNOWN_MAX, "Tokens": 2 * TOKENS_HEARD_MAX}.get(kind, 600)
    assert late <= early + room, (early, late)
    stage.honest_peers_notice_nothing()


def test_clocks_of_more_numbers_than_a_peer_may_fill_end_the_link() -> None:
    names = [f"author {number}" for number in range(60)]
    scene = Scene()
    bob = scene.node("bob", *names)
    mallory = scene.puppet("mallory")
    mallory.greet("bob", *map(person, names))
    crowded = m.Clock(
        tuple((9_000 - 3 * n, 9_001 - 3 * n) for n in range(16)), tuple(range(8_000, 7_744, -1)), bytes(8)
    )
    for number, name in enumerate(names):
        logs = tuple((device(64 * number + k), crowded) for k in range(64))
        mallory.say("bob", m.Clocks((m.IdentityClock(person(name).hash, bytes(8), logs),)))
    assert [error.name for _, _, error in scene.closed if error] == ["too-large"]
    assert size_of(bob.machine) < 20_000


def test_many_peers_from_few_blocks_do_not_drive_out_the_others() -> None:
    stage = Stage()
    membership = stage.bob.machine.membership
    honest = [Endpoint(f"192.0.{n}.1", 4000) for n in range(100)]
    membership.on_candidates(honest, None, 0.0)
    for number in range(3_000):
        membership.on_candidates([Endpoint(f"10.66.6.{number % 250 + 1}", 1000 + number)], None, 0.0)
    assert len(membership.known) <= KNOWN_MAX
    assert set(honest) <= set(membership.known)


def test_an_old_statement_replayed_takes_nothing_back() -> None:
    stage = Stage()
    old = stage.carol.identity.wire
    fresh = person("carol")
    fresh.notes(200)
    stage.bob.learn(fresh.retire(fresh.key, 120, fresh.log.entries[119].id))
    stage.mallory.say("bob", m.Statements(old))
    assert stage.bob.machine.holdings.standing(CAROL.key).retired
    assert m.Statements(fresh.identity.wire) in stage.mallory.heard
    stage.mallory.heard.clear()
    stage.mallory.say("bob", m.Statements(old))
    assert stage.mallory.told(m.Statements) == [m.Statements(fresh.identity.wire)]


def test_a_run_where_payloads_were_asked_for_ends_the_link() -> None:
    scene, run = Scene(), CAROL.log.run(1, 20)
    bob, mallory = scene.node("bob", "carol"), scene.puppet("mallory")
    bob.keep(CAROL, tuple(entry.without_payload() if entry.seq == 5 else entry for entry in run))
    mallory.greet("bob", CAROL)
    mallory.claims("bob", CAROL, (1, 20))
    assert mallory.told(m.WantPayloads) == [m.WantPayloads(CAROL.key, (5,))]
    mallory.say("bob", run_of(CAROL.log.run(5, 5)))
    assert [(who, error.name) for who, _, error in scene.closed if error] == [("bob", "bad-message")]


def test_a_peer_that_wants_everything_at_once_is_refused() -> None:
    stage = Stage()
    for _ in range(100):
        stage.bob.feed(Received(node_key("mallory"), m.Want(CAROL.key, 1, 150)))
    assert stage.ended_by() == ["bad-message"] * len(stage.ended_by()) != []


def test_an_answer_to_a_stray_that_is_not_the_entry_is_refused() -> None:
    for change in ("payload", "body", "owner", "beyond"):
        stage = Stage()
        frank = person("frank")
        note = frank.log.note("referred to")
        ref = Ref(frank.hash, frank.key, note.seq, note.id)
        identity = frank.identity
        stage.bob.feed(Ask(ref))
        stage.scene.run(0.1)
        payload, body = note.payload, note.body
        if change == "payload":
            payload = b"another"
        if change == "body":
            body = frank.log.entries[0].body
        if change == "owner":
            identity = person("gina").identity
        if change == "beyond":
            identity = frank.retire(frank.key, 1, frank.log.entries[0].id)
        stage.mallory.say("bob", m.Found(ref, identity.wire, (body,), note.signature, payload))
        assert len(stage.ended_by()) == 1, change
        stage.honest_peers_notice_nothing()


def test_a_stray_is_fetched_from_who_holds_it() -> None:
    scene = Scene()
    alice, bob = scene.node("alice"), scene.node("bob")
    said = alice.post("referred to")
    scene.link("alice", "bob")
    scene.run(1)
    bob.feed(Ask(Ref(alice.person.hash, alice.person.key, said.seq, said.id)))
    scene.run(1)
    located = done(bob.store.locate(said.id))
    assert located is not None and located.entry.payload == said.payload


# --- anything at all ---


def mutated(message: m.Message, rng: random.Random) -> bytes:
    data = bytearray(m.Encoder().encode(message))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at]
            case _:
                data.insert(at, rng.randrange(256))
        if not data:
            data = bytearray(b"\xc0")
    return bytes(data)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, len(SAMPLES) - 1), st.integers(0, 2**32)), max_size=25), st.booleans())
def test_no_sequence_of_messages_raises_anything(turns: list[tuple[int, int]], claims: bool) -> None:
    stage = Stage()
    if claims:
        stage.mallory.claims("bob", CAROL, (1, 201))
    for number, seed in turns:
        rng = random.Random(seed)
        if not stage.mallory.is_linked:
            stage.scene.link("mallory", "bob")
            stage.mallory.greet("bob", CAROL)
        if stage.mallory.wire is None:
            continue
        if rng.random() < 0.5:
            stage.scene.send("mallory", "bob", SAMPLES[number])
        else:
            try:
                message = m.Decoder().decode(mutated(SAMPLES[number], rng))
            except RemoteProtocolError:
                continue
            stage.scene.send("mallory", "bob", message)
        stage.scene.run(rng.choice([0.0, 0.01, 0.5]))
    stage.scene.run(1)
    assert size_of(stage.bob.machine) < 5_000
    stage.honest_peers_notice_nothing()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SAMPLES) - 1), st.integers(0, 2**32))
def test_mutated_bytes_become_a_message_or_a_named_error(number: int, seed: int) -> None:
    data = mutated(SAMPLES[number], random.Random(seed))
    try:
        message = m.Decoder().decode(data)
    except RemoteProtocolError:
        return
    assert m.Encoder().encode(message) == data


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_message_reads_back_as_it_was_said(sample: m.Message) -> None:
    encoder, decoder = m.Encoder(), m.Decoder()
    assert decoder.decode(encoder.encode(sample)) == sample
    assert decoder.decode(encoder.encode(sample)) == sample


def test_a_message_from_who_has_no_link_is_nothing() -> None:
    stage = Stage()
    assert stage.bob.feed(Received(node_key("nobody"), m.Ping(1))) == []
