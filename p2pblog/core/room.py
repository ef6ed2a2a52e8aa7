"""What makes room on a full disk: which entries of which logs go first. Pure.

Rules:

* What goes first is of those whom one follows least (Closeness); among alike, what is oldest.
* The newest NEWEST_FIRST entries of a followed log stay until nothing else of others is left, and then its last ones.
* A piece of a log ends on a checkpoint: what is left of it begins behind one. So "oldest first" holds to 64 entries.
* Own logs are none of this: whoever asks leaves them out.
"""

from __future__ import annotations

from enum import IntEnum

from p2pblog.config import CHECKPOINT_EVERY, NEWEST_FIRST, ROOM_TO_SPARE
from p2pblog.core.keys import DeviceKey
from p2pblog.core.value import Value


class Closeness(IntEnum):
    """How much one follows somebody, the least first. STRAY: single entries of anybody, kept for a conversation."""

    STRANGER = 0
    STRAY = 1
    MUTED = 2
    FOLLOWED = 3
    CLOSE = 4


def closeness(follows: bool, is_muted: bool, is_listed: bool, is_answered: bool) -> Closeness:
    """`is_listed`: in one of our lists; `is_answered`: something that we wrote lately was said to them."""
    if not follows:
        return Closeness.STRANGER
    if is_muted:
        return Closeness.MUTED
    return Closeness.CLOSE if is_listed or is_answered else Closeness.FOLLOWED


class Share(Value):
    """What somebody else's log takes up: its numbers, and where its lowest entry stands, in ms. `device` None: the
    strays. `stays`: so many of its last entries never go."""

    device: DeviceKey | None
    closeness: Closeness
    low: int
    high: int
    oldest_ms: int
    stays: int = 0


class Cut(Value):
    """Drop what is held of a log up to this number; of strays (`device` None) some of the oldest."""

    device: DeviceKey | None
    up_to: int


Turn = tuple[bool, Closeness, int, bytes]
"""When a share is due, the lowest first: whether it is among the newest of a followed log; whose it is; how old; and by
device, so that there is one order."""


def turn_of(share: Share) -> Turn | None:
    """When a share is due; None if nothing of it may go."""
    if share.device is not None and share.low > share.high - share.stays:
        return None
    return _is_newest(share), share.closeness, share.oldest_ms, share.device or b""


def cut_of(share: Share) -> Cut:
    """What of a share goes when it is due."""
    if share.device is None:
        return Cut(None, 0)
    stays = share.stays if _is_newest(share) else _stays_first(share)
    return Cut(share.device, min(_checkpoint_from(share.low), share.high - stays))


def _is_newest(share: Share) -> bool:
    return share.device is not None and share.low > share.high - _stays_first(share)


def _stays_first(share: Share) -> int:
    """How many of the last entries stay until nothing else is left."""
    return share.stays if share.closeness == Closeness.STRANGER else max(share.stays, NEWEST_FIRST)


def _checkpoint_from(seq: int) -> int:
    return -(-seq // CHECKPOINT_EVERY) * CHECKPOINT_EVERY


def target_of(bytes_max: int) -> int:
    """Down to how many bytes a store is brought that has passed its cap, so that it does not pass it again at once."""
    return bytes_max - bytes_max // ROOM_TO_SPARE


def files_max_of(files_max: int | None, store_max: int | None) -> int | None:
    """How many bytes files of others may take: as many as they have a cap of, and half of the store's; None: all."""
    half = None if store_max is None else store_max // 2
    return min((cap for cap in (files_max, half) if cap is not None), default=None)
