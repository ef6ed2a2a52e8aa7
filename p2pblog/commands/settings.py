"""Commands about settings of the node."""

from __future__ import annotations

import click

from p2pblog.commands import command, offers
from p2pblog.control import settings
from p2pblog.pages import settings as pages
from p2pblog.session import Session, json_option, this

_key = click.argument("key", shell_complete=offers("settings"))


@click.group(
    "config",
    invoke_without_command=True,
    epilog="\b\nExample:\n  p2pblog config\n  p2pblog config set store.max 2GB",
)
@json_option
@this
@click.pass_context
def config(context: click.Context, session: Session) -> None:
    """What you have set for your node. Without a word after it, all of it.

    \b
    store.max   room that it may take on disk; beyond, old notices of others go
    files.max   of that, what pictures and other files of others may take
    """
    if context.invoked_subcommand is None:
        _list(session)


@command("list", "p2pblog config list --json")
def list_all(session: Session) -> None:
    """All settings, as they are now and if you do nothing."""
    _list(session)


@command("get", "p2pblog config get store.max")
@_key
def get(session: Session, key: str) -> None:
    """What a setting is now."""
    document = session.ask("config_get", key=settings.check_key(key))
    session.show(document, lambda: pages.setting_page(document))


@command("set", "p2pblog config set store.max 2GB\np2pblog config set store.max none")
@_key
@click.argument("value")
def put(session: Session, key: str, value: str) -> None:
    """Set it; it holds at once, and after the next start."""
    found = settings.check_key(key)
    settings.check_size(value)
    document = session.ask("config_set", key=found, value=value)
    session.show(document, lambda: pages.setting_page(document))


@command("unset", "p2pblog config unset store.max")
@_key
def unset(session: Session, key: str) -> None:
    """Take it back to what it is if you do nothing."""
    document = session.ask("config_unset", key=settings.check_key(key))
    session.show(document, lambda: pages.setting_page(document))


def _list(session: Session) -> None:
    document = session.ask("config")
    session.show(document, lambda: pages.settings_page(document, session.columns))


for _each in (list_all, get, put, unset):
    config.add_command(_each)
