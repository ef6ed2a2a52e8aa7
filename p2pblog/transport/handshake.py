"""The handshake: two ends prove their node keys over Noise XX, as machines that are fed bytes and say bytes.

Rules
  * Noise_XX_25519_ChaChaPoly_BLAKE2s (Noise specification, revision 34); the prologue is the network id, so a node of
    another network or version fails at the first encrypted byte.
  * The three Noise messages travel with a 2-byte big-endian length before each. Each has exactly one possible size, so
    a stranger makes us hold at most 199 bytes.
  * Message 1 has no payload. Messages 2 and 3 carry the proof: canonical msgpack [node key 32, signature 64], the
    Ed25519 signature of the sender's node key over its Noise static key (the construction of libp2p's noise spec).
  * The Noise static key lives for one run of a node and only in memory; the node key names the peer.
  * Every fault is BadHandshake; a stream that ends early is Disconnected. Who is at the other end is the caller's
    business: our own node key is a valid peer here.
"""

from __future__ import annotations

from typing import Any

from noise.exceptions import NoiseInvalidMessage, NoiseMaxNonceError, NoiseValueError
from noise.noise_protocol import NoiseProtocol

from p2pblog.config import NETWORK_ID, REKEY_EVERY
from p2pblog.core.codec import as_bytes, as_list, pack, unpack
from p2pblog.core.keys import NODE_DOMAIN, KeyPair, NodeKey, verify
from p2pblog.core.value import Value
from p2pblog.errors import BadHandshake, Disconnected, LocalProtocolError, Malformed, RemoteProtocolError
from p2pblog.transport.sodium import KeyPair25519, SodiumBackend

NOISE_NAME = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
TAG_BYTES = 16
"""Poly1305's (RFC 8439, 2.5): what a Noise message is longer than what it says."""
PROOF_BYTES = 101
"""msgpack [32 bytes, 64 bytes]: 1 + 2 + 32 + 2 + 64."""
MESSAGE_SIZES = (32, 32 + (32 + TAG_BYTES) + (PROOF_BYTES + TAG_BYTES), (32 + TAG_BYTES) + (PROOF_BYTES + TAG_BYTES))
"""Noise messages 1 (e), 2 (e, ee, s, es) and 3 (s, se) in bytes: 32, 197, 165."""
PROOF_PURPOSE = b"noise static "
"""What the node key signs before the 32 bytes: the same domain signs other things in the DHT."""


class Credentials(Value):
    """What one node shows in every handshake: its Noise static key and the node key's proof of it."""

    static_secret: bytes
    proof: bytes

    def __repr__(self) -> str:
        return "Credentials(…)"


def make_credentials(node: KeyPair, static_secret: bytes) -> Credentials:
    """Credentials of `node` for a Noise static key of 32 random bytes, made once for each run."""
    signature = node.sign(NODE_DOMAIN, PROOF_PURPOSE + KeyPair25519.from_private_bytes(static_secret).public)
    return Credentials(static_secret, pack([node.public, signature]))


def check_proof(proof: bytes, static_public: bytes) -> NodeKey:
    """The node key that `proof` shows for a Noise static key. Raises BadHandshake."""
    try:
        node_key, signature = as_list(unpack(proof, PROOF_BYTES), 2)
        verify(as_bytes(node_key, 32), NODE_DOMAIN, PROOF_PURPOSE + static_public, as_bytes(signature, 64))
    except RemoteProtocolError as error:
        raise BadHandshake(f"the node key is not proven: {error}") from error
    return NodeKey(node_key)


class Cipher:
    """One direction of a proven connection: seals or opens Noise messages in order.

    Both ends rekey (Noise specification, 11.3) after every `rekey_every` messages of a direction: what is taken from
    memory later opens at most that many earlier ones. The nonce runs on; 2^64 messages outlast any connection.
    """

    def __init__(self, state: Any, rekey_every: int = REKEY_EVERY) -> None:
        self._state = state
        self._rekey_every = rekey_every

    def seal(self, plaintext: bytes) -> bytes:
        """The ciphertext, TAG_BYTES longer."""
        try:
            sealed: bytes = self._state.encrypt_with_ad(b"", plaintext)
        except NoiseMaxNonceError as error:
            raise LocalProtocolError("out of nonces") from error
        self._count()
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """The plaintext. Raises Malformed for anything but the next message that the peer sealed."""
        try:
            plaintext: bytes = self._state.decrypt_with_ad(b"", sealed)
        except (NoiseInvalidMessage, NoiseMaxNonceError) as error:
            raise Malformed("a frame that the peer did not seal") from error
        self._count()
        return plaintext

    def _count(self) -> None:
        if self._state.n % self._rekey_every == 0:
            self._state.rekey()


class Proven(Value):
    """A finished handshake."""

    peer: NodeKey
    binding: bytes
    """32 bytes, the Noise handshake hash: the same at both ends, and at no other connection."""
    sender: Cipher
    receiver: Cipher
    rest: bytes
    """Bytes of the peer that came after the handshake, for the frame reader."""


class Step(Value):
    """What one feeding brought: bytes to send first, and the result once there is one."""

    send: bytes = b""
    proven: Proven | None = None


class Handshake:
    """One end of one handshake. Call `start` once and send what it says, then `feed` what comes until it is proven."""

    def __init__(
        self, credentials: Credentials, ephemeral_secret: bytes, *, dialed: bool, network_id: bytes = NETWORK_ID
    ) -> None:
        self._noise = NoiseXX(credentials.static_secret, ephemeral_secret, dialed, network_id)
        self._proof = credentials.proof
        self._dialed = dialed
        self._awaited = 1 if dialed else 0  # index of the Noise message that the peer sends next
        self._held = bytearray()
        self._over = False

    def start(self) -> bytes:
        """What to send first: message 1 from the end that dialed, nothing from the other."""
        return _with_length(self._noise.write(b"")) if self._dialed else b""

    def feed(self, data: bytes) -> Step:
        """Take what the peer sent, in any pieces; b"" means that the stream ended. Raises BadHandshake, Disconnected.

        After the result or a fault the machine takes nothing more.
        """
        if self._over:
            raise LocalProtocolError("this handshake is over")
        try:
            return self._feed(data)
        except RemoteProtocolError:
            self._over = True
            raise

    def _feed(self, data: bytes) -> Step:
        if not data:
            raise Disconnected("the stream ended within the handshake")
        self._held += data
        size = MESSAGE_SIZES[self._awaited]
        if len(self._held) >= 2 and int.from_bytes(self._held[:2], "big") != size:
            raise BadHandshake("not a handshake of this protocol")
        if len(self._held) < 2 + size:
            return Step()
        message, rest = bytes(self._held[2 : 2 + size]), bytes(self._held[2 + size :])
        self._held.clear()
        if rest and self._awaited < 2:
            raise BadHandshake("bytes before their turn")
        return self._on_message(message, rest)

    def _on_message(self, message: bytes, rest: bytes) -> Step:
        proof = self._noise.read(message)
        if self._awaited == 0:
            self._awaited = 2
            return Step(send=_with_length(self._noise.write(self._proof)))
        peer = check_proof(proof, self._noise.remote_static)
        reply = _with_length(self._noise.write(self._proof)) if self._dialed else b""
        self._over = True
        sender, receiver = self._noise.ciphers()
        return Step(reply, Proven(peer, self._noise.hash, sender, receiver, rest))


def _with_length(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


class NoiseXX:
    """The `noiseprotocol` library behind the five things that we ask of it; every fault becomes BadHandshake.

    We drive its HandshakeState ourselves: its NoiseConnection warns at each ephemeral key that is given, and ours
    always is, so that a vector can say every byte.
    """

    def __init__(self, static_secret: bytes, ephemeral_secret: bytes, initiator: bool, prologue: bytes) -> None:
        self._protocol: Any = NoiseProtocol(NOISE_NAME, SodiumBackend())
        self._protocol.initiator = initiator
        self._protocol.prologue = prologue
        self._protocol.keypairs["s"] = KeyPair25519.from_private_bytes(static_secret)
        self._protocol.keypairs["e"] = KeyPair25519.from_private_bytes(ephemeral_secret)
        self._protocol.initialise_handshake_state()
        self._state: Any = self._protocol.handshake_state

    def write(self, payload: bytes) -> bytes:
        buffer = bytearray()
        try:
            self._state.write_message(payload, buffer)
        except NoiseValueError as error:
            raise BadHandshake("a Noise key of low order") from error
        return bytes(buffer)

    def read(self, message: bytes) -> bytes:
        buffer = bytearray()
        try:
            self._state.read_message(message, buffer)
        except NoiseInvalidMessage as error:
            raise BadHandshake("another network or version, or bytes that were changed on the way") from error
        except NoiseValueError as error:
            raise BadHandshake("a Noise key of low order") from error
        return bytes(buffer)

    @property
    def remote_static(self) -> bytes:
        key: bytes = self._state.rs.public_bytes
        return key

    @property
    def hash(self) -> bytes:
        value: bytes = self._protocol.handshake_hash
        return value

    def ciphers(self) -> tuple[Cipher, Cipher]:
        """For what we send and for what we receive."""
        return Cipher(self._protocol.cipher_state_encrypt), Cipher(self._protocol.cipher_state_decrypt)
