"""What makes room in the store, as the gossip machine hears of it, and what it passes on to the keeper."""

from __future__ import annotations

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import LogState
from p2pblog.core.value import Value


class Pruned(Value):
    """Less of a log is held to save room, or what was pruned of it is wanted again: its floor says which.
    `oldest_ms`: where its lowest entry stands after the one."""

    state: LogState
    oldest_ms: int | None = None


class RoomChanged(Value):
    """Whether the store is over its cap: then no history is fetched until old entries have gone."""

    is_full: bool


class HeldBack(Value):
    """For some time nothing was read from anybody, since too much waits for our own store; it is read again now."""


class PruneLog(Value):
    """An effect that no machine has, but a person's cap: drop a log's entries up to this number, and say `Pruned`."""

    device: DeviceKey
    up_to: int


class LiftFloors(Value):
    """Likewise: what was pruned of an identity, or of all (None), is wanted again; say `Pruned` of each log."""

    identity: IdentityHash | None = None
