"""Bob wants a picture of Alice's: who is asked for it, in which order, and what becomes of liars and of silence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from builders import person
from gossip_scenes import Puppet, Scene, Table, done, node_key

from p2pblog.config import (
    FILE_BYTES_MAX,
    FILE_PATIENCE_S,
    FILE_QUESTIONS_HEARD_MAX,
    FILE_QUESTIONS_MAX,
    FILES_FETCHED_MAX,
    PIECE_BYTES,
)
from p2pblog.core.keys import hash32
from p2pblog.core.media import Attachment, PieceTable, pieces_of, table_of
from p2pblog.core.payload import Note
from p2pblog.errors import BadMessage, BadPiece, StoreFull
from p2pblog.gossip.events import Ending, FetchFile, FileNews
from p2pblog.gossip.file_messages import Piece, TableOf, WantPiece, WantTable
from p2pblog.gossip.files import SEARCH_S
from p2pblog.gossip.messages import Message

DATA = b"".join(bytes([number]) * PIECE_BYTES for number in range(9)) + b"the end"
TABLE = table_of(DATA)
PIECES = pieces_of(DATA)
PICTURE = Attachment(TABLE.file, "bees.jpg", "image/jpeg", len(DATA))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def wants(who: Table, size_max: int = len(DATA)) -> None:
    """She asks for the picture, knowing what she has of it already."""
    held = done(who.blobs.held(TABLE.file))
    table, pieces = (None, frozenset[int]()) if held is None else (held.table, held.pieces)
    who.feed(FetchFile(TABLE.file, (person("alice").hash,), size_max, table, pieces))


def ended(who: Table) -> list[Ending]:
    return [news.ending for news in who.news if news.ending is not None]


def has_it(who: Table, *indexes: int) -> None:
    """She holds these pieces, or all, and a notice that has the picture."""
    alice = person("alice")
    alice.log.write(Note("look", media=(PICTURE,)))
    who.keep(alice, alice.log.run())
    done(who.blobs.begin(TABLE))
    for index in indexes or range(len(PIECES)):
        done(who.blobs.put_piece(TABLE.file, index, PIECES[index]))


def content(who: Table) -> bytes:
    return b"".join(done(who.blobs.piece(TABLE.file, index)) or b"" for index in range(len(PIECES)))


def gives(puppet: Puppet, *, table: bool = True, but: Iterable[int] = (), wrong: Iterable[int] = ()) -> None:
    """The puppet has the picture, but for some pieces, and gives something else for others."""

    def answer(message: Message) -> list[Message]:
        match message:
            case WantTable(file):
                return [TableOf(file, TABLE if table else None)]
            case WantPiece(file, index):
                data = None if index in but or not table else b"a lie" if index in wrong else PIECES[index]
                return [Piece(file, index, data)]
        return []

    puppet.answer = answer


def helper(scene: Scene, name: str, *, shares: bool = True, version: int = 2) -> Puppet:
    puppet = scene.puppet(name)
    puppet.greet("bob", *([person("alice")] if shares else []), version=version)
    return puppet


def asked(puppet: Puppet) -> list[int]:
    return [message.index for message in puppet.told(WantPiece)]


def test_bob_fetches_it_from_carol_while_alice_is_away(scene: Scene) -> None:
    bob, carol = scene.node("bob", "alice"), scene.node("carol", "alice")
    has_it(carol)
    scene.link("bob", "carol")
    scene.run(1)
    wants(bob)
    scene.until(lambda: bool(ended(bob)))

    assert ended(bob) == [Ending.WHOLE]
    assert content(bob) == DATA
    assert [news.held for news in bob.news] == sorted(news.held for news in bob.news)
    assert bob.news[-1] == FileNews(TABLE.file, len(PIECES), len(PIECES), Ending.WHOLE)
    assert not scene.closed
    assert scene.count(WantPiece) == len(PIECES)
    wants(bob)
    assert ended(bob) == [Ending.WHOLE] * 2
    assert scene.count(WantPiece) == len(PIECES)  # nobody was asked again


def test_only_what_is_missing_is_asked_for(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    has_it(bob, 0, 1, 2, 7)
    carol = helper(scene, "carol")
    gives(carol)
    wants(bob)
    scene.run(1)
    assert sorted(asked(carol)) == [3, 4, 5, 6, 8, 9]
    assert carol.told(WantTable) == []
    assert content(bob) == DATA


def test_two_who_have_it_share_the_work(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol, dave = helper(scene, "carol"), helper(scene, "dave")
    gives(carol)
    gives(dave)
    wants(bob)
    scene.run(2)
    assert content(bob) == DATA
    assert len(asked(carol)) == len(asked(dave)) == len(PIECES) // 2
    assert ended(bob) == [Ending.WHOLE]


def test_who_follows_the_author_is_asked_before_others(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    far, near = helper(scene, "carol", shares=False), helper(scene, "dave")
    gives(far)
    gives(near)
    wants(bob)
    assert scene.said(WantTable, "bob", "dave") == [WantTable(TABLE.file)]
    scene.run(0.1)
    assert asked(near)[:FILE_QUESTIONS_MAX] == [0, 1, 2, 3]


@pytest.mark.parametrize("and_carol", [False, True])
def test_who_does_not_share_a_feed_followed_in_private_hears_of_no_file_in_it(scene: Scene, and_carol: bool) -> None:
    """Unless somebody who is followed openly has it too."""
    bob = scene.node("bob", "alice")
    bob.machine.holdings.set_private(person("alice").hash, True)
    far = helper(scene, "dave", shares=False)
    gives(far)
    authors = [person(name).hash for name in ("alice", "carol")[: 1 + and_carol]]
    bob.feed(FetchFile(TABLE.file, tuple(authors), len(DATA)))
    scene.run(SEARCH_S + 1)
    assert ended(bob) == [Ending.WHOLE if and_carol else Ending.LACKING]
    assert bool(far.told(WantTable)) == and_carol
    assert far.is_linked


def test_who_shares_a_feed_followed_in_private_is_asked(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    bob.machine.holdings.set_private(person("alice").hash, True)
    far, near = helper(scene, "carol", shares=False), helper(scene, "dave")
    gives(far)
    gives(near, but=[3])
    wants(bob)
    scene.run(SEARCH_S + 1)
    assert ended(bob) == [Ending.LACKING]
    assert len(asked(near)) == len(PIECES)
    assert asked(far) == []


def test_an_answer_costs_no_look_at_every_peer_for_every_piece(scene: Scene) -> None:
    """Many large pictures are wanted, and all who might have them are busy."""
    bob = scene.node("bob", "alice")
    peers = [helper(scene, f"peer {number}") for number in range(12)]
    for number in range(FILES_FETCHED_MAX):
        pieces = tuple(hash32(b"%d %d" % (number, index), b"p2pblog tests") for index in range(128))
        table = PieceTable(FILE_BYTES_MAX, pieces)
        bob.feed(FetchFile(table.file, (person("alice").hash,), FILE_BYTES_MAX, table, frozenset()))
    scene.run(0.5)
    files = bob.machine.files
    questions = files.questions = Counted(files.questions)
    assert all(len(asked(peer)) == FILE_QUESTIONS_MAX for peer in peers)

    first = peers[0].told(WantPiece)[0]
    peers[0].say("bob", Piece(first.file, first.index))
    scene.run(0.5)
    assert len(asked(peers[0])) == FILE_QUESTIONS_MAX + 1
    assert questions.looks < 20 * len(peers)


class Counted(dict[Any, Any]):
    """Counts how often something is looked up in it."""

    looks = 0

    def get(self, key: Any, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)


def test_never_more_than_a_few_questions_to_one_peer(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol = helper(scene, "carol")
    carol.answer = lambda message: [TableOf(TABLE.file, TABLE)] if isinstance(message, WantTable) else []
    wants(bob)
    scene.run(FILE_PATIENCE_S / 2)
    assert len(asked(carol)) == FILE_QUESTIONS_MAX


def test_what_one_lacks_another_gives(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol, dave = helper(scene, "carol"), helper(scene, "dave")
    gives(carol, but=range(5))
    gives(dave, but=range(5, 10))
    wants(bob)
    scene.run(2)
    assert content(bob) == DATA
    assert not scene.closed
    assert len(asked(carol)) == len(set(asked(carol)))


def test_a_liars_piece_ends_her_link_and_is_fetched_elsewhere(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    liar = helper(scene, "mallory")
    gives(liar, wrong=range(10))
    dave = helper(scene, "dave")
    gives(dave)
    wants(bob)
    scene.run(2)

    assert [(who, whose, type(error)) for who, whose, error in scene.closed] == [("bob", "mallory", BadPiece)]
    assert content(bob) == DATA
    assert ended(bob) == [Ending.WHOLE]


def test_a_liars_table_ends_her_link(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    other = table_of(b"something else")
    liar = helper(scene, "mallory")
    liar.answer = lambda message: [TableOf(TABLE.file, other)] if isinstance(message, WantTable) else []
    wants(bob)
    scene.run(1)
    assert [type(error) for _, _, error in scene.closed] == [BadPiece]


def test_silence_costs_one_wait_and_somebody_else_is_asked(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    silent = helper(scene, "carol")
    wants(bob)
    assert scene.said(WantTable, "bob", "carol")
    dave = helper(scene, "dave")
    gives(dave)
    took = scene.until(lambda: bool(ended(bob)))
    assert FILE_PATIENCE_S - 1 < took < FILE_PATIENCE_S + 2
    assert content(bob) == DATA
    assert asked(silent) == []
    assert silent.is_linked


def test_silence_of_all_is_told_as_that(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    helper(scene, "carol")
    wants(bob)
    scene.run(FILE_PATIENCE_S + 0.1)
    assert ended(bob) == [Ending.SILENT]


def test_an_answer_that_comes_late_is_no_fault_and_is_taken(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol = helper(scene, "carol")
    wants(bob)
    scene.run(FILE_PATIENCE_S + 1)
    wants(bob)  # a second search, while the answer to the first one is still to come
    gives(carol)
    carol.say("bob", TableOf(TABLE.file, TABLE))
    scene.run(2)
    assert ended(bob) == [Ending.SILENT, Ending.WHOLE]
    assert content(bob) == DATA
    assert not scene.closed


def test_where_nobody_has_it_the_search_ends(scene: Scene) -> None:
    bob, carol = scene.node("bob", "alice"), scene.node("carol", "alice")
    scene.link("bob", "carol")
    scene.run(1)
    wants(bob)
    scene.run(SEARCH_S - 0.1)
    assert ended(bob) == []
    scene.run(0.2)
    assert ended(bob) == [Ending.LACKING]
    assert carol.machine.files.searches == {}  # she does not come to want it herself


def test_who_links_while_the_search_goes_on_is_asked(scene: Scene) -> None:
    bob, carol = scene.node("bob", "alice"), scene.node("carol", "alice")
    has_it(carol)
    wants(bob)
    scene.run(SEARCH_S / 2)
    scene.link("bob", "carol")
    scene.run(2)
    assert ended(bob) == [Ending.WHOLE]


def test_a_link_that_ends_in_between_costs_nothing(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol = helper(scene, "carol")
    gives(carol)
    scene.latencies[frozenset(("bob", "dave"))] = 0.5
    dave = helper(scene, "dave")
    gives(dave)
    wants(bob)
    scene.until(lambda: bool(asked(dave)) or len(asked(carol)) > 6)
    scene.cut("bob", "carol")
    scene.run(8)
    assert content(bob) == DATA


def test_a_node_of_an_earlier_version_is_asked_nothing(scene: Scene) -> None:
    """It would take a message that it does not know for a fault."""
    bob = scene.node("bob", "alice")
    old = helper(scene, "carol", version=1)
    wants(bob)
    scene.run(SEARCH_S + 1)
    assert not old.told(WantTable)
    assert old.is_linked


def test_what_no_notice_here_has_is_given_to_nobody(scene: Scene) -> None:
    bob, carol = scene.node("bob", "alice"), scene.node("carol", "alice")
    done(carol.blobs.put_own(DATA))
    scene.link("bob", "carol")
    scene.run(1)
    wants(bob)
    scene.run(1)
    assert scene.said(TableOf, "carol") == [TableOf(TABLE.file)]


def test_a_file_larger_than_its_notice_says_is_not_fetched(scene: Scene) -> None:
    for over, ending in ((0, Ending.WHOLE), (1, Ending.OTHER_SIZE)):
        table = Scene()
        bob = table.node("bob", "alice")
        carol = helper(table, "carol")
        gives(carol)
        wants(bob, len(DATA) - over)
        table.run(2)
        assert ended(bob) == [ending]
        assert table.closed == []


def test_a_full_disk_ends_the_search_and_nothing_else(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    carol = helper(scene, "carol")
    gives(carol)

    async def full(*_: object) -> None:
        raise StoreFull("no room")

    bob.blobs.put_piece = full  # type: ignore[assignment]
    wants(bob)
    scene.run(2)
    assert ended(bob) == [Ending.NO_ROOM]
    assert carol.is_linked


def test_answers_to_no_question_and_too_many_questions_end_a_link(scene: Scene) -> None:
    scene.node("bob", "alice")
    for number, message in enumerate((Piece(TABLE.file, 0, PIECES[0]), TableOf(TABLE.file, TABLE))):
        puppet = helper(scene, f"puppet {number}")
        puppet.say("bob", message)
        assert not puppet.is_linked
    assert [type(error) for _, _, error in scene.closed] == [BadMessage] * 2


@pytest.mark.parametrize("owed", [FILE_QUESTIONS_HEARD_MAX - 1, FILE_QUESTIONS_HEARD_MAX])
def test_so_many_questions_of_a_peer_are_kept_in_mind(owed: int, scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    puppet = helper(scene, "carol")
    bob.session("carol").files_owed = owed
    puppet.say("bob", WantPiece(TABLE.file, 0))
    assert puppet.is_linked == (owed < FILE_QUESTIONS_HEARD_MAX)


def test_only_so_many_files_are_fetched_at_once(scene: Scene) -> None:
    bob = scene.node("bob", "alice")
    for number in range(FILES_FETCHED_MAX + 1):
        assert ended(bob) == []
        bob.feed(FetchFile(table_of(b"%d" % number).file, (), FILE_BYTES_MAX))
    assert ended(bob) == [Ending.BUSY]
    assert node_key("bob") not in bob.machine.files.questions
