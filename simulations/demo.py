"""Three real daemons on loopback: they follow, post and read, the author dies, and a newcomer still gets it all.

Every step is judged by what the command line answers with `--json`, and by nothing else.
"""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP_TIMEOUT_S = 30.0
ASK_AGAIN_S = 0.1
"""Between two questions: the command line only answers, it does not call back."""


class StepFailed(Exception):
    """A step did not come true in time; the text says which, and what was seen last."""


@dataclass
class Person:
    """One person's home, and the daemon on it while it runs."""

    name: str
    home: Path
    address: str = ""
    listen: str = ""
    daemon: subprocess.Popen[str] | None = field(default=None, repr=False)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "p2pblog", "--home", str(self.home), *words]

    def ask(self, *words: str) -> Any:
        """What the command answers; its sentence, on failure, becomes the step's."""
        done = subprocess.run(
            [*self.command(*words), "--json"], capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise StepFailed(f"{self.name}: `p2pblog {' '.join(words)}` ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def start(self, *bootstrap: str) -> None:
        """Start the daemon and wait until it says where it listens."""
        options = [word for contact in bootstrap for word in ("--bootstrap", contact)]
        log = (self.home.parent / f"{self.name}.log").open("a")
        with log:
            self.daemon = subprocess.Popen(
                self.command("run", "--listen", "127.0.0.1:0", *options, "--json"),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._first_line()
        if not line:
            raise StepFailed(f"{self.name}'s daemon did not start: {self.log}")
        self.listen = json.loads(line)["listen"]

    def _first_line(self) -> str:
        """What the daemon says once it runs; nothing if it ends, or takes too long."""
        assert self.daemon is not None and self.daemon.stdout is not None
        ready, _, _ = select.select([self.daemon.stdout], [], [], STEP_TIMEOUT_S)
        return self.daemon.stdout.readline() if ready else ""

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End the daemon as Ctrl-C would; gives its exit code."""
        return self._end(signal.SIGINT)

    def _end(self, number: int) -> int:
        daemon, self.daemon = self.daemon, None
        if daemon is None:
            return 0
        daemon.send_signal(number)
        try:
            code = daemon.wait(timeout=15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            code = daemon.wait()
        if daemon.stdout is not None:
            daemon.stdout.close()
        return code

    @property
    def log(self) -> str:
        path = self.home.parent / f"{self.name}.log"
        return path.read_text()[-4_000:] if path.exists() else ""

    def texts(self) -> list[str]:
        return [notice["text"] for notice in self.ask("timeline")]


def until(what: str, held: Callable[[], bool], seen: Callable[[], object]) -> float:
    """Ask again until it holds; gives the seconds it took."""
    begun = time.monotonic()
    while not held():
        if time.monotonic() - begun > STEP_TIMEOUT_S:
            raise StepFailed(f"not so after {STEP_TIMEOUT_S:.0f} s: {what}; last seen: {seen()}")
        time.sleep(ASK_AGAIN_S)
    return time.monotonic() - begun


def say(text: str) -> None:
    print(text, flush=True)


def reads(reader: Person, texts: Sequence[str]) -> None:
    """The reader's timeline comes to hold these texts, newest first."""
    wanted = list(texts)
    took = until(
        f"{reader.name} reads {wanted}",
        lambda: [text for text in reader.texts() if text in wanted] == wanted,
        reader.texts,
    )
    say(f"    {reader.name} reads, after {took:.1f} s: " + " / ".join(wanted))


def walk(alice: Person, bob: Person, carol: Person) -> None:
    """The whole way of a notice, and what happens when its author is gone."""
    say("1. Three people begin: keys are made on each machine, nothing is registered anywhere.")
    for person in (alice, bob, carol):
        person.address = person.ask("init", "--name", person.name)["address"]
        say(f"    {person.name} is {person.address}")

    say("2. Alice and Bob start their nodes; Bob's is told of one other node, Alice's.")
    alice.start()
    bob.start(alice.listen)
    say(f"    alice listens on {alice.listen}, bob on {bob.listen}")

    say("3. They follow each other by address, and post.")
    bob.ask("follow", alice.address, "--petname", "alice")
    alice.ask("follow", bob.address, "--petname", "bob")
    alice.ask("post", "Good morning from Alice")
    bob.ask("post", "Good morning from Bob")
    reads(bob, ["Good morning from Alice"])
    reads(alice, ["Good morning from Bob"])
    second = alice.ask("post", "Lunch under the tree?")
    reads(bob, ["Lunch under the tree?", "Good morning from Alice"])
    bob.ask("post", "Gladly", "--reply-to", second["id"])
    reads(alice, ["Gladly"])
    thread = alice.ask("thread", second["id"])
    if [notice["text"] for notice in thread["notices"]] != ["Lunch under the tree?", "Gladly"] or thread["missing"]:
        raise StepFailed(f"the thread is not whole: {thread}")
    say("    the thread stands on both sides")

    say("4. Alice's machine dies, without a goodbye.")
    alice.kill()

    say("5. Carol joins, knows nobody but Bob's node, and follows Alice, who is gone.")
    carol.start(bob.listen)
    carol.ask("follow", alice.address)
    reads(carol, ["Lunch under the tree?", "Good morning from Alice"])

    say("6. Alice comes back and posts on, on the same log.")
    alice.start(bob.listen)
    third = alice.ask("post", "I am back")
    if third["device"] != second["device"] or third["seq"] <= second["seq"]:
        raise StepFailed(f"Alice's log did not go on: {second} then {third}")
    reads(bob, ["I am back"])
    reads(carol, ["I am back", "Lunch under the tree?", "Good morning from Alice"])

    say("7. Everybody goes home.")
    codes = {person.name: person.stop() for person in (alice, bob, carol)}
    if any(codes.values()):
        raise StepFailed(f"a daemon did not stop cleanly: {codes}")


def main() -> int:
    """Walk the whole way; 0 only if every step held."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that it cleans up, too
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pblog-demo-")))
        people = [Person(name, folder / name) for name in ("alice", "bob", "carol")]
        for person in people:
            stack.callback(person.kill)
        try:
            walk(*people)
        except (StepFailed, subprocess.SubprocessError) as error:
            say(f"FAILED: {error}")
            for person in people:
                say(f"--- what {person.name}'s daemon logged last ---\n{person.log}")
            return 1
    say(f"Every step held, in {time.monotonic() - begun:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
