"""One home, one place, one daemon: a mark that a copy can't carry, and a lock that only one daemon holds."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pblog.disk import reason
from p2pblog.errors import UserError
from p2pblog.home import Home

WRITTEN = "has written"
SEAL = "installation.seal"
MACHINE_ID = Path("/etc/machine-id")


def has_written(home: Home) -> bool:
    """Whether the mark says that entries were signed here."""
    return _read(home)[1:] == [WRITTEN]


def is_in_place(home: Home) -> bool:
    """Whether this home lies where it was marked, untouched by a copy or a restore.

    The mark names the inode number and the change time of a second file, the seal, and the machine. A copy of the seal
    has another inode, a restore over it another change time, another machine another id. Each start makes a new seal,
    so what puts back only files that differ, as rsync does, puts back this one. A disk cloned block by block keeps all
    three; for that we compare with peers. Moving a home within its disk keeps the mark; changing the owner of
    everything in it does not. That costs a new device log, and one of the 256 devices for which an identity has room:
    who does it at each start, as some containers do, uses them up, and then can't write from there any more.
    """
    try:
        return _read(home)[:1] in [[_place(seal)] for seal in _seals(home)]
    except OSError:
        return False


def mark(home: Home, written: bool = False) -> None:
    """Make this place the home's own, by a new seal. `written`: entries were signed here. Raises UserError."""
    with _named(home):
        seal = home.folder / f"{SEAL}.{secrets.token_hex(4)}"
        seal.touch(mode=0o600)
        _write(home, _place(seal) + f"\n{WRITTEN}" * written)
        for old in _seals(home):
            if old != seal:
                old.unlink()


def unmark(home: Home) -> None:
    """Take back what `mark` made, or began to make: keys that are put here later were not made here."""
    for each in (_mark(home), _mark(home).with_suffix(".draft"), *_seals(home)):
        each.unlink(missing_ok=True)


def mark_written(home: Home) -> None:
    """Remember that entries were signed here, so that a lost database is noticed. Raises UserError."""
    with _named(home):
        if not has_written(home):
            _write(home, "\n".join([*_read(home)[:1], WRITTEN]))


@contextmanager
def _named(home: Home) -> Iterator[None]:
    """What the system says of a file that was being written names no file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"can't write in {home.folder}: {reason(error)}") from error


def _read(home: Home) -> list[str]:
    """The place and what else the mark says; nothing where there is none."""
    try:
        return _mark(home).read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def _write(home: Home, text: str) -> None:
    """At once or not at all, and durably."""
    draft = _mark(home).with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(_mark(home))
    folder = os.open(home.folder, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mark(home: Home) -> Path:
    return home.folder / "installation"


def _seals(home: Home) -> list[Path]:
    """One; two where a start was cut short."""
    return sorted(home.folder.glob(f"{SEAL}*"))


def _place(seal: Path) -> str:
    try:
        machine = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = "unknown"
    found = seal.stat()
    return f"{found.st_ino} {found.st_ctime_ns} {machine}"


@contextmanager
def sole_daemon(home: Home) -> Iterator[None]:
    """Hold the home's lock. Raises UserError that names the daemon which holds it already."""
    try:
        home.lock.touch(mode=0o600)
        file = home.lock.open("a+", encoding="ascii")
    except OSError as error:
        raise UserError(f"the home {home.folder} cannot be used: {reason(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).strip()
            raise UserError(
                f"another p2pblog daemon (process {holder or 'unknown'}) is running on the home {home.folder}",
                hint="p2pblog status",
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)
