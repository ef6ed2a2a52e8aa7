"""Scenes of own logs that leave a node and come back, and of notices that were first written elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from builders import NOON, key_pair, person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.config import TIME_MS_MAX
from p2pblog.core import archive, codec
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.runs import encode_run
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, NotPermitted, StoreDamaged, UsageError, UserError
from p2pblog.gossip.holdings import Holdings
from p2pblog.node import Node
from p2pblog.store import Contents
from p2pblog.store.memory import MemoryStore

YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def runs_of(node: Node) -> list[str]:
    """All that an export of a node takes out."""
    found = []
    for log in (await node.export_logs())["logs"]:
        first: int | None = 1
        while first is not None:
            piece = await node.export_run(log["device"], first)
            found += [piece["run"]] if piece["run"] is not None else []
            first = piece["next"]
    return found


def wire(*entries: object) -> str:
    return codec.pack(encode_run(entries)).hex()  # type: ignore[arg-type]


async def take_back(node: Node, identity: str, runs: list[str]) -> int:
    """What an import brings in; gives how many entries were new."""
    await node.import_identity(identity)
    return sum([(await node.import_run(run))["new"] for run in runs])


async def told(world: World) -> tuple[str, list[str]]:
    """Alice posts, deletes, and is taken out."""
    alice = await world.start("alice")
    for number in range(70):
        await alice.post(f"notice {number}")
    gone = await alice.post("not for long")
    await alice.delete(gone["id"])
    logs = await alice.export_logs()
    assert logs["address"] == person("alice").address
    assert [log["entries"] for log in logs["logs"]] == [74]
    return logs["identity"], await runs_of(alice)


@trio_test
async def test_a_lost_store_comes_back_and_reaches_followers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        identity, runs = await told(world)
        await world.kill("alice")
        world.home("alice").store = MemoryStore()
        world.home("alice").keyring = replace(world.home("alice").keyring, device=key_pair("alice/another"))
        alice = await world.start("alice")
        await world.follower("bob", "alice")

        assert await take_back(alice, identity, runs) == 74
        assert await take_back(alice, identity, runs) == 0
        rows = await alice.timeline(limit=100)
        assert [row["text"] for row in rows] == [f"notice {number}" for number in reversed(range(70))]
        await trio.sleep(1)  # of the virtual clock, so that it stands above
        await alice.post("on with it")
        await world.reads("bob", "on with it", "notice 69", "notice 0")


class HoledStore(MemoryStore):
    """A store in which what lies around number 70 of a log, up to the next checkpoint, can't be read."""

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        if 65 <= first <= 70:
            raise StoreDamaged("the database is damaged")
        if 70 < first <= 128:
            return []
        return await super().run(device, first, min(last, 64) if first <= 64 else last, bytes_max)


@trio_test
async def test_what_is_damaged_is_left_out_and_the_rest_taken_out_and_taken_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.home("alice").store = HoledStore()
        alice = await world.start("alice")
        for number in range(138):
            await alice.post(f"notice {number}")
        identity, runs = (await alice.export_logs())["identity"], await runs_of(alice)
        seqs = [entry.seq for run in runs for entry in archive.read_run(bytes.fromhex(run))]
        assert seqs == [*range(1, 65), *range(129, 141)]
        await world.kill("alice")
        world.home("alice").store = MemoryStore()
        world.home("alice").keyring = replace(world.home("alice").keyring, device=key_pair("alice/another"))
        alice = await world.start("alice")
        assert await take_back(alice, identity, runs) == 76


class CutStore(MemoryStore):
    """A store of which no log can be read at a start."""

    async def load(self) -> Contents:
        loaded = await super().load()
        cut = tuple(state.device for state in loaded.logs)
        return replace(loaded, logs=(), damaged=cut)


@trio_test
async def test_what_can_not_be_read_of_a_log_counts_as_what_should_be_there(autojump_clock: MockClock) -> None:
    """Else an export says that it is whole: no run of it is asked for."""
    async with open_world() as world:
        world.home("alice").store = CutStore()
        alice = await world.start("alice")
        device = (await alice.post("mine"), world.home("alice").keyring.device.public.hex())[1]
        await world.kill("alice")
        alice = await world.start("alice")
        assert {"device": device, "entries": 3} in (await alice.export_logs())["logs"]
        assert await alice.export_run(device, 1) == {"run": None, "next": None}


class UnwritableStore(MemoryStore):
    """A store whose last page is damaged: whatever is new would stand there."""

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        raise StoreDamaged("the database is damaged")


@trio_test
async def test_a_node_that_can_write_nothing_starts_all_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.home("alice").store = UnwritableStore()
        alice = await world.start("alice")
        assert (await alice.export_logs())["logs"] == []
        with pytest.raises(StoreDamaged):
            await alice.post("nowhere to be kept")


@trio_test
async def test_what_is_here_already_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        identity, runs = await told(world)
        alice = world.home("alice").node
        before = await alice.id()
        assert await take_back(alice, identity, runs) == 0
        written = await alice.post("same log")
        assert (written["device"], written["seq"]) == (before["device"], 75)


@trio_test
async def test_an_archive_that_knows_more_of_the_log_in_use_ends_it(autojump_clock: MockClock) -> None:
    """The home was put back from yesterday, and the archive is of today: no number may be signed twice."""
    async with open_world() as world:
        alice = await world.start("alice")
        await alice.post("yesterday")
        yesterday = world.home("alice").store.copy()
        last = await alice.post("today")
        identity, runs = (await alice.export_logs())["identity"], await runs_of(alice)
        await world.kill("alice")
        world.home("alice").store = yesterday
        alice = await world.start("alice")

        assert await take_back(alice, identity, runs) == 1
        written = await alice.post("tomorrow")
        assert written["device"] != last["device"]
        assert [row["text"] for row in await alice.timeline()] == ["tomorrow", "today", "yesterday"]


@trio_test
async def test_an_archive_of_another_history_makes_the_log_disputed(autojump_clock: MockClock) -> None:
    """As if a peer had sent it: both histories are signed, so we must not add to either, and others are to know."""
    async with open_world() as world:
        alice = await world.start("alice")
        before = (await alice.post("this history"))["device"]
        bob = await world.follower("bob", "alice")
        await world.reads("bob", "this history")
        other = person("alice")
        other.log.note("another history")
        other.log.note("that goes on")
        tablet = other.add_device("tablet")
        tablet.note("from the tablet")

        runs = [wire(*log.run()) for log in (other.log, tablet)]
        assert await take_back(alice, other.identity.wire.hex(), runs) == 2
        assert (await alice.import_run(runs[0])) == {"entries": 3, "new": 0, "refused": 3}
        assert (await alice.post("and on"))["device"] != before
        await world.reads("bob", "and on")
        await world.reads("bob", "from the tablet")
        for name in ("alice", "bob"):
            assert world.home(name).parts.driver.machine.holdings.is_frozen(person("alice").key)  # type: ignore[union-attr]
        assert {row["text"] for row in await bob.timeline()} == {"this history", "from the tablet", "and on"}


@trio_test
async def test_everybody_hears_of_another_history_whether_a_new_key_can_be_kept_or_not(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        before = (await alice.post("this history"))["device"]
        bob = await world.follower("bob", "alice")
        await world.reads("bob", "this history")
        other = person("alice")
        other.log.note("another history")
        world.home("alice").keeps_keys = False

        assert (await alice.import_run(wire(*other.log.run())))["refused"] == 2
        holdings = world.home("bob").parts.driver.machine.holdings  # type: ignore[union-attr]

        async def is_known() -> bool:
            return holdings.is_frozen(other.key)

        await world.until("bob hears of both histories", is_known)
        with pytest.raises(UserError, match="key file cannot be written"):
            await alice.post("not yet")
        world.home("alice").keeps_keys = True
        assert (await alice.post("and on"))["device"] != before
        await world.reads("bob", "and on")
        assert {row["text"] for row in await bob.timeline()} == {"this history", "and on"}


@trio_test
async def test_another_history_that_proves_nothing_ends_the_log_in_use_too(autojump_clock: MockClock) -> None:
    """Of ours too little is held to show where they part, and one of them goes on elsewhere for sure."""
    async with open_world() as world:
        before = person("alice")
        for number in range(9):
            before.log.note(f"notice {number}")
        home = world.home("alice")
        await home.store.put_identity(before.identity)
        await home.store.append([Batch(before.hash, before.log.run(5, 10))], NOON)
        alice = await world.start("alice")
        other = person("alice")
        for number in range(3):
            other.log.note(f"another {number}")

        assert await alice.import_run(wire(*other.log.run())) == {"entries": 4, "new": 0, "refused": 4}
        assert (await alice.post("and on"))["device"] != before.key.hex()
        assert not home.parts.driver.machine.holdings.is_frozen(before.key)  # type: ignore[union-attr]


@trio_test
async def test_only_ones_own_is_taken(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob, stranger = person("bob"), person("alice").add_device("never told of")
        with pytest.raises(NotPermitted, match=bob.address):
            await alice.import_identity(bob.identity.wire.hex())
        for run in (bob.log.run(), stranger.run()):
            with pytest.raises(UserError, match="does not state"):
                await alice.import_run(wire(*run))
        forged = person("alice")
        forged.log.note("forged")
        data = codec.pack(encode_run(forged.log.run())).replace(b"forged", b"FORGED")
        with pytest.raises(UserError, match="bad-signature"):
            await alice.import_run(data.hex())
        for junk in ("", "c1", "96"):
            with pytest.raises(UserError, match="refused"):
                await alice.import_run(junk)
            with pytest.raises(UserError, match="refused"):
                await alice.import_identity(junk)
        for call in (alice.import_run, alice.import_identity):
            with pytest.raises(UsageError, match="hexadecimal"):
                await call("xyz")
        with pytest.raises(NotFound):
            await alice.export_run(bob.key.hex(), 1)
        with pytest.raises(UsageError, match="hexadecimal"):
            await alice.export_run("device", 1)
        assert (await alice.status())["entries"] == 2


@trio_test
async def test_a_device_that_only_the_archive_knows(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        before = person("alice")
        tablet = before.add_device("tablet")
        tablet.note("from the tablet")
        assert await take_back(alice, before.identity.wire.hex(), [wire(*tablet.run())]) == 2
        assert [row["text"] for row in await alice.timeline()] == ["from the tablet"]
        assert len((await alice.export_logs())["logs"]) == 2


@trio_test
async def test_a_node_says_which_devices_its_identity_has(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, before = await world.start("alice"), person("alice")

        async def devices() -> list[tuple[str, int, bool, bool]]:
            rows = (await alice.status())["devices"]
            return [(row["device"], row["entries"], row["here"], row["retired"]) for row in rows]

        here = (await alice.id())["device"]
        assert await devices() == [(here, 2, True, False)]
        others = [before.add_device(name) for name in ("tablet", "phone", "laptop")]
        others[0].note("from the tablet")
        await take_back(alice, before.identity.wire.hex(), [wire(*others[0].run())])
        keys = [each.key.hex() for each in others]
        more = [(key, 2 if key == keys[0] else 0, False, False) for key in sorted(keys)]
        assert await devices() == [(here, 2, True, False), *more]

        before.retire(others[1].key, 0, None)
        await alice.import_identity(before.identity.wire.hex())
        assert [row[0] for row in await devices() if row[3]] == [keys[1]]


@trio_test
async def test_a_payload_that_was_missing_comes_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        before = person("alice")
        tablet = before.add_device("tablet")
        tablet.note("lost")
        tablet.note("kept")
        run = list(tablet.run())
        home = world.home("alice")
        await home.store.put_identity(before.identity)
        await home.store.append([Batch(before.hash, (run[0], run[1].without_payload(), run[2]))], NOON)
        alice = await world.start("alice")
        assert [row["text"] for row in await alice.timeline()] == ["kept"]
        taken_out = [piece for piece in await runs_of(alice) if tablet.key.hex() in piece]

        assert (await alice.import_run(taken_out[0]))["new"] == 0
        assert (await alice.import_run(wire(*run)))["new"] == 1
        assert (await alice.import_run(wire(*run)))["new"] == 0
        assert [row["text"] for row in await alice.timeline()] == ["kept", "lost"]


@trio_test
async def test_a_log_with_holes_is_taken_out_in_pieces(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        before = person("alice")
        tablet = before.add_device("tablet")
        for number in range(200):
            tablet.note(f"{number}")
        home = world.home("alice")
        await home.store.put_identity(before.identity)
        batches = [Batch(before.hash, tablet.run(1, 3)), Batch(before.hash, tablet.run(60, 150))]
        await home.store.append(batches, NOON)
        alice = await world.start("alice")
        pieces = [archive.read_run(bytes.fromhex(run)) for run in await runs_of(alice)]
        held = [entry.seq for piece in pieces for entry in piece if entry.device == tablet.key]
        assert held == [*range(1, 4), *range(60, 151)]
        assert await alice.export_run(tablet.key.hex(), 151) == {"run": None, "next": None}


@trio_test
async def test_a_disputed_log_takes_nothing_more(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        before = person("alice")
        tablet = before.add_device("tablet")
        tablet.note("one")
        await take_back(alice, before.identity.wire.hex(), [wire(*tablet.run())])
        monkeypatch.setattr(Holdings, "is_frozen", lambda _, device: device == tablet.key)
        tablet.note("two")
        assert await alice.import_run(wire(*tablet.run())) == {"entries": 3, "new": 0, "refused": 3}


@trio_test
async def test_imported_notices_say_when_they_were_first_written(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        old = await alice.import_note("long ago", NOON - YEAR_MS, cw="the end", lang="en")
        answer = await alice.import_note("and more", NOON - YEAR_MS + 1, reply_to=old["id"])
        await alice.boost(old["id"])
        await alice.post("now")
        await world.reads("bob", "now", "long ago", "and more", "long ago")
        rows = await world.home("bob").node.timeline()
        assert [row["imported_time"] for row in rows] == [None, NOON - YEAR_MS, NOON - YEAR_MS + 1, NOON - YEAR_MS]
        assert all(row["time"] >= NOON for row in rows)
        assert (rows[3]["cw"], rows[3]["lang"]) == ("the end", "en")
        assert rows[2]["reply_to"] == old["id"]
        assert rows[2]["id"] == answer["id"]
        for time_ms, is_one in ((-1, False), (0, True), (TIME_MS_MAX, True), (TIME_MS_MAX + 1, False)):
            if is_one:
                await alice.import_note("at the limit", time_ms)
            else:
                with pytest.raises(UsageError, match="outside the limits"):
                    await alice.import_note("beyond", time_ms)
        with pytest.raises(UsageError):
            await alice.import_note("  ", NOON)
        assert DeviceKey(bytes.fromhex(old["device"])) == person("alice").key
