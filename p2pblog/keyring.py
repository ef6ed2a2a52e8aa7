"""The secret keys of a home on disk: who may read them, how they are replaced, and what a damaged file says."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from p2pblog.config import FORMER_DEVICES_MAX, KEY_FILE_BYTES_MAX, NAME_CHARACTERS_MAX
from p2pblog.core import keys
from p2pblog.core.identity import Identity, Inception
from p2pblog.core.keys import KeyPair
from p2pblog.core.value import Value, replace
from p2pblog.disk import reason
from p2pblog.errors import P2pblogError, UserError
from p2pblog.home import Home

VERSION = 1


class Keyring(Value):
    """What one installation may sign with. Of the later roots the disk knows no more than the inception commits to."""

    root: KeyPair
    inception: Inception
    device: KeyPair
    node: KeyPair
    name: str | None = None
    former: tuple[KeyPair, ...] = ()
    """Devices whose logs this installation left, the last one last: they sign nothing more, and open what was sealed to
    them."""

    def on_device(self, device: KeyPair) -> Keyring:
        """The same with another device to write."""
        return replace(self, device=device, former=(*self.former, self.device)[-FORMER_DEVICES_MAX:])


def new_key() -> KeyPair:
    """One that nobody ever had."""
    return KeyPair.from_seed(secrets.token_bytes(32))


def create(home: Home, name: str | None, entropy: bytes) -> tuple[Keyring, list[str]]:
    """Begin an identity from 32 random bytes: its keyring, which is now on disk, and the 24 recovery words, which are
    nowhere else. A second one in the same home is refused and changes nothing. Raises UserError."""
    root, next_root = keys.root_key(entropy, 0), keys.root_key(entropy, 1)
    keyring = Keyring(
        root=root,
        inception=Identity.begin(root, next_root.public).inception,
        device=new_key(),
        node=new_key(),
        name=name,
    )
    words = keys.words_of(entropy)
    make_private(home.folder)
    _write(home, keyring, replace=False)
    return keyring, words


def discard(home: Home) -> None:
    """Take back what `create` made a moment ago: words that nobody has seen bring nothing back."""
    home.keys.unlink()


def restore(
    home: Home, root: KeyPair, inception: Inception, name: str | None, former: Sequence[KeyPair] = ()
) -> Keyring:
    """The keyring of an identity that was taken out of another home: its root with a device and a node of their own,
    for an old device's log may go on elsewhere. `former`: the devices there, the last one last, which are only read
    with. Raises UserError, as where there is an identity already."""
    keyring = Keyring(
        root=root,
        inception=inception,
        device=new_key(),
        node=new_key(),
        name=name,
        former=tuple(former)[-FORMER_DEVICES_MAX:],
    )
    make_private(home.folder)
    _write(home, keyring, replace=False)
    return keyring


def load(home: Home) -> Keyring:
    """The keyring of a home. Raises UserError: none here, readable by others, damaged, of a newer version."""
    return _decode(home, _read(home))


def save(home: Home, keyring: Keyring) -> None:
    """Replace the keyring of a home, at once and durably: a crash leaves the old file or the new one, never a part.

    Raises UserError.
    """
    _write(home, keyring, replace=True)


# --- folders ----------------------------------------------------------------------------------------------------------


def make_private(folder: Path) -> None:
    """Make sure that `folder` exists and nobody else can enter it (0700). Raises UserError.

    A folder that others can enter is narrowed only while it is empty: it may be somebody's whole home.
    """
    try:
        for missing in [folder, *folder.parents][::-1]:
            with suppress(FileExistsError):
                missing.mkdir(mode=0o700)
                missing.chmod(0o700)  # whatever the umask took away
        _check_private(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be used as a home: {reason(error)}") from error


def _check_private(folder: Path) -> None:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise UserError(f"{folder} cannot be used as a home: it is not a folder")
    if stat.S_IMODE(found.st_mode) & 0o077 == 0:
        return
    if any(folder.iterdir()):
        raise UserError(
            f"{folder} holds other things and others can enter it: choose a folder of its own, or close it",
            hint=f"chmod 700 {shlex.quote(str(folder))}",
        )
    folder.chmod(0o700)


# --- the file ---------------------------------------------------------------------------------------------------------


def _encode(keyring: Keyring) -> bytes:
    document = {
        "version": VERSION,
        "root": keyring.root.seed.hex(),
        "inception": keyring.inception.wire.hex(),
        "device": keyring.device.seed.hex(),
        "node": keyring.node.seed.hex(),
        "name": keyring.name,
        "former": [device.seed.hex() for device in keyring.former],
    }
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def _decode(home: Home, data: bytes) -> Keyring:
    damaged = UserError(f"the key file {home.keys} is damaged: put back a copy of it")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged from error
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise damaged
    if version > VERSION:
        raise UserError(f"the key file {home.keys} was written by a newer p2pblog (version {version}): update this one")
    try:
        keyring = _from_document(document)
    except (KeyError, TypeError, ValueError, P2pblogError) as error:
        raise damaged from error
    if keyring.root.public != keyring.inception.root:
        raise damaged
    return keyring


def _from_document(document: dict[str, Any]) -> Keyring:
    name = document["name"]
    if not (name is None or isinstance(name, str)):
        raise TypeError("a name that is not text")
    if name is not None:
        name.encode()  # a ValueError, where half of a pair of surrogates stands alone
        if len(name) > NAME_CHARACTERS_MAX:
            raise ValueError("a name that no profile can have")
    return Keyring(
        root=_seed(document["root"]),
        inception=Inception.decode(bytes.fromhex(document["inception"])),
        device=_seed(document["device"]),
        node=_seed(document["node"]),
        name=name,
        former=tuple(_seed(seed) for seed in document.get("former", [])),
    )


def _seed(text: str) -> KeyPair:
    seed = bytes.fromhex(text)
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    return KeyPair.from_seed(seed)


def _read(home: Home) -> bytes:
    try:
        file = os.open(home.keys, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no identity in {home.folder}", hint="p2pblog init") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise UserError(f"the key file {home.keys} is a symbolic link, which is refused") from error
        raise UserError(f"the key file {home.keys} cannot be read: {reason(error)}") from error
    with os.fdopen(file, "rb") as stream:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"the key file {home.keys} is not a file")
        if stat.S_IMODE(mode) & 0o077:
            raise UserError(
                f"others can read the key file {home.keys}, so it is refused",
                f"chmod 600 {shlex.quote(str(home.keys))}",
            )
        try:
            return stream.read(KEY_FILE_BYTES_MAX)
        except OSError as error:
            raise UserError(f"the key file {home.keys} cannot be read: {reason(error)}") from error


def _write(home: Home, keyring: Keyring, replace: bool) -> None:
    """Write a new file beside the old one, make it durable, then put it in place in one step."""
    try:
        with _locked(home.folder) as folder:
            draft = home.keys.with_name(home.keys.name + ".new")
            draft.unlink(missing_ok=True)  # what a crash left; nobody else is here while we hold the lock
            try:
                _write_draft(draft, _encode(keyring))
                _put_in_place(draft, home.keys, replace)
            finally:
                draft.unlink(missing_ok=True)
            try:
                os.fsync(folder)
            except BaseException:
                if not replace:  # who hears that it failed was shown no words: no identity may stay
                    home.keys.unlink()
                raise
    except FileExistsError as error:
        raise UserError(f"there is an identity in {home.folder} already", hint="p2pblog id") from error
    except OSError as error:
        raise UserError(f"the key file {home.keys} cannot be written: {reason(error)}") from error


def _write_draft(draft: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(draft, flags, mode=0o600)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(file, 0o600)  # a umask may have taken too much away; it can't have added anything
        stream.write(data)
        stream.flush()
        os.fsync(file)


def _put_in_place(draft: Path, target: Path, replace: bool) -> None:
    """Raises FileExistsError unless `replace`."""
    if replace:
        draft.replace(target)
        return
    if os.path.lexists(target):  # the lock keeps other p2pblogs away between this line and the next
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    draft.rename(target)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The folder's descriptor while this process alone changes the key file in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
