"""Where a home lies on disk, and what lies in it.

Every command imports this file, so what only some of them need is imported where it is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 100
"""sockaddr_un holds 104 bytes on BSD and macOS, 108 on Linux, with the closing zero."""


@dataclass(frozen=True, slots=True)
class Home:
    """One person's node on disk: the folder (0700) with keys, database and control socket."""

    folder: Path

    @property
    def keys(self) -> Path:
        """The secret keys: root_0, the device and the node (0600)."""
        return self.folder / "keys.json"

    @property
    def database(self) -> Path:
        return self.folder / "store.sqlite3"

    @property
    def media(self) -> Path:
        """The files of notices, our own and others'."""
        return self.folder / "media"

    @property
    def lock(self) -> Path:
        """Locked by the running daemon; holds its process id."""
        return self.folder / "daemon.lock"

    @property
    def control(self) -> Path:
        """The control socket, where a command finds it: in the home, or where the link there leads. One that was copied
        along with another home leads to a socket of another name, and not to ours."""
        made, link = self.new_control(), self.control_link
        try:
            led = link.readlink() if made != link else made
        except OSError:  # no daemon was here, or this disk has no links
            return made
        return led if led.name == made.name else made

    def new_control(self) -> Path:
        """Where a daemon makes it: for a home deeper than a socket path can name, one in a runtime folder stands in."""
        if _fits_socket(self.control_link):
            return self.control_link
        import hashlib

        tag = hashlib.blake2b(os.fsencode(self.folder), digest_size=8).hexdigest()
        return next(filter(_fits_socket, (folder / f"{tag}.sock" for folder in runtime_folders())))  # in /tmp it fits

    @property
    def control_link(self) -> Path:
        """The socket, or a link to the one that stands in for it: who asks may have another environment."""
        return self.folder / "control.sock"


def _fits_socket(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX


def runtime_folders() -> Iterator[Path]:
    """Short folders of this user's own for sockets, the best one first; whoever listens makes it with 0700."""
    own, chosen = f"p2pblog-{os.getuid()}", os.environ.get("XDG_RUNTIME_DIR", "")
    if chosen.startswith("/"):
        yield Path(chosen) / own
    import tempfile  # it takes 10 ms, and tries to write; few need it

    with suppress(FileNotFoundError):  # it finds none where nothing can be written
        yield Path(tempfile.gettempdir()) / own
    yield Path("/tmp") / own  # noqa: S108 - with 0700, and checked


def find_home(folder: str | None) -> Home:
    """The home that `--home`, else P2PBLOG_HOME, else the platform names; absolute, links resolved."""
    chosen = folder or os.environ.get("P2PBLOG_HOME") or _platform_home()
    return Home(Path(chosen).expanduser().resolve())


def _platform_home() -> str:
    """Where the platform keeps such a folder. On Linux that is one line of the XDG base directory specification, and
    said here as platformdirs says it: importing that library takes a tenth of the time that a command has."""
    base, home = os.environ.get("XDG_DATA_HOME", ""), os.environ.get("HOME", "")
    if sys.platform == "linux" and "ANDROID_ROOT" not in os.environ:
        if base.startswith("/"):
            return f"{base}/p2pblog"
        if not base and home.startswith("/"):
            return f"{home}/.local/share/p2pblog"
    import platformdirs

    return platformdirs.user_data_dir("p2pblog")
