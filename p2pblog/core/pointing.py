"""Pointing: what a notice refers to, so that whoever looks for answers to it, or to somebody, finds the notice.

The rules, in full. A notice points to what it answers and what it quotes, and to whom: those whose notices these are,
and those whom it mentions; and to the groups that it names. Nobody points to himself, though to an own notice. An edit
points to nothing: whoever was meant heard of the notice. Neither does a boost or a like: they are counted, not read,
and a target has little room. What is sealed shows nobody whom it is for.
"""

from __future__ import annotations

from p2pblog.config import NOTICE_LIFETIME_MS, POINTER_LIFETIME_MS, POINTER_TARGETS_MAX
from p2pblog.core.groups import group_id, groups_of
from p2pblog.core.keys import IdentityHash
from p2pblog.core.mentions import mentions_of
from p2pblog.core.payload import Note, Payload, Ref


def targets_of(payload: Payload, own: IdentityHash) -> tuple[bytes, ...]:
    """The targets (32 bytes each) that an entry of `own` refers to, each once, in the order in which it names them; at
    most POINTER_TARGETS_MAX."""
    if not isinstance(payload, Note):
        return ()
    referred = [target for ref in _refs(payload) for target in (ref.id, ref.identity)]
    named = [*referred, *mentions_of(payload.text), *map(group_id, groups_of(payload.text))]
    targets = (target for target in dict.fromkeys(named) if target != own)
    return tuple(targets)[:POINTER_TARGETS_MAX]


def groups_among(payload: Payload | None) -> frozenset[bytes]:
    """Those of the targets of an entry that are groups."""
    return frozenset(map(group_id, groups_of(payload.text))) if isinstance(payload, Note) else frozenset()


def pointed_until(payload: Payload | None, target: bytes, time_ms: int, now_ms: int) -> int:
    """When a pointer expires that an entry of that time has published now. At a group it lives no longer than the
    entry's own record, for nobody finds the notice without: the room is for those who say something later."""
    until_ms = now_ms + POINTER_LIFETIME_MS
    return min(until_ms, time_ms + NOTICE_LIFETIME_MS) if target in groups_among(payload) else until_ms


def people_of(payload: Payload, own: IdentityHash) -> tuple[IdentityHash, ...]:
    """Those of the targets that are people."""
    if not isinstance(payload, Note):
        return ()
    named = [*(ref.identity for ref in _refs(payload)), *mentions_of(payload.text)]
    return tuple(identity for identity in dict.fromkeys(named) if identity != own)


def _refs(note: Note) -> list[Ref]:
    """What it answers, and what it quotes."""
    refs = [note.reply_to, None if note.quote is None else note.quote.of]
    return [ref for ref in refs if ref is not None]
