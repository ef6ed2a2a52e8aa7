"""Both stores give the same answers, whatever comes in whatever order: the SQL against the plain rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from builders import NOON, Log, Person, person, ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pblog.config import DM_BOXES_MIN, DM_SEALED_MIN, RUN_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.forks import prove_fork
from p2pblog.core.identity import Identity
from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Batch, Located
from p2pblog.core.media import Attachment, FileHash
from p2pblog.core.payload import BOX_BYTES, SEALED_OVERHEAD, Dm, Note
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.search import parse
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, NotFound
from p2pblog.store import (
    OWN_IDENTITY,
    Block,
    Follow,
    SearchQuery,
    TimelineQuery,
    migrations,
    sql_dms,
    sql_indexer,
    sql_polls,
    sql_read,
    sql_retracted,
    sql_room,
    sql_search,
    sql_strangers,
    sql_write,
)
from p2pblog.store.meaning import Kind
from p2pblog.store.memory import MemoryStore

ENTRIES_A_LOG = 7
A_DM = Dm(bytes(DM_BOXES_MIN * BOX_BYTES), bytes(DM_SEALED_MIN + SEALED_OVERHEAD))
"""Whom it is for no store can tell."""
PICTURES = [Attachment(FileHash(bytes([number] * 32)), "bees.jpg", "image/jpeg", 1) for number in range(2)]
OF_STRANGERS = ("admitted", "vouchers", "vouches")
TIMES = [0, NOON, NOON + 1_000, NOON + 2_000, NOON + 3_000, 2**53 - 1]
NOWS = [NOON + 1_500, NOON + 4_000, NOON + 9_000]
Step = tuple[str, tuple[Any, ...]]
"""One call of a store: its name and arguments."""


@dataclass
class World:
    """Who writes what. `logs` include a second device of alice's and a second history of bob's log."""

    people: list[Person]
    logs: list[Log]
    identities: list[Identity]

    @property
    def entries(self) -> list[Entry]:
        return [entry for log in self.logs for entry in log.entries]


def draw_world(data: st.DataObject) -> World:
    people = [person("alice"), person("bob"), person("carol")]
    alice, bob, carol = people
    identities = [Identity(alice.identity.inception), alice.identity]
    logs = [*(someone.log for someone in people), alice.add_device("laptop")]
    said = alice.log.note("mine")
    bob.log.note("to alice", reply_to=said)
    carol.log.like(said)
    bob.log.write(A_DM)
    for _ in range(ENTRIES_A_LOG - 1):
        for log in logs:
            draw_entry(data, log, [entry for other in logs for entry in other.entries], logs)
    fork = bob.log.branch(4)
    for _ in range(3):
        draw_entry(data, fork, bob.log.entries, logs)
    logs.append(fork)
    identities += [someone.identity for someone in people]
    retired = data.draw(st.integers(0, ENTRIES_A_LOG - 1), "retired after")
    last = None if retired == 0 else alice.log.entries[retired - 1].id
    identities.append(alice.retire(alice.key, retired, last))
    return World(people, logs, identities)


def draw_entry(data: st.DataObject, log: Log, before: list[Entry], logs: list[Log]) -> None:
    target = before[data.draw(st.integers(0, len(before) - 1), "about")]
    match data.draw(st.integers(0, 17), "kind"):
        case 17:
            size = data.draw(st.integers(1, 2), "size")
            log.write(Note("look", media=(replace(data.draw(st.sampled_from(PICTURES), "picture"), size=size),)))
        case 15 | 16:
            log.vouch(data.draw(st.sampled_from([entry_log.identity for entry_log in logs]), "whom for"))
        case 14:
            log.write(A_DM)
        case 13:
            log.edit(
                target,
                data.draw(st.sampled_from(["other", "#honey", "#bees #wax", "!birds"]), "words"),
                log.entries[-2:],
            )
        case 12:
            log.pin(log.entries[data.draw(st.integers(0, len(log.entries) - 1), "pinned")])
        case 9:
            log.poll("yes", "no", closes_ms=data.draw(st.sampled_from(TIMES), "closes"))
        case 10 | 11:
            polls = [entry for entry in before if b"options" in (entry.payload or b"")] or [target]
            poll = polls[data.draw(st.integers(0, len(polls) - 1), "poll")]
            log.vote(poll, data.draw(st.integers(1, 3), "choice"), data.draw(st.sampled_from(TIMES), "time"))
        case 8:
            log.note("#bees" + data.draw(st.sampled_from(["", " #Honey", " !Birds"]), "tags"))
        case 0 | 1:
            log.note(f"{len(log.entries)}", time_ms=data.draw(st.sampled_from(TIMES), "time"))
        case 2:
            log.note("re", reply_to=target)
        case 3:
            log.boost(target)
        case 4:
            log.like(replace(ref(target), seq=target.seq + data.draw(st.integers(0, 1), "off by")))
        case 5:
            log.delete(target, [log.entries[data.draw(st.integers(0, len(log.entries) - 1), "replaces")]])
        case 6:
            log.profile(f"name {len(log.entries)}")
        case _:
            log.write(b"\xc1")


def draw_step(data: st.DataObject, world: World) -> Step:
    log = world.logs[data.draw(st.integers(0, len(world.logs) - 1), "log")]
    someone = world.people[data.draw(st.integers(0, 2), "who")]
    now = data.draw(st.sampled_from(NOWS), "now")
    first = data.draw(st.integers(1, len(log.entries)), "first")
    match data.draw(st.integers(0, 27), "step"):
        case 26:
            return "mark_news_read", ()
        case 25:
            return "end_polls", (now,)
        case 22:
            return "prune", (log.key, first, now)
        case 23:
            return "lift_floors", (data.draw(st.sampled_from([None, someone.hash]), "whose"),)
        case 24:
            return "prune_strays", (data.draw(st.integers(0, 2), "passed"), first)
        case 19 | 20:
            return "put_admitted", (someone.hash, now)
        case 21:
            return "drop_admitted", (someone.hash,)
        case 18:
            ids = [entry.id for entry in log.entries[first - 1 :]]
            return "settle_dms", (ids, [], now) if data.draw(st.booleans(), "for us") else ([], ids, now)
        case 0 | 1 | 2 | 3 | 4:
            last = data.draw(st.integers(first, len(log.entries)), "last")
            gaps = data.draw(st.sets(st.integers(first, last), max_size=3), "gaps")
            run = tuple(entry.without_payload() if entry.seq in gaps else entry for entry in log.run(first, last))
            came = check_run(encode_run(run)) if data.draw(st.booleans(), "from a peer") else run
            return "append", ([Batch(log.identity, came)], now)
        case 5:
            entries = [entry for entry in log.entries[first - 1 :] if entry.payload is not None]
            return "put_payloads", (log.key, [(entry.seq, entry.payload) for entry in entries])
        case 6 | 7:
            return "put_identity", (world.identities[data.draw(st.integers(0, len(world.identities) - 1), "identity")],)
        case 8:
            return "put_follow", (Follow(someone.hash, None, now),)
        case 9:
            return "drop_follow", (someone.hash,)
        case 10:
            return "put_setting", (OWN_IDENTITY, someone.hash)
        case 11:
            return data.draw(st.sampled_from([("drop_log", (log.key,)), ("leave_log", (log.key, now))]), "how")
        case 12:
            return "drop_retracted", (now,)
        case 13:
            return "put_bookmark", (log.entries[first - 1].id, now)
        case 14:
            return "drop_bookmark", (log.entries[first - 1].id,)
        case 15:
            return "put_block", (Block(someone.hash, now),)
        case 16:
            return "drop_block", (someone.hash,)
        case _:
            claimed = data.draw(st.sampled_from([log.identity, someone.hash]), "claimed")
            has_chain = first < len(log.entries) and not data.draw(st.booleans(), "own signature")
            return "put_stray", (stray(log, first, claimed, has_chain), now)


def stray(log: Log, seq: int, claimed: IdentityHash, has_chain: bool) -> Located:
    entry = log.entries[seq - 1]
    if not has_chain:
        return Located(claimed, entry, ())
    after = tuple(later.without_payload() for later in log.run(seq + 1, seq + 1))
    return Located(claimed, replace(entry, signature=None), after)


def draw_news(data: st.DataObject, world: World) -> list[Step]:
    """In half of all worlds what two people said to the third is known, and was read, before anything else happens;
    direct messages were opened before that or after it."""
    if data.draw(st.booleans(), "nothing came yet"):
        return []
    steps: list[Step] = [("put_follow", (Follow(each.hash),)) for each in world.people[1:]]
    steps += [("put_identity", (each.identity,)) for each in world.people]
    steps += [("append", ([Batch(log.identity, log.run())], NOWS[0])) for log in world.logs[:3]]
    opened: Step = ("settle_dms", ([entry.id for entry in world.entries], [], NOWS[0]))
    return [*steps, *data.draw(st.permutations([opened, ("mark_news_read", ())]), "order")]


def draw_return(data: st.DataObject, world: World) -> list[Step]:
    """A log goes, or its lower part, and comes again, with direct messages that are opened again."""
    log = world.logs[data.draw(st.integers(0, 2), "log")]
    up_to = data.draw(st.integers(0, len(log.entries)), "gone up to")
    gone: list[Step] = [("prune", (log.key, up_to, NOWS[1])), ("lift_floors", (None,))]
    again = ("append", ([Batch(log.identity, log.run())], NOWS[1]))
    opened: Step = ("settle_dms", ([entry.id for entry in log.entries], [], NOWS[1]))
    return [*(gone if up_to else [("drop_log", (log.key,))]), again, opened]


def draw_relay(data: st.DataObject, world: World) -> list[Step]:
    """A log is held for others for a while, of which there are strays here."""
    log = world.logs[data.draw(st.integers(0, len(world.logs) - 1), "log")]
    last = data.draw(st.integers(1, len(log.entries)), "last")
    bare = data.draw(st.sets(st.integers(1, last), max_size=2), "without payload")
    run = tuple(entry.without_payload() if entry.seq in bare else entry for entry in log.run(1, last))
    strays = [log.entries[at] for at in sorted(data.draw(st.sets(st.integers(0, last - 1), max_size=4), "strays"))]
    puts: list[Step] = [("put_stray", (Located(log.identity, stray, ()), NOWS[0])) for stray in strays]
    before = data.draw(st.integers(0, len(puts)), "before the run")
    steps = [*puts[:before], ("append", ([Batch(log.identity, run)], NOWS[1])), *puts[before:]]
    return [*steps, draw_step(data, world), draw_step(data, world), ("leave_log", (log.key, NOWS[2]))]


def draw_strays(data: st.DataObject, world: World) -> list[Step]:
    """Of a log that is not held single entries come, and when their turn comes some go: which, others may decide."""
    log = world.logs[data.draw(st.integers(0, len(world.logs) - 1), "log")]
    whole = st.permutations(range(1, len(log.entries) + 1))
    seqs = data.draw(whole, "which")[: data.draw(st.integers(2, len(log.entries)), "how many")]
    came: list[Step] = [("put_stray", (stray(log, seq, log.identity, has_chain=False), NOWS[0])) for seq in seqs]
    looked_at = ("prune_strays", (data.draw(st.integers(0, 2), "passed"), data.draw(st.integers(2, 9), "most")))
    return [("drop_log", (log.key,)), *came, looked_at]


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that never waits gives."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the dict store waited for something")


def answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (BadChain, NotFound) as error:
        return type(error).__name__


def drop_retracted(db: sqlite3.Connection, before_ms: int) -> int:
    dropped, place = sql_retracted.drop_some(db, before_ms, sql_retracted.FIRST)
    while place is not None:
        more, place = sql_retracted.drop_some(db, before_ms, place)
        dropped += more
    return dropped


def change(db: sqlite3.Connection, name: str, args: tuple[Any, ...]) -> Any:
    db.execute("BEGIN")
    try:
        others = {
            "end_polls": sql_polls,
            "settle_dms": sql_dms,
            "put_admitted": sql_strangers,
            "drop_admitted": sql_strangers,
        }
        place = others.get(name, sql_write if hasattr(sql_write, name) else sql_room)
        result = drop_retracted(db, *args) if name == "drop_retracted" else getattr(place, name)(db, *args)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return result


def questions(world: World, thorough: bool) -> list[tuple[str, tuple[Any, ...]]]:
    ids = [entry.id for entry in world.entries]
    hashes = tuple(someone.hash for someone in world.people)
    asked: list[tuple[str, tuple[Any, ...]]] = [
        ("load", ()),
        ("timeline", (TimelineQuery(1_000),)),
        ("timeline", (TimelineQuery(1_000, None, hashes),)),
        ("timeline", (TimelineQuery(1_000, tag="bees"),)),
        ("timeline", (TimelineQuery(1_000, group="birds"),)),
        ("timeline", (TimelineQuery(1_000, None, hashes[:2], "bees", "birds"),)),
        ("rows", (ids,)),
        ("timeline", (TimelineQuery(1_000, tag="honey"),)),
        ("timeline", (TimelineQuery(1_000, strangers=True),)),
        ("admitted", ()),
        ("bookmarks", (9,)),
        ("dms", (9,)),
        ("dms", (9, None, True)),
        ("follow_rows", ()),
        ("entry_count", ()),
        ("find_ids", ("",)),
        ("bottoms", ()),
        *(("references", (picture.file,)) for picture in PICTURES),
        *(("promised_size", (picture.file,)) for picture in PICTURES),
    ]
    if thorough:
        asked += [("profile", (identity,)) for identity in hashes]
        asked += [("whole_profile", (identity,)) for identity in hashes]
        asked += [("vouchers", (identity,)) for identity in hashes]
        asked += [("vouches", (identity,)) for identity in hashes]
        asked += [("vouches", (identity, hashes[2])) for identity in hashes]
        asked += [("timeline", (TimelineQuery(3, identifier, strangers=True),)) for identifier in ids[::3]]
        asked += [("pins", (identity,)) for identity in hashes]
        asked += [("reactions", (identity, entry, Kind.PIN)) for identity in hashes for entry in ids[::4]]
        asked += [("window", (identity, NOON, NOON + 3_000, most)) for identity in hashes for most in (2, 99)]
        asked += [("boosts_at_home", (identifier,)) for identifier in ids]
        asked += [("bookmarks", (2, identifier)) for identifier in ids]
        asked += [("reactions", (identity, entry, Kind.LIKE)) for identity in hashes for entry in ids[::4]]
        asked += [("timeline", (TimelineQuery(3, identifier),)) for identifier in ids[::3]]
        asked += [("timeline", (TimelineQuery(3, identifier, None, "bees"),)) for identifier in ids[::3]]
        asked += [("timeline", (TimelineQuery(9, None, hashes[:1], "honey"),))]
        asked += [("dms", (2, identifier)) for identifier in ids]
        asked += [("thread", (identifier,)) for identifier in ids]
        asked += [("versions", (identifier,)) for identifier in ids]
        asked.append(("refs", (ids,)))
        asked += [("was_pruned", (identifier.hex(),)) for identifier in ids]
        asked += [("taken_back_by", (identity, identifier)) for identity in hashes for identifier in ids]
        asked += [("locate", (identifier,)) for identifier in ids]
        asked += [("taken_back", (log.key, since)) for log in world.logs for since in (-1, NOON, NOON + 1_500)]
        asked += [("id_at", (log.key, seq)) for log in world.logs for seq in (1, 4)]
        asked += [("run", (log.key, seq, seq + 3, RUN_BYTES_MAX)) for log in world.logs for seq in (1, 3, 6)]
    return asked


def searches(world: World, thorough: bool) -> list[SearchQuery]:
    texts = ("re", "#bees -honey", "bees", "re* -5") if thorough else ("bees",)
    parsed = [parse(text, NOON) for text in texts]
    asked = [SearchQuery(99, None, query.wanted, query.unwanted) for query in parsed]
    asked.append(SearchQuery(99, since_ms=0))
    if thorough:
        alice, bob, _ = (someone.hash for someone in world.people)
        asked += [SearchQuery(3, entry.id, since_ms=0) for entry in world.entries[::2]]
        asked += [SearchQuery(9, None, parsed[0].wanted, (), (alice, bob), (bob,))]
        asked += [SearchQuery(9, None, (), (), (alice,), (), since, NOON + 2_000) for since in (NOON, NOON + 1)]
    return asked


def compare(memory: MemoryStore, db: sqlite3.Connection, world: World, thorough: bool, is_indexed: bool = True) -> None:
    for name, args in questions(world, thorough):
        plain = answer(lambda: finish(getattr(memory, name)(*args)))  # noqa: B023 - asked at once
        asked = "entry_at" if name == "id_at" else name  # there that is the name of a look-up by key
        own = sql_room if hasattr(sql_room, asked) and name not in OF_STRANGERS else sql_read
        where = sql_strangers if name in OF_STRANGERS else sql_dms if name == "dms" else own
        from_sql = answer(lambda: getattr(where, asked)(db, *args))  # noqa: B023
        assert from_sql == plain, f"{name}{args}"
    if not is_indexed:
        return
    while sql_indexer.read_some(db, 5):
        pass
    for query in searches(world, thorough):
        found = answer(lambda: finish(memory.search(query)))  # noqa: B023
        assert answer(lambda: sql_search.search(db, query)) == found, query  # noqa: B023
    db.execute("INSERT INTO word (word) VALUES ('integrity-check')")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_both_stores_agree_under_any_interleaving(data: st.DataObject) -> None:
    world = draw_world(data)
    memory, db = MemoryStore(), sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrations.migrate(db)
        steps: list[Step] = [("put_setting", (OWN_IDENTITY, world.people[0].hash)), *draw_news(data, world)]
        for _ in range(data.draw(st.integers(1, 25), "steps")):
            match data.draw(st.integers(0, 9), "how"):
                case 9:
                    steps += draw_return(data, world)
                case 8:
                    steps += draw_relay(data, world)
                case 7:
                    steps += draw_strays(data, world)
                case _:
                    steps.append(draw_step(data, world))
        for name, args in steps:
            plain = answer(lambda: finish(getattr(memory, name)(*args)))  # noqa: B023 - asked at once
            from_sql = answer(lambda: change(db, name, args))  # noqa: B023
            assert from_sql == plain, f"{name}{args}"
            compare(memory, db, world, thorough=False, is_indexed=data.draw(st.booleans(), "is indexed"))
            compare_news(memory, db)
        compare(memory, db, world, thorough=True)
        assert change(db, "mark_news_read", ()) == finish(memory.mark_news_read())
        check_frozen(memory, db, world)
    finally:
        db.close()


def compare_news(memory: MemoryStore, db: sqlite3.Connection) -> None:
    """The same news; in which order they came the dict store does not remember so finely."""
    for unread in False, True:
        for but_of in (), (person("bob").hash,):
            plain = finish(memory.news(1_000, unread=unread, but_of=but_of))
            from_sql = sql_read.news(db, 1_000, unread=unread, but_of=but_of)
            assert set(plain) == set(from_sql)
            assert len(plain) == len(from_sql)


def check_frozen(memory: MemoryStore, db: sqlite3.Connection, world: World) -> None:
    bob, fork = world.logs[1], world.logs[-1]
    if bob.entries[4].id == fork.entries[4].id:
        return
    proof = prove_fork(bob.entries, fork.entries)
    finish(memory.freeze(proof))
    change(db, "freeze", (proof,))
    compare(memory, db, world, thorough=False)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_order_in_which_things_come_does_not_matter(data: st.DataObject) -> None:
    """The same runs and identities in two orders: the same things are shown, counted and missing. Where two entries of
    one log stand whose clock was put back depends on the order, and so do names and who voted in time."""
    world = draw_world(data)
    logs = world.logs[:-1]  # one history each
    pieces: list[tuple[str, tuple[Any, ...]]] = [("put_identity", (world.identities[-1],))]
    pieces += [("put_identity", (someone.identity,)) for someone in world.people[1:]]
    pieces += [("put_follow", (Follow(someone.hash),)) for someone in world.people]
    for log in logs:
        cut = data.draw(st.integers(1, len(log.entries) - 1), "cut")
        pieces += [
            ("append", ([Batch(log.identity, log.run(1, cut))], 2**53)),
            ("append", ([Batch(log.identity, log.run(cut + 1))], 2**53)),
        ]
    answers = []
    for order in (pieces, data.draw(st.permutations(pieces), "order")):
        db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            migrations.migrate(db)
            for name, args in order:
                change(db, name, args)
            ids = sorted(entry.id for entry in world.entries)
            shown = sorted(row.id for row in sql_read.timeline(db, TimelineQuery(1_000)))
            logs_held = [replace(log, fork=None) for log in sql_read.load(db).logs]
            # where a line stands depends on what was held beside it when it came
            answers.append(
                (shown, logs_held, [replace(row, name=None, place_ms=0, poll=None) for row in sql_read.rows(db, ids)])
            )
        finally:
            db.close()
    assert answers[0] == answers[1]
