"""Addresses and links, right and wrong."""

from __future__ import annotations

import base64

from vectors.parts import ALICE, BOB, Case, accept, reject
from vectors.readers import read_address_case

from p2pblog.core.address import spell
from p2pblog.core.keys import digest


def addresses() -> list[Case]:
    alice = spell(ALICE.hash)
    cases = [
        accept(name, text, read_address_case(text))
        for name, text in {
            "alice": alice,
            "bob": spell(BOB.hash),
            "capitals": alice.upper(),
            "mixed case": alice[:20].upper() + alice[20:],
            "a link": f"p2pblog:{alice}",
            "a link in capitals, as a QR code holds it": f"P2PBLOG:{alice.upper()}",
            "white space around it": f"  p2pblog:{alice}\n",
            "an invite": f"p2pblog:{alice}?peer=192.0.2.1:4711",
            "an IPv6 peer": f"p2pblog:{alice}?peer=[2001:db8::1]:4711",
            "an escaped IPv6 peer": f"p2pblog:{alice}?peer=%5B2001%3Adb8%3A%3A1%5D%3A4711",
            "an IPv6 peer in another spelling": f"p2pblog:{alice}?peer=[2001:0DB8:0:0::1]:4711",
            "an IPv4 peer in IPv6 clothes": f"p2pblog:{alice}?peer=[::ffff:192.0.2.1]:4711",
            "two peers, and a parameter that we don't know": (
                f"p2pblog:{alice}?peer=192.0.2.1:4711&via=3&peer=198.51.100.7:80"
            ),
            "a percent-coded name": f"p2pblog:{alice}?%70eer=192.0.2.1:4711",
            "a port with zeros before it": f"p2pblog:{alice}?peer=192.0.2.1:00080",
            "empty parameters, and unknown ones without a value": f"p2pblog:{alice}?&via&=&to=&peer=192.0.2.1:4711",
            "a bare address with a peer": f"{alice}?peer=192.0.2.1:4711",
            "nine peers, of which eight count": f"p2pblog:{alice}?"
            + "&".join(f"peer=192.0.2.{n}:4711" for n in range(1, 10)),
        }.items()
    ]
    return cases + _wrong_addresses(alice) + _wrong_peers(alice)


def _wrong_addresses(alice: str) -> list[Case]:
    typo = "b" if alice[7] != "b" else "c"
    other = next(at for at in range(55) if alice[at] != alice[at + 1])
    version_2 = ALICE.hash + digest(b"p2pblog address" + ALICE.hash + b"\x02", size=2) + b"\x02"
    undomained = ALICE.hash + digest(ALICE.hash + b"\x01", size=2) + b"\x01"
    wrong = {
        "nothing": "",
        "a link to nothing": "p2pblog:",
        "one character short": alice[:-1],
        "one character too many": alice + "a",
        "one letter changed": alice[:7] + typo + alice[8:],
        "two letters exchanged": alice[:other] + alice[other + 1] + alice[other] + alice[other + 2 :],
        "the digit 0": "0" + alice[1:],
        "the digit 1 for the letter l": "1" + alice[1:],
        "the digit 8": alice[:-1] + "8",
        "a space within": alice[:28] + " " + alice[29:],
        "padding": alice[:-1] + "=",
        "more padding": alice[:-6] + "======",
        "a dotless i, whose capital is an I": alice[:3] + "\u0131" + alice[4:],
        "a long s, whose capital is an S": alice[:3] + "\u017f" + alice[4:],
        "a full-width letter": "\uff41" + alice[1:],
        "the hash in hex": ALICE.hash.hex(),
        "version 2, its checksum right": _base32(version_2),
        "version 0": _base32(version_2[:34] + b"\0"),
        "a checksum without its domain": _base32(undomained),
        "another scheme": f"http:{alice}",
        "a scheme with slashes": f"p2pblog://{alice}",
    }
    return [reject("bad-address", name, text) for name, text in wrong.items()]


def _wrong_peers(alice: str) -> list[Case]:
    peers = {
        "a peer by host name": "example.org:4711",
        "a peer without a port": "192.0.2.1",
        "a peer that is empty": "",
        "an empty peer beside another": "192.0.2.1:4711&peer=",
        "a bare peer beside another": "192.0.2.1:4711&peer",
        "port 0": "192.0.2.1:0",
        "an IPv4 peer in brackets": "[192.0.2.1]:4711",
        "a port of six digits": "192.0.2.1:004711",
        "a fragment": "192.0.2.1:4711#x",
        "a port over 65535": "192.0.2.1:65536",
        "an IPv6 peer without brackets": "2001:db8::1:4711",
        "an IPv6 peer with a scope": "[fe80::1%25eth0]:4711",
        "an address with leading zeros": "192.000.002.001:4711",
        "digits of another script": "192.0.2.\u0661:4711",
    }
    cases = [reject("malformed", name, f"p2pblog:{alice}?peer={peer}") for name, peer in peers.items()]
    return [*cases, reject("malformed", "33 parameters", f"p2pblog:{alice}?" + "&".join(["a=1"] * 33))]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower()
