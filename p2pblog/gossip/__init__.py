"""Gossip: pure machines that decide what to say to which peer, and one trio driver that says it."""
