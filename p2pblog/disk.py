"""Files on the disk: opened without waiting for anybody, put in place whole, and what the system says of a failure."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path


def open_file(path: Path) -> io.FileIO:
    """A file to be read, and nothing else: to open a pipe is to wait for whoever writes to it. Raises OSError."""
    return io.FileIO(path, opener=_opened)


def _opened(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError("it is no file")


def put_in_place(draft: Path, target: Path, force: bool) -> None:
    """Raises OSError, among them FileExistsError unless `force`; whoever made the file meanwhile keeps it."""
    if force:
        draft.replace(target)
        return
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        if os.path.lexists(target):
            raise FileExistsError from None
        draft.rename(target)


def reason(error: OSError) -> str:
    """What the system says of it, without Python's dressing."""
    return os.strerror(error.errno) if error.errno else str(error)
