"""Questions to a daemon's control socket: as the command line asks them, or byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from p2pblog.control import client
from p2pblog.home import Home


async def ask(home: Home, route: str, **arguments: Any) -> Any:
    return await trio.to_thread.run_sync(partial(client.call, home, route, **arguments))


async def ask_raw(path: Path, request: bytes) -> bytes:
    """Whatever the daemon answers to these bytes, up to the end of the connection."""
    answer = bytearray()
    async with await trio.open_unix_socket(path) as stream:
        with suppress(trio.BrokenResourceError):  # it need not read to the end what it refuses
            await stream.send_all(request)
            async for part in stream:
                answer += part
    return bytes(answer)


def posted(route: str, body: bytes) -> bytes:
    return (
        f"POST /{route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks go on until something holds."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()
