"""What a node logs: seldom the same, finer lines for who asks, and nothing that would keep it waiting for a reader."""

from __future__ import annotations

import errno
import logging
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from p2pblog import logbook
from simulations.demo import Person


def test_that_nobody_more_can_be_accepted_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    logger = logging.getLogger("test.accepting")
    logger.addFilter(logbook.Seldom(lambda: now))
    for _ in range(1_000):
        logger.error("accept returned EMFILE", exc_info=OSError(errno.EMFILE, "Too many open files"))
        now += 0.1
    assert [(each.getMessage(), each.exc_info) for each in caplog.records] == [("accept returned EMFILE", None)] * 2


LOGS = """
import logging
from p2pblog import logbook
logbook.begin()
for name in ("p2pblog.gossip", "aiosqlite"):
    for level in (logging.DEBUG, logging.INFO):
        logging.getLogger(name).log(level, "said")
"""


@pytest.mark.parametrize(
    ("wanted", "is_fine"), [({}, False), ({"P2PBLOG_DEBUG": ""}, False), ({"P2PBLOG_DEBUG": "1"}, True)]
)
def test_finer_lines_of_our_own_are_logged_for_who_asks(wanted: dict[str, str], is_fine: bool) -> None:
    env = {name: value for name, value in os.environ.items() if name != "P2PBLOG_DEBUG"} | wanted
    done = subprocess.run(
        [sys.executable, "-c", LOGS], stderr=subprocess.PIPE, text=True, env=env, timeout=60, check=True
    )
    ours = ["DEBUG p2pblog.gossip: said"] * is_fine + ["INFO p2pblog.gossip: said"]
    assert [line.split(maxsplit=2)[2] for line in done.stderr.splitlines()] == [*ours, "INFO aiosqlite: said"]


def fill(file: int) -> None:
    """Until it takes no more."""
    os.set_blocking(file, False)
    for size in (4_096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(file, b"x" * size)
    os.set_blocking(file, True)


def test_a_node_whose_log_nobody_reads_stops_when_it_is_told_to(tmp_path: Path) -> None:
    alice = Person("alice", tmp_path / "alice")
    alice.ask("init")
    reader, writer = os.pipe()
    fill(writer)
    command = alice.command("run", "--listen", "127.0.0.1:0", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer) as node:
        try:
            assert node.stdout is not None and node.stdout.readline()
            node.send_signal(signal.SIGTERM)
            assert node.wait(60) == 0
        finally:
            node.kill()
    os.close(reader)
    os.close(writer)


def test_a_log_goes_on_where_somebody_reads_again(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    logger = logging.Logger("test")
    with os.fdopen(reader, "rb", buffering=0) as log, os.fdopen(writer, "w", encoding="ascii") as stream:
        logger.addHandler(logbook.Unhindered(stream))
        logger.error("caf\xe9")
        assert log.read(100) == b"caf\\xe9\n"
        fill(writer)
        logger.error("one")
        logger.error("two")
        while select.select([log], [], [], 0)[0]:
            assert not log.read(65_536).strip(b"x")
        logger.error("three")
        logger.error("y" * 10_000)
        assert log.read(65_536) == b"(lines left out here, while nobody read: 2)\nthree\n" + b"y" * 10_000 + b"\n"
        log.close()
        logger.error("nobody is there any more")
    assert capsys.readouterr().err == ""


def test_a_line_waits_a_moment_for_who_reads() -> None:
    reader, writer = os.pipe()
    logger, taken = logging.Logger("test"), []
    with os.fdopen(reader, "rb") as log, os.fdopen(writer, "w") as stream:
        logger.addHandler(logbook.Unhindered(stream, patience_s=60))
        reading = threading.Thread(target=lambda: taken.append(log.read()))
        reading.start()
        logger.error("x" * 10_000_000)
        stream.close()
        reading.join()
    assert taken == [b"x" * 10_000_000 + b"\n"]


def test_what_was_left_out_is_said_on_a_line_of_its_own() -> None:
    reader, writer = os.pipe()
    logger = logging.Logger("test")
    with os.fdopen(reader, "rb", buffering=0) as log, os.fdopen(writer, "w") as stream:
        logger.addHandler(logbook.Unhindered(stream))
        logger.error("x" * 1_000_000)
        while select.select([log], [], [], 0)[0]:
            assert not log.read(65_536).strip(b"x")
        logger.error("one")
        assert log.read(100) == b"\n(lines left out here, while nobody read: 1)\none\n"


TERMINAL = """
import logging
from p2pblog import logbook
logbook.begin()
for number in range(3_000):
    logging.getLogger("p2pblog").error("%d " + 50 * "x", number)
"""


def test_a_terminal_that_takes_no_more_holds_nothing_up() -> None:
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-c", TERMINAL], stdin=subprocess.DEVNULL, stderr=end, timeout=60, check=True)
    assert b" 0 xxx" in os.read(terminal, 1_000)
    os.close(end)
    os.close(terminal)
