"""Real clients fetch a real list archive by POP3, octet for octet; other programs open it."""

from __future__ import annotations

import gzip
import imaplib
import mailbox
import os
import poplib
import re
import shutil
import smtplib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers import mutt
from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.maildir import messages
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import loopback_address, need, run, wait_until, workdir

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
ARCHIVE = SUITES / "09-archives" / "stalwart" / "mailbox.gz"
if not ARCHIVE.is_file():
    pytest.skip("the list archive is not here (set MAILFRAME_SUITES)", allow_module_level=True)

KEEPER, SAMPLE = "keeper@mf.test", 150
NOBODY = 65534
READERS = ("fetchmail", "getmail", "mpop", "curl", "poplib")


def wire(data: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", data)


def plain(message: bytes) -> bytes:
    """The message without what differs from program to program: how an mbox quotes ``From``,
    line ends, and empty lines at the end."""
    return re.sub(rb"(?m)^>+From ", b"From ", message.replace(b"\r\n", b"\n")).rstrip(b"\n")


def of_archive() -> list[bytes]:
    text = gzip.decompress(ARCHIVE.read_bytes())
    return [one.split(b"\n", 1)[1] for one in re.split(rb"(?m)^(?=From )", text) if one]


@pytest.fixture(scope="module")
def archive() -> list[bytes]:
    return of_archive()


@pytest.fixture(scope="module")
def server(archive: list[bytes]) -> Iterator[Mailframe]:
    """The whole archive in KEEPER's mailbox, the first SAMPLE messages in every reader's."""
    with workdir("fetch") as path:
        made = Mailframe(path, loopback_address())
        made.configure()
        made.add_users(KEEPER, *(f"{reader}@mf.test" for reader in READERS))
        made.cli("mail", "import", "-u", KEEPER, ARCHIVE)
        sample = path / "sample"
        sample.mkdir()
        for number, one in enumerate(archive[:SAMPLE]):
            (sample / f"{number:04}.eml").write_bytes(one)
        for reader in READERS:
            made.cli("mail", "import", "-u", f"{reader}@mf.test", sample)
        made.start()
        yield made
        made.stop()
        assert made.tracebacks == []


def pop3(server: Mailframe, user: str) -> poplib.POP3:
    client = poplib.POP3_SSL(
        server.address, server.ports["pop3s"], context=any_certificate(), timeout=60
    )
    client.user(user)
    client.pass_(PASSWORD)
    return client


def left(server: Mailframe, user: str) -> int:
    client = pop3(server, user)
    count = client.stat()[0]
    client.quit()
    return count


def test_the_archive_was_imported_whole(server: Mailframe, archive: list[bytes]) -> None:
    stored = [plain(one) for one in server.inbox(KEEPER)]
    assert len(stored) == len(archive) == 3240
    assert sorted(stored) == sorted(plain(one) for one in archive)


# -- poplib ---------------------------------------------------------------------------


def test_poplib_gets_every_octet_with_the_size_announced(
    server: Mailframe, archive: list[bytes]
) -> None:
    client = pop3(server, KEEPER)
    count, octets = client.stat()
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert count == len(sizes) == len(set(uids)) == 3240
    assert sum(sizes) == octets
    fetched = []
    for number, size in enumerate(sizes, 1):
        _, lines, _ = client.retr(number)
        one = b"".join(line + b"\r\n" for line in lines)
        assert len(one) == size
        fetched.append(one)
    client.quit()
    assert sorted(map(plain, fetched)) == sorted(map(plain, archive))
    again = pop3(server, KEEPER)
    assert [line.split()[1] for line in again.uidl()[1]] == uids
    again.quit()


def test_pipelined_by_hand(server: Mailframe) -> None:
    address = (server.address, server.ports["pop3s"])
    commands = [f"USER {KEEPER}", f"PASS {PASSWORD}"]
    commands += [f"RETR {number}" for number in range(1, 301)] + ["QUIT"]
    with (
        socket.create_connection(address, 30) as bare,
        any_certificate().wrap_socket(bare) as connection,
    ):
        stream = connection.makefile("rwb")
        stream.readline()
        stream.write("".join(f"{command}\r\n" for command in commands).encode())
        stream.flush()
        answer = stream.read()
    assert answer.count(b"\r\n.\r\n") == 300
    assert b"\r\n.\r\n+OK" in answer[-200:]


def test_poplib_deletes(server: Mailframe) -> None:
    user = "poplib@mf.test"
    client = pop3(server, user)
    for number in range(1, SAMPLE // 2 + 1):
        client.dele(number)
    client.rset()
    client.quit()
    assert left(server, user) == SAMPLE
    client = pop3(server, user)
    for number in range(1, SAMPLE // 2 + 1):
        client.dele(number)
    client.close()  # without QUIT nothing is deleted
    wait_until(lambda: left_or_busy(server, user) == SAMPLE, "the lock is free")
    client = pop3(server, user)
    for number in range(1, SAMPLE + 1):
        client.dele(number)
    client.quit()
    assert left(server, user) == 0
    assert server.inbox(user) == []


def left_or_busy(server: Mailframe, user: str) -> int:
    try:
        return left(server, user)
    except poplib.error_proto:
        return -1


# -- curl -----------------------------------------------------------------------------


def test_curl(server: Mailframe, archive: list[bytes], tmp_path: Path) -> None:
    need("curl")
    url = f"pop3://{server.address}:{server.ports['pop3']}"
    login = ["curl", "-sS", "-k", "--ssl-reqd", "--user", f"{KEEPER}:{PASSWORD}"]
    listing = run([*login, url]).stdout.splitlines()
    assert len(listing) == 3240
    done = run([*login, f"{url}/[1-3240]", "-o", tmp_path / "#1"])
    assert done.returncode == 0, done.stderr
    fetched = [(tmp_path / str(number)).read_bytes() for number in range(1, 3241)]
    assert sorted(map(plain, fetched)) == sorted(map(plain, archive))
    assert [len(one) for one in fetched] == [int(line.split()[1]) for line in listing]
    user = ["curl", "-sS", "-k", "--ssl-reqd", "--user", f"curl@mf.test:{PASSWORD}"]
    assert run([*user, "-X", "DELE", "-l", f"{url}/[1-{SAMPLE}]"]).returncode in (0, 8)
    assert left(server, "curl@mf.test") == 0


# -- mpop -----------------------------------------------------------------------------


def mpop(server: Mailframe, user: str, directory: Path, keep: str) -> int:
    """Fetch into a Maildir; how many messages it has then."""
    need("mpop")
    maildir = mailbox.Maildir(directory / user, create=True)
    words = ["mpop", "--file=/dev/null", f"--host={server.address}", f"--keep={keep}"]
    words += [f"--port={server.ports['pop3']}", "--tls=on", "--tls-certcheck=off", "--auth=user"]
    words += [f"--user={user}", f"--passwordeval=echo '{PASSWORD}'", "--received-header=off"]
    words += [f"--uidls-file={directory}/uidls", f"--delivery=maildir,{directory / user}", "-Q"]
    done = run(words, env={"HOME": str(directory), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    return len(maildir)


def test_mpop(server: Mailframe, archive: list[bytes], tmp_path: Path) -> None:
    assert mpop(server, KEEPER, tmp_path, "on") == 3240
    fetched = [plain(one) for one in messages(tmp_path / KEEPER)]
    assert sorted(fetched) == sorted(plain(one) for one in archive)
    assert mpop(server, KEEPER, tmp_path, "on") == 3240  # nothing new
    assert mpop(server, "mpop@mf.test", tmp_path, "off") == SAMPLE
    assert left(server, "mpop@mf.test") == 0
    assert mpop(server, "mpop@mf.test", tmp_path, "off") == SAMPLE


# -- getmail --------------------------------------------------------------------------


def getmail(server: Mailframe, user: str, directory: Path, delete: bool) -> list[bytes]:
    """Fetch into a Maildir; what it holds then, each message once.

    getmail 6 waits for a child process to deliver each message and at times misses its end:
    it then gives up after ``timeout``, and has the message though it thinks it has not.
    """
    need("getmail")
    mailbox.Maildir(directory / user, create=True)
    (directory / f"{user}.rc").write_text(
        "[retriever]\ntype = SimplePOP3SSLRetriever\ntimeout = 5\n"
        f"server = {server.address}\nport = {server.ports['pop3s']}\n"
        f"username = {user}\npassword = {PASSWORD}\n"
        f"[destination]\ntype = Maildir\npath = {directory / user}/\n"
        f"[options]\ndelete = {delete}\nread_all = false\nreceived = false\n"
        "delivered_to = false\nverbose = 0\nmessage_log_syslog = false\n"
    )
    # it refuses to deliver as root
    options = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    for path in (directory, *directory.rglob("*")):
        if options:
            os.chown(path, NOBODY, NOBODY)
    words = ["getmail", f"--getmaildir={directory}", f"--rcfile={user}.rc"]
    for _ in range(5):
        done = run(words, env={"HOME": str(directory), "PATH": "/usr/bin:/bin"}, **options)
        if "timed out" not in done.stderr + done.stdout:
            assert done.returncode == 0, done.stderr + done.stdout
            break
    return sorted({body(one) for one in messages(directory / user)})


def test_getmail(server: Mailframe, archive: list[bytes]) -> None:
    user = "getmail@mf.test"
    expected = sorted({body(one) for one in archive[:SAMPLE]})
    with workdir("getmail") as path:
        assert getmail(server, user, path, delete=False) == expected
        shutil.rmtree(path / user)
        assert getmail(server, user, path, delete=False) == []  # nothing new
    with workdir("getmail") as path:
        assert getmail(server, user, path, delete=True) == expected
    assert left(server, user) == 0


def body(message: bytes) -> bytes:
    """For programs that put the header in an order of their own, and take a bare CR for a
    line end."""
    return re.sub(rb"\r\n?", b"\n", plain(message)).split(b"\n\n", 1)[-1]


# Some messages of the archive have no empty line after the header, or lines in a body that
# begin with "From "; what fetchmail and mutt write of these is their own reading. fetchmail
# also leaves out a second copy of a message.
ODD = 12


def odd(found: Iterable[bytes], archive: list[bytes]) -> int:
    return len(set(map(body, archive)) - set(map(body, found)))


# -- fetchmail ------------------------------------------------------------------------


def fetchmail(server: Mailframe, user: str, directory: Path, keep: bool) -> int:
    need("fetchmail")
    into = directory / user
    into.mkdir(exist_ok=True)
    rc = directory / "fetchmailrc"
    rc.write_text(
        f"poll {server.address} service {server.ports['pop3s']} protocol pop3 uidl\n"
        f'  user "{user}" password "{PASSWORD}" ssl sslproto "tls1.2+" no sslcertck\n'
        f"  {'keep' if keep else 'no keep fetchall'} no rewrite\n"
        f'  mda "cat > $(mktemp -p {into})"\n'
    )
    rc.chmod(0o600)
    words = [
        "fetchmail",
        "-f",
        str(rc),
        "-i",
        str(directory / "ids"),
        "--nosyslog",
        "-s",
        "--invisible",
    ]
    environment = {"HOME": str(directory), "PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(directory)}
    done = run(words, env=environment)
    assert done.returncode in (0, 1), done.stderr  # 1: nothing new
    return len(list(into.iterdir()))


def test_fetchmail(server: Mailframe, archive: list[bytes], tmp_path: Path) -> None:
    assert fetchmail(server, KEEPER, tmp_path, keep=True) >= 3239
    assert odd([one.read_bytes() for one in (tmp_path / KEEPER).iterdir()], archive) <= ODD
    shutil.rmtree(tmp_path / KEEPER)
    assert fetchmail(server, KEEPER, tmp_path, keep=True) == 0
    assert fetchmail(server, "fetchmail@mf.test", tmp_path, keep=False) == SAMPLE
    assert left(server, "fetchmail@mf.test") == 0


# -- the Maildir in other programs ----------------------------------------------------


def test_mutt_opens_the_maildir(server: Mailframe, archive: list[bytes], tmp_path: Path) -> None:
    copied = [one.as_bytes() for one in mutt.copied(server.maildir(KEEPER), tmp_path)]
    assert len(copied) == 3240
    assert odd(copied, archive) <= ODD


def test_dovecot_serves_the_maildir_with_the_same_messages(
    server: Mailframe, archive: list[bytes]
) -> None:
    with workdir("dovecot") as path:
        dovecot = Dovecot(path)
        dovecot.start(server.maildir(KEEPER))
        try:
            client = imaplib.IMAP4(dovecot.address, dovecot.imap_port)
            client.login("keeper", DOVECOT_PASSWORD)
            _, count = client.select(readonly=True)
            assert count == [b"3240"]
            _, answer = client.fetch("1:*", "(BODY.PEEK[])")
            fetched = [item[1] for item in answer if isinstance(item, tuple)]
            client.logout()
        finally:
            dovecot.stop()
    assert sorted(map(plain, fetched)) == sorted(map(plain, archive))


def test_the_archive_through_smtp_is_the_same(archive: list[bytes]) -> None:
    """Every message by SMTP to the MX listener, and back by POP3.

    But those with a bare CR in them: SMTP has no place for it, they are refused.
    """
    passing = [one for one in archive if not re.search(rb"\r(?!\n)", wire(one))]
    assert len(passing) > 3200
    with workdir("through") as path:
        server = Mailframe(path, loopback_address())
        server.configure()
        server.add_users(KEEPER)
        server.start()
        try:
            with server.smtp("mx") as client:
                for one in passing:
                    assert client.sendmail("list@sender.test", [KEEPER], wire(one)) == {}
                for one in archive:
                    if one not in passing:
                        with pytest.raises(smtplib.SMTPDataError, match="bare CR"):
                            client.sendmail("list@sender.test", [KEEPER], wire(one))
            wait_until(lambda: len(server.inbox(KEEPER)) == len(passing), "all arrive", 120)
            pop = pop3(server, KEEPER)
            fetched = []
            for number in range(1, len(passing) + 1):
                lines = pop.retr(number)[1]
                fetched.append(without_trace(b"\n".join(lines)))
            pop.quit()
            assert sorted(map(plain, fetched)) == sorted(map(plain, passing))
            assert server.tracebacks == []
        finally:
            server.stop()


def without_trace(message: bytes) -> bytes:
    """Without Return-Path, Delivered-To and the topmost Received, in whatever order."""
    fields = re.match(rb"(?:(?:Return-Path|Delivered-To|Received):.*\n(?:[ \t].*\n)*){3}", message)
    assert fields is not None
    return message[fields.end() :]
