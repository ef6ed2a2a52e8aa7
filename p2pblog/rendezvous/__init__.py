"""Dealings with the DHT: the machine that decides whom to meet and what to publish, and its trio driver."""
