"""What a person keeps for themselves alone, as it lies beside the secret keys in an archive."""

from __future__ import annotations

import re
from typing import Any

from p2pblog.config import (
    ADMITTED_MAX,
    ARCHIVED_PEERS_MAX,
    BLOCKS_MAX,
    BOOKMARKS_MAX,
    FOLLOWS_MAX,
    GROUP_CHARACTERS_MAX,
    GROUPS_JOINED_MAX,
    LIST_MEMBERS_MAX,
    LISTS_MAX,
    MUTED_WORDS_CHARACTERS_MAX,
    MUTES_MAX,
    PETNAME_CHARACTERS_MAX,
    TIME_MS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.quiet import Mute, MuteKind, read_budget
from p2pblog.core.tags import whole_word
from p2pblog.core.value import Value
from p2pblog.errors import Malformed

NAME_BYTES_MAX = 4 * PETNAME_CHARACTERS_MAX
"""Of a petname and of a list's name, which has as many characters, in UTF-8."""
MUTED_BYTES_MAX = 4 * MUTED_WORDS_CHARACTERS_MAX
GROUP_BYTES_MAX = 4 * GROUP_CHARACTERS_MAX
_NO_NAME = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f]")
"""White space and control characters. A blank may be in a name: some letters become one and another in normal form."""


class KeptFollow(Value):
    """Somebody who is followed on terms, with the words of `core.quiet.Budget.spelled`, or with nobody being told."""

    identity: IdentityHash
    petname: str | None = None
    no_boosts: bool = False
    budget: str | None = None
    private: bool = False


class Kept(Value):
    """`bookmarks`: the oldest first. `lists`: names and members. `groups`: the normal names of those that one joined.
    `peers`: where others were reached, the best first. When a mute or block began is not kept, nor when a group was
    joined."""

    bookmarks: tuple[EntryId, ...] = ()
    follows: tuple[KeptFollow, ...] = ()
    lists: tuple[tuple[str, tuple[IdentityHash, ...]], ...] = ()
    mutes: tuple[Mute, ...] = ()
    blocks: tuple[IdentityHash, ...] = ()
    admitted: tuple[IdentityHash, ...] = ()
    groups: tuple[str, ...] = ()
    peers: tuple[Endpoint, ...] = ()

    @property
    def value(self) -> dict[str, Any]:
        return {
            "admitted": list(self.admitted),
            "blocks": list(self.blocks),
            "bookmarks": list(self.bookmarks),
            "follows": [
                [each.identity, each.petname, int(each.no_boosts), each.budget, int(each.private)]
                for each in self.follows
            ],
            "groups": list(self.groups),
            "lists": [[name, list(members)] for name, members in self.lists],
            "mutes": [[int(each.kind), each.what, each.until_ms] for each in self.mutes],
            "peers": [str(each) for each in self.peers],
        }

    @classmethod
    def from_value(cls, value: Any) -> Kept:
        """Raises a RemoteProtocolError for what is none, or out of the limits that a home has."""
        fields = codec.as_map(value)
        return cls(
            tuple(EntryId(_hash(each)) for each in _rows(fields, "bookmarks", BOOKMARKS_MAX)),
            tuple(_follow(each) for each in _rows(fields, "follows", FOLLOWS_MAX)),
            tuple(_list(each) for each in _rows(fields, "lists", LISTS_MAX)),
            tuple(_mute(each) for each in _rows(fields, "mutes", MUTES_MAX)),
            tuple(IdentityHash(_hash(each)) for each in _rows(fields, "blocks", BLOCKS_MAX)),
            tuple(IdentityHash(_hash(each)) for each in _rows(fields, "admitted", ADMITTED_MAX)),
            tuple(_group(each) for each in _rows(fields, "groups", GROUPS_JOINED_MAX)),
            tuple(Endpoint.parse(codec.as_text(each, 100)) for each in _rows(fields, "peers", ARCHIVED_PEERS_MAX)),
        )


def _rows(fields: dict[str, Any], name: str, most: int) -> list[Any]:
    """Those of a later version that say nothing are as good as none."""
    rows = fields.get(name)
    return [] if rows is None else codec.as_list(rows, length_max=most)


def _hash(value: Any) -> bytes:
    return codec.as_bytes(value, length=32)


def _follow(value: Any) -> KeptFollow:
    identity, petname, no_boosts, budget, private = codec.as_list(value, length=5)
    spelled = None if budget is None else read_budget(codec.as_text(budget, 100))
    if budget is not None and spelled is None:
        raise Malformed("a budget that is none")
    return KeptFollow(
        IdentityHash(_hash(identity)),
        None if petname is None else codec.as_text(petname, NAME_BYTES_MAX),
        bool(codec.as_int(no_boosts, 0, 1)),
        None if spelled is None else spelled.spelled,
        bool(codec.as_int(private, 0, 1)),
    )


def _list(value: Any) -> tuple[str, tuple[IdentityHash, ...]]:
    name, members = codec.as_list(value, length=2)
    listed = codec.as_list(members, length_max=LIST_MEMBERS_MAX)
    return codec.as_text(name, NAME_BYTES_MAX), tuple(IdentityHash(_hash(each)) for each in listed)


def _group(value: Any) -> str:
    """In normal form, if it is a word to the Unicode of this Python. It may be one only to a later Unicode, which the
    home knew that wrote the archive: then its shape has to do, and all else can be restored."""
    name = codec.as_text(value, GROUP_BYTES_MAX)
    if not 1 <= len(name) <= GROUP_CHARACTERS_MAX or _NO_NAME.search(name):
        raise Malformed("a group that has no such name")
    return whole_word(name, GROUP_CHARACTERS_MAX) or name


def _mute(value: Any) -> Mute:
    kind, what, until = codec.as_list(value, length=3)
    known = MuteKind(codec.as_int(kind, min(MuteKind), max(MuteKind)))
    muted = _hash(what) if known == MuteKind.PERSON else codec.as_bytes(what, length_max=MUTED_BYTES_MAX)
    try:
        _ = known == MuteKind.PERSON or muted.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a muted word that is no text") from error
    return Mute(known, muted, 0, None if until is None else codec.as_int(until, 0, TIME_MS_MAX))
