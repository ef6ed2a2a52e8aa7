"""Framing: messages become one byte stream, the stream becomes sealed frames, and back.

    frame   = length 2 (big-endian, of what follows) | Noise message of 17 to 65,535 bytes
    stream  = the plaintexts of all frames, one after the other
    message = length (LEB128, shortest form, 1 to 4 bytes) | that many bytes, at least one

Messages and frames need not align: many small messages share a frame, a large one spans several. A message alone in
its frame costs 19 bytes up to a size of 127, then 20 up to 16,383.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2pblog.config import MESSAGE_BYTES_MAX
from p2pblog.errors import Disconnected, LocalProtocolError, Malformed, RemoteProtocolError, TooLarge
from p2pblog.transport.handshake import TAG_BYTES, Cipher

NOISE_BYTES_MAX = 65_535
"""Noise's own limit for one message (specification, 3)."""
FRAME_BYTES_MAX = 2 + NOISE_BYTES_MAX
PLAIN_BYTES_MAX = NOISE_BYTES_MAX - TAG_BYTES
"""What one frame takes on the wire, and what it holds of messages."""
LENGTH_BYTES_MAX = 4
"""Of a message's length: 28 bits, above any MESSAGE_BYTES_MAX we would set."""


def wire_bytes(message_bytes: int) -> int:
    """Bytes on the wire of one message sent alone."""
    plain = len(_spell_length(message_bytes)) + message_bytes
    frames = -(-plain // PLAIN_BYTES_MAX)
    return plain + frames * (2 + TAG_BYTES)


class FrameWriter:
    """Seals messages for one direction of a proven connection."""

    def __init__(self, cipher: Cipher, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._cipher = cipher
        self._message_bytes_max = message_bytes_max

    def frames(self, messages: Iterable[bytes]) -> Iterator[bytes]:
        """The frames that carry `messages`, as few as can be, sealed one by one as they are asked for.

        Every frame must be sent, in this order, before another call: a seal can't be taken back.
        Raises LocalProtocolError for a message of no bytes or too many, before any frame that would hold a part of it.
        """
        waiting = bytearray()
        for message in messages:
            if not 1 <= len(message) <= self._message_bytes_max:
                raise LocalProtocolError(f"a message of {len(message)} bytes")
            waiting += _spell_length(len(message))
            waiting += message
            whole = len(waiting) - len(waiting) % PLAIN_BYTES_MAX
            for start in range(0, whole, PLAIN_BYTES_MAX):
                yield self._frame(waiting[start : start + PLAIN_BYTES_MAX])
            del waiting[:whole]
        if waiting:
            yield self._frame(waiting)

    def _frame(self, plain: bytearray) -> bytes:
        sealed = self._cipher.seal(bytes(plain))
        return len(sealed).to_bytes(2, "big") + sealed


class FrameReader:
    """Opens frames and puts messages together. It holds at most one frame, one message and what it was last fed."""

    def __init__(self, cipher: Cipher, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._cipher = cipher
        self._wire = bytearray()
        self._messages = MessageReader(message_bytes_max)
        self._fault: RemoteProtocolError | None = None

    @property
    def fault(self) -> RemoteProtocolError | None:
        """What ended the reading, once something did."""
        return self._fault

    @property
    def pending(self) -> int:
        """Bytes held of a frame and a message that are not complete; zero between messages."""
        return len(self._wire) + self._messages.pending

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes; b"" means that the stream ended.

        Raises TooLarge, Malformed or Disconnected. The messages before a fault are always given first: then the fault
        comes with the next call, whatever that brings. After it every call raises it again.
        """
        if self._fault is not None:
            raise self._fault
        messages: list[bytes] = []
        try:
            if not data:
                raise Disconnected("the stream ended within a message" if self.pending else "the peer closed the link")
            self._wire += data
            self._open_frames(messages)
        except RemoteProtocolError as fault:
            self._fault = fault
            self._wire.clear()
            self._messages.clear()
            if not messages:
                raise
        return messages

    def _open_frames(self, messages: list[bytes]) -> None:
        position = 0
        while len(self._wire) - position >= 2:
            size = int.from_bytes(self._wire[position : position + 2], "big")
            if size <= TAG_BYTES:
                raise Malformed("a frame with nothing in it")
            if len(self._wire) - position < 2 + size:
                break
            sealed = bytes(self._wire[position + 2 : position + 2 + size])
            position += 2 + size
            self._messages.feed(self._cipher.open(sealed), messages)
        del self._wire[:position]


class MessageReader:
    """Cuts the plaintext stream into messages."""

    def __init__(self, message_bytes_max: int) -> None:
        self._message_bytes_max = message_bytes_max
        self._held = bytearray()
        self._awaited: int | None = None  # bytes of the message that is coming, once its length is read

    @property
    def pending(self) -> int:
        return len(self._held) + (self._awaited is not None)

    def clear(self) -> None:
        self._held.clear()

    def feed(self, plain: bytes, messages: list[bytes]) -> None:
        """Append to `messages` each one that `plain` completes. Raises TooLarge or Malformed."""
        self._held += plain
        position = 0
        while True:
            if self._awaited is None:
                self._awaited, position = self._read_length(position)
                if self._awaited is None:
                    break
            if len(self._held) - position < self._awaited:
                break
            messages.append(bytes(self._held[position : position + self._awaited]))
            position += self._awaited
            self._awaited = None
        del self._held[:position]

    def _read_length(self, position: int) -> tuple[int | None, int]:
        """(the length that starts at `position`, where it ends), or (None, position) if more bytes are needed."""
        value = 0
        for index, byte in enumerate(self._held[position : position + LENGTH_BYTES_MAX]):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                self._check_length(value, last_byte=byte, more=index > 0)
                return value, position + index + 1
        if len(self._held) - position >= LENGTH_BYTES_MAX:
            raise TooLarge("a message length of over 28 bits")
        return None, position

    def _check_length(self, value: int, last_byte: int, more: bool) -> None:
        if last_byte == 0:
            raise Malformed("a message length in a longer form than it needs" if more else "a message with no bytes")
        if value > self._message_bytes_max:
            raise TooLarge(f"a message of {value} bytes where at most {self._message_bytes_max} are allowed")


def _spell_length(value: int) -> bytes:
    spelled = bytearray()
    while value >= 0x80:
        spelled.append(value & 0x7F | 0x80)
        value >>= 7
    spelled.append(value)
    return bytes(spelled)
