"""What live timelines were told of: the same may be stored again, as when it comes by a link and the DHT. Pure."""

from __future__ import annotations

from p2pblog.core.keys import DeviceKey


class Told:
    """Of each log the numbers that were told, in stretches: catching up makes few of them, and joins them again."""

    def __init__(self) -> None:
        self._stretches: dict[DeviceKey, list[range]] = {}

    def take(self, device: DeviceKey, numbers: range) -> list[int]:
        """Which of these consecutive numbers were not told yet; from now on they are."""
        apart: list[range] = []
        joined, fresh = numbers, set(numbers)
        for stretch in self._stretches.get(device, ()):
            if stretch.stop < numbers.start or numbers.stop < stretch.start:
                apart.append(stretch)
                continue
            joined = range(min(joined.start, stretch.start), max(joined.stop, stretch.stop))
            fresh.difference_update(range(max(stretch.start, numbers.start), min(stretch.stop, numbers.stop)))
        self._stretches[device] = [*apart, joined]
        return sorted(fresh)
