"""How the node is doing, and with which others it is linked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import ago, counted, fields, lasting, short_id, sized, table, try_line
from p2pblog.terminal import Line, Page, Piece, Style, clean_name, fit, line

if TYPE_CHECKING:
    from p2pblog.control.documents import DeviceDocument, PeerDocument, StatusDocument, StoreDocument


def status_page(status: StatusDocument, columns: int, command: str) -> Page:
    """`command` is how this program is called here."""
    page = fields(
        [
            ("name", clean_name(status["name"]) or "(none)"),
            ("address", status["address"]),
            ("listening", status["listen"]),
            ("peers", f"{status['peers']:,} linked, {status['dht_nodes']:,} known in the DHT"),
            ("follows", f"{status['follows']:,}"),
            ("entries", f"{status['entries']:,}"),
            ("devices", f"{len(status['devices']):,}"),
            ("room", room_line(status["store"])),
            ("running", f"{lasting(status['uptime_s'])}, process {status['pid']}, p2pblog {status['version']}"),
        ]
    )
    if status["store"]["failing"] is not None:
        page += [line(), line(Piece(f"What comes can't be kept: {status['store']['failing']}.", Style.WARNING))]
    if len(status["devices"]) > 1:
        page += [line(), line("Your devices:"), *map(_device_line, status["devices"])]
    if status["pending"]:
        page += [line(), line(Piece(f"Not found yet: {counted(len(status['pending']), 'address', 'addresses')}"))]
        page += [line("  ", fit(address, columns - 2)) for address in status["pending"]]
    return page if status["peers"] else [*page, line(), *alone_page(command)]


def _device_line(device: DeviceDocument) -> Line:
    said = [counted(device["entries"], "entry", "entries")]
    said += [*(["this one"] if device["here"] else []), *(["retired"] if device["retired"] else [])]
    return line("  ", Piece(short_id(device["device"]), Style.ID), f"  {', '.join(said)}")


def alone_page(command: str) -> Page:
    """What to do about a node that is linked with no other: nothing comes to it, and nothing of it to anybody."""
    return [
        line("Your node is linked with no other yet. Take somebody's invitation, or name a node to begin with."),
        try_line(f"{command} peer add HOST:PORT"),
    ]


def room_line(store: StoreDocument) -> str:
    """How full the node is; that it takes what it likes is not worth a word."""
    limit = "" if store["max"] is None else f" of {sized(store['max'])}"
    gone = f", {counted(store['pruned'], 'entry', 'entries')} pruned" if store["pruned"] else ""
    return f"{sized(store['used'])}{limit}{gone}"


def peers_page(peers: Sequence[PeerDocument], now_ms: int, columns: int, command: str) -> Page:
    """`command` is how this program is called here."""
    if not peers:
        return alone_page(command)
    rows = [
        [
            short_id(peer["node"]),
            peer["endpoint"],
            peer["direction"],
            ago(peer["since"], now_ms),
            f"{peer['feeds']:,}",
            sized(peer["bytes_in"]),
            sized(peer["bytes_out"]),
        ]
        for peer in peers
    ]
    header = ["NODE", "ENDPOINT", "WAY", "SINCE", "FEEDS", "IN", "OUT"]
    return table(header, rows, columns, shrink=(1,), right={4, 5, 6})
