"""A mailframe that judges, a name server with all it may ask, and senders at addresses of 127/8."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.dns import Dns
from tests.interop.peers.maildir import header, messages
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import (
    Process,
    free_port,
    listens,
    loopback_address,
    need,
    run,
    wait_until,
    workdir,
)

_JOURNAL_LAGS = 3.0  # seconds, on a machine that is busy
ANN, BOB = "ann@mf.test", "bob@mf.test"
Settings = Mapping[str, Any]
# what needs neither lists nor time
AUTHENTICATION = ["relay", "rate", "iprev", "helo", "spf", "dkim", "arc", "dmarc"]


@dataclass(frozen=True)
class Said:
    """The last reply that mattered, and the whole dialogue."""

    code: int
    text: str
    dialogue: str

    @property
    def id(self) -> str:
        """Of the message, or of the session that was refused."""
        found = re.search(r"\(ref ([0-9A-Z]+)\)|Ok: ([0-9A-Z]+)", self.text)
        assert found is not None, self.dialogue
        return found[1] or found[2]


class Policed:
    """``policy`` is the section as it stands in the configuration; ``records`` are added to those
    of mf.test itself; zones of ``servfail`` cannot be had. Ended with ``stack``."""

    def __init__(
        self,
        stack: ExitStack,
        policy: Settings,
        records: Mapping[str, Iterable[str]],
        servfail: Iterable[str] = (),
        **sections: Settings | str,
    ) -> None:
        need("swaks")
        self._stack = stack
        self.directory = stack.enter_context(workdir("policed"))
        for name in ("dns", "mailframe"):
            (self.directory / name).mkdir()
        self.port = free_port()
        self.mailframe = Mailframe(self.directory / "mailframe", loopback_address(), self.port)
        self.dns = Dns(self.directory / "dns", loopback_address())
        stack.callback(self.dns.stop)
        self._records = {
            "mf.test": ["MX 10 mail.mf.test.", 'TXT "v=spf1 a:mail.mf.test -all"'],
            "mail.mf.test": [f"A {self.mailframe.address}"],
            **records,
        }
        self.dns.start(self._records, servfail)
        stack.callback(self.mailframe.stop)
        self.mailframe.configure(
            policy=policy,
            dns={"servers": [self.dns.server], "timeouts": ["1s"]},
            limits={"tarpit": "0s"},
            postmaster="postmaster@mf.test",
            **sections,
        )
        self.mailframe.add_users(ANN, BOB, "postmaster@mf.test")
        self.mailframe.start()

    def publish(self, records: Mapping[str, Iterable[str]]) -> None:
        """Beside those that are there; old answers live for two seconds."""
        self._records |= records
        self.dns.change(self._records)

    def swaks(
        self,
        source: str,
        sender: str,
        recipients: str = ANN,
        *,
        helo: str = "mail.client.test",
        data: str | bytes = "",
        subject: str = "",
        from_: str = "",
    ) -> Said:
        """One message from that address of 127/8; ``data`` is a whole message."""
        if not data:
            data = message(from_ or sender, subject)
        if isinstance(data, str):
            data = data.encode()
        path = self.directory / "swaks.eml"
        path.write_bytes(data.replace(b"\r\n", b"\n"))
        done = run(
            [
                *("swaks", "--server", self.mailframe.address, "--port", str(self.port)),
                *("--local-interface", source, "--helo", helo, "--timeout", "60"),
                *("--from", sender, "--to", recipients, "--data", f"@{path}"),
            ]
        )
        return said(done.stdout)

    def steps(self, id: str, step: str = "") -> list[dict[str, Any]]:
        """What ``mailframe trace`` tells of it, as soon as it tells anything: the journal is
        written a moment after what it tells of."""
        end = time.monotonic() + _JOURNAL_LAGS
        while not (found := self._steps(id, step)) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def _steps(self, id: str, step: str) -> list[dict[str, Any]]:
        lines = self.mailframe.cli_result("trace", id, "--json").stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry["step"] == step or not step]

    def rule(self, answer: Said) -> str:
        """By which rule ``trace`` says it was refused, in words: rule and reason."""
        refusals = self.steps(answer.id, "refuse")
        assert refusals, answer.dialogue
        return f"{refusals[-1]['rule']}: {refusals[-1].get('reason', '')}"

    def checks(self, answer: Said) -> dict[str, str]:
        """What each policy found out about an accepted message, by rule."""
        wait_until(lambda: self.steps(answer.id, "check"), "the journal has the checks")
        found: dict[str, list[str]] = {}
        for entry in self.steps(answer.id, "check"):
            found.setdefault(entry["result"], []).append(entry["reason"])
        return {rule: "; ".join(reasons) for rule, reasons in found.items()}

    def delivered(self, subject: str, to: str = ANN, folder: str = "") -> bytes:
        """The message in that folder, waited for; and in no other."""
        boxes = {name: self._box(to, name) for name in ("", ".Junk")}
        wanted = f".{folder}" if folder else ""
        wait_until(lambda: with_subject(messages(boxes[wanted]), subject), f"{subject} arrives")
        (found,) = with_subject(messages(boxes[wanted]), subject)
        for name, box in boxes.items():
            assert name == wanted or not with_subject(messages(box), subject)
        return found

    def _box(self, to: str, name: str) -> Path:
        maildir = self.mailframe.maildir(to)
        return maildir / name if name else maildir

    def postfix(self, source: str, hostname: str, **settings: str) -> Postfix:
        """Relays by MX to mailframe from ``source``."""
        directory = self._stack.enter_context(workdir("postfix"))
        peer = Postfix(directory, loopback_address(), free_port(), hostname)
        self._stack.callback(peer.stop)
        peer.start(
            mailboxes=[f"box@{hostname}"],
            resolv_conf=self.dns.resolv_conf,
            relay_port=self.port,
            settings={
                "smtp_bind_address": source,
                "smtp_helo_name": hostname,
                "notify_classes": "",
                **settings,
            },
        )
        return peer

    def opendkim(self, domain: str, selector: str = "s1") -> tuple[str, str]:
        """Signs for ``domain`` what anybody hands it: a milter's address for Postfix, and the TXT
        record of its key."""
        need("opendkim", "opendkim-genkey")
        directory = self._stack.enter_context(workdir("opendkim"))
        run(["opendkim-genkey", "-D", directory, "-d", domain, "-s", selector, "-b", "2048"])
        port = free_port()
        config = directory / "opendkim.conf"
        config.write_text(
            f"Mode s\nSocket inet:{port}@127.0.0.1\nDomain {domain}\nSelector {selector}\n"
            f"KeyFile {directory / f'{selector}.private'}\nInternalHosts 127.0.0.0/8\n"
            "RequireSafeKeys no\nSyslog no\nCanonicalization relaxed/simple\n"
        )
        process = Process(["opendkim", "-f", "-x", str(config)], directory / "opendkim.log")
        self._stack.callback(process.stop)
        process.wait_for(lambda: listens("127.0.0.1", port), "opendkim listens")
        pieces = (directory / f"{selector}.txt").read_text().split('"')[1::2]
        return f"inet:127.0.0.1:{port}", "TXT " + " ".join(f'"{piece}"' for piece in pieces)


def said(dialogue: str) -> Said:
    """The first refusal, or the reply to the end of the message."""
    replies = re.findall(r"^<(-|\*\*)\s+(\d{3}) (.*)$", dialogue, re.MULTILINE)
    if not replies:
        pytest.fail(f"no reply:\n{dialogue}")
    refused = [(code, text) for mark, code, text in replies if mark == "**"]
    accepted = [(code, text) for _, code, text in replies if not text.startswith("2.0.0 Bye")]
    queued = [(code, text) for code, text in accepted if " Ok: " in text]
    code, text = (refused or queued or accepted)[0]
    return Said(int(code), text.strip(), dialogue)


def message(sender: str, subject: str, *fields: str, body: str = "Hello.\n") -> str:
    """As it goes over the wire, dots not yet stuffed."""
    lines = [
        *fields,
        f"From: {sender}",
        f"To: {ANN}",
        f"Subject: {subject or 'a message'}",
        "Date: Wed, 25 Nov 2026 21:00:00 +0000",
        f"Message-ID: <{subject.replace(' ', '.') or 'x'}@client.test>",
    ]
    return ("\n".join(lines) + f"\n\n{body}").replace("\n", "\r\n")


def with_subject(found: Iterable[bytes], subject: str) -> list[bytes]:
    return [one for one in found if header(one, "Subject") == [subject]]


def pointer(ip: str) -> str:
    """The name of its PTR record."""
    return ".".join(reversed(ip.split("."))) + ".in-addr.arpa"


def results(found: bytes) -> str:
    """The one Authentication-Results of ours."""
    (ours,) = [v for v in header(found, "Authentication-Results") if v.startswith("mail.mf.test")]
    return ours
