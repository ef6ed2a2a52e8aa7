"""Every error that crosses a module: our own faults, a peer's faults, and the sentences a person reads."""

from __future__ import annotations

from typing import ClassVar


class P2pblogError(Exception):
    """The root of all errors that p2pblog raises on purpose."""


class LocalProtocolError(P2pblogError):
    """Our own bug: we were about to say or store something that the protocol forbids. Loud, never caught."""


class RemoteProtocolError(P2pblogError):
    """Somebody else's bytes broke a rule. It ends that link or drops that datagram, never the node.

    `name` is the error's name on the protocol pages and in the test vectors.
    """

    name: ClassVar[str] = "protocol-error"


class Malformed(RemoteProtocolError):
    """Not msgpack, or not of the shape that this place demands."""

    name = "malformed"


class NotCanonical(RemoteProtocolError):
    """It decodes, but these are not the one byte string for that value."""

    name = "not-canonical"


class TooLarge(RemoteProtocolError):
    """More bytes, items or levels than this place allows."""

    name = "too-large"


class BadKey(RemoteProtocolError):
    """A public key that is no point of the prime-order group, or is not canonically encoded."""

    name = "bad-key"


class BadSignature(RemoteProtocolError):
    """The signature does not hold under strict (libsodium) verification."""

    name = "bad-signature"


class BadAddress(RemoteProtocolError):
    """Not an address: wrong length, alphabet, checksum or version."""

    name = "bad-address"


class BadStatement(RemoteProtocolError):
    """A well-formed identity statement that does not belong here or has no force."""

    name = "bad-statement"


class BadChain(RemoteProtocolError):
    """Entries that do not follow one another in one log: a gap, a splice, another device, a wrong first entry."""

    name = "bad-chain"


class BadForkProof(RemoteProtocolError):
    """Two branches that do not prove a fork."""

    name = "bad-fork-proof"


class BadRecord(RemoteProtocolError):
    """A DHT record that is not valid under its key."""

    name = "bad-record"


class Expired(RemoteProtocolError):
    """A DHT record past its signed expiry, or one that claims to live longer than its kind may."""

    name = "expired"


class BadHandshake(RemoteProtocolError):
    """The peer did not prove the node key, network or version that a link needs."""

    name = "bad-handshake"


class TooSlow(RemoteProtocolError):
    """The peer did not finish in the time this step is given."""

    name = "too-slow"


class QueueFull(RemoteProtocolError):
    """The peer reads more slowly than we have things to say to it."""

    name = "queue-full"


class BadMessage(RemoteProtocolError):
    """A well-formed gossip message at a moment, or about a thing, where it makes no sense."""

    name = "bad-message"


class Flooded(RemoteProtocolError):
    """Far more of what nobody asked for than a peer may say."""

    name = "flooded"


class BadPiece(RemoteProtocolError):
    """A piece, or a table of pieces, that is not of the file it was given for."""

    name = "bad-piece"


class Disconnected(RemoteProtocolError):
    """The link ended: the peer closed it or the network did."""

    name = "disconnected"


class StoreError(P2pblogError):
    """The database can't be read or written; its file is untouched. The text says which file and why."""


class StoreDamaged(StoreError):
    """What stands in the database is not what was once written there; or a bug of ours looks like that.

    To mend it is safe for one's own log: a home whose database was mended never signs with its former device's key."""

    WAY_OUT: ClassVar[str] = "if it stays so after a restart, stop the node and have its database mended"
    HINT: ClassVar[str] = "p2pblog check --mend"


class StoreFull(StoreError):
    """No room on the disk: nothing of this transaction was written."""


class UserError(P2pblogError):
    """One sentence for the person and, where there is one, the command that helps."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, hint: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class UsageError(UserError):
    """The words of the command are off: a mistyped address, too long a text, an ambiguous or short id."""

    exit_code = 2


class NotRunning(UserError):
    """The daemon is not running."""

    exit_code = 3


class NotFound(UserError):
    """The node holds no such thing."""

    exit_code = 4


class NotPermitted(UserError):
    """It is somebody else's."""

    exit_code = 5


class TimedOut(UserError):
    """Nobody answered in time."""

    exit_code = 6


USER_ERRORS: dict[int, type[UserError]] = {
    kind.exit_code: kind for kind in (UserError, UsageError, NotRunning, NotFound, NotPermitted, TimedOut)
}
"""Exit code -> error, so that the control socket can carry an error from the daemon to the command line."""
