"""Python's and Node's IMAP libraries on the whole server, each for what it is used for."""

from __future__ import annotations

import asyncio
import datetime
import imaplib
import json
import smtplib
import threading
import time
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, count, logged_in, message, numbers
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import need, run


def test_imaplib_starts_tls_and_reads(running: Mailframe, box: str) -> None:
    with logged_in(running) as client:
        assert client.select(box) == ("OK", [b"10"])
        assert numbers(client, "SUBJECT", '"message 1"') == [1, 10]
        _, fetched = client.fetch("3", "(RFC822)")
        assert isinstance(fetched[0], tuple)
        assert b"Subject: message 3" in fetched[0][1]
        assert client.store("1:2", "+FLAGS", "\\Deleted")[0] == "OK"
        status, told = client.expunge()
        assert (status, len(told), count(client, box)) == ("OK", 2, 8)


def test_imaplib_sorts_and_threads(running: Mailframe, box: str) -> None:
    with logged_in(running) as client:
        client.select(box)
        _, order = client.sort("REVERSE SIZE", "UTF-8", "ALL")
        assert order[0].split()[0] == b"10"
        _, threads = client.thread("REFERENCES", "UTF-8", "ALL")
        assert threads[0].count(b"(") == 10
        _, told = client.getquotaroot(box)
        assert told[0][0].split()[0].strip(b'"') == box.encode()
        assert client.myrights(box)[0] == "OK"


def test_imaplib_refuses_to_log_in_before_tls(running: Mailframe) -> None:
    client = imaplib.IMAP4(running.address, running.ports["imap"], timeout=20)
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error):
        client.login(ANN, PASSWORD)
    client.logout()


def test_imapclient_searches_sorts_threads_and_idles(running: Mailframe, box: str) -> None:
    imapclient = pytest.importorskip("imapclient")
    with imapclient.IMAPClient(
        running.address, running.ports["imaps"], ssl_context=any_certificate(), timeout=20
    ) as client:
        client.login(ANN, PASSWORD)
        assert client.select_folder(box)[b"EXISTS"] == 10
        uids = client.search(["TEXT", "αυγουστο"], charset="UTF-8")
        assert len(uids) == 10
        assert client.sort(["REVERSE SUBJECT"])[0] == uids[8]
        assert len(client.thread()) == 10
        data = client.fetch(uids[:2], ["ENVELOPE", "FLAGS", "BODYSTRUCTURE", "INTERNALDATE"])
        assert data[uids[0]][b"ENVELOPE"].subject == b"message 1"
        assert isinstance(data[uids[0]][b"INTERNALDATE"], datetime.datetime)
        client.add_flags(uids[0], [b"$Important"])
        assert b"$Important" in client.get_flags(uids[0])[uids[0]]
        client.idle()
        with logged_in(running) as other:
            other.append(box, "", None, message(99))
        told = client.idle_check(timeout=10)
        client.idle_done()
        assert (11, b"EXISTS") in told


def test_imapclient_manages_folders_with_any_name(running: Mailframe) -> None:
    imapclient = pytest.importorskip("imapclient")
    with imapclient.IMAPClient(
        running.address, running.ports["imaps"], ssl_context=any_certificate(), timeout=20
    ) as client:
        client.login(ANN, PASSWORD)
        for name in ("Φάκελος/Υπο", "a&b", "with . dots", "日本語"):
            client.create_folder(name)
            client.subscribe_folder(name)
        names = {name for _, _, name in client.list_folders()}
        assert {"Φάκελος", "Φάκελος/Υπο", "a&b", "with . dots", "日本語"} <= names
        client.rename_folder("Φάκελος", "Νέος")
        names = {name for _, _, name in client.list_folders()}
        assert {"Νέος", "Νέος/Υπο"} <= names
        assert "Φάκελος" not in names
        assert client.folder_status("Νέος/Υπο")[b"MESSAGES"] == 0


def test_imap_tools_moves_and_copies(running: Mailframe, box: str) -> None:
    imap_tools = pytest.importorskip("imap_tools")
    with imap_tools.MailBox(
        running.address, running.ports["imaps"], ssl_context=any_certificate(), timeout=20
    ).login(ANN, PASSWORD, initial_folder=box) as mailbox:
        subjects = {m.subject for m in mailbox.fetch(imap_tools.AND(seen=False), mark_seen=False)}
        assert len(subjects) == 10
        mailbox.folder.create(f"{box}-target")
        uids = mailbox.uids()
        mailbox.move(uids[:4], f"{box}-target")
        mailbox.copy(uids[4:5], f"{box}-target")
        mailbox.flag(uids[5], imap_tools.MailMessageFlags.FLAGGED, True)
        assert len(mailbox.uids()) == 6
        assert mailbox.folder.status(f"{box}-target")["MESSAGES"] == 5
        assert [m.uid for m in mailbox.fetch(imap_tools.AND(flagged=True))] == [uids[5]]


def test_aioimaplib_hears_of_a_delivery_at_once(running: Mailframe) -> None:
    aioimaplib = pytest.importorskip("aioimaplib")

    async def play() -> float:
        client = aioimaplib.IMAP4_SSL(
            host=running.address, port=running.ports["imaps"], ssl_context=any_certificate()
        )
        await client.wait_hello_from_server()
        await client.login(BOB, PASSWORD)
        await client.select("INBOX")
        idle = await client.idle_start(timeout=30)
        sent: list[float] = []
        thread = threading.Thread(target=lambda: sent.append(_deliver(running)))
        thread.start()
        while not any(b"EXISTS" in line for line in await client.wait_server_push()):
            pass
        heard = time.monotonic()
        thread.join()
        client.idle_done()
        await asyncio.wait_for(idle, 5)
        await client.logout()
        return heard - sent[0]

    # The issue's own figure is 100 ms; a loaded machine gets some more.
    assert asyncio.run(play()) < 1.0


def _deliver(running: Mailframe) -> float:
    with smtplib.SMTP(running.address, running.ports["mx"], timeout=20) as client:
        client.sendmail("a@example.org", [BOB], message(1))
        return time.monotonic()


_IMAPFLOW = """
const { ImapFlow } = require('imapflow');
const [host, port, user, pass, box] = process.argv.slice(2);
(async () => {
  const client = new ImapFlow({ host, port: Number(port), secure: true, auth: { user, pass },
    tls: { rejectUnauthorized: false }, logger: false });
  await client.connect();
  const lock = await client.getMailboxLock(box);
  const found = [];
  for await (const one of client.fetch('1:*', { envelope: true, bodyStructure: true, flags: true,
      threadId: true, size: true })) found.push(one.envelope.subject);
  await client.messageFlagsAdd('1:3', ['\\\\Seen']);
  const unseen = await client.search({ seen: false });
  await client.mailboxCreate(box + '-flow');
  const moved = await client.messageMove('1:2', box + '-flow');
  const status = await client.status(box + '-flow', { messages: true, unseen: true });
  const download = await client.download('1', '1');
  let text = '';
  for await (const chunk of download.content) text += chunk.toString();
  const tree = await client.list();
  lock.release();
  await client.logout();
  console.log(JSON.stringify({ found, unseen: unseen.length, moved: moved.uidMap.size,
    status, text, folders: tree.length, enabled: [...client.enabled] }));
})().catch((error) => { console.error(error); process.exit(1); });
"""

_NPM = ["--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000"]


@pytest.mark.slow
def test_imapflow_works_on_a_folder(running: Mailframe, box: str, tmp_path: Path) -> None:
    need("node", "npm")
    install = run(["npm", "install", *_NPM, "imapflow"], cwd=tmp_path)
    if install.returncode:
        pytest.skip("imapflow cannot be installed")
    (tmp_path / "play.js").write_text(_IMAPFLOW)
    words = [running.address, str(running.ports["imaps"]), ANN, PASSWORD, box]
    done = run(["node", "play.js", *words], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["found"]) == 10
    assert (told["unseen"], told["moved"]) == (7, 2)
    assert told["status"]["messages"] == 2
    assert "body 3" in told["text"]
    assert "CONDSTORE" in told["enabled"]
