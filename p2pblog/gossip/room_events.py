"""What makes room in the store, as the gossip machine hears of it, and what it passes on to the keeper."""

from __future__ import annotations

from dataclasses import dataclass

from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import LogState


@dataclass(frozen=True, slots=True)
class Pruned:
    """Less of a log is held to save room, or what was pruned of it is wanted again: its floor says which.
    `oldest_ms`: where its lowest entry stands after the one."""

    state: LogState
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Whether the store is over its cap: then no history is fetched until old entries have gone."""

    is_full: bool


@dataclass(frozen=True, slots=True)
class PruneLog:
    """An effect that no machine has, but a person's cap: drop a log's entries up to this number, and say `Pruned`."""

    device: DeviceKey
    up_to: int


@dataclass(frozen=True, slots=True)
class LiftFloors:
    """Likewise: what was pruned of an identity, or of all (None), is wanted again; say `Pruned` of each log."""

    identity: IdentityHash | None = None
