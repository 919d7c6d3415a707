"""Handshakes in memory: which certificate a name gets, reloading, whom a client believes."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailframe.errors import LocalProtocolError
from mailframe.interfaces import ITlsContexts
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from mailframe.tls.certificates import (
    CertificateDirectory,
    CertificateError,
    CertificateFiles,
)
from mailframe.tls.contexts import TlsContexts
from mailframe.tls.self_signed import ensure_self_signed, make_self_signed

NOW = 1_790_000_000.0


class Peer:
    """Stands in for the TLS protocol that owns a connection."""

    failure = None

    def failVerification(self, failure) -> None:
        self.failure = failure


def contexts(source, **settings) -> TlsContexts:
    made = TlsContexts(source, InlineWorkers(), Clock(), **settings)
    made.load()
    return made


def put(path: Path, *names: str) -> Path:
    """A new certificate, under a new inode so that any change is seen."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(make_self_signed(names, NOW))
    fresh.rename(path)
    return path


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        done = 0
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
                done += 1
            except SSL.WantReadError:
                pass
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
        if done == 2:
            return
    raise AssertionError("no end of the handshake")


def shown(served: TlsContexts, name: str, dialer: TlsContexts | None = None) -> list[str]:
    """The names in the certificate that a client asking for ``name`` sees."""
    dialer = dialer or contexts(None)
    client = dialer.client(name, False).clientConnectionForTLS(Peer())
    server = served.server().serverConnectionForTLS(Peer())
    shake(client, server)
    return names_of(client.get_peer_certificate(as_cryptography=True))


def names_of(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


@pytest.fixture
def warnings():
    observer = EventLoggingObserver.createWithCleanup(_Cleanup(), globalLogPublisher)
    yield observer
    globalLogPublisher.removeObserver(observer)


class _Cleanup:
    def addCleanup(self, *_: object) -> None:
        """The fixture does it."""


def test_without_certificates(tmp_path: Path) -> None:
    made = contexts(None)
    verifyObject(ITlsContexts, made)
    assert not made.can_serve
    with pytest.raises(LocalProtocolError):
        made.server().serverConnectionForTLS(Peer())
    made.start()
    made.stop()


def test_a_certificate_and_its_key_in_two_files(tmp_path: Path) -> None:
    both = make_self_signed(["mail.example.test"], NOW)
    cut = both.index(b"-----BEGIN CERTIFICATE")
    (tmp_path / "cert.pem").write_bytes(both[cut:])
    (tmp_path / "key.pem").write_bytes(both[:cut])
    served = contexts(CertificateFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
    assert served.can_serve
    assert shown(served, "whatever.test") == ["mail.example.test"]


def test_old_versions_are_switched_off(tmp_path: Path) -> None:
    """Not only by what this build of OpenSSL happens to refuse."""
    served = contexts(CertificateFiles(str(put(tmp_path / "cert.pem", "a.test"))))
    dialled = contexts(None).client("a.test", False).clientConnectionForTLS(Peer())
    accepted = served.server().serverConnectionForTLS(Peer())
    for connection in (accepted, dialled):
        options = connection.set_options(0)
        for version in (SSL.OP_NO_SSLv3, SSL.OP_NO_TLSv1, SSL.OP_NO_TLSv1_1):
            assert options & version


@pytest.mark.parametrize("verify", [False, True])
def test_no_server_may_choose_the_numbers_that_we_calculate_with(verify: bool) -> None:
    """A group of 10,000 bits, and each handshake takes 600 ms of the reactor."""
    dialled = contexts(None).client("a.test", verify).clientConnectionForTLS(Peer())
    offered = dialled.get_cipher_list()
    assert any(name.startswith("ECDHE-ECDSA-") for name in offered)
    assert any(name.startswith("ECDHE-RSA-") for name in offered)
    assert any(name.startswith("TLS_") for name in offered)
    assert not [name for name in offered if name.startswith(("DHE-", "ADH-", "AECDH-", "DH-"))]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_start_with_a_bad_file_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=r"bad\.pem"):
        contexts(CertificateFiles(str(path)))


def test_a_start_without_files(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="No such file"):
        contexts(CertificateFiles(str(tmp_path / "none.pem")))
    with pytest.raises(CertificateError, match="No such file"):
        contexts(CertificateDirectory(str(tmp_path / "none")))
    with pytest.raises(CertificateError, match="no certificate"):
        contexts(CertificateDirectory(str(tmp_path)))


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    cert, key = put(tmp_path / "cert.pem", "a.test"), put(tmp_path / "key.pem", "a.test")
    with pytest.raises(CertificateError, match="does not belong"):
        contexts(CertificateFiles(str(cert), str(key)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a.test", "a.test"),
        ("A.TEST.", "a.test"),
        ("www.b.test", "*.b.test"),
        ("b.test", "b.test"),
        ("x.www.b.test", "z.test"),
        ("xn--bcher-kva.test", "other.test"),
        ("bücher.test", "other.test"),
        ("unknown.test", "z.test"),
        ("192.0.2.1", "z.test"),
    ],
)
def test_the_name_asked_for_chooses(tmp_path: Path, asked: str, expected: str) -> None:
    put(tmp_path / "a.test.pem", "a.test")
    put(tmp_path / "b.pem", "*.b.test", "b.test")
    put(tmp_path / "bücher.test.pem", "other.test")  # found by the file's own name
    put(tmp_path / "z.pem", "z.test")
    served = contexts(CertificateDirectory(str(tmp_path), hostname="z.test"))
    assert expected in shown(served, asked)


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    path = put(tmp_path / "cert.pem", "old.test")
    clock = Clock()
    served = TlsContexts(CertificateFiles(str(path)), InlineWorkers(), clock, check_every=60)
    served.load()
    served.start()
    put(path, "new.test")
    assert shown(served, "x.test") == ["old.test"]
    clock.advance(60)
    assert shown(served, "x.test") == ["new.test"]
    served.stop()
    assert clock.getDelayedCalls() == []


def test_a_handshake_under_way_sees_the_new_certificate_by_name(tmp_path: Path) -> None:
    path = put(tmp_path / "a.test.pem", "a.test", "first.test")
    served = contexts(CertificateDirectory(str(tmp_path)))
    server = served.server().serverConnectionForTLS(Peer())
    put(path, "a.test", "second.test")
    served.refresh()
    client = contexts(None).client("a.test", False).clientConnectionForTLS(Peer())
    shake(client, server)
    assert names_of(client.get_peer_certificate(as_cryptography=True))[1] == "second.test"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = put(tmp_path / "cert.pem", "a.test")
    source = CertificateFiles(str(path))
    first = source.read(None, lambda name: None)
    assert source.read(first, lambda name: None) is first


def test_a_bad_new_file_keeps_the_old_one_and_is_said_once(tmp_path: Path, warnings) -> None:
    path = put(tmp_path / "cert.pem", "good.test")
    served = contexts(CertificateFiles(str(path)))
    path.write_bytes(b"half a certif")
    for _ in range(3):
        served.refresh()
        assert shown(served, "x.test") == ["good.test"]
    said = [event for event in warnings if "certificate" in str(event.get("log_format"))]
    assert len([event for event in said if "last good" in event["log_format"]]) == 1
    put(path, "better.test")
    served.refresh()
    assert shown(served, "x.test") == ["better.test"]


def test_a_certificate_whose_key_comes_later(tmp_path: Path) -> None:
    first, second = (make_self_signed([name], NOW) for name in ("one.test", "two.test"))
    cut = first.index(b"-----BEGIN CERTIFICATE")
    cut2 = second.index(b"-----BEGIN CERTIFICATE")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(first[cut:])
    key.write_bytes(first[:cut])
    served = contexts(CertificateFiles(str(cert), str(key)))
    cert.write_bytes(second[cut2:])
    served.refresh()
    assert shown(served, "x.test") == ["one.test"]
    key.write_bytes(second[:cut2])
    served.refresh()
    assert shown(served, "x.test") == ["two.test"]


def test_files_come_and_go(tmp_path: Path) -> None:
    put(tmp_path / "a.pem", "a.test")
    served = contexts(CertificateDirectory(str(tmp_path)))
    put(tmp_path / "b.pem", "b.test")
    (tmp_path / "broken.pem").write_bytes(b"?")
    served.refresh()
    assert shown(served, "b.test") == ["b.test"]
    (tmp_path / "b.pem").unlink()
    served.refresh()
    assert shown(served, "b.test") == ["a.test"]
    (tmp_path / "a.pem").unlink()
    served.refresh()
    assert shown(served, "b.test") == ["a.test"]  # never nothing


@pytest.mark.parametrize(
    ("host", "names", "believed"),
    [
        ("mx.example.test", ["mx.example.test"], True),
        ("mx.example.test.", ["mx.example.test"], True),
        ("mx.example.test", ["*.example.test"], True),
        ("bücher.test", ["xn--bcher-kva.test"], True),
        ("192.0.2.1", ["192.0.2.1"], True),
        ("mx.example.test", ["other.test"], False),
        ("192.0.2.1", ["mx.example.test"], False),
    ],
)
def test_whom_a_verifying_client_believes(
    tmp_path: Path, host: str, names: list[str], believed: bool
) -> None:
    path = put(tmp_path / "cert.pem", *names)
    served = contexts(CertificateFiles(str(path)))
    dialer = contexts(None, trust_file=str(path))
    peer = Peer()
    client = dialer.client(host, True).clientConnectionForTLS(peer)
    server = served.server().serverConnectionForTLS(Peer())
    if believed:
        shake(client, server)
        assert peer.failure is None
    else:
        with pytest.raises(SSL.Error):
            shake(client, server)
        assert peer.failure is not None


def test_a_verifying_client_does_not_believe_strangers(tmp_path: Path) -> None:
    served = contexts(CertificateFiles(str(put(tmp_path / "cert.pem", "mx.example.test"))))
    client = contexts(None).client("mx.example.test", True).clientConnectionForTLS(Peer())
    with pytest.raises(SSL.Error):
        shake(client, served.server().serverConnectionForTLS(Peer()))


def test_contexts_for_dialling_are_shared(tmp_path: Path) -> None:
    dialer = contexts(None)
    one, two = (
        dialer.client(host, verify).clientConnectionForTLS(Peer()).get_context()
        for host, verify in (("a.test", False), ("b.test", False))
    )
    assert one is two


def test_a_host_that_no_certificate_names() -> None:
    with pytest.raises(ValueError, match="appear to be"):
        contexts(None).client("\u200d.test", True)
    assert contexts(None).client("\u200d.test", False)


class TestSelfSigned:
    def test_is_made_once_and_only_for_the_owner(self, tmp_path: Path) -> None:
        directory = str(tmp_path / "tls")
        path = ensure_self_signed(directory, ["localhost", "127.0.0.1", "::1"], NOW, Disk())
        first = Path(path).read_bytes()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert ensure_self_signed(directory, ["localhost"], NOW, Disk()) == path
        assert Path(path).read_bytes() == first
        assert shown(contexts(CertificateFiles(path)), "localhost") == ["localhost"]

    def test_is_made_again_before_it_expires_and_when_it_is_damaged(self, tmp_path: Path) -> None:
        path = ensure_self_signed(str(tmp_path), ["localhost"], NOW, Disk())
        first = Path(path).read_bytes()
        (tmp_path / "localhost.pem.new").write_bytes(b"left by a start that was cut off")
        ensure_self_signed(str(tmp_path), ["localhost"], NOW + 370 * 86400, Disk())
        second = Path(path).read_bytes()
        assert second != first
        Path(path).write_bytes(b"?")
        ensure_self_signed(str(tmp_path), ["localhost"], NOW, Disk())
        assert Path(path).read_bytes() not in (first, b"?")
