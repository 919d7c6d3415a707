"""The bare IMAP engine as a conversation: a small script decides, no Twisted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailframe.core.scram import ScramVerifier
from mailframe.protocols.imap import commands as cmd
from mailframe.protocols.imap import events as ev
from mailframe.protocols.imap.engine import ImapEngine

MECHANISMS = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256"})
POWERS = frozenset({"SORT", "QRESYNC", "QUOTA", "METADATA", "ACL"})
VERIFIER = ScramVerifier.derive(b"secret", b"salt", 1)


class EngineTalk:
    """Answers as a server with one account would: ``secret`` is right, the folder ``missing``
    is not there, a message that begins with ``full`` does not fit, URLs with ``bad`` are bad."""

    def __init__(self, **settings: Any) -> None:
        settings = {"allow_plaintext": True} | settings
        mechanisms = settings.pop("mechanisms", MECHANISMS)
        self.engine = ImapEngine("imap.local.test", mechanisms, lambda: "nonce", **settings)
        self.events: list[ev.Event] = []
        self.messages: list[bytes] = []
        self.said = b""
        self.most_held = 0
        self._coming: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.engine.receive(data)
        while True:
            event = self.engine.next_event()
            if event is ev.Pause.OUTPUT:
                self.said += self.engine.take_output()
            elif isinstance(event, ev.Pause):
                assert event is not ev.Pause.DECISION
                break
            else:
                self.events.append(event)
                self._answer(event)
        self.most_held = max(self.most_held, len(self.engine._input))
        self.said += self.engine.take_output()

    def ask(self, *lines: str) -> list[str]:
        """Send lines; what was said since, by line. The greeting counts."""
        self.send("".join(f"{line}\r\n" for line in lines).encode())
        said, self.said = self.said, b""
        return said.decode().split("\r\n")[:-1]

    def log_in(self) -> EngineTalk:
        self.ask("login LOGIN ann secret")
        return self

    def select(self) -> EngineTalk:
        self.log_in().ask("select SELECT INBOX")
        return self

    @property
    def commands(self) -> list[cmd.Command]:
        return [event.command for event in self.events if isinstance(event, ev.CommandGiven)]

    @property
    def closed(self) -> bool:
        return any(isinstance(event, ev.Closing) for event in self.events)

    def _answer(self, event: ev.Event) -> None:
        engine = self.engine
        match event:
            case ev.CommandGiven(command=command):
                self._carry_out(command)
            case ev.AppendEnds():
                self.messages += self._coming
                engine.finish(ev.Status.OK, "Done")
            case ev.IdleEnds():
                engine.finish(ev.Status.OK, "Done")
            case ev.StartTls():
                engine.tls_started({"tls-exporter": b"x"})
            case ev.PasswordOffered(password=b"secret") | ev.IdentityProved():
                engine.logged_in(POWERS)
            case ev.VerifierWanted():
                engine.verifier(VERIFIER)
            case ev.PasswordOffered() | ev.ProofWrong():
                engine.login_failed("No entry")
            case ev.Closing():
                pass
            case _:
                self._append(event)

    def _append(self, event: ev.Event) -> None:
        engine = self.engine
        match event:
            case ev.AppendBegins(mailbox=mailbox):
                self._coming = []
                if mailbox == "missing":
                    engine.finish(ev.Status.NO, "No such folder", "TRYCREATE")
                    return
            case ev.MessageBegins():
                self._coming.append(b"")
            case ev.TextChunk(data=data):
                self._coming[-1] += data
                if self._coming[-1].startswith(b"full"):
                    engine.finish(ev.Status.NO, "Full", "OVERQUOTA")
                    return
            case ev.UrlGiven(url=url) if "bad" in url:
                engine.finish(ev.Status.NO, "No such URL", "BADURL")
                return
        engine.proceed()

    def _carry_out(self, command: cmd.Command) -> None:
        engine = self.engine
        match command:
            case cmd.Idle():
                engine.begin_idle()
                return
            case cmd.Select(mailbox="missing"):
                engine.folder_closed()
                engine.finish(ev.Status.NO, "No such folder", "NONEXISTENT")
                return
            case cmd.Select():
                engine.folder_opened()
                engine.send(b"* 3 EXISTS\r\n")
            case cmd.Close():
                engine.folder_closed()
            case cmd.Enable(capabilities=names):
                engine.enable(names)
            case cmd.Compress():
                engine.compressed()
            case cmd.Unauthenticate():
                engine.unauthenticated()
        engine.finish(ev.Status.OK, "Done")


def without_chunks(events: Sequence[ev.Event]) -> list[ev.Event]:
    """How a message is cut into chunks is the one thing that may depend on the split."""
    return [event for event in events if not isinstance(event, ev.TextChunk)]
