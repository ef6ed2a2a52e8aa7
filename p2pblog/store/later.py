"""What an author said since of one of his entries: that it is taken back, or other words."""

from __future__ import annotations

from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.logs import Located
from p2pblog.store import Store


async def later_than(store: Store, author: IdentityHash, entry: EntryId) -> Located | None:
    """A delete in force of this entry by its author, or the edit whose words stand; None where nothing is known of
    either. Raises StoreError."""
    later = await store.taken_back_by(author, entry)
    if later is None:
        (stands,) = await store.refs([entry])
        later = stands[-1].id if len(stands) > 1 else None
    return None if later is None else await store.locate(later)
