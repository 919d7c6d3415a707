"""A real mail server for the tests of any program that sends mail.

::

    with MailframeInbox() as inbox:
        signup("ann@shop.test", smtp=inbox.url)              # smtp://127.0.0.1:40001
        code = inbox.wait(to="ann@shop.test").code()
        inbox.fail(recipient="bob@shop.test", code=452)      # what does the program do then?

It is ``mailframe dev`` in a process of its own, on free ports and in a temporary directory: every
address is accepted, nothing leaves the machine, and all of it is gone at the end, also after
Ctrl-C. One object may be used by several threads. The test's process needs the standard library
only: no Twisted, no reactor.
"""

from __future__ import annotations

import atexit
import contextlib
import email
import email.policy
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from html import unescape
from types import TracebackType
from typing import Any

START_SECONDS = 30.0
"""How long the server may take to start."""
WAIT_SECONDS = 10.0
"""How long ``wait`` waits, unless told otherwise."""
_STOP_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_MOST = 5_000  # messages that are looked at
_TOLD = 20  # of them in the text of an error
_PORTS = ("smtp", "pop3", "imap", "web")
_CODE = r"(?<![\w.-])[0-9]{4,8}(?![\w-]|\.[0-9])"
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_WEB = re.compile(r"""https?://[^\s<>"'\]]+""", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = re.compile(r"<(?:style|script)\b", re.IGNORECASE)
_SEEN_AGAIN = re.compile(r"</(?:style|script)\b", re.IGNORECASE)
# Nothing that is configured for the tester's browser may come between.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class InboxError(Exception):
    """The server did not start, or refused what was asked of it; says why."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    name: str
    """As its sender calls it; empty for none. Not safe as a path."""
    content_type: str
    """``image/png``, in lower case."""
    content: bytes
    """Decoded."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message, however many recipients it had."""

    id: str
    """That the sender was told: ``250 2.0.0 Ok: ID``."""
    sender: str
    """Of the envelope; empty for the null reverse-path."""
    to: tuple[str, ...]
    """Recipients of the envelope, those of Bcc included."""
    raw: bytes
    """As the first recipient has it."""
    message: EmailMessage
    """As the library parses it."""

    @property
    def subject(self) -> str:
        """Decoded; empty for none."""
        return str(self.message.get("Subject", ""))

    @property
    def headers(self) -> EmailMessage:
        """Case does not matter; of several fields of one name the first."""
        return self.message

    @property
    def text(self) -> str:
        """The plain text; what can be seen of the HTML where there is none."""
        plain = self._body("plain")
        return plain or unescape(_TAG.sub(" ", _without_scripts(self.html))).strip()

    @property
    def html(self) -> str:
        """With its lines ending in LF; empty for none."""
        return self._body("html")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """In the order of the message."""
        found = []
        for part in self.message.iter_attachments():
            content = part.get_payload(decode=True)
            if not isinstance(content, bytes):  # an attached message
                content = b"".join(bytes(each) for each in part.iter_parts())
            found.append(Attachment(part.get_filename() or "", part.get_content_type(), content))
        return tuple(found)

    def links(self) -> list[str]:
        """On the web, each once: those of the HTML, then those in the text."""
        found = [unescape(one or other) for one, other in _HREF.findall(self.html)]
        found += [word.rstrip(".,;:!?)") for word in _WEB.findall(self._body("plain"))]
        return list(dict.fromkeys(each for each in found if _WEB.fullmatch(each)))

    def link(self, containing: str = "") -> str:
        """The first that has ``containing`` in it. Raises LookupError, which tells what there
        is."""
        for link in self.links():
            if containing in link:
                return link
        raise LookupError(f"no link with {containing!r} in {self!r}; there are {self.links()}")

    def code(self, pattern: str = _CODE) -> str:
        """What ``pattern`` finds first in text or subject, its first group where it has one; by
        default 4 to 8 digits that stand alone. Raises LookupError."""
        for text in (self.text, self.subject):
            if found := re.search(pattern, text):
                return found[1] if found.re.groups else found[0]
        raise LookupError(f"{pattern!r} finds nothing in {self!r}: {self.text[:500]!r}")

    def __repr__(self) -> str:
        return f"<message {self.subject!r} from {self.sender} to {', '.join(self.to)}>"

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        if part is None:
            return ""
        try:
            text = str(part.get_content())
        except LookupError:  # a charset that nobody knows
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
        return text.replace("\r\n", "\n")


class MailframeInbox:
    """``start`` and ``stop``, or a ``with`` statement."""

    def __init__(self, *options: str, start_seconds: float = START_SECONDS) -> None:
        """``options``: further ones of ``mailframe dev``, as ``"--tls"``."""
        self._options = options
        self._start_seconds = start_seconds
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._addresses: dict[str, str] = {}

    # -- life

    def start(self) -> MailframeInbox:
        """Returns when it serves. Raises InboxError with the end of its log."""
        with self._lock:
            if self._process is not None:
                return self
            atexit.register(self.stop)
            self._directory = tempfile.TemporaryDirectory(prefix="mailframe-inbox-")
            try:
                self._launch(self._directory.name)
                self._wait_until_ready()
            except BaseException:  # Ctrl-C while it starts, too
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """And forget all mail. Harmless when it does not run."""
        atexit.unregister(self.stop)
        with self._lock:
            process, self._process = self._process, None
            directory, self._directory = self._directory, None
            self._addresses = {}
        try:
            if process is not None:
                _end(process)
        finally:
            if directory is not None:
                directory.cleanup()

    def __enter__(self) -> MailframeInbox:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, directory: str) -> None:
        ports = [word for name in _PORTS for word in (f"--{name}", "0")]
        begin = [sys.executable, "-P", "-c", "from mailframe.app.cli import main; main()"]
        command = [*begin, "dev", "--base", directory, "--until-eof", *ports]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ours
                [*command, *self._options],
                # Closed by the kernel however this process ends: no server stays behind.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C is for the test, which then stops it.
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + self._start_seconds
        while "mailframe ready" not in (log := self.log):
            if self._process is None or self._process.poll() is not None:
                raise InboxError(f"mailframe dev has ended:\n{log[-4000:]}")
            if time.monotonic() > end:
                raise InboxError(
                    f"mailframe dev is not ready after {self._start_seconds} s:\n{log[-4000:]}"
                )
            time.sleep(0.02)
        pairs = [line.split(" ") for line in log.splitlines()]
        self._addresses = {
            pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0] in _PORTS
        }

    @property
    def _log(self) -> str:
        if self._directory is None:
            raise InboxError("the inbox is not started")
        return os.path.join(self._directory.name, "inbox.log")

    @property
    def log(self) -> str:
        """What the server has said so far."""
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    # -- where it is

    @property
    def host(self) -> str:
        """Of SMTP."""
        return self._address("smtp")[0]

    @property
    def port(self) -> int:
        """Of SMTP."""
        return self._address("smtp")[1]

    @property
    def url(self) -> str:
        """``smtp://127.0.0.1:40001``"""
        return f"smtp://{self.host}:{self.port}"

    @property
    def web(self) -> str:
        """Of the page, and of the API below it."""
        return "http://{}:{}".format(*self._address("web"))

    @property
    def pop3(self) -> tuple[str, int]:
        """Host and port. Any user may log in, with the password ``dev``."""
        return self._address("pop3")

    @property
    def imap(self) -> tuple[str, int]:
        """Host and port; the login as for POP3."""
        return self._address("imap")

    def _address(self, name: str) -> tuple[str, int]:
        if name not in self._addresses:
            raise InboxError("the inbox is not started")
        host, _, port = self._addresses[name].rpartition(":")
        return host, int(port)

    # -- mail

    def messages(self, to: str = "", subject: str = "") -> list[ReceivedMessage]:
        """What has arrived, oldest first; as ``wait`` chooses."""
        return [self._read(each) for each in reversed(self._matching(to, subject)[0])]

    def wait(
        self, to: str = "", subject: str = "", timeout: float = WAIT_SECONDS
    ) -> ReceivedMessage:
        """The newest message to that address whose subject contains ``subject``, as soon as there
        is one. Raises TimeoutError, which tells what did arrive."""
        end = time.monotonic() + timeout
        while True:
            found, state = self._matching(to, subject)
            if found:
                return self._read(found[0])
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(_not_there(to, subject, timeout, self._get("/api/messages")))
            if left < 1:
                time.sleep(min(left, 0.05))
            else:  # the answer comes as soon as something changes
                self._get(f"/api/messages?limit=0&state={state}&wait={int(min(left, 20))}")

    def clear(self) -> None:
        """Remove all mail, and all errors that were asked for."""
        self._ask("DELETE", "/api/v1/messages")
        self._ask("DELETE", "/api/faults")
        self._ask("PUT", "/api/v1/chaos", {})

    def _matching(self, to: str, subject: str) -> tuple[list[dict[str, Any]], int]:
        """Newest first; and the state that this is."""
        query = {"limit": _MOST} | ({"to": to} if to else {})
        page = self._get(f"/api/messages?{urllib.parse.urlencode(query)}")
        found = [each for each in page["messages"] if subject in each["Subject"]]
        return found, page["state"]

    def _read(self, listed: dict[str, Any]) -> ReceivedMessage:
        raw = self._ask("GET", f"/api/v1/message/{urllib.parse.quote(listed['ID'])}/raw")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        sender = str(message.get("Return-Path", "")).strip("<> ")
        return ReceivedMessage(listed["ID"], sender, tuple(listed["Recipients"]), raw, message)

    # -- errors

    def fail(
        self,
        recipient: str = "",
        *,
        sender: str = "",
        code: int = 451,
        text: str = "",
        times: int = 0,
        at: str = "",
    ) -> None:
        """From now on refuse ``recipient`` (or ``sender``) with ``code``, ``times`` times; 0:
        until ``clear``. ``*`` in an address is anything; no address: everybody. ``at``: ``rcpt``,
        ``mail``, ``data`` (the end of the message) or ``auth``; by default it follows from the
        address that is given."""
        fault = {
            "Stage": at or ("mail" if sender else "rcpt"),
            "Address": recipient or sender or "*",
            "Code": code,
            "Text": text,
            "Times": times,
        }
        self._ask("POST", "/api/faults", fault)

    # -- the API

    def _get(self, path: str) -> dict[str, Any]:
        value = json.loads(self._ask("GET", path))
        if not isinstance(value, dict):
            raise InboxError(f"the server answered {value!r}")
        return value

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - its own server
            self.web + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} if body is not None else {},
        )
        try:
            with _OPENER.open(request, timeout=_ANSWER_SECONDS) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            words = error.read().decode("utf-8", "replace").strip()
            raise InboxError(f"{method} {path}: {error.code} {words}") from error
        except urllib.error.URLError as error:
            raise InboxError(f"the server does not answer: {error.reason}") from error


def _without_scripts(html: str) -> str:
    """Nor styles. In one pass, whatever is not closed."""
    pieces, at = [], 0
    while begin := _UNSEEN.search(html, at):
        pieces.append(html[at : begin.start()])
        end = _SEEN_AGAIN.search(html, begin.end())
        at = end.start() if end else len(html)
    return "".join([*pieces, html[at:]])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)


def _not_there(to: str, subject: str, timeout: float, page: Mapping[str, Any]) -> str:
    wanted = [f"to {to}"] if to else []
    wanted += [f"with {subject!r} in its subject"] if subject else []
    lines = [f"no message {' '.join(wanted)}".rstrip() + f" within {timeout:g} s"]
    if not page["messages"]:
        return f"{lines[0]}; none has arrived at all"
    lines[0] += f"; there are {page['total']} others, the newest:"
    lines += [
        f"  {each['Subject']!r} from {each['From']['Address']} to {', '.join(each['Recipients'])}"
        for each in page["messages"][:_TOLD]
    ]
    return "\n".join(lines)
