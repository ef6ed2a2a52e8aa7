"""What the command line makes of a daemon that misbehaves, stops, or is not there."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from p2pblog.control import client
from p2pblog.errors import NotRunning, TimedOut, UserError
from p2pblog.home import Home


def answering(path: Path, answer: bytes | None) -> threading.Thread:
    """A daemon that says one thing to one client, then goes; None: it accepts and stays silent."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.fspath(path))
    listening.listen()

    def run() -> None:
        with listening, listening.accept()[0] as connection:
            asked = b""
            while not asked.endswith(b"}"):  # leaving some of it unread would reset the connection
                asked += connection.recv(65536)
            if answer is None:
                connection.recv(1)  # until the client gives up
            else:
                connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (None, TimedOut, "did not answer"),
        (b"", NotRunning, "stopped before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", NotRunning, "stopped before it answered"),
        (b"what?\r\n\r\n", NotRunning, "stopped before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", NotRunning, "stopped before it answered"),
        (b"HTTP/1.1 200 OK\r\nX: " + bytes(100_000) + b"\r\n\r\n{}", NotRunning, "stopped before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000, NotRunning, "stopped before it answered"),
        (ok(b"{"), UserError, "cannot be read"),
        (ok(b"[" * 9_000), UserError, "cannot be read"),
        (ok(b'{"error": "no", "hint": null, "exit_code": 99}'), UserError, "cannot be read"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n[]", UserError, "cannot be read"),
    ],
)
def test_a_daemon_that_misbehaves_is_a_sentence(
    home: Home, answer: bytes | None, kind: type[UserError], sentence: str
) -> None:
    daemon = answering(home.control, answer)
    with pytest.raises(UserError, match=sentence) as caught:
        client.call(home, "status", timeout_s=0.3 if answer is None else 10.0)
    daemon.join()
    assert type(caught.value) is kind


@pytest.mark.parametrize(("answer", "hint"), [(None, "p2pblog timeline"), (b"", "p2pblog init")])
def test_whether_something_was_written_may_be_unknown(home: Home, answer: bytes | None, hint: str) -> None:
    daemon = answering(home.control, answer)
    with pytest.raises(UserError, match="it may have been written: look before you repeat it") as caught:
        client.call(home, "post", text="hello", timeout_s=0.3 if answer is None else 10.0)
    daemon.join()
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("changes", "is_doubtful"), [({}, False), ({"address": "bob", "bio": None}, False), ({"bio": ""}, True)]
)
def test_a_look_at_a_profile_writes_nothing(home: Home, changes: dict[str, str | None], is_doubtful: bool) -> None:
    daemon = answering(home.control, b"")
    with pytest.raises(NotRunning) as caught:
        client.call(home, "profile", **changes)
    daemon.join()
    assert ("it may have been written" in caught.value.sentence) == is_doubtful


def test_nothing_was_written_by_a_daemon_that_was_not_there(home: Home) -> None:
    with pytest.raises(NotRunning) as caught:
        client.call(home, "post", text="hello")
    assert caught.value.sentence == f"the daemon is not running in {home.folder}"


def test_an_error_without_a_number_is_told_in_its_own_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Home, "control", home.folder / ("x" * 200))
    with pytest.raises(UserError, match="cannot be reached: AF_UNIX path too long"):
        client.call(home, "id")


class Crowd:
    """So many commands wait to be accepted that no more have room, and a clock that goes on by waiting."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(os.fspath(home.control))
        self.listening.listen(0)
        self.waiting: list[socket.socket] = []
        self.answerer: threading.Thread | None = None
        self.now, self.gone_at = 0.0, float("inf")
        with pytest.raises(BlockingIOError):
            while True:
                self.waiting.append(socket.socket(socket.AF_UNIX))
                self.waiting[-1].setblocking(False)
                self.waiting[-1].connect(os.fspath(home.control))
        monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now < self.gone_at or self.answerer is not None:
            return
        for _ in self.waiting[:-1]:
            self.listening.accept()[0].close()
        self.answerer = threading.Thread(target=self.answer)
        self.answerer.start()

    def answer(self) -> None:
        with self.listening.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(ok(b"{}"))

    def leave(self) -> None:
        if self.answerer is not None:
            self.answerer.join()
        for each in [self.listening, *self.waiting]:
            each.close()


def test_who_finds_others_waiting_waits_as_well(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(home, monkeypatch)
    crowd.gone_at = 20.0
    allowed: list[float] = []
    real = client._Connection._read_head

    def read_head(connection: client._Connection) -> int:
        allowed.append(connection._socket.gettimeout() or 0.0)
        return real(connection)

    monkeypatch.setattr(client._Connection, "_read_head", read_head)
    assert client.call(home, "post", text="hello") == {}
    assert crowd.now == pytest.approx(20.0, abs=0.1)
    assert allowed == [pytest.approx(10.0, abs=0.1)], "the rest of the 30 seconds"
    crowd.leave()


def test_a_daemon_that_takes_nobody_is_given_up_when_the_time_is_over(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(home, monkeypatch)
    with pytest.raises(TimedOut) as caught:
        client.call(home, "post", text="hello")
    assert caught.value.sentence == "the daemon did not answer within 30 seconds"
    assert crowd.now == pytest.approx(30.0, abs=0.1)
    crowd.leave()


def test_room_is_made_for_an_answer_within_the_limit_only() -> None:
    most = client.ANSWER_BYTES_MAX
    assert [client._size(b"%d" % size) for size in (0, most - 1, most)] == [0, most - 1, most]
    with pytest.raises(client._NoAnswer):
        client._size(b"%d" % (most + 1))


def test_a_daemon_that_stops_ends_a_live_timeline(home: Home) -> None:
    daemon = answering(home.control, b"HTTP/1.1 200 OK\r\n\r\n[1]\n[2")
    with client.watch(home) as notices:
        assert next(notices) == [1]
        with pytest.raises(NotRunning, match="the daemon stopped"):
            next(notices)
    daemon.join()


def test_not_running_names_the_command_that_helps(home: Home) -> None:
    with pytest.raises(NotRunning) as caught:
        client.call(home, "id")
    assert caught.value.hint == "p2pblog init"

    home.keys.write_text("{}")
    with pytest.raises(NotRunning) as caught:
        client.call(home, "id")
    assert caught.value.hint == "p2pblog run"
