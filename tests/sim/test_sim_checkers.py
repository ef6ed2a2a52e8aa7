"""Checkers are silent in a sound world, and each of them sees what is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sim_scenes import ran, small, watcher

from p2pblog.core import payload as payloads
from p2pblog.core.entry import write
from p2pblog.core.identity import Device, Identity
from p2pblog.core.payload import Note
from p2pblog.core.value import replace
from p2pblog.errors import BadMessage
from p2pblog.gossip import membership
from p2pblog.gossip.broadcast import Broadcast
from p2pblog.gossip.events import Close, Send
from p2pblog.gossip.holdings import Asker, Holdings, Lease
from p2pblog.gossip.keeper import Keeper
from p2pblog.gossip.liveness import Liveness
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.messages import Live
from p2pblog.gossip.relay import RELAY_CHECK_S
from p2pblog.gossip.replication import Replication
from p2pblog.pen import Pen
from p2pblog.sim import run as running
from p2pblog.sim import scenario
from p2pblog.sim.checkers import all_checkers
from p2pblog.sim.checkers.delivery import Delivery
from p2pblog.sim.checkers.entries import _is_shown
from p2pblog.sim.checkers.queues import BoundedQueues, sizes
from p2pblog.sim.checkers.servers import too_full
from p2pblog.sim.coverage import count_at_end
from p2pblog.sim.desk import Desk
from p2pblog.sim.loop import SECOND_US, done
from p2pblog.sim.node import SimNode
from p2pblog.sim.scenario import Byzantine, Posts
from p2pblog.sim.watch import LAST_S
from p2pblog.sim.world import World

SERIES = Path(__file__).parents[2] / "simulations" / "series"


def blames(world: World, *words: str) -> bool:
    return any(all(word in told for word in words) for told in world.violations)


def test_a_sound_world_has_no_violation_and_everybody_gets_everything() -> None:
    world = ran(small())
    assert world.violations == [] and world.failed == 0
    delivery = watcher(world, Delivery)
    assert delivery.missed == 0 and delivery.pairs > 200
    assert delivery.delivered_ratio == 1.0
    largest = watcher(world, BoundedQueues).largest
    assert len(largest) > 30 and largest["known endpoints"][0] >= 10


def test_an_entry_that_its_author_never_wrote_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.core.runs.verify", lambda *_: None)
    honest = SimNode._send

    def forge(self: SimNode, lane: Any, effect: Send) -> None:
        if isinstance(effect.message, Live) and self.number == 3:
            device, first, prev, times, payloads, signatures = effect.message.value
            effect = Send(effect.peer, Live([device, first, prev, times, [b"forged" for _ in payloads], signatures]))
        honest(self, lane, effect)

    monkeypatch.setattr(SimNode, "_send", forge)
    world = ran(small())
    assert blames(world, "stored entries", "is another than was written")


def test_a_store_that_changed_behind_the_back_is_seen() -> None:
    world = World(small(), 20, 1, all_checkers())

    def meddle() -> None:
        held = world.nodes[7].store._logs[world.nodes[7].person.log].held[1]
        held.entry = replace(held.entry, signature=bytes(64))

    world.loop.at(39 * SECOND_US, meddle)
    world.run()
    assert blames(world, "node 7 stored entries 1 to", "bad-signature") and world.failed == 1


def test_a_bystander_that_is_punished_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def harsh(self: Any, session: Any, message: Any, now: float) -> list[Any]:
        return [Close(session.peer, BadMessage("I don't like your friends"))]

    monkeypatch.setattr(membership.Membership, "on_peers", harsh)
    assert blames(ran(small()), "ended its link with honest node", "bad-message: I don't like your friends")


def test_a_follower_left_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Gossip.handle

    def deaf(self: Gossip, event: Any, now: float) -> list[Any]:
        carries = type(getattr(event, "message", None)).__name__ in {"Live", "Run", "Have"}
        return [] if carries and self.membership.node == outcast else sound(self, event, now)

    outcast = World(small(), 20, 1).nodes[11].person.node_key
    monkeypatch.setattr(Gossip, "handle", deaf)
    world = ran(small())
    assert blames(world, "node 11 lacks") and not blames(world, "node 12 lacks")
    assert 0 < watcher(world, Delivery).delivered_ratio < 1


@pytest.mark.parametrize(("left_s", "is_due"), [(LAST_S + 1, True), (LAST_S - 1, False)])
def test_what_comes_up_in_the_last_seconds_need_not_be_everywhere(left_s: int, is_due: bool) -> None:
    """A liar gave one node what he had kept from all; nobody of the others heard of it in time."""
    world = World(small(), 20, 1, all_checkers())
    who = world.nodes[0].person
    holder, other, *_ = sorted(world.followers[0])

    def let_go() -> None:
        held = world.nodes[holder].store._logs[who.log].held
        last = held[max(held)].entry
        entry = write(who.device, last, last.time_ms, payloads.encode(Note("late")))
        held[entry.seq] = replace(held[last.seq], entry=entry)

    world.loop.at(int(world.scenario.duration_s + world.scenario.settle_s - left_s) * SECOND_US, let_go)
    world.run()
    assert blames(world, f"node {other} lacks") == is_due


def test_a_notice_that_all_have_lost_is_seen() -> None:
    """Nobody is left who could be blamed for not having it but the author."""
    planned = small()
    world = World(planned, 20, 1, all_checkers())
    author = world.nodes[0]
    last = int(planned.duration_s + planned.settle_s) * SECOND_US

    def lose() -> None:
        for node in world.nodes:
            done(node.store.drop_log(author.person.log))
            node.machine.holdings.forget_log(author.person.log)

    world.loop.at(last - 1, lose)
    world.run()
    assert world.violations == ["at 40.000 s: node 0 has lost 4 of 4 entries of its own log: 1, 2, 3, 4"]
    assert count_at_end(world)[1:] == (0, 3)


def test_a_log_that_was_written_on_a_disk_that_is_gone_need_not_be_whole() -> None:
    world = ran(small({"kind": "crash", "at_s": 19.0, "share": 0.9, "disk": "lost", "back_after_s": 1.0, "spare": 0}))
    assert world.violations == []
    assert count_at_end(world)[2] > 0


def test_a_notice_that_is_not_written_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Desk.write

    def careless(self: Desk, payload: Any) -> None:
        if not payload.text.startswith("3 2 "):  # the second of node 3
            sound(self, payload)

    monkeypatch.setattr(Desk, "write", careless)
    world = ran(small())
    assert world.violations == ["at 40.000 s: node 3 has not written 1 of the notices that it was asked for"]


def test_a_claim_that_comes_after_the_comparison_keeps_no_notice_waiting_for_ever() -> None:
    """Nobody else says anything of the log from then on, so that only the desk's own clock can end the wait."""
    planned = small(posts=Posts(5, 1, 3, 5, False))
    world = World(planned, 20, 1, all_checkers())
    author = world.nodes[0]

    def claim() -> None:
        sessions, log = author.machine.sharing.sessions.values(), author.person.log
        told = next(session.clocks for session in sessions if log in session.clocks)
        told[log] = replace(told[log], spans=((1, 9),))
        assert author.desk.pen.waits_until > world.loop.now
        world.post(0, 2)

    world.loop.at(7 * SECOND_US, claim)
    world.run()
    assert world.violations == []


def test_an_author_who_waits_for_nobody_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    back = {"kind": "crash", "at_s": 10.0, "back_after_s": 2.0, "disk": "put-back", "rollback_s": 5.0, "spare": 0}
    planned = small(back, posts=Posts(0, 4, 3, 4, True))
    assert ran(planned).violations == []
    sound = Pen.begin
    monkeypatch.setattr(Pen, "begin", lambda self, last, awaited, now: sound(self, last, (), now))
    assert blames(ran(planned), "of its log before anybody showed what is known")


@pytest.mark.parametrize("is_held", [True, False])
def test_of_a_retired_log_whose_named_entry_nobody_gives_a_newcomer_need_not_take_the_rest(is_held: bool) -> None:
    """He could not know on which branch it is."""
    world = ran(small({"kind": "retire", "at_s": 18.0, "count": 4}))
    device = max(world.retired, key=world.last_due)
    standing = world.standing_of(device)
    assert standing is not None and standing.retired and standing.seq > 1
    newcomer = min(world.followers[world.owner[device]])
    for node in world.nodes:
        log = node.store._logs.get(device)
        if log is not None and (node.number == newcomer or not is_held):
            for seq in [seq for seq in log.held if node.number == newcomer or seq == standing.seq]:
                del log.held[seq]
    Delivery().on_end(world)
    assert blames(world, f"node {newcomer} lacks") == is_held and bool(world.violations) == is_held


def test_a_table_beyond_its_limit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "KNOWN_MAX", 5)
    monkeypatch.setattr(membership.Membership, "_forget", lambda self, endpoint: None)
    assert blames(ran(small()), "known endpoints, which should hold at most 5")


def test_a_link_with_the_dead_that_is_not_ended_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    dark = {"kind": "crash", "at_s": 8.0, "share": 0.4, "silent": True}
    planned = small(dark, settle_s=100.0, posts=Posts(5, 1, 3, 5, True))
    assert ran(planned).violations == []
    monkeypatch.setattr(Liveness, "go_on", lambda self, now, has_others: [])
    assert blames(ran(planned), "still has its link with node", "which is gone")


def test_a_liar_who_is_let_in_again_and_again_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = small(byzantine=Byzantine(0.2))
    assert ran(planned, 2).violations == []
    monkeypatch.setattr(membership.Membership, "_shun", lambda self, peer, now: None)
    assert blames(ran(planned, 2), "is linked with node", "again, which broke rules")


def test_what_is_sent_before_it_is_stored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound: Callable[..., Any] = Keeper._write_runs

    async def forgetful(self: Keeper, runs: Any) -> Any:
        outcome = await sound(self, runs)
        for run in runs:
            if run.live:
                await self._store.drop_log(run.batch.entries[0].device)
        return outcome

    monkeypatch.setattr(Keeper, "_write_runs", forgetful)
    assert blames(ran(small()), "not in its store")


def test_what_is_told_to_be_stored_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound: Callable[..., Any] = Keeper._write_runs

    async def stammering(self: Keeper, runs: Any) -> Any:
        count, told = await sound(self, runs)
        return count, [event for event in told for _ in range(2)]

    monkeypatch.setattr(Keeper, "_write_runs", stammering)
    assert blames(ran(small()), "was told twice of entry")


def test_a_tree_that_forgets_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broadcast, "_forget_below", staticmethod(lambda tree, high: None))
    assert blames(ran(small()), "waits for entries that are held, which should hold at most 0")


@pytest.mark.parametrize(("since_s", "is_seen"), [(RELAY_CHECK_S, False), (3 * RELAY_CHECK_S, True)])
def test_a_lease_that_does_not_end_is_seen(since_s: float, is_seen: bool) -> None:
    world = ran(small())
    node, other = world.nodes[:2]
    node.machine.holdings.leases = {other.person.hash: Lease(until=world.loop.now - since_s)}
    assert bool(too_full(sizes(node))) == is_seen


def test_a_lease_that_was_given_back_after_its_end_is_no_violation() -> None:
    """Of two who asked the first went, and the second gave it back when that one's time was long over."""
    world = ran(small())
    node, other, asker = world.nodes[:3]
    until = world.loop.now - 3 * RELAY_CHECK_S
    lease = Lease({asker.person.node.public: Asker(world.loop.now + 60, 0)}, until)
    node.machine.holdings.leases = {other.person.hash: lease}
    node.machine.relaying.on_forget(asker.person.node.public, (other.person.hash,))
    assert not lease.askers and not too_full(sizes(node))


def test_a_tree_that_asks_nobody_for_what_is_late_misses_an_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = scenario.find(str(SERIES / "small" / "dead-links.toml"))

    def is_met() -> list[bool]:
        return [aim["met"] for aim in running.run(planned, planned.nodes, 1).document["aims"]]

    assert is_met() == [True, True]
    monkeypatch.setattr(Broadcast, "on_graft_due", lambda self, timer, now: [])
    assert is_met() == [True, False]


def test_two_histories_that_nobody_judges_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = small(byzantine=Byzantine(0.2, ("fork",)))
    sound = ran(planned, 2)
    assert sound.violations == [] and any(sound.is_disputed(device) for device in sound.owner)
    monkeypatch.setattr(Replication, "_judge", lambda self, proof: [])
    assert blames(ran(planned, 2), "followers hold two histories of node", "which part at")


def test_a_device_taken_back_into_service_is_seen() -> None:
    planned = small({"kind": "retire", "at_s": 8.0, "count": 2})
    world = ran(planned)
    assert len(world.retired) == 2 and world.violations == []
    device = min(world.retired)
    author = world.owner[device]
    follower = min(world.followers[author])

    def revive(world: World) -> None:
        known = world.nodes[follower].machine.holdings.identities
        kept = known[world.identity_of(device)]
        known[kept.hash] = Identity(kept.inception, tuple(s for s in kept.statements if isinstance(s.body, Device)))

    again = World(planned, 20, 1, all_checkers())
    again.loop.at(39 * SECOND_US, revive, again)
    again.run()
    assert blames(again, f"node {follower} took node {author}'s log", "back into service")
    assert blames(again, f"node {follower} has not heard", "is retired")


def test_a_log_disputed_by_some_only_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Holdings.is_frozen

    def touchy(self: Holdings, device: Any) -> bool:
        return sound(self, device) or (self.own == somebody and device != own and device in self.logs)

    who = World(small(), 20, 1).nodes[9].person
    somebody, own = who.hash, who.log
    monkeypatch.setattr(Holdings, "is_frozen", touchy)
    world = ran(small())
    assert blames(world, "whose author is honest") and blames(world, "stored no proof")
    assert blames(world, "has not heard", "is disputed")


def test_only_the_first_hundred_violations_are_kept_and_all_are_counted() -> None:
    world = World(small(), 20, 1)
    for number in range(250):
        world.fail(f"violation {number}")
    assert world.failed == 250 and len(world.violations) == 100
    assert world.violations[0] == "at 0.000 s: violation 0"


def test_only_an_honest_follower_shows_an_author_what_he_wrote() -> None:
    """A liar keeps it to himself, and a relay shows what it lends to its askers only."""
    world = ran(small())
    author = next(node for node in world.nodes if _is_shown(node, node.store.held(node.person.log)[1]))
    entry = author.store.held(author.person.log)[1]
    followers = set(world.followers[author.number])
    world.followers[author.number].clear()
    assert not _is_shown(author, entry)
    world.followers[author.number].update(followers)
    assert _is_shown(author, entry)
    world.byzantine = frozenset(followers)
    assert not _is_shown(author, entry)
