"""A microblog with no server: signed notices, a Kademlia DHT and gossip between peers."""

__version__ = "0.1.0"
