"""What two nodes that know offers say to each other about them: version 3 of the protocol."""

from __future__ import annotations

from typing import Any

from p2pblog.core import codec
from p2pblog.core.payload import Ref
from p2pblog.core.value import Value
from p2pblog.errors import Malformed

OFFERS_VERSION = 3
"""What the Hello says of who knows these."""
OFFER_HOPS_MAX = 1
"""Replicas that may pass an offer on to replicas in turn: the author tells three, they tell nine."""
OFFERS_PER_MESSAGE = 32
"""Entries offered in one message: 3.5 kB; all that wait for one target are four messages."""


class Offer(Value):
    """These entries refer to the target (32 bytes), for whom you care: ask me for those that you lack, by Fetch. So
    many replicas may stand behind you."""

    target: bytes
    hops_left: int
    refs: tuple[Ref, ...]


def offer_value(message: Offer) -> list[Any]:
    """An offer as an array."""
    return [28, message.target, message.hops_left, [ref.value for ref in message.refs]]


def _offer(items: list[Any]) -> Offer:
    refs = tuple(Ref.from_value(item) for item in codec.as_list(items[3], length_max=OFFERS_PER_MESSAGE))
    if not refs:
        raise Malformed("an offer of nothing")
    return Offer(codec.as_bytes(items[1], length=32), codec.as_int(items[2], 0, OFFER_HOPS_MAX), refs)


OFFER_READERS = {28: (4, _offer)}
"""Kind -> items in the array, and reader."""
