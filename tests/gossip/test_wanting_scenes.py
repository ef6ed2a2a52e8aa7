"""What is known to exist and nobody who is linked has: when it is wanting, and that others are asked for it."""

from __future__ import annotations

import pytest
from builders import Person, person
from gossip_scenes import Scene, Table

from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.forks import prove_fork
from p2pblog.core.keys import DeviceKey
from p2pblog.core.value import replace
from p2pblog.gossip.events import Candidates, Dial
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.membership import LINKS_ENOUGH, SETTLE_S
from p2pblog.gossip.sharing import COVER_WANTING


def holdings_of(author: Person, *runs: tuple[int, int]) -> Holdings:
    """What a follower has who holds these stretches of the author's log."""
    holdings = Holdings(person("bob").hash)
    holdings.learn(author.identity)
    table = Scene().node("bob")
    for first, last in runs:
        table.keep(author, author.log.run(first, last))
    if runs:
        holdings.take(table.state(author))
    return holdings


@pytest.mark.parametrize(
    ("runs", "lacked"),
    [
        ([], [(1, 1)]),
        ([(1, 1)], []),
        ([(1, 7)], []),
        ([(7, 7)], [(1, 6)]),
        ([(2, 3), (6, 7)], [(1, 1), (4, 5)]),
    ],
)
def test_a_log_has_a_first_entry_and_all_below_one_that_is_held(
    runs: list[tuple[int, int]], lacked: list[tuple[int, int]]
) -> None:
    carol = person("carol")
    carol.notes(6)
    assert holdings_of(carol, *runs).lacked(carol.hash) == ({carol.key: lacked} if lacked else {})


@pytest.mark.parametrize(("held", "lacked"), [(5, []), (4, [(5, 5)]), (0, [(1, 5)])])
def test_a_retired_log_has_all_that_its_retirement_names(held: int, lacked: list[tuple[int, int]]) -> None:
    carol = person("carol")
    carol.notes(6)
    carol.retire(carol.key, 5, carol.log.entries[4].id)
    found = holdings_of(carol, *([(1, held)] if held else [])).lacked(carol.hash)
    assert found == ({carol.key: lacked} if lacked else {})


def test_of_somebody_unknown_and_of_a_disputed_log_nothing_is_known_to_exist() -> None:
    carol = person("carol")
    assert Holdings(person("bob").hash).lacked(carol.hash) == {}
    other = carol.log.branch(1)
    carol.notes(6)
    other.note("otherwise")
    holdings = holdings_of(carol, (4, 7))
    assert holdings.lacked(carol.hash)
    proof = prove_fork(carol.log.run(), other.run())
    holdings.take(replace(holdings.logs[carol.key], fork=proof))
    assert holdings.lacked(carol.hash) == {}


class Loss:
    """Carol lost her disk and writes on under another key; bob and `friends`, who are linked, have only what she wrote
    since. Erin has what she wrote before, and nobody is linked with her."""

    def __init__(self, friends: int = LINKS_ENOUGH) -> None:
        self.scene = Scene()
        self.carol = person("carol")
        self.carol.notes(5)
        self.lost: DeviceKey = self.carol.key
        self.new = self.carol.add_device("second")
        self.bob = self._follower("bob", self.new.run())
        self.friends = [self._follower(f"friend {number}", self.new.run()) for number in range(friends)]
        self.erin = self._follower("erin", self.carol.log.run())
        for friend in self.friends:
            self.scene.link("bob", friend.name)
        self.scene.run(SETTLE_S + 2)

    def _follower(self, name: str, entries: tuple[Entry, ...]) -> Table:
        table = self.scene.node(name, "carol")
        table.keep(self.carol, entries)
        return table

    def named(self, *holders: Table) -> list[Table]:
        """A search names these as holders to bob; gives whom he dials."""
        effects = self.bob.feed(Candidates(tuple(holder.endpoint for holder in holders), self.carol.hash))
        dialed = {effect.endpoint for effect in effects if isinstance(effect, Dial)}
        return [holder for holder in holders if holder.endpoint in dialed]


def test_a_log_that_no_link_has_is_wanting_until_one_tells_of_it() -> None:
    loss = Loss()
    sharing = loss.bob.machine.sharing
    assert sharing.cover(loss.carol.hash) == LINKS_ENOUGH
    assert sharing.is_wanting(loss.carol.hash)
    loss.scene.link("bob", "erin")
    loss.scene.until(lambda: not sharing.is_wanting(loss.carol.hash))
    loss.scene.until(lambda: loss.bob.numbers(loss.carol.log) == [1, 2, 3, 4, 5, 6])
    assert not sharing.is_wanting(loss.carol.hash)


def test_a_holder_is_dialed_for_what_all_links_lack_although_the_feed_is_covered() -> None:
    loss = Loss()
    assert loss.named(loss.erin) == [loss.erin]
    loss.scene.link("bob", "erin")
    loss.scene.until(lambda: loss.bob.numbers(loss.carol.log) == [1, 2, 3, 4, 5, 6])
    another = loss._follower("another", loss.carol.log.run())
    assert loss.named(another) == []  # nothing is wanting any more


def test_what_is_lost_for_good_costs_no_more_than_a_few_links() -> None:
    loss = Loss(friends=COVER_WANTING - 1)
    assert loss.named(loss.erin) == [loss.erin]
    loss = Loss(friends=COVER_WANTING)
    assert loss.named(loss.erin) == []


@pytest.mark.parametrize("is_near", [False, True])
def test_a_holder_is_dialed_where_all_links_tell_of_a_feed_and_none_knows_a_way_to_its_author(is_near: bool) -> None:
    """What carol writes on reaches none of them: they had her first notices from who has lost her since."""
    scene, carol = Scene(), person("carol")
    carol.notes(3)
    first = carol.log.run()
    bob = scene.node("bob", "carol")
    bob.keep(carol, first)
    friends = [f"friend {number}" for number in range(LINKS_ENOUGH)]
    for name in friends:
        scene.node(name, "carol").keep(carol, first)
        scene.link("bob", name)
    if is_near:
        scene.node("carol", "carol").keep(carol, first)
        scene.link(friends[0], "carol")
    scene.run(SETTLE_S + 2)
    assert bob.machine.sharing.is_served(carol.hash)
    effects = bob.feed(Candidates((Endpoint("10.9.9.9", 4000),), carol.hash))
    assert [effect.endpoint for effect in effects if isinstance(effect, Dial)] == (
        [] if is_near else [Endpoint("10.9.9.9", 4000)]
    )


def test_for_what_has_gone_astray_no_stranger_is_dialed() -> None:
    scene, carol = Scene(), person("carol")
    scene.dialing = True
    carol.notes(3)
    friends = [f"friend {number}" for number in range(LINKS_ENOUGH)]
    for name in ("bob", *friends):
        scene.node(name, "carol").keep(carol, carol.log.run())
    for name in friends:
        scene.link("bob", name)
    scene.run(SETTLE_S + 10)
    bob, named = scene.parties["bob"], tuple(scene.parties[name].endpoint for name in friends)
    assert isinstance(bob, Table)
    bob.feed(Candidates(tuple(scene.node(f"stranger {number}").endpoint for number in range(20))))
    bob.feed(Candidates(named, carol.hash))
    scene.run(30)
    assert len(bob.machine.sharing.sessions) == LINKS_ENOUGH
