"""Relaying looks only at feeds that something has happened to: in a world that churns, it overlooks none."""

from __future__ import annotations

from collections import Counter

import pytest
from sim_scenes import churning, ran, small

from p2pblog.core.keys import IdentityHash
from p2pblog.gossip.events import Effect
from p2pblog.gossip.membership import COVER_TWICE, Membership
from p2pblog.gossip.relay import RELAY_LEASE_S, Relaying
from p2pblog.sim.network import Weather
from p2pblog.sim.scenario import Follows, Posts


def overlooked(relaying: Relaying, identity: IdentityHash, now: float) -> str | None:
    """What a look at this feed would have led to; None for nothing."""
    if identity == relaying.holdings.own or relaying._hops(identity) < 0:
        return None
    quest, near = relaying.quests.get(identity), relaying._near(identity)
    if quest is None:
        return None if near else "a search to begin"
    if any(peer not in quest.asked for peer in near):
        return "a search to end"
    kept = relaying._kept(quest, near or relaying._givers(identity), now)
    if any(quest.asked[peer] - now <= RELAY_LEASE_S / 2 for peer in kept):
        return "a lease to renew"
    return "somebody to ask" if not near and quest.next_at <= now and quest.due > now else None


def test_authors_sit_behind_routers_too_and_everybody_gets_everything() -> None:
    everybody = Follows("power-law", 1, 6)
    scenario = small(follows=everybody, network=Weather(unreachable=0.7), posts=Posts(0, 2, 15.0), settle_s=20.0)
    world = ran(scenario, 3)
    assert len(world.network.behind_router) == 14
    assert any(notice.author in world.network.behind_router for notice in world.meter.notices.values())
    assert world.violations == []


def test_nothing_is_overlooked_while_people_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Counter[str | None] = Counter()
    seek, poorly_covered = Relaying._seek, Membership._poorly_covered

    def seek_and_look(relaying: Relaying, now: float) -> list[Effect]:
        effects = seek(relaying, now)
        again = relaying.sharing.changed_since(relaying._checked)  # changed by this check itself
        cared_for = [identity for identity in relaying.holdings.cared_for if identity not in again]
        found.update(overlooked(relaying, identity, now) for identity in cared_for)
        assert relaying.quests.keys() <= set(relaying.holdings.cared_for)
        return effects

    def count_and_compare(membership: Membership) -> set[IdentityHash]:
        few, holdings = poorly_covered(membership), membership.holdings
        wished_for = [i for i in holdings.interests if membership._has_followers or i != holdings.own]
        cover = {identity: membership.sharing.cover(identity, unasked=True) for identity in wished_for}
        assert few == {identity for identity in wished_for if cover[identity] < COVER_TWICE}
        return few

    monkeypatch.setattr(Relaying, "_seek", seek_and_look)
    monkeypatch.setattr(Membership, "_poorly_covered", count_and_compare)
    everybody = Follows("power-law", 1, 12)
    ran(small(follows=everybody, churn=churning(scale_s=30.0), duration_s=50.0), 2, nodes=30)
    assert set(found) == {None} and found[None] > 1_000, found
