"""Real mail programs submit with TLS and login; their messages arrive in the mailbox."""

from __future__ import annotations

import email.message
import smtplib
import ssl
import uuid
from pathlib import Path

import pytest

from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import need, run, wait_until

ANN, BOB = "ann@mf.test", "bob@mf.test"


def message(subject: str) -> str:
    return f"From: {ANN}\nTo: {BOB}\nSubject: {subject}\n\nHello Bob.\n.\n..two dots\n"


def arrived(server: Mailframe, subject: str) -> bytes:
    """The message with that subject in Bob's mailbox; waits for it."""
    found: list[bytes] = []

    def there() -> bool:
        found[:] = [one for one in server.inbox(BOB) if header(one, "Subject") == [subject]]
        return bool(found)

    wait_until(there, f"{subject} arrives")
    assert len(found) == 1
    return found[0]


def check(server: Mailframe, subject: str, protocol: str = "ESMTPSA") -> None:
    made = arrived(server, subject)
    assert header(made, "Return-Path") == [f"<{ANN}>"]
    assert header(made, "Delivered-To") == [BOB]
    assert f" with {protocol} " in header(made, "Received")[0]
    assert len(header(made, "Date")) == len(header(made, "Message-ID")) == 1


@pytest.fixture
def subject() -> str:
    return f"interop {uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(running: Mailframe, subject: str, mechanism: str) -> None:
    need("swaks")
    words = ["swaks", "--server", running.address, "--port", str(running.ports["submission"])]
    words += ["--tls", "--auth", mechanism, "--auth-user", ANN, "--auth-password", PASSWORD]
    words += ["--from", ANN, "--to", BOB, "--data", message(subject)]
    done = run(words)
    assert done.returncode == 0, done.stdout
    check(running, subject)


@pytest.mark.parametrize(
    "options", [["--pipeline"], ["--tls-on-connect"], ["--protocol", "SSMTPA"]]
)
def test_swaks_in_other_ways(running: Mailframe, subject: str, options: list[str]) -> None:
    need("swaks")
    implicit = options[0] != "--pipeline"
    port = running.ports["submissions" if implicit else "submission"]
    words = ["swaks", "--server", running.address, "--port", str(port), *options]
    words += [] if implicit else ["--tls"]
    words += ["--auth", "PLAIN", "--auth-user", ANN, "--auth-password", PASSWORD]
    words += ["--from", ANN, "--to", BOB, "--data", message(subject)]
    done = run(words)
    assert done.returncode == 0, done.stdout
    check(running, subject)


def test_swaks_is_refused_with_a_wrong_password(running: Mailframe) -> None:
    need("swaks")
    words = ["swaks", "--server", running.address, "--port", str(running.ports["submission"])]
    words += ["--tls", "--auth", "PLAIN", "--auth-user", ANN, "--auth-password", "wrong"]
    done = run([*words, "--from", ANN, "--to", BOB])
    assert done.returncode == 28
    assert "535 5.7.8" in done.stdout


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_curl(running: Mailframe, subject: str, listener: str, tmp_path: Path) -> None:
    need("curl")
    (tmp_path / "message").write_bytes(message(subject).replace("\n", "\r\n").encode())
    scheme = "smtps" if listener == "submissions" else "smtp"
    url = f"{scheme}://{running.hostname}:{running.ports[listener]}/client.test"
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", running.certificate, "--url", url]
    words += ["--resolve", f"{running.hostname}:{running.ports[listener]}:{running.address}"]
    words += ["--user", f"{ANN}:{PASSWORD}", "--mail-from", ANN, "--mail-rcpt", BOB]
    done = run([*words, "-T", tmp_path / "message"])
    assert done.returncode == 0, done.stderr
    check(running, subject)


@pytest.mark.parametrize("method", ["plain", "login", "scram-sha-256"])
def test_msmtp(running: Mailframe, subject: str, method: str, tmp_path: Path) -> None:
    need("msmtp")
    words = ["msmtp", "--file=/dev/null", f"--host={running.address}"]
    words += [f"--port={running.ports['submission']}", "--tls=on", "--tls-certcheck=off"]
    words += [f"--auth={method}", f"--user={ANN}", f"--from={ANN}"]
    words += [f"--passwordeval=echo '{PASSWORD}'", BOB]
    done = run(words, input=message(subject))
    assert done.returncode == 0, done.stderr
    check(running, subject)


def test_msmtp_over_implicit_tls(running: Mailframe, subject: str) -> None:
    need("msmtp")
    words = ["msmtp", "--file=/dev/null", f"--host={running.address}"]
    words += [f"--port={running.ports['submissions']}", "--tls=on", "--tls-starttls=off"]
    words += ["--tls-certcheck=off", "--auth=on", f"--user={ANN}", f"--from={ANN}"]
    done = run([*words, f"--passwordeval=echo '{PASSWORD}'", BOB], input=message(subject))
    assert done.returncode == 0, done.stderr
    check(running, subject)


def test_s_nail(running: Mailframe, subject: str, tmp_path: Path) -> None:
    need("s-nail")
    user, password = ANN.replace("@", "%40"), PASSWORD.replace(" ", "%20")
    url = f"smtp://{user}:{password}@{running.address}:{running.ports['submission']}"
    words = ["s-nail", "-:/", "-Sv15-compat", f"-Smta={url}", "-Ssmtp-auth=plain"]
    words += ["-Ssmtp-use-starttls", "-Stls-verify=ignore", f"-Sfrom={ANN}", "-s", subject, BOB]
    done = run(words, input="Hello Bob.\n", env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    check(running, subject)


def test_git_send_email(running: Mailframe, subject: str, tmp_path: Path) -> None:
    need("git")
    if "send-email" not in run(["git", "help", "-a"]).stdout:
        pytest.skip("git send-email is not installed")
    patch = tmp_path / "0001.patch"
    patch.write_text(
        f"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
        f"From: Ann <{ANN}>\nDate: Tue, 1 Jul 2025 10:00:00 +0000\nSubject: {subject}\n\ntext\n"
    )
    words = [
        "git",
        "-c",
        "sendemail.smtpsslcertpath=",
        "send-email",
        f"--from={ANN}",
        f"--to={BOB}",
        "--confirm=never",
        "--quiet",
    ]
    words += [f"--smtp-server={running.address}", f"--smtp-user={ANN}", f"--smtp-pass={PASSWORD}"]
    words += [f"--smtp-server-port={running.ports['submission']}", "--smtp-encryption=tls"]
    words += ["--suppress-cc=all", "--no-validate", str(patch)]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "EMAIL": ANN}
    done = run(words, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    check(running, subject)


def test_smtplib(running: Mailframe, subject: str) -> None:
    made = email.message.EmailMessage()
    made["From"], made["To"], made["Subject"] = ANN, BOB, subject
    made.set_content("Γεια σου, Bob.\n")
    with running.submission(ANN) as client:
        assert client.send_message(made) == {}
    check(running, subject)


def test_smtplib_over_implicit_tls(running: Mailframe, subject: str) -> None:
    port = running.ports["submissions"]
    with smtplib.SMTP_SSL(running.address, port, context=any_certificate()) as client:
        client.login(ANN, PASSWORD)
        assert client.sendmail(ANN, [BOB], message(subject)) == {}
    check(running, subject)


def test_a_user_cannot_be_another(running: Mailframe, subject: str) -> None:
    with running.submission(ANN) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail(BOB, [BOB], message(subject))
        assert refused.value.smtp_code == 553
        with pytest.raises(smtplib.SMTPDataError) as refused_data:
            client.sendmail(ANN, [BOB], message(subject).replace(ANN, "boss@mf.test"))
        assert refused_data.value.smtp_code == 550


def test_no_login_without_tls(running: Mailframe) -> None:
    with running.smtp("submission") as client:
        assert not client.has_extn("auth")
        code, text = client.docmd("AUTH", "PLAIN AGFubgBi")
        assert code in (530, 538, 523, 503)
        assert b"5.7." in text or code == 503
        assert client.mail(ANN)[0] == 530


def test_pipelined_by_hand(running: Mailframe, subject: str) -> None:
    """MAIL, RCPT and DATA in one packet, and the next transaction behind the final dot."""
    with running.submission(ANN) as client:
        assert client.has_extn("pipelining")
        body = message(subject).replace("\n.", "\n..").replace("\n", "\r\n")
        begin = f"MAIL FROM:<{ANN}>\r\nRCPT TO:<{BOB}>\r\n"
        client.send(f"{begin}RCPT TO:<nobody@mf.test>\r\nDATA\r\n")
        assert [client.getreply()[0] for _ in range(4)] == [250, 250, 550, 354]
        client.send(f"{body}.\r\n{begin}RSET\r\nNOOP\r\n")
        assert [client.getreply()[0] for _ in range(5)] == [250] * 5
    check(running, subject)


def session_load(server: Mailframe, count: int, sessions: int, *options: str) -> None:
    need("smtp-source")
    before = len(server.inbox(BOB))
    words = ["smtp-source", "-s", str(sessions), "-m", str(count), "-l", "1000", *options]
    words += ["-f", "load@sender.test", "-t", BOB, f"inet:{server.address}:{server.ports['mx']}"]
    done = run(words, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    new = server.maildir(BOB) / "new"

    def all_there() -> bool:
        return len(list(new.iterdir())) >= before + count

    wait_until(all_there, f"{count} messages arrive", 240)
    assert len(server.inbox(BOB)) == before + count


def test_smtp_source_with_a_connection_each(running: Mailframe) -> None:
    session_load(running, 500, 20)


def test_smtp_source_with_kept_connections(running: Mailframe) -> None:
    session_load(running, 500, 20, "-d")


@pytest.mark.slow
def test_smtp_source_10000_messages_over_100_sessions(running: Mailframe) -> None:
    session_load(running, 10_000, 100)
    assert running.queue() == []


def test_both_tls_versions_of_today(running: Mailframe) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = any_certificate()
        context.minimum_version = context.maximum_version = version
        with running.smtp("submission") as client:
            client.starttls(context=context)
            client.ehlo()
            client.login(ANN, PASSWORD)
            assert client.noop()[0] == 250
