"""Fork: two histories of one log, each told to one half of the peers."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Any

from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import DeviceKey
from p2pblog.core.payload import Note, encode
from p2pblog.core.runs import encode_run
from p2pblog.core.value import replace
from p2pblog.errors import LocalProtocolError
from p2pblog.gossip.messages import Clocks, IdentityClock, Live, Message, Run, tip_of
from p2pblog.sim.byzantine.behaviour import Behaviour

if TYPE_CHECKING:
    from p2pblog.sim.byzantine.node import LyingNode
    from p2pblog.sim.links import Lane

RETIRED_AFTER_S = 12
"""Long enough for the fork to be known."""


class TwoHistories(Behaviour):
    """The machine writes one history; peers whose key says so are told the other, which parts from it at entry 2 or 3.
    To have something to tell, it writes some notices of its own."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._parts_at = rng.randint(2, 3)
        self._device: DeviceKey | None = None
        self._other: dict[int, Entry] = {}
        self._seconds = 0

    def on_second(self, node: LyingNode) -> None:
        self._device = self._device or node.person.log
        self._seconds += 1
        if self._seconds in (3, 5, 8):
            node.desk.write(Note(f"mine {self._seconds}"))

    def outgoing(self, node: LyingNode, lane: Lane, message: Message) -> Iterable[Message | bytes]:
        if not lane.other.key[0] & 1 or self._device is None:
            return (message,)
        if isinstance(message, Run | Live) and message.value[0] == self._device:
            return (type(message)(self._retold(node, message.value)),)
        if isinstance(message, Clocks):
            return (Clocks(tuple(self._retold_clock(node, clock) for clock in message.clocks)),)
        return (message,)

    def _retold(self, node: LyingNode, value: list[Any]) -> list[Any]:
        numbers = range(value[1], value[1] + len(value[3]))
        entries = [self._entry(node, seq) for seq in numbers]
        if any(entry is None for entry in entries):
            return value
        retold = [entry for entry in entries if entry is not None]
        try:
            return encode_run(retold, prev_known=value[2] is None, texts=True)
        except LocalProtocolError:  # of the common part some came without a signature that a run needs
            return value

    def _retold_clock(self, node: LyingNode, clock: IdentityClock) -> IdentityClock:
        logs = []
        for device, held in clock.logs:
            entry = self._entry(node, held.high) if device == self._device else None
            logs.append((device, held if entry is None else replace(held, tip=tip_of(entry.id))))
        return replace(clock, logs=tuple(logs))

    def _entry(self, node: LyingNode, seq: int) -> Entry | None:
        """The entry of the other history; where it has not parted yet, of both."""
        assert self._device is not None
        held = node.store.held(self._device)
        if seq not in held or node.person.log != self._device:
            return self._other.get(seq, held.get(seq))
        if seq < self._parts_at:
            return held[seq]
        if seq not in self._other:
            before = self._entry(node, seq - 1)
            if before is None:
                return None
            self._other[seq] = write(node.person.device, before, held[seq].time_ms, encode(Note(f"other {seq}")))
        return self._other[seq]


class ForkAndRetire(TwoHistories):
    """After a while the owner retires the device, which picks the first history, and writes on with another."""

    def on_second(self, node: LyingNode) -> None:
        super().on_second(node)
        if self._seconds != RETIRED_AFTER_S or self._device is None:
            return
        held = node.store.held(self._device)
        if node.person.log == self._device:
            node.desk.retire()
        elif held:  # peers have proved the fork to its own machine, and it has left that log
            node.desk.retire_other(held[max(held)])
