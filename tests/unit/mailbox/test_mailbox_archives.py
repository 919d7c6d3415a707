from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mailframe.mailbox import mbox
from mailframe.mailbox.archives import BadArchive, open_archive
from mailframe.mailbox.exporting import Form, export_mail
from mailframe.mailbox.headers import field, header_section, parse_time, received_time
from mailframe.mailbox.importing import ImportResult, import_mail
from mailframe.mailbox.mbox import Dialect, Quoting
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import ANN, FailingDisk, House

NOW = 1_700_000_000.0
HELLO = b"Subject: hello\n\ntext\n"


def read(data: bytes, dialect: Dialect | None = None) -> list[bytes]:
    return [m.content for m in mbox.read(io.BytesIO(data), dialect or Dialect())]


def bring(house: House, path: Path, disk: Disk | None = None, **how: object) -> ImportResult:
    disk = disk or Disk()
    archive = open_archive(str(path), disk, how.pop("dialect", None))  # type: ignore[arg-type]
    return import_mail(
        str(house.base), ANN, archive, disk, hostname="mx.example.org", now=NOW, **how
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"From a@b Thu Jan  1 00:00:00 2015\nA: b\n\nx\n\n", [b"A: b\n\nx\n"]),
        (b"From a\nA: b\n\nx\n\nFrom b\nC: d\n\n", [b"A: b\n\nx\n", b"C: d\n"]),
        (b"From a\nA: b\n\nx\nFrom b\nC: d\n", [b"A: b\n\nx\n", b"C: d\n"]),  # no empty line
        (b"From a\r\nA: b\r\n\r\nx\r\n\r\nFrom b\r\n", [b"A: b\r\n\r\nx\r\n", b""]),
        (b"From a\nA: b\n\n>From x\n>>From y\n", [b"A: b\n\n>From x\n>>From y\n"]),
        (b"From a\nContent-Length: 999999\n\nx\nFrom b\n\n", None),
        (b"From a\nA: b\n\nno end", [b"A: b\n\nno end"]),
        (b"\n\nFrom a\nA: b\n", [b"A: b\n"]),
        (b"", []),
        (b"no mail", []),
        (b"From \xff\xfe\n\xff: \x00\n\n\xff\n", [b"\xff: \x00\n\n\xff\n"]),
    ],
)
def test_mbox_splits_at_from_lines(data: bytes, messages: list[bytes] | None) -> None:
    found = read(data)
    if messages is None:
        assert len(found) == 2
    else:
        assert found == messages


def test_mbox_dialects() -> None:
    data = b"From a\n\n>From x\n>>From y\nFrom here on\n"
    assert read(data, Dialect(Quoting.MBOXO))[0] == b"\nFrom x\n>>From y\n"
    assert read(data, Dialect(Quoting.MBOXRD))[0] == b"\nFrom x\n>From y\n"
    dated = b"From a  Tue Jul 23 19:39:23 2002\n\nx\n\nFrom here on\n"
    assert read(dated, Dialect(dated=True)) == [b"\nx\n\nFrom here on\n"]
    assert mbox.dialect_of("/x/All.mboxrd.gz").quoting is Quoting.MBOXRD
    assert mbox.dialect_of("/x/All.mbox").quoting is Quoting.NONE


@pytest.mark.parametrize(
    ("header", "flags", "is_new"),
    [
        (b"", "", True),
        (b"Status: O\n", "", False),
        (b"Status: RO\nX-Status: AFTD\n", "DFRST", False),
        (b"status:RO\n", "S", False),
        (b"X-Status: F\n", "F", False),
        (b"Subject: x\n Status: R\n", "", True),
    ],
)
def test_mbox_flags(header: bytes, flags: str, is_new: bool) -> None:
    [message] = mbox.read(io.BytesIO(b"From a\n" + header + b"A: b\n\nStatus: R\n"), Dialect())
    assert (message.flags, message.is_new) == (flags, is_new)


def test_the_state_that_pine_keeps_is_no_message() -> None:
    internal = b"From MAILER-DAEMON\nX-IMAP: 1 2\nSubject: DON'T DELETE THIS MESSAGE -- x\n\n\n"
    assert read(internal + b"From a\n" + HELLO) == [HELLO]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Tue Jul 23 19:39:23 2002", 1_027_453_163),
        ("Tue, 23 Jul 2002 22:39:23 +0300", 1_027_453_163),
        ("Tue Jul 23 19:39:23 EST 2002", 1_027_471_163),
        ("", None),
        ("nonsense", None),
        ("Thu Jan  1 00:00:00 1970", None),
        ("Tue, 99 Zzz 99999999999 99:99:99 +9999999", None),
        ("Mon Jan 1 00:00:00 999999999999999999999", None),
        ("\0", None),
    ],
)
def test_times(text: str, seconds: int | None) -> None:
    assert parse_time(text) == seconds


def test_header_fields() -> None:
    header = b"Received: from x\n\tby y;\n Tue, 23 Jul 2002 22:39:23 +0300\r\nDate: x\n\n"
    assert received_time(header) == 1_027_453_163
    assert field(header, b"received").startswith("from x\tby y;")
    assert field(header, b"absent") == ""
    assert header_section(b"\nbody") == b""
    assert header_section(b"A: b\r\n\r\nbody") == b"A: b\r\n\r\n"
    assert received_time(b"Date: Tue, 23 Jul 2002 22:39:23 +0300") == 1_027_453_163


def test_import_of_an_mbox_keeps_order_times_and_flags(house: House, tmp_path: Path) -> None:
    source = tmp_path / "x.mbox"
    source.write_bytes(
        b"From a Tue Jul 23 19:39:23 2002\nStatus: RO\nX-Status: F\n\n1\n\n"
        b"From a Tue Jul 23 19:39:23 2002\n\n2\n\n"
        b"From a nowhen\n\n3\n\n"
    )
    heard: list[tuple[int, int]] = []
    result = bring(house, source, progress=lambda *at: heard.append(at))
    assert result == ImportResult(imported=3)
    assert house.contents()[:2] == [b"Status: RO\r\nX-Status: F\r\n\r\n1\r\n", b"\r\n2\r\n"]
    assert house.contents()[2] == b"\r\n3\r\n"
    [seen] = (house.maildir / "cur").iterdir()
    assert seen.name.endswith(":2,FS")
    assert seen.stat().st_mtime == 1_027_453_163
    assert len(house.files("new/*")) == 2
    assert heard[-1][1] == source.stat().st_size
    assert house.files("tmp/*") == []


def test_import_again_brings_only_what_is_new(house: House, tmp_path: Path) -> None:
    source = tmp_path / "x.mbox"
    once = b"From a\n" + HELLO + b"\n"
    source.write_bytes(once + once)
    assert bring(house, source) == ImportResult(2, 0)
    path = next((house.maildir / "new").iterdir())
    path.rename(house.maildir / "cur" / (path.name + ":2,S"))
    source.write_bytes(once.replace(b"\n", b"\r\n") + once + once)
    assert bring(house, source) == ImportResult(1, 2)
    assert bring(house, source, below="Old/Lists") == ImportResult(3, 0)
    assert len(house.contents("Old/Lists")) == 3


def test_import_of_a_maildir_keeps_everything(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for folder in ("", ".Sent", ".Entw&APw-rfe.2024", ".od&d"):
        for directory in ("cur", "new", "tmp"):
            (source / folder / directory).mkdir(parents=True)
    (source / "cur" / "1043068716.M3P3V0_0.host,S=21:2,RSab").write_bytes(HELLO)
    (source / ".Sent" / "new" / "1043068717.1_0.host").write_bytes(HELLO)
    (source / ".Entw&APw-rfe.2024" / "cur" / "1043068718.1_0.host:2,D").write_bytes(HELLO)
    (source / ".od&d" / "cur" / "1043068719.1_0.host:2,").write_bytes(HELLO)
    os.utime(source / ".Sent/new/1043068717.1_0.host", (1_000_000_000, 1_000_000_000))
    house = make_house()
    assert bring(house, source) == ImportResult(4, 0)
    [inbox] = (house.maildir / "cur").iterdir()
    assert inbox.name.startswith("1043068716.M")
    assert inbox.name.endswith(":2,RS")
    [sent] = (house.maildir / ".Sent" / "new").iterdir()
    assert sent.stat().st_mtime == 1_000_000_000
    assert house.contents("Entwürfe/2024") == [HELLO.replace(b"\n", b"\r\n")]
    assert house.contents("od&d") == [HELLO.replace(b"\n", b"\r\n")]
    assert (house.maildir / ".Sent" / "maildirfolder").exists()


def test_import_of_eml_files(house: House, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "Sub").mkdir(parents=True)
    (source / "a.eml").write_bytes(HELLO)
    (source / "readme.txt").write_bytes(b"not mail")
    (source / "Sub" / "B.EML").write_bytes(
        gzip.compress(b"Date: Tue, 23 Jul 2002 22:39:23 +0300\r\n\r\nx")
    )
    assert bring(house, source) == ImportResult(2, 0)
    [sub] = (house.maildir / ".Sub" / "cur").iterdir()
    assert sub.name.startswith("1027453163.")
    assert bring(house, source / "a.eml") == ImportResult(0, 1)


def test_what_is_no_archive_is_refused(house: House, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_bytes(b"just text\n")
    (tmp_path / "nothing").write_bytes(b"")
    for name in ("empty", "text", "nothing"):
        with pytest.raises(BadArchive):
            bring(house, tmp_path / name)
    with pytest.raises(FileNotFoundError):
        bring(house, tmp_path / "absent")


def test_a_damaged_gzip_file_keeps_what_could_be_read(house: House, tmp_path: Path) -> None:
    source = tmp_path / "x.mbox.gz"
    data = b"".join(
        b"From a\nA: %d\n\n%s\n\n" % (n, os.urandom(2000).hex().encode()) for n in range(90)
    )
    source.write_bytes(gzip.compress(data)[:-5000])
    with pytest.raises(BadArchive, match="damaged"):
        bring(house, source)
    assert len(house.contents()) == 64  # one batch
    assert house.files("tmp/*") == []


def test_a_symbolic_link_to_an_archive_is_followed(house: House, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"From a\n" + HELLO)
    (tmp_path / "link").symlink_to("real")
    assert bring(house, tmp_path / "link").imported == 1


@pytest.mark.parametrize("form", Form)
def test_export_and_import_again(
    make_house: Callable[..., House], tmp_path: Path, form: Form
) -> None:
    house = make_house()
    bodies = [b"Return-Path: <bob@example.org>\r\n\r\nFrom x\r\n>From y\r\n", b"A: b\r\n\r\n\r\n"]
    for number, body in enumerate(bodies):
        house.clock.advance(1)
        house.deliver(body, f"T{number}")
        house.deliver(body, f"F{number}", folder="Work/Ärger.2024")
    out = tmp_path / "out"
    heard: list[tuple[int, int]] = []
    count = export_mail(
        str(house.base), ANN, str(out), form, Disk(), progress=lambda *at: heard.append(at)
    )
    assert count == 4
    assert heard[-1][0] == heard[-1][1]
    other = House(tmp_path / "other")
    if form is Form.MBOX:
        assert bring(other, out / "INBOX.mboxrd").imported == 2
        text = (out / "INBOX.mboxrd").read_bytes()
        assert text.startswith(b"From bob@example.org Tue Nov 14 22:13:21 2023\nReturn-Path:")
        assert b"\n>From x\n>>From y\n\nFrom MAILER-DAEMON " in text
        with pytest.raises(FileExistsError):
            export_mail(str(house.base), ANN, str(out), form, Disk())
    else:
        assert bring(other, out).imported == 4
        assert len(other.contents("Work/Ärger.2024")) == 2
        assert export_mail(str(house.base), ANN, str(out), form, Disk()) == 0
    assert other.contents() == bodies
    if form is Form.MAILDIR:
        assert {p.name for p in (out / "new").iterdir()} == {
            p.name for p in (house.maildir / "new").iterdir()
        }


@pytest.mark.parametrize("form", Form)
def test_export_of_nothing(make_house: Callable[..., House], tmp_path: Path, form: Form) -> None:
    assert export_mail(str(make_house().base), ANN, str(tmp_path / "out"), form, Disk()) == 0


def test_import_when_the_disk_fails(house: House, tmp_path: Path) -> None:
    source = tmp_path / "x.mbox"
    source.write_bytes(b"".join(b"From a\nA: %d\n\nx\n\n" % n for n in range(70)))
    failing = 0
    while True:
        disk = FailingDisk(range(failing, failing + 1))
        try:
            bring(house, source, disk)
        except OSError:
            assert house.files("tmp/*") == []
            failing += 25
        else:
            break
    assert bring(house, source).imported == 0
    assert sorted(house.contents()) == sorted(b"A: %d\r\n\r\nx\r\n" % n for n in range(70))
