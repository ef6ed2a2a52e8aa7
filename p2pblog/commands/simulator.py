"""`p2pblog sim`, whose commands are imported only when one of them is called or listed."""

from __future__ import annotations

import click

from p2pblog.session import json_option


class SimCommands(click.Group):
    """Its commands are imported when one is called or listed, so that all others start as if it were not there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["list", "run", "plot", "compare"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from p2pblog.commands import simulating

        return simulating.COMMANDS.get(cmd_name)


@click.group("sim", cls=SimCommands, epilog="\b\nExample:\n  p2pblog sim run steady --nodes 200")
@json_option
def sim() -> None:
    """Run a whole network of nodes under a virtual clock."""
