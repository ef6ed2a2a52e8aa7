"""Whom a node dials, keeps, drops and turns away."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import person
from gossip_scenes import Puppet, Scene, fill, node_key, pongs

from p2pblog.config import LINKS_ACCEPTED_MAX, LINKS_CHOSEN_MAX
from p2pblog.core.address import Endpoint
from p2pblog.gossip.events import (
    Candidates,
    Dial,
    DialFailed,
    Due,
    LinksLost,
    LinkUp,
    LookDue,
    Received,
    RememberPeer,
    Send,
)
from p2pblog.gossip.membership import (
    BACKOFF_MAX_S,
    BACKOFF_S,
    BYE_PAUSE_S,
    DIALS_BUSY,
    DIALS_CALM,
    DIALS_MAX,
    LINKS_AT_ONCE_MAX,
    LINKS_ENOUGH,
    LINKS_MAX,
    LOOK_EVERY_S,
    LOST_WITHIN_S,
    SETTLE_S,
    TRY_LOST_EVERY_S,
    TURNED_AWAY_S,
    UNCOVERED_MANY,
    VISIT_EVERY_MAX_S,
    VISIT_EVERY_S,
    VISIT_S,
    has_room,
)
from p2pblog.gossip.messages import PEERS_MAX, PROTOCOL_VERSION, Alarm, Bye, Hello, Peers


@pytest.fixture
def scene() -> Scene:
    return Scene()


def places(count: int, net: str = "10.7") -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"{net}.{number}.1", 4000) for number in range(count))


def dialed(effects: list[object]) -> list[Endpoint]:
    return [effect.endpoint for effect in effects if isinstance(effect, Dial)]


def test_candidates_are_dialed_a_few_at_a_time(scene: Scene) -> None:
    bob = scene.node("bob")
    assert len(dialed(bob.feed(Candidates(places(20))))) == LINKS_ENOUGH
    calm = scene.node("carol")
    fill(scene, calm, 3)
    assert len(dialed(calm.feed(Candidates(places(20, "10.8"))))) == DIALS_CALM


def test_who_holds_what_nobody_shares_is_dialed_first(scene: Scene) -> None:
    bob = scene.node("bob", "carol")
    fill(scene, bob, 4)
    bob.machine.membership.dialing.update(dict.fromkeys(places(DIALS_CALM, "10.9")))
    bob.feed(Candidates(places(20)))
    wanted = Endpoint("10.200.1.1", 4000)
    bob.feed(Candidates((wanted,), person("carol").hash))
    bob.machine.membership.dialing.clear()
    assert dialed(bob.feed(Due(LookDue())))[0] == wanted


@pytest.mark.parametrize("follows", [UNCOVERED_MANY - 1, UNCOVERED_MANY])
def test_who_misses_many_feeds_dials_on_without_waiting(scene: Scene, follows: int) -> None:
    bob = scene.node("bob", *[f"author {number}" for number in range(follows)])
    fill(scene, bob, LINKS_ENOUGH)
    missed = follows == UNCOVERED_MANY
    assert len(dialed(bob.feed(Candidates(places(20))))) == (DIALS_BUSY if missed else 0)
    scene.run(SETTLE_S + 1)
    bob.machine.membership.dialing.clear()
    assert len(dialed(bob.feed(Candidates(places(20, "10.8"))))) == (DIALS_BUSY if missed else DIALS_CALM)


def test_links_made_without_waiting_leave_places_to_those_who_come_later(scene: Scene) -> None:
    authors = [f"author {number}" for number in range(UNCOVERED_MANY)]
    bob = scene.node("bob", *authors)
    fill(scene, bob, LINKS_AT_ONCE_MAX - 1)
    first, *others = places(UNCOVERED_MANY)
    assert dialed(bob.feed(Candidates((first,), person(authors[0]).hash))) == [first]
    fill(scene, bob, 1)
    bob.machine.membership.dialing.clear()
    for author, other in zip(authors[1:], others, strict=True):
        assert dialed(bob.feed(Candidates((other,), person(author).hash))) == []


def test_a_holder_who_did_not_answer_is_dialed_again_once_he_has_rested(scene: Scene) -> None:
    """While he was being dialed nobody else was worth it, and only he can end that."""
    authors = [f"author {number}" for number in range(UNCOVERED_MANY)]
    bob = scene.node("bob", *authors)
    fill(scene, bob, LINKS_CHOSEN_MAX)
    (holder,) = places(1)
    assert dialed(bob.feed(Candidates((holder,), person(authors[0]).hash))) == [holder]
    assert dialed(bob.feed(Due(LookDue()))) == []
    begun = len(bob.dials)
    bob.feed(DialFailed(holder))
    scene.run(BACKOFF_S)
    assert len(bob.dials) == begun
    scene.run(BACKOFF_S + LOOK_EVERY_S)
    assert [endpoint for _at, endpoint in bob.dials[begun:]] == [holder]


def test_who_was_said_to_hold_our_own_log_is_dialed_even_with_links_enough(scene: Scene) -> None:
    """Followers who have each other look for nobody; an author whom none of them is linked with must look for them."""
    bob = scene.node("bob")
    fill(scene, bob, LINKS_ENOUGH)
    scene.run(SETTLE_S + 1)
    holder, stranger = places(2, "10.8")
    assert dialed(bob.feed(Candidates((stranger,), person("erin").hash))) == []
    assert dialed(bob.feed(Candidates((holder,), bob.person.hash)))[0] == holder


def test_who_fell_silent_is_tried_again_even_with_links_enough(scene: Scene) -> None:
    """After a split each side has links enough; it heals because somebody looks across."""
    bob = scene.node("bob")
    silent = fill(scene, bob, 1)[0]
    fill(scene, bob, LINKS_ENOUGH)
    puppet = scene.parties[silent]
    assert isinstance(puppet, Puppet)
    puppet.answer = lambda message: []
    scene.until(lambda: not puppet.is_linked)
    begun = len(bob.dials)
    scene.run(TRY_LOST_EVERY_S + 2)
    assert [endpoint for _at, endpoint in bob.dials[begun:]] == [puppet.endpoint]
    bob.feed(DialFailed(puppet.endpoint))
    scene.run(BACKOFF_S)
    assert len(bob.dials) == begun + 1
    scene.link("bob", silent)
    scene.cut("bob", silent)
    scene.run(BACKOFF_MAX_S)
    assert len(bob.dials) == begun + 1, "who left in peace is not lost"


def test_who_broke_a_rule_is_dialed_ever_more_seldom(scene: Scene) -> None:
    bob = scene.node("bob")
    liar = scene.puppet("liar")
    waits = []
    for _ in range(5):
        scene.link("bob", "liar")
        liar.say("bob", Hello(1, 4000, 5), Hello(1, 4000, 5))
        assert not liar.is_linked
        waits.append(bob.machine.membership.known[liar.endpoint].not_before - scene.now)
        scene.run(1)
    assert all(later > 1.5 * sooner for sooner, later in pairwise(waits))


def test_a_failed_dial_is_tried_again_ever_later(scene: Scene) -> None:
    bob = scene.node("bob")
    (place,) = places(1)
    bob.feed(Candidates((place,)))
    waits, last = [], 0.0
    for _ in range(14):
        assert RememberPeer in [type(effect) for effect in bob.feed(DialFailed(place))]
        scene.until(lambda: len(bob.dials) > len(waits) + 1, within_s=2 * BACKOFF_MAX_S)
        waits.append(scene.now - last)
        last = scene.now
    assert waits[0] == pytest.approx(2 * BACKOFF_S, abs=LOOK_EVERY_S)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(BACKOFF_MAX_S, abs=LOOK_EVERY_S)


def test_who_answered_is_known_best_and_of_these_whom_a_link_leads_to(scene: Scene) -> None:
    bob, (heard, failed, gone) = scene.node("bob"), places(3)
    bob.feed(Candidates((failed, gone, heard)))
    fill(scene, bob, 1)
    bob.feed(DialFailed(failed))
    bob.feed(DialFailed(gone, linked=node_key("gone")))
    ((linked, _known),) = [each for each in bob.machine.membership.known.items() if each[0] not in places(3)]
    assert bob.machine.membership.best_known(9) == [linked, gone, heard, failed]
    assert bob.machine.membership.best_known(2) == [linked, gone]


def test_no_more_links_are_chosen_than_there_is_room_for(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, LINKS_CHOSEN_MAX)
    assert dialed(bob.feed(Candidates(places(20)))) == []


def test_what_leads_to_ourselves_is_dialed_once(scene: Scene) -> None:
    bob = scene.node("bob")
    own = Endpoint("10.1.1.1", 4000)
    assert dialed(bob.feed(Candidates((own,)))) == [own]
    bob.feed(DialFailed(own, own=True))
    assert dialed(bob.feed(Candidates((own,)))) == []


def test_a_node_with_room_turns_nobody_away_and_a_full_one_only_who_has_others(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, LINKS_ACCEPTED_MAX, dialed_by_us=False)
    assert scene.closed == []
    (needy,) = fill(scene, bob, 1, dialed_by_us=False, links=1)
    assert scene.closed == []
    (refused,) = fill(scene, bob, 1, dialed_by_us=False, links=2)
    assert scene.closed == [("bob", refused, None)]
    party = scene.parties[refused]
    assert isinstance(party, Puppet)
    assert [type(message) for message in party.heard][-2:] == [Peers, Bye]
    assert len(party.told(Peers)[0].endpoints) == PEERS_MAX
    assert scene.wire_of("bob", needy) is not None


def test_a_link_makes_way_for_a_feed_that_no_link_leads_to(scene: Scene) -> None:
    bob = scene.node("bob", "carol")
    first = fill(scene, bob, LINKS_CHOSEN_MAX)[0]
    fill(scene, bob, LINKS_ACCEPTED_MAX, dialed_by_us=False)
    wanted = Endpoint("10.200.1.1", 4000)
    bob.feed(Candidates((wanted,), person("carol").hash))
    assert wanted not in [place for _, place in bob.dials]  # every place is taken
    scene.run(VISIT_S - 5)
    assert all(scene.wire_of("bob", name) for name in scene.parties if name != "bob")
    scene.run(10)
    assert scene.wire_of("bob", first) is None  # the longest link that bob chose
    assert [type(message) for message in scene.parties[first].heard][-1] is Bye
    assert wanted in [place for _, place in bob.dials]
    assert sum(scene.wire_of("bob", name) is None for name in scene.parties if name != "bob") == 1


def test_visits_in_vain_are_made_ever_more_seldom_until_another_holder_is_named(scene: Scene) -> None:
    scene.dialing = True
    bob = scene.node("bob", "carol")
    fill(scene, bob, LINKS_CHOSEN_MAX)
    fill(scene, bob, LINKS_ACCEPTED_MAX, dialed_by_us=False)
    for number in range(LINKS_CHOSEN_MAX):
        name = f"holder{number}"  # so it was said; it has nothing
        scene.node(name, port=4000)
        bob.feed(Candidates((scene.parties[name].endpoint,), person("carol").hash))

    def visits() -> list[float]:
        return [at for at, sender, _, message, _ in scene.sent if sender == "bob" and isinstance(message, Bye)]

    scene.until(lambda: len(visits()) == 5, within_s=600)
    waits = [round(later - earlier) for earlier, later in pairwise(visits())]
    assert waits == [2 * VISIT_EVERY_S, 4 * VISIT_EVERY_S, 8 * VISIT_EVERY_S, VISIT_EVERY_MAX_S]

    before = scene.now
    bob.feed(Candidates((Endpoint("10.202.1.1", 4000),), person("carol").hash))
    scene.run(VISIT_EVERY_S - 2)
    assert visits()[-1] <= before  # whoever names holders all the time does not make us change links all the time
    scene.run(4)
    assert visits()[-1] > before


def test_no_link_makes_way_where_nothing_is_missed(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, LINKS_CHOSEN_MAX)
    fill(scene, bob, LINKS_ACCEPTED_MAX, dialed_by_us=False)
    bob.feed(Candidates(places(3, "10.200")))
    scene.run(2 * VISIT_S)
    assert all(scene.wire_of("bob", name) for name in scene.parties if name != "bob")


def test_who_says_bye_is_left_in_peace_for_a_while(scene: Scene) -> None:
    bob = scene.node("bob")
    (name,) = fill(scene, bob, 1)
    place = scene.parties[name].endpoint
    scene.send(name, "bob", Bye())
    scene.run(1)
    bob.feed(Candidates((place,), person("alice").hash))  # that it holds something makes no room there
    scene.run(TURNED_AWAY_S - 2)
    assert scene.closed == [("bob", name, None)]
    assert place not in [endpoint for _, endpoint in bob.dials]
    scene.run(2)
    assert place in [endpoint for _, endpoint in bob.dials]


def test_nodes_without_room_are_no_crash_and_left_alone_longer_each_time(scene: Scene) -> None:
    """Where most nodes can't be dialed the others are full: whoever asks them all again and again drowns them."""
    bob = scene.node("bob")
    fill(scene, bob, 1)
    full = scene.puppet("full")
    full.reachable = scene.dialing = True
    full.answer = lambda message: (Hello(1, 0, 48), Bye()) if isinstance(message, Hello) else ()
    bob.feed(Candidates((full.endpoint,)))
    scene.run(1_000)
    times = [at for at, endpoint in bob.dials if endpoint == full.endpoint]
    waits = [round(later - before) for before, later in pairwise(times)]
    assert waits == pytest.approx([60, 120, 240, 480], abs=3)
    assert LinksLost() not in bob.effects


def test_who_hangs_up_before_it_has_greeted_is_no_crash(scene: Scene) -> None:
    """It has not even a place for telling us that it has no place."""
    bob = scene.node("bob")
    fill(scene, bob, LINKS_ENOUGH)
    for number in range(2 * LINKS_ENOUGH):
        crowded = scene.puppet(f"crowded {number}")
        scene.link("bob", crowded.name)
        scene.run(0.1)
        scene.cut("bob", crowded.name)
    assert LinksLost() not in bob.effects
    for _ in range(LINKS_ENOUGH):
        (gone,) = fill(scene, bob, 1)
        scene.cut("bob", gone)
    assert LinksLost() in bob.effects


def test_strangers_who_come_and_go_are_no_crash(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, LINKS_ENOUGH)
    strangers = [scene.puppet(f"stranger {number}") for number in range(LINKS_ENOUGH + 2)]
    for _ in range(3):
        for stranger in strangers:
            scene.link(stranger.name, "bob")
            stranger.say("bob", Hello(PROTOCOL_VERSION, 0, 5))
            scene.cut(stranger.name, "bob")
        scene.run(LOST_WITHIN_S - 2)
    assert LinksLost() not in bob.effects
    assert scene.said(Alarm, "bob") == []


@pytest.mark.parametrize("stood_s", [LOST_WITHIN_S / 2, LOST_WITHIN_S])
def test_links_that_others_dialed_are_lost_once_they_have_stood(scene: Scene, stood_s: float) -> None:
    bob = scene.node("bob")
    gone = fill(scene, bob, LINKS_ENOUGH, dialed_by_us=False)
    fill(scene, bob, 2, dialed_by_us=False)
    scene.run(stood_s)
    for name in gone:
        scene.cut("bob", name)
    assert (LinksLost() in bob.effects) == (stood_s >= LOST_WITHIN_S)


def test_who_shares_a_feed_is_lost_however_short_the_link_was(scene: Scene) -> None:
    carol, bob = person("carol"), scene.node("bob", "carol")
    friends = [scene.puppet(f"friend {number}") for number in range(LINKS_ENOUGH)]
    for friend in friends:
        friend.answer = pongs
        friend.greet("bob", carol)
    scene.run(1)
    for friend in friends:
        scene.cut("bob", friend.name)
    assert LinksLost() in bob.effects


def test_turning_many_away_is_no_crash(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, LINKS_ACCEPTED_MAX, dialed_by_us=False)
    for _ in range(2 * LINKS_ACCEPTED_MAX):
        fill(scene, bob, 1, dialed_by_us=False)
        scene.run(0.1)
    assert len(scene.closed) == 2 * LINKS_ACCEPTED_MAX
    assert bob.machine.membership.lost == {}


def test_who_has_links_enough_takes_its_time_among_nodes_without_room(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    fill(scene, bob, LINKS_ENOUGH)
    scene.dialing = True
    for number in range(3 * DIALS_CALM):
        full = scene.puppet(f"full {number}")
        full.reachable = True
        full.answer = lambda message: (Hello(1, 0, 48), Bye()) if isinstance(message, Hello) else ()
        bob.feed(Candidates((full.endpoint,), person("alice").hash))
    begun = len(bob.dials) - len(bob.machine.membership.dialing)
    scene.until(lambda: len(bob.dials) - begun == 3 * DIALS_CALM)
    times = [at for at, _ in bob.dials[begun:]]
    assert times[-1] - times[0] >= 2 * BYE_PAUSE_S


@pytest.mark.parametrize("says", [(), (Hello(1, 0, 5),), (Hello(1, 0, 5), Bye())], ids=["nothing", "hello", "bye"])
def test_strangers_who_come_and_go_keep_nobody_from_dialing(scene: Scene, says: tuple[Hello | Bye, ...]) -> None:
    bob = scene.node("bob", "carol")
    fill(scene, bob, LINKS_ENOUGH)
    scene.run(SETTLE_S + 1)
    stranger = scene.puppet("stranger")
    scene.link("stranger", "bob")
    stranger.say("bob", *says)
    (holder,) = places(1)
    assert dialed(bob.feed(Candidates((holder,), person("carol").hash))) == [holder]


def test_a_link_that_we_dialed_is_given_time_to_show_what_it_leads_to(scene: Scene) -> None:
    bob = scene.node("bob", "carol")
    fill(scene, bob, LINKS_ENOUGH)
    fill(scene, bob, 1, dialed_by_us=False)
    (holder,) = places(1)
    assert dialed(bob.feed(Candidates((holder,)))) == []
    scene.run(SETTLE_S + LOOK_EVERY_S)
    assert [endpoint for _at, endpoint in bob.dials] == [holder]


def test_losing_most_links_starts_many_dials_at_once(scene: Scene) -> None:
    bob = scene.node("bob")
    names = fill(scene, bob, 10)
    bob.machine.membership.dialing.update(dict.fromkeys(places(DIALS_CALM, "10.9")))
    bob.feed(Candidates(places(20)))
    bob.machine.membership.dialing.clear()
    before = len(bob.dials)
    for name in names[:6]:
        scene.cut("bob", name)
    assert len(bob.dials) - before >= DIALS_MAX


def test_hearsay_never_makes_a_public_node_dial_a_private_one(scene: Scene) -> None:
    bob = scene.node("bob")
    public = Endpoint("203.0.114.7", 4000)
    told = (Endpoint("127.0.0.1", 22), Endpoint("192.168.1.1", 80), Endpoint("fe80::1", 80), Endpoint("8.8.8.8", 53))
    scene.puppet("mallory")
    bob.feed(LinkUp(node_key("mallory"), public, False, bytes(32)))
    bob.on_message("mallory", Hello(1, 4000, 5))
    effects = bob.machine.handle(Received(node_key("mallory"), Peers(told)), scene.now)
    assert [place for place in dialed(effects) if not place.is_public] == []
    assert not {place for place in told if not place.is_public} & bob.machine.membership.known.keys()


def test_a_peer_of_a_public_address_is_not_told_private_ones(scene: Scene) -> None:
    bob = scene.node("bob")
    fill(scene, bob, 3)
    scene.puppet("mallory")
    bob.feed(LinkUp(node_key("mallory"), Endpoint("203.0.114.7", 9), False, bytes(32)))
    effects = bob.machine.handle(Received(node_key("mallory"), Hello(1, 0, 5)), 0.0)
    assert [e for e in effects if isinstance(e, Send) and isinstance(e.message, Peers)] == []


def test_a_net_told_of_one_node_finds_the_rest_and_mends_after_a_crash() -> None:
    scene = Scene(7)
    scene.dialing = True
    names = [f"node {number}" for number in range(20)]
    tables = [scene.node(name, port=4000) for name in names]
    for table in tables[1:]:
        table.feed(Candidates((tables[0].endpoint,)))
    scene.run(90)
    degrees = [len(table.machine.sharing.sessions) for table in tables]
    assert min(degrees) >= 2
    assert max(degrees) <= LINKS_CHOSEN_MAX + LINKS_ACCEPTED_MAX
    dead = tables[::2]
    for table in dead:
        table.reachable = False  # type: ignore[misc]
        for other in names:
            if scene.wire_of(table.name, other) is not None:
                scene.cut(table.name, other)
        del scene.parties[table.name]
    alive = tables[1::2]
    scene.run(15)
    assert reached(scene, alive[0].name) == {table.name for table in alive}


def reached(scene: Scene, start: str) -> set[str]:
    """Who is connected with this node over links that stand."""
    found, edge = {start}, [start]
    while edge:
        here = edge.pop()
        for pair in scene.wires:
            if here in pair:
                (other,) = pair - {here}
                if other not in found:
                    found.add(other)
                    edge.append(other)
    return found


def test_who_comes_in_any_number_leaves_the_places_of_those_whom_we_choose() -> None:
    by_others = 0
    while has_room(False, by_others, by_others):
        by_others += 1
    assert by_others == LINKS_MAX - LINKS_CHOSEN_MAX
    links = by_others
    while has_room(True, links, by_others):
        links += 1
    assert links - by_others == LINKS_CHOSEN_MAX
