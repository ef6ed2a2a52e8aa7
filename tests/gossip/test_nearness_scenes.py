"""How far the author is: told along the links, never back over them, and forgotten where there is no way."""

from __future__ import annotations

from itertools import combinations, pairwise

from builders import person
from gossip_scenes import Scene, Table, pongs

from p2pblog.gossip.messages import HOPS_FAR, NO_WAY, Forget, Near, Relay, Tokens
from p2pblog.gossip.nearness import FLAP_S, HOLD_S, NEAR_DELAY_S

ALICE = person("alice").hash


def chain(scene: Scene, *names: str) -> list[Table]:
    """Alice first; all the others follow her, each linked with the one before."""
    tables = [scene.node(name, *(["alice"] if name != "alice" else [])) for name in names]
    for one, other in pairwise(names):
        scene.link(one, other)
    scene.run(5)
    return tables


def hops(table: Table) -> int | None:
    return table.hops(ALICE)


def test_every_follower_knows_how_far_the_author_is() -> None:
    tables = chain(Scene(), "alice", "bob", "carol", "dave", "erin")
    assert [hops(table) for table in tables] == [0, 1, 2, 3, 4]


def test_a_shorter_way_is_told_to_all() -> None:
    scene = Scene()
    tables = chain(scene, "alice", "bob", "carol", "dave", "erin")
    scene.link("alice", "dave")
    scene.run(2)
    assert [hops(table) for table in tables] == [0, 1, 2, 1, 2]


def test_a_way_is_known_again_after_a_reconnect_that_says_no_tokens() -> None:
    scene = Scene()
    _alice, bob, carol = chain(scene, "alice", "bob", "carol")
    scene.relink("bob", "carol")
    scene.run(2)
    since = scene.now
    scene.relink("bob", "carol")
    scene.run(2)
    assert scene.said(Tokens, since=since) == []
    assert [hops(bob), hops(carol)] == [1, 2]


def test_a_broken_way_is_soon_no_way_although_all_still_hold_the_feed() -> None:
    scene = Scene()
    tables = chain(scene, "alice", "bob", "carol", "dave", "bob2")
    scene.link("bob", "bob2")  # a ring of four behind bob, who alone is linked with alice
    scene.run(2)
    scene.cut("alice", "bob")
    scene.run(HOPS_FAR * (NEAR_DELAY_S + 2 * scene.latency_s))
    assert [hops(table) for table in tables[1:]] == [None] * 4
    assert all(table.numbers(tables[0].person) == [1] for table in tables)


def test_who_lost_the_way_says_so_once_instead_of_counting_up() -> None:
    """Six followers, each linked with all others and one with alice: none takes another's old word for a way."""
    scene = Scene()
    names = [f"follower {number}" for number in range(6)]
    scene.node("alice")
    tables = [scene.node(name, "alice") for name in names]
    for one, other in combinations(names, 2):
        scene.link(one, other)
    scene.link("alice", names[0])
    scene.run(5)
    assert [hops(table) for table in tables] == [1, 2, 2, 2, 2, 2]
    scene.cut("alice", names[0])
    since = scene.now
    scene.run(10)
    assert [hops(table) for table in tables] == [None] * 6
    assert len(scene.said(Near, since=since)) <= 6 * 5  # at most once to each neighbour
    scene.link("alice", names[3])
    scene.run(HOLD_S + 1)
    assert [hops(table) for table in tables] == [2, 2, 2, 1, 2, 2]


def test_a_way_that_became_longer_is_taken_after_a_while() -> None:
    scene = Scene()
    tables = chain(scene, "alice", "bob", "carol", "dave")
    scene.link("alice", "dave")
    scene.run(2)
    assert [hops(table) for table in tables] == [0, 1, 2, 1]
    scene.cut("alice", "bob")
    scene.run(2 * HOLD_S + 2)
    assert [hops(table) for table in tables] == [0, 3, 2, 1]


def test_nobody_is_told_a_way_over_himself() -> None:
    scene = Scene()
    _alice, bob, carol = chain(scene, "alice", "bob", "carol")
    assert carol.session("bob").near == {ALICE: 1}
    assert bob.session("carol").near == {}
    told = scene.said(Near, "carol", "bob")
    assert all(hop == NO_WAY or hop == 0 for message in told for hop in message.hops)


def test_farther_than_counts_is_no_way() -> None:
    names = ["alice", *(f"follower {number}" for number in range(HOPS_FAR + 2))]
    tables = chain(Scene(), *names)
    assert [hops(table) for table in tables] == [*range(HOPS_FAR + 1), None, None]


def test_what_is_shared_no_more_has_no_way() -> None:
    scene = Scene()
    _alice, bob, carol = chain(scene, "alice", "bob", "carol")
    bob.unfollow("alice")
    scene.run(2)
    assert hops(carol) is None and bob.session("alice").near == {}


def test_who_is_cut_off_with_others_who_hold_the_feed_finds_a_relay() -> None:
    """All that bob and carol hold is old: without a way to alice they ask dave, who does not follow her."""
    scene = Scene()
    alice, bob, carol = chain(scene, "alice", "bob", "carol")
    scene.node("dave")
    scene.link("dave", "alice")
    scene.link("dave", "carol")
    scene.cut("alice", "bob")
    scene.until(lambda: hops(bob) is not None, within_s=60)
    alice.post("by way of dave")
    scene.until(lambda: "by way of dave" in bob.texts(alice.person), within_s=5)
    assert hops(bob) == 3 and hops(carol) == 2


def test_a_clock_of_what_we_have_forgotten_is_answered_with_forget() -> None:
    """Bob's token crosses alice's loss of interest: what he shares alone, he is told to forget."""
    scene = Scene()
    alice, bob = scene.node("alice", "carol"), scene.node("bob")
    scene.link("alice", "bob")
    scene.run(1)
    alice.follow("dave")
    scene.run(0.11)  # her token for dave is on its way
    bob.follow("dave")
    alice.unfollow("dave")
    scene.run(1)
    assert alice.shares("bob") == bob.shares("alice")
    assert scene.said(Forget, "alice", "bob") == [Forget((person("dave").hash,))]


def test_a_distance_to_what_is_not_shared_is_ignored() -> None:
    scene = Scene()
    alice = scene.node("alice", "bob")
    mallory = scene.puppet("mallory")
    mallory.greet("alice", person("bob"))
    mallory.say("alice", Near((mallory.token(person("carol").hash), bytes(8)), b"\x00\x01"))
    assert mallory.is_linked and alice.session("mallory").near == {}
    mallory.say("alice", Near((mallory.token(person("bob").hash),), b"\x02"))
    assert alice.hops(person("bob").hash) == 3


def test_a_line_that_comes_and_goes_each_20_s_stays_heeded() -> None:
    """On the way that is lost with it others are tried, which counts once for each loss."""
    scene = Scene()
    _alice, *followers = chain(scene, "alice", "bob", "carol", "dave", "erin")
    scene.link("bob", "erin")  # a ring behind bob
    for _ in range(12):
        scene.cut("alice", "bob")
        scene.run(10)
        scene.link("alice", "bob")
        scene.run(10)
        assert [hops(table) for table in followers] == [1, 2, 3, 2]


def test_who_says_near_and_no_way_in_turn_is_heeded_no_more_until_he_is_quiet() -> None:
    """The others keep the way that there is, and go by it again at once."""
    scene = Scene()
    _alice, *followers = chain(scene, "alice", "bob", "carol", "dave", "erin")
    mallory = scene.puppet("mallory")
    mallory.answer = pongs
    mallory.greet("erin", person("alice"))
    said = scene.count(Near)
    for turn in range(120):
        mallory.say("erin", Near((mallory.token(ALICE),), bytes([0 if turn % 2 else NO_WAY])))
        scene.run(0.5)
    assert scene.count(Near) - said - 120 <= 80
    assert [hops(table) for table in followers] == [1, 2, 3, 4]
    scene.run(FLAP_S + 3)
    assert hops(followers[-1]) == 1, "what he said last counts again"


def test_of_a_feed_that_many_share_far_is_near_enough() -> None:
    """Frank is five links from alice: too far while one link shares her feed, near enough while five do."""
    scene = Scene()
    _alice, *_others, last = chain(scene, "alice", "bob", "carol", "dave", "erin")
    assert last.machine.sharing.cover(ALICE) == 1
    tail = scene.node("frank", "alice")
    scene.link("frank", "erin")
    scene.run(2)
    assert hops(tail) == 5 and tail.machine.sharing.cover(ALICE) == 0
    for number in range(4):
        scene.node(f"also {number}", "alice")
        scene.link("frank", f"also {number}")
    scene.run(2)
    assert tail.machine.sharing.cover(ALICE) == 1


def test_while_the_author_is_away_neighbours_are_seldom_asked_to_relay() -> None:
    scene = Scene()
    _alice, bob, _carol = chain(scene, "alice", "bob", "carol")
    for number in range(4):
        scene.node(f"neighbour {number}")
        scene.link("bob", f"neighbour {number}")
    scene.cut("alice", "bob")
    since = scene.now
    scene.run(1800)
    assert 3 <= len(scene.said(Relay, "bob", since=since)) <= 8
    assert bob.numbers(person("alice")) == [1]
