"""Alice's commands reach her node over a real Unix socket, and nothing that they send ends it."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from busy_node import busy_node
from fake_node import ALICE, BOB, MORE_CALLS, FakeNode, failing
from questions import ask, ask_raw, posted, until
from trio.testing import trio_test

from p2pblog import config
from p2pblog.config import (
    CONTROL_BODY_BYTES_MAX,
    CONTROL_CONNECTIONS_MAX,
    CONTROL_RUN_BYTES_MAX,
    CONTROL_WATCHES_MAX,
    SEQ_MAX,
    TIME_MS_MAX,
)
from p2pblog.control import api, client, documents, routes, server
from p2pblog.errors import USER_ERRORS, StoreFull, UsageError, UserError
from p2pblog.home import Home

Served = Callable[..., Any]


# --- the contract -----------------------------------------------------------------------------------------------------


def test_routes_and_the_node_take_the_same_arguments() -> None:
    methods = {name: method for name, method in vars(api.NodeApi).items() if inspect.isfunction(method)}
    methods = {name: method for name, method in methods.items() if not name.startswith("_")}

    assert set(routes.ROUTES) == set(methods)
    assert set(config.CONTROL_WRITES) < set(routes.ROUTES)
    for name, arguments in routes.ROUTES.items():
        parameters = dict(list(inspect.signature(methods[name]).parameters.items())[1:])
        assert list(parameters) == list(arguments), name
        for argument, kind in arguments.items():
            required = parameters[argument].default is inspect.Parameter.empty
            assert required == (kind in routes.REQUIRED), (name, argument)


CALLS: dict[str, tuple[dict[str, Any], type]] = {
    "id": ({}, documents.IdDocument),
    "status": ({}, documents.StatusDocument),
    "post": ({"text": "hello"}, documents.WrittenDocument),
    "edit": ({"notice": "5feceb66", "text": "other"}, documents.WrittenDocument),
    "quote": ({"notice": "5feceb66", "text": "look"}, documents.WrittenDocument),
    "versions": ({"notice": "5feceb66"}, documents.VersionDocument),
    "notifications": ({"unread": True}, documents.NotificationDocument),
    "read_notifications": ({}, documents.ReadDocument),
    "vote": ({"notice": "5feceb66", "choice": 2}, documents.WrittenDocument),
    "upload": ({"data": "aGVsbG8="}, documents.UploadDocument),
    "media": ({"file": "HASH"}, documents.MediaDocument),
    "fetch_media": ({"file": "HASH", "known": 0}, documents.MediaDocument),
    "media_piece": ({"file": "HASH", "index": 0}, documents.PieceDocument),
    "boost": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "like": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "dm": ({"to": ["c" * 56], "text": "hello"}, documents.WrittenDocument),
    "dms": ({"limit": 5}, documents.DmDocument),
    "bookmark": ({"notice": "5feceb66"}, documents.BookmarkDocument),
    "bookmarks": ({}, documents.NoticeDocument),
    "unbookmark": ({"notice": "5feceb66"}, documents.BookmarkDocument),
    "unlike": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "unboost": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "pin": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "unpin": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "delete": ({"notice": "5feceb66"}, documents.WrittenDocument),
    "profile": ({"name": "alice", "bio": None}, documents.ProfileDocument),
    "follow": ({"address": ALICE, "petname": "me"}, documents.FollowDocument),
    "unfollow": ({"address": "carol"}, documents.FollowDocument),
    "following": ({}, documents.FollowDocument),
    "mute": ({"tag": "bees", "lasting": "7d"}, documents.MuteDocument),
    "muted": ({}, documents.MuteDocument),
    "unmute": ({"word": "spoiler"}, documents.MuteDocument),
    "block": ({"address": BOB}, documents.NewBlockDocument),
    "blocked": ({}, documents.BlockDocument),
    "unblock": ({"address": "d" * 56}, documents.BlockDocument),
    **MORE_CALLS,
    "why": ({"notice": "5feceb66"}, documents.WhyDocument),
    "invite": ({}, documents.InviteDocument),
    "lists": ({}, documents.ListDocument),
    "create_list": ({"name": "tea"}, documents.ListDocument),
    "add_to_list": ({"name": "tea", "addresses": [ALICE]}, documents.ListDocument),
    "remove_from_list": ({"name": "tea", "addresses": []}, documents.ListDocument),
    "show_list": ({"name": "tea"}, documents.ListMembersDocument),
    "delete_list": ({"name": "tea"}, documents.ListDocument),
    "join_group": ({"name": "birds"}, documents.GroupDocument),
    "groups": ({}, documents.GroupDocument),
    "leave_group": ({"name": "birds"}, documents.GroupDocument),
    "timeline": ({"limit": 5}, documents.NoticeDocument),
    "search": ({"query": "hello"}, documents.SearchDocument),
    "show": ({"notice": "5feceb66"}, documents.NoticeDocument),
    "thread": ({"notice": "5feceb66"}, documents.ThreadDocument),
    "peers": ({}, documents.PeerDocument),
    "add_peer": ({"endpoint": "127.0.0.1:4711"}, documents.PeerDocument),
    "entry": ({"entry": "5feceb66"}, documents.EntryDocument),
    "export_logs": ({}, documents.LogsDocument),
    "export_run": ({"device": "d" * 64, "first": 1}, documents.RunDocument),
    "import_identity": ({"identity": "92"}, documents.TakenDocument),
    "import_run": ({"run": "96"}, documents.TakenDocument),
    "import_file": ({"file": "5f" * 32, "upload": "upload 0"}, documents.FileTakenDocument),
    "import_note": ({"text": "hello", "time": 0}, documents.WrittenDocument),
}


@trio_test
async def test_every_route_answers_its_document(home: Home, served: Served) -> None:
    assert set(CALLS) == set(routes.ROUTES) - {"watch"}
    for route, (arguments, shape) in CALLS.items():
        node, file = await busy_node()
        arguments = {name: file if value == "HASH" else value for name, value in arguments.items()}
        async with served(home, node):
            answer = await ask(home, route, **arguments)
        rows = answer if isinstance(answer, list) else [answer]
        assert rows, route
        for row in rows:
            assert list(row) == list(shape.__annotations__), route


@trio_test
async def test_every_user_error_arrives_as_it_was_raised(home: Home, served: Served) -> None:
    for code, kind in USER_ERRORS.items():
        node = FakeNode()
        node.faults["status"] = kind(f"sentence {code}", f"p2pblog hint {code}")
        async with served(home, node):
            with pytest.raises(UserError) as caught:
                await ask(home, "status")
        assert type(caught.value) is kind
        assert (caught.value.sentence, caught.value.hint) == (f"sentence {code}", f"p2pblog hint {code}")


@trio_test
async def test_an_error_out_of_a_nursery_and_one_of_the_store_are_told(home: Home, served: Served) -> None:
    node = FakeNode()
    node.faults["status"] = ExceptionGroup("nursery", [ExceptionGroup("nursery", [UsageError("mistyped")])])
    node.faults["peers"] = StoreFull("no room on the disk for store.sqlite3")
    async with served(home, node):
        with pytest.raises(UsageError, match="mistyped"):
            await ask(home, "status")
        with pytest.raises(UserError, match="no room on the disk"):
            await ask(home, "peers")


@trio_test
async def test_a_bug_is_a_clean_answer_and_a_line_in_the_log(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "p2pblog.control"):
        async with served(home, failing("status")) as path:
            raw = await ask_raw(path, posted("status", b"{}"))
            with pytest.raises(UserError, match="internal error"):
                await ask(home, "status")
            assert (await ask(home, "id"))["address"] == ALICE  # and the daemon goes on

    assert raw.startswith(b"HTTP/1.1 500")
    assert b"secret" not in raw
    assert b"Traceback" not in raw
    assert "a secret of the inside" in caplog.text


# --- requests that no client of ours sends ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["text"]', "not a JSON object"),
        (b"{}", "text must be text"),
        (b'{"text": 5}', "text must be text"),
        (b'{"text": null}', "text must be text"),
        (b'{"text": "\\ud800"}', "not valid UTF-8"),
        (b'{"text": "a", "reply_to": []}', "reply_to must be text, or null"),
        (b'{"text": "a", "colour": "red"}', "post takes no 'colour'"),
        (b'{"text": "a", "\\u001b[2J": 1}', "post takes no '\\\\x1b[2J'"),
    ],
)
@trio_test
async def test_a_request_out_of_shape_is_refused(home: Home, served: Served, body: bytes, sentence: str) -> None:
    node = FakeNode()
    async with served(home, node) as path:
        raw = await ask_raw(path, posted("post", body))

    head, _, answer = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    document = json.loads(answer)
    assert document["exit_code"] == 2
    assert sentence in json.dumps(document, ensure_ascii=True)
    assert node.calls == []


@pytest.mark.parametrize("to", ["null", '"bob"', "[5]", '["bob", null]', '{"bob": 1}', '["\\ud800"]'])
@trio_test
async def test_recipients_that_are_no_list_of_texts_are_refused(home: Home, served: Served, to: str) -> None:
    node = FakeNode()
    async with served(home, node) as path:
        raw = await ask_raw(path, posted("dm", f'{{"text": "hi", "to": {to}}}'.encode()))
    assert b"to must be a list of texts" in raw or b"the to is not valid UTF-8" in raw
    assert node.calls == []


@pytest.mark.parametrize("limit", ["0", "1001", "true", "1.5", '"5"', "1e3", "-1"])
@trio_test
async def test_a_limit_out_of_bounds_is_refused(home: Home, served: Served, limit: str) -> None:
    async with served(home, FakeNode()) as path:
        raw = await ask_raw(path, posted("timeline", f'{{"limit": {limit}}}'.encode()))
    assert b"limit must be a number from 1 to 1,000" in raw


@pytest.mark.parametrize(
    ("route", "body", "sentence"),
    [
        ("media_piece", {"file": "ab", "index": SEQ_MAX + 1}, "index must be a number from 0 on"),
        ("media_piece", {"file": "ab", "index": -1}, "index must be a number from 0 on"),
        ("import_note", {"text": "a", "time": TIME_MS_MAX + 1}, "time must be a whole number"),
        ("import_note", {"text": "a", "time": True}, "time must be a whole number"),
        ("post", {"text": "a", "media": [{"upload": "b", "colour": "red"}]}, "media must be a list of uploads"),
        ("post", {"text": "a", "media": [{"name": "b"}]}, "media must be a list of uploads"),
    ],
)
@trio_test
async def test_numbers_and_files_out_of_shape_are_refused(
    home: Home, served: Served, route: str, body: dict[str, object], sentence: str
) -> None:
    node = FakeNode()
    async with served(home, node) as path:
        raw = await ask_raw(path, posted(route, json.dumps(body).encode()))
    assert sentence.encode() in raw and node.calls == []


@trio_test
async def test_absent_arguments_are_left_to_the_node(home: Home, served: Served) -> None:
    node = FakeNode()
    async with served(home, node) as path:
        await ask_raw(path, posted("timeline", b'{"before": null}'))
    assert node.calls == [("timeline", {"limit": 20, "before": None, "author": None, "tag": None, "of_list": None})]


@trio_test
async def test_too_large_a_request_is_refused_before_it_is_all_here(home: Home, served: Served) -> None:
    async with served(home, FakeNode()) as path:
        head = f"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
        raw = await ask_raw(path, head.encode() + b"x" * (CONTROL_BODY_BYTES_MAX + 1))
    assert b'"exit_code":2' in raw
    assert b"over 262,144 bytes" in raw


@pytest.mark.parametrize("over", [-1, 0, 1])
@trio_test
async def test_a_run_that_is_imported_may_be_larger(home: Home, served: Served, over: int) -> None:
    head, tail = b'{"run": "', b'"}'
    body = head + b"0" * (CONTROL_RUN_BYTES_MAX + over - len(head) - len(tail)) + tail
    async with served(home, FakeNode()) as path:
        raw = await ask_raw(path, posted("import_run", body))
    assert (b"over 5,242,880 bytes" in raw) == (over > 0)
    assert (b'"new":2' in raw) == (over <= 0)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (posted("nothing", b"{}"), b"404"),
        (b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
        (posted("../status", b"{}"), b"404"),
        (b"\x00\x01\x02\r\n\r\n", b"400"),
        (b"POST /status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"431"),
    ],
)
@trio_test
async def test_what_is_no_command_gets_an_answer_too(
    home: Home, served: Served, request_: bytes, status: bytes
) -> None:
    async with served(home, FakeNode()) as path:
        raw = await ask_raw(path, request_)
        assert raw.startswith(b"HTTP/1.1 " + status)
        assert (await ask(home, "id"))["address"] == ALICE


@pytest.mark.parametrize("half", [b"", b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"])
@trio_test
async def test_half_a_request_holds_its_place_for_a_while_only(
    home: Home, served: Served, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    monkeypatch.setattr(server, "CONTROL_BODY_TIMEOUT_S", 0.05)
    async with served(home, FakeNode()) as path:
        raw = await ask_raw(path, half)
    assert raw.startswith(b"HTTP/1.1 504")


@trio_test
async def test_one_command_too_many_is_told_to_come_back(home: Home, served: Served) -> None:
    node = FakeNode()
    node.gate = trio.Event()
    async with served(home, node) as path, trio.open_nursery() as nursery:
        for _ in range(CONTROL_CONNECTIONS_MAX):
            nursery.start_soon(ask_raw, path, posted("status", b"{}"))
        await until(lambda: len(node.calls) == CONTROL_CONNECTIONS_MAX)

        with pytest.raises(UserError, match="busy"):
            await ask(home, "id")
        node.gate.set()

    assert len(node.calls) == CONTROL_CONNECTIONS_MAX


# --- live timelines ---------------------------------------------------------------------------------------------------


def listen(home: Home, count: int, ready: Callable[[], object]) -> list[Any]:
    """In a thread: so many live notices, as the command line reads them."""
    with client.watch(home) as notices:
        ready()
        return [next(notices) for _ in range(count)]


@trio_test
async def test_a_notice_is_read_at_once_by_who_watches(home: Home, served: Served) -> None:
    node = FakeNode()
    async with served(home, node):
        ready = partial(trio.from_thread.run_sync, partial(node.add, text="fresh"))
        got = await trio.to_thread.run_sync(listen, home, 1, ready)
        assert [notice["text"] for notice in got] == ["fresh"]
        await until(lambda: node.watching == 0)  # the client went, and the node was told


@trio_test
async def test_who_closes_his_sending_side_only_goes_on_listening(
    home: Home, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `nc -N` does. When he goes then his place is free again, though nothing comes."""
    monkeypatch.setattr(server, "DEAF_CHECK_S", 0.01)
    node = FakeNode()
    async with served(home, node) as path:
        stream = await trio.open_unix_socket(path)
        await stream.send_all(posted("watch", b"{}"))
        await stream.send_eof()
        await until(lambda: node.watching == 1)
        for text in ("first", "second"):
            node.add(text=text)
            heard = b""
            while text.encode() not in heard:
                heard += (more := await stream.receive_some())
                assert more, "the timeline ended"
        await stream.aclose()
        await until(lambda: node.watching == 0)


@trio_test
async def test_an_error_ends_a_live_timeline_as_a_sentence(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node = FakeNode()
    async with served(home, node):
        for fault, sentence in ((UsageError("mistyped"), "mistyped"), (KeyError("inside"), "internal error")):
            ready = partial(trio.from_thread.run_sync, lambda f=fault: node.watchers[0].send_nowait({"fault": f}))
            with pytest.raises(UserError, match=sentence):
                await trio.to_thread.run_sync(listen, home, 1, ready)
        assert (await ask(home, "id"))["address"] == ALICE
    assert [record.getMessage() for record in caplog.records] == ["internal error in watch"]


@trio_test
async def test_live_timelines_leave_room_for_commands(home: Home, served: Served) -> None:
    node = FakeNode()
    async with served(home, node) as path, trio.open_nursery() as nursery:
        for _ in range(CONTROL_WATCHES_MAX):
            nursery.start_soon(ask_raw, path, posted("watch", b"{}"))
        await until(lambda: node.watching == CONTROL_WATCHES_MAX)

        with pytest.raises(UserError, match="live timelines are open"):
            await trio.to_thread.run_sync(listen, home, 1, lambda: None)
        assert (await ask(home, "id"))["address"] == ALICE

        nursery.cancel_scope.cancel()
    assert node.watching == 0


async def stall(path: Path, node: FakeNode) -> trio.SocketStream:
    """A reader stopped in a pager: it asked for a live timeline, and more waits for it than the socket holds."""
    stream = await trio.open_unix_socket(path)
    await stream.send_all(posted("watch", b"{}"))
    await until(lambda: node.watching == 1)
    for _ in range(90):
        node.add(text="x" * 15_000)
    return stream


@trio_test
async def test_a_stalled_reader_does_not_keep_the_daemon_from_stopping(home: Home, served: Served) -> None:
    node = FakeNode()
    with trio.fail_after(5):
        async with served(home, node) as path:
            stream = await stall(path, node)
            await trio.testing.wait_all_tasks_blocked(0.05)
    assert node.watching == 0
    await stream.aclose()


@trio_test
async def test_a_stalled_reader_is_given_up(home: Home, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONTROL_WRITE_TIMEOUT_S", 0.05)
    node = FakeNode()
    async with served(home, node) as path:
        stream = await stall(path, node)
        await until(lambda: node.watching == 0)
        await stream.aclose()


def pause(home: Home, stalled: Callable[[], object]) -> list[Any]:
    """In a thread: a reader that goes on when it is too late."""
    with client.watch(home) as notices:
        stalled()
        return list(notices)


@trio_test
async def test_a_reader_that_was_given_up_is_told_so(
    home: Home, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONTROL_WRITE_TIMEOUT_S", 0.05)
    node = FakeNode()

    async def stall() -> None:
        for _ in range(90):
            node.add(text="x" * 15_000)
        await until(lambda: node.watching == 0)

    async with served(home, node):
        with pytest.raises(UserError, match="was not read for 30 seconds, so it ended") as caught:
            await trio.to_thread.run_sync(pause, home, partial(trio.from_thread.run, stall))
    assert (caught.value.exit_code, caught.value.hint) == (1, "p2pblog timeline")


@trio_test
async def test_many_commands_one_after_the_other_find_room(home: Home, served: Served) -> None:
    async with served(home, FakeNode()):
        for _ in range(2 * CONTROL_CONNECTIONS_MAX):
            await ask(home, "status")
