"""Alice posts a picture; Bob looks at it whoever of those who have it is there, and however often he is interrupted."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, trio_test
from worlds import World, fetch, open_world

from p2pblog.cases.files import UNREFERRED
from p2pblog.config import (
    ALT_CHARACTERS_MAX,
    FILE_BYTES_MAX,
    FILES_PER_NOTE_MAX,
    NOTE_WITH_FILES_BYTES_MAX,
    PIECE_BYTES,
    THUMB_BYTES_MAX,
    UPLOADS_MAX,
)
from p2pblog.core.media import Attachment, FileHash
from p2pblog.core.payload import Note
from p2pblog.errors import NotFound, StoreFull, TimedOut, UsageError, UserError
from p2pblog.gossip.events import Effect
from p2pblog.gossip.file_messages import WantPiece, WantTable
from p2pblog.gossip.files import Files
from p2pblog.gossip.sharing import Session
from p2pblog.node import Node
from p2pblog.store import REFERENCES_MAX

PICTURE = b"\xff\xd8\xff" + b"".join(bytes([number]) * PIECE_BYTES for number in range(9))
SMALL = b"\xff\xd8\xffsmall"
WEEK_MS = 7 * 24 * 3600 * 1000


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def hand_over(node: Node, data: bytes) -> str:
    """As the command line does."""
    upload: str | None = None
    for at in range(0, len(data), 2 * PIECE_BYTES):
        told = await node.upload(base64.b64encode(data[at : at + 2 * PIECE_BYTES]).decode(), upload)
        upload = told["upload"]
        assert told["size"] == min(len(data), at + 2 * PIECE_BYTES)
    assert upload is not None
    return upload


async def post(node: Node, data: bytes = PICTURE, thumb: bytes | None = None, **told: str) -> dict[str, Any]:
    """Post a notice with this file; gives the file as the notice has it."""
    argument: Any = {"upload": await hand_over(node, data), "name": "bees.jpg", "alt": "Bees on a flower", **told}
    if thumb is not None:
        argument["thumb"] = await hand_over(node, thumb)
    written = await node.post("Look!", media=[argument])
    notice = await node.show(written["id"])
    return dict(notice["media"][0])


async def bob_reads_of_a_picture(world: World) -> tuple[Node, Node, dict[str, Any]]:
    """Alice's node, bob's, who follows her, and the file of the notice that he has read."""
    alice = await world.start("alice")
    bob = await world.follower("bob", "alice")
    file = await post(alice)
    await world.reads("bob", "Look!")
    return alice, bob, file


@trio_test
async def test_bob_fetches_it_from_carol_while_alice_is_away(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await _carol_has_it(world)


async def _carol_has_it(world: World) -> None:
    alice = await world.start("alice")
    carol, bob = await world.follower("carol", "alice"), await world.follower("bob", "alice", "alice", "carol")
    file = await post(alice, thumb=SMALL)
    assert (file["name"], file["type"], file["size"]) == ("bees.jpg", "image/jpeg", len(PICTURE))
    assert file["alt"] == "Bees on a flower"
    await world.reads("carol", "Look!")
    await world.reads("bob", "Look!")
    (seen,) = (notice["media"] for notice in await bob.timeline() if notice["text"] == "Look!")
    assert seen == [file]
    assert await fetch(carol, file["hash"]) == PICTURE

    await world.kill("alice")
    assert (await bob.media(file["hash"][:10]))["state"] == "elsewhere"
    assert await fetch(bob, file["hash"]) == PICTURE
    here = await bob.media(file["hash"])
    assert (here["state"], here["held"], here["pieces"]) == ("here", len(PICTURE), 10)
    assert here["author"] == world.home("alice").address

    with pytest.raises(NotFound):  # carol never fetched the small one
        await fetch(bob, file["thumb"])
    await world.start("alice", "bob")
    assert await fetch(bob, file["thumb"]) == SMALL


@trio_test
async def test_what_has_come_outlives_a_start(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    on_want = Files.on_want

    def counted(self: Files, session: Session, message: WantTable | WantPiece) -> list[Effect]:
        if isinstance(message, WantPiece):
            asked.append(message.index)
        return on_want(self, session, message)

    monkeypatch.setattr(Files, "on_want", counted)
    async with open_world() as world:
        _, bob, file = await bob_reads_of_a_picture(world)
        document = await bob.media(file["hash"])
        while document["pieces"] < 3:
            document = await bob.fetch_media(file["hash"], document["pieces"])
        await world.kill("bob")

        bob = await world.start("bob", "alice")
        before = await bob.media(file["hash"])
        assert before["state"] == "partly"
        assert 3 <= before["pieces"] < 10
        asked.clear()
        assert await fetch(bob, file["hash"]) == PICTURE
        assert len(asked) == 10 - before["pieces"]


@trio_test
async def test_a_liars_piece_is_refused_and_fetched_elsewhere(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        mallory = await world.follower("mallory", "alice")
        bob = await world.follower("bob", "alice", "alice", "mallory")
        file = await post(alice)
        for reader in ("mallory", "bob"):
            await world.reads(reader, "Look!")
        assert await fetch(mallory, file["hash"]) == PICTURE

        async def lie(*_: object) -> bytes:
            return b"a lie"

        monkeypatch.setattr(world.home("mallory").blobs, "piece", lie)
        assert len(await bob.peers()) == 2
        assert await fetch(bob, file["hash"]) == PICTURE
        assert [peer["node"] for peer in await bob.peers()] == [world.home("alice").keyring.node.public.hex()]


@trio_test
async def test_nobody_has_it_or_nobody_answers(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        _, bob, file = await bob_reads_of_a_picture(world)
        monkeypatch.setattr(Files, "on_want", lambda *_: [])
        with pytest.raises(TimedOut):
            await fetch(bob, file["hash"])
        await world.kill("alice")
        with pytest.raises(NotFound):
            await fetch(bob, file["hash"])
        with pytest.raises(NotFound):
            await bob.media("0" * 64)
        with pytest.raises(UsageError):
            await bob.media("0")


@trio_test
async def test_where_the_disk_takes_nothing_it_is_said_and_what_is_fetched_goes_on_after(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_world() as world:
        alice, bob, file = await bob_reads_of_a_picture(world)
        store = world.home("bob").store
        append, store.append = store.append, full_disk  # type: ignore[method-assign, assignment]
        await alice.post("to a full disk")
        await trio.sleep(60)
        assert (await bob.status())["store"]["failing"] == "there is no room"
        with pytest.raises(UserError, match="can't be kept, there is no room"), trio.fail_after(60):
            await fetch(bob, file["hash"])
        assert [record.getMessage() for record in caplog.records if "storing" in record.getMessage()] == [
            "storing failed, trying again each 5 s: there is no room"
        ]
        store.append = append  # type: ignore[method-assign]
        await world.reads("bob", "to a full disk")
        assert (await bob.status())["store"]["failing"] is None
        assert await fetch(bob, file["hash"]) == PICTURE


async def full_disk(*args: object, **kwargs: object) -> None:
    raise StoreFull("there is no room")


@trio_test
async def test_a_deleted_notices_file_is_given_to_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, file = await bob_reads_of_a_picture(world)
        (notice,) = await alice.timeline()
        await alice.delete(notice["id"])
        with pytest.raises(NotFound):
            await alice.media(file["hash"])
        with pytest.raises(NotFound):
            await fetch(bob, file["hash"])


@trio_test
async def test_a_week_after_its_last_notice_went_a_file_goes_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, home = await world.start("alice"), world.home("alice")
        await post(alice)
        await alice.post("again", media=[{"upload": await hand_over(alice, PICTURE)}])
        other = await post(alice, b"another")
        again, *_ = (notice["id"] for notice in await alice.timeline() if notice["text"] == "again")
        (kept,) = (notice["id"] for notice in await alice.timeline() if notice["media"] == [other])
        notices = [notice["id"] for notice in await alice.timeline() if notice["id"] != kept]

        async def own_after(ms: int) -> int:
            home.skew_ms += ms
            await alice.drop_unreferred(WEEK_MS)
            return len(await home.blobs.own())

        await alice.delete(next(notice for notice in notices if notice != again))
        assert [await own_after(each) for each in (0, WEEK_MS, WEEK_MS)] == [2, 2, 2]  # one notice still has it
        await alice.delete(again)
        assert [await own_after(each) for each in (0, WEEK_MS - 10_000, 20_000)] == [2, 2, 1]
        assert (await alice.media(other["hash"]))["state"] == "here"


@trio_test
async def test_who_lies_of_a_file_keeps_nobody_from_it(autojump_clock: MockClock) -> None:
    """Carol, whom bob follows too, says again and again that alice's picture has one byte."""
    async with open_world() as world:
        carol, alice = await world.start("carol"), await world.start("alice")
        bob = await world.follower("bob", "carol", "carol", "alice")
        await carol.post("hello")
        await world.reads("bob", "hello")  # so that her log comes first in his store
        await bob.follow(world.home("alice").address)
        file = await post(alice)
        await world.reads("bob", "Look!")
        lied = Attachment(FileHash(bytes.fromhex(file["hash"])), "wasps.txt", "text/plain", 1)
        for number in range(REFERENCES_MAX):
            await world.home("carol").node._author.write(Note(f"no {number}", media=(lied,)))
        await world.reads("bob", f"no {REFERENCES_MAX - 1}")
        assert await fetch(bob, file["hash"]) == PICTURE


@trio_test
async def test_so_does_a_file_of_somebody_else(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, carol = await world.start("alice"), await world.start("carol", "alice")
        bob, home = await world.follower("bob", "alice", "alice", "carol"), world.home("bob")
        await bob.follow(world.home("carol").address)
        files = [await post(alice, PICTURE[:-number]) for number in (1, 2, 3)]
        await carol.post("Hers!", media=[{"upload": await hand_over(carol, PICTURE[:-1])}])
        await world.reads("bob", "Hers!")
        await world.reads("bob", *["Look!"] * 3)
        for file in files:
            await fetch(bob, file["hash"])
        kept, bookmarked, gone = (FileHash(bytes.fromhex(file["hash"])) for file in files)
        by_file = {notice["media"][0]["hash"]: notice["id"] for notice in await alice.timeline()}

        async def others_after(ms: int) -> list[FileHash]:
            home.skew_ms += ms
            await bob.drop_unreferred(WEEK_MS)
            return await home.blobs.others()

        await bob.bookmark(by_file[bookmarked.hex()])
        for file in (kept, gone):
            await alice.delete(by_file[file.hex()])
        await world.until("bob sees it", lambda: has_no_notice(bob, gone))
        await bob.unfollow(world.home("alice").address)
        everything, left = sorted([kept, bookmarked, gone]), sorted([kept, bookmarked])
        assert [await others_after(each) for each in (0, WEEK_MS - 10_000)] == [everything, everything]
        assert [await others_after(each) for each in (20_000, WEEK_MS)] == [left, left]  # carol's has the one
        assert await home.store.settings(UNREFERRED) == {}


@trio_test
async def test_the_week_begins_anew_for_a_file_that_went_or_has_a_notice_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, home = await world.start("alice"), world.home("alice")

        async def marked() -> int:
            home.skew_ms += WEEK_MS - 1_000
            await alice.drop_unreferred(WEEK_MS)
            return len(await home.store.settings(UNREFERRED))

        for _ in range(2):
            file = await post(alice)
            assert await marked() == 0
            (notice,) = await alice.timeline()
            await alice.delete(notice["id"])
            assert await marked() == 1
            assert len(await home.blobs.own()) == 1
        await home.blobs.drop(FileHash(bytes.fromhex(file["hash"])))
        assert await marked() == 0


@trio_test
async def test_a_file_that_a_waiting_notice_is_to_have_is_not_dropped(autojump_clock: MockClock) -> None:
    """It is posted again after its week, by a node that first waits for a neighbour who is away."""
    async with open_world() as world:
        alice, home = await world.start("alice"), world.home("alice")
        file = await post(alice)
        (notice,) = await alice.timeline()
        await alice.delete(notice["id"])
        await alice.drop_unreferred(WEEK_MS)
        await world.kill("alice")
        home.skew_ms += WEEK_MS + 1
        alice = await world.start("alice", "bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, alice)
            await world.until("the file is handed over", lambda: is_attached(world, file["hash"]))
            for _ in range(2):
                await alice.drop_unreferred(WEEK_MS)
            assert not await alice.timeline()
        assert (await alice.media(file["hash"]))["state"] == "here"
        await alice.delete((await alice.timeline())[0]["id"])
        home.skew_ms += WEEK_MS - 20_000  # counted from when it was posted again
        await alice.drop_unreferred(WEEK_MS)
        assert len(await home.blobs.own()) == 1
        home.skew_ms += 30_000
        await alice.drop_unreferred(WEEK_MS)
        assert await home.blobs.own() == []


async def is_attached(world: World, file: str) -> bool:
    return FileHash(bytes.fromhex(file)) in world.home("alice").node._attached


@trio_test
async def test_a_file_for_which_a_notice_comes_meanwhile_is_not_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob, home = await world.follower("bob", "alice"), world.home("bob")
        file = await post(alice)
        wanted = FileHash(bytes.fromhex(file["hash"]))
        await world.reads("bob", "Look!")
        await fetch(bob, file["hash"])
        await alice.delete((await alice.timeline())[0]["id"])
        await world.until("bob sees it", lambda: has_no_notice(bob, wanted))
        await bob.drop_unreferred(WEEK_MS)
        home.skew_ms += WEEK_MS + 1
        unreferred = home.store.unreferred

        async def and_then_it_has_one(files: Sequence[FileHash]) -> list[FileHash]:
            found = await unreferred(files)
            await post(alice)
            await world.reads("bob", "Look!")
            return found

        monkeypatch.setattr(home.store, "unreferred", and_then_it_has_one)
        await bob.drop_unreferred(WEEK_MS)
        assert await home.blobs.others() == [wanted]


@trio_test
async def test_what_is_being_fetched_is_not_dropped(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob, home = await world.follower("bob", "alice"), world.home("bob")
        file = await post(alice)
        wanted = FileHash(bytes.fromhex(file["hash"]))
        await world.reads("bob", "Look!")
        await bob.drop_unreferred(WEEK_MS)
        document = await bob.media(file["hash"])
        while document["pieces"] < 3:
            document = await bob.fetch_media(file["hash"], document["pieces"])
        monkeypatch.setattr(Files, "on_want", lambda *_: [])
        (notice,) = await alice.timeline()
        await alice.delete(notice["id"])
        await world.until("bob sees it", lambda: has_no_notice(bob, wanted))
        for _ in range(2):
            await bob.drop_unreferred(WEEK_MS)
            home.skew_ms += WEEK_MS + 1
        assert await home.blobs.others() == [wanted]
        await trio.sleep(120)  # the search ends
        await bob.drop_unreferred(WEEK_MS)
        assert await home.blobs.others() == []


async def has_no_notice(node: Node, file: FileHash) -> bool:
    try:
        await node.media(file.hex())
    except NotFound:
        return True
    return False


# --- what may be posted -----------------------------------------------------------------------------------------------


@trio_test
async def test_hostile_names_are_made_plain_and_types_are_what_the_bytes_say(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        file = await post(alice, b"MZ\x90\x00", name="../../\x1b[31mbees\u202egpj.exe")
        assert file["name"] == "[31mbeesgpj.exe"
        assert file["type"] == "application/octet-stream"
        assert (await post(alice, b"hello", name=""))["name"] == "file"


@trio_test
async def test_what_is_too_much_is_refused_one_over_the_limit(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")

        async def refused(text: str, **told: Any) -> bool:
            argument: Any = {"upload": await hand_over(alice, b"hello"), "name": "a", **told}
            try:
                await alice.post(text, media=[argument])
            except UsageError:
                return True
            return False

        assert not await refused("x", alt="x" * ALT_CHARACTERS_MAX)
        assert await refused("x", alt="x" * (ALT_CHARACTERS_MAX + 1))
        for over in (0, 1):
            emojis, left = divmod(NOTE_WITH_FILES_BYTES_MAX - 2 + over, 4)
            assert await refused("\U0001f41d" * emojis + "x" * left, alt="x") == bool(over)
            thumb = await hand_over(alice, bytes(THUMB_BYTES_MAX + over))
            assert await refused("x", thumb=thumb) == bool(over)
        argument: Any = {"upload": await hand_over(alice, b"hello")}
        await alice.post("x", media=[argument] * FILES_PER_NOTE_MAX)
        again: Any = {"upload": await hand_over(alice, b"hello")}
        with pytest.raises(UsageError):
            await alice.post("x", media=[again] * (FILES_PER_NOTE_MAX + 1))


@trio_test
async def test_uploads_have_limits_and_are_forgotten(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        largest = base64.b64encode(bytes(FILE_BYTES_MAX)).decode()
        assert (await alice.upload(largest))["size"] == FILE_BYTES_MAX
        upload = (await alice.upload(largest))["upload"]
        with pytest.raises(UsageError):
            await alice.upload("AA==", upload)
        with pytest.raises(UsageError, match="not here any more"):
            await alice.upload("AA==", upload)
        for nonsense in ("not base64!", "A", "AA==\n"):
            with pytest.raises(UsageError):
                await alice.upload(nonsense)

        first, touched = [await hand_over(alice, b"first") for _ in range(2)]
        for number in range(UPLOADS_MAX):
            if number == UPLOADS_MAX - 2:
                await alice.upload("AA==", touched)  # which has its turn to go after the others
            last = await hand_over(alice, b"last")
        for gone in (first, "never", ""):
            with pytest.raises(UsageError):
                await alice.post("x", media=[{"upload": gone}])
        await alice.post("x", media=[{"upload": last}, {"upload": touched}])
        with pytest.raises(UsageError):
            await alice.post("x", media=[{"upload": last}])
        empty = (await alice.upload(""))["upload"]
        with pytest.raises(UsageError):
            await alice.post("x", media=[{"upload": empty}])
