"""HOST:PORT as a person types it: an IP address, or a name that the system's resolver knows."""

from __future__ import annotations

import re
import socket

import trio

from p2pblog.core.address import Endpoint
from p2pblog.errors import Malformed, UsageError, UserError

_NAMED = re.compile(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})):([0-9]{1,5})", flags=re.ASCII)


def check(text: str) -> str:
    """The text, if it has the form HOST:PORT. Raises UsageError. Nothing is looked up."""
    try:
        Endpoint.parse(text)
    except Malformed as error:
        named = _NAMED.fullmatch(text)
        if named is None or int(named[2]) > 65_535 or re.fullmatch(r"[0-9.]+", named[1]):
            raise UsageError(f"{text[:80]!a} is not HOST:PORT") from error
    return text


def check_contact(text: str) -> str:
    """The same for a node to be called: nobody is called at port 0."""
    if check(text).endswith(":0"):
        raise UsageError(f"{text[:80]!a} names no port")
    return text


async def resolve(text: str) -> Endpoint:
    """Where that is. Raises UsageError for another form, UserError for a name that is not known (now)."""
    try:
        return Endpoint.parse(check(text))
    except Malformed:
        host, _, port = text.rpartition(":")
    try:
        found = await trio.socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        return Endpoint.of(str(found[0][4][0]), int(port))
    except (OSError, UnicodeError, Malformed) as error:
        raise UserError(f"the host {host} is not known") from error
