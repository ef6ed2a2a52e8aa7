"""Addresses and links: what people copy, type and scan."""

from __future__ import annotations

import base64
import ipaddress
import re
from functools import lru_cache
from urllib.parse import parse_qs, quote

from p2pblog.config import ADDRESS_CHARACTERS as ADDRESS_CHARACTERS
from p2pblog.core.keys import IdentityHash, digest
from p2pblog.core.value import Value
from p2pblog.errors import BadAddress, Malformed

VERSION = b"\x01"
"""The last byte of every address; another way to make one from keys would have another."""
LINK_PEERS_MAX = 8
"""Nodes that one link names: with so many it has 280 to 480 characters, which a QR code holds."""


def spell(identity: IdentityHash) -> str:
    """The 56-character address: base32(hash 32 | checksum 2 | version 1), lower case, no padding."""
    return base64.b32encode(identity + _checksum(identity) + VERSION).decode().lower()


def read(text: str) -> IdentityHash:
    """The identity that an address names; case does not matter. Raises BadAddress, with the reason a person reads."""
    if len(text) != ADDRESS_CHARACTERS:
        raise BadAddress(f"an address has {ADDRESS_CHARACTERS} characters, this has {len(text)}")
    if re.fullmatch("[A-Za-z2-7]*", text) is None:  # before upper(), which turns some other letters into these
        raise BadAddress("an address has only the letters a to z and the digits 2 to 7")
    raw = base64.b32decode(text.upper())
    identity, checksum, version = IdentityHash(raw[:32]), raw[32:34], raw[34:]
    if checksum != _checksum(identity, version):
        raise BadAddress("a mistyped address: its checksum does not fit")
    if version != VERSION:
        raise BadAddress(f"an address of version {version[0]}, which this p2pblog does not know")
    return identity


def _checksum(identity: bytes, version: bytes = VERSION) -> bytes:
    return digest(b"p2pblog address" + identity + version, size=2)


class Endpoint(Value, order=True):
    """An IP address and the one port on which a node listens for TCP and UDP."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From `192.0.2.1:4711` or `[2001:db8::1]:4711`. Raises Malformed; names are not looked up here."""
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})", text, flags=re.ASCII)
        if match is None or (match[1] is not None and ":" not in match[1]):
            raise Malformed("an endpoint is written HOST:PORT, with an IP address as HOST")
        return cls.of(match[1] or match[2], int(match[3]))

    @classmethod
    def of(cls, host: str, port: int) -> Endpoint:
        """From the parts, with the address in its one spelling. Raises Malformed."""
        if not 0 <= port <= 65_535:
            raise Malformed("a port is at most 65535")
        return cls(_spelling(host), port)

    @property
    def block(self) -> bytes:
        """The IPv4 /24 or IPv6 /48 it lies in: who holds one address there often holds them all."""
        return _block(self.host)

    @property
    def family(self) -> int:
        """4 or 6: by which version of IP it is called."""
        return 6 if ":" in self.host else 4

    @property
    def is_public(self) -> bool:
        return _is_public(self.host)

    @property
    def reach(self) -> int:
        """From how far it can be called: 0 this machine, 1 this local net, 2 anywhere."""
        ip = ipaddress.ip_address(self.host)
        return 0 if ip.is_loopback else 2 if self.is_public else 1

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


HOSTS_REMEMBERED = 16_384
"""Hosts whose nature is remembered, about 2 MB: a node asks the same few thousand again and again."""


@lru_cache(HOSTS_REMEMBERED)
def _spelling(host: str) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError as error:
        raise Malformed("not an IP address") from error
    if "%" in host:
        raise Malformed("a scope means something on one machine only")  # and may hold any character
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped  # a `::` listener sees v4 peers so; v4-only peers can't use it
    return str(ip)


@lru_cache(HOSTS_REMEMBERED)
def _block(host: str) -> bytes:
    packed = ipaddress.ip_address(host).packed
    return packed[:3] if len(packed) == 4 else packed[:6]


@lru_cache(HOSTS_REMEMBERED)
def _is_public(host: str) -> bool:
    ip = ipaddress.ip_address(host)
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _NOT_FOR_ALL)


_NOT_FOR_ALL = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96", "2001::/32", "2002::/16", "fec0::/10")))
"""What Python takes for global: addresses that stand for one of IPv4, which may be a neighbour's (RFC 4291, 2.5.5.1;
RFC 6052, 2.1; RFC 4380, 4; RFC 3056, 2), and those of a site (RFC 3879). Whoever has IPv4 says so by IPv4."""


class Link(Value):
    """`p2pblog:ADDRESS?peer=HOST:PORT…`: an identity and nodes that know it."""

    identity: IdentityHash
    peers: tuple[Endpoint, ...] = ()

    @property
    def uri(self) -> str:
        query = "&".join(f"peer={quote(str(peer), safe='[]:')}" for peer in self.peers)
        return f"p2pblog:{spell(self.identity)}" + (f"?{query}" if query else "")


def read_link(text: str) -> Link:
    """From a bare address or a link; unknown parameters are ignored. Raises BadAddress or Malformed."""
    bare, _, query = text.strip().partition("?")
    if bare[:8].lower() == "p2pblog:":
        bare = bare[8:]
    return Link(read(bare), read_peers(query))


def read_peers(query: str) -> tuple[Endpoint, ...]:
    """The nodes that a link names, from what stands behind its `?`. Raises Malformed."""
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=32) if query else {}
    except ValueError as error:
        raise Malformed("a link with too many parameters") from error
    return tuple(_callable(peer) for peer in fields.get("peer", [])[:LINK_PEERS_MAX])


def _callable(peer: str) -> Endpoint:
    endpoint = Endpoint.parse(peer)
    if not endpoint.port:
        raise Malformed("nobody is called at port 0")
    return endpoint
