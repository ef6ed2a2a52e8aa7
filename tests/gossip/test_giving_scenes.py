"""What peers are given: nothing of a log that they left while it was read, and no more at once than a peer may have."""

from __future__ import annotations

import pytest
from builders import Person, person, ref
from gossip_scenes import Puppet, Scene, Table, author, node_key

from p2pblog.core.media import FileHash
from p2pblog.gossip import broadcast, strays
from p2pblog.gossip import events as ev
from p2pblog.gossip.loads import Loads
from p2pblog.gossip.messages import Fetch, Forget, Found, Graft, Lack, Live, Message, Payloads, Run, Want, WantPayloads


class Stage:
    """Bob holds carol's log; erin shares it with him."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.carol: Person = author("carol", 9)
        self.bob: Table = self.scene.node("bob", "carol")
        self.bob.keep(self.carol, self.carol.log.run())
        self.erin: Puppet = self.scene.puppet("erin")
        self.erin.greet("bob", self.carol)
        self.erin.heard.clear()

    def asks(self, message: Message) -> list[ev.Effect]:
        """What bob does at once; his store answers when time passes."""
        return self.bob.feed(ev.Received(node_key("erin"), message))


def test_answers_to_grafts_are_read_before_history_and_in_their_order() -> None:
    """Two of one log that changed places would each be taken for a gap."""
    peer, carol = node_key("erin"), person("carol").key
    history = [ev.LoadRun(peer, carol, first, first + 49, live=False) for first in (1, 51)]
    live = [ev.LoadRun(peer, carol, first, first, live=True) for first in (101, 102)]
    loads = Loads()
    for request in (history[0], live[0], history[1], live[1]):
        loads.add(request)
    assert len(loads) == 4
    assert [loads.take() for _ in range(4)] == [*live, *history] and not loads


def test_files_and_single_entries_take_turns_with_history() -> None:
    """A person may wait for these; and history is to go on beside a long film."""
    peer, carol = node_key("erin"), author("carol", 2)
    history = [ev.LoadRun(peer, carol.key, first, first + 49, live=False) for first in (1, 51, 101)]
    single = [ev.LoadFile(peer, FileHash(bytes(32)), 1), ev.LoadOne(peer, ref(carol.log.entries[1]))]
    loads = Loads()
    for request in (*history, *single):
        loads.add(request)
    assert [loads.take() for _ in range(5)] == [single[0], history[0], single[1], history[1], history[2]]
    for request in (history[0], *single):
        loads.add(request)
    assert [loads.take() for _ in range(3)] == [single[0], history[0], single[1]] and not loads
    for request in (*single, history[0]):
        loads.add(request)
    assert [loads.take() for _ in range(3)] == [history[0], *single], "the last one was single"


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("leaves", [False, True])
def test_who_leaves_a_feed_while_it_is_read_gets_nothing_of_it(stage: Stage, leaves: bool) -> None:
    carol = stage.carol
    for question in (Want(carol.key, 1, 9), WantPayloads(carol.key, (3, 2)), Graft(carol.key, 5)):
        (read,) = stage.asks(question)
        assert isinstance(read, ev.LoadRun)
    if leaves:
        stage.asks(Forget((carol.hash,)))
    stage.scene.run(1)
    given = [said for said in stage.erin.heard if isinstance(said, Run | Lack | Payloads | Live)]
    if leaves:
        assert given == [Lack(carol.key, 1), Payloads(carol.key, ())]
    else:
        run, payloads, live = given
        assert isinstance(run, Run) and isinstance(live, Live)
        assert isinstance(payloads, Payloads) and [seq for seq, _ in payloads.payloads] == [3, 2]


def test_reads_that_one_peer_is_owed_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind on its own: who looks at a long thread is pushed what is new meanwhile."""
    monkeypatch.setattr(broadcast, "GRAFTS_OWED_MAX", 1)
    monkeypatch.setattr(strays, "FETCHES_OWED_MAX", 1)
    carol, wanted = stage.carol, ref(stage.carol.log.entries[3])
    for _ in range(2):  # what was read owes nothing any more
        assert [type(effect) for effect in stage.asks(Fetch(wanted))] == [ev.LoadOne]
        assert stage.asks(Fetch(wanted)) == [ev.Send(node_key("erin"), Found(wanted))]
        assert [type(effect) for effect in stage.asks(Graft(carol.key, 5))] == [ev.LoadRun]
        assert stage.asks(Graft(carol.key, 5)) == []
        stage.scene.run(1)


def test_a_graft_for_what_is_to_come_reads_nothing(stage: Stage) -> None:
    log, last = stage.carol.key, len(stage.carol.log.entries)
    assert stage.asks(Graft(log, 0)) == stage.asks(Graft(log, last + 1)) == []
    assert stage.asks(Graft(log, last)) == [ev.LoadRun(node_key("erin"), log, last, last, live=True)]
    tree = stage.bob.machine.broadcast.trees[log]
    assert list(tree.eager_to) == [node_key("erin")]


def test_entries_asked_for_are_bounded_and_the_oldest_is_forgotten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strays, "ASKED_MAX", 2)
    wanted = [ref(entry) for entry in person("dave").notes(3)]
    for each in wanted:
        stage.bob.feed(ev.Ask(each))
    assert list(stage.bob.machine.strays.asked) == [each.id for each in wanted[1:]]
