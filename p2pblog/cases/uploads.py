"""Files on their way: those that a person hands over piece by piece, and those that are being fetched."""

from __future__ import annotations

import base64
import binascii
import secrets

import trio

from p2pblog.config import FILE_BYTES_MAX, UPLOADS_MAX
from p2pblog.core.value import State, field
from p2pblog.errors import UsageError
from p2pblog.gossip.events import Ending

TOKEN_BYTES = 16
"""An upload's name: nobody guesses it, so nobody else's piece gets into it."""


class Uploads:
    """Files that were handed over and not posted yet, in memory; the one that was touched longest ago makes room."""

    def __init__(self) -> None:
        self._files: dict[str, bytearray] = {}

    def add(self, data: str, upload: str | None) -> tuple[str, int]:
        """Put bytes (base64) behind an upload, or begin one; gives its name and its size so far. Raises UsageError."""
        try:
            piece = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UsageError("the data of an upload is not base64") from error
        name = secrets.token_hex(TOKEN_BYTES) if upload is None else upload
        file = bytearray() if upload is None else self._of(name)
        if len(file) + len(piece) > FILE_BYTES_MAX:
            self._files.pop(name, None)
            raise UsageError(f"a file of over {FILE_BYTES_MAX:,} bytes")
        file += piece
        self._files.pop(name, None)
        self._files[name] = file
        while len(self._files) > UPLOADS_MAX:
            del self._files[next(iter(self._files))]
        return name, len(file)

    def read(self, upload: str) -> bytes:
        """All of an upload. Raises UsageError for an empty one, or one that is not here any more."""
        file = bytes(self._of(upload))
        if not file:
            raise UsageError("a file without any bytes says nothing")
        return file

    def forget(self, upload: str) -> None:
        self._files.pop(upload, None)

    def _of(self, upload: str) -> bytearray:
        if upload not in self._files:
            raise UsageError("that upload is not here any more: hand the file over again")
        return self._files[upload]


class Fetching(State, eq=False):
    """A file being fetched, for whoever waits for it. `held`: pieces that are here."""

    held: int = 0
    ending: Ending | None = None
    lot: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)
