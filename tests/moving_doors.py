"""The doors for what a person brings along: files beside notices, archives, and what other places hand out."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from builders import NOON
from door_kinds import ALICE, RUN, SCRATCH, Door, of_file, of_peers, of_text
from PIL import Image

from p2pblog import archives, outbox
from p2pblog.cases import moving
from p2pblog.commands.files import prepared
from p2pblog.core import archive, codec, follow_list, mastodon, passphrase
from p2pblog.core.address import Endpoint
from p2pblog.core.archive import Manifest, Member, Secrets
from p2pblog.core.identity import Identity
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.keys import EntryId, digest
from p2pblog.core.media import table_of
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.errors import RemoteProtocolError, StoreError, UserError
from p2pblog.store.blobs import DiskBlobs


def moving_doors() -> dict[str, Door]:
    """All of this file."""
    return _attached() | _archived() | _from_elsewhere()


# --- files beside notices ---------------------------------------------------------------------------------------------


def _picture(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture = Image.new("P" if kind == "GIF" else "RGB", (24, 8))
    picture.save(out, kind, **({} if kind == "GIF" else {"exif": exif}), **more)
    return out.getvalue()


def _attached() -> dict[str, Door]:
    held = b"bees " * 9
    table, folder = table_of(held), SCRATCH / "blobs"
    told = codec.pack([table.size, b"".join(table.pieces)])

    def look(path: Path) -> object:
        blobs = DiskBlobs(folder)  # which remembers nothing yet
        found = blobs._carefully(lambda: blobs._held(table.file))
        path.unlink(missing_ok=True)
        return found

    pictures = [_picture(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    moved = _picture("GIF", save_all=True, append_images=[Image.new("P", (24, 8), 1)], duration=50)
    seeds = [*pictures, moved, held, b"%PDF-1.7\n", b"II*\0", b"\0\0\0\x18ftypheic"]
    hashed = table.file.hex()
    return {
        "file to be posted": of_file(lambda path: prepared(str(path), False), *seeds, name="bees.jpg"),
        "table of a file": of_file(look, told, name=f"blobs/parts/{hashed}.table", fault=StoreError),
        "file that is kept": of_file(look, held, name=f"blobs/kept/{hashed}", fault=StoreError),
    }


# --- archives ---------------------------------------------------------------------------------------------------------


def _opened(path: Path) -> None:
    """All that `import` reads of an archive, its secrets left aside."""
    with archives.open_archive(path) as opened:
        opened.check(lambda share: None)
        follow_list.read_list(opened.follows())


def _unsealed(data: bytes) -> Secrets:
    """Under a key that costs nothing: the real one takes half a second."""
    with mock.patch.object(passphrase, "_key", lambda *_: bytes(32)):
        return Secrets.decode(passphrase.unseal(data, "any"))


def _sealed(data: bytes) -> bytes:
    with mock.patch.object(passphrase, "_key", lambda *_: bytes(32)):
        return passphrase.seal(data, "any", bytes(16), bytes(24))


def _archive(manifest: bytes, members: dict[str, bytes], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        for name, data in {**members, archive.MANIFEST: manifest}.items():
            opened.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def _in_hex(text: str) -> None:
    """What `import_identity` and `import_run` take."""
    data = moving._bytes(text)
    for read in (Identity.decode, archive.read_run):
        try:
            read(data)
        except RemoteProtocolError:
            continue


def _archived() -> dict[str, Door]:
    entries = ALICE.log.entries
    log = b"".join(archive.frame_run(ALICE.log.run(*part)) for part in ((1, 2), (3, len(entries))))
    follows = follow_list.write_list([("bob, b.", ALICE.address), (None, "p2pblog:x")])
    members = {archive.IDENTITY: ALICE.identity.wire, archive.log_name(ALICE.key): log, archive.FOLLOWS: follows}
    listed = {name: Member(len(data), digest(data, 32)) for name, data in members.items()}
    manifest = Manifest(ALICE.hash, NOON, len(entries), listed).encode()
    kept = Kept(
        (EntryId(bytes(32)),),
        (KeptFollow(ALICE.hash, "bob", True, "3/day", True), KeptFollow(ALICE.hash)),
        (("tea", (ALICE.hash,)),),
        (Mute(MuteKind.PERSON, ALICE.hash), Mute(MuteKind.WORD, b"wasps", 0, NOON)),
        (ALICE.hash,),
        (ALICE.hash,),
        ("birds",),
        (Endpoint.parse("192.0.2.1:4711"),),
    )
    secrets = Secrets(bytes(32), bytes(range(32)), kept).encode()
    packed = [_archive(manifest, members, method) for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)]
    return {
        "archive": of_file(_opened, *packed, name="alice.zip"),
        "manifest of an archive": of_peers(Manifest.decode, manifest),
        "name in an archive": of_text(partial(archive.check_member, size=1), *members, f"files/{'0' * 64}"),
        "log in an archive": of_peers(
            lambda data: list(archive.read_log(ALICE.key, ALICE.identity, io.BytesIO(data).read)), log
        ),
        "run in an archive": of_peers(archive.read_run, RUN),
        "run in hex digits": of_text(_in_hex, RUN.hex(), ALICE.identity.wire.hex(), fault=UserError),
        "secrets of an archive": of_peers(Secrets.decode, secrets, Secrets(bytes(32), bytes(range(32))).encode()),
        "sealed secrets": Door(_unsealed, (_sealed(secrets), _sealed(b"")), (RemoteProtocolError, UserError)),
        "list of follows": of_peers(follow_list.read_list, follows, b'bob,p2pblog:x\r\n"a ""b""",y\r\n'),
    }


# --- from elsewhere ---------------------------------------------------------------------------------------------------

HTML = (
    '<p>Hi <a href="https://a.example/" class="u">a&amp;b</a><br/>&#128512; &eacute</p><ul><li>one</ul>'
    "<!-- no --><!DOCTYPE x [<!ELEMENT y>]><?php ?><![CDATA[z]]><script>a<b</script>"
)


def _outbox() -> bytes:
    actor, public = "https://m.example/users/alice", "https://www.w3.org/ns/activitystreams#Public"
    note = {
        "id": f"{actor}/statuses/1", "type": "Note", "summary": "rain", "inReplyTo": None, "to": [public],
        "published": "2019-03-02T12:30:00.5+01:00", "attributedTo": actor, "content": HTML, "contentMap": {"en": HTML},
        "attachment": [{"mediaType": "image/jpeg", "name": "Bees"}],
    }  # fmt: skip
    items = [{"type": "Create", "actor": actor, "to": [public], "object": note}]
    return json.dumps({"type": "OrderedCollection", "orderedItems": items}).encode()


def _tar(mode: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as opened:  # type: ignore[call-overload]
        for name, content in (("a.jpg", b"\xff\xd8"), (outbox.NAME, data)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _content(data: bytes) -> None:
    """The HTML of a post."""
    note = {
        "type": "Note",
        "id": "a",
        "to": "Public",
        "published": "2019-03-02T12:30:00Z",
        "content": data.decode("utf-8", "replace"),
    }
    items = [{"type": "Create", "actor": "b", "object": note}]
    mastodon.read_outbox(json.dumps({"type": "OrderedCollection", "orderedItems": items}).encode())


def _found(path: Path) -> None:
    mastodon.read_outbox(outbox.load(path))


def _from_elsewhere() -> dict[str, Door]:
    posts = _outbox()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(outbox.NAME, posts)
    files = [packed.getvalue(), _tar("w:gz", posts), _tar("w:gz", b"{}")]
    loaded = of_file(_found, posts, *files, name="outbox")
    return {
        "posts of an outbox": of_peers(mastodon.read_outbox, posts),
        "content of a post": of_peers(_content, HTML.encode()),
        "file of an outbox": Door(loaded.knock, loaded.seeds, (RemoteProtocolError, UserError)),
    }
