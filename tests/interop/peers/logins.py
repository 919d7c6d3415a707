"""Logging in by AUTH PLAIN, which can carry any name and password; what the server answers. And a
server to log in to, whose users are in a directory."""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.interop.peers.mailframe import Mailframe, any_certificate
from tests.interop.peers.process import loopback_address, workdir

PROTOCOLS = ("smtp", "pop3", "imap")
ACCEPTED = {"smtp": "235 ", "pop3": "+OK", "imap": "a OK"}
REFUSED = {"smtp": "535 5.7.8", "pop3": "-ERR [AUTH]", "imap": "a NO [AUTHENTICATIONFAILED]"}
UNAVAILABLE = {"smtp": "45", "pop3": "-ERR [SYS/TEMP]", "imap": "a NO [UNAVAILABLE]"}
"""How an answer begins."""


@contextlib.contextmanager
def serving(
    source: str, section: Mapping[str, Any], *, before: Sequence[str] = ()
) -> Iterator[Mailframe]:
    """A server that asks ``ldap:SOURCE``, after the checkers in ``before``. Nobody is shut out."""
    with workdir(f"mail-{source}") as path:
        server = Mailframe(path, loopback_address())
        server.configure(
            auth={
                "checkers": [*before, f"ldap:{source}"],
                "failures_per_account": 0,
                "failures_per_ip": 0,
            },
            ldap={source: section},
            limits={"errors_per_session": 0, "tarpit": "0s"},
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
        assert server.tracebacks == []


def login(
    server: Mailframe, protocol: str, name: str | bytes, password: str | bytes, source: str = ""
) -> str:
    """The line that answers it; empty where the server hung up."""
    port = server.ports[{"smtp": "submissions", "pop3": "pop3s", "imap": "imaps"}[protocol]]
    bare = socket.create_connection(
        (server.address, port), 60, source_address=(source, 0) if source else None
    )
    with any_certificate().wrap_socket(bare) as wrapped, wrapped.makefile("rwb") as stream:

        def say(line: bytes) -> None:
            stream.write(line + b"\r\n")
            stream.flush()

        stream.readline()
        if protocol == "smtp":
            say(b"EHLO client.test")
            while stream.readline()[3:4] == b"-":
                pass
        plain = base64.b64encode(b"\0" + _octets(name) + b"\0" + _octets(password))
        say({"smtp": b"", "pop3": b"", "imap": b"a "}[protocol] + _VERB[protocol])
        stream.readline()  # the challenge
        say(plain)
        return stream.readline().decode(errors="replace").strip()


_VERB = {"smtp": b"AUTH PLAIN", "pop3": b"AUTH PLAIN", "imap": b"AUTHENTICATE PLAIN"}


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def rcpt(server: Mailframe, address: str) -> str:
    """The answer to RCPT from a stranger."""
    with server.smtp() as client:
        client.mail("friend@far.test")
        code, text = client.rcpt(address)
        return f"{code} {text.decode(errors='replace')}"


def deliver(server: Mailframe, address: str, subject: str) -> None:
    """Mail from a stranger, which must be taken."""
    with server.smtp() as client:
        refused = client.sendmail(
            "friend@far.test", [address], f"Subject: {subject}\r\n\r\nhello\r\n"
        )
        assert refused == {}


def subjects(maildir: Path) -> list[str]:
    from tests.interop.peers.maildir import header, messages

    return sorted(value for one in messages(maildir) for value in header(one, "Subject"))
