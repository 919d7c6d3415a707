"""Real POP3 clients against the server in a process of its own: keep, delete, TLS, SCRAM."""

from __future__ import annotations

import base64
import hashlib
import poplib
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mailframe.protocols.sasl import client_mechanism
from tests.interop.pop3_server import sample

ROOT = Path(__file__).resolve().parents[2]
COUNT, SIZE = 30, 10_000
MESSAGES = sample(COUNT, SIZE)
UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE


pytestmark = pytest.mark.slow  # some fifty processes, half a second each


class Ports(NamedTuple):
    plain: int
    implicit: int


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    need("openssl")
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
        " -subj /CN=localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return str(both)


@pytest.fixture
def server(certificate: str) -> Iterator[Ports]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.interop.pop3_server", certificate, str(COUNT), str(SIZE)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        plain, implicit = map(int, process.stdout.readline().split())
        yield Ports(plain, implicit)
    assert process.wait(timeout=20) == 0


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def run(*command: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """A client; 1 is what fetchmail says when there was no mail."""
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    result = subprocess.run(
        command, capture_output=True, timeout=200, env=environment, cwd=home, check=False
    )
    assert result.returncode in (0, 1), result
    return result


def poplib_session(ports: Ports, way: str) -> poplib.POP3:
    if way == "implicit":
        return poplib.POP3_SSL("127.0.0.1", ports.implicit, context=UNVERIFIED, timeout=20)
    client = poplib.POP3("127.0.0.1", ports.plain, timeout=20)
    if way == "stls":
        client.stls(UNVERIFIED)
    return client


@pytest.mark.parametrize("way", ["plain", "stls", "implicit"])
def test_poplib(server: Ports, way: str) -> None:
    client = poplib_session(server, way)
    assert ("STLS" in client.capa()) is (way == "plain")
    client.user("ann")
    client.pass_("secret")
    assert client.stat() == (COUNT, sum(map(len, MESSAGES)))
    for number, message in enumerate(MESSAGES, 1):
        assert b"\r\n".join(client.retr(number)[1]) + b"\r\n" == message
    assert len({line.split()[1] for line in client.uidl()[1]}) == COUNT
    client.dele(2)
    client.quit()
    client = poplib_session(server, way)
    client.user("ann")
    client.pass_("secret")
    assert client.stat()[0] == COUNT - 1
    client.quit()


def test_poplib_apop_and_utf8(server: Ports) -> None:
    client = poplib_session(server, "plain")
    client.utf8()
    client.apop("ann", "secret")
    assert client.stat()[0] == COUNT
    client.quit()


@pytest.mark.parametrize("mechanism", ["", "PLAIN", "LOGIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("way", ["plain", "stls", "implicit"])
def test_curl(server: Ports, way: str, mechanism: str, tmp_path: Path) -> None:
    need("curl")
    if mechanism.startswith("SCRAM") and b"gsasl" not in run("curl", "-V", home=tmp_path).stdout:
        pytest.skip("this curl knows no SCRAM")
    scheme, port = ("pop3s", server.implicit) if way == "implicit" else ("pop3", server.plain)
    options = ["--ssl-reqd"] if way == "stls" else []
    options += ["--login-options", f"AUTH={mechanism}"] if mechanism else []
    command = ["curl", "-sS", "-k", "--user", "ann:secret", *options]
    for number in (1, 4, 10, COUNT):
        result = run(*command, f"{scheme}://127.0.0.1:{port}/{number}", home=tmp_path)
        assert result.stdout == MESSAGES[number - 1], result.stderr
    run(*command, "-I", "-X", "DELE 1", f"{scheme}://127.0.0.1:{port}/", home=tmp_path)
    listing = run(*command, f"{scheme}://127.0.0.1:{port}/", home=tmp_path).stdout
    assert listing.count(b"\r\n") == COUNT - 1


def expected_body(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")


@pytest.mark.parametrize("way", ["plain", "stls", "implicit"])
def test_fetchmail_keeps_then_deletes(server: Ports, way: str, tmp_path: Path) -> None:
    need("fetchmail")
    port = server.implicit if way == "implicit" else server.plain
    tls = {"plain": 'sslproto ""', "stls": "sslproto TLS1.2+", "implicit": "ssl"}[way]
    settings = tmp_path / ".fetchmailrc"
    settings.write_text(
        f"poll 127.0.0.1 service {port} protocol pop3 uidl\n"
        f"  user ann password secret {tls} no sslcertck\n"
        f'  mda "cat >> {tmp_path}/got; echo SEPARATOR >> {tmp_path}/got"\n'
    )
    settings.chmod(0o600)
    got = tmp_path / "got"
    first = run("fetchmail", "--keep", "--nosyslog", home=tmp_path)
    assert got.read_bytes().count(b"SEPARATOR\n") == COUNT, first
    again = run("fetchmail", "--keep", "--nosyslog", home=tmp_path)
    assert again.returncode in (0, 1)
    assert got.read_bytes().count(b"SEPARATOR\n") == COUNT, again
    got.unlink()
    run("fetchmail", "--nokeep", "--all", "--nosyslog", home=tmp_path)
    fetched = got.read_bytes().split(b"SEPARATOR\n")[:-1]
    assert [mail.partition(b"\n\n")[2] for mail in fetched[7:]] == [
        expected_body(message) for message in MESSAGES[7:]
    ]
    assert poplib_count(server) == 0


def poplib_count(server: Ports) -> int:
    client = poplib_session(server, "plain")
    client.user("ann")
    client.pass_("secret")
    count, _ = client.stat()
    client.quit()
    return count


@pytest.mark.parametrize("way", ["plain", "implicit"])
def test_getmail_keeps_then_deletes(server: Ports, way: str, tmp_path: Path) -> None:
    need("getmail")
    kind, port = (
        ("SimplePOP3SSLRetriever", server.implicit)
        if way == "implicit"
        else ("SimplePOP3Retriever", server.plain)
    )
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    keep = tmp_path / "keep"  # getmail as root writes no Maildir
    # The nap: getmail misses a child that ends before it waits, and then sleeps for a minute.
    keep.write_text(f'#!/bin/sh\ncat > "$(mktemp {fetched}/XXXXXX)"; sleep 0.05\n')
    keep.chmod(0o755)
    settings = tmp_path / "getmailrc"

    def configure(delete: bool) -> None:
        settings.write_text(
            f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {port}\n"
            "username = ann\npassword = secret\n"
            f"[destination]\ntype = MDA_external\npath = {keep}\nallow_root_commands = true\n"
            f"[options]\nread_all = false\ndelete = {str(delete).lower()}\n"
            "delivered_to = false\nreceived = false\n"
        )

    command = ["getmail", "--getmaildir", str(tmp_path), "--rcfile", str(settings), "--quiet"]
    configure(delete=False)
    result = run(*command, home=tmp_path)
    assert len(list(fetched.iterdir())) == COUNT, result
    run(*command, home=tmp_path)
    assert len(list(fetched.iterdir())) == COUNT
    wanted = sorted(message.replace(b"\r\n", b"\n") for message in MESSAGES)
    added = b"Return-Path: <unknown>\n"  # by getmail
    found = [file.read_bytes().removeprefix(added) for file in fetched.iterdir()]
    assert sorted(found) == wanted
    configure(delete=True)
    run(*command, home=tmp_path)
    assert poplib_count(server) == 0


# No APOP over STLS: the timestamp was sent in clear, STLS forgets it.
@pytest.mark.parametrize(
    ("way", "mechanism"),
    [
        (way, mechanism)
        for way in ("plain", "stls", "implicit")
        for mechanism in ("user", "plain", "login", "apop", "scram-sha-256")
        if (way, mechanism) != ("stls", "apop")
    ],
)
def test_mpop_keeps_then_deletes(server: Ports, way: str, mechanism: str, tmp_path: Path) -> None:
    need("mpop")
    port = server.implicit if way == "implicit" else server.plain
    tls = {"plain": "tls off", "stls": "tls on", "implicit": "tls on\ntls_starttls off"}[way]
    settings = tmp_path / "mpoprc"
    for part in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {port}\nuser ann\npassword secret\n{tls}\n"
        + ("" if way == "plain" else "tls_certcheck off\n")
        + f"auth {mechanism}\nreceived_header off\ndelivery maildir {tmp_path}/Maildir\n"
        f"uidls_file {tmp_path}/uidls\n"
    )
    settings.chmod(0o600)
    fetched = tmp_path / "Maildir" / "new"
    result = run("mpop", "-C", str(settings), "--keep=on", home=tmp_path)
    assert len(list(fetched.iterdir())) == COUNT, result
    run("mpop", "-C", str(settings), "--keep=on", home=tmp_path)
    assert len(list(fetched.iterdir())) == COUNT
    wanted = sorted(message.replace(b"\r\n", b"\n") for message in MESSAGES)
    assert sorted(file.read_bytes() for file in fetched.iterdir()) == wanted
    run("mpop", "-C", str(settings), "--keep=off", home=tmp_path)
    assert poplib_count(server) == 0


def test_scram_plus_over_a_real_tls_connection(server: Ports) -> None:
    raw = socket.create_connection(("127.0.0.1", server.implicit), timeout=20)
    with raw, UNVERIFIED.wrap_socket(raw) as connection, connection.makefile("rwb") as stream:
        assert stream.readline().startswith(b"+OK")
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        bindings = {"tls-server-end-point": hashlib.sha256(certificate).digest()}
        client = client_mechanism("SCRAM-SHA-256-PLUS", "ann", b"secret", bindings, "nonce")
        first = client.initial()
        assert first is not None
        stream.write(b"AUTH SCRAM-SHA-256-PLUS " + base64.b64encode(first) + b"\r\n")
        for _ in range(2):
            stream.flush()
            challenge = base64.b64decode(stream.readline()[2:])
            stream.write(base64.b64encode(client.respond(challenge)) + b"\r\n")
        stream.flush()
        client.verify_done()
        assert stream.readline().startswith(b"+OK Logged in")


def test_a_half_closing_client_gets_its_answers(server: Ports) -> None:
    with socket.create_connection(("127.0.0.1", server.plain), timeout=20) as connection:
        connection.sendall(b"USER ann\r\nPASS secret\r\nSTAT\r\nRETR 30\r\n")
        connection.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert heard.endswith(b"\r\n.\r\n")
    assert MESSAGES[29] in heard


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"USER attacker\r\n", b"QUIT\r\n"])
def test_what_is_pipelined_past_stls_is_never_answered(server: Ports, injected: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.plain), timeout=20) as raw:
        assert raw.recv(1000).startswith(b"+OK")
        raw.sendall(b"STLS\r\n" + injected)
        assert raw.recv(1000).count(b"\r\n") == 1
        with UNVERIFIED.wrap_socket(raw) as connection:
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1000)
            connection.settimeout(20)
            connection.sendall(b"PASS x\r\n")
            assert connection.recv(1000) == b"-ERR PASS follows USER\r\n"


def test_a_user_named_in_clear_is_forgotten(server: Ports) -> None:
    client = poplib_session(server, "plain")
    client.user("ann")
    client.stls(UNVERIFIED)
    with pytest.raises(poplib.error_proto):
        client.pass_("secret")
    client.close()
