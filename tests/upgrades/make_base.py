"""``python -m tests.upgrades.make_base``: make ``tests/data/base-VERSION`` of this mailframe.

Once a release, by whoever makes it; what is there is never made again. The real server runs,
and clients put something of everything into it; then what it says of itself is written down
beside the data (``expected.json``), for all later versions to say the same.
"""

from __future__ import annotations

import imaplib
import json
import time
from pathlib import Path
from typing import Any

from mailframe import __version__
from tests.interop.peers.imap import message
from tests.interop.peers.imap_look import ask, folder, folder_names, message_ids, utf7
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir
from tests.interop.peers.sink import Sink
from tests.upgrades.base_files import DATA, save

ANN, BOB = "ann@mf.test", "bob@mf.test"
MANY = [f"word{number}" for number in range(30)]
"""Keywords; four more than there are letters in a Maildir."""


def main() -> None:
    target = DATA / ("base-" + ".".join(__version__.split(".")[:2]))
    if target.exists():
        raise SystemExit(f"{target} is there already; it is what that version left")
    with workdir("fixture") as directory:
        server = Mailframe(directory, loopback_address())
        sink = Sink()
        try:
            _fill(server, sink, directory)
            expected = look(server)
        finally:
            server.stop()
            sink.stop()
        save(server.base, target)
        (target / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    print(target)


def imap(server: Mailframe, user: str = ANN) -> imaplib.IMAP4:
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=30)
    client.starttls(any_certificate())
    client.login(user, PASSWORD)
    return client


def _fill(server: Mailframe, sink: Sink, directory: Path) -> None:
    nobody = f"smtp://{sink.address}:{free_port(sink.address)}"
    server.configure(routes={"later.test": nobody, "sink.test": sink.url})
    server.add_users(ANN, BOB)
    server.cli("alias", "add", "all@mf.test", ANN, BOB)
    server.cli("user", "quota", BOB, "10M")
    server.cli("dkim", "new", "mf.test")
    server.cli("domain", "set", "mf.test", "junk", "4.5")
    server.start()
    mx = server.smtp("mx")
    for number in range(1, 7):
        mx.sendmail("sender@example.org", [ANN if number % 3 else "all@mf.test"], message(number))
    _fill_queue(server)
    wait_until(lambda: len(server.inbox(ANN)) >= 7, "mail and a bounce have come", 30)
    _fill_folders(server)
    for kind in ("ham", "spam"):
        file = directory / f"{kind}.eml"
        file.write_bytes(message(50, f"{kind} subject", f"{kind} words " * 20))
        server.cli("spam", "learn", f"--{kind}", "-u", ANN, file)
    mx.quit()


def _fill_queue(server: Mailframe) -> None:
    client = server.submission(ANN)
    names = ("deferred@later.test", "held@later.test", "refused@sink.test", "relayed@sink.test")
    for number, name in enumerate((*names, "large@later.test"), 20):
        body = "0123456789abcdef\r\n" * (4000 if name.startswith("large") else 1)
        text = message(number, body=body).replace(f"s{number}@example.org".encode(), ANN.encode())
        client.sendmail(ANN, [name], text)
    client.quit()
    attempted = lambda: sum(r["attempts"] for m in server.queue() for r in m["recipients"]) >= 3
    wait_until(attempted, "all were tried", 30)
    server.cli("queue", "hold", "--to", "held@later.test")


def _fill_folders(server: Mailframe) -> None:
    client = imap(server)
    for name in ("Work", "Work/Reports", "Αρχείο", "Gone", "Keywords"):
        ask(client, "create", f'"{utf7(name)}"')
        ask(client, "subscribe", f'"{utf7(name)}"')
    ask(client, "unsubscribe", "Gone")
    for number in range(30, 34):
        ask(client, "append", "Work", "(\\Seen project-x)", None, message(number))
    ask(client, "append", f'"{utf7("Αρχείο")}"', "(\\Flagged $Forwarded)", None, message(34))
    ask(client, "append", "Keywords", f"({' '.join(MANY)})", None, message(35))
    ask(client, "select", "Work")
    ask(client, "uid", "STORE", "2", "+FLAGS", "(\\Answered)")
    ask(client, "uid", "COPY", "1:2", "Work/Reports")
    ask(client, "uid", "STORE", "3", "+FLAGS", "(\\Deleted)")
    ask(client, "expunge")
    ask(client, "select", "INBOX")
    ask(client, "uid", "MOVE", "2", f'"{utf7("Αρχείο")}"')
    ask(client, "uid", "STORE", "1", "+FLAGS", "(\\Seen \\Flagged)")
    ask(client, "delete", "Gone")
    ask(client, "setacl", "Work", BOB, "lr")
    ask(client, "xatom", "SETMETADATA", '"Work"', '(/private/comment "of Ann")')
    client.logout()
    for user in (ANN, BOB):  # every folder was opened, and has its uids
        client = imap(server, user)
        for name in folder_names(client):
            folder(client, name)
        client.logout()


def look(server: Mailframe) -> dict[str, Any]:
    """What the running server says, and must say for ever."""
    found: dict[str, Any] = {"mail": {}, "subscribed": {}}
    for user in (ANN, BOB):
        client = imap(server, user)
        found["mail"][user] = {name: _folder(client, name) for name in folder_names(client)}
        found["subscribed"][user] = sorted(folder_names(client, "lsub"))
        client.logout()
    client = imap(server)
    found["acl"] = repr(ask(client, "getacl", "Work"))
    client.logout()
    found["queue"] = [_queued(entry) for entry in server.queue()]
    for name, words in {
        "users": ("user", "list"),
        "aliases": ("alias", "list"),
        "keys": ("dkim", "show", "mf.test"),
        "settings": ("domain", "show", "mf.test"),
        "training": ("spam", "log", "-u", ANN),
    }.items():
        found[name] = server.cli(*words, "--json").splitlines()
    return found


def _folder(client: imaplib.IMAP4, name: str) -> dict[str, Any]:
    seen = folder(client, name)
    ids = message_ids(client)
    return {
        "uid_validity": seen.uid_validity,
        "uid_next": seen.uid_next,
        "messages": {
            str(uid): [ids[uid], sorted(m.flags), m.date, m.size]
            for uid, m in seen.messages.items()
        },
    }


def _queued(entry: dict[str, Any]) -> dict[str, Any]:
    """But for what changes with time."""
    to = [recipient["address"] for recipient in entry["recipients"]]
    return {
        "queue_id": entry["queue_id"],
        "queue_name": entry["queue_name"],
        "message_size": entry["message_size"],
        "sender": entry["sender"],
        "to": to,
    }


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s")
