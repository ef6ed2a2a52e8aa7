"""The daemon's HTTP: what other clients than ours may send, and clients that go away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from fake_node import ALICE, FakeNode
from questions import ask, ask_raw, posted, until
from trio.testing import trio_test

from p2pblog.config import Home

Served = Callable[..., Any]


@trio_test
async def test_what_http_asks_of_a_server_is_answered(home: Home, served: Served) -> None:
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
