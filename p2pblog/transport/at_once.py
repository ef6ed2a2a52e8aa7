"""What a socket takes or gives at once: the usual case of a busy link, without what waiting for it would cost.

trio's streams take 36 microseconds to send a small frame within a time limit, and 20 without one; 12 are enough where
nobody has to wait. Other streams than sockets, and systems whose sockets are no files, go trio's way.
"""

from __future__ import annotations

import os
import sys

import trio

if sys.platform == "linux":
    import fcntl
    import termios

PIECE_BYTES = 16 * 1024
"""Given at once to a stream that does not tell how much it has taken: as much as trio lets a socket hold back."""


def _descriptor(stream: trio.abc.Stream) -> int | None:
    """The file behind a socket, -1 once it is closed; None where there is none."""
    if isinstance(stream, trio.SocketStream) and os.name == "posix":
        return stream.socket.fileno()
    return None


async def write(stream: trio.abc.Stream, data: bytes) -> int:
    """How many of these bytes the stream has taken at once, 0 where it can't be asked. Others have had no turn since it
    took them: who calls may count them first, and then has to let others have it.

    Raises trio's BrokenResourceError, and Cancelled before anything is written but never after.
    """
    descriptor = _descriptor(stream)
    if descriptor is None:
        return 0
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise trio.BrokenResourceError("the socket takes no more") from error


async def write_some(stream: trio.abc.Stream, data: bytes) -> int:
    """How many of these bytes, at least one, the stream has taken once it takes any. Raises as `write`, but after a
    cancelled wait it is not known how much another stream than a socket has taken.
    """
    while (taken := await write(stream, data)) == 0 and (descriptor := _descriptor(stream)) is not None:
        await trio.lowlevel.wait_writable(descriptor)
    if taken:
        return taken
    await stream.send_all(data[:PIECE_BYTES])
    return len(data[:PIECE_BYTES])


def unacknowledged(stream: trio.abc.Stream) -> int:
    """How many bytes that the stream has taken the other end has yet to acknowledge; 0 where nobody tells.

    Only Linux is asked (SIOCOUTQ, tcp(7)). macOS has SO_NWRITE and FreeBSD FIONWRITE, both said to count the same: they
    may be added where somebody has seen on such a machine that what is acknowledged leaves the count.
    """
    descriptor = _descriptor(stream)
    if sys.platform != "linux" or descriptor is None or descriptor < 0:
        return 0
    told = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))  # the same number
    return int.from_bytes(told, sys.byteorder)


async def read(stream: trio.abc.Stream, bytes_max: int) -> bytes:
    """The next bytes of a stream, none at its end; waits for them if there are none yet.

    Raises trio's BrokenResourceError or ClosedResourceError, and Cancelled before anything is read but never after.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    has_waited = False
    while (descriptor := _descriptor(stream)) is not None:
        try:
            data = os.read(descriptor, bytes_max)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(descriptor)
            has_waited = True
        except OSError as error:
            raise trio.BrokenResourceError("the socket gives no more") from error
        else:
            if not has_waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return data
    return bytes(await stream.receive_some(bytes_max))
