"""Which links a node takes for dead, how soon, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, pairwise

import pytest
from gossip_scenes import Puppet, Scene, Table, fill, node_key

from p2pblog.core.address import Endpoint
from p2pblog.gossip.events import Candidates, Taking
from p2pblog.gossip.liveness import (
    ALARM_AGAIN_S,
    LOST_AFTER_S,
    OWED_MAX_S,
    PING_EVERY_S,
    QUIET_S,
    SUSPECT_AFTER_S,
    SUSPECT_MAX_S,
)
from p2pblog.gossip.membership import ALARM_FROM, LOOK_EVERY_S
from p2pblog.gossip.messages import (
    ALARM_HOPS_MAX,
    ALARM_VERSION,
    PROTOCOL_VERSION,
    Alarm,
    Hello,
    Message,
    Ping,
    Pong,
)
from p2pblog.gossip.sharing import Session

ELSEWHERE = tuple(Endpoint(f"10.7.{number}.1", 4000) for number in range(20))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def pings(scene: Scene, *senders: str, since: float = 0.0) -> list[tuple[float, str]]:
    """When whom of these pinged, but for the pings by which clocks are compared."""
    sent = [(at, who, to) for at, who, to, said, _ in scene.sent if isinstance(said, Ping) and said.number]
    return [(at, to) for at, who, to in sent if who in senders and at >= since]


def alarms(scene: Scene, sender: str, since: float = 0.0) -> dict[str, int]:
    """Whom it told of an alarm, and with how many hops left."""
    sent = [(at, who, to, said) for at, who, to, said, _ in scene.sent if isinstance(said, Alarm)]
    return {to: said.hops_left for at, who, to, said in sent if who == sender and at >= since}


def session_of(table: Table, name: str) -> Session:
    return table.machine.sharing.sessions[node_key(name)]


def silence(scene: Scene, *names: str) -> None:
    for name in names:
        puppet = scene.parties[name]
        assert isinstance(puppet, Puppet)
        puppet.answer = lambda message: ()


# --- quiet times ---


def test_one_end_of_a_quiet_link_pings_it_now_and_then(scene: Scene) -> None:
    scene.node("bob")
    scene.node("carol")
    scene.link("bob", "carol")
    scene.run(PING_EVERY_S * 40)
    times = [at for at, _to in pings(scene, "bob", "carol")]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert min(waits) >= 0.75 * PING_EVERY_S and max(waits) <= 1.25 * PING_EVERY_S + LOOK_EVERY_S
    assert len({to for _at, to in pings(scene, "bob", "carol")}) == 2


def test_links_made_at_once_are_pinged_one_after_another(scene: Scene) -> None:
    scene.node("bob")
    names = fill(scene, scene.parties["bob"], 20)  # type: ignore[arg-type]
    scene.run(1.5 * PING_EVERY_S)
    sent = pings(scene, "bob")
    assert {to for _at, to in sent} == set(names)
    assert all(sum(at == other for other, _to in sent) <= 4 for at, _to in sent)


@pytest.mark.parametrize("has_others", [True, False])
def test_who_hears_nobody_for_a_while_asks_somebody_if_there_is_anybody_else_to_dial(
    scene: Scene, has_others: bool
) -> None:
    bob = scene.node("bob")
    names = fill(scene, bob, 3)
    if has_others:
        bob.feed(Candidates(ELSEWHERE))
    since = scene.now + QUIET_S + LOOK_EVERY_S
    scene.run(60)
    sent = pings(scene, "bob", since=since)
    if has_others:
        waits = [later - earlier for (earlier, _), (later, _) in pairwise(sent)]
        assert max(waits) <= QUIET_S + 2 * LOOK_EVERY_S
        assert len(sent) <= 60 / QUIET_S
        assert {to for _at, to in sent} == set(names)
    else:
        assert len(sent) <= 2 * len(names)


def test_neighbours_that_cannot_be_dialed_are_no_places(scene: Scene) -> None:
    """As many places are known as there are links, but not theirs."""
    bob = scene.node("bob")
    fill(scene, bob, 4, dialed_by_us=False, port=0)
    bob.feed(Candidates(ELSEWHERE[:4]))
    since = scene.now
    scene.run(30)
    assert len(pings(scene, "bob", since=since)) >= 30 / (QUIET_S + 2 * LOOK_EVERY_S)


def test_who_hears_somebody_asks_nobody(scene: Scene) -> None:
    bob = scene.node("bob")
    names = fill(scene, bob, 3)
    bob.feed(Candidates(ELSEWHERE))
    since = scene.now
    for _ in range(30):
        scene.send(names[0], "bob", Ping(1))
        scene.run(1)
    assert len(pings(scene, "bob", since=since)) <= len(names)


# --- a late answer ---


def test_a_ping_unanswered_makes_all_be_pinged_and_later_ends_the_link(scene: Scene) -> None:
    bob = scene.node("bob")
    names = fill(scene, bob, 6)
    silent = scene.parties[names[0]]
    assert isinstance(silent, Puppet)
    silence(scene, names[0])
    scene.until(lambda: bool(silent.told(Ping)), within_s=1.25 * PING_EVERY_S)
    since = scene.now
    scene.run(SUSPECT_AFTER_S + 0.1)
    assert {to for _at, to in pings(scene, "bob", since=since)} == set(names) - {names[0]}
    assert [name for name in names if session_of(bob, name).is_late] == names[:1]
    scene.run(LOST_AFTER_S + LOOK_EVERY_S)
    assert [(who, other, error.name) for who, other, error in scene.closed if error] == [("bob", names[0], "too-slow")]
    assert alarms(scene, "bob") == {}


def test_who_says_something_at_last_is_late_no_more_until_he_stalls_again(scene: Scene) -> None:
    bob = scene.node("bob")
    (name,) = fill(scene, bob, 1)
    silence(scene, name)
    scene.until(lambda: session_of(bob, name).is_late, within_s=1.25 * PING_EVERY_S)
    scene.send(name, "bob", Ping(1))
    scene.run(0.2)
    assert not session_of(bob, name).is_late
    scene.run(SUSPECT_AFTER_S)
    assert session_of(bob, name).is_late


def test_who_still_takes_in_what_stands_before_our_ping_owes_no_answer_yet(scene: Scene) -> None:
    bob = scene.node("bob")
    (name,) = fill(scene, bob, 1)
    silence(scene, name)
    liveness = bob.machine.membership.liveness
    scene.until(lambda: bool(liveness.pinged), within_s=1.25 * PING_EVERY_S)
    since = scene.now
    scene.run(0.9 * SUSPECT_AFTER_S)
    while scene.now < since + 1.5 * OWED_MAX_S:
        bob.feed(Taking(node_key(name)))
        scene.run(0.9 * SUSPECT_MAX_S)
        assert not liveness.suspects(scene.now) and not session_of(bob, name).is_late
    assert scene.closed == []
    scene.run(LOST_AFTER_S + 2 * LOOK_EVERY_S)
    assert [(who, other, error.name) for who, other, error in scene.closed if error] == [("bob", name, "too-slow")]


def test_who_talks_and_never_answers_is_ended_at_last(scene: Scene) -> None:
    bob = scene.node("bob")
    (name,) = fill(scene, bob, 1)
    silence(scene, name)
    scene.until(lambda: bool(bob.machine.membership.liveness.pinged), within_s=1.25 * PING_EVERY_S)
    since = scene.now
    while not scene.closed and scene.now < since + 2 * OWED_MAX_S:
        scene.send(name, "bob", Ping(1))
        scene.run(LOST_AFTER_S - LOOK_EVERY_S)
    assert scene.now - since >= OWED_MAX_S
    assert [(who, other, error.name) for who, other, error in scene.closed if error] == [("bob", name, "too-slow")]


def test_some_who_answer_late_by_intent_make_us_ping_little(scene: Scene) -> None:
    """Each answers every second ping at once, so that it need never be patient with them, and the next one late."""
    bob = scene.node("bob")
    honest = fill(scene, bob, 10)
    liars = fill(scene, bob, 4, version=PROTOCOL_VERSION)
    for number, name in enumerate(liars):
        puppet = scene.parties[name]
        assert isinstance(puppet, Puppet)
        puppet.answer = answering_late(scene, name, bool(number % 2))
    scene.send(liars[0], "bob", Alarm(0))
    scene.run(60)
    assert len([to for _at, to in pings(scene, "bob") if to in honest]) <= 6 * len(honest)


def answering_late(scene: Scene, name: str, is_late_first: bool) -> Callable[[Message], Sequence[Message]]:
    turns = cycle((is_late_first, not is_late_first))

    def answer(message: Message) -> Sequence[Message]:
        if not isinstance(message, Ping):
            return ()
        if not next(turns):
            return (Pong(message.number),)
        scene.at(scene.now + SUSPECT_AFTER_S, lambda: scene.send(name, "bob", Pong(message.number)))
        return ()

    return answer


def test_an_answer_held_up_once_does_not_hide_a_crash(scene: Scene) -> None:
    """As one behind a long run is."""
    bob = scene.node("bob")
    names = fill(scene, bob, 6)
    liveness = bob.machine.membership.liveness
    for name in names:
        liveness.round_trips[node_key(name)] = LOST_AFTER_S
    silence(scene, *names)
    scene.until(lambda: bool(liveness.pinged), within_s=PING_EVERY_S)
    scene.run(SUSPECT_MAX_S + 0.1)
    assert len(liveness.pinged) == len(names)


def test_anything_said_shows_life_but_owes_no_round_trip(scene: Scene) -> None:
    bob = scene.node("bob")
    scene.latencies[frozenset(("bob", "puppet 1"))] = 0.6
    (name,) = fill(scene, bob, 1)
    scene.run(PING_EVERY_S + 3)
    liveness = bob.machine.membership.liveness
    assert liveness.round_trips[node_key(name)] == pytest.approx(1.2, abs=0.01)
    assert SUSPECT_AFTER_S < 3 * 1.2
    assert scene.closed == []


# --- alarms ---


def test_who_lost_half_of_his_links_tells_those_that_stand_and_each_new_one(scene: Scene) -> None:
    bob = scene.node("bob")
    names = fill(scene, bob, 7, version=PROTOCOL_VERSION)
    gone, left = names[:4], names[4:]
    silence(scene, *gone)
    bob.feed(Candidates(ELSEWHERE))
    scene.run(QUIET_S * 7)
    assert alarms(scene, "bob") == dict.fromkeys(left, ALARM_HOPS_MAX)
    (newcomer,) = fill(scene, bob, 1, version=PROTOCOL_VERSION)
    assert alarms(scene, "bob") == dict.fromkeys([*left, newcomer], ALARM_HOPS_MAX)


def test_who_has_none_of_the_old_links_left_may_have_been_away_himself(scene: Scene) -> None:
    """A laptop in another network: whom it meets looks after his own links, and tells others if they are gone."""
    bob = scene.node("bob")
    for name in fill(scene, bob, 4, version=PROTOCOL_VERSION):
        scene.cut("bob", name)
    newcomers = fill(scene, bob, 2, version=PROTOCOL_VERSION)
    told = alarms(scene, "bob")
    assert [told[name] for name in newcomers] == [0, 0]


def test_a_neighbour_who_leaves_and_comes_back_again_and_again_is_no_crash(scene: Scene) -> None:
    bob, carol = scene.node("bob"), scene.node("carol")
    for _ in range(2 * ALARM_FROM):
        scene.link("bob", "carol")
        scene.run(0.5)
        assert not bob.machine.membership.lost and not carol.machine.membership.lost
        scene.cut("bob", "carol")
    assert alarms(scene, "bob") == alarms(scene, "carol") == {}


@pytest.mark.parametrize("hops_left", range(ALARM_HOPS_MAX + 1))
def test_an_alarm_makes_all_links_be_pinged_and_goes_on_as_far_as_it_may(scene: Scene, hops_left: int) -> None:
    bob = scene.node("bob")
    teller, *names = fill(scene, bob, 4, version=PROTOCOL_VERSION)
    (old,) = fill(scene, bob, 1, version=ALARM_VERSION - 1)
    since = scene.now
    scene.send(teller, "bob", Alarm(hops_left))
    scene.run(SUSPECT_AFTER_S)
    assert {to for _at, to in pings(scene, "bob", since=since)} == {teller, *names, old}
    assert alarms(scene, "bob") == (dict.fromkeys(names, hops_left - 1) if hops_left else {})


def test_an_alarm_shows_who_else_is_gone_and_ends_there_where_nobody_is(scene: Scene) -> None:
    """Carol's links are silent, which nobody has seen yet; erin's are not."""
    nodes = [scene.node(name) for name in ("bob", "carol", "dave", "erin")]
    for one, other in pairwise(nodes):
        scene.link(one.name, other.name)
    gone = fill(scene, nodes[1], 4, version=PROTOCOL_VERSION)
    fill(scene, nodes[3], 4, version=PROTOCOL_VERSION)
    silence(scene, *gone)
    (teller,) = fill(scene, nodes[0], 1, version=PROTOCOL_VERSION)
    scene.send(teller, "bob", Alarm(1))
    scene.run(2 * SUSPECT_AFTER_S + 0.5)
    assert alarms(scene, "bob") == {"carol": 0, teller: ALARM_HOPS_MAX - 1}
    assert alarms(scene, "carol") == {"bob": ALARM_HOPS_MAX, "dave": ALARM_HOPS_MAX}
    assert alarms(scene, "dave") == {"erin": ALARM_HOPS_MAX - 1}
    assert set(alarms(scene, "erin").values()) == {ALARM_HOPS_MAX - 2}


def test_an_alarm_that_goes_farther_is_passed_on_although_one_was_heeded(scene: Scene) -> None:
    bob = scene.node("bob")
    teller, *names = fill(scene, bob, 4, version=PROTOCOL_VERSION)
    since = scene.now
    for hops_left in (0, 2, 1, 2):
        scene.send(teller, "bob", Alarm(hops_left))
        scene.run(0.3)
    heard = scene.parties[names[0]]
    assert isinstance(heard, Puppet)
    assert heard.told(Alarm) == [Alarm(1)]
    assert len(pings(scene, "bob", since=since)) == 1 + len(names)


def test_a_second_crash_soon_after_the_first_is_told_later(scene: Scene) -> None:
    bob = scene.node("bob")
    gone = fill(scene, bob, 4, version=PROTOCOL_VERSION)
    left = fill(scene, bob, 2, version=PROTOCOL_VERSION)
    for name in gone:
        scene.cut("bob", name)
    assert alarms(scene, "bob").keys() >= set(left)
    newcomers = fill(scene, bob, 8, version=PROTOCOL_VERSION)
    scene.run(4)
    since = scene.now
    for name in newcomers:
        scene.cut("bob", name)
    assert alarms(scene, "bob", since) == {}
    scene.run(ALARM_AGAIN_S - 2)
    assert alarms(scene, "bob", since).keys() == set(left)


def test_who_keeps_telling_of_alarms_makes_us_say_no_more(scene: Scene) -> None:
    bob = scene.node("bob")
    liar, *names = fill(scene, bob, 5, version=PROTOCOL_VERSION)
    since = scene.now
    for _ in range(300):
        scene.send(liar, "bob", Alarm(ALARM_HOPS_MAX))
        scene.run(0.1)
    said = pings(scene, "bob", since=since)
    assert len(said) <= 30 / ALARM_AGAIN_S * (1 + len(names)) + len(names)
    heard = scene.parties[names[0]]
    assert isinstance(heard, Puppet)
    assert len(heard.told(Alarm)) <= 30 / ALARM_AGAIN_S


def test_a_link_without_hello_is_neither_pinged_nor_told(scene: Scene) -> None:
    bob = scene.node("bob")
    puppet = scene.puppet("mute")
    scene.link("bob", "mute")
    (teller,) = fill(scene, bob, 1, version=PROTOCOL_VERSION)
    scene.send(teller, "bob", Alarm(ALARM_HOPS_MAX))
    scene.run(1)
    assert puppet.told(Hello) and not puppet.told(Ping) and not puppet.told(Alarm)
    assert not puppet.told(Pong)
