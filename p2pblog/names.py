"""HOST:PORT as a person types it: an IP address, or a name that the system's resolver knows."""

from __future__ import annotations

import ipaddress
import re
import socket
from itertools import chain, zip_longest

import trio

from p2pblog.core.address import Endpoint
from p2pblog.errors import Malformed, UsageError, UserError

ADDRESSES_MAX = 4
"""Addresses of one name that are tried: with five seconds for each, a person who waits still gets an answer."""
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
    if int(check(text).rpartition(":")[2]) == 0:
        raise UsageError(f"{text[:80]!a} names no port")
    return text


async def resolve(text: str) -> tuple[Endpoint, ...]:
    """Where that is: one endpoint or more, in the order in which to try them. Raises UsageError for another form,
    UserError for a name that is not known (now)."""
    try:
        return (Endpoint.parse(check(text)),)
    except Malformed:
        host, _, port = text.rpartition(":")
    try:
        found = await trio.socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(f"the host {host} is not known") from error
    endpoints = _by_turns([str(sockaddr[0]) for *_, sockaddr in found], int(port))
    if not endpoints:
        raise UserError(f"the host {host} is not known")
    return endpoints


async def resolve_here(text: str) -> Endpoint:
    """Where to listen: the first that is an address of this machine, IPv4 before IPv6, which many nodes can't call; if
    none is, the first of all. Raises as `resolve` does, and UsageError for what is no machine's own address."""
    endpoints = sorted(await resolve(text), key=lambda endpoint: ":" in endpoint.host)
    if not_ours := [endpoint.host for endpoint in endpoints if _is_for_many(endpoint)]:
        raise UsageError(f"{not_ours[0]} is an address for many machines at once, on which no node can listen")
    return next(filter(_is_here, endpoints), endpoints[0])


def _by_turns(hosts: list[str], port: int) -> tuple[Endpoint, ...]:
    """The system's order, but IPv4 and IPv6 by turns (RFC 8305, 4): a family that leads nowhere costs one try."""
    families: dict[bool, dict[Endpoint, None]] = {}
    for host in hosts:
        try:
            endpoint = Endpoint.of(host, port)
        except Malformed:  # with a scope, it means something on one machine only
            continue
        families.setdefault(":" in endpoint.host, {})[endpoint] = None
    turns = chain.from_iterable(zip_longest(*families.values()))
    return tuple(endpoint for endpoint in turns if endpoint is not None)[:ADDRESSES_MAX]


def _is_for_many(endpoint: Endpoint) -> bool:
    """Multicast and broadcast: a socket can be bound there, and nobody can call it."""
    return ipaddress.ip_address(endpoint.host).is_multicast or endpoint.host == "255.255.255.255"


def _is_here(endpoint: Endpoint) -> bool:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((endpoint.host, 0))
    except OSError:
        return False
    return True
