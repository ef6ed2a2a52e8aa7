"""Commands about the identity and the node itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from p2pblog.commands import command, now_ms, qr_lines
from p2pblog.control import client, words
from p2pblog.errors import UserError
from p2pblog.home import Home
from p2pblog.pages import nodes, people
from p2pblog.session import Session, json_option, this

if TYPE_CHECKING:
    from p2pblog.control.documents import IdDocument


@command("init", "p2pblog init --name alice")
@click.option("--name", metavar="NICK", help="How you want to be called; can be changed later.")
def init(session: Session, name: str | None) -> None:
    """Make your identity. Its keys stay in the home; its 24 recovery words are shown only now."""
    name = None if name is None else words.check_name(name)
    import secrets

    from p2pblog import disk, installation, keyring
    from p2pblog.core import address

    home = session.home
    made, recovery_words = keyring.create(home, name, secrets.token_bytes(32))
    try:
        installation.mark(home)
        spelled = address.spell(made.inception.identity)
        session.deliver(
            {"address": spelled, "name": name, "home": str(home.folder), "recovery_words": recovery_words},
            lambda: people.init_page(spelled, name, str(home.folder), recovery_words, session.command, session.columns),
        )
    except BaseException as error:  # Ctrl-C too, while the words wait for somebody who reads them
        keyring.discard(home)
        installation.unmark(home)
        if not isinstance(error, OSError):
            raise
        sentence = f"nobody could read the recovery words, so no identity was made: {disk.reason(error)}"
        raise UserError(sentence) from error


ID_TIMEOUT_S = 5.0
"""`id` asks the daemon, which knows a new name first, and reads the key file if that gives no answer at once, for
whatever reason: it is not running, or is busy with other commands."""


@command("id", "p2pblog id")
def show_id(session: Session) -> None:
    """Who you are: your address, as text and as a QR code."""
    try:
        document: IdDocument = client.call(session.home, "id", timeout_s=ID_TIMEOUT_S)
    except UserError:
        document = _id_on_disk(session.home)
    # Upper case makes a smaller code, and the case of an address has no meaning.
    session.show(document, lambda: [*people.id_page(document), *qr_lines(session, document["uri"].upper())])


def _id_on_disk(home: Home) -> IdDocument:
    from p2pblog import keyring
    from p2pblog.core.address import Link, spell

    keys = keyring.load(home)
    identity = keys.inception.identity
    return {
        "address": spell(identity),
        "name": keys.name,
        "device": keys.device.public.hex(),
        "node": keys.node.public.hex(),
        "uri": Link(identity).uri,
    }


@command("status", "p2pblog status --json")
def status(session: Session) -> None:
    """How your node is doing."""
    document = session.ask("status")
    session.show(document, lambda: nodes.status_page(document, session.columns, session.command))


@command("peers", "p2pblog peers")
def peers(session: Session) -> None:
    """The nodes that yours is linked with."""
    document = session.ask("peers")
    session.show(document, lambda: nodes.peers_page(document, now_ms(), session.columns, session.command))


@click.group("peer", epilog="\b\nExample:\n  p2pblog peer add 192.0.2.1:4711")
@json_option
def peer() -> None:
    """Add a peer by hand."""


@peer.command("add", epilog="\b\nExample:\n  p2pblog peer add 192.0.2.1:4711")
@click.argument("endpoint", metavar="HOST:PORT")
@json_option
@this
def peer_add(session: Session, endpoint: str) -> None:
    """Link with the node at HOST:PORT, and remember it."""
    document = session.ask("add_peer", endpoint=words.check_utf8(endpoint, "HOST:PORT"))
    session.show(document, lambda: nodes.peers_page([document], now_ms(), session.columns, session.command))
