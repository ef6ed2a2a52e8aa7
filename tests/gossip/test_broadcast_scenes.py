"""Live entries: the tree of each log grows, heals and wastes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from builders import Person, person
from gossip_scenes import LATENCY_S, Scene, Table, live, node_key, run_of

from p2pblog.core.entry import Entry
from p2pblog.core.runs import encode_run
from p2pblog.gossip import broadcast
from p2pblog.gossip.broadcast import (
    GRAFT_RETRY_S,
    GRAFT_WAIT_S,
    HAVES_DELAY_S,
    NEAR,
    SWITCH_LEAD_S,
    WAIT_EXTRA_S,
)
from p2pblog.gossip.events import Dropped
from p2pblog.gossip.messages import Clocks, Forget, Graft, Have, Live, Prune, Run, Wait, Want
from p2pblog.gossip.replication import CLOCKS_DELAY_S


@pytest.fixture
def scene() -> Scene:
    return Scene()


def follow_alice(scene: Scene, *names: str) -> tuple[Table, list[Table]]:
    alice = scene.node("alice")
    return alice, [scene.node(name, "alice") for name in names]


def net(seed: int, size: int, degree: int) -> tuple[Scene, Table, list[Table]]:
    """A connected graph of followers of one author, each with about so many links, 20 to 100 ms apart."""
    scene = Scene(seed)
    names = ["alice", *(f"reader {number}" for number in range(1, size))]
    alice, readers = follow_alice(scene, *names[1:])
    pairs = {frozenset((names[n], names[(n + 1) % size])) for n in range(size)} if size > 2 else {frozenset(names)}
    while len(pairs) < min(size * degree, size * (size - 1)) // 2:
        pairs.add(frozenset(scene.rng.sample(names, 2)))
    for pair in sorted(map(sorted, pairs)):
        scene.latencies[frozenset(pair)] = scene.rng.uniform(0.02, 0.1)
        scene.link(*pair)
    scene.run(5)
    return scene, alice, readers


def everybody_has(readers: list[Table], who: Person) -> bool:
    high = who.log.entries[-1].seq
    return all(reader.machine.holdings.high(who.key) >= high for reader in readers)


def copies(scene: Scene, since: float) -> int:
    return scene.count(Live, since) + scene.count(Run, since)


# --- one machine against puppets: each rule on its own ---


class Rules:
    """Bob follows Alice and holds entry 1; erin, frank and gina are puppets that share the feed."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.alice = person("alice")
        self.bob = self.scene.node("bob", "alice")
        self.bob.keep(self.alice, self.alice.log.run())
        self.puppets = {name: self.scene.puppet(name) for name in ("erin", "frank", "gina")}
        for puppet in self.puppets.values():
            puppet.greet("bob", self.alice)
            puppet.claims("bob", self.alice, (1, 1))
        self.tree = self.bob.machine.broadcast.trees.setdefault
        self.scene.run(1)

    def have(self, name: str, seq: int) -> None:
        self.scene.send(name, "bob", Have(((self.alice.key, seq),)))
        self.scene.run(LATENCY_S * 1.01)

    def push(self, name: str, *, first: int | None = None) -> None:
        entries = self.alice.log.entries
        chosen = entries[-1:] if first is None else entries[first - 1 :]
        self.scene.send(name, "bob", live(self.alice.log.run(chosen[0].seq), prev_known=True))
        self.scene.run(LATENCY_S * 1.01)

    def have_and_push(self, lead_s: float) -> None:
        """Frank announces the newest entry so long before erin pushes it."""
        entry = self.alice.log.entries[-1]
        self.scene.send("frank", "bob", Have(((self.alice.key, entry.seq),)))
        self.scene.run(lead_s)
        self.push("erin")

    def said(self, name: str, since: float = 0.0) -> list[object]:
        return [
            message
            for at, who, to, message, _ in self.scene.sent
            if (who, to) == ("bob", name) and at >= since and isinstance(message, Graft | Prune | Wait | Live | Have)
        ]

    @property
    def eager(self) -> str | None:
        tree = self.bob.machine.broadcast.trees.get(self.alice.key)
        if tree is None or tree.eager_from is None:
            return None
        return self.bob._name(tree.eager_from)

    def graft_by(self, name: str, first: int = 0) -> None:
        self.scene.send(name, "bob", Graft(self.alice.key, first))
        self.scene.run(LATENCY_S * 1.01)

    def make_eager(self, name: str) -> None:
        self.alice.log.note("first live one")
        self.have(name, 2)
        self.push(name)
        assert self.eager == name


@pytest.fixture
def rules() -> Rules:
    return Rules()


def test_an_announcement_without_an_eager_peer_is_answered_at_once(rules: Rules) -> None:
    rules.alice.log.note("news")
    rules.have("erin", 2)
    assert rules.said("erin") == [Graft(rules.alice.key, 2)]
    assert rules.eager == "erin"


def test_with_an_eager_peer_an_announced_entry_is_given_time(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have("frank", 3)
    rules.scene.run(GRAFT_WAIT_S - 2 * LATENCY_S)
    assert rules.said("frank", since) == []
    rules.scene.run(2 * LATENCY_S)
    assert rules.said("frank", since) == [Graft(rules.alice.key, 3)]
    assert rules.said("erin", since) == [Prune(rules.alice.key)]
    assert rules.eager == "frank"


def test_an_entry_that_comes_in_time_is_asked_of_nobody(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have_and_push(lead_s=SWITCH_LEAD_S / 2)
    rules.scene.run(2)
    assert [message for message in rules.said("frank", since) if not isinstance(message, Have)] == []
    assert rules.eager == "erin"


def test_the_next_announcer_is_asked_when_the_first_fails(rules: Rules) -> None:
    rules.alice.log.note("news")
    rules.have("erin", 2)
    rules.have("frank", 2)
    rules.scene.run(GRAFT_RETRY_S)
    assert rules.said("frank") == [Graft(rules.alice.key, 2)]
    assert rules.eager == "frank"
    rules.have("gina", 2)  # announced after all others were asked: asked in its turn
    rules.scene.run(GRAFT_RETRY_S + GRAFT_WAIT_S)
    assert rules.said("gina") == [Graft(rules.alice.key, 2)]


def test_a_duplicate_prunes(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.push("frank")
    assert rules.said("frank", since) == [Prune(rules.alice.key)]
    rules.push("erin")
    assert rules.said("erin", since) == []


def test_an_announcement_that_leads_by_much_changes_the_tree_without_a_request(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have_and_push(lead_s=1.1 * SWITCH_LEAD_S)
    assert rules.said("frank", since)[:1] == [Graft(rules.alice.key, 4)]
    assert rules.said("erin", since)[:1] == [Prune(rules.alice.key)]
    assert rules.eager == "frank"


def test_who_changes_to_another_is_pushed_the_next_entry(rules: Rules) -> None:
    """Gina announced nothing of entry 2 to us, for we were first: that she holds it, her graft says."""
    rules.make_eager("erin")
    since = rules.scene.now
    rules.graft_by("gina", first=3)
    rules.alice.log.note("more")
    rules.push("erin")
    assert [type(message) for message in rules.said("gina", since)] == [Live]


def test_an_announcement_that_leads_by_little_changes_nothing(rules: Rules) -> None:
    rules.make_eager("erin")
    rules.alice.log.note("more")
    rules.have_and_push(lead_s=0.9 * SWITCH_LEAD_S)
    assert rules.eager == "erin"


def test_who_asks_tells_those_below_to_wait(rules: Rules) -> None:
    rules.graft_by("gina")
    rules.alice.log.note("news")
    rules.have("erin", 2)
    assert rules.said("gina") == [Wait(rules.alice.key, 2)]


def test_who_is_told_to_wait_does_once_for_each_entry_and_passes_it_on(rules: Rules) -> None:
    rules.make_eager("erin")
    rules.graft_by("gina")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have("frank", 3)
    rules.scene.run(0.1)
    rules.scene.send("erin", "bob", Wait(rules.alice.key, 3))
    rules.scene.send("frank", "bob", Wait(rules.alice.key, 3))
    rules.scene.run(LATENCY_S * 1.01)
    waited_from = rules.scene.now
    assert rules.said("gina", since) == [Wait(rules.alice.key, 3)]
    rules.scene.run(GRAFT_WAIT_S + WAIT_EXTRA_S - 0.05)
    rules.scene.send("erin", "bob", Wait(rules.alice.key, 3))
    assert rules.said("frank", since) == []
    rules.scene.run(0.1)
    assert rules.said("frank", since) == [Graft(rules.alice.key, 3)]
    assert rules.scene.now - waited_from < GRAFT_WAIT_S + WAIT_EXTRA_S + 0.1


def test_when_the_eager_link_ends_an_announced_entry_is_asked_elsewhere_at_once(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have("frank", 3)
    rules.scene.cut("erin", "bob")
    assert rules.said("frank", since) == [Graft(rules.alice.key, 3)]
    assert rules.eager == "frank"


def test_an_eager_peer_that_unfollows_has_left_the_tree(rules: Rules) -> None:
    rules.make_eager("erin")
    rules.puppets["erin"].say("bob", Forget((rules.alice.hash,)))
    assert rules.eager is None


def test_an_eager_peer_that_only_announces_is_asked_at_once(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("more")
    rules.have("erin", 3)
    assert rules.said("erin", since) == [Graft(rules.alice.key, 3)]


def test_announcements_go_at_once_where_there_was_no_eager_peer_else_in_batches(rules: Rules) -> None:
    rules.alice.log.note("first live one")
    rules.have("erin", 2)
    since = rules.scene.now
    rules.push("erin")
    assert rules.said("frank", since) == [Have(((rules.alice.key, 2),))]
    since = rules.scene.now
    rules.alice.log.note("second")
    rules.scene.send("erin", "bob", live(rules.alice.log.run(3), prev_known=True))
    rules.scene.run(HAVES_DELAY_S / 2)
    rules.alice.log.note("third")
    rules.push("erin")
    assert rules.said("frank", since) == []
    rules.scene.run(HAVES_DELAY_S)
    assert rules.said("frank", since) == [Have(((rules.alice.key, 3), (rules.alice.key, 4)))]


def test_nobody_is_told_of_what_they_announced_or_were_sent(rules: Rules) -> None:
    rules.graft_by("gina")
    rules.alice.log.note("first live one")
    rules.have("erin", 2)
    rules.have("frank", 2)
    since = rules.scene.now
    rules.push("erin")
    rules.scene.run(1)
    assert [type(message) for message in rules.said("gina", since)] == [Live]
    assert rules.said("frank", since) == rules.said("erin", since) == []


def test_what_is_pushed_to_several_is_spelled_once(rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    spelled: list[Sequence[Entry]] = []

    def encode(entries: Sequence[Entry], prev_known: bool, texts: bool) -> list[Any]:
        spelled.append(entries)
        return encode_run(entries, prev_known, texts)

    rules.graft_by("gina")
    rules.graft_by("frank")
    rules.alice.log.note("first live one")
    rules.have("erin", 2)
    monkeypatch.setattr(broadcast, "encode_run", encode)
    rules.push("erin")
    (to_gina,), (to_frank,) = ([m for m in rules.said(name) if isinstance(m, Live)] for name in ("gina", "frank"))
    assert to_gina == to_frank
    assert len(spelled) == 1


def test_announcements_far_above_are_history_and_are_not_waited_for(rules: Rules) -> None:
    rules.make_eager("erin")
    for seq in range(100, 5_000, 7):
        rules.scene.send("frank", "bob", Have(((rules.alice.key, seq),)))
    rules.scene.run(1)
    tree = rules.bob.machine.broadcast.trees[rules.alice.key]
    assert tree.announced == {} and tree.due == {}
    assert rules.puppets["frank"].told(Want)
    rules.alice.log.note("a real one")
    rules.have("gina", 3)
    rules.scene.run(GRAFT_WAIT_S)
    assert rules.eager == "gina"


def test_false_announcements_hold_up_a_real_one_for_one_wait_at_most(rules: Rules) -> None:
    for seq in range(2, 2 + 2 * NEAR):
        rules.have("erin", seq)
    rules.scene.run(3)
    since = rules.scene.now
    rules.alice.log.note("a real one")
    rules.have("gina", 2)
    rules.scene.run(GRAFT_WAIT_S)
    assert rules.said("gina", since) == [Graft(rules.alice.key, 2)]


def test_a_push_past_a_hole_is_fetched_as_history(rules: Rules) -> None:
    for number in range(5):
        rules.alice.log.note(f"more {number}")
    rules.push("erin")
    rules.scene.run(LATENCY_S)
    assert rules.bob.numbers(rules.alice) == [1]
    assert rules.puppets["erin"].told(Want) == [Want(rules.alice.key, 6, 6)]


def test_who_holds_what_a_live_notice_skipped_says_so_once(rules: Rules) -> None:
    for number in range(2):
        rules.alice.log.note(f"more {number}")
    rules.push("erin", first=2)
    frank = rules.puppets["frank"]
    rules.scene.run(1)
    since = rules.scene.now
    for _again in range(2):
        frank.claims("bob", rules.alice, (3, 3), (1, 1))
        (said,) = rules.scene.said(Clocks, "bob", "frank", since)
        assert [clock.spans for _device, clock in said.clocks[0].logs] == [((1, 3),)]


def test_who_was_told_what_fills_its_hole_is_not_told_again(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.puppets["frank"].claims("bob", rules.alice, (2, 2))
    assert rules.scene.said(Clocks, "bob", "frank", since) == []


def test_an_entry_announced_below_what_is_held_is_asked_for(rules: Rules) -> None:
    rules.make_eager("erin")
    for number in range(30):
        rules.alice.log.note(f"more {number}")
    rules.have("frank", 32)
    rules.scene.send("frank", "bob", run_of(rules.alice.log.run(32, 32)))
    rules.scene.run(1)
    assert rules.bob.numbers(rules.alice) == [1, 2, 32]
    rules.have("gina", 3)
    rules.have("gina", 2)
    assert rules.puppets["gina"].told(Want) == [Want(rules.alice.key, 3, 3)]


def test_what_is_fetched_past_a_hole_leaves_none_for_good(rules: Rules) -> None:
    """A liar is Bob's eager peer and gives nothing; Carol, who was pushed many entries at once, announces the last."""
    scene = rules.scene
    carol, dave = scene.node("carol", "alice"), scene.puppet("dave")
    carol.keep(rules.alice, rules.alice.log.run())
    scene.link("carol", "bob")
    dave.greet("carol", rules.alice)
    rules.make_eager("erin")
    scene.run(2)
    for number in range(30):
        rules.alice.log.note(f"more {number}")
    dave.say("carol", live(rules.alice.log.run(3)))
    scene.until(lambda: 32 in rules.bob.numbers(rules.alice))
    assert 31 not in rules.bob.numbers(rules.alice)
    scene.run(2)
    assert rules.bob.numbers(rules.alice) == list(range(1, 33))


def test_a_push_that_is_forged_ends_the_link(rules: Rules) -> None:
    entry = rules.alice.log.note("more")
    value = list(live([entry], prev_known=False).value)
    value[5] = bytes(64)
    rules.scene.send("erin", "bob", Live(value))
    rules.scene.run(1)
    assert [error.name for _, _, error in rules.scene.closed if error] == ["bad-signature"]


# --- several machines ---


def test_once_grafted_a_notice_reaches_a_follower_in_one_hop_without_a_request(scene: Scene) -> None:
    alice, (bob,) = follow_alice(scene, "bob")
    scene.link("bob", "alice")
    scene.run(2)
    alice.post("the first one is announced")
    scene.run(1)
    since = scene.now
    alice.post("the second one is pushed")
    assert scene.until(lambda: "the second one is pushed" in bob.texts(alice.person)) == pytest.approx(LATENCY_S)
    scene.run(1)
    assert [len(scene.said(kind, since=since)) for kind in (Live, Graft, Have, Prune)] == [1, 0, 0, 0]


def test_a_live_notice_of_140_characters_costs_at_most_260_bytes(scene: Scene) -> None:
    alice, _ = follow_alice(scene, "bob")
    scene.link("bob", "alice")
    for number in range(300):
        alice.post(f"notice {number}")
    scene.run(5)
    alice.post("the first one is asked for, with its predecessor")
    scene.run(1)
    alice.wrote(alice.person.log.note("x" * 140, time_ms=alice.person.log.entries[-1].time_ms + 86_400_000))
    scene.run(1)
    *_, (*_, size) = [item for item in scene.sent if isinstance(item[3], Live)]
    assert size <= 260


@pytest.mark.parametrize(("size", "degree"), [(3, 2), (30, 6)])
def test_a_warm_tree_delivers_each_entry_once(size: int, degree: int) -> None:
    scene, alice, readers = net(1, size, degree)
    for number in range(6):
        alice.post(f"warming up {number}")
        scene.run(3)
    since = scene.now
    for number in range(10):
        alice.post(f"warm {number}")
        scene.until(lambda: everybody_has(readers, alice.person), within_s=3)
        scene.run(1)
    deliveries = 10 * len(readers)
    assert copies(scene, since) - deliveries <= 0.02 * deliveries
    assert scene.closed == []


@pytest.mark.parametrize("seed", range(4))
def test_a_cold_net_delivers_to_all(seed: int) -> None:
    scene, alice, readers = net(seed, 30, 6)
    since = scene.now
    alice.post("the first ever")
    assert scene.until(lambda: everybody_has(readers, alice.person)) < 3
    scene.run(3)
    assert copies(scene, since) <= 1.1 * len(readers)


def test_a_silent_eager_peer_is_replaced_within_one_notice(scene: Scene) -> None:
    alice, readers = follow_alice(scene, "bob", "carol", "dave")
    for one, other in combinations(["alice", "bob", "carol", "dave"], 2):
        scene.link(one, other)
    scene.run(2)
    for number in range(3):
        alice.post(f"warm {number}")
        scene.run(2)
    for reader in readers:  # whoever pushed to them has forgotten them, and does not know
        eager = reader.machine.broadcast.trees[alice.person.key].eager_from
        assert eager is not None
        party = scene.parties[reader._name(eager)]
        party.machine.broadcast.trees[alice.person.key].eager_to.clear()
    alice.post("healing")
    assert scene.until(lambda: everybody_has(readers, alice.person)) < 1.2
    scene.run(2)
    since = scene.now
    alice.post("healed")
    assert scene.until(lambda: everybody_has(readers, alice.person)) < 0.5
    scene.run(1)
    assert copies(scene, since) == len(readers)


@pytest.mark.parametrize("size", [3, 12])
def test_any_single_link_may_end_while_a_notice_is_on_its_way(size: int) -> None:
    wires = sorted(tuple(sorted(pair)) for pair in net(3, size, 4)[0].wires)
    assert len(wires) >= size
    for cut in wires:
        scene, alice, readers = net(3, size, 4)
        for number in range(2):
            alice.post(f"warm {number}")
            scene.run(2)
        alice.post("on its way")
        scene.run(0.03)
        scene.cut(*cut)
        scene.until(lambda: everybody_has(readers, alice.person), within_s=25)  # noqa: B023
        scene.run(2)
        alice.post("afterwards")
        assert scene.until(lambda: everybody_has(readers, alice.person)) < 3, cut  # noqa: B023


@pytest.mark.parametrize("seed", range(5))
def test_all_converge_though_messages_of_the_tree_are_lost(seed: int) -> None:
    scene, alice, readers = net(seed, 15, 5)

    def lossy(_sender: str, _receiver: str, message: object) -> list[object]:
        lost = isinstance(message, Have | Graft | Prune | Wait) and scene.rng.random() < 0.2
        return [] if lost else [message]

    alice.post("warm")
    scene.run(3)
    scene.tamper = lossy  # type: ignore[assignment]
    for number in range(20):
        alice.post(f"lossy {number}")
        scene.run(0.7)
    scene.tamper = None
    alice.post("the last one")
    scene.until(lambda: everybody_has(readers, alice.person), within_s=30)
    scene.run(5)
    assert all(reader.numbers(alice.person) == list(range(1, 24)) for reader in readers)
    assert scene.closed == []


def test_repeated_messages_change_nothing() -> None:
    scene, alice, readers = net(2, 8, 4)
    scene.tamper = lambda _s, _r, message: [message] * (2 if isinstance(message, Have | Graft | Prune | Live) else 1)
    for number in range(5):
        alice.post(f"twice {number}")
        scene.run(2)
    assert everybody_has(readers, alice.person)
    assert scene.closed == []


def test_what_was_dropped_in_the_meantime_is_not_announced(rules: Rules) -> None:
    rules.make_eager("erin")
    since = rules.scene.now
    rules.alice.log.note("second")
    rules.push("erin")
    rules.bob.feed(Dropped(rules.alice.key))
    rules.scene.run(HAVES_DELAY_S)
    assert [message for message in rules.said("frank", since) if isinstance(message, Have)] == []


def test_who_dropped_a_log_says_so() -> None:
    """Carol, who took bob to hold it all, would else keep back what she has of it anew."""
    scene = Scene()
    alice, bob, carol = scene.node("alice"), scene.node("bob", "alice"), scene.node("carol", "alice")
    scene.link("alice", "carol")
    scene.link("bob", "carol")
    scene.run(2)
    alice.post("first")
    scene.run(2)
    assert bob.texts(alice.person) == ["first"]
    session = carol.machine.sharing.sessions[node_key("bob")]
    assert session.clocks[alice.person.key].high == 2
    scene.tamper = lambda _s, _r, message: [] if isinstance(message, Want) else [message]
    bob.feed(Dropped(alice.person.key))
    scene.run(CLOCKS_DELAY_S + 1)
    assert alice.person.key not in session.clocks


def test_many_authors_in_one_batch(scene: Scene) -> None:
    names = [f"author {number}" for number in range(20)]
    hub = scene.node("hub", *names)
    reader = scene.node("reader", *names)
    authors = [scene.node(name) for name in names]
    for name in names:
        scene.link(name, "hub")
    scene.link("hub", "reader")
    scene.run(3)
    for round_number in range(3):
        for table in authors:
            table.post(f"round {round_number}")
        scene.run(2)
    assert all(reader.texts(table.person) == hub.texts(table.person) for table in authors)
    assert all(len(reader.texts(table.person)) == 3 for table in authors)


def test_a_crowd_that_announces_and_gives_nothing_delays_an_entry_by_one_turn() -> None:
    scene = Scene()
    alice, bob = scene.node("alice"), scene.node("bob", "alice")
    alice.keep_own()
    scene.link("alice", "bob")
    scene.run(2)
    alice.post()
    scene.run(2)
    who = person("alice")
    liars = [scene.puppet(f"liar {number}") for number in range(10)]
    for liar in liars:
        liar.greet("bob", who)
        liar.claims("bob", who, (1, 2))
    for liar in liars:
        liar.say("bob", Have(tuple((who.key, seq) for seq in range(3, 8))))
    scene.run(GRAFT_WAIT_S)
    since = scene.now
    entry = alice.post()
    scene.until(lambda: bob.numbers(who)[-1:] == [entry.seq])
    assert scene.now - since < GRAFT_WAIT_S + 2 * GRAFT_RETRY_S
