"""The command line: words in, one document or one page out, and an exit code that scripts can trust."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from p2pblog import __version__
from p2pblog.commands import offers
from p2pblog.errors import UsageError
from p2pblog.session import Commands, Session, json_option, this

FILES: dict[str, tuple[str, ...]] = {
    "running": ("run",),
    "nodes": ("init", "id", "status", "peers", "peer"),
    "writing": (
        "post",
        "edit",
        "quote",
        "boost",
        "unboost",
        "like",
        "unlike",
        "pin",
        "unpin",
        "delete",
        "bookmark",
        "unbookmark",
    ),
    "polls": ("vote",),
    "private": ("dm",),
    "people": ("profile", "follow", "unfollow", "following", "invite"),
    "quiet": ("mute", "unmute", "muted", "block", "unblock", "blocked", "why"),
    "strangers": ("admit", "unadmit", "admitted", "vouch", "unvouch"),
    "reading": ("timeline", "search", "show", "thread", "bookmarks", "entry"),
    "news": ("notifications",),
    "lists": ("list", "lists"),
    "groups": ("group", "groups"),
    "files": ("media",),
    "settings": ("config",),
    "completing": ("completion",),
    "exporting": ("export",),
    "importing": ("import",),
    "checking": ("check",),
    "simulator": ("sim",),
}
"""File of `p2pblog.commands` -> the commands in it."""


class Lazy(Commands):
    """Commands that are imported when they are called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for names in FILES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for file, names in FILES.items():
            if cmd_name in names:
                found = vars(import_module(f"p2pblog.commands.{file}")).values()
                return next(each for each in found if isinstance(each, click.Command) and each.name == cmd_name)
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Raises UsageError for a word that is nearly a command; click looks among those that are imported."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            session = ctx.find_object(Session)
            assert session is not None
            session.folder = ctx.params["folder"]  # the command that would do so does not run
            raise UsageError(f"no such command {args[0]!r}", f"p2pblog {near[0]}") from None


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    "folder",
    metavar="DIR",
    shell_complete=offers("folder"),
    help="The folder of keys and notices; else P2PBLOG_HOME, else the platform's.",
)
@json_option
@click.version_option(__version__, message="p2pblog %(version)s")
@this
def main(session: Session, folder: str | None) -> None:
    """A microblog without a server.

    \b
    p2pblog init --name alice     make your identity
    p2pblog run                   start your node
    p2pblog post "Hello"          say something
    p2pblog follow ADDRESS        read somebody
    p2pblog timeline              see what is new
    """
    session.folder = folder
