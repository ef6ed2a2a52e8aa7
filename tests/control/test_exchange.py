"""The daemon's HTTP: what other clients than ours may send, and clients that go away."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
from fake_node import ALICE, FakeNode
from questions import ask, ask_raw, posted, until
from trio.testing import trio_test

from p2pblog.errors import UsageError
from p2pblog.home import Home

Served = Callable[..., Any]


@trio_test
async def test_what_http_asks_of_a_server_is_answered(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = posted("status", b"{}").replace(b"Connection", b"Expect: 100-continue\r\nConnection")
    chunks = b"POST /id HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    async with served(home, FakeNode()) as path:
        assert (await ask_raw(path, waiting)).startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 ")
        assert ALICE.encode() in await ask_raw(path, chunks)
        head = await ask_raw(path, b"HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ") and b"\r\nallow: POST\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        two = await ask_raw(path, 2 * posted("status", b"{}"))
        assert two.count(b"HTTP/1.1 200 ") == 1  # one request a connection
    assert caplog.text == ""


@pytest.mark.parametrize("sent", [b"", b"POST /sta", b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"])
@trio_test
async def test_a_client_that_goes_before_it_has_asked_is_no_matter(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    node = FakeNode()
    async with served(home, node) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(sent)
        assert (await ask(home, "id"))["address"] == ALICE
    assert [route for route, _ in node.calls] == ["id"]
    assert caplog.text == ""


class WaitingNode(FakeNode):
    """It waits for others before it writes, as after a start; and then it writes, whoever has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.compared, self.on_disk = trio.Event(), trio.Event()
        self.is_writing = self.gave_up = False

    async def post(self, *args: Any, **more: Any) -> dict[str, Any]:
        try:
            self.calls.append(("post", more))
            await self.compared.wait()
        except trio.Cancelled:
            self.gave_up = True
            raise
        with trio.CancelScope(shield=True):
            self.is_writing = True
            await self.on_disk.wait()
            return await super().post(*args, **more)


@trio_test
async def test_what_is_not_written_yet_is_not_wanted_any_more_when_its_client_goes(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node = WaitingNode()
    async with served(home, node) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(posted("post", b'{"text": "hello"}'))
            await until(lambda: len(node.calls) == 1)
        await until(lambda: node.gave_up)
        node.compared.set()
        node.on_disk.set()
        await ask(home, "post", text="hello")  # as a person does then
    assert [notice["text"] for notice in node.notices] == ["hello"]
    assert caplog.text == ""


@trio_test
async def test_what_its_client_left_before_the_node_got_to_it_is_not_wanted(home: Home, served: Served) -> None:
    """The node was stopped meanwhile: the request and the end of it wait on the socket together."""
    node = FakeNode()
    async with served(home, node) as path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:  # no turn for the node before it is closed
            client.connect(os.fspath(path))
            client.sendall(posted("post", b'{"text": "hello"}'))
        assert (await ask(home, "id"))["address"] == ALICE
    assert [route for route, _ in node.calls] == ["id"]
    assert node.notices == []


@trio_test
async def test_what_is_being_written_is_written_when_its_client_goes(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node = WaitingNode()
    node.compared.set()
    async with served(home, node) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(posted("post", b'{"text": "hello"}'))
            await until(lambda: node.is_writing)
        node.on_disk.set()
        await until(lambda: len(node.notices) == 1)
        assert (await ask(home, "id"))["address"] == ALICE
    assert caplog.text == ""


@pytest.mark.parametrize("more", [b"", b"\r\n", posted("post", b'{"text": "again"}')])
@pytest.mark.parametrize("closes_its_side", [False, True])
@trio_test
async def test_a_client_that_still_reads_is_waited_for(
    home: Home, served: Served, more: bytes, closes_its_side: bool
) -> None:
    """It says more than it was asked for, or that it has said all."""
    node = WaitingNode()
    async with served(home, node) as path, await trio.open_unix_socket(path) as stream:
        await stream.send_all(posted("post", b'{"text": "hello"}'))
        await until(lambda: len(node.calls) == 1)
        await stream.send_all(more)
        if closes_its_side:
            await stream.send_eof()
        await trio.testing.wait_all_tasks_blocked(0.05)
        node.compared.set()
        node.on_disk.set()
        answer = b"".join([part async for part in stream])
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1") == 1
    assert [notice["text"] for notice in node.notices] == ["hello"]


@trio_test
async def test_what_a_writing_node_refuses_is_told_as_it_is(home: Home, served: Served) -> None:
    node = FakeNode()
    node.faults["post"] = UsageError("too long", "p2pblog post --help")
    async with served(home, node):
        with pytest.raises(UsageError, match="too long") as caught:
            await ask(home, "post", text="hello")
    assert caught.value.hint == "p2pblog post --help"


@trio_test
async def test_a_command_whose_client_goes_is_carried_out(
    home: Home, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node = FakeNode()
    node.gate = trio.Event()
    async with served(home, node) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(posted("status", b"{}"))
            await until(lambda: len(node.calls) == 1)
        node.gate.set()
        assert (await ask(home, "id"))["address"] == ALICE
    assert caplog.text == ""
