"""Programs that people read and fetch their mail with, by IMAP, on the whole server."""

from __future__ import annotations

import os
import re
import smtplib
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, count, fill, logged_in, message, numbers
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import Process, need, run, wait_until
from tests.interop.peers.terminal import Terminal


def deliver(server: Mailframe, to: str, number: int) -> None:
    with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
        client.sendmail("a@example.org", [to], message(number))


def home(path: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(path)}


# ---- programs that fetch


def test_curl_lists_fetches_searches_and_appends(
    running: Mailframe, box: str, tmp_path: Path
) -> None:
    need("curl")
    base = f"imaps://{running.address}:{running.ports['imaps']}"
    common = ["curl", "-sS", "-k", "--user", f"{ANN}:{PASSWORD}"]
    assert box in run([*common, f"{base}/"]).stdout
    assert "body 3" in run([*common, f"{base}/{box};MAILINDEX=3"]).stdout
    found = run([*common, f"{base}/{box}?SUBJECT%20%22message%207%22"]).stdout
    assert found.split() == ["*", "SEARCH", "7"]
    upload = tmp_path / "upload.eml"
    upload.write_bytes(message(77))
    assert run([*common, "-T", upload, f"{base}/{box}"]).returncode == 0
    status = run([*common, "-X", f"STATUS {box} (MESSAGES)", f"{base}/"]).stdout
    assert "MESSAGES 11" in status


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl_logs_in_after_starttls(running: Mailframe, mechanism: str) -> None:
    need("curl")
    url = f"imap://{running.address}:{running.ports['imap']}/INBOX"
    words = ["--ssl-reqd", "--login-options", f"AUTH={mechanism}", "-X", "EXAMINE INBOX"]
    done = run(["curl", "-sS", "-k", *words, "--user", f"{ANN}:{PASSWORD}", url])
    assert "UIDVALIDITY" in done.stdout, done.stderr


def test_imapfilter_files_mail(running: Mailframe, box: str, tmp_path: Path) -> None:
    need("imapfilter")
    (tmp_path / "filter.lua").write_text(
        f"""options.timeout = 30
options.certificates = false
options.hostnames = false
account = IMAP {{ server = '{running.address}', port = {running.ports["imaps"]},
  username = '{ANN}', password = '{PASSWORD}', ssl = 'auto' }}
account:create_mailbox('{box}-filed')
found = account['{box}']:contain_from('s1@') + account['{box}']:contain_subject('message 2')
found:mark_flagged()
found:move_messages(account['{box}-filed'])
"""
    )
    done = run(["imapfilter", "-c", tmp_path / "filter.lua"], env=home(tmp_path), timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    with logged_in(running) as client:
        assert count(client, box) == 8
        assert count(client, f"{box}-filed") == 2
        assert numbers(client, "FLAGGED") == [1, 2]


def mail_catcher(directory: Path) -> tuple[Path, Path]:
    """A command that writes what it gets into a directory, and that directory."""
    fetched = directory / "fetched"
    fetched.mkdir()
    command = directory / "catch"
    # The nap: getmail misses a child that ends before it waits, and then sleeps for a minute.
    command.write_text(f'#!/bin/sh\ncat > "$(mktemp {fetched}/XXXXXX)"; sleep 0.05\n')
    command.chmod(0o755)
    return command, fetched


def test_getmail_fetches_and_deletes(running: Mailframe, box: str, tmp_path: Path) -> None:
    need("getmail")
    command, fetched = mail_catcher(tmp_path)
    (tmp_path / "getmailrc").write_text(
        f"""[retriever]
type = SimpleIMAPSSLRetriever
server = {running.address}
port = {running.ports["imaps"]}
username = {ANN}
password = {PASSWORD}
mailboxes = ("{box}",)
[destination]
type = MDA_external
path = {command}
allow_root_commands = true
[options]
read_all = false
delete = true
"""
    )
    done = run(["getmail", "-g", tmp_path, "-r", "getmailrc"], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(fetched.iterdir())) == 10
    with logged_in(running) as client:
        assert count(client, box) == 0


def fetchmail(server: Mailframe, directory: Path, user: str, folder: str, idle: str) -> list[str]:
    """Its command line; everything new is written into ``directory``/fetched."""
    need("fetchmail")
    command, _ = mail_catcher(directory)
    settings = directory / "fetchmailrc"
    settings.write_text(
        f"poll {server.address} protocol imap service {server.ports['imaps']}\n"
        f'  user "{user}" password "{PASSWORD}" ssl no sslcertck folder "{folder}" {idle}\n'
        f"  keep no rewrite mda {command}\n"
    )
    settings.chmod(0o600)
    pidfile = str(directory / "fetchmail.pid")
    return ["fetchmail", "-v", "-f", str(settings), "--nosyslog", "--pidfile", pidfile]


def test_fetchmail_fetches_what_is_unseen(running: Mailframe, box: str, tmp_path: Path) -> None:
    command = fetchmail(running, tmp_path, ANN, box, "")
    with logged_in(running) as client:
        client.select(box)
        client.store("1:3", "+FLAGS", "\\Seen")
        done = run(command, env=home(tmp_path), timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(list((tmp_path / "fetched").iterdir())) == 7
        client.noop()
        assert numbers(client, "UNSEEN") == []
    again = run(command, env=home(tmp_path), timeout=60)
    assert again.returncode == 1, again.stdout + again.stderr  # there was no mail


def test_fetchmail_idles(running: Mailframe, tmp_path: Path) -> None:
    command = fetchmail(running, tmp_path, BOB, "INBOX", "idle")
    daemon = Process([*command, "--nodetach"], tmp_path / "log", env=home(tmp_path))

    def idles(times: int) -> None:
        sent = re.compile(r"> A\d+ IDLE")
        daemon.wait_for(
            lambda: len(sent.findall(daemon.log.read_text())) >= times, f"{times} times IDLE"
        )

    def fetches(messages: int) -> None:
        fetched = tmp_path / "fetched"
        wait_until(lambda: len(list(fetched.iterdir())) == messages, f"{messages} are fetched")

    deliver(running, BOB, 1)
    try:
        for number in (1, 2, 3):
            fetches(number)
            idles(number)
            if number < 3:
                deliver(running, BOB, number + 1)
    finally:
        daemon.stop()


# ---- programs that show it to a person


def mutt(server: Mailframe, directory: Path, box: str, more: str = "") -> Terminal:
    """In the folder; what it says and hears is in ``.muttdebug0``."""
    (directory / "cache").mkdir(exist_ok=True)
    (directory / "muttrc").write_text(
        f"""set imap_user="{ANN}" imap_pass="{PASSWORD}"
set folder="imaps://{server.address}:{server.ports["imaps"]}/"
set spoolfile="+INBOX" certificate_file="{server.certificate}"
set ssl_verify_host=no
set header_cache="{directory}/cache" message_cachedir="{directory}/cache"
set imap_condstore=yes imap_qresync=yes imap_idle=yes timeout=1
set sidebar_visible=yes sidebar_width=40 sidebar_format="%B %N/%S"
set confirmappend=no confirmcreate=no delete=yes quit=yes wait_key=no mark_old=no
set move=no record="" beep=no
mailboxes "+{box}" "+{box}-kept"
{more}
"""
    )
    words: list[str | Path] = ["-n", "-d", "2", "-F", directory / "muttrc", "-f", f"+{box}"]
    return Terminal(["mutt", *words], directory)


def test_mutt_on_two_folders(running: Mailframe, box: str, tmp_path: Path) -> None:
    with logged_in(running) as client:
        client.create(f"{box}-kept")
        with mutt(running, tmp_path, box) as screen:
            screen.wait("message 10")
            screen.wait(f"{box} 10/10")  # the sidebar
            screen.press("1", "Enter", "Enter")
            screen.wait("body 1 Αναφορά")
            screen.press("i", "F")  # back; flag it
            screen.press("2", "Enter", "s", "C-u")  # save the second
            screen.type(f"={box}-kept")
            screen.press("Enter", "$")
            screen.wait_for(lambda shown: "message 2" not in shown, "it was moved")
            client.append(box, "", None, message(11))
            screen.wait("message 11")  # by IDLE
            screen.press("q")
            screen.wait_for_end()
        assert count(client, f"{box}-kept") == 1
        assert count(client, box) == 10
        assert numbers(client, "FLAGGED", "SEEN") == [1]


def test_mutt_catches_up_with_qresync(running: Mailframe, box: str, tmp_path: Path) -> None:
    debug = tmp_path / ".muttdebug0"
    with logged_in(running) as client:
        with mutt(running, tmp_path, box) as screen:
            screen.wait(f"{box} 10/10")
            screen.press("q")
            screen.wait_for_end()
        assert "CHANGEDSINCE" not in debug.read_text()
        client.select(box)
        client.store("3", "+FLAGS", "\\Flagged \\Seen")
        client.store("4", "+FLAGS", "\\Deleted")
        client.expunge()
        with mutt(running, tmp_path, box) as screen:
            screen.wait(f"{box} 8/9")
            screen.wait_for(lambda shown: "message 4" not in shown, "it is gone")
            flagged = [line for line in screen.screen.splitlines() if "!" in line]
            assert len(flagged) == 1
            assert "message 3" in flagged[0]
            screen.press("q")
            screen.wait_for_end()
        # How it does QRESYNC: not by SELECT's parameter.
        assert re.search(
            r"UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)", debug.read_text()
        )
        assert "* VANISHED (EARLIER) 4" in debug.read_text()


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_mutt_authenticates(running: Mailframe, box: str, mechanism: str, tmp_path: Path) -> None:
    with mutt(running, tmp_path, box, f"set imap_authenticators={mechanism}") as screen:
        screen.wait("message 10")
        screen.press("q")
        screen.wait_for_end()
    assert f"AUTHENTICATE {mechanism.upper()}" in (tmp_path / ".muttdebug0").read_text()


def alpine(server: Mailframe, directory: Path) -> Terminal:
    host = f"{server.address}:{server.ports['imaps']}/ssl/novalidate-cert/user={ANN}"
    (directory / "pinerc").write_text(
        f"""personal-name=Ann
user-domain=mf.test
inbox-path={{{host}}}INBOX
folder-collections=Mail {{{host}}}[]
default-fcc=""
postponed-folder=""
disable-these-authenticators=GSSAPI
feature-list=no-quit-query-suppressed,quit-without-confirm,expunge-without-confirm,
\tno-pruned-folders-confirm,save-will-not-delete,enable-flag-cmd
last-time-prune-questioned=999.12
last-version-used=9.99
"""
    )
    return Terminal(["alpine", "-p", directory / "pinerc", "-i"], directory)


def test_alpine_on_two_folders(running: Mailframe, box: str, tmp_path: Path) -> None:
    with logged_in(running) as client, alpine(running, tmp_path) as screen:
        fill(client, "INBOX", range(1, 4), "in the inbox {}")
        screen.wait("ENTER PASSWORD")
        screen.type(PASSWORD)
        screen.press("Enter")
        # The lines that say what was done go after a moment; what is waited for stays.
        screen.wait_for(
            lambda shown: "Preserve password" in shown or "Message 1 of 3" in shown, "it goes on"
        )
        if "Preserve password" in screen.screen:  # not every build can
            screen.press("n")
        screen.wait("Message 1 of 3")
        screen.press("Enter")
        screen.wait("in the inbox 1")
        screen.press("i")
        screen.wait("MESSAGE INDEX")
        screen.press("d")
        screen.wait_for(lambda shown: bool(re.search(r"^ *D +1 ", shown, re.M)), "it is marked")
        screen.press("x")
        screen.wait("of 2")
        assert count(client, "INBOX") == 2
        screen.press("s")
        screen.wait("SAVE")
        screen.press("C-u")
        screen.type(box)
        screen.press("Enter")
        wait_until(lambda: b"MESSAGES 11" in client.status(box, "(MESSAGES)")[1][0], "it is saved")
        deliver(running, ANN, 4)
        screen.wait("message 4", again="C-l")  # which has it look for new mail
        screen.press("l")
        screen.wait(f"{box}[/]")
        screen.press("q")
        screen.wait_for_end()
        assert count(client, "INBOX") == 3
        assert count(client, box) == 11
        assert numbers(client, "SUBJECT", '"message 2"') == [2, 11]
