"""Commands about lists of people whom one follows."""

from __future__ import annotations

import click

from p2pblog.commands import command, offers
from p2pblog.commands.reading import Company
from p2pblog.control import words
from p2pblog.pages import lists as pages
from p2pblog.session import Session, json_option
from p2pblog.terminal import Page

_name = click.argument("name", shell_complete=offers("lists"))


@command("lists", "p2pblog lists")
def lists(session: Session) -> None:
    """Your lists, and how many people are in each."""
    document = session.ask("lists")
    session.show(document, lambda: pages.lists_page(document, session.columns, session.command))


@click.group(
    "list",
    epilog="\b\nExample:\n  p2pblog list create beekeepers\n  p2pblog list add beekeepers bob",
)
@json_option
def lists_group() -> None:
    """Put people whom you follow into lists, for yourself alone. `timeline --list NAME` shows one."""


@command("create", "p2pblog list create beekeepers")
@click.argument("name")
def create(session: Session, name: str) -> None:
    """Begin a list."""
    document = session.ask("create_list", name=words.check_list_name(name))
    session.show(document, lambda: pages.list_page("Created", document))


@command("delete", "p2pblog list delete beekeepers")
@_name
def delete(session: Session, name: str) -> None:
    """Give a list up; you follow its members as before."""
    document = session.ask("delete_list", name=words.check_list_name(name))
    session.show(document, lambda: pages.list_page("Deleted", document))


@command("add", "p2pblog list add beekeepers bob p2pblog:ADDRESS")
@_name
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True, shell_complete=offers("people"))
def add(session: Session, name: str, addresses: tuple[str, ...]) -> None:
    """Put people whom you follow into a list."""
    document = session.ask("add_to_list", name=words.check_list_name(name), addresses=_checked(addresses))
    session.show(document, lambda: pages.list_page("Now", document))


@command("remove", "p2pblog list remove beekeepers bob")
@_name
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True, shell_complete=offers("members"))
def remove(session: Session, name: str, addresses: tuple[str, ...]) -> None:
    """Take people out of a list."""
    document = session.ask("remove_from_list", name=words.check_list_name(name), addresses=_checked(addresses))
    session.show(document, lambda: pages.list_page("Now", document))


@command("show", "p2pblog list show beekeepers")
@_name
def show(session: Session, name: str) -> None:
    """Who is in a list."""
    document = session.ask("show_list", name=words.check_list_name(name))

    def page() -> Page:
        company = Company(session)
        return pages.members_page(document, company.people, company.own_address)

    session.show(document, page)


def _checked(addresses: tuple[str, ...]) -> list[str]:
    return [words.check_utf8(address, "the address") for address in addresses]


for _each in (create, delete, add, remove, show):
    lists_group.add_command(_each)
