"""Logins by access tokens: real clients, a real server, issuers that others wrote, over TLS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import imaplib
import json
import os
import poplib
import smtplib
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.issuer import (
    AUDIENCE,
    SECRET,
    Issuer,
    foreign_provider,
    id_token,
)
from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import loopback_address, need, run, wait_until, workdir
from tests.interop.peers.terminal import Terminal

ANN, BOB, OFF = "ann@mf.test", "bob@mf.test", "off@mf.test"
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
BY_NAME = pytest.mark.parametrize("name", MECHANISMS)


def settings(issuer: Issuer, **more: Any) -> dict[str, Any]:
    return {
        "issuer": issuer.url,
        "audience": [AUDIENCE],
        "scopes": ["mail"],
        "domains": ["mf.test"],
        "introspection_url": f"{issuer.url}/introspect",
        "client_id": "mailframe",
        "client_secret": SECRET,
        "ca_file": str(issuer.certificate),
        "keys_retry": "1s",
        "timeout": "5s",
        **more,
    }


def configure(server: Mailframe, company: dict[str, Any], *checkers: str) -> None:
    server.configure(
        auth={
            "checkers": [*checkers, "oauth:company"],
            "failures_per_ip": 0,
            "failures_per_account": 0,
            "default_domain": "mf.test",
        },
        oauth={"company": company},
    )


@contextlib.contextmanager
def served(company: Callable[[Issuer], dict[str, Any]] = settings) -> Iterator[Any]:
    """An issuer and a server that trusts it, both running."""
    with workdir("oauth") as directory:
        issuer = Issuer(directory / "issuer")
        issuer.start()
        server = Mailframe(directory, loopback_address())
        try:
            configure(server, company(issuer), "directory")
            server.add_users(ANN, BOB, OFF)
            server.cli("user", "disable", OFF)
            server.start()
            yield issuer, server
        finally:
            server.stop()
            issuer.stop()
        assert server.tracebacks == []


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Issuer, Mailframe]]:
    with served() as made:
        yield made


@pytest.fixture
def issuer(both: tuple[Issuer, Mailframe]) -> Issuer:
    return both[0]


@pytest.fixture
def server(both: tuple[Issuer, Mailframe]) -> Mailframe:
    return both[1]


@pytest.fixture
def alone() -> Iterator[tuple[Issuer, Mailframe]]:
    """Of the test's own, which may stop either."""
    with served() as made:
        yield made


# -- talking by hand ------------------------------------------------------------------


def message(name: str, token: str, login: str) -> bytes:
    head = f"n,a={login},\x01host=mail.mf.test\x01port=587\x01" if name == "OAUTHBEARER" else ""
    head = head or f"user={login}\x01"
    return f"{head}auth=Bearer {token}\x01\x01".encode()


def over_smtp(server: Mailframe, initial: bytes, name: str, at_once: bool) -> str:
    client = server.smtp("submission")
    try:
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        line = base64.b64encode(initial).decode()
        code, said = client.docmd("AUTH", f"{name} {line}" if at_once else name)
        if not at_once:
            assert (code, said) == (334, b"")
            code, said = client.docmd(line)
        if code == 334:
            assert json.loads(base64.b64decode(said))["status"] in ("invalid_token", "401")
            code, said = client.docmd("AQ==")
        return f"{code} {said.decode()}"
    finally:
        client.close()


def over_pop3(server: Mailframe, initial: bytes, name: str, at_once: bool) -> str:
    client = poplib.POP3(server.address, server.ports["pop3"], timeout=30)
    try:
        client.stls(any_certificate())
        line = base64.b64encode(initial)
        client._putcmd(f"AUTH {name} {line.decode()}" if at_once else f"AUTH {name}")
        said, _ = client._getline()
        if not at_once:
            assert said == b"+ "
            client._putline(line)
            said, _ = client._getline()
        if said.startswith(b"+ "):
            assert json.loads(base64.b64decode(said[2:]))["status"] in ("invalid_token", "401")
            client._putline(b"AQ==")
            said, _ = client._getline()
        return bytes(said).decode()
    finally:
        client.close()


def over_imap(server: Mailframe, initial: bytes, name: str, at_once: bool) -> str:
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=30)
    try:
        client.starttls(any_certificate())
        line = base64.b64encode(initial)
        client.send(
            b"a AUTHENTICATE " + name.encode() + (b" " + line if at_once else b"") + b"\r\n"
        )
        said = client.readline().strip()
        if not at_once:
            assert said == b"+"
            client.send(line + b"\r\n")
            said = client.readline().strip()
        if said.startswith(b"+ "):
            assert json.loads(base64.b64decode(said[2:]))["status"] in ("invalid_token", "401")
            client.send(b"AQ==\r\n")
            said = client.readline().strip()
        return str(said.decode())
    finally:
        client.shutdown()


WAYS = {"smtp": over_smtp, "pop3": over_pop3, "imap": over_imap}
YES = {"smtp": "235 2.7.0 ", "pop3": "+OK ", "imap": "a OK [CAPABILITY "}
NO = {"smtp": "535 5.7.8 ", "pop3": "-ERR [AUTH] ", "imap": "a NO [AUTHENTICATIONFAILED] "}
DOWN = {"smtp": "454 4.7.0 ", "pop3": "-ERR [SYS/TEMP] ", "imap": "a NO [UNAVAILABLE] "}
MALFORMED = {"smtp": ("501 5.5.", "500 5.5."), "pop3": ("-ERR ",), "imap": ("a BAD ",)}
BY_WAY = pytest.mark.parametrize("way", WAYS)


def log_in(
    server: Mailframe,
    token: str,
    way: str = "smtp",
    login: str = ANN,
    name: str = "OAUTHBEARER",
    at_once: bool = True,
) -> str:
    return WAYS[way](server, message(name, token, login), name, at_once)


def refused_everywhere(server: Mailframe, token: str, login: str = ANN) -> None:
    for way in WAYS:
        for name in MECHANISMS:
            assert log_in(server, token, way, login, name).startswith(NO[way]), (way, name)


def why(server: Mailframe) -> str:
    """What the journal says of the last login."""
    lines = server.cli("trace", ANN, "--json").splitlines()
    logins = [one for one in map(json.loads, lines) if one["step"] == "login"]
    return str(logins[-1].get("reason", logins[-1]["result"]))


@BY_WAY
@BY_NAME
@pytest.mark.parametrize("at_once", [True, False], ids=["initial", "asked"])
@pytest.mark.parametrize("opaque", [False, True], ids=["signed", "opaque"])
def test_a_token_logs_in(
    issuer: Issuer, server: Mailframe, way: str, name: str, at_once: bool, opaque: bool
) -> None:
    token = issuer.token(ANN, opaque=opaque)
    for login in (ANN, "ann", "Ann@MF.test", ""):
        assert log_in(server, token, way, login, name, at_once).startswith(YES[way]), login


def test_what_is_offered(server: Mailframe) -> None:
    with server.smtp("submission") as client:
        assert "auth" not in client.esmtp_features
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        assert set(MECHANISMS) < set(client.esmtp_features["auth"].split())
    imap = imaplib.IMAP4(server.address, server.ports["imap"], timeout=30)
    assert not [name for name in imap.capabilities if "OAUTH" in name]
    imap.starttls(any_certificate())
    assert {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2", "SASL-IR"} < set(imap.capabilities)
    imap.shutdown()
    pop3 = poplib.POP3(server.address, server.ports["pop3"], timeout=30)
    assert "SASL" not in pop3.capa()
    pop3.stls(any_certificate())
    assert set(MECHANISMS) < set(pop3.capa()["SASL"])
    pop3.close()


def test_without_tls_a_token_is_not_taken(issuer: Issuer, server: Mailframe) -> None:
    line = base64.b64encode(message("XOAUTH2", issuer.token(ANN), ANN)).decode()
    with server.smtp("submission") as client:
        assert client.docmd("AUTH", f"XOAUTH2 {line}")[0] == 538


def test_passwords_go_on_beside_it(server: Mailframe) -> None:
    server.submission(ANN).quit()
    server.submission(ANN, PASSWORD).quit()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        server.submission(ANN, "wrong")


# -- clients that others wrote --------------------------------------------------------


@BY_NAME
@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("ir", [["--sasl-ir"], []], ids=["ir", ""])
def test_curl_sends(
    issuer: Issuer, server: Mailframe, name: str, listener: str, ir: list[str], tmp_path: Path
) -> None:
    need("curl")
    subject = f"curl {uuid.uuid4().hex}"
    (tmp_path / "message").write_text(
        f"From: {ANN}\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nHi\r\n"
    )
    scheme = "smtps" if listener == "submissions" else "smtp"
    words = curl(issuer, server, f"{scheme}://{server.hostname}:{server.ports[listener]}", name)
    done = run([*words, *ir, "--mail-from", ANN, "--mail-rcpt", BOB, "-T", tmp_path / "message"])
    assert done.returncode == 0, done.stderr

    def arrived() -> list[bytes]:
        return [one for one in server.inbox(BOB) if header(one, "Subject") == [subject]]

    wait_until(arrived, "it arrives")
    assert " with ESMTPSA " in header(arrived()[0], "Received")[0]


def curl(
    issuer: Issuer, server: Mailframe, url: str, name: str, token: str = ""
) -> list[str | Path]:
    port = url.rpartition(":")[2].partition("/")[0]
    words: list[str | Path] = ["curl", "-sS", "--ssl-reqd", "--cacert", server.certificate]
    words += ["--resolve", f"{server.hostname}:{port}:{server.address}", "--user", f"{ANN}:"]
    words += ["--oauth2-bearer", token or issuer.token(ANN), "--login-options", f"AUTH={name}"]
    return [*words, "--url", url]


@BY_NAME
@pytest.mark.parametrize("listener", ["pop3", "pop3s", "imap", "imaps"])
def test_curl_fetches(issuer: Issuer, server: Mailframe, name: str, listener: str) -> None:
    need("curl")
    place = f"{listener}://{server.hostname}:{server.ports[listener]}/"
    done = run(curl(issuer, server, place, name))
    assert done.returncode == 0, done.stderr
    bad = issuer.signed(issuer.facts(ANN) | {"aud": "other"})
    done = run(curl(issuer, server, place, name, bad))
    assert done.returncode == 67, done.stderr  # login denied


@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_msmtp(issuer: Issuer, server: Mailframe, method: str) -> None:
    need("msmtp")
    subject = f"msmtp {uuid.uuid4().hex}"
    words = ["msmtp", "--file=/dev/null", f"--host={server.address}", f"--auth={method}"]
    words += [f"--port={server.ports['submission']}", "--tls=on", "--tls-certcheck=off"]
    words += [f"--user={ANN}", f"--from={ANN}"]

    def sent(token: str) -> Any:
        text = f"From: {ANN}\nTo: {BOB}\nSubject: {subject}\n\nHi\n"
        return run([*words, f"--passwordeval=echo {token}", BOB], input=text)

    done = sent(issuer.token(ANN))
    assert done.returncode == 0, done.stderr
    wait_until(
        lambda: [one for one in server.inbox(BOB) if header(one, "Subject") == [subject]],
        "it comes",
    )
    assert sent(issuer.token(BOB)).returncode != 0


@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_mutt(issuer: Issuer, server: Mailframe, method: str, tmp_path: Path) -> None:
    need("mutt")
    with server.submission(ANN) as client:
        client.sendmail(ANN, [ANN], f"From: {ANN}\r\nSubject: for {method} eyes\r\n\r\nHi\r\n")
    script = tmp_path / "token"
    script.write_text(f"#!/bin/sh\necho {issuer.token(ANN)}\n")
    script.chmod(0o755)
    (tmp_path / "muttrc").write_text(
        f"""set imap_user="{ANN}" imap_oauth_refresh_command="{script}"
set imap_authenticators="{method}"
set folder="imaps://{server.address}:{server.ports["imaps"]}/"
set spoolfile="+INBOX" certificate_file="{server.certificate}" ssl_verify_host=no
set confirmappend=no quit=yes wait_key=no beep=no record=""
"""
    )
    words: list[str | Path] = ["mutt", "-n", "-d", "2", "-F", tmp_path / "muttrc", "-f", "+INBOX"]
    with Terminal(words, tmp_path) as screen:
        screen.wait(f"for {method} eyes")
        screen.press("q")
        screen.wait_for_end()


def test_offlineimap(issuer: Issuer, server: Mailframe, tmp_path: Path) -> None:
    need("offlineimap")
    with server.submission(ANN) as client:
        client.sendmail(ANN, [ANN], f"From: {ANN}\r\nSubject: to be mirrored\r\n\r\nHi\r\n")
    wait_until(lambda: b"to be mirrored" in b"".join(server.inbox(ANN)), "it arrives")
    certificate = ssl.PEM_cert_to_DER_cert(server.certificate.read_text())
    config = tmp_path / "offlineimaprc"
    config.write_text(
        f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = {server.address}
remoteport = {server.ports["imaps"]}
remoteuser = {ANN}
auth_mechanisms = XOAUTH2
oauth2_access_token = {issuer.token(ANN)}
ssl = yes
cert_fingerprint = {hashlib.sha1(certificate).hexdigest()}
folderfilter = lambda name: name == "INBOX"
"""
    )
    command: list[str | Path] = ["offlineimap", "-o", "-1", "-c", config]
    done = run(command, env=os.environ | {"HOME": str(tmp_path)}, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    mirrored = [path for path in (tmp_path / "mail").rglob("*") if path.is_file()]
    assert any(b"to be mirrored" in path.read_bytes() for path in mirrored)


def test_getmail(issuer: Issuer, server: Mailframe, tmp_path: Path) -> None:
    need("getmail")
    subject = "for getmail"
    with server.submission(ANN) as client:
        client.sendmail(ANN, [ANN], f"From: {ANN}\r\nSubject: {subject}\r\n\r\nHi\r\n")
    wait_until(lambda: subject.encode() in b"".join(server.inbox(ANN)), "it arrives")
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    catch, token = tmp_path / "catch", tmp_path / "token"
    # The nap: getmail misses a child that ends before it waits, and then sleeps for a minute.
    catch.write_text(f'#!/bin/sh\ncat > "$(mktemp {fetched}/XXXXXX)"; sleep 0.05\n')
    token.write_text(f"#!/bin/sh\necho {issuer.token(ANN)}\nsleep 0.05\n")
    for script in (catch, token):
        script.chmod(0o755)
    (tmp_path / "getmailrc").write_text(
        f"""[retriever]
type = SimpleIMAPSSLRetriever
server = {server.address}
port = {server.ports["imaps"]}
username = {ANN}
use_xoauth2 = True
password_command = ("{token}",)
[destination]
type = MDA_external
path = {catch}
allow_root_commands = true
[options]
read_all = true
delete = false
"""
    )
    done = run(["getmail", "-g", tmp_path, "-r", "getmailrc"], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(subject.encode() in path.read_bytes() for path in fetched.iterdir())


def test_imapclient(issuer: Issuer, server: Mailframe) -> None:
    imapclient = pytest.importorskip("imapclient")
    for opaque in (False, True):
        for log_in in ("oauth2_login", "oauthbearer_login"):
            with imapclient.IMAPClient(
                server.address, server.ports["imaps"], ssl_context=any_certificate()
            ) as client:
                getattr(client, log_in)(ANN, issuer.token(ANN, opaque=opaque))
                assert client.select_folder("INBOX")[b"UIDVALIDITY"]
            wrong = pytest.raises(imapclient.exceptions.LoginError, match="AUTHENTICATIONFAILED")
            with (
                imapclient.IMAPClient(
                    server.address, server.ports["imaps"], ssl_context=any_certificate()
                ) as client,
                wrong,
            ):
                getattr(client, log_in)(BOB, issuer.token(ANN, opaque=opaque))


def test_smtplib_and_imaplib(issuer: Issuer, server: Mailframe) -> None:
    def answer(challenge: bytes | None = None) -> str:
        return "" if challenge else message("XOAUTH2", token, ANN).decode()

    token = issuer.token(ANN)
    with server.smtp("submission") as client:
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        assert client.auth("XOAUTH2", answer)[0] == 235
        # Still held to her own addresses.
        assert client.mail(BOB)[0] == 553
    token = issuer.token(BOB)
    with server.smtp("submission") as client:
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.auth("XOAUTH2", answer)
    with imaplib.IMAP4_SSL(
        server.address, server.ports["imaps"], ssl_context=any_certificate()
    ) as imap:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.authenticate("XOAUTH2", lambda said: answer(said or None).encode())
        token = issuer.token(ANN)
        imap.authenticate("XOAUTH2", lambda said: answer(said or None).encode())
        assert imap.select("INBOX")[0] == "OK"


# -- tokens that are no good ----------------------------------------------------------


def b64(value: Any) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def wrong_audience(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"aud": "https://other.test"})


def expired(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"exp": int(time.time()) - 31})


def without_expiry(issuer: Issuer) -> str:
    return issuer.signed({k: v for k, v in issuer.facts(ANN).items() if k != "exp"})


def not_yet(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"nbf": int(time.time()) + 120})


def of_another_issuer(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"iss": "https://evil.test"})


def without_scope(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"scope": "openid"})


def of_a_stranger(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts(ANN) | {"email": "ann@elsewhere.test"})


def of_nobody(issuer: Issuer) -> str:
    return issuer.signed(issuer.facts("nobody@mf.test"))


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.token(BOB).split(".")
    return f"{head}.{b64(issuer.facts(ANN))}.{signature}"


def of_another_key(issuer: Issuer) -> str:
    import joserfc.jwk

    other = joserfc.jwk.RSAKey.generate_key(2048, {"kid": issuer.keys[0].kid})
    return issuer.signed(issuer.facts(ANN), other)


def alg_none(issuer: Issuer) -> str:
    return f"{b64({'alg': 'none', 'typ': 'JWT'})}.{b64(issuer.facts(ANN))}."


def hmac_with_the_public_key(issuer: Issuer) -> str:
    head = f"{b64({'alg': 'HS256', 'kid': issuer.keys[0].kid})}.{b64(issuer.facts(ANN))}"
    secret = issuer.keys[0].as_pem(private=False)
    return f"{head}.{b64(hmac.digest(secret, head.encode(), hashlib.sha256))}"


def key_brought_along(issuer: Issuer) -> str:
    import joserfc.jwk

    other = joserfc.jwk.RSAKey.generate_key(2048, {"kid": "mine"})
    return issuer.signed(issuer.facts(ANN), other, {"jwk": other.as_dict(private=False)})


def opaque_of_nobody(issuer: Issuer) -> str:
    return "SGVsbG8gV29ybGQ"


def revoked(issuer: Issuer) -> str:
    token = issuer.token(ANN, opaque=True)
    issuer.opaque[token].is_active = False
    return token


BAD = {
    wrong_audience: "another audience",
    expired: "has expired",
    without_expiry: "no expiry",
    not_yet: "not valid yet",
    of_another_issuer: "another issuer's",
    without_scope: "lacks the scope mail",
    of_a_stranger: "at a domain that is not its issuer's",
    tampered: "none of the issuer's keys",
    of_another_key: "none of the issuer's keys",
    alg_none: "signed with 'none'",
    hmac_with_the_public_key: "signed with 'HS256'",
    key_brought_along: "none of the issuer's keys",
    opaque_of_nobody: "knows no such token",
    revoked: "knows no such token",
}


@pytest.mark.parametrize("made", BAD, ids=lambda made: made.__name__)
def test_a_bad_token(issuer: Issuer, server: Mailframe, made: Callable[[Issuer], str]) -> None:
    refused_everywhere(server, made(issuer))
    assert BAD[made] in why(server)


def test_a_token_of_somebody_who_has_no_mailbox(issuer: Issuer, server: Mailframe) -> None:
    refused_everywhere(server, of_nobody(issuer), "")
    refused_everywhere(server, of_nobody(issuer), "nobody@mf.test")
    refused_everywhere(server, issuer.token(OFF), OFF)  # disabled


HOSTILE = [
    BOB,
    "ann@elsewhere.test",
    "ann+x@mf.test",
    "../../ann",
    "' OR 1=1 --@mf.test",
    "%s%n@mf.test",
    "a" * 1000 + "@mf.test",
    "\u202eann@mf.test",
    "ann@mf.test@mf.test",
    "=2C=3D",
]


@pytest.mark.parametrize("login", HOSTILE)
def test_somebody_elses_name(issuer: Issuer, server: Mailframe, login: str) -> None:
    token = issuer.token(ANN)
    for way in WAYS:
        for name in MECHANISMS:
            said = log_in(server, token, way, login, name)
            assert said.startswith((NO[way], *MALFORMED[way])), said


@pytest.mark.parametrize("login", ["ann\0@mf.test", "a" * 10_000, "ann\x07", "ann\n", "ann=x,"])
@BY_WAY
def test_what_is_no_name(issuer: Issuer, server: Mailframe, way: str, login: str) -> None:
    assert log_in(server, issuer.token(ANN), way, login).startswith(MALFORMED[way])


def test_no_token_is_kept_anywhere(issuer: Issuer, server: Mailframe) -> None:
    tokens = [issuer.token(ANN), issuer.token(ANN, opaque=True), tampered(issuer)]
    for token in tokens:
        log_in(server, token)
    found = [path for path in server.base.rglob("*") if path.is_file()]
    assert found
    for octets in (server.log.encode(), *(path.read_bytes() for path in found)):
        for token in tokens:
            assert token.encode() not in octets
            assert base64.b64encode(message("OAUTHBEARER", token, ANN)) not in octets


# -- the issuer -----------------------------------------------------------------------


def test_a_flood_of_unknown_keys_fetches_little(issuer: Issuer, server: Mailframe) -> None:
    import joserfc.jwk

    other = joserfc.jwk.RSAKey.generate_key(2048)
    facts = issuer.facts(ANN)
    assert log_in(server, issuer.token(ANN)).startswith(YES["smtp"])
    issuer.asked.clear()
    start = time.monotonic()
    for number in range(60):
        token = issuer.signed(facts, other, {"kid": f"made up {number}"})
        assert log_in(server, token, "imap").startswith(NO["imap"])
    took = time.monotonic() - start
    # keys_retry is a second.
    assert issuer.asked["/keys"] <= took + 1
    assert log_in(server, issuer.token(ANN)).startswith(YES["smtp"])


def test_a_flood_of_opaque_tokens_is_answered(issuer: Issuer, server: Mailframe) -> None:
    issuer.asked.clear()
    for _ in range(20):
        assert log_in(server, "one-and-the-same", "pop3").startswith(NO["pop3"])
    assert issuer.asked["/introspect"] == 1


def test_keys_rotate(alone: tuple[Issuer, Mailframe]) -> None:
    issuer, server = alone
    old = issuer.token(ANN)
    assert log_in(server, old).startswith(YES["smtp"])
    time.sleep(1.1)
    issuer.rotate("key2")
    assert log_in(server, issuer.token(ANN)).startswith(YES["smtp"])
    assert log_in(server, old).startswith(NO["smtp"])


def test_the_issuer_is_down(alone: tuple[Issuer, Mailframe]) -> None:
    issuer, server = alone
    signed, opaque = issuer.token(ANN), issuer.token(ANN, opaque=True)
    issuer.stop()
    for way in WAYS:
        for token in (signed, opaque):
            assert log_in(server, token, way).startswith(DOWN[way])
    server.submission(ANN).quit()  # the directory goes on
    assert "cannot be asked" in server.log
    issuer.start()
    wait_until(lambda: log_in(server, signed).startswith(YES["smtp"]), "it is asked again")
    assert log_in(server, opaque).startswith(YES["smtp"])
    assert "answers again" in server.log
    known = issuer.token(BOB)
    issuer.stop()
    for way in WAYS:
        # Keys are known, and so is what was said of that token.
        assert log_in(server, known, way, BOB).startswith(YES[way])
        assert log_in(server, opaque, way).startswith(YES[way])
        assert log_in(server, wrong_audience(issuer), way).startswith(NO[way])
        assert log_in(server, "unheard-of", way).startswith(DOWN[way])


def test_an_issuer_that_does_not_answer(alone: tuple[Issuer, Mailframe]) -> None:
    issuer, server = alone
    token = issuer.token(ANN)
    issuer.delay = 8.0  # the time limit is 5
    assert log_in(server, token).startswith(DOWN["smtp"])
    server.submission(ANN).quit()


def test_an_issuer_whose_certificate_nobody_vouches_for() -> None:
    def without_ca(issuer: Issuer) -> dict[str, Any]:
        return {name: value for name, value in settings(issuer).items() if name != "ca_file"}

    with served(without_ca) as (issuer, server):
        assert log_in(server, issuer.token(ANN)).startswith(DOWN["smtp"])
        assert issuer.asked["/keys"] == issuer.asked["/.well-known/openid-configuration"] == 0
        assert "certificate verify failed" in server.log


def test_tokens_alone_without_the_directory() -> None:
    with workdir("oauth") as directory:
        issuer = Issuer(directory / "issuer")
        server = Mailframe(directory, loopback_address())
        configure(server, settings(issuer))
        server.add_users(ANN)
        issuer.start()
        server.start()
        try:
            with server.smtp("submission") as client:
                client.starttls(context=any_certificate())
                client.ehlo("client.test")
                assert set(client.esmtp_features["auth"].split()) == set(MECHANISMS)
            for way in WAYS:
                assert log_in(server, issuer.token(ANN), way).startswith(YES[way])
        finally:
            server.stop()
            issuer.stop()
        assert server.tracebacks == []


def test_as_google_has_it() -> None:
    def like_google(issuer: Issuer) -> dict[str, Any]:
        return {
            "introspection_url": f"{issuer.url}/tokeninfo",
            "introspection": "tokeninfo",
            "audience": [AUDIENCE],
            "scopes": ["mail"],
            "domains": ["mf.test"],
            "ca_file": str(issuer.certificate),
        }

    with served(like_google) as (issuer, server):
        token = issuer.token(ANN, opaque=True)
        for way in WAYS:
            assert log_in(server, token, way, name="XOAUTH2").startswith(YES[way])
            assert log_in(server, "nothing", way, name="XOAUTH2").startswith(NO[way])
        issuer.stop()
        assert log_in(server, "another").startswith(DOWN["smtp"])


def test_a_provider_of_somebody_elses(directory: Path) -> None:
    """oidc-provider-mock, unchanged. Its access tokens say nothing and it cannot be asked about
    them, so what it signs, the ID token, has to do here."""
    place = directory / "provider"
    place.mkdir()
    with foreign_provider(place) as (url, authority):
        server = Mailframe(directory, loopback_address())
        company = {"issuer": url, "audience": ["mailframe"], "domains": ["mf.test"]}
        configure(server, company | {"ca_file": str(authority)})
        server.add_users(ANN)
        server.start()
        try:
            token = id_token(url, authority, ANN, "mailframe")
            for way in WAYS:
                assert log_in(server, token, way).startswith(YES[way])
                other = id_token(url, authority, ANN, "another client")
                assert log_in(server, other, way).startswith(NO[way])
        finally:
            server.stop()
        assert server.tracebacks == []
