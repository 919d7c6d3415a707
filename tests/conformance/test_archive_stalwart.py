"""3,240 real mails of a list archive: imported, listed, read back octet for octet."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from mailframe.mailbox.archives import open_archive
from mailframe.mailbox.importing import import_mail
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import ANN, House, done, fetch

SUITES = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
ARCHIVE = SUITES / "09-archives" / "stalwart" / "mailbox.gz"
PERCEVAL = SUITES / "09-archives" / "perceval"

needs_suites = pytest.mark.skipif(
    not ARCHIVE.exists(), reason="the public mail archives are not here (MAILFRAME_SUITES)"
)


def split(raw: bytes) -> list[bytes]:
    """An independent reading of mbox(5)."""
    messages = re.split(rb"^From [^\n]*\n", raw, flags=re.MULTILINE)[1:]
    return [re.sub(rb"\A\r?\n\Z|(?<=\n)\r?\n\Z", b"", message) for message in messages]


def wire(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def bring(house: House, path: Path) -> int:
    disk = Disk()
    archive = open_archive(str(path), disk)
    result = import_mail(
        str(house.base), ANN, archive, disk, hostname="mx.example.org", now=1_700_000_000.0
    )
    return result.imported


@needs_suites
@pytest.mark.slow
def test_every_mail_comes_back_as_it_was(tmp_path: Path) -> None:
    house = House(tmp_path)
    expected = split(gzip.decompress(ARCHIVE.read_bytes()))
    assert len(expected) == 3240
    assert bring(house, ARCHIVE) == 3240
    mailbox = house.inbox()
    infos = done(mailbox.messages())
    assert len({info.uid for info in infos}) == 3240
    found = [fetch(mailbox, info.uid) for info in infos]
    assert [len(content) for content in found] == [info.size for info in infos]
    assert sorted(found) == sorted(wire(message) for message in expected)
    assert [info.received for info in infos] == sorted(info.received for info in infos)
    assert bring(house, ARCHIVE) == 0


@needs_suites
@pytest.mark.parametrize(
    "name",
    sorted(str(p.relative_to(PERCEVAL)) for p in PERCEVAL.glob("*/*.mbox")) or ["(none)"],
)
def test_archives_with_bad_encodings(tmp_path: Path, name: str) -> None:
    house = House(tmp_path)
    expected = split((PERCEVAL / name).read_bytes())
    assert bring(house, PERCEVAL / name) == len(expected) > 0
    assert sorted(house.contents()) == sorted(wire(message) for message in expected)
