"""``openssl s_client`` against our server contexts over a socket."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.task import Clock

from mailframe.runtime.workers import InlineWorkers
from mailframe.tls.certificates import CertificateDirectory
from mailframe.tls.contexts import TlsContexts
from mailframe.tls.self_signed import make_self_signed

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
NOW = 1_790_000_000.0


class Server:
    """Says ``hello`` to one TLS client after the other, on a thread."""

    def __init__(self, directory: Path) -> None:
        self.contexts = TlsContexts(CertificateDirectory(str(directory)), InlineWorkers(), Clock())
        self.contexts.load()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(10)
                try:
                    self.greet(client)
                except (OSError, SSL.Error):
                    continue

    def greet(self, client: socket.socket) -> None:
        tls = self.contexts.server().serverConnectionForTLS(None)
        tls.set_accept_state()
        while True:
            try:
                tls.do_handshake()
                break
            except SSL.WantReadError:
                self.flush(tls, client)
                tls.bio_write(client.recv(65536))
        tls.send(b"hello\r\n")
        self.flush(tls, client)
        client.recv(65536)

    def flush(self, tls: SSL.Connection, client: socket.socket) -> None:
        while True:
            try:
                client.sendall(tls.bio_read(65536))
            except SSL.WantReadError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for name in ("a.test", "b.test"):
        (tmp_path / f"{name}.pem").write_bytes(make_self_signed([name], NOW))
    server = Server(tmp_path)
    yield server
    server.close()


def s_client(server: Server, *options: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *options],
        input="Q\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


def subject(said: str) -> str:
    """The common name that was shown; releases of OpenSSL differ in spaces."""
    (line,) = [line for line in said.splitlines() if line.startswith("subject=")]
    return line.rpartition("=")[2].strip()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", ["a.test", "b.test"])
def test_the_server_name_chooses(server: Server, name: str, version: str) -> None:
    said = s_client(server, "-servername", name, version)
    assert subject(said) == name


def test_without_a_server_name(server: Server) -> None:
    said = s_client(server, "-noservername")
    assert subject(said) == "a.test"


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(server: Server, version: str) -> None:
    said = s_client(server, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said


def test_a_session_is_resumed(server: Server, tmp_path: Path) -> None:
    ticket = str(tmp_path / "ticket")
    first = s_client(server, "-tls1_2", "-servername", "b.test", "-sess_out", ticket)
    again = s_client(server, "-tls1_2", "-servername", "b.test", "-sess_in", ticket)
    assert "New, TLSv1.2" in first
    assert "Reused, TLSv1.2" in again


def test_the_ciphers_on_offer_keep_no_key_for_later(server: Server) -> None:
    """Forward secrecy: no plain RSA key exchange, nothing anonymous."""
    said = s_client(server, "-tls1_2", "-cipher", "kRSA:aNULL:eNULL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said


def test_a_new_certificate_is_served_to_the_next_client(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b.test.pem").unlink()
    (tmp_path / "c.test.pem").write_bytes(make_self_signed(["c.test"], NOW))
    server.contexts.refresh()
    said = s_client(server, "-servername", "c.test")
    assert subject(said) == "c.test"
