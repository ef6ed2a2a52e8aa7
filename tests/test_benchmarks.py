"""Benchmarks beside software of others: where that can't run, ours is measured all the same."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import dht, gossip, idle, wire
from benchmarks.kit import loopback, peers
from benchmarks.kit.report import Figure, Report
from benchmarks.kit.syncing import Rival


@pytest.fixture
def broken_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A Node.js that is there, with all packages installed, and can't run them."""
    path = tmp_path / "node"
    path.write_text("#!/bin/sh\necho 'Error: Cannot find module' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setattr(peers, "node", lambda: str(path))
    monkeypatch.setattr(peers, "installed", lambda name, say: tmp_path)
    return str(path)


@pytest.mark.parametrize(
    ("code", "found", "said"),
    [
        ("print('warming up'); print('{\"seconds\": 2}')", {"seconds": 2}, ""),
        ("import sys; print('{\"heard\": \"' + sys.stdin.read() + '\"}')", {"heard": "begin"}, ""),
        ("raise SystemExit('no such module')", None, "a peer ended with 1: no such module"),
        ("import signal; signal.pause()", None, "a peer was not done within 0.2 s"),
        ("print('done')", None, "a peer ended and said nothing that is a result"),
        ("", None, "a peer ended and said nothing that is a result"),
    ],
)
def test_what_a_peer_says_is_its_last_line_or_there_is_a_reason(code: str, found: Any, said: str) -> None:
    told: list[str] = []
    timeout_s = 0.2 if "pause" in code else 30
    words = [sys.executable, "-c", code]
    assert peers.answer("a peer", words, told.append, told="begin", timeout_s=timeout_s) == found
    assert told == ([said] if said else [])


def test_a_peer_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    told: list[str] = []
    assert peers.answer("a peer", [str(tmp_path / "none")], told.append, timeout_s=1) is None
    assert len(told) == 1 and told[0].startswith("a peer can't be started: ")


def test_a_peer_that_cannot_run_leaves_figures_without_a_baseline(
    broken_node: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    run = {"latencies_ms": [1.0], "bytes": 1, "links_mean": 5, "idle_bytes_per_s": 0, "published_s": 1}
    monkeypatch.setattr(gossip, "_run", lambda command, crowd: run | {"cpu_s": 1, "resident_mb": 1})
    monkeypatch.setattr(loopback, "alone", lambda words: (words, False))

    report = gossip.measure(told.append)
    assert [figure.baseline for figure in report.figures] == [None] * 4
    assert dht._hyperdht(tmp_path, told.append) is None
    assert wire._ssb_day(told.append) is None
    rival = Rival("ssb", tmp_path, 1, 1, told.append)
    rival.sync()
    rival.sync()  # which does not try again
    assert rival.median is None
    with idle._ssb(broken_node, tmp_path, tmp_path / "home", told.append) as ran:
        assert ran is None
    reasons = [line for line in told if not line.startswith("turn ")]
    ended = "ended with 1: Error: Cannot find module"
    assert reasons == [
        f"gossipsub {ended}", f"hyperdht {ended}", f"ssb {ended}", f"ssb {ended}", "ssb ended before it ran",
    ]  # fmt: skip


def test_a_benchmark_that_fails_does_not_keep_the_next_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(say: Any) -> Report:
        raise RuntimeError("the disk is full")

    made = {"gossip": fail, "verify": lambda say: Report((Figure("verify", 1.0, "a second"),), {})}
    monkeypatch.setattr(command, "_module", lambda name: SimpleNamespace(measure=made[name]))
    done = CliRunner().invoke(command.main, ["gossip", "verify", "--json"])
    assert done.exit_code == 1
    assert done.stdout.count("\n") == 1 and '"verify"' in done.stdout
    assert "the disk is full" in done.stderr and done.stderr.endswith("Error: not measured: gossip\n")
