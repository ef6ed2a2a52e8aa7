"""The doors of a home: requests and answers of commands, the files of a home, and what a person types."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import trio
from builders import NOON
from door_kinds import (
    ALICE,
    BOB,
    HERE,
    NODE,
    RUN,
    SCRATCH,
    SIX,
    Door,
    of_file,
    of_text,
)

from p2pblog import installation, keyring, names
from p2pblog.cases.moving import Moving
from p2pblog.cases.uploads import Uploads
from p2pblog.cases.writing import Writing
from p2pblog.commands import files
from p2pblog.control import client, server, settings, words
from p2pblog.control.exchange import BadRequest, Exchange, Gone
from p2pblog.control.routes import ROUTES, Argument
from p2pblog.core.identity import Identity
from p2pblog.core.keys import KeyPair
from p2pblog.errors import NotFound, StoreError, UsageError, UserError
from p2pblog.home import Home
from p2pblog.store import migrations, sql_read
from p2pblog.terminal import clean_line, clean_name, clean_text

# --- commands and the daemon ------------------------------------------------------------------------------------------


def _head_and_body(data: bytes) -> None:
    """What stands in place of a daemon on the control socket."""
    connection = client._Connection(Home(SCRATCH), 1.0)
    connection._stream.close()
    connection._stream = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    try:
        with connection.translated():
            status, body = connection._read_head(), connection.body()
        client._document(status, body)
    finally:
        connection.close()


def _every_route(data: bytes) -> None:
    """A request body, as each route takes it."""
    for route in ROUTES:
        with suppress(UsageError):
            server._arguments(route, data)


class _Sends(trio.abc.HalfCloseableStream):
    """A client that sends this and closes."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return self._left.pop() if self._left else b""

    async def send_all(self, data: object) -> None: ...

    async def wait_send_all_might_not_block(self) -> None: ...

    async def send_eof(self) -> None: ...

    async def aclose(self) -> None: ...


def _whole_request(data: bytes) -> None:
    """What stands in place of a command line on the control socket."""
    with suppress(Gone):
        try:
            trio.run(server._request, Exchange(_Sends(data), 1.0))
        except BadRequest as refused:
            raise refused.error from refused


def _cleaned(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # text that came by msgpack or JSON and was checked
    for clean in (clean_text, clean_line, clean_name):
        clean(text)


def _new_database() -> bytes:
    """The beginning of a database of ours; more of it is read only where that says too little."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("PRAGMA page_size = 512")
        db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        return db.serialize()


def _of_commands() -> dict[str, Door]:
    kinds: dict[Argument, Any] = {
        Argument.TEXT: "text", Argument.OPTIONAL_TEXT: "more", Argument.ROWS: 20, Argument.TEXTS: ["text"],
        Argument.OPTIONAL_TEXTS: ["one", "two"], Argument.CHOICE: 2, Argument.YES_OR_NO: True, Argument.NUMBER: 1,
        Argument.TIME: 1_700_000_000_000, Argument.RUN: RUN.hex(),
        Argument.FILES: [{"upload": "one", "name": "bees.jpg", "alt": "Bees"}],
    }  # fmt: skip
    bodies = [json.dumps({name: kinds[kind] for name, kind in takes.items()}).encode() for takes in ROUTES.values()]
    refused = json.dumps(server.error_document(UsageError("no", "p2pblog id"))).encode()
    answers = [
        b"HTTP/1.1 %s\r\nContent-Length: %d\r\nx: y\r\n\r\n%s" % (status, len(body), body)
        for status, body in ((b"200 OK", b'{"id": 1}'), (b"400 Bad", refused), (b"200", b'{"error": 1}'))
    ]
    answers.append(b"HTTP/1.0 200\r\n\r\n[]")
    questions = [
        b"POST /post HTTP/1.%d\r\nHost: x\r\n%s\r\n\r\n%s" % question
        for question in (
            (0, b"Content-Length: 2", b"{}"),
            (1, b"Transfer-Encoding: chunked", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
            (1, b"Content-Length: 2\r\nExpect: 100-continue", b"{}"),
        )
    ]
    home = Home(SCRATCH / "home")
    root, after = KeyPair.from_seed(bytes(32)), KeyPair.from_seed(bytes(range(32)))
    ring = keyring.Keyring(root, Identity.begin(root, after.public).inception, NODE, NODE, "alice")
    return {
        "request of a command": Door(_every_route, tuple(bodies), (UsageError,)),
        "question to the daemon": Door(_whole_request, tuple(questions), (UserError,)),
        "answer to a command": Door(_head_and_body, tuple(answers), (UserError,)),
        "key file": Door(partial(keyring._decode, home), (keyring._encode(ring),), (UserError,)),
        "mark of a home": of_file(
            lambda path: (installation.has_written(home), installation.is_in_place(home)),
            b"12 34 machine\nhas written\n",
            name="home/installation",
        ),
        "database file": of_file(
            migrations.inspect,
            _new_database(),
            b"SQLite format 3\0" + bytes(range(84)) + bytes(412),
            name="store.sqlite3",
            fault=StoreError,
        ),
        "text shown": of_text(_cleaned, "a\x1b[31m\u202eb\n\u200bc", "e\u0301" * 9),
    }


def _own_device(text: str) -> object:
    """The one device of a node, as `export_run` looks for it."""
    holdings = SimpleNamespace(owners={ALICE.key: ALICE.hash}, logs={ALICE.key: None})
    driver = SimpleNamespace(machine=SimpleNamespace(holdings=holdings))
    node = SimpleNamespace(_driver=driver, _author=SimpleNamespace(identity_hash=ALICE.hash))
    with suppress(NotFound):
        return Moving._own_device(node, text)  # type: ignore[arg-type]
    return None


def _uploaded(text: str) -> bytes:
    """The base64 of pieces, a line each, put behind one upload."""
    uploads, name = Uploads(), None
    for piece in text.split("\n"):
        name, _ = uploads.add(piece, name)
    with suppress(UsageError):
        uploads.read(text[:64])
    return uploads.read(name or "")


def _typed() -> dict[str, Door]:
    typed = partial(of_text, fault=UsageError)
    node = SimpleNamespace(_named={"alice": ALICE.hash, "b.o-b": BOB.hash}.get)
    query = 'bees hon* "some words" -#rain from:alice has:media since:7d until:2026-11-01'
    return {
        "text typed": typed(words.check_text, "hi \U0001f600"),
        "name typed": typed(words.check_name, " alice "),
        "petname typed": typed(words.check_petname, "alice", "p2pblog:x"),
        "bio typed": typed(words.check_bio, "one\ntwo"),
        "warning typed": typed(words.check_warning, "rain"),
        "language typed": typed(words.check_language, "zh-Hant-TW"),
        "tag typed": typed(words.check_tag, "#rain"),
        "group typed": typed(words.check_group, "!rain"),
        "joined group typed": typed(words.check_joined, "!rain"),
        "id typed": typed(words.check_id, "0123abcdef" * 6 + "0123"),
        "HOST:PORT typed": typed(names.check, str(HERE), str(SIX), "example.org:4711"),
        "HOST:PORT of a node": typed(names.check_contact, str(HERE), str(SIX), "example.org:0"),
        "text typed that names people": typed(
            partial(Writing._as_signed, node), "@alice's, @b.o-b. and @carol\U0001f600"
        ),
        "message typed": typed(words.check_dm, "hi \U0001f600", "x" * 4_000),
        "list's name typed": typed(words.check_list_name, " bees "),
        "links typed": typed(
            lambda text: words.check_links(text.split("\n")), f"https://a.example/?b#c\np2pblog:{ALICE.address}"
        ),
        "description typed": typed(words.check_alt, " Bees\non a flower "),
        "poll typed": typed(lambda text: words.check_poll(text.split("\n"), text[:9]), "one\ntwo\nthr\u00e9e"),
        "time of a poll typed": typed(words.check_lasting, "90min", "24 h", "7d"),
        "choice typed": typed(words.check_choice, "2", " 17"),
        "words typed": typed(words.check_words, "Stra\u00dfe, e\u0301t\u00e9 \u4e2d"),
        "time of a mute typed": typed(words.check_duration, "30m", "12h", " 7D "),
        "size typed": typed(settings.check_size, "2GB", "1.5 GiB", "none"),
        "key of a setting typed": typed(settings.check_key, "store.max", "FILES.max"),
        "budget typed": typed(words.check_budget, "3/day", "none", "20/ week"),
        "query typed": typed(lambda text: words.check_query(text, NOON), query, "until:1h \U0001f600*", "-from:x #a"),
        "name of a file typed": typed(lambda text: files._read(f"{SCRATCH}/{text}"), _typed_file(), "../x", "."),
        "beginning of an id": of_text(sql_read._between, "0123abcd", "ab cd", "f" * 64),
        "device in hex digits": typed(_own_device, ALICE.key.hex(), BOB.key.hex()),
        "data of an upload": typed(_uploaded, "aGVsbG8=\nIGJlZXM=", "AAAA"),
    }


def _typed_file() -> str:
    (SCRATCH / "bees.txt").write_text("bees")
    return "bees.txt"


def home_doors() -> dict[str, Door]:
    """All of this file."""
    return _of_commands() | _typed()
