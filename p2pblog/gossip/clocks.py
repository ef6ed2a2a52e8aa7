"""How the clocks that are told together are put into messages."""

from __future__ import annotations

from p2pblog.gossip.messages import CLOCKS_MAX, IdentityClock

CLOCKS_PER_MESSAGE = 512
"""Identities told of in one Clocks message: some 50 kB, so that the first feeds can start before the last are named."""
CLOCK_NUMBERS_PER_MESSAGE = 32_768
"""Numbers in one Clocks message beside its identities: 160 kB; logs full of holes fill it before 512 identities do."""

assert CLOCKS_PER_MESSAGE <= CLOCKS_MAX


def count_numbers(clock: IdentityClock) -> int:
    """The size of a clock: its logs, span ends and missing payloads."""
    return sum(1 + 2 * len(held.spans) + len(held.missing) for _device, held in clock.logs)


def clock_messages(clocks: list[IdentityClock]) -> list[list[IdentityClock]]:
    """The same clocks in their order, as many in each message as may be."""
    messages: list[list[IdentityClock]] = []
    numbers = 0
    for clock in clocks:
        size = count_numbers(clock)
        if not messages or len(messages[-1]) == CLOCKS_PER_MESSAGE or numbers + size > CLOCK_NUMBERS_PER_MESSAGE:
            messages.append([])
            numbers = 0
        messages[-1].append(clock)
        numbers += size
    return messages
