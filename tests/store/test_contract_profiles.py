"""What every store must answer about profiles beyond the name and the bio."""

from __future__ import annotations

from builders import person
from store_kit import add, keep, on_both_stores

from p2pblog.core.payload import Profile
from p2pblog.store import Store


@on_both_stores
async def test_the_newest_profile_counts_as_a_whole(store: Store) -> None:
    alice = person("alice")
    alice.log.profile("Alice", "bio", ["https://example.org/1", "https://example.org/2"])
    await keep(store, alice)
    told = Profile("Alice", "bio", ("https://example.org/1", "https://example.org/2"))
    assert await store.whole_profile(alice.hash) == told
    newest = alice.log.profile("Alice")
    await add(store, alice.log)
    assert await store.whole_profile(alice.hash) == Profile("Alice")
    alice.log.delete(newest)
    await add(store, alice.log)
    assert await store.whole_profile(alice.hash) == told
    assert await store.profile(alice.hash) == ("Alice", "bio")
    assert await store.whole_profile(person("bob").hash) is None
