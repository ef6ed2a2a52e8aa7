"""The command that looks whether the database is damaged, and makes it anew of what can be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from p2pblog.commands import command, now_ms
from p2pblog.commands.progress import share_bar
from p2pblog.errors import StoreDamaged, UserError
from p2pblog.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from p2pblog.control.documents import CheckDocument
    from p2pblog.core.identity import Identity
    from p2pblog.home import Home
    from p2pblog.keyring import Keyring
    from p2pblog.store.mending import Looked


@command("check", "p2pblog check\np2pblog check --mend")
@click.option("--mend", "is_to_mend", is_flag=True, help="Make a damaged one anew of what can be read.")
def check(session: Session, is_to_mend: bool) -> None:
    """Look whether your database is damaged, while no node runs. Where it is, the exit code is 1, unless it was mended.
    Mending keeps the damaged file, and your node goes on as a new device."""
    from p2pblog import installation, keyring
    from p2pblog.pages.checking import check_page
    from p2pblog.store import mending

    keyring.load(session.home)  # who has none is told of it first
    with installation.sole_daemon(session.home), _named():
        own = keyring.load(session.home)  # the last daemon may have opened a new device while it was ending
        identity = _stated(own)
        with share_bar("Checking") as tick:
            looked = mending.look(session.home.database, identity.hash, tick)
        document = _document(looked, looked.faults, None)
        if is_to_mend and looked.is_damaged:
            mended, kept = _mended(session.home, own, identity)
            document = _document(mended, [*dict.fromkeys([*looked.faults, *mended.faults])], kept)
    session.show(document, lambda: check_page(document, session.command))
    if looked.is_damaged and document["kept_as"] is None:
        raise click.exceptions.Exit(UserError.exit_code)


@contextmanager
def _named() -> Iterator[None]:
    """As where the list of tables is broken: mending would lead to the same."""
    try:
        yield
    except StoreDamaged as error:
        sentence = f"{error}; it can't be mended: move it and the files beside it that begin so out of the home"
        raise UserError(f"{sentence}, and your node begins anew, as a new device") from error


def _document(looked: Looked, faults: list[str], kept: Path | None) -> CheckDocument:
    return {
        "damaged": bool(faults or looked.lost),
        "faults": faults,
        "entries": looked.entries,
        "lost": looked.lost,
        "lost_own": looked.lost_own,
        "kept_as": None if kept is None else str(kept),
    }


def _mended(home: Home, own: Keyring, identity: Identity) -> tuple[Looked, Path]:
    """What is in the new database, and where the damaged one is now. Raises UserError or StoreError, with that in its
    place still."""
    from p2pblog import disk, keyring
    from p2pblog.store import mending

    made = home.database.with_name(f"{home.database.name}-mended")
    try:
        mending.drop_half_made(made)
        with share_bar("Mending") as tick:
            looked = mending.mend(home.database, made, identity, now_ms(), tick, [*own.former, own.device])
        keyring.save(home, own.on_device(keyring.new_key()))  # what it signed last may be lost: no number twice
        kept = mending.put_in_place(home.database, made)
    except OSError as error:
        raise UserError(f"the database was not mended: {disk.reason(error)}") from error
    finally:
        mending.drop_half_made(made)
    return looked, kept


def _stated(own: Keyring) -> Identity:
    """What the key file alone can say of the identity: that these devices write for it."""
    from p2pblog.core.identity import Identity, state_device

    identity = Identity(own.inception)
    for counter, device in enumerate([*own.former, own.device]):
        identity = identity.merge([state_device(own.root, device, identity.hash, 0, counter)])
    return identity
