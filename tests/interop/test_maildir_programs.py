"""One Maildir, several programs: Dovecot, mutt, procmail, maildrop and this one agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailframe.mailbox.archives import open_archive
from mailframe.mailbox.importing import import_mail
from mailframe.runtime.disk import Disk
from tests.interop.peers.process import need, workdir
from tests.unit.mailbox.house import ANN, House, done

_NOBODY = 65534
SUITES = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
ARCHIVE = SUITES / "09-archives" / "stalwart" / "mailbox.gz"

MESSAGES = [
    b"Subject: one\r\n\r\nplain\r\n",
    b"Subject: two\r\n\r\nFrom here\r\n.\r\n..\r\n\r\n",
    b"Subject: three\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa4\xff\r\n",
]


@pytest.fixture
def house() -> Iterator[House]:
    with workdir("maildir") as directory:
        yield House(directory)


class Dovecot:
    """Dovecot's mail storage without its daemons: doveadm, as a user that may read mail."""

    def __init__(self, house: House) -> None:
        need("doveadm")
        # Dovecot opens no mail as root.
        self.uid = _NOBODY if os.geteuid() == 0 else os.getuid()
        self.base = house.base
        self.config = house.base / "dovecot.conf"
        self.config.write_text(
            f"base_dir = {house.base}/run\nlog_path = /dev/stderr\nssl = no\nprotocols =\n"
            f"mail_location = maildir:{house.maildir}\nstats_writer_socket_path =\n"
            f"first_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {self.uid}\n"
            f"mail_gid = {_NOBODY if os.geteuid() == 0 else os.getgid()}\n"
        )

    def run(self, *arguments: str, given: bytes = b"") -> str:
        if os.geteuid() == 0:
            for path in [self.base, *self.base.rglob("*")]:
                os.chown(path, self.uid, self.uid)
        done = subprocess.run(
            ["doveadm", "-c", str(self.config), "-f", "tab", *arguments],
            input=given,
            capture_output=True,
            env={**os.environ, "HOME": str(self.base), "USER": "tester"},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"Error" not in done.stderr, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape")

    def sizes(self, folder: str) -> list[int]:
        listed = self.run("fetch", "size.virtual", "mailbox", folder)
        return [int(line) for line in listed.splitlines()[1:]]


def deliver_all(house: House) -> None:
    for number, content in enumerate(MESSAGES):
        house.clock.advance(1)
        house.deliver(content, f"T{number}")
        house.deliver(content, f"F{number}", folder="Entwürfe/Alte")


def test_dovecot_reads_what_we_deliver(house: House) -> None:
    dovecot = Dovecot(house)
    deliver_all(house)
    for folder in ("INBOX", "Entwürfe.Alte"):
        assert dovecot.sizes(folder) == [len(content) for content in MESSAGES]
    assert "Subject: two" in dovecot.run("fetch", "text", "mailbox", "INBOX")
    before = [info.uid for info in done(house.inbox().messages())]
    dovecot.run("flags", "add", "\\Seen \\Answered", "mailbox", "INBOX")
    assert [info.uid for info in done(house.inbox().messages())] == before
    assert house.contents() == MESSAGES
    assert house.contents("Entwürfe/Alte") == MESSAGES


def test_we_read_what_dovecot_saves(house: House) -> None:
    dovecot = Dovecot(house)
    dovecot.run("mailbox", "create", "Entwürfe.Alte")
    for content in MESSAGES:
        for folder in ("INBOX", "Entwürfe.Alte"):
            dovecot.run("save", "-m", folder, given=content)
    dovecot.run("flags", "add", "\\Flagged", "mailbox", "INBOX")
    assert house.contents() == MESSAGES
    assert house.contents("Entwürfe/Alte") == MESSAGES
    assert done(house.store.account_folders(ANN)) == ("Entwürfe/Alte",)
    infos = done(house.inbox().messages())
    assert [info.size for info in infos] == [len(content) for content in MESSAGES]
    assert done(house.inbox().remove([infos[0].uid])) == frozenset()
    assert dovecot.sizes("INBOX") == [len(content) for content in MESSAGES[1:]]


def test_dovecot_and_we_deliver_in_turn(house: House) -> None:
    dovecot = Dovecot(house)
    house.deliver(MESSAGES[0])
    dovecot.run("save", "-m", "INBOX", given=MESSAGES[1])
    house.deliver(MESSAGES[2], "T2")
    assert sorted(house.contents()) == sorted(MESSAGES)
    assert sorted(dovecot.sizes("INBOX")) == sorted(map(len, MESSAGES))


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the public archive is not here")
def test_an_imported_archive_opens_in_dovecot_and_mutt(house: House) -> None:
    dovecot = Dovecot(house)
    import_mail(
        str(house.base),
        ANN,
        open_archive(str(ARCHIVE), Disk()),
        Disk(),
        hostname="mx.example.org",
        now=1_700_000_000.0,
    )
    ours = [info.size for info in done(house.inbox().messages())]
    assert len(ours) == 3240
    assert sorted(dovecot.sizes("INBOX")) == sorted(ours)
    assert len(messages_in_mutt(house)) == 3240


def messages_in_mutt(house: House) -> list[str]:
    """Subjects of the messages that mutt copies out when told to copy all."""
    need("mutt", "script")
    out, rc = house.base / "out.mbox", house.base / "muttrc"
    rc.write_text(
        "set mbox_type=mbox confirmappend=no confirmcreate=no quit=yes move=no\n"
        f'set sort=mailbox-order folder={house.base} spoolfile={house.base} record=""\n'
        f'push "<tag-pattern>~A<enter><tag-prefix><copy-message>{out}<enter><quit>"\n'
    )
    subprocess.run(
        ["script", "-qec", f"mutt -n -R -F {rc} -f {house.maildir}", "/dev/null"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(house.base), "TERM": "xterm"},
        timeout=120,
        check=True,
    )
    # mutt separates by its own From lines, and quotes nothing: count what it says it wrote.
    text = out.read_text("utf-8", "surrogateescape")
    return re.findall(r"^From \S+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$", text, re.MULTILINE)


def test_mutt_reads_what_we_deliver(house: House) -> None:
    deliver_all(house)
    assert len(messages_in_mutt(house)) == 3
    text = (house.base / "out.mbox").read_bytes()
    for content in MESSAGES:
        body = content.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
        assert body.removeprefix(b"From ") in text


def test_we_read_what_procmail_delivers(house: House) -> None:
    need("procmail")
    deliver_with(house, ["procmail", "-m", f"DEFAULT={house.maildir}/", "/dev/null"])


def test_we_read_what_maildrop_delivers(house: House) -> None:
    need("maildrop")
    house.maildir.mkdir(parents=True)
    for name in ("cur", "new", "tmp"):
        (house.maildir / name).mkdir()
    recipe = house.base / "mailfilter"
    recipe.write_text(f'to "{house.maildir}/."\n')
    recipe.chmod(0o600)
    deliver_with(house, ["maildrop", str(recipe)])


def deliver_with(house: House, command: list[str]) -> None:
    house.maildir.mkdir(parents=True, exist_ok=True)
    for content in MESSAGES:
        subprocess.run(
            command,
            input=content.replace(b"\r\n", b"\n"),
            env={"PATH": os.environ["PATH"], "HOME": str(house.base), "LOGNAME": "root"},
            timeout=20,
            check=True,
            capture_output=True,
        )
    found = sorted(house.contents())
    # procmail ends each message with an empty line
    assert [content.rstrip() for content in found] == sorted(c.rstrip() for c in MESSAGES)
    infos = done(house.inbox().messages())
    assert sorted(info.size for info in infos) == sorted(map(len, found))
    assert done(house.inbox().remove([info.uid for info in infos])) == frozenset()
    assert house.contents() == []
    assert shutil.which(command[0])
