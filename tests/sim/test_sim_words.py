"""People answer, edit, delete, like, boost and write to each other, and each checker of that sees what is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from sim_scenes import churning, ran, small, watcher

from p2pblog.cases.private import Private
from p2pblog.core.keys import DeviceKey
from p2pblog.errors import UsageError
from p2pblog.gossip.strays import Strays
from p2pblog.sim import hand, sense
from p2pblog.sim.checkers.addressed import Addressed, OnlyAddressee
from p2pblog.sim.checkers.words import LastWords
from p2pblog.sim.desk import Desk
from p2pblog.sim.scenario import Scenario, Words
from p2pblog.sim.world import World
from p2pblog.store import memory, memory_read
from p2pblog.store.meaning import Kind, Meaning


def talking(*faults: dict[str, Any], **changed: Any) -> Scenario:
    return small(*faults, **({"words": Words(0, 4, 6.0, 3.0)} | changed))


def blames(world: World, *words: str) -> bool:
    return any(all(word in told for word in words) for told in world.violations)


def test_in_a_sound_world_everybody_sees_the_last_words_and_only_the_addressee_a_direct_message() -> None:
    world = ran(talking())
    assert world.violations == []
    words, addressed, letters = (watcher(world, LastWords), watcher(world, Addressed), watcher(world, OnlyAddressee))
    assert words.counts.keys() == {"note", "edit", "delete", "like", "boost", "dm"}
    assert words.shown > 200
    assert words.boosts_read == words.boosts > 3
    assert addressed.reached == addressed.due > 3
    assert letters.read == letters.due > 3


def test_one_seed_is_one_run_also_where_people_talk_under_churn() -> None:
    """Whom a message is sealed to, and under which key, is drawn from the seed as all else."""
    split = {"kind": "partition", "at_s": 8.0, "share": 0.5, "heal_after_s": 8.0}
    planned = talking(split, churn=churning(lost=0.3, rollback=0.3, rollback_s=5.0))
    one, other = ran(planned, 3), ran(planned, 3)
    assert one.violations == []
    assert one.meter.trace_hash == other.meter.trace_hash
    assert sum(node.disk > 0 for node in one.nodes) > 1


def unheeded(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store makes anything of entries of this kind."""
    sound: Callable[..., Meaning] = memory.meaning_of

    def deaf(payload: bytes | None) -> Meaning:
        meaning = sound(payload)
        return Meaning(Kind.OTHER) if meaning.kind is kind else meaning

    monkeypatch.setattr(memory, "meaning_of", deaf)


def test_a_boosted_notice_that_nobody_asks_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strays, "ask", lambda self, event, now: [])
    words = watcher(ran(talking()), LastWords)
    assert words.boosts_read < words.boosts


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.DELETE, "deleted:"),
        (Kind.EDIT, "in place of 'edit of"),
        (Kind.LIKE, "lacks a like by"),
        (Kind.BOOST, "lacks a boost by"),
    ],
)
def test_what_a_store_does_not_heed_is_seen(kind: Kind, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unheeded(kind, monkeypatch)
    assert blames(ran(talking()), told)


def test_what_was_deleted_and_is_still_quoted_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = talking(words=Words(0, 6, 6.0, 2.0, ("quote", "delete")))
    assert ran(planned).violations == []

    def carelessly(self: Any, words: Any) -> Any:
        quoted = self._by_id.get(memory_read.quoted_id(words.entry.payload))
        return None if quoted is None else memory_read._shown(quoted)

    monkeypatch.setattr(memory_read.MemoryReading, "_quoted", carelessly)
    assert blames(ran(planned), "shows in a quote what was deleted")


def test_a_direct_message_that_somebody_else_can_read_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = {node.person.log for node in World(talking(), 20, 1).nodes}
    monkeypatch.setattr(Private, "_active_devices", lambda self, identity: everybody)
    assert blames(ran(talking()), "can read a direct message by node")


def test_a_direct_message_that_its_addressee_cannot_read_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = {DeviceKey(World(talking(), 20, 1).nodes[0].person.log)}
    monkeypatch.setattr(Private, "_reachable_devices", lambda self, identity: nobody)
    assert blames(ran(talking()), "does not read a direct message by node")


def test_what_a_person_meant_to_do_and_is_not_done_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "is_complete", False)
    assert blames(ran(talking()), "has left 4 things undone that its person meant to do")


def test_a_use_case_that_waits_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(self: Any) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(hand._Writer, "until_complete", wait)
    with pytest.raises(trio.TooSlowError):
        ran(talking())


@pytest.mark.parametrize(
    ("words", "said"), [(Words(0, 4, 6.0, 4.0), "at 22 s, beyond duration_s, 20"), (Words(0, 1, 1, 1, ()), "is empty")]
)
def test_words_that_would_come_too_late_or_never_are_refused(words: Words, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sense.check(talking(words=words), 20)
