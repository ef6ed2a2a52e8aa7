"""What refers to a file: which notices are told of, and the size that they promise. Pure.

Anybody may refer to any file, as often as they like and with any name and size. So nobody is to take the places of
others: of each author two references are told of at most, and what others promise stands whatever one of them says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2pblog.config import THUMB_BYTES_MAX
from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.media import FileHash
from p2pblog.core.payload import files_in
from p2pblog.core.value import Value
from p2pblog.store import REFERENCES_MAX, Reference

ENTRIES_PER_LOG = 8
"""Entries of one log that are looked at: who posts a picture again may have shown it in a profile first."""


class Referring(Value):
    """A shown notice or profile that may have files."""

    entry: EntryId
    author: IdentityHash
    payload: bytes | None
    is_profile: bool

    def references(self, file: FileHash) -> Iterator[Reference]:
        """Where it has that file, as a file or as a thumbnail."""
        for attachment in files_in(self.payload):
            if file in attachment.files:
                yield Reference(self.entry, self.author, attachment, self.is_profile)


def told_of(found: Iterable[Reference]) -> list[Reference]:
    """Of each author the first notice and the first profile, in their order; of REFERENCES_MAX authors."""
    told: dict[tuple[IdentityHash, bool], Reference] = {}
    authors: set[IdentityHash] = set()
    for each in found:
        if each.author not in authors and len(authors) == REFERENCES_MAX:
            break
        authors.add(each.author)
        told.setdefault((each.author, each.is_profile), each)
    return list(told.values())


def largest(found: Iterable[Reference], file: FileHash) -> int:
    """The largest size that one of them promises; 0 for none. A thumbnail has THUMB_BYTES_MAX at most."""
    sizes = (each.attachment.size if each.attachment.file == file else THUMB_BYTES_MAX for each in found)
    return max(sizes, default=0)
