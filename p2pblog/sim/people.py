"""People of a simulation: the same seed and number always give the same keys, identity and address."""

from __future__ import annotations

from p2pblog.core.identity import Identity, state_device
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair, NodeKey, hash32
from p2pblog.core.value import Value, replace


class Person(Value):
    """Somebody with one device and one node."""

    number: int
    root: KeyPair
    device: KeyPair
    node: KeyPair
    identity: Identity
    former: tuple[KeyPair, ...] = ()
    """Devices that wrote here before: they open what was sealed to them."""

    @property
    def hash(self) -> IdentityHash:
        return self.identity.hash

    @property
    def log(self) -> DeviceKey:
        return DeviceKey(self.device.public)

    @property
    def node_key(self) -> NodeKey:
        return NodeKey(self.node.public)


def key_pair(seed: int, number: int, label: str) -> KeyPair:
    """The key pair that this person always has for this purpose."""
    return KeyPair.from_seed(hash32(f"{seed}/{number}/{label}".encode(), b"p2pblog sim"))


def person(seed: int, number: int) -> Person:
    """An identity whose root states one device."""
    root, following, device, node = (key_pair(seed, number, label) for label in ("root", "next root", "device", "node"))
    bare = Identity.begin(root, following.public)
    return Person(number, root, device, node, bare.merge([state_device(root, device, bare.hash, 0, 0)]))


def restored(seed: int, who: Person, key: int) -> Person:
    """The same person after the disk was lost: the recovery words make a new device of the same identity, and the new
    installation is another node. `key` tells one such loss from all others."""
    device, node = (key_pair(seed, who.number, f"{label} {key}") for label in ("device", "node"))
    known = who.identity
    stated = state_device(who.root, device, known.hash, known.epoch, known.next_counter)
    return replace(who, device=device, node=node, identity=known.merge([stated]), former=())
