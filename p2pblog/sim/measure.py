"""What a run is measured by: who got which notice when, how often, over how many hops, and at what cost in bytes."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from p2pblog.core import codec
from p2pblog.core.keys import DeviceKey
from p2pblog.core.runs import run_start
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.messages import Have, Live, Message, Run

TRACE_ROW = struct.Struct(">QII")
"""What the trace says of a message before its bytes: when it came, from which node, to which."""
CARRIERS = (Live, Run)
"""The messages that carry payloads."""


def quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of the values does not exceed; 0 of none."""
    if not values:
        return 0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -(-int(len(ranked) * share * 1_000_000) // 1_000_000) - 1))]


@dataclass(slots=True)
class Notice:
    """One entry in the world. `hops`: how far it had come at each node that holds it."""

    author: int
    written_us: int
    is_first: bool
    """The first notice of its author: nobody had a tree yet."""
    hops: dict[int, int] = field(default_factory=dict)
    copies: int = 0
    relayed: int = 0
    firsts: int = 0


@dataclass(slots=True)
class Meter:
    """Counts while a world runs. Times are in microseconds."""

    notices: dict[tuple[DeviceKey, int], Notice] = field(default_factory=dict)
    live_us: array[int] = field(default_factory=lambda: array("Q"))
    """From writing to being stored, of those who were there all the time; cold ones apart."""
    cold_us: array[int] = field(default_factory=lambda: array("Q"))
    catch_up_us: array[int] = field(default_factory=lambda: array("Q"))
    """From coming on line to having a notice that was written while one was away."""
    lookups_us: array[int] = field(default_factory=lambda: array("Q"))
    """How long full nodes' look-ups in the DHT took."""
    bytes_by_kind: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    relinked: Counter[str] = field(default_factory=Counter)
    """Bytes by kind, of both directions, on a link that was cut and made again, from the cut on."""
    relinked_feeds: int = 0
    """How many feeds the two ends of that link share again."""
    delivered_at_us: array[int] = field(default_factory=lambda: array("Q"))
    """When each first delivery was, for pictures of coverage over time."""
    _trace: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16, person=b"p2pblog trace"))

    def on_written(self, device: DeviceKey, seq: int, author: int, now_us: int, is_first: bool) -> None:
        self.notices[device, seq] = Notice(author, now_us, is_first, {author: 0})

    def on_sent(self, message: Message, size: int) -> None:
        kind = type(message).__name__
        self.bytes_by_kind[kind] += size
        self.messages[kind] += 1

    def on_relinked(self, message: Message, size: int) -> None:
        self.relinked[type(message).__name__] += size

    def on_message(self, now_us: int, sender: int, receiver: int, data: bytes) -> None:
        self._trace.update(TRACE_ROW.pack(now_us, sender, receiver) + data)

    def copies_of(self, message: Message) -> list[Notice]:
        """The notices whose payloads a message carries."""
        if not isinstance(message, CARRIERS):
            return []
        try:
            device, first = run_start(message.value)
            carried = codec.as_list(message.value[4])
        except RemoteProtocolError:
            return []  # what a liar says of no notice
        whole = (seq for seq, payload in enumerate(carried, first) if not isinstance(payload, list))  # else a gap
        return [self.notices[device, seq] for seq in whole if (device, seq) in self.notices]

    def on_stored(self, notice: Notice, node: int, source: int | None, now_us: int, online_since_us: int) -> None:
        """A follower holds a notice for the first time."""
        if node in notice.hops:
            return
        notice.hops[node] = notice.hops.get(source, 0) + 1 if source is not None else 1
        notice.firsts += 1
        self.delivered_at_us.append(now_us)
        if online_since_us > notice.written_us:
            self.catch_up_us.append(now_us - online_since_us)
        elif notice.is_first:
            self.cold_us.append(now_us - notice.written_us)
        else:
            self.live_us.append(now_us - notice.written_us)

    @property
    def trace_hash(self) -> str:
        return self._trace.hexdigest()

    def figures(self) -> dict[str, float | None]:
        """The ratios that the notices give; None where there is nothing that they could be of."""
        notices = list(self.notices.values())
        cold = [notice for notice in notices if notice.is_first]
        firsts = sum(notice.firsts for notice in notices)
        lazy = self.bytes_by_kind[Have.__name__]
        payload = self.bytes_by_kind[Live.__name__] + self.bytes_by_kind[Run.__name__]
        return {
            "rmr": _excess(notices),
            "rmr_cold": _excess(cold),
            "relay_share": round(sum(notice.relayed for notice in notices) / firsts, 4) if firsts else None,
            "lazy_bytes_ratio": round(lazy / payload, 4) if payload else None,
            "last_hop": max((max(notice.hops.values()) for notice in notices), default=0),
        }


def _excess(notices: Sequence[Notice]) -> float | None:
    """Copies for each first delivery, less the one that was needed (Plumtree's relative message redundancy)."""
    firsts = sum(notice.firsts for notice in notices)
    return round(sum(notice.copies for notice in notices) / firsts - 1, 4) if firsts else None
